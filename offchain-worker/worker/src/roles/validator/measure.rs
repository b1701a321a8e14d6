//! Measuring what each contribution of a round is worth.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
};

use cairn_engine::{Engine, Version};
use cairn_gradient::{resemblance, Checked, Contribution};
use cairn_primitives::H256;
use cairn_protocol::exam::witness;
use cairn_round::{
    measure::{File, Measuring},
    scoring::{self, forget_old, Evidence},
    validator::{Found, Measurement},
};

use super::{Outcome, ValidatorRole};
use crate::metrics::{Failed, Stage};
use crate::roles::{
    chain::Chain,
    driver::{with_engine, Desk, Ended, Jobs},
    progress::Progress,
    run::Run,
    RoleError,
};

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
        let work = Work {
            run: desk.run.clone(),
            stop: self.stop.clone(),
            files: self
                .good
                .values()
                .flatten()
                .map(|((_, sealed_root), checked)| (*sealed_root, checked.clone()))
                .collect(),
        };
        let desk = desk.clone();
        jobs.spawn(async move {
            let _timer = desk.time(Stage::Measure);
            let measured = with_engine(&desk, move |engine| work.measure(engine, measurement));
            let (evidence, witness) = match measured.await {
                Ok(found) => found,
                // A card that fails takes this round's evidence with it; the next round opens it anew.
                Err(RoleError::Engine(error)) if error.is_device_fault() => {
                    tracing::warn!("round {round} · cannot be measured: {error}");
                    desk.metrics().failed(Failed::Engine);
                    (Vec::new(), None)
                }
                Err(error) => return Err(error),
            };
            desk.reporter.say(&Progress::Scored {
                round,
                measured: evidence.len(),
                miners,
            });
            Ok(Ended::Own(Outcome::Measured(round, evidence, witness)))
        });
    }

    pub(super) fn take_evidence(&mut self, evidence: Vec<Evidence>) -> Result<(), RoleError> {
        self.evidence_log.append(&evidence)?;
        self.evidence.extend(evidence);
        forget_old(&mut self.evidence);
        Ok(())
    }
}

/// What measuring needs.
struct Work {
    run: Arc<Run>,
    stop: Arc<AtomicBool>,
    /// Those of the round and of the one before, by sealed root.
    files: BTreeMap<H256, Arc<Checked>>,
}

impl Work {
    fn measure(
        &self,
        engine: &mut dyn Engine,
        measurement: Measurement,
    ) -> Result<(Vec<Evidence>, Option<H256>), RoleError> {
        let files = self.files_of(&measurement)?;
        let (round, base) = (measurement.round, engine.root(Version::Base)?);
        if base != measurement.root {
            let what = format!("round {round} began with other parameters than those at hand");
            return Err(RoleError::Broken(what));
        }
        let mut measuring = Measuring::new(measurement, |root| files.get(&root).copied());
        while let Some(ask) = measuring.next() {
            let contribution = ask.contribution.and_then(|root| self.files.get(&root));
            let sequences = self.run.windows(&ask.sequences);
            let mut go_on = || !self.stop.load(Ordering::Relaxed);
            let losses = engine.measure(contribution.map(Arc::as_ref), &sequences, &mut go_on)?;
            let Some(losses) = losses else {
                let left = measuring.left();
                tracing::info!("round {round} · no time to score {left} of its contributions");
                break;
            };
            measuring.take(losses);
        }
        let (included, exam) = measuring.asked();
        let found = measuring.finish();
        // Only where work is audited is it a CPU's, which has the same bits everywhere.
        let is_asked = self.run.config.audits.rate > 0;
        let at = (self.run.netuid, round);
        let witness = is_asked.then(|| witness(at, exam, &included, &found));
        Ok((found, witness.flatten()))
    }

    /// What is known of the contributions that are to be measured, by sealed root.
    fn files_of(&self, measurement: &Measurement) -> Result<BTreeMap<H256, File>, RoleError> {
        let good = measurement
            .subjects
            .iter()
            .filter_map(|subject| match subject.found {
                Found::Good(root) => Some(root),
                Found::Missed => None,
            });
        let (roots, contributions) = self.decoded(good)?;
        // If not all of what the round before included is here, nobody can be said to repeat it.
        let (known, mut before) = self.decoded(measurement.before.iter().copied())?;
        if known.len() < measurement.before.len() {
            before.clear();
        }
        let (of, before): (Vec<_>, Vec<_>) =
            (contributions.iter().collect(), before.iter().collect());
        let common = resemblance(&self.run.layout, &of, &before);
        let common = common.map_err(|error| RoleError::Broken(error.to_string()))?;
        let alike = scoring::alike(of.len(), &common.pairs);
        let repeats = scoring::repeats(&common.with_before);
        let files = roots.into_iter().zip(&contributions).enumerate();
        let file = |(number, (root, contribution)): (usize, (H256, &Contribution))| {
            let file = File {
                inner_steps: contribution.header.inner_steps,
                alike: alike.get(number).copied().unwrap_or(1),
                repeats: repeats.get(number).copied().unwrap_or(false),
            };
            (root, file)
        };
        Ok(files.map(file).collect())
    }

    /// The contributions of these sealed roots, as far as they are here.
    fn decoded(
        &self,
        roots: impl Iterator<Item = H256>,
    ) -> Result<(Vec<H256>, Vec<Contribution>), RoleError> {
        let (mut found, mut contributions) = (Vec::new(), Vec::new());
        for root in roots {
            if let Some(checked) = self.files.get(&root) {
                let decoded = checked.decode(&self.run.layout, &self.run.config);
                contributions.push(decoded.map_err(|error| RoleError::Broken(error.to_string()))?);
                found.push(root);
            }
        }
        Ok((found, contributions))
    }
}
