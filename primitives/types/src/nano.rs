//! Real numbers on chain.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{de::Error as _, Deserialize, Deserializer, Serialize, Serializer};

/// A non-negative real number as an integer in units of 10⁻⁹.
///
/// People read and write it as a decimal number; the chain sees only the integer.
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
)]
pub struct Nano(pub u64);

impl Nano {
    /// The number 1.
    pub const ONE: Nano = Nano(1_000_000_000);

    /// The nearest `f64`. The division is exact to the last bit on every IEEE machine.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The nearest `f32`.
    pub fn to_f32(self) -> f32 {
        self.to_f64() as f32
    }

    /// The nearest multiple of 10⁻⁹; `None` for what is negative, not finite, or at least 2⁶³ · 10⁻⁹.
    pub fn from_f64(value: f64) -> Option<Nano> {
        let scaled = value * 1e9;
        let fits = (0.0..9.223_372_036_854_775e18).contains(&scaled);
        fits.then_some(Nano((scaled + 0.5) as u64))
    }
}

impl Serialize for Nano {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.to_f64())
    }
}

impl<'de> Deserialize<'de> for Nano {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Nano::from_f64(value)
            .ok_or_else(|| D::Error::custom("expected a finite number that is not negative"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_numbers_survive_the_journey() {
        for value in [0.0, 1e-9, 0.003, 0.95, 1.0, 123_456.789] {
            assert_eq!(Nano::from_f64(value).map(Nano::to_f64), Some(value));
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for value in [-1e-9, f64::NAN, f64::INFINITY, 1e10] {
            assert_eq!(Nano::from_f64(value), None, "{value}");
        }
    }
}
