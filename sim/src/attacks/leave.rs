//! A miner that sends noise leaves with its bond before anybody looks.

use cairn_primitives::BlockNumber;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson, Turn},
    rng::Rng,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D14",
    name: "leave",
    what: "a miner sends noise for two rounds, asks its bond back, and takes it as soon as it may",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Leave::default())
}

/// Blocks between two tries to take the bond.
const TRIES: BlockNumber = 12;

/// Cheats and leaves.
#[derive(Default)]
struct Leave {
    asked: Option<BlockNumber>,
}

impl Behaviour for Leave {
    fn brings(&mut self, _: &Lesson, found: Vec<f32>, rng: &mut Rng) -> Vec<f32> {
        let value = |_: &f32| ((rng.unit() * 2.0 - 1.0) * 5e-3) as f32;
        found.iter().map(value).collect()
    }

    fn acts(&mut self, turn: &mut Turn) {
        let has_cheated = turn.view.as_ref().is_some_and(|view| view.round.round >= 2);
        let (netuid, hotkey) = (turn.netuid, turn.hotkey.account().clone());
        let (coldkey, now) = (turn.coldkey.clone(), turn.head.number);
        match self.asked {
            None if has_cheated => {
                self.asked = Some(now);
                turn.send(&coldkey, pallet_stake::Call::unbond { netuid, hotkey });
            }
            Some(asked) if now > asked && (now - asked).is_multiple_of(TRIES) => {
                let withdraw = pallet_stake::Call::withdraw_bond { netuid, hotkey };
                turn.send(&coldkey, withdraw);
            }
            _ => {}
        }
    }
}
