//! `cairn eval`.

mod harness;
mod results;

use std::path::{Path, PathBuf};

use cairn_trainer::{cuda, hugging_face::SHARD_BYTES};
use clap::Args;
use serde::Serialize;

use self::{
    harness::{Harness, HarnessError, Outcome, Task},
    results::{all, Answered, Evaluated},
};
use super::{args::JsonArg, export, model::ModelArgs, print};
use crate::{error::Failure, output, progress::progress, shutdown};

/// Where a model is put while it is evaluated, below the directory of the results.
const EXPORT: &str = ".export";

/// `cairn eval`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn eval --netuid 1 --store file:///srv/cairn --out evaluation\n  cairn eval --netuid 1 --store file:///srv/cairn --out evaluation --tasks cloze,mmlu\n  cairn eval --model model --out evaluation --questions 100 --json\n\nIt exports the newest parameters whose root is final on chain, and has lm-evaluation-harness ask them: once by Hugging Face's\n`transformers`, once by `cairn serve`. Both have to choose the same answers. The directory keeps a file for each root; run it\nagain when rounds have passed, and it draws the curve. `make venv` in a checkout installs the harness."
)]
pub struct Eval {
    /// Directory that keeps the results of all rounds; it is made if it is not there
    #[arg(long, env = "CAIRN_OUT", value_name = "DIR")]
    out: PathBuf,
    /// What is asked
    #[arg(
        long,
        env = "CAIRN_TASKS",
        value_name = "TASK",
        value_delimiter = ',',
        default_value = "cloze"
    )]
    tasks: Vec<Task>,
    /// Questions of the cloze task at most
    #[arg(long, env = "CAIRN_QUESTIONS", default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    questions: u32,
    /// Python with lm-evaluation-harness [default: the one that `make venv` installs]
    #[arg(long, env = "CAIRN_PYTHON", value_name = "PATH")]
    python: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    /// What was found now.
    evaluated: Evaluated,
    /// Whether both ways chose the same answers.
    equal: bool,
    /// All that the directory has, by round.
    results: Vec<Evaluated>,
}

impl Eval {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let python = self.python.clone();
        let python = python.unwrap_or_else(|| cuda::cache_directory().join("venv/bin/python"));
        let out = made(&self.out)?;
        // What is missing is said before a model is exported.
        let harness = Harness::new(&python, &out).await?;
        let exported = Exported(out.join(EXPORT));
        let model = match self.model.directory() {
            Some(model) => model.to_path_buf(),
            None => self.export(&exported.0).await?,
        };
        let outcome = self.ask(&harness, &model).await?;
        drop(exported);
        let (results, equal) = (all(&out)?, outcome.equal);
        let is_it = |one: &&Evaluated| format!("{:?}", one.model_root) == outcome.root;
        let evaluated = results.iter().find(is_it).cloned();
        let nothing = || {
            let what = format!("the evaluation of {} left no result", outcome.root);
            Failure::new(what, "report this")
        };
        let report = Report {
            evaluated: evaluated.ok_or_else(nothing)?,
            equal,
            results,
        };
        print(self.json.json, &report, |report| {
            results::text(&report.evaluated, &report.results)
        })?;
        match equal {
            true => Ok(()),
            false => Err(different(&report.evaluated, &out)),
        }
    }

    /// Has the harness ask, until it is done or this program is asked to stop: then all that was started ends.
    async fn ask(&self, harness: &Harness, model: &Path) -> Result<Outcome, HarnessError> {
        let _told = progress("lm-evaluation-harness asks", 0);
        let mut stop = shutdown::watch();
        tokio::select! {
            outcome = harness.run(model, &self.tasks, self.questions) => outcome,
            () = shutdown::asked(&mut stop) => Err(HarnessError::Stopped),
        }
    }

    /// Exports what is to be evaluated, and gives where.
    async fn export(&self, to: &Path) -> Result<PathBuf, Failure> {
        let found = self.model.find().await?;
        if found.tokenizer.is_none() {
            let what = "the model has no tokenizer, so nothing can be asked";
            return Err(Failure::new(what, "name one with --tokenizer"));
        }
        if !self.json.json {
            output::say(&format!("cairn: {}", found.origin));
        }
        remove(to)?;
        let told = progress("writing the model", 4 * found.parameters.len() as u64);
        export::write(to, &found, SHARD_BYTES, &told)?;
        Ok(to.to_path_buf())
    }
}

/// A model that was exported to be evaluated: it goes with this.
struct Exported(PathBuf);

impl Drop for Exported {
    fn drop(&mut self) {
        // What is left is removed by the next one.
        let _ = remove(&self.0);
    }
}

fn remove(directory: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The directory, made if it is not there, as every program finds it.
fn made(out: &Path) -> Result<PathBuf, Failure> {
    let made = std::fs::create_dir_all(out).and_then(|()| out.canonicalize());
    made.map_err(|error| {
        let what = format!("cannot write to {}: {error}", out.display());
        Failure::new(what, "name another directory with --out")
    })
}

/// The two ways disagree.
fn different(evaluated: &Evaluated, out: &Path) -> Failure {
    let of = |(name, task): (&String, &Answered)| {
        format!("{} of {} in {name}", task.same_answers, task.questions)
    };
    let answers: Vec<String> = evaluated.tasks.iter().map(of).collect();
    let what = format!(
        "transformers and `cairn serve` chose the same answers to {} only",
        answers.join(", ")
    );
    Failure::new(what, format!("report this with {}", out.display()))
}
