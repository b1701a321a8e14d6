//! One request: a frame in, a head and bytes out; or a probe: a frame and bytes in, a receipt out.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{timeout, Instant},
};

use super::{
    probes::{Permit, Probes},
    tally::Tally,
    throttle::Throttle,
};
use crate::{
    frame::{FrameError, Head, Probe, Receipt, Request, MAX_REQUEST, PROBE, PROBE_FRAME},
    limits::{Limits, Patience, PIECE, PROBE_LASTS},
    policy::is_blob,
    shelf::{File, Shelf},
    Code, PeerId, Policy,
};

/// What a server answers with.
pub(crate) struct Desk {
    pub shelf: Arc<dyn Shelf>,
    pub policy: Arc<dyn Policy>,
    pub limits: Limits,
    pub throttle: Throttle,
    pub probes: Probes,
    pub tally: Tally,
}

/// What a peer asked for.
enum Asked {
    File(Request),
    Probe(Probe),
}

/// What was answered.
pub(crate) struct Answered {
    /// How long the peer may take for what is still under way to it.
    pub patience: Patience,
    /// Of a probe that was taken: its connection, which may hold more than others, has to be closed.
    pub probe: Option<Permit>,
}

/// Why a request was not answered to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The peer wrote what no honest one does.
    #[error("its request is {0}")]
    Frame(#[from] FrameError),
    /// It did not write its request, or take what it asked for, in time.
    #[error("it stalled")]
    Stalled,
    /// It is gone, or does not want the rest. No fault.
    #[error("it does not want the rest")]
    Left,
    /// The same of a probe that was let in, whose connection may hold more than others.
    #[error("it left a probe")]
    LeftProbe,
    /// Our disk failed after the head was sent.
    #[error("our disk failed: {0}")]
    Disk(io::Error),
}

impl Stop {
    /// What to close the connection with; `None` if it stays.
    pub fn closes(&self) -> Option<Code> {
        match self {
            Stop::Frame(_) => Some(Code::Malformed),
            Stop::Stalled => Some(Code::Stalled),
            Stop::LeftProbe => Some(Code::Done),
            Stop::Left | Stop::Disk(_) => None,
        }
    }
}

impl Desk {
    /// Reads a request and writes the reply. Holds one frame, one [`PIECE`] and one open file. `widen` is called if a
    /// probe is let in: more of it may be on its way then than a frame.
    pub async fn answer(
        &self,
        peer: &PeerId,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        widen: &(dyn Fn() + Sync),
    ) -> Result<Answered, Stop> {
        let mut patience = Patience::new(&self.limits);
        let probe = match self.asked(from).await? {
            Asked::File(request) => {
                self.file(peer, &request, to, &mut patience).await?;
                None
            }
            Asked::Probe(probe) => match self.probes.begin(peer, Instant::now()) {
                None => {
                    let busy = Receipt::Busy.encode();
                    self.write(to, &busy, &mut patience).await?;
                    None
                }
                Some(permit) => {
                    widen();
                    let taken = self.probe(&probe, from, to, &mut patience).await;
                    taken.map_err(|stop| match stop {
                        Stop::Left => Stop::LeftProbe,
                        other => other,
                    })?;
                    Some(permit)
                }
            },
        };
        self.tally.replied();
        Ok(Answered { patience, probe })
    }

    /// What is asked for, whole and in time.
    async fn asked(&self, from: &mut (impl AsyncRead + Unpin)) -> Result<Asked, Stop> {
        let mut frame = Vec::with_capacity(MAX_REQUEST.saturating_add(1));
        match timeout(self.limits.step, read_frame(from, &mut frame)).await {
            Err(_) => Err(Stop::Stalled),
            Ok(Err(_)) => Err(Stop::Left),
            Ok(Ok(())) if frame.first() == Some(&PROBE) => Ok(Asked::Probe(Probe::decode(&frame)?)),
            Ok(Ok(())) => Ok(Asked::File(Request::decode(&frame)?)),
        }
    }

    /// Says what there is of a file, and sends it.
    async fn file(
        &self,
        peer: &PeerId,
        request: &Request,
        to: &mut (impl AsyncWrite + Unpin),
        patience: &mut Patience,
    ) -> Result<(), Stop> {
        let (head, file) = self.find(peer, request).await;
        self.write(to, &head.encode(), patience).await?;
        if let Some(file) = file {
            self.send(&*file, request, to, patience).await?;
        }
        Ok(())
    }

    /// Throws away what comes, for [`PROBE_LASTS`] at most, and says how much it was. Who sends nothing has stalled.
    async fn probe(
        &self,
        probe: &Probe,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        patience: &mut Patience,
    ) -> Result<(), Stop> {
        let mut piece = vec![0u8; PIECE];
        let mut came = 0u64;
        let taking = async {
            // What is beyond the bytes that were announced is not read.
            let mut bounded = from.take(probe.bytes());
            while came < probe.bytes() {
                let bytes = bounded.read(&mut piece).await? as u64;
                if bytes == 0 {
                    break;
                }
                came = came.saturating_add(bytes);
                self.tally.probed(bytes);
                self.throttle.pass(bytes).await;
            }
            Ok::<(), io::Error>(())
        };
        let ended = timeout(PROBE_LASTS, taking).await;
        match ended {
            Ok(Err(_)) => return Err(Stop::Left),
            Err(_) if came == 0 => return Err(Stop::Stalled),
            Ok(Ok(())) | Err(_) => {}
        }
        let receipt = Receipt::Took { bytes: came };
        self.write(to, &receipt.encode(), patience).await?;
        self.tally.took();
        Ok(())
    }

    /// What to say, and the file if there is something to send.
    async fn find(&self, peer: &PeerId, request: &Request) -> (Head, Option<Box<dyn File>>) {
        let path = request.path();
        if !is_blob(path) || !self.policy.serves(peer, path) {
            return (Head::Absent, None);
        }
        match self.shelf.open(path).await {
            Ok(Some(file)) => {
                let length = file.length();
                match request.bytes().end <= length {
                    true => (Head::Found { length }, Some(file)),
                    false => (Head::Beyond { length }, None),
                }
            }
            Ok(None) => (Head::Absent, None),
            Err(error) => {
                tracing::warn!("cannot serve {path}: {error}; look at the disk");
                (Head::Failed, None)
            }
        }
    }

    async fn send(
        &self,
        file: &dyn File,
        request: &Request,
        to: &mut (impl AsyncWrite + Unpin),
        patience: &mut Patience,
    ) -> Result<(), Stop> {
        let bytes = request.bytes();
        let mut at = bytes.start;
        while at < bytes.end {
            let length = bytes.end.saturating_sub(at).min(PIECE as u64);
            self.throttle.pass(length).await;
            let piece = file.read(at, length as usize).await;
            let piece = piece.map_err(|error| {
                tracing::warn!("cannot serve {}: {error}; look at the disk", request.path());
                Stop::Disk(error)
            })?;
            self.write(to, &piece, patience).await?;
            self.tally.sent(length);
            at = at.saturating_add(length);
        }
        Ok(())
    }

    /// Writes in as much time as the peer still has.
    async fn write(
        &self,
        to: &mut (impl AsyncWrite + Unpin),
        bytes: &[u8],
        patience: &mut Patience,
    ) -> Result<(), Stop> {
        let since = Instant::now();
        match timeout(patience.left(), to.write_all(bytes)).await {
            Err(_) => Err(Stop::Stalled),
            Ok(Err(_)) => Err(Stop::Left),
            Ok(Ok(())) => {
                patience.took(bytes.len() as u64, since.elapsed());
                Ok(())
            }
        }
    }
}

/// The bytes of a frame: those of a probe are so many, and those of a request end with the stream; one more than the
/// longest has is read, to see that there is one.
async fn read_frame(from: &mut (impl AsyncRead + Unpin), frame: &mut Vec<u8>) -> io::Result<()> {
    let mut first = (&mut *from).take(PROBE_FRAME as u64);
    first.read_to_end(frame).await?;
    if frame.first() != Some(&PROBE) {
        let rest = MAX_REQUEST.saturating_add(1).saturating_sub(frame.len());
        let mut rest = from.take(rest as u64);
        rest.read_to_end(frame).await?;
    }
    Ok(())
}
