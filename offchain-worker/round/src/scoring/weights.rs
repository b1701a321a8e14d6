//! From scores to the weights that go on chain.

use cairn_primitives::{Uid, MAX_MEMBERS};

/// Weights in proportion to `scores`: the highest becomes 65,535, the others their share of it, rounded to
/// nearest. What is not positive, or rounds to zero, is left out. Ascending by uid, each uid once, at most
/// [`MAX_MEMBERS`] of them.
pub fn weights(scores: impl IntoIterator<Item = (Uid, f64)>) -> Vec<(Uid, u16)> {
    let mut positive: Vec<(Uid, f64)> = scores
        .into_iter()
        .filter(|(uid, score)| u32::from(*uid) < MAX_MEMBERS && score.is_finite() && *score > 0.0)
        .collect();
    positive.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    positive.dedup_by_key(|(uid, _)| *uid);
    let highest = positive
        .iter()
        .fold(0.0f64, |highest, (_, score)| highest.max(*score));
    positive
        .into_iter()
        .map(|(uid, score)| (uid, (score / highest * f64::from(u16::MAX)).round() as u16))
        .filter(|(_, weight)| *weight > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn weights_are_proportional() {
        assert_eq!(
            weights([(4, 1.0), (2, 0.5), (9, 0.0)]),
            [(2, 32_768), (4, 65_535)]
        );
    }

    #[test]
    fn nothing_good_means_no_weights() {
        assert!(weights([(1, 0.0), (2, -1.0), (3, f64::NAN), (4, f64::INFINITY)]).is_empty());
    }

    #[test]
    fn a_speck_is_left_out() {
        assert_eq!(weights([(1, 1e-9), (2, 1.0)]), [(2, 65_535)]);
    }

    proptest! {
        #[test]
        fn weights_are_ascending_bounded_and_one_is_full(
            scores in prop::collection::vec((0u16..300, 1e-6f64..10.0), 1..400)
        ) {
            let found = weights(scores.clone());
            prop_assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(found.len() <= MAX_MEMBERS as usize);
            let any_member = scores.iter().any(|(uid, _)| u32::from(*uid) < MAX_MEMBERS);
            prop_assert_eq!(found.iter().any(|(_, weight)| *weight == u16::MAX), any_member);
        }
    }
}
