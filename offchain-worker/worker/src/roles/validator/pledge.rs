//! From what is good by itself to a pledge on disk.

use std::sync::Arc;

use cairn_gradient::{resemblance, Checked};
use cairn_primitives::{Round, Secret, Uid, Verdicts, H256};
use cairn_protocol::verdict::beside;
use cairn_round::{
    pledge::{self, Pledge},
    validator::Id,
};

use super::{Outcome, ValidatorRole};
use crate::roles::{
    chain::Chain,
    driver::{Desk, Ended, Jobs},
    progress::{Progress, Reporter},
    run::Run,
    setup::locked,
    state::Change,
    RoleError,
};

impl ValidatorRole {
    /// Holds what is good by itself against each other, draws a salt for what is to be attested, and puts both on disk,
    /// from where they can be committed to and opened.
    pub(super) fn pledge<C: Chain>(
        &mut self,
        desk: &Desk<C>,
        jobs: &mut Jobs<Outcome>,
        (round, root, good, witness): (Round, H256, Vec<Id>, H256),
    ) {
        let desk = desk.clone();
        let kept = self.machine.pledges().to_vec();
        let at_hand = self.good.get(&round).cloned().unwrap_or_default();
        let good: Vec<(Uid, Arc<Checked>)> = good
            .into_iter()
            .filter_map(|id| Some((id.0, at_hand.get(&id)?.clone())))
            .collect();
        jobs.spawn(async move {
            let mut salt = [0u8; 32];
            getrandom::fill(&mut salt).map_err(|error| RoleError::Random(error.to_string()))?;
            let (run, reporter) = (desk.run.clone(), desk.reporter.clone());
            let crowd =
                tokio::task::spawn_blocking(move || good_beside(&run, &reporter, round, &good));
            let verdicts = crowd.await??;
            let voter = (desk.run.netuid, desk.run.hotkey.hotkey());
            let salt = Secret::new(salt);
            let pledge = Pledge::new(voter, round, root, verdicts, witness, salt);
            let pledges = pledge::with(&kept, pledge.clone());
            let state = desk.state.clone();
            let saved = tokio::task::spawn_blocking(move || {
                locked(&state).save(&Change {
                    pledges: Some(&pledges),
                    ..Change::default()
                })
            });
            saved.await??;
            Ok(Ended::Own(Outcome::Pledged(pledge)))
        });
    }
}

/// Those of these contributions that are good beside each other. What is refused is told.
fn good_beside(
    run: &Run,
    reporter: &Reporter,
    round: Round,
    good: &[(Uid, Arc<Checked>)],
) -> Result<Verdicts, RoleError> {
    let broken = |error: &dyn std::fmt::Display| RoleError::Broken(error.to_string());
    let decoded: Result<Vec<_>, RoleError> = good
        .iter()
        .map(|(_, checked)| {
            let decoded = checked.decode(&run.layout, &run.config);
            decoded.map_err(|error| broken(&error))
        })
        .collect();
    let decoded = decoded?;
    let of: Vec<_> = decoded.iter().collect();
    let common = resemblance(&run.layout, &of, &[]).map_err(|error| broken(&error))?;
    let parameters = run.config.model.parameters().unwrap_or(u64::MAX);
    let refused = beside(good.len(), parameters, &common.pairs);
    let uids = good.iter().map(|(uid, _)| *uid);
    let mut verdicts = Vec::new();
    for (uid, refusal) in uids.zip(refused) {
        match refusal {
            None => verdicts.push(uid),
            Some(refusal) => {
                let reason = refusal.to_string();
                reporter.say(&Progress::Refused { round, uid, reason });
            }
        }
    }
    Ok(Verdicts::from_uids(verdicts))
}
