//! Measuring what each contribution of a round is worth.

use std::sync::{
    atomic::{AtomicBool, Ordering},
    Arc, Mutex,
};

use cairn_gradient::Contribution;
use cairn_primitives::{BlockNumber, Round, Uid, H256};
use cairn_round::{
    plan::Plan,
    scoring::{gains, Evidence, Outcome},
};
use cairn_trainer::engine::Engine;

use super::{trial::Trial, Done, Worker};
use crate::checked::Checked;
use crate::roles::{chain::Chain, progress::Progress, run::Run, setup::locked, RoleError};

/// Windows of each kind that a contribution is measured on.
const WINDOWS: u64 = 32;
/// Windows between two looks at whether to stop.
const PIECE: usize = 8;

/// A miner of a round and what it contributed.
pub(super) struct Subject {
    pub slot: u64,
    pub uid: Uid,
    pub hotkey: H256,
    /// The contribution and the block at which its commitment was first seen.
    pub contribution: Option<(Arc<Checked>, BlockNumber)>,
}

/// A round that can be measured: its weights, its data, its contributions. Slots are drawn by the round's
/// seed, so whoever is left out when time runs out is left out by chance.
pub(super) struct Scorable {
    pub round: Round,
    pub plan: Plan,
    pub theta: Arc<Vec<f32>>,
    pub subjects: Vec<Subject>,
}

/// What measuring needs.
struct Measuring {
    run: Arc<Run>,
    trainer: Arc<Mutex<Engine>>,
    stop: Arc<AtomicBool>,
    scorable: Scorable,
}

impl<C: Chain> Worker<C> {
    pub(super) fn score(&mut self, round: Round) {
        self.stop.store(false, Ordering::Relaxed);
        let scorable = self
            .scorable
            .take()
            .filter(|scorable| scorable.round == round);
        let (run, trainer, stop) = (self.run.clone(), self.trainer.clone(), self.stop.clone());
        let reporter = self.reporter;
        self.jobs.spawn(async move {
            let Some(scorable) = scorable else {
                return Ok(Done::Scored(round, Vec::new()));
            };
            let miners = scorable.subjects.len();
            let measuring = Measuring {
                run,
                trainer,
                stop,
                scorable,
            };
            let measured = tokio::task::spawn_blocking(move || measuring.measure()).await?;
            let evidence = match measured {
                Ok(evidence) => evidence,
                // A card that fails takes this round's evidence with it; the next round opens it anew.
                Err(RoleError::Trainer(error)) => {
                    tracing::warn!("round {round} · cannot be measured: {error}");
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            reporter.say(&Progress::Scored {
                round,
                measured: evidence.len(),
                miners,
            });
            Ok(Done::Scored(round, evidence))
        });
    }

    pub(super) fn take_evidence(&mut self, evidence: Vec<Evidence>) -> Result<(), RoleError> {
        self.evidence_log.append(&evidence)?;
        self.evidence.extend(evidence);
        super::weights::forget_old(&mut self.evidence);
        Ok(())
    }
}

impl Measuring {
    /// Evidence of all subjects, or of those for which there was time.
    fn measure(&self) -> Result<Vec<Evidence>, RoleError> {
        let Scorable {
            plan,
            theta,
            subjects,
            ..
        } = &self.scorable;
        let mut evidence: Vec<Evidence> = subjects
            .iter()
            .filter(|subject| subject.contribution.is_none())
            .map(|subject| self.evidence(subject, Outcome::Missed))
            .collect();
        let unassigned = self.run.windows(&plan.sample_unassigned(WINDOWS));
        let mut engine = locked(&self.trainer);
        let mut trial = Trial::new(&mut engine, &self.run, theta)?;
        let Some(before) = self.losses(&mut trial, &unassigned)? else {
            return Ok(evidence);
        };
        for subject in subjects {
            let Some((checked, committed_at)) = &subject.contribution else {
                continue;
            };
            let steps = checked.header().inner_steps;
            let contribution = self.decoded(checked)?;
            let values = digest(&contribution);
            let assigned = self
                .run
                .windows(&plan.sample_assigned(subject.slot, steps, WINDOWS));
            trial.reset()?;
            let own_before = self.losses(&mut trial, &assigned)?;
            trial.apply(subject.uid, contribution)?;
            let own_after = self.losses(&mut trial, &assigned)?;
            let others_after = self.losses(&mut trial, &unassigned)?;
            let (Some(own_before), Some(own_after), Some(others_after)) =
                (own_before, own_after, others_after)
            else {
                tracing::info!("round {} · no time to score the rest", self.scorable.round);
                break;
            };
            let outcome = Outcome::Measured {
                values,
                committed_at: *committed_at,
                assigned: gains(&own_before, &own_after),
                unassigned: gains(&before, &others_after),
            };
            evidence.push(self.evidence(subject, outcome));
        }
        Ok(evidence)
    }

    fn decoded(&self, checked: &Checked) -> Result<Contribution, RoleError> {
        let decoded = checked.decode(&self.run.layout, &self.run.config);
        decoded.map_err(|error| RoleError::Broken(error.to_string()))
    }

    fn evidence(&self, subject: &Subject, outcome: Outcome) -> Evidence {
        let (uid, hotkey) = (subject.uid, subject.hotkey);
        Evidence {
            round: self.scorable.round,
            uid,
            hotkey,
            outcome,
        }
    }

    /// The loss of each window; `None` if it is time to stop.
    fn losses(&self, trial: &mut Trial, windows: &[&[u32]]) -> Result<Option<Vec<f32>>, RoleError> {
        let mut losses = Vec::with_capacity(windows.len());
        for piece in windows.chunks(PIECE) {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            losses.extend(trial.losses(piece)?);
        }
        Ok(Some(losses))
    }
}

/// Digest of a contribution's values, whoever sent them.
fn digest(contribution: &Contribution) -> H256 {
    let mut hasher = blake3::Hasher::new();
    for tensor in &contribution.tensors {
        let levels = tensor.levels().flatten().map(u16::to_le_bytes);
        let codes = tensor.codes().iter().map(|code| code.to_le_bytes());
        let bytes: Vec<u8> = levels.chain(codes).flatten().collect();
        hasher
            .update(&(tensor.codes().len() as u64).to_le_bytes())
            .update(&bytes);
    }
    H256(*hasher.finalize().as_bytes())
}
