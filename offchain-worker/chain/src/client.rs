//! The client.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cairn_primitives::{BlockNumber, H256};
use serde::Deserialize;
use subxt::rpcs::rpc_params;

use crate::{
    blocks::{follow, Header, Kind},
    connection::Connection,
    runtime::Runtimes,
    turn::Turns,
    AccountId, Block, BlockStream, ChainError, Patience, Settings, View,
};

/// What a node says of the votes on blocks, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoundState {
    set_id: u64,
}

/// A client of a chain, by one of its nodes at a time. Cloning it is cheap, and the clones share connection and nonces.
#[derive(Clone)]
pub struct Client {
    pub(crate) connection: Arc<Connection>,
    pub(crate) runtimes: Arc<Runtimes>,
    turns: Arc<Mutex<HashMap<AccountId, Turns>>>,
    /// A client of each node alone, if there are several. None of them is connected before it is asked.
    each: Arc<[Client]>,
    /// Until when this node is not asked beside another one.
    passed_over: Arc<Mutex<Option<Instant>>>,
}

/// For what is asked of a node beside the one whose turn it is: it is not waited for.
const BESIDE: Duration = Duration::from_secs(3);
/// For how long a node that did not answer then is not asked so.
const PASSED_OVER: Duration = Duration::from_secs(60);

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Client")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to the node at a `ws://host:port` URL. A node that is not there is an error at once.
    ///
    /// # Errors
    /// [`ChainError::InvalidUrl`], [`ChainError::NodeDown`], [`ChainError::TimedOut`].
    pub async fn connect(url: &str) -> Result<Client, ChainError> {
        Client::connect_with(url, Settings::default(), Patience::NONE).await
    }

    /// Connects, with other deadlines, and with patience for a node that is only just starting.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_with(
        url: &str,
        settings: Settings,
        patience: Patience,
    ) -> Result<Client, ChainError> {
        Client::connect_to(&[url.to_string()], None, settings, patience).await
    }

    /// Connects to the first of some nodes that can be asked. When it goes down, stands still, is on another chain or
    /// far behind, the next one is asked. The chain is the one with the genesis hash `expected`, or that of the first
    /// node.
    ///
    /// # Errors
    /// As [`Client::connect`]; [`ChainError::NoneOf`] if there are several and none can be asked.
    pub async fn connect_to(
        urls: &[String],
        expected: Option<H256>,
        settings: Settings,
        patience: Patience,
    ) -> Result<Client, ChainError> {
        let connection = Connection::new(urls, expected, settings)?;
        connection
            .patiently(patience, || connection.session_number())
            .await?;
        let beside = Settings {
            connect: BESIDE,
            request: BESIDE,
            patience: Patience::NONE,
            ..settings
        };
        let genesis = Some(connection.genesis());
        let alone = |url: &String| -> Result<Client, ChainError> {
            let connection = Connection::new(std::slice::from_ref(url), genesis, beside)?;
            Ok(Client::of(connection, Arc::default()))
        };
        let each: Result<Arc<[Client]>, ChainError> = match connection.endpoints.has_others() {
            true => connection.endpoints.all().iter().map(alone).collect(),
            false => Ok(Arc::default()),
        };
        Ok(Client::of(connection, each?))
    }

    fn of(connection: Arc<Connection>, each: Arc<[Client]>) -> Client {
        Client {
            connection,
            runtimes: Arc::default(),
            turns: Arc::default(),
            each,
            passed_over: Arc::default(),
        }
    }

    /// Clients of all nodes but the one that is asked at present, each of one node alone: for what one node may not
    /// decide. They wait for 3 s at most, once to connect and once for an answer, and have no patience. Who is passed
    /// over is not among them.
    pub fn others(&self) -> impl Iterator<Item = &Client> {
        let (present, now) = (self.url(), Instant::now());
        let is_other = move |one: &&Client| one.url() != present && !one.is_passed_over(now);
        self.each.iter().filter(is_other)
    }

    /// This one of [`Client::others`] did not answer: it is not among them for a minute.
    pub fn pass_over(&self) {
        let until = Instant::now().checked_add(PASSED_OVER);
        *self.until() = until;
    }

    fn is_passed_over(&self, now: Instant) -> bool {
        self.until().is_some_and(|until| now < until)
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        let until = self.passed_over.lock();
        until.unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL of the node that is asked at present.
    pub fn url(&self) -> &str {
        self.connection.url()
    }

    /// The hash of the chain's block 0, by which chains are told apart. Should the node come back on
    /// another chain, everything fails with [`ChainError::WrongChain`].
    pub fn genesis_hash(&self) -> H256 {
        self.connection.genesis()
    }

    /// The id by which other nodes know the one that is asked, in base 58.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn peer_id(&self) -> Result<String, ChainError> {
        let method = "system_localPeerId";
        self.connection.request(method, rpc_params![]).await
    }

    /// Makes sure that this is the chain with this genesis hash.
    ///
    /// # Errors
    /// [`ChainError::WrongChain`].
    pub fn expect_genesis(&self, expected: H256) -> Result<(), ChainError> {
        let found = self.genesis_hash();
        if found == expected {
            return Ok(());
        }
        Err(ChainError::WrongChain {
            url: self.url().to_string(),
            expected,
            found,
        })
    }

    /// The best block: the head of the longest chain that the node knows.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn best(&self) -> Result<Block, ChainError> {
        let header: Header = self
            .connection
            .request("chain_getHeader", rpc_params![])
            .await?;
        Block::of(&self.connection, &header)
    }

    /// The newest finalised block.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn finalized(&self) -> Result<Block, ChainError> {
        let method = "chain_getFinalizedHead";
        let hash: H256 = self.connection.request(method, rpc_params![]).await?;
        // Whoever follows the finalised blocks has heard of it, as a rule.
        if let Some(known) = self.connection.known_final(hash) {
            return Ok(known);
        }
        let params = rpc_params![hash];
        let header: Option<Header> = self.connection.request("chain_getHeader", params).await?;
        let header = header.ok_or_else(|| self.unknown_block(hash))?;
        let block = Block::of(&self.connection, &header)?;
        self.connection.saw_final(block);
        Ok(block)
    }

    /// Learns the runtime that transactions are signed for, so that the first one waits no longer than all later ones.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn prepare(&self) -> Result<(), ChainError> {
        let best = self.best().await?;
        let runtime = self.runtimes.at(&self.connection, best.hash).await;
        runtime.map(drop)
    }

    /// The hash of the best chain's block with this number; `None` if there is none yet.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn block_hash(&self, number: BlockNumber) -> Result<Option<H256>, ChainError> {
        self.connection
            .request("chain_getBlockHash", rpc_params![number])
            .await
    }

    /// Every new best block, beginning with the present one. After a re-organisation the numbers go back.
    /// Blocks that came while the connection was down are not made up for: the next one is the new head.
    pub fn best_blocks(&self) -> BlockStream {
        follow(self.connection.clone(), Kind::Best)
    }

    /// The newest finalised block whenever there is one, beginning with the present one. Finality comes
    /// in steps: the blocks between two of the stream are final as well.
    pub fn finalized_blocks(&self) -> BlockStream {
        follow(self.connection.clone(), Kind::Finalized)
    }

    /// The state after the block with this hash. Nothing is asked until it is read.
    pub fn at(&self, hash: H256) -> View {
        View::new(self.connection.clone(), hash)
    }

    /// The state after the best block.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn at_best(&self) -> Result<View, ChainError> {
        Ok(self.at(self.best().await?.hash))
    }

    /// The state after the newest finalised block.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn at_finalized(&self) -> Result<View, ChainError> {
        Ok(self.at(self.finalized().await?.hash))
    }

    /// The number of the set of authorities that votes at this node: 0 at the beginning, and one more with each change
    /// of them that became final.
    pub async fn voting_set(&self) -> Result<u64, ChainError> {
        let state: RoundState = self
            .connection
            .request("grandpa_roundState", rpc_params![])
            .await?;
        Ok(state.set_id)
    }

    /// The turns in which an account's transactions are sent.
    pub(crate) fn turns(&self, account: AccountId) -> Turns {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(account).or_default().clone()
    }

    pub(crate) fn unknown_block(&self, hash: H256) -> ChainError {
        ChainError::UnknownBlock {
            url: self.url().to_string(),
            hash,
        }
    }
}
