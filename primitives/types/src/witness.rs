//! What shows that a validator measured a round.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::H256;

/// A mean loss in micro-nats per token: 10⁻⁶ of the unit of the natural logarithm.
pub type MicroNats = u32;

/// A mean loss in nats per token.
pub fn nats(loss: MicroNats) -> f64 {
    f64::from(loss) / 1e6
}

/// What a validator found in the round before, of windows that are the same for all. All zero: it measured nothing, or
/// nobody is asked.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Witness {
    /// The hash of what each contribution gained; zero if nothing was measured.
    pub gains: H256,
    /// The mean loss of the parameters with which that round began; zero if none is stated.
    pub loss: MicroNats,
}

impl Witness {
    /// Whether it shows nothing.
    pub fn is_nothing(&self) -> bool {
        self.gains.is_zero()
    }

    /// The loss that it states, if it shows anything and states one.
    pub fn stated_loss(&self) -> Option<MicroNats> {
        (!self.is_nothing() && self.loss > 0).then_some(self.loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_measured_nothing_states_nothing() {
        let shown = |gains, loss| Witness {
            gains: H256([gains; 32]),
            loss,
        };
        assert!(Witness::default().is_nothing());
        assert_eq!(shown(0, 9).stated_loss(), None);
        assert_eq!(shown(1, 0).stated_loss(), None);
        assert_eq!(shown(1, 9).stated_loss(), Some(9));
    }

    /// The encoding is a promise: other clients compute it too.
    #[test]
    fn it_is_plain_scale() {
        let witness = Witness {
            gains: H256([7; 32]),
            loss: 0x0403_0201,
        };
        assert_eq!(witness.encode(), [&[7; 32][..], &[1, 2, 3, 4]].concat());
    }
}
