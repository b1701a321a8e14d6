//! Scoring a round: what its contributions say of themselves, then losses, as `cairn_round::measure` asks for them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use cairn_data::{DataSet, UnseenText};
use cairn_engine::{Engine, Version};
use cairn_gradient::{resemblance, Checked, Contribution};
use cairn_primitives::{Layout, MicroNats, RunConfig, SealedRoot, Uid, H256};
use cairn_round::{
    measure::{Ask, File, Measuring, On},
    scoring::{self, Evidence},
    validator::{Found, Measurement},
};

use crate::roles::RoleError;

/// Contributions by sealed root.
pub type Files = BTreeMap<SealedRoot, Arc<Checked>>;

/// What scoring needs.
#[derive(Clone, Copy)]
pub struct Scoring<'a> {
    /// Where the parameters lie.
    pub layout: &'a Layout,
    /// The run.
    pub config: &'a RunConfig,
    /// Its text.
    pub data: &'a DataSet,
    /// The text that miners do not have, if it has one.
    pub unseen: Option<&'a UnseenText>,
    /// Contributions of the round and of the one before.
    pub files: &'a Files,
    /// What was measured of the rounds before.
    pub evidence: &'a [Evidence],
    /// Whether contributions are held against what the round made of all.
    pub is_beside: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Scored {
    /// What each miner did.
    pub evidence: Vec<Evidence>,
    /// Whose contributions the round included, and its exam: what a witness is of.
    pub asked: (Vec<Uid>, H256),
    /// The loss that goes with it, in micro-nats per token, if all of that was measured.
    pub loss: Option<MicroNats>,
    /// Contributions for which there was no time.
    pub left: usize,
    /// Sequences whose loss was computed, each as often as it was.
    pub sequences: u64,
    /// How long it took.
    pub took: Took,
}

/// How long the parts of scoring took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Reading the contributions, and comparing them with each other and with those of the round before.
    pub compared: Duration,
    /// Losses of the parameters with which the round began.
    pub before: Duration,
    /// Of those that it made of all contributions.
    pub settled: Duration,
    /// Of those after one contribution alone, which is applied for each piece of them.
    pub alone: Duration,
}

impl Took {
    /// What losses on these parameters took.
    fn on(&mut self, on: On) -> &mut Duration {
        match on {
            On::Before => &mut self.before,
            On::Settled => &mut self.settled,
            On::Alone(_) => &mut self.alone,
        }
    }
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
        mut measurement: Measurement,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Scored, RoleError> {
        let (mut took, began) = (Took::default(), Instant::now());
        let files = self.files_of(&measurement)?;
        took.compared = began.elapsed();
        let (round, base) = (measurement.round, engine.root(Version::Base)?);
        if base != measurement.root {
            let what = format!("round {round} began with other parameters than those at hand");
            return Err(RoleError::Broken(what));
        }
        if !self.is_beside {
            measurement.trusts.clear();
        }
        let length = self.config.inner.sequence_length;
        let unseen = self.unseen.map_or(0, |text| text.windows(length));
        let file = |root: SealedRoot| files.get(&root).copied();
        let mut measuring = Measuring::new(measurement, unseen, file);
        let (mut computed, mut left) = (0u64, 0);
        while let Some(ask) = measuring.next() {
            let (sequences, began) = (self.sequences(&ask), Instant::now());
            let losses = match ask.on {
                On::Before => engine.measure(None, &sequences, go_on)?,
                On::Settled => engine.measure_settled(&sequences, go_on)?,
                On::Alone(root) => {
                    let contribution = self.files.get(&root).map(Arc::as_ref);
                    engine.measure(contribution, &sequences, go_on)?
                }
            };
            let Some(losses) = losses else {
                left = measuring.left();
                break;
            };
            *took.on(ask.on) += began.elapsed();
            computed = computed.saturating_add(sequences.len() as u64);
            measuring.take(losses);
        }
        Ok(Scored {
            asked: measuring.asked(),
            loss: measuring.loss(),
            evidence: measuring.finish(),
            left,
            sequences: computed,
            took,
        })
    }

    /// The sequences whose losses are asked for, in that order.
    fn sequences(&self, ask: &Ask) -> Vec<&[u32]> {
        let length = self.config.inner.sequence_length;
        let mut sequences = windows(self.data, &ask.sequences, length);
        let unseen = ask.unseen.iter();
        sequences.extend(unseen.filter_map(|number| self.unseen?.window(*number, length)));
        sequences
    }

    /// What is known of the contributions that are to be measured, by sealed root.
    fn files_of(&self, measurement: &Measurement) -> Result<BTreeMap<SealedRoot, File>, RoleError> {
        let sure = scoring::proven(self.evidence, measurement.round);
        let subjects = || measurement.subjects.iter();
        let of_sure = subjects().filter(|one| sure.contains(&(one.uid, one.hotkey)));
        let of_sure: Vec<Found> = of_sure.map(|one| one.found).collect();
        let good = subjects().filter_map(|subject| match subject.found {
            Found::Good(root) => Some(root),
            _ => None,
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
        let file = |(number, (root, contribution)): (usize, (SealedRoot, &Contribution))| {
            let file = File {
                inner_steps: contribution.header.inner_steps,
                alike: alike.get(number).copied().unwrap_or(1),
                repeats: repeats.get(number).copied().unwrap_or(false),
                is_proven: of_sure.contains(&Found::Good(root)),
            };
            (root, file)
        };
        Ok(files.map(file).collect())
    }

    /// The contributions of these sealed roots, as far as they are here.
    fn decoded(
        &self,
        roots: impl Iterator<Item = SealedRoot>,
    ) -> Result<(Vec<SealedRoot>, Vec<Contribution>), RoleError> {
        let (mut found, mut contributions) = (Vec::new(), Vec::new());
        for root in roots {
            if let Some(checked) = self.files.get(&root) {
                let decoded = checked.decode(self.layout);
                contributions.push(decoded.map_err(|error| RoleError::Broken(error.to_string()))?);
                found.push(root);
            }
        }
        Ok((found, contributions))
    }
}

/// The windows of so many tokens and the one after with these numbers; those that do not exist are left out.
pub fn windows<'d>(data: &'d DataSet, numbers: &[u64], length: u32) -> Vec<&'d [u32]> {
    let numbers = numbers.iter();
    numbers
        .filter_map(|number| data.window(*number, length))
        .collect()
}
