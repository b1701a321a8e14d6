//! From tokens to text as they come.

use cairn_data::TextTokenizer;

use crate::error::Failure;

/// What a decoder shows for bytes that are no letter yet.
const INCOMPLETE: char = '\u{fffd}';
/// Tokens that are held back at most, waiting for the rest of a letter, which has four bytes at most.
const MOST_HELD: usize = 8;

/// Makes text of tokens that come one by one. A letter comes when all of its bytes are there.
pub struct TextStream<'a> {
    tokenizer: &'a TextTokenizer,
    /// The tokens whose text came last, which what follows may depend on, and those that are held back.
    tokens: Vec<u32>,
    /// How many of them have come.
    come: usize,
}

impl<'a> TextStream<'a> {
    /// One at the beginning of a text.
    pub fn new(tokenizer: &'a TextTokenizer) -> TextStream<'a> {
        TextStream {
            tokenizer,
            tokens: Vec::new(),
            come: 0,
        }
    }

    /// The text that is complete with this token.
    pub fn push(&mut self, token: u32) -> Result<String, Failure> {
        self.tokens.push(token);
        self.take(false)
    }

    /// What is left, complete or not.
    pub fn end(&mut self) -> Result<String, Failure> {
        self.take(true)
    }

    fn take(&mut self, all: bool) -> Result<String, Failure> {
        let come = self.tokens.get(..self.come).unwrap_or_default();
        let held = self.tokens.len().saturating_sub(self.come);
        let before = self.tokenizer.decode(come)?;
        let whole = self.tokenizer.decode(&self.tokens)?;
        if whole.ends_with(INCOMPLETE) && !all && held < MOST_HELD {
            return Ok(String::new());
        }
        let text = whole.strip_prefix(&before).unwrap_or(&whole).to_string();
        self.tokens.drain(..self.come);
        self.come = self.tokens.len();
        Ok(text)
    }
}

/// Looks for texts that end a completion.
pub struct Stops {
    stops: Vec<String>,
    /// What may be the beginning of one.
    held: String,
    found: bool,
}

impl Stops {
    /// Looks for these; empty ones are passed over.
    pub fn new(stops: &[String]) -> Stops {
        let stops = stops.iter().filter(|stop| !stop.is_empty());
        Stops {
            stops: stops.cloned().collect(),
            held: String::new(),
            found: false,
        }
    }

    /// Whether one was found.
    pub fn found(&self) -> bool {
        self.found
    }

    /// The text that is certainly before any of them.
    pub fn push(&mut self, text: &str) -> String {
        if self.found {
            return String::new();
        }
        self.held.push_str(text);
        let at = self.stops.iter().filter_map(|stop| self.held.find(stop));
        if let Some(at) = at.min() {
            self.found = true;
            let before = self.held.get(..at).unwrap_or_default().to_string();
            self.held.clear();
            return before;
        }
        let kept = self.stops.iter().map(|stop| common(&self.held, stop)).max();
        let free = self.held.len().saturating_sub(kept.unwrap_or(0));
        self.held.drain(..free).collect()
    }

    /// What was held back, if none was found.
    pub fn end(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes at the end of a text that are the beginning of another.
fn common(text: &str, other: &str) -> usize {
    let starts = other.char_indices().map(|(at, _)| at).rev();
    starts
        .filter(|at| *at > 0)
        .find(|at| other.get(..*at).is_some_and(|start| text.ends_with(start)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use cairn_data::{train_tokenizer, Corpus};

    use super::*;

    #[test]
    fn letters_come_when_they_are_whole() {
        let corpus = Corpus::new("the cat sat\u{1e}the dog sat\u{1e}held".into(), 0.1).unwrap();
        let tokenizer = train_tokenizer(&corpus, 260).unwrap();
        let tokenizer = TextTokenizer::parse(tokenizer.as_bytes()).unwrap();
        let text = "ü — 🪨 cat";
        let tokens = tokenizer.encode(&[text], 0).unwrap().concat();
        assert!(tokens.len() > text.chars().count(), "bytes are tokens");
        let mut stream = TextStream::new(&tokenizer);
        let pieces: Vec<_> = tokens.iter().map(|t| stream.push(*t).unwrap()).collect();
        assert!(pieces.iter().all(|piece| !piece.contains(INCOMPLETE)));
        assert_eq!(pieces.concat(), text);
        assert_eq!(stream.end().unwrap(), "");
        // A letter whose end never comes.
        let half = tokenizer.encode(&["ü"], 0).unwrap().concat()[0];
        assert_eq!(stream.push(half).unwrap(), "");
        assert_eq!(stream.end().unwrap(), INCOMPLETE.to_string());
        // Bytes that are no text at all are not held for ever.
        let shown: String = (0..20).map(|_| stream.push(half).unwrap()).collect();
        assert!(shown.chars().count() >= 8, "{shown}");
    }

    fn stopped(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool, String) {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut stops = Stops::new(&stops);
        let shown = pieces.iter().map(|piece| stops.push(piece)).collect();
        let found = stops.found();
        (shown, found, stops.end())
    }

    #[test]
    fn what_may_be_the_beginning_of_a_stop_waits() {
        let (shown, found, left) = stopped(&["\n\n"], &["a\n", "b\n", "\nc", "d"]);
        assert_eq!(shown, ["a", "\nb", "", ""]);
        assert_eq!((found, left.as_str()), (true, ""));
        let (shown, found, left) = stopped(&["END"], &["xE", "Ny", "EN"]);
        assert_eq!(shown, ["x", "ENy", ""]);
        assert_eq!((found, left.as_str()), (false, "EN"));
        // Of several the earliest counts, and none is nothing.
        let (shown, found, _) = stopped(&["", "dog", "cat"], &["a cat a dog"]);
        assert_eq!((shown, found), (vec!["a ".to_string()], true));
        let (shown, found, _) = stopped(&[], &["a", "b"]);
        assert_eq!((shown.concat(), found), ("ab".to_string(), false));
        // A letter of several bytes is never cut.
        let (shown, _, left) = stopped(&["üb"], &["xü", "ü"]);
        assert_eq!((shown.concat(), left), ("xü".to_string(), "ü".to_string()));
    }
}
