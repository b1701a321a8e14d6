//! What a validator measured.

use alloc::vec::Vec;
use cairn_primitives::{Hotkey, Round, Uid};
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

use crate::limits::PREMIUM_ROUNDS;

/// What is recorded where the loss was not a number before or after, in nats.
const RUINED: f32 = -1_000.0;

/// What a validator knows of one miner in one round.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct Evidence {
    /// The round.
    pub round: Round,
    /// The miner's number.
    pub uid: Uid,
    /// The miner's key: a uid can pass to somebody else.
    pub hotkey: Hotkey,
    /// What it did.
    pub outcome: Outcome,
}

/// What a miner did with its assignment.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Outcome {
    /// It had data assigned and delivered nothing that could be opened and used.
    Missed,
    /// It delivered, and this validator could not measure it: no fault of the miner's.
    Unmeasured,
    /// Its contribution was applied alone to the parameters with which the round began.
    Measured {
        /// Inner steps that it declares.
        steps: u32,
        /// Inner steps of a whole round.
        of: u32,
        /// Contributions of the round, this one included, that resemble each other more than honest ones do.
        alike: u16,
        /// Whether it resembles what the round before changed more than honest ones do.
        repeats: bool,
        /// By how much its loss is lower than that of the parameters with which the round ended, in nats per token, of
        /// windows that the miner had to train on; than that of those with which it began, if `settled` is empty.
        assigned: Vec<f32>,
        /// Loss before minus loss after, of windows that nobody had to train on.
        unassigned: Vec<f32>,
        /// What the parameters with which the round ended gained on those; empty where a round made less than two
        /// contributions one.
        #[cfg_attr(
            feature = "serde",
            serde(default, skip_serializing_if = "Vec::is_empty")
        )]
        settled: Vec<f32>,
        /// The same of windows of the text that miners do not have; none in a run without one.
        #[cfg_attr(
            feature = "serde",
            serde(default, skip_serializing_if = "Vec::is_empty")
        )]
        unseen: Vec<f32>,
    },
}

/// Paired differences of two lists of losses. What is not a number counts as ruin.
pub fn gains(before: &[f32], after: &[f32]) -> Vec<f32> {
    let gain = |(before, after): (&f32, &f32)| {
        let gain = before - after;
        if gain.is_finite() {
            gain
        } else {
            RUINED
        }
    };
    before.iter().zip(after).map(gain).collect()
}

/// By how much one contribution gained more than the settled parameters on each of the same windows: what it gained, if
/// those are not known.
pub fn beyond(unassigned: &[f32], settled: &[f32]) -> Vec<f32> {
    if settled.is_empty() {
        return unassigned.to_vec();
    }
    let pairs = unassigned.iter().zip(settled);
    pairs.map(|(alone, settled)| alone - settled).collect()
}

/// Whether a score as of round `newest` looks at evidence of `round`.
pub fn counts(round: Round, newest: Round) -> bool {
    is_within(round, newest, PREMIUM_ROUNDS)
}

/// Whether a round is one of the last so many.
pub(super) fn is_within(round: Round, newest: Round, rounds: Round) -> bool {
    newest.checked_sub(round).is_some_and(|age| age < rounds)
}

/// Drops the evidence on which no later score can depend.
pub fn forget_old(evidence: &mut Vec<Evidence>) {
    let newest = evidence.iter().map(|item| item.round).max().unwrap_or(0);
    evidence.retain(|item| counts(item.round, newest));
}

#[cfg(test)]
mod tests {
    use cairn_primitives::H256;

    use super::*;

    #[test]
    fn a_loss_that_is_not_a_number_is_ruin() {
        let found = gains(&[6.0, 6.0, f32::NAN], &[5.5, f32::NAN, 5.0]);
        assert_eq!(found, [0.5, RUINED, RUINED]);
    }

    #[test]
    fn what_no_score_looks_at_any_more_is_forgotten() {
        let of = |round| Evidence {
            round,
            uid: Uid(1),
            hotkey: Hotkey(H256([5; 32])),
            outcome: Outcome::Missed,
        };
        let mut evidence: Vec<Evidence> = [0, 17, 1, 2, 3].map(of).to_vec();
        forget_old(&mut evidence);
        assert_eq!(evidence, [17, 2, 3].map(of));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn evidence_survives_the_log() {
        for unseen in [Vec::new(), vec![0.25]] {
            let evidence = Evidence {
                round: 3,
                uid: Uid(1),
                hotkey: Hotkey(H256([5; 32])),
                outcome: Outcome::Measured {
                    steps: 7,
                    of: 8,
                    alike: 1,
                    repeats: false,
                    assigned: vec![0.125, -0.1],
                    unassigned: vec![f32::MIN_POSITIVE],
                    settled: unseen.clone(),
                    unseen: unseen.clone(),
                },
            };
            let line = serde_json::to_string(&evidence).expect("evidence is plain data");
            assert_eq!(line.contains("unseen"), !unseen.is_empty());
            assert_eq!(line.contains("settled"), !unseen.is_empty());
            assert_eq!(
                serde_json::from_str::<Evidence>(&line).expect("just written"),
                evidence
            );
        }
    }
}
