//! Configurations of a run, and the data sets that they name.

use std::path::Path;

use super::{fails, place::Place, works, NOBODY};

fn hash_of(path: &Path) -> String {
    path.file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

#[test]
fn a_run_that_fits_is_accepted_and_says_what_it_computed() {
    let place = Place::new();
    let file = place.run("name", "name");
    let start = [
        "run",
        "start",
        "--check",
        "--node",
        NOBODY,
        "--json",
        "--file",
        &file,
        "--store",
        &place.store(),
    ];
    let started: serde_json::Value = serde_json::from_str(&works(&start)).expect("JSON");
    assert_eq!(started["started"], false);
    assert_eq!(started["relays"], serde_json::json!([]));
    let with = [&start[..], &["--relay", "https://relay.example"]].concat();
    let with: serde_json::Value = serde_json::from_str(&works(&with)).expect("JSON");
    assert_eq!(with["relays"][0], "https://relay.example");
    let manifest = |of: &serde_json::Value| of["config"]["data"]["manifest_root"].clone();
    assert_ne!(manifest(&with), manifest(&started));
    assert!(started["parameters"].as_u64() > Some(800_000));
    let root = started["config"]["initial_root"]
        .as_str()
        .expect("a root")
        .to_string();
    // What was computed can be stated, and is then checked.
    let stated = place.run(
        "max_contributors",
        &format!("initial_root = \"{root}\"\nmax_contributors"),
    );
    works(&[
        "run",
        "start",
        "--check",
        "--node",
        NOBODY,
        "--file",
        &stated,
        "--store",
        &place.store(),
    ]);
}

#[test]
fn run_configurations_that_cannot_be_are_refused() {
    let place = Place::new();
    place.check(
        "layers = 4",
        "layers = 4\nlayres = 5",
        &["layres", "line", "run-tiny.toml"],
    );
    place.check(
        "heads = 4",
        "heads = 5",
        &["heads", "d_model", "impossible"],
    );
    place.check("d_model = 128", "d_model = 0", &["d_model", "impossible"]);
    for (relay, words) in [
        ("http://relay.example", ["relay 1", "https://HOST"]),
        ("https://10.0.0.1", ["https://10.0.0.1", "--p2p-relay"]),
    ] {
        let data = format!("[data]\nrelays = [\"{relay}\"]");
        place.check("[data]", &data, &words);
    }
    place.check(
        "learning_rate = 0.003",
        "learning_rate = -1.0",
        &["learning_rate", "negative"],
    );
    place.check(
        "kept_per_block = 512",
        "kept_per_block = 5000",
        &["kept_per_block", "4096"],
    );
    place.check(
        "[phases]\ntrain = ",
        "[phases]\ntrain = 0 # ",
        &["phase", "at least 1"],
    );
    place.check(
        "vocabulary = 1024",
        "vocabulary = 64",
        &["vocabulary 64", "smaller tokenizer"],
    );
    place.check(
        "steps = 2 ",
        "steps = 2000 ",
        &["too few", "prepare more data"],
    );
    place.check(
        "[data]",
        "[data]\nwindows = 7",
        &["windows is 7", "leave it out"],
    );
    let zero = format!("0x{}", "00".repeat(32));
    let stated = format!("initial_root = \"{zero}\"\nmax_contributors");
    place.check(
        "max_contributors",
        &stated,
        &["initial_root", "leave initial_root out"],
    );
    place.check(
        "[data]",
        &format!("[data]\ntokenizer_root = \"{zero}\""),
        &["tokenizer_root"],
    );
    place.check(
        "[data]",
        &format!("[data]\nmanifest_root = \"{zero}\""),
        &["is not in the store"],
    );
    fails(
        &[
            "run",
            "start",
            "--check",
            "--node",
            NOBODY,
            "--file",
            "/nowhere.toml",
            "--store",
            &place.store(),
        ],
        &["/nowhere.toml", "run-tiny.toml"],
    );
}

#[test]
fn a_missing_shard_is_named() {
    let place = Place::new();
    let shard = place.shard();
    std::fs::remove_file(&shard).expect("there");
    place.check("name", "name", &[&hash_of(&shard), "is not in the store"]);
}

#[test]
fn a_damaged_shard_is_named() {
    let place = Place::new();
    let shard = place.shard();
    let mut bytes = std::fs::read(&shard).expect("there");
    bytes[40] ^= 1;
    std::fs::write(&shard, bytes).expect("room");
    place.check("name", "name", &[&hash_of(&shard), "damaged"]);
}

#[test]
fn an_empty_store_and_two_data_sets_are_told_apart() {
    let place = Place::new();
    let corpus = place.text("corpus");
    let prepare = |out: &str, held_out: &str| {
        works(&[
            "data",
            "prepare",
            "--corpus",
            &corpus,
            "--tokenizer",
            &place.text("tokenizer.json"),
            "--out",
            out,
            "--held-out",
            held_out,
        ]);
    };
    prepare(&place.store(), "0.5");
    place.check("name", "name", &["2 data sets", "--manifest"]);
    std::fs::create_dir(place.path("empty")).expect("room");
    let (file, empty) = (
        place.run("name", "name"),
        format!("file://{}", place.text("empty")),
    );
    fails(
        &[
            "run", "start", "--check", "--node", NOBODY, "--file", &file, "--store", &empty,
        ],
        &["no data set", "cairn data prepare"],
    );
}
