//! Peers that want to cost much: what each does, what it may cost, and that an honest one is served meanwhile.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use iroh::endpoint::{Connection, RecvStream, SendStream};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinSet};

use super::{closed, connect, content, frames, get, peer, soon, source, stranger, Host, Site};
use crate::{
    frame::{Head, Request, HEAD},
    Code, Limits, PIECE,
};

const MIB: usize = 1 << 20;

/// A deadline that nobody is to reach.
const NEVER: Duration = Duration::from_secs(600);

/// One that is to be reached.
const SHORT: Duration = Duration::from_millis(100);

/// One that is to be reached, and by somebody honest not, on however busy a machine.
const ENOUGH: Duration = Duration::from_secs(5);

fn limits(step: Duration) -> Limits {
    Limits {
        step,
        idle: NEVER,
        ..Limits::default()
    }
}

/// Somebody honest fetches all of it.
async fn fetches(seed: u8, host: &Host, site: &Site, content: &Bytes) {
    let me = peer(seed).await;
    let place = tempfile::tempdir().unwrap();
    let sources = [source(&me, &host.address())];
    let (_, got) = get(&site.blob, &sources, &place.path().join("blob"))
        .await
        .unwrap();
    assert_eq!(got, *content);
    // Whoever just goes is noticed half a minute later.
    me.close().await;
}

/// Sends bytes on a new stream, and ends them if they are to be whole.
async fn sends(connection: &Connection, bytes: &[u8], is_whole: bool) -> (SendStream, RecvStream) {
    let (mut to, from) = connection.open_bi().await.unwrap();
    to.write_all(bytes).await.unwrap();
    if is_whole {
        to.finish().unwrap();
    }
    (to, from)
}

async fn head(from: &mut RecvStream) -> Head {
    let mut head = [0; HEAD];
    soon(from.read_exact(&mut head)).await.unwrap();
    Head::decode(&head).unwrap()
}

/// A thousand streams, as far as they can be opened, and what is told of each that is.
fn a_thousand(connection: &Connection) -> (JoinSet<()>, UnboundedReceiver<()>) {
    let (opened, count) = tokio::sync::mpsc::unbounded_channel();
    let mut streams = JoinSet::new();
    for _ in 0..1_000 {
        let (connection, opened) = (connection.clone(), opened.clone());
        streams.spawn(async move {
            // Half of a request, and then nothing.
            let ends = connection.open_bi().await;
            if let Ok((mut to, _from)) = ends {
                let _ = to.write_all(&[1, 100]).await;
                let _ = opened.send(());
                std::future::pending::<()>().await;
            }
        });
    }
    (streams, count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_streams_a_few_are_open_and_others_are_served() {
    let content = content(2 * MIB);
    let site = Site::new(&content).await;
    let limits = limits(NEVER);
    let host = Host::new(1, site.shelf(), limits).await;
    let enemy = stranger(2).await;
    let connection = connect(&enemy, &host.address()).await;
    let (_streams, mut count) = a_thousand(&connection);
    let most = limits.requests_each as usize;
    host.until(|counts| counts.requests == most).await;
    fetches(3, &host, &site, &content).await;
    let mut open = 0;
    while count.try_recv().is_ok() {
        open += 1;
    }
    assert_eq!(open, most);
    let counts = host.counts();
    // Those of the other one come on top.
    assert!(counts.most_requests <= 2 * most, "{counts:?}");
    assert_eq!(counts.most_connections, 2);
    assert_eq!((counts.malformed, counts.stalled), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_end_with_their_connection_as_one_error() {
    let site = Site::new(&content(1_000)).await;
    let host = Host::new(1, site.shelf(), limits(ENOUGH)).await;
    let enemy = stranger(2).await;
    let connection = connect(&enemy, &host.address()).await;
    let (_streams, _count) = a_thousand(&connection);
    assert_eq!(closed(&connection).await, Some(Code::Stalled));
    host.until(|counts| counts.connections == 0 && counts.requests == 0)
        .await;
    let counts = host.counts();
    assert_eq!((counts.stalled, counts.malformed, counts.bytes), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_half_a_request_is_closed() {
    let site = Site::new(&content(1_000)).await;
    let host = Host::new(1, site.shelf(), limits(SHORT)).await;
    let enemy = stranger(2).await;
    let frame = Request::new(&site.blob.path, 0..10).unwrap().encode();
    for sent in [1, frame.len() / 2, frame.len()] {
        let connection = connect(&enemy, &host.address()).await;
        let _ends = sends(&connection, &frame[..sent], false).await;
        assert_eq!(closed(&connection).await, Some(Code::Stalled));
    }
    host.until(|counts| counts.stalled == 3 && counts.connections == 0)
        .await;
    assert_eq!(host.counts().bytes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_garbage_is_closed() {
    let content = content(MIB);
    let site = Site::new(&content).await;
    let host = Host::new(1, site.shelf(), limits(NEVER)).await;
    let enemy = stranger(2).await;
    let bad = frames::bad();
    let kinds = bad.len() as u64;
    for (frame, error) in bad {
        let connection = connect(&enemy, &host.address()).await;
        let _ends = sends(&connection, &frame, true).await;
        assert_eq!(
            closed(&connection).await,
            Some(Code::Malformed),
            "{error:?}"
        );
    }
    host.until(|counts| counts.malformed == kinds && counts.connections == 0)
        .await;
    fetches(3, &host, &site, &content).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_beyond_the_file_or_no_blob_is_not_sent() {
    let content = content(1_000);
    let site = Site::new(&content).await;
    let length = content.len() as u64;
    std::fs::write(site.place.path().join("wallet"), b"secret").unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), b"secret").unwrap();
    let link = format!("data/{}", "0f".repeat(32));
    std::os::unix::fs::symlink(outside.path().join("secret"), site.place.path().join(&link))
        .unwrap();
    let host = Host::new(1, site.shelf(), limits(NEVER)).await;
    let enemy = stranger(2).await;
    let connection = connect(&enemy, &host.address()).await;
    let blob = site.blob.path.as_str();
    for (path, range, said) in [
        (blob, 0..length + 1, Head::Beyond { length }),
        (blob, length..length + 1, Head::Beyond { length }),
        (blob, u64::MAX - 9..u64::MAX, Head::Beyond { length }),
        ("wallet", 0..6, Head::Absent),
        (link.as_str(), 0..6, Head::Absent),
        ("data", 0..6, Head::Absent),
        (blob, 0..length, Head::Found { length }),
    ] {
        let frame = Request::new(path, range).unwrap().encode();
        let (_to, mut from) = sends(&connection, &frame, true).await;
        assert_eq!(head(&mut from).await, said, "{path}");
        let rest = soon(from.read_to_end(MIB)).await.unwrap();
        match said {
            Head::Found { .. } => assert_eq!(rest, content),
            _ => assert_eq!(rest, [0; 0], "{path}"),
        }
    }
    assert_eq!(connection.close_reason(), None);
    assert_eq!(host.counts().bytes, length);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_holds_a_window_and_is_closed() {
    let content = content(8 * MIB);
    let site = Site::new(&content).await;
    let limits = Limits {
        window: 128 << 10,
        slowest: 1 << 30,
        ..limits(ENOUGH)
    };
    let host = Host::new(1, site.shelf(), limits).await;
    let enemy = stranger(2).await;
    let connection = connect(&enemy, &host.address()).await;
    let frame = Request::new(&site.blob.path, 0..content.len() as u64)
        .unwrap()
        .encode();
    let mut ends = Vec::new();
    for _ in 0..limits.requests_each {
        ends.push(sends(&connection, &frame, true).await);
    }
    assert_eq!(closed(&connection).await, Some(Code::Stalled));
    host.until(|counts| counts.connections == 0 && counts.requests == 0)
        .await;
    // What the enemy's own machine took into its buffers, our window, and a piece for each request.
    let theirs = 4 * 1_250_000;
    let ours = u64::from(limits.window) + 4 * PIECE as u64;
    assert!(host.counts().bytes <= theirs + ours, "{:?}", host.counts());
    fetches(3, &host, &site, &content).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_nothing_is_closed() {
    let site = Site::new(&content(1_000)).await;
    let limits = Limits {
        idle: SHORT,
        ..limits(NEVER)
    };
    let host = Host::new(1, site.shelf(), limits).await;
    let enemy = stranger(2).await;
    let connection = connect(&enemy, &host.address()).await;
    assert_eq!(closed(&connection).await, Some(Code::Idle));
    host.until(|counts| counts.connections == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_make_room_and_those_that_are_served_do_not() {
    let content = content(MIB);
    let site = Site::new(&content).await;
    let limits = Limits {
        connections: 3,
        ..limits(NEVER)
    };
    let host = Host::new(1, site.shelf(), limits).await;
    let mut enemies = Vec::new();
    for number in 1..=5 {
        let enemy = stranger(10 + number).await;
        let connection = connect(&enemy, &host.address()).await;
        enemies.push((enemy, connection));
        host.until(|counts| counts.admitted == u64::from(number))
            .await;
    }
    // The first two had to go, and so does the next for somebody honest.
    for (_, connection) in &enemies[..2] {
        assert_eq!(closed(connection).await, Some(Code::Full));
    }
    fetches(3, &host, &site, &content).await;
    assert_eq!(closed(&enemies[2].1).await, Some(Code::Full));
    assert_eq!(host.counts().most_connections, 3);

    // All who are there have half a request under way: there is no room until they have stalled.
    host.until(|counts| counts.connections == 2).await;
    let (enemy, last) = (stranger(16).await, stranger(17).await);
    let third = connect(&enemy, &host.address()).await;
    let mut ends = Vec::new();
    for connection in [&enemies[3].1, &enemies[4].1, &third] {
        ends.push(sends(connection, &[1], false).await);
    }
    host.until(|counts| counts.requests == 3).await;
    let late = connect(&last, &host.address()).await;
    assert_eq!(closed(&late).await, Some(Code::Full));
    assert_eq!(host.counts().most_connections, 3);
    assert_eq!(host.counts().refused, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_peer_has_no_more_connections_than_its_share() {
    let site = Site::new(&content(1_000)).await;
    let limits = limits(NEVER);
    let host = Host::new(1, site.shelf(), limits).await;
    let enemy = stranger(2).await;
    let mut connections = Vec::new();
    for number in 1..=6 {
        connections.push(connect(&enemy, &host.address()).await);
        host.until(|counts| counts.admitted == number).await;
    }
    for connection in &connections[..4] {
        assert_eq!(closed(connection).await, Some(Code::Full));
    }
    host.until(|counts| counts.connections == limits.connections_each)
        .await;
    assert_eq!(host.counts().most_connections, limits.connections_each);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_of_another_kind_may_be_opened() {
    let site = Site::new(&content(1_000)).await;
    let host = Host::new(1, site.shelf(), limits(NEVER)).await;
    let enemy = stranger(2).await;
    let connection = connect(&enemy, &host.address()).await;
    assert_eq!(connection.max_datagram_size(), None);
    let uni = tokio::time::timeout(SHORT, connection.open_uni()).await;
    assert!(uni.is_err(), "a stream of one direction was opened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_protocol_is_not_spoken() {
    let site = Site::new(&content(1_000)).await;
    let host = Host::new(1, site.shelf(), limits(NEVER)).await;
    let enemy = stranger(2).await;
    let address = host.address().endpoint().unwrap();
    assert!(soon(enemy.connect(address, b"cairn/blobs/2"))
        .await
        .is_err());
    host.until(|counts| counts.refused == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_take_no_place() {
    let content = content(MIB);
    let site = Site::new(&content).await;
    let host = peer(1).await;
    let limits = Limits {
        connections: 1,
        ..limits(NEVER)
    };
    let policy = Arc::new(super::Only(super::key(3).id()));
    let serving = host.serve(site.shelf(), policy, limits).unwrap();
    let host = Host {
        peer: host,
        serving,
    };
    for seed in 20..26 {
        let enemy = stranger(seed).await;
        let connection = connect(&enemy, &host.address()).await;
        assert_eq!(closed(&connection).await, Some(Code::NotAdmitted));
    }
    fetches(3, &host, &site, &content).await;
    let counts = host.counts();
    assert_eq!((counts.refused, counts.admitted), (6, 1));
}

/// A datagram that begins as the first of a connection does, with garbage for the rest.
fn knock(seed: u64) -> [u8; 1_200] {
    let mut datagram = [0; 1_200];
    let mut random = blake3::Hasher::new();
    random.update(&seed.to_le_bytes());
    random.finalize_xof().fill(&mut datagram);
    // A long header of version 1, two ids of eight bytes, no token, and the length of what follows.
    datagram[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
    datagram[14] = 8;
    datagram[23] = 0;
    datagram[24..26].copy_from_slice(&(0x4000u16 | (1_200 - 26)).to_be_bytes());
    datagram
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_only_knocks_keeps_nobody_out() {
    let content = content(MIB);
    let site = Site::new(&content).await;
    let limits = Limits {
        handshakes: 4,
        ..limits(NEVER)
    };
    let host = Host::new(1, site.shelf(), limits).await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(host.peer.bound()[0]).await.unwrap();
    for seed in 0..5_000 {
        // What does not fit into the server's buffer is lost, as anywhere.
        socket.send(&knock(seed)).await.unwrap();
    }
    fetches(3, &host, &site, &content).await;
    host.until(|counts| counts.refused > 0).await;
    assert_eq!(host.counts().most_connections, 1);
}
