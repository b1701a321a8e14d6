//! Key files of Bittensor.
//!
//! In plain text they are JSON. Under a passphrase they are `$NACL`, a nonce of 24 bytes, and XSalsa20-Poly1305
//! around the JSON, under a key of argon2i 1.3 at libsodium's sensitive cost with one salt for all files. Read in
//! opentensor/btwallet at 93b3761: src/keyfile.rs and src/keypair.rs; `cryptoType` seen in files of bittensor-wallet
//! 4.1.1.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    keypair::seed_of_phrase,
    seal::{self, NONCE},
    ss58,
    text::Text,
    KeyError, Keypair, Passphrase, Secret,
};

/// What an encrypted file begins with.
const MAGIC: &[u8] = b"$NACL";
/// The salt of every file.
const SALT: [u8; 16] = [
    0x13, 0x71, 0x83, 0xdf, 0xf1, 0x5a, 0x09, 0xbc, 0x9c, 0x90, 0xb5, 0x51, 0x87, 0x39, 0xe9, 0xb1,
];
/// `cryptoType` of sr25519.
const SR25519: u8 = 1;

/// A file as it lies there.
pub enum File {
    /// Its key is in plain text.
    Plain(Box<Json>),
    /// It is under a passphrase.
    Sealed {
        /// The nonce.
        nonce: [u8; NONCE],
        /// The box.
        sealed: Vec<u8>,
    },
}

/// The fields. Files have more or fewer of them, and those that are not known are `null` or missing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Json {
    account_id: Option<String>,
    public_key: Option<String>,
    private_key: Option<Text>,
    secret_phrase: Option<Text>,
    secret_seed: Option<Text>,
    ss58_address: Option<String>,
    crypto_type: Option<u8>,
}

impl File {
    /// Reads one.
    pub fn read(bytes: &[u8]) -> Result<File, KeyError> {
        if let Some(rest) = bytes.strip_prefix(MAGIC) {
            let parts = rest.split_first_chunk::<NONCE>();
            let (nonce, sealed) = parts.ok_or_else(|| no_file("it is cut off"))?;
            return Ok(File::Sealed {
                nonce: *nonce,
                sealed: sealed.to_vec(),
            });
        }
        if bytes.starts_with(b"$ANSIBLE_VAULT") || bytes.starts_with(b"gAAAAA") {
            return Err(KeyError::Unsupported {
                what: "a key file of an old Bittensor",
                remedy: "let `btcli` update it first, or restore the key from its phrase",
            });
        }
        Ok(File::Plain(Box::new(Json::read(bytes)?)))
    }

    /// Whether it takes a passphrase.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, File::Sealed { .. })
    }

    /// The public key that it states, where that can be seen.
    pub fn public_key(&self) -> Option<[u8; 32]> {
        match self {
            File::Plain(json) => json.stated().into_iter().find_map(|(_, key)| key),
            File::Sealed { .. } => None,
        }
    }

    /// The secret in it.
    pub fn open(&self, passphrase: Option<&Passphrase>) -> Result<Secret, KeyError> {
        match self {
            File::Plain(json) => json.secret(),
            File::Sealed { nonce, sealed } => {
                let passphrase = passphrase.ok_or(KeyError::Encrypted)?;
                let key = seal::argon2i_sensitive(passphrase, &SALT)?;
                Json::read(&seal::open(&key, nonce, sealed)?)?.secret()
            }
        }
    }
}

fn no_file(why: &'static str) -> KeyError {
    KeyError::NotAKeyFile { why }
}

impl Json {
    fn read(bytes: &[u8]) -> Result<Json, KeyError> {
        let json: Json = serde_json::from_slice(bytes).map_err(|_| no_file("it is no JSON"))?;
        match json.crypto_type {
            None | Some(SR25519) => Ok(json),
            Some(_) => Err(KeyError::Unsupported {
                what: "a key that is not of the kind sr25519",
                remedy: "make a new key: this chain signs with sr25519",
            }),
        }
    }

    /// The public keys that it states, by field; `None` for what cannot be read.
    fn stated(&self) -> Vec<(&'static str, Option<[u8; 32]>)> {
        let hex = |text: &String| bytes_of::<32>(text).map(|bytes| *bytes);
        let mut stated = Vec::new();
        stated.extend(
            self.account_id
                .as_ref()
                .map(|text| ("accountId", hex(text))),
        );
        stated.extend(
            self.public_key
                .as_ref()
                .map(|text| ("publicKey", hex(text))),
        );
        let address = self.ss58_address.as_ref();
        stated.extend(address.map(|text| ("ss58Address", ss58::public_key(text))));
        stated
    }

    /// The secret: of the phrase, else of the seed, else the private key, as Bittensor reads them; all that is stated
    /// beside it has to belong to it.
    fn secret(&self) -> Result<Secret, KeyError> {
        let broken = |why| move || no_file(why);
        let phrase = self.secret_phrase.as_ref();
        let seed = match &self.secret_seed {
            None => None,
            Some(text) => Some(bytes_of::<32>(text).ok_or_else(broken("its seed is none"))?),
        };
        let private = match &self.private_key {
            None => None,
            Some(text) => {
                let bytes = bytes_of::<64>(text).ok_or_else(broken("its private key is none"))?;
                let key = Keypair::from_secret_bytes(bytes.as_ref());
                Some(key.ok_or_else(broken("its private key is none"))?)
            }
        };
        let secret = match (phrase, &seed, &private) {
            (Some(phrase), ..) => {
                Secret::of_phrase(phrase).map_err(|_| no_file("its phrase is not of BIP-39"))?
            }
            (None, Some(seed), _) => Keypair::from_seed(seed)?.into(),
            (None, None, Some(key)) => key.clone().into(),
            (None, None, None) => return Err(no_file("it has no secret key")),
        };
        let of_seed = seed.map(|seed| Keypair::from_seed(&seed)).transpose()?;
        for (field, key) in [("secretSeed", of_seed), ("privateKey", private)] {
            if key.is_some_and(|key| key.public_key() != secret.keypair.public_key()) {
                return Err(KeyError::Mismatch { field });
            }
        }
        for (field, key) in self.stated() {
            if key != Some(secret.keypair.public_key()) {
                return Err(KeyError::Mismatch { field });
            }
        }
        Ok(secret)
    }
}

/// So many bytes in hexadecimal, after `0x` or not.
fn bytes_of<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0u8; N]);
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(digits, bytes.as_mut()).ok()?;
    Some(bytes)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    account_id: String,
    public_key: String,
    private_key: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_phrase: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_seed: Option<Text>,
    ss58_address: &'a str,
    crypto_type: u8,
}

/// A file with a key, whose address is `address`.
pub fn write(
    secret: &Secret,
    address: &str,
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    let public = hex(&secret.keypair.public_key());
    let seed = secret.phrase().map(seed_of_phrase).transpose()?;
    let written = Written {
        account_id: public.clone(),
        public_key: public,
        private_key: hex(secret.keypair.to_secret_bytes().as_ref()).into(),
        secret_phrase: secret.phrase(),
        secret_seed: seed.map(|seed| hex(seed.as_ref()).into()),
        ss58_address: address,
        crypto_type: SR25519,
    };
    let json = serde_json::to_vec(&written).map_err(|_| no_file("it cannot be written"))?;
    let json = Zeroizing::new(json);
    let Some(passphrase) = passphrase else {
        return Ok(json);
    };
    let nonce = seal::random()?;
    let key = seal::argon2i_sensitive(passphrase, &SALT)?;
    let sealed = seal::close(&key, &nonce, &json)?;
    Ok(Zeroizing::new([MAGIC, &nonce, &sealed].concat()))
}
