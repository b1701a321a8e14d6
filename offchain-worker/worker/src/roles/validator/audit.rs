//! Audits for which this validator was drawn.

use cairn_engine::audit::{judge, Audited, Incoming, Served};
use cairn_gradient::Checked;
use cairn_primitives::{api::AuditorInfo, Finding, Hotkey, Secret};
use cairn_protocol::verdict::Before;
use cairn_round::{
    audit::{is_last, Audit, Verdict},
    validator::Claim,
    Settlement,
};
use cairn_store::{paths, Store, StoreError};

use super::{Outcome, ValidatorRole};
use crate::metrics::{Failed, Stage};
use crate::roles::{
    chain::Chain,
    driver::{with_engine, Desk, Ended, Jobs},
    inspect,
    jobs::fetching,
    look::settlement,
    sources::{self, Wanted},
    state::Change,
    RoleError,
};

impl ValidatorRole {
    /// Replays what a miner serves, and puts what was found on disk with a salt.
    pub(super) fn audit<C: Chain>(
        &mut self,
        desk: &Desk<C>,
        jobs: &mut Jobs<Outcome>,
        audit: Audit,
    ) {
        let desk = desk.clone();
        let mut verdicts = self.machine.verdicts().to_vec();
        let file = fetching(1, desk.run.max_len);
        let moves = file.saturating_add(fetching(1, audit.longest));
        jobs.spawn_moving("an audit", moves, async move {
            let _timer = desk.time(Stage::Audit);
            let of = (audit.round, audit.uid);
            let finding = match found(&desk, &audit).await {
                Ok(finding) => finding,
                Err(error) if error.is_transient() => {
                    tracing::warn!("round {} · uid {}: not audited yet: {error}", of.0, of.1);
                    desk.metrics().failed(Failed::Audit);
                    None
                }
                Err(error) => return Err(error),
            };
            let Some(finding) = finding else {
                return Ok(Ended::Own(Outcome::Audited(of, None)));
            };
            let mut salt = [0u8; 32];
            getrandom::fill(&mut salt).map_err(|error| RoleError::Random(error.to_string()))?;
            let auditor = (desk.run.netuid, desk.run.hotkey.hotkey());
            let verdict = Verdict::new(auditor, of, finding, Secret::new(salt));
            verdicts.push(verdict.clone());
            let state = desk.state.clone();
            let saved = tokio::task::spawn_blocking(move || {
                state.lock()?.save(&Change {
                    verdicts: Some(&verdicts),
                    ..Change::default()
                })
            });
            saved.await??;
            Ok(Ended::Own(Outcome::Audited(of, Some(verdict))))
        });
    }
}

/// What a replay finds; `None` if it may be found in a moment, or not by this engine.
async fn found<C: Chain>(desk: &Desk<C>, audit: &Audit) -> Result<Option<Finding>, RoleError> {
    let at = desk.heads.finalized.hash;
    let Some(settled) = settlement(&desk.chain, &desk.run, at, audit.round).await? else {
        return Ok(None);
    };
    let (Some(checked), Some(slot)) = (
        contribution(desk, &settled, audit).await?,
        settled.miners.iter().position(|(uid, _)| *uid == audit.uid),
    ) else {
        return Ok(None);
    };
    let (run, drawn) = (desk.run.clone(), audit.drawn);
    let audited = Audited::new(&checked, &run.config, &run.layout, drawn);
    let Some(served) = served(desk, audit, audited).await? else {
        let is_last = is_last(audit, desk.heads.best.number);
        return Ok(is_last.then_some(Finding::Failed));
    };
    with_engine(desk, move |engine| {
        let audited = Audited::new(&checked, &run.config, &run.layout, drawn);
        let mut sequences = |step| run.windows(&settled.plan.of_step(slot as u64, step));
        Ok(judge(engine, &audited, served, &mut sequences)?)
    })
    .await
}

/// The contribution that is audited.
async fn contribution<C: Chain>(
    desk: &Desk<C>,
    settled: &Settlement,
    audit: &Audit,
) -> Result<Option<Checked>, RoleError> {
    let mut included = settled.included.iter().map(|one| &one.seen);
    let seen = included.find(|seen| seen.uid == audit.uid);
    let Some((seen, key)) = seen.and_then(|seen| Some((seen, seen.key?))) else {
        return Ok(None);
    };
    let sealed = inspect::fetch(desk, settled.round, seen.hotkey, &seen.commitment).await?;
    let (run, claim) = (
        desk.run.clone(),
        Claim {
            round: settled.round,
            uid: seen.uid,
            hotkey: seen.hotkey,
            commitment: seen.commitment.clone(),
            key,
            // It was included, so this is the root of its round's base.
            parent_root: seen.commitment.parent_root,
        },
    );
    let opened = tokio::task::spawn_blocking(move || {
        inspect::check(&run, &claim, Before::default(), &sealed)
    });
    Ok(opened.await?.ok())
}

/// Who has what the miner serves, since it has said what it found, and who may have it. While nobody has said anything all
/// auditors may.
fn holders(audit: &Audit) -> (Vec<Hotkey>, Vec<Hotkey>) {
    let has_said = |one: &&AuditorInfo<Hotkey>| one.committed.is_some() || one.found.is_some();
    let (have, may): (Vec<_>, Vec<_>) = audit.auditors.iter().partition(has_said);
    let hotkeys = |of: Vec<&AuditorInfo<Hotkey>>| of.into_iter().map(|one| one.hotkey).collect();
    match have.is_empty() {
        true => (hotkeys(may), Vec::new()),
        false => (hotkeys(have), hotkeys(may)),
    }
}

/// What the miner serves, of which no more is held than its numbers; `None` if it is not to be had.
async fn served<C: Chain>(
    desk: &Desk<C>,
    audit: &Audit,
    audited: Audited<'_>,
) -> Result<Option<Served>, RoleError> {
    let Some(served) = audit.served else {
        return Ok(None);
    };
    let most = served.length.min(audit.longest);
    let prefix = paths::audits(desk.run.netuid.get(), audit.round);
    let (holders, others) = holders(audit);
    let wanted = Wanted {
        prefix,
        root: served.root,
        length: served.length,
        most,
        maker: audit.hotkey,
        round: audit.round,
        holders,
        others,
    };
    let (store, wanted) = (&desk.run.store, &wanted);
    match sources::read(desk, wanted, move || taken(store, wanted, audited)).await {
        Ok(served) => Ok(Some(served)),
        Err(
            error @ (StoreError::NotFound { .. }
            | StoreError::TooLarge { .. }
            | StoreError::RootMismatch { .. }),
        ) => {
            tracing::debug!("round {} · uid {}: {error}", audit.round, audit.uid);
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What is served, as the own store has it, and its bytes.
async fn taken(
    store: &Store,
    wanted: &Wanted,
    audited: Audited<'_>,
) -> Result<(Served, u64), StoreError> {
    let path = paths::blob(&wanted.prefix, &wanted.root.0);
    let mut reading = store.read(&path, wanted.most).await?;
    let (mut incoming, mut root) = (Incoming::of(&audited), blake3::Hasher::new());
    while let Some(bytes) = reading.next().await? {
        root.update(&bytes);
        incoming.take(&bytes);
    }
    let found = root.finalize();
    if *found.as_bytes() != wanted.root.0 {
        return Err(StoreError::RootMismatch {
            store: store.url().to_string(),
            path: path.clone(),
            found: found.to_hex().to_string(),
        });
    }
    Ok((incoming.finish(), root.count()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{Uid, H256};

    fn auditor(number: u8, said: bool) -> AuditorInfo<Hotkey> {
        AuditorInfo {
            uid: Uid(number.into()),
            hotkey: Hotkey(H256([number; 32])),
            committed: said.then_some(H256([9; 32])),
            found: None,
        }
    }

    /// Or of sixty that are asked in a dispute most would ask none of the three that have it.
    #[test]
    fn whoever_has_said_what_it_found_is_asked_first_for_what_is_served() {
        let of = |auditors: Vec<AuditorInfo<Hotkey>>| {
            let audit = Audit {
                round: 3,
                uid: Uid(0),
                hotkey: Hotkey(H256([0; 32])),
                opens_until: 10,
                commits_until: 20,
                reveals_until: 30,
                drawn: 0,
                is_new: false,
                is_disputed: true,
                longest: 100,
                served: None,
                auditors,
            };
            let (have, may) = holders(&audit);
            [have, may].map(|all| all.iter().map(|one| one.0 .0[0]).collect::<Vec<u8>>())
        };
        let some = vec![auditor(1, false), auditor(2, true), auditor(3, false)];
        assert_eq!(of(some), [vec![2], vec![1, 3]]);
        assert_eq!(
            of(vec![auditor(1, false), auditor(2, false)]),
            [vec![1, 2], vec![]]
        );
    }
}
