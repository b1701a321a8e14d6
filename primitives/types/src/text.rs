//! Short texts on chain: addresses of stores, names. What one person writes others print, so a text has to be
//! printable.

use alloc::{string::String, vec::Vec};
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;
use serde::{de::Error as _, Deserialize, Deserializer, Serialize, Serializer};

/// The most bytes of a text.
pub const MAX_TEXT: u32 = 256;
/// The most marks, such as accents, that stand on one letter: stacks of them cover the lines above.
const MAX_MARKS: usize = 4;

/// At most 256 bytes of text. Decoding does not check that they are printable: [`Text::check`] does.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
)]
pub struct Text(pub BoundedVec<u8, ConstU32<MAX_TEXT>>);

/// Why something is no text for a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFault {
    /// It is longer than [`MAX_TEXT`] bytes.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// It has this character, which does not print as itself: a control character, an invisible one, or one that
    /// turns the direction of writing.
    Unprintable(char),
    /// More than four marks stand on one letter, or one on none.
    TooManyMarks,
}

impl fmt::Display for TextFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextFault::TooLong => write!(out, "text is longer than {MAX_TEXT} bytes"),
            TextFault::NotUtf8 => write!(out, "text is not UTF-8"),
            TextFault::Unprintable(character) => write!(
                out,
                "text has the character U+{:04X}, which cannot be printed",
                u32::from(*character)
            ),
            TextFault::TooManyMarks => {
                write!(out, "text has accents without a letter, or too many on one")
            }
        }
    }
}

/// Whether a text prints as what it is, whatever the terminal or page: no control characters, no escape codes, no line
/// breaks, nothing invisible, nothing that turns the direction of writing, no stacks of accents.
///
/// # Errors
/// The first thing in it that does not.
pub fn check_printable(text: &str) -> Result<(), TextFault> {
    let mut marks = MAX_MARKS;
    for character in text.chars() {
        if is_invisible(character) || !is_graphic(character) {
            return Err(TextFault::Unprintable(character));
        }
        marks = match is_mark(character) {
            true => marks.saturating_add(1),
            false => 0,
        };
        if marks > MAX_MARKS {
            return Err(TextFault::TooManyMarks);
        }
    }
    Ok(())
}

/// Whether a character stands for itself when a text is shown for debugging: then it is neither control, format,
/// surrogate, private, unassigned nor a space other than U+0020.
fn is_graphic(character: char) -> bool {
    if matches!(character, '\'' | '"' | '\\') {
        return true;
    }
    // Behind a letter, marks stand for themselves, too.
    let mut buffer = [0; 5];
    buffer[0] = b'a';
    let length = 1 + character.encode_utf8(&mut buffer[1..]).len();
    core::str::from_utf8(&buffer[..length])
        .is_ok_and(|pair| pair.escape_debug().nth(1) == Some(character))
}

/// Whether a character stands on the one before it.
fn is_mark(character: char) -> bool {
    let quoted = matches!(character, '\'' | '"' | '\\');
    !quoted && character.escape_debug().next() != Some(character)
}

/// Characters that count as graphic and show nothing: fillers, joiners and selectors of variants.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'
            ..='\u{180f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'
            ..='\u{fe0f}' | '\u{ffa0}' | '\u{fffc}' | '\u{e0100}'
            ..='\u{e01ef}'
    )
}

impl Text {
    /// The text.
    ///
    /// # Errors
    /// It is longer than 256 bytes, or not printable.
    pub fn new(text: &str) -> Result<Text, TextFault> {
        check_printable(text)?;
        BoundedVec::try_from(Vec::from(text.as_bytes()))
            .map(Text)
            .map_err(|_| TextFault::TooLong)
    }

    /// Whether it is text at all, and printable.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), TextFault> {
        let text = core::str::from_utf8(&self.0).map_err(|_| TextFault::NotUtf8)?;
        check_printable(text)
    }

    /// The text; bytes that are not UTF-8 are replaced.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Text::new(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(bytes: &[u8]) -> Text {
        Text(BoundedVec::try_from(bytes.to_vec()).expect("short"))
    }

    #[test]
    fn texts_in_all_languages_are_taken() {
        let texts = [
            "",
            "shakespeare 10M",
            "it's \"10 %\" \\ more",
            "s3://bucket/path?x=1#y",
            "Größe, naïve, Ελλάδα, Россия, עברית, العربية",
            "日本語、한국어、ภาษาไทย",
            "हिन्दी",
            "e\u{301}",
            "→ ½ € 🏔",
        ];
        for text in texts {
            let read = Text::new(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
            assert_eq!((read.to_text().as_str(), read.check()), (text, Ok(())));
        }
    }

    #[test]
    fn what_would_move_the_cursor_or_hide_is_refused() {
        let characters = [
            '\0',
            '\u{7}',
            '\u{8}',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{e000}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{fff9}',
            '\u{ffff}',
            '\u{e0041}',
            '\u{10fffd}',
        ];
        for character in characters {
            for text in [
                alloc::format!("a{character}b"),
                alloc::format!("{character}"),
            ] {
                let fault = Err(TextFault::Unprintable(character));
                assert_eq!(check_printable(&text), fault, "U+{:04X}", character as u32);
                assert!(Text::new(&text).is_err());
                assert_eq!(raw(text.as_bytes()).check(), fault);
            }
        }
    }

    #[test]
    fn accents_do_not_pile_up() {
        let piled = |marks| alloc::format!("a{}b", "\u{301}".repeat(marks));
        assert_eq!(check_printable(&piled(4)), Ok(()));
        assert_eq!(check_printable(&piled(5)), Err(TextFault::TooManyMarks));
        assert_eq!(check_printable("\u{301}a"), Err(TextFault::TooManyMarks));
    }

    #[test]
    fn bytes_that_are_no_text_and_long_ones_are_refused() {
        assert_eq!(raw(&[b'a', 0xff]).check(), Err(TextFault::NotUtf8));
        assert_eq!(Text::new(&"x".repeat(257)), Err(TextFault::TooLong));
        assert!(Text::new(&"x".repeat(256)).is_ok());
        let json = serde_json::from_str::<Text>(r#""evil\u001b[31m""#);
        let error = json.expect_err("it has an escape code").to_string();
        assert!(error.contains("U+001B"), "{error}");
    }
}
