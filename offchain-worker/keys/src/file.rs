//! Key files of either format.

use std::str::FromStr;

use zeroize::Zeroizing;

use crate::{bittensor, polkadot_js, KeyError, Passphrase, Secret};

/// The most bytes of a key file; those of stock wallets have less than one KiB.
pub const MAX_FILE: usize = 64 * 1_024;

/// Whose key file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON of polkadot.js, version 3.
    PolkadotJs,
    /// A key file of Bittensor.
    Bittensor,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "polkadot-js" => Ok(Format::PolkadotJs),
            "bittensor" => Ok(Format::Bittensor),
            _ => Err("a format is polkadot-js or bittensor".into()),
        }
    }
}

/// A key file that was read, its key still in it.
pub struct KeyFile(Kind);

enum Kind {
    PolkadotJs(polkadot_js::File),
    Bittensor(bittensor::File),
}

impl KeyFile {
    /// Reads a key file of either format.
    ///
    /// # Errors
    /// A [`KeyError`] that says what it is instead: too long, no key file, one of another kind, or one whose passphrase
    /// would cost too much to try.
    pub fn read(bytes: &[u8]) -> Result<KeyFile, KeyError> {
        if bytes.len() > MAX_FILE {
            return Err(KeyError::TooLong);
        }
        if bytes.starts_with(b"$") || bytes.starts_with(b"gAAAAA") {
            return bittensor::File::read(bytes).map(|file| KeyFile(Kind::Bittensor(file)));
        }
        let no_file = |why| KeyError::NotAKeyFile { why };
        let text = std::str::from_utf8(bytes).map_err(|_| no_file("it is no text"))?;
        let fields: Fields = serde_json::from_str(text).map_err(|_| no_file("it is no JSON"))?;
        match fields {
            Fields {
                accounts: Some(_), ..
            } => Err(KeyError::Unsupported {
                what: "a backup of several accounts",
                remedy: "export the account alone",
            }),
            Fields {
                encoding: Some(_), ..
            } => polkadot_js::File::read(text).map(|file| KeyFile(Kind::PolkadotJs(file))),
            _ => bittensor::File::read(bytes).map(|file| KeyFile(Kind::Bittensor(file))),
        }
    }

    /// Whose format it has.
    pub fn format(&self) -> Format {
        match self.0 {
            Kind::PolkadotJs(_) => Format::PolkadotJs,
            Kind::Bittensor(_) => Format::Bittensor,
        }
    }

    /// Whether it takes a passphrase to open.
    pub fn is_encrypted(&self) -> bool {
        match &self.0 {
            Kind::PolkadotJs(file) => file.is_encrypted(),
            Kind::Bittensor(file) => file.is_encrypted(),
        }
    }

    /// The public key that the file states, where that can be seen without its passphrase. That its secret belongs to
    /// it is only known once it was opened.
    pub fn public_key(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Kind::PolkadotJs(file) => Some(file.public_key()),
            Kind::Bittensor(file) => file.public_key(),
        }
    }

    /// Takes the secret out. Under a passphrase that takes a second or so, and 128 MiB of memory; for Bittensor's files
    /// seconds, and 512 MiB.
    ///
    /// # Errors
    /// [`KeyError::Encrypted`] if it takes a passphrase and none is given, [`KeyError::WrongPassphrase`] if it is
    /// another or the file is damaged, [`KeyError::Mismatch`] if the file states an address that is not its key's.
    pub fn open(&self, passphrase: Option<&Passphrase>) -> Result<Secret, KeyError> {
        match &self.0 {
            Kind::PolkadotJs(file) => file.open(passphrase),
            Kind::Bittensor(file) => file.open(passphrase),
        }
    }
}

/// What the formats are told apart by.
#[derive(serde::Deserialize)]
struct Fields {
    accounts: Option<serde::de::IgnoredAny>,
    encoding: Option<serde::de::IgnoredAny>,
}

/// A key file with this secret: under a passphrase, or in plain text. `name` is what people call the key, where the
/// format has a place for it, and `address` its address on this chain.
///
/// # Errors
/// [`KeyError::NoRandomness`] and [`KeyError::Memory`].
pub fn write(
    format: Format,
    secret: &Secret,
    (name, address): (&str, &str),
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    match format {
        Format::PolkadotJs => polkadot_js::write(secret, (name, address), passphrase),
        Format::Bittensor => bittensor::write(secret, address, passphrase),
    }
}
