//! `scripts/gpu-check.sh`, rehearsed on a card that is a CPU.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use cairn_trainer::cuda::compile::SOURCES;
use serde_json::Value;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/gpu-check.sh");

fn check(out: &Path) -> Command {
    let sources = SOURCES.iter().map(|source| (source.name, source.kernels));
    let mut check = Command::new("bash");
    check.args([SCRIPT, "--rehearse", "yes", "--out"]).arg(out);
    check.args(["--cairn", env!("CARGO_BIN_EXE_cairn"), "--node", "/nowhere"]);
    check.args(["--small", "tiny", "--seq", "16", "--batch", "1"]);
    check.args(["--models", "tiny no-such-model", "--minutes", "60"]);
    // Tests run at once, and build it once.
    static DRIVER: OnceLock<PathBuf> = OnceLock::new();
    let driver = DRIVER.get_or_init(|| cuda_on_cpu::directory(sources));
    check.env("LD_LIBRARY_PATH", driver);
    check
}

#[test]
fn every_step_is_written_down_and_one_that_does_not_end_well_stops_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("seen");
    let done = check(&out).output().expect("it starts");
    let said = String::from_utf8_lossy(&done.stderr);
    let read = |name: &str| -> Value {
        let text = std::fs::read(out.join(name)).unwrap_or_else(|_| panic!("{name}: {said}"));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}: {said}"))
    };
    let summary = read("summary.json");
    assert_eq!(summary["device"], "cuda:0");
    let steps = summary["steps"].as_array().expect("a list");
    let outcomes: BTreeMap<&str, &str> = steps
        .iter()
        .map(|step| {
            (
                step["step"].as_str().unwrap(),
                step["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    for step in [
        "repeat-1",
        "repeat-2",
        "repeats",
        "killed",
        "after-kill",
        "recovers",
        "generate",
        "audit",
        "train-tiny",
    ] {
        assert_eq!(outcomes.get(step), Some(&"done"), "{step}: {said}");
    }
    // On a CPU these take longer than they have; then they are ended, and the rest goes on.
    for step in ["doctor", "selftest"] {
        assert!(
            ["done", "timeout"].contains(&outcomes[step]),
            "{step}: {said}"
        );
    }
    assert_eq!(outcomes["train-no-such-model"], "failed", "{said}");
    let failed = steps
        .iter()
        .find(|step| step["step"] == "train-no-such-model")
        .expect("one");
    assert!(
        failed["why"].as_str().unwrap().contains("no-such-model"),
        "{failed}"
    );
    for step in ["score", "round"] {
        assert_eq!(outcomes[step], "skipped", "{step}");
    }
    assert_eq!(done.status.code(), Some(1), "a step failed: {said}");

    assert_eq!(
        read("repeat-1.json")["root"],
        read("after-kill.json")["root"]
    );
    let generated = read("generate.json");
    assert_eq!(generated["tokens"].as_array().map(Vec::len), Some(2));
    assert_ne!(generated["device"], "cpu");
    assert!(read("train-tiny.json")["tokens_per_s"].as_f64() > Some(0.0));
    let audited = read("audit.json");
    assert_eq!(audited["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(audited["rows"][0]["is_possible"], true);
    let apart = audited["rows"][0]["first_moment"].as_f64();
    assert!(apart.is_some_and(|apart| apart < 0.05), "{audited}");
}

#[test]
fn it_writes_over_nothing_and_says_what_it_lacks() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("mine"), "mine").expect("written");
    let done = check(directory.path()).output().expect("it starts");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("is not empty"), "{said}");
    let done = Command::new("bash")
        .arg(SCRIPT)
        .output()
        .expect("it starts");
    assert!(String::from_utf8_lossy(&done.stderr).contains("--out DIRECTORY"));
}
