//! What the tests of the command line share.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// `cairn` with nothing of the surroundings: no `CAIRN_*` variable is passed on.
pub fn cairn(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CAIRN_")) {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// The node's binary, beside that of `cairn`.
#[allow(dead_code)] // Not every file of tests has a network.
pub fn node() -> PathBuf {
    let named = std::env::var_os("CAIRN_NODE_BIN").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_BIN_EXE_cairn")).with_file_name("cairn-node");
    let node = named.unwrap_or_else(beside);
    assert!(
        node.is_file(),
        "{} is missing: build it with `cargo build -p cairn-node`, or name it in CAIRN_NODE_BIN",
        node.display()
    );
    node
}
