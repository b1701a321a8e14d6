//! What the chain says, for the validator's machine.

use cairn_chain::RunInfo;
use cairn_round::{
    validator::{Seen, View},
    RoundView, Settlement,
};

use super::Worker;
use crate::roles::{chain::Chain, RoleError};

impl<C: Chain> Worker<C> {
    /// The run and what the machine has to know; `None` while the chain has no run.
    pub(super) async fn view(&mut self) -> Result<Option<(RunInfo, View)>, RoleError> {
        let (best, netuid, hotkey) = (self.heads.best.hash, self.run.netuid, self.run.hotkey);
        let Some(info) = self.chain.run(best, netuid).await? else {
            return Ok(None);
        };
        if let Err(replaced) = self.run.expect(&info) {
            // The old run's end was not seen.
            self.leave_checkpoints().await;
            return Err(replaced);
        }
        let round = &info.round;
        let own = round
            .validators
            .iter()
            .find(|validator| validator.hotkey == hotkey);
        self.status.uid = own.map(|own| own.uid).or(self.status.uid);
        let contributions = self.chain.contributions(best, netuid, round.round).await?;
        // What is known of the round that is held stays until it is settled.
        if round.round == self.held.round {
            self.checks.know(round.round, &contributions);
        }
        let voting = self.chain.voting(best, netuid, hotkey).await?;
        let seen = contributions.iter().map(|entry| Seen {
            uid: entry.uid,
            sealed_root: entry.commitment.sealed_root,
            key: entry.key,
        });
        let view = View {
            round: RoundView {
                round: round.round,
                start: round.start,
                phases: info.config.phases,
                oldest: info.oldest_round,
            },
            attested: own.map(|own| own.attested),
            contributions: seen.collect(),
            settled: if round.round > self.held.round {
                self.settled().await?
            } else {
                None
            },
            voting,
        };
        Ok(Some((info, view)))
    }

    async fn settled(&self) -> Result<Option<Settlement>, RoleError> {
        let (at, netuid, round) = (self.heads.finalized.hash, self.run.netuid, self.held.round);
        let settled = self.chain.settled(at, netuid, round).await?;
        Ok(settled.map(|settled| Settlement {
            round,
            included: settled.included,
            own: None,
        }))
    }
}
