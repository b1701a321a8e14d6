//! A run: one model being trained on one subnet.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{
    blocks::{checked_kept, Turn, BLOCK},
    AuditRules, BlockNumber, Combination, Matrices, ModelRoot, Nano, Round, Text, Uid, H256,
    MAX_MEMBERS,
};

/// Shape of a Llama-style decoder.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    /// Number of decoder layers.
    pub layers: u16,
    /// Width of the residual stream.
    pub d_model: u32,
    /// Query heads.
    pub heads: u16,
    /// Key and value heads (grouped-query attention).
    pub kv_heads: u16,
    /// Hidden width of the SwiGLU feed-forward layer.
    pub ffn: u32,
    /// Number of tokens in the vocabulary.
    pub vocabulary: u32,
    /// Longest sequence in tokens.
    pub context: u32,
    /// Base of the rotary position embedding.
    pub rope_theta: u32,
    /// Whether the head shares the embedding's parameters.
    pub tied_embeddings: bool,
}

impl ModelShape {
    /// The most layers.
    pub const MAX_LAYERS: u16 = 1_024;
    /// The widest that a layer may be, inside and out.
    pub const MAX_WIDTH: u32 = 1 << 18;
    /// The largest vocabulary.
    pub const MAX_VOCABULARY: u32 = 1 << 22;
    /// The longest context.
    pub const MAX_CONTEXT: u32 = 1 << 20;
    /// The most parameters: a checkpoint of them, in `f32`, has 1 TiB.
    pub const MAX_PARAMETERS: u64 = 1 << 38;

    /// Number of parameters; `None` if that does not fit. What [`crate::Layout::parameters`] is of the shape's layout.
    pub fn parameters(&self) -> Option<u64> {
        let [d, ffn, vocabulary] = [self.d_model, self.ffn, self.vocabulary].map(u64::from);
        let kv = u64::from(self.head_dim()).checked_mul(u64::from(self.kv_heads))?;
        let attention = d.checked_add(kv)?.checked_mul(d)?.checked_mul(2)?;
        let perceptron = ffn.checked_mul(d)?.checked_mul(3)?;
        let norms = d.checked_mul(2)?;
        let layer = attention.checked_add(perceptron)?.checked_add(norms)?;
        let embedding = vocabulary.checked_mul(d)?;
        let head = if self.tied_embeddings { 0 } else { embedding };
        layer
            .checked_mul(u64::from(self.layers))?
            .checked_add(embedding)?
            .checked_add(head)?
            .checked_add(d)
    }

    /// Width of one head. Zero heads give zero; [`RunConfig::check`] refuses such a shape.
    pub fn head_dim(&self) -> u32 {
        self.d_model.checked_div(u32::from(self.heads)).unwrap_or(0)
    }
}

/// The data that a run trains on: token shards described by a manifest.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    /// BLAKE3 of the manifest file, by which it is found and checked.
    pub manifest_root: H256,
    /// BLAKE3 of the tokenizer file.
    pub tokenizer_root: H256,
    /// Store that holds contributions, checkpoints, shards, manifest and tokenizer. Empty: the store that
    /// the worker was started with.
    pub store: Text,
    /// Number of training windows of `sequence_length` tokens in the data set.
    pub windows: u64,
}

/// AdamW or Muon, the schedule, and how much of it a round does.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct InnerOptimizer {
    /// Inner steps per round (H).
    pub steps: u16,
    /// Sequences per inner step.
    pub sequences: u16,
    /// Tokens per sequence.
    pub sequence_length: u32,
    /// Highest learning rate.
    pub learning_rate: Nano,
    /// Floor of the cosine schedule as a share of `learning_rate`.
    pub final_rate: Nano,
    /// Inner steps of linear warm-up.
    pub warmup_steps: u32,
    /// Inner steps after which the cosine schedule stays at its floor.
    pub total_steps: u32,
    /// Decay of the first moment.
    pub beta1: Nano,
    /// Decay of the second moment.
    pub beta2: Nano,
    /// Added to the root of the second moment.
    pub epsilon: Nano,
    /// Decoupled weight decay, on matrices only.
    pub weight_decay: Nano,
    /// Global norm to which gradients are clipped.
    pub clip_norm: Nano,
    /// Inner steps from one state that a miner traces, so that it can be replayed, to the next. Tracing hashes
    /// parameters and moments, a replay makes so many steps.
    #[serde(default = "each_step")]
    pub trace_every: u16,
    /// What steps the matrices of the blocks: AdamW if a configuration says nothing of it.
    #[serde(default)]
    pub matrices: Matrices,
}

/// Every state is traced if a configuration says nothing of it.
fn each_step() -> u16 {
    1
}

/// How the pseudo-gradients of a run are made small.
///
/// A run of few tokens ends lower if early rounds forget what they did not send and late ones remember it, a long one
/// does not (docs/study.md), so the error feedback's decay may change on the way, or not.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct CompressionSchedule {
    /// Values kept of each block of 4,096.
    pub kept_per_block: u16,
    /// Decay of the error feedback (β) in the first round.
    pub error_decay: Nano,
    /// β in the last round of the inner schedule and in those after it, reached in a straight line; β stays what it is
    /// if there is none.
    pub final_error_decay: Option<Nano>,
    /// In how many turns members send their values: each round each of them has another one, and sends the values whose
    /// turn that is, one in so many. 1, which is usual, is no turns: all send alike.
    #[serde(default = "CompressionSchedule::usual_turns")]
    pub turns: u8,
}

impl CompressionSchedule {
    /// All members send alike.
    pub fn usual_turns() -> u8 {
        1
    }

    /// Whether members take turns.
    pub fn has_turns(&self) -> bool {
        self.turns > 1
    }

    /// Whether turns, if there are any, go with all else: all values are kept, and nothing is for a later round, since
    /// what a member does not send another one does.
    fn has_possible_turns(&self) -> bool {
        let decays = (self.error_decay, self.final_error_decay);
        let keeps_all = usize::from(self.kept_per_block) == BLOCK;
        match self.turns {
            1 => true,
            2..=Turn::MOST => keeps_all && decays == (Nano(0), None),
            _ => false,
        }
    }

    /// What holds after `done` of `all` steps of the way.
    fn after(&self, done: u64, all: u64) -> Compression {
        let error_decay = match self.final_error_decay {
            Some(last) if done > 0 && done >= all => last,
            Some(last) => between(self.error_decay, last, done, all),
            None => self.error_decay,
        };
        Compression {
            kept_per_block: self.kept_per_block,
            error_decay,
            turn: None,
        }
    }
}

/// The number that lies `done` of `all` on the way from `first` to `last`, rounded towards `first`; `first` if there
/// is no way.
fn between(first: Nano, last: Nano, done: u64, all: u64) -> Nano {
    let far = u128::from(first.0.abs_diff(last.0)).saturating_mul(u128::from(done.min(all)));
    let moved = far.checked_div(u128::from(all)).unwrap_or(0);
    // at most the whole way
    let moved = u64::try_from(moved).unwrap_or(u64::MAX);
    Nano(match first <= last {
        true => first.0.saturating_add(moved),
        false => first.0.saturating_sub(moved),
    })
}

/// How a pseudo-gradient of one round is made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Values kept of each block of 4,096.
    pub kept_per_block: u16,
    /// Decay of the error feedback (β).
    pub error_decay: Nano,
    /// Whose turn it is, where members take turns.
    pub turn: Option<Turn>,
}

/// θ ← θ − α Δ̄ with Δ̄ the sum of contributions over max(senders, ⌈ρR⌉).
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct OuterStep {
    /// Outer learning rate (α).
    pub learning_rate: Nano,
    /// ρ: 1 is the mean over all contributions, 0 would be the mean over those that sent the coordinate.
    pub rho: Nano,
    /// How far above the median a contribution's norm may lie: from 1, which is usual, to [`OuterStep::MAX_CLIP`] times
    /// it. What is longer is made as short.
    #[serde(default = "OuterStep::usual_clip")]
    pub clip: Nano,
    /// By what contributions are combined: by trust if a configuration says nothing of it.
    #[serde(default)]
    pub combine: Combination,
}

impl OuterStep {
    /// The least ρ: below it, a coordinate that one miner alone sends would move by nearly a full step.
    pub const MIN_RHO: Nano = Nano(250_000_000);
    /// No norm is above the median.
    pub const USUAL_CLIP: Nano = Nano::ONE;
    /// The most that norms may be above the median: beyond it a contribution would count for more than two.
    pub const MAX_CLIP: Nano = Nano(2_000_000_000);

    fn usual_clip() -> Nano {
        Self::USUAL_CLIP
    }
}

/// Lengths of a round's phases in blocks.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Blocks to train, upload and commit.
    pub train: BlockNumber,
    /// Blocks to reveal.
    pub reveal: BlockNumber,
    /// Blocks to attest.
    pub attest: BlockNumber,
    /// Percent of each of these that pass however early all is done: from 1 to 100. At 100 they always take as long.
    #[serde(default = "Phases::usual_floor")]
    pub floor: u8,
}

/// When the parts of a round begin, in blocks.
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
    Serialize,
    Deserialize,
)]
pub struct RoundTimes {
    /// Its first block, and that of the train phase.
    pub start: BlockNumber,
    /// The first block of the reveal phase.
    pub reveal: BlockNumber,
    /// The first block of the attest phase, in whose first half validators commit to what they attest.
    pub attest: BlockNumber,
    /// The first block of its second half, in which they open it.
    pub open: BlockNumber,
    /// The block from which the round can be settled.
    pub due: BlockNumber,
}

/// Where in a round a block lies.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Miners train and commit.
    Train,
    /// Miners reveal their keys.
    Reveal,
    /// Validators attest.
    Attest,
    /// The round is over: its first block belongs to the next one.
    Settle,
}

impl Phases {
    /// The shortest attest phase: validators commit in its first half and open in the second, and each gets a second
    /// chance if a block is full or a message is lost.
    pub const MIN_ATTEST: BlockNumber = 4;
    /// The longest phase: about half a year of blocks of six seconds.
    pub const MAX_PHASE: BlockNumber = 1 << 21;
    /// The shortest round: shorter ones would let a subnet fill blocks with free calls.
    pub const MIN_ROUND: BlockNumber = 10;

    /// The share of a phase that passes where a configuration does not say: a quarter, in percent.
    pub fn usual_floor() -> u8 {
        25
    }

    /// The least that a phase of `longest` blocks, or a part of one, takes: its floor, at least a block of any.
    pub fn floor_of(&self, longest: BlockNumber) -> BlockNumber {
        let share = u64::from(longest).saturating_mul(self.floor.into());
        u32::try_from(share.div_ceil(100)).map_or(longest, |floor| floor.min(longest))
    }

    /// The least that a round takes: the floors of training, revealing, and both halves of attesting.
    pub fn shortest(&self) -> BlockNumber {
        let first = self.attest.div_ceil(2);
        let stages = [
            self.train,
            self.reveal,
            first,
            self.attest.saturating_sub(first),
        ];
        let floors = stages.iter().map(|stage| self.floor_of(*stage));
        floors.fold(0, BlockNumber::saturating_add)
    }

    /// The longest that a round takes. The block this many blocks after a round's first one settles it and is the first
    /// of the next round.
    pub fn round(&self) -> BlockNumber {
        self.train
            .saturating_add(self.reveal)
            .saturating_add(self.attest)
    }
}

/// How the run's first parameters come to be.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum InitialParameters {
    /// Counter-based initialisation from this seed.
    Seed(u64),
    /// The checkpoint of this name in the run's store.
    Checkpoint(Text),
}

/// Everything that a worker has to know to take part: it needs nothing but the chain and a store.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What the run is called.
    pub name: Text,
    /// Shape of the model.
    pub model: ModelShape,
    /// How its first parameters come to be.
    pub initial_parameters: InitialParameters,
    /// Model root of the first parameters.
    pub initial_root: ModelRoot,
    /// What it trains on.
    pub data: DataSet,
    /// The inner optimizer and the amount of work per round.
    pub inner: InnerOptimizer,
    /// How contributions are made small.
    pub compression: CompressionSchedule,
    /// How contributions become the next parameters.
    pub outer: OuterStep,
    /// Lengths of the phases.
    pub phases: Phases,
    /// The most contributions that a round includes.
    pub max_contributors: u16,
    /// How included contributions are audited.
    #[serde(default)]
    pub audits: AuditRules,
    /// How many rounds training runs ahead of the outer step: 0, or 1, with which miners train the next round while one
    /// is revealed and attested. 0 if a configuration says nothing of it.
    #[serde(default)]
    pub overlap: u8,
    /// A checkpoint is written when a round begins that this divides: from 1 to
    /// [`RunConfig::MAX_CHECKPOINT_EVERY`], and [`RunConfig::USUAL_CHECKPOINT_EVERY`] if a configuration does not say.
    #[serde(default = "usual_checkpoint_every")]
    pub checkpoint_every: u8,
}

/// Rounds from one checkpoint to the next where a configuration says nothing of it.
fn usual_checkpoint_every() -> u8 {
    RunConfig::USUAL_CHECKPOINT_EVERY
}

/// Why a run's configuration cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub enum RunConfigError {
    /// A dimension of the model is zero, or `heads` does not divide `d_model`, or `kv_heads` not `heads`,
    /// or a head's width is odd.
    ImpossibleShape,
    /// No inner steps, no sequences, sequences longer than the model's context, or a trace at distances of no step or
    /// of more than a round has.
    ImpossibleInnerSteps,
    /// A rate, decay, momentum or norm outside its range, or a warm-up longer than the schedule.
    ImpossibleOptimizer,
    /// `kept_per_block` is not within 1..=4,096, or a decay of the error above 1; no turns or more than [`Turn::MOST`],
    /// or turns in a run that does not keep all values, carries an error, or does not audit: who trained once could
    /// send what it found under as many names.
    ImpossibleCompression,
    /// ρ above 1, above one over the turns, or below a quarter, norms clipped to less than the median or more than
    /// twice it, no outer learning rate, or contributions combined by tokens in a run that does not audit.
    ImpossibleOuterStep,
    /// A phase without blocks, or an attest phase or a round that is too short.
    PhasesTooShort,
    /// No contributors, or more than a subnet can have members.
    ImpossibleContributors,
    /// Fewer windows than one miner needs for one round; the chain asks for what the exam needs beside that, too.
    TooLittleData,
    /// A name or the address of the store is not printable text.
    UnprintableText,
    /// An audit rate above 65,536, auditors that are not odd or more than 15, stages shorter than 4 blocks, longer
    /// than a round, or longer than 1,080, no bond behind a card's work, or a tolerance above a 16th or in a run of
    /// which auditors cannot tell a card's steps ([`AuditRules::tells`]).
    ImpossibleAudits,
    /// A model with a dimension, or with more parameters, than any worker has room for; or a round with more work, or
    /// more blocks, than any has time for.
    TooLarge,
    /// Training that runs more than one round ahead.
    ImpossibleOverlap,
    /// No rounds, or too many, from one checkpoint to the next.
    ImpossibleCheckpoints,
}

impl RunConfig {
    /// The most rounds that training runs ahead of the outer step.
    pub const MAX_OVERLAP: u8 = 1;
    /// The most rounds from one checkpoint to the next.
    pub const MAX_CHECKPOINT_EVERY: u8 = 32;
    /// Rounds from one checkpoint to the next where nobody says otherwise.
    pub const USUAL_CHECKPOINT_EVERY: u8 = 5;

    /// Whether a round is trained while the one before it is revealed and attested.
    pub fn overlaps(&self) -> bool {
        self.overlap > 0
    }

    /// Sequences that one miner trains on in one round.
    pub fn windows_per_miner(&self) -> u64 {
        u64::from(self.inner.steps) * u64::from(self.inner.sequences)
    }

    /// How a member's contribution to a round is made small, and read.
    pub fn compression_of(&self, uid: Uid, round: Round) -> Compression {
        let steps = u64::from(self.inner.steps);
        let before_the_last = u64::from(self.inner.total_steps).saturating_sub(steps);
        let done = u64::from(round).saturating_mul(steps);
        let (turns, has_turns) = (self.compression.turns, self.compression.has_turns());
        Compression {
            turn: has_turns.then(|| Turn::in_round(uid, round, turns)),
            ..self.compression.after(done, before_the_last)
        }
    }

    /// Whether such a run can be at all.
    pub fn check(&self) -> Result<(), RunConfigError> {
        use RunConfigError::*;
        let ensure = |truth: bool, error| if truth { Ok(()) } else { Err(error) };
        let (m, i) = (&self.model, &self.inner);
        let sizes = [m.d_model, m.ffn, m.vocabulary, m.context, m.rope_theta];
        ensure(sizes.iter().all(|n| *n > 0), ImpossibleShape)?;
        ensure(
            m.layers > 0 && m.heads > 0 && m.kv_heads > 0,
            ImpossibleShape,
        )?;
        ensure(m.d_model % u32::from(m.heads) == 0, ImpossibleShape)?;
        ensure(
            m.heads % m.kv_heads == 0 && m.head_dim() % 2 == 0,
            ImpossibleShape,
        )?;
        ensure(self.is_within_bounds(), TooLarge)?;
        ensure(
            i.steps > 0 && i.sequences > 0 && i.sequence_length > 0,
            ImpossibleInnerSteps,
        )?;
        ensure(i.sequence_length <= m.context, ImpossibleInnerSteps)?;
        ensure((1..=i.steps).contains(&i.trace_every), ImpossibleInnerSteps)?;
        let below_one = [i.beta1, i.beta2].iter().all(|beta| *beta < Nano::ONE);
        ensure(below_one && i.final_rate <= Nano::ONE, ImpossibleOptimizer)?;
        ensure(
            i.learning_rate > Nano(0) && i.learning_rate <= Nano::ONE,
            ImpossibleOptimizer,
        )?;
        ensure(
            i.epsilon > Nano(0) && i.clip_norm > Nano(0),
            ImpossibleOptimizer,
        )?;
        ensure(i.weight_decay <= Nano::ONE, ImpossibleOptimizer)?;
        ensure(i.warmup_steps <= i.total_steps, ImpossibleOptimizer)?;
        ensure(i.matrices.is_possible(), ImpossibleOptimizer)?;
        let c = &self.compression;
        ensure(
            checked_kept(c.kept_per_block).is_ok(),
            ImpossibleCompression,
        )?;
        let decays = [Some(c.error_decay), c.final_error_decay];
        ensure(
            decays.iter().flatten().all(|decay| *decay <= Nano::ONE),
            ImpossibleCompression,
        )?;
        ensure(c.has_possible_turns(), ImpossibleCompression)?;
        let is_audited = self.audits.rate > 0;
        ensure(is_audited || !c.has_turns(), ImpossibleCompression)?;
        let rho_in_turns = self.outer.rho.0.saturating_mul(c.turns.into());
        let is_divided = !c.has_turns() || rho_in_turns <= Nano::ONE.0;
        ensure(is_divided, ImpossibleOuterStep)?;
        let rho = OuterStep::MIN_RHO..=Nano::ONE;
        ensure(rho.contains(&self.outer.rho), ImpossibleOuterStep)?;
        ensure(self.outer.learning_rate > Nano(0), ImpossibleOuterStep)?;
        let clip = OuterStep::USUAL_CLIP..=OuterStep::MAX_CLIP;
        ensure(clip.contains(&self.outer.clip), ImpossibleOuterStep)?;
        ensure(self.bears_out_tokens(), ImpossibleOuterStep)?;
        let p = self.phases;
        ensure(p.train > 0 && p.reveal > 0, PhasesTooShort)?;
        ensure(p.attest >= Phases::MIN_ATTEST, PhasesTooShort)?;
        ensure(p.round() >= Phases::MIN_ROUND, PhasesTooShort)?;
        ensure((1..=100).contains(&p.floor), PhasesTooShort)?;
        let contributors = 1..=MAX_MEMBERS as u16;
        ensure(
            contributors.contains(&self.max_contributors),
            ImpossibleContributors,
        )?;
        self.audits.check(&p)?;
        let has_cards = self.audits.tolerance > 0;
        ensure(!has_cards || AuditRules::tells(i), ImpossibleAudits)?;
        ensure(self.overlap <= Self::MAX_OVERLAP, ImpossibleOverlap)?;
        ensure(self.has_checkpoints(), ImpossibleCheckpoints)?;
        ensure(self.data.windows >= self.windows_per_miner(), TooLittleData)?;
        ensure(
            self.texts().iter().all(|text| text.check().is_ok()),
            UnprintableText,
        )
    }

    /// Whether checkpoints are as far apart as they may be.
    fn has_checkpoints(&self) -> bool {
        (1..=Self::MAX_CHECKPOINT_EVERY).contains(&self.checkpoint_every)
    }

    /// Whether tokens count only if audits can bear them out.
    fn bears_out_tokens(&self) -> bool {
        self.outer.combine == Combination::Trust || self.audits.rate > 0
    }

    /// Whether a worker may set out to make room for it: its size is a stranger's word.
    fn is_within_bounds(&self) -> bool {
        let (m, p) = (&self.model, &self.phases);
        let lengths = [p.train, p.reveal, p.attest];
        m.layers <= ModelShape::MAX_LAYERS
            && m.d_model <= ModelShape::MAX_WIDTH
            && m.ffn <= ModelShape::MAX_WIDTH
            && m.vocabulary <= ModelShape::MAX_VOCABULARY
            && m.context <= ModelShape::MAX_CONTEXT
            && m.parameters()
                .is_some_and(|all| all <= ModelShape::MAX_PARAMETERS)
            && lengths.iter().all(|blocks| *blocks <= Phases::MAX_PHASE)
    }

    /// All texts in it: everybody's worker prints them.
    fn texts(&self) -> [&Text; 3] {
        let parameters = match &self.initial_parameters {
            InitialParameters::Checkpoint(name) => name,
            InitialParameters::Seed(_) => &self.name,
        };
        [&self.name, &self.data.store, parameters]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decay_after(first: u64, last: Option<u64>, done: u64, all: u64) -> u64 {
        let schedule = CompressionSchedule {
            kept_per_block: 64,
            error_decay: Nano(first),
            final_error_decay: last.map(Nano),
            turns: CompressionSchedule::usual_turns(),
        };
        let now = schedule.after(done, all);
        assert_eq!(now.kept_per_block, 64);
        now.error_decay.0
    }

    #[test]
    fn the_decay_goes_in_a_straight_line_and_stays() {
        let up = |done| decay_after(500, Some(900), done, 40);
        assert_eq!([0, 10, 20, 39].map(up), [500, 600, 700, 890]);
        assert_eq!([40, 41, u64::MAX].map(up), [900; 3]);
        let down = |done| decay_after(900, Some(500), done, 40);
        assert_eq!([0, 10, 40, 50].map(down), [900, 800, 500, 500]);
    }

    #[test]
    fn without_a_last_decay_it_is_constant() {
        assert_eq!(
            [0, 20, 50].map(|done| decay_after(7, None, done, 40)),
            [7; 3]
        );
    }

    #[test]
    fn a_run_of_one_round_has_no_way_to_go() {
        assert_eq!(decay_after(500, Some(900), 0, 0), 500);
        assert_eq!(decay_after(500, Some(900), 15, 0), 900);
    }

    #[test]
    fn nothing_overflows() {
        let most = u64::MAX;
        assert_eq!(decay_after(0, Some(most), most - 1, most), most - 1);
        assert_eq!(decay_after(most, Some(0), most - 1, most), 1);
    }
}
