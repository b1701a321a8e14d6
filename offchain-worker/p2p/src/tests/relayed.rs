//! Two peers without a way to each other but a relay.

use std::{net::Ipv4Addr, sync::Arc};

use cairn_store::guard::Origin;
use iroh_relay::server::{RelayConfig, Server, ServerConfig};

use super::{content, get, key, soon, source, All, Site};
use crate::{Limits, Peer, Settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_comes_by_a_relay() {
    let mut config = ServerConfig::default();
    config.relay = Some(RelayConfig::new((Ipv4Addr::LOCALHOST, 0)));
    let relay = Server::spawn(config).await.unwrap();
    let url = format!("http://{}/", relay.http_addr().unwrap());
    // Without a socket there is no other way.
    let settings = Settings {
        bind: Vec::new(),
        relays: vec![url.clone()],
        relays_by: Origin::Owner,
        ..Settings::default()
    };
    let content = content(2 << 20);
    let site = Site::new(&content).await;
    let host = Peer::bind(&key(1), settings.clone()).await.unwrap();
    let _serving = host
        .serve(site.shelf(), Arc::new(All), Limits::default())
        .unwrap();
    soon(host.online()).await;
    let address = host.address();
    assert_eq!(
        (address.direct.len(), address.relay.as_deref()),
        (0, Some(url.as_str()))
    );
    let me = Peer::bind(&key(2), settings).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let sources = [source(&me, &address)];
    let (outcome, got) = get(&site.blob, &sources, &place.path().join("blob"))
        .await
        .unwrap();
    assert_eq!(got, content);
    assert_eq!(outcome.sources[0].fault, None);
    me.close().await;
    host.close().await;
    relay.shutdown().await.unwrap();
}
