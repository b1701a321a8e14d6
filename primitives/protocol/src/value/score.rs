//! From evidence to scores.

use alloc::collections::BTreeMap;
use cairn_primitives::{Round, Uid, H256};

use super::{counts, Evidence, Outcome};

/// Standard errors by which a mean has to differ before it counts.
const SIGNIFICANCE: f64 = 2.0;

/// Mean and squared standard error of a list of gains; `None` for fewer than two, or if one is not a number.
fn mean_and_error(gains: &[f32]) -> Option<(f64, f64)> {
    let count = gains.len() as f64;
    if gains.len() < 2 || gains.iter().any(|gain| !gain.is_finite()) {
        return None;
    }
    let mean = gains.iter().map(|gain| f64::from(*gain)).sum::<f64>() / count;
    let squares: f64 = gains
        .iter()
        .map(|gain| f64::from(*gain) - mean)
        .map(|off| off * off)
        .sum();
    Some((mean, squares / (count - 1.0) / count))
}

/// What one contribution earned in its round, in nats per token; never negative.
///
/// Without unassigned windows (a round that used the whole data set) the assigned ones stand in for them.
pub fn round_gain(assigned: &[f32], unassigned: &[f32]) -> f64 {
    let counted = if unassigned.is_empty() {
        assigned
    } else {
        unassigned
    };
    let (Some((mean, error)), Some((own, own_error))) =
        (mean_and_error(counted), mean_and_error(assigned))
    else {
        return 0.0;
    };
    let significant = mean > SIGNIFICANCE * libm::sqrt(error);
    let trained_on_its_data = own + SIGNIFICANCE * libm::sqrt(error + own_error) >= mean;
    if significant && trained_on_its_data {
        mean
    } else {
        0.0
    }
}

/// Scores of all miners in the evidence of rounds `newest` − [`super::WINDOW`] + 1 to `newest`, by uid and hotkey, in
/// nats per token and round.
pub fn scores(evidence: &[Evidence], newest: Round) -> BTreeMap<(Uid, H256), f64> {
    let in_window = |item: &&Evidence| counts(item.round, newest);
    let firsts = first_of_each_value(evidence.iter().filter(in_window));
    let mut by_miner: BTreeMap<(Uid, H256), BTreeMap<Round, f64>> = BTreeMap::new();
    for item in evidence.iter().filter(in_window) {
        let gain = match &item.outcome {
            Outcome::Missed => 0.0,
            Outcome::Measured { values, .. }
                if firsts
                    .get(&(item.round, *values))
                    .is_some_and(|first| first.1 != item.uid) =>
            {
                0.0
            }
            Outcome::Measured {
                assigned,
                unassigned,
                ..
            } => round_gain(assigned, unassigned),
        };
        let rounds = by_miner.entry((item.uid, item.hotkey)).or_default();
        // Evidence of one round that was logged twice counts once, at its lower value.
        rounds
            .entry(item.round)
            .and_modify(|known| *known = known.min(gain))
            .or_insert(gain);
    }
    let mean = |rounds: BTreeMap<Round, f64>| rounds.values().sum::<f64>() / rounds.len() as f64;
    by_miner
        .into_iter()
        .map(|(miner, rounds)| (miner, mean(rounds)))
        .collect()
}

/// For each round and each set of values, who committed it first: block, then uid.
fn first_of_each_value<'a>(
    evidence: impl Iterator<Item = &'a Evidence>,
) -> BTreeMap<(Round, H256), (u32, Uid)> {
    let mut firsts = BTreeMap::new();
    for item in evidence {
        if let Outcome::Measured {
            values,
            committed_at,
            ..
        } = &item.outcome
        {
            let this = (*committed_at, item.uid);
            firsts
                .entry((item.round, *values))
                .and_modify(|first| *first = this.min(*first))
                .or_insert(this);
        }
    }
    firsts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::WINDOW;
    use proptest::prelude::*;

    fn measured(round: Round, uid: Uid, values: u8, at: u32, gain: f32) -> Evidence {
        let around = |gain: f32| (0..16).map(|i| gain + (i % 3) as f32 * 0.001).collect();
        Evidence {
            round,
            uid,
            hotkey: H256([uid as u8; 32]),
            outcome: Outcome::Measured {
                values: H256([values; 32]),
                committed_at: at,
                assigned: around(gain * 1.1),
                unassigned: around(gain),
            },
        }
    }

    fn missed(round: Round, uid: Uid) -> Evidence {
        Evidence {
            round,
            uid,
            hotkey: H256([uid as u8; 32]),
            outcome: Outcome::Missed,
        }
    }

    fn score(evidence: &[Evidence], newest: Round, uid: Uid) -> f64 {
        scores(evidence, newest)[&(uid, H256([uid as u8; 32]))]
    }

    /// Gains that spread evenly over ±`spread` around `mean`.
    fn spread(mean: f32, spread: f32, count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| mean + spread * (2.0 * (i as f32 + 0.5) / count as f32 - 1.0))
            .collect()
    }

    #[test]
    fn a_gain_within_noise_is_none() {
        assert_eq!(
            round_gain(&spread(0.1, 1.0, 32), &spread(0.1, 1.0, 32)),
            0.0
        );
        let clear = round_gain(&spread(0.1, 0.1, 32), &spread(0.1, 0.1, 32));
        assert!((clear - 0.1).abs() < 1e-6);
    }

    #[test]
    fn a_contribution_that_does_harm_earns_nothing() {
        assert_eq!(
            round_gain(&spread(-0.1, 0.01, 32), &spread(-0.1, 0.01, 32)),
            0.0
        );
    }

    #[test]
    fn who_did_not_train_on_its_own_data_earns_nothing() {
        assert_eq!(
            round_gain(&spread(0.1, 0.02, 32), &spread(0.2, 0.02, 32)),
            0.0
        );
        assert!(round_gain(&spread(0.195, 0.1, 32), &spread(0.2, 0.1, 32)) > 0.19);
    }

    #[test]
    fn too_few_windows_prove_nothing() {
        assert_eq!(round_gain(&[0.5], &[0.5]), 0.0);
        assert_eq!(round_gain(&[], &[]), 0.0);
        assert_eq!(round_gain(&[f32::NAN; 8], &[0.5; 8]), 0.0);
    }

    #[test]
    fn without_unassigned_windows_the_assigned_ones_count() {
        assert!(round_gain(&spread(0.1, 0.01, 32), &[]) > 0.09);
    }

    #[test]
    fn a_missed_round_counts_as_zero_and_an_unmeasured_one_not_at_all() {
        let twice = [measured(1, 5, 1, 0, 0.2), measured(3, 5, 2, 0, 0.2)];
        let whole = score(&twice, 3, 5);
        let with_a_miss = [twice[0].clone(), missed(2, 5), twice[1].clone()];
        assert!((score(&with_a_miss, 3, 5) - whole * 2.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn evidence_ages_out() {
        let old = [measured(1, 5, 1, 0, 0.2), missed(1 + WINDOW, 5)];
        assert_eq!(score(&old, 1 + WINDOW, 5), 0.0);
        assert!(score(&old, WINDOW, 5) > 0.0);
    }

    #[test]
    fn a_copy_earns_nothing() {
        let both = [measured(1, 5, 1, 12, 0.2), measured(1, 3, 1, 11, 0.2)];
        assert!(score(&both, 1, 3) > 0.0);
        assert_eq!(score(&both, 1, 5), 0.0);
    }

    #[test]
    fn of_copies_committed_in_one_block_the_lowest_uid_counts() {
        let both = [measured(1, 5, 1, 11, 0.2), measured(1, 3, 1, 11, 0.2)];
        assert!(score(&both, 1, 3) > 0.0);
        assert_eq!(score(&both, 1, 5), 0.0);
    }

    #[test]
    fn equal_values_in_different_rounds_are_no_copies() {
        let both = [measured(1, 5, 1, 11, 0.2), measured(2, 3, 1, 20, 0.2)];
        assert!(score(&both, 2, 3) > 0.0 && score(&both, 2, 5) > 0.0);
    }

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        let fields = (
            0u32..12,
            0u16..4,
            0u8..3,
            0u32..4,
            -1.0f32..1.0,
            any::<bool>(),
        );
        fields.prop_map(|(round, uid, values, at, gain, miss)| {
            if miss {
                missed(round, uid)
            } else {
                measured(round, uid, values, at, gain)
            }
        })
    }

    proptest! {
        #[test]
        fn the_order_of_evidence_is_irrelevant(
            (log, shuffled) in prop::collection::vec(any_evidence(), 0..40)
                .prop_flat_map(|log| (Just(log.clone()), Just(log).prop_shuffle()))
        ) {
            prop_assert_eq!(scores(&log, 11), scores(&shuffled, 11));
        }

        #[test]
        fn scores_are_finite_and_never_negative(
            log in prop::collection::vec(any_evidence(), 0..40), newest in 0u32..20,
        ) {
            for score in scores(&log, newest).into_values() {
                prop_assert!(score.is_finite() && score >= 0.0);
            }
        }

        #[test]
        fn adding_a_miss_never_raises_a_score(
            log in prop::collection::vec(any_evidence(), 1..40), round in 0u32..12,
        ) {
            let miner = (log[0].uid, log[0].hotkey);
            let before = scores(&log, 11).get(&miner).copied().unwrap_or(0.0);
            let mut more = log.clone();
            more.push(missed(round, miner.0));
            let after = scores(&more, 11).get(&miner).copied().unwrap_or(0.0);
            prop_assert!(after <= before);
        }

        // What a contribution of random values does: losses move a little, either way.
        #[test]
        fn noise_around_zero_scores_next_to_nothing(noise in prop::collection::vec(-0.01f32..0.01, 64)) {
            let (assigned, unassigned) = noise.split_at(32);
            prop_assert!(round_gain(assigned, unassigned) < 0.01);
        }
    }
}
