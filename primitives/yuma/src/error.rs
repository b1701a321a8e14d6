//! What an epoch cannot be computed from.

use core::fmt;

/// Why an input or its parameters are refused. Nothing else can go wrong in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputError {
    /// Members are not strictly ascending by uid; this one is not above the one before it.
    MembersNotAscending {
        /// The member's uid.
        uid: u16,
    },
    /// More than 65,535 members.
    TooManyMembers,
    /// A row of scores or bonds is not strictly ascending by uid.
    RowNotAscending {
        /// The uid whose row it is.
        uid: u16,
    },
    /// `bonds_moving_average` is above 1,000,000.
    MovingAverageAboveOne(u32),
    /// The lower bound of liquid alpha is above the upper.
    LiquidAlphaReversed {
        /// The lower bound, of 65,535.
        low: u16,
        /// The upper bound, of 65,535.
        high: u16,
    },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputError::MembersNotAscending { uid } => {
                write!(
                    f,
                    "member {uid} is out of order: list members strictly ascending by uid"
                )
            }
            InputError::TooManyMembers => write!(f, "more than 65,535 members in one epoch"),
            InputError::RowNotAscending { uid } => {
                write!(
                    f,
                    "a row of uid {uid} is out of order: list its cells strictly ascending"
                )
            }
            InputError::MovingAverageAboveOne(value) => {
                write!(
                    f,
                    "bonds_moving_average is {value}: it must be at most 1,000,000"
                )
            }
            InputError::LiquidAlphaReversed { low, high } => {
                write!(
                    f,
                    "liquid_alpha goes from {low} down to {high}: its low must be at most its high"
                )
            }
        }
    }
}

impl core::error::Error for InputError {}
