//! From shares to amounts.

use alloc::{vec, vec::Vec};

use crate::{
    bonds::Bonds,
    fixed::{normalise, Fixed},
    matrix::{at, Matrix},
    votes::Votes,
    Input, Outcome, Output, Pots,
};

/// Puts the epoch's results together, per member.
pub fn output(
    input: &Input,
    votes: &Votes,
    consensus: &[Fixed],
    clipped: &Matrix,
    incentive: &[Fixed],
    bonds: Bonds,
) -> Output {
    let trust: Vec<Fixed> = clipped
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| cell.1).sum())
        .collect();
    let (dividends, trust) = (
        by_member(input, votes, &bonds.dividends),
        by_member(input, votes, &trust),
    );
    let combined = combined(input, votes, incentive, &dividends);
    let (miners, miners_left) = split(input.pots.miners, incentive);
    let (validators, validators_left) = split(input.pots.validators, &dividends);
    let mut stored = stored_by_member(input, votes, bonds.stored);

    let outcome = |(position, uid)| Outcome {
        uid,
        incentive: at(incentive, position).to_share(),
        dividends: at(&dividends, position).to_share(),
        consensus: at(consensus, position).to_share(),
        trust: at(&trust, position).to_share(),
        miner_emission: miners.get(position).copied().unwrap_or_default(),
        validator_emission: validators.get(position).copied().unwrap_or_default(),
        bonds: stored
            .get_mut(position)
            .map(core::mem::take)
            .unwrap_or_default(),
        combined: at(&combined, position),
    };
    Output {
        members: input
            .members
            .iter()
            .map(|member| member.uid)
            .enumerate()
            .map(outcome)
            .collect(),
        remainder: Pots {
            miners: miners_left,
            validators: validators_left,
        },
    }
}

/// `pot · share / Σ shares` for each, rounded down, and what is left of the pot.
fn split(pot: u64, shares: &[Fixed]) -> (Vec<u64>, u64) {
    let total: u128 = shares.iter().map(|share| u128::from(share.to_bits())).sum();
    let mut left = pot;
    let part = |share: &Fixed| {
        let amount = u128::from(pot) * u128::from(share.to_bits());
        // At most `pot`, since a share is at most the total.
        let amount = amount
            .checked_div(total)
            .map_or(0, |part| u64::try_from(part).unwrap_or(0));
        match left.checked_sub(amount) {
            Some(rest) => {
                left = rest;
                amount
            }
            None => 0,
        }
    };
    let parts = shares.iter().map(part).collect();
    (parts, left)
}

/// Shares of a single pot: incentive and dividends half and half; by stake if there are neither.
fn combined(input: &Input, votes: &Votes, incentive: &[Fixed], dividends: &[Fixed]) -> Vec<Fixed> {
    let mut shares: Vec<Fixed> = incentive
        .iter()
        .zip(dividends)
        .map(|(miner, validator)| miner.plus(*validator))
        .collect();
    normalise(&mut shares);
    if shares.iter().any(|share| !share.is_zero()) {
        return shares;
    }
    match votes.stake.iter().any(|stake| !stake.is_zero()) {
        true => by_member(input, votes, &votes.stake),
        false => votes.shares.clone(),
    }
}

/// Spreads what is per voter over all members.
fn by_member(input: &Input, votes: &Votes, values: &[Fixed]) -> Vec<Fixed> {
    let mut spread = vec![Fixed::ZERO; input.members.len()];
    for (position, value) in votes.voters.iter().zip(values) {
        if let Some(slot) = spread.get_mut(*position) {
            *slot = *value;
        }
    }
    spread
}

/// The stored bonds of each member, by uid.
fn stored_by_member(
    input: &Input,
    votes: &Votes,
    stored: Vec<Vec<(usize, u16)>>,
) -> Vec<Vec<(u16, u16)>> {
    let mut spread = vec![Vec::new(); input.members.len()];
    let uid = |position: usize| input.members.get(position).map(|member| member.uid);
    for (position, row) in votes.voters.iter().zip(stored) {
        if let Some(slot) = spread.get_mut(*position) {
            *slot = row
                .into_iter()
                .filter_map(|(at, share)| Some((uid(at)?, share)))
                .collect();
        }
    }
    spread
}
