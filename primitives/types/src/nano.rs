//! Real numbers on chain.

use alloc::string::ToString;
use core::fmt;

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{de::Visitor, Deserialize, Deserializer, Serialize, Serializer};

/// A non-negative real number as an integer in units of 10⁻⁹.
///
/// People read and write it as a decimal number; the chain sees only the integer. What is read is that number
/// exactly, or refused.
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
    /// The largest number that is read.
    pub const MAX: Nano = Nano(i64::MAX as u64);

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

    /// The decimal number that `text` is, such as `0.003`, `1` or `1e-8`: exactly, or not at all.
    ///
    /// # Errors
    /// [`NanoError`] says why not.
    pub fn parse(text: &str) -> Result<Nano, NanoError> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if digits().next().is_none() || !digits().all(|digit| digit.is_ascii_digit()) {
            return Err(NanoError::NotANumber);
        }
        // Only the digits from the first to the last that is not 0 count.
        let Some(first) = digits().position(|digit| digit != b'0') else {
            return Ok(Nano(0));
        };
        if negative {
            return Err(NanoError::Negative);
        }
        let last = digits()
            .enumerate()
            .filter(|(_, digit)| *digit != b'0')
            .fold(first, |_, (at, _)| at);
        let all = length(whole.len().saturating_add(fraction.len()));
        // The power of ten, in units of 10⁻⁹, of the last of them.
        let power = exponent
            .saturating_add(9)
            .saturating_add(all.saturating_sub(length(last)).saturating_sub(1))
            .saturating_sub(length(fraction.len()));
        if power < 0 {
            return Err(NanoError::TooFine);
        }
        let significant = digits().skip(first).take(last.saturating_sub(first) + 1);
        let zeros = core::iter::repeat_n(b'0', usize::try_from(power).unwrap_or(usize::MAX));
        significant
            .chain(zeros)
            .try_fold(0u64, |value, digit| {
                let value = value.checked_mul(10)?;
                value.checked_add(u64::from(digit.saturating_sub(b'0')))
            })
            .map(Nano)
            .filter(|value| *value <= Nano::MAX)
            .ok_or(NanoError::TooLarge)
    }
}

/// A length, for arithmetic with exponents.
fn length(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

/// What follows the `e` of a number. One that is too long for an integer is as good as the largest.
fn read_exponent(text: &str) -> Result<i64, NanoError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(NanoError::NotANumber);
    }
    let size = digits.parse().unwrap_or(i64::MAX);
    Ok(if negative { -size } else { size })
}

/// Why a text is no [`Nano`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanoError {
    /// No decimal number.
    NotANumber,
    /// Below 0.
    Negative,
    /// Between two multiples of 10⁻⁹.
    TooFine,
    /// Above [`Nano::MAX`].
    TooLarge,
}

impl fmt::Display for NanoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NanoError::NotANumber => "it is not a decimal number such as 0.003 or 1e-8",
            NanoError::Negative => "it is negative",
            NanoError::TooFine => {
                "it has more than nine decimals: settings are multiples of 0.000000001"
            }
            NanoError::TooLarge => "it is above 9223372036.854775807",
        })
    }
}

impl core::error::Error for NanoError {}

/// The decimal number, exactly, without zeros at its end.
impl fmt::Display for Nano {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut fraction) = (self.0 / Nano::ONE.0, self.0 % Nano::ONE.0);
        write!(f, "{whole}")?;
        if fraction == 0 {
            return Ok(());
        }
        let mut places = 9;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            places -= 1;
        }
        write!(f, ".{fraction:0places$}")
    }
}

/// A number where that says it exactly, as it does for all that people write; else a text.
impl Serialize for Nano {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nearest = self.to_f64();
        match Nano::parse(&nearest.to_string()) {
            Ok(read) if read == *self => serializer.serialize_f64(nearest),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Nano {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Decimal)
    }
}

/// Reads a [`Nano`] from a number or from a text.
struct Decimal;

impl Visitor<'_> for Decimal {
    type Value = Nano;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number such as 0.003 or 1e-8")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Nano, E> {
        Nano::parse(text).map_err(|why| E::custom(format_args!("`{text}` cannot be used: {why}")))
    }

    /// The shortest decimal that is this number: what was written, if it had at most 15 digits.
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Nano, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Nano, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Nano, E> {
        self.visit_str(&value.to_string())
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

    #[test]
    fn texts_are_read_exactly() {
        for (text, nano) in [
            ("0", 0),
            ("-0.0", 0),
            ("0e99999999999999999999", 0),
            ("1", 1_000_000_000),
            ("+1.", 1_000_000_000),
            (".5", 500_000_000),
            ("1e-9", 1),
            ("1.000e-9", 1),
            ("0.1e-8", 1),
            ("1e-8", 10),
            ("14E-9", 14),
            ("0.003", 3_000_000),
            ("000.0030000000000000", 3_000_000),
            ("123456789.123456789", 123_456_789_123_456_789),
            ("1234567.89e3", 1_234_567_890_000_000_000),
            ("9223372036.854775807", i64::MAX as u64),
        ] {
            assert_eq!(Nano::parse(text), Ok(Nano(nano)), "{text}");
        }
    }

    #[test]
    fn what_is_not_exact_is_refused_with_the_reason() {
        use NanoError::*;
        for (text, why) in [
            ("1.4e-9", TooFine),
            ("1e-10", TooFine),
            ("0.0030000000001", TooFine),
            ("1e-99999999999999999999", TooFine),
            ("9223372036.854775808", TooLarge),
            ("1e10", TooLarge),
            ("1e99999999999999999999", TooLarge),
            ("-1e-9", Negative),
            ("-1", Negative),
            ("", NotANumber),
            (".", NotANumber),
            ("e5", NotANumber),
            ("1e", NotANumber),
            ("1e+-5", NotANumber),
            ("0x10", NotANumber),
            ("1,5", NotANumber),
            ("nan", NotANumber),
            ("inf", NotANumber),
            ("--1", NotANumber),
        ] {
            assert_eq!(Nano::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in [
            "0",
            "1",
            "0.000000001",
            "0.95",
            "1.26",
            "123456789.123456789",
        ] {
            assert_eq!(Nano::parse(text).unwrap().to_string(), text);
        }
    }
}
