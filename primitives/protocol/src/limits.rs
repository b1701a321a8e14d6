//! The constants that hold the rules together. Those that must move together are held together here: a change that
//! parts them does not compile.

use cairn_primitives::{BlockNumber, Round};

/// Rounds of which the chain keeps everything, the current one included.
pub const HISTORY_ROUNDS: Round = 256;
/// Settled rounds of which the chain keeps the lineage.
pub const LINEAGE_ROUNDS: Round = 16_384;
/// The most entries of the lineage in one answer of a node.
pub const LINEAGE_PER_ANSWER: Round = 256;
/// Final roots that the chain keeps of a run that was stopped.
pub const ENDED_ROUNDS: Round = 8;

/// Rounds before the current one of which a joining worker asks the lineage.
pub const LOOK_BACK: Round = 255;
/// A checkpoint is written when a round divisible by this begins.
pub const CHECKPOINT_EVERY: Round = 5;
/// Checkpoints that a joining worker tries.
pub const CHECKPOINT_ATTEMPTS: usize = 4;

/// Rounds of evidence that a score looks at.
pub const VALUE_ROUNDS: Round = 8;
/// The most windows of each kind, assigned and unassigned, that a contribution is measured on.
pub const VALUE_WINDOWS: u64 = 32;

/// The most blocks kept free between the end of training and the commit deadline.
pub const COMMIT_MARGIN: BlockNumber = 3;
/// A train phase keeps at most its length divided by this free.
pub const COMMIT_MARGIN_SHARE: BlockNumber = 3;
/// Blocks before a round's end at which an attestation is sent whatever is still missing.
pub const ATTEST_MARGIN: BlockNumber = 2;

/// The last settled round must be there when the next one begins.
const _: () = assert!(HISTORY_ROUNDS >= 2);
/// What a joining worker looks back on is the history without the current round, and comes in one answer.
const _: () = assert!(LOOK_BACK == HISTORY_ROUNDS - 1 && LOOK_BACK <= LINEAGE_PER_ANSWER);
/// Whoever has the parameters of a round that is still there can check them against the lineage.
const _: () = assert!(LINEAGE_ROUNDS >= HISTORY_ROUNDS);
/// All checkpoints that are tried can be followed by rounds that are still there.
const _: () =
    assert!(CHECKPOINT_EVERY as usize * (CHECKPOINT_ATTEMPTS + 1) < HISTORY_ROUNDS as usize);
/// One of an ended run's last roots is that of a checkpoint.
const _: () = assert!(ENDED_ROUNDS > CHECKPOINT_EVERY);
/// The rounds that a score looks at are still there.
const _: () = assert!(VALUE_ROUNDS < HISTORY_ROUNDS);
/// Two windows of a kind are the least that prove anything.
const _: () = assert!(VALUE_WINDOWS >= 2);
/// However short a train phase is, it has a block to train in.
const _: () = assert!(COMMIT_MARGIN_SHARE >= 2);
