//! What a subnet is paid for: work, who was included, who attested.

use cairn_primitives::{
    traits::{Dissolve, Work},
    ModelRoot, Uid, H256,
};
use frame_support::assert_ok;

use crate::{mock::*, Attended, Records};

const OTHER: ModelRoot = ModelRoot(H256([9; 32]));

fn included() -> Vec<Uid> {
    Training::included(NET).uids().collect()
}

fn attended() -> Vec<(Uid, (u32, u32))> {
    Training::attended(NET).into_iter().collect()
}

#[test]
fn a_round_of_two_miners_and_two_validators_is_work() {
    ExtBuilder::usual().execute(|| {
        assert!(!Training::claims(NET));
        whole_round(&[Uid(10), Uid(11)], &[Uid(0), Uid(1)], ROOT);
        assert!(Training::claims(NET));
        assert_eq!(included(), [Uid(10), Uid(11)]);
        assert_eq!(
            attended(),
            [(Uid(0), (1, 1)), (Uid(1), (1, 1)), (Uid(2), (0, 1))]
        );
        Training::on_epoch(NET);
        assert!(Training::claims(NET));
        assert_eq!(included(), [Uid(10), Uid(11)]);
        // A null round in the next tempo.
        run_to(start() + ROUND);
        assert!(Training::claims(NET) && included().is_empty());
        Training::on_epoch(NET);
        assert!(!Training::claims(NET));
        assert_eq!(
            attended().len(),
            3,
            "a round without a final root is nobody's fault"
        );
    });
}

#[test]
fn who_did_not_measure_what_most_did_has_not_attended() {
    let all = [Uid(0), Uid(1), Uid(2)];
    let [both, one] = [(1, 1), (0, 1)];
    for (given, expected) in [
        (vec![(5, 9), (5, 9), (6, 9)], [both, both, one]),
        // The same gains with another loss are another witness.
        (vec![(5, 9), (5, 9), (5, 8)], [both, both, one]),
        (vec![(5, 9), (5, 9)], [both, both, one]),
        (vec![(5, 9), (6, 9), (7, 9)], [both; 3]),
        (vec![], [both; 3]),
    ] {
        ExtBuilder::usual().execute(|| {
            shown(&given);
            whole_round(&[Uid(10), Uid(11)], &all, ROOT);
            let expected: Vec<_> = all.into_iter().zip(expected).collect();
            assert_eq!(attended(), expected, "{given:?}");
            assert!(Training::claims(NET), "the root is final all the same");
            witnesses(&[]);
        });
    }
}

#[test]
fn in_a_run_that_does_not_audit_no_witness_decides() {
    let mut config = config();
    config.audits.rate = 0;
    let built = ExtBuilder::default()
        .subnet(NET)
        .validators(NET, &[100, 100, 100])
        .miners(NET, 3)
        .run(NET, config);
    built.execute(|| {
        let (miners, all) = ([Uid(10), Uid(11)], [0, 1, 2].map(Uid));
        whole_round(&miners, &all, ROOT);
        // Two of three would decide that the third one did not measure, and which loss there was.
        shown(&[(5, 9), (5, 9)]);
        whole_round(&miners, &all, ROOT);
        assert_eq!(attended(), all.map(|uid| (uid, (2, 2))));
        assert_eq!(losses(), [None, None]);
        witnesses(&[]);
    });
}

/// From now on the first validators show these gains and losses.
fn shown(all: &[(u8, u32)]) {
    let all = (0..).map(Uid).zip(all);
    let all: Vec<_> = all
        .map(|(uid, (gains, loss))| (uid, witness(*gains, *loss)))
        .collect();
    witnesses(&all);
}

/// What the lineage keeps of each round's loss.
fn losses() -> Vec<Option<u32>> {
    let lineage = Training::lineage(NET, 0).into_iter();
    lineage.map(|entry| entry.loss).collect()
}

#[test]
fn a_loss_that_most_stake_states_is_kept_with_the_root_of_the_round_before() {
    let (miners, all) = ([Uid(10), Uid(11)], [0, 1, 2].map(Uid));
    for (given, expected) in [
        (vec![(5, 9), (5, 9), (5, 9)], Some(9)),
        (vec![(5, 8), (5, 9), (5, 9)], Some(9)),
        (vec![(5, 9), (5, 9), (5, 8)], None),
        (vec![(6, 9), (7, 9), (5, 9)], None),
        (vec![(5, 0), (5, 0), (5, 0)], None),
        (vec![(0, 9), (0, 9), (0, 9)], None),
        (vec![], None),
    ] {
        // The third one alone has half of the stake, and no more.
        let built = ExtBuilder::default()
            .subnet(NET)
            .validators(NET, &[100, 200, 300])
            .miners(NET, 3)
            .run(NET, config());
        built.execute(|| {
            shown(&[(4, 7), (4, 7), (4, 7)]);
            whole_round(&miners, &all, ROOT);
            assert_eq!(losses(), [None], "before round 0 there was nothing");
            shown(&given);
            whole_round(&miners, &all, ROOT);
            assert_eq!(losses(), [expected, None], "{given:?}");
            shown(&[]);
            whole_round(&miners, &all, ROOT);
            assert_eq!(losses(), [expected, None, None], "it stays");
        });
    }
}

#[test]
fn without_a_final_root_no_loss_is_kept() {
    ExtBuilder::usual().execute(|| {
        let (miners, all) = ([Uid(10), Uid(11)], [0, 1, 2].map(Uid));
        whole_round(&miners, &all, ROOT);
        shown(&[(5, 9), (5, 9), (5, 9)]);
        // A third of the stake is no quorum.
        whole_round(&miners, &[Uid(0)], ROOT);
        assert_eq!(losses(), [None, None]);
        shown(&[]);
    });
}

#[test]
fn what_one_does_alone_is_no_work() {
    let alone = |miners: &[Uid], validators: &[Uid], one_coldkey: bool| {
        let stakes = vec![100; validators.len()];
        let built = ExtBuilder::default()
            .subnet(NET)
            .validators(NET, &stakes)
            .miners(NET, 3)
            .run(NET, config());
        built.execute(|| {
            OneColdkey::set(one_coldkey);
            whole_round(miners, validators, ROOT);
            assert_eq!(included(), miners);
            assert!(!Training::claims(NET));
        });
    };
    alone(&[Uid(10)], &[Uid(0), Uid(1)], false);
    alone(&[Uid(10), Uid(11)], &[Uid(0)], false);
    alone(&[Uid(10), Uid(11)], &[Uid(0), Uid(1)], true);
}

#[test]
fn only_the_final_root_counts_as_attested() {
    ExtBuilder::usual().execute(|| {
        run_to(10);
        for (uid, root) in [(0, ROOT), (1, ROOT), (2, OTHER)] {
            assert_ok!(attest(NET, 0, Uid(uid), &[], root));
        }
        run_to(2 + ROUND);
        assert_eq!(
            attended(),
            [(Uid(0), (1, 1)), (Uid(1), (1, 1)), (Uid(2), (0, 1))]
        );
    });
}

#[test]
fn who_leaves_takes_its_record_along_and_a_subnet_that_ends_all_of_it() {
    ExtBuilder::usual().execute(|| {
        whole_round(&[Uid(10), Uid(11)], &[Uid(0), Uid(1)], ROOT);
        World::leave(NET, Uid(0));
        World::leave(NET, Uid(10));
        assert_eq!(included(), [Uid(11)]);
        assert_eq!(attended(), [(Uid(1), (1, 1)), (Uid(2), (0, 1))]);
        World::change(NET, |subnet| subnet.dissolving = true);
        Training::on_dissolving(NET);
        while crate::Clearing::<Test>::contains_key(NET) {
            assert_eq!(Training::dissolve(NET, 1), 1);
            next_block();
        }
        let removed: Vec<u32> = (0..4).map(|_| Training::dissolve(NET, 1)).collect();
        assert_eq!(removed, [1, 1, 1, 0]);
        assert!(!Records::<Test>::contains_key(NET) && !Attended::<Test>::contains_key(NET));
    });
}
