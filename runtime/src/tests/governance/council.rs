//! What the council may: propose as anybody may, endorse, cancel within bounds; and not enact.

use cairn_primitives::{CRN, H256};
use frame_support::assert_noop;
use sp_runtime::{traits::Dispatchable, DispatchError};

use super::{
    cheaper, floor, motion, outcome, people, propose, succeeds, without_words, COUNCIL, PROPOSER,
    VOTERS,
};
use crate::{
    configs::governance::CouncilInstance,
    governance::{self, rules::Rule, Cancelled, Error, Origin, CANCELLED_FOR, MOST_CANCELLED},
    tests::chain::{send, Actor, Chain},
    Governance, Runtime, RuntimeCall, RuntimeOrigin, System,
};

type Members = pallet_collective::RawOrigin<crate::AccountId, CouncilInstance>;

fn refused(error: Error<Runtime>) -> Result<(), DispatchError> {
    Err(without_words(error.into()))
}

#[test]
fn the_whole_council_enacts_nothing() {
    let mut chain = Chain::new(&people());
    let seats = pallet_collective::Call::set_members {
        new_members: vec![Actor(0).account()],
        prime: None,
        old_count: 3,
    };
    let calls: Vec<RuntimeCall> = vec![
        cheaper(),
        governance::Call::authorize_upgrade {
            code_hash: H256([1; 32]),
        }
        .into(),
        pallet_emissions::Call::set_emitting {
            netuid: cairn_primitives::Netuid(1),
            emits: false,
        }
        .into(),
        RuntimeCall::Council(seats),
        pallet_referenda::Call::cancel { index: 0 }.into(),
        pallet_referenda::Call::kill { index: 0 }.into(),
    ];
    propose(&mut chain, Origin::Rules, cheaper());
    chain.ask(|| {
        for call in calls {
            let all = RuntimeOrigin::from(Members::Members(3, 3));
            assert_noop!(call.dispatch(all), DispatchError::BadOrigin);
        }
    });
    // And by a motion.
    let result = outcome(&motion(&mut chain, cheaper()));
    assert_eq!(result, Err(DispatchError::BadOrigin));
    assert_eq!(floor(&mut chain), 100 * CRN);
}

#[test]
fn one_member_cancels_nothing() {
    let mut chain = Chain::new(&people());
    let index = propose(&mut chain, Origin::Rules, cheaper());
    let cancel: RuntimeCall = governance::Call::cancel { index }.into();
    let alone = RuntimeCall::Council(pallet_collective::Call::propose {
        threshold: 1,
        proposal: Box::new(cancel.clone()),
        length_bound: 1_000,
    });
    succeeds(&mut chain, COUNCIL[0], alone);
    chain.ask(|| {
        assert!(pallet_referenda::Pallet::<Runtime>::ensure_ongoing(index).is_ok());
        for origin in [
            RuntimeOrigin::signed(COUNCIL[0].account()),
            Members::Members(1, 3).into(),
            Members::Member(COUNCIL[0].account()).into(),
        ] {
            assert_noop!(cancel.clone().dispatch(origin), DispatchError::BadOrigin);
        }
    });
}

#[test]
fn the_council_cannot_keep_its_seats_nor_stop_who_cancels() {
    let mut chain = Chain::new(&people());
    let slower = chain.block(|| governance::Hurry::<Runtime>::put(600));
    slower.expect("the books are right");
    let seats = RuntimeCall::Council(pallet_collective::Call::set_members {
        new_members: vec![VOTERS[0].account()],
        prime: None,
        old_count: 3,
    });
    let on_seats = propose(&mut chain, Origin::Council, seats);
    let cancel = governance::Call::cancel { index: on_seats };
    let that_cancels = propose(&mut chain, Origin::Cancel, cancel);
    for index in [on_seats, that_cancels] {
        let cancel = governance::Call::cancel { index };
        let result = outcome(&motion(&mut chain, cancel));
        assert_eq!(result, refused(Error::NotForTheCouncil));
    }
    let nothing = governance::Call::cancel { index: 99 };
    let result = outcome(&motion(&mut chain, nothing));
    assert_eq!(result, refused(Error::NothingToCancel));
}

#[test]
fn the_council_cancels_only_so_many_in_so_long() {
    let mut chain = Chain::new(&people());
    for price in 0..=u64::from(MOST_CANCELLED) {
        let rule = Rule::CreationPriceFloor((50 + price) * CRN);
        propose(
            &mut chain,
            Origin::Rules,
            governance::Call::set_rule { rule },
        );
    }
    chain.ask(|| {
        governance::Hurry::<Runtime>::put(1);
        let cancel = |index| Governance::cancel(Members::Members(2, 3).into(), index);
        for index in 0..MOST_CANCELLED {
            assert_eq!(cancel(index), Ok(()));
        }
        let one_more = cancel(MOST_CANCELLED);
        assert_eq!(one_more, Err(Error::<Runtime>::TooManyCancelled.into()));
        let later = System::block_number() + CANCELLED_FOR;
        System::set_block_number(later - 1);
        assert!(cancel(MOST_CANCELLED).is_err());
        System::set_block_number(later);
        assert_eq!(cancel(MOST_CANCELLED), Ok(()));
        assert_eq!(Cancelled::<Runtime>::get().len(), 1);
    });
}

#[test]
fn only_the_councils_transactions_take_the_room_that_is_kept() {
    let mut chain = Chain::new(&people());
    let alone = |call: RuntimeCall| {
        RuntimeCall::Council(pallet_collective::Call::propose {
            threshold: 1,
            proposal: Box::new(call),
            length_bound: 1_000,
        })
    };
    let remark = || RuntimeCall::System(frame_system::Call::remark { remark: vec![] });
    chain
        .block(|| {
            assert_eq!(send(COUNCIL[0], alone(remark())), Ok(Ok(())));
            let invalid = sp_runtime::transaction_validity::InvalidTransaction::Call;
            assert_eq!(send(PROPOSER, alone(remark())), Err(invalid.into()));
        })
        .expect("the books are right");
}
