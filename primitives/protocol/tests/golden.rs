//! Numbers that must never change: who trains on what, and what a contribution was worth. They were computed before the
//! rules came into this crate; a change of one of them parts the network.

use cairn_primitives::{
    blake2_256, finding_hash, AuditRules, CompressionSchedule, DataSet, Finding, Hotkey,
    InitialParameters, InnerOptimizer, ModelRoot, ModelShape, Nano, Netuid, OuterStep, Phases,
    RunConfig, Text, Uid, H256,
};
use cairn_protocol::{
    assignment::{
        pass_key, permute, round_seed, slots, unassigned, windows_of, DataRange, Plan, RoundData,
    },
    audit,
    exam::{exam, own_exam, seeds},
    tolerance::{Distance, Distances, Vectors},
    trace::State,
    unseen,
    value::{alike, factor, proportions, round_gain, scores, Evidence, Outcome},
};
use codec::Encode;

/// A run of 1,000 windows, of which a miner takes 5 steps of 4.
fn config() -> RunConfig {
    let text = |text: &str| Text::new(text).expect("short");
    RunConfig {
        name: text("golden"),
        model: ModelShape {
            layers: 2,
            d_model: 64,
            heads: 4,
            kv_heads: 2,
            ffn: 128,
            vocabulary: 256,
            context: 64,
            rope_theta: 10_000,
            tied_embeddings: true,
        },
        initial_parameters: InitialParameters::Seed(1),
        initial_root: ModelRoot(H256([1; 32])),
        data: DataSet {
            manifest_root: H256([2; 32]),
            tokenizer_root: H256([3; 32]),
            store: text(""),
            windows: 1_000,
        },
        inner: InnerOptimizer {
            steps: 5,
            sequences: 4,
            sequence_length: 64,
            learning_rate: Nano(3_000_000),
            final_rate: Nano(100_000_000),
            warmup_steps: 10,
            total_steps: 100,
            beta1: Nano(900_000_000),
            beta2: Nano(950_000_000),
            epsilon: Nano(1),
            weight_decay: Nano(0),
            clip_norm: Nano(1),
            trace_every: 1,
            matrices: Default::default(),
        },
        compression: CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block: 64,
            error_decay: Nano(1),
            final_error_decay: None,
        },
        outer: OuterStep {
            learning_rate: Nano(1),
            rho: Nano(1),
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        },
        phases: Phases {
            train: 12,
            reveal: 4,
            attest: 4,
            floor: 25,
        },
        max_contributors: 8,
        audits: AuditRules::default(),
        overlap: 0,
        checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
    }
}

/// Numbers of a linear congruential generator.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        let product = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = product.wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn mean(&mut self) -> f32 {
        (self.next() % 100) as f32 / 300.0 - 0.05
    }

    fn gains(&mut self, mean: f32) -> Vec<f32> {
        let gain = |_| mean + (self.next() % 2_001) as f32 / 10_000.0 - 0.1;
        (0..32).map(gain).collect()
    }
}

fn hex(hash: H256) -> String {
    format!("{hash:?}")
}

fn pass() -> H256 {
    pass_key(Netuid(7), ModelRoot(H256([1; 32])), 2)
}

const RANGE: DataRange = DataRange {
    pass: 2,
    cursor: 100,
};

#[test]
fn keys_seeds_and_slots_are_pinned() {
    let key = "0xa1ba601fd8199723117986e2f2322f61ec7fb3e9d7b424aa15b1098cb0a57672";
    assert_eq!(hex(pass()), key);
    let seed = "0xe824ee4d604d5b02ee199605a10507e9421a76a442788308a23675ef5aa1b804";
    assert_eq!(hex(round_seed(Netuid(7), 3, H256([2; 32]))), seed);
    let miners: Vec<u16> = (0..10).collect();
    let order = slots(H256([3; 32]), &miners);
    assert_eq!(order, [6, 2, 5, 0, 1, 4, 7, 8, 3, 9]);
}

#[test]
fn audits_are_pinned() {
    let seed = audit::seed(Netuid(7), 3, H256([2; 32]));
    let seed_hash = "0x19f3349cf018a7397a5d3b6a32b5461366cbf3107b6a24dd39b39aa15ee3cf3b";
    assert_eq!(hex(seed), seed_hash);
    let drawn: Vec<(u16, u32)> = (0..16)
        .filter_map(|uid| Some((uid, audit::draw(seed, Uid(uid), 16_384)?)))
        .collect();
    let expected = [
        (0, 3_821_005_072),
        (1, 204_095_287),
        (2, 454_753_300),
        (3, 2_640_870_747),
        (5, 2_131_834_980),
        (12, 1_303_113_061),
        (14, 3_179_132_361),
        (15, 3_325_850_659),
    ];
    assert_eq!(drawn, expected);
    let validators: Vec<u16> = (0..10).collect();
    assert_eq!(audit::auditors(seed, Uid(5), &validators, 3), [1, 4, 2]);
    let hash = finding_hash(
        (Netuid(7), 3, Uid(5)),
        &[4; 32].into(),
        Finding::Failed,
        &[6; 32],
    );
    let bound = "0x626d2fd44f3135eb85ea976cd7b9dd6209be4bc2ac08cdcca486e22e06769a19";
    assert_eq!(hex(hash), bound);
}

/// What a served blob begins with is read by auditors of every version.
#[test]
fn the_head_of_a_served_blob_is_plain_scale() {
    let state = |byte: u8| State {
        parameters: H256([byte; 32]),
        first_moment: H256([byte + 1; 32]),
        second_moment: H256([byte + 2; 32]),
        steps: u64::from(byte),
    };
    let opened = audit::Opened {
        begin: state(1),
        end: state(4),
        begin_proof: audit::Proof::truncate_from(vec![H256([7; 32])]),
        end_proof: audit::Proof::truncate_from(vec![H256([8; 32]), H256([9; 32])]),
    };
    let bytes = [
        &[1; 32][..],
        &[2; 32],
        &[3; 32],
        &1u64.to_le_bytes(),
        &[4; 32],
        &[5; 32],
        &[6; 32],
        &4u64.to_le_bytes(),
        &[4],
        &[7; 32],
        &[8],
        &[8; 32],
        &[9; 32],
    ];
    assert_eq!(opened.encode(), bytes.concat());
}

#[test]
fn the_order_of_windows_is_pinned() {
    let first = |windows| (0..8).map(move |index| permute(pass(), windows, index));
    assert!(first(2).eq([0, 1, 0, 1, 0, 1, 0, 1]));
    assert!(first(1_000).eq([704, 398, 460, 711, 886, 720, 12, 600]));
    assert!(
        first(1_000_003).eq([708_887, 503_181, 778_346, 513_604, 531_914, 732_426, 4_989, 658_984])
    );
    let windows = windows_of(pass(), 1_000, RANGE, 6, 1);
    assert!(windows.eq([829, 954, 507, 722, 136, 571]));
    let free = unassigned(pass(), 1_000, RANGE, 60, H256([9; 32]), 6);
    assert_eq!(free, [565, 998, 879, 875, 551, 361]);
}

#[test]
fn a_rounds_plan_is_pinned() {
    let round = RoundData {
        range: RANGE,
        miners: 3,
    };
    let plan = Plan::new(Netuid(7), &config(), round);
    let exam = H256([9; 32]);
    let common = seeds(exam, None);
    assert_eq!(plan.of_step(1, 2), [523, 861, 576, 756]);
    let assigned = plan.sample_assigned(exam, 2, 3, 6);
    assert_eq!(assigned, [972, 174, 22, 609, 637, 538]);
    assert_eq!(
        plan.sample_unassigned(&common, 6),
        [565, 998, 879, 875, 551, 361]
    );
    let mut all: Vec<Vec<u64>> = Vec::new();
    for slot in 0..3 {
        all.extend((0..6).map(|step| plan.of_step(slot, step)));
        all.push(plan.sample_assigned(exam, slot, 5, 32));
    }
    all.push(plan.sample_unassigned(&common, 64));
    let digest = "0xed0d9d68b11d8c14167ef80eebb04d335e2bd0f0d4b841db394fe52443f6bbe5";
    assert_eq!(hex(blake2_256(&all.encode())), digest);
}

#[test]
fn exams_and_what_is_drawn_from_them_are_pinned() {
    let drawn = exam(Netuid(7), 3, H256([2; 32]));
    assert_eq!(
        hex(drawn),
        "0xd273ce5a89b216fbbfd3aae457ffeb76205d74abbff99b9831da9766b22c65de"
    );
    let salt = H256([4; 32]);
    assert_eq!(
        hex(own_exam(drawn, salt)),
        "0x8945f6010667366e2ff88a52d17fa77be2b91272c478e511f9414bb89566015b"
    );
    let round = RoundData {
        range: RANGE,
        miners: 3,
    };
    let plan = Plan::new(Netuid(7), &config(), round);
    let mixed = plan.sample_unassigned(&seeds(drawn, Some(salt)), 8);
    assert_eq!(mixed, [501, 135, 661, 91, 306, 163, 663, 237]);
    let unseen = unseen::sample(&seeds(drawn, Some(salt)), 5_000, 8);
    assert_eq!(unseen, [2566, 4704, 572, 3678, 992, 3153, 3680, 4828]);
    assert_eq!((plan.most_windows(), plan.inner_steps()), (64, 5));
}

/// Evidence of six miners in twelve rounds: misses, what could not be measured, gains and losses, copies, repeats.
fn log() -> Vec<Evidence> {
    let mut numbers = Numbers(7);
    let mut log = Vec::new();
    for round in 0..12 {
        for uid in 0..6u16 {
            let outcome = match numbers.next() % 10 {
                0 => Outcome::Missed,
                1 => Outcome::Unmeasured,
                _ => {
                    let mean = numbers.mean();
                    Outcome::Measured {
                        steps: 5 - (numbers.next() % 2) as u32,
                        of: 5,
                        alike: 1 + (numbers.next() % 5 / 4) as u16,
                        repeats: numbers.next().is_multiple_of(9),
                        assigned: numbers.gains(mean * 1.1 + 0.01 * f32::from(uid)),
                        unassigned: numbers.gains(mean),
                        settled: vec![],
                        unseen: vec![],
                    }
                }
            };
            let hotkey = H256([uid as u8; 32]);
            log.push(Evidence {
                round,
                uid: Uid(uid),
                hotkey: Hotkey(hotkey),
                outcome,
            });
        }
    }
    log
}

#[test]
fn scores_and_rows_are_pinned_to_the_bit() {
    let found = |newest| {
        let scores = scores(&log(), newest);
        let bits: Vec<u64> = scores.values().map(|score| score.to_bits()).collect();
        (
            bits,
            proportions(scores.into_iter().map(|((uid, _), score)| (uid, score))),
        )
    };
    let (bits, row) = found(7);
    assert_eq!(
        bits,
        [
            0x3fd0_3539_47a5_51c8,
            0x3f7f_c6df_1ad5_0bba,
            0x3fcf_eb51_51e2_f4ef,
            0x3fc8_b619_0fce_6ca0,
            0x3fb4_eed8_63c9_f8e1,
            0x3fca_11b6_d072_5e5d,
        ]
    );
    let shares = [65535, 2008, 64531, 49959, 21160, 52704];
    assert!(row.into_iter().eq((0..).map(Uid).zip(shares)));
    let (bits, row) = found(11);
    assert_eq!(
        bits,
        [
            0x3fc3_c02a_6791_81c1,
            0x3fb4_010b_2c0d_5caf,
            0x3fc6_b6fe_dd08_ff92,
            0x3fce_208f_ab6c_b7d5,
            0x3fd1_91a2_85f9_4d49,
            0x3fbe_8800_30b3_ccb8,
        ]
    );
    let shares = [36837, 18655, 42365, 56190, 65535, 28472];
    assert!(row.into_iter().eq((0..).map(Uid).zip(shares)));
}

#[test]
fn five_hundred_gains_and_two_hundred_rows_are_pinned() {
    let mut numbers = Numbers(11);
    let gain = |_| {
        let mean = numbers.mean();
        let (assigned, unassigned) = (numbers.gains(mean * 1.02), numbers.gains(mean));
        round_gain(&assigned, &unassigned).to_bits()
    };
    let gains: Vec<u64> = (0..500).map(gain).collect();
    assert_eq!(gains.iter().filter(|bits| **bits != 0).count(), 405);
    assert_eq!(factor(1.7, 5.0, false).to_bits(), 0x3fd6_6666_6666_6666);
    assert_eq!(
        alike(3, &[(0, 1, 0.3), (0, 2, 0.9), (1, 2, 0.31)]),
        [2, 1, 2]
    );
    let digest = "0x51f0328cb1eec370c90173689d396176bf020d6c115e76a56b3273282c44ded7";
    assert_eq!(hex(blake2_256(&gains.encode())), digest);
    let mut numbers = Numbers(13);
    let row = |_| proportions((0..40).map(|uid| (Uid(uid), numbers.next() as f64 / 1e6)));
    let rows: Vec<Vec<(Uid, u16)>> = (0..200).map(row).collect();
    let digest = "0x3f3549ead5be0f30723f14f55c24b2fd8dbcdfcd8986a25a50a83f10119031a9";
    assert_eq!(hex(blake2_256(&rows.encode())), digest);
}

#[test]
fn how_far_a_cards_work_is_off_is_pinned_to_the_bit() {
    let mut numbers = Numbers(63);
    let mut some = |scale: f32| -> Vec<f32> {
        let one = |_| (numbers.next() % 2_001) as f32 * scale;
        (0..1_000).map(one).collect()
    };
    let add = |to: &[f32], by: Vec<f32>| -> Vec<f32> {
        to.iter().zip(by).map(|(one, other)| one + other).collect()
    };
    let idle = some(1.0);
    let replayed = add(&idle, some(0.125));
    let served = add(&replayed, some(0.001));
    let [idle, replayed, served] = [&idle, &replayed, &served].map(|all| Vectors {
        parameters: all,
        first_moment: all,
        second_moment: all,
    });
    let found = Distances::of(idle, replayed, served);
    let bits = |one: Distance| [one.apart.to_bits(), one.change.to_bits()];
    let linear = [0x4095_4972_edaf_8724, 0x4173_f063_9b80_0000];
    assert_eq!(bits(found.first_moment), linear);
    assert_eq!(bits(found.parameters), linear);
    let roots = [0x401a_77e4_8c3b_945e, 0x40fe_9864_0000_0000];
    assert_eq!(bits(found.second_moment), roots);
    // 0.807 % of a change.
    assert!(found.are_within(530) && !found.are_within(529));
}
