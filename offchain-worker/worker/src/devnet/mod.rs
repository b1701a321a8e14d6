//! `cairn devnet`: a whole network on one machine.
//!
//! It starts a node, makes and funds the accounts of everybody, creates a subnet, prepares real text, starts
//! a run, and starts miners and validators as processes of their own, exactly as people would start them.
//! Then it watches: it follows the run from outside as a joining worker does, recomputes the parameters of every
//! round, compares their root with the one on chain, and measures the loss on held-out text. At the end it
//! says who earned what, and stops everything that it started.
//!
//! | file | what |
//! |---|---|
//! | `audit` | whether the chain's books are right, after every block |
//! | `book` | what is known of each round |
//! | `buckets` | an S3 server of its own |
//! | `options` | what can be asked for |
//! | `chaos` | rehearsed failures |
//! | `node` | the node's process |
//! | `members` | accounts, registration, the workers' processes |
//! | `setting` | data, subnet, run |
//! | `watch` | following the run |
//! | `loss` | the held-out loss, beside everything else |
//! | `report` | what comes out, as JSON |
//! | `screen` | what comes out, for people |

mod audit;
mod book;
mod buckets;
mod chaos;
mod loss;
mod members;
mod node;
mod options;
mod report;
mod screen;
pub(crate) mod setting;
mod watch;

pub use chaos::{Event, EventKind};
pub use options::{Options, Transport};
pub use report::{MemberReport, Report, RoundReport};

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{error::Failure, shutdown};

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How long it may take when a person has pressed Ctrl-C: nothing of a devnet has to be put in order.
const HASTE: Duration = Duration::from_millis(800);
/// After this time it is over, come what may.
const DEADLINE: Duration = Duration::from_millis(1_800);

/// Runs the network until its rounds are over, an error, or Ctrl-C; then stops all of it.
pub async fn run(options: Options) -> Result<(), Failure> {
    options.check()?;
    let began = Instant::now();
    let directory = Directory::new(options.keep.clone())?;
    let mut asked = shutdown::watch_with_deadline(
        DEADLINE,
        || 1,
        || {
            tracing::info!("asked to stop: stopping every process");
        },
    );
    let mut devnet = watch::Devnet::new(options, directory.path.clone());
    let outcome = tokio::select! {
        outcome = devnet.run() => Some(outcome),
        () = shutdown::asked(&mut asked) => None,
    };
    let outcome = match outcome {
        None => {
            devnet.abandon(HASTE).await;
            return Err(Failure::new(
                "stopped before its end",
                "everything that it started was stopped",
            ));
        }
        Some(Err(error)) => {
            devnet.stop().await;
            Err(error)
        }
        Some(Ok(mut report)) => {
            devnet.stop().await;
            report.wall_seconds = report::rounded(began.elapsed());
            devnet.finish(&report)
        }
    };
    // Why something went wrong is in the logs, so they stay.
    outcome.map_err(|error| {
        Failure::new(
            error,
            format!("logs are in {}", directory.keep().join("logs").display()),
        )
    })
}

/// The devnet's directory: removed at the end, unless a person named it or something failed.
struct Directory {
    path: PathBuf,
    remove: std::cell::Cell<bool>,
}

impl Directory {
    fn new(named: Option<PathBuf>) -> Result<Directory, Failure> {
        let remove = std::cell::Cell::new(named.is_none());
        let path = named.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("cairn-devnet-{}", std::process::id()))
        });
        let unusable = |why: String| {
            let what = format!("cannot use the directory {}: {why}", path.display());
            Failure::new(what, "name an empty, writable one with --keep")
        };
        std::fs::create_dir_all(&path).map_err(|error| unusable(error.to_string()))?;
        let path = path
            .canonicalize()
            .map_err(|error| unusable(error.to_string()))?;
        let mut entries = std::fs::read_dir(&path).map_err(|error| unusable(error.to_string()))?;
        if entries.next().is_some() {
            return Err(unusable("it is not empty".into()));
        }
        Ok(Directory { path, remove })
    }

    fn keep(&self) -> PathBuf {
        self.remove.set(false);
        self.path.clone()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.remove.get() {
            // What cannot be removed is in the system's directory for temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_in_use_is_refused() {
        let used = tempfile::tempdir().unwrap();
        std::fs::write(used.path().join("mine"), "x").unwrap();
        let error = Directory::new(Some(used.path().into()))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("not empty") && error.contains("--keep"),
            "{error}"
        );
    }

    #[test]
    fn a_directory_that_a_person_named_stays() {
        let parent = tempfile::tempdir().unwrap();
        let named = parent.path().join("kept");
        drop(Directory::new(Some(named.clone())).unwrap());
        assert!(named.exists());
    }
}
