//! The state of the release before, under this runtime: what people own and what was trained is what that release's own
//! node said of it. `fixtures/README.md` says where the state is from.

use cairn_primitives::Netuid;
use serde_json::{json, Map, Value};
use sp_core::{bytes::from_hex, crypto::Ss58Codec};
use sp_io::TestExternalities;
use sp_storage::Storage;

use super::chain::Chain;
use crate::{audit, governance::untouched, readers, AccountId, Executive, Runtime, VERSION};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/state.json.zst");
/// The subnet that it has.
const NET: Netuid = Netuid(1);

/// The state, and what the release's node said as of its block.
fn release() -> (TestExternalities, Value) {
    let bytes = std::fs::read(FIXTURE).expect("it is in the tree");
    let bytes = zstd::decode_all(bytes.as_slice()).expect("zstd made it");
    let mut whole: Value = serde_json::from_slice(&bytes).expect("JSON");
    let read = |text: &str| from_hex(text).expect("hexadecimal");
    let state = whole["state"].as_object().expect("keys and values");
    let top = state
        .iter()
        .map(|(key, value)| (read(key), read(value.as_str().expect("a text"))))
        .collect();
    let storage = Storage {
        top,
        ..Storage::default()
    };
    (TestExternalities::new(storage), whole["told"].take())
}

/// What a node of this release says in answer to the same questions.
fn answers(told: &Value) -> Value {
    let addresses = told["accounts"].as_object().expect("by address").keys();
    let accounts: Map<String, Value> = addresses
        .map(|address| {
            let account = AccountId::from_ss58check(address).expect("an address");
            (address.clone(), json!(readers::account(&account)))
        })
        .collect();
    let answers = json!({
        "issuance": readers::issuance(),
        "members": readers::members(NET),
        "accounts": accounts,
        "lineage": readers::lineage(NET, 0),
    });
    // Read from text, as what was told is.
    answers.to_string().parse().expect("JSON")
}

/// Where what is now is not what was told. It may have more fields than there were.
fn difference(told: &Value, now: &Value) -> Option<String> {
    match (told, now) {
        (Value::Object(told), Value::Object(now)) => {
            told.iter().find_map(|(name, told)| match now.get(name) {
                Some(now) => difference(told, now).map(|found| format!("{name}: {found}")),
                None => Some(format!("{name} is gone")),
            })
        }
        (Value::Array(told), Value::Array(now)) if told.len() == now.len() => {
            let mut pairs = told.iter().zip(now);
            pairs.find_map(|(told, now)| difference(told, now))
        }
        _ => (told != now).then(|| format!("{told} became {now}")),
    }
}

/// All accounts and what they have.
fn balances() -> Vec<(AccountId, crate::Balance)> {
    frame_system::Account::<Runtime>::iter()
        .map(|(account, info)| (account, info.data.free + info.data.reserved))
        .collect()
}

#[test]
fn an_upgrade_from_the_release_before_leaves_what_people_own() {
    let (mut state, told) = release();
    state.execute_with(|| {
        let before = (balances(), untouched::books());
        Executive::execute_on_runtime_upgrade();
        frame_system::LastRuntimeUpgrade::<Runtime>::put(
            frame_system::LastRuntimeUpgradeInfo::from(VERSION),
        );
        assert_eq!((balances(), untouched::books()), before);
        audit::everything().expect("the books are right");
        assert_eq!(difference(&told, &answers(&told)), None);
    });
    // And it goes on from there.
    let mut chain = Chain::of(state);
    for _ in 0..3 {
        chain.block(|| ()).expect("the books are right");
    }
}

#[test]
fn the_state_of_the_release_before_has_what_can_be_lost() {
    let (_, told) = release();
    let list = |value: &Value| value.as_array().map_or(0, Vec::len);
    assert!(list(&told["members"]) > 3, "{}", told["members"]);
    assert!(list(&told["lineage"]) > 2, "{}", told["lineage"]);
    let has = |name: &str| told["issuance"][name].as_str() != Some("0");
    assert!(["balances", "stakes", "bonds", "pots"].into_iter().all(has));
    let accounts = told["accounts"].as_object().expect("by address").values();
    let earnings = accounts.filter_map(Value::as_array).flatten();
    let earned = earnings.filter(|one| one["earned"].as_str() != Some("0"));
    assert!(earned.count() > 1, "{}", told["accounts"]);
}

#[test]
fn what_is_lost_or_other_is_found() {
    let told = json!({ "a": [{ "b": "1" }] });
    assert_eq!(
        difference(&told, &json!({ "a": [{ "b": "1", "c": 2 }] })),
        None
    );
    for now in [
        json!({}),
        json!({ "a": [] }),
        json!({ "a": [{ "b": "2" }] }),
        json!({ "a": [{ "b": 1 }] }),
        json!({ "a": [{ "b": "1" }, {}] }),
    ] {
        assert!(difference(&told, &now).is_some(), "{now}");
    }
}
