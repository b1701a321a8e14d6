//! What enough of the stake agrees on.

use alloc::{vec, vec::Vec};

use crate::{
    fixed::{normalise, Fixed},
    matrix::{at, Matrix},
};

/// Per column the largest weight that at least `kappa` of the stake supports: a stake-weighted median.
///
/// `stake` is the active stake per row. Rows without any have no say. `kappa` is compared with the sum of
/// the stake as rounding left it, not with 1: that decides what exactly half of the stake can do.
pub fn weighted_medians(weights: &Matrix, stake: &[Fixed], kappa: Fixed) -> Vec<Fixed> {
    let mut stake = stake.to_vec();
    normalise(&mut stake);
    let total: Fixed = stake.iter().copied().sum();
    let minority = i128::from(total.to_bits()) - i128::from(kappa.to_bits());

    let mut columns = vec![Vec::new(); weights.columns];
    for (row, cells) in weights.rows.iter().enumerate() {
        let mass = at(&stake, row);
        for &(column, weight) in cells {
            if let (Some(votes), false) = (columns.get_mut(column), mass.is_zero()) {
                votes.push((weight, mass));
            }
        }
    }
    columns
        .into_iter()
        .map(|votes| weighted_median(votes, total, minority))
        .collect()
}

/// The smallest weight such that the stake at or below it is more than `minority`. Stake that is not in
/// `votes` votes for zero.
fn weighted_median(mut votes: Vec<(Fixed, Fixed)>, total: Fixed, minority: i128) -> Fixed {
    let voted: Fixed = votes.iter().map(|vote| vote.1).sum();
    let mut below = total.minus(voted);
    if !below.is_zero() && i128::from(below.to_bits()) > minority {
        return Fixed::ZERO;
    }
    votes.sort_unstable();
    for (weight, mass) in &votes {
        below = below.plus(*mass);
        if i128::from(below.to_bits()) > minority {
            return *weight;
        }
    }
    votes.last().map_or(Fixed::ZERO, |vote| vote.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Consensus on one column for validators of `stake` that gave `weights`, in hundredths.
    fn agreed(stake: &[u16], weights: &[u16], kappa: u16) -> Fixed {
        let cell = |&weight: &u16| match weight {
            0 => vec![],
            weight => vec![(0, Fixed::ratio(weight.into(), 100))],
        };
        let matrix = Matrix {
            rows: weights.iter().map(cell).collect(),
            columns: 1,
        };
        let stake: Vec<Fixed> = stake.iter().map(|&s| Fixed::from_u16(s)).collect();
        weighted_medians(&matrix, &stake, Fixed::from_share(kappa))[0]
    }

    fn hundredths(value: u128) -> Fixed {
        Fixed::ratio(value, 100)
    }

    #[test]
    fn half_of_the_stake_is_enough_at_the_default_kappa_and_not_one_step_above() {
        assert_eq!(agreed(&[1, 1], &[20, 60], 32_767), hundredths(60));
        assert_eq!(agreed(&[1, 1], &[20, 60], 32_768), hundredths(20));
    }

    #[test]
    fn stake_that_gave_no_weight_votes_for_zero() {
        assert_eq!(agreed(&[2, 1], &[0, 60], 32_767), Fixed::ZERO);
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
        assert_eq!(agreed(&[], &[], 32_767), Fixed::ZERO);
    }
}
