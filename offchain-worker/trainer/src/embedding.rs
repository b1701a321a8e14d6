//! Rows of the embedding for tokens, and back.

use rayon::prelude::*;

/// Copies the row of each token.
pub fn forward(tokens: &[u32], table: &[f32], rows: &mut [f32], width: usize) {
    let rows = rows.par_chunks_exact_mut(width).zip(tokens);
    rows.with_min_len(32).for_each(|(row, token)| {
        let from = *token as usize * width;
        row.copy_from_slice(&table[from..from + width]);
    });
}

/// Adds the gradient of each row to that of its token, in the order of the tokens.
pub fn backward(tokens: &[u32], drows: &[f32], dtable: &mut [f32], width: usize) {
    let share = (dtable.len() / width).div_ceil(rayon::current_num_threads());
    dtable
        .par_chunks_mut(share * width)
        .enumerate()
        .for_each(|(i, dtable)| {
            // Each thread owns some tokens of the vocabulary and looks through all rows for them.
            for (token, drow) in tokens.iter().zip(drows.chunks_exact(width)) {
                let own = (*token as usize)
                    .checked_sub(i * share)
                    .map(|own| own * width);
                if let Some(sum) = own.and_then(|own| dtable.get_mut(own..own + width)) {
                    sum.iter_mut().zip(drow).for_each(|(sum, d)| *sum += d);
                }
            }
        });
}
