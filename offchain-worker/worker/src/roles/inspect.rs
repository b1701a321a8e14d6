//! Fetching a contribution, and checking it against what the chain has of it.

use bytes::Bytes;
use cairn_chain::AccountId;
use cairn_gradient::{
    checked::{self, Checked, Refusal, Terms},
    Header,
};
use cairn_primitives::{Balance, Commitment, Hotkey, Netuid, Round, H256};
use cairn_protocol::verdict::{self, check_card_bond, Before};
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
        others: Vec::new(),
    }
}

/// Whether enough stood behind a contribution, for what computed it, at the first block of its round's reveal phase:
/// one for all validators, and so near that nodes keep its state when files are opened. Who was no member had no bond.
/// Of a node that does not answer, or keeps no more of the block, nothing is known, and nothing objected.
///
/// # Errors
/// [`verdict::Refusal::CardBond`].
pub(super) async fn check_bond<C: Chain>(
    chain: &C,
    run: &Run,
    best: H256,
    header: &Header,
) -> Result<(), verdict::Refusal> {
    let rules = &run.config.audits;
    if !header.work.engine.is_card() || !rules.admits_cards() {
        return Ok(());
    }
    match bond_at_reveal(chain, run.netuid, best, header).await {
        Some((bond, least)) => check_card_bond(header, rules, bond, least),
        None => Ok(()),
    }
}

/// The bond of a contribution's maker when its round's reveal phase began, and the least that the subnet asked for.
async fn bond_at_reveal<C: Chain>(
    chain: &C,
    netuid: Netuid,
    best: H256,
    header: &Header,
) -> Option<(Balance, Balance)> {
    let round = chain.round(best, netuid, header.round).await.ok()??;
    let begin = chain.block_hash(round.times.reveal).await.ok()??;
    let maker = AccountId::from(header.hotkey.0 .0);
    let subnet = chain.subnet(begin, netuid);
    let (subnet, member) = tokio::join!(subnet, chain.member(begin, netuid, maker));
    let (subnet, member) = (subnet.ok()??, member.ok()?);
    let bond = member.map_or(0, |member| member.bond);
    Some((bond, subnet.hyperparameters.min_miner_bond))
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
        uid: claim.uid,
        commitment: claim.commitment.clone(),
        key: claim.key,
        parent_root: claim.parent_root,
        before,
    };
    checked::check(&terms, &claim, sealed)
}
