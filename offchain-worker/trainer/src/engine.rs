//! One surface over both backends, for whoever lets a person choose between them.

use std::{fmt, str::FromStr};

use cairn_primitives::{InnerOptimizer, ModelShape};

use crate::{
    cuda::{self, CudaOptions, CudaTrainer},
    AdamState, Trainer, TrainerError,
};

/// Where to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The first card if it can be used, else the CPU.
    #[default]
    Auto,
    /// The CPU: the bits that everybody gets.
    Cpu,
    /// Card number so-and-so, or not at all.
    Cuda(usize),
    /// Several cards that make steps together, or not at all.
    Cards {
        /// The first; the others have the numbers behind its.
        first: usize,
        /// How many, two at least.
        count: usize,
    },
}

/// The most cards of one machine.
const MOST_CARDS: usize = 64;

impl Device {
    /// So many cards from this one on; none that is not a card, and none for no or too many cards.
    pub fn cards(self, count: usize) -> Option<Device> {
        let first = match self {
            Device::Auto => 0,
            Device::Cuda(ordinal) => ordinal,
            Device::Cpu | Device::Cards { .. } => return None,
        };
        match count {
            1 => Some(Device::Cuda(first)),
            2..=MOST_CARDS => Some(Device::Cards { first, count }),
            _ => None,
        }
    }
}

/// The cards of `0` or `0-3`.
fn numbered(text: &str) -> Option<Device> {
    let Some((first, last)) = text.split_once('-') else {
        return text.parse().ok().map(Device::Cuda);
    };
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    let count = last.checked_sub(first)?.checked_add(1)?;
    Device::Cuda(first).cards(count)
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Device, String> {
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(numbered)
                .ok_or_else(|| {
                    format!("`{text}` is not a device: use auto, cpu, cuda:0, or cuda:0-3 for four")
                }),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => f.write_str("auto"),
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            Device::Cards { first, count } => {
                let last = first.saturating_add(count.saturating_sub(1));
                write!(f, "cuda:{first}-{last}")
            }
        }
    }
}

/// A model on the device that was chosen for it.
pub enum Engine {
    /// On the CPU.
    Cpu(Box<Trainer>),
    /// On a card, or several.
    Cuda(Box<CudaTrainer>),
}

impl Engine {
    /// Opens a device for models of `shape`; on the CPU with `threads` threads. With [`Device::Auto`] also says why
    /// no card is used, if none is.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if the device that was asked for cannot be used.
    pub fn open(
        device: Device,
        shape: &ModelShape,
        threads: usize,
    ) -> Result<(Engine, Option<cuda::CudaError>), TrainerError> {
        let cpu = || -> Result<Engine, TrainerError> {
            Ok(Engine::Cpu(Box::new(Trainer::new(shape, threads)?)))
        };
        let cards = |ordinal, count: usize| {
            let options = CudaOptions {
                ordinal,
                others: count.saturating_sub(1),
                ..CudaOptions::default()
            };
            CudaTrainer::new(shape, options).map(|card| Engine::Cuda(Box::new(card)))
        };
        match device {
            Device::Cpu => Ok((cpu()?, None)),
            Device::Cuda(ordinal) => Ok((cards(ordinal, 1)?, None)),
            Device::Cards { first, count } => Ok((cards(first, count)?, None)),
            Device::Auto => match cards(0, 1) {
                Ok(engine) => Ok((engine, None)),
                Err(reason) => Ok((cpu()?, Some(reason))),
            },
        }
    }

    /// What [`Engine::name`] is on the CPU.
    pub const CPU: &'static str = "the CPU";

    /// What it computes on, for people.
    pub fn name(&self) -> String {
        match self {
            Engine::Cpu(_) => Engine::CPU.into(),
            Engine::Cuda(card) => {
                let name = card.card();
                name.unwrap_or_else(|| "a GPU that was lost".into())
            }
        }
    }

    /// Begins a number of steps. What is given stays as it is; [`Steps::finish`] gives what became of it.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if something does not fit the model, or the card fails.
    pub fn begin(&mut self, params: &[f32], adam: &AdamState) -> Result<Steps<'_>, TrainerError> {
        match self {
            Engine::Cpu(trainer) => Ok(Steps::Cpu {
                trainer,
                params: params.to_vec(),
                adam: adam.clone(),
            }),
            Engine::Cuda(card) => card.begin(params, adam).map(Steps::Cuda),
        }
    }
}

/// Steps under way.
pub enum Steps<'a> {
    /// On the CPU.
    Cpu {
        /// Who makes them.
        trainer: &'a mut Trainer,
        /// The parameters so far.
        params: Vec<f32>,
        /// The optimizer so far.
        adam: AdamState,
    },
    /// On a card.
    Cuda(cuda::Steps<'a>),
}

impl Steps<'_> {
    /// One step, as [`Trainer::step`]. Returns the mean loss before it.
    ///
    /// # Errors
    ///
    /// [`TrainerError`]; if a card fails, all steps since [`Engine::begin`] are lost.
    pub fn step(
        &mut self,
        optimizer: &InnerOptimizer,
        windows: &[&[u32]],
    ) -> Result<f32, TrainerError> {
        match self {
            Steps::Cpu {
                trainer,
                params,
                adam,
            } => trainer.step(params, adam, optimizer, windows),
            Steps::Cuda(steps) => steps.step(optimizer, windows),
        }
    }

    /// Parameters and optimizer after the steps.
    ///
    /// # Errors
    ///
    /// [`TrainerError::Cuda`] if the card is lost.
    pub fn finish(self) -> Result<(Vec<f32>, AdamState), TrainerError> {
        match self {
            Steps::Cpu { params, adam, .. } => Ok((params, adam)),
            Steps::Cuda(steps) => steps.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_as_they_are_read() {
        for text in ["auto", "cpu", "cuda:0", "cuda:7", "cuda:0-1", "cuda:4-7"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        assert_eq!("cuda:3-3".parse(), Ok(Device::Cuda(3)));
        assert_eq!("cuda:0-3".parse().ok(), Device::Auto.cards(4));
        assert_eq!(Device::Cuda(2).cards(1), Some(Device::Cuda(2)));
        assert!(Device::Cpu.cards(2).is_none() && Device::Auto.cards(0).is_none());
        let wrong = [
            "",
            "gpu",
            "cuda:",
            "cuda:x",
            "cuda:-1",
            "cuda:3-2",
            "cuda:0-64",
            "cuda:0-",
        ];
        for text in wrong {
            assert!(text.parse::<Device>().unwrap_err().contains("cuda:0"));
        }
    }
}
