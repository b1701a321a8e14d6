//! What miners and auditors say in an audit.
//!
//! Each call is a check, which only reads, and a note, which only writes. The check alone decides whether a call is
//! free of fees, so a call is free exactly when it will succeed.

use cairn_primitives::{Finding, Hotkey, Salt, Served, Uid, H256};
use cairn_protocol::audit::{self, Refusal};
use frame_support::ensure;

use crate::{
    Agenda, Audit, AuditId, Auditor, Config, Error, Event, OpenAudits, Pallet, Said, Stage, Stopped,
};

/// An audit, and one of its auditors as it is after what it said.
type Saying<AccountId> = (Audit<AccountId>, Auditor<AccountId>);

impl<T: Config> Pallet<T> {
    /// What `who` can say in an audit: under which uid, and the first block after the stage in which the miner opens,
    /// or auditors commit, or reveal. `None` if it has no part in that stage.
    pub fn party(
        who: &T::AccountId,
        id: AuditId,
        stage: Stage,
    ) -> Option<(Uid, cairn_primitives::BlockNumber)> {
        let audit = OpenAudits::<T>::get(id)?;
        let uid = match stage {
            Stage::Open => (audit.hotkey == *who).then_some(id.2),
            _ => audit.auditor(who).map(|one| one.uid),
        };
        Some((uid?, audit.times.end_of(stage)))
    }

    fn audit(id: AuditId) -> Result<(Audit<T::AccountId>, Stage), Error<T>> {
        let audit = OpenAudits::<T>::get(id).ok_or(Error::<T>::NoAudit)?;
        ensure!(!Stopped::<T>::contains_key(id.0), Error::<T>::NoAudit);
        let stage = audit.times.stage(Self::now());
        Ok((audit, stage))
    }

    /// Whether `who` can serve this now.
    pub(crate) fn check_open(
        who: &T::AccountId,
        id: AuditId,
        served: &Served,
    ) -> Result<Audit<T::AccountId>, Error<T>> {
        let (audit, stage) = Self::audit(id)?;
        ensure!(audit.hotkey == *who, Error::<T>::NotTheMiner);
        audit::open(stage, audit.served.as_ref(), served, audit.longest)?;
        Ok(audit)
    }

    /// Writes down what a miner serves: its audit goes on.
    pub(crate) fn note_open(id: AuditId, mut audit: Audit<T::AccountId>, served: Served) {
        Agenda::<T>::remove(audit.due(), id);
        audit.served = Some(served);
        Agenda::<T>::insert(audit.due(), id, ());
        OpenAudits::<T>::insert(id, audit);
        let (netuid, round, uid) = id;
        Self::deposit_event(Event::Opened {
            netuid,
            round,
            uid,
            served,
        });
    }

    /// Whether `who` can commit to this now, and what is to be kept of it.
    pub(crate) fn check_commit(
        who: &T::AccountId,
        id: AuditId,
        hash: H256,
    ) -> Result<Saying<T::AccountId>, Error<T>> {
        Self::check_said(who, id, |stage, audit, known| {
            audit::commit(stage, audit.served.is_some(), known, hash)
        })
    }

    /// Writes down a checked commitment.
    pub(crate) fn note_commit(
        id: AuditId,
        audit: Audit<T::AccountId>,
        auditor: Auditor<T::AccountId>,
    ) {
        let (netuid, round, uid) = id;
        let event = Event::VerdictCommitted {
            netuid,
            round,
            uid,
            auditor: auditor.uid,
        };
        Self::note_said(id, audit, auditor);
        Self::deposit_event(event);
    }

    /// Whether `who` can reveal this now, and what is to be kept of it.
    pub(crate) fn check_reveal(
        who: &T::AccountId,
        id: AuditId,
        finding: Finding,
        salt: &Salt,
    ) -> Result<Saying<T::AccountId>, Error<T>> {
        Self::check_said(who, id, |stage, _, known| {
            audit::reveal(stage, known, (id, &Hotkey::of(&who)), finding, salt)
        })
    }

    /// Writes down a checked finding.
    pub(crate) fn note_reveal(
        id: AuditId,
        audit: Audit<T::AccountId>,
        auditor: Auditor<T::AccountId>,
        finding: Finding,
    ) {
        let (netuid, round, uid) = id;
        let event = Event::VerdictRevealed {
            netuid,
            round,
            uid,
            auditor: auditor.uid,
            finding,
        };
        Self::note_said(id, audit, auditor);
        Self::deposit_event(event);
    }

    fn check_said(
        who: &T::AccountId,
        id: AuditId,
        says: impl FnOnce(Stage, &Audit<T::AccountId>, Option<&Said>) -> Result<Said, Refusal>,
    ) -> Result<Saying<T::AccountId>, Error<T>> {
        let (audit, stage) = Self::audit(id)?;
        let auditor = audit.auditor(who).cloned();
        let mut auditor = auditor.ok_or(Error::<T>::NotAnAuditor)?;
        auditor.said = Some(says(stage, &audit, auditor.said.as_ref())?);
        Ok((audit, auditor))
    }

    fn note_said(id: AuditId, mut audit: Audit<T::AccountId>, auditor: Auditor<T::AccountId>) {
        let mut auditors = audit.auditors.iter_mut();
        if let Some(place) = auditors.find(|one| one.uid == auditor.uid) {
            *place = auditor;
        }
        OpenAudits::<T>::insert(id, audit);
    }
}

impl<T> From<Refusal> for Error<T> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooEarly => Error::TooEarly,
            Refusal::TooLate => Error::TooLate,
            Refusal::AlreadyOpened => Error::AlreadyOpened,
            Refusal::NotOpened => Error::NotOpened,
            Refusal::ZeroHash => Error::ZeroHash,
            Refusal::Empty => Error::EmptyBlob,
            Refusal::TooLong => Error::BlobTooLong,
            Refusal::AlreadyCommitted => Error::AlreadyCommitted,
            Refusal::NotCommitted => Error::NotCommitted,
            Refusal::AlreadyRevealed => Error::AlreadyRevealed,
            Refusal::WrongHash => Error::NotAsCommitted,
        }
    }
}
