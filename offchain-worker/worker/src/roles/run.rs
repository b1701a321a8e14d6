//! The run that a worker takes part in, loaded and checked once.

use std::sync::{Arc, Mutex};

use cairn_chain::{AccountId, RoundInfo, RunInfo};
use cairn_data::{DataSet, Manifest};
use cairn_gradient::max_encoded_len;
use cairn_primitives::{BlockNumber, Layout, Netuid, RunConfig, Uid, H256};
use cairn_protocol::{
    assignment::{DataRange, Plan, RoundData},
    verdict::Ends,
};
use cairn_round::heard::Heard;
use cairn_store::Store;

use super::{clocks::Clocks, stores::Stores, RoleError};
use crate::{scoring, shards};

/// What stays the same for as long as a run lasts.
pub struct Run {
    /// The subnet.
    pub netuid: Netuid,
    /// This worker.
    pub hotkey: AccountId,
    /// The block at which the run was started, which tells it from the subnet's other runs.
    pub started_at: BlockNumber,
    /// Its configuration.
    pub config: RunConfig,
    /// Where the parameters lie.
    pub layout: Layout,
    /// What identifies the layout.
    pub layout_hash: H256,
    /// The most bytes that a contribution can have.
    pub max_len: u64,
    /// What there is of text.
    pub manifest: Manifest,
    /// What is trained on.
    pub data: DataSet,
    /// Where this worker's files go and others' come from.
    pub store: Store,
    /// Where the data and the first parameters are.
    pub data_store: Store,
    /// [`cairn_engine::Engine::norm`] of the parameters held. Roles read it while the engine computes.
    pub norm: Mutex<Option<f64>>,
    /// Where makers ended, as far as the rounds before the one held were seen here.
    pub ends: Mutex<Ends>,
    /// The same after the round that is being applied.
    pub next_ends: Mutex<Option<Ends>>,
    /// Since when the present round can have been under way.
    pub heard: Mutex<Heard>,
    /// By which clocks.
    pub(super) clocks: Clocks,
}

impl Run {
    /// Loads the run's data from the store that it names, or from the own one, and checks all of it.
    ///
    /// # Errors
    /// [`RoleError::Store`], [`RoleError::NamedStore`], [`RoleError::Run`] and [`RoleError::Windows`].
    pub async fn load(
        netuid: Netuid,
        hotkey: AccountId,
        info: &RunInfo,
        stores: &Stores,
    ) -> Result<Arc<Run>, RoleError> {
        let config = info.config.clone();
        let (store, data_store) = (stores.own()?, stores.of_run(&config)?);
        store.check_writable().await?;
        let manifest = shards::manifest(&data_store, config.data.manifest_root).await?;
        let data = shards::load_into(&store, &data_store, &manifest).await?;
        let length = config.inner.sequence_length;
        let (found, expected) = (data.windows(length), config.data.windows);
        if found != expected {
            return Err(RoleError::Windows {
                found,
                expected,
                length,
            });
        }
        let layout = Layout::of(&config.model);
        Ok(Arc::new(Run {
            netuid,
            hotkey,
            started_at: info.started_at,
            layout_hash: layout.hash(),
            max_len: max_encoded_len(&layout, &config.compression_of(Uid(0), 0)),
            config,
            layout,
            manifest,
            data,
            store,
            data_store,
            norm: Mutex::new(None),
            ends: Mutex::default(),
            next_ends: Mutex::default(),
            heard: Mutex::default(),
            clocks: Clocks::start(),
        }))
    }

    /// Where others' files may be: the own store, and the run's if that is another one.
    pub fn stores(&self) -> impl Iterator<Item = &Store> {
        let named = Some(&self.data_store).filter(|named| named.url() != self.store.url());
        std::iter::once(&self.store).chain(named)
    }

    /// The windows with these numbers; those that do not exist are left out.
    pub fn windows(&self, numbers: &[u64]) -> Vec<&[u32]> {
        scoring::windows(&self.data, numbers, self.config.inner.sequence_length)
    }

    /// Who has to train on what in a round of this run, and what its contributions are measured on.
    pub fn plan(&self, round: &RoundInfo) -> Plan {
        let (pass, cursor) = (round.pass, round.cursor);
        self.plan_at(DataRange { pass, cursor }, round.miners.len())
    }

    /// The same of a round with so many miners whose data begins there.
    pub fn plan_at(&self, range: DataRange, miners: usize) -> Plan {
        let miners = miners as u64;
        Plan::new(self.netuid, &self.config, RoundData { range, miners })
    }

    /// Makes sure that the chain still has this run.
    ///
    /// # Errors
    /// [`RoleError::RunReplaced`].
    pub fn expect(&self, info: &RunInfo) -> Result<(), RoleError> {
        let (expected, found) = (self.started_at, info.started_at);
        if expected == found {
            return Ok(());
        }
        Err(RoleError::RunReplaced {
            netuid: self.netuid,
            expected,
            found,
        })
    }
}
