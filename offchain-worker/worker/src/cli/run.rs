//! `cairn run`.

mod generate;
mod plan;
mod start;

use cairn_chain::{Call, RunInfo};
use cairn_primitives::{
    api::EndedRun, AuditRules, CompressionSchedule, Layout, Matrices, Muon, Netuid, OuterStep,
    RunConfig,
};
use clap::{Args, Subcommand};
use serde::Serialize;

use self::{generate::Generate, plan::Plan, start::Start};
use super::{
    args::{JsonArg, KeyArgs, NetuidArg, NodeArgs},
    export::Export,
    least_bond::LeastBond,
    look::{no_run, no_subnet, round_in_words},
    print,
    refusal::Asked,
    subnet::{sent, Sent},
};
use crate::{amount::thousands, error::Failure, table::percent};

/// `cairn run …`.
#[derive(Subcommand, Debug)]
pub enum Run {
    /// Start the run that a TOML file describes; for the subnet's owner
    #[command(
        after_help = "Examples:\n  cairn run start --key owner --netuid 1 --file chain-specs/run-tiny.toml --store file:///srv/cairn\n  cairn run start --key owner --netuid 1 --file chain-specs/run-tiny.toml --store file:///srv/cairn --check\n\n--check starts nothing. It reads all of the data, and asks the node whether the subnet is there, is the key's own, has no run\nand is not being dissolved. Without a node it says that the chain was not asked."
    )]
    Start(Box<Start>),
    /// Stop the run of a subnet; for the subnet's owner
    #[command(
        after_help = "Examples:\n  cairn run stop --key owner --netuid 1\n\nThe round of the moment is not settled. The chain keeps the configuration and the last final roots; validators put the last parameters into the store, and `cairn run export` writes them."
    )]
    Stop(Stop),
    /// Show the run of a subnet, and whether the least bond is as high as its miners' pay asks for
    #[command(
        after_help = "Examples:\n  cairn run show --netuid 1\n  cairn run show --netuid 1 --json"
    )]
    Show(Show),
    /// Write a checkpoint of the run as Hugging Face's `transformers` or llama.cpp loads it
    #[command(
        after_help = "Examples:\n  cairn run export --netuid 1 --store file:///srv/cairn --out model\n  cairn run export --netuid 1 --store file:///srv/cairn --format gguf --out gguf\n  cairn run export --store file:///srv/cairn --file chain-specs/run-tiny.toml --checkpoint checkpoints/1/5-12ab… --tokenizer tokenizer.json --out model"
    )]
    Export(Box<Export>),
    /// Go on with a text by the model that a run has trained
    #[command(
        after_help = "Examples:\n  cairn run generate --netuid 1 --store file:///srv/cairn --prompt Congress\n  cairn run generate --model model --prompt Congress --temperature 0\n  cairn run generate --model model --prompt Congress --top-p 0.9 --seed 7 --max-tokens 40 --json\n\nText comes on standard output as it is made; which parameters made it is said on standard error."
    )]
    Generate(Box<Generate>),
    /// Say what a run takes of those who take part: memory, cards, disk; nothing is allocated or asked
    #[command(
        after_help = "Examples:\n  cairn run plan --file chain-specs/run-tiny.toml\n  cairn run plan --shape covenant-72b --cards 8\n  cairn run plan --shape 1b --json\n\nFigures are arithmetic, which docs/trainer.md states; `cairn bench memory` measures some of them, `cairn doctor --netuid 1` this machine."
    )]
    Plan(Plan),
}

/// `cairn run stop`.
#[derive(Args, Debug)]
pub struct Stop {
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn run show`.
#[derive(Args, Debug)]
pub struct Show {
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// A run, and the bond behind its work.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    run: RunInfo,
    least_bond: LeastBond,
}

impl Run {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Run::Start(start) => start.run().await,
            Run::Stop(stop) => stop.run().await,
            Run::Show(show) => show.run().await,
            Run::Export(export) => export.run().await,
            Run::Generate(generate) => generate.run().await,
            Run::Plan(plan) => plan.run(),
        }
    }
}

impl Stop {
    async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let signer = self.key.signer()?;
        let client = self.node.connect().await?;
        let asked = Asked::new(&client, &signer).on(netuid);
        let included = asked.submit(&Call::stop_run(netuid)).await?;
        let did = "stopped the run".into();
        sent(self.json.json, Sent::new(did, netuid, &included))
    }
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let view = self.node.connect().await?.at_best().await?;
        let subnet = view.subnet(netuid).await?;
        let subnet = subnet.ok_or_else(|| no_subnet(netuid))?;
        let Some(run) = view.run(netuid).await? else {
            let ended = view.ended_run(netuid).await?;
            let ended = ended.ok_or_else(|| no_run(&subnet))?;
            return print(self.json.json, &ended, |ended| {
                describe_ended(netuid, ended)
            });
        };
        let members = view.members(netuid).await?;
        let oldest = view.round(netuid, run.oldest_round).await?;
        let shown = Shown {
            least_bond: LeastBond::of(&subnet, &members, &run, oldest.as_ref()),
            run,
        };
        print(self.json.json, &shown, |shown: &Shown| {
            let run = &shown.run;
            format!(
                "run `{}` on subnet {netuid}, started in block {}; {}\n{}{}",
                run.config.name.to_text(),
                run.started_at,
                round_in_words(run, &subnet, &members),
                describe(&run.config),
                shown.least_bond.text()
            )
        })
    }
}

/// A run that was stopped, in words.
fn describe_ended(netuid: Netuid, ended: &EndedRun) -> String {
    let round = ended
        .round
        .map_or("before its first round".into(), |round| {
            format!("in round {round}")
        });
    let last = ended.final_roots.first().map_or("none".into(), |last| {
        format!(
            "{:?}, with which round {} began",
            last.model_root, last.round
        )
    });
    format!(
        "subnet {netuid} has no run now; run `{}`, started at block {}, was stopped at block {} {round}\n  \
           last final   {last}; `cairn run export` writes it\n{}",
        ended.config.name.to_text(),
        ended.started_at,
        ended.stopped_at,
        describe(&ended.config)
    )
}

/// What steps the blocks' matrices, if AdamW does not.
fn matrices(matrices: &Matrices) -> String {
    match matrices {
        Matrices::AdamW => String::new(),
        Matrices::Muon(Muon { momentum, rms }) => {
            format!("; Muon on the blocks' matrices, momentum {momentum}, rms {rms}")
        }
    }
}

/// A run in words.
fn describe(config: &RunConfig) -> String {
    let (m, i, p) = (&config.model, &config.inner, &config.phases);
    format!(
        "  model        {} parameters: {} layers, width {}, {} heads ({} for keys), feed-forward {}, {} tokens\n  \
           initial root {:?}\n  \
           data         manifest {:?}, {} windows of {} tokens\n  \
           inner        {} steps of {} sequences, learning rate {}{}\n  \
           compression  {}\n  \
           outer        learning rate {}, rho {}; combined by {}{}\n  \
           round        {} blocks to train, {} to reveal, {} to attest; at most {} contributions{}\n  \
           checkpoints  {}\n  \
           audits       {}\n",
        thousands(Layout::of(m).parameters() as u64),
        m.layers,
        m.d_model,
        m.heads,
        m.kv_heads,
        m.ffn,
        m.vocabulary,
        config.initial_root,
        config.data.manifest_root,
        thousands(config.data.windows),
        i.sequence_length,
        i.steps,
        i.sequences,
        i.learning_rate,
        matrices(&i.matrices),
        sending(&config.compression),
        config.outer.learning_rate,
        config.outer.rho,
        config.outer.combine.in_words(),
        clip(&config.outer),
        p.train,
        p.reveal,
        p.attest,
        config.max_contributors,
        ahead(config),
        checkpoints(config.checkpoint_every),
        audits(&config.audits),
    )
}

/// To what norms are clipped, if not to the median, in words.
fn clip(outer: &OuterStep) -> String {
    match outer.clip {
        OuterStep::USUAL_CLIP => String::new(),
        clip => format!("; norms at most {clip} times the median"),
    }
}

/// Whether rounds overlap, in words.
fn ahead(config: &RunConfig) -> &'static str {
    match config.overlaps() {
        true => "; the next one is trained while one is revealed and attested",
        false => "",
    }
}

/// How often there is a checkpoint, in words.
fn checkpoints(every: u8) -> String {
    match every {
        1 => "of each round".into(),
        _ => format!("of the first round, and of each that {every} divides"),
    }
}

/// What is audited, in words.
fn audits(rules: &AuditRules) -> String {
    match rules.rate {
        0 => "none".into(),
        rate => format!(
            "{} of all contributions, each by up to {} validators; {} blocks to serve, to replay, and to reveal",
            percent(rate.into(), AuditRules::EACH.into()),
            rules.auditors,
            rules.blocks
        ) + &cards(rules),
    }
}

/// What is admitted beside a CPU's work, in words.
fn cards(rules: &AuditRules) -> String {
    match rules.admits_cards() {
        false => "; to the bit, so on a CPU alone".into(),
        true => format!(
            "; a card's work within {:.1} %, behind {} times the least bond",
            f64::from(rules.tolerance) * 100.0 / f64::from(AuditRules::EACH),
            rules.card_bond
        ),
    }
}

/// What members send, in words.
fn sending(schedule: &CompressionSchedule) -> String {
    match schedule.turns {
        turns @ 2.. => format!("all values, a member one in {turns}, in turn"),
        _ => format!(
            "{} of 4,096 values, error decay {}",
            schedule.kept_per_block,
            decay(schedule)
        ),
    }
}

/// The decay of the error feedback in words.
fn decay(schedule: &CompressionSchedule) -> String {
    let first = schedule.error_decay;
    match schedule.final_error_decay {
        Some(last) => format!("{first} in the first round, {last} in the last"),
        None => first.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use cairn_primitives::Nano;

    use super::*;
    use crate::roles::testing::{a_run, a_subnet};

    #[test]
    fn a_run_is_told_to_programs_with_the_bond_behind_it() {
        let run = a_run();
        let shown = Shown {
            least_bond: LeastBond::of(&a_subnet(), &[], &run, None),
            run: run.clone(),
        };
        let mut json = serde_json::to_value(&shown).unwrap();
        let fields = json.as_object_mut().unwrap();
        let bond = fields.remove("least_bond").unwrap();
        assert_eq!(bond["state"], "none_is_enough");
        assert_eq!(json, serde_json::to_value(&run).unwrap());
    }

    #[test]
    fn what_is_audited_is_said() {
        assert_eq!(audits(&AuditRules::default()), "none");
        let half = AuditRules {
            rate: 32_768,
            auditors: 3,
            blocks: 20,
            ..AuditRules::default()
        };
        assert!(audits(&half).starts_with("50 % of all contributions, each by up to 3"));
        assert!(audits(&half).ends_with("so on a CPU alone"));
        let usual = AuditRules {
            tolerance: AuditRules::USUAL_TOLERANCE,
            ..half
        };
        assert!(
            audits(&usual).ends_with("; a card's work within 3.1 %, behind 2 times the least bond")
        );
    }

    #[test]
    fn how_often_there_is_a_checkpoint_is_said() {
        assert_eq!(checkpoints(1), "of each round");
        assert!(checkpoints(7).ends_with("each that 7 divides"));
    }

    #[test]
    fn a_decay_that_changes_is_told_from_one_that_does_not() {
        let schedule = |last| CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block: 64,
            error_decay: Nano(500_000_000),
            final_error_decay: last,
        };
        assert_eq!(decay(&schedule(None)), "0.5");
        let changing = decay(&schedule(Some(Nano(950_000_000))));
        assert_eq!(changing, "0.5 in the first round, 0.95 in the last");
        let in_turns = CompressionSchedule {
            turns: 4,
            ..schedule(None)
        };
        let said = [schedule(None), in_turns].map(|schedule| sending(&schedule));
        assert_eq!(said[0], "64 of 4,096 values, error decay 0.5");
        assert_eq!(said[1], "all values, a member one in 4, in turn");
    }
}
