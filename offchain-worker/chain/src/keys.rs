//! Key pairs from what people keep: mnemonics and secret URIs.

use std::fmt;

use cairn_keys::Keypair;
use codec::{Encode, Output};
use subxt_signer::bip39::Mnemonic;

use crate::ChainError;

/// An Sr25519 signature of a hotkey, over something that is no transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HotkeySignature(pub [u8; 64]);

/// As the runtime takes it: a `MultiSignature`, whose variant 1 is Sr25519.
impl Encode for HotkeySignature {
    fn encode_to<O: Output + ?Sized>(&self, out: &mut O) {
        out.push_byte(1);
        out.write(&self.0);
    }
}

impl fmt::Display for HotkeySignature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for HotkeySignature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "HotkeySignature({self})")
    }
}

/// The key pair of a secret URI, as [`Keypair::from_uri`] reads it: a phrase, a seed, or a development key such as
/// `//Alice`.
///
/// # Errors
/// [`ChainError::InvalidKey`], which never repeats the secret.
pub fn keypair(uri: &str) -> Result<Keypair, ChainError> {
    Keypair::from_uri(uri).map_err(|error| ChainError::InvalidKey {
        why: error.to_string(),
    })
}

/// The BIP-39 mnemonic of 16, 20, 24, 28 or 32 bytes of entropy: 12 to 24 words, as
/// [`keypair`] takes them. The entropy must come from the system's random numbers.
///
/// # Errors
/// [`ChainError::InvalidKey`] for another length.
pub fn mnemonic(entropy: &[u8]) -> Result<String, ChainError> {
    match Mnemonic::from_entropy(entropy) {
        Ok(mnemonic) => Ok(mnemonic.to_string()),
        Err(_) => Err(ChainError::InvalidKey {
            why: format!(
                "{} bytes of entropy make no mnemonic; use 16",
                entropy.len()
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccountId;

    fn address(uri: &str) -> String {
        AccountId::of(&keypair(uri).unwrap()).to_string()
    }

    #[test]
    fn secret_uris_give_the_keys_of_every_substrate_tool() {
        // The keys that `subkey inspect` shows.
        let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        assert_eq!(address("//Alice"), alice);
        let phrase = subxt_signer::DEV_PHRASE;
        assert_eq!(address(&format!("{phrase}//Alice")), alice);
        assert_eq!(
            address("0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a"),
            alice
        );
        assert_eq!(
            address("//Bob"),
            "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
        );
        assert_eq!(address("  //Alice\n"), alice);
    }

    #[test]
    fn passwords_and_paths_make_other_keys() {
        let keys = ["//Alice", "//Alice/1", "//Alice//1", "//Alice///secret"].map(address);
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        for uri in [
            "",
            " ",
            "correct horse battery staple",
            "0x12",
            "sausage//Alice",
            "a\u{0}b",
        ] {
            let text = keypair(uri).unwrap_err().to_string();
            assert!(
                uri.trim().is_empty() || !text.contains(uri.trim()),
                "{text}"
            );
            assert!(text.contains("mnemonic"), "says what would be one: {text}");
        }
    }

    #[test]
    fn mnemonics_are_those_of_bip_39() {
        let words = mnemonic(&[0; 16]).unwrap();
        assert_eq!(words, format!("{}about", "abandon ".repeat(11)));
        assert!(keypair(&words).is_ok());
        assert!(mnemonic(&[0; 15]).is_err() && mnemonic(&[0; 64]).is_err());
    }
}
