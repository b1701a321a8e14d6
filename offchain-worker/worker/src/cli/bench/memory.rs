//! `cairn bench memory`.

use cairn_engine::{
    audit::{find, open, Audited, Traced},
    Cpu, Device, State, Version,
};
use cairn_primitives::{Finding, Round};
use cairn_trainer::bench::peak_memory;
use clap::Args;
use serde::Serialize;

use super::{
    args::{NameArg, PoolArg, SequencesArg},
    network::{Made, Network, Play},
};
use crate::{
    cli::{args::JsonArg, print},
    error::Failure,
    progress::progress,
    scoring::{windows, Scoring},
    table::table,
};

/// What is drawn of a contribution: its last interval of steps.
const DRAWN: u32 = 1;
/// The round that is looked at: what a miner carries on, it has from the one before.
const ROUND: Round = 1;

/// `cairn bench memory`.
#[derive(Args, Debug)]
pub struct Memory {
    #[command(flatten)]
    config: NameArg,
    /// Tokens in a sequence [default: 512, or the model's context if that is shorter]
    #[arg(long, env = "CAIRN_SEQ", value_name = "TOKENS")]
    seq: Option<u32>,
    #[command(flatten)]
    sequences: SequencesArg,
    #[command(flatten)]
    threads: PoolArg,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Report {
    config: String,
    parameters: usize,
    sequence_length: u32,
    sequences: u16,
    threads: usize,
    rows: Vec<Row>,
    /// The most in any phase, of each.
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
        let report = {
            let _told = progress("playing a round", 0);
            self.threads.install(|| self.measure())?
        };
        print(self.json.json, &report, Report::people)
    }

    fn measure(&self) -> Result<Report, Failure> {
        let play = Play {
            model: self.config.name(),
            seq: self.seq,
            steps: 2,
            trace_every: 1,
            sequences: self.sequences.sequences,
            miners: 1,
            rounds: 2,
            device: Device::Cpu,
            threads: self.threads.threads,
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
        network.engine = Box::new(Cpu::new(&config, self.threads.threads)?);
        validator(&mut network, &mut phases, parameters, (made, blob))?;
        let most = |who: &str| {
            let rows = phases.rows.iter().filter(|row| row.who == who);
            rows.map(|row| row.bytes).max().unwrap_or(0)
        };
        Ok(Report {
            config: play.model,
            parameters: network.layout.parameters(),
            sequence_length: network.config.inner.sequence_length,
            sequences: self.sequences.sequences,
            threads: self.threads.threads,
            miner_bytes: most("miner"),
            validator_bytes: most("validator"),
            rows: phases.rows,
        })
    }
}

/// A miner's second round: it has moments and error feedback from the first. Gives what it contributed, and what it
/// serves of it.
fn miner(network: &mut Network, phases: &mut Phases) -> Result<(Made, Vec<u8>), Failure> {
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
    let trained = phases.of("miner", "inner steps", || network.train(ROUND, 0))?;
    let made = phases.of("miner", "what is sent of them", || {
        let made = network.send(ROUND, 0, trained)?;
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
        let (plan, data) = (network.plan(ROUND), &network.data);
        let length = network.config.inner.sequence_length;
        let mut sequences = |step| windows(data, &plan.of_step(0, step), length);
        let blob = open(
            network.engine.as_mut(),
            before,
            traced,
            DRAWN,
            &mut sequences,
        )?;
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
    let mut state = network.engine.state(Version::Held)?;
    state.sent = None;
    // Vectors grew piece by piece, to more than they hold.
    state.parameters.shrink_to_fit();
    if let Some(optimizer) = &mut state.optimizer {
        optimizer.m.shrink_to_fit();
        optimizer.v.shrink_to_fit();
    }
    if let Some(feedback) = &mut state.feedback {
        feedback.shrink_to_fit();
    }
    Ok(state)
}

/// A validator's work after the same round, which it has applied: it has the parameters before and after it.
fn validator(
    network: &mut Network,
    phases: &mut Phases,
    parameters: Vec<f32>,
    (made, blob): (Made, Vec<u8>),
) -> Result<(), Failure> {
    let round = std::slice::from_ref(&made);
    network.engine.load(State::new(parameters))?;
    network.settle(round)?;
    // What was served goes when the audit is over.
    phases.of("validator", "an audit", || audit(network, &made, blob))?;
    phases.of("validator", "scoring", || score(network, &made))?;
    // Those before the last round go when the next one is applied.
    phases.of("validator", "the outer step", || network.settle(round))
}

fn audit(network: &mut Network, made: &Made, blob: Vec<u8>) -> Result<(), Failure> {
    let (config, layout) = (&network.config, &network.layout);
    let audited = Audited::new(&made.checked, config, layout, DRAWN);
    let (plan, data) = (network.plan(ROUND), &network.data);
    let length = config.inner.sequence_length;
    let mut sequences = |step| windows(data, &plan.of_step(0, step), length);
    match find(network.engine.as_mut(), &audited, blob, &mut sequences)? {
        Some(Finding::Passed) => Ok(()),
        _ => Err(Failure::new(
            "an honest contribution did not pass its audit",
            "report this, and check this machine's memory",
        )),
    }
}

/// All that is known before the first loss; then some losses with a contribution, as all others are measured.
fn score(network: &mut Network, made: &Made) -> Result<(), Failure> {
    let measurement = network.measurement(ROUND, std::slice::from_ref(made))?;
    network.files.insert(made.root, made.checked.clone());
    let scoring = Scoring {
        layout: &network.layout,
        config: &network.config,
        data: &network.data,
        unseen: None,
        files: &network.files,
        evidence: &[],
        is_beside: true,
    };
    let plan = measurement.plan.clone();
    scoring.score(network.engine.as_mut(), measurement, &mut || false)?;
    let length = network.config.inner.sequence_length;
    let sequences = windows(&network.data, &plan.of_step(0, 0), length);
    let contribution = Some(made.checked.as_ref());
    let losses = network
        .engine
        .measure(contribution, &sequences, &mut || true)?;
    let computed = losses.map_or(0, |losses| losses.len());
    match computed > 0 && computed == sequences.len() {
        true => Ok(()),
        false => Err(Failure::new("nothing was scored", "report this")),
    }
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
            "{}: the most memory in each phase, steps of {} sequences of {} tokens, {} threads\n{}",
            self.config,
            self.sequences,
            self.sequence_length,
            self.threads,
            table(&["", "", "in all", "bytes per parameter"], &rows)
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        memory: Memory,
    }

    #[test]
    fn every_phase_of_both_is_measured() {
        let line = "memory --config tiny --sequences 1";
        let report = Line::parse_from(line.split(' ')).memory.measure().unwrap();
        // The model's context is shorter than what is the default of others.
        assert_eq!(report.sequence_length, 128);
        let phases: Vec<(&str, &str)> =
            report.rows.iter().map(|row| (row.who, row.phase)).collect();
        let expected = [
            ("miner", "inner steps"),
            ("miner", "what is sent of them"),
            ("miner", "what is served for an audit"),
            ("miner", "the outer step"),
            ("validator", "an audit"),
            ("validator", "scoring"),
            ("validator", "the outer step"),
        ];
        assert_eq!(phases, expected);
        // Parameters, two moments and error feedback at least.
        assert!(report.miner_bytes > 16 * report.parameters as u64);
        assert!(report.validator_bytes > 8 * report.parameters as u64);
        assert!(report.people().contains("bytes per parameter"));
    }
}
