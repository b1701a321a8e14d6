//! Random calls by a handful of keys: whatever happens, the totals are the sums and no token is lost.

use crate::mock::*;
use cairn_primitives::{
    traits::{Ledgers, Stakes},
    Netuid, CRN,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    AddStake(u64, Netuid, u64, u64),
    RemoveStake(u64, Netuid, u64, u64),
    AddBond(u64, Netuid, u64, u64),
    Unbond(u64, Netuid, u64),
    WithdrawBond(u64, Netuid, u64),
    Reward(Netuid, u64, u64),
    Leave(Netuid, u64),
    Sit(Netuid, u64),
    Period(u32),
    Wait(u32),
}

fn coldkey() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(ALICE), 2 => Just(BOB), 1 => Just(3u64)]
}

fn hotkey() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(ALICE_HOT), 2 => Just(ALICE_HOT_2), 2 => Just(BOB_HOT), 1 => Just(99u64)]
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..100 * CRN, 1 => FUNDS - 1_000..FUNDS, 1 => any::<u64>()]
}

fn step() -> impl Strategy<Value = Step> {
    let to = || (coldkey(), 0..4 as Netuid, hotkey());
    let seat = || (1..3 as Netuid, hotkey());
    let call = || (to(), amount());
    prop_oneof![
        4 => call().prop_map(|((c, n, h), a)| Step::AddStake(c, n, h, a)),
        3 => call().prop_map(|((c, n, h), a)| Step::RemoveStake(c, n, h, a)),
        4 => call().prop_map(|((c, n, h), a)| Step::AddBond(c, n, h, a)),
        3 => to().prop_map(|(c, n, h)| Step::Unbond(c, n, h)),
        3 => to().prop_map(|(c, n, h)| Step::WithdrawBond(c, n, h)),
        2 => (seat(), 0..10 * CRN).prop_map(|((n, h), a)| Step::Reward(n, h, a)),
        1 => seat().prop_map(|(n, h)| Step::Leave(n, h)),
        2 => seat().prop_map(|(n, h)| Step::Sit(n, h)),
        1 => (1..200u32).prop_map(Step::Period),
        2 => (1..200u32).prop_map(Step::Wait),
    ]
}

/// Plays a step; an error must leave storage as it was.
fn play(step: Step) {
    let before = sp_io::storage::root(sp_runtime::StateVersion::V1);
    let signed = RuntimeOrigin::signed;
    let result = match step {
        Step::AddStake(c, n, h, a) => Stake::add_stake(signed(c), n, h, a),
        Step::RemoveStake(c, n, h, a) => Stake::remove_stake(signed(c), n, h, a),
        Step::AddBond(c, n, h, a) => Stake::add_bond(signed(c), n, h, a),
        Step::Unbond(c, n, h) => Stake::unbond(signed(c), n, h),
        Step::WithdrawBond(c, n, h) => Stake::withdraw_bond(signed(c), n, h),
        Step::Reward(n, h, a) => reward(n, h, a),
        Step::Leave(n, h) => {
            Seats::leave(n, h);
            Ok(())
        }
        Step::Sit(n, h) => {
            let owner = [(ALICE_HOT, ALICE), (ALICE_HOT_2, ALICE), (BOB_HOT, BOB)];
            if let Some((_, coldkey)) = owner.into_iter().find(|(hotkey, _)| *hotkey == h) {
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
    };
    if result.is_err() {
        assert_eq!(sp_io::storage::root(sp_runtime::StateVersion::V1), before);
    }
}

/// Takes everything back that ALICE and BOB have in the ledgers.
fn take_all_back() {
    System::set_block_number(System::block_number() + 1_000);
    for netuid in 1..=2 {
        for (coldkey, hotkey) in [(ALICE, ALICE_HOT), (ALICE, ALICE_HOT_2), (BOB, BOB_HOT)] {
            let origin = RuntimeOrigin::signed(coldkey);
            Seats::leave(netuid, hotkey);
            let stake = <Stake as Stakes<u64>>::stake(netuid, &hotkey);
            if stake > 0 {
                Stake::remove_stake(origin.clone(), netuid, hotkey, stake).unwrap();
            }
            let bond = Stake::bond_of(netuid, &hotkey);
            if bond.unbonding > 0 {
                System::set_block_number(System::block_number().max(bond.release_at));
                Stake::withdraw_bond(origin, netuid, hotkey).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn random_calls_lose_nothing_and_everything_comes_back(
        steps in prop::collection::vec(step(), 1..100)
    ) {
        ExtBuilder::default().build_and_execute(|| {
            let before = everything();
            for step in steps {
                play(step);
                Stake::do_try_state().unwrap();
                assert_eq!(everything(), before);
            }
            take_all_back();
            assert_eq!((Stake::total_staked(), Stake::total_bonded()), (0, 0));
            assert_eq!(Balances::total_issuance(), 2 * FUNDS + rewarded());
        });
    }
}
