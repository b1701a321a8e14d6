//! `cairn run plan`.

use std::path::PathBuf;

use cairn_data::check_relays;
use cairn_primitives::{api::Duty, Layout, Matrices, RunConfig};
use cairn_trainer::config;
use clap::Args;
use serde::Serialize;

use crate::{
    amount::{size, thousands},
    cli::{
        args::{JsonArg, KeepArg},
        doctor::run::machine,
        print,
    },
    devnet::setting::RUN,
    error::Failure,
    needs::{
        auditing, card, first_card, measuring, mining, own_card, serving, total, Held, Vectors,
    },
    run_file::RunFile,
    run_rules,
    table::table,
};

/// `cairn run plan`.
#[derive(Args, Debug)]
pub struct Plan {
    /// The run's configuration
    #[arg(
        long,
        env = "CAIRN_RUN_FILE",
        value_name = "FILE",
        required_unless_present = "shape",
        conflicts_with = "shape"
    )]
    file: Option<PathBuf>,
    /// Instead of a configuration a model: tiny, 10m, 100m, 1b, 8b or covenant-72b, trained on sequences as long as its
    /// context; all else as in chain-specs/run-tiny.toml
    #[arg(long, env = "CAIRN_SHAPE", value_name = "NAME")]
    shape: Option<String>,
    /// Train on so many cards, by PyTorch or by cairn itself [default: on the CPU]
    #[arg(long, env = "CAIRN_CARDS", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    cards: Option<u32>,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Report {
    name: String,
    parameters: u64,
    cards: Option<u32>,
    sequence_length: u32,
    sequences: u16,
    checkpoint_every: u8,
    parts: Vec<Part>,
    /// What is known only where it is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_counted: Option<&'static str>,
}

/// What is no vector of the run's.
const OF_CARDS: &str =
    "not counted: what CUDA, NCCL and PyTorch take of each card for themselves; \
    `cairn bench train` on these cards shows what is taken in all";

/// What somebody holds at a time, or comes to hold.
#[derive(Serialize)]
struct Part {
    who: &'static str,
    bytes: u64,
    held: Vec<Held>,
}

impl Part {
    fn new(who: &'static str, held: Vec<Held>) -> Part {
        let bytes = total(&held);
        Part { who, bytes, held }
    }
}

impl Plan {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let (name, config) = self.config()?;
        check_cards(&config, self.cards)?;
        let report = Report {
            name,
            parameters: Layout::of(&config.model).parameters() as u64,
            cards: self.cards,
            sequence_length: config.inner.sequence_length,
            sequences: config.inner.sequences,
            checkpoint_every: config.checkpoint_every,
            parts: parts(&config, self.cards),
            not_counted: self.cards.map(|_| OF_CARDS),
        };
        print(self.json.json, &report, Report::people)
    }

    /// What the run is called, and its configuration without the data.
    fn config(&self) -> Result<(String, RunConfig), Failure> {
        let Some(name) = &self.shape else {
            // The command line has made sure of it.
            let file = RunFile::read(&self.file.clone().unwrap_or_default())?;
            let config = file.unfilled();
            check_relays(file.relays().unwrap_or_default())?;
            run_rules::check_alone(&config)?;
            return Ok((file.name(), config));
        };
        let mut config = RunFile::parse(RUN)?.unfilled();
        config.model = config::named(name).ok_or_else(|| {
            let known = config::NAMES.join(", ");
            Failure::new(
                format!("there is no model `{name}`"),
                format!("--shape takes one of {known}"),
            )
        })?;
        config.inner.sequence_length = config.model.context;
        Ok((name.clone(), config))
    }
}

/// Whether there is an engine that makes the run's steps on so many cards.
fn check_cards(config: &RunConfig, cards: Option<u32>) -> Result<(), Failure> {
    if cards.is_none_or(|cards| cards == 1) || has_torch(config) {
        return Ok(());
    }
    let what = "the run steps matrices by Muon, which no engine does on several cards";
    Err(Failure::new(what, "say --cards 1, or leave --cards out"))
}

/// Whether PyTorch can make the run's steps.
fn has_torch(config: &RunConfig) -> bool {
    config.inner.matrices == Matrices::AdamW
}

/// All that is held, by whom and when.
fn parts(config: &RunConfig, cards: Option<u32>) -> Vec<Part> {
    let is_audited = config.audits.rate > 0;
    let mut parts = vec![Part::new(
        "a miner that trains, in memory",
        mining(config, cards.is_some()),
    )];
    // What PyTorch made cannot be replayed; what cairn's own cards make can, in a run with a tolerance.
    if is_audited && (cards.is_none() || config.audits.admits_cards()) {
        parts.push(Part::new(
            "a miner that serves an audit, in memory",
            serving(config, cards.is_some()),
        ));
    }
    if let Some(cards) = cards {
        if has_torch(config) {
            parts.push(Part::new("each card, by PyTorch", card(config, cards)));
        }
        let own = own_card(config, cards);
        parts.push(Part::new("each card, by cairn itself", own));
        if cards > 1 {
            let who = "the first of these, after the steps";
            parts.push(Part::new(who, first_card(config, cards)));
        }
    }
    parts.push(Part::new(
        "a validator that measures, in memory",
        measuring(config),
    ));
    if is_audited {
        parts.push(Part::new(
            "a validator that audits, in memory",
            auditing(config),
        ));
    }
    parts.push(Part::new(
        "a miner, on disk",
        disk(config, Duty::Miner, cards),
    ));
    parts.push(Part::new(
        "a validator, on disk",
        disk(config, Duty::Validator, None),
    ));
    parts.extend(lines(config));
    parts
}

/// What goes over a miner's line, as if a round had as many contributions as it takes, each as long as it can be.
fn lines(config: &RunConfig) -> [Part; 3] {
    let file = machine::contribution(config);
    let all = file.saturating_mul(config.max_contributors.into());
    let vectors = Vectors::of(config);
    let joining = vec![
        Held {
            what: "the newest checkpoint, from all that have it",
            bytes: vectors.parameters,
        },
        Held {
            what: "contributions to the rounds since it, at most",
            bytes: all.saturating_mul(config.checkpoint_every.into()),
        },
    ];
    let coming = vec![Held {
        what: "contributions of others, at most",
        bytes: all.saturating_sub(file),
    }];
    let mut going = vec![Held {
        what: "its contribution to a round, at most",
        bytes: file,
    }];
    if config.audits.rate > 0 {
        going.push(Held {
            what: "what it serves if it is audited, to an auditor",
            bytes: vectors.served(&config.audits),
        });
    }
    [
        Part::new("a miner's line, to join", joining),
        Part::new("a miner's line, down, in a round", coming),
        Part::new("a miner's line, up, for each that fetches there", going),
    ]
}

/// What a member comes to hold on disk.
fn disk(config: &RunConfig, duty: Duty, cards: Option<u32>) -> Vec<Held> {
    let mut held = vec![
        Held {
            what: "state directory, at most",
            bytes: machine::state_bound(config, duty, KeepArg::USUAL),
        },
        Held {
            what: "a store of its own, at most",
            bytes: machine::store_bound(config, duty),
        },
    ];
    if cards.is_some() && has_torch(config) {
        held.push(Held {
            what: "files shared with PyTorch, best on a memory disk",
            bytes: Vectors::of(config).steps(),
        });
    }
    held
}

impl Report {
    fn people(&self) -> String {
        let mut rows = Vec::new();
        for part in &self.parts {
            rows.push(vec![part.who.to_string(), size(part.bytes)]);
            let held = part.held.iter();
            rows.extend(held.map(|it| vec![format!("  {}", it.what), size(it.bytes)]));
        }
        let on = match self.cards {
            None => "the CPU".into(),
            Some(1) => "one card".into(),
            Some(cards) => format!("{cards} cards"),
        };
        let not_counted = self.not_counted.map(|what| format!("{what}\n"));
        format!(
            "{}: {} parameters, steps of {} sequences of {} tokens on {on}; checkpoints {}\n{}{}",
            self.name,
            thousands(self.parameters),
            self.sequences,
            thousands(self.sequence_length.into()),
            super::checkpoints(self.checkpoint_every),
            table(&["", ""], &rows).trim_start(),
            not_counted.unwrap_or_default()
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
        plan: Plan,
    }

    fn planned(line: &str) -> (RunConfig, Vec<Part>) {
        let plan = Line::try_parse_from(line.split(' ')).unwrap().plan;
        let (_, config) = plan.config().unwrap();
        let parts = parts(&config, plan.cards);
        (config, parts)
    }

    #[test]
    fn a_run_file_and_a_model_are_planned() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../chain-specs/run-tiny.toml"
        );
        let (config, parts) = planned(&format!("plan --file {file}"));
        assert_eq!(config.inner.sequence_length, 128);
        let whos: Vec<&str> = parts.iter().map(|part| part.who).collect();
        assert_eq!(whos.len(), 9, "{whos:?}");
        assert!(whos.iter().any(|who| who.contains("serves an audit")));
        let (config, parts) = planned("plan --shape covenant-72b --cards 8");
        assert_eq!(config.inner.sequence_length, 2_048);
        for who in ["each card, by PyTorch", "each card, by cairn itself"] {
            assert!(parts.iter().any(|part| part.who == who), "{who}");
        }
        assert!(parts
            .iter()
            .any(|part| part.who.contains("the first of these")));
        assert!(!parts.iter().any(|part| part.who.contains("serves")));
        let shared = |part: &&Part| part.who == "a miner, on disk";
        let disk = parts.iter().find(shared).unwrap();
        // Parameters and two moments.
        assert_eq!(disk.held[2].bytes, 12 * config.model.parameters().unwrap());
    }

    /// What is said of the line is what workers send and take: checkpoint, contributions, and what is served.
    #[test]
    fn a_miners_line_has_what_workers_send_and_take() {
        let (config, parts) = planned("plan --shape 100m");
        let parameters = config.model.parameters().unwrap();
        let file = machine::contribution(&config);
        let most = u64::from(config.max_contributors);
        let of = |who: &str| {
            let part = parts.iter().find(|part| part.who.ends_with(who)).unwrap();
            part.held.iter().map(|it| it.bytes).collect::<Vec<_>>()
        };
        let every = u64::from(config.checkpoint_every);
        assert_eq!(of("to join"), [4 * parameters, every * most * file]);
        assert_eq!(of("down, in a round"), [(most - 1) * file]);
        let served = cairn_protocol::audit::longest(parameters, &config.audits);
        let served = served - cairn_protocol::audit::LONGEST_OPENED;
        assert_eq!(of("for each that fetches there"), [file, served]);
    }

    #[test]
    fn a_run_of_muons_is_planned_on_one_card_of_cairns_own() {
        let (mut config, _) = planned("plan --shape 100m");
        config.inner.matrices = Matrices::Muon(Default::default());
        let whos: Vec<&str> = parts(&config, Some(1)).iter().map(|it| it.who).collect();
        assert!(whos.contains(&"each card, by cairn itself"), "{whos:?}");
        assert!(!whos.contains(&"each card, by PyTorch"), "{whos:?}");
        let disk = disk(&config, Duty::Miner, Some(1));
        assert!(!disk.iter().any(|it| it.what.contains("PyTorch")));
        for cards in [None, Some(1)] {
            assert!(check_cards(&config, cards).is_ok());
        }
        let error = check_cards(&config, Some(2)).unwrap_err().to_string();
        assert!(
            error.contains("Muon") && error.contains("--cards 1"),
            "{error}"
        );
        config.inner.matrices = Matrices::AdamW;
        assert!(check_cards(&config, Some(2)).is_ok());
    }

    #[test]
    fn what_cannot_be_planned_is_said() {
        assert!(Line::try_parse_from(["plan"]).is_err());
        let plan = Line::try_parse_from(["plan", "--shape", "70b"])
            .unwrap()
            .plan;
        let error = plan.config().unwrap_err().to_string();
        assert!(
            error.contains("70b") && error.contains("covenant-72b"),
            "{error}"
        );
    }

    #[test]
    fn what_a_worker_of_a_run_needs_is_what_doctor_says() {
        let (mut config, parts) = planned("plan --shape 100m");
        // It counts the data, too.
        config.data.windows = 0;
        let on = cairn_engine::Device::Cpu;
        for (who, duty) in [("serves", Duty::Miner), ("audits", Duty::Validator)] {
            let part = parts.iter().find(|part| part.who.contains(who)).unwrap();
            assert_eq!(part.bytes, machine::memory_needed(&config, duty, on));
        }
    }
}
