//! A subscription: a subnet's run, told when it changes.
//!
//! One task follows the best block, for all who subscribe. Each of them keeps what it told last and waits for its
//! reader alone: who reads slowly is told the newest, and never what lay between. The runtime is asked once about a
//! subnet and a block, however many follow it.

use std::{collections::BTreeMap, sync::Arc};

use cairn_primitives::{api::RunInfo, BlockNumber, Netuid};
use cairn_runtime::{AccountId, Hash};
use cairn_runtime_api::{SubnetsApi, TrainingApi};
use codec::Decode;
use futures::StreamExt;
use jsonrpsee_substrate::{
    core::{RegisterMethodError, RpcResult},
    types::{ErrorObjectOwned, Params},
    PendingSubscriptionSink, RpcModule, SubscriptionCloseResponse, SubscriptionMessage,
    SubscriptionSink,
};
use sc_client_api::BlockchainEvents;
use scale_info::TypeInfo;
use serde::Serialize;
use sp_api::ProvideRuntimeApi;
use sp_blockchain::HeaderBackend;
use tokio::sync::{watch, Mutex};

use super::{
    no_subnet,
    parameters::{Declared, Parameters, NETUID},
    unavailable,
};
use crate::service::Client;

/// The method that subscribes.
pub const SUBSCRIBE: &str = "training_subscribeRun";
/// The method that ends it.
pub const UNSUBSCRIBE: &str = "training_unsubscribeRun";
/// What a notification is called.
pub const TELLS: &str = "training_runChanged";
/// What subscribing takes.
pub const PARAMETERS: &[Declared] = &[NETUID];

/// A subnet's run as of a block: what is told.
#[derive(Debug, Decode, TypeInfo, Serialize)]
pub struct RunAt {
    /// The block's number.
    pub number: BlockNumber,
    /// The block's hash.
    pub hash: Hash,
    /// What `training_run` answers of it.
    pub run: Option<RunInfo<AccountId>>,
}

/// Who is asked.
pub trait Chain: Send + Sync {
    /// Number and hash of the best block.
    fn best(&self) -> (BlockNumber, Hash);

    /// The run of a subnet as of a block.
    ///
    /// # Errors
    /// There is no such subnet, or the runtime could not be asked.
    fn run(&self, netuid: Netuid, at: Hash) -> RpcResult<Option<RunInfo<AccountId>>>;
}

/// Answers as of one block.
struct Asked {
    at: Hash,
    runs: BTreeMap<Netuid, Arc<RunAt>>,
}

/// Tells subscribers.
pub struct Following {
    news: watch::Receiver<()>,
    chain: Arc<dyn Chain>,
    asked: Mutex<Asked>,
}

impl Chain for Client {
    fn best(&self) -> (BlockNumber, Hash) {
        let info = self.info();
        (info.best_number, info.best_hash)
    }

    fn run(&self, netuid: Netuid, at: Hash) -> RpcResult<Option<RunInfo<AccountId>>> {
        let api = self.runtime_api();
        let run = TrainingApi::<_, AccountId>::run(&*api, at, netuid).map_err(unavailable)?;
        if run.is_none() {
            let subnet = SubnetsApi::<_, AccountId>::subnet(&*api, at, netuid);
            if subnet.map_err(unavailable)?.is_none() {
                return Err(no_subnet(netuid));
            }
        }
        Ok(run)
    }
}

/// Says that there is another best block, until the node ends.
pub fn news(client: &Client, executor: &sc_rpc::SubscriptionTaskExecutor) -> watch::Receiver<()> {
    let mut imported = client.import_notification_stream();
    let (tell, news) = watch::channel(());
    sc_rpc::utils::spawn_subscription_task(executor, async move {
        while let Some(block) = imported.next().await {
            if block.is_new_best {
                tell.send_replace(());
            }
        }
    });
    news
}

impl Following {
    /// Tells what this chain answers, whenever there is news.
    pub fn new(news: watch::Receiver<()>, chain: Arc<dyn Chain>) -> Following {
        let (_, at) = chain.best();
        let runs = BTreeMap::new();
        Following {
            news,
            chain,
            asked: Mutex::new(Asked { at, runs }),
        }
    }

    /// Serves it.
    ///
    /// # Errors
    /// There is a method of such a name.
    pub fn register<Context: Send + Sync + 'static>(
        self,
        module: &mut RpcModule<Context>,
    ) -> Result<(), RegisterMethodError> {
        let following = Arc::new(self);
        module
            .register_subscription(
                SUBSCRIBE,
                TELLS,
                UNSUBSCRIBE,
                move |params, pending, _, _| {
                    let following = following.clone();
                    async move { following.follow(params, pending).await }
                },
            )
            .map(|_| ())
    }

    /// One subscription, from its beginning to its end.
    async fn follow(
        &self,
        params: Params<'static>,
        pending: PendingSubscriptionSink,
    ) -> SubscriptionCloseResponse {
        let mut news = self.news.clone();
        let (netuid, mut told) = match self.first(&params, &mut news).await {
            Ok(first) => first,
            Err(error) => {
                pending.reject(error).await;
                return SubscriptionCloseResponse::None;
            }
        };
        let Ok(sink) = pending.accept().await else {
            return SubscriptionCloseResponse::None;
        };
        loop {
            if !tell(&sink, &told).await {
                return SubscriptionCloseResponse::None;
            }
            told = match self.next(netuid, &told, &mut news, &sink).await {
                Some(Ok(changed)) => changed,
                Some(Err(error)) => return ended(&error),
                None => return SubscriptionCloseResponse::None,
            };
        }
    }

    /// Which subnet is asked for, and its run now.
    async fn first(
        &self,
        params: &Params<'static>,
        news: &mut watch::Receiver<()>,
    ) -> RpcResult<(Netuid, Arc<RunAt>)> {
        let netuid = Parameters::new(params, PARAMETERS)?.required()?;
        Ok((netuid, self.now(netuid, news).await?))
    }

    /// What is to be told next; `None` when the reader has gone, or the node ends.
    async fn next(
        &self,
        netuid: Netuid,
        told: &RunAt,
        news: &mut watch::Receiver<()>,
        sink: &SubscriptionSink,
    ) -> Option<RpcResult<Arc<RunAt>>> {
        loop {
            tokio::select! {
                () = sink.closed() => return None,
                changed = news.changed() => changed.ok()?,
            }
            match self.now(netuid, news).await {
                Ok(now) if now.run == told.run => {}
                other => return Some(other),
            }
        }
    }

    /// The run as of the best block, which is no news then.
    async fn now(&self, netuid: Netuid, news: &mut watch::Receiver<()>) -> RpcResult<Arc<RunAt>> {
        let mut asked = self.asked.lock().await;
        // Only now: whoever waited for the others asks about the same block as they.
        // And a block that comes meanwhile stays news.
        news.mark_unchanged();
        let (number, hash) = self.chain.best();
        if asked.at != hash {
            asked.at = hash;
            asked.runs.clear();
        }
        if let Some(known) = asked.runs.get(&netuid) {
            return Ok(known.clone());
        }
        let run = self.chain.run(netuid, hash)?;
        let now = Arc::new(RunAt { number, hash, run });
        asked.runs.insert(netuid, now.clone());
        Ok(now)
    }
}

/// Tells a subscriber, as soon as there is room for it; false if it has gone.
async fn tell(sink: &SubscriptionSink, run: &RunAt) -> bool {
    match SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), run) {
        Ok(message) => sink.send(message).await.is_ok(),
        Err(_) => false,
    }
}

/// What a subscription ends with that cannot go on.
fn ended(error: &ErrorObjectOwned) -> SubscriptionCloseResponse {
    match SubscriptionMessage::from_json(error) {
        Ok(message) => SubscriptionCloseResponse::NotifErr(message),
        Err(_) => SubscriptionCloseResponse::None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::{json, Value};
    use tokio::sync::mpsc::Receiver;

    use super::*;

    /// Subnet 1 has another run with each third block, subnet 2 has none and is gone from block 6 on.
    struct Fake {
        best: AtomicU32,
        asked: AtomicU32,
    }

    /// A node in small.
    struct Node {
        chain: Arc<Fake>,
        tell: watch::Sender<()>,
        module: RpcModule<()>,
    }

    fn hash(number: u32) -> Hash {
        Hash::from_low_u64_be(number.into())
    }

    /// Told apart by when it was started.
    fn run(started_at: u32) -> RunInfo<AccountId> {
        let mut run = RunInfo::decode(&mut [0u8; 4_096].as_slice()).expect("zeros are one");
        run.started_at = started_at;
        run
    }

    impl Chain for Fake {
        fn best(&self) -> (BlockNumber, Hash) {
            let number = self.best.load(Ordering::SeqCst);
            (number, hash(number))
        }

        fn run(&self, netuid: Netuid, at: Hash) -> RpcResult<Option<RunInfo<AccountId>>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let number = u32::try_from(at.to_low_u64_be()).expect("short");
            match netuid {
                Netuid(1) => Ok(Some(run(number / 3))),
                Netuid(2) if number < 6 => Ok(None),
                _ => Err(no_subnet(netuid)),
            }
        }
    }

    impl Node {
        /// At block 3.
        fn new() -> Node {
            let (tell, news) = watch::channel(());
            let chain = Arc::new(Fake {
                best: AtomicU32::new(3),
                asked: AtomicU32::new(0),
            });
            let mut module = RpcModule::new(());
            let following = Following::new(news, chain.clone());
            following.register(&mut module).expect("no other is there");
            Node {
                chain,
                tell,
                module,
            }
        }

        /// Subscribes; the answer, and what is told. `room` is for what is not read yet.
        async fn subscribe(&self, params: Value, room: usize) -> (Value, Receiver<String>) {
            let request =
                json!({ "jsonrpc": "2.0", "id": 0, "method": SUBSCRIBE, "params": params });
            let text = request.to_string();
            let asked = self.module.raw_json_request(&text, room);
            let (answer, told) = asked.await.expect("a request");
            (serde_json::from_str(&answer).expect("JSON"), told)
        }

        fn is_best(&self, number: u32) {
            self.chain.best.store(number, Ordering::SeqCst);
            self.tell.send_replace(());
        }

        fn times_asked(&self) -> u32 {
            self.chain.asked.load(Ordering::SeqCst)
        }

        async fn asked(&self, times: u32) {
            until(|| self.times_asked() == times).await;
        }
    }

    /// Lets the others go on until it is so.
    async fn until(is_so: impl Fn() -> bool) {
        for _ in 0..1_000 {
            if is_so() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("it never is so");
    }

    /// The next that is told.
    async fn next(told: &mut Receiver<String>) -> Value {
        let text = told.recv().await.expect("it goes on");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(told["method"], TELLS);
        told["params"].clone()
    }

    /// Block and run of the next that is told.
    async fn next_run(told: &mut Receiver<String>) -> (Value, Value) {
        let told = next(told).await["result"].clone();
        let number = u32::try_from(told["number"].as_u64().expect("a number")).expect("short");
        assert_eq!(told["hash"], json!(hash(number)));
        (told["number"].clone(), told["run"]["started_at"].clone())
    }

    #[tokio::test]
    async fn the_run_is_told_at_once_and_then_when_it_changes() {
        let node = Node::new();
        let (_, mut told) = node.subscribe(json!([1]), 8).await;
        assert_eq!(next_run(&mut told).await, (json!(3), json!(1)));
        for (number, asked) in [(4, 2), (5, 3)] {
            node.is_best(number);
            node.asked(asked).await;
        }
        node.is_best(6);
        assert_eq!(next_run(&mut told).await, (json!(6), json!(2)));
    }

    #[tokio::test]
    async fn who_reads_slowly_is_told_the_newest() {
        let node = Node::new();
        let (_, mut told) = node.subscribe(json!({ "netuid": 1 }), 1).await;
        // The first one fills the room that there is, and the second waits.
        node.is_best(6);
        node.asked(2).await;
        for number in [9, 12, 15] {
            node.is_best(number);
            tokio::task::yield_now().await;
        }
        for expected in [(3, 1), (6, 2), (15, 5)] {
            let expected = (json!(expected.0), json!(expected.1));
            assert_eq!(next_run(&mut told).await, expected);
        }
        assert_eq!(node.times_asked(), 3);
    }

    #[tokio::test]
    async fn many_ask_the_runtime_once_and_nothing_is_left_of_them() {
        let node = Node::new();
        let mut all = Vec::new();
        for _ in 0..20 {
            all.push(node.subscribe(json!([1]), 8).await.1);
        }
        node.is_best(6);
        for told in &mut all {
            assert_eq!(next_run(told).await.0, json!(3));
            assert_eq!(next_run(told).await.0, json!(6));
        }
        assert_eq!(node.times_asked(), 2);
        assert_eq!(node.tell.receiver_count(), 21);
        drop(all);
        until(|| node.tell.receiver_count() == 1).await;
    }

    #[tokio::test]
    async fn what_is_no_subnet_is_refused_and_one_that_goes_ends_it() {
        let node = Node::new();
        let (refused, mut told) = node.subscribe(json!([9]), 8).await;
        assert_eq!(refused["error"]["code"], 2, "{refused}");
        assert_eq!(told.recv().await, None);
        let (refused, _) = node.subscribe(json!(["one"]), 8).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");

        let (_, mut told) = node.subscribe(json!([2]), 8).await;
        let first = next(&mut told).await;
        assert_eq!(first["result"]["number"], 3);
        assert_eq!(first["result"]["run"], Value::Null);
        node.is_best(6);
        assert_eq!(next(&mut told).await["error"]["code"], 2);
        assert_eq!(told.recv().await, None);
    }
}
