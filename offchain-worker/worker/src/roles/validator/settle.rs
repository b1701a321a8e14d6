//! The end of a round: the outer step, the checkpoint, and what can be scored now.

use std::{collections::BTreeMap, sync::Arc};

use cairn_primitives::{BlockNumber, Round, Uid, H256};
use cairn_round::{plan::Plan, Settlement};

use super::{
    measure::{Scorable, Subject},
    Done, Worker,
};
use crate::checked::Checked;
use crate::roles::{
    chain::Chain,
    held::{advance, Held},
    join::{is_checkpoint_round, write_checkpoint},
    ledger::Line,
    progress::Progress,
    run::Run,
    setup::{locked, SharedState},
    state::Change,
    RoleError,
};

/// A round that has been applied and is on disk.
pub(super) struct Settled {
    held: Held,
    line: Line,
    included: Vec<Uid>,
    scorable: Option<Scorable>,
}

/// What the job needs.
struct Job<C> {
    chain: C,
    run: Arc<Run>,
    state: SharedState,
    at: H256,
    held: Held,
    settlement: Settlement,
    /// Whether this validator attested, and so can say what was missed.
    attested: bool,
    good: BTreeMap<Uid, (Arc<Checked>, BlockNumber)>,
}

impl<C: Chain> Worker<C> {
    pub(super) fn settle(&mut self, settlement: Settlement) {
        let round = settlement.round;
        let job = Job {
            chain: self.chain.clone(),
            run: self.run.clone(),
            state: self.state.clone(),
            at: self.heads.finalized.hash,
            held: self.held.clone(),
            good: self.checks.good(round),
            attested: self.attested == Some(round),
            settlement,
        };
        self.jobs.spawn(async move {
            match job.run().await {
                Ok(settled) => Ok(Done::Settled(Box::new(settled))),
                Err(error) if error.is_transient() => {
                    tracing::warn!("round {round} · cannot be applied yet: {error}");
                    Ok(Done::NotSettled(round))
                }
                Err(error) => Err(error),
            }
        });
    }

    pub(super) fn take_settled(&mut self, settled: Settled) -> Result<(), RoleError> {
        let Settled {
            held,
            line,
            included,
            scorable,
        } = settled;
        self.ledger.append(&line)?;
        self.status.rounds_committed = self.ledger.committed;
        self.reporter.say(&Progress::Settled {
            round: line.round,
            included,
            state_root: held.root,
            block: self.heads.finalized.number,
        });
        self.scorable = scorable;
        self.hold(held);
        Ok(())
    }
}

impl<C: Chain> Job<C> {
    async fn run(self) -> Result<Settled, RoleError> {
        let (round, included) = (self.held.round, self.settlement.included.clone());
        let at_hand = self
            .good
            .iter()
            .map(|(uid, (contribution, _))| (*uid, contribution.clone()))
            .collect();
        let next = advance(
            &self.chain,
            &self.run,
            self.at,
            &self.held,
            &included,
            &at_hand,
        )
        .await?;
        let member = self
            .chain
            .member(self.at, self.run.netuid, self.run.hotkey)
            .await?;
        let scorable = self.scorable(round).await?;
        let line = Line {
            round,
            contributions: u16::try_from(included.len()).unwrap_or(u16::MAX),
            committed: self.attested,
            included: false,
            incentive: member.as_ref().map_or(0, |member| member.dividends),
            earned: member.as_ref().map_or(0, |member| member.earned),
            state_root: next.root,
        };
        let (held, state, last) = (next.clone(), self.state.clone(), line.clone());
        tokio::task::spawn_blocking(move || {
            let weights = Some((held.round, held.root, held.theta.as_slice()));
            locked(&state).save(&Change {
                weights,
                last: Some(&last),
                ..Change::default()
            })
        })
        .await??;
        if is_checkpoint_round(next.round) {
            // Late joiners need it, this validator does not.
            if let Err(error) = write_checkpoint(&self.run, &next).await {
                tracing::warn!("no checkpoint of round {}: {error}", next.round);
            }
        }
        Ok(Settled {
            held: next,
            line,
            included,
            scorable,
        })
    }

    /// What can be measured now that everybody has opened the round's contributions.
    async fn scorable(&self, round: Round) -> Result<Option<Scorable>, RoleError> {
        let info = self.chain.round(self.at, self.run.netuid, round).await?;
        let Some(info) = info.filter(|_| self.attested) else {
            return Ok(None);
        };
        let subject = |(slot, (uid, hotkey)): (usize, &(Uid, cairn_chain::AccountId))| Subject {
            slot: slot as u64,
            uid: *uid,
            hotkey: H256(hotkey.0),
            contribution: self.good.get(uid).cloned(),
        };
        let subjects = info.miners.iter().enumerate().map(subject);
        // Others found it good: that it is not here is no fault of the miner's.
        let included = &self.settlement.included;
        let is_known = |one: &Subject| one.contribution.is_some() || !included.contains(&one.uid);
        Ok(Some(Scorable {
            round,
            plan: Plan::new(self.run.netuid, &self.run.config, &info),
            theta: self.held.theta.clone(),
            subjects: subjects.filter(is_known).collect(),
        }))
    }
}
