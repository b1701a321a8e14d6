//! Which model is used.

use std::path::{Path, PathBuf};

use cairn_engine::Device;
use cairn_primitives::ModelRoot;
use cairn_store::Store;
use clap::Args;

use super::{
    args::ThreadsArg,
    checkpoint::{CheckpointArgs, Found},
};
use crate::{
    error::Failure,
    progress::progress,
    serving::{Computing, Loaded},
};

/// Which model: a run's, or one that was exported.
#[derive(Args, Debug)]
pub struct ModelArgs {
    /// A directory that `cairn run export` wrote; neither chain nor store is asked then
    #[arg(long, env = "CAIRN_MODEL_DIR", value_name = "DIR")]
    model: Option<PathBuf>,
    /// The store that the workers of a run share, such as file:///srv/cairn
    #[arg(
        long,
        env = "CAIRN_STORE",
        value_name = "URL",
        required_unless_present = "model"
    )]
    store: Option<String>,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
}

/// What computes with it.
#[derive(Args, Clone, Copy, Debug)]
pub struct ComputingArgs {
    /// Where to compute: on the CPU, which gives the same bits on every machine, or on one GPU, as cuda:0; auto takes
    /// the first GPU if there is one
    #[arg(long, env = "CAIRN_DEVICE", default_value_t = Device::Cpu, value_name = "DEVICE")]
    device: Device,
    #[command(flatten)]
    threads: ThreadsArg,
}

impl ComputingArgs {
    /// What was chosen.
    ///
    /// # Errors
    /// If that is several GPUs.
    pub fn chosen(self) -> Result<Computing, Failure> {
        let ComputingArgs { device, threads } = self;
        match device {
            Device::Cards { .. } => Err(Failure::new(
                "a model is used on one GPU",
                "name one with --device, such as cuda:0",
            )),
            Device::Auto | Device::Cpu | Device::Cuda(_) => Ok(Computing {
                device,
                threads: threads.count(),
            }),
        }
    }
}

impl ModelArgs {
    /// The directory of an exported model, if one is named.
    pub fn directory(&self) -> Option<&Path> {
        self.model.as_deref()
    }

    /// Finds a run's parameters where no directory is named.
    ///
    /// # Errors
    /// As [`CheckpointArgs::find`].
    pub async fn find(&self) -> Result<Found, Failure> {
        self.checkpoint.find(&self.open()?).await
    }

    /// Finds the model and makes it ready for what computes.
    ///
    /// # Errors
    /// If it is not there, not whole, or has no tokenizer.
    pub async fn load(&self, on: Computing) -> Result<Loaded, Failure> {
        if let Some(directory) = self.model.clone() {
            let _told = progress("reading the model", 0);
            let read = move || Loaded::read(&directory, on);
            return tokio::task::spawn_blocking(read).await?;
        }
        prepared(self.find().await?, on).await
    }

    /// Whether the newest parameters of a run are meant, so that newer ones may come.
    pub fn follows(&self) -> bool {
        self.model.is_none() && self.checkpoint.follows()
    }

    /// The root of the newest parameters, if they are newer than those with the root `held`. They are not read.
    ///
    /// # Errors
    /// If the chain or the store does not answer.
    pub async fn newer_than(&self, held: ModelRoot) -> Result<Option<ModelRoot>, Failure> {
        self.checkpoint.newer_than(&self.open()?, held).await
    }

    /// The store. Where no directory is named, the command line has made sure that there is one.
    fn open(&self) -> Result<Store, Failure> {
        Ok(Store::open(self.store.as_deref().unwrap_or_default())?)
    }
}

/// Makes what was found ready for what computes.
///
/// # Errors
/// If it has no tokenizer, or is no model that can be used.
pub(crate) async fn prepared(found: Found, on: Computing) -> Result<Loaded, Failure> {
    let tokenizer = found
        .tokenizer
        .ok_or_else(|| Failure::new("the model has no tokenizer", "name one with --tokenizer"))?;
    let (shape, parameters) = (found.shape, found.parameters);
    let pack = move || on.model(&shape, &parameters);
    Ok(Loaded {
        model: tokio::task::spawn_blocking(pack).await??,
        tokenizer,
        origin: found.origin,
    })
}
