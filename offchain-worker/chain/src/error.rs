//! What can go wrong between a worker and the chain, in words that say what to do.

use std::time::Duration;

use cairn_primitives::H256;

use crate::{AccountId, DispatchError};

/// Why the chain did not do or say what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The URL is not a node's.
    #[error("`{url}` is not the address of a node: write ws://host:port or wss://host:port")]
    InvalidUrl {
        /// What was given.
        url: String,
    },
    /// Nobody answers.
    #[error(
        "no node answers at {url} ({why}): start cairn-node, or name another node with --node"
    )]
    NodeDown {
        /// The node's URL.
        url: String,
        /// What the system said.
        why: String,
    },
    /// None of several nodes can be asked.
    #[error("none of {number} nodes can be asked: {}: start cairn-node, or name another node with --node", .errors.join("; "))]
    NoneOf {
        /// How many were tried.
        number: usize,
        /// Each, and what was wrong with it.
        errors: Vec<String>,
        /// Whether it may be gone in a moment.
        may_pass: bool,
    },
    /// The node is catching up with its chain.
    #[error("the node at {url} is at block {best} where another was at {seen}: it is catching up")]
    Behind {
        /// The node's URL.
        url: String,
        /// Its best block.
        best: u32,
        /// The highest block seen.
        seen: u32,
    },
    /// The node is on another chain.
    #[error("the node at {url} is on another chain (genesis {found:?}, expected {expected:?}): name a node of this chain with --node, or start over on the new chain with a new data directory")]
    WrongChain {
        /// The node's URL.
        url: String,
        /// The genesis hash that was expected.
        expected: H256,
        /// The genesis hash of the node's chain.
        found: H256,
    },
    /// The node took too long.
    #[error("the node at {url} did not answer {what} within {} s: it is overloaded or unreachable; try again, or name another node with --node", .deadline.as_secs_f32())]
    TimedOut {
        /// The node's URL.
        url: String,
        /// What it was asked.
        what: String,
        /// How long it was given.
        deadline: Duration,
    },
    /// The node answered with an error.
    #[error("the node at {url} refused {what}: {message} (code {code})")]
    Refused {
        /// The node's URL.
        url: String,
        /// What it was asked.
        what: String,
        /// JSON-RPC error code.
        code: i32,
        /// What it said.
        message: String,
    },
    /// The node's runtime does not have this function.
    #[error("the runtime of the node at {url} has no {function}: use a worker and a node of the same release")]
    UnknownFunction {
        /// The node's URL.
        url: String,
        /// The runtime API's function.
        function: String,
    },
    /// The node no longer has, or never had, this block.
    #[error("the node at {url} does not have the state of block {hash:?}: read a newer block, or use a node that keeps more (--state-pruning archive)")]
    UnknownBlock {
        /// The node's URL.
        url: String,
        /// The block's hash.
        hash: H256,
    },
    /// The node's answer is not what it should be.
    #[error("the answer of the node at {url} to {what} cannot be read ({why}): use a worker and a node of the same release")]
    Malformed {
        /// The node's URL.
        url: String,
        /// What it was asked.
        what: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// The runtime does not have this call, or has it in another form.
    #[error("the runtime of the node cannot take the call {call} ({why}): use a worker and a node of the same release")]
    UnknownCall {
        /// Pallet and call.
        call: String,
        /// What is wrong.
        why: String,
    },
    /// The node did not take the transaction, or no block can have it any more.
    #[error("{call} of {account} was rejected: {reason}; {remedy}")]
    Rejected {
        /// Pallet and call.
        call: String,
        /// Who signed it.
        account: AccountId,
        /// What the node said.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The transaction was taken but did not get into a block in time.
    #[error("{call} of {account} is not in a block after {} s, and may still get into one up to block {valid_until}: look before sending it again", .deadline.as_secs_f32())]
    NotIncluded {
        /// Pallet and call.
        call: String,
        /// Who signed it.
        account: AccountId,
        /// How long was waited.
        deadline: Duration,
        /// The last block that can have it.
        valid_until: u32,
    },
    /// Another transaction of the same account took the place of this one.
    #[error("{call} of {account} was overtaken by another transaction with the nonce {nonce}: is the same key in use elsewhere? Send it again")]
    Overtaken {
        /// Pallet and call.
        call: String,
        /// Who signed it.
        account: AccountId,
        /// The nonce of both.
        nonce: u64,
    },
    /// A transaction that was signed before cannot be sent, now or later.
    #[error("{call} of {account} cannot be sent: its nonce {nonce} is used, by itself if it was sent before; look at the account before another one is signed")]
    NonceUsed {
        /// Pallet and call.
        call: String,
        /// Who signed it.
        account: AccountId,
        /// Its nonce.
        nonce: u64,
    },
    /// The call was executed and failed.
    #[error("{call} of {account} failed: {error}")]
    Dispatch {
        /// Pallet and call.
        call: String,
        /// Who signed it.
        account: AccountId,
        /// The runtime's error.
        error: Box<DispatchError>,
    },
    /// A secret that is none.
    #[error("this is not a key ({why}): give a mnemonic of 12 to 24 words, 0x and 64 hexadecimal digits, or //Alice for development")]
    InvalidKey {
        /// What is wrong with it; never the secret.
        why: String,
    },
    /// An address that is none.
    #[error("`{address}` is not an account's address: {why}")]
    InvalidAddress {
        /// What was given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ChainError {
    /// That several nodes were tried in vain.
    pub(crate) fn none_of(errors: &[ChainError]) -> ChainError {
        ChainError::NoneOf {
            number: errors.len(),
            errors: errors.iter().map(ChainError::in_short).collect(),
            may_pass: errors.iter().any(ChainError::is_transient),
        }
    }

    /// Which node, and what is wrong with it, without what to do.
    pub(crate) fn in_short(&self) -> String {
        match self {
            ChainError::NodeDown { url, why } => format!("{url} ({why})"),
            ChainError::TimedOut { url, what, .. } => format!("{url} (no answer to {what})"),
            ChainError::WrongChain { url, found, .. } => {
                format!("{url} (another chain, genesis {found:?})")
            }
            ChainError::Behind { url, best, seen } => {
                format!("{url} (at block {best} where another was at {seen})")
            }
            other => other.to_string(),
        }
    }

    /// Whether it may be gone in a moment: the node is down, slow or restarting.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            ChainError::NodeDown { .. }
                | ChainError::TimedOut { .. }
                | ChainError::Behind { .. }
                | ChainError::NoneOf { may_pass: true, .. }
        )
    }

    /// Whether it is the error `name` of `pallet` (see [`DispatchError`]).
    pub fn is_dispatch(&self, pallet: &str, name: &str) -> bool {
        matches!(self, ChainError::Dispatch { error, .. }
            if error.pallet == pallet && error.name == name)
    }
}

/// What the libraries underneath say, in one short line.
pub(crate) fn reason(text: &str) -> String {
    let mut text = text;
    // Each layer puts its name before what the one below said.
    while let Some(rest) = text.strip_prefix("RPC error: client error: ") {
        text = rest;
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_one_short_line_without_the_layers_names() {
        let text = "RPC error: client error: RPC error: client error: Connection\n refused";
        assert_eq!(reason(text), "Connection refused");
        assert_eq!(reason(&"ä".repeat(1_000)).chars().count(), 301);
    }

    #[test]
    fn errors_name_the_thing_and_the_remedy() {
        let url = || "ws://127.0.0.1:9944".to_string();
        let down = ChainError::NodeDown {
            url: url(),
            why: "connection refused".into(),
        };
        let wrong = ChainError::WrongChain {
            url: url(),
            expected: H256::repeat_byte(1),
            found: H256::repeat_byte(2),
        };
        let cases = [
            (down, vec!["ws://127.0.0.1:9944", "cairn-node", "--node"]),
            (
                wrong,
                vec!["ws://127.0.0.1:9944", "0x0101", "0x0202", "--node"],
            ),
        ];
        for (error, words) in cases {
            let text = error.to_string();
            assert!(!text.contains('\n'), "{text}");
            for word in words {
                assert!(text.contains(word), "{word} in {text}");
            }
        }
    }

    #[test]
    fn only_a_node_that_may_come_back_is_transient() {
        let url = || "ws://x".to_string();
        let what = || "x".to_string();
        assert!(ChainError::NodeDown {
            url: url(),
            why: what()
        }
        .is_transient());
        let deadline = Duration::from_secs(1);
        assert!(ChainError::TimedOut {
            url: url(),
            what: what(),
            deadline
        }
        .is_transient());
        let (expected, found) = (H256::zero(), H256::zero());
        assert!(!ChainError::WrongChain {
            url: url(),
            expected,
            found
        }
        .is_transient());
        let message = what();
        assert!(!ChainError::Refused {
            url: url(),
            what: what(),
            code: 1,
            message
        }
        .is_transient());
    }
}
