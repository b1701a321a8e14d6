//! What is asked of `/v1/completions`, as OpenAI's interface has it.

use cairn_inference::{InferenceError, Order, Sampling};
use serde_json::{Map, Value};

use super::Loaded;
use crate::error::Failure;

/// Prompts in a request.
pub const MOST_PROMPTS: usize = 128;
/// Likeliest tokens that are told at each place.
pub const MOST_LOGPROBS: usize = 20;
/// Log-probabilities that are told in one answer: each takes some tens of bytes.
const MOST_SCORES: usize = 1 << 20;
/// Texts that end a completion, and bytes of each.
const MOST_STOPS: usize = 16;
const MOST_STOP_BYTES: usize = 256;
/// Tokens that are chosen if nothing is said.
const MAX_TOKENS: usize = 16;

/// A request that cannot be understood, or asks for what there is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, and what to do.
    pub message: String,
    /// The field that it is about.
    pub field: Option<&'static str>,
}

impl Refusal {
    fn of(field: &'static str, message: impl Into<String>) -> Refusal {
        let (message, field) = (message.into(), Some(field));
        Refusal { message, field }
    }
}

/// A request.
#[derive(Debug)]
pub struct Completion {
    /// One for each prompt.
    pub orders: Vec<Order>,
    /// The prompt comes before what is added to it.
    pub echo: bool,
    /// Texts that end a completion.
    pub stops: Vec<String>,
    /// Tokens are sent as they come.
    pub stream: bool,
    /// The last piece of a stream says how many tokens there were.
    pub usage: bool,
}

/// Fields that would change the answer in a way that is not there, with the values that change nothing.
const WITHOUT_EFFECT: [(&str, &[f64]); 4] = [
    ("n", &[1.0]),
    ("best_of", &[1.0]),
    ("presence_penalty", &[0.0]),
    ("frequency_penalty", &[0.0]),
];

impl Completion {
    /// Reads a request's body for a model; `seed` is taken where none is given.
    ///
    /// # Errors
    /// [`Refusal`] names the field.
    pub fn read(body: &[u8], loaded: &Loaded, seed: u64) -> Result<Completion, Refusal> {
        let body: Value = serde_json::from_slice(body).map_err(|error| Refusal {
            message: format!("the body is no JSON: {error}"),
            field: None,
        })?;
        let Value::Object(fields) = body else {
            let message = "the body is no JSON object".into();
            return Err(Refusal {
                message,
                field: None,
            });
        };
        let fields = Fields(fields);
        fields.check(loaded)?;
        let stream = fields.flag("stream")?;
        let echo = fields.flag("echo")?;
        let scores = fields.count("logprobs", MOST_LOGPROBS)?;
        let sampling = fields.sampling(seed)?;
        let most = fields.count("max_tokens", usize::MAX)?;
        let most = most.unwrap_or(MAX_TOKENS);
        let prompts = fields.prompts(loaded)?;
        check_scores(&prompts, most, scores, loaded)?;
        let orders = prompts.into_iter().map(|prompt| Order {
            prompt,
            most,
            sampling,
            end: Some(loaded.tokenizer.end()),
            scores,
            score_prompt: echo,
        });
        Ok(Completion {
            orders: orders.collect(),
            echo,
            stops: fields.stops()?,
            stream,
            usage: stream && fields.wants_usage(),
        })
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    /// A field that is there and not null.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn flag(&self, name: &'static str) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Refusal::of(name, format!("{name} must be true or false"))),
        }
    }

    fn count(&self, name: &'static str, most: usize) -> Result<Option<usize>, Refusal> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        let limit = match most {
            usize::MAX => String::new(),
            most => format!(" of at most {most}"),
        };
        match count.filter(|count| *count <= most) {
            Some(count) => Ok(Some(count)),
            None => {
                let message = format!("{name} must be a whole number{limit}");
                Err(Refusal::of(name, message))
            }
        }
    }

    fn real(&self, name: &'static str, default: f64) -> Result<f64, Refusal> {
        match self.get(name).map(Value::as_f64) {
            None => Ok(default),
            Some(Some(number)) => Ok(number),
            Some(None) => Err(Refusal::of(name, format!("{name} must be a number"))),
        }
    }

    /// Whether it asks for nothing that there is not.
    fn check(&self, loaded: &Loaded) -> Result<(), Refusal> {
        let own = loaded.origin.name();
        if let Some(model) = self
            .get("model")
            .filter(|model| model.as_str() != Some(own))
        {
            let message = format!("there is no model {model} here; the only one is `{own}`");
            return Err(Refusal::of("model", message));
        }
        for (name, neutral) in WITHOUT_EFFECT {
            let value = self.get(name).map(Value::as_f64);
            if value.is_some_and(|value| value.is_none_or(|value| !neutral.contains(&value))) {
                return Err(Refusal::of(name, format!("{name} cannot be set here")));
            }
        }
        let is_empty = |value: &Value| match value {
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        for name in ["suffix", "logit_bias"] {
            if self.get(name).is_some_and(|value| !is_empty(value)) {
                return Err(Refusal::of(name, format!("{name} cannot be set here")));
            }
        }
        Ok(())
    }

    fn sampling(&self, seed: u64) -> Result<Sampling, Refusal> {
        let given = match self.get("seed") {
            None => seed,
            // Negative ones are as good as others.
            Some(value) => value
                .as_u64()
                .or(value.as_i64().map(i64::cast_unsigned))
                .ok_or(Refusal::of("seed", "seed must be a whole number"))?,
        };
        let sampling = Sampling {
            temperature: self.real("temperature", 1.0)?,
            top_k: self.count("top_k", usize::MAX)?.unwrap_or(0),
            top_p: self.real("top_p", 1.0)?,
            seed: given,
        };
        match sampling.check() {
            Ok(()) => Ok(sampling),
            Err(InferenceError::Sampling {
                setting: "top_p", ..
            }) => Err(Refusal::of("top_p", "top_p must be above 0 and at most 1")),
            Err(error) => Err(Refusal::of("temperature", error.to_string())),
        }
    }

    /// A text, several, or the tokens of one or several.
    fn prompts(&self, loaded: &Loaded) -> Result<Vec<Vec<u32>>, Refusal> {
        let wrong = || {
            let message = "prompt must be a text, tokens, or a list of either";
            Refusal::of("prompt", message)
        };
        let list = match self.get("prompt").ok_or_else(wrong)? {
            Value::Array(list) if list.iter().all(Value::is_number) => {
                vec![tokens(list, loaded)?]
            }
            Value::Array(list) if list.len() > MOST_PROMPTS => {
                let message = format!("there are more than {MOST_PROMPTS} prompts; send fewer");
                return Err(Refusal::of("prompt", message));
            }
            Value::Array(list) => {
                let one = |prompt: &Value| match prompt {
                    Value::String(text) => encode(text, loaded),
                    Value::Array(list) => tokens(list, loaded),
                    _ => Err(wrong()),
                };
                list.iter().map(one).collect::<Result<_, _>>()?
            }
            Value::String(text) => vec![encode(text, loaded)?],
            _ => return Err(wrong()),
        };
        Ok(list)
    }

    fn stops(&self) -> Result<Vec<String>, Refusal> {
        let wrong = || {
            let message = format!(
                "stop must be a text or a list of at most {MOST_STOPS}, each of at most {MOST_STOP_BYTES} bytes"
            );
            Refusal::of("stop", message)
        };
        let stops = match self.get("stop") {
            None => Vec::new(),
            Some(Value::String(stop)) => vec![stop.clone()],
            Some(Value::Array(list)) => {
                let one = |stop: &Value| stop.as_str().map(String::from).ok_or_else(wrong);
                list.iter()
                    .take(MOST_STOPS + 1)
                    .map(one)
                    .collect::<Result<_, _>>()?
            }
            Some(_) => return Err(wrong()),
        };
        let long = stops.iter().any(|stop| stop.len() > MOST_STOP_BYTES);
        match long || stops.len() > MOST_STOPS {
            true => Err(wrong()),
            false => Ok(stops),
        }
    }

    fn wants_usage(&self) -> bool {
        let options = self.get("stream_options");
        let wanted = options.and_then(|options| options.get("include_usage"));
        wanted.and_then(Value::as_bool) == Some(true)
    }
}

/// Whether an answer would not tell too much.
fn check_scores(
    prompts: &[Vec<u32>],
    most: usize,
    scores: Option<usize>,
    loaded: &Loaded,
) -> Result<(), Refusal> {
    let Some(each) = scores else {
        return Ok(());
    };
    let context = loaded.model.shape().context as usize;
    let places = prompts.iter().map(|prompt| {
        let most = most.min(context.saturating_sub(prompt.len()).saturating_add(1));
        prompt.len().saturating_add(most)
    });
    let told = places.sum::<usize>().saturating_mul(each.saturating_add(1));
    match told > MOST_SCORES {
        false => Ok(()),
        true => {
            let message = format!(
                "these would be {told} log-probabilities, {MOST_SCORES} are told at most; send fewer prompts"
            );
            Err(Refusal::of("logprobs", message))
        }
    }
}

/// Tokens as numbers: those of the model, and not more than it can read.
fn tokens(list: &[Value], loaded: &Loaded) -> Result<Vec<u32>, Refusal> {
    let shape = loaded.model.shape();
    let token = |value: &Value| {
        let token = value.as_u64().and_then(|token| u32::try_from(token).ok());
        token
            .filter(|token| *token < shape.vocabulary)
            .ok_or_else(|| {
                let message = format!(
                    "{value} is no token; they are 0 to {}",
                    shape.vocabulary - 1
                );
                Refusal::of("prompt", message)
            })
    };
    fits(list.len(), loaded)?;
    list.iter().map(token).collect()
}

/// The tokens of a text. Of an empty one, the token that ends a document, after which another begins.
fn encode(text: &str, loaded: &Loaded) -> Result<Vec<u32>, Refusal> {
    if text.is_empty() {
        return Ok(vec![loaded.tokenizer.end()]);
    }
    let encoded = loaded.tokenizer.encode(&[text], 0);
    let encoded =
        encoded.map_err(|error| Refusal::of("prompt", Failure::from(error).to_string()))?;
    let tokens = encoded.concat();
    fits(tokens.len(), loaded)?;
    Ok(tokens)
}

fn fits(tokens: usize, loaded: &Loaded) -> Result<(), Refusal> {
    let context = loaded.model.shape().context;
    if tokens == 0 {
        return Err(Refusal::of("prompt", "a prompt has no tokens; give one"));
    }
    match tokens > context as usize {
        false => Ok(()),
        true => {
            let message =
                format!("the prompt has {tokens} tokens, the model reads {context}; shorten it");
            Err(Refusal::of("prompt", message))
        }
    }
}
