//! A program that runs, and a request to it.

use std::{os::unix::net::UnixStream, time::Duration};

use serde::de::DeserializeOwned;

use crate::{
    border::{receive, send, Deadline},
    bulk::Bulk,
    launch::{Options, Running},
    message::{Hello, Numbered, Request},
    ProcessError,
};

/// A program that runs. It is ended with this.
pub struct Connection {
    stream: UnixStream,
    running: Running,
    requests: u64,
}

impl Connection {
    /// Starts a program and greets it.
    pub fn start(
        options: &Options,
        bulk: &Bulk,
        hello: &Request,
    ) -> Result<(Connection, Hello), ProcessError> {
        let deadline = Deadline::new("start", options.deadlines.start);
        let (running, stream) = Running::start(options, bulk, &deadline)?;
        let mut connection = Connection {
            stream,
            running,
            requests: 0,
        };
        let hello = connection.ask_until(hello, &deadline)?;
        Ok((connection, hello))
    }

    /// Asks for something, and waits for the answer for so long.
    pub fn ask<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        within: Duration,
    ) -> Result<T, ProcessError> {
        self.ask_until(request, &Deadline::new(request.verb(), within))
    }

    fn ask_until<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        deadline: &Deadline,
    ) -> Result<T, ProcessError> {
        self.requests = self.requests.saturating_add(1);
        let id = self.requests;
        let text = serde_json::to_vec(&Numbered { id, request })
            .map_err(|error| deadline.broken(format!("a request that is none: {error}")))?;
        let asked = send(&mut self.stream, &text, deadline)
            .and_then(|()| receive(&mut self.stream, id, deadline));
        let facts = asked.map_err(|error| self.explained(error))?;
        serde_json::from_value(facts)
            .map_err(|error| deadline.broken(format!("an answer of other facts: {error}")))
    }

    /// Why it ended, in its own words.
    fn explained(&self, error: ProcessError) -> ProcessError {
        match error {
            ProcessError::Ended { verb, .. } => ProcessError::Ended {
                verb,
                said: self.running.last_words(),
            },
            error => error,
        }
    }
}
