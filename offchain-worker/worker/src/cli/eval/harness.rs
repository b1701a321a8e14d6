//! lm-evaluation-harness, driven by the scripts of `scripts/eval`.

use std::{
    io,
    path::{Path, PathBuf},
    process::Output,
};

use clap::ValueEnum;
use thiserror::Error;
use tokio::process::Command;

use crate::{devnet::setting::CORPUS, error::Failure, new_file::NewFile, process};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Which of four words ends a sentence of an address that nobody trained on: chance is a quarter
    Cloze,
    /// The 281 answered MMLU questions that the harness brings along: chance is a quarter
    Mmlu,
}

/// The scripts and the text that they need, where they find each other.
const FILES: [(&str, &[u8]); 6] = [
    (
        "scripts/eval/run.py",
        include_bytes!("../../../../../scripts/eval/run.py"),
    ),
    (
        "scripts/eval/task.py",
        include_bytes!("../../../../../scripts/eval/task.py"),
    ),
    (
        "scripts/eval/cloze.py",
        include_bytes!("../../../../../scripts/eval/cloze.py"),
    ),
    (
        "scripts/eval/mmlu.py",
        include_bytes!("../../../../../scripts/eval/mmlu.py"),
    ),
    ("data/sotu.txt.zst", CORPUS),
    (
        "data/sotu.json",
        include_bytes!("../../../../../data/sotu.json"),
    ),
];

/// Says which modules of Python are missing.
const MISSING: &str = "import importlib.util, sys\n\
    names = 'lm_eval tenacity torch transformers accelerate zstandard'.split()\n\
    sys.exit(' '.join(name for name in names if importlib.util.find_spec(name) is None) or 0)";
/// With this the script says that the two ways chose other answers.
const DIFFERENT: i32 = 3;
/// With this, that the server did not say in time that it takes requests.
const SILENT: i32 = 4;
const REMEDY: &str = "`make venv` in a checkout of Cairn installs what it takes (several GB), or name a Python that has \
                      it with --python";

/// Why there is no result.
#[derive(Debug, Error)]
pub enum HarnessError {
    /// There is no such program.
    #[error(
        "there is no lm-evaluation-harness: cannot start {python}: {error}; {remedy}",
        remedy = REMEDY
    )]
    NoPython {
        /// What was to be started.
        python: String,
        /// Why it was not.
        error: io::Error,
    },
    /// It lacks modules.
    #[error("there is no lm-evaluation-harness: {python} lacks {modules}; {remedy}", remedy = REMEDY)]
    NoModules {
        /// Which Python.
        python: String,
        /// What it lacks.
        modules: String,
    },
    /// The server that was started did not say in time that it takes requests.
    #[error("the model cannot be asked: {said}; see what else this machine does, and try again")]
    Silent {
        /// By the script.
        said: String,
    },
    /// It ended before it had a result.
    #[error("the evaluation did not come to its end: {said}; {remedy}")]
    Broken {
        /// The last line that it said.
        said: String,
        /// What to do.
        remedy: String,
    },
    /// Somebody stopped it.
    #[error("the evaluation was stopped; run it again, earlier results are kept")]
    Stopped,
    /// Something cannot be written or started.
    #[error("the evaluation cannot begin: {0}; check the disk, and try again")]
    System(#[from] io::Error),
}

/// What an evaluation came to.
pub struct Outcome {
    /// The root of the parameters, `0x…`, under which the result is kept.
    pub root: String,
    /// Whether both ways chose the same answers.
    pub equal: bool,
}

/// A Python that has the harness, and where it works.
pub struct Harness {
    python: PathBuf,
    out: PathBuf,
}

impl Harness {
    /// Makes sure that it is there, and puts the scripts below `out`, an absolute path.
    ///
    /// # Errors
    /// If there is no such Python, or if it lacks a module.
    pub async fn new(python: &Path, out: &Path) -> Result<Harness, Failure> {
        let name = python.display().to_string();
        let asked = output(Command::new(python).args(["-c", MISSING])).await;
        let asked = match asked {
            Ok(asked) => asked,
            Err(error) => {
                let python = name;
                return Err(HarnessError::NoPython { python, error }.into());
            }
        };
        if !asked.status.success() {
            let missing = HarnessError::NoModules {
                python: name,
                modules: last_line(&asked.stderr),
            };
            return Err(missing.into());
        }
        let harness = Harness {
            python: python.to_path_buf(),
            out: out.to_path_buf(),
        };
        for (path, content) in FILES {
            let path = harness.tools().join(path);
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory)?;
            }
            NewFile::write(&path, content)?;
        }
        Ok(harness)
    }

    /// Evaluates an exported model, which leaves a file with the result. All that was started ends with this.
    ///
    /// # Errors
    /// [`HarnessError`] if it does not come to its end.
    pub async fn run(
        &self,
        model: &Path,
        tasks: &[Task],
        questions: u32,
    ) -> Result<Outcome, HarnessError> {
        let names = tasks.iter().filter_map(Task::to_possible_value);
        let names: Vec<String> = names.map(|name| name.get_name().to_string()).collect();
        let mut command = Command::new(&self.python);
        command
            .arg(self.tools().join("scripts/eval/run.py"))
            .arg("--cairn")
            .arg(std::env::current_exe()?)
            .arg("--model")
            .arg(model)
            .arg("--out")
            .arg(&self.out)
            .args(["--tasks", &names.join(",")])
            .args(["--questions", &questions.to_string()]);
        let done = output(&mut command).await?;
        let said = last_line(&done.stdout);
        let root = said.strip_prefix("evaluated ").map(String::from);
        let equal = match done.status.code() {
            Some(0) => Some(true),
            Some(DIFFERENT) => Some(false),
            Some(SILENT) => {
                let said = last_line(&done.stderr);
                return Err(HarnessError::Silent { said });
            }
            _ => None,
        };
        match (root, equal) {
            (Some(root), Some(equal)) => Ok(Outcome { root, equal }),
            _ => Err(self.broken(&done.stderr)),
        }
    }

    /// It did not come to its end.
    fn broken(&self, stderr: &[u8]) -> HarnessError {
        let log = self.out.join("failed.log");
        let remedy = match NewFile::write(&log, stderr) {
            Ok(()) => format!("all that it said is in {}", log.display()),
            Err(_) => "make room, and try again".into(),
        };
        let said = last_line(stderr);
        HarnessError::Broken { said, remedy }
    }

    fn tools(&self) -> PathBuf {
        self.out.join("tools")
    }
}

/// Runs a program to its end; it ends with this one.
async fn output(command: &mut Command) -> io::Result<Output> {
    // What this program was told, a key perhaps among it, is for no other, nor for the server that the script starts.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"CAIRN_") {
            command.env_remove(name);
        }
    }
    process::output(command).await
}

/// The last line that says something.
fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().rev().map(str::trim);
    let last = lines.find(|line| !line.is_empty());
    last.unwrap_or("it said nothing").to_string()
}
