//! Why an engine could not do what it was asked for.

use cairn_gradient::{CompressError, DecodeError, OuterStepError, StreamError};
use cairn_primitives::{Matrices, RunConfig};
use cairn_trainer::{cuda::CudaError, TrainerError};

/// Why a verb failed. The held state is as it was.
///
/// Variants carry text where the cause lies in a device, since that may be in another process.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The device cannot be opened.
    #[error("{0}")]
    Unavailable(String),
    /// What steps the run's matrices is not what the engine has for them.
    #[error("this run steps its matrices with Muon, which {engine} does not: train by cairn's own engine on one GPU, with --device cuda:0, or on the CPU, with --device cpu")]
    Matrices {
        /// The engine.
        engine: &'static str,
    },
    /// The device has too little memory for this; less work at once, or later, may do.
    #[error("{0}")]
    OutOfMemory(String),
    /// The device does not answer any more. The next verb opens it anew.
    #[error("{0}")]
    DeviceLost(String),
    /// This process can use the device no more: no later verb goes well, and whoever watches over it has to start it
    /// again.
    #[error("{0}")]
    Broken(String),
    /// The device refused something, or gave what cannot be.
    #[error("{0}")]
    Device(String),
    /// The loss or the gradient of an inner step overflowed.
    #[error("loss {loss} with a gradient of norm {norm}: not finite; start from other parameters or lower the learning rate")]
    NotFinite {
        /// The step's mean loss, in nats.
        loss: f32,
        /// The gradient's norm.
        norm: f64,
    },
    /// What is to be sent overflowed.
    #[error("β·error + pseudo-gradient is not finite at element {index} of tensor {tensor}: the training diverged, go back to the round's parameters")]
    Unsendable {
        /// Name of the tensor.
        tensor: String,
        /// Which element of it.
        index: usize,
    },
    /// Parameters, moments, sequences or a contribution are not of this run.
    #[error("{0}")]
    Foreign(String),
    /// A verb came when it cannot.
    #[error("an engine was told to {verb}, but {why}: this is a bug, please report it")]
    OutOfTurn {
        /// The verb.
        verb: &'static str,
        /// What stands in the way.
        why: &'static str,
    },
    /// Whoever reads a snapshot could not take it.
    #[error("a snapshot could not be taken: {0}")]
    Sink(#[from] std::io::Error),
}

impl EngineError {
    /// Whether the device is at fault: the round's work is lost, and a later round may go well. It may not where it is
    /// [broken](EngineError::Broken).
    pub fn is_device_fault(&self) -> bool {
        matches!(
            self,
            EngineError::Unavailable(_)
                | EngineError::OutOfMemory(_)
                | EngineError::DeviceLost(_)
                | EngineError::Device(_)
        )
    }

    /// Whether the training left the range of numbers: the round's work is lost, and doing it again changes nothing.
    pub fn is_divergence(&self) -> bool {
        matches!(
            self,
            EngineError::NotFinite { .. } | EngineError::Unsendable { .. }
        )
    }

    /// What several GPUs are called where they lack something.
    const CARDS: &'static str = "cairn on several GPUs";

    /// Whether a run's matrices are AdamW's, which all engines have.
    ///
    /// # Errors
    ///
    /// [`EngineError::Matrices`] if not.
    pub fn only_adamw(config: &RunConfig, engine: &'static str) -> Result<(), EngineError> {
        match config.inner.matrices {
            Matrices::AdamW => Ok(()),
            Matrices::Muon(_) => Err(EngineError::Matrices { engine }),
        }
    }

    /// What a card's error is, in the words of that or of one around it.
    fn of_card(said: String, error: &CudaError) -> EngineError {
        match error {
            CudaError::OutOfMemory { .. } => EngineError::OutOfMemory(said),
            CudaError::Lost { .. }
            | CudaError::Nccl { .. }
            | CudaError::Late { .. }
            | CudaError::Stopped => EngineError::DeviceLost(said),
            CudaError::Driver { .. } | CudaError::Product { .. } => EngineError::Device(said),
            CudaError::NoDriver
            | CudaError::OldDriver { .. }
            | CudaError::NoCard { .. }
            | CudaError::OldCard { .. }
            | CudaError::NoLibrary { .. }
            | CudaError::NoNccl
            | CudaError::Unlike { .. }
            | CudaError::Ranks { .. }
            | CudaError::Compile { .. }
            | CudaError::Shape { .. } => EngineError::Unavailable(said),
            CudaError::OnCard { error, .. } => EngineError::of_card(said, error),
            CudaError::Broken { .. } => EngineError::Broken(said),
            CudaError::Matrices { .. } => EngineError::Matrices {
                engine: EngineError::CARDS,
            },
        }
    }

    /// The same where a device was being opened: nothing was lost by it, whatever it is.
    pub(crate) fn unopened(self) -> EngineError {
        match self {
            EngineError::DeviceLost(said) | EngineError::Device(said) => {
                EngineError::Unavailable(said)
            }
            other => other,
        }
    }

    pub(crate) fn foreign(error: impl std::fmt::Display) -> EngineError {
        EngineError::Foreign(error.to_string())
    }
}

impl From<CudaError> for EngineError {
    fn from(error: CudaError) -> EngineError {
        EngineError::of_card(error.to_string(), &error)
    }
}

impl From<TrainerError> for EngineError {
    fn from(error: TrainerError) -> EngineError {
        match error {
            TrainerError::Cuda(error) => error.into(),
            TrainerError::NotFinite { loss, norm } => EngineError::NotFinite { loss, norm },
            TrainerError::Unsendable { tensor, index } => EngineError::Unsendable { tensor, index },
            TrainerError::Cpu { .. } | TrainerError::Threads { .. } => {
                EngineError::Unavailable(error.to_string())
            }
            error => EngineError::foreign(error),
        }
    }
}

impl From<CompressError> for EngineError {
    fn from(error: CompressError) -> EngineError {
        match error {
            CompressError::NotFinite { tensor, index } => EngineError::Unsendable { tensor, index },
            error => EngineError::foreign(error),
        }
    }
}

impl From<DecodeError> for EngineError {
    fn from(error: DecodeError) -> EngineError {
        EngineError::foreign(error)
    }
}

impl From<OuterStepError> for EngineError {
    fn from(error: OuterStepError) -> EngineError {
        EngineError::foreign(error)
    }
}

impl From<StreamError> for EngineError {
    fn from(error: StreamError) -> EngineError {
        EngineError::foreign(error)
    }
}
