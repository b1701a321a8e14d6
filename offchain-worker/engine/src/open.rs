//! Which engine a device gets.

use cairn_primitives::RunConfig;
use cairn_trainer::{cuda::CudaOptions, engine::Device};

use crate::{Cpu, Cuda, Engine, EngineError};

/// What [`Engine::name`] is on the CPU.
pub const CPU: &str = Cpu::NAME;

/// Opens a device for a run; on the CPU with `threads` threads. With [`Device::Auto`] also says why no card is used, if
/// none is.
///
/// # Errors
///
/// [`EngineError`] if the device that was asked for cannot be used.
pub fn open(
    device: Device,
    config: &RunConfig,
    threads: usize,
) -> Result<(Box<dyn Engine>, Option<EngineError>), EngineError> {
    let cpu =
        || -> Result<Box<dyn Engine>, EngineError> { Ok(Box::new(Cpu::new(config, threads)?)) };
    let cards = |ordinal, count: usize| -> Result<Box<dyn Engine>, EngineError> {
        let options = CudaOptions {
            ordinal,
            others: count.saturating_sub(1),
            ..CudaOptions::default()
        };
        Ok(Box::new(Cuda::new(config, options)?))
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
