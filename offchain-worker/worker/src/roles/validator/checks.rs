//! The contributions of the current round: fetched while they are sealed, opened when their keys come.

use std::sync::Arc;

use bytes::Bytes;
use cairn_gradient::{checked::Refusal, Checked};
use cairn_primitives::{Commitment, Hotkey, Round, Uid};
use cairn_protocol::verdict::Before;
use cairn_round::validator::{Claim, Id};
use cairn_store::StoreError;

use super::{Outcome, ValidatorRole};
use crate::metrics::{Failed, Stage};
use crate::roles::{
    chain::Chain,
    driver::{Desk, Ended, Jobs},
    inspect,
    jobs::fetching,
    progress::Progress,
    setup::locked,
};

/// Fetches a sealed file and compares its root.
pub(super) fn fetch<C: Chain>(
    desk: &Desk<C>,
    jobs: &mut Jobs<Outcome>,
    round: Round,
    (uid, hotkey): (Uid, Hotkey),
    commitment: Commitment,
) {
    let desk = desk.clone();
    let moves = fetching(1, commitment.length.min(desk.run.max_len));
    jobs.spawn_moving("fetching a contribution", moves, async move {
        let file = match inspect::fetch(&desk, round, hotkey, &commitment).await {
            Ok(file) => Some(file),
            // It may still be under way; the next view asks again.
            Err(error @ StoreError::NotFound { .. }) => {
                tracing::debug!("round {round} · {error}");
                None
            }
            Err(error) => {
                tracing::warn!("round {round} · uid {uid}: {error}");
                desk.metrics().failed(Failed::Fetch);
                None
            }
        };
        let id = (uid, commitment.sealed_root);
        Ok(Ended::Own(Outcome::Fetched(round, id, file)))
    });
}

impl ValidatorRole {
    /// Opens and checks a file that is here.
    pub(super) fn open<C: Chain>(
        &mut self,
        desk: &Desk<C>,
        jobs: &mut Jobs<Outcome>,
        claim: Claim,
    ) {
        let (round, uid) = (claim.round, claim.uid);
        let id = (uid, claim.commitment.sealed_root);
        let sealed = self.sealed.remove(&id);
        let (desk, run, reporter) = (desk.clone(), desk.run.clone(), desk.reporter.clone());
        let before = Before {
            norm: *locked(&run.norm),
            last: locked(&run.ends).last(&claim.hotkey),
        };
        jobs.spawn("checking a contribution", async move {
            let _timer = reporter.metrics.time(Stage::Open);
            let Some(sealed) = sealed else {
                return Ok(Ended::Own(Outcome::Opened(round, id, None)));
            };
            let opened =
                tokio::task::spawn_blocking(move || inspect::check(&run, &claim, before, &sealed))
                    .await?;
            let opened = match opened {
                Ok(contribution) => {
                    let (best, header) = (desk.heads.best.hash, contribution.header());
                    inspect::check_bond(&desk.chain, &desk.run, best, header)
                        .await
                        .map(|()| contribution)
                        .map_err(Refusal::from)
                }
                refused => refused,
            };
            if let Err(refusal) = &opened {
                let reason = refusal.to_string();
                reporter.say(&Progress::Refused { round, uid, reason });
            }
            let opened = opened.map(Arc::new);
            Ok(Ended::Own(Outcome::Opened(round, id, Some(opened))))
        });
    }

    fn is_held(&self, round: Round) -> bool {
        self.machine.held().map(|held| held.round) == Some(round)
    }

    pub(super) fn fetched(&mut self, round: Round, id: Id, file: Option<Bytes>) {
        if let Some(file) = file.filter(|_| self.is_held(round)) {
            self.sealed.insert(id, file);
        }
    }

    pub(super) fn opened(&mut self, round: Round, id: Id, contribution: Option<Arc<Checked>>) {
        if let Some(contribution) = contribution.filter(|_| self.is_held(round)) {
            let of_round = self.good.entry(round).or_default();
            of_round.insert(id, contribution);
        }
    }
}
