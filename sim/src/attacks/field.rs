//! Where attacks are measured, each beside the same network without it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    report::Report,
    stage,
    table::{row, Row},
    Attack,
};
use crate::{
    settings::{Kind, Settings},
    world::{RunResult, World, WorldError},
};

/// What the table is measured in.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    /// The seed.
    pub seed: u64,
    /// Honest miners.
    pub miners: usize,
    /// Honest validators.
    pub validators: usize,
    /// Rounds.
    pub rounds: u32,
    /// The engine.
    pub engine: Kind,
}

impl Bench {
    /// What `make attacks` measures with.
    pub fn usual(seed: u64) -> Bench {
        Bench {
            seed,
            miners: 4,
            validators: 3,
            rounds: 16,
            engine: Kind::Tiny,
        }
    }

    /// The same with twice as many rounds.
    #[must_use]
    pub fn longer(self) -> Bench {
        Bench {
            rounds: self.rounds.saturating_mul(2),
            ..self
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            engine: self.engine,
            ..Settings::honest(self.seed, self.miners, self.validators, self.rounds)
        }
    }
}

/// Networks without an attack, of which one would do if chance had no part in them.
pub(super) const TWINS: u64 = 4;

/// What comes of a network without an attack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peace {
    /// The mean held-out loss of its twins, in nats per token.
    pub loss: f64,
    /// Twice the standard deviation of their losses, as a share of the mean.
    pub chance: f64,
    /// The mean of their null rounds, rounded down.
    pub null_rounds: i64,
    /// The mean of what was issued for honest miners in a second, in pebble.
    pub honest_pay: f64,
}

impl Peace {
    fn of(twins: &[RunResult]) -> Peace {
        let count = twins.len().max(1) as f64;
        let loss = twins.iter().map(|twin| twin.heldout_loss).sum::<f64>() / count;
        let squares = twins.iter().map(|twin| (twin.heldout_loss - loss).powi(2));
        let deviation = (squares.sum::<f64>() / (count - 1.0).max(1.0)).sqrt();
        let null_rounds: usize = twins.iter().map(RunResult::null_rounds).sum();
        Peace {
            loss,
            chance: 2.0 * deviation / loss,
            null_rounds: (null_rounds / twins.len().max(1)) as i64,
            honest_pay: twins.iter().map(|twin| twin.honest_pay(false)).sum::<f64>() / count,
        }
    }
}

/// A network without an attack in which checkers found something wrong.
#[derive(Clone, Debug)]
pub struct Unsound {
    /// Its seed.
    pub seed: u64,
    /// Its rounds.
    pub rounds: u32,
    /// The attack beside which it was run; none: it was run for what it costs its members.
    pub beside: Option<&'static str>,
    /// The checkers.
    pub broken: Vec<&'static str>,
}

/// Runs attacks, each beside the same network without it.
#[derive(Default)]
pub struct Field {
    /// By seed and rounds, and by what attacks change in the network: its windows and how many take part.
    known: BTreeMap<(u64, u32, u64, usize), Peace>,
    report: Report,
    unsound: Vec<Unsound>,
}

impl Field {
    /// Runs an attack.
    ///
    /// # Errors
    /// [`WorldError`] if a network cannot be set up.
    pub fn measure(&mut self, attack: &Attack, bench: Bench) -> Result<Row, WorldError> {
        let peace = self.peace(Some(attack), bench)?;
        let mut war = bench.settings();
        stage(&mut war, attack, None);
        let war = World::new(war)?.run();
        self.report.note_attack(attack, &war);
        Ok(row(attack, peace, &war))
    }

    /// Runs the networks of a seed in which nothing is otherwise than usual, if no attack was held against them: for
    /// what they cost their members.
    ///
    /// # Errors
    /// [`WorldError`] if a network cannot be set up.
    pub fn honest(&mut self, bench: Bench) -> Result<(), WorldError> {
        self.peace(None, bench).map(|_| ())
    }

    /// The networks without an attack in which something was wrong; what was measured beside them says nothing.
    pub fn unsound(&self) -> &[Unsound] {
        &self.unsound
    }

    /// What was seen beside the rows.
    pub fn report(&self) -> &Report {
        &self.report
    }

    fn peace(&mut self, beside: Option<&Attack>, bench: Bench) -> Result<Peace, WorldError> {
        let settings = |twin| {
            let mut settings = bench.settings();
            if let Some(attack) = beside {
                (attack.setting)(&mut settings);
            }
            settings.twin = twin;
            settings
        };
        let first = settings(0);
        let name = (bench.seed, bench.rounds, first.windows, first.cast.len());
        if let Some(known) = self.known.get(&name) {
            return Ok(*known);
        }
        let twins = (0..TWINS).map(|twin| Ok(World::new(settings(twin))?.run()));
        let twins = twins.collect::<Result<Vec<_>, WorldError>>()?;
        let broken = twins.iter().flat_map(RunResult::broken);
        let broken: BTreeSet<&'static str> = broken.collect();
        if !broken.is_empty() {
            self.unsound.push(Unsound {
                seed: bench.seed,
                rounds: bench.rounds,
                beside: beside.map(|attack| attack.name),
                broken: broken.into_iter().collect(),
            });
        }
        let usual = bench.settings();
        if (first.windows, first.cast.len()) == (usual.windows, usual.cast.len()) {
            for twin in &twins {
                self.report.note_honest(twin);
            }
        }
        let peace = Peace::of(&twins);
        self.known.insert(name, peace);
        Ok(peace)
    }
}
