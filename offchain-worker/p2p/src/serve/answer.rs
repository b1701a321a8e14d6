//! One request: a frame in, a head and bytes out.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{timeout, Instant},
};

use super::{tally::Tally, throttle::Throttle};
use crate::{
    frame::{FrameError, Head, Request, MAX_REQUEST},
    limits::{Limits, Patience, PIECE},
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
    pub tally: Tally,
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
            Stop::Left | Stop::Disk(_) => None,
        }
    }
}

impl Desk {
    /// Reads a request and writes the reply. Holds one frame, one [`PIECE`] and one open file. Gives how long the peer
    /// may take for what is still under way to it.
    pub async fn answer(
        &self,
        peer: &PeerId,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Patience, Stop> {
        let request = self.request(from).await?;
        let mut patience = Patience::new(&self.limits);
        let (head, file) = self.find(peer, &request).await;
        self.write(to, &head.encode(), &mut patience).await?;
        if let Some(file) = file {
            self.send(&*file, &request, to, &mut patience).await?;
        }
        self.tally.replied();
        Ok(patience)
    }

    /// The request, whole and in time.
    async fn request(&self, from: &mut (impl AsyncRead + Unpin)) -> Result<Request, Stop> {
        // One byte more than a frame has, to see that there is one.
        let most = MAX_REQUEST.saturating_add(1);
        let mut frame = Vec::with_capacity(most);
        let mut bounded = from.take(most as u64);
        let read = timeout(self.limits.step, bounded.read_to_end(&mut frame)).await;
        match read {
            Err(_) => Err(Stop::Stalled),
            Ok(Err(_)) => Err(Stop::Left),
            Ok(Ok(_)) => Ok(Request::decode(&frame)?),
        }
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
