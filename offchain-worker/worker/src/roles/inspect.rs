//! Fetching a contribution, and checking it against what the chain has of it.

use bytes::Bytes;
use cairn_gradient::checked::{self, Checked, Refusal, Terms};
use cairn_primitives::{Commitment, Round};
use cairn_protocol::verdict::Before;
use cairn_round::validator::Claim;
use cairn_store::{paths, StoreError};

use super::run::Run;

/// Fetches a sealed file and compares its root.
///
/// # Errors
/// [`StoreError`], among them [`StoreError::TooLarge`] for a file longer than any contribution of the run.
pub async fn fetch(run: &Run, round: Round, commitment: &Commitment) -> Result<Bytes, StoreError> {
    let prefix = paths::contributions(run.netuid.get(), round);
    run.store
        .get_blob(&prefix, &commitment.sealed_root.0, run.max_len)
        .await
}

/// Opens a sealed file, of which the root has been compared, and checks that it is what the miner owes, given what is known
/// of the rounds `before`: nothing if the chain has settled on it.
///
/// # Errors
/// [`Refusal`].
pub fn check(run: &Run, claim: &Claim, before: Before, sealed: &[u8]) -> Result<Checked, Refusal> {
    let terms = Terms {
        netuid: run.netuid,
        config: &run.config,
        layout: &run.layout,
    };
    let claim = checked::Claim {
        round: claim.round,
        hotkey: claim.hotkey,
        commitment: claim.commitment.clone(),
        key: claim.key,
        parent_root: claim.parent_root,
        before,
    };
    checked::check(&terms, &claim, sealed)
}
