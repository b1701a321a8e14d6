//! The end of a run: what it brought stays in the store.

use super::Worker;
use crate::roles::{chain::Chain, join::write_checkpoint};

impl<C: Chain> Worker<C> {
    /// Leaves checkpoints of a run that was stopped, once: of the weights held, and of those before them, which are
    /// the last final ones if nobody had attested the current round yet.
    pub(super) async fn leave_checkpoints(&mut self) {
        if self.left {
            return;
        }
        self.left = true;
        for held in self.before.iter().chain([&self.held]) {
            // The first weights can be computed by anyone.
            if held.root == self.run.config.initial_root {
                continue;
            }
            match write_checkpoint(&self.run, held).await {
                Ok(()) => tracing::info!(
                    "the run was stopped: the parameters of round {} are in the store",
                    held.round
                ),
                Err(error) => {
                    tracing::warn!("no checkpoint of round {} yet: {error}", held.round);
                    self.left = false;
                }
            }
        }
    }
}
