//! All workers send the same places, and every place has its turn.

use cairn_gradient::{CompressError, Compressor, SparseTensor, BLOCK, BLOCK_SIDE};
use cairn_primitives::{Compression, Nano, Tensor};

/// Steps through a block so that neighbours come in different rounds; odd, so that every place comes.
const STRIDE: usize = 2_531;

/// What is sent of a tensor when each block sends the places whose turn it is, with the codec's two levels.
pub fn in_turn(
    tensor: &Tensor,
    compression: &Compression,
    round: usize,
    delta: &[f32],
    error: &mut [f32],
) -> Result<SparseTensor, CompressError> {
    let beta = compression.error_decay.to_f32();
    let kept = usize::from(compression.kept_per_block);
    let mut masked = vec![0f32; error.len()];
    for (index, ((error, delta), masked)) in
        error.iter_mut().zip(delta).zip(&mut masked).enumerate()
    {
        *error = beta * *error + delta;
        if has_turn(place(tensor, index), round, kept) {
            *masked = *error;
        }
    }
    let nothing_kept = Compression {
        error_decay: Nano(0),
        ..*compression
    };
    // of each block, the places with a turn are just as many as are sent
    let sent =
        Compressor::new(&nothing_kept)?.tensor(tensor, &masked, &mut vec![0.0; error.len()])?;
    for (index, value) in sent.values() {
        error[index as usize] -= value;
    }
    Ok(sent)
}

/// A place's number within its block of 64 × 64, or of 4,096.
fn place(tensor: &Tensor, index: usize) -> usize {
    match tensor.shape[..] {
        [_, cols] => {
            let (row, col) = (index / cols as usize, index % cols as usize);
            row % BLOCK_SIDE * BLOCK_SIDE + col % BLOCK_SIDE
        }
        _ => index % BLOCK,
    }
}

fn has_turn(place: usize, round: usize, kept: usize) -> bool {
    let position = (place * STRIDE + BLOCK - round * kept % BLOCK) % BLOCK;
    position < kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_its_turn_and_only_one() {
        for kept in [64, 512] {
            for place in 0..BLOCK {
                let turns = (0..BLOCK / kept).filter(|round| has_turn(place, *round, kept));
                assert_eq!(turns.count(), 1);
            }
            let of_a_round = (0..BLOCK).filter(|place| has_turn(*place, 3, kept)).count();
            assert_eq!(of_a_round, kept);
        }
    }
}
