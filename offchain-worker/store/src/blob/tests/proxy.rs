//! A bucket at the end of a bad line: an HTTP/1.1 proxy in this process that cuts, delays, answers 503 and lies.

use std::{
    net::SocketAddr,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    super::{Blob, Fault, Patience, GROUP},
    content, groups,
    s3::{open, Bucket},
    several::{get, get_by, only_fault, HASTY, QUICK},
};
use crate::{paths, Store, StoreError};

/// What is done with one request.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// It goes through.
    Through,
    /// 503, and the bucket does not hear of it.
    Busy,
    /// So many bytes of the answer's body, then the connection is closed.
    Cut(usize),
    /// The answer comes in small pieces, others' turns between them.
    Slow,
    /// No answer, ever.
    Hang,
    /// A byte of the answer's body is changed.
    Flip,
    /// A byte of the request's body is changed.
    FlipSent,
    /// This answer, and the bucket does not hear of it.
    Says(&'static str),
}

/// What servers say that have no room.
const FULL: [&str; 2] = [
    "HTTP/1.1 507 Insufficient Storage\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\ncontent-length: 41\r\n\r\n\
     <Error><Code>QuotaExceeded</Code></Error>",
];
/// What one says whose credentials were good until now.
const EXPIRED: &str =
    "HTTP/1.1 400 Bad Request\r\ncontent-type: application/xml\r\ncontent-length: 40\r\n\r\n\
                       <Error><Code>ExpiredToken</Code></Error>";

/// A request on its way.
struct Passing {
    method: String,
    path: String,
    /// The how many-th it is.
    number: u64,
}

impl Passing {
    /// Whether a blob itself is asked for.
    fn reads_blob(&self) -> bool {
        self.method == "GET" && !self.path.ends_with(".outboard")
    }
}

type Habit = Arc<dyn Fn(&Passing) -> Turn + Send + Sync>;

struct Proxy {
    endpoint: String,
    requests: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    async fn start(to: SocketAddr, habit: Habit) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicU64::new(0));
        let counter = requests.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (habit, counter) = (habit.clone(), counter.clone());
                tokio::spawn(async move {
                    // Who goes away is no concern of ours.
                    let _ = pass(client, to, &*habit, &counter).await;
                });
            }
        });
        Proxy {
            endpoint,
            requests,
            task,
        }
    }

    /// The bucket as it is seen through this.
    fn store(&self, bucket: &Bucket) -> Store {
        let mut variables = bucket.variables();
        variables.insert("AWS_ENDPOINT_URL", self.endpoint.clone());
        open(&variables).unwrap()
    }
}

/// One request, after any number of refusals. Whoever asks again connects again.
async fn pass(
    mut client: TcpStream,
    to: SocketAddr,
    habit: &(dyn Fn(&Passing) -> Turn + Send + Sync),
    counter: &AtomicU64,
) -> std::io::Result<()> {
    let mut read = Vec::new();
    while let Some((head, mut body)) = request(&mut client, &mut read).await? {
        let mut words = head.split(' ').map(String::from);
        let turn = habit(&Passing {
            method: words.next().unwrap(),
            path: words.next().unwrap(),
            number: counter.fetch_add(1, Ordering::SeqCst),
        });
        match turn {
            Turn::Busy => {
                let busy = b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n";
                client.write_all(busy).await?;
                continue;
            }
            Turn::Says(answer) => {
                client.write_all(answer.as_bytes()).await?;
                continue;
            }
            Turn::Hang => std::future::pending().await,
            Turn::FlipSent => flip(&mut body),
            _ => {}
        }
        let answer = forward(to, &head, &body).await?;
        return hand_on(&mut client, answer, turn).await;
    }
    Ok(())
}

/// Head and body of the next request; `None` at the end.
async fn request(
    client: &mut TcpStream,
    read: &mut Vec<u8>,
) -> std::io::Result<Option<(String, Vec<u8>)>> {
    while head_of(read).is_none() {
        if client.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
    let end = head_of(read).unwrap();
    let head: Vec<u8> = read.drain(..end).collect();
    let head = String::from_utf8(head).unwrap();
    let lower = head.to_lowercase();
    let mut lines = lower.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |length| length.trim().parse().unwrap());
    while read.len() < length {
        if client.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some((head, read.drain(..length).collect())))
}

/// Where the head of a message ends, once it is whole.
fn head_of(message: &[u8]) -> Option<usize> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    end.map(|end| end + 4)
}

/// What the bucket answers, whole.
async fn forward(to: SocketAddr, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bucket = TcpStream::connect(to).await?;
    // What is signed stays as it is.
    let (first, rest) = head.split_once("\r\n").unwrap();
    let head = format!("{first}\r\nconnection: close\r\n{rest}");
    bucket.write_all(head.as_bytes()).await?;
    bucket.write_all(body).await?;
    let mut answer = Vec::new();
    bucket.read_to_end(&mut answer).await?;
    Ok(answer)
}

async fn hand_on(client: &mut TcpStream, mut answer: Vec<u8>, turn: Turn) -> std::io::Result<()> {
    let end = head_of(&answer).unwrap_or(answer.len());
    match turn {
        Turn::Cut(after) => answer.truncate(end.saturating_add(after)),
        Turn::Flip => flip(&mut answer[end..]),
        Turn::Slow => {
            for piece in answer.chunks(1 << 10) {
                client.write_all(piece).await?;
                tokio::task::yield_now().await;
            }
            return Ok(());
        }
        _ => {}
    }
    client.write_all(&answer).await
}

/// Changes the byte in the middle, if there is one.
fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
}

/// A bucket with one blob, and the same bucket at the end of a line with this habit.
async fn behind(content: &Bytes, habit: Habit) -> (Bucket, Blob, Proxy, Store) {
    let bucket = Bucket::start().await;
    let published = bucket.store().publish(paths::DATA, content.clone()).await;
    let blob = Blob::new(paths::DATA, published.unwrap(), content.len() as u64);
    let proxy = Proxy::start(bucket.address(), habit).await;
    let store = proxy.store(&bucket);
    (bucket, blob, proxy, store)
}

/// What becomes of who asks for a blob, if this is done with each request for it.
async fn fault_of(patience: Patience, content: &Bytes, turn: Turn) -> Fault {
    let habit: Habit = Arc::new(move |passing: &Passing| match passing.reads_blob() {
        true => turn,
        false => Turn::Through,
    });
    let (_bucket, blob, _proxy, store) = behind(content, habit).await;
    let directory = tempfile::tempdir().unwrap();
    only_fault(get_by(patience, &blob, &[store.source()], directory.path()).await)
}

#[tokio::test]
async fn what_a_bad_line_does_to_a_bucket_is_told_apart() {
    let content = content(groups(30));
    let lie = fault_of(QUICK, &content, Turn::Flip).await;
    assert!(matches!(lie, Fault::Lied { .. }), "{lie:?}");
    let busy = fault_of(QUICK, &content, Turn::Busy).await;
    assert!(busy.to_string().contains("503"), "{busy}");
    let cut = fault_of(QUICK, &content, Turn::Cut(100)).await;
    assert!(
        matches!(cut, Fault::Failed { .. } | Fault::Cut { .. }),
        "{cut:?}"
    );
    let hang = fault_of(HASTY, &content, Turn::Hang).await;
    assert!(matches!(hang, Fault::Stalled { .. }), "{hang:?}");
}

#[tokio::test]
async fn a_bucket_behind_a_line_that_stumbles_is_forgiven() {
    let content = content(groups(300));
    let stumbles: Habit = Arc::new(|passing: &Passing| match passing.number {
        // The second one brings the outboard.
        0 => Turn::Busy,
        2 => Turn::Cut(3 * GROUP as usize + 100),
        3 => Turn::Slow,
        _ => Turn::Through,
    });
    let (_bucket, blob, proxy, store) = behind(&content, stumbles).await;
    let directory = tempfile::tempdir().unwrap();
    let fetched = get(&blob, &[store.source()], directory.path()).await;
    let (outcome, got) = fetched.unwrap();
    assert_eq!(got, content);
    assert_eq!(outcome.fetched, content.len() as u64);
    assert!(proxy.requests.load(Ordering::SeqCst) >= 4);
}

#[tokio::test]
async fn of_two_lines_to_a_bucket_the_one_that_lies_is_named_and_passed_over() {
    let content = content(groups(100));
    let lies: Habit = Arc::new(|_: &Passing| Turn::Flip);
    let (bucket, blob, _proxy, store) = behind(&content, lies).await;
    let directory = tempfile::tempdir().unwrap();
    // The first to be asked is the first of them.
    let sources = [store.source(), bucket.store().source()];
    let (outcome, got) = get(&blob, &sources, directory.path()).await.unwrap();
    assert_eq!(got, content);
    let [liar, honest] = &outcome.sources[..] else {
        panic!("{outcome:?}");
    };
    let path = paths::outboard(&blob.path);
    assert!(
        matches!(&liar.fault, Some(Fault::Lied { path: found, .. }) if *found == path),
        "{liar:?}"
    );
    assert!(liar.passed_over && honest.fault.is_none(), "{honest:?}");
}

#[tokio::test]
async fn what_is_published_by_a_busy_line_is_whole() {
    let bucket = Bucket::start().await;
    let habit: Habit = Arc::new(|passing: &Passing| match passing.number % 3 {
        0 => Turn::Busy,
        _ => Turn::Through,
    });
    let proxy = Proxy::start(bucket.address(), habit).await;
    let content = content(groups(50));
    let store = proxy.store(&bucket);
    let published = store.publish(paths::DATA, content.clone()).await;
    let (root, length) = (published.unwrap(), content.len() as u64);
    let good = bucket.store();
    good.check_blob(paths::DATA, &root, length).await.unwrap();
}

/// Nothing that a line changes on the way passes for published, and the next try mends it.
#[tokio::test]
async fn what_a_line_changes_is_not_published_and_the_next_try_mends_it() {
    let content = content(groups(50));
    let length = content.len() as u64;
    let root = *blake3::hash(&content).as_bytes();
    let is_put =
        |passing: &Passing| passing.method == "PUT" && !passing.path.ends_with(".outboard");
    let sent: Habit = Arc::new(move |passing: &Passing| match is_put(passing) {
        true => Turn::FlipSent,
        false => Turn::Through,
    });
    let cut: Habit = Arc::new(|passing: &Passing| match passing.reads_blob() {
        true => Turn::Cut(100),
        false => Turn::Through,
    });
    let read: Habit = Arc::new(|passing: &Passing| match passing.reads_blob() {
        true => Turn::Flip,
        false => Turn::Through,
    });
    for (habit, is_damaged) in [(sent, false), (cut, false), (read, true)] {
        let bucket = Bucket::start().await;
        let proxy = Proxy::start(bucket.address(), habit).await;
        let store = proxy.store(&bucket);
        let published = store.publish(paths::DATA, content.clone()).await;
        let error = published.unwrap_err();
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        let says_so = matches!(error, StoreError::Damaged { .. });
        assert!(says_so || !is_damaged, "{error:?}");
        let good = bucket.store();
        good.publish(paths::DATA, content.clone()).await.unwrap();
        good.check_blob(paths::DATA, &root, length).await.unwrap();
    }
}

/// A bucket that answers this to some requests until it is told to answer no more.
async fn refusing(
    answer: &'static str,
    is_refused: impl Fn(&Passing) -> bool + Send + Sync + 'static,
) -> (Bucket, Proxy, Arc<AtomicBool>) {
    let bucket = Bucket::start().await;
    let refuses = Arc::new(AtomicBool::new(true));
    let now = refuses.clone();
    let habit: Habit = Arc::new(move |passing: &Passing| {
        match is_refused(passing) && now.load(Ordering::SeqCst) {
            true => Turn::Says(answer),
            false => Turn::Through,
        }
    });
    let proxy = Proxy::start(bucket.address(), habit).await;
    (bucket, proxy, refuses)
}

#[tokio::test]
async fn a_full_bucket_is_one_line_loses_nothing_and_takes_the_file_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    // In one request, and in parts.
    let files = [content(groups(40) + 1), content((9 << 20) + 1)];
    for answer in FULL {
        for bytes in &files {
            let (bucket, proxy, is_full) =
                refusing(answer, |passing| passing.method == "PUT").await;
            let (good, store) = (bucket.store(), proxy.store(&bucket));
            let before = content(groups(3));
            let kept = good.publish(paths::DATA, before.clone()).await.unwrap();
            std::fs::write(&file, bytes).unwrap();
            let error = store
                .publish(paths::DATA, file.as_path())
                .await
                .unwrap_err();
            assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("no room") && !text.contains('\n'), "{text}");
            let length = before.len() as u64;
            good.check_blob(paths::DATA, &kept, length).await.unwrap();
            assert_eq!(std::fs::read(&file).unwrap(), *bytes);
            is_full.store(false, Ordering::SeqCst);
            let root = store.publish(paths::DATA, file.as_path()).await.unwrap();
            let length = bytes.len() as u64;
            good.check_blob(paths::DATA, &root, length).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_published_with_expired_credentials_says_so_and_goes_on_with_new_ones() {
    let (bucket, proxy, has_expired) = refusing(EXPIRED, |_| true).await;
    let (bytes, store) = (content(groups(40)), proxy.store(&bucket));
    let error = store.publish(paths::DATA, bytes.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Expired { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("AWS_SESSION_TOKEN") && !text.contains('\n'),
        "{text}"
    );
    has_expired.store(false, Ordering::SeqCst);
    let (root, length) = (
        store.publish(paths::DATA, bytes.clone()).await.unwrap(),
        bytes.len() as u64,
    );
    let good = bucket.store();
    good.check_blob(paths::DATA, &root, length).await.unwrap();
}
