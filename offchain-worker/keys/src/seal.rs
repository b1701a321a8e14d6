//! Boxes that a passphrase opens: XSalsa20-Poly1305 under a key of scrypt or argon2i.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use crypto_secretbox::{aead::Aead, KeyInit, XSalsa20Poly1305};
use zeroize::Zeroizing;

use crate::{KeyError, Passphrase};

/// Bytes of a nonce.
pub const NONCE: usize = 24;
/// Bytes of a key.
const KEY: usize = 32;

/// The key of a box.
pub type Key = Zeroizing<[u8; KEY]>;

/// What scrypt costs: `N` (a power of two), `p` and `r`, of which memory is `128 · N · r` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrypt {
    /// N is two to the power of this.
    log_n: u8,
    p: u32,
    r: u32,
}

impl Scrypt {
    /// What polkadot.js takes, and has taken: at most 128 MiB. Read in polkadot-js/common, packages/util-crypto/src/
    /// scrypt/defaults.ts, as of 14.0.3.
    const ALLOWED: [(u8, u32, u32); 6] = [
        (13, 10, 8),
        (14, 5, 8),
        (15, 3, 8),
        (15, 1, 8),
        (16, 2, 8),
        (17, 1, 8),
    ];
    /// What new files have: what polkadot.js writes since 13.5.3.
    pub const NEW: Scrypt = Scrypt {
        log_n: 17,
        p: 1,
        r: 8,
    };

    /// The cost that a file names.
    ///
    /// # Errors
    /// [`KeyError::Cost`] unless it is one that stock wallets use.
    pub fn named(n: u32, p: u32, r: u32) -> Result<Scrypt, KeyError> {
        let is_it = |allowed: &&(u8, u32, u32)| {
            let (log_n, of_p, of_r) = **allowed;
            1u32 << log_n == n && of_p == p && of_r == r
        };
        let (log_n, p, r) =
            *Scrypt::ALLOWED
                .iter()
                .find(is_it)
                .ok_or(KeyError::Cost { n, r, p })?;
        Ok(Scrypt { log_n, p, r })
    }

    /// As a file names it: N, p, r.
    pub fn numbers(self) -> [u32; 3] {
        [1 << self.log_n, self.p, self.r]
    }

    /// The key of a passphrase.
    pub fn key(self, passphrase: &Passphrase, salt: &[u8]) -> Result<Key, KeyError> {
        let [n, p, r] = self.numbers();
        let cost = KeyError::Cost { n, r, p };
        let params = scrypt::Params::new(self.log_n, r, p).map_err(|_| cost.clone())?;
        let mut key = Key::default();
        scrypt::scrypt(passphrase.bytes(), salt, &params, key.as_mut()).map_err(|_| cost)?;
        Ok(key)
    }
}

/// Bytes of memory and passes of `OPSLIMIT_SENSITIVE` and `MEMLIMIT_SENSITIVE` of libsodium's argon2i 1.3.
const SENSITIVE_KIB: u32 = 512 * 1_024;
const SENSITIVE_PASSES: u32 = 8;

/// The key of a passphrase by argon2i 1.3 at the cost that libsodium calls sensitive: 512 MiB and 8 passes.
pub fn argon2i_sensitive(passphrase: &Passphrase, salt: &[u8]) -> Result<Key, KeyError> {
    let memory = KeyError::Memory {
        mib: (SENSITIVE_KIB / 1_024) as usize,
    };
    let params = Params::new(SENSITIVE_KIB, SENSITIVE_PASSES, 1, Some(KEY));
    let params = params.map_err(|_| memory.clone())?;
    let mut blocks: Vec<Block> = Vec::new();
    let count = params.block_count();
    blocks
        .try_reserve_exact(count)
        .map_err(|_| memory.clone())?;
    blocks.resize(count, Block::default());
    let mut key = Key::default();
    Argon2::new(Algorithm::Argon2i, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase.bytes(), salt, key.as_mut(), &mut blocks)
        .map_err(|_| memory)?;
    Ok(key)
}

/// Opens a box.
///
/// # Errors
/// [`KeyError::WrongPassphrase`] if the key is another, or a bit of nonce or box is.
pub fn open(key: &Key, nonce: &[u8; NONCE], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let cipher = XSalsa20Poly1305::new(key.as_ref().into());
    let opened = cipher.decrypt(nonce.into(), sealed);
    opened
        .map(Zeroizing::new)
        .map_err(|_| KeyError::WrongPassphrase)
}

/// Closes one.
pub fn close(key: &Key, nonce: &[u8; NONCE], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    let cipher = XSalsa20Poly1305::new(key.as_ref().into());
    let sealed = cipher.encrypt(nonce.into(), plain);
    // It only fails for more than 256 GiB.
    sealed.map_err(|_| KeyError::TooLong)
}

/// Random bytes of the system.
pub fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cannot_ask_for_much() {
        assert_eq!(Scrypt::named(1 << 17, 1, 8), Ok(Scrypt::NEW));
        for (n, p, r) in [
            (0, 1, 8),
            (1, 1, 8),
            (1 << 17, 2, 8),
            (1 << 17, 1, 16),
            (1 << 18, 1, 8),
            (1 << 31, 1, 8),
            (u32::MAX, u32::MAX, u32::MAX),
            (1 << 15, 0, 8),
            (1 << 15, 1, 0),
            ((1 << 15) + 1, 1, 8),
        ] {
            assert_eq!(Scrypt::named(n, p, r), Err(KeyError::Cost { n, r, p }));
        }
    }

    #[test]
    fn a_box_with_any_bit_changed_stays_closed() {
        let (key, nonce) = (Key::new([7; 32]), [9; NONCE]);
        let sealed = close(&key, &nonce, b"secret").unwrap();
        assert_eq!(open(&key, &nonce, &sealed).unwrap().as_slice(), b"secret");
        let whole = [&nonce[..], &sealed].concat();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (nonce, sealed) = bytes.split_at(NONCE);
            let opened = open(&key, nonce.try_into().unwrap(), sealed);
            assert_eq!(opened, Err(KeyError::WrongPassphrase));
        }
        for length in 0..sealed.len() {
            assert!(open(&key, &nonce, &sealed[..length]).is_err());
        }
    }
}
