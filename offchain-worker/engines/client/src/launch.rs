//! How the program is started and ended.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{self, Read},
    os::unix::{
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{
        mpsc::{channel, Receiver, Sender},
        Arc, Mutex, PoisonError,
    },
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{killpg, Signal},
    unistd::Pid,
};

use crate::{border::Deadline, bulk::Bulk, message::shown, ProcessError};

/// The module that is started.
const MODULE: &str = "cairn_engine_torch";
/// Between two looks for rank 0.
const LOOK: Duration = Duration::from_millis(20);
/// The last bytes of its standard error that are kept.
const KEPT: usize = 4096;
/// How long the last words of a program that ended are waited for.
const WORDS: Duration = Duration::from_secs(2);

/// What starts the ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// So many ranks on this machine: alone, or by PyTorch's launcher.
    Ranks {
        /// Python, in whose environment the engine is installed.
        python: PathBuf,
        /// How many.
        count: u16,
    },
    /// A command, with what follows `--launch`. The module and its arguments are put behind it, so it ends where Python
    /// would take them: `torchrun --nnodes 2 … -m`.
    Command(Vec<OsString>),
}

/// How the engine computes.
#[derive(Clone, Debug)]
pub struct Options {
    /// What starts the ranks.
    pub launch: Launch,
    /// What each computes on, as PyTorch names it: `cpu`, `cuda`, `xpu`, `mps`.
    pub device: String,
    /// More arguments of the engine.
    pub arguments: Vec<OsString>,
    /// Below which directory files are shared; all ranks have to see it. The system's temporary one if there is none.
    pub directory: Option<PathBuf>,
    /// How long each verb may take.
    pub deadlines: Deadlines,
}

impl Options {
    /// So many ranks on this machine, with the environment that `make engine-torch` makes below a cache directory.
    pub fn ranks(cache: &Path, count: u16, device: &str) -> Options {
        let python = cache.join("engine-torch/bin/python");
        Options {
            launch: Launch::Ranks { python, count },
            device: device.into(),
            arguments: Vec::new(),
            directory: None,
            deadlines: Deadlines::default(),
        }
    }
}

/// How long each verb may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From the start until the model is made.
    pub start: Duration,
    /// To load, begin, save or finish: what moves all parameters.
    pub move_all: Duration,
    /// A step.
    pub step: Duration,
    /// What moves nothing.
    pub answer: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            start: Duration::from_secs(300),
            move_all: Duration::from_secs(900),
            step: Duration::from_secs(1_800),
            answer: Duration::from_secs(30),
        }
    }
}

/// A program that runs. It ends with this.
pub struct Running {
    child: Child,
    said: Arc<Mutex<VecDeque<u8>>>,
    /// Closed when all was said.
    is_silent: Receiver<()>,
}

impl Running {
    /// Starts it, and waits until rank 0 has come.
    pub fn start(
        options: &Options,
        bulk: &Bulk,
        deadline: &Deadline,
    ) -> Result<(Running, UnixStream), ProcessError> {
        let socket = bulk.socket();
        let mut command = command(options, bulk);
        let failed = |error| ProcessError::Start {
            program: options.launch.program(),
            error,
        };
        let listener = UnixListener::bind(&socket).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let mut child = command.spawn().map_err(failed)?;
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let stderr = child.stderr.take();
        // from here on it is ended when this is dropped
        let (silent, is_silent) = channel();
        let mut running = Running {
            child,
            said,
            is_silent,
        };
        if let Some(stderr) = stderr {
            let said = running.said.clone();
            let reading = thread::Builder::new().name("engine-stderr".into());
            reading
                .spawn(move || keep(stderr, &said, silent))
                .map_err(failed)?;
        }
        let stream = running.meet(&listener, deadline)?;
        Ok((running, stream))
    }

    fn meet(
        &mut self,
        listener: &UnixListener,
        deadline: &Deadline,
    ) -> Result<UnixStream, ProcessError> {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    let blocking = stream.set_nonblocking(false);
                    return blocking
                        .map(|()| stream)
                        .map_err(|error| deadline.broken(error.to_string()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(deadline.broken(error.to_string())),
            }
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                let verb = deadline.verb;
                let said = self.last_words();
                return Err(ProcessError::Ended { verb, said });
            }
            thread::sleep(deadline.left()?.min(LOOK));
        }
    }

    /// What a program that ended wrote to its standard error last, for people.
    pub fn last_words(&self) -> String {
        // nothing comes, only an end
        let _ = self.is_silent.recv_timeout(WORDS);
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = said.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().rev().map(str::trim);
        // an exception is in a program's last line
        match lines
            .clone()
            .find(|line| line.contains("Error"))
            .or(lines.clone().find(|line| !line.is_empty()))
        {
            Some(line) => shown(line),
            None => "it wrote nothing to its standard error".into(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ranks that a launcher put elsewhere end with the launcher, or when the socket closes.
        if let Ok(group) = i32::try_from(self.child.id()) {
            // there is none if it has ended
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        // It may have gone into another group, and would be waited for without an end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Launch {
    /// What is started, for people.
    fn program(&self) -> String {
        match self {
            Launch::Ranks { python, .. } => python.display().to_string(),
            Launch::Command(words) => {
                let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                words.join(" ")
            }
        }
    }
}

/// The command, in a process group of its own.
fn command(options: &Options, bulk: &Bulk) -> Command {
    let mut command = match &options.launch {
        Launch::Ranks { python, count } => {
            let mut command = Command::new(python);
            if *count > 1 {
                let ranks = format!("--nproc-per-node={count}");
                command.args(["-m", "torch.distributed.run", "--standalone", &ranks]);
            }
            command.arg("-m");
            command
        }
        Launch::Command(words) => {
            let mut words = words.iter();
            let mut command = Command::new(words.next().cloned().unwrap_or_default());
            command.args(words);
            command
        }
    };
    command
        .arg(MODULE)
        .arg("--socket")
        .arg(bulk.socket())
        .arg("--directory")
        .arg(bulk.directory())
        .args(["--device", &options.device])
        .args(&options.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    // What this worker was told, its key among it, is none of the program's business.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"CAIRN_") {
            command.env_remove(name);
        }
    }
    command
}

/// Reads all that a program writes, and keeps the end of it. `_silent` closes with this.
fn keep(mut stderr: ChildStderr, said: &Mutex<VecDeque<u8>>, _silent: Sender<()>) {
    let mut piece = [0; 1024];
    while let Ok(read) = stderr.read(&mut piece) {
        if read == 0 {
            return;
        }
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend(piece.iter().take(read));
        let over = said.len().saturating_sub(KEPT);
        said.drain(..over);
    }
}
