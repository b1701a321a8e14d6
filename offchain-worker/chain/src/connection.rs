//! One connection at a time, to one of the nodes that may be asked; made anew, to the next one, when it breaks.
//!
//! Whoever asks for several things may look at some of them only later. So nothing that others wait for is held by who
//! asks: a request, and the making of a connection, are tasks of their own.

use std::{
    future::Future,
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        Arc, Mutex as Lock, MutexGuard, OnceLock, PoisonError,
    },
    time::Duration,
};

use cairn_primitives::{GENERIC_SS58_PREFIX, H256, SS58_PREFIX};
use serde::{de::DeserializeOwned, Deserialize};
use subxt::rpcs::{
    client::{RpcParams, RpcSubscription},
    rpc_params, RpcClient, UserError,
};
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
    time::{sleep, timeout, Instant},
};

use crate::{
    account, blocks::Header, endpoints::Endpoints, error::reason, Block, ChainError, Patience,
};

/// Requests under way at the same time: as many as a look at the chain and what is sent beside it have, and few for a
/// node that serves many.
const AT_ONCE: usize = 32;

/// What a chain tells wallets of itself.
#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "ss58Format")]
    ss58_format: Option<u16>,
}

/// How long a client waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Deadline of connecting to the node.
    pub connect: Duration,
    /// Deadline of one request.
    pub request: Duration,
    /// How long reads and streams go on trying while the node is down or restarting. A read ends at the
    /// latest after this time and one more attempt.
    pub patience: Patience,
    /// How long a transaction may take to get into a block.
    pub inclusion: Duration,
    /// Silence of a block stream after which the next node is asked; the only one is asked whether it is still there.
    pub silence: Duration,
}

impl Default for Settings {
    /// 10 s to connect, 20 s for a request, [`Patience::default`], two minutes for a transaction, 30 s of
    /// silence.
    fn default() -> Self {
        Settings {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(20),
            patience: Patience::default(),
            inclusion: Duration::from_secs(120),
            silence: Duration::from_secs(30),
        }
    }
}

/// The nodes, and the present connection to one of them if there is one.
pub(crate) struct Connection {
    pub endpoints: Endpoints,
    pub settings: Settings,
    /// The chain that this is about: the one expected, or that of the first connection.
    genesis: OnceLock<H256>,
    session: Lock<Option<Session>>,
    sessions: AtomicU64,
    /// Held by who makes a session, on a task of its own: what the last attempt failed with.
    connecting: Mutex<Option<ChainError>>,
    /// How many attempts have failed.
    failed: AtomicU64,
    /// One for each request that may be under way.
    places: Semaphore,
    /// The finalised block that was heard of last.
    finalized: Lock<Option<Block>>,
}

/// A connection that was made.
#[derive(Clone)]
struct Session {
    number: u64,
    rpc: RpcClient,
}

impl Connection {
    pub fn new(
        urls: &[String],
        expected: Option<H256>,
        settings: Settings,
    ) -> Result<Arc<Connection>, ChainError> {
        Ok(Arc::new(Connection {
            endpoints: Endpoints::new(urls)?,
            settings,
            genesis: expected.map_or_else(OnceLock::new, OnceLock::from),
            session: Lock::default(),
            sessions: 0.into(),
            connecting: Mutex::default(),
            failed: 0.into(),
            places: Semaphore::new(AT_ONCE),
            finalized: Lock::default(),
        }))
    }

    pub fn url(&self) -> &str {
        self.endpoints.url()
    }

    /// The genesis hash of the chain; zero before the first connection.
    pub fn genesis(&self) -> H256 {
        self.genesis.get().copied().unwrap_or_default()
    }

    /// The number of the present session, made if need be. Numbers are never used twice.
    pub async fn session_number(self: &Arc<Self>) -> Result<u64, ChainError> {
        self.session().await.map(|session| session.number)
    }

    /// Asks until there is an answer, the node refuses, or patience ends. For what may be asked twice.
    pub async fn request<T: DeserializeOwned + Send + 'static>(
        self: &Arc<Self>,
        method: &'static str,
        params: RpcParams,
    ) -> Result<T, ChainError> {
        let patience = self.settings.patience;
        self.patiently(patience, || self.request_once(method, params.clone()))
            .await
    }

    /// Asks once.
    pub async fn request_once<T: DeserializeOwned + Send + 'static>(
        self: &Arc<Self>,
        method: &'static str,
        params: RpcParams,
    ) -> Result<T, ChainError> {
        let this = self.clone();
        self.apart(async move { this.ask(method, params).await })
            .await
    }

    async fn ask<T: DeserializeOwned>(
        self: &Arc<Self>,
        method: &'static str,
        params: RpcParams,
    ) -> Result<T, ChainError> {
        // It is never closed. Who waits for a place waits for no longer than those before have for an answer.
        let _place = self.places.acquire().await;
        let session = self.session().await?;
        let answer = self.within(
            self.settings.request,
            method,
            session.rpc.request(method, params),
        );
        self.judge(&session, answer.await)
    }

    /// Has this done on a task of its own, which ends with who waits for it.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ChainError>> + Send + 'static,
    ) -> Result<T, ChainError> {
        let mut task = JoinSet::new();
        task.spawn(work);
        match task.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => Err(self.down("the task that asked it was ended")),
        }
    }

    /// Opens a subscription, once. Also gives the number of its session.
    pub async fn subscribe_once<T: DeserializeOwned>(
        self: &Arc<Self>,
        method: &'static str,
        unsubscribe: &'static str,
    ) -> Result<(u64, RpcSubscription<T>), ChainError> {
        let session = self.session().await?;
        let opened = session.rpc.subscribe(method, rpc_params![], unsubscribe);
        let opened = self.within(self.settings.request, method, opened).await;
        Ok((session.number, self.judge(&session, opened)?))
    }

    /// Repeats what fails for reasons that pass.
    pub async fn patiently<T, F>(
        &self,
        patience: Patience,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, ChainError>
    where
        F: Future<Output = Result<T, ChainError>>,
    {
        let began = Instant::now();
        let mut failures = 0;
        loop {
            let error = match attempt().await {
                Err(error) if error.is_transient() => error,
                result => return result,
            };
            failures += 1;
            let Some(pause) = patience.pause(failures, began.elapsed()) else {
                return Err(error);
            };
            tracing::debug!(%error, ?pause, "trying again");
            sleep(pause).await;
        }
    }

    /// The finalised block with this hash, if it is the one that was heard of last.
    pub fn known_final(&self, hash: H256) -> Option<Block> {
        let known = self.finalized.lock();
        let known = *known.unwrap_or_else(PoisonError::into_inner);
        known.filter(|known| known.hash == hash)
    }

    /// Takes note of a finalised block.
    pub fn saw_final(&self, block: Block) {
        let known = self.finalized.lock();
        *known.unwrap_or_else(PoisonError::into_inner) = Some(block);
    }

    /// An answer of the node that cannot be read.
    pub fn malformed(&self, what: impl Into<String>, why: impl ToString) -> ChainError {
        ChainError::Malformed {
            url: self.url().to_string(),
            what: what.into(),
            why: reason(&why.to_string()),
        }
    }

    /// The connection broke.
    pub fn down(&self, why: &str) -> ChainError {
        ChainError::NodeDown {
            url: self.url().to_string(),
            why: reason(why),
        }
    }

    /// The present session, if there is one. It is locked for no longer than it takes to read or write it.
    fn present(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present session, made if need be.
    async fn session(self: &Arc<Self>) -> Result<Session, ChainError> {
        let present = self.present().clone();
        if let Some(session) = present {
            return Ok(session);
        }
        let this = self.clone();
        self.apart(async move { this.make_session().await }).await
    }

    /// Makes a session, unless somebody else has made one meanwhile.
    async fn make_session(&self) -> Result<Session, ChainError> {
        let before = self.failed.load(Relaxed);
        let mut last = self.connecting.lock().await;
        let present = self.present().clone();
        if let Some(session) = present {
            return Ok(session);
        }
        // An attempt that failed while this one waited says it for both.
        let is_said = self.failed.load(Relaxed) != before;
        if let Some(error) = last.as_ref().filter(|_| is_said) {
            return Err(error.clone());
        }
        let rpc = match self.connect_to_any().await {
            Ok(rpc) => rpc,
            Err(error) => {
                *last = Some(error.clone());
                self.failed.fetch_add(1, Relaxed);
                return Err(error);
            }
        };
        let number = self.sessions.fetch_add(1, Relaxed);
        let session = Session { number, rpc };
        *self.present() = Some(session.clone());
        if number > 0 {
            tracing::info!(url = %self.url(), "connected to a node again");
        }
        Ok(session)
    }

    /// Connects to the node whose turn it is, or to the first after it that can be asked.
    async fn connect_to_any(&self) -> Result<RpcClient, ChainError> {
        let mut errors: Vec<ChainError> = Vec::new();
        for _ in 0..self.endpoints.len() {
            match self.connect().await {
                Ok(rpc) => return Ok(rpc),
                Err(error) if !self.endpoints.has_others() => return Err(error),
                Err(error) => {
                    tracing::debug!("{}; asking the next node", error.in_short());
                    self.endpoints.pass_on();
                    errors.push(error);
                }
            }
        }
        // All that answer are behind what one of them once showed: then that was no block of this chain.
        if errors
            .iter()
            .any(|error| matches!(error, ChainError::Behind { .. }))
        {
            self.endpoints.forget();
        }
        Err(ChainError::none_of(&errors))
    }

    /// Connects, and makes sure that the node is on the chain that this is about. All that it is asked it is asked at
    /// once.
    async fn connect(&self) -> Result<RpcClient, ChainError> {
        let opened = timeout(
            self.settings.connect,
            RpcClient::from_insecure_url(self.url()),
        )
        .await;
        let rpc = match opened {
            Ok(Ok(rpc)) => rpc,
            Ok(Err(error)) => return Err(self.down(&error.to_string())),
            Err(_) => {
                let seconds = self.settings.connect.as_secs_f32();
                return Err(self.down(&format!("no connection within {seconds} s")));
            }
        };
        let (found, head, prefix) =
            tokio::join!(self.block_0(&rpc), self.head(&rpc), self.prefix(&rpc));
        let found = found?;
        let expected = *self.genesis.get_or_init(|| found);
        if found != expected {
            return Err(ChainError::WrongChain {
                url: self.url().to_string(),
                expected,
                found,
            });
        }
        if let Some(head) = head? {
            self.ensure_abreast(&head)?;
        }
        account::write_with(prefix);
        Ok(rpc)
    }

    /// The hash of the node's block 0.
    async fn block_0(&self, rpc: &RpcClient) -> Result<H256, ChainError> {
        let method = "chain_getBlockHash";
        let asked = rpc.request(method, rpc_params![0u32]);
        let found: Option<H256> = self.within(self.settings.request, method, asked).await?;
        found.ok_or_else(|| self.malformed(method, "there is no block 0"))
    }

    /// How the chain writes addresses. Who does not say it writes them as anybody may.
    async fn prefix(&self, rpc: &RpcClient) -> u16 {
        let method = "system_properties";
        let asked = rpc.request(method, rpc_params![]);
        let told: Result<Properties, _> = self.within(self.settings.request, method, asked).await;
        let prefix = told.ok().and_then(|properties| properties.ss58_format);
        // No other: a node could make money look like another network's.
        match prefix {
            Some(SS58_PREFIX) => SS58_PREFIX,
            _ => GENERIC_SS58_PREFIX,
        }
    }

    /// The node's best block, if there is another node to ask in its place.
    async fn head(&self, rpc: &RpcClient) -> Result<Option<Header>, ChainError> {
        if !self.endpoints.has_others() {
            return Ok(None);
        }
        let method = "chain_getHeader";
        let asked = rpc.request(method, rpc_params![]);
        let head = self.within(self.settings.request, method, asked).await?;
        Ok(Some(head))
    }

    /// Makes sure that the node with this best block is not far behind what another one showed.
    fn ensure_abreast(&self, head: &Header) -> Result<(), ChainError> {
        let best = Block::of(self, head)?.number;
        match self.endpoints.is_behind(best) {
            Some(seen) => Err(ChainError::Behind {
                url: self.url().to_string(),
                best,
                seen,
            }),
            None => Ok(()),
        }
    }

    /// Leaves the node of this session, if it is the present one, for the next node.
    pub fn leave(&self, number: u64) {
        let mut present = self.present();
        // Somebody else may have made a new one already.
        if present.as_ref().is_some_and(|now| now.number == number) {
            *present = None;
            self.endpoints.pass_on();
        }
    }

    /// Gives an operation its deadline and its errors names.
    async fn within<T>(
        &self,
        deadline: Duration,
        what: &str,
        operation: impl Future<Output = Result<T, subxt::rpcs::Error>>,
    ) -> Result<T, ChainError> {
        match timeout(deadline, operation).await {
            Ok(result) => result.map_err(|error| self.explain(what, error)),
            Err(_) => Err(ChainError::TimedOut {
                url: self.url().to_string(),
                what: what.to_string(),
                deadline,
            }),
        }
    }

    /// Drops the session if what came of it says that it is broken.
    fn judge<T>(&self, session: &Session, result: Result<T, ChainError>) -> Result<T, ChainError> {
        if result.as_ref().is_err_and(ChainError::is_transient) {
            self.leave(session.number);
        }
        result
    }

    /// Names an error of the library underneath.
    fn explain(&self, what: &str, error: subxt::rpcs::Error) -> ChainError {
        use subxt::rpcs::Error;
        match error {
            Error::User(error) => ChainError::Refused {
                url: self.url().to_string(),
                what: what.to_string(),
                code: error.code,
                message: user_message(&error),
            },
            Error::Deserialization(error) => self.malformed(what, error),
            Error::Decode(error) => self.malformed(what, error),
            Error::InsecureUrl(url) => ChainError::InvalidUrl { url },
            error => self.down(&error.to_string()),
        }
    }
}

/// What the node said, with the detail that it puts beside it.
fn user_message(error: &UserError) -> String {
    let detail = error.data.as_ref().map(|data| {
        let text = data.get();
        serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_string())
    });
    match detail {
        Some(detail) => reason(&format!("{}: {detail}", error.message)),
        None => reason(&error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_comes_with_its_detail() {
        let error = |data: Option<&str>| UserError {
            code: 1010,
            message: "Invalid Transaction".to_string(),
            data: data.map(|text| serde_json::value::RawValue::from_string(text.into()).unwrap()),
        };
        let message = |data| user_message(&error(data));
        assert_eq!(message(None), "Invalid Transaction");
        assert_eq!(
            message(Some("\"is outdated\"")),
            "Invalid Transaction: is outdated"
        );
        assert_eq!(message(Some("{\"a\":1}")), "Invalid Transaction: {\"a\":1}");
    }
}
