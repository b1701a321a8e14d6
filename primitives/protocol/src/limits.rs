//! The constants that hold the rules together. Those that must move together are held together here: a change that
//! parts them does not compile.

use cairn_primitives::{BlockNumber, Phases, Round, RunConfig, MAX_MEMBERS};

/// Rounds of which the chain keeps everything, the current one included.
pub const HISTORY_ROUNDS: Round = 256;
/// Settled rounds of which the chain keeps the lineage.
pub const LINEAGE_ROUNDS: Round = 16_384;
/// The most entries of the lineage in one answer of a node.
pub const LINEAGE_PER_ANSWER: Round = 256;
/// Final roots that the chain keeps of a run that was stopped.
pub const ENDED_ROUNDS: Round = 40;

/// Rounds before the current one of which a joining worker asks the lineage.
pub const LOOK_BACK: Round = 255;
/// How often in a row a settled round cannot be applied before newer parameters are looked for instead.
pub const APPLY_TRIES: u8 = 8;
/// Checkpoints that a joining worker tries.
pub const CHECKPOINT_ATTEMPTS: usize = 4;
/// Settled rounds that a worker which is behind brings at a time, and the most that one applies which begins with the
/// run's first parameters though there is a checkpoint.
pub const MOST_REPLAYED: Round = 16;

/// Blocks between two changes of a member's endpoints.
pub const ENDPOINTS_EVERY: BlockNumber = 100;
/// Members that one file is fetched from at most.
pub const MOST_SOURCES: usize = 8;

/// Rounds over which a score is a mean.
pub const VALUE_ROUNDS: Round = 8;
/// Rounds over which a miner proves that it trained on its own data; of which evidence is kept.
pub const PREMIUM_ROUNDS: Round = 16;
/// Rounds in which a newcomer need not have proven it yet, and the fewest that a score is a mean over.
pub const GRACE_ROUNDS: Round = 4;
/// The most windows of each kind, assigned and unassigned, that a contribution is measured on.
pub const VALUE_WINDOWS: u64 = 128;
/// Windows of each kind that are measured at least, and at first.
pub const EXAM_PIECE: u64 = 8;
/// Windows of each kind that are measured at a time after those.
pub const EXAM_STEP: u64 = 4;
/// Where little is trained on, a contribution is measured on at most so many windows of each kind all the same.
pub const EXAM_FLOOR: u64 = 64;
/// Unassigned windows that all have in common, on which the loss is stated with which a round began.
pub const EXAM_LOSS: u64 = 32;
/// The fewest windows of each kind that prove anything.
pub const EXAM_LEAST: u64 = 8;
/// The fewest windows of a text that miners do not have: a validator takes at most an eighth of it in a round.
pub const UNSEEN_LEAST: u64 = 8 * VALUE_WINDOWS;
/// A contribution is measured on at most one window for so many that a miner trains on.
pub const EXAM_SHARE: u64 = 4;

/// What a validator's file of evidence tells at most: of each member in each round that a score looks at.
pub const EVIDENCE_ITEMS: u32 = MAX_MEMBERS * PREMIUM_ROUNDS;
/// The most bytes of such a file: a head and the lengths of two lists, then for each of what it tells a miner, and what
/// was measured of it: on three kinds of windows, and of the settled parameters on one.
pub const EVIDENCE_BYTES: u64 =
    47 + EVIDENCE_ITEMS as u64 * (35 + 18 + 4 * (2 + 4 * VALUE_WINDOWS));

/// The most blocks kept free between the end of training and the commit deadline.
pub const COMMIT_MARGIN: BlockNumber = 3;
/// A train phase keeps at most its length divided by this free.
pub const COMMIT_MARGIN_SHARE: BlockNumber = 3;
/// Blocks before the second half of the attest phase at which an attestation is committed to whatever is still missing.
pub const ATTEST_MARGIN: BlockNumber = 2;

/// The fewest blocks that members of a round may come apart: what is final is so for some sooner than for others.
pub const GRACE_BLOCKS: BlockNumber = 3;
/// Rounds in which a member that held a round up has to be in time before rounds wait for it again.
pub const UNAWAITED_ROUNDS: u8 = 32;

/// Where the data has not room for all miners, one slot in so many, and at least one, is for those that have earned
/// nothing yet.
pub const NEWCOMERS_SLOTS: u64 = 8;
/// In one announcement a subnet's owner may raise what it asks of members to at most so many times as much.
pub const RAISE: u64 = 2;

/// Blocks from the first friend's word that a key is lost to when the account is recovered, at least: a day of blocks of
/// six seconds, in which the owner can object. A chain for development divides it.
pub const LEAST_RECOVERY_DELAY: BlockNumber = 14_400;
/// The same, at most: a year, so that no friend's deposit is bound for good.
pub const MOST_RECOVERY_DELAY: BlockNumber = 365 * LEAST_RECOVERY_DELAY;

/// Rounds in a row that a member misses before it is not expected any more.
pub const MISSED_ROUNDS: u8 = 3;
/// From so many rounds in a row without a final root on, the stake leaks of those who attested another root than the
/// leading one; that of absent ones leaks from the first. What leaks comes back with the first final root that its owner
/// attests.
pub const ALONE_ROUNDS: Round = 2;

/// Trust that a contribution has whose maker earned most in the last epoch.
pub const MOST_TRUST: u16 = u16::MAX;
/// Trust is at most this many times as much as that of a maker that earned next to nothing.
pub const TRUST_RANGE: u16 = 16;
/// Of all trust those who earned nothing have together at most one part in so many.
pub const NEWCOMERS_SHARE: u64 = 10;

/// What whoever attests another root than the final one loses of what stands behind its hotkey, in percent.
pub const LOST_ROOT_PERCENT: u8 = 1;
/// The same if more than a third of the attesting stake gave that root, so that it could hold the run up.
pub const LOST_BLOCK_PERCENT: u8 = 10;

/// The last settled round must be there when the next one begins.
const _: () = assert!(HISTORY_ROUNDS >= 2);
/// What a joining worker looks back on is the history without the current round, and comes in one answer.
const _: () = assert!(LOOK_BACK == HISTORY_ROUNDS - 1 && LOOK_BACK <= LINEAGE_PER_ANSWER);
/// Whoever has the parameters of a round that is still there can check them against the lineage.
const _: () = assert!(LINEAGE_ROUNDS >= HISTORY_ROUNDS);
/// However far apart a run's checkpoints are, all that are tried can be followed by rounds that are still there.
const _: () = assert!(
    RunConfig::MAX_CHECKPOINT_EVERY as usize * (CHECKPOINT_ATTEMPTS + 1) < HISTORY_ROUNDS as usize
);
/// And one of an ended run's last roots is that of a checkpoint.
const _: () = assert!(ENDED_ROUNDS > RunConfig::MAX_CHECKPOINT_EVERY as Round);
/// The rounds that a score looks at are still there, and all of them prove something.
const _: () = assert!(PREMIUM_ROUNDS < HISTORY_ROUNDS && VALUE_ROUNDS <= PREMIUM_ROUNDS);
/// A miner's place in a file of evidence has two bytes.
const _: () = assert!(EVIDENCE_ITEMS <= u16::MAX as u32);
/// A grace ends within what a score looks at.
const _: () = assert!(GRACE_ROUNDS <= VALUE_ROUNDS);
/// A piece proves something, and there is room for one.
const _: () = assert!(EXAM_LEAST >= 2 && EXAM_LEAST <= EXAM_PIECE && EXAM_PIECE <= EXAM_FLOOR);
const _: () = assert!(EXAM_STEP > 0 && EXAM_FLOOR <= VALUE_WINDOWS && EXAM_LOSS <= EXAM_FLOOR);
/// However short a train phase is, it has a block to train in.
const _: () = assert!(COMMIT_MARGIN_SHARE >= 2);
/// Whoever misses nothing for as long as a deadlock takes to resolve is still expected when it does.
const _: () = assert!(ALONE_ROUNDS <= MISSED_ROUNDS as Round);
/// Half of the shortest attest phase is long enough for what is sent at its deadline.
const _: () = assert!(Phases::MIN_ATTEST.div_ceil(2) >= ATTEST_MARGIN);
/// However many have earned nothing beside one that has, each has some trust.
const _: () = assert!(MOST_TRUST as u64 / (NEWCOMERS_SHARE - 1) >= MAX_MEMBERS as u64);
