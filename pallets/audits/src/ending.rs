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
use frame_support::{defensive, traits::Get, weights::Weight};

use crate::{
    Agenda, Audit, AuditId, Auditor, Config, Event, NextDue, OpenAudits, Pallet, Passes, Stopped,
    ValidatorsOf, WeightInfo,
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

    /// Ends an audit that has left the agenda, or asks all validators; one of a stopped run without consequences.
    pub(crate) fn end(id: AuditId) {
        let Some(audit) = OpenAudits::<T>::get(id) else {
            return;
        };
        let (netuid, round, uid) = id;
        if Stopped::<T>::contains_key(netuid) {
            return Self::close(id, &audit, AuditOutcome::Undecided);
        }
        let outcome = match Self::decide(id, &audit) {
            Some(outcome) => outcome,
            None => return Self::ask_all(id, audit),
        };
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
            Self::note_missing(id, &audit, outcome);
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

    /// How an audit ends whose last stage is over; `None` if validators are to be asked that were not.
    fn decide(id: AuditId, audit: &Audit<T::AccountId>) -> Option<AuditOutcome> {
        if audit.served.is_none() {
            return Some(AuditOutcome::Silent);
        }
        if audit.drawn_auditors.is_none() {
            let of_drawn = audit::of_drawn(audit.auditors.iter().filter_map(Auditor::finding));
            if of_drawn.is_some() || !Self::others(id, audit).is_empty() {
                return of_drawn;
            }
        }
        let validators = ValidatorsOf::<T>::get(id.0, id.1).unwrap_or_default();
        let said = validators.iter().map(|one| {
            let found = audit.auditor(&one.hotkey).and_then(Auditor::finding);
            (one.stake, found)
        });
        Some(audit::of_all(said))
    }

    /// The validators of an audit's round that were not asked, without those of the miner's coldkey.
    fn others(
        (netuid, round, _): AuditId,
        audit: &Audit<T::AccountId>,
    ) -> Vec<Auditor<T::AccountId>> {
        let validators = ValidatorsOf::<T>::get(netuid, round).unwrap_or_default();
        let others = validators
            .into_iter()
            .filter(|one| one.coldkey != audit.coldkey && audit.auditor(&one.hotkey).is_none());
        let others = others.map(|one| Auditor {
            uid: one.uid,
            hotkey: one.hotkey,
            said: None,
        });
        others.collect()
    }

    /// Begins a dispute: the audit goes on with all validators. Who was drawn and has revealed nothing missed it, and is
    /// one of the others now.
    fn ask_all(id: AuditId, mut audit: Audit<T::AccountId>) {
        let others = Self::others(id, &audit);
        let has_not_said = |one: &Auditor<T::AccountId>| one.finding().is_none();
        audit.auditors.sort_by_key(has_not_said);
        for one in audit.auditors.iter().filter(|one| has_not_said(one)) {
            T::Attendance::on_missed_audit(id.0, one.uid, &one.hotkey);
        }
        let have_said = audit.auditors.iter().filter(|one| !has_not_said(one));
        audit.drawn_auditors = u8::try_from(have_said.count()).ok();
        for other in others {
            if audit.auditors.try_push(other).is_err() {
                defensive!("more validators than a round has");
            }
        }
        audit.times = audit.times.of_dispute(Self::now());
        Agenda::<T>::insert(audit.due(), id, ());
        OpenAudits::<T>::insert(id, audit);
        let (netuid, round, uid) = id;
        Self::deposit_event(Event::Disputed { netuid, round, uid });
    }

    /// Whether the member that an audit is of still has its seat. It may sign with another hotkey by now.
    fn is_still((netuid, uid): (Netuid, Uid), audit: &Audit<T::AccountId>) -> bool {
        let came = T::Membership::registered_at(netuid, uid);
        came.is_some_and(|came| came < audit.settled)
    }

    /// Takes the bond of whoever lost an audit, and what is withheld of it; says how much that was. Those that were drawn
    /// and found the work to be false have their share; of silence nobody has to tell.
    fn punish((netuid, _, uid): AuditId, audit: &Audit<T::AccountId>) -> (Balance, Balance) {
        let failed = Some(Finding::Failed);
        let told = audit.drawn().filter(|one| one.finding() == failed);
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

    /// Tells of auditors that could have revealed something and did not, or revealed what was not borne out.
    fn note_missing((netuid, ..): AuditId, audit: &Audit<T::AccountId>, outcome: AuditOutcome) {
        let drawn = audit.drawn().count();
        for (index, auditor) in audit.auditors.iter().enumerate() {
            if audit::is_missed(auditor.finding(), index < drawn, outcome) {
                T::Attendance::on_missed_audit(netuid, auditor.uid, &auditor.hotkey);
            }
        }
    }
}
