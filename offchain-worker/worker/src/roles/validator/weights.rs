//! From evidence to weights on chain.

use std::sync::Arc;

use cairn_chain::Keypair;
use cairn_primitives::{EpochIndex, Round, Uid, H256};
use cairn_round::{
    ballot::{self, Ballot, Step},
    scoring::{scores, weights, Evidence, WINDOW},
};

use super::{Done, Worker};
use crate::roles::{
    chain::{Chain, Transaction},
    progress::{Progress, Reporter},
    run::Run,
    setup::{locked, SharedState},
    state::Change,
    RoleError,
};

/// Keeps what a score can still depend on.
pub(super) fn forget_old(evidence: &mut Vec<Evidence>) {
    let newest = evidence.iter().map(|item| item.round).max().unwrap_or(0);
    evidence.retain(|item| newest - item.round < WINDOW);
}

/// What a job about weights needs.
struct Job<C> {
    chain: C,
    key: Keypair,
    run: Arc<Run>,
    state: SharedState,
    reporter: Reporter,
}

impl<C: Chain> Worker<C> {
    pub(super) fn vote(&mut self, step: Step) {
        let job = Job {
            chain: self.chain.clone(),
            key: self.key.clone(),
            run: self.run.clone(),
            state: self.state.clone(),
            reporter: self.reporter,
        };
        match step {
            Step::Weigh(round, before) => {
                let best = self.heads.best.hash;
                let evidence = self.evidence.clone();
                let kept = self.machine.ballots.kept.clone();
                self.jobs.spawn(async move {
                    let weights = match job.weigh(&evidence, round, best).await {
                        Some(weights) if weights.is_empty() => return Ok(Done::Weighed(None)),
                        Some(weights) => weights,
                        None => return Ok(Done::WeightsSubmitted(false)),
                    };
                    match before {
                        Some(epoch) => job.hide(kept, round, epoch, weights).await,
                        None => Ok(job.set(round, weights).await),
                    }
                });
            }
            Step::Commit(ballot) => {
                self.jobs.spawn(async move { Ok(job.commit(ballot).await) });
            }
            Step::Reveal(ballot) => {
                self.jobs.spawn(async move { Ok(job.reveal(ballot).await) });
            }
        }
    }
}

impl<C: Chain> Job<C> {
    /// Weights from evidence; none if the chain does not answer now.
    async fn weigh(
        &self,
        evidence: &[Evidence],
        round: Round,
        at: H256,
    ) -> Option<Vec<(Uid, u16)>> {
        let members = match self.chain.members(at, self.run.netuid).await {
            Ok(members) => members,
            Err(error) => {
                tracing::warn!("{error}");
                return None;
            }
        };
        let scores = scores(evidence, round);
        // Scores of members that have left are nobody's.
        let present = members
            .iter()
            .filter(|member| member.hotkey != self.run.hotkey)
            .filter_map(|member| {
                let score = scores.get(&(member.uid, H256(member.hotkey.0)))?;
                Some((member.uid, *score))
            });
        let weights = weights(present);
        if weights.is_empty() {
            tracing::info!("round {round} · no contribution has shown its worth, weights stay");
        }
        Some(weights)
    }

    /// Makes a ballot and puts it on disk, from where it can be committed to and revealed.
    async fn hide(
        self,
        kept: Vec<Ballot>,
        round: Round,
        epoch: EpochIndex,
        weights: Vec<(Uid, u16)>,
    ) -> Result<Done, RoleError> {
        let mut salt = H256::zero();
        getrandom::fill(&mut salt.0).map_err(|error| RoleError::Random(error.to_string()))?;
        let voter = (self.run.netuid, H256(self.run.hotkey.0));
        let ballot = Ballot::new(voter, round, epoch, weights, salt);
        let ballots = ballot::with(&kept, ballot.clone());
        tokio::task::spawn_blocking(move || {
            locked(&self.state).save(&Change {
                ballots: Some(&ballots),
                ..Change::default()
            })
        })
        .await??;
        Ok(Done::Weighed(Some(ballot)))
    }

    async fn set(&self, round: Round, weights: Vec<(Uid, u16)>) -> Done {
        let said = Progress::WeightsSet {
            round,
            weights: weights.clone(),
        };
        self.send(Transaction::SetWeights(weights), said).await
    }

    async fn commit(&self, ballot: Ballot) -> Done {
        let said = Progress::WeightsCommitted {
            round: ballot.round,
            epoch: ballot.epoch,
        };
        self.send(Transaction::CommitWeights(ballot), said).await
    }

    async fn reveal(&self, ballot: Ballot) -> Done {
        let said = Progress::WeightsRevealed {
            round: ballot.round,
            epoch: ballot.epoch,
            weights: ballot.weights.clone(),
        };
        self.send(Transaction::RevealWeights(ballot), said).await
    }

    async fn send(&self, transaction: Transaction, said: Progress) -> Done {
        let sent = self
            .chain
            .submit(self.run.netuid, transaction, &self.key)
            .await;
        match &sent {
            Ok(_) => self.reporter.say(&said),
            Err(error) => tracing::warn!("{error}"),
        }
        Done::WeightsSubmitted(sent.is_ok())
    }
}
