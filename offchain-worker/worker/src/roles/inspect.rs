//! Fetching a contribution, and checking it against what the chain has of it.

use bytes::Bytes;
use cairn_gradient::checked::{self, Checked, Refusal, Terms};
use cairn_primitives::{Commitment, Hotkey, Round};
use cairn_protocol::verdict::Before;
use cairn_round::validator::Claim;
use cairn_store::{paths, StoreError};

use super::{
    chain::Chain,
    driver::Desk,
    run::Run,
    sources::{self, Wanted},
};

/// Fetches the sealed file of this miner: from the own store, or from whoever has it.
///
/// # Errors
/// [`StoreError`], among them [`StoreError::TooLarge`] for a file longer than any contribution of the run.
pub(super) async fn fetch<C: Chain>(
    desk: &Desk<C>,
    round: Round,
    maker: Hotkey,
    commitment: &Commitment,
) -> Result<Bytes, StoreError> {
    let wanted = Wanted {
        prefix: paths::contributions(desk.run.netuid.get(), round),
        root: commitment.sealed_root.0,
        length: commitment.length,
        most: desk.run.max_len,
        maker,
        round,
        holders: Vec::new(),
    };
    sources::file(desk, &wanted).await
}

/// Opens a sealed file, of which the root has been compared, and checks that it is what the miner owes, given what is
/// known of the rounds `before`: nothing if the chain has settled on it.
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
