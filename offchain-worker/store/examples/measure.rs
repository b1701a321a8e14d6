//! Measures a fetch from four sources beside a single download of `object_store`.
//!
//!     cargo run --release -p cairn-store --example measure -- [MiB] [Mbit/s of each source]
//!
//! The sources are HTTP servers of this process, each limited; each fetch is a process of its own, so that its memory
//! is its own and it can be killed. `tests/lab/joining.py` has it publish and fetch by its own words:
//!
//!     measure publish SHELF MiB
//!     measure single|fetch INTO PATH LENGTH URL…

use std::{
    error::Error,
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};

use cairn_store::{fetch, paths, Blob, Patience, Store};
use futures::StreamExt;
use object_store::{http::HttpBuilder, ClientOptions, ObjectStoreExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes that are sent at a time.
const PIECE: usize = 64 << 10;

/// A server of files under a directory.
struct Server {
    directory: PathBuf,
    /// Bytes a second; 0 for no limit.
    rate: u64,
    /// When the next piece may go out.
    next: Mutex<Instant>,
    sent: AtomicU64,
    lies: bool,
}

impl Server {
    async fn start(directory: &Path, rate: u64, lies: bool) -> Outcome<(String, Arc<Server>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/x", listener.local_addr()?);
        let server = Arc::new(Server {
            directory: directory.to_path_buf(),
            rate,
            next: Mutex::new(Instant::now()),
            sent: AtomicU64::new(0),
            lies,
        });
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = serving.clone();
                tokio::spawn(async move {
                    // A client that went away ends its own connection only.
                    let _ = server.serve(socket).await;
                });
            }
        });
        Ok((url, server))
    }

    async fn serve(&self, mut socket: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        loop {
            while !head.ends_with(b"\r\n\r\n") {
                if socket.read_buf(&mut head).await? == 0 {
                    return Ok(());
                }
            }
            let text = String::from_utf8_lossy(&head).to_lowercase();
            let path = text.split(' ').nth(1).unwrap_or_default();
            let path = path.trim_start_matches("/x/").to_string();
            let range = text
                .lines()
                .find_map(|line| line.strip_prefix("range: bytes="));
            let range = range.and_then(|range| {
                let (start, last) = range.split_once('-')?;
                Some((
                    start.parse::<u64>().ok()?,
                    last.trim().parse::<u64>().ok()? + 1,
                ))
            });
            let file = File::open(self.directory.join(&path))?;
            let total = file.metadata()?.len();
            let (start, end) = range.unwrap_or((0, total));
            let status = if range.is_some() {
                "206 Partial Content"
            } else {
                "200 OK"
            };
            let last = end - 1;
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-range: bytes {start}-{last}/{total}\r\n\r\n",
                end - start
            );
            socket.write_all(answer.as_bytes()).await?;
            self.send(
                &mut socket,
                &file,
                start,
                end,
                self.lies && !path.ends_with(".outboard"),
            )
            .await?;
            head.clear();
        }
    }

    async fn send(
        &self,
        socket: &mut TcpStream,
        file: &File,
        mut at: u64,
        end: u64,
        lies: bool,
    ) -> std::io::Result<()> {
        let mut piece = vec![0; PIECE];
        while at < end {
            let length = (end - at).min(PIECE as u64);
            let part = &mut piece[..length as usize];
            file.read_exact_at(part, at)?;
            if lies {
                part[0] ^= 1;
            }
            if self.rate > 0 {
                let mut next = self.next.lock().await;
                let now = Instant::now();
                // Up to 10 ms that were not used may be made up for.
                let due = (*next).max(now - Duration::from_millis(10));
                *next = due + Duration::from_secs_f64(length as f64 / self.rate as f64);
                drop(next);
                tokio::time::sleep_until(due.into()).await;
            }
            socket.write_all(part).await?;
            self.sent.fetch_add(length, Ordering::Relaxed);
            at += length;
        }
        Ok(())
    }
}

/// Most memory that this process ever had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) >> 10
}

/// A single download by `object_store` alone, into a file.
async fn single(url: &str, path: &str, into: &Path) -> Outcome<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = ClientOptions::new()
        .with_allow_http(true)
        .with_timeout_disabled();
    let store = HttpBuilder::new()
        .with_url(url)
        .with_client_options(options)
        .build()?;
    let mut chunks = store.get(&path.into()).await?.into_stream();
    let mut file = File::create(into)?;
    while let Some(chunk) = chunks.next().await {
        file.write_all(&chunk?)?;
    }
    file.sync_all()?;
    Ok(())
}

/// Publishes a file of its own in a new store, and gives its root.
async fn publish(shelf: &Path, mebibytes: u64) -> Outcome<[u8; 32]> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("file");
    write(&file, mebibytes)?;
    let since = Instant::now();
    let root = Store::create_in(shelf)?
        .publish(paths::DATA, file.as_path())
        .await?;
    println!(
        "published and read back {mebibytes} MiB in {:.2} s",
        since.elapsed().as_secs_f64()
    );
    Ok(root)
}

/// What a child does: `publish SHELF MiB` or `single|fetch INTO PATH LENGTH URL…`.
async fn child(words: &[String]) -> Outcome<()> {
    if let [kind, shelf, mebibytes] = words {
        if kind == "publish" {
            publish(Path::new(shelf), mebibytes.parse()?).await?;
            return Ok(());
        }
    }
    let [kind, into, path, length, urls @ ..] = words else {
        return Err("words are missing".into());
    };
    let since = Instant::now();
    match kind.as_str() {
        "single" => single(&urls[0], path, Path::new(into)).await?,
        _ => {
            let (_, hex) = path.rsplit_once('/').ok_or("no root")?;
            let root = *blake3::Hash::from_hex(hex)?.as_bytes();
            let blob = Blob::new(paths::DATA, root, length.parse()?);
            let sources: Result<Vec<_>, _> = urls
                .iter()
                .map(|url| Store::open(url).map(|store| store.source()))
                .collect();
            let got = fetch(&blob, &sources?, Path::new(into), Patience::default()).await?;
            for source in got.sources {
                let fault = source
                    .fault
                    .map(|fault| format!(", {fault}"))
                    .unwrap_or_default();
                println!("    {}: {} MiB{fault}", source.source, source.bytes >> 20);
            }
            println!("    on disk before: {} MiB", got.resumed >> 20);
        }
    }
    println!(
        "    {:.2} s, at most {} MiB of memory",
        since.elapsed().as_secs_f64(),
        peak()
    );
    Ok(())
}

/// Runs a child to its end, or kills it once the sources have sent so much.
async fn run(
    words: &[&str],
    urls: &[String],
    kill_at: Option<(&[Arc<Server>], u64)>,
) -> Outcome<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words).args(urls).stdout(Stdio::inherit());
    let since = Instant::now();
    let mut child = command.spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            let seconds = since.elapsed().as_secs_f64();
            return status
                .success()
                .then_some(seconds)
                .ok_or_else(|| "the child failed".into());
        }
        if let Some((servers, bytes)) = kill_at {
            if sent(servers) >= bytes {
                child.kill()?;
                child.wait()?;
                return Ok(since.elapsed().as_secs_f64());
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn sent(servers: &[Arc<Server>]) -> u64 {
    servers
        .iter()
        .map(|server| server.sent.load(Ordering::Relaxed))
        .sum()
}

async fn start(
    directory: &Path,
    rate: u64,
    liars: usize,
) -> Outcome<(Vec<String>, Vec<Arc<Server>>)> {
    let (mut urls, mut servers) = (Vec::new(), Vec::new());
    for number in 0..4 {
        let (url, server) = Server::start(directory, rate, number < liars).await?;
        urls.push(url);
        servers.push(server);
    }
    Ok((urls, servers))
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.len() > 2 {
        return child(&words).await;
    }
    let number = |index: usize, other| {
        words
            .get(index)
            .map_or(Ok(other), |word| word.parse::<u64>())
    };
    let (mebibytes, megabits) = (number(0, 1_024)?, number(1, 200)?);
    let rate = megabits * 1_000_000 / 8;
    let directory = tempfile::tempdir()?;
    let (shelf, place) = (
        directory.path().join("shelf"),
        directory.path().join("place"),
    );
    std::fs::create_dir(&place)?;
    let root = publish(&shelf, mebibytes).await?;
    let (path, length) = (
        paths::blob(paths::DATA, &root),
        (mebibytes << 20).to_string(),
    );
    let into = |name: &str| place.join(name).display().to_string();

    println!("{megabits} Mbit/s each; object_store, one source:");
    let (urls, _) = start(&shelf, rate, 0).await?;
    let alone = run(
        &["single", &into("single"), &path, &length],
        &urls[..1],
        None,
    )
    .await?;

    println!("cairn-store, four sources:");
    let four = run(&["fetch", &into("four"), &path, &length], &urls, None).await?;
    println!("  {:.2} times as fast", alone / four);

    println!("cairn-store, four sources of which one lies:");
    let (urls, _) = start(&shelf, rate, 1).await?;
    let liar = run(&["fetch", &into("liar"), &path, &length], &urls, None).await?;
    println!("  {:.2} times as fast", alone / liar);

    println!("cairn-store, four sources, killed in the middle and started again:");
    let (urls, servers) = start(&shelf, rate, 0).await?;
    let words = ["fetch", &into("killed"), &path, &length];
    run(&words, &urls, Some((&servers, mebibytes << 19))).await?;
    // What was under way to the dead one is not counted as sent to the next.
    tokio::time::sleep(Duration::from_millis(200)).await;
    run(&words, &urls, None).await?;
    let twice = sent(&servers).saturating_sub((mebibytes << 20) + (mebibytes << 20) / 256);
    println!(
        "  sent twice: {:.2} %",
        twice as f64 * 100.0 / (mebibytes << 20) as f64
    );
    Ok(())
}

/// A file of bytes that repeat nowhere.
fn write(path: &Path, mebibytes: u64) -> Outcome<()> {
    let mut file = File::create(path)?;
    let mut source = blake3::Hasher::new().update(b"measure").finalize_xof();
    let mut piece = vec![0; 1 << 20];
    for _ in 0..mebibytes {
        source.fill(&mut piece);
        file.write_all(&piece)?;
    }
    Ok(())
}
