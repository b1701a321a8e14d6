//! The peak of a card, as products of matrices measure it.

use std::time::{Duration, Instant};

use half::bf16;

use super::{
    device::Device,
    error::CudaError,
    gemm::{Form, Out, Sizes},
};

/// Rows and columns of the first matrices, and of the largest.
const SIZES: (usize, usize) = (256, 8192);
/// A product that takes longer is large enough.
const LONG: Duration = Duration::from_millis(20);
/// Products of each size that are timed together.
const TOGETHER: u32 = 10;

/// The best rate of products of square matrices of bfloat16 with float accumulation, as a linear layer's forward pass
/// has them, in floating-point operations per second: sizes are doubled until a product takes long.
///
/// # Errors
///
/// [`CudaError`] if the card has no memory for the matrices, or fails.
pub fn peak_flops(device: &Device) -> Result<f64, CudaError> {
    let (mut size, most) = SIZES;
    let mut best = 0f64;
    while size <= most {
        let seconds = match seconds_of(device, size) {
            // Smaller ones have been measured.
            Err(CudaError::OutOfMemory { .. }) if best > 0.0 => break,
            measured => measured?,
        };
        best = best.max(2.0 * (size as f64).powi(3) / seconds);
        if seconds > LONG.as_secs_f64() {
            break;
        }
        size *= 2;
    }
    Ok(best)
}

/// The time of one product of matrices of `size` rows and columns.
fn seconds_of(device: &Device, size: usize) -> Result<f64, CudaError> {
    let what = "measuring the GPU's peak";
    // Zeros would be flattering: switching fewer bits takes less power.
    let numbers: Vec<bf16> = (0..size * size)
        .map(|i| bf16::from_f32((i % 251) as f32 / 251.0 - 0.5))
        .collect();
    let (a, b) = (
        device.uploaded(&numbers, what)?,
        device.uploaded(&numbers, what)?,
    );
    let to = device.buffer::<bf16>(size * size, what)?;
    let sizes = Sizes {
        m: size,
        n: size,
        k: size,
    };
    let product = || {
        let out = Out::Rounded(to.ptr());
        device
            .gemm
            .product(Form::RightTransposed, sizes, a.ptr(), b.ptr(), out)
    };
    // The first chooses an algorithm.
    product()?;
    device.synchronize(what)?;
    let begin = Instant::now();
    for _ in 0..TOGETHER {
        product()?;
    }
    device.synchronize(what)?;
    Ok(begin.elapsed().as_secs_f64() / f64::from(TOGETHER))
}
