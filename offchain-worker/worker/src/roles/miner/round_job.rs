//! The job of a round: make a contribution, store it, and put the intent to commit on disk. Where rounds overlap the
//! last two are done while the next round is trained, before it is committed to.

use std::{
    sync::{
        atomic::{AtomicU32, AtomicU8, Ordering},
        Arc, Mutex,
    },
    time::Instant,
};

use bytes::Bytes;
use cairn_engine::{Engine, EngineError, Part, Shared, Version};
use cairn_primitives::{BlockNumber, Round, Uid};
use cairn_round::{miner::Intent, pace::Pace, plan::Plan};
use cairn_store::paths;

use super::{make::Made, outgoing::keep_copy, Maker};
use crate::metrics::{Failed, Metrics};
use crate::roles::{
    ahead,
    driver::{with_engine, Desk},
    progress::Progress,
    run::Run,
    setup::locked,
    state::{Change, OpenChange, StateDir, Traced, Traces},
    RoleError,
};

const GO_ON: u8 = 0;
const FINISH: u8 = 1;
const ABANDON: u8 = 2;

/// How the loop tells a running job to end; looked at between inner steps.
#[derive(Default)]
pub(super) struct Control {
    now: AtomicU8,
    /// The block at which to stop with what is there, of a round that began after its training; 0: it has not begun.
    until: AtomicU32,
}

impl Control {
    pub fn reset(&self) {
        self.now.store(GO_ON, Ordering::Relaxed);
        self.until.store(0, Ordering::Relaxed);
    }

    /// Make a contribution of what is there at this block.
    pub fn finish_at(&self, deadline: BlockNumber) {
        self.until.store(deadline, Ordering::Relaxed);
    }

    /// The block at which that is, given what was known when training began.
    pub fn deadline(&self, known: BlockNumber) -> BlockNumber {
        match self.until.load(Ordering::Relaxed) {
            0 => known,
            until => until,
        }
    }

    /// Make a contribution of what is there.
    pub fn finish(&self) {
        self.now.fetch_max(FINISH, Ordering::Relaxed);
    }

    /// Throw away what is there.
    pub fn abandon(&self) {
        self.now.fetch_max(ABANDON, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.now.load(Ordering::Relaxed) != GO_ON
    }

    pub fn is_abandoned(&self) -> bool {
        self.now.load(Ordering::Relaxed) == ABANDON
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

    /// Milliseconds since some moment.
    pub fn now(&self) -> u64 {
        (self.clock)()
    }

    /// A block has come.
    pub fn block(&self, number: BlockNumber) {
        locked(&self.pace).observe_block(number, self.now());
    }

    /// An inner step that began then has ended.
    pub fn stepped(&self, began: Option<u64>) {
        if let Some(began) = began {
            locked(&self.pace).observe_step(self.now().saturating_sub(began));
        }
    }

    /// Whether another inner step ends before block `deadline` is due.
    pub fn has_time(&self, deadline: BlockNumber) -> bool {
        locked(&self.pace).has_time(deadline, self.now())
    }

    /// There was no time for a single inner step.
    pub fn made_none(&self) {
        locked(&self.pace).forget_longest();
    }
}

/// What a round's job needs.
pub(super) struct Order {
    pub run: Arc<Run>,
    pub plan: Plan,
    pub round: Round,
    pub uid: Uid,
    pub slot: u64,
    pub deadline: BlockNumber,
    /// Whether what was made since the last included contribution is void.
    pub anew: bool,
    pub control: Arc<Control>,
    pub timing: Arc<Timing>,
    /// What takes note of each inner step.
    pub metrics: Arc<Metrics>,
    /// Where states are kept that are traced between them.
    pub traces: Traces,
}

/// A contribution with the intent to commit to it on disk, or on its way there.
pub(super) struct Trained {
    pub intent: Intent,
    pub loss: f32,
    /// Whether it is stored, and the intent on disk. If not, there is a copy of it.
    pub is_stored: bool,
}

/// Makes and stores a contribution; `None` if there is none to commit to in this round.
///
/// # Errors
/// Those of the state directory: without an intent on disk nothing may be committed.
pub(super) async fn train<C: Clone + Send + 'static>(
    desk: &Desk<C>,
    order: Order,
    maker: Maker,
) -> Result<Option<Trained>, RoleError> {
    let (round, overlaps) = (order.round, order.run.config.overlaps());
    let state = desk.state.clone();
    let made = with_engine(desk, move |engine| {
        engine.discard();
        if overlaps {
            ahead::go_on(engine, &state, order.anew)?;
        }
        let made = maker(&order, engine);
        if !matches!(made, Ok(Some(_))) {
            engine.discard();
        }
        let class = engine.class();
        Ok(made?.map(|made| (made, class)))
    })
    .await;
    let (made, class) = match made {
        Ok(Some(made)) => made,
        Ok(None) => {
            tracing::info!("round {round} · no time to train in it");
            return Ok(None);
        }
        // It costs the round, and the next one may go well.
        Err(RoleError::Engine(error)) if error.is_device_fault() || error.is_divergence() => {
            tracing::warn!("round {round} · {error}");
            desk.metrics().failed(Failed::Engine);
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let said = said_of(round, &made);
    let Made {
        intent,
        sealed,
        trained,
    } = made;
    let loss = trained.losses.last().copied().unwrap_or_default();
    let traced = Traced {
        steps: trained.steps(),
        states: trained.trace,
        engine: Some(class.text().to_owned()),
    };
    let Some((intent, is_stored)) = safe(desk, intent, traced, sealed.into()).await? else {
        return Ok(None);
    };
    desk.reporter.say(&said);
    Ok(Some(Trained {
        intent,
        loss,
        is_stored,
    }))
}

/// Keeps a copy of a file, stores it, and puts its intent on disk; says whether it is stored. With a copy nothing can
/// be lost, so the last two go on at once: one waits for the line, the other for the disk. `None` if the work is lost.
async fn safe<C: Clone + Send + 'static>(
    desk: &Desk<C>,
    intent: Intent,
    traced: Traced,
    sealed: Bytes,
) -> Result<Option<(Intent, bool)>, RoleError> {
    let is_copied = copied(desk, &intent, sealed.clone()).await;
    let storing = stored(desk, intent.round, sealed, is_copied);
    if is_copied {
        let keeping = keep(desk, (intent, traced), desk.run.config.overlaps());
        let (is_stored, kept) = tokio::join!(storing, keeping);
        return Ok(Some((kept?, is_stored)));
    }
    if storing.await {
        return Ok(Some((keep(desk, (intent, traced), false).await?, true)));
    }
    with_engine(desk, |engine| {
        engine.discard();
        Ok(())
    })
    .await?;
    Ok(None)
}

/// Stores a file, and says whether it is stored. Where rounds overlap, what there is a copy of is left to be stored
/// while the next one is trained; what the store does not take is tried again with each block.
async fn stored<C>(desk: &Desk<C>, round: Round, sealed: Bytes, is_copied: bool) -> bool {
    let run = &desk.run;
    if run.config.overlaps() && is_copied {
        return false;
    }
    let prefix = paths::contributions(run.netuid.get(), round);
    let Err(error) = run.store.publish(&prefix, sealed).await else {
        return true;
    };
    desk.metrics().failed(Failed::Publish);
    match is_copied {
        true => tracing::warn!("round {round} · {error}; trying again with the next block"),
        false => tracing::warn!("round {round} · its work is lost: {error}"),
    }
    false
}

/// Keeps a copy of a file, should the store lose it, and says whether there is one. The round goes on without.
async fn copied<C>(desk: &Desk<C>, intent: &Intent, sealed: Bytes) -> bool {
    let root = intent.commitment.sealed_root;
    match keep_copy(desk.state.clone(), root, sealed).await {
        Ok(()) => true,
        Err(error) => {
            let round = intent.round;
            tracing::warn!("round {round} · no copy of its file is kept: {error}; free disk space");
            false
        }
    }
}

/// Puts the intent on disk, with what is carried on if it is included, then in force; or, if the file is to be stored
/// later, in force while it is written beside all else. It is committed to once both are done.
async fn keep<C: Clone + Send + 'static>(
    desk: &Desk<C>,
    (intent, traced): (Intent, Traced),
    is_beside: bool,
) -> Result<Intent, RoleError> {
    let state = desk.state.clone();
    with_engine(desk, move |engine| {
        // None if the engine has made no steps that are carried on.
        let steps = engine.optimizer_steps(Version::Pending).ok();
        let sent = match steps {
            Some(_) => left(engine)?,
            None => Vec::new(),
        };
        // What is written beside all else is what the engine holds, so it takes no memory of its own. It is on the disk
        // before other vectors take its place.
        state.written()?;
        let kept = intent.clone();
        let write = move |state: &mut StateDir| {
            state.save(&Change {
                open: OpenChange::Set {
                    intent: &kept,
                    sent,
                    steps: steps.unwrap_or_default(),
                    traced: &traced,
                },
                ..Change::default()
            })
        };
        match is_beside {
            true => state.write_beside(write)?,
            false => state.write(write)?,
        }
        if steps.is_some() {
            engine.keep()?;
        }
        Ok(intent)
    })
    .await
}

/// What the contribution just made left.
fn left(engine: &dyn Engine) -> Result<Vec<(Part, Shared)>, EngineError> {
    let mut left = Vec::new();
    for part in [Part::FirstMoment, Part::SecondMoment, Part::Feedback] {
        let found = engine.shared(Version::Pending, part)?;
        left.extend(found.map(|vector| (part, vector)));
    }
    Ok(left)
}

fn said_of(round: Round, made: &Made) -> Progress {
    let losses = &made.trained.losses;
    Progress::Trained {
        round,
        steps: made.trained.steps(),
        tokens: made.trained.tokens,
        first_loss: losses.first().copied().unwrap_or_default(),
        last_loss: losses.last().copied().unwrap_or_default(),
        bytes: made.sealed.len() as u64,
    }
}
