//! The guards, applied to this repository.

use std::process::Command;

use cairn_house::{
    arrows, asked, decisions, observed, page, purity, repository, strict, targets, versions, words,
};

const MAP: &str = "docs/architecture.md";
const DECISIONS: &str = "docs/decisions";

fn read(path: &str) -> String {
    repository::read(path).expect("it is there")
}

/// A part of the map.
fn part(name: &str) -> page::Part {
    let found = page::part(&read(MAP), name);
    found.unwrap_or_else(|| panic!("{MAP}: there must be one part `{name}`, with an end"))
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What cargo knows of the workspace, without looking at what it depends on.
fn found() -> arrows::Found {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let output = cargo.current_dir(repository::root()).output();
    let output = output.expect("cargo starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {said}");
    let metadata = serde_json::from_slice(&output.stdout).expect("JSON");
    let found = arrows::of_metadata(&metadata).expect("metadata");
    assert!(
        found.builds.len() > 15,
        "only {} crates were found",
        found.builds.len()
    );
    found
}

#[test]
fn crates_have_the_arrows_of_the_map() {
    let found = found();
    let stated = arrows::of_page(&part("arrows"));
    let mut faults = arrows::differences(&stated, &found.builds, false);
    let stated = arrows::of_page(&part("test arrows"));
    let of_tests = arrows::differences(&stated, &found.tests, true).into_iter();
    faults.extend(of_tests.map(|fault| format!("in tests: {fault}")));
    assert_none(&faults);
}

#[test]
fn no_path_leads_where_none_may() {
    let rules = arrows::never(&part("never"));
    assert!(rules.len() > 5, "only {} rules were found", rules.len());
    assert_none(&arrows::broken(&rules, &found().builds));
}

#[test]
fn words_that_are_gone_stay_gone() {
    let list = part("gone");
    let gone = words::gone(&list).unwrap_or_else(|fault| panic!("{MAP}: {fault}"));
    assert!(!gone.is_empty(), "the list is empty");
    let files = repository::files("", &[".md", ".rs", ".cu", ".toml"]).expect("files");
    assert!(files.len() > 300, "only {} files were found", files.len());
    let of_file = |path: &String| {
        let exempt =
            |line| path.starts_with("tests/house/") || (path == MAP && list.lines.contains(&line));
        words::faults(path, &read(path), &gone, exempt)
    };
    assert_none(&files.iter().flat_map(of_file).collect::<Vec<_>>());
}

#[test]
fn rules_and_machines_reach_nothing_outside() {
    let mut faults = Vec::new();
    for directory in purity::PURE {
        let files = repository::files(directory, &[".rs"]).expect("files");
        assert!(!files.is_empty(), "{directory} is empty");
        faults.extend(
            files
                .iter()
                .flat_map(|path| purity::faults(path, &read(path))),
        );
    }
    assert_none(&faults);
}

#[test]
fn what_runs_on_chain_is_strict() {
    let is_root = |path: &String| path.ends_with("/src/lib.rs");
    let pallets = repository::files("pallets", &["lib.rs"]).expect("files");
    let pallets: Vec<_> = pallets.into_iter().filter(is_root).collect();
    assert!(pallets.len() >= 4, "only {pallets:?} were found");
    let primitives = strict::PRIMITIVES.map(|directory| format!("{directory}/src/lib.rs"));
    let roots = pallets.iter().chain(&primitives);
    let faults = roots.flat_map(|path| strict::faults(path, &read(path)));
    assert_none(&faults.collect::<Vec<_>>());
}

#[test]
fn decisions_are_complete() {
    let files = repository::files(DECISIONS, &[".md"]).expect("files");
    let (index, pages): (Vec<_>, Vec<_>) =
        files.iter().partition(|path| path.ends_with("README.md"));
    assert_eq!(index.len(), 1, "{DECISIONS} has one index");
    let pages = pages.into_iter().map(|path| {
        let name = path.trim_start_matches(DECISIONS).trim_start_matches('/');
        (name.to_string(), read(path))
    });
    let pages: Vec<_> = pages.collect();
    assert_none(&decisions::faults(&pages, &read(index[0])));
}

#[test]
fn stock_clients_try_every_method_of_our_runtime_apis() {
    let declared = asked::declared(&read("primitives/runtime-api/src/lib.rs"));
    assert!(declared.len() > 20, "only {declared:?} were found");
    let tried = asked::tried(&read("tests/clients/lib/papi.mjs"), "everyCall");
    assert_eq!(tried, declared);
}

#[test]
fn what_pages_say_to_make_can_be_made() {
    let makefile = read("Makefile");
    let declared = targets::declared(&makefile);
    assert!(declared.len() > 30, "only {declared:?} were found");
    let pages = repository::files("", &[".md"]).expect("files");
    assert!(pages.len() > 80, "only {} pages were found", pages.len());
    let faults = pages
        .iter()
        .flat_map(|path| targets::faults(path, &read(path), &declared));
    assert_none(&faults.collect::<Vec<_>>());
}

#[test]
fn a_version_is_stated_once() {
    let fault = versions::of_rust(&read("Cargo.toml"), &read("scripts/setup.sh"));
    assert_none(&fault.into_iter().collect::<Vec<_>>());
}

#[test]
fn what_rules_and_dashboards_ask_for_is_shown() {
    let mut shown = observed::Shown::new();
    let expositions = repository::files("ops/metrics", &[".prom"]).expect("files");
    assert!(expositions.len() >= 3, "only {expositions:?} were found");
    for path in expositions {
        let (of_file, faults) = observed::exposition(&path, &read(&path));
        assert_none(&faults);
        shown.extend(of_file);
    }
    // Prometheus itself.
    shown.entry("up".into()).or_default();

    let mut faults = Vec::new();
    for path in repository::files("ops/prometheus", &["alerts.yml"]).expect("files") {
        let (queries, of_file) = observed::of_rules(&path, &read(&path));
        assert!(
            queries.len() > 15,
            "only {} rules were found",
            queries.len()
        );
        faults.extend(of_file);
        faults.extend(observed::faults(&path, &queries, &shown));
        // A rule without a test is one that nobody has seen fire.
        let tests = read("ops/prometheus/alerts.test.yml");
        let untested = queries.iter().filter(|(name, _)| {
            let fires = format!("alertname: {name}\n        exp_alerts:");
            !tests.contains(&fires)
        });
        faults.extend(untested.map(|(name, _)| format!("{path}: no test sees {name} fire")));
    }
    let boards = repository::files("ops/grafana", &[".json"]).expect("files");
    assert!(boards.len() >= 2, "only {boards:?} were found");
    for path in boards {
        let queries = observed::of_dashboard(&read(&path)).expect("a dashboard");
        assert!(queries.len() > 10, "{path}: only {} queries", queries.len());
        faults.extend(observed::faults(&path, &queries, &shown));
    }
    assert_none(&faults);
}
