//! The answers of the runtime API.

use alloc::vec::Vec;
use cairn_primitives::{
    api::{AuditInfo, AuditorInfo},
    AuditOutcome, Netuid, Round, Uid,
};

use crate::{Audit, Auditor, Config, OpenAudits, Outcomes, Pallet, Said, Stage, Stopped};

impl<T: Config> Pallet<T> {
    /// The open audits of a subnet, ascending by round and uid. A stopped run has none.
    pub fn open_audits(netuid: Netuid) -> Vec<AuditInfo<T::AccountId>> {
        if Stopped::<T>::get(netuid).is_some() {
            return Vec::new();
        }
        let audits = OpenAudits::<T>::iter_prefix((netuid,));
        let mut all: Vec<_> = audits
            .map(|((round, uid), audit)| info(round, uid, audit))
            .collect();
        all.sort_by_key(|audit| (audit.round, audit.uid));
        all
    }

    /// How the audit of a contribution ended; `None` if there was none, or if its round is no longer kept.
    pub fn outcome(netuid: Netuid, round: Round, uid: Uid) -> Option<AuditOutcome> {
        Outcomes::<T>::get(netuid, round)?.get(&uid).copied()
    }
}

fn info<AccountId: PartialEq>(
    round: Round,
    uid: Uid,
    audit: Audit<AccountId>,
) -> AuditInfo<AccountId> {
    let end_of = |stage| audit.times.end_of(stage);
    AuditInfo {
        round,
        uid,
        opens_until: end_of(Stage::Open),
        commits_until: end_of(Stage::Commit),
        reveals_until: end_of(Stage::Reveal),
        hotkey: audit.hotkey,
        drawn: audit.drawn,
        is_new: audit.is_new,
        is_disputed: audit.drawn_auditors.is_some(),
        longest: audit.longest,
        served: audit.served,
        auditors: audit.auditors.into_iter().map(auditor).collect(),
    }
}

fn auditor<AccountId>(auditor: Auditor<AccountId>) -> AuditorInfo<AccountId> {
    let (committed, found) = match auditor.said {
        None => (None, None),
        Some(Said::Committed(hash)) => (Some(hash), None),
        Some(Said::Revealed(finding)) => (None, Some(finding)),
    };
    AuditorInfo {
        uid: auditor.uid,
        hotkey: auditor.hotkey,
        committed,
        found,
    }
}
