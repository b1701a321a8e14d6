//! What a contribution was worth, from measured losses.
//!
//! In the training phase of round *r* a validator looks back at round *r* − 1. It takes the weights that the
//! round began with, applies one contribution alone, and measures the loss of the same windows before and
//! after. The difference, window by window, is the contribution's *gain*: paired differences, so that a hard
//! text counts no more than an easy one. Half of the windows are ones that the miner had to train on, half
//! are ones that nobody had.
//!
//! - Only gain on **unassigned** windows earns: a contribution must make the model better at text that its
//!   maker did not see. It counts only if its mean is more than two standard errors above zero.
//! - Gain on **assigned** windows must not be lower, within two standard errors: who trained on its own data
//!   does better there. Who trained on something else, or sent noise, does not.
//! - A round in which the miner had data and delivered nothing counts as zero; a round that the validator did
//!   not measure does not count at all.
//! - What others found good and is not here was not missed: nothing is known of it ([`subjects`]).
//! - Identical values from two miners count for the one that was committed first.
//!
//! The score is the mean over the last [`WINDOW`] rounds. It is a pure function of [`Evidence`], which the
//! validator logs, so a disputed score can be computed again by anyone who has the log; the order of the log
//! does not matter.

mod evidence;
mod row;
mod score;
mod subjects;

pub use evidence::{counts, forget_old, gains, Evidence, Outcome};
pub use row::{row, weights};
pub use score::{round_gain, scores};
pub use subjects::{subjects, Standing, Subject};

/// Rounds of evidence that a score looks at.
pub const WINDOW: u32 = crate::limits::VALUE_ROUNDS;
