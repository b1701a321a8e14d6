//! From evidence to weights on chain.

use cairn_primitives::{Round, Uid, H256};
use cairn_round::scoring::{scores, weights, Evidence, WINDOW};

use super::{Done, Worker};
use crate::roles::{
    chain::{Chain, Transaction},
    progress::Progress,
    RoleError,
};

/// Keeps what a score can still depend on.
pub(super) fn forget_old(evidence: &mut Vec<Evidence>) {
    let newest = evidence.iter().map(|item| item.round).max().unwrap_or(0);
    evidence.retain(|item| newest - item.round < WINDOW);
}

impl<C: Chain> Worker<C> {
    pub(super) fn set_weights(&mut self, round: Round) {
        let (chain, key, netuid) = (self.chain.clone(), self.key.clone(), self.run.netuid);
        let (best, own, reporter) = (self.heads.best.hash, self.run.hotkey, self.reporter);
        let scores = scores(&self.evidence, round);
        self.jobs.spawn(async move {
            let members = match chain.members(best, netuid).await {
                Ok(members) => members,
                Err(error) => {
                    tracing::warn!("{error}");
                    return Ok(Done::WeightsSubmitted(false));
                }
            };
            // Scores of members that have left are nobody's.
            let present = members
                .iter()
                .filter(|member| member.hotkey != own)
                .filter_map(|member| {
                    let score = scores.get(&(member.uid, H256(member.hotkey.0)))?;
                    Some((member.uid, *score))
                });
            let weights: Vec<(Uid, u16)> = weights(present);
            if weights.is_empty() {
                tracing::info!("round {round} · no contribution has shown its worth, weights stay");
                return Ok(Done::WeightsSubmitted(true));
            }
            let sent = chain
                .submit(netuid, Transaction::SetWeights(weights.clone()), &key)
                .await;
            let accepted = match sent {
                Ok(_) => {
                    reporter.say(&Progress::WeightsSet { round, weights });
                    true
                }
                Err(error) => {
                    tracing::warn!("{error}");
                    false
                }
            };
            Ok::<_, RoleError>(Done::WeightsSubmitted(accepted))
        });
    }
}
