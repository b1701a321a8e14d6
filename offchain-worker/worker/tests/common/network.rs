//! What the tests share that start a whole network: how it is started and bounded, and what it leaves.

#[path = "binary.rs"]
mod binary;

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{channel, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

use binary::node;
use cairn_worker::devnet::{MemberReport, Report};
use tempfile::TempDir;

use crate::common::cairn;

/// A run that a small machine trains.
pub const RUN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/run-small.toml");
/// After this time a network hangs, on however busy a machine: it is stopped, so that the test says what it saw.
const HANGS: Duration = Duration::from_secs(40 * 60);
/// How much of the end of each log is shown then, in lines.
const SHOWN: usize = 15;

/// A devnet that a test is about to start, in a directory of its own.
pub struct Devnet {
    directory: TempDir,
    name: &'static str,
    /// What starts it.
    pub command: Command,
}

/// What a devnet left that went well.
pub struct Ended {
    /// Where it kept everything; gone with this.
    pub kept: PathBuf,
    /// What it reported.
    pub report: Report,
    /// All that it said, with the ends of its logs.
    pub shown: String,
    _directory: TempDir,
}

impl Devnet {
    /// `cairn devnet` with these arguments, which keeps everything in a directory of this name.
    pub fn new(name: &'static str, arguments: &[&str]) -> Devnet {
        let mut devnet = Devnet {
            directory: tempfile::tempdir().expect("room"),
            name,
            command: cairn(&["devnet"]),
        };
        let (kept, json) = (devnet.kept(), devnet.beside("report.json"));
        devnet.command.args(arguments);
        devnet.command.arg("--node-bin").arg(node());
        devnet.command.arg("--keep").arg(kept);
        devnet.command.arg("--json").arg(json);
        devnet
    }

    /// Where it keeps everything.
    pub fn kept(&self) -> PathBuf {
        self.beside(self.name)
    }

    /// A place beside that.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts it.
    pub fn start(&mut self) -> Network {
        Network::start(&mut self.command)
    }

    /// Runs it to its end, which has to be a good one after so many rounds, and lets `hear` each line that it prints.
    pub fn run(mut self, rounds: usize, mut hear: impl FnMut(&str)) -> Ended {
        let mut running = self.start();
        let mut told = String::new();
        for line in running.lines() {
            hear(&line);
            told += &(line + "\n");
        }
        let (status, said) = running.end();
        let kept = self.kept();
        let shown = format!("{told}\n{said}\n{}", logs(&kept));
        assert!(status.success(), "{shown}");
        let report = std::fs::read(self.beside("report.json")).expect("written");
        let report: Report = serde_json::from_slice(&report).expect("a report");
        let settled: Vec<usize> = report.rounds.iter().map(|it| it.round as usize).collect();
        assert_eq!(settled, (0..rounds).collect::<Vec<usize>>(), "{shown}");
        Ended {
            kept,
            report,
            shown,
            _directory: self.directory,
        }
    }
}

impl Ended {
    /// In at least half of the rounds somebody was in time. How many more is for the machine's speed to say.
    pub fn most_rounds_included_somebody(&self) {
        let rounds = &self.report.rounds;
        let null = rounds.iter().filter(|round| round.included.is_empty());
        assert!(2 * null.count() <= rounds.len(), "{}", self.shown);
    }

    /// Everybody but a cheat holds the parameters after the last round.
    pub fn all_hold_one_model(&self) {
        let last = self.report.rounds.last().expect("a round").model_root;
        let members = self.report.members.iter();
        for member in members.filter(|member| role(member) != "cheat") {
            let (uid, root) = (member.uid, member.model_root);
            assert_eq!(root, Some(last), "member {uid}\n{}", self.shown);
        }
    }
}

/// What a member is there for.
pub fn role(member: &MemberReport) -> String {
    format!("{:?}", member.role).to_lowercase()
}

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
fn logs(kept: &Path) -> String {
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
