//! The job of a round: make a contribution, store it, and put the intent to commit on disk.

use std::{
    sync::{
        atomic::{AtomicU8, Ordering},
        Arc, Mutex,
    },
    time::Instant,
};

use cairn_primitives::BlockNumber;
use cairn_round::{pace::Pace, plan::Plan};
use cairn_store::paths;
use cairn_trainer::engine::Engine;

use super::{
    make::{make, Made, Memory},
    Behaviour,
};
use crate::roles::{
    held::Held,
    progress::Progress,
    run::Run,
    setup::{locked, SharedState},
    state::{Change, Open},
    RoleError,
};

const GO_ON: u8 = 0;
const FINISH: u8 = 1;
const ABANDON: u8 = 2;

/// How the loop tells a running job to end; looked at between inner steps.
#[derive(Default)]
pub(super) struct Control(AtomicU8);

impl Control {
    pub fn reset(&self) {
        self.0.store(GO_ON, Ordering::Relaxed);
    }

    /// Make a contribution of what is there.
    pub fn finish(&self) {
        self.0.fetch_max(FINISH, Ordering::Relaxed);
    }

    /// Throw away what is there.
    pub fn abandon(&self) {
        self.0.fetch_max(ABANDON, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) != GO_ON
    }

    pub fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ABANDON
    }
}

/// Milliseconds since some moment.
pub(in crate::roles) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The system's clock.
pub(super) fn system_clock() -> Clock {
    let began = Instant::now();
    Arc::new(move || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// A clock for [`Pace`].
pub(super) struct Timing {
    clock: Clock,
    pace: Mutex<Pace>,
}

impl Timing {
    pub fn new(clock: Clock, block: BlockNumber) -> Timing {
        let timing = Timing {
            clock,
            pace: Mutex::default(),
        };
        timing.block(block);
        timing
    }

    fn now(&self) -> u64 {
        (self.clock)()
    }

    /// A block has come.
    pub fn block(&self, number: BlockNumber) {
        locked(&self.pace).observe_block(number, self.now());
    }

    /// Does an inner step and remembers how long it took.
    pub fn step<T>(&self, step: impl FnOnce() -> T) -> T {
        let before = self.now();
        let result = step();
        locked(&self.pace).observe_step(self.now().saturating_sub(before));
        result
    }

    /// Whether another inner step ends before block `deadline` is due.
    pub fn has_time(&self, deadline: BlockNumber) -> bool {
        locked(&self.pace).has_time(deadline, self.now())
    }
}

/// What a round's job needs.
pub(super) struct Order {
    pub run: Arc<Run>,
    pub plan: Plan,
    pub behaviour: Behaviour,
    pub held: Held,
    pub slot: u64,
    pub deadline: BlockNumber,
    pub memory: Memory,
    pub trainer: Arc<Mutex<Engine>>,
    pub control: Arc<Control>,
    pub timing: Arc<Timing>,
    pub state: SharedState,
}

/// A contribution that is stored, with the intent to commit to it on disk.
pub(super) struct Trained {
    pub memory: Memory,
    pub open: Open,
    pub loss: f32,
    pub said: Progress,
}

/// Makes and stores a contribution; `None` if there is none to commit to in this round.
///
/// # Errors
/// Those of the state directory: without an intent on disk nothing may be committed.
pub(super) async fn train(order: Order) -> Result<Option<Trained>, RoleError> {
    let (run, state, round) = (order.run.clone(), order.state.clone(), order.held.round);
    let made = match tokio::task::spawn_blocking(move || make(&order)).await? {
        Ok(Some(made)) => made,
        Ok(None) => {
            tracing::info!("round {round} · no time to train in it");
            return Ok(None);
        }
        Err(RoleError::Trainer(error)) => {
            tracing::warn!("round {round} · {error}");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let Made {
        memory,
        open,
        sealed,
        steps,
        tokens,
        first_loss,
        last_loss,
    } = made;
    let bytes = sealed.len() as u64;
    if let Err(error) = run
        .store
        .put_blob(&paths::contributions(run.netuid, round), sealed.into())
        .await
    {
        tracing::warn!("round {round} · its work is lost: {error}");
        return Ok(None);
    }
    let said = Progress::Trained {
        round,
        steps,
        tokens,
        first_loss,
        last_loss,
        bytes,
    };
    tokio::task::spawn_blocking(move || {
        let change = Change {
            adam: Some(&memory.adam),
            feedback: Some(&memory.feedback),
            open: Some(&open),
            ..Change::default()
        };
        locked(&state).save(&change)?;
        Ok(Some(Trained {
            memory,
            open,
            loss: last_loss,
            said,
        }))
    })
    .await?
}
