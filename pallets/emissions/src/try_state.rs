//! What holds at the end of every block.

use cairn_primitives::{
    traits::Membership, Balance, EpochIndex, Netuid, Pots, Uid, MAX_VALIDATORS,
};
use frame_support::ensure;
use sp_runtime::TryRuntimeError;

use crate::{
    commits, history,
    pallet::{
        Bonds, Commits, Config, Earned, MemberHistory, MemberRecords, Pallet, SubnetHistory,
        SubnetLedgers, TotalPots, Votes, Wages,
    },
    schedule::CAP,
    types::Row,
};

impl<T: Config> Pallet<T> {
    /// Checks every promise that the pallet's storage has to keep:
    ///
    /// - what is issued is the sum of balances, stakes, unbonding stake, bonds and pots, and not above the cap;
    /// - the pots' total is the sum of the subnets' pots and of what is withheld there, and what waited is part of them;
    /// - what is withheld on a subnet is the sum of what is of its members, each of whom it is something;
    /// - what a subnet paid is what its owner and its hotkeys got, and no member earned more since it came
    ///   than its hotkey over all time;
    /// - votes, bonds and records belong to members, rows are strictly ascending, without zeros and without
    ///   oneself, and there are no more rows of bonds than validators; evidence is of an epoch that has run;
    /// - commitments belong to members, and none is for an epoch after the next;
    /// - the history lies where it is looked for, ends with the last epoch, and paid no more than there was.
    pub fn do_try_state() -> Result<(), TryRuntimeError> {
        Self::check_issuance()?;
        Self::check_totals()?;
        for netuid in T::Membership::netuids() {
            Self::check_late(netuid)?;
            Self::check_wages(netuid)?;
            Self::check_rows(netuid)?;
            Self::check_earnings(netuid)?;
            Self::check_commits(netuid)?;
            Self::check_history(netuid)?;
        }
        Ok(())
    }

    fn check_issuance() -> Result<(), TryRuntimeError> {
        let places = Self::issuance();
        let sum = [places.stakes, places.unbonding, places.bonds, places.pots]
            .iter()
            .try_fold(places.balances, |sum: Balance, part| sum.checked_add(*part))
            .ok_or("the ledgers hold more than a balance can be")?;
        ensure!(
            places.issued == sum,
            "issued is not balances + stakes + unbonding + bonds + pots"
        );
        ensure!(places.issued <= CAP, "more is issued than the cap");
        Ok(())
    }

    fn check_totals() -> Result<(), TryRuntimeError> {
        let sum = SubnetLedgers::<T>::iter_values()
            .try_fold(0, |sum: Balance, ledger| {
                sum.checked_add(ledger.waiting()?.total()?)
            })
            .ok_or("the pots hold more than a balance can be")?;
        ensure!(
            TotalPots::<T>::get() == sum,
            "the pots' total is not the sum of the pots"
        );
        Ok(())
    }

    fn check_late(netuid: Netuid) -> Result<(), TryRuntimeError> {
        let Some(ledger) = SubnetLedgers::<T>::get(netuid) else {
            return Ok(());
        };
        let late = ledger.late;
        ensure!(
            ledger.pots.checked_sub(&late.pots).is_some(),
            "more waits than the pots hold"
        );
        ensure!(
            (late.epochs == 0) == (late.pots == Pots::default()),
            "nothing waits for epochs, or something for none"
        );
        Ok(())
    }

    fn check_wages(netuid: Netuid) -> Result<(), TryRuntimeError> {
        let mut sum: Balance = 0;
        for (uid, withheld) in Wages::<T>::iter_prefix(netuid) {
            let member = T::Membership::hotkey(netuid, uid).is_some();
            ensure!(member, "something is withheld of who is no member");
            ensure!(withheld.total() > 0, "nothing is withheld of a member");
            sum = sum
                .checked_add(withheld.total())
                .ok_or("more is withheld than a balance can be")?;
        }
        let ledger = SubnetLedgers::<T>::get(netuid);
        ensure!(
            ledger.map_or(0, |ledger| ledger.withheld) == sum,
            "what is withheld on a subnet is not what is of its members"
        );
        Ok(())
    }

    fn check_rows(netuid: Netuid) -> Result<(), TryRuntimeError> {
        for (uid, vote) in Votes::<T>::iter_prefix(netuid) {
            ensure!(!vote.scores.is_empty(), "a vote without scores");
            ensure!(vote.set_at <= Self::now(), "a vote from the future");
            let has_run = |epoch: EpochIndex| epoch < Self::next_epoch(netuid);
            ensure!(
                vote.evidence.is_none_or(|told| has_run(told.epoch)),
                "evidence of an epoch that has not run"
            );
            Self::check_row_of(netuid, uid, &vote.scores)?;
        }
        let mut rows = 0u32;
        for (uid, row) in Bonds::<T>::iter_prefix(netuid) {
            ensure!(!row.is_empty(), "a row of bonds without bonds");
            Self::check_row_of(netuid, uid, &row)?;
            rows = rows.saturating_add(1);
        }
        ensure!(rows <= MAX_VALIDATORS, "more rows of bonds than validators");
        Ok(())
    }

    fn check_row_of(netuid: Netuid, uid: Uid, row: &Row) -> Result<(), TryRuntimeError> {
        let member = T::Membership::hotkey(netuid, uid).is_some();
        ensure!(member, "a row of scores or bonds of who is no member");
        let ascending = row
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.0 < b.0));
        ensure!(
            ascending,
            "a row of scores or bonds is not strictly ascending"
        );
        let clean = row.iter().all(|&(to, value)| to != uid && value > 0);
        ensure!(clean, "a row of scores or bonds has a zero or its own uid");
        Ok(())
    }

    fn check_earnings(netuid: Netuid) -> Result<(), TryRuntimeError> {
        for (uid, record) in MemberRecords::<T>::iter_prefix(netuid) {
            let hotkey = T::Membership::hotkey(netuid, uid).ok_or("a record of no member")?;
            let withheld = Self::withheld(netuid, uid);
            let as_miner = record.earned_as_miner.saturating_add(withheld);
            ensure!(
                record.last_as_miner <= as_miner
                    && record.last_as_validator <= record.earned_as_validator,
                "a payout that was not tallied"
            );
            let ever = Earned::<T>::get(netuid, hotkey);
            ensure!(
                record.earned() <= ever,
                "a member earned more than its hotkey"
            );
        }
        let Some(ledger) = SubnetLedgers::<T>::get(netuid) else {
            return Ok(());
        };
        let sum = Earned::<T>::iter_prefix_values(netuid)
            .try_fold(ledger.paid.owner, |sum, earned| sum.checked_add(earned))
            .ok_or("a subnet's earnings are more than a balance can be")?;
        ensure!(
            ledger.paid.total() == Some(sum),
            "what a subnet paid is not what was earned in it"
        );
        Ok(())
    }

    fn check_commits(netuid: Netuid) -> Result<(), TryRuntimeError> {
        let next = Self::next_epoch(netuid);
        for ((uid, slot), commit) in Commits::<T>::iter_prefix((netuid,)) {
            let member = T::Membership::hotkey(netuid, uid).is_some();
            ensure!(member, "a commitment of who is no member");
            ensure!(
                slot == commits::slot(commit.epoch),
                "a commitment in another's place"
            );
            ensure!(
                commit.epoch <= next && commit.at <= Self::now(),
                "a commitment from the future"
            );
            ensure!(
                commit.epoch < next || !commit.revealed,
                "scores that were revealed too early"
            );
        }
        Ok(())
    }

    fn check_history(netuid: Netuid) -> Result<(), TryRuntimeError> {
        let epochs = Self::next_epoch(netuid);
        let in_place = |slot: u8, epoch: EpochIndex| {
            ensure!(slot == history::slot(epoch), "an epoch in another's place");
            ensure!(epoch < epochs, "an epoch from the future");
            Ok::<_, TryRuntimeError>(())
        };
        for (slot, epoch) in SubnetHistory::<T>::iter_prefix(netuid) {
            in_place(slot, epoch.epoch)?;
            let covered = epoch.pots.checked_sub(&epoch.paid).is_some();
            ensure!(covered, "an epoch that paid more than its pots held");
        }
        for ((_, slot), epoch) in MemberHistory::<T>::iter_prefix((netuid,)) {
            in_place(slot, epoch.epoch)?;
        }
        Ok(())
    }
}
