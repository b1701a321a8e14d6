//! From evidence to scores, and to a hidden row on disk.

use cairn_primitives::{EpochIndex, Hotkey, Round, Secret, Uid};
use cairn_round::{
    hidden_row::{self, HiddenRow},
    scoring::{self, scores},
    validator::Weighed,
};

use super::{Outcome, ValidatorRole};
use crate::roles::{
    chain::Chain,
    driver::{Desk, Ended, Jobs},
    state::Change,
    RoleError,
};

impl ValidatorRole {
    /// Turns evidence into scores: for a commitment before `epoch`, or to be set at once.
    pub(super) fn weigh<C: Chain>(
        &mut self,
        desk: &Desk<C>,
        jobs: &mut Jobs<Outcome>,
        round: Round,
        epoch: Option<EpochIndex>,
    ) {
        let (desk, evidence) = (desk.clone(), self.evidence.clone());
        let kept = self.machine.hidden_rows().to_vec();
        jobs.spawn(async move {
            let Some(members) = members(&desk).await else {
                return Ok(Ended::Own(Outcome::Weighed(Weighed::Unanswered)));
            };
            let scores = scores(&evidence, round);
            let own = desk.run.hotkey.hotkey();
            let weighed = match (scoring::row(&scores, members, own), epoch) {
                (None, _) => {
                    tracing::info!(
                        "round {round} · no contribution has shown its worth, scores stay"
                    );
                    Weighed::Nothing
                }
                (Some(row), None) => Weighed::Open(round, row),
                (Some(row), Some(epoch)) => {
                    Weighed::Hidden(hide(&desk, kept, round, epoch, row).await?)
                }
            };
            Ok(Ended::Own(Outcome::Weighed(weighed)))
        });
    }
}

/// The subnet's members; none if the chain does not answer now.
async fn members<C: Chain>(desk: &Desk<C>) -> Option<Vec<(Uid, Hotkey)>> {
    let (at, netuid) = (desk.heads.best.hash, desk.run.netuid);
    match desk.chain.members(at, netuid).await {
        Ok(members) => {
            let members = members.into_iter();
            Some(members.map(|one| (one.uid, one.hotkey.hotkey())).collect())
        }
        Err(error) => {
            tracing::warn!("{error}");
            None
        }
    }
}

/// Makes a hidden row and puts it on disk, from where it can be committed to and revealed.
async fn hide<C: Chain>(
    desk: &Desk<C>,
    kept: Vec<HiddenRow>,
    round: Round,
    epoch: EpochIndex,
    scores: Vec<(Uid, u16)>,
) -> Result<HiddenRow, RoleError> {
    let mut salt = [0u8; 32];
    getrandom::fill(&mut salt).map_err(|error| RoleError::Random(error.to_string()))?;
    let voter = (desk.run.netuid, desk.run.hotkey.hotkey());
    let hidden_row = HiddenRow::new(voter, round, epoch, scores, Secret::new(salt));
    let hidden_rows = hidden_row::with(&kept, hidden_row.clone());
    let state = desk.state.clone();
    tokio::task::spawn_blocking(move || {
        state.lock()?.save(&Change {
            hidden_rows: Some(&hidden_rows),
            ..Change::default()
        })
    })
    .await??;
    Ok(hidden_row)
}
