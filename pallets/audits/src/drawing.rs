//! What the training pallet tells: which audits are drawn when a round is settled, and when they go without a verdict.

use alloc::vec::Vec;
use cairn_primitives::{
    traits::{Asked, Audits, Membership, Questions, Settled, Wages},
    AuditOutcome, Netuid, Round, Uid, Verdicts,
};
use cairn_protocol::audit::{self, Times};
use frame_support::{defensive, dispatch::DispatchClass, BoundedVec};
use sp_runtime::traits::SaturatedConversion;

use crate::{
    Agenda, Audit, AuditId, Auditor, Config, Counts, Event, OpenAudits, Outcomes, Pallet, Passed,
    Passes, RoundOutcomes, Stopped, Validator, Validators, ValidatorsOf, WeightInfo, MOST_ROUNDS,
    OPEN_ROUNDS,
};

impl<T: Config> Audits<T::AccountId> for Pallet<T> {
    fn on_settled(settled: Settled<'_, T::AccountId>) {
        let mut passed = Passes::<T>::get(settled.netuid).unwrap_or_default();
        passed.newest = settled.round;
        let validators = Self::validators(&settled);
        let audits = Self::draw(&settled, &validators, &passed);
        Passes::<T>::insert(settled.netuid, passed);
        let drawn = u32::try_from(audits.len()).unwrap_or(u32::MAX);
        let looked_at = settled
            .included
            .len()
            .saturating_add(settled.validators.len());
        let weight = T::WeightInfo::draw(u32::try_from(looked_at).unwrap_or(u32::MAX), drawn);
        frame_system::Pallet::<T>::register_extra_weight_unchecked(
            weight,
            DispatchClass::Mandatory,
        );
        if drawn > 0 {
            ValidatorsOf::<T>::insert(settled.netuid, settled.round, validators);
            Self::note_drawn(settled.netuid, settled.round, audits);
        }
    }

    fn proven(netuid: Netuid) -> Verdicts {
        let passed = Passes::<T>::get(netuid).unwrap_or_default();
        passed.proven
    }

    fn on_stopped(netuid: Netuid) -> Option<Questions> {
        let questions = Self::questions(netuid);
        if let Some(questions) = &questions {
            T::Wages::on_stopped(netuid, questions);
        }
        Passes::<T>::remove(netuid);
        if Self::open_count(netuid) > 0 {
            Stopped::<T>::insert(netuid, ());
        }
        questions
    }

    fn forget(netuid: Netuid, round: Round) -> u32 {
        u32::from(Outcomes::<T>::take(netuid, round).is_some())
    }

    /// Each audit has three items, of which none stays without the others, and the last one of a round takes the round's
    /// validators with it.
    fn clear(netuid: Netuid, limit: u32) -> u32 {
        let most = usize::try_from(limit.div_ceil(3)).unwrap_or(usize::MAX);
        let some: Vec<(Round, Uid, Audit<T::AccountId>)> = OpenAudits::<T>::iter_prefix((netuid,))
            .take(most)
            .map(|((round, uid), audit)| (round, uid, audit))
            .collect();
        for (round, uid, audit) in &some {
            Agenda::<T>::remove(audit.due(), (netuid, *round, *uid));
            Self::close((netuid, *round, *uid), audit, AuditOutcome::Undecided);
        }
        if some.len() < most {
            Stopped::<T>::remove(netuid);
        }
        u32::try_from(some.len())
            .unwrap_or(u32::MAX)
            .saturating_mul(3)
    }
}

impl<T: Config> Asked for Pallet<T> {
    /// Reads the outcomes of at most [`MOST_ROUNDS`] rounds.
    fn questions(netuid: Netuid) -> Option<Questions> {
        let passed = Passes::<T>::get(netuid)?;
        let mut questions = Questions {
            newest: passed.newest,
            proven: passed.proven,
            ..Questions::default()
        };
        for round in Counts::<T>::get(netuid).keys() {
            let outcomes = Outcomes::<T>::get(netuid, round).unwrap_or_default();
            for (uid, _) in outcomes
                .iter()
                .filter(|(_, outcome)| **outcome == AuditOutcome::Open)
            {
                questions.ask(*uid, *round);
            }
        }
        for (uid, round) in passed.undecided {
            questions.ask(uid, round);
        }
        Some(questions)
    }
}

impl<T: Config> Pallet<T> {
    /// The validators of a settled round, and whose they are.
    fn validators(settled: &Settled<'_, T::AccountId>) -> Validators<T::AccountId> {
        let all = settled.validators.iter();
        let all = all.map(|(uid, hotkey, stake)| Validator {
            uid: *uid,
            hotkey: hotkey.clone(),
            coldkey: T::Membership::coldkey(hotkey),
            stake: *stake,
        });
        // A round has no more of them.
        BoundedVec::truncate_from(all.collect())
    }

    /// The audits that follow from a settled round, ascending by uid.
    fn draw(
        settled: &Settled<'_, T::AccountId>,
        candidates: &[Validator<T::AccountId>],
        passed: &Passed,
    ) -> Vec<(Uid, Audit<T::AccountId>)> {
        let most = OPEN_ROUNDS.saturating_mul(settled.max_contributors.into());
        let room = match Counts::<T>::get(settled.netuid).len() < MOST_ROUNDS as usize {
            true => most.saturating_sub(Self::open_count(settled.netuid)),
            false => 0,
        };
        let drawn = settled.included.iter().filter_map(|(uid, hotkey)| {
            let judged = passed.judged(*uid);
            let rate = audit::rate_of(settled.rules.rate, judged);
            let drawn = audit::draw(settled.seed, *uid, rate)?;
            Some((!judged.is_proven, drawn, *uid, hotkey))
        });
        // Where there is no room for all: newcomers, whose pay waits, leave it to the others, and the lot decides.
        let mut drawn: Vec<_> = drawn.collect();
        drawn.sort_by_key(|(is_new, drawn, uid, _)| (*is_new, *drawn, *uid));
        let audits = drawn
            .into_iter()
            .filter_map(|(is_new, drawn, uid, hotkey)| {
                let lot = (is_new, drawn);
                let audit = Self::draw_one(settled, candidates, (uid, hotkey), lot)?;
                Some((uid, audit))
            });
        let mut audits: Vec<_> = audits
            .take(usize::try_from(room).unwrap_or(usize::MAX))
            .collect();
        audits.sort_by_key(|(uid, _)| *uid);
        audits
    }

    fn draw_one(
        settled: &Settled<'_, T::AccountId>,
        candidates: &[Validator<T::AccountId>],
        (uid, hotkey): (Uid, &T::AccountId),
        (is_new, drawn): (bool, u32),
    ) -> Option<Audit<T::AccountId>> {
        let (seed, rules) = (settled.seed, settled.rules);
        let coldkey = T::Membership::coldkey(hotkey);
        let others: Vec<(Uid, T::AccountId)> = candidates
            .iter()
            .filter(|one| one.coldkey != coldkey)
            .map(|one| (one.uid, one.hotkey.clone()))
            .collect();
        let auditors = audit::auditors(seed, uid, &others, rules.auditors);
        if auditors.is_empty() {
            return None;
        }
        let auditors = auditors.into_iter().map(|(uid, hotkey)| Auditor {
            uid,
            hotkey,
            said: None,
        });
        Some(Audit {
            hotkey: hotkey.clone(),
            coldkey,
            settled: Self::now(),
            times: Times {
                start: Self::now(),
                blocks: rules.blocks,
            },
            drawn,
            is_new,
            longest: audit::longest(settled.parameters, &rules),
            is_held: false,
            served: None,
            drawn_auditors: None,
            auditors: BoundedVec::truncate_from(auditors.collect()),
        })
    }

    fn note_drawn(netuid: Netuid, round: Round, audits: Vec<(Uid, Audit<T::AccountId>)>) {
        let count = u32::try_from(audits.len()).unwrap_or(u32::MAX);
        let uids: Vec<Uid> = audits.iter().map(|(uid, _)| *uid).collect();
        let mut outcomes = RoundOutcomes::default();
        for (uid, audit) in audits {
            if outcomes.try_insert(uid, AuditOutcome::Open).is_err() {
                defensive!("more contributions than there can be members");
            }
            let id = (netuid, round, uid);
            Agenda::<T>::insert(audit.due(), id, ());
            OpenAudits::<T>::insert(id, audit);
        }
        Counts::<T>::mutate(netuid, |counts| {
            if counts.try_insert(round, count).is_err() {
                defensive!("audits of more rounds than there is room for");
            }
        });
        Outcomes::<T>::insert(netuid, round, outcomes);
        Self::deposit_event(Event::Drawn {
            netuid,
            round,
            uids,
        });
    }

    /// Removes an audit that ended so; it has left the agenda.
    pub(crate) fn close(
        (netuid, round, uid): AuditId,
        audit: &Audit<T::AccountId>,
        outcome: AuditOutcome,
    ) {
        OpenAudits::<T>::remove((netuid, round, uid));
        Counts::<T>::mutate_exists(netuid, |counts| {
            let mut left = counts.take().unwrap_or_default();
            if let Some(open) = left.get_mut(&round) {
                *open = open.saturating_sub(1);
            }
            left.retain(|_, open| *open > 0);
            if !left.contains_key(&round) {
                ValidatorsOf::<T>::remove(netuid, round);
            }
            *counts = (!left.is_empty()).then_some(left);
        });
        if audit.is_held {
            frame_system::Pallet::<T>::dec_sufficients(&audit.hotkey);
        }
        Outcomes::<T>::mutate_exists(netuid, round, |outcomes| {
            if let Some(known) = outcomes.as_mut().and_then(|all| all.get_mut(&uid)) {
                *known = outcome;
            }
        });
    }

    /// How many audits of a subnet are open.
    pub(crate) fn open_count(netuid: Netuid) -> u32 {
        let counts = Counts::<T>::get(netuid);
        let add = |sum: u32, open: &u32| sum.saturating_add(*open);
        counts.values().fold(0, add)
    }

    /// The present block.
    pub(crate) fn now() -> cairn_primitives::BlockNumber {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }
}
