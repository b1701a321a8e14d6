//! Whether the programs that a page names understand what it says to them.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Mutex, OnceLock},
};

use cairn_worker::cli::Cli;
use clap::{
    error::{ContextKind, ContextValue, ErrorKind},
    CommandFactory, Parser,
};

use crate::{
    commands::{is_setting, words},
    markdown::root,
    place::binary,
};

/// What is wrong with a command line.
pub fn faults(text: &str) -> Vec<String> {
    let mut faults: Vec<String> = Vec::new();
    for words in words(text) {
        let words: Vec<String> = words
            .into_iter()
            .skip_while(|word| is_setting(word))
            .collect();
        let Some((program, arguments)) = words.split_first() else {
            continue;
        };
        faults.extend(match program.as_str() {
            "cairn" => cairn(&words),
            "cairn-node" => by_its_help(program, arguments),
            "cairn-study" => by_its_source(arguments),
            "make" => make(arguments),
            "cargo" => cargo(arguments),
            _ => None,
        });
        faults.extend(words.iter().filter_map(|word| repository_path(word)));
    }
    faults
}

/// What is wrong with code within a sentence, where a command need not be whole.
pub fn faults_of_a_mention(code: &str) -> Vec<String> {
    let words: Vec<&str> = code.split_whitespace().collect();
    let arguments: Vec<String> = words.iter().skip(1).map(ToString::to_string).collect();
    let fault = match words.first() {
        Some(&"cairn") => cairn_in_part(&arguments),
        Some(&"make") => make(&arguments),
        _ => None,
    };
    let paths = words.iter().filter_map(|word| repository_path(word));
    fault.into_iter().chain(paths).collect()
}

fn cairn(words: &[String]) -> Option<String> {
    let error = Cli::try_parse_from(words).err()?;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => None,
        // What is behind it was not read: its flags have to exist all the same.
        ErrorKind::ValueValidation if is_of_a_placeholder(&error) => {
            cairn_in_part(words.get(1..).unwrap_or_default())
        }
        _ => {
            let said = error.to_string();
            Some(said.lines().next().unwrap_or_default().to_string())
        }
    }
}

/// Whether an argument is refused that only stands for one: `HASH`, `BLOCK`.
fn is_of_a_placeholder(error: &clap::Error) -> bool {
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else {
        return false;
    };
    value.len() > 1 && value.chars().all(|c| c.is_ascii_uppercase())
}

/// Commands and flags exist; arguments may be missing.
fn cairn_in_part(arguments: &[String]) -> Option<String> {
    let mut command = Cli::command();
    command.build();
    let mut command = &command;
    for word in arguments {
        let flag = word.split('=').next().unwrap_or_default();
        if let Some(long) = flag.strip_prefix("--") {
            let mut known = command
                .get_arguments()
                .filter_map(|argument| argument.get_long());
            if !known.any(|known| known == long) {
                return Some(format!("`{}` has no `{flag}`", command.get_name()));
            }
        } else if command.has_subcommands() && !["…", "help"].contains(&word.as_str()) {
            match command.find_subcommand(word) {
                Some(below) => command = below,
                None => return Some(format!("`{}` has no `{word}`", command.get_name())),
            }
        }
    }
    None
}

/// Its subcommands are there, and every flag is in the help of the last of them.
fn by_its_help(program: &str, arguments: &[String]) -> Option<String> {
    let (mut help_there, mut below) = (help(program, &[]), Vec::new());
    for word in arguments.iter().take_while(|word| !word.starts_with('-')) {
        let known = subcommands(&help_there);
        if known.is_empty() {
            break;
        }
        if !known.contains(&word.as_str()) {
            return Some(format!("`{program}` has no `{word}`"));
        }
        below.push(word.clone());
        help_there = help(program, &below);
    }
    let flags = arguments.iter().filter(|word| word.starts_with("--"));
    let flags = flags.map(|word| word.split('=').next().unwrap_or_default());
    let known = |flag: &str| {
        let mut words = help_there.split(|c: char| c.is_whitespace() || ",=[<".contains(c));
        words.any(|word| word == flag)
    };
    let unknown = flags.into_iter().find(|flag| !known(flag));
    unknown.map(|flag| format!("`{program}` has no `{flag}`"))
}

/// The subcommands that a help names; longer words about them are indented further.
fn subcommands(help: &str) -> Vec<&str> {
    let after = help.lines().skip_while(|line| *line != "Commands:");
    let listed = after.skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty()).collect()
}

/// The study's binary is built by `make study` only: its flags are fields of its options.
fn by_its_source(arguments: &[String]) -> Option<String> {
    let source = root().join("offchain-worker/study/src/main.rs");
    let source = std::fs::read_to_string(source).expect("the study's options");
    let field = |flag: &str| format!("    {}: ", flag.trim_start_matches('-').replace('-', "_"));
    let mut flags = arguments.iter().filter(|word| word.starts_with("--"));
    let unknown = flags.find(|flag| !source.contains(&field(flag)));
    unknown.map(|flag| format!("`cairn-study` has no `{flag}`"))
}

/// What a program says about itself; asked once.
fn help(program: &str, below: &[String]) -> String {
    type Asked = Mutex<BTreeMap<(String, Vec<String>), String>>;
    static ASKED: OnceLock<Asked> = OnceLock::new();
    let mut asked = ASKED
        .get_or_init(Asked::default)
        .lock()
        .expect("nobody panics with it");
    let key = (program.to_string(), below.to_vec());
    let ask = || {
        let output = Command::new(binary(program))
            .args(below)
            .arg("--help")
            .output();
        let output = output.expect("it starts");
        assert!(
            output.status.success(),
            "`{program} {below:?}` is no command"
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    asked.entry(key).or_insert_with(ask).clone()
}

/// Targets are in the Makefile.
fn make(arguments: &[String]) -> Option<String> {
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("a Makefile");
    let is_target = |word: &&String| !word.contains('=') && !word.starts_with('-');
    let exists = |target: &String| {
        makefile
            .lines()
            .any(|line| line.starts_with(&format!("{target}:")))
    };
    let missing = arguments
        .iter()
        .filter(is_target)
        .find(|target| !exists(target));
    missing.map(|target| format!("the Makefile has no `{target}`"))
}

/// Packages are in the workspace; binaries, benches, examples and tests in the package.
fn cargo(arguments: &[String]) -> Option<String> {
    let after = |flags: &[&str]| {
        let at = arguments
            .iter()
            .position(|word| flags.contains(&word.as_str()))?;
        arguments.get(at + 1)
    };
    let package = after(&["-p", "--package"])?;
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let members = manifest.split("\n]").next().unwrap_or_default().lines();
    let paths = members.filter_map(|line| line.trim().strip_prefix('"')?.split('"').next());
    let of_package = |path: &&str| {
        let text =
            std::fs::read_to_string(root().join(path).join("Cargo.toml")).unwrap_or_default();
        text.lines()
            .any(|line| *line == format!("name = \"{package}\""))
    };
    let Some(path) = paths.into_iter().find(of_package) else {
        return Some(format!("there is no package `{package}`"));
    };
    for (flag, directory) in [
        ("--bench", "benches"),
        ("--example", "examples"),
        ("--test", "tests"),
    ] {
        let Some(name) = after(&[flag]) else { continue };
        let place = root().join(path).join(directory);
        let there = place.join(format!("{name}.rs")).exists() || place.join(name).is_dir();
        if !there {
            return Some(format!("`{package}` has no {flag} `{name}`"));
        }
    }
    None
}

/// A path into the repository is there. What stands for something (`*`, `NAME`) is not looked at.
fn repository_path(word: &str) -> Option<String> {
    let first = [
        "scripts/",
        "docs/",
        "tests/",
        "primitives/",
        "pallets/",
        "runtime/",
        "offchain-worker/",
    ];
    let ours = first.iter().any(|directory| word.starts_with(directory));
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let missing = ours && plain && !root().join(word).exists();
    // a word may be a path within a crate: `tests/cuda-on-cpu` beside its link
    let elsewhere = ["offchain-worker/trainer", "offchain-worker/worker"];
    let missing = missing
        && !elsewhere
            .iter()
            .any(|place| root().join(place).join(word).exists());
    missing.then(|| format!("`{word}` is not in the repository"))
}

#[test]
fn what_nobody_understands_is_found() {
    let wrong = |text: &str| !faults(text).is_empty();
    assert!(wrong("cairn emission") && wrong("cairn status --netuid two"));
    assert!(wrong("make no-such-target") && wrong("cargo bench -p no-such-package"));
    assert!(wrong("cargo run -p yuma --example no-such") && wrong("scripts/no-such.sh --x"));
    assert!(wrong("cairn status && cairn no-such"));
    assert!(wrong("cairn-node no-such") && wrong("cairn-node key no-such"));
    assert!(wrong("cairn-node key generate --no-such") && wrong("cairn-node --no-such"));
    assert!(!wrong("cairn-node key generate --scheme sr25519"));
    assert!(!wrong("cairn-node --dev") && !wrong("cairn status --netuid NETUID"));
    assert!(wrong("cairn status --netuid NETUID --no-such"));
    assert!(!wrong(
        "CAIRN_NODE=ws://x cairn status --netuid 1 | head -1; make test ARGS='--x'"
    ));
    let wrong = |code: &str| !faults_of_a_mention(code).is_empty();
    assert!(wrong("cairn stakes") && wrong("cairn mine --no-such") && wrong("make no-such"));
    assert!(!wrong("cairn stake") && !wrong("cairn mine --device") && !wrong("cairn run export"));
}
