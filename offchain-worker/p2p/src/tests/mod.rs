//! Peers that talk over the loopback interface.

mod exchange;
mod frames;
mod hostile;
mod liars;
mod probes;
mod relayed;

use std::{future::Future, io, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_store::{
    fetch, guard::Origin, paths, Blob, FetchError, Outcome, Patience, Source, Store,
};
use iroh::endpoint::{presets, Connection, ConnectionError};
use tempfile::TempDir;

use crate::{
    frame::ALPN, Address, Code, Counts, Directory, File, Limits, Peer, PeerId, PeerKey, Policy,
    Serving, Settings, Shelf,
};

/// Bytes that repeat nowhere.
fn content(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    let mut source = blake3::Hasher::new();
    source.update(b"content").finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// A published blob.
struct Site {
    place: TempDir,
    blob: Blob,
}

impl Site {
    async fn new(content: &Bytes) -> Site {
        let place = tempfile::tempdir().unwrap();
        let store = Store::create_in(place.path()).unwrap();
        let root = store.publish(paths::DATA, content.clone()).await.unwrap();
        let blob = Blob::new(paths::DATA, root, content.len() as u64);
        Site { place, blob }
    }

    fn shelf(&self) -> Arc<dyn Shelf> {
        Arc::new(Directory::open(self.place.path()).unwrap())
    }
}

/// Everybody may have everything.
#[derive(Debug)]
struct All;

impl Policy for All {
    fn admits(&self, _: &PeerId) -> bool {
        true
    }

    fn serves(&self, _: &PeerId, _: &str) -> bool {
        true
    }
}

/// Only one peer may have anything.
#[derive(Debug)]
struct Only(PeerId);

impl Policy for Only {
    fn admits(&self, peer: &PeerId) -> bool {
        *peer == self.0
    }

    fn serves(&self, _: &PeerId, _: &str) -> bool {
        true
    }
}

fn key(seed: u8) -> PeerKey {
    PeerKey::from_bytes(&[seed; 32])
}

fn loopback() -> Settings {
    Settings {
        bind: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        ..Settings::default()
    }
}

async fn peer(seed: u8) -> Peer {
    Peer::bind(&key(seed), loopback()).await.unwrap()
}

/// A peer that serves a shelf.
struct Host {
    peer: Peer,
    serving: Serving,
}

impl Host {
    async fn new(seed: u8, shelf: Arc<dyn Shelf>, limits: Limits) -> Host {
        let peer = peer(seed).await;
        let serving = peer.serve(shelf, Arc::new(All), limits).unwrap();
        Host { peer, serving }
    }

    fn address(&self) -> Address {
        address(&self.peer)
    }

    fn counts(&self) -> Counts {
        self.serving.counts()
    }

    /// Waits for the counts to be such.
    async fn until(&self, are_such: impl Fn(&Counts) -> bool) {
        let wait = async {
            while !are_such(&self.counts()) {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(LONG, wait).await;
        waited.unwrap_or_else(|_| panic!("it stays at {:?}", self.counts()));
    }
}

fn address(peer: &Peer) -> Address {
    Address {
        id: peer.id(),
        direct: peer.bound(),
        relay: None,
    }
}

fn source(peer: &Peer, address: &Address) -> Arc<dyn Source> {
    Arc::new(peer.source(address, Origin::Owner).unwrap())
}

/// Longer than anything takes here; only a test that fails waits for it.
const LONG: Duration = Duration::from_secs(240);

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, work)
        .await
        .expect("it takes too long")
}

/// Nobody here is to reach the deadline.
const PATIENT: Patience = Patience {
    deadline: LONG,
    late: Duration::from_millis(20),
    strikes: 3,
    pause: Duration::from_millis(1),
};

async fn get(
    blob: &Blob,
    sources: &[Arc<dyn Source>],
    into: &Path,
) -> Result<(Outcome, Vec<u8>), FetchError> {
    let outcome = soon(fetch(blob, sources, into, PATIENT)).await?;
    Ok((outcome, std::fs::read(into).unwrap()))
}

/// An endpoint of iroh that is no [`Peer`], and knows the protocol only by its name.
async fn stranger(seed: u8) -> iroh::Endpoint {
    let builder = iroh::Endpoint::builder(presets::Minimal);
    let key = iroh::SecretKey::from_bytes(&[seed; 32]);
    let builder = builder.secret_key(key).alpns(vec![ALPN.to_vec()]);
    let builder = builder.clear_ip_transports();
    let builder = builder.bind_addr((Ipv4Addr::LOCALHOST, 0)).unwrap();
    builder.bind().await.unwrap()
}

async fn connect(from: &iroh::Endpoint, to: &Address) -> Connection {
    let address = to.endpoint().unwrap();
    soon(from.connect(address, ALPN)).await.unwrap()
}

/// What the other side closes a connection with.
async fn closed(connection: &Connection) -> Option<Code> {
    match soon(connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => Code::of(close.error_code.into_inner()),
        other => panic!("{other:?}"),
    }
}

/// A shelf whose files are another's, with something done to each piece of a blob before it is handed over.
struct Changed<F>(Arc<dyn Shelf>, Arc<F>);

struct ChangedFile<F>(Box<dyn File>, Arc<F>);

/// Gets where a piece begins and its bytes.
#[async_trait]
trait Change: Send + Sync + 'static {
    async fn change(&self, at: u64, bytes: Vec<u8>) -> io::Result<Bytes>;
}

impl<F: Change> Changed<F> {
    fn over(shelf: Arc<dyn Shelf>, change: F) -> Arc<dyn Shelf> {
        Arc::new(Changed(shelf, Arc::new(change)))
    }
}

#[async_trait]
impl<F: Change> Shelf for Changed<F> {
    async fn open(&self, path: &str) -> io::Result<Option<Box<dyn File>>> {
        let Some(file) = self.0.open(path).await? else {
            return Ok(None);
        };
        match path.ends_with(".outboard") {
            true => Ok(Some(file)),
            false => Ok(Some(Box::new(ChangedFile(file, self.1.clone())))),
        }
    }
}

#[async_trait]
impl<F: Change> File for ChangedFile<F> {
    fn length(&self) -> u64 {
        self.0.length()
    }

    async fn read(&self, at: u64, length: usize) -> io::Result<Bytes> {
        let bytes = self.0.read(at, length).await?;
        self.1.change(at, bytes.to_vec()).await
    }
}
