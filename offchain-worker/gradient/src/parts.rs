//! The hash of a vector that nobody holds: from parts of its bytes, which may lie anywhere.
//!
//! BLAKE3 is a tree. Bytes that begin and end where a subtree of it does are hashed by themselves, and the hashes are
//! joined, level by level, to that of the whole. So memory is a part for each thread, whatever the vector's length, and
//! threads hash different parts.

use blake3::{
    hazmat::{merge_subtrees_non_root, merge_subtrees_root, ChainingValue, HasherExt, Mode},
    Hasher,
};
use cairn_primitives::H256;
use rayon::prelude::*;

/// Bytes of a part: a power of two, and whole chunks of BLAKE3's, so that each part is a subtree.
const PART: u64 = 1 << 20;
/// Bytes of a number.
const NUMBER: u64 = 4;

/// [`vector_hash`](crate::vector_hash) of a vector of so many numbers that lies elsewhere, in one place or in several.
///
/// `read` fills a buffer with the little-endian bytes of the numbers from the given one on. It is asked for each number
/// once, by several threads of rayon's pool at a time, and for at most 2¹⁸ numbers at once.
///
/// # Errors
/// The first of `read`'s that is met.
pub fn vector_hash_in_parts<E: Send>(
    numbers: u64,
    read: impl Fn(u64, &mut [u8]) -> Result<(), E> + Sync,
) -> Result<H256, E> {
    in_parts(PART, numbers, read)
}

fn in_parts<E: Send>(
    part: u64,
    numbers: u64,
    read: impl Fn(u64, &mut [u8]) -> Result<(), E> + Sync,
) -> Result<H256, E> {
    let length = numbers.saturating_mul(NUMBER);
    let hash = |room: &mut Vec<u8>, number: u64| -> Result<Hasher, E> {
        let from = number.saturating_mul(part);
        room.resize(length.saturating_sub(from).min(part) as usize, 0);
        read(from / NUMBER, room)?;
        let mut hasher = Hasher::new();
        hasher.set_input_offset(from).update(room);
        Ok(hasher)
    };
    if length <= part {
        let whole = hash(&mut Vec::new(), 0)?;
        return Ok(H256::from(*whole.finalize().as_bytes()));
    }
    let subtrees: Vec<ChainingValue> = (0..length.div_ceil(part))
        .into_par_iter()
        .map_init(Vec::new, |room, number| {
            hash(room, number).map(|hasher| hasher.finalize_non_root())
        })
        .collect::<Result<_, E>>()?;
    let (left, right) = halves(&subtrees);
    let root = merge_subtrees_root(&joined(left), &joined(right), Mode::Hash);
    Ok(H256::from(*root.as_bytes()))
}

/// The hash over neighbouring subtrees, which are all of the same size but for the last; none have none.
fn joined(subtrees: &[ChainingValue]) -> ChainingValue {
    match subtrees {
        [] => ChainingValue::default(),
        [one] => *one,
        several => {
            let (left, right) = halves(several);
            merge_subtrees_non_root(&joined(left), &joined(right), Mode::Hash)
        }
    }
}

/// What is left and right of the node above two subtrees or more: to the left a power of two, as large as it can be
/// with something to the right.
fn halves(subtrees: &[ChainingValue]) -> (&[ChainingValue], &[ChainingValue]) {
    let left = subtrees.len().div_ceil(2).next_power_of_two();
    subtrees.split_at(left.min(subtrees.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vector_hash;

    /// A chunk of BLAKE3's: the smallest part.
    const CHUNK: u64 = 1_024;

    /// Numbers that all differ, the last of them in few bits.
    fn vector(numbers: usize) -> Vec<f32> {
        (0..numbers).map(|i| (i as f32).sqrt() - 7.0).collect()
    }

    /// The vector cut at these places, a file for each piece.
    fn cut(vector: &[f32], mut cuts: Vec<usize>) -> Vec<Vec<u8>> {
        cuts.extend([0, vector.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &vector[ends[0]..ends[1]]);
        let bytes = pieces.map(|piece| piece.iter().flat_map(|x| x.to_le_bytes()));
        bytes.map(|bytes| bytes.collect()).collect()
    }

    /// Fills a buffer from files: a part that lies over an edge is read from both sides of it.
    fn read_from(files: &[Vec<u8>], from: u64, mut bytes: &mut [u8]) {
        let mut skip = 4 * from as usize;
        for file in files {
            let there = &file[skip.min(file.len())..];
            skip = skip.saturating_sub(file.len());
            let most = there.len().min(bytes.len());
            let (now, later) = std::mem::take(&mut bytes).split_at_mut(most);
            now.copy_from_slice(&there[..most]);
            bytes = later;
        }
        assert!(bytes.is_empty(), "beyond the end");
    }

    fn hash_of(part: u64, files: &[Vec<u8>], numbers: usize) -> H256 {
        let read = |from: u64, bytes: &mut [u8]| -> Result<(), ()> {
            read_from(files, from, bytes);
            Ok(())
        };
        in_parts(part, numbers as u64, read).unwrap()
    }

    proptest! {
        #[test]
        fn however_a_vector_is_cut_its_hash_is_that_of_the_whole(
            numbers in 0usize..20_000,
            places in prop::collection::vec(0.0..1.0f64, 0..12),
            exponent in 0u32..6,
        ) {
            let vector = vector(numbers);
            let cuts = places.iter().map(|place| (place * numbers as f64) as usize);
            let files = cut(&vector, cuts.collect());
            let found = hash_of(CHUNK << exponent, &files, numbers);
            prop_assert_eq!(found, vector_hash(&vector));
        }
    }

    #[test]
    fn lengths_around_the_edges_of_the_tree() {
        for parts in [1, 2, 3, 4, 5, 7, 8, 9, 16, 17] {
            let edge = parts * (CHUNK / 4) as usize;
            for numbers in [edge - 1, edge, edge + 1] {
                let vector = vector(numbers);
                let files = cut(&vector, vec![numbers / 3]);
                assert_eq!(hash_of(CHUNK, &files, numbers), vector_hash(&vector));
            }
        }
        assert_eq!(hash_of(CHUNK, &[], 0), vector_hash(&[]));
    }

    #[test]
    fn parts_are_as_long_as_it_says_and_each_number_is_read_once() {
        let vector = vector(3 * (PART / 4) as usize + 5);
        let files = cut(&vector, vec![77, vector.len() / 2 + 1]);
        let read = std::sync::atomic::AtomicU64::new(0);
        let found = vector_hash_in_parts(vector.len() as u64, |from, bytes| -> Result<(), ()> {
            assert!(bytes.len() as u64 <= PART);
            read.fetch_add(bytes.len() as u64, std::sync::atomic::Ordering::Relaxed);
            read_from(&files, from, bytes);
            Ok(())
        });
        assert_eq!(found, Ok(vector_hash(&vector)));
        assert_eq!(read.into_inner(), 4 * vector.len() as u64);
    }

    #[test]
    fn what_cannot_be_read_has_no_hash() {
        for numbers in [1, 5_000] {
            let fails = |from: u64, _: &mut [u8]| match from {
                0 => Err("gone"),
                _ => Ok(()),
            };
            assert_eq!(in_parts(CHUNK, numbers, fails), Err("gone"));
        }
    }
}
