//! One epoch of Yuma consensus, in integers.
//!
//! # The idea
//!
//! Validators look at the work of a subnet's miners and give them *weights*. Some of them are mistaken and
//! some lie, so no weight counts beyond what enough stake agrees on: per miner, the *consensus* is the
//! largest weight that at least κ of the stake supports, and every weight is clipped to it. Miners share
//! their pot by *incentive*, the stake-weighted sum of clipped weights. Validators share theirs by
//! *dividends*: each holds *bonds* in the miners that it gave weight to over past epochs, and a bond earns
//! when its miner has incentive. Who votes with the crowd and early earns most; who votes alone for a
//! friend earns nothing, and neither does the friend.
//!
//! # The steps
//!
//! With s the shares of stake, over the members that may validate and hold stake:
//!
//! 1. S = s where the validator is active, normalised.
//! 2. W = weights as given, without weights on oneself, on who is no longer there, and on who came after
//!    they were set; each row normalised.
//! 3. C_j = the stake-weighted median of column j at κ; Wc = min(W, C).
//! 4. R_j = Σ S_i Wc_ij; incentive I = R normalised.
//! 5. Wb = W + β (Wc − W), with β the bonds' penalty.
//! 6. Bonds move towards Wb and pay dividends D, by [`BondsRule`].
//!
//! The result is defined on dense matrices and computed on the union of the listed cells, which is the same:
//! a bond whose weight is gone decays and does not vanish. Cost: O(cells · log validators + members).
//!
//! # Arithmetic
//!
//! 32 fractional bits, quotients and products rounded down ([`Fixed`]): equal to the last integer with the
//! reference, subtensor's `epoch_mechanism` (`tests/vectors` has its numbers). Payouts are
//! `pot · share / Σ shares` in 128-bit integers, so that a pot is never overdrawn and less than one unit
//! per member stays in it.
//!
//! # What differs from subtensor
//!
//! - Miners are paid from one pot and validators from another ([`Pots`]); [`Output::combined_emission`]
//!   gives subtensor's single pot.
//! - If nobody has incentive and nobody dividends, nothing is paid. Subtensor then pays validators by
//!   stake, which pays an idle subnet for being idle.
//! - A validator without stake has neither weights nor bonds, whatever it may do.
//! - Rates of bonds are the same for all cells: liquid alpha is not implemented.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod bonds;
mod consensus;
mod error;
mod fixed;
mod matrix;
mod payout;
mod votes;

use alloc::vec::Vec;

pub use error::InputError;
use fixed::normalise;
pub use fixed::Fixed;
use matrix::at;
use votes::Votes;

/// What a subnet's owner may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Share of stake that must support a weight, of 65,535.
    pub kappa: u16,
    /// Share of the old bond that an epoch keeps, of 1,000,000.
    pub bonds_moving_average: u32,
    /// How far bonds follow clipped weights, of 65,535: 65,535 all the way, 0 not at all.
    pub bonds_penalty: u16,
    /// How bonds are kept and what they pay.
    pub bonds: BondsRule,
}

/// How bonds are kept and what they pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BondsRule {
    /// A bond is a share in a miner, bought with stake times weight. D_i = Σ_j I_j B_ij.
    Yuma2,
    /// A bond is the average of a weight; stake counts when dividends are drawn.
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
    /// Whether its weights count and bonds are kept for it.
    pub validator: bool,
    /// Whether it set weights recently: without, it does not vote, and its bonds decay.
    pub active: bool,
    /// When it became a member, in any unit of time.
    pub registered_at: u64,
    /// When it set `weights`.
    pub weights_set_at: u64,
    /// The weights that it gave, ascending by uid, in any scale.
    pub weights: &'a [(u16, u16)],
    /// Its bonds as the last epoch left them, ascending by uid.
    pub bonds: &'a [(u16, u16)],
}

/// What an epoch is computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// All members, ascending by uid. Weights and bonds on uids that are not among them are dropped.
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
    /// The largest weight on it that enough stake supports, of 65,535.
    pub consensus: u16,
    /// How much of its own weights was within consensus, of 65,535.
    pub trust: u16,
    /// From the miners' pot.
    pub miner_emission: u64,
    /// From the validators' pot.
    pub validator_emission: u64,
    /// Its bonds for the next epoch, ascending by uid. Empty for members that do not validate.
    pub bonds: Vec<(u16, u16)>,
    /// Its share of a single pot.
    combined: Fixed,
}

impl Output {
    /// What each member would have of a single pot that miners and validators share half and half, rounded
    /// down per member. Subtensor's emission: if there is neither incentive nor dividend, validators share
    /// the pot by stake.
    pub fn combined_emission(&self, pot: u64) -> Vec<u64> {
        self.members
            .iter()
            .map(|outcome| outcome.combined.of(pot))
            .collect()
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
    if params.bonds_moving_average > 1_000_000 {
        return Err(InputError::MovingAverageAboveOne(
            params.bonds_moving_average,
        ));
    }
    let votes = Votes::of(input)?;

    let kappa = Fixed::from_share(params.kappa);
    let consensus = consensus::weighted_medians(&votes.weights, &votes.stake, kappa);
    let clipped = votes
        .weights
        .map(|_, column, weight| weight.min(at(&consensus, column)));
    let mut incentive = clipped.weighted_column_sums(&votes.stake);
    normalise(&mut incentive);

    let penalty = Fixed::from_share(params.bonds_penalty);
    let for_bonds = votes.weights.map(|_, column, weight| {
        let clip = weight.minus(at(&consensus, column));
        weight.minus(penalty.times_up(clip))
    });
    let bonds = bonds::advance(&votes.bonds, &for_bonds, &votes.stake, &incentive, params);

    Ok(payout::output(
        input, &votes, &consensus, &clipped, &incentive, bonds,
    ))
}
