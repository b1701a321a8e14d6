//! A pool of money that many hold shares of.
//!
//! # The idea
//!
//! Many people put money behind one validator. When it earns, everybody's money should grow in proportion; when
//! it is punished, everybody's should shrink. Visiting each of them would cost more the more there are, so
//! nobody is visited: the [`Pool`] knows its value and its number of shares, each [`Holding`] knows only its own
//! shares, and what these are worth follows. A [reward](Pool::reward) or a [slash](Pool::slash) changes one
//! number.
//!
//! ```
//! use share_pool::{Holding, Pool};
//!
//! let (mut pool, mut ann, mut bea) = (Pool::default(), Holding::default(), Holding::default());
//! pool.deposit(&mut ann, 300).unwrap();
//! pool.deposit(&mut bea, 100).unwrap();
//! pool.reward(40).unwrap();
//! assert_eq!((pool.worth(&ann), pool.worth(&bea)), (330, 110));
//! assert_eq!(pool.slash(220), 220);
//! assert_eq!((pool.worth(&ann), pool.worth(&bea)), (165, 55));
//! assert_eq!(pool.withdraw_all(&mut ann), 165);
//! assert_eq!(pool.withdraw_all(&mut bea), 55);
//! ```
//!
//! # The arithmetic
//!
//! A pool is worth *V* units (of money: a `u64`) and has *S* shares (a `u128`); a share's price is *V / S*. All
//! operations round in the pool's favour, that is, in favour of those who stay:
//!
//! | operation | shares | money |
//! |---|---|---|
//! | deposit of at most *a* into an empty pool | *a* · 2²⁰ are made | *a* comes in |
//! | deposit of at most *a* | *s* = ⌊*a S / V*⌋ are made | ⌈*s V / S*⌉ comes in |
//! | withdrawal of at least *a* | *s* = ⌈*a S / V*⌉ are destroyed | ⌊*s V / S*⌋ goes out |
//! | withdrawal of all *h* shares | *h* are destroyed | ⌊*h V / S*⌋ goes out, or *V* if *h = S* |
//! | reward of *r* | none | *V* grows by *r* |
//! | slash of *x* | none | *V* shrinks by min(*x*, *V*) |
//!
//! Products are computed in 256 bits and are exact; what does not fit into its type is an [`Error`] that changes
//! nothing. From this table follows, and the property tests check:
//!
//! * **Only whole shares change hands, at their price.** A depositor pays no more than what its shares are worth,
//!   rounded up to a unit, and never more than it offered: nobody can lose more than one unit to rounding, however
//!   dear a share is. So the attack by which a first depositor makes a share dear, and takes what rounding costs
//!   the next one, has nothing to take: whoever offers less than a share costs is refused
//!   ([`Error::LessThanAShare`]). While a share is cheaper than a unit, which takes a reward of a million times
//!   what is in the pool to change, exactly what is asked for moves.
//! * **Deposits and withdrawals never lower the price.** So nobody's holding loses by what others do, and nobody
//!   gains by doing in parts, in any order or under several names, what he could do at once.
//! * **Nothing is lost.** With *n* holders, the sum of what each could withdraw is above *V − n*; who leaves last
//!   takes all that is left.
//! * **A pool with a share has money, and one with money a share.** A slash of everything ends a *generation*: all
//!   shares are void at once, without visiting anybody, and the next deposit is as into a new pool.
//!
//! After a slash a unit buys more shares than before. Their number cannot leave its 128 bits unless slashes together
//! leave less than 2⁻⁴⁰ of a pool; deposits that no longer fit are then refused ([`Error::Overflow`]) until the
//! holders have left, who can always do so.

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use primitive_types::U256;
use scale_info::TypeInfo;

/// Shares that one unit buys in an empty pool.
const SHARES_PER_UNIT: u128 = 1 << 20;

/// Why a pool refused; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Nothing was offered or asked for.
    Nothing,
    /// The holding is not worth as much as was asked for.
    NotEnough,
    /// A share costs more than was offered.
    LessThanAShare,
    /// There is no share that a reward could belong to.
    NoShares,
    /// A value or a number of shares would leave its type's range.
    Overflow,
}

/// Money and the shares of it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Pool {
    /// What all shares are worth together, in units.
    value: u64,
    /// How many shares there are.
    shares: u128,
    /// How many times everything has been slashed.
    generation: u32,
}

/// Shares of one pool that belong to one holder. Whoever keeps it keeps apart which pool it is of.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Holding {
    /// How many.
    shares: u128,
    /// The generation of the pool that they are of; shares of an earlier one are void.
    generation: u32,
}

impl Holding {
    /// Whether there are no shares in it, void ones included.
    pub fn is_empty(&self) -> bool {
        self.shares == 0
    }
}

impl Pool {
    /// What all shares are worth together, in units.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// How many shares there are.
    pub fn shares(&self) -> u128 {
        self.shares
    }

    /// Whether nobody holds a share that is not void.
    pub fn is_empty(&self) -> bool {
        self.shares == 0
    }

    /// Whether this pool has never been used: it need not be kept.
    pub fn is_new(&self) -> bool {
        *self == Pool::default()
    }

    /// The shares of a holding that are not void.
    pub fn shares_of(&self, holding: &Holding) -> u128 {
        if holding.generation == self.generation {
            holding.shares
        } else {
            0
        }
    }

    /// What a holding could be turned into now, in units.
    pub fn worth(&self, holding: &Holding) -> u64 {
        let shares = self.shares_of(holding);
        if shares == self.shares {
            return self.value;
        }
        // Fewer shares than there are, so less than the value.
        self.price_of(shares, Round::Down).unwrap_or_default()
    }

    /// Turns at most `amount` units into shares. Returns the units that came in: all of `amount` while a share is
    /// cheaper than a unit, otherwise the price of whole shares.
    ///
    /// Errors: [`Error::Nothing`], [`Error::LessThanAShare`], [`Error::Overflow`].
    pub fn deposit(&mut self, holding: &mut Holding, amount: u64) -> Result<u64, Error> {
        if amount == 0 {
            return Err(Error::Nothing);
        }
        let (shares, paid) = if self.is_empty() {
            let shares = u128::from(amount).checked_mul(SHARES_PER_UNIT);
            (shares.ok_or(Error::Overflow)?, amount)
        } else {
            let shares = self.shares_for(amount, Round::Down)?;
            (shares, self.price_of(shares, Round::Up)?)
        };
        if shares == 0 {
            return Err(Error::LessThanAShare);
        }
        let held = self.shares_of(holding).checked_add(shares);
        let after = Pool {
            value: self.value.checked_add(paid).ok_or(Error::Overflow)?,
            shares: self.shares.checked_add(shares).ok_or(Error::Overflow)?,
            generation: self.generation,
        };
        *holding = Holding {
            shares: held.ok_or(Error::Overflow)?,
            generation: self.generation,
        };
        *self = after;
        Ok(paid)
    }

    /// Turns shares into at least `amount` units. Returns the units that went out: exactly `amount` while a share
    /// is cheaper than a unit, otherwise the price of whole shares. Who asks for all that a holding is worth gives
    /// all its shares.
    ///
    /// Errors: [`Error::Nothing`], [`Error::NotEnough`].
    pub fn withdraw(&mut self, holding: &mut Holding, amount: u64) -> Result<u64, Error> {
        let shares = self.shares_worth(holding, amount)?;
        Ok(self.redeem(holding, shares))
    }

    /// Turns all shares into units and returns these; none if the shares were void or worth less than a unit.
    pub fn withdraw_all(&mut self, holding: &mut Holding) -> u64 {
        let shares = self.shares_of(holding);
        self.redeem(holding, shares)
    }

    /// Hands shares worth at least `amount` from one holder to another, at no loss to anybody, and returns what
    /// they are worth. Who gives all that a holding is worth gives all its shares.
    ///
    /// Errors: [`Error::Nothing`], [`Error::NotEnough`], [`Error::Overflow`].
    pub fn transfer(
        &self,
        from: &mut Holding,
        to: &mut Holding,
        amount: u64,
    ) -> Result<u64, Error> {
        let shares = self.shares_worth(from, amount)?;
        let left = self.shares_of(from).checked_sub(shares);
        let given = Holding {
            shares,
            generation: self.generation,
        };
        let received = self.shares_of(to).checked_add(shares);
        *from = self.holding(left.ok_or(Error::NotEnough)?);
        *to = self.holding(received.ok_or(Error::Overflow)?);
        Ok(self.worth(&given))
    }

    /// Adds money that belongs to all holders in proportion to their shares.
    ///
    /// Errors: [`Error::NoShares`], [`Error::Overflow`].
    pub fn reward(&mut self, amount: u64) -> Result<(), Error> {
        if self.is_empty() {
            return Err(Error::NoShares);
        }
        self.value = self.value.checked_add(amount).ok_or(Error::Overflow)?;
        Ok(())
    }

    /// Takes `amount`, or as much as there is, from all holders in proportion to their shares. Returns what was
    /// taken. If that is everything, all shares are void.
    pub fn slash(&mut self, amount: u64) -> u64 {
        match self.value.checked_sub(amount) {
            Some(rest) if rest > 0 => {
                self.value = rest;
                amount
            }
            _ => {
                let taken = self.value;
                if !self.is_empty() {
                    self.value = 0;
                    self.shares = 0;
                    self.generation = self.generation.wrapping_add(1);
                }
                taken
            }
        }
    }

    /// The fewest shares of a holding that are worth `amount`; all of them if it is not worth more.
    fn shares_worth(&self, holding: &Holding, amount: u64) -> Result<u128, Error> {
        if amount == 0 {
            return Err(Error::Nothing);
        }
        let worth = self.worth(holding);
        if amount > worth {
            return Err(Error::NotEnough);
        }
        let held = self.shares_of(holding);
        if amount == worth {
            return Ok(held);
        }
        // Less than all that they are worth, so no more than there are.
        self.shares_for(amount, Round::Up).map(|s| s.min(held))
    }

    /// Destroys shares, of which the holding has as many, and returns what they were worth.
    fn redeem(&mut self, holding: &mut Holding, shares: u128) -> u64 {
        let redeemed = Holding {
            shares,
            generation: self.generation,
        };
        let worth = self.worth(&redeemed);
        let left = self.shares_of(holding).saturating_sub(shares);
        *holding = self.holding(left);
        self.shares = self.shares.saturating_sub(shares);
        self.value = self.value.saturating_sub(worth);
        worth
    }

    fn holding(&self, shares: u128) -> Holding {
        match shares {
            0 => Holding::default(),
            shares => Holding {
                shares,
                generation: self.generation,
            },
        }
    }

    /// *amount · S / V*.
    fn shares_for(&self, amount: u64, round: Round) -> Result<u128, Error> {
        let shares = mul_div(amount.into(), self.shares, self.value.into(), round);
        shares.ok_or(Error::Overflow)
    }

    /// *shares · V / S*.
    fn price_of(&self, shares: u128, round: Round) -> Result<u64, Error> {
        mul_div(shares, self.value.into(), self.shares, round)
            .and_then(|price| u64::try_from(price).ok())
            .ok_or(Error::Overflow)
    }
}

#[derive(Clone, Copy)]
enum Round {
    Down,
    Up,
}

/// *a · b / c*, exact but for the last rounding; `None` if it does not fit, or *c* is zero.
fn mul_div(a: u128, b: u128, c: u128, round: Round) -> Option<u128> {
    // Below 2²⁵⁶.
    let product = U256::from(a).checked_mul(U256::from(b))?;
    let c = U256::from(c);
    let quotient = product.checked_div(c)?;
    let rest = product.checked_rem(c)?;
    let rounded = match round {
        Round::Up if !rest.is_zero() => quotient.checked_add(U256::one())?,
        _ => quotient,
    };
    u128::try_from(rounded).ok()
}
