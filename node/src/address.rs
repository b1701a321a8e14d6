//! Accounts as people write them.

use cairn_primitives::{GENERIC_SS58_PREFIX, SS58_PREFIX};
use cairn_runtime::AccountId;
use sp_core::crypto::{set_default_ss58_version, Ss58AddressFormat, Ss58Codec};

/// What is taken for an account, in words.
pub const EXPECTED: &str =
    "an SS58 address that begins with 5 or cr, or 0x and 64 hexadecimal digits";

/// An account: an SS58 address of a Cairn chain or of no particular network, or 0x and 64 hexadecimal digits. `None` if
/// it is neither.
pub fn read(text: &str) -> Option<AccountId> {
    if text.starts_with("0x") {
        return text.parse().ok();
    }
    let (account, prefix) = AccountId::from_ss58check_with_version(text).ok()?;
    [SS58_PREFIX, GENERIC_SS58_PREFIX]
        .contains(&prefix.into())
        .then_some(account)
}

/// From now on the node shows addresses as the chain has them whose wallets are told these properties.
pub fn show_as(properties: &sc_service::Properties) {
    let prefix = properties
        .get("ss58Format")
        .and_then(|value| value.as_u64());
    let prefix = prefix.and_then(|prefix| u16::try_from(prefix).ok());
    let prefix = prefix.unwrap_or(GENERIC_SS58_PREFIX);
    set_default_ss58_version(Ss58AddressFormat::custom(prefix));
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    const ALICE_HEX: &str = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    #[test]
    fn an_account_is_an_address_or_a_public_key() {
        let alice = read(ALICE).expect("an address");
        assert_eq!(read(ALICE_HEX), Some(alice.clone()));
        let ours = alice.to_ss58check_with_version(Ss58AddressFormat::custom(SS58_PREFIX));
        assert!(ours.starts_with("cr"), "{ours}");
        assert_eq!(read(&ours), Some(alice));
    }

    #[test]
    fn what_is_no_account_is_none() {
        let elsewhere = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5";
        for text in ["", "Alice", &ALICE[1..], &ALICE_HEX[..20], "0x", elsewhere] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
