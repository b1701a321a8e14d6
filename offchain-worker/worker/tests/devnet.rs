//! The whole network, end to end: a node, three miners, two validators and a cheat train a small model on
//! real text, while a miner is killed, the node is restarted and a miner comes late.

mod common;
#[path = "common/network.rs"]
mod network;
#[path = "common/nodes.rs"]
mod nodes;
#[path = "pages/shape.rs"]
mod shape;

use std::{
    collections::BTreeSet,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use common::cairn;
use network::{role, signal, Devnet, Ended, RUN};
use nodes::url_in;

use cairn_primitives::{AuditOutcome, Uid};
use cairn_round::scoring::{scores, Evidence};
use cairn_store::Store;
use cairn_worker::{
    devnet::{MemberReport, Report, RoundReport},
    roles::{ledger::Line, Behaviour, Status},
};

const KILLED_AT: u32 = 2;
const ROUNDS: usize = 9;
/// Rounds after which work has been paid: validators score it in the next round, hide their scores for a tempo
/// (a third of a round), and an epoch pays. A validator that is slow is an epoch later.
const PAID_AFTER: usize = 3;
/// After this time a process that was told to end never will, on however busy a machine.
const HANGS: Duration = Duration::from_secs(240);

fn ask(url: &str, arguments: &[&str]) -> Output {
    cairn(arguments)
        .args(["--node", url])
        .output()
        .expect("cairn starts")
}

fn json(output: Output) -> serde_json::Value {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_network_trains_pays_and_survives() {
    let rounds = ROUNDS.to_string();
    let devnet = Devnet::new(
        "dev net#1 100%",
        &[
            "--rounds",
            &rounds,
            "--miners",
            "3",
            "--validators",
            "2",
            "--cheats",
            "1",
            "--chaos",
            "kill-miner@2,late-miner@3,restart-node@6",
            "--serve-metrics",
            "--transport",
            "file",
            "--run",
            RUN,
        ],
    );
    let (place, out) = (devnet.kept(), devnet.beside("model"));
    let (mut told, mut url) = (String::new(), None);
    let (mut looked, mut exported) = (false, None);
    let ended = devnet.run(ROUNDS, |line| {
        if url.is_none() {
            url = url_in(line);
        }
        // The first round has been shown: now everything that can be looked at is there.
        let first = line.trim_start().starts_with("0 ");
        if let (true, false, Some(url)) = (first, looked, &url) {
            let store = Store::create_in(&place.join("store")).expect("it is there");
            doctor(url, store.url());
            look_around(url);
            looked = true;
        }
        // The root of round 1, which has a checkpoint, is final once that round is settled.
        let third = line.trim_start().starts_with("2 ");
        if let (true, None, Some(url)) = (third, &exported, &url) {
            exported = Some(export(url, &place, &out));
        }
        told += &format!("{line}\n");
    });
    assert!(looked, "no round was shown:\n{told}");

    let (kept, report) = (&ended.kept, &ended.report);
    what_the_readme_shows_was_printed(&told, report);
    rounds_settled(&ended);
    let exported = exported.expect("round 2 was shown");
    // That of round 1, or a newer one if what was asked before took that long.
    let of = exported["round"].as_u64().expect("a round") as usize;
    assert!(of > 0, "it is no checkpoint: {exported}");
    let root = serde_json::to_value(report.rounds[of - 1].model_root).expect("JSON");
    assert_eq!(exported["model_root"], root);
    rewards_add_up(report, kept);
    audits_found_the_cheat_and_nobody_else(report, &told);
    the_killed_miner_came_back(report, kept);
    the_late_miner_caught_up(report, kept);
    metrics_were_served(kept);
    nothing_is_left(kept);
}

#[test]
fn ctrl_c_stops_everything() {
    // Everybody is registered, and the workers are being started.
    stopped_after("subnet");
}

#[test]
fn ctrl_c_stops_a_devnet_that_is_being_set_up() {
    // The node is starting, and the data is being prepared.
    stopped_after("node");
}

/// Presses Ctrl-C when a line that begins with this word has come.
fn stopped_after(word: &str) {
    let mut devnet = Devnet::new(
        "devnet",
        &["--miners", "1", "--validators", "1", "--cheats", "0"],
    );
    let mut running = devnet.start();
    let mut lines = running.lines();
    let started = lines.any(|line| line.trim_start().starts_with(word));
    assert!(started, "it ended before it began");
    assert!(signal(running.child.id(), "-INT"));
    let (status, said) = running.end();
    // It says that it was stopped, unless the machine is so busy that it has to end before it has.
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    nothing_is_left(&devnet.kept());
}

/// README.md shows the output of a devnet: numbers may differ, and the rest may not. It has a line of a cheat that
/// lost its bond; that none of a cheat's contributions was drawn is chance, and so is how many were before the first was
/// judged. `audits_found_the_cheat_and_nobody_else` looks at what follows from those that were.
fn what_the_readme_shows_was_printed(told: &str, report: &Report) {
    let page = include_str!("../../../README.md");
    let shown = page.split("```text\n").nth(1).expect("an output");
    let shown = shown.split("```").next().unwrap_or_default();
    assert!(shown.contains("held-out loss"), "{shown}");
    let none_lost = report
        .audits
        .iter()
        .all(|audit| matches!(audit.outcome, AuditOutcome::Passed | AuditOutcome::Open));
    let of_chance =
        |line: &&str| line.ends_with(", too") || (none_lost && line.ends_with("lost its bond"));
    let shown: Vec<&str> = shown.lines().filter(|line| !of_chance(line)).collect();
    if let Err(missing) = shape::lines_are_in(&shown.join("\n"), told) {
        panic!("{missing} in\n{told}");
    }
}

/// What `doctor` measures of a member of this network, by the names of its lines. How fast this machine, its node and
/// its chain are it may say as it likes.
fn doctor(url: &str, store: &str) {
    let key = ["--suri", "//Cairn//miner-1//hot", "--store", store];
    let rest = ["--netuid", "1", "--seconds", "1", "--json"];
    let output = ask(url, &[&["doctor"], &key[..], &rest].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = found["run"]["checks"].as_array().expect("lines");
    let state = |name: &str| {
        let check = checks.iter().find(|check| check["check"] == name);
        let check = check.unwrap_or_else(|| panic!("no line on {name}: {checks:?}, {error}"));
        check["state"].as_str().expect("text").to_string()
    };
    for name in ["role", "bond", "seat"] {
        assert_eq!(state(name), "ok", "{checks:?}");
    }
    let of_speed = ["node", "clock", "memory", "steps"];
    for name in of_speed
        .into_iter()
        .chain(["store", "store disk", "state disk"])
    {
        assert_ne!(state(name), "unknown", "{checks:?}");
    }
    for name in ["uplink", "endpoint"] {
        assert_eq!(state(name), "unknown", "{checks:?}");
    }
    // Whether an epoch has paid a miner by now is chance; what to do is the owner's, and this miner is not his.
    assert_ne!(state("least bond"), "fix", "{checks:?}");
    let stranger = [
        "doctor",
        "--netuid",
        "1",
        "--suri",
        "//Eve",
        "--seconds",
        "1",
    ];
    let output = ask(url, &stranger);
    let (told, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(1), "{told}\n{error}");
    assert!(told.contains("cairn subnet register --netuid 1"), "{told}");
    assert!(error.contains("FIX"), "{error}");
}

/// What a curious person asks while it runs, and what is refused.
fn look_around(url: &str) {
    let status = json(ask(url, &["status", "--json"]));
    assert_eq!(status["subnet"]["netuid"], 1);
    assert_eq!(status["run"]["config"]["name"], "small");
    let members = status["members"].as_array().map_or(0, Vec::len);
    assert!(members >= 6, "{members}, where one more comes late");
    assert_eq!(
        json(ask(url, &["subnet", "ls", "--json"]))
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let run = json(ask(url, &["run", "show", "--json"]));
    assert_eq!(run["config"]["name"], "small");
    assert_eq!(run["least_bond"]["now"], "1000000000");
    let shown = ask(url, &["run", "show"]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("\n  least bond   1.00 CRN"), "{shown}");
    let economy = json(ask(
        url,
        &["emissions", "--json", "--account", "//Cairn//miner-1//cold"],
    ));
    assert_eq!(economy["schedule"]["cap"], "21000000000000000");
    assert_eq!(economy["account"].as_array().map(Vec::len), Some(1));

    let before = json(ask(url, &["wallet", "balance", "//Eve", "--json"]));
    let sent = ["--suri", "//Alice", "--to", "//Eve", "2.5", "--json"];
    let sent = json(ask(url, &[&["wallet", "send"], &sent[..]].concat()));
    assert_eq!(sent["amount"], "2500000000");
    let after = json(ask(url, &["wallet", "balance", "//Eve", "--json"]));
    let spendable = |account: &serde_json::Value| -> u64 {
        let amount = account["spendable"].as_str().expect("text");
        amount.parse().expect("pebble")
    };
    assert_eq!(spendable(&after), spendable(&before) + 2_500_000_000);

    let refused = |arguments: &[&str], words: &[&str]| {
        let output = ask(url, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        for word in words {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
    };
    let other = format!("0x{}", "11".repeat(32));
    refused(
        &["status", "--genesis", &other],
        &["another chain", "--node"],
    );
    refused(
        &[
            "mine",
            "--suri",
            "//Eve",
            "--store",
            "file:///tmp",
            "--genesis",
            &other,
        ],
        &["another chain"],
    );
    refused(&["status", "--netuid", "9"], &["no subnet 9", "subnet ls"]);
    refused(
        &[
            "stake", "add", "--suri", "//Eve", "--hotkey", "//Eve", "999999",
        ],
        &["to spend", "999,999.00 CRN", "the most is"],
    );
    refused(
        &[
            "subnet",
            "register",
            "--suri",
            "//Eve",
            "--hotkey",
            "//Cairn//miner-1//hot",
            "--max-price",
            "50",
        ],
        &["has the seat with uid ", "already, under the coldkey "],
    );
}

/// The newest checkpoint that is final on chain, as `transformers` reads it; gives what was said.
fn export(url: &str, kept: &Path, out: &Path) -> serde_json::Value {
    let store = cairn_store::url::of_directory(&kept.join("store")).expect("an absolute path");
    let out_text = out.display().to_string();
    let arguments = [
        "run", "export", "--json", "--store", &store, "--out", &out_text,
    ];
    let said = json(ask(url, &arguments));
    assert_eq!(said["tokenizer"], true);
    let read = |name: &str| std::fs::read(out.join(name)).expect("it was written");
    let config: serde_json::Value = serde_json::from_slice(&read("config.json")).expect("JSON");
    assert_eq!(
        (&config["model_type"], &config["hidden_size"]),
        (&"llama".into(), &64.into())
    );
    assert!(!read("tokenizer.json").is_empty());
    // Floats and a header.
    let parameters = read("model.safetensors").len() as u64;
    assert!(parameters > 4 * said["parameters"].as_u64().expect("a number"));
    said
}

fn rounds_settled(ended: &Ended) {
    let report = &ended.report;
    // A round in which nobody was in time is none that went wrong. That most are would be.
    ended.most_rounds_included_somebody();
    // The same of validators: one of two that is late is half of the stake.
    let is_late = |round: &&RoundReport| {
        u128::from(round.attested_stake) * 3 < u128::from(round.total_stake) * 2
    };
    let late: Vec<_> = report.rounds.iter().filter(is_late).collect();
    assert!(2 * late.len() <= ROUNDS, "too few attested in {late:?}");
    let first = report.rounds[0].heldout_loss;
    assert!(
        (first - 1024f64.ln()).abs() < 0.3,
        "an untrained model knows nothing: {first}"
    );
    assert!(
        report.final_heldout_loss < first - 0.2,
        "{first} to {}",
        report.final_heldout_loss
    );
    ended.all_hold_one_model();
    assert!(report.store_bytes_per_contribution > 0);
}

/// All that a newcomer sends is audited, and half of what it sends once an audit of it has passed, by lot: it may be
/// all. What was made in the last rounds is not judged yet. On a busy machine a miner may be late with what it serves;
/// that honest work is found to be false may never be.
fn audits_found_the_cheat_and_nobody_else(report: &Report, told: &str) {
    let included: usize = report.rounds.iter().map(|round| round.included.len()).sum();
    assert!(
        (1..=included).contains(&report.audits.len()),
        "{:?}",
        report.audits
    );
    let outcomes_of = |member: &MemberReport| -> Vec<AuditOutcome> {
        let audits = report.audits.iter();
        let own = audits.filter(|audit| audit.uid == member.uid);
        let outcomes = own.map(|audit| audit.outcome);
        outcomes.filter(|it| *it != AuditOutcome::Open).collect()
    };
    let (mut passed, mut over) = (0, 0);
    for miner in report.members.iter().filter(|m| role(m) == "miner") {
        let outcomes = outcomes_of(miner);
        over += outcomes.len();
        passed += outcomes
            .iter()
            .filter(|it| **it == AuditOutcome::Passed)
            .count();
        assert!(
            !outcomes.contains(&AuditOutcome::Failed),
            "honest uid {}: {outcomes:?}",
            miner.uid
        );
        let is_late = outcomes.contains(&AuditOutcome::Silent);
        assert_eq!(
            miner.bond == 0,
            is_late,
            "honest uid {}: {outcomes:?}",
            miner.uid
        );
    }
    assert!(passed > 0 && 2 * passed > over, "{passed} of {over} passed");
    for cheat in report.members.iter().filter(|m| role(m) == "cheat") {
        let outcomes = outcomes_of(cheat);
        assert!(
            outcomes.iter().all(|it| *it == AuditOutcome::Silent),
            "it serves nothing: {outcomes:?}"
        );
        assert_eq!(cheat.bond == 0, !outcomes.is_empty(), "it loses its bond");
        assert_eq!(cheat.behaviour, Behaviour::Noise);
        let row = format!("  {}  noise ", cheat.uid);
        assert!(told.contains(&row), "the table does not name it:\n{told}");
    }
}

fn rewards_add_up(report: &Report, kept: &Path) {
    let i = &report.issuance;
    assert_eq!(i.issued, i.balances + i.stakes + i.bonds + i.pots);
    let miners = || report.members.iter().filter(|m| role(m) == "miner");
    // A contribution within the noise earns nothing, and a miner that comes late may have no other.
    let showed_worth = worth_shown(kept);
    for miner in miners().filter(|miner| showed_worth.contains(&miner.uid)) {
        assert!(
            miner.earned + miner.withheld > 0,
            "uid {} showed its worth and earned nothing",
            miner.uid
        );
    }
    // Who came late, or was late, has been paid for a round or two at most, scores being hidden for a tempo: no measure
    // for a cheat that was there all along. Who earned most is one.
    let best = miners().map(|miner| miner.earned + miner.withheld).max();
    let best = best.expect("miners");
    let cheats = report
        .members
        .iter()
        .filter(|member| role(member) == "cheat");
    for cheat in cheats {
        assert!(
            cheat.earned < best / 10,
            "the cheat earned {}, a miner {best}",
            cheat.earned
        );
    }
}

/// The uids to which every validator's evidence gives a score, early enough to be paid for.
fn worth_shown(kept: &Path) -> BTreeSet<Uid> {
    let of_one = |name: &str| -> BTreeSet<Uid> {
        let path = kept.join("members").join(name).join("evidence.jsonl");
        let text = std::fs::read_to_string(&path).expect("a log of evidence");
        let evidence: Vec<Evidence> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("evidence"))
            .collect();
        let newest = (ROUNDS - PAID_AFTER - 1) as u32;
        let scores = scores(&evidence, newest).into_iter();
        scores
            .filter(|(_, score)| *score > 0.0)
            .map(|((uid, _), _)| uid)
            .collect()
    };
    let both = &of_one("validator-1") & &of_one("validator-2");
    assert!(!both.is_empty(), "no miner showed its worth");
    both
}

/// Lines of a worker's ledger.
fn ledger(kept: &Path, name: &str) -> Vec<Line> {
    let path = kept.join("members").join(name).join("ledger.jsonl");
    let text = std::fs::read_to_string(&path).expect("a ledger");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line"))
        .collect()
}

fn the_killed_miner_came_back(report: &Report, kept: &Path) {
    let lines = ledger(kept, "miner-1");
    let first = lines.first().map_or(0, |line| line.round);
    for (round, line) in (first..).zip(&lines) {
        assert_eq!(line.round, round, "one line a round");
        if let Some(round) = report.rounds.get(line.round as usize) {
            assert_eq!(line.model_root, round.model_root);
        }
    }
    let again = |line: &Line| line.included && line.round > KILLED_AT;
    assert!(lines.iter().any(again), "{lines:?}");
    // A second commit in a round would have been refused by name.
    let log = std::fs::read_to_string(kept.join("logs/miner-1.log")).expect("a log");
    assert!(!log.contains("AlreadyCommitted"), "{log}");
}

fn the_late_miner_caught_up(report: &Report, kept: &Path) {
    let status = Status::read(&kept.join("members/late-miner-1")).expect("it wrote a status");
    let uid = status.uid.expect("it is registered");
    let member = report
        .members
        .iter()
        .find(|member| member.uid == uid)
        .expect("it is a member");
    assert_eq!(
        member.model_root,
        Some(report.rounds[ROUNDS - 1].model_root)
    );
    assert!(member.rounds_included > 0, "it was never included");
}

/// Each worker's log says where its metrics are.
fn metrics_were_served(kept: &Path) {
    for name in ["miner-1", "late-miner-1", "noise-1", "validator-1"] {
        let log = kept.join(format!("logs/{name}.log"));
        let log = std::fs::read_to_string(log).expect("a log");
        assert!(
            log.contains("metrics are at http://127.0.0.1:"),
            "{name}:\n{log}"
        );
    }
}

/// No process has the devnet's directory on its command line any more. One that is killed with its parent may be there
/// for a moment longer.
fn nothing_is_left(kept: &Path) {
    let needle = kept.canonicalize().expect("kept").display().to_string();
    let began = Instant::now();
    while let Some(line) = running(&needle) {
        assert!(began.elapsed() < HANGS, "still running: {line}");
        std::thread::yield_now();
    }
}

/// The command line of a process that has this on it.
fn running(needle: &str) -> Option<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut lines = processes.map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    });
    lines.find(|line| line.contains(needle))
}
