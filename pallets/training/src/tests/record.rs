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
        (
            vec![(Uid(0), 5), (Uid(1), 5), (Uid(2), 6)],
            [both, both, one],
        ),
        (vec![(Uid(0), 5), (Uid(1), 5)], [both, both, one]),
        (vec![(Uid(0), 5), (Uid(1), 6), (Uid(2), 7)], [both; 3]),
        (vec![], [both; 3]),
    ] {
        ExtBuilder::usual().execute(|| {
            witnesses(&given);
            whole_round(&[Uid(10), Uid(11)], &all, ROOT);
            let expected: Vec<_> = all.into_iter().zip(expected).collect();
            assert_eq!(attended(), expected, "{given:?}");
            assert!(Training::claims(NET), "the root is final all the same");
            witnesses(&[]);
        });
    }
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
