//! Amounts and pasted secrets on the command line: what is wrong is said before a node is asked.

mod common;

use std::{
    io::Write,
    process::{Output, Stdio},
};

use common::cairn;

fn said(arguments: &[&str]) -> (Option<i32>, String) {
    let output = cairn(arguments).output().expect("cairn starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

#[test]
fn amounts_at_the_edge_are_refused_with_the_reason_by_every_verb() {
    let node = ["--suri", "//Alice", "--node", "ws://127.0.0.1:1"];
    let verbs: [&[&str]; 6] = [
        &["wallet", "send", "--to", "//Bob"],
        &["stake", "add", "--hotkey", "//Bob"],
        &["stake", "bond", "--hotkey", "//Bob"],
        &["stake", "remove", "--hotkey", "//Bob"],
        &["stake", "move", "--hotkey", "//Bob", "--to-netuid", "2"],
        &["stake", "transfer", "--hotkey", "//Bob", "--to", "//Eve"],
    ];
    for verb in verbs {
        for (amount, why) in [
            ("0", "is nothing"),
            ("0.000000000", "is nothing"),
            ("-5", "below zero"),
            ("-0.1", "below zero"),
            ("1e3", "for example 12"),
            ("1,5", "use a point"),
            ("0.0000000001", "nine decimals"),
            ("99999999999999999999", "21,000,000"),
            ("five", "for example 12"),
            ("", "for example 12"),
        ] {
            let (code, error) = said(&[verb, &node, &[amount]].concat());
            assert_eq!(code, Some(2), "{verb:?} {amount}: {error}");
            assert!(error.contains(why), "{verb:?} {amount}: {error}");
            assert!(!error.contains("tip:"), "{verb:?} {amount}: {error}");
        }
        // These are amounts: the node is asked.
        for amount in ["all", "1", "0.000000001", "1,000.25", "5.00 CRN", "1_000"] {
            let (code, error) = said(&[verb, &node, &[amount]].concat());
            assert_eq!(code, Some(1), "{verb:?} {amount}: {error}");
            assert!(
                error.contains("no node answers"),
                "{verb:?} {amount}: {error}"
            );
        }
    }
}

#[test]
fn numbers_that_are_none_are_answered_with_what_is_expected() {
    for (arguments, words) in [
        (
            &["status", "--netuid", "two"][..],
            ["`two`", "whole number"],
        ),
        (&["status", "--netuid", "-1"], ["-1", "65535"]),
        (&["status", "--netuid", "70000"], ["70000", "65535"]),
        (
            &["subnet", "show", "--netuid", ""],
            ["--netuid", "whole number"],
        ),
        (&["gpu-selftest", "--seed", "x"], ["`x`", "--seed"]),
    ] {
        let (code, error) = said(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
        for word in words {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
        assert!(!error.contains("invalid digit"), "{error}");
    }
}

fn restore(directory: &str, phrase: &str) -> Output {
    let mut child = cairn(&[
        "wallet",
        "restore",
        "w",
        "--plain",
        "--wallet-dir",
        directory,
        "--json",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .expect("cairn starts");
    // It may stop reading before the end of what is too long.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(phrase.as_bytes());
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_phrase_on_two_lines_is_one_phrase() {
    let eight = "legal winner thank year wave sausage worth useful";
    let words = format!("{eight} {eight} legal winner thank year wave sausage worth title");
    let (first, second) = words.split_at(words.match_indices(' ').nth(11).expect("words").0);
    let address = |text: &str| {
        let directory = tempfile::tempdir().expect("room");
        let output = restore(&directory.path().display().to_string(), text);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        shown["address"].as_str().expect("an address").to_string()
    };
    let expected = address(&words);
    assert_eq!(address(&format!("{first}\n{second}\n")), expected);
    assert_eq!(address(&format!("{first}\r\n\r\n{second}  ")), expected);
    assert_eq!(address(&words.to_uppercase()), expected);
    let twelve = format!("{eight} legal winner thank yellow");
    assert_ne!(address(&twelve), expected);
    let directory = tempfile::tempdir().expect("room");
    let at = directory.path().join("wallets").display().to_string();
    for more in ["legal winner", "12", "# my phrase"] {
        let output = restore(&at, &format!("{twelve}\n{more}"));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.contains("words") && !error.contains("sausage"),
            "{error}"
        );
    }
    assert!(
        !directory.path().join("wallets").exists(),
        "nothing was made"
    );
}

#[test]
fn a_wallet_directory_that_cannot_be_read_is_an_error() {
    let directory = tempfile::tempdir().expect("room");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("room");
    let file = file.display().to_string();
    for verb in ["show", "ls"] {
        let (code, error) = said(&["wallet", verb, "--wallet-dir", &file]);
        assert_eq!(code, Some(1), "{error}");
        assert!(
            error.contains("cannot read") && error.contains(&file),
            "{error}"
        );
    }
}
