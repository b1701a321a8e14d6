//! From an epoch's result to what members have.
//!
//! Miners are paid into their coldkeys' free balance, once their work is not in question (`wages`), validators into the
//! stake on their hotkeys, the owner into its free balance. What cannot be delivered, because it would be less than a
//! new account has to hold or because the stake pallet refuses it, stays in its pot and is shared out again by the next
//! epoch, as is what rounding left, and what a validator is not due for rounds that it did not attest.

use cairn_primitives::{
    api::MemberEpoch,
    traits::{Asked, Membership, Questions, Stakes},
    Balance, BlockNumber, Netuid, Pots, Uid,
};
use cairn_protocol::emission::due_to;
use frame_support::{
    defensive, dispatch::DispatchResult, storage::with_storage_layer, traits::fungible::Mutate,
};
use sp_runtime::DispatchError;

use crate::{
    epoch::Neuron,
    pallet::{Config, Earned, Event, MemberRecords, Pallet, TotalPots},
    types::{MemberRecord, SubnetLedger},
};

impl<T: Config> Pallet<T> {
    /// Pays what the epoch gave of what is payable, and says how much that was. If nobody has incentive, nobody is
    /// paid: not the owner either, and all pots wait.
    pub(crate) fn pay_epoch(
        netuid: Netuid,
        ledger: &mut SubnetLedger,
        neurons: &[Neuron<T::AccountId>],
        output: &yuma::Output,
        payable: Pots,
        now: BlockNumber,
    ) -> Pots {
        let before = ledger.waiting().unwrap_or_default();
        let questions = T::Asked::questions(netuid);
        for (neuron, outcome) in neurons.iter().zip(&output.members) {
            Self::pay_member(netuid, ledger, neuron, outcome, questions.as_ref(), now);
        }
        let has_scores = output.members.iter().any(|outcome| outcome.incentive > 0);
        if has_scores {
            Self::pay_owner(netuid, ledger, payable.owner);
        }
        ledger.late = match has_scores {
            true => ledger.late.paid(),
            false => ledger.late.waited(&ledger.pots),
        };
        let after = ledger.waiting().unwrap_or_default();
        let paid = before.checked_sub(&after).unwrap_or_default();
        Self::book(netuid, ledger, paid);
        Self::say_epoch_run(netuid, paid);
        paid
    }

    /// Ends an epoch with nobody to pay but those of whom something was withheld.
    pub(crate) fn pay_nobody(netuid: Netuid, ledger: &mut SubnetLedger) -> Pots {
        let before = ledger.waiting().unwrap_or_default();
        Self::pay_wages(netuid, ledger);
        let after = ledger.waiting().unwrap_or_default();
        let paid = before.checked_sub(&after).unwrap_or_default();
        ledger.late = ledger.late.waited(&ledger.pots);
        Self::say_epoch_run(netuid, paid);
        paid
    }

    fn say_epoch_run(netuid: Netuid, paid: Pots) {
        Self::deposit_event(Event::EpochRun {
            netuid,
            owner: paid.owner,
            miners: paid.miners,
            validators: paid.validators,
        });
    }

    /// Writes down that this much has left a subnet's pots.
    pub(crate) fn book(netuid: Netuid, ledger: &mut SubnetLedger, paid: Pots) {
        let total = paid.total().unwrap_or_default();
        TotalPots::<T>::mutate(|pots| match pots.checked_sub(total) {
            Some(rest) => *pots = rest,
            None => {
                defensive!("more was paid than the pots held", (netuid, total));
            }
        });
        match ledger.paid.checked_add(&paid) {
            Some(sum) => ledger.paid = sum,
            None => {
                defensive!("a total over all time is full", (netuid, total));
            }
        }
    }

    fn pay_member(
        netuid: Netuid,
        ledger: &mut SubnetLedger,
        neuron: &Neuron<T::AccountId>,
        outcome: &yuma::Outcome,
        questions: Option<&Questions>,
        now: BlockNumber,
    ) {
        let (uid, hotkey) = (neuron.uid, &neuron.hotkey);
        let who = (netuid, uid, hotkey);
        let wage = Self::pay_miner(ledger, who, outcome.miner_emission, questions);
        let as_miner = wage.paid;
        let dividend = due_to(outcome.validator_emission, neuron.attended);
        let pot = &mut ledger.pots.validators;
        let as_validator = Self::pay(netuid, hotkey, dividend, pot, |amount| {
            T::Stakes::reward(netuid, hotkey, amount)
        });
        let outcome = MemberEpoch {
            epoch: ledger.epochs,
            block: now,
            incentive: outcome.incentive,
            dividends: u16::try_from(due_to(outcome.dividends.into(), neuron.attended))
                .unwrap_or(outcome.dividends),
            as_miner,
            as_validator,
        };
        Self::record(netuid, uid, &outcome, wage.given);
        Self::remember_member(netuid, uid, outcome);
        // Each is part of a pot of its own, and the pots together are a balance.
        let paid = as_miner.saturating_add(as_validator);
        if paid > 0 {
            Earned::<T>::mutate(netuid, hotkey, |earned| tally(earned, paid));
            let hotkey = hotkey.clone();
            Self::deposit_event(Event::Paid {
                netuid,
                uid,
                hotkey,
                as_miner,
                as_validator,
            });
        }
    }

    /// Keeps what an epoch made of a member, which gave it so much as a miner, and adds to what it earned.
    fn record(netuid: Netuid, uid: Uid, outcome: &MemberEpoch, given: Balance) {
        MemberRecords::<T>::mutate_exists(netuid, uid, |kept| {
            let mut record = kept.take().unwrap_or_default();
            record.incentive = outcome.incentive;
            record.dividends = outcome.dividends;
            record.last_as_miner = given;
            record.last_as_validator = outcome.as_validator;
            tally(&mut record.earned_as_miner, outcome.as_miner);
            tally(&mut record.earned_as_validator, outcome.as_validator);
            *kept = (record != MemberRecord::default()).then_some(record);
        });
    }

    /// Pays a miner: into the free balance of its coldkey.
    pub(crate) fn pay_coldkey(hotkey: &T::AccountId, amount: Balance) -> DispatchResult {
        let coldkey = T::Membership::coldkey(hotkey).ok_or(DispatchError::CannotLookup)?;
        T::Currency::mint_into(&coldkey, amount).map(|_| ())
    }

    /// Pays the owner an amount out of its pot.
    pub(crate) fn pay_owner(netuid: Netuid, ledger: &mut SubnetLedger, amount: Balance) {
        let Some(owner) = T::Membership::owner(netuid) else {
            return;
        };
        let pot = &mut ledger.pots.owner;
        Self::pay(netuid, &owner, amount, pot, |amount| {
            T::Currency::mint_into(&owner, amount).map(|_| ())
        });
    }

    /// Delivers an amount out of a pot. Returns what was delivered: all of it or, with an event, nothing.
    pub(crate) fn pay(
        netuid: Netuid,
        account: &T::AccountId,
        amount: Balance,
        pot: &mut Balance,
        deliver: impl FnOnce(Balance) -> DispatchResult,
    ) -> Balance {
        if amount == 0 {
            return 0;
        }
        let Some(rest) = pot.checked_sub(amount) else {
            defensive!("a payout larger than its pot", (netuid, amount));
            return 0;
        };
        match with_storage_layer(|| deliver(amount)) {
            Ok(()) => {
                *pot = rest;
                amount
            }
            Err(reason) => {
                let account = account.clone();
                Self::deposit_event(Event::PayoutWaits {
                    netuid,
                    account,
                    amount,
                    reason,
                });
                0
            }
        }
    }
}

/// Adds to a total over all time.
pub(crate) fn tally(total: &mut Balance, amount: Balance) {
    match total.checked_add(amount) {
        Some(sum) => *total = sum,
        None => {
            defensive!("a total over all time is full", amount);
        }
    }
}
