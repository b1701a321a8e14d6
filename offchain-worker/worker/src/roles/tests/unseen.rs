//! A run that is measured on a text that miners do not have: who has the file, and who has not.

use cairn_data::{Manifest, Shard, ShardInfo, TokenWidth};
use cairn_primitives::{RunConfig, H256};
use cairn_round::scoring::{Evidence, Outcome};
use cairn_store::{paths, Store};

use super::network::play;
use crate::roles::{testing::Network, Behaviour};

/// The file of a text of so many tokens, of which a window has 16.
fn file(tokens: u32) -> Vec<u8> {
    let tokens = (0..tokens).map(|place| place * 7 % 32).collect();
    let width = TokenWidth::of(32);
    let shard = Shard { width, tokens };
    shard.to_bytes().expect("small tokens")
}

const TOKENS: u32 = 20_001;

/// Has the run's manifest name the text.
fn name(config: &mut RunConfig, store: &Store) {
    let directory = store.directory().expect("it is one");
    let place = |root: &H256| directory.join(paths::blob(paths::DATA, &root.0));
    let bytes = std::fs::read(place(&config.data.manifest_root)).expect("it is there");
    let mut manifest = Manifest::from_bytes(&bytes).expect("a manifest");
    manifest.unseen = Some(ShardInfo::of(&file(TOKENS)).expect("a shard"));
    let root = manifest.root().expect("a manifest");
    let bytes = manifest.to_bytes().expect("a manifest");
    std::fs::write(place(&root), bytes).expect("room");
    config.data.manifest_root = root;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_text_measures_on_it_and_no_store_has_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let given = directory.path().join("unseen");
    std::fs::write(&given, file(TOKENS)).expect("room");
    let mut network = Network::with(&["Alice"], &["Victor"], name).await;
    network.validate_with(given, "Victor");
    network.mine("Alice", Behaviour::Honest);
    for _ in 0..2 {
        play(&network, 1, 1).await;
    }
    let log = network.state_dir("Victor").join("evidence.jsonl");
    let log = std::fs::read_to_string(log).expect("it is there");
    let mut found = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Evidence>(line).ok());
    let first = found.find(|one| one.round == 0);
    let first = first.expect("round 0 was measured");
    match &first.outcome {
        Outcome::Measured {
            unassigned, unseen, ..
        } => {
            assert!(!unseen.is_empty());
            assert_eq!(unseen.len(), unassigned.len());
        }
        other => panic!("it was not measured: {other:?}"),
    }
    let root = ShardInfo::of(&file(TOKENS)).expect("a shard").root;
    let is_there = network.store.has_blob(paths::DATA, &root.0).await;
    assert!(!is_there.expect("it answers"));
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_the_text_is_told_so_and_does_not_begin() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut network = Network::with(&["Alice"], &["Victor"], name).await;
    network.validate("Victor");
    let error = network.end("Victor").await.expect_err("it has no file");
    let error = error.to_string();
    assert!(error.contains("name it with --unseen FILE"), "{error}");

    let mut other = file(TOKENS);
    other[30] ^= 1;
    let inside = network.store.directory().expect("it is one").join("mine");
    let in_it = |name: &str| directory.path().join(name);
    for (given, bytes, reason) in [
        (in_it("other"), Some(other), "the manifest says"),
        (
            in_it("longer"),
            Some(file(TOKENS + 1)),
            "do not have 40,026",
        ),
        (in_it("nowhere"), None, "cannot read"),
        (inside, Some(file(TOKENS)), "may be served"),
    ] {
        if let Some(bytes) = bytes {
            std::fs::write(&given, bytes).expect("room");
        }
        network.validate_with(given, "Victor");
        let error = network.end("Victor").await.expect_err("it is not the file");
        let error = error.to_string();
        assert!(error.contains(reason), "{error}");
    }
    network.stop().await;
}
