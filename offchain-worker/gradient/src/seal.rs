//! Contributions are sealed before anybody can see them.
//!
//! The cipher is ChaCha20 (RFC 8439) with its counter from 0; key and nonce are both derived from the one
//! secret that the miner reveals later, so a secret must seal one file only. Nothing is authenticated here:
//! the chain holds the root of the sealed bytes, and of the secret a hash that binds it to its miner.

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
    let mut derived = [0; 44];
    blake3::Hasher::new_derive_key(CONTEXT)
        .update(secret)
        .finalize_xof()
        .fill(&mut derived);
    let (mut key, mut nonce) = ([0; 32], [0; 12]);
    key.copy_from_slice(&derived[..32]);
    nonce.copy_from_slice(&derived[32..]);
    bytes
        .par_chunks_mut(PIECE)
        .enumerate()
        .for_each(|(number, piece)| {
            let mut cipher = ChaCha20::new(&key.into(), &nonce.into());
            cipher.seek(number as u64 * PIECE as u64);
            cipher.apply_keystream(piece);
        });
}
