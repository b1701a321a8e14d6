//! From an epoch's result to what members have.
//!
//! Miners are paid into their coldkeys' free balance, validators into the stake on their hotkeys, the owner
//! into its free balance. What cannot be delivered, because it would be less than a new account has to hold
//! or because the stake pallet refuses it, stays in its pot and is shared out again by the next epoch, as
//! is what rounding left.

use cairn_primitives::{
    traits::{Membership, Stakes},
    Balance, Netuid,
};
use frame_support::{
    defensive, dispatch::DispatchResult, storage::with_storage_layer, traits::fungible::Mutate,
};

use crate::{
    epoch::Neuron,
    pallet::{Config, Earned, Event, MemberRecords, Pallet, TotalPots},
    types::{MemberRecord, SubnetLedger},
};

impl<T: Config> Pallet<T> {
    /// Pays what the epoch gave. If nobody has incentive, nobody is paid: not the owner either, and all
    /// pots wait.
    pub(crate) fn pay_epoch(
        netuid: Netuid,
        ledger: &mut SubnetLedger,
        neurons: &[Neuron<T::AccountId>],
        output: &yuma::Output,
    ) {
        let before = ledger.pots;
        for (neuron, outcome) in neurons.iter().zip(&output.members) {
            Self::pay_member(netuid, ledger, neuron, outcome);
        }
        if output.members.iter().any(|outcome| outcome.incentive > 0) {
            Self::pay_owner(netuid, ledger);
        }
        // Payouts only ever take from the pots.
        let owner = before.owner - ledger.pots.owner;
        let miners = before.miners - ledger.pots.miners;
        let validators = before.validators - ledger.pots.validators;
        let paid = owner + miners + validators;
        TotalPots::<T>::mutate(|pots| match pots.checked_sub(paid) {
            Some(rest) => *pots = rest,
            None => {
                defensive!("more was paid than the pots held", (netuid, paid));
            }
        });
        tally(&mut ledger.paid, paid);
        tally(&mut ledger.paid_to_owner, owner);
        Self::deposit_event(Event::EpochRun {
            netuid,
            owner,
            miners,
            validators,
        });
    }

    fn pay_member(
        netuid: Netuid,
        ledger: &mut SubnetLedger,
        neuron: &Neuron<T::AccountId>,
        outcome: &yuma::Outcome,
    ) {
        let pots = &mut ledger.pots;
        let (uid, hotkey) = (neuron.uid, &neuron.hotkey);
        let as_miner = Self::pay(
            netuid,
            hotkey,
            outcome.miner_emission,
            &mut pots.miners,
            |amount| {
                let coldkey = T::Membership::coldkey(hotkey)
                    .ok_or(sp_runtime::DispatchError::CannotLookup)?;
                T::Currency::mint_into(&coldkey, amount).map(|_| ())
            },
        );
        let dividend = outcome.validator_emission;
        let as_validator = Self::pay(netuid, hotkey, dividend, &mut pots.validators, |amount| {
            T::Stakes::reward(netuid, hotkey, amount)
        });
        // Each is part of a pot of its own, and the pots together are a balance.
        let paid = as_miner + as_validator;
        MemberRecords::<T>::mutate_exists(netuid, uid, |kept| {
            let mut record = kept.take().unwrap_or_default();
            record.incentive = outcome.incentive;
            record.dividends = outcome.dividends;
            record.last_paid = paid;
            tally(&mut record.earned, paid);
            *kept = (record != MemberRecord::default()).then_some(record);
        });
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

    fn pay_owner(netuid: Netuid, ledger: &mut SubnetLedger) {
        let Some(owner) = T::Membership::owner(netuid) else {
            return;
        };
        let pot = &mut ledger.pots.owner;
        let amount = *pot;
        Self::pay(netuid, &owner, amount, pot, |amount| {
            T::Currency::mint_into(&owner, amount).map(|_| ())
        });
    }

    /// Delivers an amount out of a pot. Returns what was delivered: all of it or, with an event, nothing.
    fn pay(
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
fn tally(total: &mut Balance, amount: Balance) {
    match total.checked_add(amount) {
        Some(sum) => *total = sum,
        None => {
            defensive!("a total over all time is full", amount);
        }
    }
}
