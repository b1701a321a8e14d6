//! What happened between two views. Pure.

use std::fmt;

use cairn_chain::AccountId;
use cairn_primitives::{AuditOutcome, Balance, BlockNumber, EpochIndex, Netuid, Round};
use serde::Serialize;

use super::view::{Member, Stake, View};
use crate::amount::crn;

/// What shares of stake lose or gain by being rounded is no slash: less than one in so many.
const ROUNDING: Balance = 1_000_000;

/// Something that a member asked to be told of. Amounts are in pebble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// A friend of its coldkey says that the coldkey's key is lost: with enough others, the account goes to another.
    RecoveryBegun {
        /// Who says so.
        by: AccountId,
        /// Who gets the account.
        inheritor: AccountId,
        /// The number of the friends' group.
        group: u32,
        /// Until before this block the coldkey can stop it.
        not_before: BlockNumber,
    },
    /// Another account acts for its coldkey.
    Recovered {
        /// Which.
        inheritor: AccountId,
    },
    /// Another hotkey was announced for it.
    SwapAnnounced {
        /// Which.
        to: AccountId,
        /// From which block on it can take the seat; before that the coldkey can take it back.
        from: BlockNumber,
    },
    /// The next newcomer takes its seat.
    AboutToBeReplaced,
    /// It is no member any more.
    Replaced,
    /// It was paid nothing in so many epochs.
    NoReward {
        /// Epochs.
        epochs: EpochIndex,
    },
    /// A validator behind which its coldkey stands takes more.
    TakeRaised {
        /// The subnet.
        on: Netuid,
        /// The validator.
        hotkey: AccountId,
        /// What it took, of 65,535.
        from: u16,
        /// What it takes.
        to: u16,
    },
    /// Stake of its coldkey is gone.
    StakeSlashed {
        /// The subnet.
        on: Netuid,
        /// On which hotkey it was.
        hotkey: AccountId,
        /// How much.
        #[serde(with = "cairn_primitives::api::pebble")]
        amount: Balance,
    },
    /// Its bond, or a part of it, is gone.
    BondSlashed {
        /// How much.
        #[serde(with = "cairn_primitives::api::pebble")]
        amount: Balance,
    },
    /// Stake that its coldkey asked back can be had.
    UnbondingReleased {
        /// The subnet.
        on: Netuid,
        /// On which hotkey it was.
        hotkey: AccountId,
        /// How much.
        #[serde(with = "cairn_primitives::api::pebble")]
        amount: Balance,
    },
    /// The bond that was asked back can be had.
    BondReleased {
        /// How much.
        #[serde(with = "cairn_primitives::api::pebble")]
        amount: Balance,
    },
    /// The subnet has no run any more.
    RunStopped,
    /// The subnet has another run.
    RunStarted {
        /// The block in which it was started.
        started_at: BlockNumber,
    },
    /// Its work of a round is audited.
    AuditDrawn {
        /// The round.
        round: Round,
    },
    /// An audit of its work found that it is not what it claims, or was not served.
    AuditFailed {
        /// The round.
        round: Round,
        /// How it ended.
        outcome: AuditOutcome,
    },
}

/// What happened, the gravest first. Without a view before, only what is so now and needs somebody: a restart is no
/// reason to tell everything again.
///
/// `dry` is the number of epochs without a reward of which the member wants to know; with 0 it never does.
pub fn happened(before: Option<&View>, now: &View, dry: EpochIndex) -> Vec<Happening> {
    let mut all = keys(before, now);
    let was = before.and_then(|before| before.member.as_ref());
    if let Some(before) = before {
        all.extend(slashes(before, now));
        all.extend(audits(before, now));
        all.extend(of_run(before, now));
        if was.is_some() && now.member.is_none() {
            all.push(Happening::Replaced);
        }
    }
    let went_next = before.is_some_and(|before| before.goes_next);
    if now.goes_next && !went_next {
        all.push(Happening::AboutToBeReplaced);
    }
    if let Some(member) = &now.member {
        let is_dry = |member: &Member| dry > 0 && member.dry >= dry;
        if is_dry(member) && !was.is_some_and(is_dry) {
            let epochs = member.dry;
            all.push(Happening::NoReward { epochs });
        }
    }
    if let Some(before) = before {
        all.extend(takes(before, now));
        all.extend(releases(before, now));
    }
    all
}

/// Who is about to get its coldkey's account, or its seat.
fn keys(before: Option<&View>, now: &View) -> Vec<Happening> {
    let mut all = Vec::new();
    for (group, recovery) in &now.recoveries {
        let was = before.and_then(|before| before.recoveries.get(group));
        if was.is_none_or(|was| was.since != recovery.since) {
            all.push(Happening::RecoveryBegun {
                by: recovery.by,
                inheritor: recovery.inheritor,
                group: *group,
                not_before: recovery.not_before,
            });
        }
    }
    // It stays so: after a restart it is no news.
    let inherited = now.inheritor.filter(|_| before.is_some());
    if inherited != before.and_then(|before| before.inheritor) {
        all.extend(inherited.map(|inheritor| Happening::Recovered { inheritor }));
    }
    let swap = |view: &View| view.member.as_ref().and_then(|member| member.swap);
    let announced = swap(now).filter(|is| before.and_then(swap) != Some(*is));
    all.extend(announced.map(|(to, from)| Happening::SwapAnnounced { to, from }));
    all
}

/// How much is gone that was not asked back.
fn lost(before: Balance, now: Balance, asked_back: Balance) -> Balance {
    let lost = before.saturating_sub(now).saturating_sub(asked_back);
    let rounding = before.checked_div(ROUNDING).unwrap_or(0).max(1);
    if lost > rounding {
        lost
    } else {
        0
    }
}

/// Stake that was asked back in between: parts that are released in other blocks than those of before. What was there
/// before may have been fetched.
fn asked_back(was: &Stake, is: &Stake) -> Balance {
    let is_new = |at: &BlockNumber| !was.unbonding.iter().any(|(_, before)| before == at);
    let new = is.unbonding.iter().filter(|(_, at)| is_new(at));
    new.fold(0, |sum: Balance, (part, _)| sum.saturating_add(*part))
}

/// The same of a bond, of which all that was asked back is one part.
fn bond_asked_back(was: &Member, is: &Member) -> Balance {
    if was.bond_release_at == is.bond_release_at {
        return is.unbonding_bond.saturating_sub(was.unbonding_bond);
    }
    is.unbonding_bond
}

fn slashes(before: &View, now: &View) -> Vec<Happening> {
    let mut all = Vec::new();
    // Whoever left, or came again, took its bond along.
    if let (Some(was), Some(is)) = (&before.member, &now.member) {
        let amount = lost(was.bond, is.bond, bond_asked_back(was, is));
        if amount > 0 && was.registered_at == is.registered_at {
            all.push(Happening::BondSlashed { amount });
        }
    }
    for (place, was) in &before.positions {
        // A position that is gone was withdrawn as a whole, or went with its hotkey to another one.
        let Some(is) = now.positions.get(place) else {
            continue;
        };
        let amount = lost(was.staked, is.staked, asked_back(was, is));
        if amount > 0 {
            let (on, hotkey) = *place;
            all.push(Happening::StakeSlashed { on, hotkey, amount });
        }
    }
    all
}

fn audits(before: &View, now: &View) -> Vec<Happening> {
    let failed = now.outcomes.iter().filter(|(round, outcome)| {
        let is_bad = matches!(outcome, AuditOutcome::Failed | AuditOutcome::Silent);
        is_bad && before.audits.contains(round)
    });
    let failed = failed.map(|(round, outcome)| Happening::AuditFailed {
        round: *round,
        outcome: *outcome,
    });
    let drawn = now.audits.difference(&before.audits);
    let drawn = drawn.map(|round| Happening::AuditDrawn { round: *round });
    failed.chain(drawn).collect()
}

fn of_run(before: &View, now: &View) -> Option<Happening> {
    match (before.run, now.run) {
        (Some(_), None) => Some(Happening::RunStopped),
        (before, Some(started_at)) if before != Some(started_at) => {
            Some(Happening::RunStarted { started_at })
        }
        _ => None,
    }
}

fn takes(before: &View, now: &View) -> Vec<Happening> {
    let raised = now.positions.iter().filter_map(|(place, is)| {
        let was = before.positions.get(place)?;
        let (on, hotkey) = *place;
        (is.take > was.take).then_some(Happening::TakeRaised {
            on,
            hotkey,
            from: was.take,
            to: is.take,
        })
    });
    raised.collect()
}

fn releases(before: &View, now: &View) -> Vec<Happening> {
    let is_due = |at: BlockNumber| at > before.block && at <= now.block;
    let mut all = Vec::new();
    // What was asked for is in the view before: afterwards somebody may have fetched it already.
    for (place, was) in &before.positions {
        let due = was.unbonding.iter().filter(|(_, at)| is_due(*at));
        let amount = due.fold(0, |sum: Balance, (part, _)| sum.saturating_add(*part));
        if amount > 0 {
            let (on, hotkey) = *place;
            all.push(Happening::UnbondingReleased { on, hotkey, amount });
        }
    }
    if let Some(member) = &before.member {
        if member.unbonding_bond > 0 && member.bond_release_at.is_some_and(is_due) {
            let amount = member.unbonding_bond;
            all.push(Happening::BondReleased { amount });
        }
    }
    all
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |of: u16| f64::from(of) * 100.0 / f64::from(u16::MAX);
        match self {
            Happening::RecoveryBegun { by, inheritor, not_before, .. } => write!(
                f,
                "{by} says that the key of its coldkey is lost: if it is not, stop that before block {not_before} with \
                 `cairn wallet recovery cancel` or `slash`, or {inheritor} can get the account"
            ),
            Happening::Recovered { inheritor } => {
                write!(f, "its coldkey was recovered: {inheritor} acts for it")
            }
            Happening::SwapAnnounced { to, from } => write!(
                f,
                "the hotkey {to} was announced for it and can take its seat from block {from} on; \
                 `cairn subnet swap --cancel` takes that back"
            ),
            Happening::AboutToBeReplaced => {
                write!(f, "the next newcomer takes its seat: the last epoch paid it least")
            }
            Happening::Replaced => write!(f, "it is no member any more"),
            Happening::NoReward { epochs } => write!(f, "it was paid nothing in {epochs} epochs"),
            Happening::TakeRaised { on, hotkey, from, to } => write!(
                f,
                "validator {hotkey} of subnet {on} takes {:.2} % of dividends now, and took {:.2} %",
                share(*to),
                share(*from)
            ),
            Happening::StakeSlashed { on, hotkey, amount } => write!(
                f,
                "{} CRN of stake on {hotkey} in subnet {on} were slashed",
                crn(*amount, 4)
            ),
            Happening::BondSlashed { amount } => {
                write!(f, "{} CRN of its bond were slashed", crn(*amount, 4))
            }
            Happening::UnbondingReleased { on, hotkey, amount } => write!(
                f,
                "{} CRN that were on {hotkey} in subnet {on} can be had",
                crn(*amount, 4)
            ),
            Happening::BondReleased { amount } => {
                write!(f, "{} CRN of its bond can be had", crn(*amount, 4))
            }
            Happening::RunStopped => write!(f, "the subnet's run was stopped"),
            Happening::RunStarted { started_at } => {
                write!(f, "a run was started in block {started_at}")
            }
            Happening::AuditDrawn { round } => write!(f, "its work of round {round} is audited"),
            Happening::AuditFailed { round, outcome } => {
                let why = match outcome {
                    AuditOutcome::Silent => "nothing was served in time",
                    _ => "it is not what it claims",
                };
                write!(f, "the audit of its work of round {round} failed: {why}")
            }
        }
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
