//! A file of tokens.

use crate::DataError;

/// First bytes of a shard.
const MAGIC: [u8; 8] = *b"cairntok";
/// Version of the format.
const VERSION: u32 = 1;
/// Bytes before the tokens: magic, version (u32), bytes per token (u32), number of tokens (u64).
pub const HEADER_BYTES: u64 = 24;

/// How many bytes a token takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenWidth {
    /// Two bytes: tokens up to 65,535.
    Two,
    /// Four bytes.
    Four,
}

impl TokenWidth {
    /// The narrowest that holds every token of a vocabulary.
    pub fn of(vocabulary: u32) -> TokenWidth {
        if vocabulary <= 1 << 16 {
            TokenWidth::Two
        } else {
            TokenWidth::Four
        }
    }

    /// Bytes per token.
    pub fn bytes(self) -> u32 {
        match self {
            TokenWidth::Two => 2,
            TokenWidth::Four => 4,
        }
    }

    /// The largest token that it holds.
    pub fn largest(self) -> u32 {
        match self {
            TokenWidth::Two => u16::MAX.into(),
            TokenWidth::Four => u32::MAX,
        }
    }

    /// The width that a header or a manifest states.
    pub(super) fn from_bytes(bytes: u32) -> Result<TokenWidth, DataError> {
        match bytes {
            2 => Ok(TokenWidth::Two),
            4 => Ok(TokenWidth::Four),
            found => Err(DataError::Width { found }),
        }
    }
}

/// Tokens as they lie in one file: magic, version, bytes per token, number of tokens, tokens; numbers smallest
/// byte first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Bytes per token in the file.
    pub width: TokenWidth,
    /// The tokens.
    pub tokens: Vec<u32>,
}

impl Shard {
    /// Writes the file.
    ///
    /// # Errors
    ///
    /// [`DataError::Token`] if a token does not fit the width.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DataError> {
        let largest = self.width.largest();
        if let Some(position) = self.tokens.iter().position(|token| *token > largest) {
            let token = self.tokens[position];
            return Err(DataError::Token {
                token,
                position: position as u64,
                largest,
            });
        }
        let mut bytes = Vec::with_capacity(24 + 4 * self.tokens.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.width.bytes().to_le_bytes());
        bytes.extend_from_slice(&(self.tokens.len() as u64).to_le_bytes());
        for token in self.tokens.iter().map(|token| token.to_le_bytes()) {
            match self.width {
                TokenWidth::Two => bytes.extend_from_slice(&token[..2]),
                TokenWidth::Four => bytes.extend_from_slice(&token),
            }
        }
        Ok(bytes)
    }

    /// Reads the file; it has exactly the length that its header announces.
    ///
    /// # Errors
    ///
    /// [`DataError`] says what is wrong; memory is allocated only for a file of the announced length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Shard, DataError> {
        let found = bytes.len() as u64;
        let short = DataError::Length {
            expected: HEADER_BYTES,
            found,
        };
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(short.clone())?;
        if *magic != MAGIC {
            return Err(DataError::Magic);
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or(short.clone())?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(DataError::Version {
                what: "shard",
                expected: VERSION,
                found: version,
            });
        }
        let (width, rest) = rest.split_first_chunk::<4>().ok_or(short.clone())?;
        let width = TokenWidth::from_bytes(u32::from_le_bytes(*width))?;
        let (count, rest) = rest.split_first_chunk::<8>().ok_or(short)?;
        let expected = file_length(width, u64::from_le_bytes(*count));
        if found != expected {
            return Err(DataError::Length { expected, found });
        }
        let tokens = match width {
            TokenWidth::Two => numbers(rest, |token| u16::from_le_bytes(token).into()),
            TokenWidth::Four => numbers(rest, u32::from_le_bytes),
        };
        Ok(Shard { width, tokens })
    }
}

/// Bytes of a shard of `count` tokens.
pub(super) fn file_length(width: TokenWidth, count: u64) -> u64 {
    count
        .saturating_mul(width.bytes().into())
        .saturating_add(HEADER_BYTES)
}

/// Numbers of `N` bytes each.
fn numbers<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> u32) -> Vec<u32> {
    bytes
        .chunks_exact(N)
        .filter_map(|token| token.try_into().ok())
        .map(read)
        .collect()
}
