//! What each call and each part of the hook costs, at the sizes that make it cost more.
//!
//! The pallets around this one are set up by [`BenchmarkHelper`], so that the measured reads are those of the runtime
//! that uses the weights.

// Sizes are those of this file, and what fails here fails a measurement, no block.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used
)]

use alloc::vec::Vec;

use cairn_primitives::{
    finding_hash,
    traits::{Audits, Membership, OnMember, Settled},
    AuditOutcome, AuditRules, BlockNumber, Finding, Hotkey, Netuid, Salt, Served, Uid, Verdicts,
    H256, MAX_AUDITORS, MAX_MEMBERS, MAX_VALIDATORS,
};
use frame_benchmarking::v2::*;
use frame_support::{dispatch::CheckIfFeeless, traits::UnfilteredDispatchable};
use frame_system::RawOrigin;

use crate::{
    Agenda, AuditId, Call, Config, NextDue, OpenAudits, Pallet, Passes, Stage, MOST_ROUNDS,
};

/// Sets up the pallets that this one asks.
pub trait BenchmarkHelper<AccountId> {
    /// A new subnet with so many members that validate, whose uids come first and of which each is somebody else's, and
    /// so many with a miner's bond, of whom none is a validator's.
    fn subnet(validators: u32, miners: u32) -> Netuid;
}

/// The most miners of a round with all its validators.
const MOST_MINERS: u32 = MAX_MEMBERS - MAX_VALIDATORS;
const SEED: H256 = H256([7; 32]);
const SALT: Salt = [6; 32];
const SERVED: Served = Served {
    root: SEED,
    length: 1_000,
};

fn to_block<T: Config>(block: BlockNumber) {
    frame_system::Pallet::<T>::set_block_number(block.into());
}

/// A subnet whose round is settled in this block.
struct Round<T: Config> {
    netuid: Netuid,
    validators: Vec<(Uid, T::AccountId)>,
    miners: Vec<(Uid, T::AccountId)>,
}

impl<T: Config> Round<T> {
    fn with(validators: u32, miners: u32) -> Round<T> {
        let netuid = T::BenchmarkHelper::subnet(validators, miners);
        let mut members = T::Membership::members(netuid);
        let miners = members.split_off(validators as usize);
        // They came before the round that is settled, so they are still members when an audit of it ends.
        to_block::<T>(Pallet::<T>::now() + 1);
        Round {
            netuid,
            validators: members,
            miners,
        }
    }

    /// Settles it; what the first `count` miners made is audited.
    fn settle(&self, count: u32) {
        self.settle_as(0, count);
    }

    fn settle_as(&self, round: u32, count: u32) {
        let validators = self.validators.iter();
        let validators: Vec<_> = validators
            .map(|(uid, hotkey)| (*uid, hotkey.clone(), 1))
            .collect();
        Pallet::<T>::on_settled(Settled {
            netuid: self.netuid,
            round,
            seed: SEED,
            rules: AuditRules {
                rate: AuditRules::EACH,
                auditors: MAX_AUDITORS as u8,
                blocks: 10,
                ..AuditRules::default()
            },
            max_contributors: MAX_MEMBERS as u16,
            parameters: 1_000_000,
            included: &self.miners[..count as usize],
            validators: &validators,
        });
    }

    /// As if of all members that there can be an audit was left undecided: as much is known of them as there is room
    /// for.
    fn everybody_is_undecided(&self) {
        let mut passed = Passes::<T>::get(self.netuid).unwrap_or_default();
        let all = || (0..MAX_MEMBERS as u16).map(Uid);
        passed.proven = Verdicts::from_uids(all());
        for uid in all() {
            let known = passed.undecided.try_insert(uid, 0);
            known.expect("there is room for as many");
        }
        Passes::<T>::insert(self.netuid, passed);
    }

    fn first(&self) -> (AuditId, T::AccountId) {
        let (uid, hotkey) = self.miners[0].clone();
        ((self.netuid, 0, uid), hotkey)
    }

    /// Goes on to a dispute, which begins in this block: the first auditor found that the work is false.
    fn disputes(&self) -> Result<(), BenchmarkError> {
        let (id, _) = self.first();
        self.goes_on(Stage::Commit)?;
        let audit = OpenAudits::<T>::get(id).ok_or("nothing is audited")?;
        let first = audit
            .auditors
            .first()
            .ok_or("nobody audits")?
            .hotkey
            .clone();
        ask_and_dispatch::<T>(self.commits(&first), first.clone())?;
        to_block::<T>(audit.times.end_of(Stage::Commit));
        ask_and_dispatch::<T>(self.reveals(), first)?;
        Agenda::<T>::remove(audit.due(), id);
        Pallet::<T>::end(id);
        Ok(())
    }

    /// The auditor that a search from the front finds last.
    fn last_auditor(&self) -> Result<T::AccountId, BenchmarkError> {
        let audit = OpenAudits::<T>::get(self.first().0).ok_or("nothing is audited")?;
        Ok(audit.auditors.last().ok_or("nobody audits")?.hotkey.clone())
    }

    /// Goes on to a stage, to which the miner has served something.
    fn goes_on(&self, stage: Stage) -> Result<(), BenchmarkError> {
        let (id, hotkey) = self.first();
        let who = RawOrigin::Signed(hotkey);
        Pallet::<T>::open(who.into(), id.0, id.1, id.2, SERVED)?;
        let audit = OpenAudits::<T>::get(id).ok_or("nothing is audited")?;
        to_block::<T>(match stage {
            Stage::Commit => audit.times.end_of(Stage::Open),
            _ => audit.times.end_of(Stage::Commit),
        });
        Ok(())
    }

    fn commits(&self, hotkey: &T::AccountId) -> Call<T> {
        let (id, _) = self.first();
        let hash = finding_hash(id, &Hotkey::of(&hotkey), Finding::Failed, &SALT);
        Call::commit_verdict {
            netuid: id.0,
            round: id.1,
            uid: id.2,
            hash,
        }
    }

    fn reveals(&self) -> Call<T> {
        let (id, _) = self.first();
        Call::reveal_verdict {
            netuid: id.0,
            round: id.1,
            uid: id.2,
            finding: Finding::Failed,
            salt: SALT,
        }
    }
}

/// What a feeless call costs: the transaction extension asks whether it is free, then it runs.
fn ask_and_dispatch<T: Config>(call: Call<T>, hotkey: T::AccountId) -> Result<(), BenchmarkError> {
    let origin: T::RuntimeOrigin = RawOrigin::Signed(hotkey).into();
    if !call.is_feeless(&origin) {
        return Err("the call is not free".into());
    }
    call.dispatch_bypass_filter(origin)?;
    Ok(())
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn open() -> Result<(), BenchmarkError> {
        let round = Round::<T>::with(MAX_VALIDATORS, 1);
        round.settle(1);
        let (id, hotkey) = round.first();
        let call = Call::<T>::open {
            netuid: id.0,
            round: id.1,
            uid: id.2,
            served: SERVED,
        };
        #[block]
        {
            ask_and_dispatch::<T>(call, hotkey)?;
        }
        let audit = OpenAudits::<T>::get(id).ok_or("it is gone")?;
        assert_eq!(audit.served, Some(SERVED));
        Ok(())
    }

    #[benchmark]
    fn commit_verdict() -> Result<(), BenchmarkError> {
        let round = Round::<T>::with(MAX_VALIDATORS, 1);
        round.settle(1);
        round.disputes()?;
        let auditor = round.last_auditor()?;
        let call = round.commits(&auditor);
        #[block]
        {
            ask_and_dispatch::<T>(call, auditor.clone())?;
        }
        let audit = OpenAudits::<T>::get(round.first().0).ok_or("it is gone")?;
        assert!(audit
            .auditor(&auditor)
            .is_some_and(|one| one.said.is_some()));
        Ok(())
    }

    #[benchmark]
    fn reveal_verdict() -> Result<(), BenchmarkError> {
        let round = Round::<T>::with(MAX_VALIDATORS, 1);
        round.settle(1);
        round.disputes()?;
        let auditor = round.last_auditor()?;
        ask_and_dispatch::<T>(round.commits(&auditor), auditor.clone())?;
        to_block::<T>(Pallet::<T>::now() + 10);
        let call = round.reveals();
        #[block]
        {
            ask_and_dispatch::<T>(call, auditor.clone())?;
        }
        let audit = OpenAudits::<T>::get(round.first().0).ok_or("it is gone")?;
        let said = audit.auditor(&auditor).and_then(|one| one.said);
        assert_eq!(said.and_then(|said| said.finding()), Some(Finding::Failed));
        Ok(())
    }

    #[benchmark]
    fn on_left() -> Result<(), BenchmarkError> {
        let round = Round::<T>::with(MAX_VALIDATORS, 1);
        for number in 0..MOST_ROUNDS {
            round.settle_as(number, 1);
        }
        round.everybody_is_undecided();
        let ((netuid, _, uid), hotkey) = round.first();
        #[block]
        {
            Pallet::<T>::on_left(netuid, uid, &hotkey);
        }
        assert!(OpenAudits::<T>::iter_values().all(|audit| audit.is_held));
        Ok(())
    }

    #[benchmark]
    fn on_initialize() -> Result<(), BenchmarkError> {
        NextDue::<T>::put(1);
        to_block::<T>(100);
        #[block]
        {
            Pallet::<T>::work_off_agenda(100);
        }
        assert_eq!(NextDue::<T>::get(), Some(17));
        Ok(())
    }

    #[benchmark]
    fn draw(
        m: Linear<2, { MAX_MEMBERS }>,
        a: Linear<0, { MOST_MINERS }>,
    ) -> Result<(), BenchmarkError> {
        let validators = m.saturating_sub(MOST_MINERS).max(1);
        let round = Round::<T>::with(validators, m - validators);
        let audited = a.min(m - validators);
        round.everybody_is_undecided();
        #[block]
        {
            round.settle(audited);
        }
        assert_eq!(OpenAudits::<T>::iter_keys().count(), audited as usize);
        Ok(())
    }

    /// A dispute in which half of all validators found the work to be false, and the others kept quiet. As many audits of its round are open as there can be, others of as many
    /// rounds, and of everybody one was left undecided.
    #[benchmark]
    fn end() -> Result<(), BenchmarkError> {
        let round = Round::<T>::with(MAX_VALIDATORS, MOST_MINERS);
        round.settle(MOST_MINERS);
        for number in 1..MOST_ROUNDS {
            round.settle_as(number, 1);
        }
        round.everybody_is_undecided();
        round.goes_on(Stage::Commit)?;
        let (id, _) = round.first();
        let audit = OpenAudits::<T>::get(id).ok_or("nothing is audited")?;
        for one in &audit.auditors {
            ask_and_dispatch::<T>(round.commits(&one.hotkey), one.hotkey.clone())?;
        }
        to_block::<T>(audit.times.end_of(Stage::Commit));
        for one in &audit.auditors {
            ask_and_dispatch::<T>(round.reveals(), one.hotkey.clone())?;
        }
        Agenda::<T>::remove(audit.times.end_of(Stage::Reveal), id);
        Pallet::<T>::end(id);
        let audit = OpenAudits::<T>::get(id).ok_or("it is not disputed")?;
        let half = MAX_VALIDATORS.div_ceil(2).saturating_sub(MAX_AUDITORS);
        let others = || {
            audit
                .auditors
                .iter()
                .skip(MAX_AUDITORS as usize)
                .take(half as usize)
        };
        for one in others() {
            ask_and_dispatch::<T>(round.commits(&one.hotkey), one.hotkey.clone())?;
        }
        to_block::<T>(audit.times.end_of(Stage::Commit));
        for one in others() {
            ask_and_dispatch::<T>(round.reveals(), one.hotkey.clone())?;
        }
        Agenda::<T>::remove(audit.due(), id);
        #[block]
        {
            Pallet::<T>::end(id);
        }
        let outcome = Pallet::<T>::outcome(id.0, id.1, id.2);
        assert_eq!(outcome, Some(AuditOutcome::Failed));
        let passed = Passes::<T>::get(id.0).ok_or("nothing is known of anybody")?;
        assert_eq!(passed.undecided.len(), MAX_MEMBERS as usize - 1);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::ExtBuilder.build(), crate::mock::Test);
}
