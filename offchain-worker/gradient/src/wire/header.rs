//! The file's first bytes. All integers are little-endian.

use cairn_primitives::{Carried, EngineClass, Hotkey, ModelRoot, Netuid, Work, H256};

use super::DecodeError;
use crate::blocks::Kept;
use crate::contribution::Header;

/// The file's first four bytes.
pub const MAGIC: [u8; 4] = *b"CRNC";
/// The version of the format in runs that send the largest values.
pub const VERSION: u16 = 3;
/// The version in runs that send all values, or all whose turn it is: there are no gaps.
pub const VERSION_OF_ALL: u16 = 4;
/// Bytes of the header.
pub const HEADER_LENGTH: usize = 388;

/// Reads what a contribution says of itself from the first [`HEADER_LENGTH`] bytes of its file; what comes
/// behind them is not looked at.
///
/// # Errors
/// [`DecodeError::HeaderTruncated`], [`DecodeError::Magic`], [`DecodeError::Version`], [`DecodeError::MeanLoss`] or
/// [`DecodeError::Engine`].
pub fn decode_header(bytes: &[u8]) -> Result<Header, DecodeError> {
    versioned(bytes).map(|(_, header)| header)
}

/// The same where these values of a block are kept, so that it has one version.
pub(super) fn decode_header_of(bytes: &[u8], kept: Kept) -> Result<Header, DecodeError> {
    let (found, header) = versioned(bytes)?;
    match version(kept) {
        expected if expected == found => Ok(header),
        expected => Err(DecodeError::ForeignVersion { found, expected }),
    }
}

fn version(kept: Kept) -> u16 {
    match kept.is_known() {
        true => VERSION_OF_ALL,
        false => VERSION,
    }
}

fn versioned(bytes: &[u8]) -> Result<(u16, Header), DecodeError> {
    let truncated = DecodeError::HeaderTruncated {
        length: bytes.len(),
    };
    let mut fields = Fields(
        bytes
            .get(..HEADER_LENGTH)
            .ok_or_else(|| truncated.clone())?,
    );
    fields.header(truncated)
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    /// The version, and all else.
    fn header(&mut self, truncated: DecodeError) -> Result<(u16, Header), DecodeError> {
        let magic: [u8; 4] = self.take().ok_or_else(|| truncated.clone())?;
        if magic != MAGIC {
            return Err(DecodeError::Magic { found: magic });
        }
        let version = u16::from_le_bytes(self.take().ok_or_else(|| truncated.clone())?);
        if ![VERSION, VERSION_OF_ALL].contains(&version) {
            return Err(DecodeError::Version { found: version });
        }
        let mut header = self.body().ok_or_else(|| truncated.clone())?;
        if !header.has_a_loss() {
            return Err(DecodeError::MeanLoss);
        }
        let engine = self.take().ok_or_else(|| truncated.clone())?;
        let engine = EngineClass::from_bytes(engine).ok_or(DecodeError::Engine)?;
        header.work = self.work(engine).ok_or(truncated)?;
        Ok((version, header))
    }

    /// All but the work.
    fn body(&mut self) -> Option<Header> {
        Some(Header {
            netuid: Netuid(u16::from_le_bytes(self.take()?)),
            round: u32::from_le_bytes(self.take()?),
            hotkey: Hotkey(H256(self.take()?)),
            parent_root: ModelRoot::from(self.take()?),
            layout_hash: H256(self.take()?),
            inner_steps: u32::from_le_bytes(self.take()?),
            tokens: u64::from_le_bytes(self.take()?),
            mean_loss: f32::from_le_bytes(self.take()?),
            work: Work::default(),
        })
    }

    fn work(&mut self, engine: EngineClass) -> Option<Work> {
        let steps = u64::from_le_bytes(self.take()?);
        Some(Work {
            engine,
            before: Carried {
                steps,
                ..self.roots()?
            },
            after: self.roots()?,
            trace: H256(self.take()?),
        })
    }

    fn roots(&mut self) -> Option<Carried> {
        Some(Carried {
            first_moment: H256(self.take()?),
            second_moment: H256(self.take()?),
            feedback: H256(self.take()?),
            steps: 0,
        })
    }
}

/// Appends a header where these values of a block are kept.
pub(crate) fn push_header(bytes: &mut Vec<u8>, header: &Header, kept: Kept) {
    bytes.extend(MAGIC);
    bytes.extend(version(kept).to_le_bytes());
    bytes.extend(header.netuid.get().to_le_bytes());
    bytes.extend(header.round.to_le_bytes());
    bytes.extend(header.hotkey.bytes());
    bytes.extend(header.parent_root.bytes());
    bytes.extend(header.layout_hash.0);
    bytes.extend(header.inner_steps.to_le_bytes());
    bytes.extend(header.tokens.to_le_bytes());
    bytes.extend(header.mean_loss.to_le_bytes());
    let work = &header.work;
    bytes.extend(work.engine.bytes());
    bytes.extend(work.before.steps.to_le_bytes());
    for carried in [&work.before, &work.after] {
        bytes.extend(carried.first_moment.0);
        bytes.extend(carried.second_moment.0);
        bytes.extend(carried.feedback.0);
    }
    bytes.extend(work.trace.0);
}
