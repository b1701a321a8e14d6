//! Sparse values rounded otherwise than ours, and the outer step over them.

use std::ops::Range;

use cairn_primitives::Layout;

/// A tensor's values with their places.
pub type Values = Vec<(usize, f32)>;

/// The outer step with rate 1 over each worker's tensors: norms are clipped to their lower median, a sum is divided
/// by its senders or by ρR, whichever is more. With ρ = 0 it is Templar's.
pub fn scatter(theta: &mut [f32], layout: &Layout, sent: &[Vec<Values>], rho: f64) {
    let least = (rho * sent.len() as f64).ceil() as u32;
    for (number, (_, range)) in layout.ranges().enumerate() {
        let of_tensor: Vec<&Values> = sent.iter().map(|worker| &worker[number]).collect();
        scatter_tensor(theta, range, &of_tensor, least.max(1));
    }
}

/// Each tensor's values at their places, and nothing elsewhere.
pub fn placed<T>(layout: &Layout, tensors: impl Iterator<Item = T>) -> Vec<f32>
where
    T: Iterator<Item = (usize, f32)>,
{
    let mut all = vec![0.0; layout.parameters()];
    for (values, (_, range)) in tensors.zip(layout.ranges()) {
        for (place, value) in values {
            all[range.start + place] = value;
        }
    }
    all
}

fn scatter_tensor(theta: &mut [f32], range: Range<usize>, sent: &[&Values], least: u32) {
    let theta = &mut theta[range];
    let (mut sums, mut senders) = (vec![0f32; theta.len()], vec![0u32; theta.len()]);
    let norms: Vec<f64> = sent.iter().map(|values| norm(values)).collect();
    let mut sorted = norms.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[(sorted.len() - 1) / 2];
    for (values, norm) in sent.iter().zip(&norms) {
        let clip = if *norm <= median { 1.0 } else { median / norm } as f32;
        for (place, value) in *values {
            sums[*place] += clip * value;
            senders[*place] += 1;
        }
    }
    for ((theta, sum), senders) in theta.iter_mut().zip(&sums).zip(&senders) {
        *theta -= sum / (*senders).max(least) as f32;
    }
}

fn norm(values: &Values) -> f64 {
    let squares = values.iter().map(|(_, value)| f64::from(*value).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Templar's quantiser: four bins of 1.5 standard deviations around the mean, and each bin's mean.
pub fn bins(values: &[f32]) -> Vec<f32> {
    let count = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|v| (f64::from(*v) - mean).powi(2))
        .sum::<f64>()
        / (count - 1.0).max(1.0);
    let scale = match 1.5 * variance.sqrt() {
        scale if scale > 0.0 => scale,
        _ => 1.0,
    };
    let bin = |v: f32| {
        let bin = ((f64::from(v) - mean) / scale + 2.0).round_ties_even();
        bin.clamp(0.0, 3.0) as usize
    };
    let mut bins = [(0f64, 0f64); 4];
    for value in values {
        let (sum, members) = &mut bins[bin(*value)];
        *sum += f64::from(*value) - mean;
        *members += 1.0;
    }
    let rounded = |value: &f32| {
        let (sum, members) = bins[bin(*value)];
        (sum / members + mean) as f32
    };
    values.iter().map(rounded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::Tensor;

    #[test]
    fn templars_quantiser_is_templars() {
        // worked by hand: shift 0.0375, scale 4.93728
        let found = bins(&[-4.0, -3.0, -2.5, -2.0, 2.0, 2.2, 2.6, 5.0]);
        let low = -3.166_667;
        let middle = 0.733_333;
        let expected = [low, low, low, middle, middle, middle, 3.8, 3.8];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        assert_eq!(bins(&[2.0]), [2.0]);
    }

    /// Three workers: the median norm is 5, so that the third, of norm 10, counts half.
    #[test]
    fn sums_are_divided_by_senders_or_more() {
        let layout = Layout(vec![Tensor {
            name: "four".into(),
            shape: vec![4],
        }]);
        let sent = [
            vec![vec![(0, 3.0), (1, 4.0)]],
            vec![vec![(1, 4.0)]],
            vec![vec![(1, 8.0), (2, 6.0)]],
        ];
        let step = |rho| {
            let mut theta = vec![0.0; 4];
            scatter(&mut theta, &layout, &sent, rho);
            theta
        };
        assert_eq!(step(0.0), [-3.0, -4.0, -3.0, 0.0]);
        assert_eq!(step(0.5), [-1.5, -4.0, -1.5, 0.0]);
        assert_eq!(step(1.0), [-1.0, -4.0, -1.0, 0.0]);
    }
}
