//! What a coldkey stands behind.

use crate::mock::*;
use cairn_primitives::{
    api::{Position, UnbondingStake},
    traits::Positions,
    Netuid, CRN,
};
use frame_support::assert_ok;
use std::collections::BTreeSet;

#[test]
fn a_position_says_what_is_staked_what_waits_and_what_is_taken() {
    ExtBuilder::default()
        .delegate(CAROL, Netuid(1), ALICE_HOT, 5 * CRN)
        .build_and_execute(|| {
            let carol = || RuntimeOrigin::signed(CAROL);
            let alice = RuntimeOrigin::signed(ALICE);
            assert_ok!(Stake::set_take(alice, ALICE_HOT, 7));
            assert_ok!(Stake::remove_stake(
                carol(),
                Netuid(1),
                ALICE_HOT,
                Some(CRN)
            ));
            let to = Some(2 * CRN);
            assert_ok!(Stake::move_stake(
                carol(),
                Netuid(1),
                ALICE_HOT,
                Netuid(2),
                BOB_HOT,
                to
            ));
            let waiting = |amount, moves_to| UnbondingStake {
                amount,
                release_at: 1 + PERIOD,
                moves_to,
            };
            let expected = Position {
                netuid: Netuid(1),
                hotkey: ALICE_HOT,
                staked: 2 * CRN,
                unbonding: vec![
                    waiting(CRN, None),
                    waiting(2 * CRN, Some((Netuid(2), BOB_HOT))),
                ],
                take: 7,
            };
            assert_eq!(expected.total_unbonding(), 3 * CRN);
            let position = <Stake as Positions<u64>>::position;
            assert_eq!(position(&CAROL, Netuid(1), &ALICE_HOT), Some(expected));
            assert_eq!(position(&CAROL, Netuid(2), &ALICE_HOT), None);
            assert_eq!(<Stake as Positions<u64>>::take(&BOB_HOT), MAX_TAKE);
        });
}

#[test]
fn positions_are_read_page_by_page() {
    let mut builder = ExtBuilder::default();
    for netuid in (1..=2).map(Netuid) {
        for hotkey in [ALICE_HOT, ALICE_HOT_2, BOB_HOT] {
            builder = builder.delegate(CAROL, netuid, hotkey, CRN);
        }
    }
    builder
        .stake(Netuid(1), ALICE_HOT, CRN)
        .build_and_execute(|| {
            let mut seen = BTreeSet::new();
            let (mut after, mut pages) = (None, 0);
            loop {
                let page = <Stake as Positions<u64>>::positions(&CAROL, after, 4);
                let Some(last) = page.last() else { break };
                after = Some((last.netuid, last.hotkey));
                pages += 1;
                seen.extend(
                    page.iter()
                        .map(|position| (position.netuid, position.hotkey)),
                );
            }
            assert_eq!((seen.len(), pages), (6, 2));
            assert!(<Stake as Positions<u64>>::positions(&DAVE, None, 4).is_empty());
        });
}
