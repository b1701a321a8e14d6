//! How much contributions have in common.

use cairn_primitives::Layout;
use rayon::prelude::*;

use crate::blocks::Plan;
use crate::contribution::{Contribution, MismatchError};
use crate::sparse::SparseTensor;

/// Cosines of contributions, each the mean of their tensors' cosines, weighted by how many values are sent of a tensor:
/// so that nobody hides a copy behind one tensor that it makes large.
#[derive(Clone, Debug, PartialEq)]
pub struct Resemblance {
    /// Of each two, by their places, ascending.
    pub pairs: Vec<(usize, usize, f64)>,
    /// Of each with the sum of those of the round before, all taken at the same norm; none, if there were none.
    pub with_before: Vec<f64>,
}

/// What contributions of a round have in common, with each other and with what the round before included. Sums are in
/// `f64`, in the order in which values are sent, tensor by tensor: the same bits with any number of threads. Takes time
/// in proportion to the square of their number.
///
/// # Errors
/// [`MismatchError`] if one of them does not go with the layout.
pub fn resemblance(
    layout: &Layout,
    of: &[&Contribution],
    before: &[&Contribution],
) -> Result<Resemblance, MismatchError> {
    let plan = Plan::new(layout)?;
    for one in of.iter().chain(before) {
        one.check(layout, &plan)?;
    }
    let tensors: Vec<(f64, Cosines)> = (0..layout.0.len())
        .into_par_iter()
        .map(|number| {
            let of: Vec<&SparseTensor> = of.iter().map(|one| &one.tensors[number]).collect();
            let before: Vec<&SparseTensor> =
                before.iter().map(|one| &one.tensors[number]).collect();
            let sent = of.first().map_or(0, |one| one.codes().len());
            (sent as f64, Cosines::of(&of, &before))
        })
        .collect();
    let all: f64 = tensors.iter().map(|(sent, _)| sent).sum();
    let mean = |cosine: &dyn Fn(&Cosines) -> f64| {
        let sum: f64 = tensors
            .iter()
            .map(|(sent, tensor)| sent * cosine(tensor))
            .sum();
        sum / all.max(1.0)
    };
    let places = (0..of.len()).flat_map(|one| (one + 1..of.len()).map(move |other| (one, other)));
    let pairs = places.enumerate().map(|(number, (one, other))| {
        let cosine = mean(&|tensor| tensor.pairs[number]);
        (one, other, cosine)
    });
    let with_before = match before.is_empty() {
        true => Vec::new(),
        false => (0..of.len())
            .map(|one| mean(&|tensor| tensor.with_before[one]))
            .collect(),
    };
    Ok(Resemblance {
        pairs: pairs.collect(),
        with_before,
    })
}

/// The cosines of one tensor.
struct Cosines {
    pairs: Vec<f64>,
    with_before: Vec<f64>,
}

impl Cosines {
    fn of(of: &[&SparseTensor], before: &[&SparseTensor]) -> Cosines {
        let any = of.iter().chain(before).next();
        let elements = any.map_or(0, |one| one.elements());
        let mut dense = vec![0f32; elements];
        let norms: Vec<f64> = of.iter().map(|one| one.norm()).collect();
        let mut pairs = Vec::new();
        for (one, tensor) in of.iter().enumerate() {
            tensor.add_to(&mut dense);
            for other in one + 1..of.len() {
                let product = product(of[other], |at| f64::from(dense[at]));
                pairs.push(cosine(product, norms[one] * norms[other]));
            }
            for (at, _) in tensor.values() {
                dense[at as usize] = 0.0;
            }
        }
        drop(dense);
        let mut sum = vec![0f64; if before.is_empty() { 0 } else { elements }];
        for tensor in before {
            let norm = tensor.norm();
            for (at, value) in tensor.values().filter(|_| norm > 0.0) {
                sum[at as usize] += f64::from(value) / norm;
            }
        }
        let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
        let with_sum = |(tensor, norm): (&&SparseTensor, &f64)| {
            let product = product(tensor, |at| sum.get(at).copied().unwrap_or_default());
            cosine(product, norm * length)
        };
        let with_before = of.iter().zip(&norms).map(with_sum).collect();
        Cosines { pairs, with_before }
    }
}

fn product(tensor: &SparseTensor, other: impl Fn(usize) -> f64) -> f64 {
    let products = tensor.values();
    products
        .map(|(at, value)| f64::from(value) * other(at as usize))
        .sum()
}

/// What has no length has nothing in common with anything.
fn cosine(product: f64, lengths: f64) -> f64 {
    if lengths > 0.0 {
        product / lengths
    } else {
        0.0
    }
}
