//! What members' time goes into, and what becomes of the inner steps that miners do.

use std::collections::BTreeMap;

use cairn_primitives::{Round, SealedRoot};
use cairn_protocol::phase::RoundStage;
use serde::{Serialize, Serializer};

use crate::{checkers::Who, clock::Millis};

/// What a member is at, or what it waits for while it is at nothing; as they come in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Waits until the round before is settled and final.
    Final,
    /// Fetches contributions.
    Fetch,
    /// Fetches sealed ones before it needs them, beside all else.
    Ahead,
    /// Computes an outer step.
    Apply,
    /// Writes parameters to disk.
    Keep,
    /// Trains.
    Train,
    /// Compresses and seals.
    Seal,
    /// Sends its contribution to the store.
    Upload,
    /// Writes to disk what its contribution leaves.
    Carry,
    /// Writes to disk beside all else.
    Beside,
    /// Waits until its commitment, and those of the others, are in a block.
    Commit,
    /// Waits until the round's keys are revealed.
    Reveal,
    /// Waits until validators have committed to what they attest.
    Bind,
    /// Waits until they have opened it.
    Open,
    /// Opens contributions and checks them.
    Check,
    /// Measures contributions.
    Measure,
    /// Serves an audit, or replays what is served.
    Audit,
}

impl Part {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Part::Final => "final",
            Part::Fetch => "fetch",
            Part::Ahead => "ahead",
            Part::Apply => "apply",
            Part::Keep => "keep",
            Part::Train => "train",
            Part::Seal => "seal",
            Part::Upload => "upload",
            Part::Carry => "carry",
            Part::Beside => "beside",
            Part::Commit => "commit",
            Part::Reveal => "reveal",
            Part::Bind => "bind",
            Part::Open => "open",
            Part::Check => "check",
            Part::Measure => "measure",
            Part::Audit => "audit",
        }
    }

    /// Whether nothing waits for it.
    fn is_beside(self) -> bool {
        matches!(self, Part::Ahead | Part::Beside)
    }

    /// Whether a miner that has done this has made its contribution.
    fn is_of_making(self) -> bool {
        matches!(self, Part::Seal | Part::Upload | Part::Carry)
    }
}

/// By its name.
impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A time in which a member is at something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// At what.
    pub part: Part,
    /// Since when.
    pub from: Millis,
    /// Until when.
    pub until: Millis,
}

/// A stage of a round, until the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stage {
    at: Millis,
    round: Round,
    /// None: the round is over.
    stage: Option<RoundStage>,
}

/// From when until when.
pub type Window = (Millis, Millis);

/// What was noted of a simulation.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    spans: BTreeMap<Who, Vec<Span>>,
    stages: Vec<Stage>,
    /// Inner steps that were begun, by round.
    begun: BTreeMap<Round, u64>,
    /// Inner steps of contributions.
    made: BTreeMap<SealedRoot, u64>,
    /// Inner steps of what settled rounds included.
    settled: BTreeMap<Round, u64>,
    kills: usize,
    /// What processors were given to do, by the round in which they began it.
    spent: BTreeMap<(Round, Who), BTreeMap<Part, Millis>>,
}

impl Meter {
    /// In a round a member's processor begins what takes it this long. It counts in full, also if a crash cuts it
    /// short.
    pub fn spends(&mut self, round: Round, who: Who, (part, time): (Part, Millis)) {
        let spent = self.spent.entry((round, who)).or_default();
        *spent.entry(part).or_default() += time;
    }

    /// How long a member's processor was to be at this in a round.
    pub fn spent(&self, round: Round, who: Who, part: Part) -> Millis {
        let spent = self.spent.get(&(round, who));
        spent
            .and_then(|spent| spent.get(&part))
            .copied()
            .unwrap_or(0)
    }

    /// A member is at something.
    pub fn works(&mut self, who: Who, span: Span) {
        if span.until > span.from {
            self.spans.entry(who).or_default().push(span);
        }
    }

    /// A member's process dies, and what it is at ends.
    pub fn dies(&mut self, who: Who, now: Millis) {
        let spans = self.spans.entry(who).or_default();
        spans.retain(|span| span.from < now);
        for span in spans {
            span.until = span.until.min(now);
        }
    }

    /// A member is killed.
    pub fn kills(&mut self) {
        self.kills += 1;
    }

    /// How many were killed.
    pub fn killed(&self) -> usize {
        self.kills
    }

    /// A block came whose next one is in this stage of a round; none: the round is over then.
    pub fn stage(&mut self, at: Millis, round: Round, stage: Option<RoundStage>) {
        let last = self.stages.last().map(|last| (last.round, last.stage));
        if last != Some((round, stage)) {
            self.stages.push(Stage { at, round, stage });
        }
    }

    /// A miner begins an inner step.
    pub fn steps(&mut self, round: Round) {
        *self.begun.entry(round).or_default() += 1;
    }

    /// A contribution of so many inner steps is on its maker's disk.
    pub fn makes(&mut self, root: SealedRoot, steps: u64) {
        self.made.insert(root, steps);
    }

    /// A round is settled with these contributions.
    pub fn settles(&mut self, round: Round, included: impl Iterator<Item = SealedRoot>) {
        let steps = included.filter_map(|root| self.made.get(&root));
        let steps: u64 = steps.sum();
        self.settled.insert(round, steps);
    }

    /// Inner steps that were begun in settled rounds, those included that a kill cut short, and those of them that
    /// reached the model.
    pub fn steps_kept(&self) -> (u64, u64) {
        let begun = |round: &Round| self.begun.get(round).copied().unwrap_or(0);
        let trained: u64 = self.settled.keys().map(begun).sum();
        (trained, self.settled.values().sum())
    }

    /// When a round began, if it has.
    pub fn began(&self, round: Round) -> Option<Millis> {
        let mut stages = self.stages.iter();
        stages
            .find(|stage| stage.round == round)
            .map(|stage| stage.at)
    }

    /// What a member's time went into. Of two things at once training counts, and of others the one that began first;
    /// what is fetched ahead, or written beside all else, does not, since nothing waits for it.
    pub fn parts(&self, who: Who, (from, until): Window) -> BTreeMap<Part, Millis> {
        let mut parts = BTreeMap::new();
        let (mut at, mut last) = (from, None);
        let spans = self.beside_training(who).into_iter();
        for span in spans.filter(|span| !span.part.is_beside()) {
            let begins = span.from.clamp(at, until);
            self.waits((at, begins), last, &mut parts);
            let ends = span.until.clamp(begins, until);
            // What is wholly beside something else, or over before, is not what it was at last.
            if ends > begins {
                *parts.entry(span.part).or_default() += ends - begins;
                last = Some(span.part);
            }
            at = ends;
        }
        self.waits((at, until), last, &mut parts);
        parts
    }

    /// How long a member was at this, whatever else it was at.
    pub fn busy(&self, who: Who, part: Part, (from, until): Window) -> Millis {
        let (mut at, mut sum) = (from, 0);
        for span in self.sorted(who) {
            if span.part == part {
                let begins = span.from.clamp(at, until);
                let ends = span.until.clamp(begins, until);
                sum += ends - begins;
                at = ends;
            }
        }
        sum
    }

    /// What a member is at, less what of it lies beside training.
    fn beside_training(&self, who: Who) -> Vec<Span> {
        let spans = self.sorted(who).into_iter();
        let (trains, others): (Vec<Span>, Vec<Span>) =
            spans.partition(|span| span.part == Part::Train);
        let mut apart = trains.clone();
        for Span { part, from, until } in others {
            let mut at = from;
            for train in trains.iter().filter(|train| train.until > from) {
                if train.from >= until {
                    break;
                }
                let before = Span {
                    part,
                    from: at,
                    until: train.from,
                };
                apart.extend((before.until > at).then_some(before));
                at = train.until;
            }
            let rest = Span {
                part,
                from: at,
                until,
            };
            apart.extend((until > at).then_some(rest));
        }
        apart.sort_by_key(|span| span.from);
        apart
    }

    fn sorted(&self, who: Who) -> Vec<Span> {
        let mut spans = self.spans.get(&who).cloned().unwrap_or_default();
        spans.sort_by_key(|span| span.from);
        spans
    }

    /// What a member waits for that is at nothing; `last` is what it was at before.
    fn waits(&self, (from, until): Window, last: Option<Part>, parts: &mut BTreeMap<Part, Millis>) {
        let mut has_made = last.is_some_and(Part::is_of_making);
        for (number, stage) in self.stages.iter().enumerate() {
            let next = self.stages.get(number + 1);
            let end = next.map_or(Millis::MAX, |next| next.at);
            let time = until.min(end).saturating_sub(from.max(stage.at));
            if time == 0 {
                continue;
            }
            has_made &= stage.stage == Some(RoundStage::Commit);
            let part = match stage.stage {
                Some(RoundStage::Commit) if has_made => Part::Commit,
                Some(RoundStage::Commit) | None => Part::Final,
                Some(RoundStage::Reveal) => Part::Reveal,
                Some(RoundStage::Bind) => Part::Bind,
                Some(RoundStage::Open) => Part::Open,
            };
            *parts.entry(part).or_default() += time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(part: Part, from: Millis, until: Millis) -> Span {
        Span { part, from, until }
    }

    /// Two rounds of 100 ms each.
    fn rounds() -> Meter {
        let mut meter = Meter::default();
        for round in 0..2 {
            let at = u64::from(round) * 100;
            meter.stage(at, round, Some(RoundStage::Commit));
            meter.stage(at + 5, round, Some(RoundStage::Commit));
            meter.stage(at + 60, round, Some(RoundStage::Reveal));
            meter.stage(at + 70, round, Some(RoundStage::Bind));
            meter.stage(at + 80, round, Some(RoundStage::Open));
            meter.stage(at + 90, round, None);
        }
        meter
    }

    #[test]
    fn a_members_time_goes_into_what_it_is_at_and_what_it_waits_for() {
        let mut meter = rounds();
        for (part, from, until) in [
            (Part::Train, 0, 40),
            (Part::Seal, 40, 45),
            (Part::Upload, 45, 50),
            (Part::Fetch, 110, 120),
            // Beside it.
            (Part::Audit, 115, 125),
            (Part::Train, 125, 160),
        ] {
            meter.works(3, span(part, from, until));
        }
        let found = meter.parts(3, (0, 200));
        let expected = [
            // The last 10 ms of both rounds, and the first 10 of the second.
            (Part::Final, 30),
            (Part::Fetch, 10),
            (Part::Train, 75),
            (Part::Seal, 5),
            (Part::Upload, 5),
            (Part::Commit, 10),
            (Part::Reveal, 20),
            (Part::Bind, 20),
            (Part::Open, 20),
            (Part::Audit, 5),
        ];
        assert_eq!(found, BTreeMap::from(expected));
        assert_eq!(found.values().sum::<Millis>(), 200);
        assert_eq!(meter.busy(3, Part::Audit, (0, 200)), 10);
        let late = meter.parts(3, (130, 150));
        assert_eq!(late.get(&Part::Train), Some(&20));
        assert_eq!(late.values().sum::<Millis>(), 20);
        assert_eq!((meter.began(1), meter.began(2)), (Some(100), None));
    }

    #[test]
    fn what_is_wholly_beside_or_before_is_not_what_a_member_was_at_last() {
        let mut meter = rounds();
        meter.works(1, span(Part::Upload, 20, 50));
        meter.works(1, span(Part::Audit, 30, 40));
        let found = meter.parts(1, (0, 60));
        let expected = [(Part::Final, 20), (Part::Upload, 30), (Part::Commit, 10)];
        assert_eq!(found, BTreeMap::from(expected));
        let next = meter.parts(1, (100, 150));
        assert_eq!(next, BTreeMap::from([(Part::Final, 50)]));
    }

    #[test]
    fn what_is_fetched_ahead_is_beside_all_else() {
        let mut meter = rounds();
        meter.works(1, span(Part::Train, 0, 20));
        let without = meter.parts(1, (0, 100));
        for (from, until) in [(10, 30), (25, 50), (65, 75)] {
            meter.works(1, span(Part::Ahead, from, until));
        }
        assert_eq!(meter.parts(1, (0, 100)), without);
        assert_eq!(meter.busy(1, Part::Ahead, (0, 100)), 50);
    }

    #[test]
    fn what_lies_beside_training_takes_nothing_from_it() {
        let mut meter = rounds();
        for (part, from, until) in [
            (Part::Upload, 5, 55),
            (Part::Train, 10, 20),
            (Part::Train, 20, 30),
            (Part::Train, 40, 50),
        ] {
            meter.works(2, span(part, from, until));
        }
        let found = meter.parts(2, (0, 60));
        let expected = [
            (Part::Final, 5),
            (Part::Train, 30),
            (Part::Upload, 20),
            (Part::Commit, 5),
        ];
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[test]
    fn things_at_the_same_time_count_once() {
        let mut meter = rounds();
        for (from, until) in [(10, 30), (20, 50), (25, 40)] {
            meter.works(0, span(Part::Fetch, from, until));
        }
        assert_eq!(meter.busy(0, Part::Fetch, (0, 100)), 40);
        assert_eq!(meter.parts(0, (0, 100)).get(&Part::Fetch), Some(&40));
    }

    #[test]
    fn a_death_ends_what_was_under_way_and_what_was_to_come() {
        let mut meter = rounds();
        meter.works(0, span(Part::Seal, 10, 30));
        meter.works(0, span(Part::Upload, 30, 50));
        meter.dies(0, 20);
        let found = meter.parts(0, (0, 60));
        assert_eq!(found.get(&Part::Seal), Some(&10));
        assert_eq!(found.get(&Part::Upload), None);
    }

    #[test]
    fn steps_count_that_were_begun_in_settled_rounds() {
        let root = |byte| SealedRoot::from([byte; 32]);
        let mut meter = Meter::default();
        for round in [0, 0, 0, 0, 1, 1] {
            meter.steps(round);
        }
        meter.makes(root(1), 2);
        meter.makes(root(2), 1);
        assert_eq!(meter.steps_kept(), (0, 0));
        meter.settles(0, [root(1), root(9)].into_iter());
        assert_eq!(meter.steps_kept(), (4, 2));
        meter.settles(1, std::iter::empty());
        assert_eq!(meter.steps_kept(), (6, 2));
    }
}
