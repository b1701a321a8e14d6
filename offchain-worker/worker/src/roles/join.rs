//! Weights for who comes late.
//!
//! The newest checkpoint in the store whose root the chain's lineage has as final; failing that the run's first
//! weights. From there the worker's loop applies the rounds that were settled since, one after the other, and
//! compares the root after each with the lineage: the same way that everybody goes.

use std::collections::BTreeMap;

use cairn_chain::RunInfo;
use cairn_primitives::{Round, H256};
use cairn_store::{paths, StoreError};

use super::{
    chain::Chain,
    held::Held,
    run::Run,
    state::{bytes, floats},
    RoleError,
};
use crate::shards;

/// Lineage entries that are looked at.
const LOOK_BACK: Round = 255;
/// Checkpoints that are tried.
const ATTEMPTS: usize = 4;

/// A checkpoint is written when a round divisible by this begins.
pub const CHECKPOINT_EVERY: Round = 5;

/// Whether a checkpoint of the weights with which `round` begins is to be written. The one of round 1 lets
/// people see early that checkpoints work.
pub fn is_checkpoint_round(round: Round) -> bool {
    round == 1 || (round > 0 && round.is_multiple_of(CHECKPOINT_EVERY))
}

/// Writes a checkpoint. Its name is the state root, since that is the hash of its bytes.
///
/// # Errors
/// [`StoreError`].
pub async fn write_checkpoint(run: &Run, held: &Held) -> Result<(), StoreError> {
    let prefix = paths::checkpoints(run.netuid, held.round);
    if run.store.has_blob(&prefix, &held.root.0).await? {
        return Ok(());
    }
    run.store
        .put_blob(&prefix, bytes(&held.theta).into())
        .await
        .map(|_| ())
}

/// The newest weights to be had that the chain vouches for, as of the finalised block `at`.
///
/// # Errors
/// [`RoleError::NoCheckpoint`] if the chain no longer keeps what follows the weights that there are,
/// [`RoleError::Run`] if the run's first weights do not come out as the chain has them.
pub async fn join<C: Chain>(
    chain: &C,
    run: &Run,
    at: H256,
    info: &RunInfo,
) -> Result<Held, RoleError> {
    let from = info
        .round
        .round
        .saturating_sub(LOOK_BACK)
        .max(info.oldest_round);
    let lineage = chain.lineage(at, run.netuid, from).await?;
    let vouched: BTreeMap<Round, H256> = lineage
        .iter()
        .filter(|entry| entry.is_final && entry.round >= info.oldest_round)
        .map(|entry| (entry.round, entry.state_root))
        .collect();
    if let Some(held) = newest_checkpoint(run, &vouched).await? {
        return Ok(held);
    }
    if info.oldest_round > 0 {
        return Err(RoleError::NoCheckpoint {
            netuid: run.netuid,
            oldest: info.oldest_round,
            store: run.store.url().to_string(),
        });
    }
    let theta = shards::verified_weights(&run.config, &run.store).await?;
    Ok(Held {
        round: 0,
        theta: theta.into(),
        root: run.config.initial_root,
    })
}

/// The newest checkpoint that has a vouched root and can be read.
async fn newest_checkpoint(
    run: &Run,
    vouched: &BTreeMap<Round, H256>,
) -> Result<Option<Held>, RoleError> {
    let listed = run.store.list(&paths::all_checkpoints(run.netuid)).await?;
    let mut candidates: Vec<(Round, H256)> = listed
        .iter()
        .filter_map(|entry| paths::parse_checkpoint(run.netuid, &entry.path))
        .map(|(round, root)| (round, H256(root)))
        .filter(|(round, root)| vouched.get(round) == Some(root))
        .collect();
    candidates.sort_unstable_by(|a, b| b.cmp(a));
    let length = run.layout.parameters() as u64 * 4;
    for (round, root) in candidates.into_iter().take(ATTEMPTS) {
        // The root is the hash of the bytes, so a damaged file is found out here.
        match run
            .store
            .get_blob(&paths::checkpoints(run.netuid, round), &root.0, length)
            .await
        {
            Ok(file) if file.len() as u64 == length => {
                return Ok(Some(Held {
                    round,
                    theta: floats(&file).into(),
                    root,
                }));
            }
            Ok(_) => {
                tracing::warn!("the checkpoint of round {round} is of another model; passed over")
            }
            Err(error) => tracing::warn!("{error}; passed over"),
        }
    }
    Ok(None)
}
