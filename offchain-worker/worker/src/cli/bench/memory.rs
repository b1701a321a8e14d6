//! `cairn bench memory`.

use std::path::PathBuf;

use cairn_engine::{
    audit::{find, open, Audited, Traced},
    Engine, State, Version,
};
use cairn_primitives::Round;
use cairn_trainer::bench::peak_memory;
use clap::Args;
use serde::Serialize;

use super::network::{windows, Made, Network, Play};
use crate::{
    cli::{args::JsonArg, print},
    error::Failure,
    progress::progress,
    scoring::Scoring,
    table::table,
};

/// What is drawn of a contribution: its last interval of steps.
const DRAWN: u32 = 1;

/// `cairn bench memory`.
#[derive(Args, Debug)]
pub struct Memory {
    /// The model: tiny, 10m, 100m, 1b or 8b
    // The same name as the settings file's, and so the same type.
    #[arg(long, env = "CAIRN_MODEL", default_value = "10m", value_name = "NAME")]
    config: PathBuf,
    /// Tokens in a sequence
    #[arg(long, env = "CAIRN_SEQ", default_value_t = 512, value_name = "TOKENS")]
    seq: u32,
    /// Sequences of a step
    #[arg(
        long,
        env = "CAIRN_BATCH",
        default_value_t = 4,
        value_name = "SEQUENCES"
    )]
    sequences: u16,
    /// Threads
    #[arg(
        long,
        env = "CAIRN_THREADS",
        default_value_t = 1,
        value_name = "NUMBER"
    )]
    threads: usize,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Report {
    config: String,
    parameters: usize,
    rows: Vec<Row>,
    /// The most in any phase.
    miner_bytes: u64,
    validator_bytes: u64,
}

/// The most memory that was resident in a phase.
#[derive(Serialize)]
struct Row {
    who: &'static str,
    phase: &'static str,
    bytes: u64,
    bytes_per_parameter: f64,
}

impl Memory {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build()?;
        let report = {
            let _told = progress("playing a round", 0);
            pool.install(|| self.measure())?
        };
        print(self.json.json, &report, Report::people)
    }

    fn measure(&self) -> Result<Report, Failure> {
        let play = Play {
            model: self.config.to_string_lossy().into_owned(),
            seq: self.seq,
            steps: 2,
            trace_every: 1,
            sequences: self.sequences,
            miners: 1,
            rounds: 2,
            threads: self.threads,
        };
        let mut network = Network::new(&play)?;
        let mut phases = Phases {
            parameters: network.layout.parameters() as f64,
            rows: Vec::new(),
        };
        let (made, blob) = miner(&mut network, &mut phases)?;
        // A validator is a process of its own, which has none of what the miner had.
        let config = network.config.clone();
        let parameters = std::mem::take(&mut network.parameters);
        network.engine = cairn_engine::Cpu::new(&config, self.threads)?;
        validator(&mut network, &mut phases, parameters, (made, blob))?;
        let most = |who| {
            let rows = phases.rows.iter().filter(|row| row.who == who);
            rows.map(|row| row.bytes).max().unwrap_or(0)
        };
        Ok(Report {
            config: play.model,
            parameters: network.layout.parameters(),
            miner_bytes: most("miner"),
            validator_bytes: most("validator"),
            rows: phases.rows,
        })
    }
}

/// A miner's second round: it has moments and error feedback from the first. Gives what it contributed, and what it
/// serves of it.
fn miner(network: &mut Network, phases: &mut Phases) -> Result<(Made, Vec<u8>), Failure> {
    let round: Round = 1;
    network.round(0)?;
    network.end()?;
    let carried = network.carried.pop();
    network.carried.push(State::new(Vec::new()));
    let carried = carried.ok_or_else(|| Failure::new("a miner is missing", "report this"))?;
    let parameters = std::mem::take(&mut network.parameters);
    network.engine.load(State {
        parameters,
        ..carried
    })?;
    let trained = phases.of("miner", "inner steps", || network.train(round, 0))?;
    let made = phases.of("miner", "what is sent of them", || {
        let made = network.send(round, 0, trained)?;
        network.engine.keep()?;
        Ok(made)
    })?;
    let before = begun(network)?;
    let blob = phases.of("miner", "what is served for an audit", || {
        let traced = Traced {
            steps: made.trained.steps(),
            states: &made.trained.trace,
            every: network.config.inner.trace_every,
        };
        let (plan, data) = (network.plan(round), &network.data);
        let length = network.config.inner.sequence_length;
        let mut sequences = |step| windows(data, &plan.of_step(0, step), length);
        let blob = open(&mut network.engine, before, traced, DRAWN, &mut sequences)?;
        blob.ok_or_else(|| Failure::new("nothing is served", "report this"))
    })?;
    phases.of("miner", "the outer step", || {
        network.settle(std::slice::from_ref(&made))
    })?;
    network.parameters = network.engine.state(Version::Base)?.parameters;
    network.engine.forget_base();
    Ok((made, blob))
}

/// What the engine's steps began with, as it is read from a disk.
fn begun(network: &Network) -> Result<State, Failure> {
    let State {
        mut parameters,
        optimizer,
        ..
    } = network.engine.state(Version::Held)?;
    parameters.shrink_to_fit();
    let optimizer = optimizer.map(|mut optimizer| {
        optimizer.m.shrink_to_fit();
        optimizer.v.shrink_to_fit();
        optimizer
    });
    Ok(State {
        optimizer,
        ..State::new(parameters)
    })
}

/// A validator's work in the same round.
fn validator(
    network: &mut Network,
    phases: &mut Phases,
    parameters: Vec<f32>,
    (made, blob): (Made, Vec<u8>),
) -> Result<(), Failure> {
    network.engine.load(State::new(parameters))?;
    phases.of("validator", "the outer step", || {
        network.settle(std::slice::from_ref(&made))
    })?;
    phases.of("validator", "scoring", || {
        let measurement = network.measurement(1, std::slice::from_ref(&made))?;
        network.files.insert(made.root, made.checked.clone());
        let scoring = Scoring {
            layout: &network.layout,
            config: &network.config,
            data: &network.data,
            files: &network.files,
            evidence: &[],
        };
        let plan = measurement.plan.clone();
        // All that is known before the first loss; then some losses with a contribution, as all others are measured.
        scoring.score(&mut network.engine, measurement, &mut || false)?;
        let length = network.config.inner.sequence_length;
        let sequences = windows(&network.data, &plan.of_step(0, 0), length);
        let contribution = Some(made.checked.as_ref());
        network.engine.measure(contribution, &sequences, &mut || true)?;
        Ok(())
    })?;
    phases.of("validator", "an audit", || {
        let (config, layout) = (&network.config, &network.layout);
        let audited = Audited::new(made.checked.header(), config, layout, DRAWN);
        let (plan, data) = (network.plan(1), &network.data);
        let length = config.inner.sequence_length;
        let mut sequences = |step| windows(data, &plan.of_step(0, step), length);
        find(&mut network.engine, &audited, blob, &mut sequences)?;
        Ok(())
    })
}

/// Phases that were measured.
struct Phases {
    parameters: f64,
    rows: Vec<Row>,
}

impl Phases {
    fn of<T>(
        &mut self,
        who: &'static str,
        phase: &'static str,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // From here on the system counts anew what is most.
        std::fs::write("/proc/self/clear_refs", "5").map_err(|error| {
            let what = format!("the system does not count memory anew: {error}");
            Failure::new(what, "run it on Linux, as an ordinary process")
        })?;
        let done = work()?;
        let bytes = peak_memory().unwrap_or(0);
        self.rows.push(Row {
            who,
            phase,
            bytes,
            bytes_per_parameter: bytes as f64 / self.parameters,
        });
        Ok(done)
    }
}

impl Report {
    fn people(&self) -> String {
        let row = |row: &Row| {
            vec![
                row.who.to_owned(),
                row.phase.to_owned(),
                super::bytes(row.bytes),
                format!("{:.1}", row.bytes_per_parameter),
            ]
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(row).collect();
        format!(
            "{}: the most memory in each phase\n{}",
            self.config,
            table(&["", "", "in all", "bytes per parameter"], &rows)
        )
    }
}
