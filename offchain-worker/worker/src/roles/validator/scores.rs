//! From evidence to scores, and to a hidden row on disk.

use cairn_primitives::{EpochIndex, Hotkey, Round, Secret, Uid};
use cairn_round::{
    hidden_row::{self, HiddenRow},
    scoring::EvidenceFile,
    validator::Weighed,
};

use super::{evidence, Outcome, ValidatorRole};
use crate::roles::{
    chain::Chain,
    driver::{Desk, Ended, Jobs},
    state::{Change, SharedState},
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
        let (desk, log) = (desk.clone(), self.evidence.clone());
        let kept = self.machine.hidden_rows().to_vec();
        let drawer = self.drawer.clone();
        jobs.spawn("turning what was measured into scores", async move {
            let Some(members) = members(&desk).await else {
                return Ok(Ended::Own(Outcome::Weighed(Weighed::Unanswered)));
            };
            let own = desk.run.hotkey.hotkey();
            let of = (desk.run.netuid, epoch.unwrap_or_default(), own);
            let weighed = tokio::task::spawn_blocking(move || {
                // The row follows from the very file that others can demand.
                let file = EvidenceFile::new(of, round, &log, &members);
                let row = file.row();
                (file, row)
            });
            let weighed = match (weighed.await?, epoch) {
                ((_, None), _) => {
                    tracing::info!(
                        "round {round} · no contribution has shown its worth, scores stay"
                    );
                    Weighed::Nothing
                }
                ((_, Some(row)), None) => Weighed::Open(round, row),
                ((file, Some(row)), Some(_)) => {
                    let hiding = Hiding {
                        state: desk.state.clone(),
                        drawer,
                        kept,
                    };
                    Weighed::Hidden(hiding.hide(file, row).await?)
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

/// What it takes to hide a row.
struct Hiding {
    state: SharedState,
    /// Where files of evidence lie that nobody may have yet.
    drawer: evidence::Drawer,
    /// The rows that are hidden already.
    kept: Vec<HiddenRow>,
}

impl Hiding {
    /// Makes a hidden row and puts it on disk with its evidence, from where it can be committed to, revealed and
    /// borne out.
    async fn hide(
        self,
        file: EvidenceFile,
        scores: Vec<(Uid, u16)>,
    ) -> Result<HiddenRow, RoleError> {
        let mut salt = [0u8; 32];
        getrandom::fill(&mut salt).map_err(|error| RoleError::Random(error.to_string()))?;
        let salt = Secret::new(salt);
        tokio::task::spawn_blocking(move || {
            let evidence = evidence::hide(&self.drawer.directory(), &file)?;
            let voter = (file.netuid, file.hotkey);
            let row = HiddenRow::new(voter, file.round, file.epoch, scores, evidence, salt);
            let rows = hidden_row::with(&self.kept, row.clone());
            self.state.lock()?.save(&Change {
                hidden_rows: Some(&rows),
                ..Change::default()
            })?;
            if let Err(error) = self.drawer.tidy(&rows) {
                tracing::debug!("old evidence stays on the disk: {error}");
            }
            Ok(row)
        })
        .await?
    }
}
