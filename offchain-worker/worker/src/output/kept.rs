//! Logs that are kept while a display has the terminal.

use std::collections::VecDeque;

/// Lines that are kept; of more, the oldest go.
const MOST: usize = 1_000;

/// Lines of logs as they were written, with what colours them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    lines: VecDeque<String>,
    /// A line that has no end yet.
    open: String,
    /// Lines that are gone.
    gone: u64,
}

impl Kept {
    /// Takes what is written.
    pub fn take(&mut self, bytes: &[u8]) {
        self.open.push_str(&String::from_utf8_lossy(bytes));
        while let Some((line, rest)) = self.open.split_once('\n') {
            self.lines.push_back(line.to_string());
            self.open = rest.to_string();
            if self.lines.len() > MOST {
                self.lines.pop_front();
                self.gone = self.gone.saturating_add(1);
            }
        }
    }

    /// The last lines, at most so many, without what colours them.
    pub fn last(&self, most: usize) -> Vec<String> {
        let before = self.lines.len().saturating_sub(most);
        let last = self.lines.iter().skip(before);
        last.map(|line| colourless(line)).collect()
    }

    /// All that is kept, as it was written.
    pub fn text(&self) -> String {
        let mut text = match self.gone {
            0 => String::new(),
            gone => {
                format!("({gone} lines before are left out; --no-display prints all of them)\n")
            }
        };
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text + &self.open
    }
}

/// Without the sequences that set colours.
fn colourless(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            shown.push(letter);
            continue;
        }
        if letters.next() == Some('[') {
            // Up to the letter that ends it.
            for letter in letters.by_ref() {
                if ('@'..='~').contains(&letter) {
                    break;
                }
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_without_colours_and_given_back_as_they_were() {
        let mut kept = Kept::default();
        kept.take(b"\x1b[2m11:20\x1b[0m \x1b[32m INFO\x1b[0m one\ntw");
        assert_eq!(kept.last(9), ["11:20  INFO one"]);
        kept.take("o · 2\nthree".as_bytes());
        assert_eq!(kept.last(1), ["two · 2"]);
        assert_eq!(
            kept.text(),
            "\x1b[2m11:20\x1b[0m \x1b[32m INFO\x1b[0m one\ntwo · 2\nthree"
        );
    }

    #[test]
    fn the_oldest_go_and_it_is_said_how_many() {
        let mut kept = Kept::default();
        for number in 0..MOST + 3 {
            kept.take(format!("line {number}\n").as_bytes());
        }
        let text = kept.text();
        assert!(text.starts_with("(3 lines before are left out"), "{text}");
        assert_eq!(text.lines().nth(1), Some("line 3"));
        assert_eq!(text.lines().count(), MOST + 1);
        assert_eq!(kept.last(2), ["line 1001", "line 1002"]);
    }

    #[test]
    fn a_sequence_that_is_cut_off_takes_the_rest_and_no_more() {
        assert_eq!(colourless("a\u{1b}[31"), "a");
        assert_eq!(colourless("a\u{1b}"), "a");
        assert_eq!(colourless("\u{1b}[1;31mred\u{1b}[0m"), "red");
    }
}
