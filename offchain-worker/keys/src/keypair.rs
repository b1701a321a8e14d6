//! Key pairs that sign on chain.

use std::{fmt, str::FromStr};

use schnorrkel::{
    derive::{ChainCode, Derivation},
    signing_context, ExpansionMode, MiniSecretKey, PublicKey, SecretKey, Signature,
};
use subxt_signer::{bip39::Mnemonic, DeriveJunction, ExposeSecret, SecretUri};
use zeroize::{Zeroize, Zeroizing};

use crate::KeyError;

/// What Substrate signs in.
const CONTEXT: &[u8] = b"substrate";

/// An sr25519 key pair. Only its public key is ever shown, and its secret is wiped when it is dropped.
#[derive(Clone)]
pub struct Keypair(schnorrkel::Keypair);

impl Keypair {
    /// The key pair of a secret URI: `phrase//hard/soft///password`, where the phrase is a BIP-39 mnemonic or a
    /// seed of 64 hexadecimal digits after `0x`. Without a phrase, as in `//Alice`, it is one of the well-known
    /// development keys, which are nobody's secret.
    ///
    /// # Errors
    /// [`KeyError::Invalid`], which never repeats the secret.
    pub fn from_uri(uri: &str) -> Result<Keypair, KeyError> {
        let uri = uri.trim();
        // An empty URI would be the development phrase itself: a key that everybody has.
        if uri.is_empty() {
            return Err(invalid("it is empty"));
        }
        let uri = SecretUri::from_str(uri).map_err(|_| invalid("it is not a secret URI"))?;
        let password = uri
            .password
            .as_ref()
            .map_or("", |text| text.expose_secret());
        let mini = match uri.phrase.expose_secret().strip_prefix("0x") {
            Some(digits) => mini_of_digits(digits)?,
            None => mini_of_phrase(uri.phrase.expose_secret(), password)?,
        };
        let root = mini.expand(ExpansionMode::Ed25519);
        let derived = uri
            .junctions
            .iter()
            .fold(root, |key, junction| match junction {
                DeriveJunction::Soft(code) => key.derived_key_simple(ChainCode(*code), []).0,
                DeriveJunction::Hard(code) => {
                    let (mini, _) = key.hard_derive_mini_secret_key(Some(ChainCode(*code)), b"");
                    mini.expand(ExpansionMode::Ed25519)
                }
            });
        Ok(Keypair(derived.to_keypair()))
    }

    /// The key pair of a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Keypair, KeyError> {
        let mini = MiniSecretKey::from_bytes(seed);
        let mini = mini.map_err(|_| invalid("its seed is not one of sr25519"))?;
        Ok(Keypair(mini.expand_to_keypair(ExpansionMode::Ed25519)))
    }

    /// The key pair of 64 bytes of secret: a scalar as ed25519 writes it, eight times the one that signs, and a
    /// nonce. So polkadot.js keeps it.
    pub(crate) fn from_ed25519_bytes(secret: &[u8]) -> Option<Keypair> {
        let secret = SecretKey::from_ed25519_bytes(secret).ok()?;
        Some(Keypair(secret.to_keypair()))
    }

    /// The inverse.
    pub(crate) fn to_ed25519_bytes(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0.secret.to_ed25519_bytes())
    }

    /// The key pair of 64 bytes of secret: the scalar that signs, and a nonce. So Substrate and Bittensor keep it.
    pub(crate) fn from_secret_bytes(secret: &[u8]) -> Option<Keypair> {
        let secret = SecretKey::from_bytes(secret).ok()?;
        Some(Keypair(secret.to_keypair()))
    }

    /// The inverse.
    pub(crate) fn to_secret_bytes(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0.secret.to_bytes())
    }

    /// Its public key: 32 bytes.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.public.to_bytes()
    }

    /// Signs a message: 64 bytes. Each time they are others.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let context = signing_context(CONTEXT);
        self.0.sign(context.bytes(message)).to_bytes()
    }
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair(0x{})", hex::encode(self.public_key()))
    }
}

/// Whether a signature of a message is that of this public key.
pub fn verify(signature: &[u8; 64], message: &[u8], public_key: &[u8; 32]) -> bool {
    let signature = Signature::from_bytes(signature);
    let public_key = PublicKey::from_bytes(public_key);
    match (signature, public_key) {
        (Ok(signature), Ok(key)) => key.verify_simple(CONTEXT, message, &signature).is_ok(),
        _ => false,
    }
}

/// Whether a secret URI is that of a development key, derived from the phrase that everybody knows: it begins
/// with a slash, and has no password, which could be somebody's.
pub fn is_development(uri: &str) -> bool {
    let path = uri.trim();
    path.starts_with('/') && !path.contains("///") && path.len() > 1
}

fn invalid(why: &'static str) -> KeyError {
    KeyError::Invalid { why }
}

/// The seed of a phrase, as `secretSeed` of a Bittensor key file has it.
pub(crate) fn seed_of_phrase(phrase: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    Ok(Zeroizing::new(mini_of_phrase(phrase, "")?.to_bytes()))
}

fn mini_of_digits(digits: &str) -> Result<MiniSecretKey, KeyError> {
    let mut seed = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(digits, seed.as_mut())
        .map_err(|_| invalid("its seed is not 64 hexadecimal digits"))?;
    let mini = MiniSecretKey::from_bytes(seed.as_ref());
    mini.map_err(|_| invalid("its seed is not one of sr25519"))
}

fn mini_of_phrase(phrase: &str, password: &str) -> Result<MiniSecretKey, KeyError> {
    let no_phrase = || invalid("its phrase is not a BIP-39 mnemonic (words or checksum)");
    let mnemonic = Mnemonic::parse(phrase).map_err(|_| no_phrase())?;
    let (mut entropy, length) = mnemonic.to_entropy_array();
    let bytes = entropy.get(..length).unwrap_or_default();
    let mini = substrate_bip39::mini_secret_from_entropy(bytes, password);
    entropy.zeroize();
    mini.map_err(|_| no_phrase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use subxt_signer::sr25519;

    /// Held against the implementation of `subxt-signer`.
    #[test]
    fn uris_make_the_keys_of_substrate() {
        let phrase = subxt_signer::DEV_PHRASE;
        let seed = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
        for uri in [
            "//Alice",
            "//Alice/soft//1/2",
            "/1",
            phrase,
            &format!("{phrase}//Bob///password"),
            &format!("{phrase}///password"),
            seed,
            &format!("{seed}//x/y"),
        ] {
            let ours = Keypair::from_uri(uri).unwrap();
            let theirs = sr25519::Keypair::from_uri(&uri.parse().unwrap()).unwrap();
            assert_eq!(ours.public_key(), theirs.public_key().0, "{uri}");
            let signed = ours.sign(b"message");
            let verified = sr25519::verify(
                &sr25519::Signature(signed),
                b"message",
                &theirs.public_key(),
            );
            assert!(verified && verify(&signed, b"message", &ours.public_key()));
            assert!(!verify(&signed, b"massage", &ours.public_key()));
        }
    }

    /// As `cairn-node key inspect` shows them. Libraries for JavaScript and Python make other keys of these:
    /// findings/junctions-of-four-libraries.sh.
    #[test]
    fn what_is_no_u64_in_digits_is_a_text() {
        for (uri, public_key) in [
            (
                "//0x1234",
                "4e57ec426ed209aaa516b6b57dd1d54aebd264b8d4a00e211d55c069bdb5757a",
            ),
            (
                "//1e3",
                "1c3230b12426f4dd068820dac77e03710259f80224a4a9d57b04da3603a42861",
            ),
            (
                "//4294967296",
                "f0514478bfbe16a097f1b6125a892969d956181b9f391635fb6a0e560291a049",
            ),
            (
                "//18446744073709551616",
                "7a3a2cd9e94ed6f8956cbd929b84d4cf6267b2c8a371a4ba8737ff4ac5252f0c",
            ),
        ] {
            let key = Keypair::from_uri(uri).unwrap();
            assert_eq!(hex::encode(key.public_key()), public_key, "{uri}");
        }
    }

    #[test]
    fn both_forms_of_a_secret_come_back() {
        let key = Keypair::from_uri("//Alice/soft").unwrap();
        let forms = [
            Keypair::from_ed25519_bytes(key.to_ed25519_bytes().as_ref()),
            Keypair::from_secret_bytes(key.to_secret_bytes().as_ref()),
        ];
        for again in forms {
            let again = again.unwrap();
            assert_eq!(again.public_key(), key.public_key());
            assert_eq!(again.to_secret_bytes(), key.to_secret_bytes());
        }
        assert!(Keypair::from_secret_bytes(&[0xff; 64]).is_none());
        assert!(Keypair::from_ed25519_bytes(&[0xff; 64]).is_none());
        assert!(Keypair::from_secret_bytes(&[1; 63]).is_none());
    }

    #[test]
    fn only_the_public_key_is_shown() {
        let key = Keypair::from_uri("//Alice").unwrap();
        let shown = format!("{key:?} {key:#?}");
        assert!(shown.contains(&hex::encode(key.public_key())));
        let secret = key.to_secret_bytes();
        for half in [&secret[..32], &secret[32..]] {
            assert!(!shown.contains(&hex::encode(half)));
            assert!(!shown.contains(&format!("{half:?}")));
        }
    }

    #[test]
    fn development_keys_are_told_from_others() {
        for uri in ["//Alice", "//Cairn//miner//hot", "/soft", " //Bob\n"] {
            assert!(is_development(uri), "{uri}");
        }
        let phrase = subxt_signer::DEV_PHRASE;
        let seed = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
        for uri in ["", "/", "//Alice///mine", "///mine", phrase, seed] {
            assert!(!is_development(uri), "{uri}");
        }
    }
}
