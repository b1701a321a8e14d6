//! Weighted medians: the largest score that enough of the stake supports.

use alloc::vec::Vec;
use core::cell::Cell;

use crate::{
    share::{at, normalise, sum, Share},
    votes,
};

/// Finds the median of one column after another.
pub struct Median {
    /// Per voter its part of the stake that votes.
    masses: Vec<Share>,
    total: u64,
    /// How much stake may be at or below a score that the rest supports; negative where κ is more than all.
    minority: i64,
    /// The votes of a column: the score, and in the low 16 bits who gave it.
    votes: Vec<u64>,
}

impl Median {
    /// `stake` is the active stake per voter; who has none has no say. `kappa` is compared with the sum of
    /// the stake as rounding left it, not with 1: that decides what exactly half of the stake can do.
    pub fn new(stake: &[Share], kappa: Share) -> Median {
        let mut masses = stake.to_vec();
        normalise(&mut masses);
        let total = sum(&masses);
        Median {
            masses,
            total,
            // Both are at most 2³².
            minority: (total as i64).wrapping_sub(kappa.to_bits() as i64),
            votes: Vec::new(),
        }
    }

    /// The smallest score such that the stake at or below it is more than the minority: the largest that at
    /// least κ of the stake supports. Stake that gave no score supports zero.
    pub fn of(&mut self, column: &[votes::Cell]) -> Share {
        self.votes.clear();
        let mut voted = 0_u64;
        self.votes.extend(column.iter().map(|cell| {
            voted = voted.wrapping_add(at(&self.masses, cell.voter).to_bits());
            cell.score().to_bits() << VOTER_BITS | u64::from(cell.voter)
        }));
        let silent = self.total.saturating_sub(voted);
        if silent > 0 && silent as i64 > self.minority {
            return Share::ZERO;
        }
        let below = self.minority.saturating_sub_unsigned(silent).max(0) as u64;
        let vote = match voted > below {
            true => select(&mut self.votes, &self.masses, below),
            false => self.largest(),
        };
        vote.map_or(Share::ZERO, |vote| Share::from_bits(vote >> VOTER_BITS))
    }

    fn largest(&self) -> Option<u64> {
        let has_stake = |vote: &u64| mass_of(*vote, &self.masses) > 0;
        self.votes.iter().copied().filter(has_stake).max()
    }
}

const VOTER_BITS: u32 = 16;

/// Below this many votes, sorting is fastest.
const FEW: usize = 12;

/// The first vote, in ascending order, such that the mass up to and with it is more than `below`.
///
/// Quickselect by mass. No two votes are equal, since each has its voter in it. After twice as many rounds as
/// good pivots would need the rest is sorted, so that nobody can make it quadratic by choosing scores.
fn select(mut votes: &mut [u64], masses: &[Share], mut below: u64) -> Option<u64> {
    let mut rounds = votes.len().checked_ilog2().unwrap_or(0).wrapping_mul(2);
    while votes.len() > FEW && rounds > 0 {
        rounds = rounds.wrapping_sub(1);
        let pivot = middle_of_three(votes);
        let smaller = partition(votes, pivot);
        let (left, right) = votes.split_at_mut_checked(smaller)?;
        let mass = left
            .iter()
            .fold(0_u64, |sum, &vote| sum.wrapping_add(mass_of(vote, masses)));
        votes = match mass > below {
            true => left,
            false => {
                below = below.wrapping_sub(mass);
                right
            }
        };
    }
    votes.sort_unstable();
    votes.iter().copied().find(|&vote| {
        let mass = mass_of(vote, masses);
        let found = mass > below;
        below = below.saturating_sub(mass);
        found
    })
}

/// Moves the votes below `pivot` to the front, and says how many they are. Without branches on the votes,
/// which nobody could predict.
#[inline]
fn partition(votes: &mut [u64], pivot: u64) -> usize {
    let mut smaller = 0_usize;
    let votes = Cell::from_mut(votes).as_slice_of_cells();
    for right in votes {
        let vote = right.get();
        // Never beyond `right`, so it is there.
        if let Some(left) = votes.get(smaller) {
            right.set(left.replace(vote));
        }
        smaller = smaller.wrapping_add(usize::from(vote < pivot));
    }
    smaller
}

fn middle_of_three(votes: &[u64]) -> u64 {
    let get = |index: usize| votes.get(index).copied().unwrap_or_default();
    let (a, b, c) = (
        get(0),
        get(votes.len() / 2),
        get(votes.len().saturating_sub(1)),
    );
    a.max(b).min(a.min(b).max(c))
}

#[inline]
fn mass_of(vote: u64, masses: &[Share]) -> u64 {
    at(masses, vote as u16).to_bits()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Consensus on one column for validators of `stake` that gave `scores`, in hundredths.
    fn agreed(stake: &[u16], scores: &[u16], kappa: u16) -> Share {
        let cell = |(voter, &score): (u16, &u16)| {
            votes::Cell::new(voter, 0, Share::ratio(score.into(), 100))
        };
        let column: Vec<votes::Cell> = (0..).zip(scores).map(cell).collect();
        let whole = stake.iter().map(|&stake| u128::from(stake)).sum();
        let stake: Vec<Share> = stake
            .iter()
            .map(|&stake| Share::ratio(stake.into(), whole))
            .collect();
        Median::new(&stake, Share::from_u16(kappa)).of(&column)
    }

    fn hundredths(value: u64) -> Share {
        Share::ratio(value, 100)
    }

    #[test]
    fn half_of_the_stake_is_enough_at_the_default_kappa_and_not_one_step_above() {
        assert_eq!(agreed(&[1, 1], &[20, 60], 32_767), hundredths(60));
        assert_eq!(agreed(&[1, 1], &[20, 60], 32_768), hundredths(20));
    }

    #[test]
    fn stake_that_gave_no_weight_votes_for_zero() {
        assert_eq!(agreed(&[2, 1], &[0, 60], 32_767), Share::ZERO);
        assert_eq!(agreed(&[1, 2], &[0, 60], 32_767), hundredths(60));
    }

    #[test]
    fn validators_without_stake_have_no_say() {
        assert_eq!(agreed(&[1, 0, 0], &[30, 90, 90], 32_767), hundredths(30));
    }

    #[test]
    fn the_extremes_of_kappa_are_the_extremes_of_the_votes() {
        assert_eq!(agreed(&[1, 1, 2], &[10, 20, 30], 0), hundredths(30));
        assert_eq!(agreed(&[1, 1, 2], &[10, 20, 30], u16::MAX), hundredths(10));
    }

    #[test]
    fn nobody_agrees_on_nothing() {
        assert_eq!(agreed(&[], &[], 32_767), Share::ZERO);
    }

    /// The same by sorting and by supporters instead of opponents.
    fn largest_supported(votes: &[(u64, u64)], below: u64) -> Option<u64> {
        let mut sorted = votes.to_vec();
        sorted.sort_unstable();
        let mut seen = 0;
        sorted
            .into_iter()
            .find(|(_, mass)| {
                seen += mass;
                seen > below
            })
            .map(|(vote, _)| vote)
    }

    proptest! {
        #[test]
        fn selecting_finds_what_sorting_finds(
            votes in prop::collection::vec((0..40u64, 1..1_000u64), 1..300),
            part in 0..1_000u64,
        ) {
            let keyed = (0..).zip(&votes).map(|(voter, (score, mass))| (score << VOTER_BITS | voter, *mass));
            let keyed: Vec<(u64, u64)> = keyed.collect();
            let masses: Vec<Share> = votes.iter().map(|vote| Share::from_bits(vote.1)).collect();
            let below = votes.iter().map(|vote| vote.1).sum::<u64>() * part / 1_000;
            let mut shuffled: Vec<u64> = keyed.iter().map(|vote| vote.0).collect();
            prop_assert_eq!(select(&mut shuffled, &masses, below), largest_supported(&keyed, below));
        }

        #[test]
        fn no_order_of_votes_is_too_bad(length in 1..2_000u64, turn in 0..2_000u64) {
            // Rising, falling and meeting in the middle.
            for shape in [|i, _| i, |i, n| n - i, |i: u64, n: u64| i.min(n - i)] {
                let votes = (0..length).map(|i| shape((i + turn) % length, length) << VOTER_BITS | i);
                let mut votes: Vec<u64> = votes.collect();
                let masses = vec![Share::from_bits(1); votes.len()];
                let mut sorted = votes.clone();
                sorted.sort_unstable();
                let middle = votes.len() / 2;
                prop_assert_eq!(select(&mut votes, &masses, middle as u64), Some(sorted[middle]));
            }
        }
    }
}
