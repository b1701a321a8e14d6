//! What peers may cost.

use std::time::Duration;

use iroh::endpoint::{QuicTransportConfig, QuicTransportConfigBuilder, VarInt};

use crate::frame::MAX_REQUEST;

/// Bytes that are read from a file and sent at a time.
pub const PIECE: usize = 64 << 10;

/// Bytes that one peer may send before they are read, where it may send so many at all. noq gives a connection up that
/// has more than 1,024 packets to be read, be there gaps between them or not, and honest packets have more than 1,100
/// bytes each.
pub(crate) const WINDOW: u32 = 1 << 20;

/// How long a probe is read.
pub(crate) const PROBE_LASTS: Duration = Duration::from_secs(5);

/// The time of which [`Limits::probes`] are counted.
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Addresses that a peer may name to be reached at another way; iroh takes no fewer.
const ADDRESSES: u8 = 8;

/// Room in QUIC's own buffers for what is no stream.
const CRYPTO: usize = 16 << 10;

/// Frames of a request that are held while it is read and decoded.
const FRAMES: u64 = 2 * MAX_REQUEST as u64;

/// What all peers together, and each of them, may cost a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once of one peer. One more takes the place of its oldest.
    pub connections_each: usize,
    /// Connections at once of which it is not known yet whose they are.
    pub handshakes: usize,
    /// Requests at once on one connection; each holds a file open and a [`PIECE`].
    pub requests_each: u32,
    /// Bytes of one connection that were sent and not acknowledged yet.
    pub window: u32,
    /// Bytes a second to all peers together; `None` for no limit.
    pub rate: Option<u64>,
    /// Bytes a second that a peer takes at the very least, on average.
    pub slowest: u64,
    /// For a handshake, for a request to come whole, and for how long a peer may be behind [`Limits::slowest`].
    pub step: Duration,
    /// After so long without a request a connection is closed.
    pub idle: Duration,
    /// Probes that are taken in an hour, of all peers together and one at a time; 0 for none.
    pub probes: usize,
    /// From one probe of a peer to its next; an hour at most.
    pub probe_pause: Duration,
}

impl Default for Limits {
    /// 64 connections, 2 of one peer, 32 handshakes, 4 requests on each connection, a window of 1 MiB, no rate, at
    /// least 16 KiB a second, 10 s for a step, idle for 180 s: who asks once a round need not connect anew each time.
    /// 12 probes an hour, 10 minutes from one to the next of the same peer.
    fn default() -> Self {
        Limits {
            connections: 64,
            connections_each: 2,
            handshakes: 32,
            requests_each: 4,
            window: 1 << 20,
            rate: None,
            slowest: 16 << 10,
            step: Duration::from_secs(10),
            idle: Duration::from_secs(180),
            probes: 12,
            probe_pause: Duration::from_secs(600),
        }
    }
}

impl Limits {
    /// Most bytes that peers can make a server hold in buffers: what waits to be acknowledged, a piece and a frame for
    /// each request, the handshakes, and what a probe may send ahead. What a connection itself is made of comes on top.
    pub fn most_held(&self) -> u64 {
        let requests = u64::from(self.requests_each);
        let request = (PIECE as u64).saturating_add(FRAMES);
        let connection = request
            .saturating_add(frame_window())
            .saturating_mul(requests)
            .saturating_add(self.window.into())
            .saturating_add(CRYPTO as u64);
        let handshakes = (self.handshakes as u64)
            .saturating_mul(2)
            .saturating_mul(CRYPTO as u64);
        (self.connections as u64)
            .saturating_mul(connection)
            .saturating_add(handshakes)
            .saturating_add(WINDOW.into())
    }

    /// QUIC for those who connect to us: they open [`Limits::requests_each`] streams and send a frame on each. What all
    /// streams may hold together bounds each, until a probe is let in: [`WINDOW`] is that of the connection then.
    pub(crate) fn server(&self) -> QuicTransportConfig {
        let frames = frame_window().saturating_mul(self.requests_each.into());
        common()
            .max_concurrent_bidi_streams(self.requests_each.into())
            .stream_receive_window(VarInt::from_u32(WINDOW))
            .receive_window(VarInt::from_u64(frames).unwrap_or(VarInt::MAX))
            .send_window(self.window.into())
            .build()
    }
}

/// QUIC for those whom we connect to: they open no stream, and send at most a [`WINDOW`] before we have read it.
pub(crate) fn client() -> QuicTransportConfig {
    common()
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(FRAMES)
        .build()
}

/// QUIC for those to whom we send a probe.
pub(crate) fn prober() -> QuicTransportConfig {
    common()
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(WINDOW.into())
        .build()
}

/// What a request may occupy before it is read.
fn frame_window() -> u64 {
    (MAX_REQUEST as u64).next_multiple_of(1 << 10)
}

fn common() -> QuicTransportConfigBuilder {
    QuicTransportConfig::builder()
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .crypto_buffer_size(CRYPTO)
        .max_remote_nat_traversal_addresses(ADDRESSES)
}

/// How much longer a peer may make us wait: it loses the time that it took, and gains what it should have taken for the
/// bytes that it took. No clock.
#[derive(Debug)]
pub(crate) struct Patience {
    left: Duration,
    most: Duration,
    slowest: u64,
}

impl Patience {
    pub fn new(limits: &Limits) -> Patience {
        Patience {
            left: limits.step,
            most: limits.step,
            slowest: limits.slowest.max(1),
        }
    }

    /// For how long to wait now.
    pub fn left(&self) -> Duration {
        self.left
    }

    /// For how long to wait until the last of so many bytes is acknowledged.
    pub fn left_for(&self, bytes: u64) -> Duration {
        self.left.saturating_add(self.fair(bytes))
    }

    /// So many bytes were taken in that time.
    pub fn took(&mut self, bytes: u64, time: Duration) {
        let left = self.left.saturating_sub(time);
        self.left = left.saturating_add(self.fair(bytes)).min(self.most);
    }

    fn fair(&self, bytes: u64) -> Duration {
        let millis = bytes.saturating_mul(1_000).checked_div(self.slowest);
        Duration::from_millis(millis.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn whoever_takes_enough_is_waited_for_for_ever() {
        let limits = Limits {
            slowest: 1_000,
            step: 10 * SECOND,
            ..Limits::default()
        };
        let mut patience = Patience::new(&limits);
        for _ in 0..1_000 {
            patience.took(1_000, SECOND);
        }
        assert_eq!(patience.left(), 10 * SECOND);
        // What was taken fast is not saved for later.
        patience.took(1_000_000, Duration::ZERO);
        assert_eq!(patience.left(), 10 * SECOND);
        assert_eq!(patience.left_for(3_000), 13 * SECOND);
        // Half as fast: each time a second is lost, until two are more than is left.
        let mut times = 0;
        while patience.left() >= 2 * SECOND {
            patience.took(1_000, 2 * SECOND);
            times += 1;
        }
        assert_eq!((times, patience.left()), (9, SECOND));
    }

    #[test]
    fn what_peers_can_make_a_server_hold_is_bounded_and_known() {
        let limits = Limits::default();
        // 64 x (1 MiB + 4 x (64 KiB + two frames + 2 KiB) + 16 KiB) + 32 x 32 KiB + 1 MiB
        assert_eq!(limits.most_held(), 88_090_112);
        let all = Limits {
            connections: usize::MAX,
            requests_each: u32::MAX,
            window: u32::MAX,
            ..limits
        };
        assert_eq!(all.most_held(), u64::MAX);
    }
}
