//! `cairn bench`.

mod alone;
mod args;
mod audit;
mod codec;
mod generate;
mod memory;
mod network;
mod score;

use cairn_primitives::ModelShape;
use cairn_trainer::{
    bench::{Measured, Plan},
    config::{self, Needs},
    engine::{Device, Engine},
    Settings,
};
use clap::{builder::BoolishValueParser, Args, Subcommand};
use serde::Serialize;

use self::args::NameArg;
use super::{
    args::{JsonArg, ThreadsArg},
    print,
};
use crate::{amount::thousands, error::Failure, progress::progress, table::table};

/// `cairn bench …`.
#[derive(Subcommand, Debug)]
pub enum Bench {
    /// Time training steps of a named model on this machine
    #[command(
        after_help = "Examples:\n  cairn bench train --config 10m --threads 2\n  cairn bench train --config 1b --seq 2048 --batch 8 --device cuda:0\n  cairn bench train --config 100m --seq 512 --batch 4 --recompute --json\n  cairn bench train --config covenant-72b --seq 2048 --batch 1 --dry-run"
    )]
    Train(Train),
    /// Time compressing a pseudo-gradient, and decoding and applying contributions
    #[command(
        after_help = "Examples:\n  cairn bench codec\n  cairn bench codec --rows 8192 --cols 28672 --contributions 20 --threads 2 --json"
    )]
    Codec(codec::Codec),
    /// Time scoring contributions as a validator does: of rounds that are played on the text that is built in
    #[command(
        after_help = "Examples:\n  cairn bench score\n  cairn bench score --rounds 8 --threads 2 --json\n  cairn bench score --config 10m --device cuda:0\n  cairn bench score --config 100m --contributions 2 --steps 2 --sequences 4"
    )]
    Score(score::Score),
    /// Measure the memory of a miner and of a validator, phase by phase
    #[command(
        after_help = "Examples:\n  cairn bench memory --config tiny\n  cairn bench memory --config 100m --json"
    )]
    Memory(memory::Memory),
    /// Measure how far a GPU's steps lie from a CPU's, as an audit does
    #[command(
        after_help = "Examples:\n  cairn bench audit --device cuda:0\n  cairn bench audit --run run.toml --device cuda:0\n  cairn bench audit --config 10m --steps 1,2,5,10 --after 0,40 --json"
    )]
    Audit(audit::Audit),
    /// Time reading a prompt and choosing tokens
    #[command(
        after_help = "Examples:\n  cairn bench generate --config 100m --threads 2\n  cairn bench generate --config 1b --device cuda:0\n  cairn bench generate --model model --prompt-tokens 32 --max-tokens 64 --json"
    )]
    Generate(generate::Generate),
}

impl Bench {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Bench::Train(train) => train.run().await,
            Bench::Codec(codec) => codec.run(),
            Bench::Score(score) => score.run(),
            Bench::Memory(memory) => memory.run(),
            Bench::Audit(audit) => audit.run(),
            Bench::Generate(generate) => generate.run(),
        }
    }
}

/// `cairn bench train`.
#[derive(Args, Debug)]
#[command(mut_arg("config", |arg| {
    arg.help("The model: tiny, 10m, 100m, 1b, 8b or covenant-72b (a settings file is named before the verb: cairn --config FILE bench train)")
}))]
pub struct Train {
    #[command(flatten)]
    config: NameArg,
    /// Tokens in a sequence
    #[arg(long, env = "CAIRN_SEQ", default_value_t = 512, value_name = "TOKENS")]
    seq: usize,
    /// Sequences in a step
    #[arg(
        long,
        env = "CAIRN_BATCH",
        default_value_t = 4,
        value_name = "SEQUENCES"
    )]
    batch: usize,
    /// Device that computes: cpu, cuda:N, or the first GPU if there is one (auto)
    #[arg(long, env = "CAIRN_DEVICE", default_value_t = Device::Cpu, value_name = "DEVICE")]
    device: Device,
    #[command(flatten)]
    threads: ThreadsArg,
    /// Timed steps; the median is reported
    #[arg(long, env = "CAIRN_STEPS", default_value_t = 5, value_name = "NUMBER")]
    steps: usize,
    /// Keep only the layers' inputs and recompute the rest in the backward pass
    #[arg(long, env = "CAIRN_RECOMPUTE", value_parser = BoolishValueParser::new())]
    recompute: bool,
    /// Sequences computed at a time; their gradients are added up [default: the whole step]
    #[arg(long, env = "CAIRN_AT_ONCE", value_name = "SEQUENCES")]
    at_once: Option<usize>,
    /// Only print what a step needs; allocate nothing
    #[arg(long, env = "CAIRN_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Report {
    config: String,
    sequence_length: usize,
    sequences: usize,
    device: String,
    threads: usize,
    simd: &'static str,
    recompute: bool,
    needs: Needs,
    #[serde(flatten)]
    measured: Option<Measured>,
}

impl Train {
    /// The model's name and shape.
    fn model(&self) -> Result<(String, ModelShape), Failure> {
        let name = self.config.name();
        match config::named(&name) {
            Some(shape) => Ok((name, shape)),
            None => Err(Failure::new(
                format!("there is no model `{name}`"),
                format!(
                    "--config takes one of {} here; a settings file is named before the verb: cairn --config FILE bench train",
                    config::NAMES.join(", ")
                ),
            )),
        }
    }

    async fn run(self) -> Result<(), Failure> {
        let (name, shape) = self.model()?;
        let threads = self.threads.count();
        let plan = Plan {
            shape: shape.clone(),
            length: self.seq,
            windows: self.batch,
            device: self.device,
            threads,
            steps: self.steps,
            settings: Settings {
                recompute: self.recompute,
                windows_at_once: self.at_once,
            },
        };
        let at_once = self.at_once.unwrap_or(self.batch).min(self.batch);
        let measured = match self.dry_run {
            true => None,
            false => {
                let doing = format!("training {name} for {} steps", self.steps);
                let _told = progress(doing, 0);
                Some(tokio::task::spawn_blocking(move || plan.measure()).await??)
            }
        };
        let report = Report {
            config: name,
            sequence_length: self.seq,
            sequences: self.batch,
            device: self.device.to_string(),
            threads,
            simd: cairn_trainer::simd(),
            recompute: self.recompute,
            needs: Needs::of(&shape, at_once, self.seq),
            measured,
        };
        print(self.json.json, &report, Report::people)
    }
}

impl Report {
    fn people(&self) -> String {
        let needs = &self.needs;
        let activations = match self.recompute {
            true => needs.activations_recomputed,
            false => needs.activations,
        };
        let mut rows = vec![
            ("parameters", thousands(needs.parameters)),
            (
                "operations per token",
                giga(needs.flops_per_token as f64, "FLOP"),
            ),
            ("parameters in memory", bytes(needs.parameter_bytes)),
            ("gradient", bytes(needs.gradient)),
            ("moments", bytes(needs.moments)),
            ("activations", bytes(activations)),
            ("logits", bytes(needs.logits)),
        ];
        if let Some(m) = &self.measured {
            rows.extend([
                ("a step", format!("{:.3} s", m.seconds_per_step)),
                ("tokens per second", format!("{:.0}", m.tokens_per_s)),
                ("achieved", giga(m.flops_per_s, "FLOP/s")),
                ("peak of this device", giga(m.peak_flops_per_s, "FLOP/s")),
                (
                    "share of the peak",
                    format!("{:.0} %", 100.0 * m.share_of_peak),
                ),
                ("all buffers", bytes(m.buffer_bytes)),
                (
                    "peak memory of the host",
                    m.peak_memory.map_or("unknown".into(), bytes),
                ),
            ]);
        }
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(name, value)| vec![name.into(), value])
            .collect();
        let measured_on = self.measured.as_ref().map(|m| m.computed_on.as_str());
        let on = match measured_on.unwrap_or(&self.device) {
            on @ (Engine::CPU | "cpu") => {
                format!("{on} ({} threads, {})", self.threads, self.simd)
            }
            on => on.into(),
        };
        format!(
            "{}: {} sequences of {} tokens on {on}\n{}",
            self.config,
            self.sequences,
            self.sequence_length,
            table(&["", ""], &rows).trim_start()
        )
    }
}

/// Billions.
fn giga(number: f64, unit: &str) -> String {
    format!("{:.3} G{unit}", number / 1e9)
}

/// MiB, or GiB from ten of them on.
fn bytes(number: u64) -> String {
    let mib = number as f64 / f64::from(1 << 20);
    if mib < 10_240.0 {
        format!("{mib:.1} MiB")
    } else {
        format!("{:.1} GiB", mib / 1024.0)
    }
}
