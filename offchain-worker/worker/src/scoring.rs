//! Scoring a round: what its contributions say of themselves, then losses, as `cairn_round::measure` asks for them.

use std::{collections::BTreeMap, sync::Arc};

use cairn_engine::{Engine, Version};
use cairn_gradient::{resemblance, Checked, Contribution};
use cairn_primitives::{Layout, RunConfig, H256};
use cairn_round::{
    measure::{File, Measuring},
    scoring::{self, Evidence},
    validator::{Found, Measurement},
};
use cairn_trainer::data::DataSet;

use crate::roles::RoleError;

/// Contributions by sealed root.
pub type Files = BTreeMap<H256, Arc<Checked>>;

/// What scoring needs.
#[derive(Clone, Copy)]
pub struct Scoring<'a> {
    /// Where the parameters lie.
    pub layout: &'a Layout,
    /// The run.
    pub config: &'a RunConfig,
    /// Its text.
    pub data: &'a DataSet,
    /// Contributions of the round and of the one before.
    pub files: &'a Files,
    /// What this validator found in earlier rounds.
    pub evidence: &'a [Evidence],
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Scored {
    /// What each miner did.
    pub evidence: Vec<Evidence>,
    /// Sequences whose loss was computed, each as often as it was.
    pub sequences: u64,
}

impl Scoring<'_> {
    /// Scores a round with an engine whose base is what the round began with, for as long as `go_on` says.
    ///
    /// # Errors
    /// [`RoleError::Broken`] if the engine has another base, or a contribution is none to this run;
    /// [`RoleError::Engine`].
    pub fn score(
        &self,
        engine: &mut dyn Engine,
        measurement: Measurement,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Scored, RoleError> {
        let files = self.files_of(&measurement)?;
        let (round, base) = (measurement.round, engine.root(Version::Base)?);
        if base != measurement.root {
            let what = format!("round {round} began with other parameters than those at hand");
            return Err(RoleError::Broken(what));
        }
        let mut measuring = Measuring::new(measurement, self.evidence, |root| {
            files.get(&root).copied()
        });
        let mut computed = 0u64;
        while let Some(ask) = measuring.next() {
            let contribution = ask.contribution.and_then(|root| self.files.get(&root));
            let sequences = self.windows(&ask.sequences);
            computed = computed.saturating_add(sequences.len() as u64);
            let losses = engine.measure(contribution.map(Arc::as_ref), &sequences, go_on)?;
            let Some(losses) = losses else {
                let left = measuring.left();
                tracing::info!("round {round} · no time to score {left} of its contributions");
                break;
            };
            measuring.take(losses);
        }
        Ok(Scored {
            evidence: measuring.finish(),
            sequences: computed,
        })
    }

    /// The windows with these numbers; those that do not exist are left out.
    fn windows(&self, numbers: &[u64]) -> Vec<&[u32]> {
        let length = self.config.inner.sequence_length;
        let windows = numbers.iter();
        windows
            .filter_map(|number| self.data.window(*number, length))
            .collect()
    }

    /// What is known of the contributions that are to be measured, by sealed root.
    fn files_of(&self, measurement: &Measurement) -> Result<BTreeMap<H256, File>, RoleError> {
        let good = measurement
            .subjects
            .iter()
            .filter_map(|subject| match subject.found {
                Found::Good(root) => Some(root),
                Found::Missed | Found::Unknown => None,
            });
        let (roots, contributions) = self.decoded(good)?;
        // If not all of what the round before included is here, nobody can be said to repeat it.
        let (known, mut before) = self.decoded(measurement.before.iter().copied())?;
        if known.len() < measurement.before.len() {
            before.clear();
        }
        let (of, before): (Vec<_>, Vec<_>) =
            (contributions.iter().collect(), before.iter().collect());
        let common = resemblance(self.layout, &of, &before);
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
                let decoded = checked.decode(self.layout, self.config);
                contributions.push(decoded.map_err(|error| RoleError::Broken(error.to_string()))?);
                found.push(root);
            }
        }
        Ok((found, contributions))
    }
}
