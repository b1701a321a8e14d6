//! Shares: numbers from 0 to 1 with 32 fractional bits.
//!
//! That every node gets the same bits is why there is no floating point here; that it is 32 bits is why
//! results equal those of the reference implementation, which computes in `I32F32`.
//!
//! No operation overflows 64 bits, so none of them costs more than a multiplication: a product of two shares
//! that are not both 1 is below 2⁶⁴, and quotients are multiplications by a reciprocal ([`Divisor`]).

/// A number from 0 to 1: an integer in units of 2⁻³², at most 2³².
///
/// Products and quotients round down, differences stop at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

const FRACTION_BITS: u32 = 32;
const WHOLE: u64 = 1 << FRACTION_BITS;

impl Share {
    /// The number 0.
    pub const ZERO: Share = Share(0);
    /// The number 1.
    pub const ONE: Share = Share(WHOLE);

    /// The number `bits` · 2⁻³², or 1 if that is more.
    pub const fn from_bits(bits: u64) -> Share {
        match bits > WHOLE {
            true => Share::ONE,
            false => Share(bits),
        }
    }

    /// The number in units of 2⁻³².
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// `share / 65,535`, rounded down. 2³² = 65,535 · 65,537 + 1, so that only 65,535 itself has a remainder
    /// to add.
    pub const fn from_u16(share: u16) -> Share {
        Share(
            (share as u64)
                .wrapping_mul(65_537)
                .wrapping_add((share == u16::MAX) as u64),
        )
    }

    /// The number as a share of 65,535, rounded down.
    pub const fn to_u16(self) -> u16 {
        (self.0.wrapping_mul(u16::MAX as u64) >> FRACTION_BITS) as u16
    }

    /// `part / whole`, rounded down; 0 if `whole` is 0. For any amounts, and slow: see [`Divisor`].
    pub fn ratio(part: u64, whole: u128) -> Share {
        let scaled = u128::from(part) << FRACTION_BITS;
        Share::from_bits(
            scaled
                .checked_div(whole)
                .map_or(0, |ratio| u64::try_from(ratio).unwrap_or(u64::MAX)),
        )
    }

    /// The sum of the two, at most 1.
    pub const fn plus(self, other: Share) -> Share {
        Share::from_bits(self.0.wrapping_add(other.0))
    }

    /// `self - other`, or 0 if `other` is larger.
    pub const fn minus(self, other: Share) -> Share {
        Share(self.0.saturating_sub(other.0))
    }

    /// `self · other`, rounded down.
    #[inline]
    pub const fn times(self, other: Share) -> Share {
        match other.0 {
            WHOLE => self,
            other => Share(self.0.wrapping_mul(other) >> FRACTION_BITS),
        }
    }

    /// `self · other`, rounded up.
    #[inline]
    pub const fn times_up(self, other: Share) -> Share {
        match other.0 {
            WHOLE => self,
            other => Share(self.0.wrapping_mul(other).wrapping_add(WHOLE - 1) >> FRACTION_BITS),
        }
    }

    /// `amount · self`, rounded down.
    pub fn of(self, amount: u64) -> u64 {
        // At most `amount`, which fits.
        (u128::from(amount).wrapping_mul(self.0.into()) >> FRACTION_BITS) as u64
    }

    /// Whether it is 0.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// Divides many parts by the same whole, to the integer and without dividing.
pub struct Divisor {
    whole: u64,
    reciprocal: u64,
}

impl Divisor {
    /// A whole of at most 2⁶²; dividing by 0 gives 0.
    pub fn new(whole: u64) -> Divisor {
        match u64::MAX.checked_div(whole) {
            Some(reciprocal) => Divisor { whole, reciprocal },
            None => Divisor {
                whole: u64::MAX,
                reciprocal: 0,
            },
        }
    }

    /// `part / whole`, rounded down, for a part of at most `whole` and at most 2³².
    ///
    /// ⌊(2⁶⁴ − 1) / whole⌋ is below 2⁶⁴ / whole by at most 1, so that the estimate is below the quotient by at
    /// most part / 2³² ≤ 1 before it is rounded down, and the quotient or one less after; what is left of the
    /// part says which. The shift and the product may wrap, their difference is below 2 · whole and does not.
    #[inline]
    pub fn share(&self, part: u64) -> Share {
        let estimate = part.wrapping_mul(self.reciprocal) >> FRACTION_BITS;
        let left = (part << FRACTION_BITS).wrapping_sub(estimate.wrapping_mul(self.whole));
        Share(estimate.wrapping_add(u64::from(left >= self.whole)))
    }
}

/// The sum in units of 2⁻³². Exact, since there are never more than 2¹⁶ shares.
pub fn sum(shares: &[Share]) -> u64 {
    shares
        .iter()
        .fold(0, |sum, share| sum.wrapping_add(share.0))
}

/// Divides each share by the sum of all; a sum of 0 leaves them as they are.
pub fn normalise(shares: &mut [Share]) {
    let whole = Divisor::new(sum(shares));
    for share in shares {
        *share = whole.share(share.0);
    }
}

/// The share at `index`; beyond the end everything is zero.
#[inline]
pub fn at(shares: &[Share], index: impl Into<usize>) -> Share {
    shares.get(index.into()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn products_and_quotients_round_down() {
        let third = Share::ratio(1, 3);
        assert_eq!(third.to_bits(), 0x5555_5555);
        assert_eq!(third.times(third).to_bits(), 0x1c71_c71c);
        assert_eq!(third.times_up(third).to_bits(), 0x1c71_c71d);
        assert_eq!(third.of(1_000), 333);
        assert_eq!(Share::ONE.of(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_division_by_zero_is_zero() {
        assert_eq!(Share::ratio(1, 0), Share::ZERO);
        assert_eq!(Divisor::new(0).share(0), Share::ZERO);
    }

    #[test]
    fn stored_shares_are_quotients_by_65_535() {
        for share in 0..=u16::MAX {
            let expected = (u64::from(share) << 32) / 65_535;
            assert_eq!(Share::from_u16(share).to_bits(), expected, "{share}");
        }
        assert_eq!(Share::from_u16(u16::MAX), Share::ONE);
        assert_eq!(Share::ONE.to_u16(), u16::MAX);
        assert_eq!(Share::ratio(1, 2).to_u16(), 32_767);
    }

    #[test]
    fn one_is_the_largest_share() {
        assert_eq!(Share::ONE.plus(Share::ONE), Share::ONE);
        assert_eq!(Share::from_bits(u64::MAX), Share::ONE);
        assert_eq!(Share::ratio(3, 2), Share::ONE);
        assert_eq!(Share::ONE.times(Share::ONE), Share::ONE);
        assert_eq!(Share::ONE.times_up(Share::ONE), Share::ONE);
    }

    #[test]
    fn nothing_cannot_be_normalised() {
        let mut shares = [Share::ZERO; 3];
        normalise(&mut shares);
        assert_eq!(shares, [Share::ZERO; 3]);
    }

    /// A whole of any size, with a part of it.
    fn part_of_whole() -> impl Strategy<Value = (u64, u64)> {
        (0..=48u32)
            .prop_flat_map(|bits| 1..=1u64 << bits)
            .prop_flat_map(|whole| {
                let largest = whole.min(WHOLE);
                let part = prop_oneof![
                    0..=largest,
                    largest.saturating_sub(3)..=largest,
                    0..=largest.min(3)
                ];
                (part, Just(whole))
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_reciprocal_gives_the_same_quotient((part, whole) in part_of_whole()) {
            let quotient = (u128::from(part) << 32) / u128::from(whole);
            prop_assert_eq!(u128::from(Divisor::new(whole).share(part).to_bits()), quotient);
        }

        #[test]
        fn products_are_exact_before_rounding(a in 0..=WHOLE, b in 0..=WHOLE) {
            let product = u128::from(a) * u128::from(b);
            prop_assert_eq!(u128::from(Share(a).times(Share(b)).0), product >> 32);
            prop_assert_eq!(u128::from(Share(a).times_up(Share(b)).0), product.div_ceil(1 << 32));
        }
    }
}
