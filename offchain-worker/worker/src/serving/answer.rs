//! What is answered to a request for completions, as OpenAI's interface has it.

use cairn_data::TextTokenizer;
use cairn_inference::{Finish, Scored, Step};
use serde_json::{json, Map, Value};

use super::{Loaded, Stops, TextStream};
use crate::error::Failure;

/// The answer to one prompt as it comes.
pub struct Choice<'a> {
    loaded: &'a Loaded,
    index: usize,
    echo: bool,
    scored: bool,
    stream: TextStream<'a>,
    stops: Stops,
    /// Letters of the text so far, those that are held back included.
    letters: usize,
    /// Tokens that were chosen.
    pub chosen: usize,
    finish: Option<&'static str>,
}

/// A piece of an answer.
#[derive(Debug, Default)]
pub struct Piece {
    /// More text.
    pub text: String,
    tokens: Vec<String>,
    offsets: Vec<usize>,
    scored: Vec<Scored>,
}

impl<'a> Choice<'a> {
    /// The answer to prompt number `index`, which is `echo`ed or not; `scored` if log-probabilities are told.
    pub fn new(
        loaded: &'a Loaded,
        index: usize,
        (echo, scored): (bool, bool),
        stops: &[String],
    ) -> Choice<'a> {
        Choice {
            loaded,
            index,
            echo,
            scored,
            stream: TextStream::new(&loaded.tokenizer),
            stops: Stops::new(stops),
            letters: 0,
            chosen: 0,
            finish: None,
        }
    }

    /// The prompt, where it is echoed without scores.
    pub fn begin(&mut self, prompt: &[u32]) -> Result<Piece, Failure> {
        let mut piece = Piece::default();
        if self.echo && !self.scored {
            for token in prompt {
                piece.text.push_str(&self.stream.push(*token)?);
            }
            self.letters = piece.text.chars().count();
        }
        Ok(piece)
    }

    /// What a step adds.
    pub fn take(&mut self, step: Step) -> Result<Piece, Failure> {
        let mut piece = Piece::default();
        match step {
            Step::Read(tokens) if self.echo => {
                for scored in tokens {
                    let text = self.add(&mut piece, scored)?;
                    piece.text.push_str(&text);
                }
            }
            Step::Read(_) => {}
            Step::Chose(scored) => {
                self.chosen = self.chosen.saturating_add(1);
                let text = self.add(&mut piece, scored)?;
                piece.text.push_str(&self.stops.push(&text));
            }
            Step::Done(finish) => {
                let left = self.stream.end()?;
                piece.text.push_str(&self.stops.push(&left));
                if !self.stops.found() {
                    piece.text.push_str(&self.stops.end());
                }
                self.finish = Some(match finish {
                    Finish::End => "stop",
                    Finish::Length => "length",
                });
            }
        }
        if self.stops.found() {
            self.finish = Some("stop");
        }
        Ok(piece)
    }

    /// Whether nothing more comes.
    pub fn is_done(&self) -> bool {
        self.finish.is_some()
    }

    /// Adds a token to a piece, and gives the text that is complete with it.
    fn add(&mut self, piece: &mut Piece, scored: Scored) -> Result<String, Failure> {
        let text = self.stream.push(scored.token)?;
        if self.scored {
            piece
                .tokens
                .push(name(&self.loaded.tokenizer, scored.token));
            piece.offsets.push(self.letters);
            piece.scored.push(scored);
        }
        self.letters = self.letters.saturating_add(text.chars().count());
        Ok(text)
    }

    /// A piece, or all pieces joined, as it is sent.
    pub fn to_json(&self, piece: Piece) -> Value {
        let logprobs = match self.scored {
            false => Value::Null,
            true => self.logprobs(&piece),
        };
        json!({
            "index": self.index,
            "text": piece.text,
            "logprobs": logprobs,
            "finish_reason": self.finish,
        })
    }

    fn logprobs(&self, piece: &Piece) -> Value {
        let likeliest = piece.scored.iter().map(|scored| {
            let logprob = scored.logprob?;
            let named = scored.likeliest.iter();
            let named = named.map(|(token, logprob)| (*token, *logprob));
            // Its own is always told.
            let all = named.chain([(scored.token, logprob)]);
            let all = all.map(|(token, x)| (name(&self.loaded.tokenizer, token), Value::from(x)));
            Some(all.collect::<Map<String, Value>>())
        });
        json!({
            "tokens": piece.tokens,
            "token_logprobs": piece.scored.iter().map(|one| one.logprob).collect::<Vec<_>>(),
            "top_logprobs": likeliest.collect::<Vec<_>>(),
            "text_offset": piece.offsets,
        })
    }
}

impl Piece {
    /// Joins another to this.
    pub fn join(&mut self, other: Piece) {
        self.text.push_str(&other.text);
        self.tokens.extend(other.tokens);
        self.offsets.extend(other.offsets);
        self.scored.extend(other.scored);
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.tokens.is_empty()
    }
}

/// A token in an answer: its text, or its bytes where they are none by themselves, so that no two are called alike.
fn name(tokenizer: &TextTokenizer, token: u32) -> String {
    let text = tokenizer.text_of(token);
    match text {
        Some(text) if !text.contains('\u{fffd}') => text,
        _ => match tokenizer.bytes_of(token) {
            Some(bytes) => {
                let bytes = bytes.iter().map(|byte| format!("\\x{byte:02x}"));
                format!("bytes:{}", bytes.collect::<String>())
            }
            None => format!("token:{token}"),
        },
    }
}
