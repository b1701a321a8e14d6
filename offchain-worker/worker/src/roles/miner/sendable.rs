//! From a round's steps to the file that says what is sent of them.
//!
//! On the CPU the pseudo-gradient is compressed by the codec; a card selects what is sent itself, and the codec only
//! encodes it. For the same weights both give the same bytes.

use cairn_gradient::{compress, encode, Contribution, Header, SparseTensor};
use cairn_primitives::{Compression, Layout};
use cairn_trainer::{
    cuda::{contribution::Selected, Sending},
    engine::Steps,
    AdamState, TrainerError,
};

use crate::roles::{held::Held, run::Run, RoleError};

/// What a round's steps brought.
pub(super) enum Sendable {
    /// All of it.
    Dense {
        /// The weights before the steps less those after.
        pseudo_gradient: Vec<f32>,
        /// The optimizer's state.
        adam: AdamState,
    },
    /// What a card selected of it.
    Selected(Sending),
}

/// A contribution's file, and what the next round begins with.
pub(super) struct Encoded {
    /// The file before it is sealed.
    pub plain: Vec<u8>,
    /// What was not sent.
    pub feedback: Vec<f32>,
    /// The optimizer's state.
    pub adam: AdamState,
}

impl Sendable {
    /// What steps that began with the weights held brought; a card selects of it and of the error feedback.
    pub fn of(steps: Steps, run: &Run, held: &Held, feedback: &[f32]) -> Result<Self, RoleError> {
        if let Steps::Cuda(steps) = steps {
            let compression = run.config.compression_in(held.round);
            let selected = steps.select(&held.theta, feedback, &compression);
            return match selected {
                Ok(sending) => Ok(Sendable::Selected(sending)),
                // No fault of the card's: the codec says the same.
                Err(error @ TrainerError::Unsendable { .. }) => {
                    Err(RoleError::Run(error.to_string()))
                }
                Err(error) => Err(error.into()),
            };
        }
        let (mut params, adam) = steps.finish()?;
        for (param, before) in params.iter_mut().zip(held.theta.iter()) {
            *param = before - *param;
        }
        Ok(Sendable::Dense {
            pseudo_gradient: params,
            adam,
        })
    }

    /// The file; `feedback` is what earlier rounds left unsent.
    pub fn encode(self, run: &Run, feedback: &[f32], header: Header) -> Result<Encoded, RoleError> {
        let (layout, compression) = (&run.layout, &run.config.compression_in(header.round));
        match self {
            Sendable::Dense {
                pseudo_gradient,
                adam,
            } => {
                let mut feedback = feedback.to_vec();
                let made = compress(layout, compression, &pseudo_gradient, &mut feedback, header);
                let (_, plain) = made.map_err(|error| RoleError::Run(error.to_string()))?;
                Ok(Encoded {
                    plain,
                    feedback,
                    adam,
                })
            }
            Sendable::Selected(Sending {
                selected,
                error: feedback,
                adam,
            }) => Ok(Encoded {
                plain: encode_selected(layout, compression, selected, header)?,
                feedback,
                adam,
            }),
        }
    }
}

/// The file of what a card selected, which is checked: a card can break without saying so.
fn encode_selected(
    layout: &Layout,
    compression: &Compression,
    selected: Vec<Selected>,
    header: Header,
) -> Result<Vec<u8>, RoleError> {
    let broken = |error: &dyn std::fmt::Display| {
        RoleError::Broken(format!(
            "the GPU selected values that cannot be sent: {error}"
        ))
    };
    let kept = compression.kept_per_block;
    let tensors = layout
        .0
        .iter()
        .zip(selected)
        .map(|(tensor, sent)| SparseTensor::from_codes(tensor, kept, sent.codes, &sent.levels))
        .collect::<Result<_, _>>()
        .map_err(|error| broken(&error))?;
    let contribution = Contribution { header, tensors };
    encode(&contribution, layout, compression).map_err(|error| broken(&error))
}
