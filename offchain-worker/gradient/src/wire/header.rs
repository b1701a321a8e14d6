//! The file's first bytes. All integers are little-endian.

use cairn_primitives::H256;

use super::DecodeError;
use crate::contribution::Header;

/// The file's first four bytes.
pub const MAGIC: [u8; 4] = *b"CRNC";
/// The version of the format.
pub const VERSION: u16 = 2;
/// Bytes of the header.
pub const HEADER_LENGTH: usize = 124;

/// Reads what a contribution says of itself from the first [`HEADER_LENGTH`] bytes of its file; what comes
/// behind them is not looked at.
///
/// # Errors
/// [`DecodeError::HeaderTruncated`], [`DecodeError::Magic`], [`DecodeError::Version`] or
/// [`DecodeError::MeanLoss`].
pub fn decode_header(bytes: &[u8]) -> Result<Header, DecodeError> {
    let truncated = DecodeError::HeaderTruncated {
        length: bytes.len(),
    };
    let mut fields = Fields(
        bytes
            .get(..HEADER_LENGTH)
            .ok_or_else(|| truncated.clone())?,
    );
    let header = fields.header(truncated)?;
    if !header.has_a_loss() {
        return Err(DecodeError::MeanLoss);
    }
    Ok(header)
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn header(&mut self, truncated: DecodeError) -> Result<Header, DecodeError> {
        let magic: [u8; 4] = self.take().ok_or_else(|| truncated.clone())?;
        if magic != MAGIC {
            return Err(DecodeError::Magic { found: magic });
        }
        let version = u16::from_le_bytes(self.take().ok_or_else(|| truncated.clone())?);
        if version != VERSION {
            return Err(DecodeError::Version { found: version });
        }
        self.body().ok_or(truncated)
    }

    fn body(&mut self) -> Option<Header> {
        Some(Header {
            netuid: u16::from_le_bytes(self.take()?),
            round: u32::from_le_bytes(self.take()?),
            hotkey: self.take()?,
            parent_root: H256(self.take()?),
            layout_hash: H256(self.take()?),
            inner_steps: u32::from_le_bytes(self.take()?),
            tokens: u64::from_le_bytes(self.take()?),
            mean_loss: f32::from_le_bytes(self.take()?),
        })
    }
}

/// Appends a header.
pub(crate) fn push_header(bytes: &mut Vec<u8>, header: &Header) {
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(header.netuid.to_le_bytes());
    bytes.extend(header.round.to_le_bytes());
    bytes.extend(header.hotkey);
    bytes.extend(header.parent_root.0);
    bytes.extend(header.layout_hash.0);
    bytes.extend(header.inner_steps.to_le_bytes());
    bytes.extend(header.tokens.to_le_bytes());
    bytes.extend(header.mean_loss.to_le_bytes());
}
