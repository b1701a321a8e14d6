//! A validator that never attests and gives all miners the same score for ever.

use cairn_primitives::api::Duty;

use super::{voter::Voter, Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "C2",
    name: "never-scores",
    what: "a validator without a worker never attests and gives all miners the same score; in the first epochs it is the only one that scores, and takes the pots alone",
    beside: Role::Validator,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    let mut recruits = scene.recruits(Role::Validator, ATTACK.name, |_| NeverScores::default());
    for recruit in &mut recruits {
        recruit.is_up = false;
    }
    recruits
}

/// Votes for everybody.
#[derive(Default)]
struct NeverScores {
    voter: Voter,
}

impl Behaviour for NeverScores {
    fn acts(&mut self, turn: &mut Turn) {
        let members = turn.members();
        let miners = members.iter().filter(|member| member.role == Duty::Miner);
        let row = miners.map(|member| (member.uid, 1)).collect();
        self.voter.vote(turn, row);
    }
}
