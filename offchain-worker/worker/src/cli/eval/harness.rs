//! lm-evaluation-harness, driven by the scripts of `scripts/eval`.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use clap::ValueEnum;
use tokio::process::Command;

use crate::{devnet::setting::CORPUS, error::Failure, new_file::NewFile};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Which of four words ends a sentence of an address that nobody trained on: chance is a quarter
    Cloze,
    /// The 281 answered MMLU questions that the harness brings along: chance is a quarter
    Mmlu,
}

/// The scripts and the text that they need, where they find each other.
const FILES: [(&str, &[u8]); 5] = [
    (
        "scripts/eval/run.py",
        include_bytes!("../../../../../scripts/eval/run.py"),
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
const REMEDY: &str = "`make venv` in a checkout of Cairn installs what it takes (several GB), or name a Python that has \
                      it with --python";

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
        let name = python.display();
        let asked = output(Command::new(python).args(["-c", MISSING])).await;
        let asked = asked.map_err(|error| {
            let what = format!("there is no lm-evaluation-harness: cannot start {name}: {error}");
            Failure::new(what, REMEDY)
        })?;
        if !asked.status.success() {
            let missing = last_line(&asked.stderr);
            let what = format!("there is no lm-evaluation-harness: {name} lacks {missing}");
            return Err(Failure::new(what, REMEDY));
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

    /// Evaluates an exported model, which leaves a file with the result.
    ///
    /// # Errors
    /// If it does not come to its end.
    pub async fn run(
        &self,
        model: &Path,
        tasks: &[Task],
        questions: u32,
    ) -> Result<Outcome, Failure> {
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
            _ => None,
        };
        match (root, equal) {
            (Some(root), Some(equal)) => Ok(Outcome { root, equal }),
            _ => Err(self.broken(&done.stderr)),
        }
    }

    /// It did not come to its end.
    fn broken(&self, stderr: &[u8]) -> Failure {
        let what = format!(
            "the evaluation did not come to its end: {}",
            last_line(stderr)
        );
        let log = self.out.join("failed.log");
        match NewFile::write(&log, stderr) {
            Ok(()) => Failure::new(what, format!("all that it said is in {}", log.display())),
            Err(_) => Failure::new(what, "make room, and try again"),
        }
    }

    fn tools(&self) -> PathBuf {
        self.out.join("tools")
    }
}

/// Runs a program to its end; it ends with this one.
async fn output(command: &mut Command) -> std::io::Result<Output> {
    // What this program was told, a key perhaps among it, is for no other, nor for the server that the script starts.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"CAIRN_") {
            command.env_remove(name);
        }
    }
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    command.output().await
}

/// The last line that says something.
fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().rev().map(str::trim);
    let last = lines.find(|line| !line.is_empty());
    last.unwrap_or("it said nothing").to_string()
}
