//! What is checked without a chain, and what is found on the disk: nothing is made by looking.

use cairn_primitives::Netuid;
use std::{
    path::Path,
    process::{Command, Output},
};

/// Port 1 is reserved and nobody listens on it.
const NOBODY: &str = "ws://127.0.0.1:1";

/// Runs `cairn` with nothing of the surroundings, and this home.
fn cairn(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CAIRN_")) {
        command.env_remove(name);
    }
    let command = command.env("HOME", home).args(arguments);
    command.output().expect("cairn starts")
}

/// What it said on failing.
fn fails(home: &Path, arguments: &[&str]) -> String {
    let output = cairn(home, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn a_mistyped_store_is_named_as_it_was_written_and_not_made() {
    let home = tempfile::tempdir().expect("room");
    let run = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../chain-specs/run-tiny.toml"
    );
    let model = home.path().join("model").display().to_string();
    for (written, name) in [("strore", "strore"), ("my%20store", "my store")] {
        let url = format!("file://{}/{written}", home.path().display());
        let start = [
            "run", "start", "--check", "--node", NOBODY, "--file", run, "--store", &url,
        ];
        let export = [
            "run",
            "export",
            "--file",
            run,
            "--checkpoint",
            "checkpoints/1/5-ab",
            "--out",
            &model,
            "--store",
            &url,
        ];
        for command in [&start[..], &export[..]] {
            let error = fails(home.path(), command);
            assert!(
                error.contains(&url) && error.contains("does not exist"),
                "{error}"
            );
            assert!(!home.path().join(name).exists(), "it was made");
        }
    }
}

#[test]
fn a_store_that_is_written_by_hand_gets_the_url_that_was_meant() {
    let home = tempfile::tempdir().expect("room");
    let run = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../chain-specs/run-tiny.toml"
    );
    for (written, meant) in [
        ("file:///srv/k#1", "file:///srv/k%231"),
        ("file:///srv/what?", "file:///srv/what%3F"),
        ("/srv/cairn", "file:///srv/cairn"),
    ] {
        let start = [
            "run", "start", "--check", "--node", NOBODY, "--file", run, "--store", written,
        ];
        let error = fails(home.path(), &start);
        assert!(error.contains(written) && error.contains(meant), "{error}");
    }
}

#[test]
fn plans_of_a_devnet_that_cannot_happen_are_refused_before_anything_is_made() {
    let home = tempfile::tempdir().expect("room");
    let kept = home.path().join("k#1").display().to_string();
    for (arguments, why) in [
        (
            &["--chaos", "kill-miner@30", "--rounds", "3"][..],
            "the last round is 2",
        ),
        (&["--late-miner-at", "0"], "is not late"),
        (
            &["--late-miner-at", "2", "--chaos", "late-miner@2"],
            "planned twice",
        ),
        (
            &[
                "--miners",
                "64",
                "--cheats",
                "64",
                "--validators",
                "32",
                "--rounds",
                "0",
            ],
            "rounds",
        ),
    ] {
        let all = [
            &["devnet", "--keep", &kept, "--node-bin", "/nowhere"],
            arguments,
        ]
        .concat();
        let output = cairn(home.path(), &all);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(why), "{error}");
        assert!(!Path::new(&kept).exists(), "something was made");
    }
}

#[test]
fn a_devnet_in_a_directory_of_any_name_gets_as_far_as_its_node() {
    let home = tempfile::tempdir().expect("room");
    for name in ["k#1", "100%", "a b?"] {
        let kept = home.path().join(name).display().to_string();
        let error = fails(
            home.path(),
            &["devnet", "--keep", &kept, "--node-bin", "/nowhere"],
        );
        assert!(error.contains("there is no node at /nowhere"), "{error}");
    }
}

/// A state directory as a worker leaves it.
fn state(home: &Path, name: &str, netuid: Netuid) {
    let directory = home.join(".cairn/state").join(name);
    std::fs::create_dir_all(&directory).expect("room");
    let hash = |byte: &str| format!("0x{}", byte.repeat(32));
    let manifest = serde_json::json!({
        "version": 1,
        "identity": {
            "genesis": hash("01"),
            "netuid": netuid,
            "started_at": 9,
            "initial_root": hash("02"),
            "hotkey": hash("03"),
        },
        "generation": 1,
        "pieces": {},
        "meta": null,
    });
    std::fs::write(directory.join("manifest.json"), manifest.to_string()).expect("room");
    std::fs::write(directory.join("lock"), "").expect("room");
}

#[test]
fn state_is_listed_and_nothing_is_removed_without_a_node_that_says_what_is_old() {
    let home = tempfile::tempdir().expect("room");
    let listed = |home: &Path| -> serde_json::Value {
        let output = cairn(home, &["doctor", "--json", "--node", NOBODY]);
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    assert_eq!(
        listed(home.path())["state"]["directories"],
        serde_json::json!([])
    );
    assert!(
        !home.path().join(".cairn").exists(),
        "looking made something"
    );

    // As older releases had it, and as it is now.
    state(home.path(), "1-5Grw", Netuid(1));
    state(home.path(), "01010101/2-9-02020202-5Grw", Netuid(2));
    let found = listed(home.path());
    let directories = found["state"]["directories"]
        .as_array()
        .expect("a list")
        .clone();
    let of = |at: usize, key: &str| directories[at][key].clone();
    assert_eq!(directories.len(), 2, "{found}");
    assert_eq!(
        (of(0, "state"), of(1, "state")),
        ("unknown".into(), "unknown".into())
    );
    assert_eq!(directories[0]["identity"]["netuid"], 2);
    let why = found["state"]["not_asked"].as_str().expect("a reason");
    assert!(why.contains("no node answers"), "{why}");

    let remove = ["doctor", "--remove-old-state", "--yes", "--node", NOBODY];
    let error = fails(home.path(), &remove);
    assert!(error.contains("nothing was removed"), "{error}");
    assert_eq!(
        listed(home.path())["state"]["directories"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}

#[test]
fn a_decimal_option_is_exact_or_refused_with_the_reason() {
    let home = tempfile::tempdir().expect("room");
    for (decay, why) in [
        ("0.95000000049", "more than nine decimals"),
        ("-0.5", "negative"),
        ("half", "not a decimal number"),
    ] {
        let decay = format!("--error-decay={decay}");
        let encode = [
            "gradient",
            "encode",
            "--layout",
            "none.json",
            &decay,
            "in",
            "out",
        ];
        let output = cairn(home.path(), &encode);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(why), "{error}");
    }
}
