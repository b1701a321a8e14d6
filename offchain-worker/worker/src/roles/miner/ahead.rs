//! Sealed files of others that are fetched before their round is settled, beside all else that a miner does.

use cairn_primitives::Round;
use cairn_round::ahead::Sealed;
use tokio::sync::watch;

use super::Outcome;
use crate::roles::{
    chain::Chain,
    driver::{Desk, Ended, Jobs},
    inspect,
};

/// What tells those under way to end.
#[derive(Default)]
pub(super) struct Fetching {
    /// The last round that is over.
    over: watch::Sender<Option<Round>>,
}

impl Fetching {
    /// Begins to fetch a file.
    pub fn begin<C: Chain>(&self, desk: &Desk<C>, jobs: &mut Jobs<Outcome>, sealed: Sealed) {
        let (desk, mut over) = (desk.clone(), self.over.subscribe());
        let (round, id) = (sealed.round, sealed.id);
        jobs.spawn("fetching a contribution ahead", async move {
            let is_over = async move {
                // There is nobody left to tell of it, or it was told.
                let _ = over
                    .wait_for(|over| over.is_some_and(|over| over >= round))
                    .await;
            };
            let is_here = tokio::select! {
                fetched = inspect::fetch_ahead(&desk, &sealed) => fetched.unwrap_or_else(|error| {
                    // It is fetched when it is needed, if not before.
                    tracing::debug!("round {round} · {error}");
                    false
                }),
                () = is_over => false,
            };
            Ok(Ended::Own(Outcome::Fetched(round, id, is_here)))
        });
    }

    /// Has what is under way of this round, and of those before it, end.
    pub fn stop(&self, round: Round) {
        self.over.send_replace(Some(round));
    }
}
