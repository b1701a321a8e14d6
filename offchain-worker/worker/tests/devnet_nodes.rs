//! A chain of three nodes: the one that workers ask is killed, the next one stands still, and they go on with the last.

mod common;
#[path = "common/network.rs"]
mod network;

use network::{Devnet, RUN};

const ROUNDS: usize = 7;
const STALLED_AT: usize = 3;

#[test]
fn workers_go_on_with_another_node() {
    let rounds = ROUNDS.to_string();
    let chaos = format!("kill-node@1,stall-node@{STALLED_AT}");
    let devnet = Devnet::new(
        "kept",
        &[
            "--nodes",
            "3",
            "--miners",
            "2",
            "--validators",
            "2",
            "--cheats",
            "0",
            "--rounds",
            &rounds,
            "--chaos",
            &chaos,
            "--run",
            RUN,
        ],
    );
    let ended = devnet.run(ROUNDS, |_| {});
    let (kept, report) = (&ended.kept, &ended.report);

    // All hold the last parameters, and whoever lost its node works on.
    ended.all_hold_one_model();
    ended.most_rounds_included_somebody();
    let after = report.rounds.get(STALLED_AT + 1..).expect("seven");
    assert!(
        after.iter().any(|round| !round.included.is_empty()),
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
