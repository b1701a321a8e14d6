//! How often a file is read in a store, and published again: in a directory, and in a store beyond this machine.

use std::sync::atomic::AtomicUsize;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

/// Bytes of the file: so few that it has no outboard.
const LENGTH: usize = 1_000;

#[test]
fn bytes_are_read_once_at_each_moment_and_with_each_block_in_a_directory() {
    let reads = Reads::default();
    assert_eq!(
        reads.due(false),
        None,
        "it was read back when it was stored"
    );
    assert!(reads.due(true).is_some());
    for moment in [Moment::Committed, Moment::Revealing] {
        for _ in 0..2 {
            reads.reach(moment);
            assert!(reads.due(false).is_some(), "it was not read yet");
        }
        let reached = reads.due(false).expect("it is due");
        reads.are_done(reached);
        assert_eq!(reads.due(false), None);
        assert!(reads.due(true).is_some());
    }
    // Blocks are taken back, and come again.
    reads.reach(Moment::Committed);
    assert_eq!(reads.due(false), None);
}

#[test]
fn what_came_up_while_bytes_were_read_has_them_read_again() {
    let reads = Reads::default();
    reads.reach(Moment::Committed);
    let begun = reads.due(false).expect("it is due");
    reads.reach(Moment::Revealing);
    reads.are_done(begun);
    assert!(reads.due(false).is_some());
}

#[test]
fn what_came_to_nothing_before_a_moment_does_not_count_at_it() {
    let reads = Reads::default();
    assert!(reads.reach(Moment::Committed) && !reads.reach(Moment::Committed));
    let committed = reads.due(false).expect("it is due");
    reads.are_not_done(committed);
    assert!(reads.reach(Moment::Revealing));
    let revealing = reads.due(false).expect("it is due");
    for _ in 1..MOST_READS {
        reads.are_not_done(revealing);
        assert!(reads.due(false).is_some());
    }
    reads.are_not_done(revealing);
    assert_eq!(reads.due(false), None);
}

#[test]
fn a_pause_is_over_after_blocks_that_nobody_looked_at() {
    let mut pause = Pause {
        next: LONGEST_PAUSE,
        ..Pause::default()
    };
    assert!(pause.is_over_at(1) && !pause.failed());
    assert!(!pause.is_over_at(2));
    assert!(pause.is_over_at(12));
}

#[test]
fn after_a_publication_that_came_to_nothing_longer_and_longer_pauses_are_made() {
    let mut pause = Pause::default();
    let mut tried = Vec::new();
    for block in 1..=40 {
        // With each block and again once another one is final.
        for _ in 0..2 {
            if pause.is_over_at(block) {
                tried.push(block);
                pause.failed();
            }
        }
    }
    assert_eq!(tried, [1, 1, 3, 7, 15, 23, 31, 39]);
    pause.worked();
    assert!(pause.is_over_at(40));
    assert!(pause.failed() && !pause.failed(), "it begins anew");
}

/// What a store beyond this machine does when it is asked for bytes.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Says that it has them, and does not send them.
    Fails,
    /// Sends others.
    Changes,
}

/// Such a store, which takes nothing, and how often bytes were asked for of it.
struct Beyond {
    store: Store,
    reads: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Beyond {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Beyond {
    async fn with(manner: Manner) -> Beyond {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let reads = Arc::new(AtomicUsize::new(0));
        let counter = reads.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                // A client that goes away is no concern of ours.
                let _ = answer(socket, manner, &counter).await;
            }
        });
        let store = Store::open(&format!("http://{address}/store")).expect("on this machine");
        assert!(store.directory().is_none());
        Beyond { store, reads, task }
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

/// Answers one request, and closes the connection.
async fn answer(mut socket: TcpStream, manner: Manner, reads: &AtomicUsize) -> io::Result<()> {
    let mut asked = Vec::new();
    while !asked.windows(4).any(|four| four == b"\r\n\r\n") {
        if socket.read_buf(&mut asked).await? == 0 {
            return Ok(());
        }
    }
    let is_read = asked.starts_with(b"GET");
    reads.fetch_add(usize::from(is_read), Ordering::SeqCst);
    let last = LENGTH - 1;
    let (status, length) = match (is_read, manner) {
        (false, _) => (String::from("200 OK"), LENGTH),
        (true, Manner::Fails) => (String::from("400 Bad Request"), 0),
        (true, Manner::Changes) => {
            let range = format!("content-range: bytes 0-{last}/{LENGTH}");
            (format!("206 Partial Content\r\n{range}"), LENGTH)
        }
    };
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    if is_read {
        socket.write_all(&vec![9; length]).await?;
    }
    socket.shutdown().await
}

/// A contribution that is stored, and where its copy is.
fn outgoing() -> (tempfile::TempDir, Outgoing) {
    let directory = tempfile::tempdir().expect("a directory");
    let content = vec![7; LENGTH];
    let root = SealedRoot::from(*blake3::hash(&content).as_bytes());
    let copy = place(directory.path(), &root);
    std::fs::write(&copy, content).expect("room");
    let outgoing = Outgoing {
        round: 3,
        prefix: paths::contributions(1, 3),
        root,
        length: LENGTH as u64,
        copy,
        is_stored: true,
        is_of_before: false,
        asked: Arc::default(),
        reads: Arc::default(),
        pause: Arc::default(),
    };
    (directory, outgoing)
}

#[tokio::test]
async fn a_store_that_does_not_send_all_is_asked_for_it_twice_at_each_moment() {
    let beyond = Beyond::with(Manner::Fails).await;
    let (_directory, own) = outgoing();
    let mut tried = Vec::new();
    for moment in [Moment::Committed, Moment::Revealing] {
        own.reads.reach(moment);
        for _ in 0..5 {
            own.repair(&beyond.store)
                .await
                .expect("it has lost nothing");
        }
        tried.push(beyond.reads());
    }
    let most = usize::from(MOST_READS);
    assert_eq!(tried, [most, 2 * most]);
}

/// Whether the store took all of a file whose publication ended so.
fn was_sent(error: StoreError) -> bool {
    let lost = Lost::published("it is gone", &error);
    assert!(lost.why.contains(&error.to_string()), "{}", lost.why);
    lost.was_sent
}

#[test]
fn only_what_is_read_back_in_vain_was_sent_whole() {
    let (store, path) = (String::from("s3://bucket/run"), String::from("a-file"));
    let damaged = StoreError::Damaged {
        store: store.clone(),
        path: path.clone(),
        at: 0,
    };
    let gone = StoreError::NotFound {
        store: store.clone(),
        path: path.clone(),
    };
    let full = StoreError::DiskFull { store, path };
    assert!(was_sent(damaged) && was_sent(gone));
    assert!(!was_sent(full));
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_tried_with_each_block() {
    let beyond = Beyond::with(Manner::Changes).await;
    let (_directory, own) = outgoing();
    own.reach(Moment::Committed);
    let failed = AtomicUsize::new(0);
    let count = || {
        failed.fetch_add(1, Ordering::SeqCst);
    };
    for block in 1..=30 {
        assert!(own.is_due(block), "{block}");
        let read = beyond.reads();
        own.see_to(|| own.repair(&beyond.store), count).await;
        assert!(beyond.reads() > read);
    }
    assert_eq!(failed.load(Ordering::SeqCst), 30);
}

#[tokio::test]
async fn a_store_that_does_not_keep_what_it_took_is_sent_it_less_and_less_often() {
    let (_directory, own) = outgoing();
    own.reach(Moment::Committed);
    let failed = AtomicUsize::new(0);
    let count = || {
        failed.fetch_add(1, Ordering::SeqCst);
    };
    let unkept = || async {
        Err::<(), _>(Lost {
            why: String::from("it was sent, and is gone"),
            was_sent: true,
        })
    };
    let mut tried = Vec::new();
    for block in 1..=30 {
        if own.is_due(block) {
            own.see_to(unkept, count).await;
            tried.push(block);
        }
    }
    assert_eq!(tried, [1, 2, 4, 8, 16, 24]);
    assert_eq!(failed.load(Ordering::SeqCst), tried.len());
    // What is missing when keys are revealed costs the round.
    assert!(!own.is_due(30));
    own.reach(Moment::Revealing);
    assert!(own.is_due(30));
}

#[tokio::test]
async fn a_long_file_in_a_directory_is_read_at_moments_and_a_short_one_with_each_block() {
    let (directory, own) = outgoing();
    let store = Store::create_in(&directory.path().join("store")).expect("room");
    let published = store.publish(&own.prefix, own.copy.as_path()).await;
    published.expect("room");
    let file = store.directory().expect("it is one");
    let file = file.join(paths::blob(&own.prefix, own.root.bytes()));
    std::fs::write(&file, vec![9; LENGTH]).expect("room");
    own.repair(&store).await.expect("it is published again");
    let found = std::fs::read(&file).expect("it is there");
    assert_eq!(found, vec![7; LENGTH]);
    let longest = |length| Outgoing {
        length,
        ..own.clone()
    };
    assert!(longest(READ_EACH_BLOCK).reads_now(&store).is_some());
    let long = longest(READ_EACH_BLOCK + 1);
    assert_eq!(long.reads_now(&store), None);
    long.reads.reach(Moment::Committed);
    assert!(long.reads_now(&store).is_some());
}
