//! `cairn run generate`.

use std::time::Instant;

use cairn_inference::{Finish, Generation, Order, Sampling, Step};
use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        args::JsonArg,
        model::{ComputingArgs, ModelArgs},
    },
    error::Failure,
    output,
    printable::printable_lines,
    serving::{Loaded, Origin, Stops, TextStream},
};

/// `cairn run generate`.
#[derive(Args, Debug)]
pub struct Generate {
    /// The text to go on from; an empty one begins a new document
    #[arg(long, env = "CAIRN_PROMPT", value_name = "TEXT")]
    prompt: String,
    /// Tokens to add at most
    #[arg(
        long,
        env = "CAIRN_MAX_TOKENS",
        default_value_t = 100,
        value_name = "N"
    )]
    max_tokens: usize,
    /// How far chance may go: 0 always takes the likeliest token, 1 draws them as the model has them
    #[arg(
        long,
        env = "CAIRN_TEMPERATURE",
        default_value_t = 0.8,
        value_name = "T"
    )]
    temperature: f64,
    /// Draw from so many of the likeliest tokens only; 0: from all
    #[arg(long, env = "CAIRN_TOP_K", default_value_t = 0, value_name = "N")]
    top_k: usize,
    /// Draw from the fewest likeliest tokens that have this probability together
    #[arg(long, env = "CAIRN_TOP_P", default_value_t = 1.0, value_name = "P")]
    top_p: f64,
    /// The same seed makes the same text again [default: one that is drawn, and told]
    #[arg(long, env = "CAIRN_TEXT_SEED", value_name = "N")]
    seed: Option<u64>,
    /// End before this text; given again: before any of them
    #[arg(long, env = "CAIRN_STOP", value_name = "TEXT")]
    stop: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    on: ComputingArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// What was made.
#[derive(Serialize)]
struct Generated {
    #[serde(flatten)]
    origin: Origin,
    prompt: String,
    prompt_tokens: usize,
    text: String,
    tokens: Vec<u32>,
    /// `stop`: the model or a stop text ended it; `length`: there is no more room.
    finish: &'static str,
    seed: u64,
    tokens_per_s: f64,
}

impl Generate {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let seed = match self.seed {
            Some(seed) => seed,
            None => {
                let mut seed = [0u8; 4];
                getrandom::fill(&mut seed)
                    .map_err(|error| Failure::new(error, "name a seed with --seed"))?;
                // Short enough to be typed.
                u32::from_le_bytes(seed).into()
            }
        };
        // What is wrong with it is said before a model is loaded.
        self.sampling(seed).check()?;
        let loaded = self.model.load(self.on.chosen()?).await?;
        if !self.json.json {
            output::say(&format!("cairn: {}", loaded.origin));
        }
        let done = tokio::task::spawn_blocking(move || self.generate(&loaded, seed));
        done.await?
    }

    fn sampling(&self, seed: u64) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            seed,
        }
    }

    fn generate(&self, loaded: &Loaded, seed: u64) -> Result<(), Failure> {
        let tokenizer = &loaded.tokenizer;
        let prompt = match self.prompt.is_empty() {
            true => vec![tokenizer.end()],
            false => tokenizer.encode(&[&self.prompt], 0)?.concat(),
        };
        let prompt_tokens = prompt.len();
        let order = Order {
            prompt,
            most: self.max_tokens,
            sampling: self.sampling(seed),
            end: Some(tokenizer.end()),
            scores: None,
            score_prompt: false,
        };
        let mut told = Told {
            json: self.json.json,
            text: String::new(),
            read: true,
        };
        told.show(&self.prompt)?;
        told.text.clear();
        let began = Instant::now();
        let (tokens, finish) = self.steps(loaded, order, &mut told)?;
        let seconds = began.elapsed().as_secs_f64();
        let generated = Generated {
            origin: loaded.origin.clone(),
            prompt: self.prompt.clone(),
            prompt_tokens,
            text: told.text,
            tokens_per_s: tokens.len() as f64 / seconds.max(1e-9),
            tokens,
            finish,
            seed,
        };
        if self.json.json {
            return output::show_json(&generated);
        }
        output::show_raw("\n")?;
        output::say(&format!(
            "cairn: {} tokens after {}, {:.0} a second; --seed {} makes the same again",
            generated.tokens.len(),
            generated.prompt_tokens,
            generated.tokens_per_s,
            generated.seed
        ));
        Ok(())
    }

    /// Goes on to the end, and gives the tokens that were chosen and why it ended.
    fn steps(
        &self,
        loaded: &Loaded,
        order: Order,
        told: &mut Told,
    ) -> Result<(Vec<u32>, &'static str), Failure> {
        let mut generation = Generation::new(&loaded.model, order)?;
        let mut stream = TextStream::new(&loaded.tokenizer);
        let (mut stops, mut tokens) = (Stops::new(&self.stop), Vec::new());
        loop {
            match generation.step(&loaded.model)? {
                Step::Read(_) => {}
                Step::Chose(chosen) => {
                    tokens.push(chosen.token);
                    told.show(&stops.push(&stream.push(chosen.token)?))?;
                    if stops.found() || !told.read {
                        return Ok((tokens, "stop"));
                    }
                }
                Step::Done(finish) => {
                    told.show(&stops.push(&stream.end()?))?;
                    told.show(&stops.end())?;
                    let finish = match finish {
                        Finish::End => "stop",
                        Finish::Length => "length",
                    };
                    return Ok((tokens, finish));
                }
            }
        }
    }
}

/// Text as it is shown.
struct Told {
    json: bool,
    text: String,
    /// Whether anybody still reads.
    read: bool,
}

impl Told {
    fn show(&mut self, piece: &str) -> Result<(), Failure> {
        self.text.push_str(piece);
        if !self.json && !piece.is_empty() {
            self.read = output::show_while_read(&printable_lines(piece))?;
        }
        Ok(())
    }
}
