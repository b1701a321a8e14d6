//! Who a peer is.

use std::{
    fmt, fs,
    io::{Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    str::FromStr,
};

use crate::PeerError;

/// Sets keys of peers apart from whatever else is made of the same secret.
const DOMAIN: &str = "cairn-p2p 2026-11-28 key of an endpoint";

/// The longest file of a key: 64 digits and an end of line.
const MAX_FILE: u64 = 66;

/// A peer's public key: 32 bytes of ed25519. Whoever answers under it has the [`PeerKey`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

impl PeerId {
    pub(crate) fn endpoint(&self) -> Result<iroh::EndpointId, PeerError> {
        iroh::EndpointId::from_bytes(&self.0).map_err(|_| PeerError::NotAnId { id: *self })
    }
}

impl From<iroh::EndpointId> for PeerId {
    fn from(id: iroh::EndpointId) -> Self {
        PeerId(*id.as_bytes())
    }
}

/// 64 hexadecimal digits in lower case.
impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from(self.0).to_hex())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

impl FromStr for PeerId {
    type Err = PeerError;

    /// # Errors
    /// [`PeerError::NotAnId`], with zeros for a text that is not 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<PeerId, PeerError> {
        let bytes = blake3::Hash::from_hex(text).map_or([0; 32], |hash| *hash.as_bytes());
        let id = PeerId(bytes);
        match bytes == [0; 32] {
            true => Err(PeerError::NotAnId { id }),
            false => id.endpoint().map(PeerId::from),
        }
    }
}

/// A peer's secret key. It is shown nowhere.
#[derive(Clone)]
pub struct PeerKey(iroh::SecretKey);

/// Its public half.
impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey(of {})", self.id())
    }
}

impl PeerKey {
    /// The key that is these 32 bytes. Any are a key.
    pub fn from_bytes(bytes: &[u8; 32]) -> PeerKey {
        PeerKey(iroh::SecretKey::from_bytes(bytes))
    }

    /// The key that follows from another secret, such as a hotkey's: the same each time, and nothing of the secret can
    /// be learnt from it.
    pub fn derive(secret: &[u8; 32]) -> PeerKey {
        PeerKey::from_bytes(&blake3::derive_key(DOMAIN, secret))
    }

    /// The key in a file: 64 hexadecimal digits. Only the file's owner may have access to it.
    ///
    /// # Errors
    /// [`PeerError::KeyFile`].
    pub fn load(path: &Path) -> Result<PeerKey, PeerError> {
        let failed = |why: String| PeerError::KeyFile {
            path: path.to_path_buf(),
            why,
        };
        let file = fs::File::open(path).map_err(|error| failed(error.to_string()))?;
        let found = file.metadata().map_err(|error| failed(error.to_string()))?;
        if found.permissions().mode() & 0o077 != 0 {
            return Err(failed("others may read it: chmod 600".into()));
        }
        let mut text = String::new();
        let read = file.take(MAX_FILE).read_to_string(&mut text);
        read.map_err(|error| failed(error.to_string()))?;
        let key = blake3::Hash::from_hex(text.trim_end());
        let key = key.map_err(|_| failed("it is not 64 hexadecimal digits".into()))?;
        Ok(PeerKey::from_bytes(key.as_bytes()))
    }

    /// A new random key, written to a file that is not there yet and that only its owner may read.
    ///
    /// # Errors
    /// [`PeerError::KeyFile`].
    pub fn make(path: &Path) -> Result<PeerKey, PeerError> {
        let failed = |error: std::io::Error| PeerError::KeyFile {
            path: path.to_path_buf(),
            why: error.to_string(),
        };
        let key = iroh::SecretKey::generate();
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let text = blake3::Hash::from(key.to_bytes()).to_hex();
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.write_all(b"\n").map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(PeerKey(key))
    }

    /// The public half.
    pub fn id(&self) -> PeerId {
        self.0.public().into()
    }

    pub(crate) fn secret(&self) -> iroh::SecretKey {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_ids_have_golden_values() {
        // RFC 8032, section 7.1, test 1.
        let secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let key = PeerKey::from_bytes(blake3::Hash::from_hex(secret).unwrap().as_bytes());
        assert_eq!(key.id().to_string(), public);
        assert_eq!(public.parse::<PeerId>().unwrap(), key.id());
        let derived = PeerKey::derive(&[7; 32]);
        assert_eq!(
            derived.id().to_string(),
            "d083c0c5d5f2bd7f563e5294654e20caac39c519d3e9382d46ea84bf03a86581"
        );
        assert_ne!(derived.id(), PeerKey::from_bytes(&[7; 32]).id());
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = [0x5a; 32];
        let key = PeerKey::from_bytes(&secret);
        let shown = format!("{key:?} {:?}", key.secret());
        assert!(!shown.contains("5a5a5a"), "{shown}");
        assert!(!shown.contains("90, 90"), "{shown}");
        assert!(shown.contains(&key.id().to_string()), "{shown}");
    }

    #[test]
    fn a_key_is_made_once_and_loaded_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peer.key");
        let made = PeerKey::make(&path).unwrap();
        assert_eq!(PeerKey::load(&path).unwrap().id(), made.id());
        let again = PeerKey::make(&path).unwrap_err();
        assert!(matches!(again, PeerError::KeyFile { .. }), "{again:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let open = PeerKey::load(&path).unwrap_err().to_string();
        assert!(open.contains("chmod 600"), "{open}");
    }

    #[test]
    fn what_is_no_key_and_no_id_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peer.key");
        for text in ["", "5a", &"5a".repeat(33), &"xy".repeat(32)] {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let error = PeerKey::load(&path).unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal"), "{error}");
            assert!(!error.contains("5a5a"), "{error}");
        }
        // No point of the curve has this y.
        let none = PeerId([2; 32].map(|byte: u8| byte));
        assert_eq!(none.endpoint(), Err(PeerError::NotAnId { id: none }));
        for text in ["", "ab", &"02".repeat(32), &"00".repeat(32)] {
            assert!(text.parse::<PeerId>().is_err(), "{text}");
        }
    }
}
