//! Validators that attest another root.

use cairn_primitives::{blake2_256, Judgement, ModelRoot, Round};
use cairn_round::View;

use super::{Attack, Scene};
use crate::{
    behaviour::Behaviour,
    settings::{Recruit, Role},
};

const fn attack(name: &'static str, what: &'static str, stage: super::Stage) -> Attack {
    Attack {
        id: "D3",
        name,
        what,
        beside: Role::Validator,
        attackers: 1,
        stage,
        setting: |_| (),
    }
}

/// With a tenth of the stake.
pub const TENTH: Attack = attack(
    "wrong-root-10",
    "a validator with 10 % of the stake attests a root that nobody holds",
    |scene| stage(scene, "wrong-root-10", 10),
);
/// With three tenths.
pub const THIRTY: Attack = attack(
    "wrong-root-30",
    "a validator with 30 % of the stake attests a root that nobody holds",
    |scene| stage(scene, "wrong-root-30", 30),
);
/// With more than a third.
pub const THIRD: Attack = attack(
    "wrong-root-34",
    "a validator with 34 % of the stake attests a root that nobody holds",
    |scene| stage(scene, "wrong-root-34", 34),
);

fn stage(scene: &Scene, name: &'static str, percent: u64) -> Vec<Recruit> {
    vec![Recruit {
        stake: scene.stake_of(percent),
        ..Recruit::attacker(Role::Validator, "the liar", name, WrongRoot)
    }]
}

/// Attests what nobody holds.
struct WrongRoot;

impl Behaviour for WrongRoot {
    fn attests(
        &mut self,
        (verdicts, root): (Judgement, ModelRoot),
        _: Round,
        _: Option<&View>,
    ) -> (Judgement, ModelRoot) {
        (verdicts, ModelRoot(blake2_256(root.bytes())))
    }
}
