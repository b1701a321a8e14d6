//! What a key file keeps.

use std::fmt;

use zeroize::Zeroizing;

use crate::{KeyError, Keypair};

/// A key pair, with the phrase that it comes from where that is known.
#[derive(Clone)]
pub struct Secret {
    pub(crate) keypair: Keypair,
    pub(crate) phrase: Option<Zeroizing<String>>,
}

impl Secret {
    /// The secret of a BIP-39 phrase, without a path or a password.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] if it is no phrase.
    pub fn of_phrase(phrase: &str) -> Result<Secret, KeyError> {
        let seed = crate::keypair::seed_of_phrase(phrase)?;
        Ok(Secret {
            keypair: Keypair::from_seed(&seed)?,
            phrase: Some(Zeroizing::new(phrase.to_string())),
        })
    }

    /// The key pair.
    pub fn keypair(&self) -> &Keypair {
        &self.keypair
    }

    /// The phrase, if it is known: polkadot.js does not keep it.
    pub fn phrase(&self) -> Option<&str> {
        self.phrase.as_ref().map(|phrase| phrase.as_str())
    }
}

impl From<Keypair> for Secret {
    fn from(keypair: Keypair) -> Secret {
        Secret {
            keypair,
            phrase: None,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({:?})", self.keypair)
    }
}
