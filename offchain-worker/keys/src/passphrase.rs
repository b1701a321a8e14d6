//! Passphrases.

use std::fmt;

use zeroize::Zeroizing;

use crate::KeyError;

/// The fewest characters of a new passphrase.
const SHORTEST: usize = 8;
/// The most bytes of any passphrase.
const LONGEST: usize = 1_024;

/// A passphrase: never shown, and wiped when it is dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// One that a file may have been encrypted with.
    ///
    /// # Errors
    /// [`KeyError::BadPassphrase`] for one that is empty, which is none, or longer than 1,024 bytes.
    pub fn new(text: Zeroizing<String>) -> Result<Passphrase, KeyError> {
        match text.len() {
            0 => Err(bad("the passphrase is empty: give one")),
            1..=LONGEST => Ok(Passphrase(text)),
            _ => Err(bad(
                "the passphrase is longer than 1,024 bytes: give a shorter one",
            )),
        }
    }

    /// Whether a new file may be encrypted with it.
    ///
    /// # Errors
    /// [`KeyError::BadPassphrase`] for one of fewer than eight characters, and for one with white space at an end,
    /// which Bittensor's tools cut off.
    pub fn check_new(&self) -> Result<(), KeyError> {
        if self.0.trim() != self.0.as_str() {
            return Err(bad(
                "the passphrase begins or ends with white space, which some wallets cut off: give one without",
            ));
        }
        if self.0.chars().count() < SHORTEST {
            return Err(bad(
                "the passphrase has fewer than 8 characters: give a longer one",
            ));
        }
        Ok(())
    }

    /// Whether it is the same text.
    pub fn is(&self, other: &Passphrase) -> bool {
        self.0 == other.0
    }

    /// Its bytes, UTF-8.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn bad(why: &'static str) -> KeyError {
    KeyError::BadPassphrase { why }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_passphrase_is_long_and_has_no_space_at_its_ends() {
        let of = |text: &str| Passphrase::new(Zeroizing::new(text.into()));
        assert!(of("").is_err() && of(&"x".repeat(1_025)).is_err());
        for (text, good) in [
            ("correct horse", true),
            ("ééééääää", true),
            ("ééääöö", false),
            ("correct horse ", false),
            ("\tcorrect horse", false),
        ] {
            let passphrase = of(text).unwrap();
            assert_eq!(passphrase.check_new().is_ok(), good, "{text:?}");
            assert_eq!(format!("{passphrase:?}"), "Passphrase");
        }
    }
}
