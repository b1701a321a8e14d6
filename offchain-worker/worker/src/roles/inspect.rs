//! Fetching a contribution, and checking it against what the chain has of it.

use bytes::Bytes;
use cairn_gradient::checked::{self, Checked, Refusal, Terms};
use cairn_primitives::{Commitment, Hotkey, Round};
use cairn_protocol::verdict::Before;
use cairn_round::{ahead::Sealed, validator::Claim};
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
    sources::file(desk, &wanted(&desk.run, round, maker, commitment)).await
}

/// Brings a sealed file here for [`fetch`] to find, if it is to be had now. Whether it is here.
///
/// # Errors
/// Those of the own store.
pub(super) async fn fetch_ahead<C: Chain>(
    desk: &Desk<C>,
    sealed: &Sealed,
) -> Result<bool, StoreError> {
    let wanted = wanted(&desk.run, sealed.round, sealed.hotkey, &sealed.commitment);
    sources::ahead(desk, &wanted, sealed.whom).await
}

fn wanted(run: &Run, round: Round, maker: Hotkey, commitment: &Commitment) -> Wanted {
    Wanted {
        prefix: paths::contributions(run.netuid.get(), round),
        root: commitment.sealed_root.0,
        length: commitment.length,
        most: run.max_len,
        maker,
        round,
        holders: Vec::new(),
    }
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
