//! What `cairn mine` and `cairn validate` show on a terminal: a board that is kept up to date, above the last lines of
//! the log. Elsewhere, and with `--no-display`, they write lines.
//!
//! Roles know nothing of it. A worker's metrics tell it what they take note of ([`crate::metrics::note`]), and now and
//! then it asks the chain by itself what the work was paid. [`board`] is what is known, [`draw`] what is drawn of that:
//! both are pure. [`ask`] asks, [`screen`] has the terminal and gives it back.

pub mod ask;
pub mod board;
pub mod draw;
pub mod screen;

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::watch;

use self::ask::Asked;
pub use self::{ask::Whose, board::Board, screen::Screen};
use crate::{
    metrics::{note::Note, Metrics},
    roles::idle::Part,
};

/// From now on the terminal shows what a worker's metrics take note of, and what it is paid, until the screen is
/// closed. `stop` ends the questions to the chain.
///
/// # Errors
/// If the terminal cannot be written.
pub fn begin(
    screen: &Screen,
    part: Part,
    whose: Whose,
    metrics: &Metrics,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let board = Arc::new(Mutex::new(Board::new(part, whose.netuid)));
    screen.open(board.clone())?;
    let told = board.clone();
    metrics.tell(Arc::new(move |note: &Note<'_>| {
        locked(&told).see(note, Instant::now());
    }));
    let know = move |asked: Asked| locked(&board).know(asked);
    tokio::spawn(ask::follow(whose, know, stop));
    Ok(())
}

/// Locks, also after a panic elsewhere: what is behind the lock is for the eye only.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
