//! Text that others wrote, fit to be shown to a person.
//!
//! Names on chain, messages of nodes and stores, and file names may hold what a terminal acts on: colours,
//! cursor movements, line breaks, letters that turn the direction of reading. All of it is shown as `\u{1b}`.

use std::fmt::Write;

/// The text with everything that a terminal would act on written out. For labels, table cells and errors.
pub fn printable(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same for a text of several lines that this program laid out itself: line breaks stay.
pub fn printable_lines(text: &str) -> String {
    escaped(text, |letter| letter == '\n')
}

/// JSON that can be shown: the same value, with such letters as `\u001b` in its strings.
pub fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for letter in json.chars() {
        // Between values JSON has line breaks; within strings it has none.
        if letter == '\n' || !acts(letter) {
            shown.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if acts(letter) && !stays(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Whether a terminal acts on it, or shows nothing where it stands.
fn acts(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_written_out() {
        let evil = "evil\u{1b}[31m\u{9b}2J\u{202e}\u{2066}\r\n\t\u{7f}\u{200b}\u{2028}é日🪨";
        assert_eq!(
            printable(evil),
            "evil\\u{1b}[31m\\u{9b}2J\\u{202e}\\u{2066}\\u{d}\\u{a}\\u{9}\\u{7f}\\u{200b}\\u{2028}é日🪨"
        );
        assert_eq!(printable_lines("a\n\u{1b}b\n"), "a\n\\u{1b}b\n");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"na\u{9b}me": "a\u{1b}\u{202e}\u{e0041}\u{7f}\nb é"});
        let shown = printable_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!shown.chars().any(|c| acts(c) && c != '\n'), "{shown}");
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }
}
