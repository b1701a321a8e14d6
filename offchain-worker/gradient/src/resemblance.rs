//! How much contributions have in common.

use cairn_primitives::{
    blocks::{BLOCK, PLACE},
    Layout,
};
use rayon::prelude::*;

use crate::blocks::{Kept, Plan};
use crate::contribution::{Contribution, MismatchError};
use crate::sparse::{value_of, SparseTensor};

/// Cosines of contributions, each the mean of their tensors' cosines, weighted by how many values are sent of a tensor:
/// so that nobody hides a copy behind one tensor that it makes large.
#[derive(Clone, Debug, PartialEq)]
pub struct Resemblance {
    /// Of each two, by their places, ascending. Where members take turns, of each two of the same turn: others have no
    /// value in common.
    pub pairs: Vec<(usize, usize, f64)>,
    /// Of each with the sum of those of the round before, all taken at the same norm; none, if there were none. Where
    /// members take turns, with that sum's values of the same turn.
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
    let kept = |at: usize| of.get(at).and_then(|one| Some(one.tensors.first()?.kept()));
    let places = (0..of.len()).flat_map(|one| (one + 1..of.len()).map(move |other| (one, other)));
    let numbered = places.enumerate();
    let comparable = numbered.filter(|(_, (one, other))| kept(*one) == kept(*other));
    let pairs = comparable.map(|(number, (one, other))| {
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
        let norms: Vec<f64> = of.iter().map(|one| one.norm()).collect();
        let places =
            (0..of.len()).flat_map(|one| (one + 1..of.len()).map(move |other| (one, other)));
        let pairs = places.zip(products(of));
        let pairs = pairs.map(|((one, other), product)| cosine(product, norms[one] * norms[other]));
        let with_before = products_with_sum(of, before).into_iter().zip(&norms);
        let with_before =
            with_before.map(|((product, length), norm)| cosine(product, norm * length));
        Cosines {
            pairs: pairs.collect(),
            with_before: with_before.collect(),
        }
    }
}

/// The products of each two of these, block by block: what is looked up stays in the first cache.
fn products(of: &[&SparseTensor]) -> Vec<f64> {
    let mut products = vec![0f64; of.len() * of.len().saturating_sub(1) / 2];
    let strips = of.first().map_or(0, |one| one.grid().strip_count());
    let (mut dense, mut blocks) = ([0f32; BLOCK], Vec::with_capacity(of.len()));
    for strip in (0..strips).filter(|_| of.len() > 1) {
        let mut parts: Vec<_> = of.iter().map(|one| one.strip(strip)).collect();
        loop {
            blocks.clear();
            blocks.extend(parts.iter_mut().filter_map(Iterator::next));
            // every contribution has the same blocks
            if blocks.len() < of.len() {
                break;
            }
            let mut products = products.iter_mut();
            for (one, (_, levels, codes)) in blocks.iter().enumerate() {
                for code in codes.iter() {
                    dense[usize::from(code & PLACE)] = value_of(*code, *levels);
                }
                let others = blocks.iter().skip(one + 1).zip(&mut products);
                for ((_, levels, codes), product) in others {
                    for code in codes.iter() {
                        let value = f64::from(value_of(*code, *levels));
                        *product += value * f64::from(dense[usize::from(code & PLACE)]);
                    }
                }
                for code in codes.iter() {
                    dense[usize::from(code & PLACE)] = 0.0;
                }
            }
        }
    }
    products
}

/// The product of each of these with the sum of those before, each of which is taken at the same norm; and the length
/// of that sum, of a turn's the length in its values. Strip by strip.
fn products_with_sum(of: &[&SparseTensor], before: &[&SparseTensor]) -> Vec<(f64, f64)> {
    let (mut products, mut squares) = (vec![(0f64, 0f64); of.len()], 0f64);
    let norms: Vec<f64> = before.iter().map(|one| one.norm()).collect();
    let grid = before.first().map(|one| one.grid());
    let mut sum = vec![0f64; grid.map_or(0, |grid| grid.strip_len())];
    for number in 0..grid.map_or(0, |grid| grid.strip_count()) {
        sum.fill(0.0);
        for (tensor, norm) in before.iter().zip(&norms).filter(|(_, norm)| **norm > 0.0) {
            for (at, value) in values(tensor, number) {
                sum[at] += f64::from(value) / norm;
            }
        }
        squares = sum.iter().fold(squares, |sum, value| sum + value * value);
        for (tensor, (product, of_turn)) in of.iter().zip(&mut products) {
            for (at, value) in values(tensor, number) {
                *product += f64::from(value) * sum[at];
                *of_turn += sum[at] * sum[at];
            }
        }
    }
    let length = |(tensor, (product, of_turn)): (&&SparseTensor, (f64, f64))| {
        let squares = match tensor.kept() {
            Kept::Largest(_) => squares,
            Kept::Turn(_) => of_turn,
        };
        (product, squares.sqrt())
    };
    of.iter().zip(products).map(length).collect()
}

/// The values of a strip, with their places in it.
fn values(tensor: &SparseTensor, strip: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
    let cols = tensor.grid().strip(strip).cols;
    tensor.strip(strip).flat_map(move |(block, levels, codes)| {
        let value = move |code: &u16| {
            let at = block.index(usize::from(code & PLACE), cols);
            (at, value_of(*code, levels))
        };
        codes.iter().map(value)
    })
}

/// What has no length has nothing in common with anything.
fn cosine(product: f64, lengths: f64) -> f64 {
    if lengths > 0.0 {
        product / lengths
    } else {
        0.0
    }
}
