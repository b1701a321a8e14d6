//! From a round's contributions to the next weights, with the same bits on every machine.
//!
//! For each tensor, with the included contributions p in ascending order of uid, R of them:
//!
//! - n_p = √(Σ v̂_p[i]²) in `f64`, summed in ascending order of i;
//! - m = the lower median of the n_p: number ⌊(R − 1) / 2⌋ of them in ascending order;
//! - f_p = 1 if n_p ≤ m, else m / n_p in `f64`, rounded to `f32`;
//! - s[i] = Σ f_p · v̂_p[i] over those that sent i, in `f32`, every product rounded before it is added, from +0;
//! - Δ̄[i] = s[i] · (1 / max(m_i, ⌈ρR⌉)) in `f32`, where m_i is how many sent i;
//! - θ[i] ← θ[i] − (α · Δ̄[i]) in `f32`, where anybody sent i; elsewhere θ stays.
//!
//! Clipping to the median norm is Covenant-72B's rule (arXiv 2603.08163, section on SparseLoCo's outer
//! step); ρ spans its mean over all contributions (ρ = 1) and the mean over senders of its code (ρ = 0).
//! No operation is fused and threads split elements, never a sum, so that neither the number of threads nor
//! the order in which contributions arrived can be seen in the result.

use cairn_primitives::{Layout, Nano, OuterStep, Uid};
use rayon::prelude::*;
use thiserror::Error;

use crate::blocks::{LayoutError, Plan};
use crate::contribution::{check_length, Contribution, MismatchError, SparseTensor};

/// Elements that one thread updates at a time.
const PIECE: usize = 1 << 15;

/// Why the outer step could not be taken. The weights are then as they were.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OuterStepError {
    /// No outer step can be taken with this layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The weights do not go with the layout.
    #[error("the weights: {0}")]
    Weights(MismatchError),
    /// A contribution does not go with the layout.
    #[error("the contribution of uid {uid}: {error}")]
    Contribution {
        /// Whose it is.
        uid: Uid,
        /// What is wrong with it.
        error: MismatchError,
    },
    /// One member contributed twice.
    #[error("uid {uid} contributed twice: pass each included contribution once")]
    DuplicateUid {
        /// Who.
        uid: Uid,
    },
    /// ρ is above 1.
    #[error("ρ is {}: set it to 1 at most", .rho.to_f64())]
    Rho {
        /// What was asked for.
        rho: Nano,
    },
    /// A weight would be infinite or not a number.
    #[error("parameter {index} of tensor {tensor} would not be finite: these contributions cannot be applied")]
    NotFinite {
        /// Name of the tensor.
        tensor: String,
        /// The parameter's index within it.
        index: usize,
    },
}

/// θ ← θ − α Δ̄: moves the weights by what the contributions say.
///
/// `theta` is flat, in the layout's order. The contributions may come in any order. None at all: a null
/// round, the weights stay. One alone with α = 1: θ − v̂, which is how a validator tries a contribution out.
///
/// # Errors
/// See [`OuterStepError`]; `theta` is then unchanged.
pub fn outer_step(
    theta: &mut [f32],
    layout: &Layout,
    contributions: &[(Uid, Contribution)],
    outer: &OuterStep,
) -> Result<(), OuterStepError> {
    let plan = Plan::new(layout)?;
    check_length(theta, &plan).map_err(OuterStepError::Weights)?;
    if outer.rho > Nano::ONE {
        return Err(OuterStepError::Rho { rho: outer.rho });
    }
    let ordered = in_order(contributions)?;
    for (uid, contribution) in ordered.iter().copied() {
        contribution
            .check(layout, &plan)
            .map_err(|error| OuterStepError::Contribution { uid: *uid, error })?;
    }
    if ordered.is_empty() {
        return Ok(());
    }
    let step = Step::new(outer, ordered.len());
    let shares: Vec<Vec<Share>> = (0..plan.grids.len())
        .into_par_iter()
        .map(|tensor| shares_of(tensor, &ordered))
        .collect();
    let mut tensors = plan.split_mut(theta);
    // A first pass only looks, so that an error leaves the weights as they were.
    let fault = tensors
        .par_iter()
        .zip(&shares)
        .zip(&layout.0)
        .find_map_first(|((theta, shares), tensor)| {
            let tensor = tensor.name.clone();
            step.first_not_finite(theta, shares)
                .map(|index| OuterStepError::NotFinite { tensor, index })
        });
    if let Some(fault) = fault {
        return Err(fault);
    }
    tensors
        .par_iter_mut()
        .zip(&shares)
        .for_each(|(theta, shares)| {
            theta
                .par_chunks_mut(PIECE)
                .enumerate()
                .for_each(|(number, piece)| {
                    let moved = step.moved(number * PIECE, piece, shares);
                    piece.copy_from_slice(&moved);
                });
        });
    Ok(())
}

/// The contributions in ascending order of uid.
fn in_order(
    contributions: &[(Uid, Contribution)],
) -> Result<Vec<&(Uid, Contribution)>, OuterStepError> {
    let mut ordered: Vec<_> = contributions.iter().collect();
    ordered.sort_by_key(|(uid, _)| *uid);
    match ordered.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(OuterStepError::DuplicateUid { uid: pair[0].0 }),
        None => Ok(ordered),
    }
}

/// What one contribution adds to one tensor.
struct Share<'a> {
    tensor: &'a SparseTensor,
    clip: f32,
}

/// All contributions' shares in one tensor, clipped to the lower median of their norms.
fn shares_of<'a>(tensor: usize, ordered: &[&'a (Uid, Contribution)]) -> Vec<Share<'a>> {
    let norms: Vec<f64> = ordered
        .par_iter()
        .map(|(_, sent)| norm(&sent.tensors[tensor].values))
        .collect();
    let median = lower_median(&norms);
    let share = |((_, sent), norm): (&&'a (Uid, Contribution), &f64)| Share {
        tensor: &sent.tensors[tensor],
        clip: if *norm <= median {
            1.0
        } else {
            (median / norm) as f32
        },
    };
    ordered.iter().zip(&norms).map(share).collect()
}

/// Euclidean norm in `f64`, summed from the first value to the last.
fn norm(values: &[f32]) -> f64 {
    let sum = values.iter().fold(0.0, |sum, value| {
        sum + f64::from(*value) * f64::from(*value)
    });
    f64::sqrt(sum)
}

/// The middle one, or the lower of the two in the middle; 0 of none.
fn lower_median(norms: &[f64]) -> f64 {
    let mut ascending = norms.to_vec();
    ascending.sort_by(f64::total_cmp);
    ascending
        .get(ascending.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0.0)
}

/// The settings of an outer step.
struct Step {
    /// α.
    rate: f32,
    /// ⌈ρR⌉.
    least_divisor: u32,
}

impl Step {
    fn new(outer: &OuterStep, contributions: usize) -> Step {
        // ρ ≤ 1, and there are at most 2¹⁶ uids
        let scaled = u128::from(outer.rho.0) * contributions as u128;
        Step {
            rate: outer.learning_rate.to_f32(),
            least_divisor: scaled.div_ceil(u128::from(Nano::ONE.0)) as u32,
        }
    }

    /// What becomes of `theta`, a piece of a tensor that begins at index `start`.
    fn moved(&self, start: usize, theta: &[f32], shares: &[Share]) -> Vec<f32> {
        let mut sums = vec![0f32; theta.len()];
        let mut senders = vec![0u32; theta.len()];
        for share in shares {
            let indices = &share.tensor.indices;
            let first = indices.partition_point(|index| (*index as usize) < start);
            let sent = indices.iter().zip(&share.tensor.values).skip(first);
            for (index, value) in sent.take_while(|(i, _)| (**i as usize) < start + theta.len()) {
                let at = *index as usize - start;
                sums[at] += share.clip * value;
                senders[at] += 1;
            }
        }
        for ((sum, senders), theta) in sums.iter_mut().zip(&senders).zip(theta) {
            *sum = if *senders == 0 {
                *theta
            } else {
                let inverse = 1.0 / (*senders).max(self.least_divisor) as f32;
                let mean = *sum * inverse;
                *theta - self.rate * mean
            };
        }
        sums
    }

    /// The first element of a tensor that would not be finite.
    fn first_not_finite(&self, theta: &[f32], shares: &[Share]) -> Option<usize> {
        theta
            .par_chunks(PIECE)
            .enumerate()
            .find_map_first(|(number, piece)| {
                let start = number * PIECE;
                let moved = self.moved(start, piece, shares);
                moved
                    .iter()
                    .position(|value| !value.is_finite())
                    .map(|at| start + at)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_median_of_even_and_odd_numbers() {
        assert_eq!(lower_median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(lower_median(&[4.0, 1.0, 3.0, 2.0]), 2.0);
        assert_eq!(lower_median(&[5.0, 4.0]), 4.0);
        assert_eq!(lower_median(&[7.0]), 7.0);
    }

    #[test]
    fn rho_times_contributions_is_rounded_up() {
        let least = |rho, contributions| {
            let outer = OuterStep {
                learning_rate: Nano::ONE,
                rho: Nano(rho),
            };
            Step::new(&outer, contributions).least_divisor
        };
        assert_eq!(least(0, 7), 0);
        assert_eq!(least(1, 7), 1);
        assert_eq!(least(500_000_000, 4), 2);
        assert_eq!(least(500_000_000, 5), 3);
        assert_eq!(least(1_000_000_000, 256), 256);
    }
}
