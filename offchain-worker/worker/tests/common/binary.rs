//! Where the node is that tests start.

use std::path::{Path, PathBuf};

/// The node's binary, beside that of `cairn`.
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
