//! Which scores are taken.

use cairn_primitives::{Netuid, Uid, CRN};
use frame_support::{assert_noop, assert_ok, dispatch::CheckIfFeeless};
use sp_runtime::DispatchError;

use crate::{mock::*, Call, Error, Event, Row, Votes};

fn row(cells: &[(Uid, u16)]) -> Row {
    cells.to_vec().try_into().unwrap()
}

fn set(uid: Uid, cells: &[(Uid, u16)]) -> frame_support::dispatch::DispatchResult {
    Emissions::set_scores(
        RuntimeOrigin::signed(hotkey(Netuid(1), uid)),
        Netuid(1),
        row(cells),
    )
}

/// Whether the call is refused with `error` and would have cost a fee.
fn refused(signer: AccountId, netuid: Netuid, cells: &[(Uid, u16)], error: Error<Test>) {
    let origin = RuntimeOrigin::signed(signer);
    assert!(!feeless(&origin, netuid.get(), cells), "{error:?}");
    assert_noop!(Emissions::set_scores(origin, netuid, row(cells)), error);
}

fn feeless(origin: &RuntimeOrigin, netuid: u16, cells: &[(Uid, u16)]) -> bool {
    Call::<Test>::set_scores {
        netuid: Netuid(netuid),
        scores: row(cells),
    }
    .is_feeless(origin)
}

#[test]
fn a_row_is_kept_in_order_and_without_zeros() {
    ExtBuilder::usual().build_and_execute(|| {
        run_to(3);
        assert_ok!(set(Uid(0), &[(Uid(3), 7), (Uid(1), 0), (Uid(2), 65_535)]));
        let vote = Votes::<Test>::get(Netuid(1), Uid(0)).unwrap();
        assert_eq!(vote.set_at, 3);
        assert_eq!(vote.scores.to_vec(), [(Uid(2), 65_535), (Uid(3), 7)]);
        assert_eq!(
            events(),
            [Event::ScoresSet {
                netuid: Netuid(1),
                uid: Uid(0)
            }]
        );
    });
}

#[test]
fn a_row_replaces_the_one_before_it_once_enough_blocks_have_passed() {
    ExtBuilder::usual().build_and_execute(|| {
        assert_ok!(set(Uid(0), &[(Uid(2), 1)]));
        run_to(5);
        refused(
            hotkey(Netuid(1), Uid(0)),
            Netuid(1),
            &[(Uid(3), 1)],
            Error::TooSoon,
        );
        // Another validator's turn is its own.
        assert_ok!(set(Uid(1), &[(Uid(3), 1)]));
        run_to(6);
        assert_ok!(set(Uid(0), &[(Uid(3), 1)]));
        assert_eq!(
            Votes::<Test>::get(Netuid(1), Uid(0))
                .unwrap()
                .scores
                .to_vec(),
            [(Uid(3), 1)]
        );
    });
}

#[test]
fn what_is_wrong_with_the_signer_is_said() {
    ExtBuilder::usual()
        .validator(Netuid(1), Uid(4), CRN - 1)
        .build_and_execute(|| {
            refused(
                hotkey(Netuid(1), Uid(0)),
                Netuid(2),
                &[(Uid(2), 1)],
                Error::UnknownSubnet,
            );
            refused(7, Netuid(1), &[(Uid(2), 1)], Error::NotMember);
            refused(
                coldkey(hotkey(Netuid(1), Uid(0))),
                Netuid(1),
                &[(Uid(2), 1)],
                Error::NotMember,
            );
            refused(
                hotkey(Netuid(1), Uid(2)),
                Netuid(1),
                &[(Uid(3), 1)],
                Error::NotAValidator,
            );
            refused(
                hotkey(Netuid(1), Uid(4)),
                Netuid(1),
                &[(Uid(3), 1)],
                Error::NotAValidator,
            );
            for origin in [RuntimeOrigin::none(), RuntimeOrigin::root()] {
                assert!(!feeless(&origin, 1, &[(Uid(2), 1)]));
                let scores = row(&[(Uid(2), 1)]);
                assert_noop!(
                    Emissions::set_scores(origin, Netuid(1), scores),
                    DispatchError::BadOrigin
                );
            }
        });
}

#[test]
fn what_is_wrong_with_the_row_is_said() {
    ExtBuilder::usual().build_and_execute(|| {
        let validator = hotkey(Netuid(1), Uid(0));
        refused(validator, Netuid(1), &[], Error::NoScores);
        refused(
            validator,
            Netuid(1),
            &[(Uid(2), 0), (Uid(3), 0)],
            Error::NoScores,
        );
        refused(
            validator,
            Netuid(1),
            &[(Uid(2), 1), (Uid(3), 1), (Uid(2), 2)],
            Error::DuplicateUid,
        );
        refused(
            validator,
            Netuid(1),
            &[(Uid(2), 1), (Uid(4), 1)],
            Error::NoSuchUid,
        );
        refused(
            validator,
            Netuid(1),
            &[(Uid(2), 1), (Uid(4), 0)],
            Error::NoSuchUid,
        );
        refused(
            validator,
            Netuid(1),
            &[(Uid(2), 1), (Uid(0), 1)],
            Error::SelfScore,
        );
    });
}

#[test]
fn a_vote_that_succeeds_is_free() {
    ExtBuilder::usual().build_and_execute(|| {
        let origin = RuntimeOrigin::signed(hotkey(Netuid(1), Uid(0)));
        assert!(feeless(&origin, Netuid(1).get(), &[(Uid(2), 1)]));
        assert_ok!(set(Uid(0), &[(Uid(2), 1)]));
        // The second in the same block costs a fee, and fails.
        assert!(!feeless(&origin, Netuid(1).get(), &[(Uid(2), 1)]));
    });
}

#[test]
fn a_longer_row_weighs_more() {
    use crate::WeightInfo;
    let weight = |cells| <() as WeightInfo>::set_scores(cells);
    assert!(weight(256).all_gt(weight(1)));
}
