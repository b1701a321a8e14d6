//! Since when a round can have been under way, by this machine's own clock, however high the blocks are that its node
//! shows: a slot has one block at most.

use cairn_primitives::{BlockNumber, Phases, Round};
use cairn_protocol::phase::{floor, RoundStage, Timetable};

/// Milliseconds by which a clock may be wrong: what a network's delay cannot be told from. A block more is no less: what
/// is heard that much later is known with the next one.
pub const TOLERANCE: u64 = 2_000;

/// A moment by two clocks of one machine, in milliseconds: one that only goes on and may rest while the machine sleeps,
/// and one that goes on then and may be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// By the one that only goes on.
    pub ran: u64,
    /// By the one that may be set.
    pub dated: u64,
}

impl Moment {
    /// Milliseconds since an earlier moment, by the clock by which these are more.
    pub fn since(self, earlier: Moment) -> u64 {
        let ran = self.ran.saturating_sub(earlier.ran);
        ran.max(self.dated.saturating_sub(earlier.dated))
    }
}

/// When rounds were first heard of.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Milliseconds of a slot; 0 if that is not known, and nothing follows.
    slot: u64,
    present: Option<Known>,
}

/// The round that was heard of last.
#[derive(Clone, Copy, Debug)]
struct Known {
    round: Round,
    start: BlockNumber,
    first: Moment,
    /// Blocks that it had by then beside its first one.
    blocks: BlockNumber,
    /// When another one was the present one; `None` if this is the first that was heard of.
    before: Option<Moment>,
    /// When a look at it found a block that the look before had not.
    last: Moment,
    /// That block.
    number: BlockNumber,
}

impl Heard {
    /// Of a chain with slots of so many milliseconds.
    pub fn new(slot: u64) -> Heard {
        let present = None;
        Heard { slot, present }
    }

    /// At block `now`, heard of at this moment, this is the present round, which began with block `start`.
    pub fn note(&mut self, (round, start): (Round, BlockNumber), now: BlockNumber, at: Moment) {
        let known = self
            .present
            .filter(|it| (it.round, it.start) == (round, start));
        self.present = Some(match known {
            // A node that stands still says nothing new of when this round was the present one.
            Some(known) if known.number == now => known,
            Some(known) => Known {
                last: at,
                number: now,
                ..known
            },
            None => Known {
                round,
                start,
                first: at,
                blocks: now.saturating_sub(start),
                // The same round on another fork is no other round.
                before: self.present.and_then(|other| match other.round == round {
                    true => other.before,
                    false => Some(other.last),
                }),
                last: at,
                number: now,
            },
        });
    }

    /// Whether training of the present round can be over at this moment, as its times say that it is. Who began to
    /// listen in the middle of it goes by what the node says of its beginning.
    pub fn can_be_over(&self, times: Timetable, phases: &Phases, at: Moment) -> bool {
        let (start, end) = times.bounds(RoundStage::Commit);
        let Some(known) = self.present.filter(|known| known.start == start) else {
            return true;
        };
        let lasted = end.saturating_sub(start);
        let least = u64::from(lasted.saturating_sub(1)).saturating_mul(self.slot);
        // It may have begun before it was heard of, though not while another one was the present one.
        let unheard = u64::from(known.blocks).saturating_mul(self.slot);
        let most = at.since(known.first).saturating_add(unheard);
        let most = known
            .before
            .map_or(most, |before| most.min(at.since(before)));
        let tolerance = TOLERANCE.max(self.slot);
        lasted >= floor(phases, RoundStage::Commit) && most.saturating_add(tolerance) >= least
    }
}
