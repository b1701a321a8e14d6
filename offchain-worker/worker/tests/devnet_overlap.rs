//! Real nodes and workers whose rounds overlap: each round is trained while the one before it is settled. Somebody has
//! subscribed to the run meanwhile.

mod common;
#[path = "common/network.rs"]
mod network;
#[path = "common/nodes.rs"]
mod nodes;

use std::{
    sync::mpsc::{channel, Receiver, Sender},
    time::Duration,
};

use network::{role, Devnet, RUN};
use nodes::url_in;

use cairn_primitives::AuditOutcome;
use cairn_worker::devnet::RoundReport;
use jsonrpsee::{
    core::client::{ClientT, Subscription, SubscriptionClientT},
    rpc_params,
    ws_client::WsClientBuilder,
};
use serde_json::Value;

const ROUNDS: usize = 6;
/// A round that is told of well before the network ends.
const TOLD: u64 = 3;
/// After this time a node never will answer, on however busy a machine.
const HANGS: Duration = Duration::from_secs(40 * 60);

/// Who subscribed to the run of subnet 1.
struct Subscriber {
    told: Receiver<(Value, Value)>,
    seen: Vec<Value>,
}

impl Subscriber {
    /// Subscribes.
    fn new(url: &str) -> Subscriber {
        let ((tell, told), url) = (channel(), url.to_string());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("threads");
            runtime.block_on(follow(&url, &tell));
        });
        let seen = Vec::new();
        Subscriber { told, seen }
    }

    /// Waits until it is told of a round that is this one or later.
    fn until(&mut self, round: u64) {
        while self.seen.last().and_then(round_of) < Some(round) {
            let next = self.told.recv().expect("it is told of what comes");
            self.hear(next);
        }
    }

    /// All that it was told, once the network has ended.
    fn end(mut self) -> Vec<Value> {
        while let Ok(next) = self.told.recv() {
            self.hear(next);
        }
        self.seen
    }

    /// Is told of a state, which is the chain's, newer than the one before, and another one.
    fn hear(&mut self, (state, of_chain): (Value, Value)) {
        assert_eq!(state["run"], of_chain, "as of block {}", state["number"]);
        if let Some(last) = self.seen.last() {
            let number = |state: &Value| state["number"].as_u64().expect("a number");
            assert!(number(&state) > number(last), "{state} after {last}");
            assert!(round_of(&state) >= round_of(last), "{state} after {last}");
            assert_ne!(state["run"], last["run"], "told twice");
        }
        self.seen.push(state);
    }
}

/// The round of what was told, if there is a run.
fn round_of(state: &Value) -> Option<u64> {
    state["run"]["round"]["round"].as_u64()
}

/// Tells of the run what the subscription does, and what `training_run` answers of the same block, until the node ends.
async fn follow(url: &str, tell: &Sender<(Value, Value)>) {
    let client = WsClientBuilder::default()
        .connection_timeout(HANGS)
        .request_timeout(HANGS)
        .build(url)
        .await
        .expect("it listens");
    let (begin, end) = ("training_subscribeRun", "training_unsubscribeRun");
    let mut told: Subscription<Value> = client
        .subscribe(begin, rpc_params![1], end)
        .await
        .expect("there is a subnet");
    while let Some(Ok(state)) = told.next().await {
        let params = rpc_params![1, &state["hash"]];
        let Ok(of_chain) = client.request("training_run", params).await else {
            return;
        };
        if tell.send((state, of_chain)).is_err() {
            return;
        }
    }
}

#[test]
fn rounds_that_overlap_are_settled_and_their_audits_pass() {
    let rounds = ROUNDS.to_string();
    let devnet = Devnet::new(
        "kept",
        &[
            "--overlap",
            "1",
            "--miners",
            "2",
            "--validators",
            "2",
            "--cheats",
            "0",
            "--rounds",
            &rounds,
            "--chaos",
            "kill-miner@3",
            "--run",
            RUN,
        ],
    );
    let (mut url, mut subscriber) = (None, None);
    let ended = devnet.run(ROUNDS, |line| {
        let line = line.trim_start();
        url = url.take().or_else(|| url_in(line));
        // There is a subnet now, and a run soon.
        if let (true, Some(url)) = (line.starts_with("subnet"), &url) {
            subscriber = Some(Subscriber::new(url));
        }
        let is_told = line.starts_with(&format!("{TOLD} "));
        if let (true, Some(subscriber)) = (is_told, &mut subscriber) {
            subscriber.until(TOLD);
        }
    });
    let told = subscriber.expect("a subnet was shown").end();
    let last = told.last().expect("it was told of a run");
    assert!(round_of(last) >= Some(TOLD), "{last}");
    assert_eq!(last["run"]["config"]["overlap"], 1, "{last}");
    let report = &ended.report;
    ended.all_hold_one_model();
    ended.most_rounds_included_somebody();
    // What is applied a round later may go too far, so with so few rounds the last loss need not be the lowest.
    let losses: Vec<f64> = report.rounds.iter().map(|it| it.heldout_loss).collect();
    let (first, last) = (losses.first().expect("six"), report.final_heldout_loss);
    let lowest = losses.iter().copied().fold(last, f64::min);
    assert!(lowest < first - 0.1, "{losses:?}, then {last}");
    // That honest work is found to be false may never be.
    let failed = |outcome| outcome == AuditOutcome::Failed;
    let mut outcomes = report.audits.iter().map(|audit| audit.outcome);
    assert!(!outcomes.any(failed), "{:?}", report.audits);
    let log = std::fs::read_to_string(ended.kept.join("logs/miner-1.log")).expect("kept");
    assert!(!log.contains("panicked"), "{log}");
    let both = |round: &RoundReport| round.included.len() == 2;
    assert!(report.rounds.iter().any(both), "{:?}", report.rounds);
    let miners = report.members.iter().filter(|one| role(one) == "miner");
    assert_eq!(miners.count(), 2);
}
