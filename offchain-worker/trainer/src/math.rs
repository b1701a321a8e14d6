//! Sums in a fixed order and an exponential made of fused multiply-adds.
//!
//! Everything here is `inline(always)`, so that it is compiled with the vectors of its caller; outside a function
//! that is compiled for them (`wide!`), `mul_add` is a slow call with the same result.

/// Lanes of a sum: element *i* is added to lane *i* mod 16, and the lanes are folded in halves.
pub const LANES: usize = 16;

/// Adds the lanes: 0..8 + 8..16, then 0..4 + 4..8, and so on.
#[inline(always)]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Σ `a[i]`·`b[i]` by fused multiply-adds, over the length of the shorter.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (a[..n].chunks_exact(LANES), b[..n].chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    let mut lanes = [0f32; LANES];
    for (a, b) in a.zip(b) {
        for i in 0..LANES {
            lanes[i] = a[i].mul_add(b[i], lanes[i]);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(rest) {
        *lane = a.mul_add(*b, *lane);
    }
    fold(lanes)
}

/// Σ (`a[i]`·`b[i]`)·`c[i]`, the second product fused, for three rows of the same length.
#[inline(always)]
pub fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let n = a.len().min(b.len()).min(c.len());
    let whole = n - n % LANES;
    let mut lanes = [0f32; LANES];
    let blocks = a[..whole]
        .chunks_exact(LANES)
        .zip(b[..whole].chunks_exact(LANES));
    for ((a, b), c) in blocks.zip(c[..whole].chunks_exact(LANES)) {
        for i in 0..LANES {
            lanes[i] = (a[i] * b[i]).mul_add(c[i], lanes[i]);
        }
    }
    let rest = a[whole..n].iter().zip(&b[whole..n]).zip(&c[whole..n]);
    for (lane, ((a, b), c)) in lanes.iter_mut().zip(rest) {
        *lane = (a * b).mul_add(*c, *lane);
    }
    fold(lanes)
}

/// The largest element; negative infinity for an empty row. What is not a number is passed over.
#[inline(always)]
pub fn max(row: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let blocks = row.chunks_exact(LANES);
    for (lane, x) in lanes.iter_mut().zip(blocks.remainder()) {
        *lane = larger(*lane, *x);
    }
    for block in blocks {
        for i in 0..LANES {
            lanes[i] = larger(lanes[i], block[i]);
        }
    }
    lanes.iter().fold(f32::NEG_INFINITY, |a, b| larger(a, *b))
}

/// Replaces each x by exp((x − `max`)·`scale`) and returns the sum.
#[inline(always)]
pub fn exp_sum(row: &mut [f32], max: f32, scale: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let mut blocks = row.chunks_exact_mut(LANES);
    for block in blocks.by_ref() {
        for i in 0..LANES {
            block[i] = exp((block[i] - max) * scale);
            lanes[i] += block[i];
        }
    }
    for (lane, x) in lanes.iter_mut().zip(blocks.into_remainder()) {
        *x = exp((*x - max) * scale);
        *lane += *x;
    }
    fold(lanes)
}

/// The same sum, where the exponentials are not wanted.
#[inline(always)]
pub fn sum_of_exp(row: &[f32], max: f32, scale: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let blocks = row.chunks_exact(LANES);
    let rest = blocks.remainder();
    for block in blocks {
        for i in 0..LANES {
            lanes[i] += exp((block[i] - max) * scale);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += exp((*x - max) * scale);
    }
    fold(lanes)
}

/// Adding this to a small float leaves the nearest integer in the low bits: 1.5 · 2²³.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; the first has 12 significant bits, so that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// eˣ within two units in the last place, for x in −87..=88; beyond, the value at the nearer end.
///
/// x = n·ln 2 + r with |r| ≤ ½ ln 2, then the Taylor series of eʳ to the seventh power (the rest is below
/// 6·10⁻⁹), then n is added to the exponent. What is not a number stays so.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let mut y = 1.0f32 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        y = y.mul_add(r, coefficient);
    }
    // The low bits of `shifted` are n; the bits of ROUND itself are shifted out.
    y * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Σ `row[i]`² in `f64`, in eight lanes.
#[inline(always)]
pub fn sum_squares(row: &[f32]) -> f64 {
    let mut lanes = [0f64; 8];
    let blocks = row.chunks_exact(8);
    let rest = blocks.remainder();
    for block in blocks {
        for i in 0..8 {
            lanes[i] += f64::from(block[i]) * f64::from(block[i]);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(*x) * f64::from(*x);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[cfg(test)]
mod tests {
    use super::*;

    wide! {
        fn exp_all(row: &mut [f32]) {
            for x in row {
                *x = exp(*x);
            }
        }
    }

    #[test]
    fn exp_is_right_within_two_units_in_the_last_place() {
        for i in -87_000..=88_000 {
            let x = i as f32 / 1000.0;
            let (ours, true_value) = (f64::from(exp(x)), libm::exp(f64::from(x)));
            let error = (ours - true_value).abs() / true_value;
            assert!(
                error < 2.0 * f64::from(f32::EPSILON),
                "e^{x}: {ours} for {true_value}"
            );
        }
    }

    #[test]
    fn exp_stays_finite_and_keeps_what_is_not_a_number() {
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e30) > 0.0 && exp(-1e30) < 2e-38);
        assert!(exp(1e30).is_finite() && exp(1e30) > 1e38);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_vector_width_changes_no_bit() {
        let numbers: Vec<f32> = (0..4099).map(|i| (i as f32 * 0.37).sin() * 20.0).collect();
        let mut vectors = numbers.clone();
        exp_all(&mut vectors);
        for (x, y) in numbers.iter().zip(&vectors) {
            assert_eq!(
                std::hint::black_box(exp(std::hint::black_box(*x))).to_bits(),
                y.to_bits()
            );
        }
    }

    #[test]
    fn a_sum_is_made_in_sixteen_lanes_folded_in_halves() {
        let a: Vec<f32> = (0..83).map(|i| (i as f32 * 1.7).cos()).collect();
        let b: Vec<f32> = (0..83).map(|i| (i as f32 * 0.3).sin()).collect();
        let mut lanes = [0f32; 16];
        for i in 0..83 {
            lanes[i % 16] = a[i].mul_add(b[i], lanes[i % 16]);
        }
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
        }
        assert_eq!(dot(&a, &b).to_bits(), lanes[0].to_bits());
        let product: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a * b).collect();
        let expected = dot(&product, &b);
        assert_eq!(dot3(&a, &b, &b).to_bits(), expected.to_bits());
    }

    #[test]
    fn the_largest_is_found_wherever_it_is() {
        for place in [0, 15, 16, 31, 36] {
            let mut row = [-3.0f32; 37];
            row[place] = -1.0;
            assert_eq!(max(&row), -1.0);
        }
        assert_eq!(max(&[]), f32::NEG_INFINITY);
    }
}
