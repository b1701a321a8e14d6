//! Which chains have a sudo key.

use frame_support::genesis_builder_helper::build_state;
use serde_json::{json, Value};
use sp_io::TestExternalities;
use sp_keyring::Sr25519Keyring::Alice;
use sp_runtime::traits::Dispatchable;

use super::{genesis, people};
use crate::{
    audit,
    governance::{Development, Hurry},
    presets, Runtime, RuntimeCall, RuntimeGenesisConfig, RuntimeOrigin,
};

/// Builds a genesis, and says what it says if it cannot be built.
fn build(genesis: &Value, then: impl FnOnce()) {
    TestExternalities::default().execute_with(|| {
        build_state::<RuntimeGenesisConfig>(genesis.to_string().into_bytes()).expect("it builds");
        then();
        audit::everything().expect("the books are right");
    });
}

/// A genesis that is not for development, without a sudo key.
fn live() -> Value {
    let mut live = people();
    live["governance"] = json!({ "development": false, "hurry": 0 });
    live
}

fn sudo(call: RuntimeCall) -> RuntimeCall {
    let call = Box::new(call);
    pallet_sudo::Call::sudo { call }.into()
}

fn filtered() -> sp_runtime::DispatchError {
    frame_system::Error::<Runtime>::CallFiltered.into()
}

#[test]
fn both_presets_are_for_development_and_have_alices_key() {
    for preset in [presets::DEVELOPMENT_PRESET, presets::LOCAL_PRESET] {
        build(&genesis(preset), || {
            assert!(Development::<Runtime>::get() && Hurry::<Runtime>::get() > 1);
            let key = pallet_sudo::Key::<Runtime>::get();
            assert_eq!(key, Some(Alice.to_account_id()));
            let remark = frame_system::Call::remark { remark: vec![] };
            let done = sudo(remark.into()).dispatch(RuntimeOrigin::signed(Alice.to_account_id()));
            assert!(done.is_ok());
        });
    }
    let presets: Vec<_> = presets::names();
    assert_eq!(presets.len(), 2, "a new preset needs a test of its own");
}

#[test]
fn if_nothing_is_said_a_chain_is_not_for_development_and_has_no_key() {
    let default = serde_json::to_value(RuntimeGenesisConfig::default()).expect("plain");
    assert_eq!(default["governance"]["development"], false);
    assert_eq!(default["sudo"]["key"], Value::Null);
}

#[test]
fn without_a_key_nobody_can_become_one() {
    build(&live(), || {
        let alice = Alice.to_account_id();
        let set = pallet_sudo::Call::set_key {
            new: alice.clone().into(),
        };
        let remark = frame_system::Call::remark { remark: vec![] };
        let calls = [
            set.clone().into(),
            sudo(remark.into()),
            sudo(set.into()),
            pallet_sudo::Call::remove_key {}.into(),
        ];
        for call in calls {
            let refused = call.dispatch(RuntimeOrigin::signed(alice.clone()));
            assert_eq!(refused.expect_err("filtered").error, filtered());
        }
        assert_eq!(pallet_sudo::Key::<Runtime>::get(), None);
        assert_eq!(Hurry::<Runtime>::get(), 1);
    });
}

#[test]
#[should_panic(expected = "only a chain for development has a sudo key")]
fn a_genesis_with_a_key_is_not_built_outside_of_development() {
    let mut wrong = live();
    wrong["sudo"]["key"] = serde_json::to_value(Alice.to_account_id()).expect("plain");
    build(&wrong, || ());
}

#[test]
#[should_panic(expected = "only a chain for development hurries")]
fn a_genesis_that_hurries_is_not_built_outside_of_development() {
    let mut wrong = live();
    wrong["governance"]["hurry"] = 2.into();
    build(&wrong, || ());
}

#[test]
fn a_key_that_appears_is_found() {
    build(&live(), || {
        pallet_sudo::Key::<Runtime>::put(Alice.to_account_id());
        let found = audit::everything().expect_err("there is a key");
        assert_eq!(found, "there is a sudo key outside of development".into());
        pallet_sudo::Key::<Runtime>::kill();
        Hurry::<Runtime>::put(2);
        let found = audit::everything().expect_err("it hurries");
        assert_eq!(found, "the chain hurries outside of development".into());
        Hurry::<Runtime>::put(1);
    });
}
