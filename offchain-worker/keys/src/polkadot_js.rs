//! Key files of polkadot.js, version 3.
//!
//! `encoded` is, in base64, a key in a PKCS #8 envelope of 117 bytes. Under a passphrase it is a box around it:
//! 32 bytes of salt and scrypt's N, p and r, each four bytes little-endian; a nonce of 24 bytes; then
//! XSalsa20-Poly1305. Read in polkadot-js/common 14.0.3: packages/keyring/src/pair/{decode,encode,defaults}.ts and
//! packages/util-crypto/src/{json,scrypt}/.

use base64::{engine::general_purpose::STANDARD, Engine};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    seal::{self, Scrypt, NONCE},
    ss58,
    text::Text,
    KeyError, Keypair, Passphrase, Secret,
};

/// What stands before the secret.
const HEADER: [u8; 16] = [48, 83, 2, 1, 1, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
/// What stands between the secret and the public key.
const DIVIDER: [u8; 5] = [161, 35, 3, 33, 0];
/// Bytes of the secret, of the public key, and of all.
const SECRET: usize = 64;
const PUBLIC: usize = 32;
const ENVELOPE: usize = HEADER.len() + SECRET + DIVIDER.len() + PUBLIC;
/// Bytes of the salt.
const SALT: usize = 32;

const VERSION: &str = "3";
const CONTENT: [&str; 2] = ["pkcs8", "sr25519"];
const ENCRYPTED: [&str; 2] = ["scrypt", "xsalsa20-poly1305"];
const PLAIN: [&str; 1] = ["none"];

/// A file as it lies there, its key still in it.
pub struct File {
    address: [u8; PUBLIC],
    content: Content,
}

enum Content {
    Plain(Zeroizing<Vec<u8>>),
    Sealed {
        cost: Scrypt,
        salt: [u8; SALT],
        nonce: [u8; NONCE],
        sealed: Vec<u8>,
    },
}

#[derive(Deserialize)]
struct Json {
    address: String,
    encoded: Text,
    encoding: Encoding,
}

#[derive(Deserialize)]
struct Encoding {
    content: OneOrMore,
    #[serde(rename = "type")]
    kind: OneOrMore,
    version: String,
}

/// Old files have a text where newer ones have a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn texts(&self) -> Vec<&str> {
        match self {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts.iter().map(String::as_str).collect(),
        }
    }
}

impl File {
    /// Reads one.
    pub fn read(json: &str) -> Result<File, KeyError> {
        let json: Json = serde_json::from_str(json).map_err(|_| no_file("fields are missing"))?;
        let sealed = is_sealed(&json.encoding)?;
        let address = ss58::public_key(&json.address);
        let address = address.ok_or_else(|| no_file("its address is none"))?;
        let bytes = Zeroizing::new(bytes_of(&json.encoded)?);
        let content = match sealed {
            true => sealed_of(&bytes)?,
            false => Content::Plain(bytes),
        };
        Ok(File { address, content })
    }

    /// Whether it takes a passphrase.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.content, Content::Sealed { .. })
    }

    /// The public key that it states.
    pub fn public_key(&self) -> [u8; PUBLIC] {
        self.address
    }

    /// The secret in it.
    pub fn open(&self, passphrase: Option<&Passphrase>) -> Result<Secret, KeyError> {
        let keypair = match &self.content {
            Content::Plain(envelope) => taken_out(envelope)?,
            Content::Sealed {
                cost,
                salt,
                nonce,
                sealed,
            } => {
                let key = cost.key(passphrase.ok_or(KeyError::Encrypted)?, salt)?;
                taken_out(&seal::open(&key, nonce, sealed)?)?
            }
        };
        match keypair.public_key() == self.address {
            true => Ok(keypair.into()),
            false => Err(KeyError::Mismatch { field: "address" }),
        }
    }
}

fn no_file(why: &'static str) -> KeyError {
    KeyError::NotAKeyFile { why }
}

/// Whether the content is under a passphrase; what is neither that nor plain is refused.
fn is_sealed(encoding: &Encoding) -> Result<bool, KeyError> {
    let unsupported = |what, remedy| Err(KeyError::Unsupported { what, remedy });
    if encoding.version != VERSION {
        return unsupported(
            "a polkadot.js file of a version other than 3",
            "open it in the wallet that made it, and export it anew",
        );
    }
    let content = encoding.content.texts();
    if content != CONTENT {
        return unsupported(
            "a key that is not of the kind sr25519",
            "make a new key: this chain signs with sr25519",
        );
    }
    match encoding.kind.texts().as_slice() {
        kind if kind == ENCRYPTED => Ok(true),
        kind if kind == PLAIN => Ok(false),
        _ => unsupported(
            "a polkadot.js file that is neither plain nor under scrypt",
            "open it in the wallet that made it, and export it anew",
        ),
    }
}

/// Base64, or hexadecimal after `0x` as old files have it.
fn bytes_of(encoded: &str) -> Result<Vec<u8>, KeyError> {
    let bytes = match encoded.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).ok(),
        None => STANDARD.decode(encoded).ok(),
    };
    bytes.ok_or_else(|| no_file("its key is not in base64"))
}

fn sealed_of(bytes: &[u8]) -> Result<Content, KeyError> {
    let parts = || {
        let (salt, rest) = bytes.split_first_chunk::<SALT>()?;
        let (n, rest) = rest.split_first_chunk::<4>()?;
        let (p, rest) = rest.split_first_chunk::<4>()?;
        let (r, rest) = rest.split_first_chunk::<4>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        Some((salt, [*n, *p, *r].map(u32::from_le_bytes), nonce, sealed))
    };
    let (salt, [n, p, r], nonce, sealed) = parts().ok_or_else(|| no_file("its key is cut off"))?;
    Ok(Content::Sealed {
        cost: Scrypt::named(n, p, r)?,
        salt: *salt,
        nonce: *nonce,
        sealed: sealed.to_vec(),
    })
}

/// The key pair in an envelope.
fn taken_out(envelope: &[u8]) -> Result<Keypair, KeyError> {
    let parts = || {
        let rest = envelope.strip_prefix(&HEADER)?;
        let (secret, rest) = rest.split_first_chunk::<SECRET>()?;
        let public: &[u8; PUBLIC] = rest.strip_prefix(&DIVIDER)?.try_into().ok()?;
        Some((secret, public))
    };
    let (secret, public) = parts().ok_or_else(|| no_file("its key has another form"))?;
    let keypair = Keypair::from_ed25519_bytes(secret);
    let keypair = keypair.ok_or_else(|| no_file("its secret is none of sr25519"))?;
    match keypair.public_key() == *public {
        true => Ok(keypair),
        false => Err(KeyError::Mismatch {
            field: "public key",
        }),
    }
}

#[derive(Serialize)]
struct Written<'a> {
    encoded: Text,
    encoding: WrittenEncoding<'a>,
    address: &'a str,
    meta: Meta<'a>,
}

#[derive(Serialize)]
struct WrittenEncoding<'a> {
    content: [&'a str; 2],
    #[serde(rename = "type")]
    kind: &'a [&'a str],
    version: &'a str,
}

#[derive(Serialize)]
struct Meta<'a> {
    name: &'a str,
}

/// A file with a key, for people called `name`; `address` is its address.
pub fn write(
    secret: &Secret,
    (name, address): (&str, &str),
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let envelope = envelope(secret.keypair());
    let (bytes, kind) = match passphrase {
        None => (envelope, &PLAIN[..]),
        Some(passphrase) => {
            let sealed = close(&envelope, passphrase, seal::random()?, seal::random()?)?;
            (Zeroizing::new(sealed), &ENCRYPTED[..])
        }
    };
    let written = Written {
        encoded: STANDARD.encode(&*bytes).into(),
        encoding: WrittenEncoding {
            content: CONTENT,
            kind,
            version: VERSION,
        },
        address,
        meta: Meta { name },
    };
    let json = serde_json::to_vec(&written).map_err(|_| no_file("it cannot be written"))?;
    Ok(Zeroizing::new(json))
}

fn envelope(keypair: &Keypair) -> Zeroizing<Vec<u8>> {
    // Its room is asked for at once: growing would leave pieces of the secret behind.
    let mut envelope = Zeroizing::new(Vec::with_capacity(ENVELOPE));
    envelope.extend(HEADER);
    envelope.extend_from_slice(keypair.to_ed25519_bytes().as_ref());
    envelope.extend(DIVIDER);
    envelope.extend(keypair.public_key());
    envelope
}

fn close(
    envelope: &[u8],
    passphrase: &Passphrase,
    salt: [u8; SALT],
    nonce: [u8; NONCE],
) -> Result<Vec<u8>, KeyError> {
    let key = Scrypt::NEW.key(passphrase, &salt)?;
    let mut bytes = salt.to_vec();
    for number in Scrypt::NEW.numbers() {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(nonce);
    bytes.extend(seal::close(&key, &nonce, envelope)?);
    Ok(bytes)
}
