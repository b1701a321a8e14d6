//! Which scores, bonds and stake take part in an epoch.

use alloc::{vec, vec::Vec};

use crate::{
    share::{normalise, Divisor, Share},
    Input, InputError, Member,
};

/// The votes of an epoch.
pub struct Votes {
    /// Those that may validate and have stake. A cell names them by their place in this list.
    pub voters: Vec<Voter>,
    /// Per voter its share of the active stake.
    pub stake: Vec<Share>,
    /// Scores and bonds.
    pub cells: Columns,
}

/// A member that votes.
pub struct Voter {
    /// Its position among the members.
    pub position: usize,
    /// How many cells its row has.
    pub cells: usize,
}

/// A voter's score on a member and its bond in it. One of them may be zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The voter's place among the voters.
    pub voter: u16,
    /// The bond as it was stored.
    pub bond: u16,
    /// The score in units of 2⁻³², with all bits set for 1.
    score: u32,
}

impl Cell {
    pub fn new(voter: u16, bond: u16, score: Share) -> Cell {
        let score = u32::try_from(score.to_bits()).unwrap_or(u32::MAX);
        Cell { voter, bond, score }
    }

    /// The score, of a row that adds up to 1.
    ///
    /// 2³² − 1 is free to stand for 2³²: the largest quotient below 1 is 1 − 1/Σ, and Σ, the sum of a row of
    /// stored scores, is below 2³², so that it is at least two units below.
    #[inline]
    pub fn score(&self) -> Share {
        Share::from_bits(u64::from(self.score).wrapping_add(u64::from(self.score == u32::MAX)))
    }
}

/// The cells, member by member, and by voter within a member: everything that an epoch computes but two sums
/// per voter is computed member by member.
pub struct Columns {
    cells: Vec<Cell>,
    /// Per member the end of its cells; they begin where those of the member before end.
    ends: Vec<usize>,
}

impl Columns {
    /// The cells on each member.
    pub fn iter(&self) -> impl Iterator<Item = &[Cell]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let column = self.cells.get(start..end).unwrap_or_default();
            start = end;
            column
        })
    }
}

impl Votes {
    /// Picks them out of the input and checks it.
    pub fn of(input: &Input) -> Result<Votes, InputError> {
        let total = total_stake(input.members);
        let share = |member: &Member| match member.validator {
            true => Share::ratio(member.stake, total),
            false => Share::ZERO,
        };
        let mut rows = Rows::new(input)?;
        let (mut voters, mut stake) = (Vec::new(), Vec::new());
        for (position, member) in input.members.iter().enumerate() {
            let share = share(member);
            if share.is_zero() {
                continue;
            }
            let cells = rows.add(member)?;
            voters.push(Voter { position, cells });
            stake.push(match member.active {
                true => share,
                false => Share::ZERO,
            });
        }
        normalise(&mut stake);
        let cells = rows.into_columns(&voters);
        Ok(Votes {
            voters,
            stake,
            cells,
        })
    }
}

/// The stake of all members.
pub fn total_stake(members: &[Member]) -> u128 {
    // Cannot saturate: at most 2¹⁶ times 2⁶⁴.
    members.iter().fold(0, |total: u128, member| {
        total.saturating_add(member.stake.into())
    })
}

/// As many cells as there are if each row's scores and bonds are on the same members; there may be more.
fn most_cells(members: &[Member]) -> usize {
    let voting = members.iter().filter(|member| member.validator);
    let lengths = voting.map(|member| member.scores.len().max(member.bonds.len()));
    lengths.fold(0, usize::saturating_add)
}

/// A cell as it was listed.
struct Listed {
    column: u16,
    score: u16,
    bond: u16,
}

/// The cells voter by voter, as they come in.
struct Rows {
    cells: Vec<Listed>,
    /// Per voter the sum of the scores that count.
    sums: Vec<u64>,
    places: Places,
    last_epoch: u64,
}

impl Rows {
    fn new(input: &Input) -> Result<Rows, InputError> {
        Ok(Rows {
            places: Places::of(input.members)?,
            cells: Vec::with_capacity(most_cells(input.members)),
            sums: Vec::new(),
            last_epoch: input.last_epoch,
        })
    }

    /// Adds a voter's scores and bonds, and says how many cells they are: those towards members, without
    /// scores on oneself or on who came after they were set, and without bonds in who came since the last
    /// epoch.
    fn add(&mut self, voter: &Member) -> Result<usize, InputError> {
        let ascends = |row: &[(u16, u16)]| row.is_sorted_by(|a, b| a.0 < b.0);
        if !ascends(voter.scores) || !ascends(voter.bonds) {
            return Err(InputError::RowNotAscending { uid: voter.uid });
        }
        let before = self.cells.len();
        let mut sum = 0_u64;
        union(voter.scores, voter.bonds, |uid, score, bond| {
            let Some(place) = self.places.get_mut(uid) else {
                return;
            };
            let counts = uid != voter.uid && place.registered_at < voter.scores_set_at;
            let score = if counts { score } else { 0 };
            let kept = place.registered_at < self.last_epoch;
            let bond = if kept { bond } else { 0 };
            if (score, bond) == (0, 0) {
                return;
            }
            place.cells = place.cells.wrapping_add(1);
            sum = sum.wrapping_add(score.into());
            self.cells.push(Listed {
                column: place.column,
                score,
                bond,
            });
        });
        self.sums.push(sum);
        Ok(self.cells.len().wrapping_sub(before))
    }

    /// Normalises each row, and turns rows into columns in one pass.
    fn into_columns(self, voters: &[Voter]) -> Columns {
        let mut next = 0_usize;
        let taken = self.places.iter().map(|place| {
            let start = next;
            next = next.wrapping_add(usize::from(place.cells));
            start
        });
        let mut ends: Vec<usize> = taken.collect();
        let mut cells = vec![Cell::default(); self.cells.len()];
        let mut left = self.cells.as_slice();
        for (number, (voter, sum)) in voters.iter().zip(self.sums).enumerate() {
            let whole = Divisor::new(sum);
            let (row, rest) = left.split_at_checked(voter.cells).unwrap_or((left, &[]));
            left = rest;
            for listed in row {
                // A column's next free place, which is its end after its last cell.
                let Some(end) = ends.get_mut(usize::from(listed.column)) else {
                    continue;
                };
                if let Some(cell) = cells.get_mut(*end) {
                    let score = whole.share(listed.score.into());
                    *cell = Cell::new(number as u16, listed.bond, score);
                }
                *end = end.wrapping_add(1);
            }
        }
        Columns { cells, ends }
    }
}

/// Calls `visit(uid, score, bond)` for every uid that at least one of two ascending rows lists.
#[inline]
fn union(scores: &[(u16, u16)], bonds: &[(u16, u16)], mut visit: impl FnMut(u16, u16, u16)) {
    let (mut scores, mut bonds) = (scores, bonds);
    loop {
        match (scores.split_first(), bonds.split_first()) {
            (Some((&(uid, score), later)), Some((&(other, bond), later_bonds))) => {
                if uid == other {
                    visit(uid, score, bond);
                    (scores, bonds) = (later, later_bonds);
                } else if uid < other {
                    visit(uid, score, 0);
                    scores = later;
                } else {
                    visit(other, 0, bond);
                    bonds = later_bonds;
                }
            }
            (Some((&(uid, score), later)), None) => {
                visit(uid, score, 0);
                scores = later;
            }
            (None, Some((&(uid, bond), later))) => {
                visit(uid, 0, bond);
                bonds = later;
            }
            (None, None) => return,
        }
    }
}

/// Where a uid is among the members, and since when.
#[derive(Clone, Copy)]
struct Place {
    column: u16,
    /// How many cells are on it: at most one per voter.
    cells: u16,
    registered_at: u64,
}

/// Per uid its place.
struct Places {
    places: Vec<Place>,
}

/// The column of uids that nobody has. No member has it: there are fewer.
const NOBODY: u16 = u16::MAX;

impl Places {
    fn of(members: &[Member]) -> Result<Places, InputError> {
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
            .map_or(0, |member| usize::from(member.uid).wrapping_add(1));
        let nobody = Place {
            column: NOBODY,
            cells: 0,
            registered_at: 0,
        };
        let mut places = vec![nobody; slots];
        for (column, member) in (0..).zip(members) {
            if let Some(place) = places.get_mut(usize::from(member.uid)) {
                *place = Place {
                    column,
                    cells: 0,
                    registered_at: member.registered_at,
                };
            }
        }
        Ok(Places { places })
    }

    #[inline]
    fn get_mut(&mut self, uid: u16) -> Option<&mut Place> {
        let place = self.places.get_mut(usize::from(uid))?;
        (place.column != NOBODY).then_some(place)
    }

    /// The members' places, in their order.
    fn iter(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.column != NOBODY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member<'a>(uid: u16, scores: &'a [(u16, u16)], bonds: &'a [(u16, u16)]) -> Member<'a> {
        Member {
            uid,
            stake: 1,
            validator: true,
            active: true,
            registered_at: 0,
            scores_set_at: 1,
            scores,
            bonds,
        }
    }

    #[test]
    fn columns_hold_the_union_of_scores_and_bonds_by_voter() {
        let members = [
            member(3, &[(5, 1), (9, 3)], &[(9, 7)]),
            member(5, &[(3, 0), (4, 9), (9, 8)], &[(3, 6)]),
            member(9, &[], &[]),
        ];
        let input = Input {
            members: &members,
            last_epoch: 1,
            pots: Default::default(),
        };
        let votes = Votes::of(&input).unwrap();
        let columns: Vec<Vec<Cell>> = votes.cells.iter().map(<[Cell]>::to_vec).collect();
        let cell = Cell::new;
        assert_eq!(
            columns,
            [
                vec![cell(1, 6, Share::ZERO)],
                vec![cell(0, 0, Share::ratio(1, 4))],
                vec![cell(0, 7, Share::ratio(3, 4)), cell(1, 0, Share::ONE)],
            ]
        );
        let cells: Vec<usize> = votes.voters.iter().map(|voter| voter.cells).collect();
        assert_eq!(cells, [2, 2, 0]);
        assert_eq!(votes.stake, [Share::ratio(1, 3); 3]);
    }

    #[test]
    fn a_union_visits_each_uid_once_in_order() {
        let visited = |scores: &[(u16, u16)], bonds: &[(u16, u16)]| {
            let mut visited = Vec::new();
            union(scores, bonds, |uid, score, bond| {
                visited.push((uid, score, bond))
            });
            visited
        };
        assert_eq!(
            visited(&[(0, 1), (2, 5)], &[(1, 7), (2, 1), (3, 9)]),
            [(0, 1, 0), (1, 0, 7), (2, 5, 1), (3, 0, 9)]
        );
        assert_eq!(visited(&[(4, 4)], &[]), [(4, 4, 0)]);
        assert_eq!(visited(&[], &[]), []);
    }
}
