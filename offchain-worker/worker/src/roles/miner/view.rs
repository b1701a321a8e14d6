//! What the chain says, for the miner's machine.

use cairn_chain::RunInfo;
use cairn_round::{
    miner::{OwnCommitment, View},
    RoundView, Settlement,
};

use super::Worker;
use crate::roles::{chain::Chain, RoleError};

impl<C: Chain> Worker<C> {
    /// The run and what the machine has to know; `None` while the chain has no run.
    pub(super) async fn view(&self) -> Result<Option<(RunInfo, View)>, RoleError> {
        let (best, netuid, hotkey) = (self.heads.best.hash, self.run.netuid, self.hotkey());
        let Some(info) = self.chain.run(best, netuid).await? else {
            return Ok(None);
        };
        self.run.expect(&info)?;
        let round = &info.round;
        let slot = round.miners.iter().position(|(_, miner)| *miner == hotkey);
        let contributions = self.chain.contributions(best, netuid, round.round).await?;
        let own = contributions.iter().find(|entry| entry.hotkey == hotkey);
        let view = View {
            round: RoundView {
                round: round.round,
                start: round.start,
                phases: info.config.phases,
                oldest: info.oldest_round,
            },
            slot: slot.map(|slot| slot as u64),
            own: own.map(|entry| OwnCommitment {
                sealed_root: entry.commitment.sealed_root,
                revealed: entry.key.is_some(),
            }),
            settled: if round.round > self.held.round {
                self.settled().await?
            } else {
                None
            },
        };
        Ok(Some((info, view)))
    }

    /// How the round whose weights are held was settled, at the finalised block.
    async fn settled(&self) -> Result<Option<Settlement>, RoleError> {
        let (at, netuid, round) = (self.heads.finalized.hash, self.run.netuid, self.held.round);
        let Some(settled) = self.chain.settled(at, netuid, round).await? else {
            return Ok(None);
        };
        let contributions = self.chain.contributions(at, netuid, round).await?;
        let own = contributions
            .iter()
            .find(|entry| entry.hotkey == self.hotkey() && settled.included.contains(&entry.uid));
        Ok(Some(Settlement {
            round,
            own: own.map(|entry| entry.commitment.sealed_root),
            included: settled.included,
        }))
    }
}
