//! Random calls by a handful of keys: whatever happens, the totals are the sums, no token is lost, and everybody
//! gets out.

use crate::mock::*;
use cairn_primitives::{
    traits::{Ledgers, Positions},
    Netuid, CRN,
};
use frame_support::dispatch::DispatchResult;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Add(u64, Netuid, u64, u64),
    Remove(u64, Netuid, u64, Option<u64>),
    Withdraw(u64, Netuid, u64),
    Move(u64, Netuid, u64, Netuid, u64, Option<u64>),
    Transfer(u64, u64, Netuid, u64, Option<u64>),
    Take(u64, u64, u16),
    Foreign(u64, u64, bool),
    AddBond(u64, Netuid, u64, u64),
    Unbond(u64, Netuid, u64),
    WithdrawBond(u64, Netuid, u64),
    Reward(Netuid, u64, u64),
    Slash(Netuid, u64, u64),
    Leave(Netuid, u64),
    Sit(Netuid, u64),
    Period(u32),
    Wait(u32),
    Idle(u32),
}

const HOTKEYS: [(u64, u64); 3] = [(ALICE_HOT, ALICE), (ALICE_HOT_2, ALICE), (BOB_HOT, BOB)];

fn coldkey() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(ALICE), 2 => Just(BOB), 2 => Just(CAROL), 1 => Just(5u64)]
}

fn hotkey() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(ALICE_HOT), 2 => Just(ALICE_HOT_2), 2 => Just(BOB_HOT), 1 => Just(99u64)]
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..100 * CRN, 1 => 0..1_000u64, 1 => FUNDS - 1_000..FUNDS, 1 => any::<u64>()]
}

fn some_or_all() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![3 => (0..20 * CRN).prop_map(Some), 1 => amount().prop_map(Some), 2 => Just(None)]
}

fn step() -> impl Strategy<Value = Step> {
    let to = || (coldkey(), (0u16..4).prop_map(Netuid), hotkey());
    let seat = || ((1u16..3).prop_map(Netuid), hotkey());
    prop_oneof![
        6 => (to(), amount()).prop_map(|((c, n, h), a)| Step::Add(c, n, h, a)),
        4 => (to(), some_or_all()).prop_map(|((c, n, h), a)| Step::Remove(c, n, h, a)),
        3 => to().prop_map(|(c, n, h)| Step::Withdraw(c, n, h)),
        2 => (to(), seat(), some_or_all())
            .prop_map(|((c, n, h), (m, i), a)| Step::Move(c, n, h, m, i, a)),
        2 => (to(), coldkey(), some_or_all())
            .prop_map(|((c, n, h), d, a)| Step::Transfer(c, d, n, h, a)),
        1 => (coldkey(), hotkey(), any::<u16>()).prop_map(|(c, h, t)| Step::Take(c, h, t)),
        1 => (coldkey(), hotkey(), any::<bool>()).prop_map(|(c, h, yes)| Step::Foreign(c, h, yes)),
        3 => (to(), amount()).prop_map(|((c, n, h), a)| Step::AddBond(c, n, h, a)),
        2 => to().prop_map(|(c, n, h)| Step::Unbond(c, n, h)),
        2 => to().prop_map(|(c, n, h)| Step::WithdrawBond(c, n, h)),
        3 => (seat(), 0..10 * CRN).prop_map(|((n, h), a)| Step::Reward(n, h, a)),
        2 => (seat(), amount()).prop_map(|((n, h), a)| Step::Slash(n, h, a)),
        1 => seat().prop_map(|(n, h)| Step::Leave(n, h)),
        2 => seat().prop_map(|(n, h)| Step::Sit(n, h)),
        1 => (1..200u32).prop_map(Step::Period),
        3 => (1..200u32).prop_map(Step::Wait),
        1 => (0..4u32).prop_map(Step::Idle),
    ]
}

/// Plays a step; an error must leave storage as it was.
fn play(step: Step) {
    let before = sp_io::storage::root(sp_runtime::StateVersion::V1);
    if frame_support::storage::with_storage_layer(|| play_in(step)).is_err() {
        assert_eq!(sp_io::storage::root(sp_runtime::StateVersion::V1), before);
    }
}

fn play_in(step: Step) -> DispatchResult {
    let signed = RuntimeOrigin::signed;
    match step {
        Step::Add(c, n, h, a) => Stake::add_stake(signed(c), n, h, a),
        Step::Remove(c, n, h, a) => Stake::remove_stake(signed(c), n, h, a),
        Step::Withdraw(c, n, h) => Stake::withdraw_stake(signed(c), n, h)
            .map(|_| ())
            .map_err(|error| error.error),
        Step::Move(c, n, h, m, i, a) => Stake::move_stake(signed(c), n, h, m, i, a),
        Step::Transfer(c, d, n, h, a) => Stake::transfer_stake(signed(c), d, n, h, a),
        Step::Take(c, h, take) => Stake::set_take(signed(c), h, take),
        Step::Foreign(c, h, yes) => Stake::set_foreign_stake(signed(c), h, yes),
        Step::AddBond(c, n, h, a) => Stake::add_bond(signed(c), n, h, a),
        Step::Unbond(c, n, h) => Stake::unbond(signed(c), n, h),
        Step::WithdrawBond(c, n, h) => Stake::withdraw_bond(signed(c), n, h),
        Step::Reward(n, h, a) => reward(n, h, a),
        Step::Slash(n, h, a) => {
            assert!(slash(n, h, a) <= a);
            Ok(())
        }
        Step::Leave(n, h) => {
            Seats::leave(n, h);
            Ok(())
        }
        Step::Sit(n, h) => {
            if let Some((_, coldkey)) = HOTKEYS.into_iter().find(|(hotkey, _)| *hotkey == h) {
                Seats::sit(n, coldkey, h);
            }
            Ok(())
        }
        Step::Period(blocks) => {
            Seats::set_unbonding_period(blocks);
            Ok(())
        }
        Step::Wait(blocks) => {
            System::set_block_number(System::block_number() + blocks);
            Ok(())
        }
        Step::Idle(most) => {
            assert!(Stake::sweep(most) <= most);
            Ok(())
        }
    }
}

/// Takes everything back that anybody has in the ledgers, as he would do it himself.
fn take_all_back() {
    // An account that holds something takes any amount.
    Balances::transfer_allow_death(RuntimeOrigin::signed(DAVE), 5, CRN).unwrap();
    for coldkey in [ALICE, BOB, CAROL, 5] {
        for position in <Stake as Positions<u64>>::positions(&coldkey, None, 100) {
            let origin = || RuntimeOrigin::signed(coldkey);
            let (netuid, hotkey) = (position.netuid, position.hotkey);
            System::set_block_number(System::block_number() + 1_000);
            let _ = Stake::withdraw_stake(origin(), netuid, hotkey);
            if staked(coldkey, netuid, hotkey) > 0 {
                Stake::remove_stake(origin(), netuid, hotkey, None).unwrap();
            }
            System::set_block_number(System::block_number() + 1_000);
            let _ = Stake::withdraw_stake(origin(), netuid, hotkey);
        }
    }
    // What was on its way elsewhere is there now.
    for netuid in (1..=2).map(Netuid) {
        for (hotkey, coldkey) in HOTKEYS {
            Seats::leave(netuid, hotkey);
            let bond = Stake::bond_of(netuid, &hotkey);
            System::set_block_number(System::block_number().max(bond.release_at));
            let _ = Stake::withdraw_bond(RuntimeOrigin::signed(coldkey), netuid, hotkey);
        }
    }
}

fn left() -> u64 {
    Stake::total_staked() + Stake::total_unbonding() + Stake::total_bonded()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn random_calls_lose_nothing_and_everybody_gets_out(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        ExtBuilder::default().build_and_execute(|| {
            let before = everything();
            for step in steps {
                play(step);
                Stake::do_try_state().unwrap();
                assert_eq!(everything(), before);
            }
            // What moves once more is out after the next time.
            for _ in 0..3 {
                take_all_back();
            }
            assert_eq!(left(), 0);
            assert_eq!(Balances::total_issuance() + burned(), 4 * FUNDS + rewarded());
        });
    }

    #[test]
    fn dissolving_at_any_time_gives_everything_back(
        steps in prop::collection::vec(step(), 1..80), limit in 1..7u32,
    ) {
        ExtBuilder::default().build_and_execute(|| {
            let before = everything();
            steps.into_iter().for_each(play);
            for netuid in (1..=2).map(Netuid) {
                give_everything_back(netuid, limit);
                assert_eq!(everything(), before);
            }
            assert_eq!(left(), 0);
            assert_eq!(crate::Positions::<Test>::iter_keys().count(), 0);
        });
    }
}
