//! Acting for another account, against a node: as its proxy, and as one of those who share it.

#[path = "common/binary.rs"]
mod binary;
mod common;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::channel,
    time::Duration,
};

use common::cairn;
use serde_json::Value;

/// How long the node may take to listen, on however busy a machine.
const STARTS: Duration = Duration::from_secs(900);

/// A development chain of its own. It ends with the test.
struct Node {
    child: Child,
    url: String,
}

impl Node {
    fn start() -> Node {
        let mut child = Command::new(binary::node())
            .args([
                "--dev",
                "--tmp",
                "--rpc-port",
                "0",
                "--port",
                "0",
                "--no-prometheus",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the node starts");
        let log = child.stderr.take().expect("piped");
        let (listens, heard) = channel();
        // Read to its end, or the node would wait for ever.
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let Some((_, addresses)) = line.split_once("JSON-RPC server: addr=") else {
                    continue;
                };
                let first = addresses.split(',').next().unwrap_or_default();
                // Who waited may have given up.
                let _ = listens.send(format!("ws://{first}"));
            }
        });
        let mut node = Node {
            child,
            url: String::new(),
        };
        let url = heard.recv_timeout(STARTS);
        node.url = url.expect("the node says where it listens");
        node
    }

    fn run(&self, line: &str) -> std::process::Output {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut command = cairn(&words);
        command.args(["--node", &self.url]);
        command.output().expect("cairn starts")
    }

    /// What a command prints as JSON.
    fn does(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --json"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// What a command says that prints nothing.
    fn says(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{line}");
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    /// Has a command write its transaction down, signs that without a node, and sends it.
    fn by_file(&self, line: &str, key: &str) {
        let directory = tempfile::tempdir().expect("room");
        let path = |name: &str| directory.path().join(name).display().to_string();
        let (unsigned, signed) = (path("unsigned"), path("signed"));
        let said = self.says(&format!("{line} --unsigned-to {unsigned}"));
        assert!(said.contains("nothing was sent"), "{said}");
        let sign = format!("transaction sign {unsigned} --suri {key} --out {signed}");
        let sign: Vec<&str> = sign.split_whitespace().collect();
        let output = cairn(&sign).output().expect("cairn starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        self.does(&format!("transaction send {signed}"));
    }

    /// What an account can spend, in pebble.
    fn spendable(&self, account: &str) -> u64 {
        let balance = self.does(&format!("wallet balance {account}"));
        balance["spendable"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("an amount")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A thousand CRN in pebble.
const THOUSAND: u64 = 1_000_000_000_000;

#[test]
fn others_act_for_an_account() {
    let node = Node::start();
    proxies(&node);
    shared(&node);
}

fn proxies(node: &Node) {
    node.does("wallet proxy add --suri //Alice --kind voting //Bob");
    let shown = node.does("wallet proxy show //Alice");
    assert_eq!(
        (shown[0]["kind"].as_str(), shown[0]["delay"].as_u64()),
        (Some("voting"), Some(0))
    );

    let (alice, before) = (node.spendable("//Alice"), node.spendable("//Eve"));
    let send = "wallet send --suri //Bob --for //Alice --to //Eve 1000";
    // The proxy's transaction is in a block, and what it may not do is refused there.
    let refused = node.says(send);
    assert!(refused.contains("System.CallFiltered"), "{refused}");
    assert_eq!(node.spendable("//Eve"), before);
    let stranger = node.says(&send.replace("//Bob", "//Dave"));
    assert!(stranger.contains("Proxy.NotProxy"), "{stranger}");

    node.does("wallet proxy add --suri //Alice --kind any //Bob");
    let sent = node.does(send);
    assert_eq!(sent["from"], node.does("wallet balance //Alice")["address"]);
    assert_eq!(node.spendable("//Eve"), before + THOUSAND);
    // She makes the blocks, so that fees are hers.
    let paid = alice.saturating_sub(node.spendable("//Alice"));
    assert!(paid > THOUSAND - THOUSAND / 100, "{paid}");
    node.by_file(send, "//Bob");
    assert_eq!(node.spendable("//Eve"), before + 2 * THOUSAND);

    for kind in ["voting", "any"] {
        node.does(&format!(
            "wallet proxy remove --suri //Alice --kind {kind} //Bob"
        ));
    }
    assert_eq!(
        node.does("wallet proxy show //Alice"),
        serde_json::json!([])
    );
}

fn shared(node: &Node) {
    let of = "2://Bob,//Charlie,//Dave";
    // Needs no node, and in any order it is the same account.
    let address = |of: &str| {
        let output = cairn(&["wallet", "multisig", "address", of, "--json"])
            .output()
            .expect("starts");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        told["address"].as_str().expect("a text").to_string()
    };
    let account = address(of);
    assert_eq!(address("2://Dave,//Bob,//Charlie"), account);
    node.does(&format!("wallet send --suri //Bob --to {account} 2000"));

    let before = node.spendable("//Ferdie");
    let send = |key: &str| format!("wallet send --suri {key} --multisig {of} --to //Ferdie 1000");
    let first = node.says(&send("//Bob"));
    assert!(first.contains("1 of 2"), "{first}");
    assert!(first.contains("--multisig 2:"), "{first}");
    let hash = first
        .split_whitespace()
        .find(|word| word.starts_with("0x"))
        .expect("the hash");
    let waits = node.does(&format!("wallet multisig show {of} {hash}"));
    assert_eq!(waits["approved_by"].as_array().map(Vec::len), Some(1));
    let again = node.says(&send("//Bob"));
    assert!(again.contains("approved this already"), "{again}");
    let other = node.says(&send("//Eve"));
    assert!(other.contains("none of those who share"), "{other}");

    // Given up by who began, and begun again.
    node.does(&format!(
        "wallet multisig cancel --suri //Bob --multisig {of} {hash}"
    ));
    let gone = node.says(&format!("wallet multisig show {of} {hash}"));
    assert!(gone.contains("waits for approvals"), "{gone}");
    let began = node.run(&format!("{} --json", send("//Charlie")));
    let began: Value = serde_json::from_slice(&began.stdout).expect("JSON");
    let expected = serde_json::json!({ "approved": 1, "of": 2, "call": hash });
    assert_eq!(began, expected);
    let sent = node.does(&send("//Dave"));
    assert_eq!(sent["from"], account.as_str());
    assert_eq!(node.spendable("//Ferdie"), before + THOUSAND);

    // Both approvals are signed elsewhere.
    let half = |key: &str| format!("wallet send --suri {key} --multisig {of} --to //Ferdie 500");
    node.by_file(&half("//Bob"), "//Bob");
    assert_eq!(node.spendable("//Ferdie"), before + THOUSAND);
    node.by_file(&half("//Dave"), "//Dave");
    assert_eq!(node.spendable("//Ferdie"), before + THOUSAND * 3 / 2);
}
