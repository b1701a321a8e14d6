//! Servers that are hostile to those who fetch.

use std::{future::Future, time::Duration};

use cairn_store::{guard::Origin, paths, Fault, Source};
use futures::TryStreamExt;
use iroh::endpoint::{Connection, SendStream, VarInt};

use super::{key, loopback, soon, stranger};
use crate::{
    frame::{Head, HEAD},
    limits::WINDOW,
    Address, Peer, PeerSource, Settings,
};

/// Does something with each request that comes. Both ends of its stream stay open until that is done.
async fn enemy<F, T>(does: F) -> Address
where
    F: Fn(Connection, SendStream) -> T + Send + 'static,
    T: Future<Output = SendStream> + Send + 'static,
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
                let done = does(connection.clone(), to);
                tokio::spawn(async move {
                    let _from = from;
                    done.await
                });
            }
        }
    });
    address
}

async fn source(address: &Address, deadline: Duration) -> (Peer, PeerSource) {
    let settings = Settings {
        deadline,
        ..loopback()
    };
    let me = Peer::bind(&key(2), settings).await.unwrap();
    let source = me.source(address, Origin::Owner).unwrap();
    (me, source)
}

const LONG: Duration = Duration::from_secs(240);
const SHORT: Duration = Duration::from_millis(300);

/// What comes of a request for ten bytes: the length of the file and the bytes, or the first fault.
async fn asks(source: &PeerSource) -> Result<(u64, Vec<u8>), Fault> {
    let path = paths::blob(paths::DATA, &[1; 32]);
    let reply = soon(source.read(&path, 5..15)).await?;
    let bytes = soon(reply.bytes.try_collect::<Vec<_>>()).await?;
    Ok((reply.length, bytes.concat()))
}

fn found(length: u64) -> Vec<u8> {
    Head::Found { length }.encode().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_none_are_faults() {
    let ten = |head: Vec<u8>| [head, vec![7; 10]].concat();
    let failed = |why: &str| Err(Fault::Failed { why: why.into() });
    let cases = [
        (ten(found(20)), Ok((20, vec![7; 10]))),
        // More than was asked for is not looked at, and less is a cut.
        (
            [ten(found(20)), vec![8; 1 << 20]].concat(),
            Ok((20, vec![7; 10])),
        ),
        ([found(20), vec![7; 4]].concat(), Err(Fault::Cut { at: 9 })),
        (Vec::new(), failed("its answer has no head")),
        (found(20)[..9].to_vec(), failed("its answer has no head")),
        (
            ten(vec![2; 10]),
            failed("it sent a frame of version 2 instead of 1"),
        ),
        (
            ten(vec![1; 10]),
            failed("it sent a frame that is not canonical"),
        ),
        (
            vec![1, 9, 0, 0, 0, 0, 0, 0, 0, 0],
            failed("it sent a frame that is not canonical"),
        ),
        (Head::Failed.encode().to_vec(), failed("its disk failed")),
        (
            Head::Beyond { length: 3 }.encode().to_vec(),
            Ok((3, Vec::new())),
        ),
    ];
    for (answer, expected) in cases {
        let shown = format!("{:?}", &answer[..answer.len().min(20)]);
        let address = enemy(move |_, mut to| {
            let answer = answer.clone();
            async move {
                let _ = to.write_all(&answer).await;
                to
            }
        })
        .await;
        let (_me, source) = source(&address, LONG).await;
        assert_eq!(asks(&source).await, expected, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_or_no_more_is_waited_for_until_the_deadline() {
    for answer in [Vec::new(), found(20), [found(20), vec![7; 9]].concat()] {
        let address = enemy(move |_, mut to| {
            let answer = answer.clone();
            async move {
                let _ = to.write_all(&answer).await;
                std::future::pending().await
            }
        })
        .await;
        let (_me, source) = source(&address, SHORT).await;
        assert_eq!(asks(&source).await, Err(Fault::Stalled { deadline: SHORT }));
    }
    // Nobody is there at all.
    let address = Address {
        id: key(1).id(),
        direct: vec!["127.0.0.1:9".parse().unwrap()],
        relay: None,
    };
    let (_me, source) = source(&address, SHORT).await;
    assert_eq!(asks(&source).await, Err(Fault::Stalled { deadline: SHORT }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_says_when_it_closes_is_not_repeated() {
    let address = enemy(|connection, to| async move {
        connection.close(VarInt::from_u32(77), b"\x1b[31mrun this command");
        to
    })
    .await;
    let (_me, source) = source(&address, LONG).await;
    let why = "it ended with code 77, which is none of ours".into();
    assert_eq!(asks(&source).await, Err(Fault::Failed { why }));
    let address = enemy(|_, mut to| async move {
        let _ = to.reset(VarInt::from_u32(7));
        to
    })
    .await;
    let (_me, source) = self::source(&address, LONG).await;
    let why = "its disk failed".into();
    assert_eq!(asks(&source).await, Err(Fault::Failed { why }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_without_end_fills_a_window_and_no_more() {
    let (tell, mut told) = tokio::sync::watch::channel(0u64);
    let address = enemy(move |_, mut to| {
        let tell = tell.clone();
        async move {
            let _ = to.write_all(&found(1 << 40)).await;
            while let Ok(sent) = to.write(&[7; 1 << 10]).await {
                tell.send_modify(|all| *all += sent as u64);
            }
            to
        }
    })
    .await;
    let (_me, source) = source(&address, LONG).await;
    let path = paths::blob(paths::DATA, &[1; 32]);
    let reply = soon(source.read(&path, 0..1 << 30)).await.unwrap();
    // It is not read, and so the other side cannot write beyond the window.
    let most = u64::from(WINDOW) - HEAD as u64;
    soon(told.wait_for(|all| *all >= most)).await.unwrap();
    let more = told.wait_for(|all| *all > most);
    assert!(tokio::time::timeout(SHORT, more).await.is_err());
    drop(reply);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_connected_to_may_open_nothing() {
    let (tell, mut told) = tokio::sync::watch::channel(None);
    let address = enemy(move |connection, mut to| {
        let tell = tell.clone();
        async move {
            let _ = to.write_all(&found(20)).await;
            let bi = tokio::time::timeout(SHORT, connection.open_bi())
                .await
                .is_ok();
            let uni = tokio::time::timeout(SHORT, connection.open_uni())
                .await
                .is_ok();
            tell.send_replace(Some((bi, uni, connection.max_datagram_size())));
            std::future::pending().await
        }
    })
    .await;
    let (_me, source) = source(&address, LONG).await;
    let path = paths::blob(paths::DATA, &[1; 32]);
    let _reply = soon(source.read(&path, 5..15)).await.unwrap();
    let opened = *soon(told.wait_for(Option::is_some)).await.unwrap();
    assert_eq!(opened, Some((false, false, None)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_peer_at_the_same_address_is_not_taken_for_it() {
    let mut address = enemy(|_, to| async { to }).await;
    address.id = key(5).id();
    let (_me, source) = source(&address, LONG).await;
    let error = asks(&source).await.unwrap_err();
    assert!(matches!(error, Fault::Failed { .. }), "{error:?}");
}
