//! Bonds: what a validator gains from having seen early who does good work.
//!
//! A bond is the moving average of a validator's score on a miner. Dividends follow the bonds of those
//! miners that have incentive now.

use alloc::vec::Vec;

use crate::{
    consensus::Agreement,
    rate::{Liquid, Rate, Same},
    share::{at, normalise, Divisor, Share},
    votes::{Cell, Voter, Votes},
    BondsRule, Input, Params,
};

/// Bonds after the epoch, and what they earned.
pub struct Bonds {
    /// Per voter its bonds as they are stored until the next epoch, by uid.
    pub rows: Vec<Vec<(u16, u16)>>,
    /// Per voter its dividends; their sum is 1, or 0 if there are none.
    pub dividends: Vec<Share>,
}

/// Moves the bonds of the last epoch towards this epoch's scores.
///
/// A bond without a score decays, and a score without a bond begins one: the average runs over the union of
/// the cells of both. Only they have a rate: where both are zero, no rate makes a difference.
pub fn advance(input: &Input, votes: &Votes, agreement: &Agreement, params: &Params) -> Bonds {
    match &params.liquid_alpha {
        // With nothing to be near to or far from, all bonds move alike.
        Some(alpha) if agreement.is_any() => {
            by_rule(input, votes, agreement, params, &Liquid::new(alpha))
        }
        _ => by_rule(input, votes, agreement, params, &Same::new(params)),
    }
}

fn by_rule(
    input: &Input,
    votes: &Votes,
    agreement: &Agreement,
    params: &Params,
    rate: &impl Rate,
) -> Bonds {
    let mut books = Books::new(votes, params);
    let columns = input
        .members
        .iter()
        .zip(votes.cells.iter())
        .zip(agreement.consensus.iter().zip(&agreement.incentive))
        .map(|((member, cells), (&consensus, &incentive))| Column {
            uid: member.uid,
            cells,
            consensus,
            incentive,
        });
    match params.bonds {
        BondsRule::Yuma2 => columns.for_each(|column| books.yuma2(&column, rate)),
        BondsRule::Yuma3 => columns.for_each(|column| books.yuma3(&column, rate)),
    }
    books.close(params.bonds)
}

/// A member, with what voters think of it.
struct Column<'a> {
    uid: u16,
    cells: &'a [Cell],
    consensus: Share,
    incentive: Share,
}

/// The voters' bonds, while they are being brought up to date member by member.
struct Books<'a> {
    stake: &'a [Share],
    penalty: Share,
    books: Vec<Book>,
    /// One value per cell of the column at hand.
    values: Vec<Share>,
}

/// The bonds of one voter.
struct Book {
    earned: Share,
    row: Vec<(u16, u16)>,
}

impl Books<'_> {
    fn new<'a>(votes: &'a Votes, params: &Params) -> Books<'a> {
        let book = |voter: &Voter| Book {
            earned: Share::ZERO,
            row: Vec::with_capacity(voter.cells),
        };
        Books {
            stake: &votes.stake,
            penalty: Share::from_u16(params.bonds_penalty),
            books: votes.voters.iter().map(book).collect(),
            values: Vec::new(),
        }
    }

    /// The score that a bond follows: clipped to consensus as far as the penalty goes.
    #[inline]
    fn followed(&self, cell: &Cell, consensus: Share) -> Share {
        let clip = cell.score().minus(consensus);
        cell.score().minus(clip.times_up(self.penalty))
    }

    /// Bonds are shares in a miner: they follow stake times score, and each column adds up to 1.
    fn yuma2(&mut self, column: &Column, rate: &impl Rate) {
        let mut values = core::mem::take(&mut self.values);
        values.clear();
        let (mut bought, mut held) = (0_u64, 0_u64);
        values.extend(column.cells.iter().map(|cell| {
            let score = self.followed(cell, column.consensus);
            let value = score.times(at(self.stake, cell.voter));
            bought = bought.wrapping_add(value.to_bits());
            held = held.wrapping_add(cell.bond.into());
            value
        }));

        let (bought, held) = (Divisor::new(bought), Divisor::new(held));
        let (mut whole, mut largest) = (0_u64, Share::ZERO);
        for (cell, value) in column.cells.iter().zip(&mut values) {
            let target = bought.share(value.to_bits());
            let old = held.share(cell.bond.into());
            let score = self.followed(cell, column.consensus);
            let rate = rate.of(score, column.consensus, target, old);
            *value = average(rate, target, old);
            whole = whole.wrapping_add(value.to_bits());
            largest = largest.max(*value);
        }

        let whole = Divisor::new(whole);
        let largest = Divisor::new(whole.share(largest.to_bits()).to_bits());
        for (cell, value) in column.cells.iter().zip(&values) {
            let bond = whole.share(value.to_bits());
            let stored = largest.share(bond.to_bits());
            self.enter(cell, column, bond, stored);
        }
        self.values = values;
    }

    /// Bonds follow scores alone; stake counts when dividends are drawn, so that a small validator that was
    /// early is not diluted by a large one that was late.
    fn yuma3(&mut self, column: &Column, rate: &impl Rate) {
        let mut values = core::mem::take(&mut self.values);
        values.clear();
        let mut whole = 0_u64;
        values.extend(column.cells.iter().map(|cell| {
            let target = self.followed(cell, column.consensus);
            let old = Share::from_u16(cell.bond);
            let value = average(rate.of(target, column.consensus, target, old), target, old);
            whole = whole.wrapping_add(value.to_bits());
            value
        }));

        let whole = Divisor::new(whole);
        for (cell, value) in column.cells.iter().zip(&values) {
            self.enter(cell, column, whole.share(value.to_bits()), *value);
        }
        self.values = values;
    }

    /// Lets a bond earn, and writes down what is stored of it.
    #[inline]
    fn enter(&mut self, cell: &Cell, column: &Column, bond: Share, stored: Share) {
        if let Some(book) = self.books.get_mut(usize::from(cell.voter)) {
            book.earned = book.earned.plus(bond.times(column.incentive));
            let stored = stored.to_u16();
            if stored > 0 {
                book.row.push((column.uid, stored));
            }
        }
    }

    fn close(self, rule: BondsRule) -> Bonds {
        let dividend = |(book, stake): (&Book, &Share)| match rule {
            BondsRule::Yuma2 => book.earned,
            BondsRule::Yuma3 => book.earned.times(*stake),
        };
        let mut dividends: Vec<Share> = self.books.iter().zip(self.stake).map(dividend).collect();
        normalise(&mut dividends);
        Bonds {
            rows: self.books.into_iter().map(|book| book.row).collect(),
            dividends,
        }
    }
}

/// `rate · target + (1 − rate) · old`, each product rounded down.
#[inline]
fn average(rate: Share, target: Share, old: Share) -> Share {
    target.times(rate).plus(old.times(Share::ONE.minus(rate)))
}
