//! Members and stake together: validators that call only their own miner's files good, and score only it, whatever it
//! sends.

use cairn_primitives::{api::MemberInfo, ModelRoot, Round, Uid, Verdicts, CRN};
use cairn_round::View;
use cairn_runtime::AccountId;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson},
    chain::keys::Key,
    rng::Rng,
    settings::{Recruit, Role},
};

const fn attack(name: &'static str, what: &'static str, stage: super::Stage) -> Attack {
    Attack {
        id: "C8",
        name,
        what,
        beside: Role::Miner,
        attackers: 1,
        stage,
        setting: |_| (),
    }
}

/// With a tenth of the stake.
pub const TENTH: Attack = attack(
    "collusion-10",
    "validators with 10 % of the stake call good, and score, only their own miner, which sends noise",
    |scene| stage(scene, "collusion-10", 10),
);
/// With a fifth.
pub const FIFTH: Attack = attack(
    "collusion-20",
    "validators with 20 % of the stake call good, and score, only their own miner, which sends noise",
    |scene| stage(scene, "collusion-20", 20),
);
/// With three tenths.
pub const THIRTY: Attack = attack(
    "collusion-30",
    "validators with 30 % of the stake call good, and score, only their own miner, which sends noise",
    |scene| stage(scene, "collusion-30", 30),
);
/// One validator favours its own miner and attests honestly.
pub const OWN_MINER: Attack = Attack {
    id: "C4",
    name: "own-miner",
    what: "a validator with a quarter of the stake scores only its own miner, which sends noise",
    beside: Role::Miner,
    attackers: 1,
    stage: |scene| {
        let mut recruits = stage(scene, "own-miner", 25);
        for recruit in &mut recruits {
            if recruit.role == Role::Validator {
                recruit.behaviour = Box::new(Partner {
                    calls_others_bad: false,
                });
            }
        }
        recruits
    },
    setting: |_| (),
};

const MINER: &str = "the colluding miner";

fn stage(scene: &Scene, name: &'static str, percent: u64) -> Vec<Recruit> {
    let partner = Partner {
        calls_others_bad: true,
    };
    let validator = Recruit {
        stake: scene.stake_of(percent),
        ..Recruit::attacker(Role::Validator, "the colluding validator", name, partner)
    };
    let miner = Recruit {
        bond: 10 * CRN,
        ..Recruit::attacker(Role::Miner, MINER, name, Noise)
    };
    vec![validator, miner]
}

/// Sends noise.
struct Noise;

impl Behaviour for Noise {
    fn brings(&mut self, _: &Lesson, found: Vec<f32>, rng: &mut Rng) -> Vec<f32> {
        let value = |_: &f32| ((rng.unit() * 2.0 - 1.0) * 5e-3) as f32;
        found.iter().map(value).collect()
    }
}

/// Is for its own miner only.
struct Partner {
    calls_others_bad: bool,
}

impl Behaviour for Partner {
    fn attests(
        &mut self,
        (verdicts, root): (Verdicts, ModelRoot),
        _: Round,
        view: Option<&View>,
    ) -> (Verdicts, ModelRoot) {
        if !self.calls_others_bad {
            return (verdicts, root);
        }
        let own = Key::of(MINER).id();
        let seen = view.and_then(|view| view.contribution_of(own));
        let good = seen.filter(|seen| seen.key.is_some()).map(|seen| seen.uid);
        (Verdicts::from_uids(good), root)
    }

    fn scores(
        &mut self,
        _: Vec<(Uid, u16)>,
        members: &[MemberInfo<AccountId>],
        _: &AccountId,
    ) -> Vec<(Uid, u16)> {
        let own = Key::of(MINER);
        let own = members
            .iter()
            .filter(|member| member.hotkey == *own.account());
        own.map(|member| (member.uid, u16::MAX)).collect()
    }
}
