//! Measuring what each contribution of a round is worth.

use std::sync::atomic::Ordering;

use cairn_round::{
    scoring::{forget_old, Evidence},
    validator::Measurement,
};

use super::{Outcome, ValidatorRole};
use crate::metrics::{Failed, Stage};
use crate::roles::{
    chain::Chain,
    driver::{with_engine, Desk, Ended, Jobs},
    progress::Progress,
    RoleError,
};
use crate::scoring::{Files, Scoring};

impl ValidatorRole {
    /// Measures a round, as far as there is time.
    pub(super) fn measure<C: Chain>(
        &mut self,
        desk: &Desk<C>,
        jobs: &mut Jobs<Outcome>,
        measurement: Measurement,
    ) {
        let (round, miners) = (measurement.round, measurement.subjects.len());
        self.stop.store(false, Ordering::Relaxed);
        let (run, stop) = (desk.run.clone(), self.stop.clone());
        // Those of the round and of the one before, by sealed root.
        let files = self.good.values().flatten();
        let files: Files = files
            .map(|((_, sealed_root), checked)| (*sealed_root, checked.clone()))
            .collect();
        let (desk, evidence) = (desk.clone(), self.evidence.clone());
        jobs.spawn(async move {
            let _timer = desk.time(Stage::Measure);
            let measured = with_engine(&desk, move |engine| {
                let scoring = Scoring {
                    layout: &run.layout,
                    config: &run.config,
                    data: &run.data,
                    files: &files,
                    evidence: &evidence,
                };
                let scored = scoring.score(engine, measurement, &mut || {
                    !stop.load(Ordering::Relaxed)
                })?;
                Ok(scored.evidence)
            });
            let evidence = match measured.await {
                Ok(evidence) => evidence,
                // A card that fails takes this round's evidence with it; the next round opens it anew.
                Err(RoleError::Engine(error)) if error.is_device_fault() => {
                    tracing::warn!("round {round} · cannot be measured: {error}");
                    desk.metrics().failed(Failed::Engine);
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            desk.reporter.say(&Progress::Scored {
                round,
                measured: evidence.len(),
                miners,
            });
            Ok(Ended::Own(Outcome::Measured(round, evidence)))
        });
    }

    pub(super) fn take_evidence(&mut self, evidence: Vec<Evidence>) -> Result<(), RoleError> {
        self.evidence_log.append(&evidence)?;
        self.evidence.extend(evidence);
        forget_old(&mut self.evidence);
        Ok(())
    }
}
