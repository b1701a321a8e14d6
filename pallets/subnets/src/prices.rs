//! How prices rise and fall: pure integer functions of the last sale.
//!
//! A seat's price falls as `price · 2^(−elapsed / half_life)`. The power is exact at sixteenths of a
//! half-life, to 32 bits, and a straight line between them. So it never rises with time, and it lies at most
//! 0.024 % above the true power: the chord of 2^(−x) over a sixteenth is above it by at most (ln 2 / 16)² / 8.
//! Whole half-lives are shifts. The result is rounded down to a pebble.

use cairn_primitives::{Balance, BlockNumber, Nano};

/// Parts into which a half-life is divided.
const SEGMENTS: u64 = 16;

/// 2³² · 2^(−i/16), rounded to nearest, for i from 0 to 16.
const POWERS: [u64; 17] = [
    4_294_967_296,
    4_112_874_773,
    3_938_502_376,
    3_771_522_796,
    3_611_622_603,
    3_458_501_653,
    3_311_872_529,
    3_171_459_999,
    3_037_000_500,
    2_908_241_642,
    2_784_941_738,
    2_666_869_345,
    2_553_802_834,
    2_445_529_972,
    2_341_847_524,
    2_242_560_872,
    2_147_483_648,
];

/// The price of a seat `elapsed` blocks after it was `price`: half of it for every `half_life` blocks.
/// Nothing is left of it if the half-life is zero, which the limits on hyperparameters exclude.
pub fn decayed(price: Balance, elapsed: BlockNumber, half_life: BlockNumber) -> Balance {
    try_decayed(price, elapsed, half_life).unwrap_or(0)
}

/// [`decayed`], or `None` if the half-life is zero or all of the price has been shifted out.
fn try_decayed(price: Balance, elapsed: BlockNumber, half_life: BlockNumber) -> Option<Balance> {
    let halvings = elapsed.checked_div(half_life)?;
    let rest = elapsed.checked_rem(half_life)?;
    // Below 2⁶⁴ · 2³²: no overflow.
    let scaled = u128::from(price).checked_mul(power(rest, half_life)?.into())?;
    let shifted = scaled.checked_shr(halvings.checked_add(32)?)?;
    u64::try_from(shifted).ok()
}

/// 2³² · 2^(−rest / half_life) for `rest` below `half_life`; `None` otherwise.
fn power(rest: BlockNumber, half_life: BlockNumber) -> Option<u64> {
    let half_life = u64::from(half_life);
    let position = u64::from(rest).checked_mul(SEGMENTS)?;
    let segment = usize::try_from(position.checked_div(half_life)?).ok()?;
    let within = position.checked_rem(half_life)?;
    let from = POWERS.get(segment)?;
    let to = POWERS.get(segment.checked_add(1)?)?;
    let fallen = from
        .checked_sub(*to)?
        .checked_mul(within)?
        .checked_div(half_life)?;
    from.checked_sub(fallen)
}

/// The price of a seat after one was sold at `price`: `factor` times as much, at most `max`.
pub fn raised(price: Balance, factor: Nano, max: Balance) -> Balance {
    u128::from(price)
        .checked_mul(factor.0.into()) // Below 2¹²⁸.
        .and_then(|product| product.checked_div(Nano::ONE.0.into()))
        .and_then(|raised| u64::try_from(raised).ok())
        .map_or(max, |raised| raised.min(max))
}

/// The price of a subnet `elapsed` blocks after it was `start`: a straight line that reaches `floor` after
/// `decay` blocks and stays there.
pub fn falling(
    start: Balance,
    floor: Balance,
    elapsed: BlockNumber,
    decay: BlockNumber,
) -> Balance {
    try_falling(start, floor, elapsed, decay).unwrap_or(floor)
}

/// [`falling`], or `None` when the floor has been reached.
fn try_falling(
    start: Balance,
    floor: Balance,
    elapsed: BlockNumber,
    decay: BlockNumber,
) -> Option<Balance> {
    let remaining = decay.checked_sub(elapsed)?;
    let height = start.checked_sub(floor)?;
    let above = u128::from(height)
        .checked_mul(remaining.into())?
        .checked_div(decay.into())?;
    floor.checked_add(u64::try_from(above).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::CRN;
    use proptest::prelude::*;

    #[test]
    fn the_price_of_a_seat_halves_every_half_life() {
        assert_eq!(decayed(100 * CRN, 0, 360), 100 * CRN);
        assert_eq!(decayed(100 * CRN, 360, 360), 50 * CRN);
        assert_eq!(decayed(100 * CRN, 720, 360), 25 * CRN);
        assert_eq!(decayed(100 * CRN, 180, 360), 70710678119); // 100 / √2
        assert_eq!(decayed(u64::MAX, 63, 1), 1);
        assert_eq!(decayed(u64::MAX, 64, 1), 0);
        assert_eq!(decayed(u64::MAX, u32::MAX, 1), 0);
        assert_eq!(decayed(7, 1, 0), 0);
    }

    #[test]
    fn the_power_is_within_a_quarter_per_mille_above_the_true_one() {
        for rest in 0..1_000 {
            let exact = 2f64.powf(-f64::from(rest) / 1_000.0);
            let ours = power(rest, 1_000).unwrap() as f64 / 2f64.powi(32);
            let above = ours / exact - 1.0;
            assert!((-1e-9..=0.000_24).contains(&above), "{rest}: {above}");
        }
    }

    #[test]
    fn a_sale_raises_the_price_of_a_seat_to_the_maximum() {
        assert_eq!(raised(1_000, Nano(1_260_000_000), CRN), 1_260);
        assert_eq!(raised(1_260, Nano(1_260_000_000), CRN), 1_587);
        assert_eq!(raised(900_000_000, Nano(1_260_000_000), CRN), CRN);
        assert_eq!(raised(u64::MAX, Nano(u64::MAX), 5), 5);
    }

    #[test]
    fn the_price_of_a_subnet_falls_in_a_straight_line_to_the_floor() {
        assert_eq!(falling(200, 100, 0, 10), 200);
        assert_eq!(falling(200, 100, 5, 10), 150);
        assert_eq!(falling(200, 100, 9, 10), 110);
        assert_eq!(falling(200, 100, 10, 10), 100);
        assert_eq!(falling(200, 100, u32::MAX, 10), 100);
        assert_eq!(falling(50, 100, 1, 10), 100);
        assert_eq!(falling(200, 100, 0, 0), 100);
    }

    proptest! {
        #[test]
        fn time_never_raises_a_price(
            price: u64, elapsed in 0..1_000_000u32, more in 0..1_000u32, half_life in 1..50_000u32,
            floor: u64, decay in 1..1_000_000u32,
        ) {
            let later = elapsed + more;
            prop_assert!(decayed(price, later, half_life) <= decayed(price, elapsed, half_life));
            prop_assert!(falling(price, floor, later, decay) <= falling(price, floor, elapsed, decay));
            prop_assert!(falling(price, floor, elapsed, decay) >= floor);
        }
    }
}
