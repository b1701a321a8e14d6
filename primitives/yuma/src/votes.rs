//! Which weights, bonds and stake take part in an epoch.

use alloc::{vec, vec::Vec};

use crate::{
    fixed::{normalise, Fixed},
    matrix::Matrix,
    Input, InputError, Member,
};

/// The votes of an epoch. Rows are voters, columns are members.
pub struct Votes {
    /// Positions of the voters among the members: those that may validate and have stake.
    pub voters: Vec<usize>,
    /// Per member its share of all stake.
    pub shares: Vec<Fixed>,
    /// Per voter its share of the active stake.
    pub stake: Vec<Fixed>,
    /// Weights, each row normalised.
    pub weights: Matrix,
    /// Bonds as they were stored.
    pub bonds: Matrix,
}

impl Votes {
    /// Picks them out of the input and checks it.
    pub fn of(input: &Input) -> Result<Votes, InputError> {
        let positions = Positions::of(input.members)?;
        let shares = stake_shares(input.members);
        let voting: Vec<(usize, &Member, Fixed)> = input
            .members
            .iter()
            .zip(&shares)
            .enumerate()
            .filter(|(_, (member, share))| member.validator && !share.is_zero())
            .map(|(position, (member, share))| (position, member, *share))
            .collect();

        let active = |(_, member, share): &(usize, &Member, Fixed)| match member.active {
            true => *share,
            false => Fixed::ZERO,
        };
        let mut stake: Vec<Fixed> = voting.iter().map(active).collect();
        normalise(&mut stake);

        let (mut weights, mut bonds) = (Vec::new(), Vec::new());
        for (_, member, _) in &voting {
            let counts =
                |to: &Member| to.uid != member.uid && to.registered_at < member.weights_set_at;
            weights.push(positions.row(input.members, member.uid, member.weights, counts)?);
            let kept = |to: &Member| to.registered_at < input.last_epoch;
            bonds.push(positions.row(input.members, member.uid, member.bonds, kept)?);
        }
        let columns = input.members.len();
        Ok(Votes {
            voters: voting.iter().map(|voter| voter.0).collect(),
            shares,
            stake,
            weights: Matrix {
                rows: weights,
                columns,
            }
            .rows_normalised(),
            bonds: Matrix {
                rows: bonds,
                columns,
            },
        })
    }
}

fn stake_shares(members: &[Member]) -> Vec<Fixed> {
    let total: u128 = members.iter().map(|member| u128::from(member.stake)).sum();
    members
        .iter()
        .map(|member| Fixed::ratio(member.stake.into(), total))
        .collect()
}

/// Where each uid is among the members.
struct Positions(Vec<Option<usize>>);

impl Positions {
    fn of(members: &[Member]) -> Result<Positions, InputError> {
        if members.len() > usize::from(u16::MAX) {
            return Err(InputError::TooManyMembers);
        }
        let unordered = members.windows(2).find_map(|pair| match pair {
            [a, b] if a.uid >= b.uid => Some(InputError::MembersNotAscending { uid: b.uid }),
            _ => None,
        });
        if let Some(error) = unordered {
            return Err(error);
        }
        let slots = members
            .last()
            .map_or(0, |member| usize::from(member.uid) + 1);
        let mut positions = vec![None; slots];
        for (position, member) in members.iter().enumerate() {
            if let Some(slot) = positions.get_mut(usize::from(member.uid)) {
                *slot = Some(position);
            }
        }
        Ok(Positions(positions))
    }

    /// The cells of `owner`'s row that are not zero and are towards members that `counts`.
    fn row(
        &self,
        members: &[Member],
        owner: u16,
        row: &[(u16, u16)],
        counts: impl Fn(&Member) -> bool,
    ) -> Result<Vec<(usize, Fixed)>, InputError> {
        if row
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.0 >= b.0))
        {
            return Err(InputError::RowNotAscending { uid: owner });
        }
        let cell = |&(uid, value): &(u16, u16)| {
            let position = self.0.get(usize::from(uid)).copied().flatten()?;
            let counts = value > 0 && members.get(position).is_some_and(&counts);
            counts.then(|| (position, Fixed::from_u16(value)))
        };
        Ok(row.iter().filter_map(cell).collect())
    }
}
