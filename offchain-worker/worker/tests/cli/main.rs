//! Bad input on the command line: each gives one line that names the thing and the remedy, a code other than
//! 0, and changes nothing.

#[path = "../common/mod.rs"]
mod common;
mod data;
mod machine;
mod place;
mod runs;
mod settings;
mod verbs;
mod wallets;

use std::process::Output;

/// Port 1 is reserved and nobody listens on it.
const NOBODY: &str = "ws://127.0.0.1:1";

/// Runs `cairn` with nothing of the surroundings.
fn cairn(arguments: &[&str]) -> Output {
    common::cairn(arguments).output().expect("cairn starts")
}

/// Runs it, and gives what it said on success.
fn works(arguments: &[&str]) -> String {
    let output = cairn(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs it, and checks that it failed with one line that has all these words.
fn fails(arguments: &[&str], words: &[&str]) {
    let output = cairn(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
    // On a busy machine a line of progress may come before it, such as `reading corpus, 1 s`.
    let said = error.lines().filter(|line| !line.ends_with(" s"));
    assert_eq!(said.count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}
