//! The command line as clap takes it, and what it says of one that it does not take.

use std::{
    error::Error,
    num::{IntErrorKind, ParseFloatError, ParseIntError},
    process::ExitCode,
};

use clap::{
    error::{ContextKind, ContextValue},
    Command, CommandFactory,
};

use super::Cli;
use crate::output;

/// The exit code for a command line that cannot be understood.
const MISUSED: u8 = 2;

/// The whole command line.
pub fn command() -> Command {
    let command = with_numbers_below_zero(Cli::command());
    let workers = ["mine", "validate"].into_iter();
    workers.fold(command, |command, worker| {
        command.mut_subcommand(worker, with_the_key_here)
    })
}

/// A worker signs all the time: how to sign elsewhere is not among its options.
fn with_the_key_here(command: Command) -> Command {
    command.mut_args(|argument| match argument.get_id().as_str() {
        "unsigned_to" | "from" => argument.hide(true),
        _ => argument,
    })
}

/// Has every option that takes a value take `-5` for one, and not for an option: what it expects instead is
/// said where it is read.
fn with_numbers_below_zero(command: Command) -> Command {
    command
        .mut_args(|argument| {
            let takes_value = argument.get_action().takes_values();
            argument.allow_negative_numbers(takes_value)
        })
        .mut_subcommands(with_numbers_below_zero)
}

/// Ends the program as a command line that asks for help or is none wants it.
pub fn end(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        match expected(error) {
            Some(line) => output::say(&format!("cairn: {line}")),
            None => output::say(&error.render().to_string()),
        }
        return ExitCode::from(MISUSED);
    }
    let text = error.render();
    let coloured = output::columns().is_some() && std::env::var_os("NO_COLOR").is_none();
    let shown = match coloured {
        true => output::show_raw(&text.ansi().to_string()),
        false => output::show_raw(&text.to_string()),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error),
    }
}

/// What an option expects, where the library would say what its parser met.
fn expected(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (argument, value) = (
        text(ContextKind::InvalidArg)?,
        text(ContextKind::InvalidValue)?,
    );
    let what = number(error.source()?)?;
    Some(format!(
        "`{value}` is no value for {argument}: it takes {what}; see --help"
    ))
}

/// What a parser of numbers wanted to see.
fn number(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if cause.is::<ParseFloatError>() {
        return Some("a number, such as 0.5");
    }
    let cause = cause.downcast_ref::<ParseIntError>()?;
    Some(match cause.kind() {
        IntErrorKind::PosOverflow => "a smaller number",
        _ => "a whole number from 0 up, such as 1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let error = command().try_get_matches_from(line.split(' '));
        expected(&error.expect_err(line)).expect("what it expects")
    }

    #[test]
    fn workers_offer_no_key_elsewhere() {
        let help = |verb: &str| {
            let mut command = command();
            let verb = command.find_subcommand_mut(verb).expect("there is");
            verb.render_long_help().to_string()
        };
        for worker in ["mine", "validate"] {
            assert!(help(worker).contains("--key") && !help(worker).contains("--unsigned-to"));
        }
    }

    #[test]
    fn numbers_that_are_none_are_answered_with_what_is_expected() {
        for (line, words) in [
            (
                "cairn status --netuid two",
                ["`two`", "--netuid", "whole number"],
            ),
            (
                "cairn status --netuid 1.5",
                ["`1.5`", "--netuid", "whole number"],
            ),
            (
                "cairn gpu-selftest --seed -5",
                ["`-5`", "--seed", "from 0 up"],
            ),
            (
                "cairn gpu-selftest --seed 99999999999999999999",
                ["99999999999999999999", "--seed", "smaller"],
            ),
            (
                "cairn gradient encode --layout l i o --mean-loss half",
                ["`half`", "--mean-loss", "0.5"],
            ),
        ] {
            let said = said(line);
            for word in words {
                assert!(said.contains(word), "`{word}` is not in: {said}");
            }
        }
    }

    #[test]
    fn amounts_below_zero_are_amounts_and_no_options() {
        for line in [
            "cairn wallet send --to x -5",
            "cairn stake add --hotkey x -5",
            "cairn stake bond --hotkey x -0.5",
            "cairn subnet create --max-price -1",
        ] {
            let error = command().try_get_matches_from(line.split(' '));
            let said = error.expect_err(line).to_string();
            assert!(
                said.contains("below zero") && !said.contains("tip"),
                "{said}"
            );
        }
    }
}
