//! What miners earned and do not have yet: withheld while their work is in question, beside the pots.

use alloc::vec::Vec;

use cairn_primitives::{
    traits::{Asked, Membership, Questions, Wages as ForfeitWages},
    Balance, Netuid, Pots, Uid,
};
use cairn_protocol::wages::in_question;
use frame_support::{defensive, dispatch::DispatchClass, traits::Get, weights::Weight};

use crate::{
    pallet::{Config, Earned, Event, MemberRecords, Pallet, SubnetLedgers, Wages},
    payout::tally,
    types::{MemberRecord, SubnetLedger},
};

/// What an epoch made of a miner's earnings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wage {
    /// What it has now.
    pub paid: Balance,
    /// What it got for this epoch, now or later.
    pub given: Balance,
    /// Whether something was due that could not be delivered; it is in the pot again.
    pub is_refused: bool,
}

impl<T: Config> Pallet<T> {
    /// Gives a miner `amount` out of the miners' pot, and pays what is due to it of this and of what was withheld.
    /// `questions` says whose work is in question.
    pub(crate) fn pay_miner(
        ledger: &mut SubnetLedger,
        (netuid, uid, hotkey): (Netuid, Uid, &T::AccountId),
        amount: Balance,
        questions: Option<&Questions>,
    ) -> Wage {
        let known = Wages::<T>::take(netuid, uid);
        if amount == 0 && known.is_none() {
            return Wage::default();
        }
        let mut withheld = known.unwrap_or_default();
        let before = withheld.total();
        let newest = questions.map_or(0, |questions| questions.newest);
        if withheld.earn(newest, amount).is_err() {
            defensive!("more is withheld than there can be", (netuid, uid));
        }
        let due = withheld.release(questions.and_then(|questions| in_question(questions, uid)));
        let after = withheld.total();
        // All goes through the pot: it held the amount, and gets what is due of what was beside it.
        Self::move_withheld(netuid, ledger, before, after);
        let paid = Self::pay(netuid, hotkey, due, &mut ledger.pots.miners, |amount| {
            Self::pay_coldkey(hotkey, amount)
        });
        if after > 0 {
            Wages::<T>::insert(netuid, uid, withheld);
        }
        let is_refused = paid != due;
        let given = if is_refused { 0 } else { amount };
        Wage {
            paid,
            given,
            is_refused,
        }
    }

    /// What is withheld of one member was `before` and is `after`: the rest is in the miners' pot, or came from it.
    fn move_withheld(netuid: Netuid, ledger: &mut SubnetLedger, before: Balance, after: Balance) {
        let all = ledger.pots.miners.checked_add(ledger.withheld);
        let withheld = ledger
            .withheld
            .checked_sub(before)
            .and_then(|rest| rest.checked_add(after));
        let moved = all
            .zip(withheld)
            .and_then(|(all, withheld)| Some((all.checked_sub(withheld)?, withheld)));
        match moved {
            Some((miners, withheld)) => {
                (ledger.pots.miners, ledger.withheld) = (miners, withheld);
            }
            None => {
                defensive!("more is withheld than the pot held", netuid);
            }
        }
    }

    /// Pays a member that leaves, or whose run or subnet ends, what is withheld of it and not in question. The rest is
    /// in the miners' pot again. Says what it got, and what it did not.
    pub(crate) fn settle_wages(
        ledger: &mut SubnetLedger,
        (netuid, uid, hotkey): (Netuid, Uid, &T::AccountId),
        questions: Option<&Questions>,
    ) -> (Balance, Balance) {
        let Some(withheld) = Wages::<T>::take(netuid, uid) else {
            return (0, 0);
        };
        let all = withheld.total();
        let ended = withheld.end(questions.and_then(|questions| in_question(questions, uid)));
        Self::move_withheld(netuid, ledger, all, 0);
        let paid = Self::pay(
            netuid,
            hotkey,
            ended.due,
            &mut ledger.pots.miners,
            |amount| Self::pay_coldkey(hotkey, amount),
        );
        Self::book_wage(ledger, (netuid, uid, hotkey), paid);
        Self::say_forfeited(netuid, uid, ended.lost);
        (paid, all.saturating_sub(paid))
    }

    /// Settles what is withheld of a member whose run is stopped. Says what is lost of it, which is in the pot.
    fn stop_wages(
        ledger: &mut SubnetLedger,
        (netuid, uid): (Netuid, Uid),
        questions: &Questions,
    ) -> Balance {
        let Some(hotkey) = T::Membership::hotkey(netuid, uid) else {
            defensive!("wages of who is no member", (netuid, uid));
            return 0;
        };
        let who = (netuid, uid, &hotkey);
        let (paid, lost) = Self::settle_wages(ledger, who, Some(questions));
        Self::change_record(netuid, uid, |record| {
            tally(&mut record.earned_as_miner, paid);
            // The last epoch gave it nothing that is not among what it has and what was withheld.
            record.last_as_miner = record.last_as_miner.saturating_sub(lost);
        });
        lost
    }

    /// Burns what a stop cost the miners, which is in their pot. Whoever could have it there would stop for it.
    fn burn_lost(netuid: Netuid, ledger: &mut SubnetLedger, lost: Balance) {
        match ledger.pots.miners.checked_sub(lost) {
            Some(_) if lost == 0 => {}
            Some(rest) => {
                ledger.pots.miners = rest;
                Self::burn_from_pots(netuid, lost);
            }
            None => {
                defensive!("a stop costs more than the pot holds", netuid);
            }
        }
    }

    /// Nobody has incentive until the next epoch. A member has one record.
    pub(crate) fn forget_incentives(netuid: Netuid) {
        let uids: Vec<Uid> = MemberRecords::<T>::iter_key_prefix(netuid).collect();
        let records = u64::try_from(uids.len()).unwrap_or(u64::MAX);
        let weight = T::DbWeight::get().reads_writes(records.saturating_add(1), records);
        frame_system::Pallet::<T>::register_extra_weight_unchecked(weight, DispatchClass::Normal);
        for uid in uids {
            Self::change_record(netuid, uid, |record| record.incentive = 0);
        }
    }

    /// Changes what is kept of a member; nothing is kept of who has nothing.
    fn change_record(netuid: Netuid, uid: Uid, change: impl FnOnce(&mut MemberRecord)) {
        MemberRecords::<T>::mutate_exists(netuid, uid, |kept| {
            let mut record = kept.take().unwrap_or_default();
            change(&mut record);
            *kept = (record != MemberRecord::default()).then_some(record);
        });
    }

    /// What the last epoch gave a miner is its own no more.
    fn forget_last(netuid: Netuid, uid: Uid) {
        Self::change_record(netuid, uid, |record| record.last_as_miner = 0);
    }

    fn say_forfeited(netuid: Netuid, uid: Uid, amount: Balance) {
        if amount > 0 {
            Self::deposit_event(Event::Forfeited {
                netuid,
                uid,
                amount,
            });
        }
    }

    /// Writes down that a miner was paid outside of an epoch.
    fn book_wage(
        ledger: &mut SubnetLedger,
        (netuid, uid, hotkey): (Netuid, Uid, &T::AccountId),
        paid: Balance,
    ) {
        if paid == 0 {
            return;
        }
        let pots = Pots {
            miners: paid,
            ..Pots::default()
        };
        Self::book(netuid, ledger, pots);
        Earned::<T>::mutate(netuid, hotkey, |earned| tally(earned, paid));
        Self::deposit_event(Event::Paid {
            netuid,
            uid,
            hotkey: hotkey.clone(),
            as_miner: paid,
            as_validator: 0,
        });
    }

    /// A member leaves with its seat.
    pub(crate) fn wages_of_a_leaver(netuid: Netuid, uid: Uid, hotkey: &T::AccountId) {
        let weight = T::DbWeight::get().reads_writes(17, 6);
        frame_system::Pallet::<T>::register_extra_weight_unchecked(weight, DispatchClass::Normal);
        if !Wages::<T>::contains_key(netuid, uid) {
            return;
        }
        let questions = T::Asked::questions(netuid);
        SubnetLedgers::<T>::mutate_extant(netuid, |ledger| {
            Self::settle_wages(ledger, (netuid, uid, hotkey), questions.as_ref());
        });
    }

    /// Pays all members what is due of what is withheld, in an epoch in which nobody has incentive.
    pub(crate) fn pay_wages(netuid: Netuid, ledger: &mut SubnetLedger) {
        let questions = T::Asked::questions(netuid);
        // At most as many as there are members.
        let uids: Vec<Uid> = Wages::<T>::iter_key_prefix(netuid).collect();
        for uid in uids {
            let Some(hotkey) = T::Membership::hotkey(netuid, uid) else {
                defensive!("wages of who is no member", (netuid, uid));
                continue;
            };
            let who = (netuid, uid, &hotkey);
            let wage = Self::pay_miner(ledger, who, 0, questions.as_ref());
            Self::book_wage(ledger, who, wage.paid);
            if wage.paid > 0 {
                MemberRecords::<T>::mutate(netuid, uid, |record| {
                    let record = record.get_or_insert_default();
                    tally(&mut record.earned_as_miner, wage.paid);
                });
            }
            if wage.is_refused {
                Self::forget_last(netuid, uid);
            }
        }
    }

    /// What the end of a run costs with so many members of whom something is withheld, and so many that have a record:
    /// the former are paid, the latter are looked at, and 14 rounds' audits are read.
    pub(crate) fn stopping_weight(withheld: u64, records: u64) -> Weight {
        let time = withheld
            .saturating_mul(25_000_000)
            .saturating_add(20_000_000);
        let reads = withheld.saturating_mul(7).saturating_add(records);
        let writes = withheld.saturating_mul(5).saturating_add(records);
        Weight::from_parts(time, 0).saturating_add(
            T::DbWeight::get().reads_writes(reads.saturating_add(18), writes.saturating_add(2)),
        )
    }

    /// What an epoch with so many members adds for wages: what is withheld of each, and 14 rounds' audits; and who
    /// is expected.
    pub fn wages_weight(members: u16) -> Weight {
        let members = u64::from(members);
        let time = members.saturating_mul(6_000_000).saturating_add(20_000_000);
        Weight::from_parts(time, 0)
            .saturating_add(T::DbWeight::get().reads_writes(members.saturating_add(17), members))
    }
}

impl<T: Config> ForfeitWages for Pallet<T> {
    fn forfeit(netuid: Netuid, uid: Uid) -> Balance {
        let Some(withheld) = Wages::<T>::take(netuid, uid) else {
            return 0;
        };
        let amount = withheld.total();
        SubnetLedgers::<T>::mutate_extant(netuid, |ledger| {
            Self::move_withheld(netuid, ledger, amount, 0);
        });
        Self::forget_last(netuid, uid);
        Self::say_forfeited(netuid, uid, amount);
        amount
    }

    /// Whose work is in question has no incentive any more: neither the next run nor the end of the subnet goes by what
    /// nothing will prove.
    fn on_stopped(netuid: Netuid, questions: &Questions) {
        // At most as many as there are members.
        let withheld: Vec<Uid> = Wages::<T>::iter_key_prefix(netuid).collect();
        let records: Vec<Uid> = MemberRecords::<T>::iter_key_prefix(netuid).collect();
        let count = |uids: &[Uid]| u64::try_from(uids.len()).unwrap_or(u64::MAX);
        frame_system::Pallet::<T>::register_extra_weight_unchecked(
            Self::stopping_weight(count(&withheld), count(&records)),
            DispatchClass::Normal,
        );
        SubnetLedgers::<T>::mutate_extant(netuid, |ledger| {
            let lost = withheld.into_iter().fold(0, |sum: Balance, uid| {
                sum.saturating_add(Self::stop_wages(ledger, (netuid, uid), questions))
            });
            Self::burn_lost(netuid, ledger, lost);
        });
        let is_asked = |uid: &Uid| in_question(questions, *uid).is_some();
        for uid in records.into_iter().filter(is_asked) {
            Self::change_record(netuid, uid, |record| record.incentive = 0);
        }
    }
}
