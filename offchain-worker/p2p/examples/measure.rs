//! Measures a fetch from peers on this machine, and what peers that take nothing cost a server.
//!
//!     cargo run --release -p cairn-p2p --features iroh --example measure -- [MiB] [Mbit/s of each peer; 0: no limit]
//!
//! The four peers that serve are one process; each fetch, and each crowd of hostile peers, is another, so that its
//! memory is its own.

use std::{
    error::Error,
    fs::File,
    io::Write,
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use cairn_p2p::{
    frame::{Request, ALPN, MAX_RANGE},
    Address, Counts, Directory, Limits, Peer, PeerId, PeerKey, Policy, Serving, Settings,
};
use cairn_store::{fetch, guard::Origin, paths, Blob, Patience, Source, Store};
use iroh::{
    endpoint::{presets, QuicTransportConfig, VarInt},
    Endpoint, EndpointAddr, EndpointId, SecretKey, TransportAddr,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Connections of the crowd that takes nothing: as many as a server lets in.
const CROWD: usize = 64;

/// A deadline that the crowd is not to reach.
const LONG: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct All;

impl Policy for All {
    fn admits(&self, _: &PeerId) -> bool {
        true
    }

    fn serves(&self, _: &PeerId, _: &str) -> bool {
        true
    }
}

fn loopback() -> Settings {
    Settings {
        bind: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        ..Settings::default()
    }
}

struct Host {
    peer: Peer,
    serving: Serving,
}

impl Host {
    async fn start(seed: u8, shelf: &Path, limits: Limits) -> Outcome<Host> {
        let peer = Peer::bind(&PeerKey::from_bytes(&[seed; 32]), loopback()).await?;
        let shelf = Arc::new(Directory::open(shelf)?);
        let serving = peer.serve(shelf, Arc::new(All), limits)?;
        Ok(Host { peer, serving })
    }

    /// `ID@ADDRESS`, as a child is told.
    fn word(&self) -> String {
        format!("{}@{}", self.peer.id(), self.peer.bound()[0])
    }

    async fn until(&self, are_such: impl Fn(&Counts) -> bool) {
        while !are_such(&self.serving.counts()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn address(word: &str) -> Outcome<Address> {
    let (id, at) = word.split_once('@').ok_or("no address")?;
    Ok(Address {
        id: id.parse()?,
        direct: vec![at.parse()?],
        relay: None,
    })
}

/// MiB of memory that this process has now, and the most that it ever had.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        number.unwrap_or(0) >> 10
    };
    (number("VmRSS:"), number("VmHWM:"))
}

/// What a child does: `fetch INTO PATH LENGTH PEER…` or `crowd INTO PATH LENGTH PEER`.
async fn child(words: &[String]) -> Outcome<()> {
    let [kind, into, path, length, peers @ ..] = words else {
        return Err("words are missing".into());
    };
    let length: u64 = length.parse()?;
    if kind == "crowd" {
        return crowd(path, length, &address(&peers[0])?).await;
    }
    let me = Peer::bind(&PeerKey::from_bytes(&[99; 32]), loopback()).await?;
    let (_, hex) = path.rsplit_once('/').ok_or("no root")?;
    let root = *blake3::Hash::from_hex(hex)?.as_bytes();
    let blob = Blob::new(paths::DATA, root, length);
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for peer in peers {
        sources.push(Arc::new(me.source(&address(peer)?, Origin::Owner)?));
    }
    let since = Instant::now();
    let got = fetch(&blob, &sources, Path::new(into), Patience::default()).await?;
    let seconds = since.elapsed().as_secs_f64();
    for source in got.sources {
        let fault = source.fault.map(|fault| format!(", {fault}"));
        let name = source.source.get(..15).unwrap_or_default();
        println!(
            "    {name}: {} MiB{}",
            source.bytes >> 20,
            fault.unwrap_or_default()
        );
    }
    let speed = (length >> 20) as f64 / seconds;
    println!(
        "    {seconds:.2} s, {speed:.0} MiB/s, at most {} MiB of memory",
        memory().1
    );
    me.close().await;
    Ok(())
}

/// Asks for all of it on every stream of every connection, takes nothing, and stays.
async fn crowd(path: &str, length: u64, to: &Address) -> Outcome<()> {
    let direct = to.direct.iter().copied().map(TransportAddr::Ip);
    let to = EndpointAddr::from_parts(EndpointId::from_bytes(&to.id.0)?, direct);
    let frame = Request::new(path, 0..length.min(MAX_RANGE))?.encode();
    let mut held = Vec::new();
    for number in 0..CROWD {
        let narrow = QuicTransportConfig::builder().stream_receive_window(VarInt::from_u32(1_024));
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(&[number as u8 + 100; 32]))
            .transport_config(narrow.build())
            .clear_ip_transports()
            .bind_addr((Ipv4Addr::LOCALHOST, 0))?
            .bind()
            .await?;
        let connection = endpoint.connect(to.clone(), ALPN).await?;
        for _ in 0..Limits::default().requests_each {
            let (mut writes, reads) = connection.open_bi().await?;
            writes.write_all(&frame).await?;
            writes.finish()?;
            held.push((endpoint.clone(), connection.clone(), writes, reads));
        }
    }
    tokio::time::sleep(LONG).await;
    Ok(())
}

fn start(kind: &str, into: &Path, path: &str, length: u64, hosts: &[Host]) -> Outcome<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([kind, &into.display().to_string(), path, &length.to_string()]);
    command.args(hosts.iter().map(Host::word));
    Ok(command.stdout(Stdio::inherit()).spawn()?)
}

/// Fetches by a child, and gives the seconds that it took with all that belongs to it.
async fn fetched(into: &Path, path: &str, length: u64, hosts: &[Host]) -> Outcome<()> {
    let mut child = start("fetch", into, path, length, hosts)?;
    let status = tokio::task::spawn_blocking(move || child.wait()).await??;
    std::fs::remove_file(into)?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| "the child failed".into())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.len() > 2 {
        return child(&words).await;
    }
    let number = |index: usize, other| {
        let word = words.get(index);
        word.map_or(Ok(other), |word| word.parse::<u64>())
    };
    let (mebibytes, megabits) = (number(0, 1_024)?, number(1, 0)?);
    let rate = (megabits > 0).then_some(megabits * 1_000_000 / 8);
    let place = tempfile::tempdir()?;
    let (shelf, file, into) = (
        place.path().join("shelf"),
        place.path().join("file"),
        place.path().join("into"),
    );
    write(&file, mebibytes)?;
    let store = Store::create_in(&shelf)?;
    let root = store.publish(paths::DATA, file.as_path()).await?;
    std::fs::remove_file(&file)?;
    let (path, length) = (paths::blob(paths::DATA, &root), mebibytes << 20);

    let limits = Limits {
        rate,
        ..Limits::default()
    };
    let mut hosts = Vec::new();
    for seed in 1..=4 {
        hosts.push(Host::start(seed, &shelf, limits).await?);
    }
    println!("{mebibytes} MiB, one peer:");
    fetched(&into, &path, length, &hosts[..1]).await?;
    println!("four peers:");
    fetched(&into, &path, length, &hosts).await?;
    println!("  those who serve: at most {} MiB of memory", memory().1);
    drop(hosts);

    let patient = Limits {
        step: LONG,
        connections: CROWD + 1,
        rate,
        ..limits
    };
    let host = [Host::start(9, &shelf, patient).await?];
    let before = memory().0;
    let mut crowd = start("crowd", &into, &path, length, &host)?;
    let all = CROWD * patient.requests_each as usize;
    host[0].until(|counts| counts.requests == all).await;
    let (now, bound) = (memory().0, patient.most_held() >> 20);
    println!(
        "{CROWD} connections that take nothing cost {} MiB (bound {bound} MiB)",
        now - before
    );
    println!("one peer, beside them:");
    fetched(&into, &path, length, &host).await?;
    crowd.kill()?;
    crowd.wait()?;
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
