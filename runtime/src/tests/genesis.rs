//! The chains that genesis knows by name.

use cairn_primitives::CRN;
use sp_keyring::Sr25519Keyring::Alice;

use super::chain::on;
use crate::{presets, readers};

#[test]
fn every_preset_builds_and_its_money_adds_up() {
    for name in presets::names() {
        on(name.as_ref(), || {
            assert_eq!(readers::issuance().issued, 600_000 * CRN);
            assert_eq!(
                pallet_session::Validators::<crate::Runtime>::get()[0],
                Alice.to_account_id()
            );
        });
    }
    assert_eq!(presets::get(&"nowhere".into()), None);
}

#[test]
fn a_development_chain_is_faster() {
    let length = crate::block_time::Milliseconds::<crate::Runtime>::get;
    on(presets::DEVELOPMENT_PRESET, || assert_eq!(length(), 2_000));
    on(presets::LOCAL_PRESET, || assert_eq!(length(), 6_000));
}
