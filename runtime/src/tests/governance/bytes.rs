//! What workers send and read of governance, byte by byte: the client's tests read the same file.

use cairn_primitives::{Netuid, CRN, H256};
use codec::Encode;
use frame_support::traits::schedule::DispatchTime;
use pallet_referenda::{Deposit, ReferendumInfo, ReferendumStatus};
use sp_runtime::{traits::Dispatchable as _, MultiAddress};

use super::{bounded, cheaper, submit, submit_noted, vote};
use crate::{
    governance::{self, Origin},
    tests::chain::Chain,
    AccountId, OriginCaller, RuntimeCall,
};

const GOLDEN: &str = include_str!("../../../../offchain-worker/chain/src/governance.golden");

type Open = pallet_referenda::ReferendumInfoOf<crate::Runtime, ()>;

/// A referendum on a rule that is ahead.
fn open() -> Open {
    let deposit = |amount| Deposit {
        who: AccountId::new([7; 32]),
        amount,
    };
    ReferendumInfo::Ongoing(ReferendumStatus {
        track: 1,
        origin: OriginCaller::Governance(Origin::Rules),
        proposal: bounded(cheaper()),
        enactment: DispatchTime::After(0),
        submitted: 5,
        submission_deposit: deposit(10 * CRN),
        decision_deposit: Some(deposit(500 * CRN)),
        deciding: Some(pallet_referenda::DecidingStatus {
            since: 9,
            confirming: Some(23),
        }),
        tally: pallet_conviction_voting::Tally::from_parts(1, 2, 3),
        in_queue: false,
        alarm: Some((24, (24, 0))),
    })
}

/// The arguments of a call: all but its two numbers.
fn arguments(call: impl Into<RuntimeCall>) -> Vec<u8> {
    let call: RuntimeCall = call.into();
    call.encode().split_off(2)
}

fn written() -> Vec<(&'static str, Vec<u8>)> {
    use pallet_collective::Call as Council;
    use pallet_conviction_voting::Call as Voting;
    let account = || AccountId::new([7; 32]);
    let hash = H256([9; 32]);
    let cancel = || RuntimeCall::from(governance::Call::cancel { index: 3 });
    let seats = |number| {
        RuntimeCall::Council(Council::set_members {
            new_members: vec![account(); number],
            prime: None,
            old_count: 3,
        })
    };
    let length_bound = 128;
    vec![
        ("open", open().encode()),
        ("propose", arguments(submit(Origin::Rules, cheaper()))),
        (
            "propose-seats",
            arguments(submit_noted(Origin::Council, seats(12))),
        ),
        (
            "deposit",
            arguments(pallet_referenda::Call::place_decision_deposit { index: 3 }),
        ),
        ("vote", arguments(vote(3, true, 9 * CRN))),
        (
            "remove-vote",
            arguments(Voting::remove_vote {
                class: Some(1),
                index: 3,
            }),
        ),
        (
            "unlock",
            arguments(Voting::unlock {
                class: 1,
                target: MultiAddress::Id(account()),
            }),
        ),
        (
            "emits",
            arguments(pallet_emissions::Call::set_emitting {
                netuid: Netuid(7),
                emits: true,
            }),
        ),
        (
            "upgrade",
            arguments(governance::Call::authorize_upgrade { code_hash: hash }),
        ),
        (
            "restart-finality",
            arguments(governance::Call::restart_finality {
                after: 10,
                last_final: 9,
                set: 2,
            }),
        ),
        (
            "endorse",
            arguments(governance::Call::endorse_upgrade { code_hash: hash }),
        ),
        ("cancel", arguments(cancel())),
        ("seats", arguments(seats(1))),
        (
            "add-authority",
            arguments(crate::authorities::Call::add {
                authority: account(),
            }),
        ),
        (
            "remove-authority",
            arguments(crate::authorities::Call::remove {
                authority: account(),
            }),
        ),
        (
            "move",
            arguments(RuntimeCall::Council(Council::propose {
                threshold: 2,
                proposal: Box::new(cancel()),
                length_bound,
            })),
        ),
        (
            "approve",
            arguments(RuntimeCall::Council(Council::vote {
                proposal: hash,
                index: 3,
                approve: true,
            })),
        ),
        (
            "close",
            arguments(RuntimeCall::Council(Council::close {
                proposal_hash: hash,
                index: 3,
                proposal_weight_bound: frame_support::weights::Weight::from_parts(
                    10_000_000_000,
                    1 << 20,
                ),
                length_bound,
            })),
        ),
    ]
}

#[test]
fn clients_send_and_read_what_the_runtime_takes_and_keeps() {
    let mut chain = Chain::new(&super::people());
    let lines: Vec<String> = chain.ask(|| {
        let written = written().into_iter();
        let line = |(name, bytes): (&str, Vec<u8>)| {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{name} {digits}")
        };
        written.map(line).collect()
    });
    let golden: Vec<&str> = GOLDEN.lines().collect();
    assert_eq!(
        golden,
        lines,
        "what the file should say:\n{}",
        lines.join("\n")
    );
}

/// What a motion of the client's may weigh is enough, and not more than the council may.
#[test]
fn a_motion_fits_into_what_the_client_says_of_it() {
    use frame_support::dispatch::GetDispatchInfo;
    let mut chain = Chain::new(&super::people());
    chain.ask(|| {
        let code_hash = H256([9; 32]);
        let said = frame_support::weights::Weight::from_parts(10_000_000_000, 1 << 20);
        for call in [
            RuntimeCall::from(governance::Call::cancel { index: 3 }),
            RuntimeCall::from(governance::Call::endorse_upgrade { code_hash }),
        ] {
            let weight = call.get_dispatch_info().call_weight;
            assert!(weight.all_lte(said), "{weight}");
            // What is said of a motion's length.
            assert!(call.encoded_size() <= 128);
            assert!(call.dispatch(crate::RuntimeOrigin::none()).is_err());
        }
    });
}
