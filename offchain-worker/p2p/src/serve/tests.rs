//! Requests without a network, under a clock that stands until everybody waits.

mod probes;

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_store::paths;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{sleep, Instant},
};

use super::{
    answer::{Desk, Stop},
    probes::Probes,
    tally::Tally,
    throttle::Throttle,
};
use crate::{
    frame::{FrameError, Head, Request, HEAD, MAX_REQUEST},
    limits::PIECE,
    shelf::File,
    Code, Limits, PeerId, Policy, Shelf,
};

const SECOND: Duration = Duration::from_secs(1);
const PEER: PeerId = PeerId([9; 32]);

/// Files in memory; a file without content is one that the disk does not give, one that is short breaks off.
struct Memory(HashMap<String, (u64, Option<Bytes>)>);

struct Open(u64, Bytes);

#[async_trait]
impl Shelf for Memory {
    async fn open(&self, path: &str) -> io::Result<Option<Box<dyn File>>> {
        match self.0.get(path) {
            None => Ok(None),
            Some((_, None)) => Err(io::Error::other("a bad sector")),
            Some((length, Some(bytes))) => Ok(Some(Box::new(Open(*length, bytes.clone())))),
        }
    }
}

#[async_trait]
impl File for Open {
    fn length(&self) -> u64 {
        self.0
    }

    async fn read(&self, at: u64, length: usize) -> io::Result<Bytes> {
        let range = at as usize..at as usize + length;
        let is_there = range.end <= self.1.len();
        is_there
            .then(|| self.1.slice(range))
            .ok_or_else(|| io::Error::other("a bad sector"))
    }
}

/// Serves everything but one path.
#[derive(Debug)]
struct Not(String);

impl Policy for Not {
    fn admits(&self, _: &PeerId) -> bool {
        true
    }

    fn serves(&self, peer: &PeerId, path: &str) -> bool {
        *peer == PEER && path != self.0
    }
}

fn path(number: u8) -> String {
    paths::blob(paths::DATA, &[number; 32])
}

fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// Path 1 has some pieces, path 2 is kept, path 3 does not open, path 4 breaks off in its second piece; `wallet` is no
/// blob.
fn desk(limits: Limits) -> Arc<Desk> {
    let good = bytes(3 * PIECE + 5);
    let length = good.len() as u64;
    let files = HashMap::from([
        (path(1), (length, Some(good.clone()))),
        (path(2), (length, Some(good.clone()))),
        (path(3), (length, None)),
        (path(4), (length, Some(good.slice(..PIECE + 10)))),
        ("wallet".into(), (length, Some(good))),
    ]);
    Arc::new(Desk {
        shelf: Arc::new(Memory(files)),
        policy: Arc::new(Not(path(2))),
        limits,
        throttle: Throttle::new(limits.rate),
        probes: Probes::new(&limits),
        tally: Tally::default(),
    })
}

fn limits() -> Limits {
    Limits {
        step: 10 * SECOND,
        slowest: 1_000,
        ..Limits::default()
    }
}

/// Two streams as a client has them, and what the server makes of them. Few bytes fit between the two.
type Ends = (
    DuplexStream,
    DuplexStream,
    tokio::task::JoinHandle<Result<(), Stop>>,
);

fn ask(desk: &Arc<Desk>) -> Ends {
    let (to, mut server_from) = tokio::io::duplex(256);
    let (mut server_to, from) = tokio::io::duplex(256);
    let desk = desk.clone();
    let task = tokio::spawn(async move {
        let (from, to) = (&mut server_from, &mut server_to);
        let done = desk
            .answer(&PEER, from, to, &|| panic!("it is no probe"))
            .await;
        done.map(|_| ())
    });
    (to, from, task)
}

/// Sends a whole frame and gives all that comes back.
async fn exchange(desk: &Arc<Desk>, frame: &[u8]) -> (Vec<u8>, Result<(), Stop>) {
    let (mut to, mut from, task) = ask(desk);
    // A server that has seen enough does not read on.
    let _ = to.write_all(frame).await;
    drop(to);
    let mut got = Vec::new();
    from.read_to_end(&mut got).await.unwrap();
    (got, task.await.unwrap())
}

async fn reply(path: &str, range: std::ops::Range<u64>) -> (Head, Vec<u8>, Result<(), Stop>) {
    let request = Request::new(path, range).unwrap();
    let (got, stop) = exchange(&desk(limits()), &request.encode()).await;
    let (head, rest) = got.split_first_chunk::<HEAD>().unwrap();
    (Head::decode(head).unwrap(), rest.to_vec(), stop)
}

#[tokio::test(start_paused = true)]
async fn the_bytes_asked_for_come_and_no_others() {
    let all = bytes(3 * PIECE + 5);
    let length = all.len() as u64;
    for range in [0..1, 0..length, length - 1..length, 7..PIECE as u64 + 8] {
        let (head, rest, stop) = reply(&path(1), range.clone()).await;
        assert_eq!(head, Head::Found { length });
        assert_eq!(rest, all[range.start as usize..range.end as usize]);
        stop.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_said_and_nothing_of_it_is_sent() {
    let length = 3 * PIECE as u64 + 5;
    for (path, range, head) in [
        (path(7), 0..1, Head::Absent),
        (path(2), 0..1, Head::Absent),
        ("wallet".into(), 0..1, Head::Absent),
        (path(3), 0..1, Head::Failed),
        (path(1), 0..length + 1, Head::Beyond { length }),
        (path(1), length..length + 1, Head::Beyond { length }),
        (path(1), u64::MAX - 1..u64::MAX, Head::Beyond { length }),
    ] {
        let (found, rest, stop) = reply(&path, range).await;
        assert_eq!((found, rest.len()), (head, 0), "{path}");
        stop.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_on_the_way_ends_the_stream_by_a_fault() {
    let (head, rest, stop) = reply(&path(4), 0..3 * PIECE as u64).await;
    assert!(matches!(head, Head::Found { .. }));
    assert_eq!(rest.len(), PIECE);
    let stop = stop.unwrap_err();
    assert!(matches!(stop, Stop::Disk(_)), "{stop:?}");
    assert_eq!(stop.closes(), None);
}

#[tokio::test(start_paused = true)]
async fn half_a_request_is_waited_for_a_step_and_no_longer() {
    let frame = Request::new(&path(1), 0..1).unwrap().encode();
    for sent in [0, 1, frame.len() - 1, frame.len()] {
        let (mut to, _from, task) = ask(&desk(limits()));
        let begin = Instant::now();
        to.write_all(&frame[..sent]).await.unwrap();
        // `to` stays open: the frame has no end.
        let stop = task.await.unwrap().unwrap_err();
        assert!(matches!(stop, Stop::Stalled), "{stop:?}");
        assert_eq!(stop.closes(), Some(Code::Stalled));
        assert_eq!(begin.elapsed().as_secs(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_by_drops_has_no_longer_than_another() {
    let frame = Request::new(&path(1), 0..1).unwrap().encode();
    let (mut to, _from, task) = ask(&desk(limits()));
    let begin = Instant::now();
    for byte in frame {
        if to.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(SECOND).await;
    }
    assert!(matches!(task.await.unwrap(), Err(Stop::Stalled)));
    assert!(begin.elapsed() < 12 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_frame_without_end_is_read_to_its_longest_length() {
    let (mut to, _from, task) = ask(&desk(limits()));
    let endless = vec![1; 1 << 20];
    let wrote = to.write_all(&endless).await;
    assert!(wrote.is_err(), "all of it was read");
    let stop = task.await.unwrap().unwrap_err();
    let most = MAX_REQUEST;
    assert!(matches!(&stop, Stop::Frame(FrameError::TooLong { most: it }) if *it == most));
    assert_eq!(stop.closes(), Some(Code::Malformed));
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_is_given_up_and_who_is_slow_is_not() {
    let frame = Request::new(&path(1), 0..2 * PIECE as u64)
        .unwrap()
        .encode();
    let desk = desk(limits());
    let (mut to, _from, task) = ask(&desk);
    let begin = Instant::now();
    to.write_all(&frame).await.unwrap();
    drop(to);
    assert!(matches!(task.await.unwrap(), Err(Stop::Stalled)));
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert_eq!(desk.tally.get().bytes, 0);

    // A hundred bytes a second, where it should be a thousand: what it takes in the first pieces is no help.
    let taken = take(&desk, &frame, 100).await;
    assert!(matches!(taken, (Err(Stop::Stalled), _)), "{taken:?}");

    // 1,024 bytes a second: it takes longer than two minutes, and gets it all.
    let (done, took) = take(&desk, &frame, 1_024).await;
    done.unwrap();
    assert!(took > 120 * SECOND, "{took:?}");
}

/// Asks and takes so many bytes each second.
async fn take(desk: &Arc<Desk>, frame: &[u8], a_second: usize) -> (Result<(), Stop>, Duration) {
    // A piece may be long on its way.
    let limits = Limits {
        step: 100 * SECOND,
        ..desk.limits
    };
    let desk = self::desk(limits);
    let (mut to, mut from, task) = ask(&desk);
    let begin = Instant::now();
    to.write_all(frame).await.unwrap();
    drop(to);
    let mut some = vec![0; a_second];
    while from.read_exact(&mut some).await.is_ok() {
        sleep(SECOND).await;
    }
    (task.await.unwrap(), begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_is_no_fault() {
    let frame = Request::new(&path(1), 0..PIECE as u64).unwrap().encode();
    let desk = desk(limits());
    let (mut to, from, task) = ask(&desk);
    to.write_all(&frame).await.unwrap();
    drop((to, from));
    let stop = task.await.unwrap().unwrap_err();
    assert!(matches!(stop, Stop::Left), "{stop:?}");
    assert_eq!(stop.closes(), None);
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_that_of_all_together() {
    let limits = Limits {
        rate: Some(PIECE as u64),
        ..limits()
    };
    let desk = desk(limits);
    let frame = Request::new(&path(1), 0..3 * PIECE as u64)
        .unwrap()
        .encode();
    let begin = Instant::now();
    let (one, other) = tokio::join!(exchange(&desk, &frame), exchange(&desk, &frame));
    assert_eq!(
        (one.0.len(), other.0.len()),
        (3 * PIECE + HEAD, 3 * PIECE + HEAD)
    );
    // Six pieces, the first at once.
    assert_eq!(begin.elapsed().as_secs(), 5);
    assert_eq!(desk.tally.get().bytes, 6 * PIECE as u64);
    assert_eq!(desk.tally.get().replies, 2);
}

proptest! {
    #[test]
    fn whatever_comes_is_answered_or_refused(frame in proptest::collection::vec(any::<u8>(), 0..1_200)) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        let (got, stop) = runtime.block_on(exchange(&desk(limits()), &frame));
        match stop {
            Ok(()) => prop_assert!(got.len() >= HEAD),
            Err(stop) => {
                prop_assert!(matches!(stop, Stop::Frame(_)), "{:?}", stop);
                prop_assert!(got.is_empty());
            }
        }
    }
}
