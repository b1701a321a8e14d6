//! What can go wrong with a card, in one line each.

use cudarc::{
    cublaslt::result::CublasError,
    driver::{sys::CUresult, DriverError},
};

/// What the driver calls too little memory.
const NO_MEMORY: &str = "CUDA_ERROR_OUT_OF_MEMORY";

/// Why the card cannot be used, or could not go on.
///
/// Parameters and optimizer state that the caller gave are as they were: the card works on copies, and a caller's
/// vectors are written only when everything has arrived.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// No driver on this machine.
    #[error("no NVIDIA driver: libcuda.so.1 cannot be loaded; install driver 580 or newer, or train with --device cpu")]
    NoDriver,
    /// The driver is too old for the compiler's code.
    #[error("the NVIDIA driver supports CUDA {found}, but kernels are compiled with NVRTC {needed}; install a newer driver (580 or newer supports 13.0), or an NVRTC of CUDA {found}")]
    OldDriver {
        /// CUDA version of the driver.
        found: Version,
        /// CUDA version of NVRTC.
        needed: Version,
    },
    /// The driver knows no such card.
    #[error("there is no GPU {ordinal}: the driver sees {count}; choose one that `cairn doctor` lists, or --device cpu")]
    NoCard {
        /// The card asked for.
        ordinal: usize,
        /// Cards that there are.
        count: usize,
    },
    /// The card lacks bfloat16 tensor cores.
    #[error("{name} has compute capability {major}.{minor}, and 8.0 (Ampere) is needed; train with --device cpu")]
    OldCard {
        /// The card's name.
        name: String,
        /// Compute capability.
        major: i32,
        /// Compute capability.
        minor: i32,
    },
    /// A library is missing.
    #[error("{library} cannot be loaded; run scripts/cuda-tools.sh --card, or install the CUDA toolkit, or name the directory of its libraries in CAIRN_CUDA_LIBRARIES")]
    NoLibrary {
        /// Which.
        library: &'static str,
    },
    /// What several cards need is missing, or too old.
    #[error("several GPUs need NCCL 2.18 or newer, and no such libnccl.so.2 can be loaded; install it (NVIDIA's package libnccl2, or nvidia-nccl-cu13 of PyPI), or name its directory in CAIRN_CUDA_LIBRARIES, or train on one GPU")]
    NoNccl,
    /// The cards of a trainer are not of one model.
    #[error("GPU {ordinal} is a {name} and GPU {first} a {first_name}; choose GPUs of one model with --device, or train on one")]
    Unlike {
        /// The first card.
        first: usize,
        /// Its name.
        first_name: String,
        /// One that is another model.
        ordinal: usize,
        /// Its name.
        name: String,
    },
    /// More ranks than can have a part each.
    #[error("{ranks} GPUs cannot share a model of {parameters} parameters; use fewer")]
    Ranks {
        /// Cards.
        ranks: usize,
        /// Numbers.
        parameters: usize,
    },
    /// One of several cards failed.
    #[error("GPU {ordinal} of several: {error}")]
    OnCard {
        /// Which.
        ordinal: usize,
        /// How.
        error: Box<CudaError>,
    },
    /// NCCL failed.
    #[error("NCCL failed while {doing} (status {status}: {said}); steps that the round had are lost; set NCCL_DEBUG=WARN to see why, and start again")]
    Nccl {
        /// What was being done.
        doing: &'static str,
        /// Its status.
        status: i32,
        /// What it calls that.
        said: String,
    },
    /// Other cards did not come.
    #[error("the other GPUs did not come within {seconds} s while {doing}; steps that the round had are lost; look at `nvidia-smi` and the kernel log, and start again")]
    Late {
        /// What was being done.
        doing: &'static str,
        /// The deadline.
        seconds: f32,
    },
    /// Another card failed, and says why itself.
    #[error("another GPU failed; its own error says why")]
    Stopped,
    /// A kernel's source was refused.
    #[error("NVRTC cannot compile {source_name}.cu for {arch}: {log}; use an NVRTC that knows this GPU (CUDA 13.0 or newer)")]
    Compile {
        /// Which source.
        source_name: &'static str,
        /// For what.
        arch: String,
        /// What the compiler said.
        log: String,
    },
    /// The model cannot be computed by these kernels.
    #[error("this model cannot be trained on a GPU: {reason}; use --device cpu")]
    Shape {
        /// What stands in the way.
        reason: &'static str,
    },
    /// The run's matrices are Muon's, which cards do not step together.
    #[error("{ranks} GPUs together do not step matrices by Muon; train on one GPU, or with --device cpu")]
    Matrices {
        /// Cards.
        ranks: usize,
    },
    /// Not enough memory on the card.
    #[error("the GPU is out of memory: {doing} needs {needed_mib} MiB and {free_mib} of {total_mib} MiB are free; train with fewer sequences per step, stop other programs that use the GPU, or use a larger one")]
    OutOfMemory {
        /// What the memory was for.
        doing: &'static str,
        /// What it needs.
        needed_mib: usize,
        /// What there is.
        free_mib: usize,
        /// What the card has.
        total_mib: usize,
    },
    /// The card does not answer any more, or a kernel failed, which is the same: nothing on it can be trusted.
    #[error("the GPU was lost while {doing} ({error}); the steps of this round are lost, and parameters and optimizer are those of its beginning; look at `nvidia-smi` and the kernel log, and start again")]
    Lost {
        /// What was being done.
        doing: &'static str,
        /// The driver's words.
        error: String,
    },
    /// A card that was lost cannot be opened anew: not by this process.
    #[error("this process can use the GPU no more, and has to be started again; opening it anew said: {error}")]
    Broken {
        /// What opening it said.
        error: Box<CudaError>,
    },
    /// The driver refused something else.
    #[error("the driver refused {doing} ({error}); run `cairn doctor`")]
    Driver {
        /// What was being done.
        doing: &'static str,
        /// The driver's words.
        error: String,
    },
    /// cuBLASLt has no way to compute a product.
    #[error("cuBLASLt cannot compute a product of {m}×{k} and {k}×{n} ({error:?}); use the cuBLAS of the driver's CUDA version")]
    Product {
        /// Rows of the result.
        m: usize,
        /// Columns of the result.
        n: usize,
        /// Inner dimension.
        k: usize,
        /// Its status.
        error: CublasError,
    },
}

/// A version of CUDA: 13000 is 13.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub i32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 / 1000, self.0 % 1000 / 10)
    }
}

impl CudaError {
    /// Whether the context is beyond use: only a new one may help.
    pub fn is_lost(&self) -> bool {
        match self {
            CudaError::Lost { .. } => true,
            CudaError::OnCard { error, .. } => error.is_lost(),
            _ => false,
        }
    }

    /// What it means if it came when cards that had been lost were opened anew. A context that a fault has left behind
    /// may stay for as long as the process, says the driver's manual; memory may be there again later.
    pub(crate) fn anew(self) -> CudaError {
        match self.is_for_memory() {
            true => self,
            false => CudaError::Broken {
                error: Box::new(self),
            },
        }
    }

    /// Whether there is too little memory.
    fn is_for_memory(&self) -> bool {
        match self {
            CudaError::OutOfMemory { .. } => true,
            // A context, a stream and kernels take some, too, and nobody says how much.
            CudaError::Driver { error, .. } => error == NO_MEMORY,
            CudaError::OnCard { error, .. } => error.is_for_memory(),
            _ => false,
        }
    }

    /// What an error means that came when `needed` bytes were asked for, with so many free and in all.
    pub(crate) fn allocation(
        doing: &'static str,
        needed: usize,
        error: DriverError,
        (free, total): (usize, usize),
    ) -> CudaError {
        if error.0 != CUresult::CUDA_ERROR_OUT_OF_MEMORY {
            return CudaError::driver(doing, error);
        }
        CudaError::OutOfMemory {
            doing,
            needed_mib: needed >> 20,
            free_mib: free >> 20,
            total_mib: total >> 20,
        }
    }

    /// What a driver's error means.
    pub(crate) fn driver(doing: &'static str, error: DriverError) -> CudaError {
        use CUresult::*;
        let said = match error.error_name() {
            Ok(name) => name.to_string_lossy().into_owned(),
            Err(_) => format!("{:?}", error.0),
        };
        // These leave the context unusable, says the driver's manual.
        let lost = matches!(
            error.0,
            CUDA_ERROR_ECC_UNCORRECTABLE
                | CUDA_ERROR_DEVICE_UNAVAILABLE
                | CUDA_ERROR_ILLEGAL_ADDRESS
                | CUDA_ERROR_LAUNCH_TIMEOUT
                | CUDA_ERROR_ASSERT
                | CUDA_ERROR_HARDWARE_STACK_ERROR
                | CUDA_ERROR_ILLEGAL_INSTRUCTION
                | CUDA_ERROR_MISALIGNED_ADDRESS
                | CUDA_ERROR_INVALID_ADDRESS_SPACE
                | CUDA_ERROR_INVALID_PC
                | CUDA_ERROR_LAUNCH_FAILED
                | CUDA_ERROR_CONTEXT_IS_DESTROYED
                | CUDA_ERROR_SYSTEM_NOT_READY
                | CUDA_ERROR_NO_DEVICE
                | CUDA_ERROR_UNKNOWN
        );
        if lost {
            CudaError::Lost { doing, error: said }
        } else {
            CudaError::Driver { doing, error: said }
        }
    }
}
