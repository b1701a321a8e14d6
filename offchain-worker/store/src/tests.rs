//! A store on a disk of its own, and one that never answers.

use std::{
    fs,
    path::{Path as FilePath, PathBuf},
};

use object_store::{
    memory::InMemory,
    throttle::{ThrottleConfig, ThrottledStore},
};
use tempfile::TempDir;

use super::*;

const PREFIX: &str = "contributions/1/2/";

fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&url_of(directory.path())).unwrap();
    (directory, store)
}

fn url_of(path: &FilePath) -> String {
    url::of_directory(path).unwrap()
}

fn file_of(directory: &TempDir, root: &[u8; 32]) -> PathBuf {
    directory.path().join(paths::blob(PREFIX, root))
}

#[tokio::test]
async fn what_is_put_is_got() {
    let (_directory, store) = store();
    store
        .put("a/b/c", Bytes::from_static(b"one"))
        .await
        .unwrap();
    store
        .put("a/b/c", Bytes::from_static(b"two"))
        .await
        .unwrap();
    assert_eq!(store.get("a/b/c", 3).await.unwrap().as_ref(), b"two");
    assert!(store.exists("a/b/c").await.unwrap());
    assert!(!store.exists("a/b").await.unwrap());
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let (_directory, store) = store();
    let root = store.put_blob(paths::DATA, Bytes::new()).await.unwrap();
    assert_eq!(root, *blake3::hash(b"").as_bytes());
    assert!(store
        .get_blob(paths::DATA, &root, 0)
        .await
        .unwrap()
        .is_empty());
}

#[tokio::test]
async fn two_stores_on_one_directory_are_one() {
    let (directory, first) = store();
    let second = Store::open(&url_of(directory.path())).unwrap();
    let root = first
        .put_blob(PREFIX, Bytes::from_static(b"shared"))
        .await
        .unwrap();
    assert!(second.has_blob(PREFIX, &root).await.unwrap());
    assert_eq!(
        second.get_blob(PREFIX, &root, 6).await.unwrap().as_ref(),
        b"shared"
    );
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let (_directory, store) = store();
    let error = store.get_blob(PREFIX, &[7; 32], 10).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(&paths::blob(PREFIX, &[7; 32])) && text.contains(store.url()),
        "{text}"
    );
    store.put("a", Bytes::new()).await.unwrap();
    // Below a file there is nothing either.
    let error = store.get("a/b", 10).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn truncated_and_flipped_blobs_are_found_out_and_can_be_replaced() {
    let (directory, store) = store();
    let content = Bytes::from(vec![42u8; 10_000]);
    let root = store.put_blob(PREFIX, content.clone()).await.unwrap();
    let mut flipped = content.to_vec();
    flipped[5_000] ^= 1;
    for damage in [&content[..9_999], flipped.as_slice(), b""] {
        fs::write(file_of(&directory, &root), damage).unwrap();
        let error = store.get_blob(PREFIX, &root, 10_000).await.unwrap_err();
        let hex = blake3::hash(damage).to_hex().to_string();
        assert!(
            matches!(&error, StoreError::RootMismatch { found, .. } if *found == hex),
            "{error:?}"
        );
    }
    assert_eq!(store.put_blob(PREFIX, content.clone()).await.unwrap(), root);
    assert_eq!(
        store.get_blob(PREFIX, &root, 10_000).await.unwrap(),
        content
    );
}

#[tokio::test]
async fn a_file_longer_than_its_reader_takes_is_refused() {
    let (_directory, store) = store();
    store.put("a", Bytes::from(vec![0; 11])).await.unwrap();
    let error = store.get("a", 10).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::TooLarge {
                length: 11,
                limit: 10,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(store.get("a", 11).await.unwrap().len(), 11);
}

#[tokio::test]
async fn a_sparse_giant_is_refused_before_it_is_read() {
    let (directory, store) = store();
    let file = fs::File::create(directory.path().join("giant")).unwrap();
    file.set_len(1 << 40).unwrap();
    let error = store.get("giant", 1 << 20).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::TooLarge {
                length: 1_099_511_627_776,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_the_same_blob_do_not_disturb_each_other_or_readers() {
    let (directory, first) = store();
    let content = Bytes::from(vec![7u8; 300_000]);
    let root = first.put_blob(PREFIX, content.clone()).await.unwrap();
    let second = Store::open(&url_of(directory.path())).unwrap();
    let tasks: Vec<_> = (0..24)
        .map(|task| {
            let store = if task % 2 == 0 {
                first.clone()
            } else {
                second.clone()
            };
            let content = content.clone();
            tokio::spawn(async move {
                if task % 3 == 0 {
                    store
                        .get_blob(PREFIX, &root, 300_000)
                        .await
                        .map(|read| assert_eq!(read, content))
                } else {
                    store
                        .put_blob(PREFIX, content)
                        .await
                        .map(|put| assert_eq!(put, root))
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(
        first.list("").await.unwrap().len(),
        1,
        "nothing is left over"
    );
}

#[tokio::test]
async fn what_a_killed_writer_left_is_not_listed() {
    let (directory, store) = store();
    let root = store
        .put_blob(PREFIX, Bytes::from_static(b"whole"))
        .await
        .unwrap();
    let mut leftover = file_of(&directory, &root).into_os_string();
    leftover.push("#1");
    fs::write(leftover, b"wh").unwrap();
    fs::write(
        directory.path().join("contributions/1/2/~ strange name"),
        b"",
    )
    .unwrap();
    let listed = store.list("contributions/1").await.unwrap();
    assert_eq!(
        listed,
        vec![Entry {
            path: paths::blob(PREFIX, &root),
            length: 5
        }]
    );
    // Its staging name does not stand in the way of the next writer.
    assert_eq!(
        store
            .put_blob(PREFIX, Bytes::from_static(b"whole"))
            .await
            .unwrap(),
        root
    );
}

#[tokio::test]
async fn lists_are_in_order_and_end_at_directories() {
    let (_directory, store) = store();
    for path in ["b/2", "b/10", "a/1", "bb/1"] {
        store.put(path, Bytes::from_static(b"x")).await.unwrap();
    }
    let paths = |entries: Vec<Entry>| entries.into_iter().map(|e| e.path).collect::<Vec<_>>();
    assert_eq!(
        paths(store.list("").await.unwrap()),
        ["a/1", "b/10", "b/2", "bb/1"]
    );
    assert_eq!(paths(store.list("b/").await.unwrap()), ["b/10", "b/2"]);
    assert!(store.list("nothing").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_list_has_an_end() {
    let files = Arc::new(InMemory::new());
    for index in 0..=MAX_LISTED {
        files
            .put(&Path::from(format!("a/{index}")), PutPayload::new())
            .await
            .unwrap();
    }
    let store = Store::over("memory", files.clone());
    let error = store.list("a").await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::TooMany {
                limit: MAX_LISTED,
                ..
            }
        ),
        "{error:?}"
    );
    store.delete("a/0").await.unwrap();
    assert_eq!(store.list("a").await.unwrap().len(), MAX_LISTED);
}

#[tokio::test]
async fn deleting_twice_is_deleting_once() {
    let (_directory, store) = store();
    store.put("a", Bytes::new()).await.unwrap();
    store.delete("a").await.unwrap();
    store.delete("a").await.unwrap();
    assert!(!store.exists("a").await.unwrap());
}

#[tokio::test]
async fn a_writable_store_says_so_and_keeps_nothing_of_it() {
    let (directory, store) = store();
    store.check_writable().await.unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_store_that_takes_nothing_says_so() {
    let (directory, store) = store();
    // The directory is replaced by a file: nobody, not even root, can write below it.
    let path = directory.path().to_path_buf();
    fs::remove_dir(&path).unwrap();
    fs::write(&path, b"").unwrap();
    let error = store.check_writable().await.unwrap_err();
    assert!(matches!(error, StoreError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains(store.url()), "{error}");
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_store_that_cannot_be_made_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    for path in [file.join("below"), file] {
        for open in [Store::open, Store::create] {
            let error = open(&url_of(&path)).unwrap_err();
            assert!(matches!(error, StoreError::CannotOpen { .. }), "{error:?}");
        }
    }
}

#[test]
fn a_missing_directory_is_made_by_who_writes_and_named_to_who_reads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b with space");
    let error = Store::open(&url_of(&path)).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("/a/b%20with%20space"), "{text}");
    assert!(
        text.contains("/a/b with space") && text.contains("--store"),
        "{text}"
    );
    assert!(!path.parent().unwrap().exists(), "reading makes nothing");
    Store::create(&url_of(&path)).unwrap();
    assert!(path.is_dir());
    Store::open(&url_of(&path)).unwrap();
}

/// What means something in a URL or to the library underneath is a name like any other.
#[tokio::test]
async fn a_store_may_lie_in_a_directory_of_any_name() {
    let directory = tempfile::tempdir().unwrap();
    for name in [
        "k#1", "what?", "100%", "100%25", "a b ", "größe", "x&y=z", "[a]{b}", "*",
    ] {
        let store = Store::create_in(&directory.path().join(name)).unwrap();
        let root = store
            .put_blob(PREFIX, Bytes::from_static(b"x"))
            .await
            .unwrap();
        let again = Store::open(store.url()).unwrap();
        assert_eq!(
            again.get_blob(PREFIX, &root, 1).await.unwrap().as_ref(),
            b"x"
        );
        let listed = again.list("contributions").await.unwrap();
        assert_eq!(listed.len(), 1, "{name}");
        assert!(directory.path().join(name).join(&listed[0].path).is_file());
    }
    let made = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(made, 9, "nothing was made under another name");
}

#[test]
fn urls_that_are_no_stores_say_what_is_supported() {
    for url in ["gs://bucket", "ftp://host/x", "memory:///"] {
        let error = Store::open(url).unwrap_err();
        assert!(
            matches!(error, StoreError::UnsupportedScheme { .. }),
            "{error:?}"
        );
        assert!(
            error.to_string().contains("file:///absolute/path"),
            "{error}"
        );
    }
    for url in [
        "",
        "/tmp/store",
        "./store",
        "file://host/x",
        "file:///a?b",
        "C:\\store",
    ] {
        let error = Store::open(url).unwrap_err();
        assert!(
            matches!(error, StoreError::InvalidUrl { .. }),
            "{url}: {error:?}"
        );
        assert!(
            error.to_string().contains("file:///absolute/path"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn no_path_leads_out_of_the_store() {
    let (_directory, store) = store();
    for path in ["../x", "a/../../x", "/etc/passwd", "a//b", ""] {
        for result in [
            store.put(path, Bytes::new()).await.err(),
            store.get(path, 1).await.err(),
            store.exists(path).await.err(),
            store.delete(path).await.err(),
        ] {
            assert!(
                matches!(result, Some(StoreError::InvalidPath { .. })),
                "{path}: {result:?}"
            );
        }
    }
}

/// What is read of a file of 100,000 bytes, of which so many are allowed, and its longest chunk.
async fn read_of(store: &Store, max_len: u64) -> Result<(Vec<u8>, usize), StoreError> {
    let mut reading = store.read("a", max_len).await?;
    assert_eq!(reading.length(), 100_000);
    let (mut bytes, mut longest) = (Vec::new(), 0);
    while let Some(chunk) = reading.next().await? {
        bytes.extend_from_slice(&chunk);
        longest = longest.max(chunk.len());
    }
    Ok((bytes, longest))
}

#[tokio::test]
async fn a_file_is_read_chunk_by_chunk() {
    let (_directory, store) = store();
    let content: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
    store.put("a", content.clone().into()).await.unwrap();
    let (bytes, longest) = read_of(&store, 100_000).await.unwrap();
    assert_eq!(bytes, content);
    assert!(longest < content.len(), "{longest}");
    assert!(matches!(
        read_of(&store, 99_999).await,
        Err(StoreError::TooLarge {
            length: 100_000,
            ..
        })
    ));
    let missing = store.read("b", 1).await.map(drop);
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn what_grows_while_it_is_read_is_given_up() {
    let (_directory, store) = store();
    store.put("a", Bytes::from(vec![1; 10])).await.unwrap();
    let mut reading = store.read("a", 20).await.unwrap();
    let chunks = [(); 3].map(|()| Ok(Bytes::from_static(&[1; 10])));
    reading.chunks = futures::stream::iter(chunks).boxed();
    for _ in 0..2 {
        assert_eq!(reading.next().await.unwrap().unwrap().len(), 10);
    }
    let error = reading.next().await.unwrap_err();
    assert!(matches!(
        error,
        StoreError::TooLarge {
            length: 30,
            limit: 20,
            ..
        }
    ));
}

/// A local file that is cut off while it is read gives empty chunks for ever.
#[tokio::test]
async fn what_is_cut_off_while_it_is_read_ends() {
    let (_directory, store) = store();
    store.put("a", Bytes::from(vec![1; 10])).await.unwrap();
    let mut reading = store.read("a", 20).await.unwrap();
    let some = |length: usize| Ok(Bytes::from(vec![1; length]));
    let first = [some(4), some(0), some(3)];
    let rest = std::iter::repeat_with(move || some(0));
    reading.chunks = futures::stream::iter(first.into_iter().chain(rest)).boxed();
    for expected in [Some(4), Some(3), None] {
        let chunk = reading.next().await.unwrap();
        assert_eq!(chunk.map(|chunk| chunk.len()), expected);
    }
}

/// A deadline that passes at once, beside which an hour is for ever.
const SHORT: Duration = Duration::from_millis(1);

fn at_once() -> Deadlines {
    Deadlines {
        base: SHORT,
        per_mebibyte: SHORT,
    }
}

/// A store that answers after an hour.
async fn hung() -> Store {
    let hour = Duration::from_secs(3_600);
    let memory = InMemory::new();
    memory
        .put(&Path::from("a"), PutPayload::from_static(b"abc"))
        .await
        .unwrap();
    let slow = ThrottleConfig {
        wait_get_per_call: hour,
        wait_put_per_call: hour,
        wait_delete_per_call: hour,
        wait_list_per_call: hour,
        ..ThrottleConfig::default()
    };
    let files = Arc::new(ThrottledStore::new(memory, slow));
    Store::over("hung", files).with_deadlines(at_once())
}

#[tokio::test]
async fn every_operation_ends_by_its_deadline() {
    let store = hung().await;
    for result in [
        store.put("b", Bytes::new()).await.err(),
        store.get("a", 3).await.err(),
        store.exists("a").await.err(),
        store.list("").await.err(),
        store.delete("a").await.err(),
    ] {
        assert!(
            matches!(result, Some(StoreError::TimedOut { deadline, .. }) if deadline == SHORT),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_stalls_ends_by_its_deadline() {
    let memory = InMemory::new();
    memory
        .put(&Path::from("a"), PutPayload::from_static(b"abc"))
        .await
        .unwrap();
    let slow = ThrottleConfig {
        wait_get_per_byte: Duration::from_secs(3_600),
        ..ThrottleConfig::default()
    };
    let files = Arc::new(ThrottledStore::new(memory, slow));
    let store = Store::over("slow", files).with_deadlines(at_once());
    let error = store.get("a", 3).await.unwrap_err();
    assert!(
        matches!(error, StoreError::TimedOut { deadline, .. } if deadline > SHORT),
        "{error:?}"
    );
}

#[test]
fn deadlines_grow_with_size_and_never_overflow() {
    let deadlines = Deadlines::default();
    assert_eq!(deadlines.of(0).as_secs(), 30);
    assert_eq!(deadlines.of(1).as_secs(), 31);
    assert_eq!(deadlines.of(600 << 20).as_secs(), 630);
    assert!(deadlines.of(u64::MAX) >= Duration::from_secs(u64::from(u32::MAX)));
}
