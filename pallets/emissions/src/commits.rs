//! Scores by commit and reveal, so that nobody can copy them.
//!
//! ```text
//!            epoch e                       epoch e+1
//!   ────────────┼──────────────────────────────┼────────────▶ blocks
//!     commit(e) │  reveal(e)                   │ counts the
//!               │  commit(e+1)                 │ scores of e
//! ```
//!
//! A commitment names the epoch before which it is made. It can be revealed once that epoch has run, when
//! nobody can commit to the same epoch any more, and until the next one, which is the first that it counts
//! in. Somebody who copies revealed scores is therefore always an epoch behind. A validator may replace its
//! commitment as long as nobody could have seen it. One that does not reveal in time has no vote in that epoch: whoever
//! could keep older scores instead would reveal only what pays.
//!
//! Revealed scores are as old as their commitment: they say nothing of a member who came after it.
//!
//! The commitment binds its validator to a file of evidence, too, from which the scores follow. Root and length of that
//! are revealed with the scores and kept with them; the file itself the validator serves, and the chain does not look
//! at it.

use alloc::vec::Vec;

use cairn_primitives::{
    api::{EvidenceCommit, ScoresCommit},
    scores_hash,
    traits::Membership,
    BlockNumber, EpochIndex, Hotkey, Netuid, Salt, Served, Uid, H256, MAX_MEMBERS,
};
use codec::Encode;
use frame_support::{ensure, traits::Get};

use crate::{
    pallet::{Commits, Config, Error, Pallet, SubnetLedgers},
    types::{Row, Vote},
};

/// Commitments of a uid that are kept: one that can be revealed, one that can be replaced.
pub(crate) const SLOTS: [u8; 2] = [0, 1];

/// Where the commitment before an epoch is kept.
pub(crate) fn slot(epoch: EpochIndex) -> u8 {
    u8::from(epoch % 2 == 1)
}

impl<T: Config> Pallet<T> {
    /// The number of a subnet's next epoch.
    pub(crate) fn next_epoch(netuid: Netuid) -> EpochIndex {
        SubnetLedgers::<T>::get(netuid).map_or(0, |ledger| ledger.epochs)
    }

    /// Whether `hotkey` may commit to scores before `epoch` now: its uid, and what is kept.
    pub(crate) fn check_commit(
        hotkey: &T::AccountId,
        netuid: Netuid,
        epoch: EpochIndex,
        hash: H256,
    ) -> Result<(Uid, ScoresCommit), Error<T>> {
        let (uid, hyperparameters) = Self::check_validator(hotkey, netuid)?;
        ensure!(hyperparameters.commit_reveal, Error::<T>::CommitRevealOff);
        ensure!(
            epoch == Self::next_epoch(netuid),
            Error::<T>::NotTheNextEpoch
        );
        let now = Self::now();
        let replaced = Commits::<T>::get((netuid, uid, slot(epoch)))
            .filter(|commit| commit.epoch == epoch)
            .map(|commit| commit.at);
        ensure!(Self::rested(replaced, now), Error::<T>::TooSoon);
        let commit = ScoresCommit {
            epoch,
            hash,
            at: now,
            revealed: false,
        };
        Ok((uid, commit))
    }

    /// Whether `hotkey` may reveal these scores and this evidence, to which it committed before `epoch`, now: its uid,
    /// the vote that they make, and the commitment, which is used up.
    pub(crate) fn check_reveal(
        hotkey: &T::AccountId,
        netuid: Netuid,
        epoch: EpochIndex,
        scores: &Row,
        evidence: Served,
        salt: &Salt,
    ) -> Result<(Uid, Vote, ScoresCommit), Error<T>> {
        let (uid, _) = Self::check_validator(hotkey, netuid)?;
        let next = Self::next_epoch(netuid);
        ensure!(epoch < next, Error::<T>::RevealTooEarly);
        ensure!(epoch.saturating_add(1) >= next, Error::<T>::RevealTooLate);
        let mut commit = Commits::<T>::get((netuid, uid, slot(epoch)))
            .filter(|commit| commit.epoch == epoch)
            .ok_or(Error::<T>::NoCommit)?;
        ensure!(!commit.revealed, Error::<T>::AlreadyRevealed);
        let hash = hash_of((netuid, epoch), hotkey, scores, evidence, salt);
        ensure!(hash == commit.hash, Error::<T>::NotWhatWasCommitted);
        // Members may have left since the commitment; scores on nobody do not spoil those on others.
        let gone = |uid: Uid| {
            u32::from(uid.get()) < MAX_MEMBERS && T::Membership::hotkey(netuid, uid).is_none()
        };
        let mut left = scores.clone();
        left.retain(|(uid, _)| !gone(*uid));
        let vote = Vote {
            set_at: commit.at,
            scores: Self::check_row(netuid, uid, &left)?,
            evidence: Some(EvidenceCommit {
                epoch,
                file: evidence,
            }),
        };
        commit.revealed = true;
        Ok((uid, vote, commit))
    }

    /// The commitments that are kept of a uid, ascending by epoch.
    pub(crate) fn commits_of(netuid: Netuid, uid: Uid) -> Vec<ScoresCommit> {
        let mut commits: Vec<_> = SLOTS
            .iter()
            .filter_map(|slot| Commits::<T>::get((netuid, uid, *slot)))
            .collect();
        commits.sort_unstable_by_key(|commit| commit.epoch);
        commits
    }

    /// Whether enough blocks have passed since the last scores.
    pub(crate) fn rested(last: Option<BlockNumber>, now: BlockNumber) -> bool {
        last.is_none_or(|last| now >= last.saturating_add(T::ScoresRateLimit::get()))
    }
}

/// [`scores_hash`] for any type of account. Accounts of 32 bytes encode as those.
pub(crate) fn hash_of(
    (netuid, epoch): (Netuid, EpochIndex),
    hotkey: &impl Encode,
    scores: &Row,
    evidence: Served,
    salt: &Salt,
) -> H256 {
    let mut key = [0u8; 32];
    hotkey.using_encoded(|bytes| key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from));
    let hotkey = Hotkey::from(key);
    scores_hash(netuid, epoch, &hotkey, scores, evidence, salt)
}
