//! Following a run from outside: the parameters of every round, from the chain's settled rounds and the store.
//!
//! It does what every worker does at a round's end, with the same functions: fetch the included contributions, check
//! that each is what the chain says of it and what its miner owed, and apply the outer step.

use std::sync::Arc;

use cairn_chain::{ContributionInfo, View};
use cairn_gradient::{
    checked::{check, counted, outer_step, Checked, Claim, Terms},
    max_encoded_len, model_root,
};
use cairn_primitives::{
    api::SettledRound, ContributionKey, Layout, ModelRoot, Netuid, Round, RunConfig, Uid,
};
use cairn_protocol::{overlap, verdict::Before};
use cairn_store::{paths, Store, StoreError};

use crate::error::Failure;

/// The parameters of one round of a run.
pub struct Follower {
    netuid: Netuid,
    config: RunConfig,
    layout: Layout,
    /// Where files are looked for, one after the other.
    stores: Vec<Store>,
    round: Round,
    parameters: Vec<f32>,
    root: ModelRoot,
    /// The root of the parameters of the round before; of round 0, which has none before it, that round's own.
    before: ModelRoot,
}

impl Follower {
    /// Begins with the parameters of round 0.
    pub fn new(
        netuid: Netuid,
        config: RunConfig,
        stores: Vec<Store>,
        parameters: Vec<f32>,
    ) -> Follower {
        let layout = Layout::of(&config.model);
        let root = model_root(&parameters);
        Follower {
            netuid,
            config,
            layout,
            stores,
            round: 0,
            root,
            before: root,
            parameters,
        }
    }

    /// Looks for files in this store, too.
    pub fn look_in(&mut self, store: Store) {
        self.stores.push(store);
    }

    /// The round that begins with [`Follower::parameters`].
    pub fn round(&self) -> Round {
        self.round
    }

    /// The parameters that the round begins with.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// Their model root.
    pub fn root(&self) -> ModelRoot {
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
    /// in bytes. If the outer step fails, the parameters are of no more use.
    pub async fn advance(
        &mut self,
        view: &View,
        settled: &SettledRound,
    ) -> Result<Vec<u64>, Failure> {
        let on_chain = view.contributions(self.netuid, self.round).await?;
        let mut contributions = Vec::with_capacity(settled.included.len());
        let mut sizes = Vec::with_capacity(settled.included.len());
        for (uid, standing) in settled.standings() {
            let entry = on_chain
                .iter()
                .find(|entry| entry.uid == uid)
                .ok_or_else(|| {
                    let what = format!(
                        "the node no longer has what {uid} contributed in round {}",
                        self.round
                    );
                    Failure::new(what, "follow the run while it goes on")
                })?;
            contributions.push((uid, standing, self.fetch(uid, entry).await?));
            sizes.push(entry.commitment.length);
        }
        // Aside: whoever follows has other things to do meanwhile, and hears Ctrl-C.
        let mut parameters = std::mem::take(&mut self.parameters);
        let (layout, config) = (self.layout.clone(), self.config.clone());
        let contributions = counted(&config, contributions);
        let step = move || {
            let root = outer_step(&mut parameters, &layout, &config, &contributions);
            root.map(|stepped| (parameters, stepped.root))
        };
        let before = self.root;
        (self.parameters, self.root) = tokio::task::spawn_blocking(step).await??;
        self.before = before;
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
        let prefix = paths::contributions(self.netuid.get(), self.round);
        let most = max_encoded_len(&self.layout, &self.config.compression_of(uid, self.round));
        let root = entry.commitment.sealed_root.bytes();
        let mut sealed = Err(StoreError::NotFound {
            store: "any store".into(),
            path: paths::blob(&prefix, root),
        });
        for store in &self.stores {
            sealed = store.get_blob(&prefix, root, most).await;
            if sealed.is_ok() {
                break;
            }
        }
        let sealed = sealed?;
        self.checked(uid, entry, key, &sealed).map(Arc::new)
    }

    /// The contribution, if the file, of which the store has compared the root, is what its miner owed.
    fn checked(
        &self,
        uid: Uid,
        entry: &ContributionInfo,
        key: ContributionKey,
        sealed: &[u8],
    ) -> Result<Checked, Failure> {
        // Without a final root nothing was included, and this is the same root.
        let before = Some(self.before).filter(|_| self.config.overlaps());
        let claim = Claim {
            round: self.round,
            hotkey: entry.hotkey.hotkey(),
            uid,
            commitment: entry.commitment.clone(),
            key,
            parent_root: overlap::base(self.root, before),
            // The chain has settled on it.
            before: Before::default(),
        };
        let terms = Terms {
            netuid: self.netuid,
            config: &self.config,
            layout: &self.layout,
        };
        check(&terms, &claim, sealed).map_err(|refusal| {
            let what = format!("the contribution of {uid} in round {}", self.round);
            Failure::during(what, refusal)
        })
    }
}

#[cfg(test)]
mod tests {
    use cairn_chain::AccountId;
    use cairn_gradient::{compress, seal, sealed_root, Header, Work};
    use cairn_primitives::{key_hash, Commitment};

    use super::*;
    use crate::roles::testing::{config_and_store, NETUID};

    const KEY: ContributionKey = [5; 32];
    const HOTKEY: AccountId = AccountId([6; 32]);

    /// A contribution to the follower's round, as it is in the store and on chain.
    fn contribution(
        follower: &Follower,
        change: impl FnOnce(&mut Header),
    ) -> (ContributionInfo, Vec<u8>) {
        let mut header = Header {
            netuid: NETUID,
            round: follower.round(),
            hotkey: HOTKEY.hotkey(),
            parent_root: follower.root(),
            layout_hash: follower.layout().hash(),
            inner_steps: 1,
            tokens: 1,
            mean_loss: 3.0,
            work: Work::default(),
        };
        change(&mut header);
        let delta: Vec<f32> = (0..follower.parameters().len())
            .map(|i| (i % 7) as f32 - 3.0)
            .collect();
        let mut error = vec![0.0; delta.len()];
        let compression = follower.config().compression_of(Uid(1), follower.round());
        let made = compress(follower.layout(), &compression, &delta, &mut error, header);
        let mut sealed = made.expect("it fits").1;
        seal(&mut sealed, &KEY);
        let entry = ContributionInfo {
            uid: Uid(1),
            hotkey: HOTKEY,
            commitment: Commitment {
                parent_root: follower.root(),
                sealed_root: sealed_root(&sealed),
                length: sealed.len() as u64,
                key_hash: key_hash(NETUID, follower.round(), &HOTKEY.hotkey(), &KEY),
            },
            key: Some(KEY),
            support: 0,
        };
        (entry, sealed)
    }

    #[tokio::test]
    async fn a_follower_refuses_what_every_worker_refuses() {
        let directory = tempfile::tempdir().expect("a directory");
        let (config, store) = config_and_store(directory.path()).await;
        let parameters = vec![0.5; Layout::of(&config.model).parameters()];
        let follower = Follower::new(NETUID, config, vec![store], parameters);
        let refusal = |entry: &ContributionInfo, sealed: &[u8]| {
            let found = follower.checked(Uid(1), entry, KEY, sealed);
            found.err().map(|failure| failure.to_string())
        };
        let (entry, sealed) = contribution(&follower, |_| {});
        assert_eq!(refusal(&entry, &sealed), None);
        type Spoil = fn(&mut Header);
        let spoilt: [(Spoil, &str); 5] = [
            (
                |header| header.netuid = Netuid(header.netuid.get() + 1),
                "subnet",
            ),
            (|header| header.round += 1, "round"),
            (|header| header.hotkey.0 .0[0] ^= 1, "hotkey"),
            (
                |header| header.parent_root = ModelRoot::zero(),
                "parent root",
            ),
            (|header| header.inner_steps = 9_999, "inner steps"),
        ];
        for (spoil, word) in spoilt {
            let (entry, sealed) = contribution(&follower, spoil);
            let said = refusal(&entry, &sealed).expect(word);
            assert!(said.contains(word), "{said}");
        }
        let mut shorter = entry.clone();
        shorter.commitment.length -= 1;
        let said = refusal(&shorter, &sealed).expect("another length");
        assert!(said.contains("were committed to"), "{said}");
    }
}
