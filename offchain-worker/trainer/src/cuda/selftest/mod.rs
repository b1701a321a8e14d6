//! Compares every kernel, and a training step, with what they should compute.
//!
//! `cairn gpu-selftest` runs this on a card; the tests run it through a driver that computes on the CPU. A kernel
//! is compared at small, awkward sizes with a plain computation in double precision, and timed at sizes of
//! training. The gradient of a small model is compared with the CPU backend's, AdamW with the CPU's to the bit, and Muon
//! within the rounding of its products.

mod cases;
mod contribution;
mod lab;
mod muon;
mod reference;
mod step;

pub use lab::Outcome;

use super::{
    device::{Card, Device},
    error::CudaError,
};
use crate::TrainerError;
use lab::Lab;

/// What a self-test does.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which card.
    pub ordinal: usize,
    /// Where its numbers come from.
    pub seed: u64,
    /// Whether kernels are timed, too.
    pub timed: bool,
}

/// The result of a self-test.
#[derive(Clone, Debug)]
pub struct Report {
    /// The card.
    pub card: Card,
    /// What each kernel did.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Whether everything was within its tolerance.
    pub fn passed(&self) -> bool {
        self.outcomes.iter().all(Outcome::passed)
    }
}

/// Runs all comparisons.
///
/// # Errors
///
/// If the card cannot be used or fails; a result outside its tolerance is no error but an [`Outcome`].
pub fn run(settings: Settings) -> Result<Report, TrainerError> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut card = None;
    for width in [16, 32, 64, 128] {
        let device = Device::open(settings.ordinal, width)?;
        let mut lab = Lab::new(&device, settings.seed);
        if width == 16 {
            cases::all_but_attention(&mut lab, false)?;
        }
        cases::attention(&mut lab, width, false)?;
        if settings.timed {
            lab.time();
            if width == 64 {
                cases::all_but_attention(&mut lab, true)?;
            }
            if width >= 64 {
                cases::attention(&mut lab, width, true)?;
            }
        }
        for outcome in lab.into_outcomes() {
            outcome.merge_into(&mut outcomes);
        }
        card = Some(device.card().clone());
    }
    outcomes.extend(step::compare(settings)?);
    let card = card.ok_or(CudaError::NoDriver)?;
    Ok(Report { card, outcomes })
}
