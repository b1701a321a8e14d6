//! A node in miniature, behind a real WebSocket: it keeps a chain, takes transactions, makes a block when
//! the test says so, and can be stopped, started again and made to misbehave.

pub mod runtime;

use std::{
    collections::{HashSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use cairn_primitives::{blake2_256, H256};
use codec::Encode;
use jsonrpsee::{
    core::SubscriptionResult,
    server::{PendingSubscriptionSink, Server, ServerHandle},
    types::ErrorObjectOwned,
    RpcModule,
};
use serde_json::{json, Value};
use subxt::config::substrate::{Digest, SubstrateHeader};
use tokio::sync::watch;

use runtime::{encode_events, Transaction};

const METHODS: [&str; 10] = [
    "author_submitExtrinsic",
    "chain_getBlock",
    "chain_getBlockHash",
    "chain_getFinalizedHead",
    "chain_getHeader",
    "state_call",
    "state_getMetadata",
    "state_getRuntimeVersion",
    "state_getStorage",
    "system_accountNextIndex",
];

/// A block of the fake chain.
pub struct BlockData {
    pub header: SubstrateHeader<H256>,
    pub hash: H256,
    extrinsics: Vec<Vec<u8>>,
    events: Vec<u8>,
    /// Of every account, after the block.
    pub nonce: u32,
}

/// What `state_call` answers to arguments.
pub type Answers = fn(&[u8]) -> Vec<u8>;

/// What the node knows. Every account has the same nonce: there is one in each test.
pub struct State {
    pub blocks: Vec<BlockData>,
    pub pool: Vec<(Transaction, Vec<u8>)>,
    /// Every request: method and parameters.
    pub requests: Vec<(String, Vec<Value>)>,
    /// Methods that never answer.
    pub hung: HashSet<&'static str>,
    /// What is asked next, in sets: none of a set is answered before all of it were asked. Then whatever is asked is.
    pub together: VecDeque<Vec<&'static str>>,
    /// What was asked of the first of these sets.
    gathered: Vec<&'static str>,
    /// What `state_call` answers; without it, that there is no such function.
    pub answer: Option<Vec<u8>>,
    /// What `state_call` answers, in the place of `answer`, to these arguments.
    pub answers: Option<Answers>,
    /// What the runtime says of a transaction that waits; without it, that it has no such function.
    pub validity: Option<Vec<u8>>,
    /// Transactions that count for the next nonce, and that no block takes.
    pub stuck: usize,
    /// What the next transactions are refused with, last first.
    pub refusals: Vec<(i32, &'static str)>,
    /// Subscriptions that are refused before one is taken.
    pub deaf: usize,
    /// Blocks from this one on have the next version of the runtime.
    pub upgraded_at: Option<u64>,
}

pub struct FakeNode {
    address: SocketAddr,
    server: Option<ServerHandle>,
    state: Arc<Mutex<State>>,
    heads: watch::Sender<usize>,
    offered: watch::Sender<usize>,
    /// How many of the sets were asked as a whole.
    whole: watch::Sender<usize>,
    /// A request has come.
    asked: watch::Sender<()>,
    /// Methods that answer once they are let go.
    held: watch::Sender<HashSet<&'static str>>,
}

fn block(parent: H256, number: u64, fork: H256, nonce: u32) -> BlockData {
    let header = SubstrateHeader {
        parent_hash: parent,
        number,
        state_root: fork,
        extrinsics_root: H256::zero(),
        digest: Digest::default(),
    };
    let hash = blake2_256(&header.encode());
    BlockData {
        header,
        hash,
        extrinsics: Vec::new(),
        events: vec![0],
        nonce,
    }
}

fn genesis(chain: u8) -> State {
    State {
        blocks: vec![block(H256::repeat_byte(chain), 0, H256::zero(), 0)],
        pool: Vec::new(),
        requests: Vec::new(),
        hung: HashSet::new(),
        together: VecDeque::new(),
        gathered: Vec::new(),
        answer: None,
        answers: None,
        validity: None,
        stuck: 0,
        refusals: Vec::new(),
        deaf: 0,
        upgraded_at: None,
    }
}

impl FakeNode {
    /// Starts a node of a chain of its own.
    pub async fn start() -> FakeNode {
        let mut node = FakeNode {
            address: ([127, 0, 0, 1], 0).into(),
            server: None,
            state: Arc::new(Mutex::new(genesis(0))),
            heads: watch::Sender::new(0),
            offered: watch::Sender::new(0),
            whole: watch::Sender::new(0),
            asked: watch::Sender::new(()),
            held: watch::Sender::new(HashSet::new()),
        };
        node.listen().await;
        node
    }

    /// Starts the node again, on the same address and the same chain. Its pool is empty.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.state().pool.clear();
        self.listen().await;
    }

    /// Starts the node again, on the same address and another chain.
    pub async fn restart_on_another_chain(&mut self) {
        self.stop().await;
        *self.state() = genesis(1);
        self.listen().await;
    }

    /// Starts the node again, on the same address and chain, of which it knows the first block only.
    pub async fn restart_on_the_first_block(&mut self) {
        self.stop().await;
        *self.state() = genesis(0);
        self.listen().await;
    }

    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().unwrap();
            server.stopped().await;
        }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn genesis(&self) -> H256 {
        self.state().blocks[0].hash
    }

    pub fn head(&self) -> H256 {
        self.state().blocks.last().unwrap().hash
    }

    /// Makes a block of what is in the pool, and says so to who follows.
    pub fn produce(&self) {
        let last = self.state().produce(H256::zero());
        self.heads.send_replace(last);
    }

    /// Puts two blocks, the first with what is in the pool, in the place of the best one.
    pub fn reorganise(&self) {
        let mut state = self.state();
        state.blocks.pop().unwrap();
        state.produce(H256::repeat_byte(1));
        let last = state.produce(H256::repeat_byte(1));
        drop(state);
        self.heads.send_replace(last);
    }

    /// Waits until this many transactions were offered in all, refused ones included.
    pub async fn offered(&self, number: usize) {
        self.offered
            .subscribe()
            .wait_for(|offered| *offered >= number)
            .await
            .unwrap();
    }

    /// Waits until this many requests of a method have come in all.
    pub async fn until_asked(&self, method: &str, number: usize) {
        let mut asked = self.asked.subscribe();
        while self.state().asked(method) < number {
            asked.changed().await.unwrap();
        }
    }

    /// Waits until this many of the sets of [`State::together`] were asked as a whole.
    pub async fn until_whole(&self, number: usize) {
        let mut whole = self.whole.subscribe();
        whole.wait_for(|whole| *whole >= number).await.unwrap();
    }

    /// From now on this method's requests wait for [`FakeNode::let_go`].
    pub fn hold(&self, method: &'static str) {
        self.held.send_modify(|held| {
            held.insert(method);
        });
    }

    /// Has this method answer again.
    pub fn let_go_of(&self, method: &'static str) {
        self.held.send_modify(|held| {
            held.remove(method);
        });
    }

    /// Has all that is held answered.
    pub fn let_go(&self) {
        self.held.send_modify(HashSet::clear);
    }

    async fn listen(&mut self) {
        let server = Server::builder().build(self.address).await.unwrap();
        self.address = server.local_addr().unwrap();
        let mut module = RpcModule::new(());
        for method in METHODS {
            let (state, offered, whole) =
                (self.state.clone(), self.offered.clone(), self.whole.clone());
            let (asked, held) = (self.asked.clone(), self.held.clone());
            let answer = move |params: jsonrpsee::types::Params<'static>, _, _| {
                let params = params.parse::<Vec<Value>>().unwrap_or_default();
                let (state, offered, whole) = (state.clone(), offered.clone(), whole.clone());
                let (asked, mut held) = (asked.clone(), held.subscribe());
                async move {
                    let hung = {
                        let mut state = state.lock().unwrap();
                        state.requests.push((method.to_string(), params.clone()));
                        state.hung.contains(method)
                    };
                    asked.send_replace(());
                    if hung {
                        std::future::pending::<()>().await;
                    }
                    until_free(&mut held, method).await;
                    gather(&state, &whole, method).await;
                    let answer = state.lock().unwrap().answer(method, &params);
                    if method == "author_submitExtrinsic" {
                        offered.send_modify(|offered| *offered += 1);
                    }
                    answer
                }
            };
            module.register_async_method(method, answer).unwrap();
        }
        for (subscribe, notify, unsubscribe) in [
            (
                "chain_subscribeNewHeads",
                "chain_newHead",
                "chain_unsubscribeNewHeads",
            ),
            (
                "chain_subscribeFinalizedHeads",
                "chain_finalizedHead",
                "chain_unsubscribeFinalizedHeads",
            ),
        ] {
            let (state, heads) = (self.state.clone(), self.heads.subscribe());
            let (whole, asked) = (self.whole.clone(), self.asked.clone());
            let held = self.held.clone();
            let serve = move |_, pending: PendingSubscriptionSink, _, _| {
                let (state, heads, whole) = (state.clone(), heads.clone(), whole.clone());
                let (asked, mut held) = (asked.clone(), held.subscribe());
                async move {
                    until_free(&mut held, subscribe).await;
                    gather(&state, &whole, subscribe).await;
                    let is_refused = {
                        let mut state = state.lock().unwrap();
                        let left = state.deaf.checked_sub(1);
                        state.deaf = left.unwrap_or_default();
                        left.is_some()
                    };
                    if is_refused {
                        pending.reject(error(-32000, "no more of them")).await;
                        state.lock().unwrap().note(subscribe);
                        asked.send_replace(());
                        return Ok(());
                    }
                    follow(pending, (state, asked), heads, subscribe).await
                }
            };
            module
                .register_subscription(subscribe, notify, unsubscribe, serve)
                .unwrap();
        }
        self.server = Some(server.start(module));
    }
}

/// Waits until a method is not held.
async fn until_free(held: &mut watch::Receiver<HashSet<&'static str>>, method: &'static str) {
    let is_free = |held: &HashSet<&'static str>| !held.contains(method);
    held.wait_for(is_free).await.unwrap();
}

/// Waits until all of the set of requests were asked that this one is of.
async fn gather(state: &Mutex<State>, whole: &watch::Sender<usize>, method: &'static str) {
    let mut changes = whole.subscribe();
    let mine;
    {
        let mut state = state.lock().unwrap();
        mine = *changes.borrow_and_update();
        let Some(set) = state.together.front() else {
            return;
        };
        let mut set = set.clone();
        set.sort_unstable();
        state.gathered.push(method);
        state.gathered.sort_unstable();
        if state.gathered == set {
            state.gathered.clear();
            state.together.pop_front();
            whole.send_modify(|whole| *whole += 1);
        }
    }
    changes.wait_for(|whole| *whole > mine).await.unwrap();
}

/// Sends the present head and each new one.
async fn follow(
    pending: PendingSubscriptionSink,
    (state, asked): (Arc<Mutex<State>>, watch::Sender<()>),
    mut heads: watch::Receiver<usize>,
    method: &'static str,
) -> SubscriptionResult {
    let sink = pending.accept().await?;
    let mut next = {
        let mut state = state.lock().unwrap();
        state.note(method);
        state.blocks.len() - 1
    };
    asked.send_replace(());
    loop {
        let header = state
            .lock()
            .unwrap()
            .blocks
            .get(next)
            .map(|block| json!(block.header));
        match header {
            Some(header) => {
                let message = serde_json::value::to_raw_value(&header)?;
                sink.send(message).await?;
                next += 1;
            }
            None => tokio::select! {
                changed = heads.changed() => changed?,
                () = sink.closed() => return Ok(()),
            },
        }
    }
}

impl State {
    /// Makes a block of what is in the pool; gives its number. The fork tells it from its siblings.
    fn produce(&mut self, fork: H256) -> usize {
        let parent = self.blocks.last().unwrap();
        let mut next = block(parent.hash, parent.header.number + 1, fork, parent.nonce);
        let mut events = Vec::new();
        for (transaction, bytes) in std::mem::take(&mut self.pool) {
            assert_eq!(transaction.nonce, next.nonce, "transactions come in order");
            events.push(transaction.execute());
            next.extrinsics.push(bytes);
            next.nonce += 1;
        }
        next.events = encode_events(&events);
        self.blocks.push(next);
        self.blocks.len() - 1
    }

    /// Notes a subscription.
    fn note(&mut self, method: &str) {
        self.requests.push((method.to_string(), Vec::new()));
    }

    fn answer(&mut self, method: &str, params: &[Value]) -> Result<Value, ErrorObjectOwned> {
        let last = self.blocks.last().unwrap();
        let hash = |index: usize| {
            params
                .get(index)
                .and_then(|hash| serde_json::from_value::<H256>(hash.clone()).ok())
        };
        let at = |index: usize| match hash(index) {
            Some(hash) => self.blocks.iter().find(|block| block.hash == hash),
            None => Some(last),
        };
        let hex = |bytes: &[u8]| json!(format!("0x{}", hex::encode(bytes)));
        Ok(match method {
            "author_submitExtrinsic" => return self.take(params),
            "chain_getBlock" => at(0).map_or(Value::Null, |block| {
                let extrinsics: Vec<_> = block.extrinsics.iter().map(|bytes| hex(bytes)).collect();
                let block = json!({ "header": block.header, "extrinsics": extrinsics });
                json!({ "block": block, "justifications": null })
            }),
            "chain_getBlockHash" => {
                let number = params.first().and_then(Value::as_u64).unwrap_or_default();
                self.blocks
                    .get(number as usize)
                    .map_or(Value::Null, |block| json!(block.hash))
            }
            "chain_getFinalizedHead" => {
                json!(self.blocks[self.blocks.len().saturating_sub(3)].hash)
            }
            "chain_getHeader" => at(0).map_or(Value::Null, |block| json!(block.header)),
            "state_getMetadata" => hex(&runtime::metadata()),
            "state_getRuntimeVersion" => json!({
                "specVersion": self.spec_version(at(0).unwrap_or(last)),
                "transactionVersion": runtime::TRANSACTION_VERSION,
            }),
            "state_getStorage" => {
                let block = at(1).ok_or_else(|| error(4003, "Client error: UnknownBlock: …"))?;
                let key = params[0].as_str().unwrap();
                match key.starts_with("0x26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c") {
                    true => hex(&(block.nonce, [1u32; 3], 500u64, 60u64, 7u64, 0u128).encode()),
                    false => hex(&block.events),
                }
            }
            "system_accountNextIndex" => {
                json!(last.nonce as usize + self.pool.len() + self.stuck)
            }
            "state_call" => match self.answer_of(params, hash(2))? {
                Some(bytes) => hex(&bytes),
                None => {
                    let function = params[0].as_str().unwrap();
                    let text = format!("Other: Exported method {function} is not found");
                    return Err(error(4003, &text));
                }
            },
            _ => return Err(error(-32601, "Method not found")),
        })
    }

    /// The version of the runtime after a block.
    fn spec_version(&self, block: &BlockData) -> u32 {
        let is_new = self.upgraded_at.is_some_and(|at| block.header.number >= at);
        runtime::SPEC_VERSION + u32::from(is_new)
    }

    /// What the runtime's function answers, if it has it.
    fn answer_of(
        &self,
        params: &[Value],
        at: Option<H256>,
    ) -> Result<Option<Vec<u8>>, ErrorObjectOwned> {
        if params[0] != "TaggedTransactionQueue_validate_transaction" {
            let arguments = hex::decode(&params[1].as_str().unwrap()[2..]).unwrap();
            let answer = self.answers.map(|answers| answers(&arguments));
            return Ok(answer.or_else(|| self.answer.clone()));
        }
        let at = at.expect("a pool asks of a block");
        self.check_question(params[1].as_str().unwrap(), at);
        match self.blocks.iter().any(|block| block.hash == at) {
            true => Ok(self.validity.clone()),
            false => Err(error(4003, "Client error: UnknownBlock: …")),
        }
    }

    /// That the question whether a transaction is valid is as the runtime reads it: where the transaction comes from
    /// (2: from outside), the transaction as it was offered, with its length, and the block `at` which it is asked.
    fn check_question(&self, arguments: &str, at: H256) {
        let bytes = hex::decode(&arguments[2..]).unwrap();
        let (source, rest) = bytes.split_first().unwrap();
        let (transaction, block) = rest.split_at(rest.len() - 32);
        assert_eq!((*source, block), (2, at.as_bytes()));
        Transaction::read(transaction).unwrap();
        // A node that was started on another chain does not know what it was offered before.
        let text = json!(format!("0x{}", hex::encode(transaction)));
        let is_offer = |(method, _): &&(String, Vec<Value>)| method == "author_submitExtrinsic";
        let mut offers = self.requests.iter().filter(is_offer).peekable();
        assert!(offers.peek().is_none() || offers.any(|(_, params)| params[0] == text));
    }

    /// How often a method was asked for.
    pub fn asked(&self, method: &str) -> usize {
        let asked = self.requests.iter().filter(|(name, _)| name == method);
        asked.count()
    }

    /// Takes a transaction into the pool, if it is one.
    fn take(&mut self, params: &[Value]) -> Result<Value, ErrorObjectOwned> {
        if let Some((code, detail)) = self.refusals.pop() {
            return Err(ErrorObjectOwned::owned(
                code,
                "Invalid Transaction",
                Some(detail),
            ));
        }
        let bytes = hex::decode(&params[0].as_str().unwrap()[2..]).unwrap();
        let transaction = Transaction::read(&bytes).map_err(|e| error(1001, &e.to_string()))?;
        let anchor = &self.blocks[transaction.phase as usize];
        if !transaction.is_signed_for(self.blocks[0].hash, anchor.hash) {
            let detail = Some("Transaction has a bad signature");
            return Err(ErrorObjectOwned::owned(1010, "Invalid Transaction", detail));
        }
        let hash = blake2_256(&bytes);
        self.pool.push((transaction, bytes));
        Ok(json!(hash))
    }
}

fn error(code: i32, message: &str) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message, None::<()>)
}
