//! Measuring what each contribution of a round is worth.

use std::sync::atomic::Ordering;

use cairn_data::UnseenText;
use cairn_engine::Engine;
use cairn_primitives::{Hotkey, Witness};
use cairn_protocol::{
    attestation::asks_for_witness,
    exam::{is_beside, witness},
    value::fruitless,
};
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
    run::Run,
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
        let (unseen, known) = (self.unseen.clone(), self.evidence.clone());
        // Those of the round and of the one before, by sealed root.
        let files = self.good.values().flatten();
        let files: Files = files
            .map(|((_, sealed_root), checked)| (*sealed_root, checked.clone()))
            .collect();
        let desk = desk.clone();
        jobs.spawn("measuring a round", async move {
            let _timer = desk.time(Stage::Measure);
            let measured = with_engine(&desk, move |engine| {
                let mut go_on = || !stop.load(Ordering::Relaxed);
                let run: &Run = &run;
                let text = unseen.as_deref();
                measured(
                    (run, text),
                    (&files, &known),
                    engine,
                    measurement,
                    &mut go_on,
                )
            });
            let found = match measured.await {
                Ok(found) => found,
                // A card that fails takes this round's evidence with it; the next round opens it anew.
                Err(RoleError::Engine(error)) if error.is_device_fault() => {
                    tracing::warn!("round {round} · cannot be measured: {error}");
                    desk.metrics().failed(Failed::Engine);
                    Measured::default()
                }
                Err(error) => return Err(error),
            };
            desk.reporter.say(&Progress::Scored {
                round,
                measured: found.evidence.len(),
                miners,
            });
            Ok(Ended::Own(Outcome::Measured(round, found)))
        });
    }

    pub(super) fn take_evidence(&mut self, evidence: Vec<Evidence>) -> Result<(), RoleError> {
        self.evidence_log.append(&evidence)?;
        self.evidence.extend(evidence);
        forget_old(&mut self.evidence);
        Ok(())
    }
}

/// What was found in a round.
#[derive(Default)]
pub(super) struct Measured {
    /// What was measured.
    pub evidence: Vec<Evidence>,
    /// Where it is asked for, what shows that all was.
    pub witness: Option<Witness>,
    /// The makers of what helped too little.
    pub fruitless: Vec<Hotkey>,
}

/// Measures a round, as far as it may go on.
fn measured(
    (run, unseen): (&Run, Option<&UnseenText>),
    (files, evidence): (&Files, &[Evidence]),
    engine: &mut dyn Engine,
    measurement: Measurement,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Measured, RoleError> {
    let round = measurement.round;
    let scoring = Scoring {
        layout: &run.layout,
        config: &run.config,
        data: &run.data,
        unseen,
        files,
        evidence,
        is_beside: is_beside(&run.config.audits, &run.config.outer),
    };
    let scored = scoring.score(engine, measurement, go_on)?;
    if scored.left > 0 {
        let left = scored.left;
        tracing::info!("round {round} · no time to score {left} of its contributions");
    }
    let (evidence, (included, exam), loss) = (scored.evidence, scored.asked, scored.loss);
    let is_asked = asks_for_witness(&run.config.audits);
    let witness = || witness((run.netuid, round), exam, &included, &evidence, loss);
    let witness = is_asked.then(witness);
    Ok(Measured {
        fruitless: fruitless(round, &included, &evidence),
        evidence,
        witness: witness.flatten(),
    })
}
