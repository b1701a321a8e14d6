//! The only place that writes to standard output and standard error, but for the display on a terminal
//! ([`crate::display`]). While that is up, logs are kept here, and written when it goes.
//!
//! Standard output is what a person asked for: a write that fails is an error of the command. Only a reader
//! that has gone (`cairn status | head -1`) is none, and what follows is lost quietly. Standard error is for
//! logs and errors: whoever reads them may go away, and the work goes on.

mod kept;

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal, Write},
    os::fd::AsFd,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;

use self::kept::Kept;
use crate::{
    error::Failure,
    printable::{printable_json, printable_lines},
};

/// How often a standard output that is full but not broken is tried again, and how long apart.
const RETRIES: u32 = 2_000;
const RETRY_AFTER: Duration = Duration::from_millis(5);

/// Why standard output lost something, if it did: the program ends with it.
static LOST: Mutex<Option<String>> = Mutex::new(None);

/// Logs that are kept, while they are.
static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

/// Prints a text for people. What others wrote in it cannot do anything to a terminal; long lines are
/// wrapped where standard output is one.
pub fn show(text: &str) -> Result<(), Failure> {
    let text = printable_lines(text);
    let text = match columns() {
        Some(columns) => wrapped(&text, columns),
        None => text,
    };
    unless_gone(write(&with_newline(text)))
}

/// Prints a value as JSON over several lines.
pub fn show_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value)?;
    unless_gone(write(&with_newline(printable_json(&json))))
}

/// Prints a value as JSON on one line.
pub fn show_json_line<T: Serialize>(value: &T) -> Result<(), Failure> {
    let json = serde_json::to_string(value)?;
    unless_gone(write(&with_newline(printable_json(&json))))
}

/// Prints what this program made for a terminal or another program, as it is.
pub fn show_raw(text: &str) -> Result<(), Failure> {
    unless_gone(write(text))
}

/// The same; gives whether anybody still reads.
pub fn show_while_read(text: &str) -> Result<bool, Failure> {
    let written = write(text);
    let read = written.is_ok();
    unless_gone(written).map(|()| read)
}

/// Prints for people, or as JSON.
pub fn print<T: Serialize>(
    json: bool,
    value: &T,
    people: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    match json {
        true => show_json(value),
        false => show(&people(value)),
    }
}

/// The same for what is shown only once: a reader that has gone is an error, too.
pub fn print_once<T: Serialize>(
    json: bool,
    value: &T,
    people: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let text = match json {
        true => printable_json(&serde_json::to_string_pretty(value)?),
        false => printable_lines(&people(value)),
    };
    write(&with_newline(text)).map_err(|error| unwritten(&error.to_string()))
}

/// Says something on standard error: a text of this program, in which others may be quoted.
pub fn say(text: &str) {
    say_raw(&with_newline(printable_lines(text)));
}

/// The same as it is, such as a question that waits for an answer on its line.
pub fn say_raw(text: &str) {
    // Whoever read may have gone.
    let _ = Logs.write_all(text.as_bytes());
}

/// The columns of the terminal on standard output; `None` if it is none.
pub fn columns() -> Option<usize> {
    let output = io::stdout();
    if !output.is_terminal() {
        return None;
    }
    let (terminal_size::Width(columns), _) = terminal_size::terminal_size_of(output)?;
    // A terminal that does not know its width says 0.
    (columns > 0).then(|| usize::from(columns).max(20))
}

/// Whether standard output took everything that it was given while it had a reader.
///
/// # Errors
/// If something was lost, such as to a full disk.
pub fn complete() -> Result<(), Failure> {
    let lost = LOST.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    lost.as_deref().map_or(Ok(()), |why| Err(unwritten(why)))
}

/// From now on logs are kept and not written: a display has the terminal.
pub fn keep_logs() {
    kept().get_or_insert_default();
}

/// The last lines of logs that are kept, at most so many, without colours.
pub fn kept_logs(most: usize) -> Vec<String> {
    kept().as_ref().map_or(Vec::new(), |kept| kept.last(most))
}

/// Writes the logs that were kept; from now on they are written as they come.
pub fn release_logs() {
    let mut kept = kept();
    if let Some(kept) = kept.take() {
        let _ = io::stderr().write_all(kept.text().as_bytes());
    }
}

fn kept() -> MutexGuard<'static, Option<Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard error for logs, or where they are kept. Writing always succeeds.
#[derive(Clone, Copy, Debug)]
pub struct Logs;

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match kept().as_mut() {
            Some(kept) => kept.take(bytes),
            None => {
                let _ = io::stderr().write_all(bytes);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all of it, past the buffer of the standard library: that one would keep what was refused, and
/// takes a descriptor that cannot be written for one that takes everything.
fn write(text: &str) -> io::Result<()> {
    let written = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|output| write_to(&mut File::from(output), text.as_bytes()));
    if let Err(error) = &written {
        if error.kind() != ErrorKind::BrokenPipe {
            let mut lost = LOST.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            lost.get_or_insert_with(|| error.to_string());
        }
    }
    written
}

fn write_to(output: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    let mut tries = 0;
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whoever started us may have made the pipe one that does not wait.
            Err(error) if error.kind() == ErrorKind::WouldBlock && tries < RETRIES => {
                tries += 1;
                std::thread::sleep(RETRY_AFTER);
            }
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

fn unless_gone(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritten(&error.to_string())),
        _ => Ok(()),
    }
}

fn unwritten(why: &str) -> Failure {
    Failure::new(
        format!("cannot write to standard output: {why}"),
        "free some space, or send the output elsewhere",
    )
}

fn with_newline(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Lines of at most so many columns, broken between words; what continues a line is indented.
pub fn wrapped(text: &str, columns: usize) -> String {
    const INDENT: &str = "    ";
    let mut lines = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut left = line;
        let mut room = columns;
        while left.trim_end().chars().count() > room {
            let Some(end) = last_gap(left, room) else {
                break;
            };
            let (head, rest) = left.split_at(end);
            lines.push_str(head.trim_end());
            lines.push('\n');
            lines.push_str(INDENT);
            left = rest.trim_start_matches(' ');
            room = columns.saturating_sub(INDENT.len());
        }
        lines.push_str(left);
    }
    lines
}

/// Where the last gap between words within so many columns begins; else the first one after them.
fn last_gap(line: &str, columns: usize) -> Option<usize> {
    let text_from = line.find(|letter| letter != ' ')?;
    let gaps = line.char_indices().enumerate();
    let mut gaps = gaps.filter(|(_, (at, letter))| *letter == ' ' && *at > text_from);
    let mut last = None;
    for (column, (at, _)) in gaps.by_ref() {
        match column <= columns {
            true => last = Some(at),
            false => return last.or(Some(at)),
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time, and now and then none.
    struct Slow(Vec<u8>, bool);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let some = bytes.get(..3).unwrap_or(bytes);
            self.0.extend_from_slice(some);
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_is_written_or_it_is_an_error() {
        let mut slow = Slow(Vec::new(), false);
        write_to(&mut slow, b"twelve words").unwrap();
        assert_eq!(slow.0, b"twelve words");
        let mut full = &mut [0u8; 4][..];
        assert_eq!(
            write_to(&mut full, b"twelve words").unwrap_err().kind(),
            ErrorKind::WriteZero
        );
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is() {
        assert!(unless_gone(Err(ErrorKind::BrokenPipe.into())).is_ok());
        let full = unless_gone(Err(ErrorKind::StorageFull.into())).unwrap_err();
        assert!(full.to_string().contains("standard output"), "{full}");
    }

    #[test]
    fn long_lines_are_wrapped_between_words() {
        let text = "a short line\nwords that go on and on\nunbreakable-and-long tail\n\n";
        let expected =
            "a short line\nwords that go\n    on and on\nunbreakable-and-long\n    tail\n\n";
        assert_eq!(wrapped(text, 14), expected);
        assert_eq!(wrapped(text, 80), text);
        let indented = "      unbreakable-and-long\n";
        assert_eq!(wrapped(indented, 14), indented);
        assert_eq!(wrapped("é é é é é é é é", 8), "é é é é\n    é é\n    é é");
    }
}
