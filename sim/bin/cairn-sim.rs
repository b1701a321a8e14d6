//! The command `cairn-sim`.

use std::{fs, path::PathBuf, process::ExitCode};

use cairn_sim::{
    attacks::{self, page::page, Attack, Bench, Field},
    settings::{Kind, Settings},
    world::World,
};
use clap::{Parser, Subcommand, ValueEnum};

/// Runs whole networks in one thread: the real runtime and the workers' machines under one seeded virtual clock.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  cairn-sim run --miners 8 --validators 3 --rounds 20 --seed 7 --json run.json
  cairn-sim run --miners 4 --validators 2 --rounds 12 --seed 3 --storm
  cairn-sim run --miners 6 --validators 3 --rounds 16 --seed 7 --engine tiny --attack exam --attackers 2
  cairn-sim attacks exam clones --seed 7 --json rows.json
  cairn-sim attacks --seed 7 --page docs/security.md";

#[derive(Subcommand)]
enum Command {
    /// Run one network and say how it was.
    Run(Run),
    /// Run attacks, each beside the same network without it, and say what they brought.
    Attacks(Attacks),
}

#[derive(clap::Args)]
struct Run {
    /// Honest miners.
    #[arg(long, default_value_t = 4)]
    miners: usize,
    /// Honest validators.
    #[arg(long, default_value_t = 2)]
    validators: usize,
    /// Rounds.
    #[arg(long, default_value_t = 8)]
    rounds: u32,
    /// The seed of everything.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// An attack, by its name (`cairn-sim attacks --list`).
    #[arg(long)]
    attack: Option<String>,
    /// How many attackers; each attack has a number of its own.
    #[arg(long, requires = "attack")]
    attackers: Option<usize>,
    /// What computes: a real model of some thousand parameters, or a bowl that costs virtual time only.
    #[arg(long, value_enum, default_value_t = Engine::Cost)]
    engine: Engine,
    /// Let members crash and be cut off, blocks be undone, messages be lost, and files be faulty; a number, 10 at
    /// most: so many times as often as usual.
    #[arg(
        long,
        value_name = "TIMES",
        num_args = 0..=1,
        default_missing_value = "1",
        value_parser = times
    )]
    storm: Option<f64>,
    /// The round in which the storm ends: soon after it, everybody has to be back.
    #[arg(long, value_name = "ROUND", requires = "storm")]
    calm_from: Option<u32>,
    /// Where to write the result as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Attacks {
    /// Which; all, if none is named.
    names: Vec<String>,
    /// The seed of everything; several, separated by commas, run each attack as often.
    #[arg(
        long = "seed",
        value_name = "SEED",
        value_delimiter = ',',
        default_value = "7"
    )]
    seeds: Vec<u64>,
    /// Honest miners.
    #[arg(long, default_value_t = 4)]
    miners: usize,
    /// Honest validators.
    #[arg(long, default_value_t = 3)]
    validators: usize,
    /// Rounds.
    #[arg(long, default_value_t = 16)]
    rounds: u32,
    /// Name the attacks and run none.
    #[arg(long)]
    list: bool,
    /// Where to write the rows as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the rows as a page for people.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Tiny,
    Muon,
    Cost,
}

impl From<Engine> for Kind {
    fn from(engine: Engine) -> Kind {
        match engine {
            Engine::Tiny => Kind::Tiny,
            Engine::Muon => Kind::Muon,
            Engine::Cost => Kind::Cost,
        }
    }
}

fn main() -> ExitCode {
    // Nothing here computes on more than one thread: `cairn-gradient` asks for the pool that there is.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global();
    let done = match Cli::parse().command {
        Command::Run(run) => run.run(),
        Command::Attacks(attacks) => attacks.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(path: &PathBuf, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| {
        let path = path.display();
        format!("cannot write {path} ({error}): name a file in a directory that is there")
    })
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|error| error.to_string())
}

/// How heavy a storm is. In one 34 times as heavy nobody would make a block, and the world would never end: an empty
/// slot gives it another one.
fn times(text: &str) -> Result<f64, String> {
    let times = text.parse::<f64>().ok();
    let times = times.filter(|times| (0.0..=10.0).contains(times));
    times.ok_or_else(|| "give a number from 0 to 10".into())
}

fn attack_of(name: &str) -> Result<&'static Attack, String> {
    attacks::find(name).ok_or_else(|| {
        format!("there is no attack {name:?}: `cairn-sim attacks --list` names them")
    })
}

impl Run {
    /// The command that runs the same again.
    fn again(&self) -> String {
        let mut line = format!(
            "cairn-sim run --miners {} --validators {} --rounds {} --seed {}",
            self.miners, self.validators, self.rounds, self.seed
        );
        match self.engine {
            Engine::Tiny => line.push_str(" --engine tiny"),
            Engine::Muon => line.push_str(" --engine muon"),
            Engine::Cost => {}
        }
        if let Some(attack) = &self.attack {
            line.push_str(&format!(" --attack {attack}"));
        }
        if let Some(attackers) = self.attackers {
            line.push_str(&format!(" --attackers {attackers}"));
        }
        if let Some(times) = self.storm {
            line.push_str(&format!(" --storm {times}"));
        }
        if let Some(round) = self.calm_from {
            line.push_str(&format!(" --calm-from {round}"));
        }
        line
    }

    fn run(&self) -> Result<(), String> {
        let honest = Settings::honest(self.seed, self.miners, self.validators, self.rounds);
        let mut settings = Settings {
            engine: self.engine.into(),
            ..honest
        };
        if let Some(times) = self.storm {
            settings = settings.in_storm(times);
            settings.calm_from = self.calm_from.unwrap_or(u32::MAX);
        }
        if let Some(name) = &self.attack {
            attacks::stage(&mut settings, attack_of(name)?, self.attackers);
        }
        let world = World::new(settings).map_err(|error| error.to_string())?;
        let result = world.run();
        let text = json(&result)?;
        match &self.json {
            Some(path) => write(path, &text)?,
            None => println!("{text}"),
        }
        eprint!("{}", result.costs);
        if result.is_sound() {
            return Ok(());
        }
        for fault in &result.faults {
            eprintln!("{}: {}", fault.checker, fault.what);
        }
        // An attack may well break what the checkers look for; only an honest network may not.
        if self.attack.is_some() {
            return Ok(());
        }
        Err(format!("again: {}", self.again()))
    }
}

impl Attacks {
    fn run(&self) -> Result<(), String> {
        if self.list {
            for attack in attacks::ALL {
                println!("{:<14} {:<4} {}", attack.name, attack.id, attack.what);
            }
            return Ok(());
        }
        let chosen: Vec<&Attack> = if self.names.is_empty() {
            attacks::ALL.to_vec()
        } else {
            let names = self.names.iter().map(|name| attack_of(name));
            names.collect::<Result<_, _>>()?
        };
        let bench = Bench {
            miners: self.miners,
            validators: self.validators,
            rounds: self.rounds,
            ..Bench::usual(0)
        };
        let (mut rows, mut field) = (Vec::new(), Field::default());
        let pairs = chosen
            .into_iter()
            .flat_map(|attack| self.seeds.iter().map(move |seed| (attack, *seed)));
        for (attack, seed) in pairs {
            let row = field.measure(attack, Bench { seed, ..bench });
            let row = row.map_err(|error| format!("{}: {error}", attack.name))?;
            eprintln!(
                "{:<14} seed {seed}  share {:>7.2}  loss {:>+6.1} %  stalled {:>3}  {:?}",
                row.attack,
                row.share_per_gpu,
                row.loss_change * 100.0,
                row.stalled_rounds,
                row.verdict
            );
            rows.push(row);
        }
        if let Some(path) = &self.page {
            for seed in &self.seeds {
                let honest = field.honest(Bench {
                    seed: *seed,
                    ..bench
                });
                honest.map_err(|error| error.to_string())?;
            }
            write(path, &page(&rows, bench, field.report()))?;
        }
        let text = json(&rows)?;
        match &self.json {
            Some(path) => write(path, &text),
            None if self.page.is_some() => Ok(()),
            None => {
                println!("{text}");
                Ok(())
            }
        }
    }
}
