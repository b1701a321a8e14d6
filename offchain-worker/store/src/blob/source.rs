//! Where blobs come from.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{stream::BoxStream, FutureExt, StreamExt};
use object_store::{path::Path, GetOptions, GetRange, ObjectStore};

use super::fault::Fault;
use crate::error::{Doing, StoreError};

/// Somebody who has blobs. Whoever reads checks every byte, so a source need not be trusted.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// What to call it; without credentials.
    fn name(&self) -> &str;

    /// Some bytes of the file at a path of [`crate::paths`]. The caller sets deadlines, and does not read on past the
    /// range. `bytes` is not empty.
    ///
    /// # Errors
    /// What it did not do.
    async fn read(&self, path: &str, bytes: Range<u64>) -> Result<Reply, Fault>;
}

/// What a source answers.
pub struct Reply {
    /// Bytes of the whole file, as the source has it.
    pub length: u64,
    /// The bytes asked for, in order.
    pub bytes: BoxStream<'static, Result<Bytes, Fault>>,
}

/// Any store of `object_store`, as a source.
pub(crate) struct StoreSource {
    pub name: Arc<str>,
    pub files: Arc<dyn ObjectStore>,
}

impl fmt::Debug for StoreSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreSource").field(&self.name).finish()
    }
}

#[async_trait]
impl Source for StoreSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn read(&self, path: &str, bytes: Range<u64>) -> Result<Reply, Fault> {
        let location = Path::parse(path).map_err(|_| Fault::Absent { path: path.into() })?;
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(bytes)));
        let explain = {
            let (name, path) = (self.name.clone(), path.to_string());
            move |error| explain(&name, &path, error)
        };
        let got = self
            .files
            .get_opts(&location, options)
            .await
            .map_err(&explain)?;
        Ok(Reply {
            length: got.meta.size,
            bytes: got
                .into_stream()
                .map(move |chunk| chunk.map_err(&explain))
                .boxed(),
        })
    }
}

fn explain(name: &str, path: &str, error: object_store::Error) -> Fault {
    if matches!(error, object_store::Error::NotSupported { .. }) {
        return Fault::NoRanges;
    }
    let doing = Doing {
        store: name,
        path,
        operation: "reading",
    };
    match doing.explain(error) {
        StoreError::NotFound { path, .. } => Fault::Absent { path },
        StoreError::Refused { .. } => Fault::Refused,
        error @ StoreError::Forbidden { .. } => Fault::Forbidden {
            why: error.to_string(),
        },
        StoreError::Failed { why, .. } => Fault::Failed { why },
        error => Fault::Failed {
            why: error.to_string(),
        },
    }
}

/// Reads a stream in pieces of a given length.
pub(crate) struct Pieces {
    stream: BoxStream<'static, Result<Bytes, Fault>>,
    rest: Bytes,
    /// What has come of a piece that is not whole yet.
    piece: BytesMut,
    /// Where the next piece begins in the file.
    at: u64,
}

/// More chunks in a row without a byte than anything honest sends.
const MOST_EMPTY: u32 = 1_024;

impl Pieces {
    /// Of a stream that begins at byte `at`.
    pub fn new(stream: BoxStream<'static, Result<Bytes, Fault>>, at: u64) -> Pieces {
        Pieces {
            stream,
            rest: Bytes::new(),
            piece: BytesMut::new(),
            at,
        }
    }

    /// The next `length` bytes. Whoever stops waiting for them loses nothing, and asks for as many the next time.
    pub async fn next(&mut self, length: u64) -> Result<Bytes, Fault> {
        // At once as long as it will be.
        self.piece
            .reserve((length as usize).saturating_sub(self.piece.len()));
        self.reach(length).await?;
        self.at = self.at.saturating_add(length);
        Ok(std::mem::take(&mut self.piece).freeze())
    }

    /// Waits until this many of the next bytes have come, for who wants no fewer with [`Pieces::next`].
    pub async fn reach(&mut self, length: u64) -> Result<(), Fault> {
        let length = length as usize;
        let mut empty = 0;
        while self.piece.len() < length {
            if self.rest.is_empty() {
                let cut = Fault::Cut {
                    at: self.at.saturating_add(self.piece.len() as u64),
                };
                self.rest = self.stream.next().await.ok_or(cut)??;
                empty = if self.rest.is_empty() { empty + 1 } else { 0 };
                if empty > MOST_EMPTY {
                    let why = "it sends nothing, again and again".into();
                    return Err(Fault::Failed { why });
                }
            }
            let missing = length - self.piece.len();
            let part = self.rest.split_to(self.rest.len().min(missing));
            self.piece.extend_from_slice(&part);
        }
        Ok(())
    }

    /// The same, if it can be had without waiting.
    pub fn at_hand(&mut self, length: u64) -> Option<Result<Bytes, Fault>> {
        self.next(length).now_or_never()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_came_of_a_piece_waits_for_the_rest() {
        let (give, take) = futures::channel::mpsc::unbounded();
        let send = |bytes: &'static [u8]| give.unbounded_send(Ok(Bytes::from_static(bytes)));
        let mut pieces = Pieces::new(take.boxed(), 0);
        assert_eq!(pieces.at_hand(4), None);
        send(b"abc").unwrap();
        assert_eq!(pieces.at_hand(4), None);
        send(b"defghij").unwrap();
        assert_eq!(pieces.next(4).await, Ok(Bytes::from_static(b"abcd")));
        assert_eq!(pieces.at_hand(4), Some(Ok(Bytes::from_static(b"efgh"))));
        give.close_channel();
        assert_eq!(pieces.at_hand(4), Some(Err(Fault::Cut { at: 10 })));
    }
}
