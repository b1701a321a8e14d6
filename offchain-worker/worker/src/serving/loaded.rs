//! A model that is used, and where it comes from.

use std::{fmt, path::Path};

use cairn_data::TextTokenizer;
use cairn_engine::Device;
use cairn_gradient::model_root;
use cairn_inference::{files, InferenceError, Model, CPU};
use cairn_primitives::{BlockNumber, ModelRoot, ModelShape, Netuid, Round};
use cairn_trainer::hugging_face;
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// The file of an exported model that says where it comes from.
pub const ORIGIN: &str = "cairn.json";

/// Where parameters come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The run's name, if it is known.
    pub run: Option<String>,
    /// The run's subnet, if it was asked for on chain.
    pub netuid: Option<Netuid>,
    /// The round that began with them, if that is known.
    pub round: Option<Round>,
    /// Their root.
    pub model_root: ModelRoot,
    /// The block at which the run was stopped, if it was.
    pub stopped_at: Option<BlockNumber>,
}

impl Origin {
    /// What the model is called.
    pub fn name(&self) -> &str {
        self.run.as_deref().unwrap_or("model")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parameters with root {:?}", self.model_root)?;
        if let Some(round) = self.round {
            write!(f, ", with which round {round} began")?;
        }
        if let Some(run) = &self.run {
            write!(f, ", of run `{run}`")?;
        }
        match self.netuid {
            Some(netuid) => write!(f, " on subnet {netuid}"),
            None => Ok(()),
        }
    }
}

/// What computes with a model.
#[derive(Clone, Copy, Debug)]
pub struct Computing {
    /// The CPU, or a card; of several the first.
    pub device: Device,
    /// Threads of the CPU.
    pub threads: usize,
}

impl Computing {
    /// On so many threads of the CPU.
    pub const fn cpu(threads: usize) -> Computing {
        Computing {
            device: Device::Cpu,
            threads,
        }
    }

    /// What computes with a model's successors, if `device` is [what computes](Model::device) with it: what was found
    /// for the first is for all. A server does not become slow because a card has no room for two models at once.
    #[must_use]
    pub fn settled(self, device: &str) -> Computing {
        let device = match (self.device, device) {
            (Device::Auto, CPU) => Device::Cpu,
            (Device::Auto, _) => Device::Cuda(0),
            (named, _) => named,
        };
        Computing { device, ..self }
    }

    /// Makes a model ready.
    ///
    /// # Errors
    /// As [`Model::new`] and [`Model::on_card`].
    pub fn model(self, shape: &ModelShape, parameters: &[f32]) -> Result<Model, InferenceError> {
        let on_cpu = || Model::new(shape, parameters, self.threads);
        match self.device {
            Device::Cpu => on_cpu(),
            Device::Cuda(ordinal) | Device::Cards { first: ordinal, .. } => {
                Model::on_card(shape, parameters, ordinal)
            }
            Device::Auto => Model::on_card(shape, parameters, 0).or_else(|reason| {
                tracing::info!("no GPU is used: {reason}");
                on_cpu()
            }),
        }
    }
}

/// A model with its tokenizer.
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// Its tokenizer.
    pub tokenizer: TextTokenizer,
    /// Where it comes from.
    pub origin: Origin,
}

impl Loaded {
    /// Reads what `cairn run export` wrote into a directory.
    ///
    /// # Errors
    /// If something in it is missing, is of another model, or has another root than it says.
    pub fn read(directory: &Path, on: Computing) -> Result<Loaded, Failure> {
        let (shape, parameters) = files::read(directory)?;
        let tokenizer = TextTokenizer::read(&directory.join(hugging_face::TOKENIZER))?;
        if tokenizer.vocabulary() > shape.vocabulary {
            let (found, most) = (tokenizer.vocabulary(), shape.vocabulary);
            let what = format!("the tokenizer has {found} tokens, the model knows {most}");
            return Err(Failure::new(what, "export the model again"));
        }
        let origin = origin(directory, model_root(&parameters))?;
        let model = on.model(&shape, &parameters)?;
        Ok(Loaded {
            model,
            tokenizer,
            origin,
        })
    }
}

/// What a directory says of its parameters, which have this root.
fn origin(directory: &Path, found: ModelRoot) -> Result<Origin, Failure> {
    let path = directory.join(ORIGIN);
    let Ok(bytes) = std::fs::read(&path) else {
        // What others exported says nothing; its root is its name.
        return Ok(Origin {
            run: None,
            netuid: None,
            round: None,
            model_root: found,
            stopped_at: None,
        });
    };
    let said: Origin = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display()), "delete it"))?;
    if said.model_root != found {
        let what = format!(
            "{} says that the parameters have the root {:?}, but it is {found:?}",
            path.display(),
            said.model_root
        );
        return Err(Failure::new(what, "export the model again"));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_for_the_first_model_is_for_all() {
        let after = |device: Device, found: &str| {
            let on = Computing {
                device,
                ..Computing::cpu(3)
            };
            let Computing { device, threads } = on.settled(found);
            assert_eq!(threads, 3);
            device
        };
        assert_eq!(after(Device::Auto, CPU), Device::Cpu);
        assert_eq!(after(Device::Auto, "a card"), Device::Cuda(0));
        assert_eq!(after(Device::Cuda(1), "a card"), Device::Cuda(1));
        assert_eq!(after(Device::Cpu, CPU), Device::Cpu);
    }
}
