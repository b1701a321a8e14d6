//! A chain of three nodes: the one that workers ask is killed, the next one stands still, and they go on with the last.

mod common;
#[path = "common/network.rs"]
mod network;

use common::cairn;
use network::{logs, node, Network};

use cairn_worker::devnet::Report;

const ROUNDS: usize = 7;

#[test]
fn workers_go_on_with_another_node() {
    let directory = tempfile::tempdir().expect("room");
    let (kept, json) = (
        directory.path().join("kept"),
        directory.path().join("report.json"),
    );
    let run = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/run-small.toml");
    let mut devnet = cairn(&["devnet", "--nodes", "3", "--miners", "2", "--cheats", "0"]);
    devnet.args(["--rounds", &ROUNDS.to_string(), "--validators", "2"]);
    devnet.args(["--chaos", "kill-node@1,stall-node@3", "--run", run]);
    devnet
        .arg("--node-bin")
        .arg(node())
        .arg("--keep")
        .arg(&kept)
        .arg("--json")
        .arg(&json);
    let mut running = Network::start(&mut devnet);
    let told: Vec<String> = running.lines().collect();
    let (status, said) = running.end();
    let told = told.join("\n");
    assert!(status.success(), "{told}\n{said}\n{}", logs(&kept));
    let report = std::fs::read(&json).expect("written");
    let report: Report = serde_json::from_slice(&report).expect("a report");
    assert_eq!(report.rounds.len(), ROUNDS);

    // All hold the last parameters, and both failures cost at most the rounds in which they came.
    let last = report.rounds.last().expect("seven").model_root;
    for member in &report.members {
        assert_eq!(member.model_root, Some(last), "member {}", member.uid);
    }
    let null = report.rounds.iter().filter(|it| it.included.is_empty());
    assert!(null.count() <= 2, "{:?}", report.rounds);
    let final_rounds = report.rounds.get(ROUNDS - 2..).expect("seven");
    assert!(
        final_rounds.iter().any(|round| round.included.len() == 2),
        "nobody came back: {:?}",
        report.rounds
    );

    // They lost the first node, and then the second.
    for name in ["miner-1", "miner-2", "validator-1", "validator-2"] {
        let log = std::fs::read_to_string(kept.join(format!("logs/{name}.log")));
        let log = log.expect("kept");
        let moves = log.matches("lost the node's blocks").count();
        assert!(moves >= 2, "{name} moved {moves} times:\n{log}");
    }
}
