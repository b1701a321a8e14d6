//! Probes: what is thrown away, what is refused, and how long a sender is waited for.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::task::JoinHandle;

use super::*;
use crate::{
    frame::{Probe, Receipt, MAX_PROBE},
    limits::PROBE_LASTS,
};

/// Limits that only the number of probes in an hour, and one at a time, are held to.
fn many(probes: usize) -> Limits {
    Limits {
        probes,
        probe_pause: Duration::ZERO,
        ..limits()
    }
}

/// A probe that is under way: the ends of a client, and what the server makes of it. How often more room was made is
/// counted.
struct Underway {
    to: DuplexStream,
    from: DuplexStream,
    task: JoinHandle<Result<bool, Stop>>,
    widened: Arc<AtomicU32>,
}

impl Underway {
    /// A peer sends these bytes.
    async fn new(desk: &Arc<Desk>, peer: u8, bytes: &[u8]) -> Underway {
        let (mut to, mut server_from) = tokio::io::duplex(1 << 20);
        let (mut server_to, from) = tokio::io::duplex(256);
        let (desk, widened) = (desk.clone(), Arc::new(AtomicU32::new(0)));
        let count = widened.clone();
        let task = tokio::spawn(async move {
            let widen = move || {
                count.fetch_add(1, Ordering::SeqCst);
            };
            let peer = PeerId([peer; 32]);
            let (from, to) = (&mut server_from, &mut server_to);
            let answered = desk.answer(&peer, from, to, &widen).await;
            // What there is of it ends here.
            answered.map(|answered| answered.probe.is_some())
        });
        to.write_all(bytes).await.unwrap();
        Underway {
            to,
            from,
            task,
            widened,
        }
    }

    /// What is said of it, whether it was taken to its end, and how often more room was made.
    async fn ends(mut self) -> (Option<Receipt>, Result<bool, Stop>, u32) {
        let stop = self.task.await.unwrap();
        let mut got = Vec::new();
        self.from.read_to_end(&mut got).await.unwrap();
        let receipt = got.split_first_chunk::<HEAD>().map(|(receipt, rest)| {
            assert_eq!(rest.len(), 0);
            Receipt::decode(receipt).unwrap()
        });
        (receipt, stop, self.widened.load(Ordering::SeqCst))
    }
}

/// A frame that announces so many bytes, and some bytes.
fn sent(announced: u64, bytes: usize) -> Vec<u8> {
    let frame = Probe::new(announced).unwrap().encode();
    [&frame[..], &vec![7; bytes][..]].concat()
}

fn took(bytes: usize) -> Option<Receipt> {
    let bytes = bytes as u64;
    Some(Receipt::Took { bytes })
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_is_counted_and_thrown_away() {
    let desk = desk(many(9));
    for bytes in [0, 1, PIECE, 3 * PIECE + 5] {
        let mut probe = Underway::new(&desk, 1, &sent(MAX_PROBE, bytes)).await;
        probe.to.shutdown().await.unwrap();
        let (receipt, ended, widened) = probe.ends().await;
        assert_eq!((receipt, widened), (took(bytes), 1));
        assert!(ended.unwrap());
    }
    let counts = desk.tally.get();
    assert_eq!((counts.probes, counts.replies, counts.bytes), (4, 4, 0));
    assert_eq!(counts.probed, 4 * PIECE as u64 + 6);
}

#[tokio::test(start_paused = true)]
async fn what_is_beyond_the_bytes_announced_is_not_read() {
    let desk = desk(many(9));
    let begin = Instant::now();
    let mut probe = Underway::new(&desk, 1, &sent(1_000, 1_000)).await;
    // It is over though its stream is not.
    let stop = (&mut probe.task).await.unwrap();
    assert!(stop.unwrap());
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert!(probe.to.write_all(&[7]).await.is_err(), "it reads on");
    assert_eq!(desk.tally.get().probed, 1_000);
}

#[tokio::test(start_paused = true)]
async fn one_is_taken_at_a_time_and_few_in_an_hour() {
    let desk = desk(many(2));
    let first = Underway::new(&desk, 1, &sent(9, 8)).await;
    tokio::task::yield_now().await;
    let begin = Instant::now();
    let whole = sent(9, 9);
    // Somebody else is told at once, and so is who comes too often when the first is over.
    let busy = |ended: (Option<Receipt>, Result<bool, Stop>, u32)| {
        assert_eq!((ended.0, ended.2), (Some(Receipt::Busy), 0));
        assert!(!ended.1.unwrap());
    };
    busy(Underway::new(&desk, 2, &whole).await.ends().await);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(first.ends().await.0, took(8));
    assert_eq!(
        Underway::new(&desk, 2, &whole).await.ends().await.0,
        took(9)
    );
    busy(Underway::new(&desk, 3, &whole).await.ends().await);
    sleep(3_600 * SECOND).await;
    assert_eq!(
        Underway::new(&desk, 3, &whole).await.ends().await.0,
        took(9)
    );
    assert_eq!(desk.tally.get().probes, 3);
}

#[tokio::test(start_paused = true)]
async fn a_peer_waits_for_its_next_and_its_files_do_not() {
    let desk = desk(Limits {
        probe_pause: 600 * SECOND,
        ..limits()
    });
    let probe = |peer| {
        let desk = desk.clone();
        async move {
            let probe = Underway::new(&desk, peer, &sent(9, 9)).await;
            probe.ends().await.0
        }
    };
    assert_eq!(probe(9).await, took(9));
    assert_eq!(probe(9).await, Some(Receipt::Busy));
    assert_eq!(probe(8).await, took(9));
    let request = Request::new(&path(1), 0..10).unwrap().encode();
    let (got, stop) = exchange(&desk, &request).await;
    assert_eq!(got.len(), HEAD + 10);
    stop.unwrap();
    sleep(600 * SECOND).await;
    assert_eq!(probe(9).await, took(9));
}

#[tokio::test(start_paused = true)]
async fn who_sends_nothing_has_stalled_and_who_stops_is_told_what_came() {
    let desk = desk(many(9));
    let begin = Instant::now();
    let (receipt, ended, _) = Underway::new(&desk, 1, &sent(9, 0)).await.ends().await;
    assert_eq!((receipt, begin.elapsed().as_secs()), (None, 5));
    let stop = ended.unwrap_err();
    assert!(matches!(stop, Stop::Stalled), "{stop:?}");
    assert_eq!(stop.closes(), Some(Code::Stalled));
    // It holds nobody up any more.
    let begin = Instant::now();
    let (receipt, ended, _) = Underway::new(&desk, 2, &sent(9, 8)).await.ends().await;
    assert_eq!((receipt, begin.elapsed().as_secs()), (took(8), 5));
    assert!(ended.unwrap());
}

#[tokio::test(start_paused = true)]
async fn who_sends_slowly_is_not_waited_for_longer() {
    let desk = desk(many(9));
    let begin = Instant::now();
    let mut probe = Underway::new(&desk, 1, &sent(MAX_PROBE, 0)).await;
    let mut sent = 0;
    while !probe.task.is_finished() {
        // Once it is over nobody reads.
        if probe.to.write_all(&[7; 100]).await.is_ok() {
            sent += 100;
        }
        sleep(SECOND / 10).await;
    }
    assert!(begin.elapsed() <= PROBE_LASTS + SECOND / 5);
    let (Some(Receipt::Took { bytes }), ..) = probe.ends().await else {
        panic!("no receipt");
    };
    assert!((4_500..=sent).contains(&bytes), "{bytes} of {sent}");
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_is_waited_for_a_step_and_is_no_probe() {
    let desk = desk(many(9));
    let frame = Probe::new(9).unwrap().encode();
    for length in 1..frame.len() {
        let begin = Instant::now();
        let probe = Underway::new(&desk, 1, &frame[..length]).await;
        let (receipt, ended, widened) = probe.ends().await;
        assert_eq!((receipt, widened), (None, 0));
        assert!(matches!(ended, Err(Stop::Stalled)), "{ended:?}");
        assert_eq!(begin.elapsed().as_secs(), 10);
        let mut probe = Underway::new(&desk, 1, &frame[..length]).await;
        probe.to.shutdown().await.unwrap();
        let stop = probe.ends().await.1.unwrap_err();
        assert!(matches!(stop, Stop::Frame(_)), "{stop:?}");
    }
    for bytes in [0, MAX_PROBE + 1, u64::MAX] {
        let frame = [&[2][..], &bytes.to_le_bytes()].concat();
        let stop = Underway::new(&desk, 1, &frame).await.ends().await.1;
        let stop = stop.unwrap_err();
        assert!(matches!(&stop, Stop::Frame(FrameError::Probe { bytes: it }) if *it == bytes));
        assert_eq!(stop.closes(), Some(Code::Malformed));
    }
    assert_eq!(desk.tally.get().probes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_left_ends_its_connection() {
    let desk = desk(many(9));
    let Underway { to, from, task, .. } = Underway::new(&desk, 1, &sent(9, 9)).await;
    drop((to, from));
    let stop = task.await.unwrap().unwrap_err();
    assert!(matches!(stop, Stop::LeftProbe), "{stop:?}");
    assert_eq!(stop.closes(), Some(Code::Done));
    // The next one may begin.
    let next = Underway::new(&desk, 2, &sent(9, 9)).await.ends().await;
    assert_eq!(next.0, took(9));
}

#[tokio::test(start_paused = true)]
async fn what_a_probe_sends_counts_for_the_rate_of_all() {
    let desk = desk(Limits {
        rate: Some(PIECE as u64),
        ..many(9)
    });
    let begin = Instant::now();
    let bytes = 3 * PIECE;
    let mut probe = Underway::new(&desk, 1, &sent(MAX_PROBE, bytes)).await;
    probe.to.shutdown().await.unwrap();
    assert_eq!(probe.ends().await.0, took(bytes));
    // Three pieces, the first at once.
    assert_eq!(begin.elapsed().as_secs(), 2);
}

proptest! {
    #[test]
    fn whatever_follows_a_probe_is_counted_or_refused(
        announced in 0..=MAX_PROBE + 1,
        bytes in 0usize..100_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        let frame = [&[2][..], &announced.to_le_bytes(), &vec![2; bytes][..]].concat();
        let (receipt, ended, widened) = runtime.block_on(async {
            let mut probe = Underway::new(&desk(many(9)), 1, &frame).await;
            let _ = probe.to.shutdown().await;
            probe.ends().await
        });
        if (1..=MAX_PROBE).contains(&announced) {
            let expected = announced.min(bytes as u64);
            prop_assert_eq!(receipt, took(expected as usize));
            prop_assert!(ended.unwrap() && widened == 1);
        } else {
            prop_assert_eq!((receipt, widened), (None, 0));
            prop_assert!(matches!(ended, Err(Stop::Frame(_))));
        }
    }
}
