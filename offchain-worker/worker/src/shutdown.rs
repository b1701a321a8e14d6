//! Ctrl-C, SIGTERM and SIGUSR1.
//!
//! They are waited for on a thread of their own, so that no computation keeps anybody from hearing them.

use std::time::Duration;

use futures::future::select_all;
use tokio::{
    signal::unix::{signal, Signal, SignalKind},
    sync::watch,
};

/// The exit code of a miner that a signal stopped, as shells have it of SIGTERM: whoever starts miners again tells by
/// it that this one has not drained.
pub const STOPPED: u8 = 143;

/// A watch that turns true when the process is asked to stop.
pub fn watch() -> watch::Receiver<bool> {
    listen(stops(), false, || {})
}

/// A watch that turns true when the process is asked to drain, by SIGUSR1; true from the beginning if `is_asked`.
pub fn watch_for_drain(is_asked: bool) -> watch::Receiver<bool> {
    listen(vec![SignalKind::user_defined1()], is_asked, || {})
}

/// What asks a process to stop.
fn stops() -> Vec<SignalKind> {
    vec![SignalKind::interrupt(), SignalKind::terminate()]
}

/// The same, and the process ends at the latest `grace` after it was asked, with the exit code that `code` gives then,
/// whatever it does. `heard` is called at once.
pub fn watch_with_deadline(
    grace: Duration,
    code: impl Fn() -> i32 + Clone + Send + 'static,
    heard: impl Fn() + Send + 'static,
) -> watch::Receiver<bool> {
    listen(stops(), false, move || {
        let code = code.clone();
        let end = move || {
            std::thread::sleep(grace);
            // What it started dies with it.
            std::process::exit(code());
        };
        // Without a thread there is no deadline, and the orderly end is all there is.
        let _ = std::thread::Builder::new()
            .name("deadline".into())
            .spawn(end);
        // It may write to a terminal that takes nothing: the deadline runs already.
        heard();
    })
}

/// A watch that turns true with the first of these signals, of which `heard` is told.
fn listen(
    kinds: Vec<SignalKind>,
    is_true: bool,
    heard: impl Fn() + Send + 'static,
) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(is_true);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let wait = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        else {
            // A sender that is gone would read as a request to stop.
            return std::mem::forget(sender);
        };
        runtime.block_on(async {
            let signals: std::io::Result<Vec<Signal>> = kinds.into_iter().map(signal).collect();
            let _ = ready.send(());
            let Ok(mut signals) = signals else {
                return std::future::pending().await;
            };
            let each = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
            drop(select_all(each).await);
            heard();
            sender.send_replace(true);
            // As long as somebody watches, it stays true.
            sender.closed().await;
        });
    };
    // Without it, the system's own handlers take the process down.
    if std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)
        .is_ok()
    {
        // From here on they are heard.
        let _ = is_ready.recv();
    }
    receiver
}

/// Ends when the watch turns true; never if nobody listens for signals.
pub async fn asked(watch: &mut watch::Receiver<bool>) {
    if watch.wait_for(|asked| *asked).await.is_err() {
        std::future::pending().await
    }
}
