//! What the tests share that start a whole network.

#[path = "binary.rs"]
mod binary;

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{channel, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

pub use binary::node;

/// After this time a network hangs, on however busy a machine: it is stopped, so that the test says what it saw.
const HANGS: Duration = Duration::from_secs(20 * 60);
/// How much of the end of each log is shown then, in lines.
const SHOWN: usize = 15;

/// A network that was started. It is killed should the test end before it does, and stopped should it hang.
pub struct Network {
    pub child: Child,
    errors: Option<JoinHandle<String>>,
    _ended: Sender<()>,
}

impl Network {
    /// Starts it.
    pub fn start(command: &mut Command) -> Network {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("cairn starts");
        let mut errors = child.stderr.take().expect("piped");
        // Read beside standard output, or who writes much would wait for ever.
        let errors = std::thread::spawn(move || {
            let mut said = String::new();
            errors.read_to_string(&mut said).expect("UTF-8");
            said
        });
        let (ended, end) = channel();
        let id = child.id();
        std::thread::spawn(move || {
            if end.recv_timeout(HANGS) == Err(RecvTimeoutError::Timeout) {
                signal(id, "-INT");
            }
        });
        Network {
            child,
            errors: Some(errors),
            _ended: ended,
        }
    }

    /// Its standard output by lines, until it closes it.
    pub fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        let out = self.child.stdout.take().expect("taken once");
        BufReader::new(out).lines().map(|line| line.expect("UTF-8"))
    }

    /// How it ended, and its standard error.
    pub fn end(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it ends");
        let errors = self.errors.take().expect("asked once");
        (status, errors.join().expect("read"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a process a signal, as `kill` names it. Says whether that was possible.
pub fn signal(id: u32, which: &str) -> bool {
    let kill = Command::new("kill").args([which, &id.to_string()]).status();
    kill.is_ok_and(|status| status.success())
}

/// The ends of the logs in a devnet's directory, to be shown if it failed.
pub fn logs(kept: &Path) -> String {
    let mut told = String::new();
    for entry in std::fs::read_dir(kept.join("logs")).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let log = std::fs::read(&path).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let skipped = log.lines().count().saturating_sub(SHOWN);
        told += &format!("--- {}\n", path.display());
        for line in log.lines().skip(skipped) {
            told += &format!("{line}\n");
        }
    }
    told
}
