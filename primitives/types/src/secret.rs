//! What nobody else may see.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::H256;

/// 32 secret bytes: the key of a sealed contribution before it is revealed, the salt of a hidden row of scores. Its
/// `Debug` shows none of them.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(H256);

impl Secret {
    /// Takes the bytes, which must come from the system's random numbers.
    pub fn new(bytes: [u8; 32]) -> Secret {
        Secret(H256(bytes))
    }

    /// The bytes, to be sent or hashed.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0 .0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new([0xab; 32]);
        assert_eq!(alloc::format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), &[0xab; 32]);
    }
}
