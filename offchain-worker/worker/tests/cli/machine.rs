//! What the machine has to compute with.

use std::process::Command;

use cairn_trainer::cuda::compile::SOURCES;

use super::{fails, works};

#[test]
fn the_doctor_says_what_there_is_and_what_is_missing() {
    let people = works(&["doctor"]);
    for word in ["CPU", "driver", "NVRTC", "cuBLASLt", "trains on"] {
        assert!(people.contains(word), "`{word}` is not in: {people}");
    }
    let facts: serde_json::Value =
        serde_json::from_str(&works(&["doctor", "--json"])).expect("JSON");
    assert_eq!(facts["cpu"]["usable"], true);
    assert!(facts["cpu"]["threads"].as_u64() >= Some(1));
    // With a card or without: what is missing comes with its remedy.
    for what in facts["missing"].as_array().expect("a list") {
        assert!(what.as_str().expect("text").contains("install"), "{what}");
    }
    if facts["cards"].get("found").is_none() {
        assert_eq!(facts["trains_on"], "cpu");
    }
}

#[test]
fn a_card_that_is_not_there_is_refused_in_one_line() {
    // Card 99 is on no machine; without a driver there is none at all.
    fails(&["gpu-selftest", "--device", "cuda:99"], &["; "]);
    fails(&["gpu-selftest", "--device", "cpu"], &["--device cuda:0"]);
    let train = ["bench", "train", "--config", "tiny", "--device", "cuda:99"];
    fails(&train, &["; "]);
}

/// On a card that is a CPU, by the library path: what is shown is what a card would show.
#[test]
fn steps_on_a_card_are_timed() {
    let sources = SOURCES.iter().map(|source| (source.name, source.kernels));
    let mut train = Command::new(env!("CARGO_BIN_EXE_cairn"));
    train.args([
        "bench", "train", "--config", "tiny", "--seq", "16", "--batch", "1",
    ]);
    train.args(["--steps", "1", "--device", "cuda:0", "--json"]);
    train.env("LD_LIBRARY_PATH", cuda_on_cpu::directory(sources));
    let done = train.output().expect("starts");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let facts: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(facts["device"], "cuda:0");
    for figure in [
        "tokens_per_s",
        "flops_per_s",
        "peak_flops_per_s",
        "share_of_peak",
        "buffer_bytes",
    ] {
        assert!(facts[figure].as_f64() > Some(0.0), "{figure}: {facts}");
    }
}
