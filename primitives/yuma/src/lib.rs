//! One epoch of Yuma consensus, in integers.
//!
//! # The idea
//!
//! Validators look at the work of a subnet's miners and give them *scores*. Some of them are mistaken and
//! some lie, so no score counts beyond what enough stake agrees on: per miner, the *consensus* is the
//! largest score that at least κ of the stake supports, and every score is clipped to it. Miners share
//! their pot by *incentive*, the stake-weighted sum of clipped scores. Validators share theirs by
//! *dividends*: each holds *bonds* in the miners that it gave score to over past epochs, and a bond earns
//! when its miner has incentive. Who votes with the crowd and early earns most; who votes alone for a
//! friend earns nothing, and neither does the friend.
//!
//! # The steps
//!
//! With s the shares of stake, over the members that may validate and hold stake:
//!
//! 1. S = s where the validator is active, normalised.
//! 2. W = scores as given, without scores on oneself, on who is no longer there, and on who came after
//!    they were set; each row normalised.
//! 3. C_j = the stake-weighted median of column j at κ; Wc = min(W, C).
//! 4. R_j = Σ S_i Wc_ij; incentive I = R normalised.
//! 5. Wb = W + β (Wc − W), with β the bonds' penalty.
//! 6. Bonds move towards Wb and pay dividends D, by [`BondsRule`].
//!
//! The result is defined on dense matrices and computed on the union of the listed cells, which is the same:
//! a bond whose score is gone decays and does not vanish. Cost: O(cells · log validators + members).
//!
//! # Liquid alpha
//!
//! By default all bonds move at one rate. With [`LiquidAlpha`] a bond moves at its own, between two bounds:
//! the faster, the further its validator stands from consensus while it buys, or from its old bond while it
//! sells. A bond and a score that are both zero stay zero at any rate, so that only listed cells need one
//! here as well.
//!
//! # Arithmetic
//!
//! 32 fractional bits, quotients and products rounded down: equal to the last integer with the reference,
//! subtensor's `epoch_mechanism` (`tests/vectors` has its numbers). Of liquid alpha's rates that cannot be
//! said, since the reference takes its exponentials from a series in a fixed-point library: here they are
//! within 2⁻²⁹ of the formula, and bonds and dividends within the 0.001 to which the reference's own tests
//! state them. Payouts are `pot · share / Σ shares`, so that a pot is never overdrawn and less than one unit
//! per member stays in it.
//!
//! # What differs from subtensor
//!
//! - Miners are paid from one pot and validators from another ([`Pots`]); [`Output::combined_emission`]
//!   gives subtensor's single pot.
//! - If nobody has incentive and nobody dividends, nothing is paid. Subtensor then pays validators by
//!   stake, which pays an idle subnet for being idle.
//! - A validator without stake has neither scores nor bonds, whatever it may do.
//! - Liquid alpha decays a bond whose score is gone. Subtensor's sparse path drops it, its dense one does
//!   as we do.
//! - Liquid alpha works with Yuma2 as well; subtensor's Yuma2 ignores it. What a bond goes to, and is
//!   compared with, is then the share that the validator's stake and score would buy, as it is always in
//!   Yuma2.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::float_arithmetic
    )
)]

extern crate alloc;

mod bonds;
mod consensus;
mod error;
mod median;
mod payout;
mod rate;
mod share;
mod votes;

use alloc::vec::Vec;

use consensus::Agreement;
pub use error::InputError;
use share::Share;
use votes::Votes;

/// What a subnet's owner may choose. The default is the reference's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Share of stake that must support a score, of 65,535.
    pub kappa: u16,
    /// Share of the old bond that an epoch keeps, of 1,000,000.
    pub bonds_moving_average: u32,
    /// How far bonds follow clipped scores, of 65,535: 65,535 all the way, 0 not at all.
    pub bonds_penalty: u16,
    /// How bonds are kept and what they pay.
    pub bonds: BondsRule,
    /// A rate for each bond in the place of `bonds_moving_average`, in epochs where there is consensus on
    /// anyone.
    pub liquid_alpha: Option<LiquidAlpha>,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            kappa: 32_767,
            bonds_moving_average: 900_000,
            bonds_penalty: u16::MAX,
            bonds: BondsRule::Yuma3,
            liquid_alpha: None,
        }
    }
}

/// How fast each bond moves: low + σ(steepness/100 · (d − ½)) · (high − low), with σ(x) = 1 / (1 + e⁻ˣ) and x
/// kept between −20 and 20. The distance d is how far the score that the bond follows is above consensus,
/// where the bond is to grow or to stay; how far it has to fall, where it is to shrink. The default is the
/// reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiquidAlpha {
    /// The slowest rate, of 65,535.
    pub low: u16,
    /// The fastest rate, of 65,535. Not below `low`.
    pub high: u16,
    /// How sharply the rate changes about the middle, in hundredths.
    pub steepness: u16,
}

impl Default for LiquidAlpha {
    fn default() -> Self {
        LiquidAlpha {
            low: 45_875,
            high: 58_982,
            steepness: 1_000,
        }
    }
}

/// How bonds are kept and what they pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BondsRule {
    /// A bond is a share in a miner, bought with stake times score. D_i = Σ_j I_j B_ij.
    Yuma2,
    /// A bond is the average of a score; stake counts when dividends are drawn.
    /// D_i = S_i Σ_j I_j B_ij, with the columns of B normalised.
    Yuma3,
}

/// A member of the subnet as the epoch finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its number.
    pub uid: u16,
    /// Stake on it, in any unit.
    pub stake: u64,
    /// Whether its scores count and bonds are kept for it.
    pub validator: bool,
    /// Whether it set scores recently: without, it does not vote, and its bonds decay.
    pub active: bool,
    /// When it became a member, in any unit of time.
    pub registered_at: u64,
    /// When it set `scores`.
    pub scores_set_at: u64,
    /// The scores that it gave, ascending by uid, in any scale.
    pub scores: &'a [(u16, u16)],
    /// Its bonds as the last epoch left them, ascending by uid.
    pub bonds: &'a [(u16, u16)],
}

/// What an epoch is computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// All members, ascending by uid. Scores and bonds on uids that are not among them are dropped.
    pub members: &'a [Member<'a>],
    /// When the last epoch was: bonds in members that came at that time or later belong to whoever had the
    /// uid before, and are dropped.
    pub last_epoch: u64,
    /// What there is to be paid.
    pub pots: Pots,
}

/// Amounts for miners and for validators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pots {
    /// Shared by incentive.
    pub miners: u64,
    /// Shared by dividends.
    pub validators: u64,
}

/// What an epoch gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Per member, in the order of the input.
    pub members: Vec<Outcome>,
    /// What rounding left, or a whole pot if nobody has a share in it. Pots less payouts, to the unit.
    pub remainder: Pots,
}

/// What an epoch gives to one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its number.
    pub uid: u16,
    /// Its share as a miner, of 65,535.
    pub incentive: u16,
    /// Its share as a validator, of 65,535.
    pub dividends: u16,
    /// The largest score on it that enough stake supports, of 65,535.
    pub consensus: u16,
    /// How much of its own scores was within consensus, of 65,535.
    pub trust: u16,
    /// From the miners' pot.
    pub miner_emission: u64,
    /// From the validators' pot.
    pub validator_emission: u64,
    /// Its bonds for the next epoch, ascending by uid. Empty for members that do not validate.
    pub bonds: Vec<(u16, u16)>,
    exact: payout::Exact,
}

impl Output {
    /// What each member would have of a single pot that miners and validators share half and half, rounded
    /// down per member. Subtensor's emission: if there is neither incentive nor dividend, validators share
    /// the pot by stake.
    pub fn combined_emission(&self, pot: u64) -> Vec<u64> {
        payout::combined(&self.members, pot)
    }
}

/// Computes one epoch.
///
/// The order of members decides nothing: renumbering them renumbers the result.
///
/// # Errors
///
/// [`InputError`] if members or rows are not in strictly ascending order, or a parameter is out of range.
pub fn epoch(input: &Input, params: &Params) -> Result<Output, InputError> {
    params.check()?;
    let votes = Votes::of(input)?;
    let agreement = Agreement::of(&votes, Share::from_u16(params.kappa));
    let bonds = bonds::advance(input, &votes, &agreement, params);
    Ok(payout::output(input, &votes, agreement, bonds))
}

impl Params {
    fn check(&self) -> Result<(), InputError> {
        if self.bonds_moving_average > 1_000_000 {
            return Err(InputError::MovingAverageAboveOne(self.bonds_moving_average));
        }
        match self.liquid_alpha {
            Some(LiquidAlpha { low, high, .. }) if low > high => {
                Err(InputError::LiquidAlphaReversed { low, high })
            }
            _ => Ok(()),
        }
    }
}
