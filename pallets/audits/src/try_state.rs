//! What always holds, after every block.

use alloc::collections::BTreeMap;
use cairn_primitives::{AuditOutcome, Netuid, Round};
use frame_support::{ensure, traits::Get};
use sp_runtime::TryRuntimeError;

use crate::{
    Agenda, Audit, AuditId, Config, Counts, NextDue, OpenAudits, Outcomes, Pallet, Passes, Stage,
    ValidatorsOf,
};

type Checked = Result<(), TryRuntimeError>;

impl<T: Config> Pallet<T> {
    /// Checks everything that the pallet promises of its storage.
    pub fn do_try_state() -> Checked {
        let mut open: BTreeMap<(Netuid, Round), u32> = BTreeMap::new();
        for (id, audit) in OpenAudits::<T>::iter() {
            Self::check_audit(id, &audit)?;
            let count = open.entry((id.0, id.1)).or_default();
            *count = count.saturating_add(1);
        }
        let mut counted = BTreeMap::new();
        for (netuid, counts) in Counts::<T>::iter() {
            ensure!(!counts.is_empty(), "a count of nothing");
            counted.extend(counts.iter().map(|(round, open)| ((netuid, *round), *open)));
        }
        ensure!(open == counted, "open audits are not counted");
        for (netuid, round) in ValidatorsOf::<T>::iter_keys() {
            ensure!(
                open.contains_key(&(netuid, round)),
                "validators are kept of a round of which no audit is open"
            );
        }
        Self::check_agenda()?;
        Self::check_outcomes()?;
        Self::check_passes()
    }

    fn check_audit(id: AuditId, audit: &Audit<T::AccountId>) -> Checked {
        ensure!(
            Agenda::<T>::contains_key(audit.due(), id),
            "an audit is not on the agenda"
        );
        ensure!(
            !audit.is_held || frame_system::Pallet::<T>::sufficients(&audit.hotkey) > 0,
            "a miner that left cannot be heard"
        );
        ensure!(!audit.auditors.is_empty(), "an audit without auditors");
        Self::check_validators(id, audit)?;
        for (index, one) in audit.auditors.iter().enumerate() {
            let others = audit.auditors.iter().skip(index.saturating_add(1));
            ensure!(
                others
                    .clone()
                    .all(|other| other.uid != one.uid && other.hotkey != one.hotkey),
                "an auditor was drawn twice"
            );
            ensure!(
                one.hotkey != audit.hotkey,
                "a miner audits its own contribution"
            );
            ensure!(
                one.said.is_none() || audit.served.is_some(),
                "an auditor found something where nothing was served"
            );
        }
        ensure!(
            audit
                .served
                .is_none_or(|served| served.length <= audit.longest),
            "more is served than can be"
        );
        let outcome = Self::outcome(id.0, id.1, id.2);
        ensure!(
            outcome.is_none_or(|one| one == AuditOutcome::Open),
            "an open audit has an outcome"
        );
        Ok(())
    }

    /// The round's validators are known while one of its audits is open, and in a dispute all are asked.
    fn check_validators((netuid, round, _): AuditId, audit: &Audit<T::AccountId>) -> Checked {
        let known = ValidatorsOf::<T>::get(netuid, round).unwrap_or_default();
        ensure!(
            audit.auditors.iter().all(|one| known
                .iter()
                .any(|it| (it.uid, &it.hotkey) == (one.uid, &one.hotkey)
                    && it.coldkey != audit.coldkey)),
            "an auditor is none of the round's validators"
        );
        let Some(drawn) = audit.drawn_auditors else {
            ensure!(audit.times.start == audit.settled, "an audit begins late");
            return Ok(());
        };
        let others = known.iter().filter(|one| one.coldkey != audit.coldkey);
        ensure!(
            others.count() == audit.auditors.len() && usize::from(drawn) < audit.auditors.len(),
            "in a dispute not all are asked"
        );
        ensure!(
            audit.served.is_some() && audit.times.end_of(Stage::Open) > audit.settled,
            "there is a dispute about nothing"
        );
        Ok(())
    }

    fn check_agenda() -> Checked {
        let next = NextDue::<T>::get().unwrap_or(0);
        for (block, id, ()) in Agenda::<T>::iter() {
            ensure!(block >= next, "the agenda of a block that is done is not");
            let audit = OpenAudits::<T>::get(id).ok_or("an audit on the agenda is not open")?;
            ensure!(audit.due() == block, "an audit is on the agenda twice");
        }
        ensure!(T::MaxEndsPerBlock::get() >= 1, "audits never end");
        Ok(())
    }

    fn check_outcomes() -> Checked {
        for (netuid, round, outcomes) in Outcomes::<T>::iter() {
            ensure!(!outcomes.is_empty(), "outcomes of no audit are kept");
            for (uid, outcome) in outcomes {
                let is_open = OpenAudits::<T>::contains_key((netuid, round, uid));
                ensure!(
                    is_open == (outcome == AuditOutcome::Open),
                    "an outcome is open of an audit that is not"
                );
            }
        }
        Ok(())
    }

    fn check_passes() -> Checked {
        for (_, passed) in Passes::<T>::iter() {
            for (uid, round) in &passed.undecided {
                ensure!(
                    passed.proven.contains(*uid),
                    "pay of who is not proven waits for the next audit"
                );
                ensure!(
                    *round <= passed.newest,
                    "an audit of a round to come was left undecided"
                );
            }
        }
        Ok(())
    }
}
