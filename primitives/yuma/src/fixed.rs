//! Numbers with 32 fractional bits.

/// A non-negative number: an integer in units of 2⁻³².
///
/// Products and quotients round down, sums are exact. That every node gets the same bits is why there is
/// no floating point here; that it is 32 bits is why results equal those of the reference implementation,
/// which computes in `I32F32`.
///
/// Operations saturate, and within an epoch never do: the largest sum is a column of 65,535 bonds of
/// 65,535, and 65,535² · 2³² < 2⁶⁴.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fixed(u64);

const FRACTION_BITS: u32 = 32;

impl Fixed {
    /// The number 0.
    pub const ZERO: Fixed = Fixed(0);
    /// The number 1.
    pub const ONE: Fixed = Fixed(1 << FRACTION_BITS);

    /// The number `bits` · 2⁻³².
    pub const fn from_bits(bits: u64) -> Fixed {
        Fixed(bits)
    }

    /// The number in units of 2⁻³².
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// An integer.
    pub fn from_u16(value: u16) -> Fixed {
        Fixed(u64::from(value) << FRACTION_BITS)
    }

    /// `part / whole`, rounded down; 0 if `whole` is 0.
    pub fn ratio(part: u128, whole: u128) -> Fixed {
        let scaled = part.saturating_mul(1 << FRACTION_BITS);
        Fixed(scaled.checked_div(whole).map_or(0, to_u64))
    }

    /// A share of 65,535 as stored on chain.
    pub fn from_share(share: u16) -> Fixed {
        Fixed::ratio(u128::from(share), u128::from(u16::MAX))
    }

    /// The number as a share of 65,535, rounded down; at most 65,535.
    pub fn to_share(self) -> u16 {
        let scaled = (u128::from(self.0) * u128::from(u16::MAX)) >> FRACTION_BITS;
        u16::try_from(scaled).unwrap_or(u16::MAX)
    }

    /// `self + other`.
    pub fn plus(self, other: Fixed) -> Fixed {
        Fixed(self.0.saturating_add(other.0))
    }

    /// `self - other`, or 0 if `other` is larger.
    pub fn minus(self, other: Fixed) -> Fixed {
        Fixed(self.0.saturating_sub(other.0))
    }

    /// `self · other`, rounded down.
    pub fn times(self, other: Fixed) -> Fixed {
        Fixed(to_u64(
            (u128::from(self.0) * u128::from(other.0)) >> FRACTION_BITS,
        ))
    }

    /// `self · other`, rounded up.
    pub fn times_up(self, other: Fixed) -> Fixed {
        let product = u128::from(self.0) * u128::from(other.0);
        Fixed(to_u64(product.div_ceil(1 << FRACTION_BITS)))
    }

    /// `self / other`, rounded down; 0 if `other` is 0.
    pub fn over(self, other: Fixed) -> Fixed {
        Fixed::ratio(u128::from(self.0), u128::from(other.0))
    }

    /// `amount · self`, rounded down.
    pub fn of(self, amount: u64) -> u64 {
        to_u64((u128::from(amount) * u128::from(self.0)) >> FRACTION_BITS)
    }

    /// Whether it is 0.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl core::iter::Sum for Fixed {
    fn sum<I: Iterator<Item = Fixed>>(numbers: I) -> Fixed {
        numbers.fold(Fixed::ZERO, Fixed::plus)
    }
}

fn to_u64(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// Divides each number by the sum of all; a sum of 0 leaves them as they are.
pub fn normalise(numbers: &mut [Fixed]) {
    let sum: Fixed = numbers.iter().copied().sum();
    if !sum.is_zero() {
        numbers
            .iter_mut()
            .for_each(|number| *number = number.over(sum));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_quotients_round_down() {
        let third = Fixed::ratio(1, 3);
        assert_eq!(third.to_bits(), 0x5555_5555);
        assert_eq!(third.times(third).to_bits(), 0x1c71_c71c);
        assert_eq!(third.times_up(third).to_bits(), 0x1c71_c71d);
        assert_eq!(Fixed::ONE.over(third).to_bits(), 0x3_0000_0003);
        assert_eq!(third.of(1_000), 333);
    }

    #[test]
    fn a_division_by_zero_is_zero() {
        assert_eq!(Fixed::ONE.over(Fixed::ZERO), Fixed::ZERO);
    }

    #[test]
    fn a_share_survives_the_journey() {
        assert_eq!(Fixed::from_share(u16::MAX), Fixed::ONE);
        assert_eq!(Fixed::ONE.to_share(), u16::MAX);
        assert_eq!(Fixed::ONE.plus(Fixed::ONE).to_share(), u16::MAX);
        assert_eq!(Fixed::ratio(1, 2).to_share(), 32_767);
    }

    #[test]
    fn the_largest_possible_column_does_not_saturate() {
        let column: Fixed = (0..u16::MAX).map(|_| Fixed::from_u16(u16::MAX)).sum();
        assert_eq!(column.to_bits(), (65_535 * 65_535) << 32);
    }

    #[test]
    fn nothing_cannot_be_normalised() {
        let mut numbers = [Fixed::ZERO; 3];
        normalise(&mut numbers);
        assert_eq!(numbers, [Fixed::ZERO; 3]);
    }
}
