//! Fetching, opening and checking one contribution.

use bytes::Bytes;
use cairn_chain::AccountId;
use cairn_gradient::DecodeError;
use cairn_primitives::{Commitment, ContributionKey, Round, H256};
use cairn_store::{paths, StoreError};

use super::run::Run;
use crate::checked::Checked;

/// Why a contribution is invalid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Another length than was committed to.
    #[error("it has {found} bytes, {committed} were committed to")]
    Length {
        /// Bytes of the file.
        found: u64,
        /// Bytes by the commitment.
        committed: u64,
    },
    /// Not the format, or not one of this run.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// For something or by somebody else.
    #[error("its header names another {0}")]
    Header(&'static str),
    /// More work than there was.
    #[error("it claims {found} inner steps, a round has {most}")]
    InnerSteps {
        /// What it claims.
        found: u32,
        /// What a round has.
        most: u16,
    },
}

/// Whose contribution it should be, for what.
pub struct Claim {
    /// The round.
    pub round: Round,
    /// Who committed.
    pub hotkey: AccountId,
    /// To what.
    pub commitment: Commitment,
    /// The revealed key.
    pub key: ContributionKey,
    /// Root of the weights with which the round began.
    pub parent_root: H256,
}

/// Fetches a sealed file and compares its root.
///
/// # Errors
/// [`StoreError`], among them [`StoreError::TooLarge`] for a file longer than any contribution of the run.
pub async fn fetch(run: &Run, round: Round, commitment: &Commitment) -> Result<Bytes, StoreError> {
    let prefix = paths::contributions(run.netuid, round);
    run.store
        .get_blob(&prefix, &commitment.sealed_root.0, run.max_len)
        .await
}

/// Opens a sealed file, of which the root has been compared, and checks that it is what the miner owes.
///
/// # Errors
/// [`Refusal`].
pub fn check(run: &Run, claim: &Claim, sealed: &[u8]) -> Result<Checked, Refusal> {
    let (found, committed) = (sealed.len() as u64, claim.commitment.length);
    if found != committed {
        return Err(Refusal::Length { found, committed });
    }
    let checked = Checked::open(sealed, &claim.key, &run.layout, &run.config)?;
    let header = checked.header();
    let named = [
        (header.netuid == run.netuid, "subnet"),
        (header.round == claim.round, "round"),
        (header.hotkey == claim.hotkey.0, "hotkey"),
        (header.parent_root == claim.parent_root, "parent root"),
        (
            claim.commitment.parent_root == claim.parent_root,
            "parent root than was committed to",
        ),
        (header.layout_hash == run.layout_hash, "layout"),
    ];
    if let Some((_, what)) = named.into_iter().find(|(same, _)| !same) {
        return Err(Refusal::Header(what));
    }
    let (found, most) = (header.inner_steps, run.config.inner.steps);
    if found > u32::from(most) {
        return Err(Refusal::InnerSteps { found, most });
    }
    Ok(checked)
}
