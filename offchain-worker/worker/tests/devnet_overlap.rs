//! Real nodes and workers whose rounds overlap: each round is trained while the one before it is settled.

mod common;
#[path = "common/network.rs"]
mod network;

use network::{role, Devnet, RUN};

use cairn_primitives::AuditOutcome;
use cairn_worker::devnet::RoundReport;

const ROUNDS: usize = 6;

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
    let ended = devnet.run(ROUNDS, |_| {});
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
