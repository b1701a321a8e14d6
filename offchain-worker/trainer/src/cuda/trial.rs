//! Parameters on the card that are measured as they are, and as contributions would make them.

use cairn_primitives::blocks::Kept;

use super::{
    contribution::{OuterRule, Share},
    trainer::{lost, CudaTrainer, UnderWay},
};
use crate::TrainerError;

/// Parameters on the card. They cross to it once, however many contributions are tried out on them.
pub struct Trial<'a> {
    trainer: &'a mut CudaTrainer,
}

impl CudaTrainer {
    /// Copies parameters to the card to be measured.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if they do not fit the model, or the card fails.
    pub fn trial(&mut self, params: &[f32]) -> Result<Trial<'_>, TrainerError> {
        self.check_length("the vector of parameters", params.len())?;
        self.set_under_way(UnderWay::Nothing);
        self.with_card(|open, model, _| {
            open.put_parameters(model, params)?;
            open.keep_parameters()
        })?;
        self.set_under_way(UnderWay::Trial);
        Ok(Trial { trainer: self })
    }

    /// The trial that [`CudaTrainer::trial`] began, unless something else was computed since or the card was lost.
    pub fn trial_under_way(&mut self) -> Option<Trial<'_>> {
        self.is_on_trial().then_some(Trial { trainer: self })
    }
}

impl Trial<'_> {
    /// The mean cross-entropy of each window with the parameters as they are now, as
    /// [`Trainer::losses`](crate::Trainer::losses).
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if windows do not fit the model, or the card fails: the trial is then over.
    pub fn losses(&mut self, windows: &[&[u32]]) -> Result<Vec<f32>, TrainerError> {
        self.check_not_lost()?;
        let length = self.trainer.check_windows(windows)?;
        self.trainer
            .with_card(|open, model, options| open.losses(model, options, windows, length))
    }

    /// Makes the parameters those that were given, moved by an outer step with these contributions, of which these
    /// elements were sent, in ascending order of uid: the bits are those of `cairn_gradient::outer_step`. With
    /// none, those that were given.
    ///
    /// # Errors
    ///
    /// [`TrainerError`] if a contribution is of another layout or density, or the card fails: the trial is then over.
    pub fn step(
        &mut self,
        kept: Kept,
        shares: &[Share],
        rule: OuterRule,
    ) -> Result<(), TrainerError> {
        self.check_not_lost()?;
        let layout = self.trainer.layout().clone();
        self.trainer.with_card(|open, model, _| {
            open.return_parameters()?;
            if !shares.is_empty() {
                let (contributions, resident, device) = open.contributions(&layout, kept)?;
                contributions.step(device, &resident.parameters.values, shares, rule)?;
            }
            open.round_parameters(model)
        })
    }

    /// Whether the card still has what was put on it: one that was opened anew has not.
    fn check_not_lost(&self) -> Result<(), TrainerError> {
        match self.trainer.is_on_trial() {
            true => Ok(()),
            false => Err(TrainerError::Cuda(lost())),
        }
    }
}
