//! Measuring what each contribution of a round is worth.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
};

use cairn_engine::{Engine, Version};
use cairn_gradient::{Checked, Contribution};
use cairn_primitives::H256;
use cairn_round::{
    measure::{File, Measuring},
    scoring::{forget_old, Evidence},
    validator::Measurement,
};

use super::{Outcome, ValidatorRole};
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
                .get(&round)
                .into_iter()
                .flatten()
                .map(|((_, sealed_root), checked)| (*sealed_root, checked.clone()))
                .collect(),
        };
        let desk = desk.clone();
        jobs.spawn(async move {
            let measured = with_engine(&desk, move |engine| work.measure(engine, measurement));
            let evidence = match measured.await {
                Ok(evidence) => evidence,
                // A card that fails takes this round's evidence with it; the next round opens it anew.
                Err(RoleError::Engine(error)) if error.is_device_fault() => {
                    tracing::warn!("round {round} · cannot be measured: {error}");
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

/// What measuring needs.
struct Work {
    run: Arc<Run>,
    stop: Arc<AtomicBool>,
    /// By sealed root.
    files: BTreeMap<H256, Arc<Checked>>,
}

impl Work {
    fn measure(
        &self,
        engine: &mut dyn Engine,
        measurement: Measurement,
    ) -> Result<Vec<Evidence>, RoleError> {
        let mut files = BTreeMap::new();
        for (sealed_root, checked) in &self.files {
            files.insert(*sealed_root, self.file(checked)?);
        }
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
        Ok(measuring.finish())
    }

    fn file(&self, checked: &Checked) -> Result<File, RoleError> {
        let decoded = checked.decode(&self.run.layout, &self.run.config);
        let contribution = decoded.map_err(|error| RoleError::Broken(error.to_string()))?;
        Ok(File {
            inner_steps: checked.header().inner_steps,
            values: digest(&contribution),
        })
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
