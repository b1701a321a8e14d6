//! The command `cairn-sim`.

use std::{fs, path::PathBuf, process::ExitCode};

use cairn_sim::{
    attacks::{self, page::page, Attack, Bench, Field, Row, Unsound},
    churn,
    settings::{Kind, Settings},
    spread::percent,
    utilisation::{self, setting},
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
  cairn-sim attacks --seed 7 --page docs/security.md
  cairn-sim churn calm all --churn 0,30 --seed 7,8,9 --json churn.json
  cairn-sim utilisation --contributors 20,200 --json utilisation.json";

#[derive(Subcommand)]
enum Command {
    /// Run one network and say how it was.
    Run(Run),
    /// Run attacks, each beside the same network without it, and say what they brought.
    Attacks(Attacks),
    /// Run networks in which miners are killed, come back and join, and say what of their work reached the model.
    Churn(Churn),
    /// Run networks in Covenant-72B's setting, and say in which share of the time contributors train.
    Utilisation(Utilisation),
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
    /// Let members crash or be cut off, blocks be undone, messages be lost, files be faulty; up to 10 times as often.
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
    /// How many rounds training runs ahead of the outer step.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    overlap: u8,
    /// Where to write the result as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Where a table goes.
#[derive(clap::Args)]
struct To {
    /// Where to write the rows as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to write the rows as a page for people.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
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
    #[command(flatten)]
    to: To,
}

#[derive(clap::Args)]
struct Churn {
    /// Which networks: calm, loss, latency, split, all; all of them, if none is named.
    networks: Vec<String>,
    /// Of a hundred miners so many are killed and join in a round; several, separated by commas.
    #[arg(
        long,
        value_name = "PERCENT",
        value_delimiter = ',',
        default_value = "0,10,30",
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    churn: Vec<u8>,
    /// The seed of everything; several, separated by commas, run each network as often.
    #[arg(
        long = "seed",
        value_name = "SEED",
        value_delimiter = ',',
        default_value = "7,8,9"
    )]
    seeds: Vec<u64>,
    /// Miners when the rounds begin.
    #[arg(long, default_value_t = 8)]
    miners: usize,
    /// Validators.
    #[arg(long, default_value_t = 3)]
    validators: usize,
    /// Rounds.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    #[command(flatten)]
    to: To,
}

#[derive(clap::Args)]
struct Utilisation {
    /// Contributors; several, separated by commas. A subnet seats 256 members: of more, those are run that have a seat.
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "20,200,1000"
    )]
    contributors: Vec<usize>,
    /// How many rounds training runs ahead of the outer step, 0 or 1; several, separated by commas, run each.
    #[arg(
        long,
        value_name = "ROUNDS",
        value_delimiter = ',',
        default_value = "0,1",
        value_parser = clap::value_parser!(u8).range(0..=1)
    )]
    overlap: Vec<u8>,
    /// Which reading of Covenant's bandwidths: Mb/s or MB/s; both, if none is named.
    #[arg(long, value_name = "READING", value_delimiter = ',')]
    line: Vec<String>,
    /// The seed of everything; several, separated by commas, run each as often.
    #[arg(
        long = "seed",
        value_name = "SEED",
        value_delimiter = ',',
        default_value = "7"
    )]
    seeds: Vec<u64>,
    /// Validators.
    #[arg(long, default_value_t = 3)]
    validators: usize,
    /// Whole rounds that are measured.
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Cores of a member's host, which nobody published.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    cores: u64,
    /// GB a second that its disk writes, which nobody published; several, separated by commas, run each.
    #[arg(
        long,
        value_name = "GB",
        value_delimiter = ',',
        default_value = "10",
        value_parser = clap::value_parser!(u64).range(1..=1_000)
    )]
    disk: Vec<u64>,
    #[command(flatten)]
    to: To,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Tiny,
    Muon,
    Turns,
    Cost,
}

impl From<Engine> for Kind {
    fn from(engine: Engine) -> Kind {
        match engine {
            Engine::Tiny => Kind::Tiny,
            Engine::Muon => Kind::Muon,
            Engine::Turns => Kind::Turns,
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
        Command::Churn(churn) => churn.run(),
        Command::Utilisation(utilisation) => utilisation.run(),
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
            Engine::Turns => line.push_str(" --engine turns"),
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
        if self.overlap > 0 {
            line.push_str(&format!(" --overlap {}", self.overlap));
        }
        line
    }

    fn run(&self) -> Result<(), String> {
        let honest = Settings::honest(self.seed, self.miners, self.validators, self.rounds);
        let mut settings = Settings {
            engine: self.engine.into(),
            overlap: self.overlap,
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
        let chosen: Vec<&'static Attack> = if self.names.is_empty() {
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
        let (mut field, mut later) = (Field::default(), Field::default());
        let mut rows = self.measure(&mut field, &chosen, bench)?;
        let mut longer = Vec::new();
        if self.to.page.is_some() {
            longer = self.measure(&mut later, &attacks::harmful(&rows), bench.longer())?;
            for seed in &self.seeds {
                let honest = field.honest(Bench {
                    seed: *seed,
                    ..bench
                });
                honest.map_err(|error| error.to_string())?;
            }
        }
        let made = page(&rows, &longer, bench, field.report());
        let mut cheap = self.cheap(&rows, bench.rounds);
        cheap.extend(self.cheap(&longer, bench.longer().rounds));
        rows.extend(longer);
        show(&rows, made, &self.to)?;
        let unsound = field.unsound().iter().chain(later.unsound());
        let unsound = sound(unsound.map(|one| (one.broken.as_slice(), self.again(one))));
        none_of(unsound.err().into_iter().chain(cheap))
    }

    /// The rows in which a lost audit cost no more than it had brought, and how each is run again.
    fn cheap(&self, rows: &[Row], rounds: u32) -> Vec<String> {
        let said = |row: &Row| {
            let again = self.line(&[row.attack], row.seed, rounds);
            let paid = percent(row.audit_gain);
            format!("an attacker had been paid {paid} of the bond that it lost; again: {again}")
        };
        rows.iter().filter(|row| row.pays()).map(said).collect()
    }

    /// Runs these attacks with all seeds.
    fn measure(
        &self,
        field: &mut Field,
        chosen: &[&'static Attack],
        bench: Bench,
    ) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        for (attack, seed) in chosen
            .iter()
            .flat_map(|attack| self.seeds.iter().map(move |seed| (*attack, *seed)))
        {
            let row = field.measure(attack, Bench { seed, ..bench });
            let row = row.map_err(|error| format!("{}: {error}", attack.name))?;
            eprintln!(
                "{:<14} seed {seed}  rounds {}  share {:>7.2}  honest {:>+6.1} %  loss {:>+6.1} %  stalled {:>3}  {:?}",
                row.attack,
                row.rounds,
                row.share_per_gpu,
                row.honest_change * 100.0,
                row.loss_change * 100.0,
                row.stalled_rounds,
                row.verdict
            );
            rows.push(row);
        }
        Ok(rows)
    }

    /// The command that runs a network without an attack again.
    fn again(&self, one: &Unsound) -> String {
        let all = self.names.iter().map(String::as_str);
        let names: Vec<&str> = one.beside.map_or_else(|| all.collect(), |name| vec![name]);
        let mut line = self.line(&names, one.seed, one.rounds);
        if let Some(page) = self.to.page.as_ref().filter(|_| one.beside.is_none()) {
            line.push_str(&format!(" --page {}", page.display()));
        }
        line
    }

    /// The command that runs these attacks, or all if none is named.
    fn line(&self, names: &[&str], seed: u64, rounds: u32) -> String {
        let names: String = names.iter().map(|name| format!(" {name}")).collect();
        format!(
            "cairn-sim attacks{names} --seed {seed} --miners {} --validators {} --rounds {rounds}",
            self.miners, self.validators
        )
    }
}

impl Churn {
    fn run(&self) -> Result<(), String> {
        let place = |name: &String| {
            churn::find(name).ok_or_else(|| {
                let known: Vec<&str> = churn::PLACES.iter().map(|place| place.name).collect();
                format!("there is no network {name:?}: name {}", known.join(", "))
            })
        };
        let places: Vec<&churn::Place> = if self.networks.is_empty() {
            churn::PLACES.iter().collect()
        } else {
            self.networks.iter().map(place).collect::<Result<_, _>>()?
        };
        let bench = churn::Bench {
            seed: 0,
            miners: self.miners,
            validators: self.validators,
            rounds: self.rounds,
        };
        let mut rows = Vec::new();
        for place in places {
            for (churn, seed) in self.cells() {
                let row = churn::measure(churn::Bench { seed, ..bench }, place, churn);
                let row = row.map_err(|error| format!("{}: {error}", place.name))?;
                eprintln!(
                    "{:<8} churn {churn:>3} %  seed {seed}  settled {} of {}  goodput {}  killed {}  joined {}",
                    place.name,
                    row.settled,
                    row.rounds,
                    percent(row.goodput),
                    row.kills,
                    row.joined
                );
                rows.push(row);
            }
        }
        let made = churn::page::page(&rows, bench);
        show(&rows, made, &self.to)?;
        sound(
            rows.iter()
                .map(|row| (row.broken.as_slice(), self.again(row))),
        )
    }

    /// The command that runs a row again.
    fn again(&self, row: &churn::Row) -> String {
        format!(
            "cairn-sim churn {} --churn {} --seed {} --miners {} --validators {} --rounds {}",
            row.network, row.churn_percent, row.seed, self.miners, self.validators, self.rounds
        )
    }

    fn cells(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        let of = move |churn: &u8| {
            let churn = *churn;
            self.seeds.iter().map(move |seed| (churn, *seed))
        };
        self.churn.iter().flat_map(of)
    }
}

/// A reading, how far training runs ahead, bytes a second of a disk, contributors, and a seed.
type Cell = (&'static setting::Reading, (u8, u64), usize, u64);

impl Utilisation {
    fn run(&self) -> Result<(), String> {
        let cores = self.cores;
        let mut rows = Vec::new();
        for (reading, (overlap, disk), contributors, seed) in self.cells()? {
            let bench = utilisation::Bench {
                seed,
                contributors,
                validators: self.validators,
                rounds: self.rounds,
                overlap,
                host: setting::Host { cores, disk },
            };
            let name = reading.name;
            let row = utilisation::measure(bench, reading);
            let row = row.map_err(|error| format!("{contributors} at {name}: {error}"))?;
            eprintln!(
                "{contributors} contributors ({} seated) at {name}  overlap {overlap}  seed {seed}  {} of {:.0} s in \
                 training",
                row.seated,
                percent(row.share),
                row.round()
            );
            rows.push(row);
        }
        let made = utilisation::page::Made {
            validators: self.validators,
            rounds: self.rounds,
            cores,
        };
        let made = utilisation::page::page(&rows, made);
        show(&rows, made, &self.to)?;
        sound(
            rows.iter()
                .map(|row| (row.broken.as_slice(), self.again(row))),
        )
    }

    /// What is run: on which line, how far ahead, on which disk, with how many contributors, by which seed.
    fn cells(&self) -> Result<Vec<Cell>, String> {
        let mut cells = Vec::new();
        for contributors in &self.contributors {
            for reading in self.readings()? {
                for way in self.ways() {
                    let seeds = self.seeds.iter();
                    cells.extend(seeds.map(|seed| (reading, way, *contributors, *seed)));
                }
            }
        }
        Ok(cells)
    }

    /// How far training runs ahead, and bytes a second of a disk.
    fn ways(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        let of = move |overlap: &u8| {
            let overlap = *overlap;
            let disks = self.disk.iter();
            disks.map(move |disk| (overlap, disk.saturating_mul(1_000_000_000)))
        };
        self.overlap.iter().flat_map(of)
    }

    /// The command that runs a row again.
    fn again(&self, row: &utilisation::Row) -> String {
        format!(
            "cairn-sim utilisation --contributors {} --line {} --overlap {} --seed {} --validators {} --rounds {} \
             --cores {} --disk {}",
            row.contributors,
            row.bandwidth,
            row.overlap,
            row.seed,
            self.validators,
            self.rounds,
            self.cores,
            row.disk / 1_000_000_000
        )
    }

    /// The readings that are named.
    fn readings(&self) -> Result<Vec<&'static setting::Reading>, String> {
        if self.line.is_empty() {
            return Ok(setting::READINGS.iter().collect());
        }
        let found = |name: &String| {
            let mut known = setting::READINGS.iter();
            known
                .find(|reading| reading.name == name)
                .ok_or_else(|| format!("there is no reading {name:?}: name Mb/s or MB/s"))
        };
        self.line.iter().map(found).collect()
    }
}

/// An error if checkers found something wrong in honest networks: of each what they are, and how it is run again.
fn sound<'a>(networks: impl Iterator<Item = (&'a [&'static str], String)>) -> Result<(), String> {
    let wrong = networks.filter(|(broken, _)| !broken.is_empty());
    let wrong = wrong.map(|(broken, again)| {
        let broken = broken.join(", ");
        format!("an honest network broke what {broken} looks for; again: {again}")
    });
    none_of(wrong)
}

/// An error if anything is wrong, a line of each.
fn none_of(wrong: impl Iterator<Item = String>) -> Result<(), String> {
    let wrong: Vec<String> = wrong.collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

/// Writes rows and their page where they are to go; rows that are to go nowhere are printed.
fn show<T: serde::Serialize>(rows: &[T], made: String, to: &To) -> Result<(), String> {
    if let Some(path) = &to.page {
        write(path, &made)?;
    }
    let text = json(&rows)?;
    match &to.json {
        Some(path) => write(path, &text),
        None if to.page.is_some() => Ok(()),
        None => {
            println!("{text}");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_honest_network_that_is_not_sound_is_an_error_that_says_how_to_run_it_again() {
        let arguments = ["cairn-sim", "churn", "--miners", "5", "--rounds", "9"];
        let Command::Churn(churn) = Cli::parse_from(arguments).command else {
            panic!("it is the churn table");
        };
        let bench = churn::Bench {
            seed: 3,
            miners: 2,
            validators: 1,
            rounds: 2,
        };
        let place = churn::find("calm").expect("there is one");
        let row = churn::measure(bench, place, 0).expect("a network");
        let said = |broken: &[&'static str]| sound([(broken, churn.again(&row))].into_iter());
        assert_eq!(said(&[]), Ok(()));
        let again =
            "again: cairn-sim churn calm --churn 0 --seed 3 --miners 5 --validators 3 --rounds 9";
        let expected = format!("an honest network broke what lineage, money looks for; {again}");
        assert_eq!(said(&["lineage", "money"]), Err(expected));
    }

    fn attacks(arguments: &[&str]) -> Attacks {
        match Cli::parse_from(["cairn-sim", "attacks"].iter().chain(arguments)).command {
            Command::Attacks(attacks) => attacks,
            _ => panic!("it is the attack table"),
        }
    }

    #[test]
    fn what_is_run_again_has_all_that_was_said() {
        let attacks = attacks(&["exam", "zeros", "--page", "p.md"]);
        let again = |beside| {
            attacks.again(&Unsound {
                seed: 4,
                rounds: 32,
                beside,
                broken: Vec::new(),
            })
        };
        let end = "--seed 4 --miners 4 --validators 3 --rounds 32";
        assert_eq!(again(Some("exam")), format!("cairn-sim attacks exam {end}"));
        let all = format!("cairn-sim attacks exam zeros {end} --page p.md");
        assert_eq!(again(None), all);
    }

    #[test]
    fn a_bond_that_is_too_small_is_an_error_that_says_how_to_run_it_again() {
        let mut bench = Bench::usual(4);
        bench.rounds = 1;
        let row = Field::default().measure(attacks::ALL[0], bench);
        let mut row = row.expect("a network");
        let mut said_at = |audit_gain| {
            row.audit_gain = audit_gain;
            attacks(&[]).cheap(std::slice::from_ref(&row), 9)
        };
        assert!(said_at(0.99).is_empty());
        let again = "again: cairn-sim attacks exam --seed 4 --miners 4 --validators 3 --rounds 9";
        let what = "an attacker had been paid 125.0 % of the bond that it lost";
        assert_eq!(said_at(1.25), [format!("{what}; {again}")]);
    }
}
