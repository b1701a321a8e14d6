//! A chain of one's own, from keys to blocks, by the commands that docs/operators.md names.

use std::path::Path;

use serde_json::{json, Value};

use crate::running::{node, Running};

/// What it prints, if it succeeds.
fn printed(arguments: &[&str]) -> String {
    let output = node(arguments).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The one line with which it fails.
fn refusal(arguments: &[&str]) -> String {
    let output = node(arguments).output().expect("it starts");
    assert!(!output.status.success(), "{arguments:?}");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    let mut lines = said.lines().filter(|line| line.starts_with("cairn-node: "));
    lines.next_back().expect("a line").into()
}

struct Key {
    public: String,
    phrase: String,
}

fn new_key(scheme: &str) -> Key {
    let printed = printed(&[
        "key",
        "generate",
        "--scheme",
        scheme,
        "--output-type",
        "json",
    ]);
    let key: Value = serde_json::from_str(&printed).expect("JSON");
    let text = |name: &str| key[name].as_str().expect("a text").to_string();
    Key {
        public: text("publicKey"),
        phrase: text("secretPhrase"),
    }
}

/// The number of the block that is final, if a line of the log says so.
fn finalised(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once("finalized #")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Keys, and the file that names them.
struct Keys {
    account: Key,
    babe: Key,
    grandpa: Key,
}

impl Keys {
    fn new() -> Keys {
        Keys {
            account: new_key("sr25519"),
            babe: new_key("sr25519"),
            grandpa: new_key("ed25519"),
        }
    }

    fn file(&self) -> String {
        let (account, babe, grandpa) = (
            &self.account.public,
            &self.babe.public,
            &self.grandpa.public,
        );
        format!(
            "name = \"A test\"\nid = \"a-test\"\nblock_time = 2\ncouncil = [\"{account}\"]\n\
             [founders]\n{account} = \"1000.5\"\n\
             [[authorities]]\naccount = \"{account}\"\nbabe = \"{babe}\"\ngrandpa = \"{grandpa}\"\n"
        )
    }

    /// The founder signs a specification's hash, and others check that it did.
    fn sign(&self, directory: &Path, hash: &str) {
        let secret = directory.join("founder.phrase");
        std::fs::write(&secret, &self.account.phrase).expect("written");
        let secret = secret.display().to_string();
        let signature = printed(&["sign", "--suri", &secret, "--message", hash]);
        let of = |message| {
            [
                "verify",
                signature.trim(),
                &self.account.public,
                "--message",
                message,
            ]
        };
        printed(&of(hash));
        let told = refusal(&of("another"));
        assert!(told.contains("did not sign"), "{told}");
    }

    /// Gives the authority's keys to its node.
    fn insert(&self, directory: &Path, base: &str, spec: &str) {
        let kinds = [
            ("babe", "sr25519", &self.babe),
            ("gran", "ed25519", &self.grandpa),
        ];
        for (kind, scheme, key) in kinds {
            let secret = directory.join(kind);
            std::fs::write(&secret, &key.phrase).expect("written");
            let secret = secret.display().to_string();
            printed(&[
                "key",
                "insert",
                "--base-path",
                base,
                "--chain",
                spec,
                "--key-type",
                kind,
                "--scheme",
                scheme,
                "--suri",
                &secret,
            ]);
        }
    }
}

/// Makes a node's key, and gives the peer's name, which needs no specification.
fn node_key(file: &str) -> String {
    let made = ["key", "generate-node-key", "--file", file];
    let output = node(&made).output().expect("it starts");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{said}");
    said.lines().last().expect("the peer's name").to_string()
}

#[test]
fn a_chain_of_one_s_own_is_founded_and_makes_blocks() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (keys, file, specs, base) = (Keys::new(), path("keys.toml"), path("specs"), path("base"));
    let node_key_file = path("node.key");
    let peer = node_key(&node_key_file);
    let boot = format!("boot_nodes = [\"/ip4/127.0.0.1/tcp/30333/p2p/{peer}\"]\n");
    let telemetry = "telemetry = [\"wss://telemetry.example/submit/\"]\n";
    std::fs::write(&file, boot + telemetry + &keys.file()).expect("written");

    let new = ["chain", "new", "--from", &file, "--output", &specs];
    let told = printed(&[&new[..], &["--json"]].concat());
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let spec = told["raw"].as_str().expect("a path");
    let bytes = std::fs::read(spec).expect("it is there");
    let read: Value = serde_json::from_slice(&bytes).expect("JSON");
    let node = format!("/ip4/127.0.0.1/tcp/30333/p2p/{peer}");
    assert_eq!(read["bootNodes"], json!([node]));
    let telemetry = read["telemetryEndpoints"].to_string();
    assert!(telemetry.contains("telemetry.example"), "{telemetry}");
    let hash = sp_crypto_hashing::sha2_256(&bytes);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told["raw_sha256"], hash);
    keys.sign(directory.path(), &hash);
    assert_eq!(told["ss58_prefix"], 11_077);
    let again = refusal(&new);
    assert!(again.contains("is there already"), "{again}");
    let others = path("others");
    printed(&["chain", "new", "--from", &file, "--output", &others]);
    let same = std::fs::read(Path::new(&others).join("a-test-raw.json")).expect("it is there");
    assert!(same == bytes, "others who check get other bytes");

    keys.insert(directory.path(), &base, spec);
    let running = Running::start(&[
        "--chain",
        spec,
        "--base-path",
        &base,
        "--validator",
        "--node-key-file",
        &node_key_file,
        "--rpc-port",
        "0",
        "--port",
        "0",
        "--no-prometheus",
        "--no-telemetry",
        "--no-mdns",
    ]);
    assert_eq!(
        running.ask("chain_getBlockHash", json!([0])),
        told["genesis"]
    );
    assert_eq!(running.ask("system_chain", json!([])), "A test");
    assert_eq!(running.ask("system_localPeerId", json!([])), peer);
    let properties = running.ask("system_properties", json!([]));
    assert_eq!(
        properties,
        json!({ "ss58Format": 11_077, "tokenDecimals": 9, "tokenSymbol": "CRN" })
    );
    let issuance = running.ask("emissions_issuance", json!([]));
    assert_eq!(issuance["balances"], "1000500000000", "{issuance}");
    running.until_it_says(|line| finalised(line).filter(|number| *number > 0));
}

#[test]
fn what_is_no_file_of_keys_is_told_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("keys.toml");
    let file = file.display().to_string();
    let new = ["chain", "new", "--from", file.as_str()];
    let told = refusal(&new);
    assert!(
        told.contains("keys.toml") && told.contains("--example"),
        "{told}"
    );
    std::fs::write(&file, printed(&["chain", "new", "--example"])).expect("written");
    let told = refusal(&new);
    assert!(
        told.contains("//Alice") && told.contains("of your own"),
        "{told}"
    );
}
