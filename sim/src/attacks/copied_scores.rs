//! A validator that measures nothing: its scores are the incentives of the last epoch.

use cairn_primitives::{api::MemberInfo, Uid};
use cairn_runtime::AccountId;

use super::{Attack, Scene};
use crate::{
    behaviour::Behaviour,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "C3",
    name: "copied-scores",
    what:
        "a validator attests honestly, measures nothing, and scores by the last epoch's incentives",
    beside: Role::Validator,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Validator, ATTACK.name, |_| CopiedScores)
}

/// Copies.
struct CopiedScores;

impl Behaviour for CopiedScores {
    fn measures(&self) -> bool {
        false
    }

    fn scores(
        &mut self,
        _: Vec<(Uid, u16)>,
        members: &[MemberInfo<AccountId>],
        own: &AccountId,
    ) -> Vec<(Uid, u16)> {
        let others = members.iter().filter(|member| member.hotkey != *own);
        let paid = others.map(|member| (member.uid, member.incentive));
        paid.filter(|(_, incentive)| *incentive > 0).collect()
    }
}
