//! What a miner contributes in a round.

pub use cairn_primitives::{Header, Work};
use cairn_primitives::{Layout, H256};
use thiserror::Error;

use crate::blocks::{LayoutError, Plan};
use crate::sparse::SparseTensor;

/// A contribution: what to subtract from the parameters, in the few elements that it says anything about.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// What it says of itself.
    pub header: Header,
    /// One per tensor of the layout, in its order.
    pub tensors: Vec<SparseTensor>,
}

/// Why a contribution or a vector does not go with a layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MismatchError {
    /// Nothing goes with this layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A flat vector is not as long as the model.
    #[error("a vector of {found} elements for a model of {expected} parameters: pass one of the run's model")]
    VectorLength {
        /// Elements of the vector.
        found: usize,
        /// Parameters of the layout.
        expected: usize,
    },
    /// The header names another layout.
    #[error("the contribution is for layout {found:?}, the model has {expected:?}: use the run's layout")]
    ForeignLayout {
        /// What the header says.
        found: H256,
        /// The layout's hash.
        expected: H256,
    },
    /// Not one sparse tensor per tensor of the layout.
    #[error("the contribution has {found} tensors, the model {expected}: send one for each")]
    TensorCount {
        /// Tensors of the contribution.
        found: usize,
        /// Tensors of the layout.
        expected: usize,
    },
    /// A tensor's values are not those of a tensor of this shape, or of another density.
    #[error("what the contribution has for tensor {tensor} belongs to another shape or to another `kept_per_block`: use the run's layout and compression")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
    },
}

impl Contribution {
    /// Whether it goes with a layout, of which `plan` must be made.
    pub(crate) fn check(&self, layout: &Layout, plan: &Plan) -> Result<(), MismatchError> {
        check_layout_hash(&self.header, layout)?;
        let (found, expected) = (self.tensors.len(), plan.grids.len());
        if found != expected {
            return Err(MismatchError::TensorCount { found, expected });
        }
        let mut grids = self.tensors.iter().zip(&plan.grids);
        match grids.position(|(tensor, grid)| tensor.grid() != *grid) {
            Some(number) => Err(MismatchError::Tensor {
                tensor: layout.0[number].name.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// The layout that a header names and the one that it should, if those are not the same.
pub(crate) fn foreign_layout(header: &Header, layout: &Layout) -> Option<(H256, H256)> {
    let (found, expected) = (header.layout_hash, layout.hash());
    (found != expected).then_some((found, expected))
}

/// Whether a header names this layout.
pub(crate) fn check_layout_hash(header: &Header, layout: &Layout) -> Result<(), MismatchError> {
    match foreign_layout(header, layout) {
        Some((found, expected)) => Err(MismatchError::ForeignLayout { found, expected }),
        None => Ok(()),
    }
}

/// Whether a flat vector is as long as the model.
pub(crate) fn check_length(vector: &[f32], plan: &Plan) -> Result<(), MismatchError> {
    let (found, expected) = (vector.len(), plan.parameters);
    if found != expected {
        return Err(MismatchError::VectorLength { found, expected });
    }
    Ok(())
}
