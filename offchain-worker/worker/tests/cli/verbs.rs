//! Verbs that need a node or a directory, and the help of all.

use super::{fails, works};

#[test]
fn a_node_that_is_down_is_named() {
    // Port 1 is reserved and nobody listens on it.
    let node = "ws://127.0.0.1:1";
    let store = "file:///tmp";
    for command in [
        vec!["status"],
        vec!["emissions"],
        vec!["subnet", "ls"],
        vec!["subnet", "create", "--suri", "//Alice"],
        vec!["run", "show"],
        vec![
            "stake", "add", "--suri", "//Alice", "--hotkey", "//Bob", "1",
        ],
        vec![
            "stake", "remove", "--suri", "//Alice", "--hotkey", "//Bob", "all",
        ],
        vec![
            "stake", "withdraw", "--suri", "//Alice", "--hotkey", "//Bob",
        ],
        vec![
            "stake",
            "move",
            "--suri",
            "//Alice",
            "--hotkey",
            "//Bob",
            "--to-netuid",
            "2",
            "all",
        ],
        vec![
            "stake", "transfer", "--suri", "//Alice", "--hotkey", "//Bob", "--to", "//Eve", "1",
        ],
        vec![
            "stake", "take", "--suri", "//Alice", "--hotkey", "//Bob", "9.5",
        ],
        vec!["stake", "unbond", "--suri", "//Alice", "--hotkey", "//Bob"],
        vec!["stake", "show", "--account", "//Alice"],
        vec!["wallet", "recovery", "show", "//Alice"],
        vec![
            "wallet",
            "recovery",
            "add",
            "--suri",
            "//Alice",
            "--friends",
            "//Bob,//Eve",
            "--needed",
            "2",
            "--inheritor",
            "//Dave",
        ],
        vec!["wallet", "recovery", "begin", "--suri", "//Bob", "//Alice"],
        vec!["wallet", "recovery", "slash", "--suri", "//Alice"],
        vec!["subnet", "set", "--suri", "//Alice", "tempo=20"],
        vec!["subnet", "dissolve", "--suri", "//Alice", "--for-ever"],
        vec!["mine", "--suri", "//Alice", "--store", store],
        vec!["validate", "--suri", "//Alice", "--store", store],
    ] {
        let arguments: Vec<_> = command.iter().copied().chain(["--node", node]).collect();
        fails(&arguments, &[node, "start cairn-node"]);
    }
    fails(&["status", "--node", "http//x"], &["http//x", "ws://"]);
}

#[test]
fn stake_that_goes_nowhere_and_rules_that_cannot_be_are_refused_before_a_node_is_asked() {
    let node = ["--node", "ws://127.0.0.1:1"];
    let check = |command: &[&str], words: &[&str]| {
        let arguments: Vec<_> = command.iter().copied().chain(node).collect();
        fails(&arguments, words);
    };
    let alice = ["--suri", "//Alice"];
    check(
        &[&["stake", "move", "--hotkey", "//Bob", "all"], &alice[..]].concat(),
        &["already is", "--to-hotkey"],
    );
    check(
        &[&["subnet", "set", "temp=20"], &alice[..]].concat(),
        &["`temp`", "cairn subnet show"],
    );
    check(
        &[&["subnet", "set", "tempo=often"], &alice[..]].concat(),
        &["`often`", "`tempo`"],
    );
    check(
        &[&["subnet", "dissolve", "--netuid", "3"], &alice[..]].concat(),
        &["subnet 3", "cannot be undone", "--for-ever"],
    );
    check(&["stake", "show"], &["no key", "--key"]);
}

#[test]
fn who_acts_for_another_account_does_so_only_in_a_transaction() {
    for option in ["--for", "--recovered"] {
        let command = ["wallet", "balance", "--suri", "//Alice", option, "//Bob"];
        fails(&command, &[option, "one transaction"]);
    }
}

#[test]
fn a_devnet_without_a_node_or_a_directory_says_so() {
    fails(
        &["devnet", "--node-bin", "/nowhere/cairn-node"],
        &["/nowhere/cairn-node", "--node-bin"],
    );
    let used = tempfile::tempdir().expect("room");
    std::fs::write(used.path().join("x"), "x").expect("room");
    fails(
        &["devnet", "--keep", &used.path().display().to_string()],
        &["not empty", "--keep"],
    );
}

#[test]
fn help_has_examples() {
    for command in [
        vec!["bench", "codec"],
        vec!["bench", "score"],
        vec!["bench", "memory"],
        vec!["devnet"],
        vec!["mine"],
        vec!["run", "start"],
        vec!["stake", "bond"],
        vec!["stake", "add"],
        vec!["stake", "remove"],
        vec!["stake", "withdraw"],
        vec!["stake", "move"],
        vec!["stake", "transfer"],
        vec!["stake", "take"],
        vec!["stake", "show"],
        vec!["stake", "unbond"],
        vec!["subnet", "set"],
        vec!["subnet", "dissolve"],
    ] {
        let arguments: Vec<_> = command.iter().copied().chain(["--help"]).collect();
        assert!(works(&arguments).contains("Examples:"), "{command:?}");
    }
}
