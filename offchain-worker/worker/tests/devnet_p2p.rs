//! A network whose members share no store: each has its own, and files go from peer to peer.
#![cfg(feature = "p2p")]

mod common;
#[path = "common/network.rs"]
mod network;

use std::path::Path;

use network::{Devnet, RUN};

use cairn_worker::devnet::RoundReport;

const ROUNDS: usize = 4;

/// The contributions that a directory holds below it, by the round that their path names.
fn contributions(store: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![store.to_path_buf()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).expect("readable") {
            let path = entry.expect("an entry").path();
            let text = path.to_string_lossy().into_owned();
            match path.is_dir() {
                true => left.push(path),
                false if text.contains("/contributions/") && !text.ends_with(".outboard") => {
                    let name = path.file_name().expect("a name");
                    found.push(name.to_string_lossy().into_owned());
                }
                false => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn members_that_share_no_store_train_one_model() {
    let devnet = Devnet::new(
        "kept",
        &[
            "--transport",
            "p2p",
            "--rounds",
            "4",
            "--miners",
            "2",
            "--validators",
            "2",
            "--cheats",
            "0",
            "--chaos",
            "late-miner@1",
            "--run",
            RUN,
        ],
    );
    let ended = devnet.run(ROUNDS, |_| {});
    let (kept, report) = (&ended.kept, &ended.report);
    let included = |round: &RoundReport| round.included.len();
    ended.most_rounds_included_somebody();

    // One root everywhere, of the one who came late, too: what the others sent it had from them alone.
    ended.all_hold_one_model();

    // Nobody wrote to the run's store, and whoever attests has all that was included. Who came late may have begun at a
    // checkpoint, and has others' files since.
    assert!(contributions(&kept.join("store")).is_empty());
    let of = |name: &str| contributions(&kept.join("stores").join(name));
    let made: Vec<String> = ["miner-1", "miner-2", "late-miner-1"]
        .into_iter()
        .flat_map(of)
        .collect();
    let all: usize = report.rounds.iter().map(included).sum();
    for name in ["validator-1", "validator-2"] {
        let here = of(name);
        let others = here.iter().filter(|one| made.contains(one)).count();
        assert!(others >= all, "{name} has {others} of {all}");
    }
    let (late, first) = (of("late-miner-1"), of("miner-1"));
    assert!(late.iter().any(|one| first.contains(one)), "{late:?}");
    let log = std::fs::read_to_string(kept.join("logs/validator-1.log")).expect("kept");
    assert!(log.contains("serving others at iroh://"), "{log}");
}
