//! From a round's contributions to the next parameters, with the same bits on every machine.
//!
//! For each tensor, with the included contributions p in ascending order of uid, R of them, each with its trust, which
//! is what it counts by the rule `combination` of `cairn-protocol`: the settlement's trust, or less where tokens count:
//!
//! - t_p = its trust over the greatest common divisor of all R, an integer; T = Σ t_p < 2²⁴;
//! - n_p = √(Σ v̂_p[i]²) in `f64`, summed block by block as [`SparseTensor::energy`] says;
//! - m = the t-weighted lower median of the n_p: the least such that those with n_p ≤ m have 2 Σ t_p ≥ T;
//! - c·m in `f64`, rounded, with c from 1 to 2 as the run has it;
//! - f_p = 1 if n_p ≤ c·m, else c·m / n_p in `f64`, rounded to `f32`;
//! - w_p = t_p · f_p in `f32`, rounded;
//! - s[i] = Σ w_p · v̂_p[i] over those that sent i, in `f32`, every product rounded before it is added, from +0;
//! - d[i] = max(Σ t_p over those that sent i, ⌈ρT⌉), an integer, which `f32` holds exactly;
//! - Δ̄[i] = s[i] · (1 / d[i]) in `f32`, the quotient rounded before the product;
//! - θ[i] ← θ[i] − (α · Δ̄[i]) in `f32`, where anybody sent i; elsewhere θ stays.
//!
//! Clipping to the median norm is Covenant-72B's rule (arXiv 2603.08163, section on SparseLoCo's outer step); ρ spans
//! its mean over all contributions (ρ = 1) and the mean over senders of its code (ρ = 0). With c = 1 it is that rule;
//! honest norms lie close together, and c a little above 1 leaves them as they are. Trust takes the place of
//! counting heads, so that seats without trust move neither the median nor the mean. Equal trusts are t_p = 1: then
//! all of it has the bits that counting heads gives. No operation is fused and threads split elements, never a sum,
//! so that neither the number of threads nor the order in which contributions arrived can be seen in the result.
//!
//! No value sent is above 65,280 and w_p ≤ 65,535, so that s is below 2⁴⁰, Δ̄ not above 65,280 but for roundings, and
//! no α takes a finite weight to infinity.

pub(crate) mod alone;
pub(crate) mod apply;
mod stream;
mod trust;

use cairn_primitives::{Layout, ModelRoot, Nano, OuterStep, Uid};
use thiserror::Error;

use self::apply::Step;
use crate::blocks::{LayoutError, Plan};
use crate::contribution::{check_length, Contribution, MismatchError};
use crate::roots::RootHasher;
use crate::sparse::SparseTensor;

pub use stream::{StreamError, StreamedStep};
pub(crate) use trust::Trust;

/// Why the outer step could not be taken. The parameters are then as they were.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OuterStepError {
    /// No outer step can be taken with this layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The parameters do not go with the layout.
    #[error("the parameters: {0}")]
    Parameters(MismatchError),
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
    /// A contribution with a trust of 0.
    #[error("the contribution of uid {uid} has no trust: include it with 1 at least")]
    NoTrust {
        /// Whose it is.
        uid: Uid,
    },
    /// More trust than can be added up exactly.
    #[error(
        "all trust together is {sum} over its common divisor: include 256 contributions at most"
    )]
    TooMuchTrust {
        /// T.
        sum: u64,
    },
    /// ρ is above 1.
    #[error("ρ is {}: set it to 1 at most", .rho.to_f64())]
    Rho {
        /// What was asked for.
        rho: Nano,
    },
}

/// What an outer step led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stepped {
    /// The model root of the new parameters.
    pub root: ModelRoot,
    /// The lower median of the contributions' norms over all tensors, weighted by trust: what contributions of the next
    /// round are held against. None if there were no contributions.
    pub norm: Option<f64>,
}

/// θ ← θ − α Δ̄: moves the parameters by what the contributions say.
///
/// `theta` is flat, in the layout's order. The contributions may come in any order, each with its trust, 1 at least.
/// None at all: a null round, the parameters stay. One alone with α = 1: θ − v̂, whatever its trust, which is how a
/// validator tries a contribution out.
///
/// # Errors
/// See [`OuterStepError`]; `theta` is then unchanged.
pub fn outer_step(
    theta: &mut [f32],
    layout: &Layout,
    contributions: &[(Uid, u16, Contribution)],
    outer: &OuterStep,
) -> Result<(), OuterStepError> {
    step(theta, layout, contributions, outer, None)
}

/// [`outer_step`], and the [`model_root`](crate::model_root) of the new parameters, hashed as they are made.
///
/// # Errors
/// As [`outer_step`].
pub fn outer_step_and_root(
    theta: &mut [f32],
    layout: &Layout,
    contributions: &[(Uid, u16, Contribution)],
    outer: &OuterStep,
) -> Result<ModelRoot, OuterStepError> {
    let mut hasher = RootHasher::default();
    step(theta, layout, contributions, outer, Some(&mut hasher))?;
    Ok(hasher.finish())
}

fn step(
    theta: &mut [f32],
    layout: &Layout,
    contributions: &[(Uid, u16, Contribution)],
    outer: &OuterStep,
    mut hasher: Option<&mut RootHasher>,
) -> Result<(), OuterStepError> {
    let plan = Plan::new(layout)?;
    check_length(theta, &plan).map_err(OuterStepError::Parameters)?;
    let ordered = in_order(contributions, |(uid, ..)| *uid)?;
    let trust = Trust::new(ordered.iter().map(|(uid, trust, _)| (*uid, *trust)))?;
    let step = Step::new(outer, trust)?;
    for (uid, _, contribution) in ordered.iter().copied() {
        contribution
            .check(layout, &plan)
            .map_err(|error| OuterStepError::Contribution { uid: *uid, error })?;
    }
    let tensors = plan.split_mut(theta).into_iter().enumerate();
    for ((number, theta), grid) in tensors.zip(&plan.grids) {
        let sent: Vec<&SparseTensor> = ordered
            .iter()
            .map(|(.., contribution)| &contribution.tensors[number])
            .collect();
        step.tensor(*grid, theta, &sent, hasher.as_deref_mut());
    }
    Ok(())
}

/// The contributions in ascending order of uid.
fn in_order<T>(contributions: &[T], uid: impl Fn(&T) -> Uid) -> Result<Vec<&T>, OuterStepError> {
    let mut ordered: Vec<&T> = contributions.iter().collect();
    ordered.sort_by_key(|contribution| uid(contribution));
    match ordered.windows(2).find(|pair| uid(pair[0]) == uid(pair[1])) {
        Some(pair) => Err(OuterStepError::DuplicateUid { uid: uid(pair[0]) }),
        None => Ok(ordered),
    }
}
