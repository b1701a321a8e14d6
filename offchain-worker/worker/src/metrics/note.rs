//! What an onlooker is told of a worker's work, beside what Prometheus reads.
//!
//! Roles report to [`super::Metrics`] and know of nobody behind it. An onlooker is called where the work is done, so it
//! only takes note.

use std::sync::Arc;

use cairn_chain::RunInfo;
use cairn_primitives::BlockNumber;
use prometheus::HistogramTimer;

use super::Stage;
use crate::roles::{ledger::Line, progress::Progress, Status};

/// Something that a worker's metrics took note of.
#[derive(Clone, Copy)]
pub enum Note<'a> {
    /// The chain got further than ever before: to this block.
    Beat(BlockNumber),
    /// A role said something.
    Said(&'a Progress),
    /// An inner step was made.
    Stepped {
        /// Steps of the round that are made.
        done: u32,
        /// Steps that the round has.
        of: u32,
        /// The mean loss before this one, in nats per token.
        loss: f32,
    },
    /// The chain was looked at, and the worker stands there.
    Looked(&'a Status, &'a RunInfo),
    /// A round is settled and applied.
    Settled(&'a Line),
    /// A part of the work begins.
    Began(Stage),
    /// A part of the work that began is over.
    Ended(Stage),
    /// A file of so many bytes came.
    Fetched(u64),
    /// Endpoints of others.
    Sources {
        /// Those that are open.
        open: usize,
        /// Those that are passed over for a while.
        passed_over: usize,
    },
}

/// Who is told.
pub type Onlooker = Arc<dyn Fn(&Note<'_>) + Send + Sync>;

/// Measures a part of the work until it is dropped.
pub struct Timer {
    /// Observes when it is dropped.
    _measured: HistogramTimer,
    stage: Stage,
    onlooker: Option<Onlooker>,
}

impl Timer {
    pub(super) fn new(measured: HistogramTimer, stage: Stage, onlooker: Option<Onlooker>) -> Timer {
        Timer {
            _measured: measured,
            stage,
            onlooker,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(onlooker) = &self.onlooker {
            onlooker(&Note::Ended(self.stage));
        }
    }
}
