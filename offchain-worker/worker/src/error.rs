//! What a person reads when something did not work.

use std::fmt;

use crate::printable::printable;

/// One line: what happened, to what, and what to do about it.
///
/// Any error of the crates below becomes one; theirs already say what to do. It is no
/// [`std::error::Error`] itself, since it is where errors end.
#[derive(Debug)]
pub struct Failure(Why);

#[derive(Debug)]
enum Why {
    Failed(String),
    Ended,
    Stopped,
}

impl Failure {
    /// `what` happened; `remedy` is what to do.
    pub fn new(what: impl fmt::Display, remedy: impl fmt::Display) -> Failure {
        Failure(Why::Failed(one_line(&format!("{what}; {remedy}"))))
    }

    /// What happened while doing something: the cause brings its own remedy.
    pub fn during(doing: impl fmt::Display, cause: impl fmt::Display) -> Failure {
        Failure(Why::Failed(one_line(&format!("{doing}: {cause}"))))
    }

    /// Nothing failed: the command has nothing more to do, and has said why.
    pub fn ended() -> Failure {
        Failure(Why::Ended)
    }

    /// Nothing failed: a signal stopped what would have gone on.
    pub fn stopped() -> Failure {
        Failure(Why::Stopped)
    }

    /// Whether nothing failed, and there was nothing more to do.
    pub fn is_end(&self) -> bool {
        matches!(self.0, Why::Ended)
    }

    /// Whether nothing failed, and a signal stopped it.
    pub fn is_stop(&self) -> bool {
        matches!(self.0, Why::Stopped)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Why::Failed(line) => line.as_str(),
            Why::Ended => "nothing more to do",
            Why::Stopped => "stopped by a signal",
        })
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(Why::Failed(one_line(&error.to_string())))
    }
}

/// The text with every run of white space made one space: what others wrote in it stays on the line.
fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::new("the node\nis gone", "start it");
        assert_eq!(failure.to_string(), "the node is gone; start it");
    }

    #[test]
    fn what_others_wrote_does_nothing_to_a_terminal() {
        let failure = Failure::new("no run `evil\u{1b}[31m\u{202e}\nrow`", "look");
        let shown = "no run `evil\\u{1b}[31m\\u{202e} row`; look";
        assert_eq!(failure.to_string(), shown);
    }
}
