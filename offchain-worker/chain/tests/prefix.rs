//! How addresses are written: this is said once for a process, so it has a process of its own.

use cairn_chain::{AccountId, Client};
use cairn_primitives::{H256, SS58_PREFIX};
use jsonrpsee::{
    server::{RpcModule, Server},
    types::{ErrorObjectOwned, Params},
};
use serde_json::{json, Value};

const GENERIC: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

/// Connects to a node whose chain tells wallets that, and writes an address.
async fn written(properties: Value) -> String {
    let server = Server::builder().build("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", server.local_addr().unwrap());
    let mut module = RpcModule::new(properties);
    let genesis = |_: Params<'_>, _: &Value, _: &_| Ok::<_, ErrorObjectOwned>(H256([1; 32]));
    module
        .register_method("chain_getBlockHash", genesis)
        .unwrap();
    let told = |_: Params<'_>, told: &Value, _: &_| match told.is_null() {
        true => Err(ErrorObjectOwned::owned(
            -32601,
            "Method not found",
            None::<()>,
        )),
        false => Ok(told.clone()),
    };
    module.register_method("system_properties", told).unwrap();
    let handle = server.start(module);
    Client::connect(url.as_str()).await.unwrap();
    handle.stop().unwrap();
    GENERIC.parse::<AccountId>().unwrap().to_string()
}

#[tokio::test]
async fn addresses_are_written_as_the_chain_has_them() {
    assert_eq!(GENERIC.parse::<AccountId>().unwrap().to_string(), GENERIC);
    let ours = written(json!({ "ss58Format": SS58_PREFIX, "tokenSymbol": "CRN" })).await;
    assert!(ours.starts_with("cr"), "{ours}");
    assert_eq!(ours.parse::<AccountId>().unwrap(), GENERIC.parse().unwrap());
    // A node cannot make them look like another network's, nor hinder anybody by saying nothing.
    for told in [
        json!({ "ss58Format": 0 }),
        json!({ "ss58Format": 42 }),
        json!({}),
        Value::Null,
    ] {
        assert_eq!(written(told.clone()).await, GENERIC, "{told}");
    }
}
