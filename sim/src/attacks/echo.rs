//! A validator that fetches nothing and computes nothing: it repeats what others attest and what the last epoch paid.

use cairn_primitives::{api::Duty, attestation_hash, Judgement, Round, Uid, Witness};
use cairn_protocol::phase::Attesting;
use cairn_runtime::Runtime;

use super::{voter::Voter, Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "C1",
    name: "echo",
    what: "a validator without a worker commits to the first attestation that it sees of others, when that is too late, \
           and scores by the last epoch's incentives",
    beside: Role::Validator,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    let mut recruits = scene.recruits(Role::Validator, ATTACK.name, |_| Echo::default());
    for recruit in &mut recruits {
        recruit.is_up = false;
    }
    recruits
}

/// Repeats.
#[derive(Default)]
struct Echo {
    voter: Voter,
    attested: Option<Round>,
}

/// Scores as the last epoch had incentives; before that, all miners alike.
pub(super) fn last_incentives(turn: &mut Turn) -> Vec<(Uid, u16)> {
    let own = turn.hotkey.account().clone();
    let members = turn.members();
    let others = || members.iter().filter(|member| member.hotkey != own);
    let paid = others().map(|member| (member.uid, member.incentive));
    let row: Vec<(Uid, u16)> = paid.filter(|(_, incentive)| *incentive > 0).collect();
    if row.is_empty() {
        let miners = others().filter(|member| member.role == Duty::Miner);
        return miners.map(|member| (member.uid, 1)).collect();
    }
    row
}

impl Behaviour for Echo {
    fn acts(&mut self, turn: &mut Turn) {
        let Some(view) = turn.view.clone() else {
            return;
        };
        let (netuid, round) = (turn.netuid, view.round.round);
        let attesting = view.round.timetable().next_attesting(turn.head.number);
        let is_due = matches!(attesting, Attesting::Commit | Attesting::Open)
            && self.attested != Some(round);
        let tally = turn.chain.ask(turn.head, || {
            pallet_training::Tallies::<Runtime>::get(netuid, round)
        });
        let leading = tally.as_ref().and_then(|tally| tally.leading_root());
        if let (Some(tally), Some((model_root, stake)), true) = (&tally, leading, is_due) {
            self.attested = Some(round);
            let good = tally
                .support
                .iter()
                .filter(|(_, support)| **support >= stake);
            let verdicts = Judgement::new(good.map(|(uid, _)| *uid), []);
            let hotkey = turn.hotkey.clone();
            let at = (netuid, round, &hotkey.id());
            let hash = attestation_hash(at, model_root, &verdicts, Witness::default(), &[0; 32]);
            let commit = pallet_training::Call::commit_attestation {
                netuid,
                round,
                hash,
            };
            return turn.send(&hotkey, commit);
        }
        let row = last_incentives(turn);
        self.voter.vote(turn, row);
    }
}
