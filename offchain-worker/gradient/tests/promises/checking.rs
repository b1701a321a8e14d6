//! What is taken for a contribution, and what is refused.

use cairn_gradient::{
    checked::{check, counted, outer_step, outer_step_alone, Claim, Refusal, Terms},
    compress, seal, sealed_root, DecodeError, Header, LayoutError, TensorFault, Work,
};
use cairn_primitives::{
    key_hash, AuditRules, Carried, Combination, Commitment, CompressionSchedule, DataSet, Hotkey,
    InitialParameters, InnerOptimizer, Layout, ModelRoot, ModelShape, Nano, Netuid, OuterStep,
    Phases, RunConfig, Standing, Text, Uid, H256,
};
use cairn_protocol::verdict::{self, Before, Field, Last};

const NETUID: Netuid = Netuid(7);
const UID: Uid = Uid(5);
const ROUND: u32 = 3;
const STEPS: u16 = 5;
const KEY: [u8; 32] = [5; 32];
const HOTKEY: Hotkey = Hotkey(H256([6; 32]));
const PARENT: H256 = H256([7; 32]);

fn config() -> RunConfig {
    let text = |text: &str| Text::new(text).expect("short");
    RunConfig {
        name: text("checking"),
        model: ModelShape {
            layers: 1,
            d_model: 8,
            heads: 2,
            kv_heads: 1,
            ffn: 16,
            vocabulary: 32,
            context: 8,
            rope_theta: 10_000,
            tied_embeddings: true,
        },
        initial_parameters: InitialParameters::Seed(1),
        initial_root: ModelRoot(PARENT),
        data: DataSet {
            manifest_root: PARENT,
            tokenizer_root: PARENT,
            store: text(""),
            windows: 1_000,
        },
        inner: InnerOptimizer {
            steps: STEPS,
            sequences: 4,
            sequence_length: 8,
            learning_rate: Nano(3_000_000),
            final_rate: Nano(100_000_000),
            warmup_steps: 10,
            total_steps: 100,
            beta1: Nano(900_000_000),
            beta2: Nano(950_000_000),
            epsilon: Nano(1),
            weight_decay: Nano(0),
            clip_norm: Nano::ONE,
            trace_every: 1,
            matrices: Default::default(),
        },
        compression: CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block: 64,
            error_decay: Nano(950_000_000),
            final_error_decay: None,
        },
        outer: OuterStep {
            learning_rate: Nano(700_000_000),
            rho: Nano::ONE,
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        },
        phases: Phases {
            train: 6,
            reveal: 2,
            attest: 2,
            floor: 25,
        },
        max_contributors: 8,
        audits: AuditRules::default(),
        overlap: 0,
        checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
    }
}

/// A run, its layout, and a sealed contribution to it with a header that a test may spoil.
struct Case {
    config: RunConfig,
    layout: Layout,
    sealed: Vec<u8>,
    claim: Claim,
}

impl Case {
    fn new(spoil: impl FnOnce(&mut Header)) -> Case {
        let config = config();
        let layout = Layout::of(&config.model);
        let mut header = Header {
            netuid: NETUID,
            round: ROUND,
            hotkey: HOTKEY,
            parent_root: ModelRoot(PARENT),
            layout_hash: layout.hash(),
            inner_steps: u32::from(STEPS),
            tokens: 1,
            mean_loss: 3.0,
            work: Work::default(),
        };
        spoil(&mut header);
        let delta: Vec<f32> = (0..layout.parameters())
            .map(|i| (i % 7) as f32 - 3.0)
            .collect();
        let mut error = vec![0.0; delta.len()];
        let compression = config.compression_of(UID, ROUND);
        let made = compress(&layout, &compression, &delta, &mut error, header);
        let mut sealed = made.expect("it fits").1;
        seal(&mut sealed, &KEY);
        let claim = Claim {
            round: ROUND,
            uid: UID,
            hotkey: HOTKEY,
            commitment: Commitment {
                parent_root: ModelRoot(PARENT),
                sealed_root: sealed_root(&sealed),
                length: sealed.len() as u64,
                key_hash: key_hash(NETUID, ROUND, &HOTKEY, &KEY),
            },
            key: KEY,
            parent_root: ModelRoot(PARENT),
            before: Before::default(),
        };
        Case {
            config,
            layout,
            sealed,
            claim,
        }
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            netuid: NETUID,
            config: &self.config,
            layout: &self.layout,
        }
    }

    fn refusal(&self) -> Refusal {
        check(&self.terms(), &self.claim, &self.sealed).expect_err("it is spoilt")
    }
}

#[test]
fn a_good_contribution_is_taken_and_can_be_applied() {
    let case = Case::new(|_| {});
    let checked = check(&case.terms(), &case.claim, &case.sealed).expect("it is good");
    assert_eq!(checked.header().hotkey, HOTKEY);
    let contribution = checked.decode(&case.layout).expect("again");
    let mut theta = vec![0.5; case.layout.parameters()];
    let mut same = theta.clone();
    let contributions = [(Uid(1), 5, std::sync::Arc::new(checked))];
    let root = outer_step(&mut theta, &case.layout, &case.config, &contributions);
    let outer = &case.config.outer;
    let alone = [(Uid(1), 1, contribution)];
    cairn_gradient::outer_step(&mut same, &case.layout, &alone, outer).expect("ok");
    assert_eq!(theta, same);
    let stepped = root.expect("ok");
    assert_eq!(stepped.root, cairn_gradient::model_root(&same));
    assert_eq!(stepped.norm, Some(contributions[0].2.norm()));
}

#[test]
fn a_contribution_alone_is_applied_with_the_bits_of_any_outer_step() {
    let mut case = Case::new(|_| ());
    let checked = check(&case.terms(), &case.claim, &case.sealed).expect("it is good");
    let parameters = case.layout.parameters();
    let before: Vec<f32> = (0..parameters).map(|i| (i as f32 * 0.37).sin()).collect();
    let included = [(Uid(1), 5, std::sync::Arc::new(checked))];
    let checked = &included[0].2;
    // What was there before, and how much of it, is not seen.
    let mut after = vec![9.0; 5];
    for (rate, rho) in [(700_000_000, 0), (1_000_000_000, 1), (3, 1_000_000_000)] {
        case.config.outer.learning_rate = Nano(rate);
        case.config.outer.rho = Nano(rho);
        let (layout, config) = (&case.layout, &case.config);
        let mut expected = before.clone();
        outer_step(&mut expected, layout, config, &included).expect("it goes");
        outer_step_alone(&before, &mut after, layout, config, checked).expect("it goes");
        assert_ne!(after, before);
        assert_eq!(after, expected);
    }
    let short = &before[1..];
    assert!(outer_step_alone(short, &mut after, &case.layout, &case.config, checked).is_err());
    case.config.outer.rho = Nano(1_000_000_001);
    let refused = outer_step_alone(&before, &mut after, &case.layout, &case.config, checked);
    assert!(refused.is_err());
}

#[test]
fn what_a_contribution_counts_follows_from_its_header_where_tokens_count() {
    let of = |steps| {
        let case = Case::new(|header| header.inner_steps = steps);
        let checked = check(&case.terms(), &case.claim, &case.sealed);
        std::sync::Arc::new(checked.expect("it is good"))
    };
    let counts = |config: &RunConfig, is_proven| -> Vec<(Uid, u16, u32)> {
        let standing = |is_proven| Standing {
            trust: 10,
            is_proven,
        };
        let included = vec![
            (Uid(4), standing(true), of(2)),
            (Uid(1), standing(is_proven), of(5)),
        ];
        let counted = counted(config, included).into_iter();
        counted
            .map(|(uid, count, checked)| (uid, count, checked.header().inner_steps))
            .collect()
    };
    let mut config = config();
    let alike = [(Uid(4), 10, 2), (Uid(1), 10, 5)];
    assert_eq!(counts(&config, true), alike);
    config.outer.combine = Combination::Tokens;
    assert_eq!(counts(&config, true), [(Uid(4), 4, 2), (Uid(1), 10, 5)]);
    assert_eq!(counts(&config, false), alike, "its word is not enough");
}

#[test]
fn what_is_for_something_else_or_claims_too_much_is_refused() {
    type Spoil = fn(&mut Header);
    let other = verdict::Refusal::Other;
    let spoilt: [(Spoil, verdict::Refusal); 5] = [
        (
            |header| header.netuid = Netuid(header.netuid.get() + 1),
            other(Field::Netuid),
        ),
        (|header| header.round -= 1, other(Field::Round)),
        (|header| header.hotkey.0 .0[0] ^= 1, other(Field::Hotkey)),
        (
            |header| header.parent_root = ModelRoot::zero(),
            other(Field::ParentRoot),
        ),
        (
            |header| header.inner_steps += 1,
            verdict::Refusal::InnerSteps {
                found: u32::from(STEPS) + 1,
                most: STEPS,
            },
        ),
    ];
    for (spoil, refusal) in spoilt {
        assert_eq!(Case::new(spoil).refusal(), Refusal::Verdict(refusal));
    }
    let mut case = Case::new(|_| {});
    case.claim.commitment.parent_root = ModelRoot::zero();
    let refusal = other(Field::CommittedParentRoot);
    assert_eq!(case.refusal(), Refusal::Verdict(refusal));
}

#[test]
fn what_is_of_another_length_than_was_committed_to_is_not_opened() {
    let mut case = Case::new(|_| {});
    let committed = case.claim.commitment.length;
    case.sealed.pop();
    let found = committed - 1;
    let refusal = verdict::Refusal::Length { found, committed };
    assert_eq!(case.refusal(), Refusal::Verdict(refusal));
}

#[test]
fn what_is_flipped_or_opened_with_another_key_is_refused() {
    let mut case = Case::new(|_| {});
    case.claim.key = [9; 32];
    assert!(matches!(case.refusal(), Refusal::Decode(_)));
    let mut case = Case::new(|_| {});
    case.sealed[0] ^= 1;
    assert!(matches!(case.refusal(), Refusal::Decode(_)));
}

#[test]
fn broken_is_what_whoever_opens_the_file_refuses() {
    let is_broken = |error: DecodeError| Refusal::from(error).is_broken();
    assert!(is_broken(DecodeError::HeaderTruncated { length: 3 }));
    assert!(is_broken(DecodeError::Magic { found: [0; 4] }));
    assert!(is_broken(DecodeError::MeanLoss));
    assert!(is_broken(DecodeError::Engine));
    assert!(is_broken(DecodeError::Empty));
    assert!(is_broken(DecodeError::ForeignLayout {
        found: H256::zero(),
        expected: PARENT,
    }));
    assert!(is_broken(DecodeError::Tensor {
        tensor: "embedding".into(),
        fault: TensorFault::Missing,
    }));
    assert!(is_broken(DecodeError::TrailingBytes));
    assert!(
        !is_broken(DecodeError::Version { found: 99 }),
        "a newer release may read it"
    );
    let (found, expected) = (3, 4);
    assert!(
        !is_broken(DecodeError::ForeignVersion { found, expected }),
        "an older release made it so"
    );
    let own = LayoutError::TensorTooLarge {
        tensor: "embedding".into(),
    };
    assert!(!is_broken(DecodeError::Layout(own)), "it is not the file's");
    assert!(Refusal::from(verdict::Refusal::Engine).is_broken());
    assert!(!Refusal::from(verdict::Refusal::Small).is_broken());
}

#[test]
fn what_others_may_see_otherwise_is_not_broken() {
    let mut case = Case::new(|header| header.work.before.steps = 5);
    case.claim.before.last = Last::Nothing;
    assert!(!case.refusal().is_broken(), "who has not seen all rounds");
    let mut case = Case::new(|_| {});
    case.claim.before.norm = Some(f64::MAX);
    assert!(!case.refusal().is_broken(), "who did not take that step");
    let mut case = Case::new(|_| {});
    case.claim.parent_root = ModelRoot::zero();
    assert!(!case.refusal().is_broken(), "who holds other parameters");
    let mut case = Case::new(|_| {});
    case.claim.key = [9; 32];
    assert!(case.refusal().is_broken());
    let mut case = Case::new(|header| header.inner_steps += 1);
    assert!(case.refusal().is_broken());
    case.sealed.push(0);
    assert!(case.refusal().is_broken());
}

#[test]
fn what_is_tiny_beside_the_last_round_is_refused() {
    let mut case = Case::new(|_| {});
    let norm = check(&case.terms(), &case.claim, &case.sealed)
        .expect("good")
        .norm();
    case.claim.before.norm = Some(norm * 8.0);
    assert!(check(&case.terms(), &case.claim, &case.sealed).is_ok());
    case.claim.before.norm = Some(norm * 8.001);
    assert_eq!(case.refusal(), Refusal::Verdict(verdict::Refusal::Small));
}

#[test]
fn who_invents_what_it_carries_on_is_refused() {
    let ended = |steps| Carried {
        first_moment: H256([1; 32]),
        steps,
        ..Carried::default()
    };
    let mut case = Case::new(|header| header.work.before = ended(5));
    for last in [Last::Nothing, Last::Ended(ended(6))] {
        case.claim.before.last = last;
        assert_eq!(case.refusal(), Refusal::Verdict(verdict::Refusal::Carried));
    }
    for last in [Last::Unknown, Last::Ended(ended(5))] {
        case.claim.before.last = last;
        assert!(check(&case.terms(), &case.claim, &case.sealed).is_ok());
    }
}
