//! What a miner contributes in a round.

use cairn_primitives::{Layout, Netuid, Round, H256};
use thiserror::Error;

use crate::blocks::{LayoutError, Plan};
use crate::sparse::SparseTensor;

/// What a contribution says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The subnet that it is for.
    pub netuid: Netuid,
    /// The round that it is for.
    pub round: Round,
    /// The hotkey of the miner that made it.
    pub hotkey: [u8; 32],
    /// State root of the weights that the miner began with.
    pub parent_root: H256,
    /// [`Layout::hash`] of the model.
    pub layout_hash: H256,
    /// Inner steps that were done.
    pub inner_steps: u32,
    /// Tokens that were trained on.
    pub tokens: u64,
    /// Mean cross-entropy over those steps, in nats; finite and not negative.
    pub mean_loss: f32,
}

impl Header {
    /// Whether the mean loss is one: finite, and without a sign (not even that of −0).
    pub(crate) fn has_a_loss(&self) -> bool {
        self.mean_loss.is_finite() && self.mean_loss.is_sign_positive()
    }
}

/// A contribution: what to subtract from the weights, in the few elements that it says anything about.
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
