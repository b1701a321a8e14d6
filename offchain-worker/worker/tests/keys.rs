//! Keys under passphrases, and key files of other wallets, on the command line.

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

const PASSPHRASE: &str = "correct horse battery";
/// Key files that stock wallets made, and their passphrase.
const STOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../keys/tests/vectors");
const OF_STOCK: &str = "throw-away passphrase";
/// Port 1 is reserved and nobody listens on it.
const NOBODY: &str = "ws://127.0.0.1:1";

/// A directory of wallets.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("room"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command on the wallets of this place, with this passphrase in its environment.
    fn command(&self, arguments: &[&str], passphrase: Option<&str>) -> Command {
        let mut command = common::cairn(arguments);
        command.env("CAIRN_WALLET_DIR", self.0.path());
        command.envs(passphrase.map(|text| ("CAIRN_PASSPHRASE", text)));
        command
    }

    /// Runs it, and reads what it prints.
    fn works(&self, arguments: &[&str], passphrase: Option<&str>) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let output = self.command(&arguments, passphrase).output();
        let output = output.expect("cairn starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Runs it, and checks that it fails with one line that has all these words, and no secret.
    fn fails(&self, arguments: &[&str], passphrase: Option<&str>, words: &[&str]) {
        let output = self.command(arguments, passphrase).output();
        refused(&output.expect("cairn starts"), words);
    }
}

fn refused(output: &Output, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
    for secret in [PASSPHRASE, OF_STOCK, "winner"] {
        assert!(!error.contains(secret), "{error}");
    }
}

fn text(path: &Path) -> String {
    let mode = fs::metadata(path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    String::from_utf8_lossy(&fs::read(path).expect("there")).into_owned()
}

#[test]
fn a_wallet_is_under_a_passphrase_unless_plain_text_is_asked_for() {
    let place = Place::new();
    let made = place.works(&["wallet", "new", "cold"], Some(PASSPHRASE));
    let phrase = made["mnemonic"].as_str().expect("a phrase");
    assert_eq!(made["encrypted"], true);
    let file = text(&place.path("cold.json"));
    assert!(file.contains("xsalsa20-poly1305") && !file.contains(phrase));

    let plain = place.works(&["wallet", "new", "hot", "--plain"], None);
    assert_eq!(plain["encrypted"], false);
    let phrase = plain["mnemonic"].as_str().expect("a phrase");
    assert!(text(&place.path("hot.toml")).contains(phrase));

    // Addresses are shown without a passphrase.
    let shown = place.works(&["wallet", "show"], None);
    assert_eq!(shown[0]["address"], made["address"]);
    assert_eq!(shown[1]["address"], plain["address"]);
    place.fails(&["wallet", "new", "cold", "--plain"], None, &["already"]);
    place.fails(&["wallet", "new", "hot"], Some(PASSPHRASE), &["already"]);
}

#[test]
fn nothing_is_made_without_a_passphrase_or_with_a_bad_one() {
    let place = Place::new();
    let new = ["wallet", "new", "cold"];
    let nobody_asked = [
        "--passphrase-fd",
        "CAIRN_PASSPHRASE",
        "--plain",
        "no terminal",
    ];
    place.fails(&new, None, &nobody_asked);
    place.fails(&new, Some("short"), &["8 characters"]);
    place.fails(&new, Some(" correct horse"), &["white space"]);
    place.fails(&new, Some(&"x".repeat(2_000)), &["1,024 bytes"]);
    // A blank variable is as good as unset.
    place.fails(&new, Some("   "), &nobody_asked);
    assert_eq!(fs::read_dir(place.0.path()).expect("there").count(), 0);
}

#[test]
fn a_passphrase_opens_a_wallet_from_a_variable_or_an_open_file() {
    let place = Place::new();
    place.works(&["wallet", "new", "cold"], Some(PASSPHRASE));
    let send = [
        "wallet", "send", "--key", "cold", "--to", "//Bob", "1", "--node", NOBODY,
    ];
    // Who got as far as the node had the key.
    place.fails(&send, Some(PASSPHRASE), &["no node answers"]);
    place.fails(
        &send,
        Some("correct horse batterx"),
        &["passphrase is wrong", "cold.json"],
    );
    place.fails(
        &send,
        None,
        &["wallet `cold` takes a passphrase", "--passphrase-fd"],
    );

    let file = place.path("passphrase");
    fs::write(&file, format!("{PASSPHRASE}\nanother line\n")).expect("room");
    let of_input = |arguments: &[&str]| {
        let mut command = place.command(&[&send[..], arguments].concat(), None);
        command.stdin(fs::File::open(&file).expect("there"));
        command.output().expect("cairn starts")
    };
    refused(&of_input(&["--passphrase-fd", "0"]), &["no node answers"]);
    refused(&of_input(&["--passphrase-fd", "999"]), &["open file 999"]);
    // The file is beaten by nothing, the variable by the file.
    let mut command = place.command(
        &[&send[..], &["--passphrase-fd", "0"]].concat(),
        Some("wrong one"),
    );
    command.stdin(fs::File::open(&file).expect("there"));
    refused(
        &command.output().expect("cairn starts"),
        &["no node answers"],
    );
    let mut command = place.command(&[&send[..], &["--passphrase-fd", "0"]].concat(), None);
    command.stdin(Stdio::null());
    let refused_file = ["cannot read a passphrase", "open file 0"];
    refused(&command.output().expect("cairn starts"), &refused_file);
}

#[test]
fn a_hotkey_under_a_passphrase_signs_too() {
    let place = Place::new();
    let made = place.works(&["wallet", "new", "hot"], Some(PASSPHRASE));
    let genesis = format!("0x{}", "2a".repeat(32));
    let sign = [
        "wallet",
        "sign-registration",
        "--key",
        "hot",
        "--netuid",
        "1",
        "--coldkey",
        "//Alice",
        "--genesis",
        &genesis,
    ];
    let signed = place.works(&sign, Some(PASSPHRASE));
    assert_eq!(signed["hotkey"], made["address"]);
}

#[test]
fn key_files_of_stock_wallets_are_imported_and_exported() {
    let place = Place::new();
    let stock = |name: &str| format!("{STOCK}/{name}");
    let mut address = None;
    for (name, file, passphrase) in [
        ("a", "polkadot-js.json", OF_STOCK),
        ("b", "bittensor.nacl", OF_STOCK),
        // In plain text there: a passphrase is put on it.
        ("c", "bittensor.json", PASSPHRASE),
        ("d", "polkadot-js-plain.json", PASSPHRASE),
    ] {
        let made = place.works(&["wallet", "import", name, &stock(file)], Some(passphrase));
        assert_eq!(made["encrypted"], true);
        assert_eq!(
            made["address"],
            *address.get_or_insert(made["address"].clone())
        );
        assert!(!text(&place.path(&format!("{name}.json"))).contains("winner"));
    }
    let plain = place.works(
        &["wallet", "import", "e", &stock("bittensor.json"), "--plain"],
        None,
    );
    assert_eq!(plain["encrypted"], false);
    assert!(text(&place.path("e.toml")).contains("winner"));
    place.fails(
        &["wallet", "import", "f", &stock("bittensor.nacl")],
        Some(PASSPHRASE),
        &["passphrase is wrong", "bittensor.nacl"],
    );
    place.fails(
        &["wallet", "import", "f", "/nowhere"],
        None,
        &["cannot read /nowhere"],
    );
    place.fails(&["wallet", "import", "f", "/dev/zero"], None, &["64 KiB"]);

    for (wallet, format, encrypted) in [
        ("a", "polkadot-js", true),
        ("a", "bittensor", true),
        ("e", "bittensor", false),
        ("e", "polkadot-js", false),
    ] {
        let out = place
            .path(&format!("{wallet}-{format}"))
            .display()
            .to_string();
        let export = [
            "wallet", "export", wallet, "--format", format, "--out", &out,
        ];
        let plain: &[&str] = if encrypted { &[] } else { &["--plain"] };
        let passphrase = encrypted.then_some(OF_STOCK);
        let written = place.works(&[&export[..], plain].concat(), passphrase);
        assert_eq!(written["encrypted"], encrypted);
        text(Path::new(&out));
        let name = format!("again-{wallet}-{format}");
        let again = place.works(&["wallet", "import", &name, &out], Some(OF_STOCK));
        assert_eq!(Some(&again["address"]), address.as_ref());
        place.fails(
            &[&export[..], plain].concat(),
            passphrase,
            &["there already"],
        );
    }
    // In plain text only if that is said.
    let out = place.path("out").display().to_string();
    let export = [
        "wallet",
        "export",
        "e",
        "--format",
        "bittensor",
        "--out",
        &out,
    ];
    place.fails(&export, None, &["--plain"]);
    assert!(!Path::new(&out).exists());
}

#[test]
fn keys_on_the_command_line_are_those_that_everybody_has() {
    let place = Place::new();
    let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let seed = format!("0x{}", "5a".repeat(32));
    for suri in [
        phrase,
        &format!("{phrase}//hard"),
        &seed,
        "//Alice///mine",
        "correct horse battery",
    ] {
        let send = [
            "wallet", "send", "--suri", suri, "--to", "//Bob", "1", "--node", NOBODY,
        ];
        place.fails(
            &send,
            None,
            &["development keys only", "cairn wallet import"],
        );
        let mut command = place.command(&["wallet", "balance", "--node", NOBODY], None);
        let output = command.env("CAIRN_SURI", suri).output().expect("starts");
        refused(&output, &["development keys only"]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains(&"5a".repeat(8)));
    }
    let balance = [
        "wallet",
        "balance",
        "--suri",
        "//Cairn//miner//hot",
        "--node",
        NOBODY,
    ];
    place.fails(&balance, None, &["no node answers"]);
}

#[test]
fn a_transaction_for_a_key_elsewhere_is_of_a_command_that_sends_one() {
    let place = Place::new();
    let out = place.path("out").display().to_string();
    let to_file = ["--unsigned-to", out.as_str(), "--node", NOBODY];
    let of = |command: &[&str]| -> Vec<String> {
        let words = [command, &to_file].concat();
        words.into_iter().map(String::from).collect()
    };
    for (command, words) in [
        (of(&["wallet", "send", "--to", "//Bob", "1"]), "--from"),
        (
            of(&["wallet", "balance", "--suri", "//Bob"]),
            "leave it out",
        ),
        // No key is needed to get as far as the node.
        (
            of(&["wallet", "send", "--from", "//Bob", "--to", "//Bob", "1"]),
            "no node answers",
        ),
        (
            of(&["stake", "add", "--from", "//Bob", "--hotkey", "//Bob", "1"]),
            "no node answers",
        ),
        (
            of(&["subnet", "create", "--suri", "//Bob"]),
            "no node answers",
        ),
    ] {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        place.fails(&command, None, &[words]);
    }
    fs::write(&out, "{}").expect("room");
    for verb in [
        &["show"][..],
        &["sign", "--suri", "//Bob", "--out", "/dev/null"],
        &["send", "--node", NOBODY],
    ] {
        let command = [&["transaction", verb[0], &out], &verb[1..]].concat();
        place.fails(&command, None, &["no such transaction", &out]);
    }
}
