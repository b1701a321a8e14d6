//! What a miner still owes that was told to drain: it makes no more contributions, and ends once no audit of those that
//! it made can be open.
//!
//! Audits are drawn in the block that settles a round. So a contribution keeps a miner until its round is settled in a
//! final block, and its audit for as long as the chain has it open.

use cairn_primitives::{AuditRules, BlockNumber, Hotkey, Phases, Round, RunConfig};
use cairn_protocol::audit::{Stage, Times};

use crate::View;

/// Why a miner that drains has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It makes a contribution, or made one whose round is not settled.
    Contribution,
    /// Its contribution is audited.
    Audit,
}

/// What a miner that drains waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The newest round of which it owes something.
    pub round: Round,
    /// What.
    pub why: Why,
    /// The first block in which nothing can be open any more, if rounds are settled when they are due.
    pub until: BlockNumber,
}

/// A miner's way out.
#[derive(Clone, Debug)]
pub struct Draining {
    audits: AuditRules,
    phases: Phases,
    /// What was said of it last.
    said: Option<Owed>,
}

impl Draining {
    /// Out of a run.
    pub fn of(config: &RunConfig) -> Draining {
        Draining {
            audits: config.audits,
            phases: config.phases,
            said: None,
        }
    }

    /// What the miner with this hotkey owes, which makes a contribution to this round or made it.
    pub fn owed(&self, view: &View, hotkey: Hotkey, made: Option<Round>) -> Option<Owed> {
        let own = view.audits.iter().filter(|audit| audit.hotkey == hotkey);
        let audit = own.max_by_key(|audit| audit.reveals_until);
        let audit = audit.map(|audit| Owed {
            round: audit.round,
            why: Why::Audit,
            until: audit.reveals_until,
        });
        let made = made.map(|round| Owed {
            round,
            why: Why::Contribution,
            until: self.over_at(round, view),
        });
        made.or(audit)
    }

    /// Whether this is to be said: it is something else than before. If so, it has been said.
    pub fn is_news(&mut self, owed: Owed) -> bool {
        self.said.replace(owed) != Some(owed)
    }

    /// The block in which an audit of this round is over at the latest, if rounds are settled when they are due.
    fn over_at(&self, round: Round, view: &View) -> BlockNumber {
        let times = view.round.timetable();
        let start = match round.checked_sub(view.round.round) {
            // It is settled, and not in a final block yet.
            None => times.start(),
            Some(ahead) => times
                .due()
                .saturating_add(self.phases.round().saturating_mul(ahead)),
        };
        match self.audits.rate {
            0 => start,
            _ => Times {
                start,
                blocks: self.audits.blocks,
            }
            .end_of(Stage::Reveal),
        }
    }
}
