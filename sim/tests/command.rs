//! The program `cairn-sim`, as people run it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn cairn_sim(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_cairn-sim");
    let output = Command::new(program).args(arguments).output();
    output.expect("the program runs")
}

/// Where a test may write.
fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("it was written");
    serde_json::from_str(&text).expect("it is JSON")
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("it is an object");
    object.keys().map(String::as_str).collect()
}

fn has_keys(value: &Value, expected: &[&str]) {
    let found = keys(value);
    for key in expected {
        assert!(found.contains(key), "{key} is not in {found:?}");
    }
}

#[test]
fn a_run_writes_what_it_was_like_and_the_same_seed_the_same() {
    let file = place("run.json");
    let path = file.to_str().expect("a path of text");
    let arguments = [
        "run",
        "--miners",
        "2",
        "--validators",
        "2",
        "--rounds",
        "3",
        "--seed",
        "7",
        "--json",
        path,
    ];
    let output = cairn_sim(&arguments);
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).expect("text");
    let says = ["miner: bytes on chain", "audits take"];
    assert!(says.iter().all(|words| said.contains(words)), "{said}");
    let result = read(&file);
    has_keys(
        &result,
        &[
            "seed",
            "digest",
            "virtual_seconds",
            "heldout_loss",
            "rounds",
            "members",
            "checks",
            "costs",
            "audit_share",
        ],
    );
    assert_eq!(result["seed"], 7);
    let rounds = result["rounds"].as_array().expect("rounds");
    assert_eq!(rounds.len(), 3);
    has_keys(
        &rounds[0],
        &[
            "round",
            "included",
            "assigned",
            "committed",
            "revealed",
            "attested",
            "null",
            "model_root",
            "loss",
            "virtual_seconds",
            "goodput",
            "costs",
        ],
    );
    costs(&result, &rounds[1]["costs"]);
    let members = result["members"].as_array().expect("members");
    assert_eq!(members.len(), 4);
    has_keys(
        &members[0],
        &["uid", "role", "attack", "gpus", "earned", "lost"],
    );
    assert!(
        members[0]["earned"].is_string(),
        "amounts are strings of pebble"
    );
    let checks = [
        "at_most_once",
        "crash_safety",
        "in_turn",
        "lineage",
        "losses",
        "money",
        "nobody_starves",
        "one_at_a_time",
        "secrets",
        "verdicts",
    ];
    assert_eq!(keys(&result["checks"]), checks);
    assert!(checks.iter().all(|check| result["checks"][check] == true));
    assert!(cairn_sim(&arguments).status.success());
    assert_eq!(read(&file)["digest"], result["digest"]);
}

/// What a round cost a member, and what all rounds did.
fn costs(result: &Value, round: &Value) {
    let number = |value: &Value| value.as_f64().expect("a number");
    for (role, work) in [("miner", "train"), ("validator", "measure")] {
        for costs in [&round[role], &result["costs"][role]] {
            for spread in [&costs["bytes"], &costs["seconds"][work]] {
                let (mean, most) = (number(&spread["mean"]), number(&spread["most"]));
                assert!(mean > 0.0 && mean <= most, "{role}: {costs}");
            }
        }
    }
    assert!(number(&result["audit_share"]) >= 0.0);
}

#[test]
fn a_storm_in_which_no_block_would_come_is_refused() {
    for times in ["34", "10.5", "nan"] {
        let refused = cairn_sim(&["run", "--storm", times]);
        assert!(!refused.status.success(), "{times}");
        let said = String::from_utf8(refused.stderr).expect("text");
        let says = ["--storm", "give a number from 0 to 10"];
        assert!(says.iter().all(|words| said.contains(words)), "{said}");
    }
}

#[test]
fn attacks_are_listed_and_one_is_a_row() {
    let list = cairn_sim(&["attacks", "--list"]);
    let list = String::from_utf8(list.stdout).expect("text");
    assert_eq!(list.lines().count(), cairn_sim::attacks::ALL.len());
    assert!(list.lines().any(|line| line.starts_with("no-reveal")));
    let (file, page) = (place("rows.json"), place("page.md"));
    let path = file.to_str().expect("a path of text");
    let arguments = [
        "attacks",
        "no-reveal",
        "--seed",
        "7",
        "--miners",
        "2",
        "--validators",
        "1",
        "--rounds",
        "2",
        "--json",
        path,
        "--page",
        page.to_str().expect("a path of text"),
    ];
    assert!(cairn_sim(&arguments).status.success());
    let page = fs::read_to_string(page).expect("it was written");
    let lines = [
        "| `no-reveal` | 0.00 |",
        "## What it costs the honest",
        "| miner: bytes on chain | ",
        "## What honest miners prove",
        "| rounds | honest: z | some | full |",
        "| 1 | ",
    ];
    for start in lines {
        let found = page.lines().any(|line| line.starts_with(start));
        assert!(found, "{start} begins no line of:\n{page}");
    }
    let rows = read(&file);
    let row = &rows.as_array().expect("rows")[0];
    has_keys(
        row,
        &[
            "attack",
            "seed",
            "share_per_gpu",
            "loss_change",
            "stalled_rounds",
            "attacker_lost",
            "verdict",
        ],
    );
    assert_eq!(
        (&row["attack"], &row["seed"]),
        (&"no-reveal".into(), &7.into())
    );
    assert_eq!(row["share_per_gpu"], 0.0);
}

/// A table of rows and its page, of which this is the heading, made with these arguments.
fn table(name: &str, arguments: &[&str], heading: &str) -> Value {
    let [rows, page] = ["json", "md"].map(|ending| place(&format!("{name}.{ending}")));
    let path = |file: &Path| file.to_str().expect("a path of text").to_string();
    let (to_rows, to_page) = (path(&rows), path(&page));
    let to = ["--json", &to_rows, "--page", &to_page];
    let output = cairn_sim(&[arguments, &to].concat());
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{said}");
    let found = read(&rows);
    let count = found.as_array().expect("rows").len();
    assert_eq!(said.lines().count(), count, "a line a row: {said}");
    let page = fs::read_to_string(&page).expect("it was written");
    assert!(page.starts_with(heading), "{page}");
    assert!(page.lines().all(|line| line.len() <= 120), "{page}");
    found
}

#[test]
fn the_churn_table_has_a_row_for_each_network_churn_and_seed() {
    let arguments = [
        "churn",
        "calm",
        "all",
        "--churn",
        "0,30",
        "--seed",
        "7",
        "--miners",
        "2",
        "--validators",
        "1",
        "--rounds",
        "3",
    ];
    let rows = table("churn", &arguments, "# What becomes of work");
    let rows = rows.as_array().expect("rows");
    let names: Vec<(&Value, &Value)> = rows
        .iter()
        .map(|row| (&row["network"], &row["churn_percent"]))
        .collect();
    let expected = [("calm", 0), ("calm", 30), ("all", 0), ("all", 30)];
    let expected = expected.map(|(name, churn)| (Value::from(name), Value::from(churn)));
    let expected: Vec<(&Value, &Value)> = expected.iter().map(|(a, b)| (a, b)).collect();
    assert_eq!(names, expected);
    has_keys(
        &rows[0],
        &[
            "seed",
            "rounds",
            "settled",
            "null_rounds",
            "roots_equal",
            "broken",
            "kills",
            "joined",
            "steps_trained",
            "steps_in_model",
            "goodput",
            "seconds_per_round",
            "heldout_loss",
        ],
    );
    assert_eq!(
        (&rows[0]["kills"], &rows[0]["joined"]),
        (&0.into(), &0.into())
    );
    assert!(rows.iter().all(|row| row["roots_equal"] == true));
}

#[test]
fn the_utilisation_table_has_a_row_and_takes_what_finds_no_seat() {
    let arguments = [
        "utilisation",
        "--contributors",
        "1",
        "--line",
        "MB/s",
        "--validators",
        "1",
        "--rounds",
        "1",
    ];
    let rows = table(
        "utilisation",
        &arguments,
        "# How much of the time contributors train",
    );
    let row = &rows.as_array().expect("rows")[0];
    has_keys(
        row,
        &[
            "bandwidth",
            "contributors",
            "seated",
            "overlap",
            "seed",
            "rounds",
            "included",
            "share",
            "seconds",
            "disk",
            "ahead",
            "beside",
            "validator_fetches",
            "validator_measures",
        ],
    );
    assert_eq!((&row["seated"], &row["rounds"]), (&1.into(), &1.into()));
    let share = row["share"].as_f64().expect("a share");
    assert!((0.5..1.0).contains(&share), "{row}");
}

#[test]
fn what_cannot_be_run_is_one_line_and_an_error() {
    for (arguments, says) in [
        (["attacks", "kindness"].as_slice(), ["kindness", "--list"]),
        (["churn", "sunny"].as_slice(), ["sunny", "calm, loss"]),
        (
            ["utilisation", "--line", "baud"].as_slice(),
            ["baud", "MB/s"],
        ),
    ] {
        let output = cairn_sim(arguments);
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(says.iter().all(|words| said.contains(words)), "{said}");
    }
}
