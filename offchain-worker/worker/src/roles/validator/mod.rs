//! The validator: fetches, checks, attests, and scores what miners contribute.

mod audit;
mod checks;
mod evidence;
mod measure;
mod pledge;
mod scores;

pub(crate) use evidence::KEPT_EPOCHS;

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
};

use bytes::Bytes;
use cairn_chain::MemberInfo;
use cairn_data::UnseenText;
use cairn_gradient::{checked::Refusal, Checked};
use cairn_primitives::{BlockNumber, Round, Uid};
use cairn_round::{
    audit::Verdict,
    pledge::Pledge,
    scoring::{forget_old, Evidence},
    validator::{Done, Id, Opened, Task, Validator, Weighed},
    Held,
};

use super::{
    apply::AtHand,
    chain::Chain,
    driver::{Desk, Ended, Jobs, Role},
    idle,
    jobs::publishing,
    join::{checkpoint_bytes, write_checkpoint},
    ledger::Log,
    look::Looked,
    setup::{connect, work, WorkerOptions},
    RoleError, Status,
};

/// Validates until it is told to stop.
///
/// # Errors
/// What cannot be waited out; see [`RoleError`]. Nothing is lost: starting again goes on from the disk.
pub async fn run(options: WorkerOptions) -> Result<(), RoleError> {
    match connect(&options).await? {
        Some(chain) => validate(chain, options).await,
        None => Ok(()),
    }
}

/// Lines of the log of evidence that are read before what is old among them is forgotten.
const READ_AT_ONCE: usize = 10_000;

/// Validates on any chain.
pub(super) async fn validate<C: Chain>(chain: C, options: WorkerOptions) -> Result<(), RoleError> {
    work(chain, &options, |run, resumed| {
        let mut evidence = Vec::new();
        let log = Log::open(&resumed.directory.join("evidence.jsonl"), |item| {
            evidence.push(item);
            // The log only grows, and what is needed of it does not.
            if evidence.len().is_multiple_of(READ_AT_ONCE) {
                forget_old(&mut evidence);
            }
        })?;
        forget_old(&mut evidence);
        let (hotkey, initial_root) = (run.hotkey.hotkey(), run.config.initial_root);
        Ok(ValidatorRole {
            machine: Validator::new(
                hotkey,
                initial_root,
                resumed.held,
                resumed.pledges,
                resumed.hidden_rows,
            )
            .auditing(resumed.verdicts)
            .with_checkpoint_every(run.config.checkpoint_every)
            .serving_at(resumed.endpoints),
            sealed: BTreeMap::new(),
            good: BTreeMap::new(),
            unseen: resumed.unseen.map(Arc::new),
            stop: Arc::default(),
            evidence,
            evidence_log: log,
            drawer: evidence::Drawer::beside(&resumed.directory),
        })
    })
    .await
}

struct ValidatorRole {
    machine: Validator,
    /// Sealed files of the round held, by uid and root.
    sealed: BTreeMap<Id, Bytes>,
    /// Opened ones, by round, of the round held and the two before.
    good: BTreeMap<Round, AtHand>,
    /// The text that miners do not have, if the run has one.
    unseen: Option<Arc<UnseenText>>,
    /// Tells measuring to end.
    stop: Arc<AtomicBool>,
    evidence: Vec<Evidence>,
    evidence_log: Log<Evidence>,
    /// The files that others may demand once scores are revealed.
    drawer: evidence::Drawer,
}

/// What own work brought.
enum Outcome {
    Fetched(Round, Id, Option<Bytes>),
    /// A good contribution, or why it is not; nothing if it was not here any more.
    Opened(Round, Id, Option<Result<Arc<Checked>, Refusal>>),
    Pledged(Pledge),
    Measured(Round, measure::Measured),
    Audited((Round, Uid), Option<Verdict>),
    Weighed(Weighed),
    Checkpoint(Held, bool),
}

impl ValidatorRole {
    fn checkpoint<C: Chain>(&self, held: Held, desk: &Desk<C>, jobs: &mut Jobs<Outcome>) {
        let desk = desk.clone();
        let moves = publishing(checkpoint_bytes(&desk.run));
        jobs.spawn_moving("writing a checkpoint", moves, async move {
            // Late joiners need it, this validator does not.
            let is_written = match write_checkpoint(&desk, held).await {
                Ok(true) => {
                    tracing::info!("the parameters of round {} are in the store", held.round);
                    true
                }
                Ok(false) => {
                    tracing::warn!("no checkpoint of round {}: too late", held.round);
                    true
                }
                Err(error) => {
                    tracing::warn!("no checkpoint of round {} yet: {error}", held.round);
                    false
                }
            };
            Ok(Ended::Own(Outcome::Checkpoint(held, is_written)))
        });
    }
}

impl Role for ValidatorRole {
    type Machine = Validator;
    type Outcome = Outcome;

    const NAME: &'static str = "validator";
    const PART: idle::Part = idle::Part::Validator;
    const MEASURES: bool = true;

    fn machine(&mut self) -> &mut Validator {
        &mut self.machine
    }

    fn held(&self) -> Option<Held> {
        self.machine.held()
    }

    fn begin<C: Chain>(&mut self, task: Task, desk: &Desk<C>, jobs: &mut Jobs<Outcome>) {
        match task {
            Task::Fetch {
                round,
                uid,
                hotkey,
                commitment,
            } => checks::fetch(desk, jobs, round, (uid, hotkey), commitment),
            Task::Open(claim) => self.open(desk, jobs, claim),
            Task::Pledge {
                round,
                root,
                verdicts,
                witness,
            } => self.pledge(desk, jobs, (round, root, verdicts, witness)),
            Task::Measure(measurement) => self.measure(desk, jobs, measurement),
            Task::Audit(audit) => self.audit(desk, jobs, *audit),
            Task::StopMeasuring => self.stop.store(true, Ordering::Relaxed),
            Task::Weigh { round, epoch } => self.weigh(desk, jobs, round, epoch),
            Task::WriteCheckpoint(held) => self.checkpoint(held, desk, jobs),
        }
    }

    fn ended(&mut self, outcome: Outcome, _: &mut Status) -> Result<Done, RoleError> {
        Ok(match outcome {
            Outcome::Fetched(round, id, file) => {
                let is_here = file.is_some();
                self.fetched(round, id, file);
                Done::Fetched { round, id, is_here }
            }
            Outcome::Opened(round, id, opened) => {
                let found = match &opened {
                    Some(Ok(_)) => Opened::Good,
                    Some(Err(refusal)) if refusal.is_broken() => Opened::Broken,
                    Some(Err(_)) | None => Opened::Bad,
                };
                self.opened(round, id, opened.and_then(Result::ok));
                Done::Opened { round, id, found }
            }
            Outcome::Pledged(pledge) => Done::Pledged(pledge),
            Outcome::Measured(round, found) => {
                self.take_evidence(found.evidence)?;
                Done::Measured(round, found.witness, found.fruitless)
            }
            Outcome::Audited(of, verdict) => Done::Audited(of, verdict),
            Outcome::Weighed(weighed) => Done::Weighed(weighed),
            Outcome::Checkpoint(held, is_written) => Done::Checkpoint(held, is_written),
        })
    }

    fn looked(&mut self, looked: &Looked, status: &mut Status) {
        let own = looked.view.validator(status.hotkey.hotkey());
        status.uid = own.map(|own| own.uid).or(status.uid);
        if let Some(voting) = &looked.view.voting {
            let round = looked.view.round.round;
            self.drawer.note(self.machine.hidden_rows(), voting, round);
        }
    }

    fn tend<C: Chain>(&mut self, desk: &Desk<C>, jobs: &mut Jobs<Outcome>) {
        self.drawer.tend(desk, jobs);
    }

    fn block(&mut self, _: BlockNumber) {}

    fn applied(&mut self, round: Round, files: AtHand) {
        // Those that came late are measured, too.
        self.good.entry(round).or_default().extend(files);
    }

    fn at_hand(&self, round: Round) -> AtHand {
        self.good.get(&round).cloned().unwrap_or_default()
    }

    fn share(&self, round: Round, member: Option<&MemberInfo>) -> (bool, u16) {
        let attested = self.machine.attested() == Some(round);
        (attested, member.map_or(0, |member| member.dividends))
    }

    fn holds(&mut self, held: Held) {
        self.sealed.clear();
        // Those of the round before are still to be measured, beside those of the one before that.
        let oldest = held.round.saturating_sub(2);
        self.good.retain(|round, _| *round >= oldest);
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
