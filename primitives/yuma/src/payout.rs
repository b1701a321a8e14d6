//! From shares to amounts.

use alloc::{vec, vec::Vec};

use crate::{
    bonds::Bonds,
    consensus::Agreement,
    share::{at, sum, Share},
    votes::{total_stake, Votes},
    Input, Member, Outcome, Output, Pots,
};

/// A member's shares as they were computed, before they are rounded to what is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exact {
    incentive: Share,
    dividends: Share,
    /// By stake, where there is neither incentive nor dividend in the subnet.
    by_stake: Share,
}

/// Puts the epoch's results together, per member.
pub fn output(input: &Input, votes: &Votes, agreement: Agreement, bonds: Bonds) -> Output {
    let count = input.members.len();
    let (mut dividends, mut trust) = (vec![Share::ZERO; count], vec![Share::ZERO; count]);
    let mut rows = vec![Vec::new(); count];
    let results = bonds.dividends.iter().zip(agreement.trust).zip(bonds.rows);
    for (voter, ((dividend, trusted), row)) in votes.voters.iter().zip(results) {
        set(&mut dividends, voter.position, *dividend);
        set(&mut trust, voter.position, trusted);
        set(&mut rows, voter.position, row);
    }
    let by_stake = match sum(&agreement.incentive) | sum(&dividends) {
        0 => by_stake(input, votes),
        _ => Vec::new(),
    };

    let mut miners = Split::new(input.pots.miners, &agreement.incentive);
    let mut validators = Split::new(input.pots.validators, &dividends);
    let members = input.members.iter().zip(rows).enumerate();
    let outcome = |(position, (member, bonds)): (usize, (&Member, Vec<_>))| {
        let exact = Exact {
            incentive: at(&agreement.incentive, position),
            dividends: at(&dividends, position),
            by_stake: at(&by_stake, position),
        };
        Outcome {
            uid: member.uid,
            incentive: exact.incentive.to_u16(),
            dividends: exact.dividends.to_u16(),
            consensus: at(&agreement.consensus, position).to_u16(),
            trust: at(&trust, position).to_u16(),
            miner_emission: miners.pay(exact.incentive),
            validator_emission: validators.pay(exact.dividends),
            bonds,
            exact,
        }
    };
    Output {
        members: members.map(outcome).collect(),
        remainder: Pots {
            miners: miners.left,
            validators: validators.left,
        },
    }
}

/// A pot that is being paid out: `pot · share / Σ shares` to each, rounded down.
struct Split {
    /// Σ shares, at most 2³².
    whole: u64,
    /// The quotient and the remainder of the pot by the whole.
    parts: u64,
    rest: u64,
    left: u64,
}

impl Split {
    fn new(pot: u64, shares: &[Share]) -> Split {
        let whole = sum(shares);
        Split {
            whole,
            parts: pot.checked_div(whole).unwrap_or(0),
            rest: pot.checked_rem(whole).unwrap_or(0),
            left: pot,
        }
    }

    fn pay(&mut self, share: Share) -> u64 {
        if share.is_zero() {
            return 0;
        }
        // pot = parts · whole + rest, so the first product is at most the pot; rest < whole ≤ 2³².
        let share = share.to_bits();
        let of_rest = share.wrapping_mul(self.rest).checked_div(self.whole);
        let amount = share
            .wrapping_mul(self.parts)
            .wrapping_add(of_rest.unwrap_or(0))
            .min(self.left);
        self.left = self.left.wrapping_sub(amount);
        amount
    }
}

/// Shares by active stake; where nobody is active, by all stake.
fn by_stake(input: &Input, votes: &Votes) -> Vec<Share> {
    if sum(&votes.stake) == 0 {
        let total = total_stake(input.members);
        let share = |member: &Member| Share::ratio(member.stake, total);
        return input.members.iter().map(share).collect();
    }
    let mut shares = vec![Share::ZERO; input.members.len()];
    for (voter, stake) in votes.voters.iter().zip(&votes.stake) {
        set(&mut shares, voter.position, *stake);
    }
    shares
}

/// What each member would have of a single pot that miners and validators share half and half.
pub fn combined(members: &[Outcome], pot: u64) -> Vec<u64> {
    let both = |exact: &Exact| {
        let (incentive, dividends) = (exact.incentive.to_bits(), exact.dividends.to_bits());
        incentive.wrapping_add(dividends)
    };
    // At most 2³³: all incentive and all dividends.
    let whole = members
        .iter()
        .fold(0_u64, |sum, outcome| sum.wrapping_add(both(&outcome.exact)));
    let share = |exact: &Exact| match whole {
        0 => exact.by_stake,
        whole => Share::ratio(both(exact), whole.into()),
    };
    members
        .iter()
        .map(|outcome| share(&outcome.exact).of(pot))
        .collect()
}

fn set<T>(list: &mut [T], position: usize, value: T) {
    if let Some(slot) = list.get_mut(position) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::share::normalise;

    proptest! {
        #[test]
        fn a_pot_is_split_as_by_long_division(
            pot in any::<u64>(),
            parts in prop::collection::vec(0..1u64 << 20, 0..20),
        ) {
            let mut shares: Vec<Share> = parts.into_iter().map(Share::from_bits).collect();
            normalise(&mut shares);
            let whole = u128::from(sum(&shares));
            let mut split = Split::new(pot, &shares);
            let mut paid = 0;
            for share in shares {
                let amount = u128::from(pot) * u128::from(share.to_bits());
                let expected = amount.checked_div(whole).unwrap_or(0);
                prop_assert_eq!(u128::from(split.pay(share)), expected);
                paid += expected;
            }
            prop_assert_eq!(u128::from(split.left), u128::from(pot) - paid);
        }
    }
}
