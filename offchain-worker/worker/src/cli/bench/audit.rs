//! `cairn bench audit`.

use std::{ops::Range, time::Instant};

use cairn_engine::{audit::distances, Cpu, Device, Engine, State};
use cairn_primitives::AuditRules;
use cairn_protocol::tolerance::Distances;
use clap::Args;
use serde::Serialize;

use super::{
    args::{NameArg, PoolArg, SequencesArg},
    network::{Network, Play},
};
use crate::{
    cli::{args::JsonArg, print},
    error::Failure,
    progress::progress,
    scoring::windows,
    table::table,
};

/// `cairn bench audit`.
#[derive(Args, Debug)]
#[command(mut_arg("config", |arg| arg.default_value("tiny")))]
pub struct Audit {
    #[command(flatten)]
    config: NameArg,
    /// Tokens in a sequence [default: 512, or the model's context if that is shorter]
    #[arg(long, env = "CAIRN_SEQ", value_name = "TOKENS")]
    seq: Option<u32>,
    /// Steps of an interval; each number is measured
    #[arg(
        long,
        env = "CAIRN_STEPS",
        value_delimiter = ',',
        default_value = "1,2,5",
        value_name = "NUMBERS",
        value_parser = clap::value_parser!(u16).range(1..=64)
    )]
    steps: Vec<u16>,
    /// Steps on the CPU before the intervals; each number is measured
    #[arg(
        long,
        env = "CAIRN_AFTER",
        value_delimiter = ',',
        default_value = "0,20",
        value_name = "NUMBERS",
        value_parser = clap::value_parser!(u16).range(0..=4_096)
    )]
    after: Vec<u16>,
    #[command(flatten)]
    sequences: SequencesArg,
    /// What is audited: a GPU, as cuda:0, or several, as cuda:0-3
    #[arg(long, env = "CAIRN_DEVICE", default_value_t = Device::Cuda(0), value_name = "DEVICE")]
    device: Device,
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
    /// What is audited.
    device: String,
    rows: Vec<Row>,
    /// The least tolerance of a run by which all of it passes, of 65,536; none if that is more than a run can have.
    tolerance: Option<u16>,
}

/// How far an interval's end on the device lies from the one on the CPU, as parts of what its gradients changed.
#[derive(Serialize)]
struct Row {
    after: u16,
    steps: u16,
    first_moment: f64,
    second_moment: f64,
    parameters: f64,
    /// The part that a tolerance has to allow for it; the parameters' counts for a sixth.
    needed: f64,
    /// Whether the second moment is one that steps can lead to.
    is_possible: bool,
    seconds_on_device: f64,
    seconds_on_cpu: f64,
}

impl Audit {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let report = {
            let _told = progress("making steps twice", 0);
            self.threads.install(|| self.measure())?
        };
        print(self.json.json, &report, Report::people)
    }

    fn measure(&self) -> Result<Report, Failure> {
        let longest = |numbers: &[u16]| numbers.iter().copied().max().unwrap_or(1);
        let play = Play {
            model: self.config.name(),
            seq: self.seq,
            steps: longest(&self.after).saturating_add(longest(&self.steps)),
            trace_every: 1,
            sequences: self.sequences.sequences,
            miners: 1,
            rounds: 1,
            device: self.device,
            threads: self.threads.threads,
        };
        let mut network = Network::new(&play)?;
        let plan = &network.plan(0);
        let Network {
            config,
            layout,
            data,
            engine,
            parameters,
            ..
        } = &mut network;
        let (config, layout, data) = (&*config, &*layout, &*data);
        let length = config.inner.sequence_length;
        let of_step = move |step| windows(data, &plan.of_step(0, step), length);
        let mut cpu = Cpu::new(config, self.threads.threads)?;
        let mut after = self.after.clone();
        after.sort_unstable();
        let mut begin = State::new(std::mem::take(parameters));
        let (mut rows, mut done) = (Vec::new(), 0);
        for next in after {
            let way = u32::from(done)..u32::from(next);
            begin = made(&mut cpu, &begin, way, &of_step)?.0;
            done = next;
            for steps in &self.steps {
                let way = u32::from(done)..u32::from(done).saturating_add((*steps).into());
                let shown = made(engine.as_mut(), &begin, way.clone(), &of_step)?;
                let replayed = made(&mut cpu, &begin, way, &of_step)?;
                let states = (&replayed.0, &shown.0);
                let found = distances((config, layout), begin.clone(), (*steps).into(), states);
                rows.push(Row::of((done, *steps), &found, (shown.1, replayed.1)));
            }
        }
        let needed = rows.iter().map(|row| row.needed).fold(0.0, f64::max);
        let needed = (needed * f64::from(AuditRules::EACH)).ceil();
        let are_possible = rows.iter().all(|row| row.is_possible);
        let fits = are_possible && needed <= f64::from(AuditRules::MAX_TOLERANCE);
        Ok(Report {
            config: play.model,
            parameters: layout.parameters(),
            sequence_length: config.inner.sequence_length,
            sequences: self.sequences.sequences,
            device: engine.name(),
            rows,
            tolerance: fits.then_some(needed as u16),
        })
    }
}

impl Row {
    /// Of an interval of so many steps after so many, with the seconds that both took for it.
    fn of((after, steps): (u16, u16), found: &Distances, seconds: (f64, f64)) -> Row {
        Row {
            after,
            steps,
            first_moment: found.first_moment.relative(),
            second_moment: found.second_moment.relative(),
            parameters: found.parameters.relative(),
            needed: found.needed(),
            is_possible: found.is_possible,
            seconds_on_device: seconds.0,
            seconds_on_cpu: seconds.1,
        }
    }
}

/// Steps with these numbers from a state on, and how many seconds they took.
fn made<'t>(
    engine: &mut dyn Engine,
    begin: &State,
    way: Range<u32>,
    of_step: &dyn Fn(u32) -> Vec<&'t [u32]>,
) -> Result<(State, f64), Failure> {
    let mut sequences = |step| of_step(step);
    let began = Instant::now();
    let end = engine.replay(begin, way, &mut sequences)?;
    Ok((end, began.elapsed().as_secs_f64()))
}

impl Report {
    fn people(&self) -> String {
        let part = |number: f64| format!("{:.2} %", number * 100.0);
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| {
                vec![
                    row.after.to_string(),
                    row.steps.to_string(),
                    part(row.first_moment),
                    part(row.second_moment),
                    part(row.parameters),
                    format!("{:.2}", row.seconds_on_device),
                    format!("{:.2}", row.seconds_on_cpu),
                ]
            })
            .collect();
        let head = [
            "after",
            "steps",
            "first",
            "second",
            "parameters",
            "seconds",
            "on the CPU",
        ];
        let needed = match self.tolerance {
            Some(tolerance) => format!(
                "passes at a tolerance of {tolerance} of {}",
                AuditRules::EACH
            ),
            None => "passes no tolerance that a run can have".into(),
        };
        format!(
            "{} ({} parameters) on {}\n{}\n{needed}",
            self.config,
            self.parameters,
            self.device,
            table(&head, &rows)
        )
    }
}
