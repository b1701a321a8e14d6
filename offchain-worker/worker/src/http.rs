//! A small HTTP server, for what is short and made at once: a page's files, metrics.
//!
//! Everything that others may make long has a bound: connections, a request's head, the time that it takes, the life
//! of a connection. Bodies of requests are not read.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
    Method, Response, StatusCode,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::shutdown;

/// Text, as a browser is told of it.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// Connections at a time; whoever comes beyond them is sent away, and comes again.
const MOST_CONNECTIONS: usize = 128;
/// Bytes of a request's head, and lines in it.
const LONGEST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;
/// For a request's head, and between two requests.
const PATIENCE: Duration = Duration::from_secs(10);
/// For a whole connection: answers are small.
const LIFETIME: Duration = Duration::from_secs(60);
/// For what is being answered when the end is asked for.
const GRACE: Duration = Duration::from_secs(1);
/// After which it is tried again when the system can open no connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What is served.
pub trait Site: Send + Sync + 'static {
    /// What is answered to a request, at once.
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>>;
}

/// Whether a request with this method only asks for something.
pub fn is_reading(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// An answer of this kind.
pub fn answer(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// Answers until `stop` turns true, and then ends what it has begun.
pub async fn serve(listener: TcpListener, site: impl Site, mut stop: watch::Receiver<bool>) {
    let site = Arc::new(site);
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown::asked(&mut stop) => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if open.len() < MOST_CONNECTIONS => {
                open.spawn(connection(stream, site.clone(), stop.clone()));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    // Who is too slow is cut off.
    let _ = timeout(GRACE, async { while open.join_next().await.is_some() {} }).await;
}

async fn connection<S: Site>(stream: TcpStream, site: Arc<S>, mut stop: watch::Receiver<bool>) {
    let service = service_fn(|request| {
        let answer = site.answer(request.method(), request.uri().path());
        async { Ok::<_, Infallible>(answer) }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LONGEST_HEAD);
    let mut served = pin!(server.serve_connection(TokioIo::new(stream), service));
    let whole = timeout(LIFETIME, async {
        tokio::select! {
            ended = served.as_mut() => return ended,
            () = shutdown::asked(&mut stop) => {}
        }
        served.as_mut().graceful_shutdown();
        served.as_mut().await
    });
    // Browsers break off what they no longer want.
    if let Ok(Err(error)) = whole.await {
        tracing::debug!(%error, "a connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::{NodeUrl, Page};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server, the sender that stops it, and its address.
    async fn started() -> (
        tokio::task::JoinHandle<()>,
        watch::Sender<bool>,
        std::net::SocketAddr,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let node = NodeUrl::read("ws://127.0.0.1:9944").unwrap();
        let (stop, stopped) = watch::channel(false);
        let page = Page::of(&node, None).unwrap();
        (tokio::spawn(serve(listener, page, stopped)), stop, at)
    }

    #[tokio::test]
    async fn files_come_over_the_wire_and_the_end_is_orderly() {
        let (server, stop, at) = started().await;
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = b"GET /words.js HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.contains("content-type: text/javascript"), "{head}");
        assert_eq!(body, include_str!("dashboard/page/words.js"));

        // One that asks for nothing does not hold the end up.
        let idle = TcpStream::connect(at).await.unwrap();
        stop.send_replace(true);
        server.await.unwrap();
        drop(idle);
        assert!(TcpStream::connect(at).await.is_err(), "nobody listens");
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused_and_others_are_served() {
        let (server, stop, at) = started().await;
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(b"\x16\x03\x01 no\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.0 200"), "{answer:?}");
        assert!(answer.ends_with(b"\r\n\r\n"), "a head and no more");
        stop.send_replace(true);
        server.await.unwrap();
    }

    /// What a server says to this, until it closes the connection.
    async fn said_to(at: std::net::SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        // It may close before all of it was sent.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn a_head_has_its_bounds() {
        let (server, stop, at) = started().await;
        let with_headers = |count: usize| {
            let headers: String = (0..count).map(|n| format!("x-{n}: 1\r\n")).collect();
            format!("GET /words.js HTTP/1.1\r\nconnection: close\r\n{headers}\r\n")
        };
        let few = said_to(at, with_headers(MOST_HEADERS - 1).as_bytes()).await;
        assert!(few.starts_with("HTTP/1.1 200"), "{few}");
        let many = said_to(at, with_headers(MOST_HEADERS).as_bytes()).await;
        assert!(many.starts_with("HTTP/1.1 431"), "{many}");
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2 * LONGEST_HEAD));
        let long = said_to(at, long.as_bytes()).await;
        assert!(!long.starts_with("HTTP/1.1 2"), "{long}");
        stop.send_replace(true);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn who_comes_beyond_the_most_connections_is_sent_away() {
        let (server, stop, at) = started().await;
        let mut open = Vec::new();
        for _ in 0..MOST_CONNECTIONS {
            open.push(TcpStream::connect(at).await.unwrap());
        }
        let beyond = said_to(at, b"GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(beyond, "", "it is closed without a word");
        drop(open);
        stop.send_replace(true);
        server.await.unwrap();
    }
}
