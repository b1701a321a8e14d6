//! Commands and options that pages name are there.

use std::{fs, path::Path};

use clap::Command;

use super::usage;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// What begins like a command and is none: the label of a key.
const NO_COMMAND: &str = "cairn contribution seal,";
/// Where a command line ends: at what explains it, and at what a shell does with it.
const ENDS: [&str; 5] = [" # ", " | ", " > ", " < ", " && "];

/// The pages for people, by their paths.
fn pages() -> Vec<String> {
    let mut found = Vec::new();
    for directory in ["", "docs", "docs/decisions", "ops"] {
        let entries = fs::read_dir(Path::new(ROOT).join(directory)).expect("it is there");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        let names = names.filter(|name| name.ends_with(".md"));
        found.extend(names.map(|name| format!("{directory}/{name}")));
    }
    found
}

/// The command lines of `cairn` in a page: lines of code, and what stands between backticks in others.
fn commands(page: &str) -> Vec<String> {
    let (mut found, mut is_code) = (Vec::new(), false);
    for line in page.replace("\\\n", " ").lines() {
        if line.starts_with("```") {
            is_code = !is_code;
            continue;
        }
        let parts: Vec<&str> = match is_code {
            true => vec![line.trim_start()],
            false => line.split('`').skip(1).step_by(2).collect(),
        };
        let is_one = |part: &&str| part.starts_with("cairn ") && !part.starts_with(NO_COMMAND);
        found.extend(parts.into_iter().filter(is_one).map(String::from));
    }
    found
}

/// The long names of a command's options.
fn options(command: &Command) -> Vec<String> {
    let shown = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set());
    shown
        .filter_map(|argument| argument.get_long())
        .map(String::from)
        .collect()
}

/// The first command or option of a command line that is not there.
fn missing(line: &str) -> Option<String> {
    let end = ENDS.iter().filter_map(|mark| line.find(mark)).min();
    let line = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
    // What is between quotes is for others.
    let line: Vec<&str> = line.split('"').step_by(2).collect();
    let line = line.join(" ");
    let root = usage::command();
    let (mut command, mut known) = (&root, options(&root));
    let mut words = line.split_whitespace().skip(1).peekable();
    while let Some(word) = words.next_if(|word| !word.starts_with('-')) {
        let is_name = |one: char| one.is_ascii_lowercase() || one == '-';
        match command.find_subcommand(word) {
            Some(below) => {
                command = below;
                known.extend(options(below));
            }
            None if command.has_subcommands() && word.chars().all(is_name) => {
                return Some(word.into());
            }
            None => break,
        }
    }
    let mut named = words.filter_map(|word| word.strip_prefix("--"));
    named.find_map(|name| {
        let end = name.find(|one: char| !one.is_ascii_alphanumeric() && one != '-');
        let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
        let is_there = ["", "help", "version"].contains(&name) || known.iter().any(|it| it == name);
        (!is_there).then(|| format!("--{name}"))
    })
}

#[test]
fn commands_and_options_that_pages_name_are_there() {
    let (mut read, mut faults) = (0, Vec::new());
    for page in pages() {
        let text = fs::read_to_string(format!("{ROOT}/{page}")).expect("UTF-8");
        for line in commands(&text) {
            read += 1;
            faults.extend(missing(&line).map(|what| format!("{page}: no {what}: {line}")));
        }
    }
    assert!(read > 200, "only {read} were found");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn what_is_not_there_is_found() {
    for (line, what) in [
        (
            "cairn mine --key miner --store file:///a --launch \"torchrun --nnodes 2\"",
            None,
        ),
        ("cairn governance list | grep --count rules", None),
        ("cairn mines", Some("mines")),
        ("cairn governance pass 3", Some("pass")),
        ("cairn mine --keys miner", Some("--keys")),
        ("cairn mine --unsigned-to file", Some("--unsigned-to")),
        ("cairn stake add --key a --amounts=5", Some("--amounts")),
    ] {
        assert_eq!(missing(line).as_deref(), what, "{line}");
    }
    let page = "`cairn mine` and `other`\n```sh\ncairn run \\\n  show\nls\n```\n";
    assert_eq!(commands(page), ["cairn mine", "cairn run    show"]);
}
