//! Acting for another account, against a node: as its proxy, as one of those who share it, and as who inherited it when
//! its key was lost. And a member that signs with another hotkey.

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

    /// What a command prints that has to wait for a block: until then it says that it `waits`. With each try comes a
    /// block, and there are at most so many.
    fn in_time(&self, line: &str, waits: &str, most: u32) -> Value {
        for _ in 0..most {
            let output = self.run(&format!("{line} --json"));
            if output.status.success() {
                return serde_json::from_slice(&output.stdout).expect("JSON");
            }
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains(waits), "{line}: {said}");
            self.does("wallet send --suri //Alice --to //Bob 1");
        }
        panic!("{line}: not in {most} blocks");
    }

    /// The address of a development key.
    fn address(&self, suri: &str) -> String {
        let balance = self.does(&format!("wallet balance {suri}"));
        balance["address"].as_str().expect("an address").into()
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
    subnet(&node);
    recovery(&node);
    swap(&node);
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

/// A subnet of Alice's whose periods are of some blocks, with a validator on which Ferdie has stake.
fn subnet(node: &Node) {
    node.does("subnet create --suri //Alice");
    node.does("subnet set --suri //Alice tempo=8 activity_cutoff=16 unbonding_period=20");
    node.does("subnet register --suri //Alice --hotkey //Validator --role validator");
    node.does("stake add --suri //Ferdie --hotkey //Validator 1000");
}

fn recovery(node: &Node) {
    friends(node);
    disputed(node);
    recovered(node);
}

/// Ferdie names three friends, of whom two are needed.
fn friends(node: &Node) {
    let add =
        "wallet recovery add --suri //Ferdie --friends //Bob,//Charlie,//Dave --inheritor //Eve";
    let none = node.says(&format!("{add} --needed 4"));
    assert!(none.contains("4 of 3"), "{none}");
    // A day, on this chain.
    let short = node.says(&format!("{add} --needed 2 --delay 1"));
    assert!(short.contains("too short"), "{short}");
    assert!(short.contains("2 to"), "{short}");
    node.does(&format!("{add} --needed 2 --delay 6"));
    let shown = node.does("wallet recovery show //Ferdie");
    let group = &shown["groups"][0];
    assert_eq!((&group["needed"], &group["delay"]), (&2.into(), &6.into()));
    assert_eq!(group["inheritor"], node.address("//Eve").as_str());
    assert_eq!(group["friends"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        (&group["attempt"], &shown["inherited_by"]),
        (&Value::Null, &Value::Null)
    );
}

/// Who has the key stops it, and takes what the one who began put down.
fn disputed(node: &Node) {
    let stranger = node.says("wallet recovery begin --suri //Alice //Ferdie");
    assert!(stranger.contains("none of the friends"), "{stranger}");
    node.does("wallet recovery begin --suri //Bob //Ferdie");
    let finish = "wallet recovery finish --suri //Eve //Ferdie";
    let alone = node.says(finish);
    assert!(alone.contains("1 of 2 friends"), "{alone}");
    // Friends stay as they are meanwhile.
    let busy = node.says("wallet recovery remove --suri //Ferdie");
    assert!(busy.contains("nothing changes"), "{busy}");
    let other = node.says("wallet recovery cancel --suri //Charlie //Ferdie");
    assert!(other.contains("began to recover"), "{other}");
    node.does("wallet recovery cancel --suri //Ferdie");
    let gone = node.says(finish);
    assert!(gone.contains("no friend of"), "{gone}");

    let before = node.spendable("//Bob");
    node.does("wallet recovery begin --suri //Bob //Ferdie");
    node.does("wallet recovery slash --suri //Ferdie");
    // The deposit of 10 CRN, and the fee.
    let lost = before.saturating_sub(node.spendable("//Bob"));
    let crn = THOUSAND / 1_000;
    assert!((10 * crn..11 * crn).contains(&lost), "{lost}");
}

/// Two friends say that the key is lost, and after the delay Eve acts for the account.
fn recovered(node: &Node) {
    node.does("wallet recovery begin --suri //Charlie //Ferdie");
    // Signed where there is no network.
    node.by_file("wallet recovery approve --suri //Dave //Ferdie", "//Dave");
    let shown = node.does("wallet recovery show //Ferdie");
    let attempt = &shown["groups"][0]["attempt"];
    assert_eq!(attempt["approved_by"].as_array().map(Vec::len), Some(2));
    let not_before = attempt["not_before"].as_u64().expect("a block");
    let finish = "wallet recovery finish --suri //Alice //Ferdie";
    let finished = node.in_time(finish, "can still object", 10);
    assert!(finished["block"].as_u64() >= Some(not_before), "{finished}");
    let shown = node.does("wallet recovery show //Ferdie");
    assert_eq!(shown["inherited_by"], node.address("//Eve").as_str());

    // Nobody else acts for it, and Eve does so in everything but this.
    let send = "wallet send --suri //Eve --recovered //Ferdie --to //Eve 1000";
    let stranger = node.says(&send.replace("--suri //Eve", "--suri //Bob"));
    assert!(stranger.contains("Recovery.NotInheritor"), "{stranger}");
    let friends = node.says("wallet recovery remove --suri //Eve --recovered //Ferdie");
    assert!(friends.contains("System.CallFiltered"), "{friends}");
    let before = node.spendable("//Eve");
    let sent = node.does(send);
    assert_eq!(sent["from"], node.address("//Ferdie").as_str());
    node.by_file(send, "//Eve");
    let got = node.spendable("//Eve").saturating_sub(before);
    assert!(
        (2 * THOUSAND - THOUSAND / 100..=2 * THOUSAND).contains(&got),
        "{got}"
    );
    let given = node.does(
        "stake transfer --suri //Eve --recovered //Ferdie --hotkey //Validator --to //Eve all",
    );
    let amount: u64 = given["amount"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("pebble");
    assert!(amount >= THOUSAND - 1, "{given}");

    // And so does a proxy of Eve's.
    node.does("wallet proxy add --suri //Eve --kind any //Bob");
    node.does("wallet send --suri //Bob --for //Eve --recovered //Ferdie --to //Eve 1000");

    // The key is found again.
    node.does("wallet recovery revoke --suri //Ferdie");
    let gone = node.says(send);
    assert!(gone.contains("Recovery.NoInheritor"), "{gone}");
    node.does("wallet recovery remove --suri //Ferdie");
    assert_eq!(
        node.does("wallet recovery show //Ferdie")["groups"],
        serde_json::json!([])
    );
}

/// Announced, taken back, announced again, and done when its time has come.
fn swap(node: &Node) {
    let of = "subnet swap --suri //Alice --hotkey //Validator";
    let member = || node.does("subnet show --netuid 1")["members"][0].clone();
    let (old, new) = (node.address("//Validator"), node.address("//Validator-2"));
    let none = node.says(&format!("{of} --finish"));
    assert!(none.contains("no other hotkey was announced"), "{none}");
    node.does(&format!("{of} --to //Validator-2"));
    assert_eq!(member()["swap"][0], new.as_str());
    node.does(&format!("{of} --cancel"));
    assert_eq!(member()["swap"], Value::Null);
    let none = node.says(&format!("{of} --finish"));
    assert!(none.contains("no other hotkey was announced"), "{none}");

    let announced = node.does(&format!("{of} --to //Validator-2"));
    let from = member()["swap"][1].as_u64().expect("a block");
    assert_eq!(announced["block"].as_u64(), from.checked_sub(20));
    assert_eq!(member()["hotkey"], old.as_str());
    let done = node.in_time(&format!("{of} --finish"), "was announced for", 30);
    assert!(done["block"].as_u64() >= Some(from), "{done}");
    let now = member();
    assert_eq!((&now["hotkey"], &now["swap"]), (&new.into(), &Value::Null));
}
