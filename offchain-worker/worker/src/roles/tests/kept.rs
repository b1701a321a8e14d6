//! What is audited of a miner's work is served out of states that it kept; where those are gone, it makes them again.

use std::path::{Path, PathBuf};

use cairn_primitives::{AuditRules, Finding, Phase, RunConfig};
use cairn_store::Store;
use tokio::time::timeout;

use super::network::{committed, ledger, play, ALICE, HANGS};
use crate::roles::{
    chain::Chain,
    testing::{Network, State, NETUID},
    Behaviour,
};

/// States of a round that the run traces, without the one before its six steps.
const STATES: usize = 6;

/// A run that audits everything.
fn audited(config: &mut RunConfig, _: &Store) {
    config.audits = AuditRules {
        rate: AuditRules::EACH,
        auditors: 1,
        blocks: 8,
        ..AuditRules::default()
    };
}

/// Alice and a validator at work, in round 0.
async fn at_work() -> Network {
    let mut network = Network::with(&["Alice"], &["Victor"], audited).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    network
}

fn directory(network: &Network) -> PathBuf {
    network.state_dir("Alice").join("traced")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let is_whole = |file: &PathBuf| file.extension().is_some_and(|it| it == "bin");
    files.filter(is_whole).collect()
}

/// Waits until Alice has committed in round 0 and all that she keeps of it is there, and gives the files.
async fn until_kept(network: &Network) -> Vec<PathBuf> {
    let begun = committed(0, 1);
    network.chain.until("Alice has committed", begun).await;
    let directory = directory(network);
    let written = async {
        while files(&directory).len() < STATES {
            tokio::task::yield_now().await;
        }
    };
    let written = timeout(HANGS, written).await;
    written.unwrap_or_else(|_| panic!("there are {}", files(&directory).len()));
    files(&directory)
}

/// Plays round 0 to its end and its audit, which Alice has to pass.
async fn pass(network: &Network) {
    play(network, 1, 1).await;
    answer(network).await;
}

/// Plays the audit of round 0, which was just settled.
async fn answer(network: &Network) {
    let chain = &network.chain;
    let of = |state: &State| {
        let mut audits = state.audits.clone().into_iter();
        audits.find(|audit| audit.round == 0 && audit.uid == ALICE)
    };
    let served = move |state: &State| of(state).is_some_and(|audit| audit.served.is_some());
    // Blocks come here when a test says so: none is to pass while she serves what she owes.
    chain.until("her work is served", served).await;
    chain.go_to(Phase::Attest);
    let replayed = move |state: &State| {
        of(state).is_some_and(|audit| audit.auditors.iter().all(|one| one.committed.is_some()))
    };
    chain.until("it is replayed", replayed).await;
    chain.go_to(Phase::Settle);
    let all_found =
        |audit: &cairn_chain::AuditInfo| audit.auditors.iter().all(|one| one.found.is_some());
    let found = move |state: &State| of(state).as_ref().is_none_or(all_found);
    chain.until("what was found is known", found).await;
    let audit = of(&chain.state());
    let found = audit.iter().flat_map(|audit| &audit.auditors);
    assert!(found
        .into_iter()
        .all(|one| one.found == Some(Finding::Passed)));
    let at = chain.head().hash;
    let member = chain.member(at, NETUID, Network::account("Alice")).await;
    let member = member.expect("it answers").expect("she is a member");
    assert!(member.bond > 0, "her bond is lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_audited_is_served_without_training_again() {
    let network = at_work().await;
    pass(&network).await;
    assert_eq!(network.made_again("Alice"), 0);
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_miner_serves_what_it_had_kept() {
    let mut network = at_work().await;
    until_kept(&network).await;
    // so that she finds it in a block
    network.chain.tick();
    network.kill("Alice").await;
    network.mine("Alice", Behaviour::Honest);
    pass(&network).await;
    assert_eq!(network.made_again("Alice"), 0);
    network.stop().await;
}

/// A block passes while she owes it, and her process ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_owed_of_a_round_before_stays_until_it_is_served() {
    let mut network = at_work().await;
    until_kept(&network).await;
    play(&network, 1, 1).await;
    let is_applied = async {
        while ledger(&network, "Alice").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANGS, is_applied)
        .await
        .expect("round 0 is applied");
    network.chain.tick();
    network.kill("Alice").await;
    network.mine("Alice", Behaviour::Honest);
    answer(&network).await;
    assert_eq!(network.made_again("Alice"), 0);
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_trained_again() {
    let network = at_work().await;
    for file in until_kept(&network).await {
        std::fs::remove_file(file).expect("it is there");
    }
    pass(&network).await;
    assert!(network.made_again("Alice") > 0);
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_is_trained_again() {
    let network = at_work().await;
    for file in until_kept(&network).await {
        let mut bytes = std::fs::read(&file).expect("it is there");
        bytes[0] ^= 1;
        std::fs::write(&file, bytes).expect("room");
    }
    pass(&network).await;
    assert!(network.made_again("Alice") > 0);
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_keep_nothing_trains_again() {
    let mut network = Network::with(&["Alice"], &["Victor"], audited).await;
    network.keep_states(0);
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    pass(&network).await;
    assert!(network.made_again("Alice") > 0);
    assert!(files(&directory(&network)).is_empty());
    network.stop().await;
}

/// What was kept goes once it is served, and the next round's stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_served_or_past_is_kept_no_longer() {
    let network = at_work().await;
    pass(&network).await;
    let directory = directory(&network);
    let of_round_0 = || {
        let files = files(&directory).into_iter();
        let names = files.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned()));
        names.filter(|name| name.starts_with("0-")).count()
    };
    // She sees with a block that it is served.
    let gone = async {
        while of_round_0() > 0 {
            tokio::task::yield_now().await;
        }
    };
    network.chain.tick();
    let gone = timeout(HANGS, gone).await;
    gone.unwrap_or_else(|_| panic!("{} files are left", of_round_0()));
    network.stop().await;
}
