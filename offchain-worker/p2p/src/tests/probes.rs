//! Probes over the loopback interface: by honest peers, and to servers that are not, or older.

use std::{future::Future, sync::Arc, time::Duration};

use cairn_store::{guard::Origin, Fault};
use iroh::endpoint::{Connection, RecvStream, SendStream};

use super::{
    address, closed, connect, content, key, loopback, peer, soon, source, stranger, Host, Only,
    Site,
};
use crate::{
    frame::{FrameError, Probe, Receipt, Request, HEAD, MAX_PROBE, MAX_REQUEST},
    Address, Code, Limits, Peer, PeerError, ProbeError, Settings, Uplink,
};

const LONG: Duration = Duration::from_secs(240);
const SHORT: Duration = Duration::from_millis(300);

/// A peer that waits so long for each step of a probe.
async fn patient(seed: u8, deadline: Duration) -> Peer {
    let settings = Settings {
        deadline,
        ..loopback()
    };
    Peer::bind(&key(seed), settings).await.unwrap()
}

async fn probe(me: &Peer, address: &Address) -> Result<Uplink, ProbeError> {
    soon(me.probe(address, Origin::Owner)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_is_taken_and_files_are_served_beside_it() {
    let content = content(3 << 20);
    let site = Site::new(&content).await;
    let host = Host::new(1, site.shelf(), Limits::default()).await;
    let me = patient(2, LONG).await;
    let source = source(&me, &host.address());
    let ask = || source.read(&site.blob.path, 0..10);
    assert_eq!(soon(ask()).await.unwrap().length, content.len() as u64);
    let found = probe(&me, &host.address()).await.unwrap();
    assert!((1..=MAX_PROBE).contains(&found.bytes), "{found:?}");
    assert!(found.bits_per_s > 0.0 && found.bits_per_s.is_finite());
    // Its connection ends with it, and the other stays.
    host.until(|counts| counts.connections == 1).await;
    assert_eq!(soon(ask()).await.unwrap().length, content.len() as u64);
    let counts = host.counts();
    assert_eq!((counts.probes, counts.probed), (1, found.bytes));
    assert_eq!((counts.admitted, counts.malformed), (2, 0), "{counts:?}");
    // The same peer is not taken again, under the same key.
    assert_eq!(probe(&me, &host.address()).await, Err(ProbeError::Busy));
    assert_eq!(host.counts().probed, found.bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_strangers_together_send_no_more_than_one_may() {
    let site = Site::new(&content(10)).await;
    let limits = Limits {
        probes: 2,
        ..Limits::default()
    };
    let host = Host::new(1, site.shelf(), limits).await;
    let mut taken = 0;
    for seed in 10..16 {
        let me = patient(seed, LONG).await;
        match probe(&me, &host.address()).await {
            Ok(_) => taken += 1,
            Err(error) => assert_eq!(error, ProbeError::Busy),
        }
        // Whoever just goes is noticed half a minute later.
        me.close().await;
        host.until(|counts| counts.connections == 0).await;
    }
    let counts = host.counts();
    assert_eq!((taken, counts.probes), (2, 2));
    assert!(counts.probed <= 2 * MAX_PROBE, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_admitted_or_may_not_be_reached_sends_nothing() {
    let site = Site::new(&content(10)).await;
    let host = peer(1).await;
    let policy = Arc::new(Only(key(3).id()));
    let serving = host.serve(site.shelf(), policy, Limits::default()).unwrap();
    let me = patient(2, LONG).await;
    let error = probe(&me, &address(&host)).await.unwrap_err();
    let why = Code::NotAdmitted.said().to_string();
    assert_eq!(error, ProbeError::Failed(Fault::Failed { why }));
    let inside = me.probe(&address(&host), Origin::Chain).await.unwrap_err();
    let forbidden = ProbeError::NotAsked(PeerError::Forbidden {
        id: host.id(),
        address: host.bound()[0],
    });
    assert_eq!(inside, forbidden);
    assert_eq!(serving.counts().probed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_a_probe_loses_its_connection() {
    let site = Site::new(&content(10)).await;
    let host = Host::new(1, site.shelf(), Limits::default()).await;
    let enemy = stranger(2).await;
    let connection = connect(&enemy, &host.address()).await;
    let (mut to, _from) = connection.open_bi().await.unwrap();
    let frame = Probe::new(MAX_PROBE).unwrap().encode();
    to.write_all(&[&frame[..], &[7]].concat()).await.unwrap();
    host.until(|counts| counts.probed == 1).await;
    to.reset(Code::Done.number()).unwrap();
    assert_eq!(closed(&connection).await, Some(Code::Done));
    host.until(|counts| counts.connections == 0).await;
    // Another one may send at once.
    let me = patient(3, LONG).await;
    probe(&me, &host.address()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_was_taken_ends_its_connection_and_one_that_was_not_does_not() {
    let site = Site::new(&content(10)).await;
    let limits = Limits {
        probes: 1,
        ..Limits::default()
    };
    let host = Host::new(1, site.shelf(), limits).await;
    let enemy = stranger(2).await;
    let frame = [&Probe::new(1).unwrap().encode()[..], &[7]].concat();
    let mut receipt = [0; HEAD];
    let taken = connect(&enemy, &host.address()).await;
    let (mut to, mut from) = taken.open_bi().await.unwrap();
    to.write_all(&frame).await.unwrap();
    soon(from.read_exact(&mut receipt)).await.unwrap();
    assert_eq!(Receipt::decode(&receipt), Ok(Receipt::Took { bytes: 1 }));
    assert_eq!(closed(&taken).await, Some(Code::Done));
    let busy = connect(&enemy, &host.address()).await;
    for _ in 0..2 {
        let (mut to, mut from) = busy.open_bi().await.unwrap();
        to.write_all(&frame).await.unwrap();
        soon(from.read_exact(&mut receipt)).await.unwrap();
        assert_eq!(Receipt::decode(&receipt), Ok(Receipt::Busy));
    }
    assert!(busy.close_reason().is_none());
}

/// Who reads as slowly as that holds what is on its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_is_let_in_may_have_more_under_way_than_a_request() {
    let site = Site::new(&content(10)).await;
    let limits = Limits {
        rate: Some(1),
        ..Limits::default()
    };
    let host = Host::new(1, site.shelf(), limits).await;
    let enemy = stranger(2).await;
    let connection = connect(&enemy, &host.address()).await;
    let (mut to, _from) = connection.open_bi().await.unwrap();
    let frame = Probe::new(MAX_PROBE).unwrap().encode();
    to.write_all(&frame).await.unwrap();
    soon(to.write_all(&vec![7; 512 << 10])).await.unwrap();
}

/// A server that does something with each stream that comes.
async fn enemy<F, T>(does: F) -> Address
where
    F: Fn(Connection, SendStream, RecvStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let endpoint = stranger(1).await;
    let address = Address {
        id: endpoint.id().into(),
        direct: endpoint.bound_sockets(),
        relay: None,
    };
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let Ok(connection) = incoming.await else {
                continue;
            };
            while let Ok((to, from)) = connection.accept_bi().await {
                tokio::spawn(does(connection.clone(), to, from));
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_server_is_told_from_one_that_fails() {
    // What a server did before there were probes: it read a request to its end, or one byte more than any has.
    let older = enemy(|connection, mut to, mut from| async move {
        let mut frame = Vec::new();
        while frame.len() <= MAX_REQUEST {
            let most = MAX_REQUEST + 1 - frame.len();
            match from.read_chunk(most).await {
                Ok(Some(chunk)) => frame.extend_from_slice(&chunk),
                _ => break,
            }
        }
        let most = MAX_REQUEST;
        assert_eq!(Request::decode(&frame), Err(FrameError::TooLong { most }));
        let _ = to.reset(Code::Malformed.number());
        connection.close(Code::Malformed.number(), b"");
    })
    .await;
    let me = patient(2, LONG).await;
    assert_eq!(probe(&me, &older).await, Err(ProbeError::Unknown));
    let stops = enemy(|connection, to, from| async move {
        connection.close(Code::Leaving.number(), b"");
        drop((to, from));
    })
    .await;
    let why = Code::Leaving.said().to_string();
    let failed = Err(ProbeError::Failed(Fault::Failed { why }));
    // Both servers have one key, so who knows the first may connect to it again.
    let me = patient(3, LONG).await;
    assert_eq!(probe(&me, &stops).await, failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_are_none_are_faults() {
    let failed = |why: &str| Err(ProbeError::Failed(Fault::Failed { why: why.into() }));
    let cases = [
        (Vec::new(), failed("its answer has no head")),
        (vec![2, 0, 1], failed("its answer has no head")),
        (
            vec![1; HEAD],
            failed("it sent a frame that is not canonical"),
        ),
        (
            Receipt::Took { bytes: 0 }.encode().to_vec(),
            failed("it took nothing"),
        ),
        (
            Receipt::Took {
                bytes: MAX_PROBE + 1,
            }
            .encode()
            .to_vec(),
            failed("it says that more came than was sent"),
        ),
        // It reads nothing, so not all can have been handed to the network.
        (
            Receipt::Took { bytes: MAX_PROBE }.encode().to_vec(),
            failed("it says that more came than was sent"),
        ),
        (Receipt::Busy.encode().to_vec(), Err(ProbeError::Busy)),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        let server = enemy(move |connection, mut to, from| {
            let answer = answer.clone();
            async move {
                let _ = to.write_all(&answer).await;
                let _ = to.finish();
                connection.closed().await;
                drop(from);
            }
        })
        .await;
        let me = patient(2, LONG).await;
        assert_eq!(probe(&me, &server).await, expected, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_is_waited_for_until_the_deadline() {
    let server = enemy(|connection, to, from| async move {
        connection.closed().await;
        drop((to, from));
    })
    .await;
    // Nobody is there at all.
    let nobody = Address {
        id: key(5).id(),
        direct: vec!["127.0.0.1:9".parse().unwrap()],
        relay: None,
    };
    for address in [server, nobody] {
        let me = patient(2, SHORT).await;
        let late = ProbeError::Late { deadline: SHORT };
        assert_eq!(probe(&me, &address).await, Err(late));
    }
}
