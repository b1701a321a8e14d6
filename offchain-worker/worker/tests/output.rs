//! What becomes of output that nobody takes, of files that are none, and of text that others wrote.

mod common;

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{symlink, FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use common::cairn;

fn run(arguments: &[&str]) -> Output {
    cairn(arguments).output().expect("cairn starts")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Commands that print something without a node.
const PRINTING: [&[&str]; 9] = [
    &["--help"],
    &["--version"],
    &["help", "stake"],
    &["wallet", "send", "--help"],
    &["doctor"],
    &["doctor", "--json"],
    &["bench", "train", "--dry-run", "--config", "tiny"],
    &["completions", "bash"],
    &["wallet", "show", "--wallet-dir", "/nowhere"],
];

#[test]
fn output_that_is_lost_is_an_error() {
    for arguments in PRINTING {
        let full = OpenOptions::new().write(true).open("/dev/full");
        let output = cairn(arguments)
            .stdout(full.expect("/dev/full"))
            .output()
            .expect("cairn starts");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let error = error(&output);
        assert!(error.contains("standard output"), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        // A descriptor that cannot be written takes nothing, either.
        let readable = File::open("/dev/null").expect("there");
        let output = cairn(arguments).stdout(readable).output();
        assert_eq!(
            output.expect("it starts").status.code(),
            Some(1),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = cairn(arguments).stdout(writer).output().expect("it starts");
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            error(&output)
        );
        assert_eq!(error(&output), "", "{arguments:?}");
    }
}

#[test]
fn errors_that_nobody_reads_keep_their_exit_code() {
    for (arguments, code) in [
        (&["status", "--node", "ws://127.0.0.1:1"][..], 1),
        (&["status", "--netuid", "two"], 2),
        (&["nonsense"], 2),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let full = OpenOptions::new().write(true).open("/dev/full");
        for nobody in [Stdio::from(writer), full.expect("/dev/full").into()] {
            let status = cairn(arguments).stderr(nobody).status().expect("it starts");
            assert_eq!(status.code(), Some(code), "{arguments:?}");
        }
    }
}

#[test]
fn there_is_no_wallet_whose_phrase_was_not_shown() {
    let directory = tempfile::tempdir().expect("room");
    let at = directory.path().display().to_string();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let full = OpenOptions::new().write(true).open("/dev/full");
    for nobody in [Stdio::from(writer), full.expect("/dev/full").into()] {
        let output = cairn(&["wallet", "new", "x", "--plain", "--wallet-dir", &at])
            .stdout(nobody)
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(1));
        let error = error(&output);
        assert!(error.contains("no wallet was made"), "{error}");
        assert_eq!(fs::read_dir(&at).expect("there").count(), 0, "{error}");
    }
    assert!(run(&["wallet", "new", "x", "--plain", "--wallet-dir", &at])
        .status
        .success());
}

#[test]
fn empty_variables_are_unset() {
    let directory = tempfile::tempdir().expect("room");
    let at = directory.path().display().to_string();
    assert!(run(&["wallet", "new", "a", "--plain", "--wallet-dir", &at])
        .status
        .success());
    let balance = |flags: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["wallet", "balance", "--node", "ws://127.0.0.1:1"], flags].concat();
        let mut command = cairn(&arguments);
        let output = command.envs(variables.iter().copied()).output();
        error(&output.expect("it starts"))
    };
    // Who got as far as the node had a key.
    let node = "no node answers";
    let dir = ("CAIRN_WALLET_DIR", at.as_str());
    for (flags, variables) in [
        (&["--key", "a"][..], &[dir, ("CAIRN_SURI", "")][..]),
        (&["--key", "a"], &[dir, ("CAIRN_SURI", "  ")]),
        (&["--key", "a"], &[dir, ("CAIRN_SURI", "//Bob")]),
        (&["--suri", "//Bob"], &[dir, ("CAIRN_KEY", "none")]),
        (&["--suri", "//Bob"], &[("CAIRN_KEY", "")]),
        (
            &["--suri", "//Bob"],
            &[("CAIRN_GENESIS", ""), ("CAIRN_JSON", ""), ("CAIRN_LOG", "")],
        ),
        (&[], &[dir, ("CAIRN_KEY", "a"), ("CAIRN_SURI", "")]),
        (
            &["--suri", "//Bob"],
            &[("CAIRN_CONFIG", ""), ("CAIRN_NODE", "")],
        ),
    ] {
        let said = balance(flags, variables);
        assert!(said.contains(node), "{flags:?} {variables:?}: {said}");
    }
    let both = balance(&[], &[dir, ("CAIRN_KEY", "a"), ("CAIRN_SURI", "//Bob")]);
    assert!(both.contains("both"), "{both}");
    let neither = balance(&[], &[("CAIRN_KEY", ""), ("CAIRN_SURI", "")]);
    assert!(neither.contains("no key to sign with"), "{neither}");
}

#[test]
fn the_settings_file_is_beaten_by_a_variable_of_the_other_kind() {
    let directory = tempfile::tempdir().expect("room");
    let file = directory.path().join("cairn.toml");
    fs::write(&file, "key = \"none\"\nwallet-dir = \"/nowhere\"").expect("room");
    let file = file.display().to_string();
    let mut command = cairn(&[
        "--config",
        &file,
        "wallet",
        "balance",
        "--node",
        "ws://127.0.0.1:1",
    ]);
    let output = command
        .env("CAIRN_SURI", "//Bob")
        .output()
        .expect("it starts");
    assert!(
        error(&output).contains("no node answers"),
        "{}",
        error(&output)
    );
}

/// A layout, a pseudo-gradient and what `gradient encode` makes of it.
struct Gradient {
    directory: tempfile::TempDir,
}

impl Gradient {
    fn new() -> Gradient {
        let gradient = Gradient {
            directory: tempfile::tempdir().expect("room"),
        };
        let layout = r#"[{"name": "evil\u001b[31m\nrow", "shape": [64, 64]}]"#;
        fs::write(gradient.path("layout.json"), layout).expect("room");
        let values = (0..64 * 64).flat_map(|value| (value as f32).sin().to_le_bytes());
        fs::write(gradient.path("delta.f32"), values.collect::<Vec<u8>>()).expect("room");
        gradient
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn encode(&self, out: &Path) -> Command {
        let mut command = cairn(&["gradient", "encode"]);
        command.args([&self.path("delta.f32"), out]);
        command.arg("--layout").arg(self.path("layout.json"));
        command
    }

    fn encoded(&self, out: &Path) -> Output {
        self.encode(out).output().expect("it starts")
    }
}

#[test]
fn only_plain_files_are_replaced() {
    let gradient = Gradient::new();
    let plain = gradient.path("plain");
    assert!(gradient.encoded(&plain).status.success());
    let expected = fs::read(&plain).expect("there");
    assert!(expected.len() > 100);

    // A device is written to, and stays one.
    assert!(gradient.encoded(Path::new("/dev/null")).status.success());
    let kind = fs::metadata("/dev/null").expect("there").file_type();
    assert!(kind.is_char_device());
    let full = gradient.encoded(Path::new("/dev/full"));
    assert_eq!(full.status.code(), Some(1));
    assert!(error(&full).contains("/dev/full"), "{}", error(&full));

    // A link leads to the file, which keeps its permissions.
    let link = gradient.path("link");
    symlink("plain", &link).expect("room");
    fs::write(&plain, "old").expect("room");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o600)).expect("ours");
    assert!(gradient.encoded(&link).status.success());
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(fs::read(&plain).expect("there"), expected);
    let mode = fs::metadata(&plain).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // A pipe takes the bytes.
    let fifo = gradient.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("room");
    let mut child = gradient.encode(&fifo).spawn().expect("it starts");
    assert_eq!(fs::read(&fifo).expect("there"), expected);
    assert!(child.wait().expect("it ends").success());
    assert!(fs::metadata(&fifo).expect("there").file_type().is_fifo());

    // What is said of the file does not go into it.
    let piped = gradient.encoded(Path::new("/dev/stdout"));
    assert!(piped.status.success(), "{}", error(&piped));
    assert_eq!(piped.stdout, expected);
    assert!(error(&piped).contains("bytes"), "{}", error(&piped));

    // A directory is refused.
    let refused = gradient.encoded(gradient.directory.path());
    assert_eq!(refused.status.code(), Some(1));
    assert!(error(&refused).contains("no file"), "{}", error(&refused));

    // A failure leaves what was there, and nothing beside it.
    let mut names: Vec<_> = fs::read_dir(gradient.directory.path())
        .expect("there")
        .map(|entry| entry.expect("there").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["delta.f32", "fifo", "layout.json", "link", "plain"]);
}

#[test]
fn what_others_wrote_does_nothing_to_a_terminal() {
    let gradient = Gradient::new();
    let out = gradient.path("evil\u{1b}[2J\nname");
    let encoded = gradient.encoded(&out);
    assert!(encoded.status.success(), "{}", error(&encoded));
    let (layout, out) = (gradient.path("layout.json"), out.display().to_string());
    let layout = layout.display().to_string();
    let inspect = ["gradient", "inspect", &out, "--layout", &layout];
    let people = run(&inspect).stdout;
    let json = run(&[&inspect[..], &["--json"]].concat()).stdout;
    for shown in [&encoded.stdout, &people, &json] {
        let text = String::from_utf8_lossy(shown);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
    }
    let people = String::from_utf8_lossy(&people);
    assert!(people.contains("evil\\u{1b}[31m\\u{a}row"), "{people}");
    let facts: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(facts["tensors"][0]["name"], "evil\u{1b}[31m\nrow");
    assert_eq!(facts["file"], out);
    for arguments in [
        &["gradient", "inspect", "none\u{1b}[31m\u{202e}"][..],
        &["status", "--node", "ws://\u{1b}[31m"],
        &["status", "--netuid", "\u{1b}[31m"],
        &["non\u{1b}[31msense"],
        &["wallet", "show", "\u{1b}[31m"],
    ] {
        let said = error(&run(arguments));
        assert!(
            !said.is_empty() && !said.contains(['\u{1b}', '\u{202e}']),
            "{said}"
        );
    }
}

#[test]
fn there_are_completions_and_manual_pages() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).stdout;
        let script = String::from_utf8_lossy(&script).into_owned();
        assert!(
            script.contains("wallet") && script.contains("gpu-selftest"),
            "{shell}"
        );
    }
    assert_eq!(run(&["completions", "tcl"]).status.code(), Some(2));
    let directory = tempfile::tempdir().expect("room");
    let at = directory.path().join("man1").display().to_string();
    let made = run(&["man", &at]);
    assert!(made.status.success(), "{}", error(&made));
    for (page, word) in [("cairn.1", "devnet"), ("cairn-wallet-new.1", "wallet")] {
        let text = fs::read_to_string(Path::new(&at).join(page)).expect(page);
        assert!(text.contains(".TH") && text.contains(word), "{text}");
    }
    let file = directory.path().join("file");
    fs::write(&file, "").expect("room");
    let refused = run(&["man", &file.display().to_string()]);
    assert_eq!(refused.status.code(), Some(1));
}
