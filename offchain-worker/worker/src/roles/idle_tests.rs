//! Every reason, and that it is the reason.

use cairn_primitives::{api::Attester, CRN, H256};
use cairn_protocol::{exam::least_free, phase::Timetable};

use super::*;
use crate::roles::testing::{a_member, a_run, a_subnet};

const NOW: BlockNumber = 105;

fn key(byte: u8) -> AccountId {
    AccountId([byte; 32])
}

/// A subnet whose round 3 began at block 100, with uid 1 mining and uid 10 validating.
struct Scene {
    subnet: SubnetInfo,
    run: RunInfo,
    members: Vec<MemberInfo>,
}

impl Scene {
    fn new() -> Scene {
        let mut run = a_run();
        run.config.phases = cairn_primitives::Phases {
            train: 6,
            reveal: 2,
            attest: 4,
            floor: 25,
        };
        run.round.round = 3;
        run.round.times = Timetable::new(100, &run.config.phases).0;
        (run.round.phase, run.round.seed) = (Phase::Train, H256([7; 32]));
        run.round.miners = vec![(Uid(1), key(1))];
        run.round.validators = vec![Attester {
            uid: Uid(10),
            hotkey: key(10),
            stake: 200 * CRN,
            committed: None,
            attested: false,
        }];
        let miner = MemberInfo {
            role: Duty::Miner,
            bond: 10 * CRN,
            ..a_member(Uid(1), key(1))
        };
        let validator = MemberInfo {
            role: Duty::Validator,
            chosen_role: Role::Validator,
            stake: 200 * CRN,
            ..a_member(Uid(10), key(10))
        };
        Scene {
            subnet: a_subnet(),
            run,
            members: vec![miner, validator],
        }
    }

    fn with(mut self, chosen_role: Role, bond: Balance, stake: Balance) -> Scene {
        let member = a_member(Uid(5), key(5));
        self.members.push(MemberInfo {
            chosen_role,
            bond,
            stake,
            ..member
        });
        self
    }

    /// Round 0 has not begun.
    fn before_it_began(mut self) -> Scene {
        let round = &mut self.run.round;
        (round.round, round.times.start, round.phase) = (0, NOW + 1, Phase::Settle);
        (round.seed, round.miners, round.validators) = (H256::zero(), Vec::new(), Vec::new());
        self
    }

    fn without(mut self, uid: Uid) -> Scene {
        self.members.retain(|member| member.uid != uid);
        self
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            subnet: &self.subnet,
            run: Some(&self.run),
            members: &self.members,
            now: NOW,
        }
    }

    #[track_caller]
    fn says(&self, part: Part, words: &[&str]) {
        let text = self.facts().of_hotkey(&key(5), part);
        for word in words {
            assert!(text.contains(word), "`{word}` is not in: {text}");
        }
    }
}

#[test]
fn who_has_no_uid_is_told_how_to_get_one() {
    let words = [
        "has no uid in subnet 7",
        "cairn subnet register --netuid 7 --hotkey 5",
    ];
    Scene::new().says(Part::Miner, &words);
    Scene::new().says(Part::Miner, &["--role miner`"]);
    Scene::new().says(Part::Validator, &words);
    Scene::new().says(Part::Validator, &["--role validator`"]);
}

#[test]
fn a_bond_of_five_of_ten_lacks_five() {
    let scene = Scene::new().with(Role::Miner, 5 * CRN, 0);
    scene.says(
        Part::Miner,
        &[
            "bond is 5.00 of at least 10.00 CRN, 5.00 are missing",
            "cairn stake bond",
            " 5.00`",
        ],
    );
    let validator = Scene::new().with(Role::Validator, 0, 0);
    validator.says(
        Part::Validator,
        &["stake is 0.00 of at least 100.00 CRN, 100.00 are missing"],
    );
    let scene = Scene::new().with(Role::Miner, 10 * CRN - 1, 0);
    scene.says(Part::Miner, &["0.000000001 are missing"]);
}

#[test]
fn who_bonds_in_the_middle_of_a_round_is_told_the_block_of_the_next() {
    let scene = Scene::new().with(Role::Miner, 10 * CRN, 0);
    scene.says(
        Part::Miner,
        &["after the round had begun", "round 4 begins in block 112"],
    );
    let scene = Scene::new().with(Role::Validator, 0, 300 * CRN);
    scene.says(
        Part::Validator,
        &["or stake came after", "round 4 begins in block 112"],
    );
}

#[test]
fn the_role_is_the_reason_where_it_is_another() {
    let scene = Scene::new().with(Role::Validator, 10 * CRN, 150 * CRN);
    scene.says(
        Part::Miner,
        &[
            "its coldkey made it a validator",
            "`cairn subnet role --netuid 7 --hotkey 5",
            " miner` makes it a miner",
        ],
    );
    // However much stake there is on it.
    let scene = Scene::new().with(Role::Miner, 10 * CRN, 150 * CRN);
    scene.says(Part::Validator, &["made it a miner", " validator` makes"]);
    scene.says(Part::Miner, &["after the round had begun"]);
    let scene = Scene::new().with(Role::Validator, 10 * CRN, 40 * CRN);
    scene.says(
        Part::Validator,
        &["stake is 40.00 of at least 100.00 CRN, 60.00 are missing"],
    );
}

#[test]
fn a_validator_without_a_seat_is_told_that_the_seats_are_taken() {
    let mut scene = Scene::new().with(Role::Validator, 0, 150 * CRN);
    scene.subnet.hyperparameters.max_validators = 1;
    scene.says(
        Part::Validator,
        &[
            "counts at most 1 validator",
            "the last of them has 200.00 CRN",
            "round 4 begins in block 112",
        ],
    );
}

#[test]
fn before_round_0_it_is_said_what_the_run_waits_for() {
    let scene = || {
        Scene::new()
            .before_it_began()
            .with(Role::Miner, 10 * CRN, 0)
    };
    scene().says(Part::Miner, &["round 0 begins in the next block"]);
    let lonely = scene().without(Uid(10));
    lonely.says(
        Part::Miner,
        &["waits for a validator with 100.00 CRN of stake"],
    );
    let nobody = Scene::new()
        .before_it_began()
        .without(Uid(10))
        .without(Uid(1));
    let waits = waits_for(&nobody.subnet, &nobody.members).expect("for both");
    assert!(
        waits.contains("a miner with a bond of 10.00 CRN and a validator"),
        "{waits}"
    );
    assert!(!has_begun(&nobody.run) && has_begun(&Scene::new().run));
}

#[test]
fn whom_the_data_has_no_room_for_is_told_so() {
    let mut scene = Scene::new().with(Role::Miner, 10 * CRN, 0);
    let per_miner = scene.run.config.windows_per_miner();
    scene.run.config.data.windows = least_free(per_miner) + per_miner;
    scene.says(
        Part::Miner,
        &[
            "room for 1 miner a round",
            "others came before",
            "block 112",
        ],
    );
}

#[test]
fn who_has_less_stake_than_those_who_count_is_told_how_much() {
    let mut scene = Scene::new().with(Role::Validator, 0, 150 * CRN);
    scene.subnet.hyperparameters.max_validators = 1;
    scene.says(
        Part::Validator,
        &["1 validator", "has 200.00 CRN of stake, this one 150.00"],
    );
}

#[test]
fn members_with_a_part_have_no_reason_and_idle_ones_what_their_role_lacks() {
    let scene = Scene::new().with(Role::Miner, 5 * CRN, 1);
    let why: Vec<_> = scene
        .members
        .iter()
        .map(|member| scene.facts().of_member(member))
        .collect();
    assert_eq!(why[..2], [None, None]);
    let idle = why[2].as_deref().expect("a reason");
    assert!(
        idle.contains("bond") && idle.ends_with("5.00 are missing"),
        "{idle}"
    );
    let mut scene = scene;
    scene.subnet.dissolves_from = Some(200);
    let why = scene.facts().of_member(&scene.members[0]);
    assert_eq!(why.as_deref(), Some("the subnet is being dissolved"));
}
