//! The hook: audits that are due end, and what follows from them.
//!
//! Open audits are on the *agenda* under the block at which they end. A block works it off from its oldest entry on, up
//! to a limit; what it does not reach, the next block does first.

use alloc::vec::Vec;
use cairn_primitives::{
    traits::{Attendance, Membership, Slashing, Wages},
    AuditOutcome, Balance, BlockNumber, Finding, Netuid, Uid,
};
use cairn_protocol::audit;
use frame_support::{traits::Get, weights::Weight};

use crate::{
    Agenda, Audit, AuditId, Config, Event, NextDue, OpenAudits, Pallet, Passes, Said, Stopped,
    WeightInfo,
};

/// Blocks with nothing left on their agenda over which one block steps: more than one, so that the agenda catches up.
pub(crate) const DONE_BLOCKS_PER_BLOCK: u32 = 16;

impl<T: Config> Pallet<T> {
    /// Ends audits that are due, those that are due longest first.
    pub(crate) fn work_off_agenda(now: BlockNumber) -> Weight {
        let first = NextDue::<T>::get().unwrap_or(now);
        let mut block = first;
        let (mut ends, mut done_blocks) = (0u32, 0u32);
        while block <= now
            && ends < T::MaxEndsPerBlock::get()
            && done_blocks < DONE_BLOCKS_PER_BLOCK
        {
            if let Some(id) = Agenda::<T>::iter_key_prefix(block).next() {
                Agenda::<T>::remove(block, id);
                Self::end(id);
                ends = ends.saturating_add(1);
            } else {
                block = block.saturating_add(1);
                done_blocks = done_blocks.saturating_add(1);
            }
        }
        if block != first || NextDue::<T>::get().is_none() {
            NextDue::<T>::put(block);
        }
        T::WeightInfo::on_initialize()
            .saturating_add(T::WeightInfo::end().saturating_mul(ends.into()))
    }

    /// Ends an audit that has left the agenda; one of a stopped run without consequences.
    pub(crate) fn end(id: AuditId) {
        let Some(audit) = OpenAudits::<T>::get(id) else {
            return;
        };
        let (netuid, round, uid) = id;
        if Stopped::<T>::contains_key(netuid) {
            return Self::close(id, &audit, AuditOutcome::Undecided);
        }
        let said = audit.auditors.iter().filter_map(|one| one.said.as_ref());
        let outcome = audit::outcome(audit.served.is_some(), said.filter_map(Said::finding));
        Self::close(id, &audit, outcome);
        let (slashed, forfeited) = match outcome.is_lost() {
            true => Self::punish(id, &audit),
            false => (0, 0),
        };
        if Self::is_still((netuid, uid), &audit) {
            Passes::<T>::mutate_extant(netuid, |passed| {
                let judged = passed.judged(uid).after(round, outcome);
                passed.note(uid, judged);
            });
        }
        if audit.served.is_some() {
            Self::note_missing(id, &audit);
        }
        Self::deposit_event(Event::Ended {
            netuid,
            round,
            uid,
            outcome,
            slashed,
            forfeited,
        });
    }

    /// Whether the member that an audit is of still has its seat. It may sign with another hotkey by now.
    fn is_still((netuid, uid): (Netuid, Uid), audit: &Audit<T::AccountId>) -> bool {
        let came = T::Membership::registered_at(netuid, uid);
        came.is_some_and(|came| came < audit.times.start)
    }

    /// Takes the bond of whoever lost an audit, and what is withheld of it; says how much that was. Those who found the
    /// work to be false have their share; of silence nobody has to tell.
    fn punish((netuid, _, uid): AuditId, audit: &Audit<T::AccountId>) -> (Balance, Balance) {
        let failed = Some(Finding::Failed);
        let auditors = audit.auditors.iter();
        let told = auditors.filter(|one| one.said.as_ref().and_then(Said::finding) == failed);
        let owners = told.filter_map(|one| T::Membership::coldkey(&one.hotkey));
        let reporters: Vec<T::AccountId> = owners.collect();
        let taken = T::Slashing::slash_bond(netuid, &audit.hotkey, &reporters);
        T::Attendance::on_false_work(netuid, uid, &audit.hotkey);
        let forfeited = match Self::is_still((netuid, uid), audit) {
            true => T::Wages::forfeit(netuid, uid),
            false => 0,
        };
        (taken, forfeited)
    }

    /// Tells of auditors that could have revealed something and did not.
    fn note_missing((netuid, ..): AuditId, audit: &Audit<T::AccountId>) {
        for auditor in &audit.auditors {
            if auditor.said.as_ref().and_then(Said::finding).is_none() {
                T::Attendance::on_missed_audit(netuid, auditor.uid, &auditor.hotkey);
            }
        }
    }
}
