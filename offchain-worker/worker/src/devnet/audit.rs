//! The chain's books, block by block.
//!
//! The node of a debug build answers whether everything adds up, down to the last entry of the state
//! (`AuditApi`); that of a release build has the totals only. What is wrong in one block stays wrong, so
//! that a block that goes by unseen hides nothing.

use cairn_chain::{Block, ChainError, View};

use super::report::adds_up;
use crate::error::Failure;

/// An error, if the books are wrong after `block`, whose state `view` is.
pub async fn audit(view: &View, block: Block) -> Result<(), Failure> {
    let wrong = match view.audit().await {
        Ok(answer) => answer.err(),
        Err(ChainError::UnknownFunction { .. }) => {
            let right = adds_up(&view.issuance().await?.into());
            (!right).then(|| "issued is not the sum of its parts".to_string())
        }
        Err(error) => return Err(error.into()),
    };
    match wrong {
        None => Ok(()),
        Some(what) => Err(wrong_books(block, &what)),
    }
}

fn wrong_books(block: Block, what: &str) -> Failure {
    Failure::new(
        format!(
            "after block {} the chain's books are wrong: {what}",
            block.number
        ),
        "report this, with the node's log",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::H256;

    #[test]
    fn it_says_what_is_wrong_and_since_when() {
        let block = Block {
            number: 7,
            hash: H256::zero(),
        };
        let text = wrong_books(block, "stakes do not add up").to_string();
        assert!(
            text.contains("block 7") && text.contains("stakes do not add up"),
            "{text}"
        );
    }
}
