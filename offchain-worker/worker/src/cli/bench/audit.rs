//! `cairn bench audit`.

use std::{ops::Range, path::PathBuf, time::Instant};

use cairn_engine::{audit::distances, Cpu, Device, Engine, State};
use cairn_primitives::{AuditRules, InnerOptimizer, Matrices};
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
    run_file::RunFile,
    scoring::windows,
    table::table,
};

/// `cairn bench audit`.
#[derive(Args, Debug)]
#[command(mut_arg("config", |arg| arg.default_value("tiny")))]
pub struct Audit {
    #[command(flatten)]
    config: NameArg,
    /// The configuration of a run, as `cairn run start` takes it: its model, optimizer, sequences, intervals and
    /// tolerance are taken, whatever --config, --seq, --sequences and --steps say
    // These may stand in the environment for other commands, so they are no mistake beside it.
    #[arg(long, env = "CAIRN_RUN_FILE", value_name = "FILE")]
    run: Option<PathBuf>,
    /// Tokens in a sequence [default: 512, or the model's context if that is shorter]
    #[arg(long, env = "CAIRN_SEQ", value_name = "TOKENS")]
    seq: Option<u32>,
    /// Steps of an interval; each number is measured [with --run: 1, and as many as the run's intervals have]
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
    /// What a run allows whose file was named.
    #[serde(flatten)]
    run: Option<OfRun>,
}

/// What a run allows, and whether all that was measured lies within it.
#[derive(Clone, Copy, Serialize)]
struct OfRun {
    /// The run's tolerance, of 65,536; 0: it admits no cards.
    allowed: u16,
    within: bool,
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

    /// What is measured: its name, what makes it, the steps of its intervals, and what a run allows.
    fn subject(&self) -> Result<Subject, Failure> {
        let longest = |numbers: &[u16]| numbers.iter().copied().max().unwrap_or(1);
        let most = |intervals: &[u16]| longest(&self.after).saturating_add(longest(intervals));
        let Some(path) = &self.run else {
            let play = Play {
                model: self.config.name(),
                seq: self.seq,
                steps: most(&self.steps),
                trace_every: 1,
                sequences: self.sequences.sequences,
                miners: 1,
                rounds: 1,
                device: self.device,
                threads: self.threads.threads,
            };
            return Ok(Subject {
                network: Network::new(&play)?,
                name: play.model,
                intervals: self.steps.clone(),
                allowed: None,
            });
        };
        let file = RunFile::read(path)?;
        let config = file.unfilled();
        if config.inner.matrices != Matrices::AdamW {
            let what = "the run steps matrices by Muon, for which no rule has a tolerance";
            return Err(Failure::new(what, "name a run whose matrices are AdamW's"));
        }
        let intervals = intervals(&config.inner);
        let on = (self.device, self.threads.threads);
        Ok(Subject {
            network: Network::of_run(&file, most(&intervals), on)?,
            name: file.name(),
            intervals,
            allowed: Some(config.audits.tolerance),
        })
    }

    fn measure(&self) -> Result<Report, Failure> {
        let Subject {
            mut network,
            name,
            intervals,
            allowed,
        } = self.subject()?;
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
            for steps in &intervals {
                let way = u32::from(done)..u32::from(done).saturating_add((*steps).into());
                let shown = made(engine.as_mut(), &begin, way.clone(), &of_step)?;
                let replayed = made(&mut cpu, &begin, way, &of_step)?;
                let states = (&replayed.0, &shown.0);
                let found = distances((config, layout), begin.clone(), (*steps).into(), states);
                rows.push(Row::of((done, *steps), &found, (shown.1, replayed.1)));
            }
        }
        let tolerance = tolerance(&rows);
        Ok(Report {
            config: name,
            parameters: layout.parameters(),
            sequence_length: config.inner.sequence_length,
            sequences: config.inner.sequences,
            device: engine.name(),
            rows,
            tolerance,
            run: allowed.map(|allowed| OfRun::of(allowed, tolerance)),
        })
    }
}

/// What is measured.
struct Subject {
    network: Network,
    name: String,
    /// Steps of each interval.
    intervals: Vec<u16>,
    /// The tolerance of the run whose file was named.
    allowed: Option<u16>,
}

/// Steps of the shortest and of the longest interval that a run's audits draw: the last one of whom the time runs out
/// has as many as were made.
fn intervals(inner: &InnerOptimizer) -> Vec<u16> {
    let longest = inner.trace_every.min(inner.steps);
    let longer = Some(longest).filter(|longest| *longest > 1);
    [1].into_iter().chain(longer).collect()
}

/// The least tolerance by which all of these pass, if a run can have it.
fn tolerance(rows: &[Row]) -> Option<u16> {
    let needed = rows.iter().map(|row| row.needed).fold(0.0, f64::max);
    let needed = (needed * f64::from(AuditRules::EACH)).ceil();
    let are_possible = rows.iter().all(|row| row.is_possible);
    let fits = are_possible && needed <= f64::from(AuditRules::MAX_TOLERANCE);
    fits.then_some(needed as u16)
}

impl OfRun {
    /// Of a run that allows so much of work that needs so much.
    fn of(allowed: u16, needed: Option<u16>) -> OfRun {
        let is_enough = needed.is_some_and(|needed| needed <= allowed);
        OfRun {
            allowed,
            within: allowed > 0 && is_enough,
        }
    }

    fn people(self) -> String {
        let (allowed, of) = (self.allowed, AuditRules::EACH);
        match self {
            OfRun { allowed: 0, .. } => {
                "the run has no tolerance: it admits the work of no card".into()
            }
            OfRun { within: true, .. } => {
                format!("within the run's tolerance of {allowed} of {of}")
            }
            _ => format!("not within the run's tolerance of {allowed} of {of}: its auditors would refuse this work"),
        }
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
            None => "passes no tolerance that a run can have".to_string(),
        };
        let within = self.run.map(|run| format!("\n{}", run.people()));
        let within = within.unwrap_or_default();
        format!(
            "{} ({} parameters) on {}\n{}\n{needed}{within}",
            self.config,
            self.parameters,
            self.device,
            table(&head, &rows)
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
        audit: Audit,
    }

    fn row(needed: f64, is_possible: bool) -> Row {
        Row {
            after: 0,
            steps: 1,
            first_moment: needed,
            second_moment: 0.0,
            parameters: 0.0,
            needed,
            is_possible,
            seconds_on_device: 0.0,
            seconds_on_cpu: 0.0,
        }
    }

    #[test]
    fn a_run_admits_what_needs_no_more_than_it_allows() {
        let need = |parts: f64| tolerance(&[row(0.0, true), row(parts / 65_536.0, true)]);
        assert_eq!(need(2_048.0), Some(2_048));
        assert_eq!(need(2_048.5), Some(2_049));
        assert_eq!(need(4_097.0), None, "more than any run allows");
        assert_eq!(tolerance(&[row(0.0, false)]), None);
        let is_within = |allowed, parts| OfRun::of(allowed, need(parts)).within;
        assert!(is_within(2_048, 2_048.0) && !is_within(2_048, 2_048.5));
        assert!(!is_within(4_096, 4_097.0));
        assert!(!is_within(0, 0.0), "the run admits no card");
        let said = |allowed, parts| OfRun::of(allowed, need(parts)).people();
        assert_eq!(
            said(2_048, 700.0),
            "within the run's tolerance of 2048 of 65536"
        );
        assert!(said(512, 700.0).starts_with("not within"));
        assert!(said(0, 700.0).starts_with("the run has no tolerance"));
    }

    #[test]
    fn a_runs_shortest_interval_is_measured_and_its_longest() {
        let text = include_str!("../../../../../chain-specs/run-tiny.toml");
        let mut inner = RunFile::parse(text).expect("a run").unfilled().inner;
        let mut of = |steps, every| {
            (inner.steps, inner.trace_every) = (steps, every);
            intervals(&inner)
        };
        assert_eq!(of(20, 5), [1, 5]);
        assert_eq!(of(3, 3), [1, 3]);
        assert_eq!(of(20, 1), [1]);
    }

    #[test]
    fn a_run_of_muons_has_no_distance_to_measure() {
        let text = include_str!("../../../../../chain-specs/run-tiny.toml");
        let (from, to) = ("matrices = \"adamw\"", "matrices = { muon = {} }");
        assert!(text.contains(from));
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run.toml");
        std::fs::write(&path, text.replacen(from, to, 1)).expect("room");
        let path = path.to_str().expect("a name");
        let line = ["audit", "--run", path, "--device", "cpu"];
        let audit = Line::try_parse_from(line).expect("a command").audit;
        let error = audit.subject().err().expect("it is refused").to_string();
        assert!(error.contains("Muon"), "{error}");
    }

    /// The CPU in the card's place: there is no distance, so what shows is what a run's file says.
    #[test]
    fn the_runs_own_file_says_what_is_measured_and_what_is_allowed() {
        let text = include_str!("../../../../../chain-specs/run-tiny.toml");
        let replaced = [
            ("layers = 4", "layers = 1"),
            ("sequences = 16", "sequences = 2"),
            ("trace_every = 5", "trace_every = 1"),
            ("tolerance = 0", "tolerance = 300"),
        ];
        let text = replaced.iter().fold(text.to_string(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run.toml");
        std::fs::write(&path, text).expect("room");
        let path = path.to_str().expect("a name");
        let line = ["audit", "--run", path, "--after", "0", "--device", "cpu"];
        // As variables have them that are meant for other commands.
        let others = ["--config=10m", "--seq=4", "--sequences=9", "--steps=4"];
        let line = line.into_iter().chain(others);
        let audit = Line::try_parse_from(line).expect("a command").audit;
        let report = serde_json::to_value(audit.measure().expect("it is measured"));
        let report = report.expect("plain data");
        assert_eq!(report["within"], true);
        assert_eq!(report["allowed"], 300);
        assert_eq!(report["tolerance"], 0);
        assert_eq!(report["sequences"], 2);
        let rows = report["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["steps"], 1);
    }
}
