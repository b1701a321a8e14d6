//! Whether a transaction that is in no block yet can still get into one.
//!
//! The node's pool does not say: it drops what became invalid without a word to whoever offered it, or keeps it for a
//! while and calls it known when it is offered again. The runtime says, of the state after every block.

use crate::{ChainError, View};

/// The runtime API's function by which a pool decides what it takes.
const FUNCTION: &str = "TaggedTransactionQueue_validate_transaction";
/// `TransactionSource::External`: as it comes from a client.
const EXTERNAL: u8 = 2;

impl View {
    /// Why no block after this one can have the transaction; `None` if one may, or if that cannot be told.
    ///
    /// # Errors
    /// Those of the connection. That the node does not keep the block, or refuses to say, is none.
    pub(crate) async fn invalidity(
        &self,
        transaction: &[u8],
    ) -> Result<Option<&'static str>, ChainError> {
        let hash = self.block_hash();
        let arguments = [&[EXTERNAL][..], transaction, hash.as_bytes()].concat();
        match self.ask(FUNCTION, &arguments).await {
            Ok(answer) => Ok(reason(&answer)),
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                tracing::debug!(%error, "the node does not say whether a transaction is still valid");
                Ok(None)
            }
        }
    }
}

/// Why a transaction is invalid for good, by the first bytes of a `TransactionValidity`, in the words that nodes use.
/// One that is only early, outdated (its nonce is used, by itself perhaps), or that finds the block full is not.
/// Nor is one that cannot pay now, or whose anchor's fork was dropped (a bad proof): the node may keep it, and a later
/// block take it, and who sent it again would have paid twice.
fn reason(answer: &[u8]) -> Option<&'static str> {
    // Err(TransactionValidityError::Invalid(why))
    let [1, 0, why, ..] = answer else {
        return None;
    };
    match why {
        0 => Some("Transaction call is not expected"),
        5 => Some("Transaction has an ancient birth block"),
        7 => Some("InvalidTransaction custom error"),
        10 => Some("Invalid signing address"),
        12 => Some("The transaction extension did not authorize any origin"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_invalid_is_given_up() {
        let reasons = |invalid: u8| reason(&[1, 0, invalid]);
        for passing in [1, 2, 3, 4, 6, 8, 9, 11, 13, 255] {
            assert_eq!(reasons(passing), None, "{passing}");
        }
        for lasting in [0, 5, 10, 12] {
            assert!(reasons(lasting).is_some(), "{lasting}");
        }
        assert!(reason(&[1, 0, 7, 9]).is_some(), "with its number");
        // Valid; the runtime does not know; no answer at all.
        for told in [&[0, 0, 1][..], &[1, 1, 0], &[1, 0], &[]] {
            assert_eq!(reason(told), None, "{told:?}");
        }
    }
}
