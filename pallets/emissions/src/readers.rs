//! What others may ask and tell: the runtime APIs' reads, and the traits by which pallets know each other.

use alloc::vec::Vec;

use cairn_primitives::{
    api::{Issuance, Schedule, Scoring, SubnetEmission, ValidatorScores},
    traits::{Incentives, Ledgers, Membership, OnBurned, OnMember, Work},
    Balance, BlockNumber, Netuid, Pots, Uid,
};
use frame_support::{
    defensive,
    traits::{fungible::Inspect, Get},
};
use sp_runtime::SaturatedConversion;

use crate::{
    commits,
    pallet::{
        Bonds, Commits, Config, Earned, Issued, MemberRecords, Pallet, TotalPots, Votes, Wages,
    },
    schedule,
    types::MemberRecord,
};

impl<T: Config> Pallet<T> {
    /// The current block.
    pub(crate) fn now() -> BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// How the token comes into being.
    pub fn schedule() -> Schedule {
        let issued = Issued::<T>::get();
        Schedule {
            cap: schedule::CAP,
            issued,
            per_block: schedule::reward(issued, T::MillisecsPerBlock::get()),
            halvings: schedule::halvings(issued),
            next_halving: schedule::next_halving(issued),
            split: Pots::SPLIT,
        }
    }

    /// Where everything that was issued is.
    pub fn issuance() -> Issuance {
        Issuance {
            issued: Issued::<T>::get(),
            balances: T::Currency::total_issuance(),
            stakes: T::Ledgers::total_staked(),
            unbonding: T::Ledgers::total_unbonding(),
            bonds: T::Ledgers::total_bonded(),
            pots: TotalPots::<T>::get(),
        }
    }

    /// A subnet's emission; `None` if there is no such subnet.
    pub fn emission(netuid: Netuid) -> Option<SubnetEmission> {
        let tempo = T::Membership::hyperparameters(netuid)?.tempo;
        let ledger = Self::ledger(netuid, Self::now());
        Some(SubnetEmission {
            netuid,
            share: Self::share_of(netuid),
            emits: Self::emits(netuid),
            works: T::Work::claims(netuid),
            owner_pot: ledger.pots.owner,
            miners_pot: ledger.pots.miners,
            validators_pot: ledger.pots.validators,
            late: ledger.late.pots.total().unwrap_or(Balance::MAX),
            late_epochs: ledger.late.epochs,
            withheld: ledger.withheld,
            epochs: ledger.epochs,
            last_epoch: ledger.last_epoch,
            next_epoch: ledger.due(tempo),
            // Part of what was ever issued, which is a balance.
            paid: ledger.paid.total().unwrap_or(Balance::MAX),
            paid_to: ledger.paid,
        })
    }

    /// What the validator with this hotkey has to know to set its scores; `None` if there is no such
    /// subnet. One that is no member has no commitments.
    pub fn voting(netuid: Netuid, hotkey: &T::AccountId) -> Option<Scoring> {
        let hyperparameters = T::Membership::hyperparameters(netuid)?;
        let ledger = Self::ledger(netuid, Self::now());
        let uid = T::Membership::uid(netuid, hotkey);
        Some(Scoring {
            commit_reveal: hyperparameters.commit_reveal,
            epoch: ledger.epochs,
            due: ledger.due(hyperparameters.tempo),
            rate_limit: T::ScoresRateLimit::get(),
            commits: uid.map_or_else(Default::default, |uid| Self::commits_of(netuid, uid)),
        })
    }

    /// The scores of each validator of a subnet that count now, ascending by uid.
    pub fn scores(netuid: Netuid) -> Vec<ValidatorScores<T::AccountId>> {
        let votes = Votes::<T>::iter_prefix(netuid);
        let told = votes.filter_map(|(uid, vote)| {
            Some(ValidatorScores {
                uid,
                hotkey: T::Membership::hotkey(netuid, uid)?,
                set_at: vote.set_at,
                scores: vote.scores.into_inner(),
                evidence: vote.evidence,
            })
        });
        let mut scores: Vec<_> = told.collect();
        scores.sort_unstable_by_key(|one| one.uid);
        scores
    }

    /// The block at which a member chose the scores that count for it now.
    pub fn scores_set_at(netuid: Netuid, uid: Uid) -> Option<BlockNumber> {
        Votes::<T>::get(netuid, uid).map(|vote| vote.set_at)
    }

    /// What the last epoch made of a member, and what it earned since it came.
    pub fn member(netuid: Netuid, uid: Uid) -> MemberRecord {
        MemberRecords::<T>::get(netuid, uid).unwrap_or_default()
    }

    /// What a member earned as a miner and does not have yet.
    pub fn withheld(netuid: Netuid, uid: Uid) -> Balance {
        Wages::<T>::get(netuid, uid).map_or(0, |withheld| withheld.total())
    }

    /// What a hotkey was paid in a subnet over all time, whether or not it is still a member.
    pub fn earned(netuid: Netuid, hotkey: &T::AccountId) -> Balance {
        Earned::<T>::get(netuid, hotkey)
    }
}

impl<T: Config> Incentives for Pallet<T> {
    fn incentive(netuid: Netuid, uid: Uid) -> u16 {
        Self::member(netuid, uid).incentive
    }

    fn last_paid(netuid: Netuid, uid: Uid) -> Balance {
        Self::member(netuid, uid).last_paid()
    }

    fn forget(netuid: Netuid) {
        Self::forget_incentives(netuid);
    }
}

/// What others hold towards the uid goes with the next epoch, which ignores scores and bonds that are
/// older than the member.
impl<T: Config> OnMember<T::AccountId> for Pallet<T> {
    /// What the member earned moves with it.
    fn on_swapped(netuid: Netuid, _: Uid, old: &T::AccountId, new: &T::AccountId) {
        let earned = Earned::<T>::take(netuid, old);
        if earned > 0 {
            // No more than was ever issued.
            Earned::<T>::mutate(netuid, new, |sum| *sum = sum.saturating_add(earned));
        }
    }

    fn on_left(netuid: Netuid, uid: Uid, hotkey: &T::AccountId) {
        Self::wages_of_a_leaver(netuid, uid, hotkey);
        Votes::<T>::remove(netuid, uid);
        Bonds::<T>::remove(netuid, uid);
        MemberRecords::<T>::remove(netuid, uid);
        for slot in commits::SLOTS {
            Commits::<T>::remove((netuid, uid, slot));
        }
    }
}

impl<T: Config> OnBurned for Pallet<T> {
    fn on_burned(amount: Balance) {
        Issued::<T>::mutate(|issued| match issued.checked_sub(amount) {
            Some(rest) => *issued = rest,
            None => {
                defensive!("more was burned than was ever issued", amount);
            }
        });
    }
}
