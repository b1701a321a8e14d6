//! An HTTP/1.1 server that does what a test wants: cuts, delays, lies, is busy, knows no ranges.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What is done with one request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// What was asked.
    Serve,
    /// A status without content.
    Status(u16),
    /// So many bytes of the body, then the connection is closed.
    Cut(usize),
    /// One byte of the file is changed.
    Flip(u64),
    /// The whole file with 200, whatever was asked.
    IgnoreRange,
    /// Nothing, ever.
    Hang,
    /// What was asked, and then again, for ever.
    TooMuch,
    /// Another length of the whole file.
    Total(u64),
    /// Elsewhere.
    Redirect(String),
    /// No HTTP.
    Raw(Vec<u8>),
}

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub path: String,
    pub range: Option<Range<u64>>,
    /// The how many-th request it is.
    pub number: u64,
    /// Whether it has credentials with it.
    pub is_signed: bool,
}

pub(super) type Manner = Arc<dyn Fn(&Asked) -> Act + Send + Sync>;

pub(super) struct Server {
    pub url: String,
    pub requests: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(files: HashMap<String, Bytes>, manner: Manner) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mirror", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicU64::new(0));
        let (files, counter) = (Arc::new(files), requests.clone());
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (files, manner, counter) = (files.clone(), manner.clone(), counter.clone());
                tokio::spawn(async move {
                    // A client that goes away is no concern of ours.
                    let _ = serve(socket, &files, &*manner, &counter).await;
                });
            }
        });
        Server {
            url,
            requests,
            task,
        }
    }
}

async fn serve(
    mut socket: TcpStream,
    files: &HashMap<String, Bytes>,
    manner: &(dyn Fn(&Asked) -> Act + Send + Sync),
    counter: &AtomicU64,
) -> std::io::Result<()> {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            // TLS is not spoken here.
            if socket.read_buf(&mut read).await? == 0 || read.first() == Some(&0x16) {
                return Ok(());
            }
        };
        let head: Vec<u8> = read.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let is_head = head.starts_with("head ");
        let asked = Asked {
            path: head
                .split(' ')
                .nth(1)
                .unwrap()
                .trim_start_matches("/mirror/")
                .to_string(),
            range: head
                .lines()
                .find_map(|line| line.strip_prefix("range: bytes="))
                .map(range),
            number: counter.fetch_add(1, Ordering::SeqCst),
            is_signed: head.contains("\r\nauthorization:"),
        };
        let act = manner(&asked);
        let Some(file) = files.get(&asked.path) else {
            socket
                .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                .await?;
            continue;
        };
        if !answer(&mut socket, file, &asked, act, is_head).await? {
            return Ok(());
        }
    }
}

fn range(text: &str) -> Range<u64> {
    let (start, last) = text.split_once('-').unwrap();
    start.parse().unwrap()..last.trim().parse::<u64>().unwrap() + 1
}

/// `false` if the connection ends.
async fn answer(
    socket: &mut TcpStream,
    file: &Bytes,
    asked: &Asked,
    act: Act,
    is_head: bool,
) -> std::io::Result<bool> {
    let mut total = file.len() as u64;
    let mut bytes = match &asked.range {
        Some(range) => range.start..range.end.min(total),
        None => 0..total,
    };
    let mut status = if asked.range.is_some() {
        "206 Partial Content"
    } else {
        "200 OK"
    };
    let mut cut = None;
    let mut flip = None;
    match act {
        Act::Serve => {}
        Act::Status(code) => {
            let head = format!("HTTP/1.1 {code} No\r\ncontent-length: 0\r\n\r\n");
            socket.write_all(head.as_bytes()).await?;
            return Ok(true);
        }
        Act::Cut(after) => cut = Some(after),
        Act::Flip(at) => flip = Some(at),
        Act::IgnoreRange => (status, bytes) = ("200 OK", 0..total),
        Act::Hang => std::future::pending().await,
        Act::TooMuch => {
            let (start, last) = (bytes.start, bytes.end - 1);
            let length = bytes.end - bytes.start;
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {start}-{last}/{total}\r\n\
                 content-length: {length}\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).await?;
            let content = file.slice(bytes.start as usize..bytes.end as usize);
            loop {
                socket.write_all(&content).await?;
            }
        }
        Act::Total(other) => (total, bytes.end) = (other, bytes.end.min(other)),
        Act::Redirect(to) => {
            let head = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            socket.write_all(head.as_bytes()).await?;
            return Ok(true);
        }
        Act::Raw(bytes) => {
            socket.write_all(&bytes).await?;
            return Ok(false);
        }
    }
    let length = bytes.end - bytes.start;
    let mut head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\naccept-ranges: bytes\r\n");
    if status.starts_with("206") {
        let last = bytes.end.saturating_sub(1);
        head.push_str(&format!(
            "content-range: bytes {}-{last}/{total}\r\n",
            bytes.start
        ));
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes()).await?;
    if is_head {
        return Ok(true);
    }
    let mut content = file[bytes.start as usize..bytes.end as usize].to_vec();
    if let Some(at) = flip.filter(|at| bytes.contains(at)) {
        content[(at - bytes.start) as usize] ^= 1;
    }
    match cut {
        Some(after) => {
            socket
                .write_all(&content[..after.min(content.len())])
                .await?;
            Ok(false)
        }
        None => {
            socket.write_all(&content).await?;
            Ok(true)
        }
    }
}
