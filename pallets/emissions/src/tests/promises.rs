//! What holds whatever happens, and that its check can fail.

use cairn_primitives::{api::EvidenceCommit, traits::OnMember, Netuid, Uid, CRN};
use proptest::prelude::*;

use crate::{mock::*, Bonds, Earned, Issued, MemberRecords, Row, SubnetLedgers, Votes};

#[derive(Clone, Debug)]
enum Step {
    Blocks(u64),
    Vote(Netuid, Uid, Vec<(Uid, u16)>),
    Stake(Netuid, Uid, u64),
    Leave(Netuid, Uid),
    Join(Netuid, Uid),
    Run(Netuid, bool),
    Refuse(Netuid, bool),
    Tempo(Netuid, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let (netuid, uid) = ((1u16..4).prop_map(Netuid), (0u16..6).prop_map(Uid));
    let row = prop::collection::vec(((0u16..7).prop_map(Uid), any::<u16>()), 0..6);
    prop_oneof![
        4 => (1..15u64).prop_map(Step::Blocks),
        6 => (netuid.clone(), uid.clone(), row).prop_map(|(n, u, row)| Step::Vote(n, u, row)),
        2 => (netuid.clone(), uid.clone(), 0..200u64).prop_map(|(n, u, s)| Step::Stake(n, u, s * CRN)),
        1 => (netuid.clone(), uid.clone()).prop_map(|(n, u)| Step::Leave(n, u)),
        2 => (netuid.clone(), uid).prop_map(|(n, u)| Step::Join(n, u)),
        1 => (netuid.clone(), any::<bool>()).prop_map(|(n, run)| Step::Run(n, run)),
        1 => (netuid.clone(), any::<bool>()).prop_map(|(n, refuse)| Step::Refuse(n, refuse)),
        1 => (netuid, 0..20u32).prop_map(|(n, tempo)| Step::Tempo(n, tempo)),
    ]
}

fn take(step: Step) {
    match step {
        Step::Blocks(blocks) => run_to(System::block_number() + blocks),
        Step::Vote(netuid, uid, row) => {
            let row = Row::try_from(row).unwrap();
            // Refused or not: the promises hold.
            let _ = Emissions::set_scores(RuntimeOrigin::signed(hotkey(netuid, uid)), netuid, row);
        }
        Step::Stake(netuid, uid, amount) => {
            let before = TheWorld::get();
            World::change_subnet(netuid, |subnet| {
                subnet.stakes.insert(hotkey(netuid, uid), amount);
            });
            let old = before.subnets[&netuid]
                .stakes
                .get(&hotkey(netuid, uid))
                .copied();
            Issued::<Test>::mutate(|issued| *issued = *issued + amount - old.unwrap_or(0));
        }
        Step::Leave(netuid, uid) => {
            let mut left = None;
            World::change_subnet(netuid, |subnet| left = subnet.members.remove(&uid));
            if let Some((hotkey, _)) = left {
                <Emissions as OnMember<AccountId>>::on_left(netuid, uid, &hotkey);
            }
        }
        Step::Join(netuid, uid) => World::change_subnet(netuid, |subnet| {
            let now = System::block_number() as u32;
            subnet
                .members
                .entry(uid)
                .or_insert((hotkey(netuid, uid), now));
        }),
        Step::Run(netuid, run) => World::change_subnet(netuid, |subnet| subnet.has_run = run),
        Step::Refuse(netuid, refuse) => {
            World::change_subnet(netuid, |subnet| subnet.takes_rewards = !refuse)
        }
        Step::Tempo(netuid, tempo) => {
            World::change_subnet(netuid, |subnet| subnet.hyperparameters.tempo = tempo)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn promises_hold_after_any_steps(steps in prop::collection::vec(step(), 1..40)) {
        (1..4).fold(ExtBuilder::usual(), |builder, netuid| match netuid {
            1 => builder,
            _ => builder.subnet(Netuid(netuid)).validator(Netuid(netuid), Uid(0), 5 * CRN).poor_miner(Netuid(netuid), Uid(1)),
        })
        .build_and_execute(|| {
            for step in steps {
                take(step);
                Emissions::do_try_state().unwrap();
            }
        });
    }
}

/// A change that breaks a promise, and the complaint.
fn broken(change: impl FnOnce(), complaint: &'static str) {
    ExtBuilder::usual().build_and_execute(|| {
        vote(Netuid(1), Uid(0), &[(Uid(2), 1)]);
        run_to(12);
        let outcome = frame_support::storage::with_transaction(|| {
            change();
            let found = Emissions::do_try_state();
            sp_runtime::TransactionOutcome::Rollback(Ok::<_, sp_runtime::DispatchError>(found))
        });
        assert_eq!(outcome.unwrap(), Err(complaint.into()));
    });
}

#[test]
fn every_broken_promise_is_noticed() {
    let row = |cells: &[(Uid, u16)]| Row::try_from(cells.to_vec()).unwrap();
    broken(
        || Issued::<Test>::mutate(|issued| *issued += 1),
        "issued is not balances + stakes + unbonding + bonds + pots",
    );
    broken(
        || {
            SubnetLedgers::<Test>::mutate(Netuid(1), |ledger| {
                ledger.as_mut().unwrap().pots.miners += 1
            });
        },
        "the pots' total is not the sum of the pots",
    );
    broken(
        || {
            World::change(|world| world.bonded = 21_000_000 * CRN);
            Issued::<Test>::mutate(|issued| *issued += 21_000_000 * CRN);
        },
        "more is issued than the cap",
    );
    broken(
        || {
            SubnetLedgers::<Test>::mutate(Netuid(1), |ledger| {
                ledger.as_mut().unwrap().paid.miners += 1
            });
        },
        "what a subnet paid is not what was earned in it",
    );
    broken(
        || Earned::<Test>::insert(Netuid(1), hotkey(Netuid(1), Uid(2)), 0),
        "a member earned more than its hotkey",
    );
    broken(
        || {
            MemberRecords::<Test>::mutate(Netuid(1), Uid(2), |record| {
                record.as_mut().unwrap().earned_as_miner = 0
            });
        },
        "a payout that was not tallied",
    );
    broken(
        || MemberRecords::<Test>::insert(Netuid(1), Uid(9), crate::MemberRecord::default()),
        "a record of no member",
    );
    broken(
        || Bonds::<Test>::insert(Netuid(1), Uid(9), row(&[(Uid(1), 1)])),
        "a row of scores or bonds of who is no member",
    );
    broken(
        || Bonds::<Test>::insert(Netuid(1), Uid(2), row(&[])),
        "a row of bonds without bonds",
    );
    for cells in [[(Uid(1), 1), (Uid(1), 2)], [(Uid(2), 1), (Uid(1), 1)]] {
        broken(
            || Bonds::<Test>::insert(Netuid(1), Uid(0), row(&cells)),
            "a row of scores or bonds is not strictly ascending",
        );
    }
    for cells in [[(Uid(0), 1), (Uid(1), 1)], [(Uid(1), 0), (Uid(2), 1)]] {
        broken(
            || Bonds::<Test>::insert(Netuid(1), Uid(0), row(&cells)),
            "a row of scores or bonds has a zero or its own uid",
        );
    }
    let change_vote = |change: fn(&mut crate::Vote)| {
        move || {
            Votes::<Test>::mutate(Netuid(1), Uid(0), |vote| change(vote.as_mut().unwrap()));
        }
    };
    broken(
        change_vote(|vote| vote.scores = Row::new()),
        "a vote without scores",
    );
    broken(
        change_vote(|vote| vote.set_at = 99),
        "a vote from the future",
    );
    broken(
        change_vote(|vote| {
            let file = cairn_primitives::Served {
                root: Default::default(),
                length: 0,
            };
            vote.evidence = Some(EvidenceCommit { epoch: 99, file });
        }),
        "evidence of an epoch that has not run",
    );
}
