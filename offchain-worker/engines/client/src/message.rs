//! What is said over the border: `docs/engine-protocol.md`, version 1.

use cairn_primitives::ModelShape;
use serde::{Deserialize, Serialize};

use crate::FaultKind;

/// The version that this speaks.
pub const PROTOCOL: u32 = 1;
/// The most bytes of a message, either way.
pub const LONGEST: usize = 1 << 18;
/// The most ranks that a program may have.
const MOST_RANKS: usize = 512;
/// The most characters of a text that are shown to people.
const LONGEST_TEXT: usize = 400;

/// A request.
#[derive(Debug, Serialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Request<'a> {
    /// Which model, and which protocol.
    Hello {
        protocol: u32,
        model: &'a ModelShape,
        layout: &'a str,
    },
    /// Takes parameters from a file.
    Load { parameters: &'a str },
    /// Begins steps from what is loaded.
    Begin {
        optimizer: Optimizer,
        moments: Moments<'a>,
        done: u64,
    },
    /// Makes a step on the sequences of a file.
    Step {
        number: u32,
        tokens: &'a str,
        sequences: usize,
        length: usize,
        learning_rate: f64,
    },
    /// Fills files with what it has.
    Save {
        parameters: Option<&'a str>,
        first: Option<&'a str>,
        second: Option<&'a str>,
    },
    /// Ends the steps.
    Finish { parameters: Option<&'a str> },
    /// Forgets what is loaded.
    Abort {},
    /// Is there.
    Ping {},
}

impl Request<'_> {
    /// The verb, for people.
    pub fn verb(&self) -> &'static str {
        match self {
            Request::Hello { .. } => "say hello",
            Request::Load { .. } => "load parameters",
            Request::Begin { .. } => "begin steps",
            Request::Step { .. } => "make a step",
            Request::Save { .. } => "save its state",
            Request::Finish { .. } => "finish its steps",
            Request::Abort {} => "abort its steps",
            Request::Ping {} => "answer",
        }
    }
}

/// A request with its number, which the answer repeats.
#[derive(Debug, Serialize)]
pub struct Numbered<'a> {
    pub id: u64,
    #[serde(flatten)]
    pub request: &'a Request<'a>,
}

/// AdamW's numbers, apart from the learning rate.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Optimizer {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    pub clip_norm: f64,
}

/// Where the moments come from.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Moments<'a> {
    /// They are zero.
    Zero,
    /// They are those that the program has.
    Keep,
    /// Two files.
    #[serde(untagged)]
    Files([&'a str; 2]),
}

/// An answer. It has one of the two.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub id: u64,
    pub ok: Option<serde_json::Value>,
    pub error: Option<Fault>,
}

/// What a program says went wrong. Its texts are cut, and have no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which kind.
    pub kind: FaultKind,
    /// For people.
    pub said: String,
    /// On which rank, if it is known.
    #[serde(default)]
    pub rank: Option<u32>,
    /// The step's loss, if the fault is about that: as text, since JSON has no infinity.
    #[serde(default)]
    pub loss: Option<String>,
    /// The gradient's norm, likewise.
    #[serde(default)]
    pub norm: Option<String>,
}

impl Fault {
    /// The same with texts that can be shown.
    pub fn shown(mut self) -> Fault {
        self.said = shown(&self.said);
        if let Some(rank) = self.rank {
            self.said = format!("rank {rank}: {}", self.said);
        }
        self
    }

    /// A number that was sent as text; not a number if it is none.
    pub fn number(&self, text: Option<&str>) -> f64 {
        text.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
    }
}

/// What a program says of itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    pub protocol: u32,
    pub engine: String,
    pub layout: String,
    pub parameters: u64,
    pub dtype: String,
    pub ranks: Vec<Rank>,
}

/// A rank of a program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rank {
    /// Its process on its host.
    pub pid: u32,
    /// Its host.
    pub host: String,
    /// What it computes on.
    pub device: String,
}

impl Hello {
    /// What is wrong with it, for a model of so many parameters with this layout.
    pub fn fault(&self, layout: &str, parameters: u64) -> Option<String> {
        let Hello {
            protocol,
            layout: theirs,
            parameters: found,
            ranks,
            ..
        } = self;
        if *protocol != PROTOCOL {
            return Some(format!(
                "it speaks protocol {protocol}, this speaks {PROTOCOL}"
            ));
        }
        if theirs != layout || *found != parameters {
            return Some(format!(
                "it has a model of {found} parameters where the run's has {parameters}"
            ));
        }
        (ranks.is_empty() || ranks.len() > MOST_RANKS).then(|| format!("{} ranks", ranks.len()))
    }

    /// What it is, for people and for a contribution's header.
    pub fn description(&self) -> String {
        let device = self.ranks.first().map_or("?", |rank| rank.device.as_str());
        shown(&format!("{} {}x {device}", self.engine, self.ranks.len()))
    }
}

/// What a step came to.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stepped {
    pub loss: f64,
    pub norm: f64,
    pub tokens: u64,
    pub seconds: f64,
}

/// What loading took.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loaded {
    pub seconds: f64,
}

/// What steps took.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    pub peak_bytes: Vec<u64>,
}

/// Nothing more than that it was done.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {}

/// A text from outside as it may be shown: one line, without control characters, not long.
pub fn shown(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(LONGEST_TEXT).collect()
}
