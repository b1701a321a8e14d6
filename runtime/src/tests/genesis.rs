//! The chains that genesis knows by name.

use cairn_primitives::{CRN, GENERIC_SS58_PREFIX, SS58_PREFIX};
use frame_support::traits::Get;
use sp_core::crypto::Ss58AddressFormat;
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

#[test]
fn addresses_of_a_chain_for_development_are_of_no_network_and_others_are_cairn_s() {
    let prefix = || -> u16 { <crate::Runtime as frame_system::Config>::SS58Prefix::get() };
    for name in presets::names() {
        on(name.as_ref(), || assert_eq!(prefix(), GENERIC_SS58_PREFIX));
    }
    // What the digest of the metadata is made from: no state at all.
    sp_io::TestExternalities::default().execute_with(|| assert_eq!(prefix(), SS58_PREFIX));
}

#[test]
fn no_network_of_the_registry_has_our_prefix() {
    assert!(!Ss58AddressFormat::custom(GENERIC_SS58_PREFIX).is_custom());
    let ours = Ss58AddressFormat::custom(SS58_PREFIX);
    assert!(ours.is_custom() && !ours.is_reserved());
}
