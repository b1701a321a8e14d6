//! How many tokens come into being.
//!
//! There will be at most [`CAP`]. A day issues [`PER_DAY`] at first; whenever half of what was still to
//! come has come, a day issues half as much: at 10.5 million CRN, at 15.75, at 18.375 and so on. Halvings
//! follow what is issued and not the block's number, so burning tokens puts the next halving off.
//!
//! All of it is pure integer arithmetic on the issued total.

use cairn_primitives::{Balance, CRN};

/// There will never be more.
pub const CAP: Balance = 21_000_000 * CRN;
/// What a day issues before the first halving.
pub const PER_DAY: Balance = 7_200 * CRN;

const MILLISECS_PER_DAY: u128 = 86_400_000;

/// What a block issues before the first halving, rounded down.
pub fn first_reward(millisecs_per_block: u64) -> Balance {
    // A product of two 64-bit numbers is one of 128.
    let reward = u128::from(PER_DAY).saturating_mul(millisecs_per_block.into()) / MILLISECS_PER_DAY;
    Balance::try_from(reward).unwrap_or(CAP)
}

/// How often the reward has halved once `issued` pebble exist.
pub fn halvings(issued: Balance) -> u32 {
    let to_come = CAP.saturating_sub(issued);
    let passed = |&k: &u32| CAP >> k > 0 && CAP >> k >= to_come;
    (1..Balance::BITS).take_while(passed).last().unwrap_or(0)
}

/// The issued total at which the reward halves next.
pub fn next_halving(issued: Balance) -> Balance {
    CAP.saturating_sub(CAP >> halvings(issued).saturating_add(1))
}

/// What a block issues if `issued` pebble exist; never past the cap.
pub fn reward(issued: Balance, millisecs_per_block: u64) -> Balance {
    let reward = first_reward(millisecs_per_block) >> halvings(issued);
    reward.min(CAP.saturating_sub(issued))
}
