//! A new runtime: who authorises it, who brings it, and what it leaves as it was.

use cairn_primitives::{blake2_256, CRN, H256};
use codec::Encode;
use frame_support::{assert_noop, assert_ok};
use serde_json::Value;
use sp_core::traits::{ReadRuntimeVersion, ReadRuntimeVersionExt};
use sp_io::TestExternalities;
use sp_runtime::{
    traits::Dispatchable, transaction_validity::InvalidTransaction, BuildStorage, DispatchError,
};

use super::{motion, outcome, people, VOTERS};
use crate::{
    audit,
    configs::governance::CouncilInstance,
    governance::{self, untouched, Call, Constants, Error, Origin, ENDORSED_FOR},
    tests::chain::Chain,
    Executive, Governance, Runtime, RuntimeCall, RuntimeOrigin, System, UncheckedExtrinsic,
    VERSION,
};

type Members = pallet_collective::RawOrigin<crate::AccountId, CouncilInstance>;

/// Says of every code that it is the present runtime, some versions later.
struct Later(u32);

impl ReadRuntimeVersion for Later {
    fn read_runtime_version(
        &self,
        _: &[u8],
        _: &mut dyn sp_core::traits::Externalities,
    ) -> Result<Vec<u8>, String> {
        let mut version = VERSION;
        version.spec_version += self.0;
        Ok(version.encode())
    }
}

/// Code of a megabyte.
fn code() -> Vec<u8> {
    vec![7; 1 << 20]
}

/// The state of a genesis, on a node that reads of every code that it is so many versions later.
pub fn state(genesis: Value, later: u32) -> TestExternalities {
    let config: crate::RuntimeGenesisConfig = serde_json::from_value(genesis).expect("it is whole");
    let mut state = TestExternalities::new(config.build_storage().expect("it builds"));
    state.register_extension(ReadRuntimeVersionExt::new(Later(later)));
    state
}

fn bring(code: Vec<u8>) -> UncheckedExtrinsic {
    UncheckedExtrinsic::new_bare(frame_system::Call::apply_authorized_upgrade { code }.into())
}

/// What the pool says of a transaction.
fn judged(
    transaction: UncheckedExtrinsic,
) -> sp_runtime::transaction_validity::TransactionValidity {
    let source = sp_runtime::transaction_validity::TransactionSource::External;
    Executive::validate_transaction(source, transaction, Default::default())
}

#[test]
fn anybody_brings_the_code_that_was_authorised_and_no_other() {
    state(people(), 1).execute_with(|| {
        System::set_block_number(1);
        let invalid = InvalidTransaction::Call;
        assert_eq!(judged(bring(code())), Err(invalid.into()));
        let code_hash = blake2_256(&code());
        assert_ok!(Governance::authorize_upgrade(
            Origin::Upgrade.into(),
            code_hash
        ));
        assert!(judged(bring(code())).is_ok());
        assert_eq!(judged(bring(vec![8; 1 << 20])), Err(invalid.into()));
        let call: RuntimeCall =
            frame_system::Call::apply_authorized_upgrade { code: code() }.into();
        assert_ok!(call.dispatch(RuntimeOrigin::none()));
        assert!(events_have_code());
    });
}

fn events_have_code() -> bool {
    let updated = crate::RuntimeEvent::System(frame_system::Event::CodeUpdated {
        hash: blake2_256(&code()),
    });
    super::events().contains(&updated)
}

#[test]
fn an_older_runtime_is_not_put_in() {
    state(people(), 0).execute_with(|| {
        System::set_block_number(1);
        let code_hash = blake2_256(&code());
        assert_ok!(Governance::authorize_upgrade(
            Origin::Upgrade.into(),
            code_hash
        ));
        let call: RuntimeCall =
            frame_system::Call::apply_authorized_upgrade { code: code() }.into();
        assert_ok!(call.dispatch(RuntimeOrigin::none()));
        assert!(!events_have_code());
    });
}

#[test]
fn a_repair_takes_the_councils_word_and_not_an_old_one() {
    let mut chain = Chain::new(&people());
    let code_hash = H256([9; 32]);
    let repair = |hash| Governance::authorize_upgrade(Origin::Repair.into(), hash);
    chain.ask(|| {
        assert_noop!(repair(code_hash), Error::<Runtime>::NotEndorsed);
    });
    let endorse = Call::endorse_upgrade { code_hash };
    assert_eq!(outcome(&motion(&mut chain, endorse.clone())), Ok(()));
    chain.ask(|| {
        assert_noop!(repair(H256([8; 32])), Error::<Runtime>::NotEndorsed);
        assert_ok!(repair(code_hash));
    });
    chain.ask(|| {
        governance::Hurry::<Runtime>::put(1);
        let now = System::block_number();
        let at = governance::Endorsed::<Runtime>::get().expect("it is").1;
        assert!(now >= at);
        System::set_block_number(at + ENDORSED_FOR - 1);
        assert!(Governance::is_endorsed(code_hash));
        System::set_block_number(at + ENDORSED_FOR);
        assert_noop!(repair(code_hash), Error::<Runtime>::NotEndorsed);
    });
    chain.ask(|| {
        for origin in [
            RuntimeOrigin::signed(VOTERS[0].account()),
            Members::Members(1, 3).into(),
            RuntimeOrigin::root(),
        ] {
            let call = RuntimeCall::from(endorse.clone());
            assert_noop!(call.dispatch(origin), DispatchError::BadOrigin);
        }
    });
}

#[test]
fn an_upgrade_leaves_what_people_own_and_were_paid() {
    let mut chain = crate::tests::play::after_the_opening();
    chain.ask(|| {
        let (books, issued) = (untouched::books(), crate::readers::issuance());
        assert!(issued.stakes > 0 && issued.bonds > 0 && issued.pots > 0);
        let paid = pallet_emissions::MemberHistory::<Runtime>::iter().count();
        assert!(paid > 0, "somebody was paid");
        frame_system::LastRuntimeUpgrade::<Runtime>::kill();
        Executive::execute_on_runtime_upgrade();
        assert_eq!(untouched::books(), books);
        audit::everything().expect("the books are right");
    });
}

#[test]
fn a_change_of_the_books_is_found() {
    let mut chain = crate::tests::play::after_the_opening();
    let changes: [(&str, fn()); 4] = [
        ("paid-out history", || {
            let (key, _) = pallet_emissions::MemberHistory::<Runtime>::iter()
                .next()
                .expect("one");
            pallet_emissions::MemberHistory::<Runtime>::remove(key);
        }),
        ("issuance", || {
            pallet_emissions::Issued::<Runtime>::mutate(|issued| *issued += CRN)
        }),
        ("a balance", || {
            frame_system::Account::<Runtime>::mutate(super::COUNCIL[0].account(), |account| {
                account.data.free += 1
            })
        }),
        ("bonds", || {
            let removed = pallet_stake::Bonds::<Runtime>::clear(1, None);
            assert!(removed.unique > 0);
        }),
    ];
    for (what, change) in changes {
        chain.ask(|| {
            let before = untouched::books();
            change();
            assert_ne!(untouched::books(), before, "{what}");
        });
    }
}

#[test]
fn a_runtime_with_other_constants_is_found() {
    let mut chain = Chain::new(&people());
    chain.ask(|| {
        Constants::<Runtime>::put(H256([1; 32]));
        let found = audit::everything().expect_err("they differ");
        assert_eq!(
            found,
            "a constant that no upgrade may change was changed".into()
        );
    });
}

/// The constants to the bit: whoever changes one of them changes what people were promised, and this number.
#[test]
fn the_constants_are_those_of_the_first_release() {
    let constants = format!("{:?}", untouched::constants());
    assert_eq!(
        constants,
        "0x0f70f5955fc687c74aadf5ef8193c4a54e579ee8bdc48e28316c945e70cc9d14"
    );
}
