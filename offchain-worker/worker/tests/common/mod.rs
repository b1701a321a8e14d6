//! What the tests of the command line share.

use std::process::Command;

/// `cairn` with nothing of the surroundings: no `CAIRN_*` variable is passed on.
pub fn cairn(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CAIRN_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}
