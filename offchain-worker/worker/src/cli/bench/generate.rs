//! `cairn bench generate`.

use std::{path::PathBuf, time::Instant};

use cairn_inference::{files, scores, InferenceError, Model, CPU};
use cairn_trainer::{config, initial_parameters, simd};
use clap::Args;
use serde::Serialize;

use super::args::NameArg;
use crate::{
    cli::{args::JsonArg, model::ComputingArgs, print},
    error::Failure,
    progress::progress,
    serving::Computing,
};

/// `cairn bench generate`.
#[derive(Args, Debug)]
#[command(mut_arg("config", |arg| {
    arg.help("The model, untrained: tiny, 10m, 100m, 1b, 8b or covenant-72b")
}))]
pub struct Generate {
    #[command(flatten)]
    config: NameArg,
    /// Instead: a directory with a model as `cairn run export` writes it
    #[arg(long, env = "CAIRN_MODEL_DIR", value_name = "DIR")]
    model: Option<PathBuf>,
    #[command(flatten)]
    on: ComputingArgs,
    /// Tokens of the prompt, which is read at once
    #[arg(
        long,
        env = "CAIRN_PROMPT_TOKENS",
        default_value_t = 64,
        value_name = "N"
    )]
    prompt_tokens: usize,
    /// Tokens to choose, one by one
    #[arg(
        long,
        env = "CAIRN_MAX_TOKENS",
        default_value_t = 128,
        value_name = "N"
    )]
    max_tokens: usize,
    /// Times to do it; the best counts
    #[arg(
        long,
        env = "CAIRN_REPEATS",
        default_value_t = 3,
        value_name = "NUMBER"
    )]
    repeats: usize,
    #[command(flatten)]
    json: JsonArg,
}

/// What was measured.
#[derive(Serialize)]
struct Report {
    model: String,
    /// What computes; the CPU with so many threads.
    device: String,
    threads: usize,
    simd: &'static str,
    /// Bytes of the parameters as they are kept, and of the keys and values.
    bytes: usize,
    kept_bytes: usize,
    prompt_tokens: usize,
    prompt_tokens_per_s: f64,
    max_tokens: usize,
    tokens_per_s: f64,
    /// What was chosen, the likeliest token each time.
    tokens: Vec<u32>,
}

impl Report {
    fn computing(&self) -> String {
        match self.device.as_str() {
            CPU => format!("{} threads ({})", self.threads, self.simd),
            card => card.into(),
        }
    }
}

impl Generate {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let on = self.on.chosen()?;
        let name = match &self.model {
            Some(directory) => directory.display().to_string(),
            None => self.config.name(),
        };
        let (model, report) = {
            let _told = progress("generating", 0);
            let model = self.load(&name, on)?;
            let report = self.measure(&model, name, on)?;
            (model, report)
        };
        drop(model);
        print(self.json.json, &report, |report| {
            format!(
                "{} on {}: a prompt of {} tokens at {:.0} a second, then {} tokens at {:.1} a second",
                report.model,
                report.computing(),
                report.prompt_tokens,
                report.prompt_tokens_per_s,
                report.max_tokens,
                report.tokens_per_s
            )
        })
    }

    fn load(&self, name: &str, on: Computing) -> Result<Model, Failure> {
        let (shape, parameters) = match &self.model {
            Some(directory) => files::read(directory)?,
            None => {
                let shape = config::named(name).ok_or_else(|| {
                    let known = config::NAMES.join(", ");
                    Failure::new(
                        format!("there is no model `{name}`"),
                        format!("name one of {known} with --config, or a directory with --model"),
                    )
                })?;
                let parameters = initial_parameters(&shape, 1);
                (shape, parameters)
            }
        };
        Ok(on.model(&shape, &parameters)?)
    }

    fn measure(&self, model: &Model, name: String, on: Computing) -> Result<Report, Failure> {
        let vocabulary = u64::from(model.shape().vocabulary);
        let token = |i: usize| u32::try_from((i as u64).wrapping_mul(37) % vocabulary);
        let prompt = (0..self.prompt_tokens).map(token);
        let prompt: Vec<u32> = prompt.collect::<Result<_, _>>()?;
        let mut report = Report {
            model: name,
            device: model.device(),
            threads: on.threads,
            simd: simd(),
            bytes: model.bytes(),
            kept_bytes: 0,
            prompt_tokens: self.prompt_tokens,
            prompt_tokens_per_s: 0.0,
            max_tokens: self.max_tokens,
            tokens_per_s: 0.0,
            tokens: Vec::new(),
        };
        let speed = |tokens: usize, began: Instant| tokens as f64 / began.elapsed().as_secs_f64();
        for _ in 0..self.repeats.max(1) {
            let room = self.prompt_tokens.saturating_add(self.max_tokens);
            let mut sequence = model.sequence(room)?;
            let began = Instant::now();
            model.feed(&mut sequence, &prompt)?;
            let read = speed(self.prompt_tokens, began);
            let (began, mut tokens) = (Instant::now(), Vec::new());
            for _ in 0..self.max_tokens {
                let logits = sequence.logits();
                let token = scores::largest(logits).ok_or(InferenceError::NotFinite)?;
                tokens.push(token);
                model.feed(&mut sequence, &[token])?;
            }
            report.tokens_per_s = report.tokens_per_s.max(speed(self.max_tokens, began));
            report.prompt_tokens_per_s = report.prompt_tokens_per_s.max(read);
            report.kept_bytes = sequence.bytes();
            report.tokens = tokens;
        }
        Ok(report)
    }
}
