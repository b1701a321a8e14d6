//! Options that several benchmarks share. Where one differs in a default or in what is said of it, the command says so
//! with `mut_arg`.

use std::path::PathBuf;

use clap::Args;

use crate::error::Failure;

/// Which model.
#[derive(Args, Debug)]
pub struct NameArg {
    /// The model: tiny, 10m, 100m, 1b or 8b
    // The same name as the settings file's, and so the same type.
    #[arg(long, env = "CAIRN_MODEL", default_value = "10m", value_name = "NAME")]
    config: PathBuf,
}

impl NameArg {
    /// The model's name.
    pub fn name(&self) -> String {
        self.config.to_string_lossy().into_owned()
    }
}

/// How large a step is.
#[derive(Args, Clone, Copy, Debug)]
pub struct SequencesArg {
    /// Sequences of a step
    #[arg(
        long,
        env = "CAIRN_BATCH",
        default_value_t = 4,
        value_name = "SEQUENCES"
    )]
    pub sequences: u16,
}

/// A pool of threads.
#[derive(Args, Clone, Copy, Debug)]
pub struct PoolArg {
    /// Threads
    #[arg(
        long,
        env = "CAIRN_THREADS",
        default_value_t = 1,
        value_name = "NUMBER"
    )]
    pub threads: usize,
}

impl PoolArg {
    /// Does some work on so many threads.
    ///
    /// # Errors
    /// The work's, and the system's if it does not give the threads.
    pub fn install<T: Send>(
        self,
        work: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build()?;
        pool.install(work)
    }
}
