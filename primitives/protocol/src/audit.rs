//! Which contributions are audited, at which interval and by whom; how an audit goes, and what follows.
//!
//! The chain draws audits when it settles a round, from randomness that nobody knew at the reveals. The miner then says
//! by which root it serves what a replay of one interval begins from: the states at both ends, which the trace of its
//! header binds ([`Opened`]), and the vectors of the first. Auditors replay the interval's steps, and where it is the
//! last one make the file again; they commit to what they found, and reveal it. Where none of them found that the work
//! is false, it has passed. Where one did, there is a *dispute*: all validators of the round replay it, and stake
//! decides ([`of_all`]).

mod dispute;

use alloc::vec::Vec;
use bounded_collections::{BoundedVec, ConstU32};
use cairn_primitives::{
    blake2_256, finding_hash, AuditRules, Balance, BlockNumber, Finding, Header, Hotkey, Netuid,
    Round, Salt, Served, Uid, H256,
};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

use crate::{
    assignment::number,
    trace::{self, State},
    wages::Judged,
};

pub use dispute::{is_missed, of_all, of_drawn};

/// What a round's audits are drawn from, from the chain's randomness after its reveals.
pub fn seed(netuid: Netuid, round: Round, randomness: H256) -> H256 {
    blake2_256(&(b"cairn/audits", netuid, round, randomness).encode())
}

/// Whether the contribution of `uid` is audited, at a rate of so many of 65,536; if so, the number from which its
/// interval follows.
pub fn draw(seed: H256, uid: Uid, rate: u32) -> Option<u32> {
    let lot = blake2_256(&(b"cairn/audited", seed, uid).encode());
    let [low, high, a, b, c, d, ..] = lot.0;
    let is_audited = u32::from(u16::from_le_bytes([low, high])) < rate;
    is_audited.then_some(u32::from_le_bytes([a, b, c, d]))
}

/// The rate of 65,536 at which contributions of a maker are audited in a run with this rate: all of one whose pay waits
/// for an audit that is decided, because it is not [proven](crate::wages) or because its last one was left undecided.
pub fn rate_of(rate: u32, judged: Judged) -> u32 {
    match judged.is_proven && judged.undecided.is_none() {
        true => rate,
        false => ALL,
    }
}

/// The rate at which every contribution is audited.
const ALL: u32 = 1 << 16;

/// Who of `candidates` audits the contribution of `uid`: `most` of them, or all if there are fewer.
pub fn auditors<T: Clone>(seed: H256, uid: Uid, candidates: &[T], most: u8) -> Vec<T> {
    let seed = blake2_256(&(b"cairn/auditors", seed, uid).encode());
    let (mut left, mut drawn) = (candidates.to_vec(), Vec::new());
    for nth in 0..most {
        let digest = blake2_256(&(b"cairn/auditor", seed, nth).encode());
        // None once nobody is left.
        let Some(at) = number(digest).checked_rem(left.len() as u64) else {
            break;
        };
        drawn.push(left.swap_remove(at as usize));
    }
    drawn
}

/// An interval between neighbouring traced states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The number of the traced state that it begins with; it ends with the next one.
    pub number: u32,
    /// Inner steps of the round that were done before it.
    pub begin: u32,
    /// Inner steps of the round that were done after it.
    pub end: u32,
}

impl Interval {
    /// Its inner steps.
    pub fn steps(&self) -> u32 {
        self.end.saturating_sub(self.begin)
    }

    /// Whether nothing was done after it, of so many steps: where it leads to is what the file was made of.
    pub fn is_last(&self, steps: u32) -> bool {
        self.end == steps
    }
}

/// The interval that was drawn of a contribution of so many inner steps, of which a state is traced after `every` steps
/// each; `None` of a contribution of no steps.
pub fn interval(drawn: u32, steps: u32, every: u16) -> Option<Interval> {
    let intervals = trace::count(steps, every).saturating_sub(1);
    let number = drawn.checked_rem(intervals)?;
    let every = u32::from(every).max(1);
    let begin = number.saturating_mul(every);
    let end = begin.saturating_add(every).min(steps);
    Some(Interval { number, begin, end })
}

/// What the blob that a miner serves begins with, in SCALE. Behind it are vectors, as little-endian `f32`; one whose
/// hash is zero has no bytes. First come those of the interval's first state: parameters, first and second moment.
/// Where the header names a card those of its second state follow, which nobody else can make to the bit.
/// Where the interval is the [last](Interval::is_last), what the file was made of follows: the parameters with which
/// the round began, unless they were first, and the error feedback of before.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Opened {
    /// The state with which the interval begins.
    pub begin: State,
    /// The state with which it ends.
    pub end: State,
    /// What shows that the first is traced.
    pub begin_proof: Proof,
    /// What shows that the second is.
    pub end_proof: Proof,
}

/// Neighbours on the way up a trace's tree. There are at most 65,536 states in a trace.
pub type Proof = BoundedVec<H256, ConstU32<16>>;

/// Why what was served does not belong to a contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The state at the interval's begin is not the one that was traced there.
    BeginNotTraced,
    /// The state at its end is not.
    EndNotTraced,
    /// The states do not lie as many steps apart as the interval has.
    OtherSteps,
    /// The round did not begin with the parameters and moments that the header names.
    OtherBegin,
    /// It did not end with the moments that the header names.
    OtherEnd,
}

impl Opened {
    /// Whether it opens this interval of the contribution with this header, of a run that traces a state after `every`
    /// steps each.
    ///
    /// What is left to find out is whether the vectors behind it are those of its states, and whether the second follows
    /// from the first.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn check(&self, header: &Header, every: u16, interval: Interval) -> Result<(), Misfit> {
        let (work, steps) = (&header.work, header.inner_steps);
        let count = trace::count(steps, every);
        let is_traced = |state: &State, number: u32, proof: &[H256]| {
            trace::opens(work.trace, count, number, state.hash(), proof)
        };
        let ensure = |truth: bool, misfit| if truth { Ok(()) } else { Err(misfit) };
        let (number, next) = (interval.number, interval.number.saturating_add(1));
        ensure(
            is_traced(&self.begin, number, &self.begin_proof),
            Misfit::BeginNotTraced,
        )?;
        ensure(
            is_traced(&self.end, next, &self.end_proof),
            Misfit::EndNotTraced,
        )?;
        let done = |steps: u32| work.before.steps.checked_add(u64::from(steps));
        let steps_fit = Some(self.begin.steps) == done(interval.begin)
            && Some(self.end.steps) == done(interval.end);
        ensure(steps_fit, Misfit::OtherSteps)?;
        let moments = |state: &State| (state.first_moment, state.second_moment);
        let begins = self.begin.parameters == header.parent_root.0
            && moments(&self.begin) == (work.before.first_moment, work.before.second_moment);
        ensure(interval.begin > 0 || begins, Misfit::OtherBegin)?;
        let ends = moments(&self.end) == (work.after.first_moment, work.after.second_moment);
        ensure(interval.end < steps || ends, Misfit::OtherEnd)
    }
}

/// Bytes that [`Opened`] takes at most.
pub const LONGEST_OPENED: u64 = 2_048;

/// The longest blob that a miner of a model with so many parameters can serve, in bytes: five vectors, or eight in a
/// run that admits the work of cards, and what stands before them. Nobody has to fetch more.
pub fn longest(parameters: u64, rules: &AuditRules) -> u64 {
    let vectors = match rules.admits_cards() {
        false => 5,
        true => 8,
    };
    let bytes = parameters.saturating_mul(4).saturating_mul(vectors);
    bytes.saturating_add(LONGEST_OPENED)
}

/// When an audit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Times {
    /// The block that settled the round.
    pub start: BlockNumber,
    /// Blocks of a stage.
    pub blocks: BlockNumber,
}

/// How far an audit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The miner says what it serves.
    Open,
    /// Auditors commit to what they found.
    Commit,
    /// They reveal it.
    Reveal,
    /// It is over.
    Over,
}

impl Times {
    /// Those of a dispute that begins in block `now`: there is nothing to open any more, and committing begins.
    pub fn of_dispute(self, now: BlockNumber) -> Times {
        Times {
            start: now.saturating_sub(self.blocks),
            ..self
        }
    }

    /// The stage in which this block is.
    pub fn stage(&self, now: BlockNumber) -> Stage {
        let stages = [Stage::Open, Stage::Commit, Stage::Reveal];
        let is_before_its_end = |stage: &Stage| now < self.end_of(*stage);
        let stage = stages.into_iter().find(is_before_its_end);
        stage.unwrap_or(Stage::Over)
    }

    /// The first block after a stage; what is over never ends.
    pub fn end_of(&self, stage: Stage) -> BlockNumber {
        let stages = match stage {
            Stage::Open => 1,
            Stage::Commit => 2,
            Stage::Reveal => 3,
            Stage::Over => return BlockNumber::MAX,
        };
        self.start
            .saturating_add(self.blocks.saturating_mul(stages))
    }
}

/// The round in which no audit of a contribution to `made` is open any more, if it is settled at all: audits begin with
/// the round after it.
pub fn free_from(made: Round) -> Round {
    let open = AuditRules::OPEN_ROUNDS.saturating_add(2);
    made.saturating_add(open)
}

/// What an auditor has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub enum Said {
    /// It is bound to a finding that nobody else knows.
    Committed(H256),
    /// It has revealed it.
    Revealed(Finding),
}

impl Said {
    /// What it found, if it has revealed that.
    pub fn finding(&self) -> Option<Finding> {
        match self {
            Said::Committed(_) => None,
            Said::Revealed(finding) => Some(*finding),
        }
    }
}

/// Why what a miner or an auditor says is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The stage has not begun.
    TooEarly,
    /// The stage is over.
    TooLate,
    /// The miner has served something already.
    AlreadyOpened,
    /// The miner has served nothing, so there is nothing to find out.
    NotOpened,
    /// A root or hash is zero, so it was never computed.
    ZeroHash,
    /// The blob has no bytes.
    Empty,
    /// The blob has more bytes than its vectors and their proofs can take.
    TooLong,
    /// The auditor has committed already.
    AlreadyCommitted,
    /// The auditor has not committed.
    NotCommitted,
    /// The auditor has revealed already.
    AlreadyRevealed,
    /// It is not what the auditor committed to.
    WrongHash,
}

/// Whether a miner may serve this blob, of at most `longest` bytes.
///
/// # Errors
/// [`Refusal`].
pub fn open(
    stage: Stage,
    known: Option<&Served>,
    served: &Served,
    longest: u64,
) -> Result<(), Refusal> {
    match stage {
        Stage::Open if known.is_some() => Err(Refusal::AlreadyOpened),
        Stage::Open if served.root.is_zero() => Err(Refusal::ZeroHash),
        Stage::Open if served.length == 0 => Err(Refusal::Empty),
        Stage::Open if served.length > longest => Err(Refusal::TooLong),
        Stage::Open => Ok(()),
        Stage::Commit | Stage::Reveal | Stage::Over => Err(Refusal::TooLate),
    }
}

/// What the commitment of an auditor makes of what it has said; `is_open` says whether the miner has served anything.
///
/// # Errors
/// [`Refusal`].
pub fn commit(
    stage: Stage,
    is_open: bool,
    known: Option<&Said>,
    hash: H256,
) -> Result<Said, Refusal> {
    match stage {
        Stage::Open => Err(Refusal::TooEarly),
        Stage::Reveal | Stage::Over => Err(Refusal::TooLate),
        Stage::Commit if !is_open => Err(Refusal::NotOpened),
        Stage::Commit if known.is_some() => Err(Refusal::AlreadyCommitted),
        Stage::Commit if hash.is_zero() => Err(Refusal::ZeroHash),
        Stage::Commit => Ok(Said::Committed(hash)),
    }
}

/// What the finding of the auditor with this hotkey, on this contribution, makes of what it has said.
///
/// # Errors
/// [`Refusal`].
pub fn reveal(
    stage: Stage,
    known: Option<&Said>,
    (at, hotkey): ((Netuid, Round, Uid), &Hotkey),
    finding: Finding,
    salt: &Salt,
) -> Result<Said, Refusal> {
    match (stage, known) {
        (Stage::Open | Stage::Commit, _) => Err(Refusal::TooEarly),
        (Stage::Over, _) => Err(Refusal::TooLate),
        (Stage::Reveal, None) => Err(Refusal::NotCommitted),
        (Stage::Reveal, Some(Said::Revealed(_))) => Err(Refusal::AlreadyRevealed),
        (Stage::Reveal, Some(Said::Committed(hash))) => {
            let is_it = finding_hash(at, hotkey, finding, salt) == *hash;
            is_it
                .then_some(Said::Revealed(finding))
                .ok_or(Refusal::WrongHash)
        }
    }
}

/// The least bond, in pebble, with which a miner loses by false work at least what it earns by it: what a round pays,
/// over the probability that its contribution is audited, rounded up. `None` if no bond is enough: nothing is audited,
/// or there are not so many pebble.
pub fn least_bond(pay_of_a_round: Balance, rate: u32) -> Option<Balance> {
    let all = u128::from(pay_of_a_round).checked_mul(AuditRules::EACH.into())?;
    if rate == 0 {
        return None;
    }
    Balance::try_from(all.div_ceil(u128::from(rate.min(AuditRules::EACH)))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{Carried, ModelRoot, Work};
    use proptest::prelude::*;

    const TIMES: Times = Times {
        start: 100,
        blocks: 5,
    };
    const STAGES: [Stage; 4] = [Stage::Open, Stage::Commit, Stage::Reveal, Stage::Over];
    const AT: (Netuid, Round, Uid) = (Netuid(7), 4, Uid(2));
    const KEY: Hotkey = Hotkey(H256([3; 32]));

    fn hash(byte: u8) -> H256 {
        H256([byte; 32])
    }

    #[test]
    fn each_stage_has_its_blocks() {
        let at = |now| TIMES.stage(now);
        assert_eq!([99, 100, 104].map(at), [Stage::Open; 3]);
        assert_eq!([105, 109].map(at), [Stage::Commit; 2]);
        assert_eq!([110, 114].map(at), [Stage::Reveal; 2]);
        assert_eq!([115, u32::MAX - 1].map(at), [Stage::Over; 2]);
    }

    #[test]
    fn a_rate_of_none_audits_nothing_and_of_all_everything() {
        for uid in 0..256 {
            assert_eq!(draw(hash(1), Uid(uid), 0), None);
            assert!(draw(hash(1), Uid(uid), AuditRules::EACH).is_some());
        }
    }

    /// 20,000 contributions at a quarter: six standard deviations are 368.
    #[test]
    fn as_many_are_audited_as_the_rate_says() {
        let seeds = (0..200u32).map(|round| seed(Netuid(1), round, hash(2)));
        let audited = seeds
            .flat_map(|seed| (0..100).filter_map(move |uid| draw(seed, Uid(uid), 16_384)))
            .count();
        assert!(audited.abs_diff(5_000) < 368, "{audited}");
    }

    #[test]
    fn intervals_lie_between_neighbouring_traced_states() {
        let of = |drawn| interval(drawn, 10, 4).map(|one| (one.number, one.begin, one.end));
        let expected = [(0, 0, 4), (1, 4, 8), (2, 8, 10), (0, 0, 4)].map(Some);
        assert_eq!([0, 1, 2, 3].map(of), expected);
        assert_eq!(interval(5, 0, 4), None);
    }

    #[test]
    fn a_blob_is_served_in_time_and_once() {
        let served = Served {
            root: hash(1),
            length: 10,
        };
        let in_each = STAGES.map(|stage| open(stage, None, &served, 10));
        let late = Err(Refusal::TooLate);
        assert_eq!(in_each, [Ok(()), late, late, late]);
        let now = |known: Option<&Served>, root, length| {
            open(Stage::Open, known, &Served { root, length }, 10)
        };
        assert_eq!(now(Some(&served), hash(1), 10), Err(Refusal::AlreadyOpened));
        assert_eq!(now(None, H256::zero(), 10), Err(Refusal::ZeroHash));
        assert_eq!(now(None, hash(1), 0), Err(Refusal::Empty));
        assert_eq!(now(None, hash(1), 11), Err(Refusal::TooLong));
    }

    #[test]
    fn an_auditor_commits_in_time_and_once() {
        let known = Said::Committed(hash(1));
        let in_each = STAGES.map(|stage| commit(stage, true, None, hash(1)));
        let late = Err(Refusal::TooLate);
        assert_eq!(in_each, [Err(Refusal::TooEarly), Ok(known), late, late]);
        let now = |is_open, known, hash| commit(Stage::Commit, is_open, known, hash);
        assert_eq!(now(false, None, hash(1)), Err(Refusal::NotOpened));
        let again = now(true, Some(&known), hash(2));
        assert_eq!(again, Err(Refusal::AlreadyCommitted));
        assert_eq!(now(true, None, H256::zero()), Err(Refusal::ZeroHash));
    }

    #[test]
    fn an_auditor_reveals_in_time_and_once() {
        let salt = [9; 32];
        let known = Said::Committed(finding_hash(AT, &KEY, Finding::Failed, &salt));
        let revealed = Said::Revealed(Finding::Failed);
        let early = Err(Refusal::TooEarly);
        let found =
            STAGES.map(|stage| reveal(stage, Some(&known), (AT, &KEY), Finding::Failed, &salt));
        assert_eq!(found, [early, early, Ok(revealed), Err(Refusal::TooLate)]);
        let now =
            |known: Option<&Said>| reveal(Stage::Reveal, known, (AT, &KEY), Finding::Failed, &salt);
        assert_eq!(now(None), Err(Refusal::NotCommitted));
        assert_eq!(now(Some(&revealed)), Err(Refusal::AlreadyRevealed));
    }

    #[test]
    fn a_dispute_has_two_stages_of_its_own() {
        let times = TIMES.of_dispute(115);
        assert_eq!(
            (times.stage(114), times.stage(115)),
            (Stage::Open, Stage::Commit)
        );
        assert_eq!(
            (times.stage(119), times.stage(120)),
            (Stage::Commit, Stage::Reveal)
        );
        assert_eq!(
            (times.stage(124), times.stage(125)),
            (Stage::Reveal, Stage::Over)
        );
    }

    #[test]
    fn a_bond_covers_what_is_earned_until_one_is_caught() {
        assert_eq!(least_bond(3, 16_384), Some(12));
        assert_eq!(least_bond(3, 65_536), Some(3));
        assert_eq!(least_bond(10, 65_535), Some(11));
        assert_eq!(least_bond(3, 0), None);
        assert_eq!(least_bond(u64::MAX, 1), None);
    }

    /// A contribution of `steps`, of which every state is traced, and what opens each of its intervals.
    fn contribution(steps: u8, every: u16) -> (Header, Vec<State>) {
        let before = Carried {
            first_moment: hash(100),
            second_moment: hash(100),
            feedback: hash(9),
            steps: 50,
        };
        let state = |done: u32| State {
            parameters: hash(done as u8),
            first_moment: hash(100 + done as u8),
            second_moment: hash(100 + done as u8),
            steps: 50 + u64::from(done),
        };
        let all = u32::from(steps);
        let done = (0..=all).filter(|done| trace::is_traced(*done, all, every));
        let states: Vec<State> = done.map(state).collect();
        let hashes: Vec<H256> = states.iter().map(State::hash).collect();
        let after = Carried {
            first_moment: hash(100 + steps),
            second_moment: hash(100 + steps),
            ..before
        };
        let header = Header {
            netuid: Netuid(1),
            round: 2,
            hotkey: KEY,
            parent_root: ModelRoot(hash(0)),
            layout_hash: hash(1),
            inner_steps: all,
            tokens: 1,
            mean_loss: 1.0,
            work: Work {
                before,
                after,
                trace: trace::root(&hashes),
                ..Work::default()
            },
        };
        (header, states)
    }

    fn opened(states: &[State], interval: Interval) -> Opened {
        let hashes: Vec<H256> = states.iter().map(State::hash).collect();
        let proof = |number| {
            let proof = trace::proof(&hashes, number).expect("it is traced");
            Proof::try_from(proof).expect("it is short")
        };
        Opened {
            begin: states[interval.number as usize],
            end: states[interval.number as usize + 1],
            begin_proof: proof(interval.number),
            end_proof: proof(interval.number + 1),
        }
    }

    #[test]
    fn who_began_or_ended_elsewhere_is_found() {
        let (header, states) = contribution(3, 1);
        let check = |drawn: u32, change: fn(&mut Header)| {
            let interval = interval(drawn, 3, 1).expect("there are steps");
            let mut header = header.clone();
            change(&mut header);
            opened(&states, interval).check(&header, 1, interval)
        };
        let before: fn(&mut Header) = |h| h.work.before.second_moment = H256([7; 32]);
        let after: fn(&mut Header) = |h| h.work.after.first_moment = H256([7; 32]);
        assert_eq!(check(0, before), Err(Misfit::OtherBegin));
        assert_eq!(check(1, before), Ok(()));
        assert_eq!(check(2, after), Err(Misfit::OtherEnd));
        assert_eq!(check(1, after), Ok(()));
        let parent: fn(&mut Header) = |h| h.parent_root = ModelRoot(H256([7; 32]));
        assert_eq!(check(0, parent), Err(Misfit::OtherBegin));
        let steps: fn(&mut Header) = |h| h.work.before.steps = 51;
        assert_eq!(check(1, steps), Err(Misfit::OtherSteps));
    }

    #[test]
    fn the_longest_proofs_fit_before_the_vectors() {
        let proof = || Proof::truncate_from(alloc::vec![hash(1); 16]);
        let (_, states) = contribution(1, 1);
        let most = Opened {
            begin: states[0],
            end: states[1],
            begin_proof: proof(),
            end_proof: proof(),
        };
        assert!(most.encode().len() as u64 <= LONGEST_OPENED);
        let states = alloc::vec![hash(1); 65_536];
        assert_eq!(trace::proof(&states, 1).expect("it is there").len(), 16);
        let exact = AuditRules {
            rate: 1,
            ..AuditRules::default()
        };
        let tolerant = AuditRules {
            tolerance: 1,
            ..exact
        };
        assert_eq!(longest(10, &exact), 2_248);
        assert_eq!(longest(10, &tolerant), 2_368);
        assert_eq!(longest(u64::MAX, &tolerant), u64::MAX);
    }

    proptest! {
        #[test]
        fn an_interval_lies_within_the_steps(drawn: u32, steps in 1u32..200, every in 1u16..50) {
            let one = interval(drawn, steps, every).unwrap();
            prop_assert!(one.begin < one.end && one.end <= steps);
            prop_assert!(one.end - one.begin <= u32::from(every));
            prop_assert!(trace::is_traced(one.begin, steps, every));
            prop_assert!(trace::is_traced(one.end, steps, every));
        }

        #[test]
        fn auditors_are_different_candidates(seed: [u8; 32], uid: u16, of in 0u16..20, most in 0u8..16) {
            let candidates: Vec<Uid> = (0..of).map(Uid).collect();
            let drawn = auditors(H256(seed), Uid(uid), &candidates, most);
            prop_assert_eq!(drawn.len(), usize::from(of.min(most.into())));
            let distinct: alloc::collections::BTreeSet<_> = drawn.iter().collect();
            prop_assert_eq!(distinct.len(), drawn.len());
            prop_assert!(drawn.iter().all(|one| candidates.contains(one)));
        }

        #[test]
        fn a_finding_opens_its_own_commitment_only(
            failed: bool, said: bool, salt: [u8; 32], other: [u8; 32], hotkey: [u8; 32], uid in 0u16..4,
        ) {
            let finding = |failed| match failed { true => Finding::Failed, false => Finding::Passed };
            let known = Said::Committed(finding_hash(AT, &KEY, finding(failed), &salt));
            let open = |at, hotkey, failed, salt| {
                reveal(Stage::Reveal, Some(&known), (at, hotkey), finding(failed), salt).is_ok()
            };
            prop_assert!(open(AT, &KEY, failed, &salt));
            prop_assert_eq!(open(AT, &KEY, said, &salt), said == failed);
            prop_assert_eq!(open(AT, &KEY, failed, &other), other == salt);
            let hotkey = Hotkey(H256(hotkey));
            prop_assert_eq!(open(AT, &hotkey, failed, &salt), hotkey == KEY);
            prop_assert_eq!(open((Netuid(7), 4, Uid(uid)), &KEY, failed, &salt), uid == 2);
        }

        #[test]
        fn what_was_traced_opens_at_its_interval_only(
            steps in 1u8..40, every in 1u16..9, drawn: u32, other: u32, bit in 0usize..256,
        ) {
            let (header, states) = contribution(steps, every);
            let of = |drawn| interval(drawn, steps.into(), every).unwrap();
            let (drawn, other) = (of(drawn), of(other));
            let mut shown = opened(&states, drawn);
            prop_assert_eq!(shown.check(&header, every, drawn), Ok(()));
            let (read, rest) = {
                let bytes = [&shown.encode()[..], &[7; 5]].concat();
                let mut rest = &bytes[..];
                (Opened::decode(&mut rest).unwrap(), rest.len())
            };
            prop_assert_eq!((&read, rest), (&shown, 5));
            prop_assert_eq!(shown.check(&header, every, other).is_ok(), other == drawn);
            shown.end.parameters.0[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(shown.check(&header, every, drawn), Err(Misfit::EndNotTraced));
        }

        // Whoever cheats in each round until it is caught earns no more than it loses, on average.
        #[test]
        fn no_smaller_bond_is_enough(pay in 1u64..1 << 40, rate in 1u32..=65_536) {
            let bond = least_bond(pay, rate).unwrap();
            let expected = |bond: u64| u128::from(bond) * u128::from(rate);
            let earned = u128::from(pay) * 65_536;
            prop_assert!(expected(bond) >= earned && expected(bond - 1) < earned);
        }
    }
}
