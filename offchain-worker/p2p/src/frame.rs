//! The frames of the protocol `cairn/blobs/1`, as `docs/peers.md` states them byte by byte.
//!
//! Each request has a QUIC stream of its own: the client writes one [`Request`] and ends its side; the server writes
//! one [`Head`], then the bytes if there are any, and ends its side. A stream that begins with [`PROBE`] is none of
//! these: the client writes one [`Probe`], then bytes, and the server throws them away and writes one [`Receipt`]. All
//! numbers are little-endian, as SCALE has them. One content has one encoding: what decodes encodes to the same bytes.

use std::ops::Range;

use cairn_store::paths;
use codec::{Decode, DecodeAll, Encode};

/// The protocol's name in QUIC's handshake.
pub const ALPN: &[u8] = b"cairn/blobs/1";

/// The first byte of every frame but those of a probe.
pub const VERSION: u8 = 1;

/// The first byte of a [`Probe`] and of a [`Receipt`]. Who does not know them takes it for another version.
pub const PROBE: u8 = 2;

/// Most bytes of a probe: 4 MiB.
pub const MAX_PROBE: u64 = 4 << 20;

/// Length of every [`Probe`].
pub const PROBE_FRAME: usize = 9;

/// Most bytes of a file that one request asks for: 64 MiB.
pub const MAX_RANGE: u64 = 64 << 20;

/// Length of the longest request: version, path with its length, two numbers.
pub const MAX_REQUEST: usize = 1 + 2 + paths::MAX_PATH + 8 + 8;

/// Length of every head, and of every receipt.
pub const HEAD: usize = 10;

/// Why some bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than any frame.
    #[error("a frame of more than {most} bytes")]
    TooLong {
        /// Length of the longest one.
        most: usize,
    },
    /// Another version, or nothing.
    #[error("a frame of version {found} instead of {VERSION}")]
    Version {
        /// Its first byte; 0 if there is none.
        found: u8,
    },
    /// Not what SCALE makes of such a frame.
    #[error("a frame that is not canonical")]
    Malformed,
    /// Not a path of a store.
    #[error("a path that no store has")]
    Path,
    /// Nothing, backwards, or more than [`MAX_RANGE`].
    #[error("a range from {from} to {to}")]
    Range {
        /// The first byte.
        from: u64,
        /// The byte after the last.
        to: u64,
    },
    /// A probe of nothing, or of more than [`MAX_PROBE`].
    #[error("a probe of {bytes} bytes")]
    Probe {
        /// So many.
        bytes: u64,
    },
}

/// "These bytes of the file at this path."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    path: String,
    bytes: Range<u64>,
}

#[derive(Encode, Decode)]
struct RequestFrame {
    version: u8,
    path: Vec<u8>,
    from: u64,
    to: u64,
}

impl Request {
    /// A request for 1 to [`MAX_RANGE`] bytes of the file at a path of [`paths`].
    ///
    /// # Errors
    /// [`FrameError::Path`], [`FrameError::Range`].
    pub fn new(path: &str, bytes: Range<u64>) -> Result<Request, FrameError> {
        let (from, to) = (bytes.start, bytes.end);
        match to.checked_sub(from) {
            Some(1..=MAX_RANGE) => {}
            _ => return Err(FrameError::Range { from, to }),
        }
        paths::check(path).map_err(|_| FrameError::Path)?;
        Ok(Request {
            path: path.to_string(),
            bytes,
        })
    }

    /// The file's path, one that [`paths::check`] takes.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Which bytes of it: at least one, at most [`MAX_RANGE`].
    pub fn bytes(&self) -> Range<u64> {
        self.bytes.clone()
    }

    /// The frame: 20 to [`MAX_REQUEST`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        RequestFrame {
            version: VERSION,
            path: self.path.as_bytes().to_vec(),
            from: self.bytes.start,
            to: self.bytes.end,
        }
        .encode()
    }

    /// The request of a frame. Allocates no more than [`MAX_REQUEST`] bytes twice, whatever the frame says.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn decode(frame: &[u8]) -> Result<Request, FrameError> {
        if frame.len() > MAX_REQUEST {
            return Err(FrameError::TooLong { most: MAX_REQUEST });
        }
        version(frame)?;
        let RequestFrame { path, from, to, .. } =
            RequestFrame::decode_all(&mut &*frame).map_err(|_| FrameError::Malformed)?;
        let path = String::from_utf8(path).map_err(|_| FrameError::Path)?;
        Request::new(&path, from..to)
    }
}

/// What a server says before it sends bytes, or instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The bytes follow, all of them.
    Found {
        /// Bytes of the whole file.
        length: u64,
    },
    /// It has no such file, or not for this peer; it does not say which.
    Absent,
    /// The file ends before the range does.
    Beyond {
        /// Bytes of the whole file.
        length: u64,
    },
    /// Its disk did not do it.
    Failed,
}

#[derive(Encode, Decode)]
struct HeadFrame {
    version: u8,
    status: u8,
    length: u64,
}

impl Head {
    /// The frame.
    pub fn encode(&self) -> [u8; HEAD] {
        let (status, length) = match *self {
            Head::Found { length } => (0, length),
            Head::Absent => (1, 0),
            Head::Beyond { length } => (2, length),
            Head::Failed => (3, 0),
        };
        let frame = HeadFrame {
            version: VERSION,
            status,
            length,
        };
        let mut bytes = [0; HEAD];
        frame.encode_to(&mut bytes.as_mut_slice());
        bytes
    }

    /// The head of a frame.
    ///
    /// # Errors
    /// [`FrameError::Version`]; [`FrameError::Malformed`], also for a length where there is none to say.
    pub fn decode(frame: &[u8; HEAD]) -> Result<Head, FrameError> {
        version(frame)?;
        let HeadFrame { status, length, .. } =
            HeadFrame::decode_all(&mut frame.as_slice()).map_err(|_| FrameError::Malformed)?;
        match (status, length) {
            (0, length) => Ok(Head::Found { length }),
            (1, 0) => Ok(Head::Absent),
            (2, length) => Ok(Head::Beyond { length }),
            (3, 0) => Ok(Head::Failed),
            _ => Err(FrameError::Malformed),
        }
    }
}

/// "Throw away what follows, and say how much came of it."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    bytes: u64,
}

#[derive(Encode, Decode)]
struct ProbeFrame {
    kind: u8,
    bytes: u64,
}

impl Probe {
    /// A probe of 1 to [`MAX_PROBE`] bytes.
    ///
    /// # Errors
    /// [`FrameError::Probe`].
    pub fn new(bytes: u64) -> Result<Probe, FrameError> {
        match bytes {
            1..=MAX_PROBE => Ok(Probe { bytes }),
            _ => Err(FrameError::Probe { bytes }),
        }
    }

    /// Bytes that follow at most: at least one, at most [`MAX_PROBE`].
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The frame.
    pub fn encode(&self) -> [u8; PROBE_FRAME] {
        let frame = ProbeFrame {
            kind: PROBE,
            bytes: self.bytes,
        };
        let mut bytes = [0; PROBE_FRAME];
        frame.encode_to(&mut bytes.as_mut_slice());
        bytes
    }

    /// The probe of a frame.
    ///
    /// # Errors
    /// [`FrameError::Malformed`], [`FrameError::Probe`].
    pub fn decode(frame: &[u8]) -> Result<Probe, FrameError> {
        match ProbeFrame::decode_all(&mut &*frame) {
            Ok(ProbeFrame { kind: PROBE, bytes }) => Probe::new(bytes),
            _ => Err(FrameError::Malformed),
        }
    }
}

/// What a server says of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// So many bytes came.
    Took {
        /// Bytes.
        bytes: u64,
    },
    /// It takes none now.
    Busy,
}

impl Receipt {
    /// The frame.
    pub fn encode(&self) -> [u8; HEAD] {
        let (status, length) = match *self {
            Receipt::Took { bytes } => (0, bytes),
            Receipt::Busy => (1, 0),
        };
        let frame = HeadFrame {
            version: PROBE,
            status,
            length,
        };
        let mut bytes = [0; HEAD];
        frame.encode_to(&mut bytes.as_mut_slice());
        bytes
    }

    /// The receipt of a frame.
    ///
    /// # Errors
    /// [`FrameError::Malformed`], also for a number of bytes where there is none to say.
    pub fn decode(frame: &[u8; HEAD]) -> Result<Receipt, FrameError> {
        let frame = HeadFrame::decode_all(&mut frame.as_slice());
        let HeadFrame {
            version: kind,
            status,
            length,
        } = frame.map_err(|_| FrameError::Malformed)?;
        match (kind, status, length) {
            (PROBE, 0, bytes) => Ok(Receipt::Took { bytes }),
            (PROBE, 1, 0) => Ok(Receipt::Busy),
            _ => Err(FrameError::Malformed),
        }
    }
}

fn version(frame: &[u8]) -> Result<(), FrameError> {
    match frame.first() {
        Some(&VERSION) => Ok(()),
        other => Err(FrameError::Version {
            found: other.copied().unwrap_or_default(),
        }),
    }
}
