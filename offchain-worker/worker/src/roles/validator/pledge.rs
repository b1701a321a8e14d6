//! From verdicts to a pledge on disk.

use cairn_primitives::{Judgement, ModelRoot, Round, Secret, Witness};
use cairn_round::pledge::{self, Pledge};

use super::{Outcome, ValidatorRole};
use crate::roles::{
    chain::Chain,
    driver::{Desk, Ended, Jobs},
    state::Change,
    RoleError,
};

impl ValidatorRole {
    /// Draws a salt for what is to be attested and puts both on disk, from where they can be committed to and opened.
    pub(super) fn pledge<C: Chain>(
        &mut self,
        desk: &Desk<C>,
        jobs: &mut Jobs<Outcome>,
        (round, root, verdicts, witness): (Round, ModelRoot, Judgement, Witness),
    ) {
        let desk = desk.clone();
        let kept = self.machine.pledges().to_vec();
        jobs.spawn("writing down what to attest", async move {
            let mut salt = [0u8; 32];
            getrandom::fill(&mut salt).map_err(|error| RoleError::Random(error.to_string()))?;
            let voter = (desk.run.netuid, desk.run.hotkey.hotkey());
            let salt = Secret::new(salt);
            let pledge = Pledge::new(voter, round, root, verdicts, witness, salt);
            let pledges = pledge::with(&kept, pledge.clone());
            let state = desk.state.clone();
            let saved = tokio::task::spawn_blocking(move || {
                state.lock()?.save(&Change {
                    pledges: Some(&pledges),
                    ..Change::default()
                })
            });
            saved.await??;
            Ok(Ended::Own(Outcome::Pledged(pledge)))
        });
    }
}
