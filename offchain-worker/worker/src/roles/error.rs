//! Why a role stops.

use std::path::PathBuf;

use cairn_chain::ChainError;
use cairn_engine::EngineError;
use cairn_primitives::{BlockNumber, ModelRoot, Netuid, Round, Uid};
use cairn_store::StoreError;

use super::state::StateError;
use crate::error::Failure;

/// Why a role stopped. What may be gone in a moment (a node that restarts, a file that is not there yet)
/// does not stop it.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// The chain.
    #[error(transparent)]
    Chain(Box<ChainError>),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain stands still, or the nodes do.
    #[error("no new block for {seconds} s{}: see whether the node is in sync and its authorities are up, and start again; --stall-after says how long to wait", .last.map(|last| format!(", none since block {last}")).unwrap_or_default())]
    NoBlocks {
        /// For how long.
        seconds: u64,
        /// The best block.
        last: Option<BlockNumber>,
    },
    /// A part of the work does not end, while blocks come.
    #[error("{what} does not end, and began {seconds} s and {blocks} blocks ago: see whether the node, the device, the disk and the store still answer, and start again, which goes on from the disk; --stall-after says how long to wait at least")]
    Stuck {
        /// Which.
        what: &'static str,
        /// Since when.
        seconds: u64,
        /// Blocks that were seen since then.
        blocks: BlockNumber,
    },
    /// The store that a run names.
    #[error("the run keeps its data elsewhere, and {0}; to read from there all the same, say --trust-run-store")]
    NamedStore(StoreError),
    /// What this worker serves, or fetches from.
    #[error("{0}")]
    Peer(String),
    /// What is kept on disk.
    #[error(transparent)]
    State(#[from] StateError),
    /// The model cannot be computed here.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The run's data or first parameters.
    #[error("{0}")]
    Run(String),
    /// The data set is another one than the run says.
    #[error("the data set has {found} windows of {length} tokens, the run says {expected}: its configuration is wrong; tell the subnet's owner")]
    Windows {
        /// Windows that there are.
        found: u64,
        /// Windows that the run says there are.
        expected: u64,
        /// Tokens per window.
        length: u32,
    },
    /// The run on chain is another one than the one that was begun with.
    #[error("the run on subnet {netuid} was replaced: the present one was started at block {found}, this worker's at block {expected}; name another --state-dir, or leave it out to have one per run")]
    RunReplaced {
        /// The subnet.
        netuid: Netuid,
        /// Where this worker's run began.
        expected: BlockNumber,
        /// Where the present one began.
        found: BlockNumber,
    },
    /// These are not the parameters that the network has.
    #[error("the parameters of round {round} have the root {here:?} here and {chain:?} on chain: do not use them; remove the state directory to join afresh")]
    Diverged {
        /// The round that begins with them.
        round: Round,
        /// The root here.
        here: ModelRoot,
        /// The root on chain.
        chain: ModelRoot,
    },
    /// The network settled a round with what this worker refuses.
    #[error("round {round} was settled with the contribution of uid {uid}, which this worker refuses ({why}): two thirds of the attesting stake take what no honest worker does, or this is another release; ask the subnet's owner")]
    Unappliable {
        /// The round.
        round: Round,
        /// Who made it.
        uid: Uid,
        /// What is wrong with it.
        why: String,
    },
    /// Too late to follow from the beginning, and nothing to begin from.
    #[error("the chain keeps rounds from {oldest} on, and the store {store} has no checkpoint of subnet {netuid} from then on: wait until a validator has written one, then start again")]
    NoCheckpoint {
        /// The subnet.
        netuid: Netuid,
        /// The oldest round of which contributions are kept.
        oldest: Round,
        /// The store.
        store: String,
    },
    /// A file of the log.
    #[error(
        "cannot write {} ({source}): free disk space or make it writable, then start again", .path.display()
    )]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system provides no random numbers for a secret ({0}): check /dev/urandom")]
    Random(String),
    /// A bug.
    #[error("internal error ({0}): please report it; a restart continues from the state on disk")]
    Broken(String),
    /// There is no such subnet.
    #[error("there is no subnet {netuid} on this chain: correct --netuid; `cairn subnet ls` lists the subnets")]
    NoSubnet {
        /// The subnet.
        netuid: Netuid,
    },
    /// The subnet is being dissolved.
    #[error("subnet {netuid} is being dissolved: nothing is trained there any more, and stake and bonds are paid back from block {from} on; `cairn subnet ls` lists the other subnets")]
    Dissolving {
        /// The subnet.
        netuid: Netuid,
        /// The block from which on everything is paid back.
        from: BlockNumber,
    },
}

impl RoleError {
    /// Whether waiting may help, and nothing is lost by it.
    pub fn is_transient(&self) -> bool {
        match self {
            RoleError::Chain(error) => {
                error.is_transient() || matches!(**error, ChainError::UnknownBlock { .. })
            }
            RoleError::Store(error) => !matches!(
                error,
                StoreError::InvalidUrl { .. }
                    | StoreError::UnsupportedScheme { .. }
                    | StoreError::InvalidPath { .. }
            ),
            // A later try opens the device anew.
            RoleError::Engine(error) => error.is_device_fault(),
            _ => false,
        }
    }
}

impl From<ChainError> for RoleError {
    fn from(error: ChainError) -> RoleError {
        RoleError::Chain(Box::new(error))
    }
}

impl From<Failure> for RoleError {
    fn from(failure: Failure) -> RoleError {
        RoleError::Run(failure.to_string())
    }
}

impl From<tokio::task::JoinError> for RoleError {
    fn from(error: tokio::task::JoinError) -> RoleError {
        RoleError::Broken(error.to_string())
    }
}
