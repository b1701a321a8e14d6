//! Ctrl-C and SIGTERM.

use tokio::{
    signal::unix::{signal, SignalKind},
    sync::watch,
};

/// Ends when a person presses Ctrl-C or somebody asks the process to end.
pub async fn asked() {
    let (interrupt, terminate) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        // Without handlers, the system's own take the process down.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// A watch that turns true when the process is asked to stop.
pub fn watch() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        asked().await;
        // Whoever watched may have gone.
        let _ = sender.send(true);
    });
    receiver
}
