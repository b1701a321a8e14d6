//! What there is to train on.

use crate::rng::Rng;

/// Tokens that can follow each other in real text.
pub const VOCABULARY: u32 = 32;

/// A data set and, behind it, the windows of which the held-out loss is told.
pub struct Text {
    tokens: Vec<u32>,
    length: usize,
}

impl Text {
    /// Text with something to learn, by two tables that the seed draws: six of ten tokens follow from the last one,
    /// two from the last two, and the rest come from a few frequent ones.
    pub fn real(rng: &Rng, windows: u64, length: u32) -> Text {
        let mut draw = rng.fork("tables");
        let vocabulary = u64::from(VOCABULARY);
        let mut token = || draw.below(vocabulary) as u32;
        let after_one: Vec<u32> = (0..VOCABULARY).map(|_| token()).collect();
        let after_two: Vec<u32> = (0..VOCABULARY * VOCABULARY).map(|_| token()).collect();
        let mut draw = rng.fork("text");
        let (mut before, mut last) = (0u32, 0u32);
        let next = |_| {
            let next = match draw.below(10) {
                0..6 => after_one.get(last as usize).copied(),
                6..8 => after_two
                    .get((before * VOCABULARY + last) as usize)
                    .copied(),
                _ => None,
            };
            let rare = draw.below(vocabulary) * draw.below(vocabulary) / vocabulary;
            (before, last) = (last, next.unwrap_or(rare as u32));
            last
        };
        let tokens = (0..=windows * u64::from(length)).map(next).collect();
        Text::of(tokens, length)
    }

    /// No text: each token is its own place, so that no two windows are alike. It is all that a cost model reads.
    pub fn numbered(windows: u64, length: u32) -> Text {
        let tokens = (0..=windows * u64::from(length)).map(|place| place as u32);
        Text::of(tokens.collect(), length)
    }

    fn of(tokens: Vec<u32>, length: u32) -> Text {
        let length = length as usize;
        Text { tokens, length }
    }

    /// The tokens of some windows, each with one more that is only predicted.
    pub fn windows(&self, windows: &[u64]) -> Vec<&[u32]> {
        let window = |number: &u64| {
            let first = usize::try_from(*number).ok()?.checked_mul(self.length)?;
            self.tokens.get(first..=first.checked_add(self.length)?)
        };
        windows.iter().filter_map(window).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn there_is_something_to_learn_in_the_text() {
        let text = Text::real(&Rng::new(5), 1_250, 16);
        let mut follows = BTreeMap::<(u32, u32), u32>::new();
        for pair in text.tokens.windows(2) {
            *follows.entry((pair[0], pair[1])).or_default() += 1;
        }
        let best: u32 = (0..VOCABULARY)
            .filter_map(|last| {
                (0..VOCABULARY)
                    .filter_map(|next| follows.get(&(last, next)))
                    .max()
            })
            .sum();
        assert!(best > 10_000, "{best} of 20,000 follow from the last token");
    }

    #[test]
    fn windows_overlap_by_the_token_that_is_predicted_and_end_with_the_text() {
        let text = Text::numbered(3, 2);
        let found = text.windows(&[0, 2, 3]);
        assert_eq!(found, [&[0, 1, 2][..], &[4, 5, 6][..]]);
    }
}
