//! Vectors that lie outside this program, where an engine elsewhere put them.

use cairn_gradient::vector_hash_in_parts;
use cairn_primitives::H256;

use crate::{EngineError, Part};

/// Numbers that are read at once where all of them are wanted.
const PIECE: usize = 1 << 16;

/// A vector that lies outside this program. Nobody trusts its numbers.
pub trait Outside: Send + Sync {
    /// Numbers in it.
    fn numbers(&self) -> u64;

    /// Reads the little-endian bytes of the numbers from one on, as many as there is room for.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if they are not there.
    fn read(&self, from: u64, bytes: &mut [u8]) -> Result<(), EngineError>;
}

/// The hash of a vector of so many numbers, each of which is looked at. It is read in parts, on all threads of rayon's
/// pool, and never held.
pub(crate) fn hashed(
    part: Part,
    vector: &dyn Outside,
    expected: usize,
) -> Result<H256, EngineError> {
    check_length(part, vector, expected)?;
    vector_hash_in_parts(expected as u64, |from, bytes| {
        vector.read(from, bytes)?;
        check(part, from, bytes)
    })
}

/// All of a vector of so many numbers, each of which is looked at.
pub(crate) fn read(
    part: Part,
    vector: &dyn Outside,
    expected: usize,
) -> Result<Vec<f32>, EngineError> {
    check_length(part, vector, expected)?;
    let mut numbers = Vec::with_capacity(expected);
    let mut room = vec![0u8; 4 * PIECE];
    while numbers.len() < expected {
        let (from, left) = (numbers.len(), expected.saturating_sub(numbers.len()));
        let (bytes, _) = room.split_at_mut(4 * left.min(PIECE));
        vector.read(from as u64, bytes)?;
        check(part, from as u64, bytes)?;
        numbers.extend(floats(bytes));
    }
    Ok(numbers)
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    let numbers = bytes.as_chunks::<4>().0.iter();
    numbers.map(|bytes| f32::from_le_bytes(*bytes))
}

fn check_length(part: Part, vector: &dyn Outside, expected: usize) -> Result<(), EngineError> {
    let found = vector.numbers();
    match found == expected as u64 {
        true => Ok(()),
        false => Err(broken(&format!(
            "{} with {found} numbers where the model has {expected} parameters",
            part.name()
        ))),
    }
}

/// Numbers from one on are finite; a second moment's are not below zero.
fn check(part: Part, from: u64, bytes: &[u8]) -> Result<(), EngineError> {
    let is_good = |number: f32| number.is_finite() && (part != Part::SecondMoment || number >= 0.0);
    let mut numbers = (from..).zip(floats(bytes));
    match numbers.find(|(_, number)| !is_good(*number)) {
        None => Ok(()),
        Some((at, number)) => Err(broken(&format!("{} with {number} at {at}", part.name()))),
    }
}

/// An engine gave what it cannot have.
pub(crate) fn broken(what: &str) -> EngineError {
    EngineError::Device(format!(
        "the engine gave {what}, which cannot be: this round's steps are lost; look at its log"
    ))
}
