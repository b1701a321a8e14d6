//! Bad input on the command line: each gives one line that names the thing and the remedy, a code other than
//! 0, and changes nothing.

mod common;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use cairn_trainer::cuda::compile::SOURCES;

/// Port 1 is reserved and nobody listens on it.
const NOBODY: &str = "ws://127.0.0.1:1";

const TINY: &str = include_str!("../../../chain-specs/run-tiny.toml");

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

/// Gives a phrase to `cairn wallet restore`.
fn restore(directory: &str, name: &str, phrase: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args([
            "wallet",
            "restore",
            name,
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
    let mut input = child.stdin.take().expect("piped");
    writeln!(input, "{phrase}").expect("it reads");
    drop(input);
    child.wait_with_output().expect("it ends")
}

/// A store with a small data set, and a run that fits it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            directory: tempfile::tempdir().expect("room"),
        };
        let text = "We the people of the cairn. ".repeat(200);
        std::fs::write(
            place.path("corpus"),
            format!("{text}\u{1e}{text}\u{1e}held out {text}"),
        )
        .expect("room");
        let (corpus, tokenizer) = (place.text("corpus"), place.text("tokenizer.json"));
        works(&[
            "data",
            "tokenizer",
            "--corpus",
            &corpus,
            "--vocabulary",
            "300",
            "--out",
            &tokenizer,
        ]);
        works(&[
            "data",
            "prepare",
            "--corpus",
            &corpus,
            "--tokenizer",
            &tokenizer,
            "--out",
            &place.store(),
        ]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn store(&self) -> String {
        format!("file://{}", self.text("store"))
    }

    /// A run that fits the data, with one thing replaced.
    fn run(&self, from: &str, to: &str) -> String {
        let fits = TINY.replace("sequence_length = 128", "sequence_length = 16");
        let fits = fits
            .replace("steps = 20 ", "steps = 2 ")
            .replace("trace_every = 5 ", "trace_every = 1 ")
            .replace("sequences = 16", "sequences = 2");
        assert!(fits.contains(from), "{from}");
        std::fs::write(self.path("run.toml"), fits.replace(from, to)).expect("room");
        self.text("run.toml")
    }

    fn check(&self, from: &str, to: &str, words: &[&str]) {
        let file = self.run(from, to);
        fails(
            &[
                "run",
                "start",
                "--check",
                "--node",
                NOBODY,
                "--file",
                &file,
                "--store",
                &self.store(),
            ],
            words,
        );
    }

    /// Files of the data set, the largest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("store/data")).expect("there");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("there").path()).collect();
        files.sort_by_key(|path| std::cmp::Reverse(path.metadata().expect("there").len()));
        files
    }

    /// A shard: the files are a tokenizer, a manifest, and shards.
    fn shard(&self) -> PathBuf {
        let is_shard =
            |path: &PathBuf| std::fs::read(path).expect("there").starts_with(b"cairntok");
        self.files().into_iter().find(is_shard).expect("a shard")
    }
}

fn hash_of(path: &Path) -> String {
    path.file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

#[test]
fn a_run_that_fits_is_accepted_and_says_what_it_computed() {
    let place = Place::new();
    let file = place.run("name", "name");
    let start = [
        "run",
        "start",
        "--check",
        "--node",
        NOBODY,
        "--json",
        "--file",
        &file,
        "--store",
        &place.store(),
    ];
    let started: serde_json::Value = serde_json::from_str(&works(&start)).expect("JSON");
    assert_eq!(started["started"], false);
    assert_eq!(started["relays"], serde_json::json!([]));
    let with = [&start[..], &["--relay", "https://relay.example"]].concat();
    let with: serde_json::Value = serde_json::from_str(&works(&with)).expect("JSON");
    assert_eq!(with["relays"][0], "https://relay.example");
    let manifest = |of: &serde_json::Value| of["config"]["data"]["manifest_root"].clone();
    assert_ne!(manifest(&with), manifest(&started));
    assert!(started["parameters"].as_u64() > Some(800_000));
    let root = started["config"]["initial_root"]
        .as_str()
        .expect("a root")
        .to_string();
    // What was computed can be stated, and is then checked.
    let stated = place.run(
        "max_contributors",
        &format!("initial_root = \"{root}\"\nmax_contributors"),
    );
    works(&[
        "run",
        "start",
        "--check",
        "--node",
        NOBODY,
        "--file",
        &stated,
        "--store",
        &place.store(),
    ]);
}

#[test]
fn run_configurations_that_cannot_be_are_refused() {
    let place = Place::new();
    place.check(
        "layers = 4",
        "layers = 4\nlayres = 5",
        &["layres", "line", "run-tiny.toml"],
    );
    place.check(
        "heads = 4",
        "heads = 5",
        &["heads", "d_model", "impossible"],
    );
    place.check("d_model = 128", "d_model = 0", &["d_model", "impossible"]);
    for (relay, words) in [
        ("http://relay.example", ["relay 1", "https://HOST"]),
        ("https://10.0.0.1", ["https://10.0.0.1", "--p2p-relay"]),
    ] {
        let data = format!("[data]\nrelays = [\"{relay}\"]");
        place.check("[data]", &data, &words);
    }
    place.check(
        "learning_rate = 0.003",
        "learning_rate = -1.0",
        &["learning_rate", "negative"],
    );
    place.check(
        "kept_per_block = 512",
        "kept_per_block = 5000",
        &["kept_per_block", "4096"],
    );
    place.check(
        "[phases]\ntrain = ",
        "[phases]\ntrain = 0 # ",
        &["phase", "at least 1"],
    );
    place.check(
        "vocabulary = 1024",
        "vocabulary = 64",
        &["vocabulary 64", "smaller tokenizer"],
    );
    place.check(
        "steps = 2 ",
        "steps = 2000 ",
        &["too few", "prepare more data"],
    );
    place.check(
        "[data]",
        "[data]\nwindows = 7",
        &["windows is 7", "leave it out"],
    );
    let zero = format!("0x{}", "00".repeat(32));
    let stated = format!("initial_root = \"{zero}\"\nmax_contributors");
    place.check(
        "max_contributors",
        &stated,
        &["initial_root", "leave initial_root out"],
    );
    place.check(
        "[data]",
        &format!("[data]\ntokenizer_root = \"{zero}\""),
        &["tokenizer_root"],
    );
    place.check(
        "[data]",
        &format!("[data]\nmanifest_root = \"{zero}\""),
        &["is not in the store"],
    );
    fails(
        &[
            "run",
            "start",
            "--check",
            "--node",
            NOBODY,
            "--file",
            "/nowhere.toml",
            "--store",
            &place.store(),
        ],
        &["/nowhere.toml", "--file"],
    );
}

#[test]
fn a_missing_shard_is_named() {
    let place = Place::new();
    let shard = place.shard();
    std::fs::remove_file(&shard).expect("there");
    place.check("name", "name", &[&hash_of(&shard), "is not in the store"]);
}

#[test]
fn a_damaged_shard_is_named() {
    let place = Place::new();
    let shard = place.shard();
    let mut bytes = std::fs::read(&shard).expect("there");
    bytes[40] ^= 1;
    std::fs::write(&shard, bytes).expect("room");
    place.check("name", "name", &[&hash_of(&shard), "damaged"]);
}

#[test]
fn an_empty_store_and_two_data_sets_are_told_apart() {
    let place = Place::new();
    let corpus = place.text("corpus");
    let prepare = |out: &str, held_out: &str| {
        works(&[
            "data",
            "prepare",
            "--corpus",
            &corpus,
            "--tokenizer",
            &place.text("tokenizer.json"),
            "--out",
            out,
            "--held-out",
            held_out,
        ]);
    };
    prepare(&place.store(), "0.5");
    place.check("name", "name", &["2 data sets", "--manifest"]);
    std::fs::create_dir(place.path("empty")).expect("room");
    let (file, empty) = (
        place.run("name", "name"),
        format!("file://{}", place.text("empty")),
    );
    fails(
        &[
            "run", "start", "--check", "--node", NOBODY, "--file", &file, "--store", &empty,
        ],
        &["no data set", "cairn data prepare"],
    );
}

#[test]
fn a_store_that_cannot_be_written_is_named() {
    let place = Place::new();
    // Below a file there can be no directory, whoever asks.
    let out = format!("file://{}/store", place.text("corpus"));
    let prepare = [
        "data",
        "prepare",
        "--corpus",
        &place.text("corpus"),
        "--tokenizer",
        &place.text("tokenizer.json"),
        "--out",
        &out,
    ];
    fails(&prepare, &["corpus/store", "writ"]);
    let s3 = [
        "data",
        "prepare",
        "--corpus",
        &place.text("corpus"),
        "--tokenizer",
        &place.text("tokenizer.json"),
        "--out",
        "gopher://x",
    ];
    fails(&s3, &["gopher", "file://"]);
}

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
fn wallets_are_made_shown_and_never_overwritten() {
    let directory = tempfile::tempdir().expect("room");
    let at = directory.path().display().to_string();
    let made: serde_json::Value = serde_json::from_str(&works(&[
        "wallet",
        "new",
        "a",
        "--plain",
        "--wallet-dir",
        &at,
        "--json",
    ]))
    .expect("JSON");
    let phrase = made["mnemonic"].as_str().expect("a phrase");
    let shown = works(&["wallet", "show", "--wallet-dir", &at]);
    assert!(shown.contains(made["address"].as_str().expect("an address")));
    assert!(!shown.contains(phrase), "the phrase is shown once");
    fails(
        &["wallet", "new", "a", "--wallet-dir", &at],
        &["already", "another name"],
    );
    fails(
        &["wallet", "show", "b", "--wallet-dir", &at],
        &["no wallet `b`", "cairn wallet new b"],
    );
    let restored = restore(&at, "c", phrase);
    assert!(restored.status.success());
    let restored: serde_json::Value = serde_json::from_slice(&restored.stdout).expect("JSON");
    assert_eq!(restored["address"], made["address"]);
    let refused = restore(&at, "d", "twelve other words");
    let error = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        error.contains("not a wallet's phrase") && !error.contains("other words"),
        "{error}"
    );
    fails(&["subnet", "create"], &["--key", "--suri"]);
    fails(
        &["subnet", "create", "--suri", "not a phrase"],
        &["development keys only", "cairn wallet restore"],
    );
}

#[test]
fn settings_come_from_flags_then_variables_then_the_file() {
    let directory = tempfile::tempdir().expect("room");
    let file = directory.path().join("cairn.toml");
    let status = |variable: Option<&str>, flag: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command
            .args(["status", "--config"])
            .arg(&file)
            .args(flag)
            .env_remove("CAIRN_NODE");
        variable.map(|node| command.env("CAIRN_NODE", node));
        String::from_utf8(command.output().expect("starts").stderr).expect("UTF-8")
    };
    std::fs::write(&file, "node = \"ws://127.0.0.1:2\"").expect("room");
    assert!(status(None, &[]).contains("127.0.0.1:2"));
    assert!(status(Some("ws://127.0.0.1:3"), &[]).contains("127.0.0.1:3"));
    assert!(
        status(Some("ws://127.0.0.1:3"), &["--node", "ws://127.0.0.1:1"]).contains("127.0.0.1:1")
    );
    std::fs::write(&file, "nod = \"x\"").expect("room");
    assert!(status(None, &[]).contains("unknown key `nod`"));
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

#[test]
fn the_doctor_says_what_there_is_and_what_is_missing() {
    let people = works(&["doctor"]);
    for word in ["CPU", "driver", "NVRTC", "cuBLASLt", "trains on"] {
        assert!(people.contains(word), "`{word}` is not in: {people}");
    }
    let facts: serde_json::Value =
        serde_json::from_str(&works(&["doctor", "--json"])).expect("JSON");
    assert_eq!(facts["cpu"]["usable"], true);
    assert!(facts["cpu"]["threads"].as_u64() >= Some(1));
    // With a card or without: what is missing comes with its remedy.
    for what in facts["missing"].as_array().expect("a list") {
        assert!(what.as_str().expect("text").contains("install"), "{what}");
    }
    if facts["cards"].get("found").is_none() {
        assert_eq!(facts["trains_on"], "cpu");
    }
}

#[test]
fn a_card_that_is_not_there_is_refused_in_one_line() {
    // Card 99 is on no machine; without a driver there is none at all.
    fails(&["gpu-selftest", "--device", "cuda:99"], &["; "]);
    fails(&["gpu-selftest", "--device", "cpu"], &["--device cuda:0"]);
    let train = ["bench", "train", "--config", "tiny", "--device", "cuda:99"];
    fails(&train, &["; "]);
}

/// On a card that is a CPU, by the library path: what is shown is what a card would show.
#[test]
fn steps_on_a_card_are_timed() {
    let sources = SOURCES.iter().map(|source| (source.name, source.kernels));
    let mut train = Command::new(env!("CARGO_BIN_EXE_cairn"));
    train.args([
        "bench", "train", "--config", "tiny", "--seq", "16", "--batch", "1",
    ]);
    train.args(["--steps", "1", "--device", "cuda:0", "--json"]);
    train.env("LD_LIBRARY_PATH", cuda_on_cpu::directory(sources));
    let done = train.output().expect("starts");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let facts: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(facts["device"], "cuda:0");
    for figure in [
        "tokens_per_s",
        "flops_per_s",
        "peak_flops_per_s",
        "share_of_peak",
        "buffer_bytes",
    ] {
        assert!(facts[figure].as_f64() > Some(0.0), "{figure}: {facts}");
    }
}

/// `--config` is the settings file everywhere but behind `bench train`.
#[test]
fn a_model_and_a_settings_file_are_told_apart() {
    let directory = tempfile::tempdir().expect("room");
    let file = directory.path().join("cairn.toml");
    std::fs::write(&file, "[bench.train]\nseq = 7").expect("room");
    let file = file.display().to_string();
    let facts = |before: &[&str], model: &[&str]| -> serde_json::Value {
        let train: Vec<&str> = [before, &["bench", "train", "--dry-run", "--json"], model].concat();
        serde_json::from_str(&works(&train)).expect("JSON")
    };
    let asked =
        |facts: &serde_json::Value| (facts["config"].clone(), facts["sequence_length"].clone());
    let model = ["--config", "tiny"];
    assert_eq!(asked(&facts(&[], &model)), ("tiny".into(), 512.into()));
    let with_file = ["--config", &file];
    assert_eq!(asked(&facts(&with_file, &model)), ("tiny".into(), 7.into()));
    assert_eq!(asked(&facts(&with_file, &[])), ("10m".into(), 7.into()));
    let behind = ["bench", "train", "--config", &file];
    fails(&behind, &["no model", "before the verb"]);
}

/// `data prepare` of a file of the place, with more arguments.
fn prepare(place: &Place, corpus: &str, more: &[&str]) -> Vec<String> {
    let (corpus, out) = (
        place.text(corpus),
        format!("file://{}", place.text("other")),
    );
    let tokenizer = place.text("tokenizer.json");
    let fixed = [
        "data",
        "prepare",
        "--corpus",
        &corpus,
        "--tokenizer",
        &tokenizer,
        "--out",
        &out,
    ];
    fixed
        .iter()
        .chain(more)
        .map(|word| word.to_string())
        .collect()
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn ten_documents_that_each_end_in_the_separator_are_ten() {
    let place = Place::new();
    let text = "We the people of the cairn, and so on. ";
    let ten: String = (0..10)
        .map(|n| format!("{n} {}\u{1e}", text.repeat(30)))
        .collect();
    std::fs::write(place.path("ten"), ten).expect("room");
    let arguments = prepare(&place, "ten", &["--json"]);
    let printed = works(&words(&arguments));
    let printed: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert!(printed["heldout_tokens"].as_u64() > Some(129), "{printed}");
    assert!(printed["heldout_windows"].as_u64() > Some(0), "{printed}");
    for (name, content, word) in [
        ("empty", "", "no text"),
        ("blank", " \n\u{1e}\t\u{1e}", "no text"),
        ("single", "one\u{1e}\u{1e}\n", "one document"),
    ] {
        std::fs::write(place.path(name), content).expect("room");
        fails(&words(&prepare(&place, name, &[])), &[name, word, "0x1e"]);
    }
}

#[test]
fn a_held_out_part_below_one_window_is_refused_when_it_is_prepared_and_when_a_run_starts() {
    let place = Place::new();
    let text = "We the people of the cairn. ".repeat(200);
    std::fs::write(
        place.path("short"),
        format!("{text}\u{1e}{text}\u{1e}tail xyz"),
    )
    .expect("room");
    let refusal = ["text held out has", "window of 16 needs 17", "--held-out"];
    fails(
        &words(&prepare(&place, "short", &["--sequence-length", "16"])),
        &refusal,
    );
    assert!(!place.path("other/data").exists(), "nothing was written");
    let none = cairn(&words(&prepare(
        &place,
        "short",
        &["--sequence-length", "0"],
    )));
    assert!(!none.status.success(), "a window has a token");
    works(&words(&prepare(
        &place,
        "short",
        &["--sequence-length", "2"],
    )));
    let (file, store) = (
        place.run("name", "name"),
        format!("file://{}", place.text("other")),
    );
    fails(
        &[
            "run", "start", "--check", "--file", &file, "--store", &store,
        ],
        &refusal,
    );
}

#[test]
fn a_tokenizer_with_more_than_a_mapping_prepares_the_same_data() {
    let place = Place::new();
    let given = std::fs::read(place.path("tokenizer.json")).expect("there");
    let prepared = || {
        let arguments = prepare(&place, "corpus", &["--json"]);
        let printed = works(&words(&arguments));
        serde_json::from_str::<serde_json::Value>(&printed).expect("JSON")
    };
    let plain = prepared();
    let mut file: serde_json::Value = serde_json::from_slice(&given).expect("JSON");
    file["truncation"] = serde_json::json!({
        "direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0,
    });
    std::fs::write(place.path("tokenizer.json"), file.to_string()).expect("room");
    let cut = prepared();
    for count in ["tokens", "heldout_tokens", "vocabulary", "windows"] {
        assert_eq!(cut[count], plain[count], "{count}");
    }
    let files = std::fs::read_dir(place.path("other/data")).expect("there");
    let shards = files.filter(|file| {
        let path = file.as_ref().expect("there").path();
        std::fs::read(path).expect("there").starts_with(b"cairntok")
    });
    assert_eq!(shards.count(), 2, "both put the same shards there");
    assert_eq!(cut["tokenizer_left_out"], serde_json::json!(["truncation"]));
    let people = works(&words(&prepare(&place, "corpus", &[])));
    assert!(
        people.contains("not used   the tokenizer file's truncation"),
        "{people}"
    );
    file["model"]["vocab"]["far away"] = 5_000.into();
    std::fs::write(place.path("tokenizer.json"), file.to_string()).expect("room");
    let refusal = ["tokenizer.json", "gap", "5000", "`far away`"];
    fails(&words(&prepare(&place, "corpus", &[])), &refusal);
}
