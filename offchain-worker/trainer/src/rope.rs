//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864), with the pairing of Hugging Face's Llama:
//! number *i* of a head's first half is rotated against number *i* of its second half.

/// Cosines and sines of position·base^(−2i/width), rows of half a head's width.
#[derive(Default)]
pub struct Angles {
    half: usize,
    /// The cosines.
    pub cos: Vec<f32>,
    /// The sines.
    pub sin: Vec<f32>,
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

    /// Rotates the heads in rows of `width` numbers; the first row is at position `first`.
    pub fn turn(&self, rows: &mut [f32], width: usize, first: usize, turn: Turn) {
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            self.turn_row(row, first + i, turn);
        }
    }

    /// Rotates the first `rotated` numbers (query and key heads) of each row of `width` numbers. The first row is
    /// number `first` of its batch; row *r* of a batch is at position *r* mod `length`.
    pub fn turn_batch(
        &self,
        rows: &mut [f32],
        width: usize,
        rotated: usize,
        first: usize,
        length: usize,
    ) {
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            let position = (first + i) % length;
            self.turn_row(&mut row[..rotated], position, Turn::Forward);
        }
    }

    fn turn_row(&self, row: &mut [f32], position: usize, turn: Turn) {
        let at = position * self.half..(position + 1) * self.half;
        let sign = match turn {
            Turn::Forward => 1.0,
            Turn::Back => -1.0,
        };
        rotate(row, &self.cos[at.clone()], &self.sin[at], sign);
    }
}

wide! {
    fn rotate(row: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
        for head in row.chunks_exact_mut(2 * cos.len()) {
            let (first, second) = head.split_at_mut(cos.len());
            for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
                let sin = sign * sin;
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }
}
