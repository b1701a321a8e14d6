//! Blocks, and following them.

use std::sync::Arc;

use cairn_primitives::{blake2_256, BlockNumber, H256};
use codec::Encode;
use futures::{stream::BoxStream, StreamExt};
use subxt::{
    config::substrate::SubstrateHeader,
    rpcs::{client::RpcSubscription, rpc_params},
};
use tokio::time::timeout;

use crate::{connection::Connection, ChainError};

pub(crate) type Header = SubstrateHeader<H256>;

/// A block's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// How many blocks came before it.
    pub number: BlockNumber,
    /// BLAKE2b-256 of its header.
    pub hash: H256,
}

/// A stream of blocks that outlives the connection it began on.
///
/// It does not end. While the node is down it waits; when patience ends it gives the error, and whoever
/// asks for the next block nevertheless starts it trying again.
pub type BlockStream = BoxStream<'static, Result<Block, ChainError>>;

impl Block {
    /// The block with this header.
    pub(crate) fn of(connection: &Connection, header: &Header) -> Result<Block, ChainError> {
        let number = BlockNumber::try_from(header.number)
            .map_err(|_| connection.malformed("a block's header", "its number is above 2^32"))?;
        connection.endpoints.saw(number);
        Ok(Block {
            number,
            hash: blake2_256(&header.encode()),
        })
    }
}

/// Which blocks to follow.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Best,
    Finalized,
}

impl Kind {
    /// Whether a chain that lives has new ones of these all the time. What is final may wait for authorities.
    fn moves(self) -> bool {
        matches!(self, Kind::Best)
    }

    fn methods(self) -> (&'static str, &'static str) {
        match self {
            Kind::Best => ("chain_subscribeNewHeads", "chain_unsubscribeNewHeads"),
            Kind::Finalized => (
                "chain_subscribeFinalizedHeads",
                "chain_unsubscribeFinalizedHeads",
            ),
        }
    }
}

/// Follows the chain from its present head on.
pub(crate) fn follow(connection: Arc<Connection>, kind: Kind) -> BlockStream {
    let follower = Follower {
        connection,
        kind,
        open: None,
        last: None,
    };
    let next = |mut follower: Follower| async move {
        let next = follower.next().await;
        Some((next, follower))
    };
    futures::stream::unfold(follower, next).boxed()
}

struct Follower {
    connection: Arc<Connection>,
    kind: Kind,
    open: Option<(u64, RpcSubscription<Header>)>,
    last: Option<Block>,
}

impl Follower {
    async fn next(&mut self) -> Result<Block, ChainError> {
        let connection = self.connection.clone();
        let began = tokio::time::Instant::now();
        let mut failures = 0;
        loop {
            let error = match self.attempt().await {
                // A new subscription begins with the present head, which may be known already.
                Ok(block) if self.last == Some(block) => continue,
                Ok(block) => {
                    self.last = Some(block);
                    return Ok(block);
                }
                Err(error) => error,
            };
            self.open = None;
            if !error.is_transient() {
                return Err(error);
            }
            if failures == 0 {
                tracing::warn!(%error, "lost the node's blocks");
            }
            failures += 1;
            match connection
                .settings
                .patience
                .pause(failures, began.elapsed())
            {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    /// The next header of the present subscription, opened if need be.
    async fn attempt(&mut self) -> Result<Block, ChainError> {
        let connection = self.connection.clone();
        let (session, subscription) = match &mut self.open {
            Some(open) => open,
            closed => {
                let (method, unsubscribe) = self.kind.methods();
                closed.insert(connection.subscribe_once(method, unsubscribe).await?)
            }
        };
        loop {
            match timeout(connection.settings.silence, subscription.next()).await {
                Ok(Some(Ok(header))) => {
                    let block = Block::of(&connection, &header)?;
                    if matches!(self.kind, Kind::Finalized) {
                        connection.saw_final(block);
                    }
                    return Ok(block);
                }
                Ok(Some(Err(error))) => return Err(connection.down(&error.to_string())),
                Ok(None) => return Err(connection.down("the connection was lost")),
                // Blocks come all the time: this node stands still, or the chain does.
                Err(_) if self.kind.moves() && connection.endpoints.has_others() => {
                    let error = connection.down("it shows no new block");
                    // If it was at a block that others do not have, they are not behind for that.
                    connection.endpoints.forget();
                    connection.leave(*session);
                    return Err(error);
                }
                // Nothing may have happened, or the other end may be gone without a word.
                Err(_) => {
                    let _: H256 = connection
                        .request_once("chain_getFinalizedHead", rpc_params![])
                        .await?;
                    if connection.session_number().await? != *session {
                        return Err(connection.down("the connection was replaced"));
                    }
                }
            }
        }
    }
}
