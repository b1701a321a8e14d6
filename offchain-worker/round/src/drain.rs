//! What a miner still owes that was told to drain: it makes no more contributions, and ends once no audit of those that
//! it made can be open.
//!
//! Audits are drawn in the block that settles a round. So a contribution keeps a miner until its round is settled in a
//! final block, and its audit for as long as the chain has it open. What it has no intent of may be on chain all the
//! same: it watches for that, and waits until all rounds before it began to drain are settled in a final block.

use cairn_primitives::{AuditRules, BlockNumber, Hotkey, Phases, Round, RunConfig};
use cairn_protocol::audit::free_from;

use crate::View;

/// Stages that a dispute adds to an audit.
const DISPUTE: BlockNumber = 2;

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
    /// The round in which it began.
    since: Option<Round>,
    /// The newest round of which the chain was seen to have a contribution of it; a fork may take that back, or not.
    seen: Option<Round>,
    /// What was said of it last.
    said: Option<Owed>,
}

impl Draining {
    /// Out of a run.
    pub fn of(config: &RunConfig) -> Draining {
        Draining {
            audits: config.audits,
            phases: config.phases,
            since: None,
            seen: None,
            said: None,
        }
    }

    /// Takes note of what the chain has of the miner with this hotkey.
    pub fn look(&mut self, view: &View, hotkey: Hotkey) {
        self.since.get_or_insert(view.round.round);
        let seen = view.contribution_of(hotkey).map(|_| view.round.round);
        self.seen = self.seen.max(seen).filter(|seen| may_be_drawn(*seen, view));
    }

    /// Whether all that it may have contributed to before it began to drain is settled for good.
    pub fn is_settled(&self, view: &View) -> bool {
        let before = self.since.and_then(|since| since.checked_sub(1));
        before.is_none_or(|before| !may_be_drawn(before, view))
    }

    /// What the miner with this hotkey owes, which makes a contribution to this round or made it.
    pub fn owed(&self, view: &View, hotkey: Hotkey, made: Option<Round>) -> Option<Owed> {
        let own = view.audits.iter().filter(|audit| audit.hotkey == hotkey);
        let audit = own.max_by_key(|audit| audit.reveals_until);
        let audit = audit.map(|audit| Owed {
            round: audit.round,
            why: Why::Audit,
            // A dispute may follow.
            until: match audit.is_disputed {
                true => audit.reveals_until,
                false => audit
                    .reveals_until
                    .saturating_add(self.audits.blocks.saturating_mul(DISPUTE)),
            },
        });
        let made = made.max(self.seen).map(|round| Owed {
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
            _ => start.saturating_add(self.audits.blocks.saturating_mul(AuditRules::STAGES)),
        }
    }
}

/// Whether audits of a contribution to this round may still be drawn, or drawn otherwise.
fn may_be_drawn(round: Round, view: &View) -> bool {
    view.round.at_final <= Some(round) && view.round.round < free_from(round)
}
