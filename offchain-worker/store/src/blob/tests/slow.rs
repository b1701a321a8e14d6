//! Sources that bring little at a time. The clock stands unless all wait.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    super::{
        fetch, fetch_metered, Blob, Fault, FetchError, Meter, Outcome, Patience, Report, Source,
        SMALL,
    },
    content, groups,
    shelf::Shelf,
};

/// Below half of the deadline: 16 KiB are in two chunks at most.
const IN_TIME: Duration = Duration::from_millis(4_900);
/// The first 16 KiB are not there by the deadline, though something comes all the time.
const TOO_SLOW: Duration = Duration::from_secs(6);
/// A blob that is checked as a whole, and one in groups.
const LENGTHS: [usize; 2] = [SMALL as usize - 5, SMALL as usize + 5];

/// A source that sends each 12 KiB of the blob after such a time.
fn slow(content: &Bytes, pace: Duration) -> (Blob, Arc<dyn Source>) {
    let manner = move |answer: &mut super::shelf::Answer| {
        if !answer.is_outboard {
            answer.pace = pace;
        }
    };
    let (blob, shelf) = Shelf::new("slow", content, Arc::new(manner));
    (blob, shelf)
}

async fn get(
    blob: &Blob,
    sources: &[Arc<dyn Source>],
    directory: &Path,
) -> Result<Outcome, FetchError> {
    fetch(blob, sources, &directory.join("blob"), Patience::default()).await
}

/// What is found of sources of these paces in 30 s, which are not enough.
async fn found_in_half_a_minute(content: &Bytes, paces: &[Duration]) -> Vec<Report> {
    let (mut sources, mut named) = (Vec::new(), None);
    for pace in paces {
        let (blob, source) = slow(content, *pace);
        sources.push(source);
        named = Some(blob);
    }
    let directory = tempfile::tempdir().unwrap();
    let (into, meter) = (directory.path().join("blob"), Meter::default());
    let blob = named.unwrap();
    let fetched = fetch_metered(&blob, &sources, &into, Patience::default(), &meter);
    let given_up = tokio::time::timeout(Duration::from_secs(30), fetched).await;
    given_up.expect_err("it does not come so soon");
    meter.reports()
}

#[tokio::test(start_paused = true)]
async fn who_brings_each_16_kib_in_time_brings_the_blob() {
    for length in LENGTHS {
        let content = content(length);
        let (blob, source) = slow(&content, IN_TIME);
        let (directory, began) = (tempfile::tempdir().unwrap(), Instant::now());
        let outcome = get(&blob, &[source], directory.path()).await.unwrap();
        assert!(began.elapsed() > 6 * Patience::default().deadline);
        let report = &outcome.sources[0];
        assert_eq!((&report.fault, report.passed_over), (&None, false));
        assert_eq!(outcome.fetched, length as u64);
        assert_eq!(
            std::fs::read(directory.path().join("blob")).unwrap(),
            content
        );
        let speed = report.speed.unwrap();
        assert!((2_000.0..3_000.0).contains(&speed), "{speed}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_bring_16_kib_in_time_stalls_however_long_the_blob_is() {
    for length in LENGTHS {
        let (blob, source) = slow(&content(length), TOO_SLOW);
        let directory = tempfile::tempdir().unwrap();
        let ended = get(&blob, &[source], directory.path()).await;
        let FetchError::NoSource { sources, .. } = ended.unwrap_err() else {
            panic!("no source is left");
        };
        let deadline = Patience::default().deadline;
        assert_eq!(sources[0].fault, Some(Fault::Stalled { deadline }));
    }
}

#[tokio::test(start_paused = true)]
async fn how_slowly_a_blob_comes_shows_before_any_of_it_is_checked() {
    let content = content(LENGTHS[0]);
    let found = found_in_half_a_minute(&content, &[IN_TIME]).await;
    let speed = found[0].speed.expect("something came");
    assert!((2_000.0..3_000.0).contains(&speed), "{speed}");
    // Nobody knows whether it is good.
    assert_eq!((found[0].bytes, &found[0].fault), (0, &None));
    // Another one is asked as well after a second, and is no faster.
    let found = found_in_half_a_minute(&content, &[IN_TIME; 2]).await;
    for report in found {
        let speed = report.speed.expect("it was asked");
        assert!((2_000.0..3_000.0).contains(&speed), "{speed}");
        assert_eq!((report.bytes, report.fault), (0, None));
    }
}

#[tokio::test(start_paused = true)]
async fn who_lets_a_blob_trickle_holds_nobody_up() {
    for length in LENGTHS {
        let content = content(length);
        let (blob, source) = slow(&content, IN_TIME);
        let (_, honest) = Shelf::honest(&content);
        let (directory, began) = (tempfile::tempdir().unwrap(), Instant::now());
        let sources = [source, honest as _];
        let outcome = get(&blob, &sources, directory.path()).await.unwrap();
        // Less than the slow one takes for any 16 KiB.
        assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
        assert!(outcome.sources[1].bytes >= length as u64);
        assert!(!outcome.sources[0].passed_over, "it did nothing wrong");
    }
}

/// What sources of these paces bring of a blob of 1,200 groups, and in what time.
async fn brought_by(paces: &[Duration]) -> (Vec<u64>, Duration) {
    let content = content(groups(1_200));
    let (blob, _) = slow(&content, Duration::ZERO);
    let sources: Vec<_> = paces.iter().map(|pace| slow(&content, *pace).1).collect();
    let (directory, began) = (tempfile::tempdir().unwrap(), Instant::now());
    let outcome = get(&blob, &sources, directory.path()).await.unwrap();
    let brought = outcome.sources.iter().map(|report| {
        assert_eq!(report.fault, None);
        report.bytes
    });
    (brought.collect(), began.elapsed())
}

/// 12 KiB take so long: of one source alone, the blob takes 160 s.
const PACE: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn four_lines_bring_a_blob_almost_four_times_as_fast_as_one() {
    let (_, alone) = brought_by(&[PACE]).await;
    assert!(alone >= 1_600 * PACE, "{alone:?}");
    let (_, together) = brought_by(&[PACE; 4]).await;
    assert!(together * 7 <= alone * 2, "{together:?} of {alone:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_four_times_as_fast_brings_about_four_times_as_much() {
    for paces in [[PACE, 4 * PACE], [4 * PACE, PACE]] {
        let (mut brought, took) = brought_by(&paces).await;
        // Both lines together bring it in 128 s.
        assert!(took <= 1_400 * PACE, "{took:?}");
        brought.sort_unstable();
        let ratio = brought[1] as f64 / brought[0] as f64;
        assert!((3.0..5.0).contains(&ratio), "{brought:?}");
    }
}
