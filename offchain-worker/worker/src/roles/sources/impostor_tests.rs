//! Endpoints at which somebody else is than the chain says.

use std::net::Ipv4Addr;

use cairn_p2p::PeerKey;
use cairn_store::paths;

use super::*;

/// A worker that is a peer, with a store of its own.
pub(super) struct Place {
    directory: tempfile::TempDir,
    store: Store,
    pub sources: Sources,
}

impl Place {
    pub async fn new() -> Place {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::create_in(&directory.path().join("store")).expect("room");
        let state = directory.path().join("state");
        std::fs::create_dir(&state).expect("room");
        let peer = PeerOptions {
            bind: vec![(Ipv4Addr::LOCALHOST, 0).into()],
            ..PeerOptions::default()
        };
        let reach = Reach {
            trusts_endpoints: true,
            peer: Some(peer),
            ..Reach::default()
        };
        let sources = Sources::new(&reach, &[], &store, &state).await;
        Place {
            directory,
            store,
            sources: sources.expect("a peer"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_somebody_elses_is_named_and_not_asked_again() {
    let (mine, theirs) = (Place::new().await, Place::new().await);
    let content = vec![7u8; 1_000];
    let root = theirs.store.publish(paths::DATA, content.clone()).await;
    let blob = Blob::new(paths::DATA, root.expect("room"), content.len() as u64);
    let honest = &theirs.sources.endpoints[0];
    let text = honest.to_text();
    let (_, ways) = text.split_once('?').expect("ways to it");
    // It has the file, and it has another key.
    let other = PeerKey::from_bytes(&[9; 32]).id().to_string();
    let foreign = Text::new(&format!("iroh://{other}?{ways}")).expect("short");
    let into = mine.directory.path().join("fetched");
    let asked = mine.sources.at(&foreign).expect("nothing is known of it");
    let brought = mine.sources.bring(&blob, &into, &[asked], WHOLE).await;
    let why = brought.expect_err("nobody there has that key");
    assert!(why.contains(&other) && !why.contains('\n'), "{why}");
    assert!(mine.sources.at(&foreign).is_none(), "it is remembered");
    let asked = mine.sources.at(honest).expect("it did nothing");
    let brought = mine.sources.bring(&blob, &into, &[asked], WHOLE).await;
    brought.expect("it has the file");
    assert_eq!(std::fs::read(&into).expect("it is there"), content);
    for place in [mine, theirs] {
        place.sources.close().await;
    }
}
