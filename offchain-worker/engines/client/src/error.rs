//! Why a program could not do what it was asked for.

use std::{io, time::Duration};

use cairn_engine::EngineError;
use serde::Deserialize;

use crate::message::Fault;

/// What a program says went wrong, by the protocol's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A rank has too little memory.
    Oom,
    /// Loss or gradient overflowed.
    NotFinite,
    /// A rank ended, or failed in a way that has no other name.
    RankLost,
    /// The ranks waited for each other for too long.
    CollectiveTimeout,
    /// The program did not understand what it was asked for.
    Protocol,
}

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It cannot be started.
    #[error("cannot start the engine `{program}`: {error}; look at --launch, or run `make engine-torch`")]
    Start {
        /// What was to be started.
        program: String,
        /// Why not.
        error: io::Error,
    },
    /// It ended.
    #[error("the engine ended while it was asked to {verb}: {said}")]
    Ended {
        /// What it was asked for.
        verb: &'static str,
        /// The last that it wrote to its standard error.
        said: String,
    },
    /// It did not answer in time.
    #[error("the engine did not {verb} within {} s, and was ended", deadline.as_secs())]
    Late {
        /// What it was asked for.
        verb: &'static str,
        /// What it was given.
        deadline: Duration,
    },
    /// It says that it could not.
    #[error("the engine could not {verb}: {}", fault.said)]
    Fault {
        /// What it was asked for.
        verb: &'static str,
        /// What it says.
        fault: Fault,
    },
    /// It said what the protocol does not have.
    #[error("the engine broke the protocol when asked to {verb}: {what}")]
    Protocol {
        /// What it was asked for.
        verb: &'static str,
        /// What it did.
        what: String,
    },
    /// A bulk file cannot be written or read.
    #[error(
        "a file shared with the engine, {file}: {error}; look at the disk and at --engine-dir"
    )]
    Bulk {
        /// Which file.
        file: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// It was used after it failed.
    #[error("the engine is not running: this is a bug, please report it")]
    NotRunning,
}

impl From<ProcessError> for EngineError {
    fn from(error: ProcessError) -> EngineError {
        let said = error.to_string();
        match error {
            ProcessError::Start { .. } => EngineError::Unavailable(said),
            ProcessError::Ended { .. } | ProcessError::Late { .. } | ProcessError::NotRunning => {
                EngineError::DeviceLost(said)
            }
            ProcessError::Protocol { .. } | ProcessError::Bulk { .. } => EngineError::Device(said),
            ProcessError::Fault { fault, .. } => match fault.kind {
                FaultKind::Oom => EngineError::OutOfMemory(said),
                FaultKind::RankLost | FaultKind::CollectiveTimeout => EngineError::DeviceLost(said),
                FaultKind::Protocol => EngineError::Device(said),
                FaultKind::NotFinite => EngineError::NotFinite {
                    loss: fault.number(fault.loss.as_deref()) as f32,
                    norm: fault.number(fault.norm.as_deref()),
                },
            },
        }
    }
}
