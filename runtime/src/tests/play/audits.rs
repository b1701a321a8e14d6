//! Calls of audits, and what members owe in them.

use cairn_primitives::{
    api::{AuditInfo, AuditorInfo},
    finding_hash, Finding, Hotkey, Netuid, Round, Served, Uid, H256,
};
use pallet_audits::Call;

use super::{
    steps::{Move, What},
    Actor,
};
use crate::{readers, AccountId, Runtime, RuntimeCall, System};

/// The call of a move about an audit that is open, and who signs it.
pub fn planned(one: &Move) -> (Actor, RuntimeCall) {
    let open = readers::open_audits(Netuid(one.net));
    let nth = usize::from(one.other).checked_rem(open.len());
    let Some(audit) = nth.map(|nth| &open[nth]) else {
        return (Actor(one.hotkey), opened(Netuid(one.net), 0, Uid(0), 1));
    };
    let auditor = &audit.auditors[usize::from(one.hotkey) % audit.auditors.len()];
    let of = |key: &AccountId| Actor::of(key).unwrap_or(Actor(0));
    match &one.what {
        What::CommitVerdict { failed } => {
            let finding = if *failed {
                Finding::Failed
            } else {
                found(audit)
            };
            (
                of(&auditor.hotkey),
                commits(Netuid(one.net), audit, auditor, finding),
            )
        }
        What::RevealVerdict { wrong_salt } => {
            let twist = u8::from(*wrong_salt);
            (
                of(&auditor.hotkey),
                reveals(Netuid(one.net), audit, auditor, twist),
            )
        }
        What::OpenAudit { too_long: true } => {
            let call = opened(Netuid(one.net), audit.round, audit.uid, audit.longest + 1);
            (of(&audit.hotkey), call)
        }
        _ => (
            of(&audit.hotkey),
            opened(Netuid(one.net), audit.round, audit.uid, 9),
        ),
    }
}

/// What those who have a part in a subnet's audits have to do in this block or in the next. Of eleven contributions
/// one is never opened.
pub fn duties(netuid: Netuid) -> Vec<(Actor, RuntimeCall)> {
    let next = System::block_number() + 1;
    let mut calls = Vec::new();
    for audit in readers::open_audits(netuid) {
        if next <= audit.opens_until && audit.served.is_none() && !is_silent(&audit) {
            let call = opened(netuid, audit.round, audit.uid, 9);
            calls.push((audit.hotkey.clone(), call));
        }
        for auditor in audit.auditors.iter().filter(|one| one.found.is_none()) {
            let call = match auditor.committed {
                None if next <= audit.commits_until => {
                    commits(netuid, &audit, auditor, found(&audit))
                }
                Some(_) if next >= audit.commits_until => reveals(netuid, &audit, auditor, 0),
                _ => continue,
            };
            calls.push((auditor.hotkey.clone(), call));
        }
    }
    let known = |(key, call)| Some((Actor::of(&key)?, call));
    calls.into_iter().filter_map(known).collect()
}

/// What every auditor finds: of thirteen contributions one is false.
fn found(audit: &AuditInfo<AccountId>) -> Finding {
    match (audit.round + u32::from(audit.uid.get())) % 13 {
        12 => Finding::Failed,
        _ => Finding::Passed,
    }
}

fn is_silent(audit: &AuditInfo<AccountId>) -> bool {
    (audit.round + u32::from(audit.uid.get())) % 11 == 10
}

fn salt(auditor: &AuditorInfo<AccountId>) -> [u8; 32] {
    [auditor.uid.get() as u8; 32]
}

fn opened(netuid: Netuid, round: Round, uid: Uid, length: u64) -> RuntimeCall {
    let root = H256([5; 32]);
    let served = Served { root, length };
    RuntimeCall::Audits(Call::<Runtime>::open {
        netuid,
        round,
        uid,
        served,
    })
}

fn commits(
    netuid: Netuid,
    audit: &AuditInfo<AccountId>,
    auditor: &AuditorInfo<AccountId>,
    finding: Finding,
) -> RuntimeCall {
    let at = (netuid, audit.round, audit.uid);
    let hash = finding_hash(at, &Hotkey::of(&auditor.hotkey), finding, &salt(auditor));
    RuntimeCall::Audits(Call::<Runtime>::commit_verdict {
        netuid,
        round: audit.round,
        uid: audit.uid,
        hash,
    })
}

fn reveals(
    netuid: Netuid,
    audit: &AuditInfo<AccountId>,
    auditor: &AuditorInfo<AccountId>,
    twist: u8,
) -> RuntimeCall {
    let mut salt = salt(auditor);
    salt[0] ^= twist;
    RuntimeCall::Audits(Call::<Runtime>::reveal_verdict {
        netuid,
        round: audit.round,
        uid: audit.uid,
        finding: found(audit),
        salt,
    })
}
