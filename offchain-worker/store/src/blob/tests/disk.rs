//! What a kill leaves, and what happens to it.

use std::{fs, path::Path, sync::Arc};

use proptest::prelude::*;

use super::{
    super::{
        bitmap::Bitmap,
        fetch::TOGETHER,
        partial::{beside, make_outboard, outboard_of},
        tree::Tree,
        Source, GROUP,
    },
    content, groups,
    several::get,
    shelf::Shelf,
};

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // A file may be renamed while it is listed: a kill sees the same.
        let _ = fs::copy(entry.path(), to.join(entry.file_name()));
    }
}

/// A fetch that ends at each group in turn, and then goes on.
#[tokio::test]
async fn a_fetch_goes_on_after_an_abort_at_any_group() {
    let count = 40;
    let content = content(groups(count));
    for stops_at in 0..=count {
        let directory = tempfile::tempdir().unwrap();
        let end = groups(stops_at) as u64;
        let manner = Arc::new(move |answer: &mut super::shelf::Answer| {
            if !answer.is_outboard {
                answer
                    .bytes
                    .truncate(end.saturating_sub(answer.range.start) as usize);
            }
        });
        let (blob, shelf) = Shelf::new("stops", &content, manner);
        let stopped = get(&blob, &[shelf as _], directory.path()).await;
        assert_eq!(stopped.is_ok(), stops_at == count);
        let (blob, shelf) = Shelf::honest(&content);
        let (outcome, got) = get(&blob, &[shelf.clone() as _], directory.path())
            .await
            .unwrap();
        assert_eq!(got, content);
        assert_eq!(outcome.resumed, end);
        assert_eq!(shelf.handed(), content.len() as u64 - end);
    }
}

/// A kill is a copy of the disk in the middle of it: nobody gets to say goodbye.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_time_costs_less_than_two_intervals_of_the_bitmap() {
    let content = content(groups(400) + 1);
    let (blob, shelf) = Shelf::honest(&content);
    let (here, kills) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (here.path().to_path_buf(), kills.path().to_path_buf());
    shelf.watched_by(Arc::new(move |before| {
        let chunk = before / (3 * GROUP / 4);
        if chunk % 50 == 3 {
            let to = to.join(before.to_string());
            fs::create_dir(&to).unwrap();
            copy(&from, &to);
        }
    }));
    get(&blob, &[shelf as _], here.path()).await.unwrap();
    let mut kills: Vec<_> = fs::read_dir(kills.path()).unwrap().collect();
    assert!(kills.len() > 8);
    for kill in kills.drain(..) {
        let kill = kill.unwrap();
        let before: u64 = kill.file_name().into_string().unwrap().parse().unwrap();
        let (blob, shelf) = Shelf::honest(&content);
        let (_, got) = get(&blob, &[shelf.clone() as _], &kill.path())
            .await
            .unwrap();
        assert_eq!(got, content);
        let twice = (before + shelf.handed()).saturating_sub(content.len() as u64);
        // An interval, what was at hand together, and two groups in chunks.
        let most = 64 + TOGETHER as u64 + 2;
        assert!(
            twice <= most * GROUP,
            "{twice} bytes came twice after {before}"
        );
    }
}

#[tokio::test]
async fn a_meter_shows_what_is_there() {
    let content = content(groups(100) + 7);
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("blob");
    let fetched = |shelf: Arc<Shelf>, blob: super::super::Blob, begins: u64| {
        let (into, meter) = (into.clone(), super::super::Meter::default());
        let seen = meter.clone();
        shelf.watched_by(Arc::new(move |before| {
            let there = seen.bytes();
            assert!((begins..=begins + before).contains(&there), "{there}");
        }));
        async move {
            let (sources, patience) = ([shelf as Arc<dyn Source>], super::several::QUICK);
            let ended = super::super::fetch_metered(&blob, &sources, &into, patience, &meter).await;
            (ended.is_ok(), meter.bytes(), meter.resumed())
        }
    };
    let stops = Arc::new(|answer: &mut super::shelf::Answer| {
        if !answer.is_outboard {
            let end = groups(40).saturating_sub(answer.range.start as usize);
            answer.bytes.truncate(end);
        }
    });
    let (blob, shelf) = Shelf::new("stops", &content, stops);
    let part = groups(40) as u64;
    assert_eq!(fetched(shelf, blob, 0).await, (false, part, 0));
    let (blob, shelf) = Shelf::honest(&content);
    let all = content.len() as u64;
    assert_eq!(fetched(shelf, blob, part).await, (true, all, part));
    let (blob, shelf) = Shelf::honest(&content);
    let found = fetched(shelf, blob, all).await;
    assert_eq!(found, (true, all, all), "it is there");
}

#[test]
fn the_bitmap_of_a_long_blob_is_written_often_enough() {
    // What is lost at a kill: one interval, and what four sources have at hand. Sockets hold more than that.
    for gibibytes in [1, 291, 4_096] {
        let tree = Tree::new([0; 32], gibibytes << 30).unwrap();
        let lost = super::super::partial::save_every(&tree) + 4 * TOGETHER as u64;
        assert!(lost * 500 < tree.groups(), "{gibibytes}");
    }
}

#[tokio::test]
async fn a_fetch_that_is_dropped_keeps_what_came() {
    let content = content(groups(100));
    let directory = tempfile::tempdir().unwrap();
    let hangs = Arc::new(|answer: &mut super::shelf::Answer| {
        if !answer.is_outboard {
            answer
                .bytes
                .truncate(groups(10).saturating_sub(answer.range.start as usize));
            answer.hangs = true;
        }
    });
    let (blob, shelf) = Shelf::new("hangs", &content, hangs);
    let came = shelf.handed.clone();
    let (into, asked) = (directory.path().join("blob"), blob.clone());
    let patience = super::super::Patience::default();
    let task = tokio::spawn(async move {
        let sources: [Arc<dyn Source>; 1] = [shelf];
        super::super::fetch(&asked, &sources, &into, patience).await
    });
    while came.load(std::sync::atomic::Ordering::SeqCst) < groups(10) as u64 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // A write that was under way may hold the file a moment longer.
    let (blob, shelf) = Shelf::honest(&content);
    let outcome = loop {
        match get(&blob, &[shelf.clone() as _], directory.path()).await {
            Err(super::super::FetchError::Busy { .. }) => tokio::task::yield_now().await,
            outcome => break outcome.unwrap().0,
        }
    };
    assert!(outcome.resumed >= groups(9) as u64, "{outcome:?}");
}

#[test]
fn a_file_and_its_bytes_have_the_same_outboard() {
    let directory = tempfile::tempdir().unwrap();
    for length in [
        0,
        1,
        groups(16),
        groups(16) + 1,
        groups(33),
        groups(100) - 1,
    ] {
        let file = directory.path().join("file");
        let content = content(length);
        fs::write(&file, &content).unwrap();
        let made = make_outboard(&file, &beside(&file, ".outboard")).unwrap();
        let (tree, outboard) = outboard_of(&content);
        assert_eq!(made, tree);
        if !tree.is_small() {
            assert_eq!(fs::read(beside(&file, ".outboard")).unwrap(), outboard);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any groups may be there already, and what the bitmap says of them is not believed.
    #[test]
    fn any_groups_on_disk_are_kept_if_they_are_good(
        length in groups(17)..groups(50),
        there in prop::collection::vec(any::<bool>(), 50),
        claimed in prop::collection::vec(any::<bool>(), 50),
        damage in prop::option::of((any::<prop::sample::Index>(), 0u8..8)),
        pairs in any::<prop::sample::Index>(),
    ) {
        let content = content(length);
        let (tree, outboard) = outboard_of(&content);
        let directory = tempfile::tempdir().unwrap();
        let into = directory.path().join("blob");
        let mut partial = vec![0; length];
        let mut bitmap = Bitmap::new(tree.groups());
        for group in 0..tree.groups() {
            let range = tree.bytes(group);
            let range = range.start as usize..range.end as usize;
            if there[group as usize] {
                partial[range.clone()].copy_from_slice(&content[range]);
            }
            bitmap.put(group, claimed[group as usize]);
        }
        if let Some((at, bit)) = damage {
            partial[at.index(length)] ^= 1 << bit;
        }
        let good = |group: &u64| {
            let range = tree.bytes(*group);
            let range = range.start as usize..range.end as usize;
            claimed[*group as usize] && partial[range.clone()] == content[range]
        };
        let kept: u64 = (0..tree.groups())
            .filter(good)
            .map(|group| tree.bytes(group).end - tree.bytes(group).start)
            .sum();
        fs::write(beside(&into, ".partial"), &partial).unwrap();
        fs::write(beside(&into, ".bitmap"), bitmap.encode(&tree)).unwrap();
        let have = pairs.index(outboard.len() + 1);
        fs::write(beside(&into, ".outboard"), &outboard[..have]).unwrap();
        let (blob, shelf) = Shelf::honest(&content);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let got = runtime.block_on(get(&blob, &[shelf.clone() as _], directory.path()));
        let (outcome, got) = got.unwrap();
        prop_assert_eq!(got, content);
        prop_assert_eq!(outcome.resumed, kept);
        prop_assert_eq!(outcome.fetched, length as u64 - kept);
    }

    /// Whatever lies where a fetch keeps its own files.
    #[test]
    fn any_files_may_lie_in_the_way(
        partial in prop::collection::vec(any::<u8>(), 0..500),
        bitmap in prop::collection::vec(any::<u8>(), 0..500),
        outboard in prop::collection::vec(any::<u8>(), 0..500),
        blob in prop::option::of(prop::collection::vec(any::<u8>(), 0..500)),
    ) {
        let content = content(groups(17));
        let directory = tempfile::tempdir().unwrap();
        let into = directory.path().join("blob");
        fs::write(beside(&into, ".partial"), partial).unwrap();
        fs::write(beside(&into, ".bitmap"), bitmap).unwrap();
        fs::write(beside(&into, ".outboard"), outboard).unwrap();
        if let Some(blob) = blob {
            fs::write(&into, blob).unwrap();
        }
        let (blob, shelf) = Shelf::honest(&content);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let got = runtime.block_on(get(&blob, &[shelf as _], directory.path()));
        prop_assert_eq!(got.unwrap().1, content);
    }
}
