//! The weights of a round, and what a contribution makes of them, where losses are measured.

use cairn_gradient::{outer_step, Contribution};
use cairn_primitives::Uid;
use cairn_trainer::{
    cuda::{
        self,
        contribution::{OuterRule, Selected, Share},
    },
    engine::Engine,
    Trainer,
};

use crate::roles::{run::Run, RoleError};

/// Weights that are measured as they are, and as contributions would make them.
pub(super) struct Trial<'a> {
    run: &'a Run,
    device: On<'a>,
}

/// Where. On a card the weights stay for as long as the trial lasts, and contributions are applied there, with the bits
/// of the CPU's outer step.
enum On<'a> {
    Cpu {
        trainer: &'a mut Trainer,
        theta: &'a [f32],
        moved: Option<Vec<f32>>,
    },
    Card(cuda::Trial<'a>),
}

impl<'a> Trial<'a> {
    /// Begins with the weights of the round.
    pub fn new(
        engine: &'a mut Engine,
        run: &'a Run,
        theta: &'a [f32],
    ) -> Result<Trial<'a>, RoleError> {
        let device = match engine {
            Engine::Cpu(trainer) => On::Cpu {
                trainer,
                theta,
                moved: None,
            },
            Engine::Cuda(card) => On::Card(card.trial(theta)?),
        };
        Ok(Trial { run, device })
    }

    /// From now on measures the weights of the round.
    pub fn reset(&mut self) -> Result<(), RoleError> {
        match &mut self.device {
            On::Cpu { moved, .. } => *moved = None,
            On::Card(trial) => step(trial, self.run, &[])?,
        }
        Ok(())
    }

    /// From now on measures the weights after an outer step with this contribution alone.
    pub fn apply(&mut self, uid: Uid, contribution: Contribution) -> Result<(), RoleError> {
        match &mut self.device {
            On::Cpu { theta, moved, .. } => {
                let mut after = theta.to_vec();
                let alone = [(uid, contribution)];
                outer_step(&mut after, &self.run.layout, &alone, &self.run.config.outer)
                    .map_err(|error| RoleError::Broken(error.to_string()))?;
                *moved = Some(after);
            }
            On::Card(trial) => {
                let tensors: Vec<Selected> = contribution
                    .tensors
                    .iter()
                    .map(|tensor| Selected {
                        codes: tensor.codes().to_vec(),
                        levels: tensor.levels().collect(),
                    })
                    .collect();
                // Alone, its norm is the median.
                let clips = vec![1.0; tensors.len()];
                let share = Share {
                    tensors: &tensors,
                    clips: &clips,
                };
                step(trial, self.run, &[share])?;
            }
        }
        Ok(())
    }

    /// The mean loss of each window.
    pub fn losses(&mut self, windows: &[&[u32]]) -> Result<Vec<f32>, RoleError> {
        Ok(match &mut self.device {
            On::Cpu {
                trainer,
                theta,
                moved,
            } => trainer.losses(moved.as_deref().unwrap_or(theta), windows)?,
            On::Card(trial) => trial.losses(windows)?,
        })
    }
}

/// An outer step of one contribution, or none.
fn step(trial: &mut cuda::Trial, run: &Run, shares: &[Share]) -> Result<(), RoleError> {
    // ⌈ρR⌉ of one contribution is 1, whatever ρ.
    let rule = OuterRule {
        rate: run.config.outer.learning_rate.to_f32(),
        least: 1,
    };
    Ok(trial.step(run.config.compression.kept_per_block, shares, rule)?)
}
