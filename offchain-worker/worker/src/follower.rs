//! Following a run from outside: the weights of every round, from the chain's settled rounds and the store.
//!
//! It does what every worker does at a round's end, with the same functions: fetch the included
//! contributions, check them against what the chain says of them, open, decode, and apply the outer step.

use std::sync::Arc;

use cairn_chain::{ContributionInfo, View};
use cairn_gradient::{max_encoded_len, sealed_root, state_root};
use cairn_primitives::{api::SettledRound, Layout, Netuid, Round, RunConfig, Uid, H256};
use cairn_store::{paths, Store};

use crate::{
    checked::{outer_step, Checked},
    error::Failure,
};

/// The weights of one round of a run.
pub struct Follower {
    netuid: Netuid,
    config: RunConfig,
    layout: Layout,
    store: Store,
    round: Round,
    weights: Vec<f32>,
    root: H256,
}

impl Follower {
    /// Begins with the weights of round 0.
    pub fn new(netuid: Netuid, config: RunConfig, store: Store, weights: Vec<f32>) -> Follower {
        let layout = Layout::of(&config.model);
        Follower {
            netuid,
            config,
            layout,
            store,
            round: 0,
            root: state_root(&weights),
            weights,
        }
    }

    /// The round that begins with [`Follower::weights`].
    pub fn round(&self) -> Round {
        self.round
    }

    /// The weights that the round begins with.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Their state root.
    pub fn root(&self) -> H256 {
        self.root
    }

    /// The model's layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The run's configuration.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Applies the round, which has been settled as `settled` says. Gives the included contributions' sizes
    /// in bytes. If the outer step fails, the weights are of no more use.
    pub async fn advance(
        &mut self,
        view: &View,
        settled: &SettledRound,
    ) -> Result<Vec<u64>, Failure> {
        let on_chain = view.contributions(self.netuid, self.round).await?;
        let mut contributions = Vec::with_capacity(settled.included.len());
        let mut sizes = Vec::with_capacity(settled.included.len());
        for uid in &settled.included {
            let entry = on_chain
                .iter()
                .find(|entry| entry.uid == *uid)
                .ok_or_else(|| {
                    let what = format!(
                        "the node no longer has what {uid} contributed in round {}",
                        self.round
                    );
                    Failure::new(what, "follow the run while it goes on")
                })?;
            contributions.push((*uid, self.fetch(*uid, entry).await?));
            sizes.push(entry.commitment.length);
        }
        // Aside: whoever follows has other things to do meanwhile, and hears Ctrl-C.
        let mut weights = std::mem::take(&mut self.weights);
        let (layout, config) = (self.layout.clone(), self.config.clone());
        let step = move || {
            let root = outer_step(&mut weights, &layout, &config, &contributions);
            root.map(|root| (weights, root))
        };
        (self.weights, self.root) = tokio::task::spawn_blocking(step).await??;
        self.round += 1;
        Ok(sizes)
    }

    async fn fetch(&self, uid: Uid, entry: &ContributionInfo) -> Result<Arc<Checked>, Failure> {
        let key = entry.key.ok_or_else(|| {
            Failure::new(
                format!("{uid} was included without a key"),
                "report this node as broken",
            )
        })?;
        let prefix = paths::contributions(self.netuid, self.round);
        let most = max_encoded_len(&self.layout, &self.config.compression_in(self.round));
        let sealed = self
            .store
            .get_blob(&prefix, &entry.commitment.sealed_root.0, most)
            .await?;
        debug_assert_eq!(sealed_root(&sealed), entry.commitment.sealed_root);
        let during = |error| {
            Failure::during(
                format!("the contribution of {uid} in round {}", self.round),
                error,
            )
        };
        let checked = Checked::open(&sealed, &key, &self.layout, &self.config);
        checked.map(Arc::new).map_err(during)
    }
}
