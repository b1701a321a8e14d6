//! Bonds: what a validator gains from having seen early who does good work.
//!
//! A bond is the moving average of a validator's weight on a miner. Dividends follow the bonds of those
//! miners that have incentive now.

use alloc::vec::Vec;

use crate::{
    fixed::{normalise, Fixed},
    matrix::{at, Matrix},
    BondsRule, Params,
};

/// Bonds after the epoch, and what they earned.
pub struct Bonds {
    /// Shares of 65,535 as they are stored until the next epoch, a row per validator.
    pub stored: Vec<Vec<(usize, u16)>>,
    /// Dividends per validator; their sum is 1, or 0 if there are none.
    pub dividends: Vec<Fixed>,
}

/// Moves the bonds of the last epoch towards this epoch's weights.
///
/// `old` holds the stored shares as integers. A bond without a weight decays, and a weight without a bond
/// begins one: the average runs over the union of the cells of both.
pub fn advance(
    old: &Matrix,
    weights: &Matrix,
    stake: &[Fixed],
    incentive: &[Fixed],
    params: &Params,
) -> Bonds {
    match params.bonds {
        BondsRule::Yuma2 => yuma2(old, weights, stake, incentive, params),
        BondsRule::Yuma3 => yuma3(old, weights, stake, incentive, params),
    }
}

/// Bonds are shares in a miner: they follow stake times weight, and each column adds up to 1.
fn yuma2(
    old: &Matrix,
    weights: &Matrix,
    stake: &[Fixed],
    incentive: &[Fixed],
    params: &Params,
) -> Bonds {
    let bought = weights
        .map(|row, _, weight| weight.times(at(stake, row)))
        .columns_normalised();
    let bonds = average(&bought, &old.columns_normalised(), params).columns_normalised();
    let mut dividends = bonds.weighted_row_sums(incentive);
    normalise(&mut dividends);
    Bonds {
        stored: shares(&bonds.columns_upscaled()),
        dividends,
    }
}

/// Bonds follow weights alone; stake counts when dividends are drawn, so that a small validator that was
/// early is not diluted by a large one that was late.
fn yuma3(
    old: &Matrix,
    weights: &Matrix,
    stake: &[Fixed],
    incentive: &[Fixed],
    params: &Params,
) -> Bonds {
    let whole = Fixed::from_u16(u16::MAX);
    let old = old.map(|_, _, share| share.over(whole));
    let bonds = average(weights, &old, params).map(|_, _, bond| bond.min(Fixed::ONE));
    let earned = bonds.columns_normalised().weighted_row_sums(incentive);
    let mut dividends: Vec<Fixed> = earned
        .iter()
        .zip(stake)
        .map(|(earned, stake)| earned.times(*stake))
        .collect();
    normalise(&mut dividends);
    Bonds {
        stored: shares(&bonds),
        dividends,
    }
}

/// `rate · target + (1 − rate) · old` with one rate for all cells. A rate that differs from cell to cell
/// (liquid alpha) would be computed here, from `target` and `old`.
fn average(target: &Matrix, old: &Matrix, params: &Params) -> Matrix {
    let rate = rate(params.bonds_moving_average);
    let kept = Fixed::ONE.minus(rate);
    target.merge(old, |target, old| rate.times(target).plus(kept.times(old)))
}

/// 1 − `moving_average` / 10⁶, of which the quotient is rounded down, so that the rate is rounded up.
fn rate(moving_average: u32) -> Fixed {
    Fixed::ONE.minus(Fixed::ratio(moving_average.into(), 1_000_000))
}

fn shares(bonds: &Matrix) -> Vec<Vec<(usize, u16)>> {
    let row = |row: &Vec<(usize, Fixed)>| {
        let shares = row.iter().map(|&(column, bond)| (column, bond.to_share()));
        shares.filter(|&(_, share)| share > 0).collect()
    };
    bonds.rows.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_rounded_up() {
        assert_eq!(rate(900_000).to_bits(), 429_496_730);
        assert_eq!(rate(0), Fixed::ONE);
        assert_eq!(rate(1_000_000), Fixed::ZERO);
    }
}
