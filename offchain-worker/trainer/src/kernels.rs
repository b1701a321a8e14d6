//! The arithmetic of the forward pass, for who runs the model another way than a [`Trainer`](crate::Trainer) does:
//! token by token, with keys and values kept.
//!
//! What is computed with these parts in the order of the forward pass has its bits.

use cairn_primitives::ModelShape;

pub use crate::cached::{Kept, PANEL};
pub use crate::gemm::{Matrix, Right, Start};
pub use crate::model::{Layer, Model};
pub use crate::norm::{forward as normalise, EPSILON_F64 as EPSILON};
pub use crate::rope::Angles;
pub use crate::swiglu::forward as gate;
use crate::TrainerError;

/// Whether the CPU can compute models of this shape with the same bits as any other.
///
/// # Errors
///
/// [`TrainerError::Cpu`] if the machine would give other bits, [`TrainerError::Shape`] if there is no such model.
pub fn check(shape: &ModelShape) -> Result<(), TrainerError> {
    crate::check_cpu()?;
    crate::trainer::check_shape(shape).map_err(|reason| TrainerError::Shape { reason })
}

/// Columns of a packed factor that are computed side by side: whoever cuts a matrix cuts at multiples.
pub fn columns() -> usize {
    crate::gemm::Kernels::get().columns
}
