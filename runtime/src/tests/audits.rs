//! Audits on the whole runtime: what a miner loses, what its auditors get, and who is heard that has left.

use cairn_primitives::{
    finding_hash,
    traits::{Audits as _, Settled},
    AuditOutcome, AuditRules, BlockNumber, Finding, Hotkey, Netuid, Role, Served, Uid, CRN, H256,
};
use cairn_protocol::wages::{Judged, Withheld};
use frame_support::{assert_ok, traits::Hooks};
use sp_keyring::Sr25519Keyring::{self, Alice, Bob, Charlie, Dave, Eve, Ferdie};
use sp_runtime::traits::Dispatchable;

use super::chain::{on, register};
use crate::{
    audit, duties::Duty, extensions::FreeOrPaid, presets, readers, AccountId, Audits, Balances,
    Runtime, RuntimeCall, RuntimeOrigin, Stake, System,
};

const BLOCKS: BlockNumber = 5;
const BOND: u64 = 20 * CRN;
const SERVED: Served = Served {
    root: H256([4; 32]),
    length: 100,
};

fn sent(by: Sr25519Keyring, call: impl Into<RuntimeCall>) -> Result<(), sp_runtime::DispatchError> {
    let outcome = call
        .into()
        .dispatch(RuntimeOrigin::signed(by.to_account_id()));
    outcome.map(|_| ()).map_err(|failed| failed.error)
}

/// Runs a test on a subnet of Alice's on which Dave is her miner, with uid 0, and Eve and Ferdie are Bob's and
/// Charlie's validators, with uids 1 and 2. A round with Dave's contribution was settled in block 1.
fn on_an_audit(test: impl FnOnce()) {
    on(presets::DEVELOPMENT_PRESET, || {
        let max_price = u64::MAX;
        assert_ok!(sent(
            Alice,
            pallet_subnets::Call::create_subnet { max_price }
        ));
        for (by, key, role) in [
            (Alice, Dave, Role::Miner),
            (Bob, Eve, Role::Validator),
            (Charlie, Ferdie, Role::Validator),
        ] {
            assert_ok!(sent(
                by,
                register(Netuid(1), key, role, &by.to_account_id())
            ));
        }
        let bond = pallet_stake::Call::add_bond {
            netuid: Netuid(1),
            hotkey: Dave.to_account_id(),
            amount: BOND,
        };
        assert_ok!(sent(Alice, bond));
        Audits::on_settled(Settled {
            netuid: Netuid(1),
            round: 7,
            seed: H256([1; 32]),
            rules: AuditRules {
                rate: AuditRules::EACH,
                auditors: 3,
                blocks: BLOCKS,
                ..AuditRules::default()
            },
            max_contributors: 4,
            parameters: 1_000,
            included: &[(Uid(0), Dave.to_account_id())],
            validators: &[
                (Uid(1), Eve.to_account_id(), CRN),
                (Uid(2), Ferdie.to_account_id(), CRN),
            ],
        });
        test();
        assert_ok!(audit::everything());
    });
}

fn to(block: BlockNumber) {
    for now in System::block_number() + 1..=block {
        System::set_block_number(now);
        Audits::on_initialize(now);
    }
}

fn opens() -> RuntimeCall {
    RuntimeCall::Audits(pallet_audits::Call::open {
        netuid: Netuid(1),
        round: 7,
        uid: Uid(0),
        served: SERVED,
    })
}

fn commits(by: Sr25519Keyring, finding: Finding) -> RuntimeCall {
    let key = by.to_account_id();
    let hash = finding_hash((Netuid(1), 7, Uid(0)), &Hotkey::of(&key), finding, &[9; 32]);
    RuntimeCall::Audits(pallet_audits::Call::commit_verdict {
        netuid: Netuid(1),
        round: 7,
        uid: Uid(0),
        hash,
    })
}

fn reveals(finding: Finding) -> RuntimeCall {
    RuntimeCall::Audits(pallet_audits::Call::reveal_verdict {
        netuid: Netuid(1),
        round: 7,
        uid: Uid(0),
        finding,
        salt: [9; 32],
    })
}

fn free(of: Sr25519Keyring) -> u64 {
    Balances::free_balance(of.to_account_id())
}

fn bond() -> u64 {
    let bond = Stake::bond_of(Netuid(1), &Dave.to_account_id());
    bond.active + bond.unbonding
}

fn duty(by: Sr25519Keyring, call: &RuntimeCall) -> Option<(Uid, Option<Uid>, BlockNumber)> {
    let origin = RuntimeOrigin::signed(by.to_account_id());
    let duty = FreeOrPaid::duty(&origin, call)?;
    Some((duty.uid, duty.about, duty.until))
}

#[test]
fn a_tenth_of_the_bond_goes_to_those_who_found_the_work_false() {
    on_an_audit(|| {
        assert_ok!(sent(Dave, opens()));
        to(1 + BLOCKS);
        for by in [Eve, Ferdie] {
            assert_ok!(sent(by, commits(by, Finding::Failed)));
        }
        to(1 + 2 * BLOCKS);
        for by in [Eve, Ferdie] {
            assert_ok!(sent(by, reveals(Finding::Failed)));
        }
        let before = (free(Bob), free(Charlie));
        to(1 + 3 * BLOCKS);
        assert_eq!(
            readers::audit_outcome(Netuid(1), 7, Uid(0)),
            Some(AuditOutcome::Failed)
        );
        assert_eq!(bond(), 0);
        let each = BOND / 20;
        assert_eq!(
            (free(Bob), free(Charlie)),
            (before.0 + each, before.1 + each)
        );
    });
}

/// Of what is withheld of Dave a third was earned before the round of which its audit is open.
#[test]
fn when_a_run_is_stopped_what_is_in_question_is_burned() {
    use pallet_emissions::{Issued, SubnetLedger, SubnetLedgers, TotalPots, Wages};
    let netuid = Netuid(1);
    let proven = |undecided| Judged {
        is_proven: true,
        undecided,
    };
    let ways = [
        (proven(None), CRN),
        (proven(Some(6)), 0),
        (Judged::default(), 0),
    ];
    for (judged, due) in ways {
        on_an_audit(|| {
            let mut withheld = Withheld::default();
            for (round, amount) in [(6, CRN), (7, 2 * CRN)] {
                assert_ok!(withheld.earn(round, amount));
            }
            Wages::<Runtime>::insert(netuid, Uid(0), withheld);
            let mut ledger = SubnetLedger::new(1);
            ledger.withheld = 3 * CRN;
            SubnetLedgers::<Runtime>::insert(netuid, ledger);
            TotalPots::<Runtime>::mutate(|pots| *pots += 3 * CRN);
            Issued::<Runtime>::mutate(|issued| *issued += 3 * CRN);
            assert_ok!(audit::everything());
            pallet_audits::Passes::<Runtime>::mutate_extant(netuid, |passed| {
                passed.note(Uid(0), judged);
            });
            let (before, pots) = (free(Alice), TotalPots::<Runtime>::get());
            Audits::on_stopped(netuid);
            assert_eq!(free(Alice) - before, due);
            assert_eq!(TotalPots::<Runtime>::get(), pots - 3 * CRN);
            let ledger = SubnetLedgers::<Runtime>::get(netuid).expect("it was seen");
            assert_eq!((ledger.pots.miners, ledger.withheld), (0, 0));
            assert_ok!(audit::everything());
        });
    }
}

#[test]
fn who_serves_nothing_loses_all_of_it_also_on_its_way_out() {
    on_an_audit(|| {
        let hotkey = Dave.to_account_id();
        let unbond = pallet_stake::Call::unbond {
            netuid: Netuid(1),
            hotkey: hotkey.clone(),
        };
        assert_ok!(sent(Alice, unbond));
        assert_ok!(sent(
            Alice,
            pallet_subnets::Call::leave {
                netuid: Netuid(1),
                hotkey
            }
        ));
        assert_eq!(bond(), BOND);
        to(1 + BLOCKS);
        assert_eq!(
            (bond(), readers::audit_outcome(Netuid(1), 7, Uid(0))),
            (0, Some(AuditOutcome::Silent))
        );
    });
}

#[test]
fn duties_of_an_audit_are_free_until_their_stage_ends() {
    on_an_audit(|| {
        assert_eq!(
            duty(Dave, &opens()),
            Some((Uid(0), Some(Uid(0)), 1 + BLOCKS))
        );
        assert_eq!(duty(Eve, &opens()), None);
        assert_eq!(duty(Eve, &commits(Eve, Finding::Passed)), None, "too early");
        assert_ok!(sent(Dave, opens()));
        assert_eq!(duty(Dave, &opens()), None, "it has");
        to(1 + BLOCKS);
        let committing = commits(Eve, Finding::Passed);
        assert_eq!(
            duty(Eve, &committing),
            Some((Uid(1), Some(Uid(0)), 1 + 2 * BLOCKS))
        );
        assert_ok!(sent(Eve, committing));
        to(1 + 2 * BLOCKS);
        let revealing = reveals(Finding::Passed);
        assert_eq!(
            duty(Eve, &revealing),
            Some((Uid(1), Some(Uid(0)), 1 + 3 * BLOCKS))
        );
        assert_eq!(duty(Ferdie, &revealing), None, "it did not commit");
    });
}

/// Two contributions that a validator audits in one round are two duties: both wait in the pool.
#[test]
fn audits_of_two_miners_do_not_replace_each_other() {
    let of = |about| Duty {
        kind: crate::duties::Kind::CommitVerdict,
        netuid: Netuid(1),
        turn: 7,
        uid: Uid(1),
        about: Some(about),
        until: 9,
    };
    on(presets::DEVELOPMENT_PRESET, || {
        let tags = |about| of(about).validity(0).provides;
        assert_ne!(tags(Uid(3)), tags(Uid(4)));
        assert_eq!(tags(Uid(3)), tags(Uid(3)));
    });
}

#[test]
fn who_left_is_still_heard() {
    on_an_audit(|| {
        let (hotkey, eve): (AccountId, AccountId) = (Dave.to_account_id(), Eve.to_account_id());
        assert_ok!(sent(
            Alice,
            pallet_subnets::Call::leave {
                netuid: Netuid(1),
                hotkey
            }
        ));
        assert_eq!(
            duty(Dave, &opens()),
            Some((Uid(0), Some(Uid(0)), 1 + BLOCKS))
        );
        // Its account is there, without which the pool refuses whatever it signs.
        assert_eq!(System::sufficients(&Dave.to_account_id()), 1);
        assert_ok!(sent(Dave, opens()));
        assert_ok!(sent(
            Bob,
            pallet_subnets::Call::leave {
                netuid: Netuid(1),
                hotkey: eve
            }
        ));
        to(1 + BLOCKS);
        assert_ok!(sent(Eve, commits(Eve, Finding::Passed)));
        to(1 + 2 * BLOCKS);
        assert_ok!(sent(Eve, reveals(Finding::Passed)));
        to(1 + 3 * BLOCKS);
        assert_eq!(bond(), BOND);
        assert_eq!(System::sufficients(&Dave.to_account_id()), 0);
        let open = pallet_audits::OpenAudits::<Runtime>::iter_keys().count();
        assert_eq!(
            (open, readers::audit_outcome(Netuid(1), 7, Uid(0))),
            (0, Some(AuditOutcome::Passed))
        );
    });
}
