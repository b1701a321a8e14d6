//! The side that fetches: a peer as a source of blobs.

use std::{fmt, future::Future, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_store::{Fault, Reply, Source};
use futures::{stream::try_unfold, StreamExt};
use iroh::{
    endpoint::{
        ConnectOptions, Connection, ConnectionError, QuicTransportConfig, ReadError,
        ReadExactError, RecvStream,
    },
    Endpoint, EndpointAddr,
};
use tokio::sync::Mutex;

use crate::{
    frame::{Head, Request, ALPN, HEAD, MAX_RANGE},
    limits::{client, PIECE},
    Code, PeerId,
};

/// A peer to fetch from. It is connected to when first asked, and again after a connection has ended.
pub struct PeerSource {
    line: Arc<Line>,
}

/// Whom it stands for.
impl fmt::Debug for PeerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerSource").field(&self.line.name).finish()
    }
}

/// The way to a peer.
struct Line {
    name: String,
    endpoint: Endpoint,
    address: EndpointAddr,
    deadline: Duration,
    connection: Mutex<Option<Connection>>,
}

impl PeerSource {
    pub(crate) fn new(endpoint: Endpoint, address: EndpointAddr, deadline: Duration) -> PeerSource {
        PeerSource {
            line: Arc::new(Line {
                name: format!("peer {}", PeerId::from(address.id)),
                endpoint,
                address,
                deadline,
                connection: Mutex::new(None),
            }),
        }
    }
}

#[async_trait]
impl Source for PeerSource {
    fn name(&self) -> &str {
        &self.line.name
    }

    async fn read(&self, path: &str, bytes: Range<u64>) -> Result<Reply, Fault> {
        let first = self.line.ask(path, &bytes).await?;
        let length = match first.head {
            Head::Found { length } | Head::Beyond { length } => length,
            Head::Absent => return Err(Fault::Absent { path: path.into() }),
            Head::Failed => return Err(failed("its disk failed")),
        };
        if !matches!(first.head, Head::Found { .. }) {
            // Whoever asked knows how long the file is to be, and sees that this one is not.
            let bytes = futures::stream::empty().boxed();
            return Ok(Reply { length, bytes });
        }
        let coming = Coming {
            line: self.line.clone(),
            path: path.to_string(),
            length,
            next: bytes.start,
            end: bytes.end,
            part: first,
        };
        let bytes = try_unfold(coming, Coming::chunk).boxed();
        Ok(Reply { length, bytes })
    }
}

/// The answer to one request.
struct Part {
    head: Head,
    stream: RecvStream,
    /// Bytes that still come by it.
    left: u64,
}

/// Bytes that come, by one request after another.
struct Coming {
    line: Arc<Line>,
    path: String,
    length: u64,
    next: u64,
    end: u64,
    part: Part,
}

impl Coming {
    /// The next bytes; `None` at the end. Never more than were asked for.
    async fn chunk(mut self) -> Result<Option<(Bytes, Coming)>, Fault> {
        if self.next >= self.end {
            return Ok(None);
        }
        if self.part.left == 0 {
            let part = self.line.ask(&self.path, &(self.next..self.end)).await?;
            let length = self.length;
            if part.head != (Head::Found { length }) {
                return Err(failed("its file changed on the way"));
            }
            self.part = part;
        }
        let most = self.part.left.min(PIECE as u64) as usize;
        let read = self.line.in_time(async {
            let chunk = self.part.stream.read_chunk(most).await;
            chunk.map_err(|error| failed(of_read(&error)))
        });
        match read.await? {
            Some(bytes) => {
                let length = bytes.len() as u64;
                self.part.left = self.part.left.saturating_sub(length);
                self.next = self.next.saturating_add(length);
                Ok(Some((bytes, self)))
            }
            None => Err(Fault::Cut { at: self.next }),
        }
    }
}

impl Line {
    /// Asks for the first of some bytes, as many as one request may, and reads the head of the answer. Each step has
    /// the deadline.
    async fn ask(&self, path: &str, bytes: &Range<u64>) -> Result<Part, Fault> {
        let end = bytes.end.min(bytes.start.saturating_add(MAX_RANGE));
        let request = Request::new(path, bytes.start..end);
        let request = request.map_err(|error| failed(format!("it cannot be asked: {error}")))?;
        let (connection, is_new) = self.connected().await?;
        let left = end.saturating_sub(bytes.start);
        match self.in_time(exchange(&connection, &request)).await {
            Ok((head, stream)) => Ok(Part { head, stream, left }),
            // It may have closed a connection that nobody used, just now.
            Err(_) if !is_new && connection.close_reason().is_some() => {
                let (connection, _) = self.connected().await?;
                let (head, stream) = self.in_time(exchange(&connection, &request)).await?;
                Ok(Part { head, stream, left })
            }
            Err(fault) => Err(fault),
        }
    }

    /// A connection, and whether it is a new one.
    async fn connected(&self) -> Result<(Connection, bool), Fault> {
        let mut connection = self.connection.lock().await;
        if let Some(open) = connection.as_ref().filter(|it| it.close_reason().is_none()) {
            return Ok((open.clone(), false));
        }
        let connecting = connect(&self.endpoint, self.address.clone(), client());
        let new = self.in_time(connecting).await?;
        *connection = Some(new.clone());
        Ok((new, true))
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let deadline = self.deadline;
        let ended = tokio::time::timeout(deadline, work).await;
        ended.unwrap_or(Err(Fault::Stalled { deadline }))
    }
}

/// A new connection. It has no deadline of its own.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    address: EndpointAddr,
    config: QuicTransportConfig,
) -> Result<Connection, Fault> {
    let options = ConnectOptions::new().with_transport_config(config);
    let connecting = endpoint
        .connect_with_opts(address, ALPN, options)
        .await
        .map_err(|error| failed(format!("it is not reached: {error}")))?;
    connecting
        .await
        .map_err(|error| failed(format!("it is not reached: {error}")))
}

/// Sends a request and reads the head of the answer.
async fn exchange(connection: &Connection, request: &Request) -> Result<(Head, RecvStream), Fault> {
    let lost = |error| failed(of_connection(&error));
    let (mut to, mut from) = connection.open_bi().await.map_err(lost)?;
    let wrote = to.write_all(&request.encode()).await;
    wrote.map_err(|error| why_closed(connection, error.to_string()))?;
    to.finish()
        .map_err(|error| why_closed(connection, error.to_string()))?;
    let mut head = [0; HEAD];
    from.read_exact(&mut head)
        .await
        .map_err(|error| match error {
            ReadExactError::FinishedEarly(_) => failed("its answer has no head"),
            ReadExactError::ReadError(error) => failed(of_read(&error)),
        })?;
    let head = Head::decode(&head);
    Ok((
        head.map_err(|error| failed(format!("it sent {error}")))?,
        from,
    ))
}

pub(crate) fn failed(why: impl Into<String>) -> Fault {
    Fault::Failed { why: why.into() }
}

/// What the peer said when it closed the connection, if it did.
fn why_closed(connection: &Connection, otherwise: String) -> Fault {
    let closed = connection.close_reason();
    failed(closed.map_or(otherwise, |error| of_connection(&error)))
}

pub(crate) fn of_read(error: &ReadError) -> String {
    match error {
        ReadError::Reset(code) => said(code.into_inner()),
        ReadError::ConnectionLost(error) => of_connection(error),
        other => other.to_string(),
    }
}

/// The peer's words are not repeated: they would get into logs. Its code is one of ours.
pub(crate) fn of_connection(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) => said(close.error_code.into_inner()),
        ConnectionError::ConnectionClosed(_) => "its network library closed the connection".into(),
        other => format!("the connection ended: {other}"),
    }
}

fn said(code: u64) -> String {
    match Code::of(code) {
        Some(code) => code.said().into(),
        None => format!("it ended with code {code}, which is none of ours"),
    }
}
