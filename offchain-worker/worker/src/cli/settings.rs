//! Settings from a TOML file: the third place that is looked at, after flags and `CAIRN_*` variables.
//!
//! A key is the long name of an option. At the top level it applies to every command that has it; in a
//! table named after a command, to that command alone:
//!
//! ```toml
//! node = "ws://127.0.0.1:9944"
//! [mine]
//! threads = 8
//! [subnet.create]
//! max-price = "100"
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    ops::Range,
    path::{Path, PathBuf},
};

use clap::Command;
use toml::{Table, Value};

use crate::error::Failure;

/// Takes the `CAIRN_…` variables that are empty or blank out of the environment: they are as good as unset.
/// To be called while the program has one thread.
pub fn forget_empty_variables() {
    let empty = std::env::vars_os().filter(|(name, value)| {
        name.to_string_lossy().starts_with("CAIRN_") && value.to_string_lossy().trim().is_empty()
    });
    for (name, _) in empty.collect::<Vec<_>>() {
        std::env::remove_var(name);
    }
}

/// What `cairn bench` has for a model that is named by `--config`.
const OF_A_MODEL: [&str; 5] = ["train", "generate", "score", "memory", "audit"];

/// The file named by `--config` or `CAIRN_CONFIG`, and the arguments without it: it decides what the defaults are, so
/// it is looked for before they are parsed.
///
/// Behind the benchmarks of a model, `--config` is the model's configuration and left there; a settings file comes
/// before.
pub fn take_file(mut arguments: Vec<OsString>) -> (Option<PathBuf>, Vec<OsString>) {
    let verb = arguments
        .windows(2)
        .position(|words| OF_A_MODEL.iter().any(|verb| words == ["bench", *verb]));
    let end = verb.unwrap_or(arguments.len());
    let stated = stated(arguments.get(..end).unwrap_or_default());
    let file = match stated {
        Some((file, place)) => {
            arguments.drain(place);
            Some(file)
        }
        None => std::env::var_os("CAIRN_CONFIG").map(PathBuf::from),
    };
    let file = file.filter(|file| !file.as_os_str().is_empty());
    (file, arguments)
}

/// What follows `--config`, and where both stand.
fn stated(arguments: &[OsString]) -> Option<(PathBuf, Range<usize>)> {
    for (at, argument) in arguments.iter().enumerate().skip(1) {
        let text = argument.to_string_lossy();
        if text == "--" {
            break;
        }
        if text == "--config" {
            let file = arguments.get(at + 1)?;
            return Some((file.into(), at..at + 2));
        }
        if let Some(path) = text.strip_prefix("--config=") {
            return Some((path.into(), at..at + 1));
        }
    }
    None
}

/// `command` with the file's values as its defaults.
pub fn read(command: Command, path: &Path) -> Result<Command, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot read the settings {}: {error}", path.display());
        Failure::new(what, "name a TOML file with --config, or leave it out")
    })?;
    apply(command, &text).map_err(|error| Failure::during(path.display(), error))
}

fn apply(command: Command, text: &str) -> Result<Command, Failure> {
    let table: Table = toml::from_str(text).map_err(|error: toml::de::Error| {
        Failure::new(error.message(), "correct the settings file")
    })?;
    level(command, &table, &BTreeMap::new(), "").map(|(command, _)| command)
}

type Values = BTreeMap<String, String>;

/// Applies `table` and what the levels above it set to a command and those below it. Gives the keys that
/// were of use.
fn level(
    mut command: Command,
    table: &Table,
    above: &Values,
    place: &str,
) -> Result<(Command, BTreeSet<String>), Failure> {
    let mut values = above.clone();
    for (key, value) in table {
        if !value.is_table() {
            values.insert(key.clone(), plain(value, key)?);
        }
    }
    let mut used = BTreeSet::new();
    command = set(command, &values, &mut used);
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_string())
        .collect();
    let mut tables = table.iter().filter(|(_, value)| value.is_table());
    if let Some((key, _)) = tables.find(|(key, _)| !names.contains(key)) {
        return Err(Failure::new(
            format!("unknown table [{place}{key}]"),
            "tables are named after commands; see `cairn --help`",
        ));
    }
    for name in names {
        let empty = Table::new();
        let below = table.get(&name).and_then(Value::as_table).unwrap_or(&empty);
        let mut result = Ok(BTreeSet::new());
        command = command.mut_subcommand(&name, |sub| {
            match level(sub.clone(), below, &values, &format!("{place}{name}.")) {
                Ok((sub, below)) => {
                    result = Ok(below);
                    sub
                }
                Err(error) => {
                    result = Err(error);
                    sub
                }
            }
        });
        used.extend(result?);
    }
    let mut own = table.iter().filter(|(_, value)| !value.is_table());
    if let Some((unknown, _)) = own.find(|(key, _)| !used.contains(*key)) {
        return Err(Failure::new(
            format!("unknown key `{place}{unknown}`"),
            "keys are the long names of options without the dashes; see `cairn help`",
        ));
    }
    Ok((command, used))
}

/// Makes values the defaults of a command's own options, and notes which were of use.
fn set(command: Command, values: &Values, used: &mut BTreeSet<String>) -> Command {
    command.mut_args(|argument| {
        let name = argument.get_long().unwrap_or_default().to_string();
        match values
            .get(&name)
            .filter(|_| !["config", "help", "version"].contains(&name.as_str()))
        {
            None => argument,
            Some(value) => {
                used.insert(name);
                argument.default_value(value.clone()).required(false)
            }
        }
    })
}

/// A value as it would be written on the command line.
fn plain(value: &Value, key: &str) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Ok(value.to_string()),
        _ => Err(Failure::new(
            format!("`{key}` is not a simple value"),
            "write a string, a number, true or false",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, ArgAction};

    fn cli() -> Command {
        let node = || Arg::new("node").long("node").default_value("default");
        let mine = Command::new("mine")
            .arg(node())
            .arg(Arg::new("threads").long("threads").required(true))
            .arg(Arg::new("json").long("json").action(ArgAction::SetTrue));
        Command::new("cairn")
            .subcommand(mine)
            .subcommand(Command::new("status").arg(node()))
    }

    fn value(command: &Command, arguments: &[&str], id: &str) -> String {
        let matches = command.clone().get_matches_from(arguments);
        matches
            .subcommand()
            .unwrap()
            .1
            .get_one::<String>(id)
            .unwrap()
            .clone()
    }

    #[test]
    fn flags_come_before_the_file_and_tables_before_the_top_level() {
        let command = apply(cli(), "node = \"a\"\n[mine]\nthreads = 8\nnode = \"b\"").unwrap();
        assert_eq!(value(&command, &["cairn", "status"], "node"), "a");
        assert_eq!(value(&command, &["cairn", "mine"], "node"), "b");
        assert_eq!(value(&command, &["cairn", "mine"], "threads"), "8");
        assert_eq!(
            value(&command, &["cairn", "mine", "--node", "c"], "node"),
            "c"
        );
    }

    #[test]
    fn the_settings_that_packages_bring_can_be_read() {
        for text in [
            include_str!("../../../../ops/debian/miner.toml"),
            include_str!("../../../../ops/debian/validator.toml"),
        ] {
            let command = crate::cli::usage::command();
            let read = apply(command, text);
            assert!(read.is_ok(), "{text}: {:?}", read.err());
        }
    }

    #[test]
    fn switches_can_be_set() {
        let command = apply(cli(), "[mine]\njson = true\nthreads = 1").unwrap();
        let matches = command.get_matches_from(["cairn", "mine"]);
        assert!(matches.subcommand().unwrap().1.get_flag("json"));
    }

    #[test]
    fn unknown_keys_are_errors_that_name_them() {
        for (text, named) in [
            ("nod = 1", "`nod`"),
            ("[mine]\nnetuid = 1", "`mine.netuid`"),
            ("[status]\nthreads = 1", "`status.threads`"),
            ("[dig]\nx = 1", "[dig]"),
            ("config = \"x\"", "`config`"),
            ("node = [1]", "`node`"),
        ] {
            let error = apply(cli(), text).err().unwrap().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn every_benchmark_with_a_model_of_its_own_is_known() {
        let command = crate::cli::usage::command();
        let bench = command.find_subcommand("bench").expect("one");
        let has_a_model = |verb: &&Command| {
            let mut arguments = verb.get_arguments();
            arguments.any(|one| one.get_long() == Some("config") && !one.is_global_set())
        };
        let verbs = bench.get_subcommands().filter(has_a_model);
        let verbs: BTreeSet<&str> = verbs.map(Command::get_name).collect();
        assert_eq!(verbs, BTreeSet::from(OF_A_MODEL));
    }

    #[test]
    fn the_file_is_found_wherever_it_is_named_and_a_model_is_left() {
        let taken = |line: &str| {
            let arguments = line.split(' ').map(OsString::from).collect();
            let (file, left) = take_file(arguments);
            let left: Vec<_> = left.iter().map(|text| text.to_string_lossy()).collect();
            (file, left.join(" "))
        };
        let file = |name: &str, left: &str| (Some(PathBuf::from(name)), left.to_string());
        assert_eq!(
            taken("cairn mine --config x -v"),
            file("x", "cairn mine -v")
        );
        assert_eq!(taken("cairn --config=y mine"), file("y", "cairn mine"));
        for verb in OF_A_MODEL {
            let model = format!("cairn bench {verb} --config 10m");
            assert_eq!(taken(&model), (None, model.clone()));
            let both = format!("cairn --config x bench {verb} --config 10m");
            assert_eq!(taken(&both), file("x", &model));
        }
        for nothing in ["cairn mine -- --config x", "cairn mine --config"] {
            assert_eq!(taken(nothing), (None, nothing.into()));
        }
    }
}
