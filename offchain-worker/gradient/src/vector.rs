//! Vectors and their little-endian bytes: on no way between the two is a vector held twice.

use std::{
    collections::TryReserveError,
    io::{self, Read},
};

use cairn_primitives::H256;

use crate::roots::update;

/// Bytes that [`read_vector`] asks for at once, at most. Of so many each part is hashed on several threads.
pub const READ_AT_ONCE: usize = 1 << 18;

/// A vector that is made of its little-endian bytes as they come, cut in any way, and hashed on the way.
#[derive(Debug, Default)]
pub struct VectorMaker {
    numbers: Vec<f32>,
    hasher: blake3::Hasher,
    /// The bytes of a number whose rest is to come: three at most.
    begun: Vec<u8>,
}

impl VectorMaker {
    /// Makes room for the numbers of so many bytes, and for no more.
    ///
    /// # Errors
    /// [`TryReserveError`] if there is not as much memory.
    pub fn new(bytes: u64) -> Result<VectorMaker, TryReserveError> {
        let mut numbers = Vec::new();
        // More than can be named is refused, too.
        numbers.try_reserve_exact(usize::try_from(bytes / 4).unwrap_or(usize::MAX))?;
        Ok(VectorMaker {
            numbers,
            hasher: blake3::Hasher::new(),
            begun: Vec::new(),
        })
    }

    /// Takes the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        update(&mut self.hasher, bytes);
        let (whole, begun) = self.complete(bytes).as_chunks::<4>();
        let numbers = whole.iter().map(|number| f32::from_le_bytes(*number));
        self.numbers.extend(numbers);
        self.begun.extend_from_slice(begun);
    }

    /// Gives the number that was begun its other bytes, as far as these have them, and gives the rest of these.
    fn complete<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.begun.is_empty() {
            return bytes;
        }
        let missing = 4usize.saturating_sub(self.begun.len());
        let (first, rest) = bytes.split_at(missing.min(bytes.len()));
        self.begun.extend_from_slice(first);
        if let Ok(number) = self.begun.as_slice().try_into() {
            self.numbers.push(f32::from_le_bytes(number));
            self.begun.clear();
        }
        rest
    }

    /// The vector, and the BLAKE3 of all bytes that came: its [`vector_hash`](crate::vector_hash), and of parameters
    /// the root. A rest of fewer than four bytes is in the hash and in no number.
    pub fn finish(self) -> (Vec<f32>, H256) {
        let hash = H256(*self.hasher.finalize().as_bytes());
        (self.numbers, hash)
    }
}

/// Reads a vector of so many little-endian bytes, of which at most [`READ_AT_ONCE`] are held beside it, and gives what
/// [`VectorMaker::finish`] does.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] if there are fewer bytes, [`io::ErrorKind::InvalidData`] if there are more,
/// [`io::ErrorKind::OutOfMemory`] if there is no room for them; those of `source`.
pub fn read_vector(mut source: impl Read, bytes: u64) -> io::Result<(Vec<f32>, H256)> {
    let mut vector = VectorMaker::new(bytes)?;
    let mut room = vec![0u8; READ_AT_ONCE];
    let mut left = bytes;
    while left > 0 {
        let some = usize::try_from(left).map_or(READ_AT_ONCE, |left| left.min(READ_AT_ONCE));
        let (piece, _) = room.split_at_mut(some);
        source.read_exact(piece)?;
        vector.take(piece);
        left = left.saturating_sub(some as u64);
    }
    match source.read_exact(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(vector.finish()),
        Err(error) => Err(error),
        Ok(()) => {
            let what = format!("it has more than {bytes} bytes");
            Err(io::Error::new(io::ErrorKind::InvalidData, what))
        }
    }
}

/// The [`vector_hash`](crate::vector_hash) of a vector of which its little-endian bytes are there.
pub fn vector_hash_of_bytes(bytes: &[u8]) -> H256 {
    let mut hasher = blake3::Hasher::new();
    update(&mut hasher, bytes);
    H256(*hasher.finalize().as_bytes())
}

/// A vector's little-endian bytes where they are in memory; `None` on machines with another byte order.
pub fn bytes_in_place(vector: &[f32]) -> Option<&[u8]> {
    cfg!(target_endian = "little").then(|| bytemuck::cast_slice(vector))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{sealed_root, vector_hash};

    /// Bytes of which each four are another number; some are no numbers (NaN), and some are tiny.
    fn content(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    /// Numbers of whole bytes, all at once: what is made piece by piece is held against it.
    fn at_once(bytes: &[u8]) -> Vec<u32> {
        let numbers = bytes.chunks_exact(4);
        let numbers = numbers.map(|number| u32::from_le_bytes(number.try_into().unwrap()));
        numbers.collect()
    }

    fn bits(vector: &[f32]) -> Vec<u32> {
        vector.iter().map(|number| number.to_bits()).collect()
    }

    /// Gives at most so many bytes at a time, and takes note of what is asked for.
    struct Source<'a> {
        rest: &'a [u8],
        at_a_time: usize,
        most_asked: usize,
    }

    impl Source<'_> {
        fn of(bytes: &[u8]) -> Source<'_> {
            Source {
                rest: bytes,
                at_a_time: usize::MAX,
                most_asked: 0,
            }
        }
    }

    impl Read for Source<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.most_asked = self.most_asked.max(into.len());
            let most = into.len().min(self.at_a_time);
            self.rest.read(&mut into[..most])
        }
    }

    #[test]
    fn lengths_around_the_edges_of_pieces_give_the_same_bits() {
        let edges = [0, 4, READ_AT_ONCE, 2 * READ_AT_ONCE, 3 * READ_AT_ONCE];
        for edge in edges {
            for length in [-5isize, -4, -3, -1, 0, 1, 2, 3, 4, 5] {
                let Some(length) = edge.checked_add_signed(length) else {
                    continue;
                };
                let bytes = content(length);
                let (vector, hash) = read_vector(Source::of(&bytes), length as u64).unwrap();
                assert_eq!(bits(&vector), at_once(&bytes), "{length}");
                assert_eq!(hash, vector_hash_of_bytes(&bytes), "{length}");
                assert_eq!(hash, sealed_root(&bytes).0, "{length}");
                if length % 4 == 0 {
                    assert_eq!(hash, vector_hash(&vector), "{length}");
                }
            }
        }
    }

    #[test]
    fn a_vector_is_never_read_whole_and_has_no_room_to_spare() {
        let bytes = content(5 * READ_AT_ONCE + 8);
        for at_a_time in [1_000, READ_AT_ONCE - 1, usize::MAX] {
            let mut source = Source {
                at_a_time,
                ..Source::of(&bytes)
            };
            let (vector, hash) = read_vector(&mut source, bytes.len() as u64).unwrap();
            assert_eq!(source.most_asked, READ_AT_ONCE);
            assert_eq!(hash, vector_hash(&vector));
            assert_eq!(vector.capacity(), vector.len());
        }
    }

    #[test]
    fn what_is_shorter_or_longer_is_refused() {
        for length in [1, 4, READ_AT_ONCE, READ_AT_ONCE + 4] {
            let bytes = content(length);
            let kind = |expected: usize| {
                let read = read_vector(bytes.as_slice(), expected as u64);
                read.map(drop).map_err(|error| error.kind())
            };
            assert_eq!(kind(length), Ok(()));
            assert_eq!(kind(length + 1), Err(io::ErrorKind::UnexpectedEof));
            assert_eq!(kind(length + 4), Err(io::ErrorKind::UnexpectedEof));
            assert_eq!(kind(length - 1), Err(io::ErrorKind::InvalidData));
        }
        let most = read_vector(&[][..], u64::MAX).unwrap_err();
        assert_eq!(most.kind(), io::ErrorKind::OutOfMemory);
    }

    #[test]
    fn one_wrong_byte_is_another_hash() {
        let mut bytes = content(2 * READ_AT_ONCE);
        let (_, right) = read_vector(bytes.as_slice(), bytes.len() as u64).unwrap();
        for place in [0, READ_AT_ONCE - 1, READ_AT_ONCE, 2 * READ_AT_ONCE - 1] {
            bytes[place] ^= 1;
            let (_, wrong) = read_vector(bytes.as_slice(), bytes.len() as u64).unwrap();
            assert_ne!(wrong, right, "{place}");
            bytes[place] ^= 1;
        }
    }

    proptest! {
        #[test]
        fn however_bytes_come_the_vector_is_the_same(
            length in 0usize..300,
            cuts in prop::collection::vec(1usize..20, 0..40),
        ) {
            let bytes = content(length);
            let mut vector = VectorMaker::new(length as u64).unwrap();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                vector.take(now);
                rest = later;
            }
            vector.take(rest);
            let (vector, hash) = vector.finish();
            prop_assert_eq!(bits(&vector), at_once(&bytes));
            prop_assert_eq!(hash, sealed_root(&bytes).0);
        }
    }

    #[test]
    fn bytes_in_place_are_the_vectors_own() {
        let vector = [1.0f32, -2.5, f32::NAN];
        if let Some(bytes) = bytes_in_place(&vector) {
            assert_eq!(bytes.as_ptr(), vector.as_ptr().cast());
            assert_eq!(at_once(bytes), bits(&vector));
        }
        assert_eq!(
            bytes_in_place(&vector).is_some(),
            cfg!(target_endian = "little")
        );
    }
}
