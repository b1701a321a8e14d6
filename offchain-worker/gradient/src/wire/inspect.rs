//! What is in a file, for people.

use std::io::Read;

use cairn_primitives::{
    blocks::{HIGH, NEGATIVE},
    Tensor,
};

use super::decode::split_parameters;
use super::encode::costs_of;
use super::read::{ReadError, Reader};
use super::rice::Costs;
use crate::contribution::Header;
use crate::level::Level;
use crate::sparse::SparseTensor;

/// What a contribution says of one tensor, and what that takes.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSummary {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<u32>,
    /// Its elements.
    pub elements: u64,
    /// Blocks that it is cut into.
    pub blocks: u64,
    /// Values that are sent.
    pub values: u64,
    /// Of them, those of their block's high level.
    pub highs: u64,
    /// Of them, those that are negative.
    pub negatives: u64,
    /// The lowest and the highest of all levels.
    pub levels: (f32, f32),
    /// Euclidean norm of what is sent.
    pub norm: f64,
    /// Bytes that it takes in the file.
    pub bytes: u64,
    /// Bits of them for the blocks' levels.
    pub level_bits: u64,
    /// Bits for the places of the values.
    pub place_bits: u64,
    /// Bits for the values' signs.
    pub sign_bits: u64,
    /// Bits that say which values have the high level.
    pub run_bits: u64,
    /// The Rice parameters of gaps, runs, high levels and low levels.
    pub parameters: [u32; 4],
}

/// Reads a contribution to its end and sums up each tensor.
///
/// # Errors
/// If it is no contribution, or cannot be read.
pub fn inspect<R: Read>(
    mut reader: Reader<'_, R>,
) -> Result<(Header, Vec<TensorSummary>), ReadError> {
    let (mut tensor, mut summaries) = (None, Vec::new());
    while reader.tensor(&mut tensor)? {
        let described = reader.layout().0.get(summaries.len());
        if let (Some(sent), Some(described)) = (&tensor, described) {
            summaries.push(sum_up(described, reader.last_part(), sent));
        }
    }
    Ok((reader.finish()?, summaries))
}

fn sum_up(described: &Tensor, part: &[u8], tensor: &SparseTensor) -> TensorSummary {
    let (parameters, _) = split_parameters(part);
    let Costs {
        gap,
        run,
        high,
        low,
    } = costs_of(tensor);
    let count = |bit: u16| {
        tensor
            .codes()
            .iter()
            .filter(|code| *code & bit != 0)
            .count() as u64
    };
    let value = |bits: u16| f32::from_bits(u32::from(bits) << 16);
    let lowest = tensor.levels().map(|[low, _]| low).min();
    let highest = tensor.levels().map(|[_, high]| high).max();
    let length = part.len() as u64;
    TensorSummary {
        name: described.name.clone(),
        shape: described.shape.clone(),
        elements: tensor.elements() as u64,
        blocks: tensor.levels().len() as u64,
        values: tensor.codes().len() as u64,
        highs: count(HIGH),
        negatives: count(NEGATIVE),
        levels: (
            value(lowest.unwrap_or_default()),
            value(highest.unwrap_or_default()),
        ),
        norm: tensor.norm(),
        bytes: super::size::length_bytes(length) + length,
        level_bits: u64::from(Level::BITS) + high.bits(parameters.high) + low.bits(parameters.low),
        place_bits: gap.bits(parameters.gap),
        sign_bits: tensor.codes().len() as u64,
        run_bits: run.bits(parameters.run),
        parameters: [
            parameters.gap,
            parameters.run,
            parameters.high,
            parameters.low,
        ],
    }
}
