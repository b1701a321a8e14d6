//! Attention of single queries over keys and values that are kept, with the bits of module `attention`.
//!
//! Keys lie in panels of [`PANEL`] positions, number by number of the head, so that a query's scores are chains of
//! fused multiply-adds side by side. Values lie in panels of as many numbers of the head, position by position, so
//! that what a query mixes are chains over the positions: in blocks of 256, whose sums are added in order.

use crate::gemm::BLOCK;
use crate::math::{exp, max};

/// Positions, or numbers of a head, in a panel.
pub const PANEL: usize = 32;

/// The keys and values of one layer for up to a number of positions.
pub struct Kept {
    heads: usize,
    width: usize,
    /// A multiple of [`PANEL`].
    capacity: usize,
    /// By head, panel of positions, number, position in the panel.
    keys: Vec<f32>,
    /// By head, panel of numbers, position, number in the panel.
    values: Vec<f32>,
}

impl Kept {
    /// Room for `positions` positions of `heads` key heads of `width` numbers. Memory is taken as it is written to.
    pub fn new(heads: usize, width: usize, positions: usize) -> Kept {
        let capacity = positions.next_multiple_of(PANEL);
        Kept {
            heads,
            width,
            capacity,
            keys: vec![0.0; heads * width * capacity],
            values: vec![0.0; heads * width.next_multiple_of(PANEL) * capacity],
        }
    }

    /// Bytes of the room.
    pub fn bytes(&self) -> usize {
        4 * (self.keys.len() + self.values.len())
    }

    /// Keeps what belongs to a position: keys after their rotation and values, each head after head.
    ///
    /// # Panics
    ///
    /// If there is no room for the position, or if keys or values are not those of all heads.
    pub fn put(&mut self, position: usize, keys: &[f32], values: &[f32]) {
        let (width, capacity) = (self.width, self.capacity);
        assert!(position < capacity, "a position beyond the room");
        assert!(keys.len() == self.heads * width && values.len() == keys.len());
        let (panel, lane) = (position / PANEL, position % PANEL);
        let heads = keys.chunks_exact(width);
        for (head, to) in heads.zip(self.keys.chunks_exact_mut(width * capacity)) {
            let to = &mut to[panel * PANEL * width..][..PANEL * width];
            for (x, to) in head.iter().zip(to.chunks_exact_mut(PANEL)) {
                to[lane] = *x;
            }
        }
        let whole = width.next_multiple_of(PANEL) * capacity;
        let heads = values.chunks_exact(width);
        for (head, to) in heads.zip(self.values.chunks_exact_mut(whole)) {
            for (x, to) in head
                .chunks(PANEL)
                .zip(to.chunks_exact_mut(PANEL * capacity))
            {
                to[position * PANEL..][..x.len()].copy_from_slice(x);
            }
        }
    }

    /// What the query heads that look at key head `head` make of its first `visible` positions. `queries`, after
    /// their rotation, and `output` have `width` numbers for each of these heads.
    ///
    /// # Panics
    ///
    /// If there are not as many heads or positions.
    pub fn attend(&self, head: usize, queries: &[f32], visible: usize, output: &mut [f32]) {
        let (width, capacity) = (self.width, self.capacity);
        assert!(head < self.heads && 0 < visible && visible <= capacity);
        assert!(queries.len() == output.len() && queries.len().is_multiple_of(width));
        let whole = width.next_multiple_of(PANEL) * capacity;
        let keys = &self.keys[head * width * capacity..][..width * capacity];
        let values = &self.values[head * whole..][..whole];
        let scale = (1.0 / (width as f64).sqrt()) as f32;
        let mut room = vec![0.0; visible.next_multiple_of(PANEL)];
        for (query, output) in queries
            .chunks_exact(width)
            .zip(output.chunks_exact_mut(width))
        {
            scores(query, keys, &mut room);
            let weights = &mut room[..visible];
            let rate = weigh(weights, scale);
            mix(weights, values, capacity, rate, output);
        }
    }
}

wide! {
    /// The product of a query with each key, in whole panels.
    fn scores(query: &[f32], keys: &[f32], scores: &mut [f32]) {
        let panels = keys.chunks_exact(PANEL * query.len());
        for (panel, scores) in panels.zip(scores.as_chunks_mut::<PANEL>().0) {
            let mut sums = [0f32; PANEL];
            for (x, row) in query.iter().zip(panel.as_chunks::<PANEL>().0) {
                for i in 0..PANEL {
                    sums[i] = x.mul_add(row[i], sums[i]);
                }
            }
            *scores = sums;
        }
    }
}

wide! {
    /// Replaces each score by exp((score − the largest)·scale) and returns one over their sum, made in order.
    fn weigh(scores: &mut [f32], scale: f32) -> f32 {
        let largest = max(scores);
        for x in scores.iter_mut() {
            *x = exp((*x - largest) * scale);
        }
        let mut sum = 0f32;
        for x in scores.iter() {
            sum += *x;
        }
        1.0 / sum
    }
}

wide! {
    /// The sum of values by their weights, times `rate`.
    fn mix(weights: &[f32], values: &[f32], capacity: usize, rate: f32, output: &mut [f32]) {
        let panels = values.chunks_exact(PANEL * capacity);
        for (panel, output) in panels.zip(output.chunks_mut(PANEL)) {
            let rows = panel.as_chunks::<PANEL>().0;
            let mut total = [0f32; PANEL];
            for (i, (weights, rows)) in weights.chunks(BLOCK).zip(rows.chunks(BLOCK)).enumerate() {
                let mut sums = [0f32; PANEL];
                for (x, row) in weights.iter().zip(rows) {
                    for i in 0..PANEL {
                        sums[i] = x.mul_add(row[i], sums[i]);
                    }
                }
                if i == 0 {
                    total = sums;
                } else {
                    total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
                }
            }
            for (output, total) in output.iter_mut().zip(total) {
                *output = total * rate;
            }
        }
    }
}
