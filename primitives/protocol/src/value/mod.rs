//! What a contribution was worth, from measured losses.
//!
//! When a round has settled and its exam is drawn ([`crate::exam`]), a validator looks back at it. It takes the
//! parameters that the round began with, applies one contribution alone, and measures the loss of the same windows
//! before and after. The difference, window by window, is the contribution's *gain*: paired differences, so that a
//! hard text counts no more than an easy one. Some of the windows are ones that the miner had to train on, some are
//! ones that nobody had. How much there is to be gained on a window is about the same for all: so what is asked of both
//! kinds is by how much a contribution gained more than the parameters that the round made of all of them.
//!
//! - Only gain on **unassigned** windows earns ([`round_gain`]): a contribution must make the model better at text that
//!   its maker did not see.
//! - How much more it gained on **assigned** windows is its *premium* ([`premium_of`]). Who trained on its own data has one,
//!   and proves it over rounds; who trained on something else, or sends what others made, has none. What is not proven is
//!   not paid ([`factor`]).
//! - Where a run has text that miners do not have, a gain counts as far as it holds there ([`crate::unseen`]).
//! - Contributions that resemble each other more than honest ones do share one score, and what repeats the last round has
//!   none ([`alike`], [`repeats`]).
//! - A gain counts as far as the inner steps that were declared, and as a share in what all gained in the same round: gains
//!   fall from round to round, and who stops early must not be paid for having begun early.
//! - The score is the mean over the last [`crate::limits::VALUE_ROUNDS`] rounds since a miner's first ([`accounts`]). A
//!   round of which it has nothing to show counts as zero, one that this validator could not measure does not count.
//! - Before anybody has earned anything, who helped too little in one round is not called good in the next
//!   ([`fruitless()`]).
//!
//! All of it is a pure function of [`Evidence`], which the validator logs; the order of the log does not matter. With
//! the scores of an epoch it commits to a file of what they follow from ([`EvidenceFile`]), so that anyone can compute
//! them again.

mod advice;
mod evidence;
mod file;
mod fruitless;
mod gain;
mod premium;
mod resemblance;
mod row;
mod score;
mod subjects;
#[cfg(test)]
pub(crate) mod testing;

pub use advice::{advice, Advice};
pub use evidence::{beyond, counts, forget_old, gains, Evidence, Outcome};
pub use file::{Difference, EvidenceFile, Malformed};
pub use fruitless::{fruitless, GAIN_PARTS, UNCLEAR_PARTS};
pub use gain::{difference, mean, premium_of, round_gain, Estimate};
pub use premium::{factor, is_sure, premium};
pub use resemblance::{alike, bound, repeats, CEILING, FLOOR};
pub use row::{proportions, row};
pub use score::{accounts, proven, scores, Account, Found, Miner, Part};
pub use subjects::{subjects, Subject};
