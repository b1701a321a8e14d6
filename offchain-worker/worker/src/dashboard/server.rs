//! Serves the page.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::Page;
use crate::shutdown;

/// Connections at a time; whoever comes beyond them is sent away, and comes again.
const MOST_CONNECTIONS: usize = 128;
/// For a request's head, and between two requests.
const PATIENCE: Duration = Duration::from_secs(10);
/// For a whole connection: the files are small.
const LIFETIME: Duration = Duration::from_secs(60);
/// For what is being answered when the end is asked for.
const GRACE: Duration = Duration::from_secs(1);
/// After which it is tried again when the system can open no connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until `stop` turns true, and then ends what it has begun.
pub async fn serve(listener: TcpListener, page: Page, mut stop: watch::Receiver<bool>) {
    let page = Arc::new(page);
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown::asked(&mut stop) => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if open.len() < MOST_CONNECTIONS => {
                open.spawn(connection(stream, page.clone(), stop.clone()));
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

async fn connection(stream: TcpStream, page: Arc<Page>, mut stop: watch::Receiver<bool>) {
    let service = service_fn(|request| {
        let answer = page.answer(request.method(), request.uri().path());
        async { Ok::<_, Infallible>(answer) }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE);
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
    use crate::dashboard::NodeUrl;
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
        assert_eq!(body, include_str!("page/words.js"));

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
}
