//! Messages over the socket: a length of four bytes, smallest first, and JSON. Both directions have a deadline.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use crate::{
    message::{Answer, LONGEST},
    ProcessError,
};

/// When an answer must be there.
#[derive(Clone, Copy)]
pub struct Deadline {
    pub verb: &'static str,
    pub given: Duration,
    pub until: Instant,
}

impl Deadline {
    /// From now.
    pub fn new(verb: &'static str, given: Duration) -> Deadline {
        // what cannot be reached never comes
        let now = Instant::now();
        let until = now.checked_add(given).unwrap_or(now);
        Deadline { verb, given, until }
    }

    /// What is left of it.
    pub fn left(&self) -> Result<Duration, ProcessError> {
        let left = self.until.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(self.late()),
            false => Ok(left),
        }
    }

    pub fn late(&self) -> ProcessError {
        ProcessError::Late {
            verb: self.verb,
            deadline: self.given,
        }
    }

    /// The program did what the protocol does not have.
    pub fn broken(&self, what: impl Into<String>) -> ProcessError {
        ProcessError::Protocol {
            verb: self.verb,
            what: what.into(),
        }
    }

    /// Why a socket failed. The text of an end is filled in by who knows what the program wrote.
    fn failed(&self, error: &io::Error) -> ProcessError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.late(),
            _ => ProcessError::Ended {
                verb: self.verb,
                said: error.to_string(),
            },
        }
    }
}

/// Sends a message.
pub fn send(
    stream: &mut UnixStream,
    message: &[u8],
    deadline: &Deadline,
) -> Result<(), ProcessError> {
    let length = u32::try_from(message.len()).ok();
    let length = length.filter(|_| message.len() <= LONGEST);
    let length = length.ok_or_else(|| deadline.broken("a request is too long"))?;
    let mut rest = [&length.to_le_bytes(), message].concat();
    while !rest.is_empty() {
        let left = deadline.left()?;
        let written = stream
            .set_write_timeout(Some(left))
            .and_then(|()| stream.write(&rest));
        match written {
            Ok(0) => return Err(deadline.failed(&io::ErrorKind::WriteZero.into())),
            Ok(written) => drop(rest.drain(..written.min(rest.len()))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(deadline.failed(&error)),
        }
    }
    Ok(())
}

/// Receives the answer to request `id`.
pub fn receive(
    stream: &mut UnixStream,
    id: u64,
    deadline: &Deadline,
) -> Result<serde_json::Value, ProcessError> {
    let mut length = [0; 4];
    read(stream, &mut length, deadline)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(deadline.broken(format!(
            "an answer of {length} bytes, the most is {LONGEST}"
        )));
    }
    let mut text = vec![0; length];
    read(stream, &mut text, deadline)?;
    let answer: Answer = serde_json::from_slice(&text)
        .map_err(|error| deadline.broken(format!("an answer that is none: {error}")))?;
    if answer.id != id {
        let found = answer.id;
        return Err(deadline.broken(format!("an answer to request {found}, not to {id}")));
    }
    match (answer.ok, answer.error) {
        (Some(facts), None) => Ok(facts),
        (None, Some(fault)) => Err(ProcessError::Fault {
            verb: deadline.verb,
            fault: fault.shown(),
        }),
        _ => Err(deadline.broken("an answer that says neither or both of done and not done")),
    }
}

/// Reads exactly so much.
fn read(
    stream: &mut UnixStream,
    buffer: &mut [u8],
    deadline: &Deadline,
) -> Result<(), ProcessError> {
    let mut rest = buffer;
    while !rest.is_empty() {
        let left = deadline.left()?;
        let read = stream
            .set_read_timeout(Some(left))
            .and_then(|()| stream.read(rest));
        match read {
            Ok(0) => return Err(deadline.failed(&io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => rest = rest.get_mut(read..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(deadline.failed(&error)),
        }
    }
    Ok(())
}
