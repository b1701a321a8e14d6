//! What a node serves, as docs/openrpc.json says it, and what it refuses.

use std::collections::BTreeSet;

use serde_json::{json, Value};

use crate::running::{node, request, Running};

/// Of methods of ours the names begin with these.
const OURS: [&str; 6] = [
    "subnets_",
    "training_",
    "audits_",
    "endpoints_",
    "emissions_",
    "rpc.",
];

fn document() -> Value {
    serde_json::from_str(include_str!("../../../docs/openrpc.json")).expect("JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn dev(more: &[&str]) -> Running {
    let always = [
        "--dev",
        "--tmp",
        "--rpc-port",
        "0",
        "--port",
        "0",
        "--no-prometheus",
        "--no-telemetry",
        "--no-mdns",
    ];
    Running::start(&[&always[..], more].concat())
}

#[test]
fn who_is_no_authority_starts_without_being_told_where_to_listen() {
    let follower = Running::start(&[
        "--chain",
        "dev",
        "--tmp",
        "--rpc-port",
        "0",
        "--no-prometheus",
        "--no-telemetry",
        "--no-mdns",
    ]);
    let roles = follower.ask("system_nodeRoles", json!([]));
    assert_eq!(roles, json!(["Full"]));
}

/// Compiling a runtime takes seconds of all cores.
#[test]
fn machine_code_of_the_runtime_is_kept_for_the_next_start() {
    let cache = tempfile::tempdir().expect("a directory");
    let start = || {
        let arguments = [
            "--chain",
            "devnet",
            "--alice",
            "--unsafe-force-node-key-generation",
            "--tmp",
            "--rpc-port",
            "0",
            "--no-prometheus",
            "--no-telemetry",
            "--no-mdns",
        ];
        let mut command = node(&arguments);
        command.env("CAIRN_CACHE", cache.path());
        let version = Running::of(command).ask("state_getRuntimeVersion", json!([]));
        assert_eq!(version["specName"], "cairn");
    };
    let kept = || {
        let mut found = BTreeSet::new();
        let mut directories = vec![cache.path().join("wasm")];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).expect("it is there") {
                let entry = entry.expect("it can be read");
                match entry.file_type().expect("it has one").is_dir() {
                    true => directories.push(entry.path()),
                    // Beside code the library keeps how often it was used.
                    false if entry.path().extension().is_some() => {}
                    false => {
                        let written = entry.metadata().and_then(|of| of.modified());
                        found.insert((entry.path(), written.expect("it has one")));
                    }
                }
            }
        }
        found
    };
    start();
    let first = kept();
    assert!(!first.is_empty());
    start();
    assert_eq!(kept(), first);
}

#[test]
fn what_is_served_is_documented_and_the_other_way_round() {
    let (node, document) = (dev(&[]), document());
    assert_eq!(node.ask("rpc.discover", json!([])), document);
    let served = node.ask("rpc_methods", json!([]));
    let served = list(&served["methods"]).iter().filter_map(Value::as_str);
    let ours = |name: &&str| OURS.iter().any(|space| name.starts_with(space));
    let served: BTreeSet<&str> = served
        .filter(ours)
        .filter(|name| *name != "rpc.discover")
        .collect();
    let methods = list(&document["methods"]);
    let documented: BTreeSet<&str> = methods
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(served, documented);
    assert!(served.len() > 20, "only {} were found", served.len());
    let mut socket = node.socket();
    let mut over_sockets = 0;
    for method in methods {
        // Ending a subscription is the library's, which says only whether there was one.
        let ends = method["paramStructure"] == "by-position";
        let subscribes = method["x-notification"].is_object();
        if ends || subscribes {
            over_sockets += 1;
            let refused = node.post(&request(text(&method["name"]), json!([1])));
            assert_eq!(refused["error"]["code"], -32603, "{refused}");
        }
        match ends {
            true => {
                let answer = socket.post(&request(text(&method["name"]), json!(["none"])));
                assert_eq!(answer["result"], false, "{answer}");
            }
            false if subscribes => {
                takes_what_is_documented(&mut |request| socket.post(request), method);
            }
            false => takes_what_is_documented(&mut |request| node.post(request), method),
        }
    }
    assert_eq!(over_sockets, 2);
}

#[test]
fn a_subscription_to_what_is_no_subnet_is_refused_as_a_call_is() {
    let node = dev(&[]);
    let mut socket = node.socket();
    for (netuid, code) in [(json!(9), 2), (json!("nine"), -32602)] {
        let refused = socket.post(&request("training_subscribeRun", json!([netuid])));
        assert_eq!(refused["error"]["code"], code, "{refused}");
    }
    // And the connection goes on.
    let answer = socket.post(&request("system_chainType", json!([])));
    assert_eq!(answer["result"], "Development", "{answer}");
}

/// A method names its parameters itself, and those that it cannot do without.
fn takes_what_is_documented(post: &mut dyn FnMut(&Value) -> Value, method: &Value) {
    let name = method["name"].as_str().expect("a name");
    let parameters = list(&method["params"]);
    let mut told = |params: Value| {
        let answer = post(&request(name, params));
        answer["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_string()
    };
    let names: Vec<&str> = parameters
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    let most = told(json!(vec![0; names.len() + 1]));
    assert!(
        most.ends_with(&format!("takes: {}", names.join(", "))),
        "{name}: {most}"
    );
    let required = parameters.iter().filter(|one| one["required"] == true);
    let required: Vec<&Value> = required.collect();
    // In their order: the first of them is missed first.
    match required.first() {
        Some(first) => {
            let missing = told(json!([]));
            let expected = format!(
                "`{}` is missing; expected {}",
                text(&first["name"]),
                text(&first["description"])
            );
            assert_eq!(missing, expected, "{name}");
        }
        None => assert_eq!(told(json!([])), "", "{name}"),
    }
    let after = required.len();
    assert!(
        parameters
            .iter()
            .take(after)
            .all(|one| one["required"] == true),
        "{name}: what may be left out is last"
    );
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn what_is_too_much_is_refused() {
    let node = dev(&["--rpc-max-request-size", "1", "--rpc-methods", "safe"]);
    let batch = |calls: usize| json!(vec![request("system_name", json!([])); calls]);
    assert_eq!(list(&node.post(&batch(100))).len(), 100);
    let refused = node.post(&batch(101));
    assert_eq!(refused["error"]["code"], -32010, "{refused}");
    assert!(
        refused["error"]["message"].to_string().contains("batch"),
        "{refused}"
    );

    let (status, _) = node.send(&" ".repeat(2 << 20));
    assert!(status.contains("413"), "{status}");

    let refused = node.post(&request("author_rotateKeys", json!([])));
    assert_eq!(
        refused["error"]["message"], "RPC call is unsafe to be called externally",
        "{refused}"
    );
}
