//! Where a worker's parameters come from.
//!
//! A worker goes on with what it holds while the chain still has what follows; failing that it takes the newest
//! checkpoint whose root is final, and failing that, if the chain still has all rounds, the run's first parameters.
//! From there it applies the rounds that were settled since, one after the other, as everybody does.

use alloc::{collections::BTreeMap, vec::Vec};
use cairn_primitives::{ModelRoot, Round};

use crate::limits::{APPLY_TRIES, CHECKPOINT_ATTEMPTS, LOOK_BACK, MOST_REPLAYED};

/// A place from which parameters can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// What the worker holds: the parameters with which this round begins.
    Held(Round),
    /// The checkpoint of this round with this root.
    Checkpoint(Round, ModelRoot),
    /// The first parameters of the run.
    First,
}

/// Whether a checkpoint of the parameters with which `round` begins is to be written in a run that has one `every` so
/// many rounds. The one of round 1 lets people see early that checkpoints work.
pub fn is_due(round: Round, every: u8) -> bool {
    round == 1 || (round > 0 && round.is_multiple_of(every.into()))
}

/// The first round of which a joining worker asks the lineage: no further back than an answer reaches, and none from
/// which it could not go on. `oldest` is the oldest round that the chain still has in full.
pub fn first_looked_at(current: Round, oldest: Round) -> Round {
    current.saturating_sub(LOOK_BACK).max(oldest)
}

/// Whether the chain no longer has the round that parameters of round `held` begin.
pub fn is_too_far_behind(held: Round, oldest: Round) -> bool {
    held < oldest
}

/// Whether who could not apply the settled round `held` so often in a row looks for newer parameters instead, since
/// something that it includes cannot be had. It does once there can be a checkpoint of a later round with a final root;
/// `current` is the round that runs, and there is a checkpoint `every` so many rounds.
pub fn is_passed_over(held: Round, current: Round, every: u8, tries: u8) -> bool {
    let mut later = held.saturating_add(1)..current;
    tries >= APPLY_TRIES && later.any(|round| is_due(round, every))
}

/// Which of the checkpoints `listed` in the store are tried, in this order: those whose root is the final one of their
/// round, the newest first.
pub fn candidates(
    listed: impl IntoIterator<Item = (Round, ModelRoot)>,
    finals: impl IntoIterator<Item = (Round, ModelRoot)>,
    oldest: Round,
) -> Vec<(Round, ModelRoot)> {
    let vouched: BTreeMap<Round, ModelRoot> = finals
        .into_iter()
        .filter(|(round, _)| !is_too_far_behind(*round, oldest))
        .collect();
    let mut found: Vec<(Round, ModelRoot)> = listed
        .into_iter()
        .filter(|(round, root)| vouched.get(round) == Some(root))
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    found.truncate(CHECKPOINT_ATTEMPTS);
    found
}

/// Where parameters are taken from, in the order in which it is tried; `held` is the round that those on the worker's
/// disk begin. Empty if there is nothing from which the chain's rounds lead on.
pub fn sources(
    held: Option<Round>,
    candidates: &[(Round, ModelRoot)],
    oldest: Round,
) -> Vec<Source> {
    let goes_on = held.filter(|held| !is_too_far_behind(*held, oldest));
    let checkpoints = candidates
        .iter()
        .map(|(round, root)| Source::Checkpoint(*round, *root));
    let first = (oldest == 0).then_some(Source::First);
    let held = goes_on.map(Source::Held);
    held.into_iter().chain(checkpoints).chain(first).collect()
}

/// Whether who joins begins with the run's first parameters, which it has, rather than have the newest checkpoint sent,
/// which is of this round and has so many bytes. There are few rounds before that, and what they `included` has at most
/// half as many bytes, since each of them is applied and written, too.
pub fn begins_first((round, bytes): (Round, u64), included: u64) -> bool {
    round <= MOST_REPLAYED && included <= bytes / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::RunConfig;
    use proptest::prelude::*;

    fn root(number: u8) -> ModelRoot {
        ModelRoot::from([number; 32])
    }

    #[test]
    fn checkpoints_are_of_round_1_and_of_each_that_the_distance_divides() {
        let due = |every| -> Vec<Round> { (0..22).filter(|round| is_due(*round, every)).collect() };
        assert_eq!(due(5), [1, 5, 10, 15, 20]);
        assert_eq!(due(8), [1, 8, 16]);
        assert_eq!(due(1), (1..22).collect::<Vec<Round>>());
        // Which no run has.
        assert_eq!(due(0), [1]);
    }

    #[test]
    fn the_look_back_ends_where_the_chain_does() {
        assert_eq!(first_looked_at(10, 0), 0);
        assert_eq!(first_looked_at(300, 0), 45);
        assert_eq!(first_looked_at(300, 60), 60);
    }

    #[test]
    fn a_round_is_passed_over_once_a_later_checkpoint_can_be_there() {
        let tried = |held, current| is_passed_over(held, current, 5, APPLY_TRIES);
        assert!(!tried(3, 5) && tried(3, 6) && tried(3, 90));
        assert!(!tried(5, 10) && tried(5, 11));
        assert!(!is_passed_over(3, 90, 5, APPLY_TRIES - 1));
        assert!(tried(0, 2) && !tried(7, 3));
        let tried = |held, current| is_passed_over(held, current, 7, APPLY_TRIES);
        assert!(!tried(3, 7) && tried(3, 8));
    }

    #[test]
    fn first_parameters_are_begun_with_where_less_is_sent() {
        assert!(begins_first((MOST_REPLAYED, 1_000), 500));
        assert!(!begins_first((MOST_REPLAYED, 1_000), 501));
        assert!(!begins_first((MOST_REPLAYED + 1, 1_000), 0));
        assert!(!begins_first((1, u64::MAX), u64::MAX));
    }

    #[test]
    fn only_final_roots_count_and_the_newest_comes_first() {
        let listed = [
            (5, root(1)),
            (10, root(2)),
            (10, root(9)),
            (15, root(3)),
            (20, root(4)),
        ];
        let finals = [(5, root(1)), (10, root(2)), (15, root(3))];
        assert_eq!(
            candidates(listed, finals, 6),
            [(15, root(3)), (10, root(2))]
        );
    }

    #[test]
    fn what_is_held_comes_first_unless_the_chain_has_gone_on() {
        let checkpoints = [(15, root(3))];
        let checkpoint = Source::Checkpoint(15, root(3));
        assert_eq!(
            sources(Some(7), &checkpoints, 7),
            [Source::Held(7), checkpoint]
        );
        assert_eq!(sources(Some(6), &checkpoints, 7), [checkpoint]);
        assert_eq!(sources(None, &[], 0), [Source::First]);
        assert!(sources(Some(6), &[], 7).is_empty());
    }

    proptest! {
        #[test]
        fn what_is_tried_is_vouched_for_and_can_be_followed(
            listed in prop::collection::vec((0u32..40, 0u8..3), 0..60),
            finals in prop::collection::btree_map(0u32..40, 0u8..3, 0..40), oldest in 0u32..40,
        ) {
            let listed: Vec<(Round, ModelRoot)> = listed.into_iter().map(|(round, n)| (round, root(n))).collect();
            let finals: Vec<(Round, ModelRoot)> = finals.into_iter().map(|(round, n)| (round, root(n))).collect();
            let tried = candidates(listed.clone(), finals.clone(), oldest);
            prop_assert!(tried.len() <= CHECKPOINT_ATTEMPTS);
            prop_assert!(tried.iter().all(|one| listed.contains(one) && finals.contains(one) && one.0 >= oldest));
            prop_assert!(tried.windows(2).all(|pair| pair[0].0 > pair[1].0));
            // Nothing newer was passed over.
            let newest = listed.iter().filter(|one| finals.contains(one) && one.0 >= oldest).max();
            prop_assert_eq!(tried.first(), newest);
        }

        #[test]
        fn a_checkpoint_is_never_far(round in 1u32..100_000, every in 1..=RunConfig::MAX_CHECKPOINT_EVERY) {
            prop_assert!((round..round + Round::from(every)).any(|round| is_due(round, every)));
        }
    }
}
