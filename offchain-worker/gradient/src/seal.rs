//! Contributions are sealed before anybody can see them.
//!
//! The cipher is ChaCha20 (RFC 8439) with its counter from 0; key and nonce are both derived from the one
//! secret that the miner reveals later, so a secret must seal one file only. Nothing is authenticated here:
//! the chain holds the root of the sealed bytes, and of the secret a hash that binds it to its miner.

use std::{
    fmt,
    io::{self, Read},
};

use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20::ChaCha20;
use rayon::prelude::*;

/// BLAKE3's key-derivation context of the cipher's key and nonce.
const CONTEXT: &str = "cairn contribution seal, version 1: ChaCha20 key and nonce";
/// Bytes that one thread seals at a time, a multiple of the cipher's block.
const PIECE: usize = 1 << 20;

/// Seals a file in place. Its length stays.
///
/// # Panics
/// If the file is longer than 256 GiB, where ChaCha20's counter ends. [`crate::max_encoded_len`] is an upper
/// bound to what has to be sealed.
pub fn seal(plain: &mut [u8], key: &[u8; 32]) {
    apply(plain, key);
}

/// Opens a sealed file in place. Any key gives some bytes; whether they are a contribution,
/// [`crate::decode`] tells.
///
/// # Panics
/// As [`seal`].
pub fn open(sealed: &mut [u8], key: &[u8; 32]) {
    apply(sealed, key);
}

fn apply(bytes: &mut [u8], secret: &[u8; 32]) {
    let derived = Derived::of(secret);
    bytes
        .par_chunks_mut(PIECE)
        .enumerate()
        .for_each(|(number, piece)| {
            let mut cipher = derived.cipher();
            cipher.seek(number as u64 * PIECE as u64);
            cipher.apply_keystream(piece);
        });
}

/// What is derived from the secret.
struct Derived {
    key: [u8; 32],
    nonce: [u8; 12],
}

impl Derived {
    fn of(secret: &[u8; 32]) -> Derived {
        let mut bytes = [0; 44];
        blake3::Hasher::new_derive_key(CONTEXT)
            .update(secret)
            .finalize_xof()
            .fill(&mut bytes);
        let (mut key, mut nonce) = ([0; 32], [0; 12]);
        key.copy_from_slice(&bytes[..32]);
        nonce.copy_from_slice(&bytes[32..]);
        Derived { key, nonce }
    }

    /// The cipher at the start of the file.
    fn cipher(&self) -> ChaCha20 {
        ChaCha20::new(&self.key.into(), &self.nonce.into())
    }
}

/// A sealed file that is opened while it is read, from its start.
pub struct Opened<R> {
    sealed: R,
    cipher: ChaCha20,
}

impl<R> Opened<R> {
    /// Reads `sealed`, which is at its start.
    pub fn new(sealed: R, key: &[u8; 32]) -> Opened<R> {
        Opened {
            sealed,
            cipher: Derived::of(key).cipher(),
        }
    }
}

/// Without the cipher's state: it would show the key.
impl<R: fmt::Debug> fmt::Debug for Opened<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("sealed", &self.sealed)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Read for Opened<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.sealed.read(buffer)?;
        let end = || io::Error::other("a sealed file of more than 256 GiB: refuse it");
        self.cipher
            .try_apply_keystream(&mut buffer[..length])
            .map_err(|_| end())?;
        Ok(length)
    }
}
