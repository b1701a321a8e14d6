//! Child processes that never outlive their parent.
//!
//! Three nets, since any one can tear: an orderly stop (SIGTERM, then SIGKILL after a grace time), SIGKILL
//! when the handle is dropped, and on Linux the kernel's parent-death signal, which holds even when the
//! parent itself is killed.

use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{kill, killpg, Signal},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

use crate::error::Failure;

/// A running child with its log file.
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `command` with its output appended to `log`. In a process group of its own, so that Ctrl-C in a
    /// terminal reaches the parent alone, which then stops its children in order.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Process, Failure> {
        let out = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|error| {
                let what = format!("cannot write the log {}: {error}", log.display());
                Failure::new(what, "name a writable directory with --keep")
            })?;
        let errors = out.try_clone()?;
        command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .kill_on_drop(true)
            .process_group(0);
        die_with_parent(&mut command, Signal::SIGKILL);
        let program = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        let child = command.spawn().map_err(|error| {
            Failure::new(
                format!("cannot start {program}: {error}"),
                "build it, or name its path",
            )
        })?;
        Ok(Process {
            name: name.to_string(),
            log: log.to_path_buf(),
            child,
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error that says how it ended and quotes the last line of its log.
    pub fn why_ended(&self, status: ExitStatus) -> Failure {
        let said = last_line(&self.log).unwrap_or_else(|| "it said nothing".into());
        Failure::new(
            format!("{} ended ({status}): {said}", self.name),
            format!("its log is {}", self.log.display()),
        )
    }

    /// Kills it as `kill -9` does.
    pub async fn kill(&mut self) {
        // An error here means that it is gone already.
        let _ = self.child.kill().await;
    }

    /// Has it stand still as `kill -STOP` does: its connections stay open, and nothing is answered.
    pub fn stand_still(&self) {
        self.send(Signal::SIGSTOP);
    }

    /// Asks it to stop, and kills it after `grace`.
    pub async fn stop(&mut self, grace: Duration) {
        self.ask_to_stop();
        if tokio::time::timeout(grace, self.child.wait())
            .await
            .is_err()
        {
            self.kill().await;
        }
    }

    /// Sends SIGTERM, without waiting.
    pub fn ask_to_stop(&self) {
        self.send(Signal::SIGTERM);
    }

    fn send(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // An error here means that it is gone already.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// Runs a program to its end and gives what it said. Neither it nor what it started outlives that, or this future,
/// unless it goes into another process group: one that does, and keeps the pipes, is waited for until it closes them.
/// If this process is killed, the program is asked to stop.
///
/// # Errors
/// Those of the system, if it cannot be started or heard.
pub async fn output(command: &mut Command) -> io::Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .process_group(0);
    die_with_parent(command, Signal::SIGTERM);
    let mut child = command.spawn()?;
    let group = Group(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async move {
        let status = child.wait().await;
        // What it left would keep its pipes open.
        drop(group);
        status
    };
    let (status, stdout, stderr) = tokio::try_join!(ended, all_of(stdout), all_of(stderr))?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// A process group by its first process. All of it is killed with this.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.and_then(|id| i32::try_from(id).ok()) {
            // An error here means that nobody is left.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// All that comes out of a pipe.
async fn all_of(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut said).await?;
    }
    Ok(said)
}

/// Has the kernel send the child a signal when the thread that started it ends. Children are started on the main
/// thread, which ends with the process.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command, signal: Signal) {
    // SAFETY: between fork and exec only async-signal-safe calls are made: prctl is a plain system call.
    unsafe {
        command.pre_exec(move || Ok(nix::sys::prctl::set_pdeathsig(signal)?));
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command, _: Signal) {}

/// The last line of a log that says something.
fn last_line(log: &Path) -> Option<String> {
    let text = std::fs::read(log).ok()?;
    let tail = text.get(text.len().saturating_sub(4_096)..)?;
    let tail = String::from_utf8_lossy(tail);
    tail.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, log: &Path) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("child", command, log).unwrap()
    }

    fn alive(pid: u32) -> bool {
        kill(Pid::from_raw(pid as i32), None).is_ok()
    }

    #[tokio::test]
    async fn a_child_that_ends_is_explained_by_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut process = shell("echo no space left; exit 3", &log);
        let status = process.child.wait().await.unwrap();
        let said = process.why_ended(status).to_string();
        assert!(
            said.contains("no space left") && said.contains("3"),
            "{said}"
        );
        assert_eq!(process.ended().and_then(|status| status.code()), Some(3));
    }

    #[tokio::test]
    async fn a_child_that_ignores_the_request_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let mut process = shell(
            "trap '' TERM; echo up; while :; do :; done",
            &directory.path().join("log"),
        );
        let pid = process.child.id().unwrap();
        process.stop(Duration::from_millis(1)).await;
        assert!(process.ended().is_some() && !alive(pid));
    }

    #[tokio::test]
    async fn what_a_program_leaves_behind_ends_with_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "tail -f /dev/null & echo $!; exit 3"]);
        // What is left has the pipes: as long as it lives, this does not come to its end.
        let done = output(&mut command).await.unwrap();
        assert_eq!(done.status.code(), Some(3));
        let left = String::from_utf8(done.stdout).unwrap();
        assert!(left.trim().parse::<u32>().is_ok(), "{left}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let command = Command::new("/nowhere/cairn-node");
        let error = Process::start("node", command, &directory.path().join("log"))
            .err()
            .unwrap();
        assert!(error.to_string().contains("/nowhere/cairn-node"), "{error}");
    }
}
