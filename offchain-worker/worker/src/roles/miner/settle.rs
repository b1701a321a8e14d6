//! The end of a round: the outer step, and what becomes of the miner's own contribution.

use std::{collections::BTreeMap, sync::Arc};

use cairn_gradient::{decode, put_back};
use cairn_primitives::{Uid, H256};
use cairn_round::Settlement;

use super::{Done, Worker};
use crate::roles::{
    chain::Chain,
    held::{advance, Held},
    ledger::Line,
    progress::Progress,
    run::Run,
    setup::{locked, SharedState},
    state::{Change, Open},
    RoleError,
};

/// A round that has been applied and is on disk.
pub(super) struct Settled {
    held: Held,
    feedback: Option<Arc<Vec<f32>>>,
    line: Line,
    uid: Option<Uid>,
    included: Vec<Uid>,
}

/// What the job needs.
struct Job<C> {
    chain: C,
    run: Arc<Run>,
    state: SharedState,
    at: H256,
    held: Held,
    settlement: Settlement,
    open: Option<Arc<Open>>,
    /// The error feedback, if the open contribution has to go back into it.
    feedback: Option<Arc<Vec<f32>>>,
}

impl<C: Chain> Worker<C> {
    pub(super) fn settle(&mut self, settlement: Settlement, put_back: bool) {
        let round = settlement.round;
        let job = Job {
            chain: self.chain.clone(),
            run: self.run.clone(),
            state: self.state.clone(),
            at: self.heads.finalized.hash,
            held: self.held.clone(),
            settlement,
            open: self.open.clone(),
            feedback: put_back.then(|| self.memory.feedback.clone()),
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
            feedback,
            line,
            uid,
            included,
        } = settled;
        self.ledger.append(&line)?;
        if let Some(feedback) = feedback {
            self.memory.feedback = feedback;
        }
        self.open = None;
        self.status.uid = uid;
        self.status.rounds_committed = self.ledger.committed;
        self.status.rounds_included = self.ledger.included;
        self.reporter.say(&Progress::Settled {
            round: line.round,
            included,
            state_root: held.root,
            block: self.heads.finalized.number,
        });
        self.hold(held);
        Ok(())
    }
}

impl<C: Chain> Job<C> {
    async fn run(self) -> Result<Settled, RoleError> {
        let (round, included) = (self.held.round, &self.settlement.included);
        // A miner fetches what was included when it needs it.
        let at_hand = BTreeMap::new();
        let next = advance(
            &self.chain,
            &self.run,
            self.at,
            &self.held,
            included,
            &at_hand,
        )
        .await?;
        let member = self
            .chain
            .member(self.at, self.run.netuid, self.run.hotkey)
            .await?;
        let line = Line {
            round,
            contributions: u16::try_from(included.len()).unwrap_or(u16::MAX),
            committed: self.open.as_ref().is_some_and(|open| open.round == round),
            included: self.settlement.own.is_some(),
            incentive: member.as_ref().map_or(0, |member| member.incentive),
            earned: member.as_ref().map_or(0, |member| member.earned),
            state_root: next.root,
        };
        let uid = member.map(|member| member.uid);
        let included = self.settlement.included.clone();
        tokio::task::spawn_blocking(move || {
            let feedback = self.returned()?;
            let change = Change {
                weights: Some((next.round, next.root, &next.theta)),
                feedback: feedback.as_deref().map(Vec::as_slice),
                last: Some(&line),
                ..Change::default()
            };
            locked(&self.state).save(&change)?;
            Ok(Settled {
                held: next,
                feedback,
                line,
                uid,
                included,
            })
        })
        .await?
    }

    /// The error feedback with the open contribution back in it, if it was not included.
    fn returned(&self) -> Result<Option<Arc<Vec<f32>>>, RoleError> {
        let (Some(feedback), Some(open)) = (&self.feedback, &self.open) else {
            return Ok(None);
        };
        let layout = &self.run.layout;
        let compression = &self.run.config.compression_in(open.round);
        let mut feedback = feedback.as_ref().clone();
        let contribution = decode(&open.plain, layout, compression)
            .map_err(|error| RoleError::Broken(error.to_string()))?;
        put_back(&mut feedback, layout, &contribution)
            .map_err(|error| RoleError::Broken(error.to_string()))?;
        Ok(Some(Arc::new(feedback)))
    }
}
