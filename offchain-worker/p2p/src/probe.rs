//! How fast this machine sends: a few MiB for a peer that throws them away and says how many came.

use std::time::Duration;

use cairn_store::Fault;
use iroh::{
    endpoint::{Connection, ConnectionError, ReadError, ReadExactError, SendStream},
    Endpoint, EndpointAddr,
};
use tokio::time::{timeout, Instant};

use crate::{
    frame::{Probe, Receipt, HEAD, MAX_PROBE},
    limits::{prober, PIECE},
    source::{connect, failed, of_connection, of_read},
    Code, PeerError,
};

/// A probe is sent by so many pieces.
const PIECES: u64 = MAX_PROBE / PIECE as u64;

/// After so many of them half of it is on its way.
const HALF: u64 = PIECES / 2;

/// What a probe came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uplink {
    /// Bytes that came, of [`MAX_PROBE`] at most.
    pub bytes: u64,
    /// Bits a second at least, on the way to this peer: its own line, and what it allows, count too.
    pub bits_per_s: f64,
}

/// Why a probe came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// This peer is not connected to.
    #[error(transparent)]
    NotAsked(#[from] PeerError),
    /// It takes one at a time, few in an hour, and none of the same peer soon after the last.
    #[error("it takes no probe now")]
    Busy,
    /// It says that it does not know such a request.
    #[error("it does not know probes: its version is older")]
    Unknown,
    /// It is not reached, or does not answer, in time.
    #[error("it does not answer in {} s", .deadline.as_secs_f32())]
    Late {
        /// How long it was given.
        deadline: Duration,
    },
    /// It is not reached, or does not answer as it should.
    #[error(transparent)]
    Failed(#[from] Fault),
}

/// Sends a probe, by a connection that ends with it. Connecting has the deadline, and all that follows.
pub(crate) async fn probe(
    endpoint: &Endpoint,
    address: EndpointAddr,
    deadline: Duration,
) -> Result<Uplink, ProbeError> {
    let late = |_| ProbeError::Late { deadline };
    let connecting = connect(endpoint, address, prober());
    let connection = timeout(deadline, connecting).await.map_err(late)??;
    let sent = timeout(deadline, send(&connection)).await;
    connection.close(Code::Done.number(), Code::Done.said().as_bytes());
    sent.map_err(late)?
}

async fn send(connection: &Connection) -> Result<Uplink, ProbeError> {
    let probe = Probe::new(MAX_PROBE).map_err(|error| failed(error.to_string()))?;
    let ends = connection.open_bi().await;
    let (mut to, mut from) = ends.map_err(|error| failed(of_connection(&error)))?;
    let began = Instant::now();
    let mut sent = Sent::default();
    // Written or not, what comes of it the other side says, or nobody does.
    let written = async {
        write(&mut to, &probe, &mut sent).await;
        None
    };
    let mut receipt = [0; HEAD];
    let read = tokio::select! {
        read = from.read_exact(&mut receipt) => read,
        Some(read) = written => read,
    };
    let ended = Instant::now();
    read.map_err(|error| unread(&error))?;
    let receipt = Receipt::decode(&receipt);
    match receipt.map_err(|error| failed(format!("it sent {error}")))? {
        Receipt::Busy => Err(ProbeError::Busy),
        Receipt::Took { bytes: 0 } => Err(failed("it took nothing").into()),
        Receipt::Took { bytes } if bytes > sent.begun => {
            Err(failed("it says that more came than was sent").into())
        }
        Receipt::Took { bytes } => {
            let since_half = sent.half.map(|half| ended.saturating_duration_since(half));
            let took = ended.saturating_duration_since(began);
            Ok(Uplink {
                bytes,
                bits_per_s: rate(bytes, took, since_half),
            })
        }
    }
}

/// How far a probe was handed to the network.
#[derive(Default)]
struct Sent {
    /// Bytes, with those of the piece that is being handed over.
    begun: u64,
    /// When the first half was.
    half: Option<Instant>,
}

/// Writes a probe as far as it is taken.
async fn write(to: &mut SendStream, probe: &Probe, sent: &mut Sent) {
    if to.write_all(&probe.encode()).await.is_err() {
        return;
    }
    let piece = vec![0u8; PIECE];
    for number in 1..=PIECES {
        sent.begun = sent.begun.saturating_add(PIECE as u64);
        if to.write_all(&piece).await.is_err() {
            return;
        }
        if number == HALF {
            sent.half = Some(Instant::now());
        }
    }
    let _ = to.finish();
}

/// Bits a second: of all that came, or of the second half alone, since the first has the way to find out how fast it
/// may be sent. Of what had been handed to the network by then no more than that can have come, so neither is too high.
fn rate(came: u64, took: Duration, since_half: Option<Duration>) -> f64 {
    let of = |bytes: u64, time: Duration| 8.0 * bytes as f64 / time.as_secs_f64().max(1e-9);
    let all = of(came, took);
    let half = HALF.saturating_mul(PIECE as u64);
    match since_half {
        Some(time) => all.max(of(came.saturating_sub(half), time)),
        None => all,
    }
}

/// Why there is no receipt. Who does not know probes says that the request is none.
fn unread(error: &ReadExactError) -> ProbeError {
    let ReadExactError::ReadError(error) = error else {
        return failed("its answer has no head").into();
    };
    let code = match error {
        ReadError::Reset(code) => Code::of(code.into_inner()),
        ReadError::ConnectionLost(ConnectionError::ApplicationClosed(close)) => {
            Code::of(close.error_code.into_inner())
        }
        _ => None,
    };
    match code {
        Some(Code::Malformed) => ProbeError::Unknown,
        _ => failed(of_read(error)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_rate_is_that_of_all_or_of_the_second_half() {
        let mib = |mib: u64| mib << 20;
        let bits = |mib: u64| (8 * (mib << 20)) as f64;
        assert_eq!(rate(mib(4), 4 * SECOND, None), bits(1));
        // It began slowly: the first half took three of four seconds.
        assert_eq!(rate(mib(4), 4 * SECOND, Some(SECOND)), bits(2));
        // The last of it did not come in time, and less than half.
        assert_eq!(rate(mib(3), 4 * SECOND, Some(2 * SECOND)), bits(3) / 4.0);
        assert_eq!(rate(mib(1), 4 * SECOND, Some(SECOND)), bits(1) / 4.0);
        assert!(rate(mib(4), Duration::ZERO, None).is_finite());
    }
}
