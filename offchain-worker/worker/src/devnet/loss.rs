//! The held-out loss, computed on a thread of its own while the network goes on.

use cairn_data::DataSet;
use cairn_primitives::{ModelShape, Round};
use cairn_trainer::{Trainer, TrainerError};
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver};

use crate::error::Failure;

/// A round and the held-out loss of the parameters that it begins with, in nats per token.
pub type Answer = (Round, Result<f64, TrainerError>);

/// Measures losses in the order in which they are asked for.
pub struct Meter {
    requests: std::sync::mpsc::Sender<(Round, Vec<f32>)>,
    answers: UnboundedReceiver<Answer>,
}

impl Meter {
    /// A meter over `windows` windows, spread evenly over the held-out text.
    pub fn new(
        shape: &ModelShape,
        data: DataSet,
        sequence_length: u32,
        windows: u64,
    ) -> Result<Meter, Failure> {
        let chosen = spread(data.heldout_windows(sequence_length), windows);
        if chosen.is_empty() {
            return Err(Failure::new(
                "no held-out window is long enough",
                "hold out more text",
            ));
        }
        let mut trainer = Trainer::new(shape, 1)?;
        let (requests, inbox) = std::sync::mpsc::channel::<(Round, Vec<f32>)>();
        let (outbox, answers) = unbounded_channel();
        // It ends when the meter is dropped: both ends of its channels are then closed.
        std::thread::spawn(move || {
            let windows: Vec<&[u32]> = chosen
                .iter()
                .filter_map(|index| data.heldout_window(*index, sequence_length))
                .collect();
            for (round, parameters) in inbox {
                let loss = trainer
                    .losses(&parameters, &windows)
                    .map(|losses| mean(&losses));
                if outbox.send((round, loss)).is_err() {
                    return;
                }
            }
        });
        Ok(Meter { requests, answers })
    }

    /// Asks for the loss of a round's parameters.
    pub fn ask(&self, round: Round, parameters: &[f32]) {
        // Should the thread have ended, waiting for the answer says so.
        let _ = self.requests.send((round, parameters.to_vec()));
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Result<(Round, f64), Failure> {
        let (round, loss) = self.answers.recv().await.ok_or_else(|| {
            Failure::new(
                "the loss could not be computed",
                "report this, with the command line",
            )
        })?;
        Ok((round, loss?))
    }
}

/// At most `count` of `0..total`, spread evenly.
fn spread(total: u64, count: u64) -> Vec<u64> {
    let count = count.min(total);
    (0..count)
        .map(|index| (u128::from(index) * u128::from(total) / u128::from(count)) as u64)
        .collect()
}

fn mean(losses: &[f32]) -> f64 {
    losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / losses.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_spread_evenly() {
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(spread(3, 9), [0, 1, 2]);
        assert!(spread(0, 4).is_empty());
    }
}
