//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864), with the pairing of Hugging Face's Llama:
//! number *i* of a head's first half is rotated against number *i* of its second half.

use rayon::prelude::*;

/// Cosines and sines of position·base^(−2i/width), rows of half a head's width.
#[derive(Default)]
pub struct Angles {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// Which way to rotate.
#[derive(Clone, Copy)]
pub enum Turn {
    /// By the position's angle, as the forward pass does.
    Forward,
    /// Back, which is the gradient of the former.
    Back,
}

impl Angles {
    /// Makes sure that the first `positions` positions are there, for heads of `width` numbers.
    pub fn reach(&mut self, positions: usize, width: usize, base: u32) {
        self.half = width / 2;
        let present = self.cos.len() / self.half;
        for position in present..positions {
            for i in 0..self.half {
                let power = -2.0 * i as f64 / width as f64;
                let angle = position as f64 * libm::pow(f64::from(base), power);
                self.cos.push(libm::cos(angle) as f32);
                self.sin.push(libm::sin(angle) as f32);
            }
        }
    }

    /// Rotates the first `rotated` numbers (query and key heads) of each row of `width` numbers. Row *r* is
    /// at position *r* mod `length`.
    pub fn rotate(
        &self,
        rows: &mut [f32],
        width: usize,
        rotated: usize,
        length: usize,
        turn: Turn,
    ) {
        let sign = match turn {
            Turn::Forward => 1.0,
            Turn::Back => -1.0,
        };
        let rows = rows
            .par_chunks_exact_mut(width)
            .with_min_len(32)
            .enumerate();
        rows.for_each(|(row, numbers)| {
            let at = (row % length) * self.half..(row % length + 1) * self.half;
            rotate_row(
                &mut numbers[..rotated],
                &self.cos[at.clone()],
                &self.sin[at],
                sign,
            );
        });
    }
}

wide! {
    fn rotate_row(row: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
        for head in row.chunks_exact_mut(2 * cos.len()) {
            let (first, second) = head.split_at_mut(cos.len());
            for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
                let sin = sign * sin;
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}
