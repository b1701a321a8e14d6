//! Several sources, of which some are no good.

use std::{
    path::Path,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
    time::Duration,
};

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    super::{
        fetch, fetch::TOGETHER, fetch_metered, Blob, Fault, FetchError, Meter, Outcome, Patience,
        Report, Source, GROUP, SMALL,
    },
    content, groups,
    shelf::{Answer, Manner, Shelf},
};

/// Nobody here is to reach the deadline.
pub(super) const QUICK: Patience = Patience {
    deadline: Duration::from_secs(60),
    late: Duration::from_millis(20),
    strikes: 3,
    pause: Duration::from_millis(1),
};

/// For sources that never answer.
pub(super) const HASTY: Patience = Patience {
    deadline: Duration::from_millis(200),
    ..QUICK
};

pub(super) async fn get(
    blob: &Blob,
    sources: &[Arc<dyn Source>],
    directory: &Path,
) -> Result<(Outcome, Vec<u8>), FetchError> {
    get_by(QUICK, blob, sources, directory).await
}

/// Why the only source was given up, in one short line.
pub(super) fn only_fault(got: Result<(Outcome, Vec<u8>), FetchError>) -> Fault {
    match got.map(|(outcome, _)| outcome).unwrap_err() {
        FetchError::NoSource { sources, .. } => {
            let fault = sources[0].fault.clone().unwrap();
            let text = fault.to_string();
            assert!(!text.contains('\n') && text.len() < 300, "{text}");
            fault
        }
        error => panic!("{error:?}"),
    }
}

pub(super) async fn get_by(
    patience: Patience,
    blob: &Blob,
    sources: &[Arc<dyn Source>],
    directory: &Path,
) -> Result<(Outcome, Vec<u8>), FetchError> {
    let into = directory.join("blob");
    let outcome = fetch(blob, sources, &into, patience).await?;
    let mut left: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    match blob.length > SMALL {
        true => assert_eq!(left, ["blob", "blob.outboard"]),
        false => assert_eq!(left, ["blob"]),
    }
    Ok((outcome, std::fs::read(into).unwrap()))
}

/// The blob and several sources of it, each with its manner.
fn shelves(content: &Bytes, manners: &[(&str, Manner)]) -> (Blob, Vec<Arc<dyn Source>>) {
    let mut named = Blob::new("", [0; 32], 0);
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for (name, manner) in manners {
        let (blob, shelf) = Shelf::new(name, content, manner.clone());
        (named, sources) = (blob, sources.into_iter().chain([shelf as _]).collect());
    }
    (named, sources)
}

fn manner(does: impl Fn(&mut Answer) + Send + Sync + 'static) -> Manner {
    Arc::new(does)
}

fn honest() -> Manner {
    manner(|_| {})
}

/// Flips a bit of one byte of the blob.
fn lies_at(at: u64) -> Manner {
    manner(move |answer| {
        if !answer.is_outboard && answer.range.contains(&at) {
            let index = (at - answer.range.start) as usize;
            answer.bytes[index] ^= 4;
        }
    })
}

fn fault_of(reports: &[Report], name: &str) -> Option<Fault> {
    let report = reports.iter().find(|report| report.source == name).unwrap();
    assert_eq!(report.passed_over, report.fault.is_some(), "{report:?}");
    report.fault.clone()
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn blobs_of_every_shape_come_whole() {
    for length in [
        0,
        1,
        groups(1),
        groups(1) + 1,
        SMALL as usize,
        SMALL as usize + 1,
        groups(17),
        groups(64) - 1,
        groups(64),
        groups(200) + 77,
    ] {
        let content = content(length);
        let (blob, sources) = shelves(&content, &[("a", honest()), ("b", honest())]);
        let directory = directory();
        let (outcome, got) = get(&blob, &sources, directory.path()).await.unwrap();
        assert_eq!(got, content, "{length}");
        assert_eq!((outcome.fetched, outcome.resumed), (length as u64, 0));
        // What is there is not fetched again.
        let (outcome, _) = get(&blob, &[], directory.path()).await.unwrap();
        assert_eq!((outcome.fetched, outcome.resumed), (0, length as u64));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_liar_is_dropped_within_one_group_and_the_others_bring_the_rest() {
    let content = content(groups(600) + 5);
    let all = manner(|answer| {
        if !answer.is_outboard {
            answer.bytes.iter_mut().for_each(|byte| *byte ^= 1);
        }
    });
    let (blob, mut sources) = shelves(
        &content,
        &[("a", honest()), ("b", honest()), ("c", honest())],
    );
    let (_, liar) = Shelf::new("liar", &content, all);
    sources.push(liar.clone());
    let (outcome, got) = get(&blob, &sources, directory().path()).await.unwrap();
    assert_eq!(got, content);
    if let Some(fault) = fault_of(&outcome.sources, "liar") {
        assert!(matches!(fault, Fault::Lied { .. }), "{fault:?}");
        // A group, in chunks that are no groups.
        assert!(liar.handed() <= 2 * GROUP, "{}", liar.handed());
    }
    assert_eq!(fault_of(&outcome.sources, "a"), None);
}

#[tokio::test]
async fn a_liar_alone_is_named_with_the_place_of_its_lie() {
    let content = content(groups(50));
    let at = groups(33) as u64 + 17;
    let (blob, sources) = shelves(&content, &[("liar", lies_at(at))]);
    let directory = directory();
    let error = get(&blob, &sources, directory.path()).await.unwrap_err();
    let FetchError::NoSource { sources, .. } = &error else {
        panic!("{error:?}");
    };
    let path = blob.path.clone();
    let lied = Fault::Lied {
        path,
        at: groups(33) as u64,
    };
    assert_eq!(fault_of(sources, "liar"), Some(lied));
    assert!(
        !error.to_string().contains('\n') && error.to_string().contains("liar"),
        "{error}"
    );
    assert!(!directory.path().join("blob").exists());
    // An honest one brings what is missing, and no more.
    let (blob, shelf) = Shelf::honest(&content);
    let (outcome, got) = get(&blob, &[shelf], directory.path()).await.unwrap();
    assert_eq!(got, content);
    assert_eq!(outcome.resumed, groups(33) as u64);
    assert_eq!(outcome.fetched, groups(17) as u64);
}

/// What has come already is checked together, so a lie costs what came with it.
#[tokio::test]
async fn who_lies_later_costs_a_few_groups_and_what_came_before_is_kept() {
    let content = content(groups(400));
    let (blob, liar) = Shelf::new("liar", &content, lies_at(groups(330) as u64 + 17));
    let place = directory();
    let error = get(&blob, &[liar.clone() as _], place.path())
        .await
        .unwrap_err();
    let FetchError::NoSource { sources, .. } = &error else {
        panic!("{error:?}");
    };
    let lied = Fault::Lied {
        path: blob.path.clone(),
        at: groups(330) as u64,
    };
    assert_eq!(fault_of(sources, "liar"), Some(lied));
    let most = groups(330 + fetch::TOGETHER + 1) as u64;
    assert!(liar.handed() <= most, "{}", liar.handed());
    let (blob, shelf) = Shelf::honest(&content);
    let (outcome, got) = get(&blob, &[shelf], place.path()).await.unwrap();
    assert_eq!(got, content);
    assert_eq!(outcome.resumed, groups(330) as u64);
}

/// However long a blob is, what came of it and is not on the disk is as much as is checked together.
#[tokio::test]
async fn no_more_of_a_blob_is_held_than_is_checked_together() {
    let content = content(groups(500) + 9);
    let (blob, shelf) = Shelf::honest(&content);
    let (meter, most) = (Meter::default(), Arc::new(AtomicU64::new(0)));
    let (seen, held) = (meter.clone(), most.clone());
    shelf.watched_by(Arc::new(move |before| {
        held.fetch_max(before.saturating_sub(seen.bytes()), Ordering::SeqCst);
    }));
    let (directory, sources) = (directory(), [shelf as Arc<dyn Source>]);
    let into = directory.path().join("blob");
    let fetched = fetch_metered(&blob, &sources, &into, QUICK, &meter).await;
    assert_eq!(fetched.unwrap().fetched, content.len() as u64);
    let (most, together) = (most.load(Ordering::SeqCst), TOGETHER as u64 * GROUP);
    // A chunk may be part of the next group already.
    assert!(most <= together + GROUP, "{most} bytes were held");
    assert!(
        most > together / 2,
        "{most} bytes: what came at once is held"
    );
}

#[tokio::test]
async fn every_kind_of_bad_source_is_told_apart() {
    let bytes = content(groups(40) + 9);
    let cases: Vec<(&str, Manner)> = vec![
        (
            "absent",
            manner(|answer| answer.fault = Some(Fault::Absent { path: "x".into() })),
        ),
        (
            "refused",
            manner(|answer| answer.fault = Some(Fault::Refused)),
        ),
        ("short", manner(|answer| answer.length -= 1)),
        ("long", manner(|answer| answer.length += 1)),
        (
            "hangs",
            manner(|answer| {
                answer.bytes.truncate(1_000);
                answer.hangs = true;
            }),
        ),
        ("cuts", manner(|answer| answer.bytes.truncate(10))),
        (
            "bad outboard",
            manner(|answer| {
                if answer.is_outboard {
                    answer.bytes[70] ^= 1;
                }
            }),
        ),
    ];
    for (name, manner) in cases {
        let (blob, sources) = shelves(&bytes, &[(name, manner.clone())]);
        let directory = directory();
        let patience = if name == "hangs" { HASTY } else { QUICK };
        let error = get_by(patience, &blob, &sources, directory.path())
            .await
            .unwrap_err();
        let FetchError::NoSource { sources, .. } = error else {
            panic!("{error:?}");
        };
        let fault = sources[0].fault.clone();
        let is_right = match name {
            // Not to have the outboard is no fault; there is just nobody who has it.
            "absent" => fault.is_none(),
            "refused" => fault == Some(Fault::Refused),
            "short" | "long" => matches!(fault, Some(Fault::WrongLength { .. })),
            "hangs" => matches!(fault, Some(Fault::Stalled { .. })),
            "cuts" => matches!(fault, Some(Fault::Cut { at: 10 })),
            _ => matches!(fault, Some(Fault::Lied { .. })),
        };
        assert!(is_right, "{name}: {fault:?}");
        // Beside an honest one, none of them matters.
        let (blob, sources) = shelves(&bytes, &[(name, manner), ("honest", honest())]);
        let (_, got) = get_by(patience, &blob, &sources, directory.path())
            .await
            .unwrap();
        assert_eq!(got, bytes, "{name}");
    }
}

/// The deadline is an hour; nobody waits for it.
#[tokio::test]
async fn a_source_that_hangs_at_the_end_holds_nobody_up() {
    let patience = Patience {
        deadline: Duration::from_secs(3_600),
        ..QUICK
    };
    for length in [groups(1), groups(40), groups(300) + 1] {
        let content = content(length);
        let hangs = manner(|answer| {
            if !answer.is_outboard {
                answer.bytes.truncate(groups(1) + 100);
                answer.hangs = true;
            }
        });
        let (blob, sources) = shelves(&content, &[("hangs", hangs), ("honest", honest())]);
        let directory = directory();
        let into = directory.path().join("blob");
        let outcome = fetch(&blob, &sources, &into, patience).await.unwrap();
        assert_eq!(std::fs::read(&into).unwrap(), content);
        assert_eq!(outcome.fetched, length as u64);
    }
}

#[tokio::test]
async fn a_source_without_the_outboard_still_brings_groups() {
    let content = content(groups(300));
    let without = manner(|answer| {
        if answer.is_outboard {
            answer.fault = Some(Fault::Absent { path: "x".into() });
        }
    });
    // The one with the outboard has a bad blob.
    let (blob, sources) = shelves(&content, &[("without", without), ("liar", lies_at(0))]);
    let (outcome, got) = get(&blob, &sources, directory().path()).await.unwrap();
    assert_eq!(got, content);
    assert!(outcome.sources[0].bytes > 0);
}

#[tokio::test]
async fn what_was_found_of_a_liar_outlives_a_fetch_that_is_dropped() {
    let content = content(groups(40));
    let lies = manner(|answer| {
        if !answer.is_outboard {
            answer.bytes.iter_mut().for_each(|byte| *byte ^= 1);
        }
    });
    let hangs = manner(|answer| {
        if !answer.is_outboard {
            answer.bytes.clear();
            answer.hangs = true;
        }
    });
    let (blob, sources) = shelves(&content, &[("liar", lies), ("hangs", hangs)]);
    let (directory, meter) = (directory(), Meter::default());
    let into = directory.path().join("blob");
    assert!(meter.reports().is_empty(), "nobody was asked");
    let is_found = || meter.reports().iter().any(|report| report.passed_over);
    let fetched = fetch_metered(&blob, &sources, &into, QUICK, &meter);
    let found = async {
        while !is_found() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = fetched => panic!("it waits for who hangs: {ended:?}"),
        () = found => {}
    }
    let reports = meter.reports();
    assert!(matches!(
        fault_of(&reports, "liar"),
        Some(Fault::Lied { .. })
    ));
    assert_eq!(fault_of(&reports, "hangs"), None);
}

#[tokio::test]
async fn two_fetches_of_one_file_do_not_meet() {
    let content = content(groups(20));
    let directory = directory();
    let hangs = manner(|answer| {
        answer.bytes.clear();
        answer.hangs = true;
    });
    let (blob, sources) = shelves(&content, &[("hangs", hangs)]);
    let (one, two) = tokio::join!(
        get_by(HASTY, &blob, &sources, directory.path()),
        get_by(HASTY, &blob, &sources, directory.path())
    );
    let busy = [&one, &two]
        .into_iter()
        .filter(|it| matches!(it, Err(FetchError::Busy { .. })));
    assert_eq!(busy.count(), 1, "{one:?} {two:?}");
}

#[tokio::test]
async fn what_cannot_be_is_not_fetched() {
    for (root, length) in [([1; 32], 0), ([1; 32], u64::MAX)] {
        let blob = Blob::new("data/", root, length);
        let error = get(&blob, &[], directory().path()).await.unwrap_err();
        assert!(matches!(error, FetchError::Impossible { .. }), "{error:?}");
    }
    let blob = Blob::new("data/", [1; 32], 5);
    let error = get(&blob, &[], directory().path()).await.unwrap_err();
    assert!(error.to_string().contains("none was named"), "{error}");
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_named() {
    let directory = directory();
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let (blob, shelf) = Shelf::honest(&content(5));
    let error = get(&blob, &[shelf], &file).await.unwrap_err();
    assert!(matches!(error, FetchError::Disk { .. }), "{error:?}");
    assert!(error.to_string().contains("file/blob"), "{error}");
}

/// What sources of a property test do.
#[derive(Clone, Debug)]
enum Habit {
    Lies(u64),
    Cuts(u64),
    Shortens,
}

fn habits() -> impl Strategy<Value = Habit> {
    prop_oneof![
        (0..groups(60) as u64).prop_map(Habit::Lies),
        (0..groups(60) as u64).prop_map(Habit::Cuts),
        Just(Habit::Shortens),
    ]
}

fn with_habit(habit: Habit) -> Manner {
    match habit {
        Habit::Lies(at) => lies_at(at),
        Habit::Cuts(after) => manner(move |answer| answer.bytes.truncate(after as usize)),
        Habit::Shortens => manner(|answer| answer.length = answer.length.saturating_sub(3)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn one_honest_source_is_enough(
        length in 1..groups(60),
        habits in prop::collection::vec(habits(), 0..4),
    ) {
        let content = content(length);
        let mut all: Vec<(&str, Manner)> = vec![];
        all.extend(habits.iter().cloned().map(|habit| ("bad", with_habit(habit))));
        all.push(("honest", honest()));
        let (blob, sources) = shelves(&content, &all);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (outcome, got) = runtime.block_on(get(&blob, &sources, directory().path())).unwrap();
        prop_assert_eq!(got, content);
        let honest = outcome.sources.last().unwrap();
        prop_assert!(!honest.passed_over && honest.fault.is_none());
    }

    #[test]
    fn nothing_comes_whole_from_a_liar(
        length in 1..groups(60),
        at in any::<prop::sample::Index>(),
    ) {
        let content = content(length);
        let lie = lies_at(at.index(length) as u64);
        let (blob, sources) = shelves(&content, &[("liar", lie)]);
        let directory = directory();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let error = runtime.block_on(get(&blob, &sources, directory.path())).unwrap_err();
        let no_source = matches!(error, FetchError::NoSource { .. });
        prop_assert!(no_source);
        prop_assert!(!directory.path().join("blob").exists());
    }
}
