//! Blobs from honest peers, from some that are not, and from some that die.

use std::{
    io,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_store::{guard::Origin, paths, Fault, FetchError, GROUP};
use futures::TryStreamExt;
use tokio::sync::{watch, Notify};

use super::{
    address, connect, content, get, key, loopback, peer, soon, source, stranger, Change, Changed,
    Host, Only, Site,
};
use crate::{frame::MAX_RANGE, Address, File, Limits, Peer, PeerError, PeerId, Settings, Shelf};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_comes_from_one_peer() {
    let content = content(5 * MIB + 77);
    let site = Site::new(&content).await;
    let host = Host::new(1, site.shelf(), Limits::default()).await;
    let me = peer(2).await;
    let place = tempfile::tempdir().unwrap();
    let sources = [source(&me, &host.address())];
    let (outcome, got) = get(&site.blob, &sources, &place.path().join("blob"))
        .await
        .unwrap();
    assert_eq!(got, content);
    assert_eq!(
        (outcome.fetched, outcome.resumed),
        (content.len() as u64, 0)
    );
    let [report] = &outcome.sources[..] else {
        panic!("{outcome:?}");
    };
    assert_eq!(report.fault, None);
    assert_eq!(report.source, format!("peer {}", host.peer.id()));
    let counts = host.counts();
    assert_eq!((counts.most_connections, counts.refused), (1, 0));
    assert!(counts.bytes >= report.bytes, "{counts:?}");
}

/// Tells when it was first asked for a piece of a blob.
struct Asked {
    tell: watch::Sender<u32>,
    is_first: AtomicU64,
    then: Then,
}

enum Then {
    /// Every group has a wrong byte.
    Lie,
    /// Nothing comes.
    Stall,
}

impl Asked {
    fn new(tell: &watch::Sender<u32>, then: Then) -> Asked {
        Asked {
            tell: tell.clone(),
            is_first: AtomicU64::new(0),
            then,
        }
    }
}

#[async_trait]
impl Change for Asked {
    async fn change(&self, at: u64, mut bytes: Vec<u8>) -> io::Result<Bytes> {
        if self.is_first.fetch_add(1, Ordering::SeqCst) == 0 {
            self.tell.send_modify(|told| *told += 1);
        }
        match self.then {
            Then::Stall => std::future::pending().await,
            Then::Lie => {
                let first = at.next_multiple_of(GROUP) - at;
                let groups = bytes
                    .iter_mut()
                    .skip(first as usize)
                    .step_by(GROUP as usize);
                groups.for_each(|byte| *byte ^= 1);
                Ok(bytes.into())
            }
        }
    }
}

/// Honest once both of the others were asked.
struct Waits(watch::Receiver<u32>);

#[async_trait]
impl Change for Waits {
    async fn change(&self, _: u64, bytes: Vec<u8>) -> io::Result<Bytes> {
        let mut told = self.0.clone();
        let told = told.wait_for(|told| *told == 2).await;
        told.map_err(io::Error::other)?;
        Ok(bytes.into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_peers_one_lies_and_one_stalls_and_the_blob_is_right() {
    let content = content(8 * MIB + 5);
    let site = Site::new(&content).await;
    let (tell, told) = watch::channel(0);
    let limits = Limits::default();
    let honest = || Changed::over(site.shelf(), Waits(told.clone()));
    let liar = Changed::over(site.shelf(), Asked::new(&tell, Then::Lie));
    let staller = Changed::over(site.shelf(), Asked::new(&tell, Then::Stall));
    let hosts = [
        Host::new(1, honest(), limits).await,
        Host::new(2, liar, limits).await,
        Host::new(3, staller, limits).await,
        Host::new(4, honest(), limits).await,
    ];
    let me = peer(9).await;
    let sources = hosts.each_ref().map(|host| source(&me, &host.address()));
    let place = tempfile::tempdir().unwrap();
    let (outcome, got) = get(&site.blob, &sources, &place.path().join("blob"))
        .await
        .unwrap();
    assert_eq!(got, content);
    let [first, liar, staller, last] = &outcome.sources[..] else {
        panic!("{outcome:?}");
    };
    assert!(matches!(liar.fault, Some(Fault::Lied { .. })), "{liar:?}");
    assert!(liar.passed_over, "{liar:?}");
    // What is good of it is the outboard.
    let outboard = std::fs::metadata(place.path().join("blob.outboard"))
        .unwrap()
        .len();
    assert!(
        liar.bytes <= outboard && staller.bytes <= outboard,
        "{outcome:?}"
    );
    assert_eq!((&first.fault, &last.fault), (&None, &None));
    assert!(first.bytes + last.bytes >= content.len() as u64);
}

/// Serves so many bytes of blobs, then says so and hangs.
struct Dies {
    left: AtomicU64,
    dead: Arc<Notify>,
}

#[async_trait]
impl Change for Dies {
    async fn change(&self, _: u64, bytes: Vec<u8>) -> io::Result<Bytes> {
        let length = bytes.len() as u64;
        let less = |left: u64| left.checked_sub(length);
        let taken = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        if taken.is_err() {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(bytes.into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_killed_in_the_middle_and_another_brings_the_rest() {
    let content = content(6 * MIB + 1);
    let site = Site::new(&content).await;
    let dead = Arc::new(Notify::new());
    let dies = Dies {
        left: (3 * MIB as u64).into(),
        dead: dead.clone(),
    };
    let first = Host::new(1, Changed::over(site.shelf(), dies), Limits::default()).await;
    let second = Host::new(2, site.shelf(), Limits::default()).await;
    // Nobody answers any more: that is found out soon.
    let settings = Settings {
        deadline: Duration::from_secs(5),
        ..loopback()
    };
    let me = Peer::bind(&key(9), settings).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let into = place.path().join("blob");
    let sources = [source(&me, &first.address())];
    let (ended, ()) = tokio::join!(get(&site.blob, &sources, &into), async {
        soon(dead.notified()).await;
        first.peer.close().await;
    });
    let Err(FetchError::NoSource { sources, .. }) = ended else {
        panic!("{ended:?}");
    };
    assert!(sources[0].passed_over, "{sources:?}");
    assert!(!into.exists());
    // Whoever is there has as long as it needs.
    let patient = peer(10).await;
    let sources = [source(&patient, &second.address())];
    let (outcome, got) = get(&site.blob, &sources, &into).await.unwrap();
    assert_eq!(got, content);
    assert!(outcome.resumed >= 2 * MIB as u64, "{outcome:?}");
    assert_eq!(outcome.resumed + outcome.fetched, content.len() as u64);
}

/// One file without end that needs no disk: each byte says where it is.
struct Long(u64);

fn byte_at(at: u64) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16) ^ (at >> 24)) as u8
}

#[async_trait]
impl Shelf for Long {
    async fn open(&self, _: &str) -> io::Result<Option<Box<dyn File>>> {
        Ok(Some(Box::new(Long(self.0))))
    }
}

#[async_trait]
impl File for Long {
    fn length(&self) -> u64 {
        self.0
    }

    async fn read(&self, at: u64, length: usize) -> io::Result<Bytes> {
        Ok((at..at + length as u64).map(byte_at).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_one_request_may_ask_for_comes_by_several() {
    let end = MAX_RANGE + 3 * MIB as u64;
    let host = Host::new(1, Arc::new(Long(end + 9)), Limits::default()).await;
    let me = peer(2).await;
    let path = paths::blob(paths::DATA, &[1; 32]);
    let source = source(&me, &host.address());
    let reply = soon(source.read(&path, 5..end)).await.unwrap();
    assert_eq!(reply.length, end + 9);
    let mut chunks = reply.bytes;
    let mut at = 5;
    while let Some(chunk) = soon(chunks.try_next()).await.unwrap() {
        let right = chunk
            .iter()
            .zip(at..)
            .all(|(byte, at)| *byte == byte_at(at));
        assert!(right, "a chunk at {at}");
        at += chunk.len() as u64;
    }
    assert_eq!(at, end);
    host.until(|counts| counts.replies == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_does_not_have_is_said() {
    let content = content(1_000);
    let site = Site::new(&content).await;
    let host = Host::new(1, site.shelf(), Limits::default()).await;
    let me = peer(2).await;
    let source = source(&me, &host.address());
    let path = paths::blob(paths::DATA, &[1; 32]);
    let absent = soon(source.read(&path, 0..10)).await.err();
    assert_eq!(absent, Some(Fault::Absent { path }));
    // A file of another length, as `fetch` sees it.
    let reply = soon(source.read(&site.blob.path, 0..2_000)).await.unwrap();
    assert_eq!(reply.length, 1_000);
    assert_eq!(reply.bytes.try_collect::<Vec<_>>().await, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_is_admitted_gets_anything() {
    let site = Site::new(&content(1_000)).await;
    let host = peer(1).await;
    let policy = Arc::new(Only(key(2).id()));
    let _serving = host.serve(site.shelf(), policy, Limits::default()).unwrap();
    for (seed, is_good) in [(2, true), (3, false)] {
        let me = peer(seed).await;
        let got = soon(source(&me, &address(&host)).read(&site.blob.path, 0..10)).await;
        match got {
            Ok(_) => assert!(is_good),
            Err(Fault::Failed { why }) => assert!(!is_good && why.contains("not admit"), "{why}"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ended_is_made_again() {
    let site = Site::new(&content(1_000)).await;
    let limits = Limits {
        connections_each: 1,
        ..Limits::default()
    };
    let host = Host::new(1, site.shelf(), limits).await;
    let me = peer(2).await;
    let source = source(&me, &host.address());
    // The same peer, by another endpoint: each takes the other's place.
    let other = stranger(2).await;
    for round in 1..=3 {
        let reply = soon(source.read(&site.blob.path, 0..10)).await.unwrap();
        let bytes = soon(reply.bytes.try_collect::<Vec<_>>()).await.unwrap();
        assert_eq!(bytes.concat().len(), 10);
        let _taken = connect(&other, &host.address()).await;
        host.until(|counts| counts.admitted == 2 * round).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_serves_nothing_lets_nobody_in_and_may_begin_and_end() {
    let site = Site::new(&content(1_000)).await;
    let host = peer(1).await;
    let me = peer(2).await;
    let ask = || async {
        let source = source(&me, &address(&host));
        soon(source.read(&site.blob.path, 0..10))
            .await
            .map(|reply| reply.length)
    };
    assert!(matches!(ask().await, Err(Fault::Failed { .. })));
    for _ in 0..2 {
        let all = || Arc::new(super::All);
        let serving = host.serve(site.shelf(), all(), Limits::default()).unwrap();
        let again = host.serve(site.shelf(), all(), Limits::default());
        assert_eq!(again.err(), Some(PeerError::Serving));
        assert_eq!(ask().await, Ok(1_000));
        serving.stop();
        assert!(matches!(ask().await, Err(Fault::Failed { .. })));
    }
}

#[tokio::test]
async fn addresses_and_relays_are_the_callers() {
    let me = peer(1).await;
    let of = |relay: Option<&str>| Address {
        id: key(2).id(),
        direct: vec!["127.0.0.1:9".parse().unwrap()],
        relay: relay.map(String::from),
    };
    assert!(me.source(&of(None), Origin::Owner).is_ok());
    let hidden = me.source(&of(None), Origin::Chain).err();
    assert!(
        matches!(hidden, Some(PeerError::Forbidden { .. })),
        "{hidden:?}"
    );
    let relay = me
        .source(&of(Some("https://relay.example.org")), Origin::Owner)
        .err();
    assert!(
        matches!(relay, Some(PeerError::UnknownRelay { .. })),
        "{relay:?}"
    );
    let nobody = Address {
        id: PeerId([2; 32]),
        ..of(None)
    };
    let nobody = me.source(&nobody, Origin::Owner).err();
    assert!(
        matches!(nobody, Some(PeerError::NotAnId { .. })),
        "{nobody:?}"
    );
    for relay in ["relay", "http://relay.example.org", "https://10.0.0.1"] {
        let settings = Settings {
            relays: vec![relay.into()],
            relays_by: Origin::Chain,
            ..loopback()
        };
        let error = Peer::bind(&key(3), settings).await.err();
        assert!(
            matches!(error, Some(PeerError::InvalidRelay { .. })),
            "{error:?}"
        );
    }
    let taken = Settings {
        bind: me.bound(),
        ..loopback()
    };
    let error = Peer::bind(&key(3), taken).await.err();
    assert!(
        matches!(error, Some(PeerError::CannotBind { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_endpoint_shows_its_id_and_no_key() {
    let secret = [0x5a; 32];
    let me = Peer::bind(&crate::PeerKey::from_bytes(&secret), loopback())
        .await
        .unwrap();
    let source = me.source(&address(&peer(2).await), Origin::Owner).unwrap();
    let serving = me.serve(
        Site::new(&content(1)).await.shelf(),
        Arc::new(super::All),
        Limits::default(),
    );
    let shown = format!("{me:?} {source:?} {serving:?} {me:#?}");
    for hidden in ["5a5a", "90, 90", "90,\n", "Secret", "secret"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    assert!(shown.contains(&me.id().to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_was_closed_says_so() {
    let me = peer(1).await;
    assert!(!me.is_over());
    me.close().await;
    let over = async {
        while !me.is_over() {
            tokio::task::yield_now().await;
        }
    };
    soon(over).await;
}
