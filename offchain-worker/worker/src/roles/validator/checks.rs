//! The contributions of the current round: fetched while they are sealed, opened when their keys come.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use cairn_chain::{AccountId, ContributionInfo};
use cairn_primitives::{BlockNumber, Commitment, Round, Uid, H256};
use cairn_round::validator::{Seen, View};
use cairn_store::StoreError;

use super::{Done, Worker};
use crate::{
    checked::Checked,
    roles::{
        chain::Chain,
        inspect::{check, fetch, Claim},
        progress::Progress,
    },
};

/// A contribution's name: a uid may, after a re-organisation, have committed to something else.
type Id = (Uid, H256);

/// What is known of the contributions of one round.
#[derive(Default)]
pub(super) struct Checks {
    round: Round,
    committed: HashMap<Id, (AccountId, Commitment)>,
    first_seen: BTreeMap<Id, BlockNumber>,
    sealed: HashMap<Id, Bytes>,
    good: HashMap<Id, Arc<Checked>>,
}

impl Checks {
    /// Notes what the chain has of `round`.
    pub fn know(&mut self, round: Round, contributions: &[ContributionInfo]) {
        if self.round != round {
            *self = Checks {
                round,
                ..Checks::default()
            };
        }
        for entry in contributions {
            let id = (entry.uid, entry.commitment.sealed_root);
            self.committed
                .entry(id)
                .or_insert((entry.hotkey, entry.commitment.clone()));
        }
    }

    /// Notes when commitments were first seen: of equal contributions the first counts.
    pub fn saw(&mut self, held: Round, view: &View, now: BlockNumber) {
        if view.round.round == held {
            for seen in &view.contributions {
                self.first_seen
                    .entry((seen.uid, seen.sealed_root))
                    .or_insert(now);
            }
        }
    }

    pub fn fetched(&mut self, round: Round, id: Id, file: Option<Bytes>) {
        if let Some(file) = file.filter(|_| round == self.round) {
            self.sealed.insert(id, file);
        }
    }

    pub fn opened(&mut self, round: Round, id: Id, contribution: Option<Arc<Checked>>) {
        self.sealed.remove(&id);
        if let Some(contribution) = contribution.filter(|_| round == self.round) {
            self.good.insert(id, contribution);
        }
    }

    /// The good contributions of `round` and when they were committed to, by uid.
    pub fn good(&self, round: Round) -> BTreeMap<Uid, (Arc<Checked>, BlockNumber)> {
        let first_seen = |id: &Id| self.first_seen.get(id).copied().unwrap_or_default();
        let good = self.good.iter().filter(|_| self.round == round);
        good.map(|(id, contribution)| (id.0, (contribution.clone(), first_seen(id))))
            .collect()
    }
}

impl<C: Chain> Worker<C> {
    pub(super) fn fetch(&mut self, round: Round, seen: Seen) {
        let id = (seen.uid, seen.sealed_root);
        let commitment = self
            .checks
            .committed
            .get(&id)
            .map(|(_, commitment)| commitment.clone());
        let run = self.run.clone();
        self.jobs.spawn(async move {
            let file = match commitment {
                Some(commitment) => fetch(&run, round, &commitment).await,
                None => return Ok(Done::Fetched(round, id.0, id.1, None)),
            };
            let file = match file {
                Ok(file) => Some(file),
                // It may still be under way; the next view asks again.
                Err(error @ StoreError::NotFound { .. }) => {
                    tracing::debug!("round {round} · {error}");
                    None
                }
                Err(error) => {
                    tracing::warn!("round {round} · uid {}: {error}", id.0);
                    None
                }
            };
            Ok(Done::Fetched(round, id.0, id.1, file))
        });
    }

    pub(super) fn open(&mut self, round: Round, seen: Seen) {
        let id = (seen.uid, seen.sealed_root);
        let committed = self.checks.committed.get(&id).cloned();
        let sealed = self.checks.sealed.get(&id).cloned();
        let (run, parent_root, reporter) = (self.run.clone(), self.held.root, self.reporter);
        self.jobs.spawn(async move {
            let nothing = Done::Opened(round, id.0, id.1, None);
            let (Some((hotkey, commitment)), Some(sealed), Some(key)) =
                (committed, sealed, seen.key)
            else {
                return Ok(nothing);
            };
            let opened = tokio::task::spawn_blocking(move || {
                check(
                    &run,
                    &Claim {
                        round,
                        hotkey,
                        commitment,
                        key,
                        parent_root,
                    },
                    &sealed,
                )
            });
            Ok(match opened.await? {
                Ok(contribution) => Done::Opened(round, id.0, id.1, Some(Arc::new(contribution))),
                Err(refusal) => {
                    let reason = refusal.to_string();
                    reporter.say(&Progress::Refused {
                        round,
                        uid: id.0,
                        reason,
                    });
                    nothing
                }
            })
        });
    }
}
