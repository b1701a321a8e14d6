//! A miner commits to noise, then to a second file in the same round, and reveals a key that it never committed to.

use cairn_primitives::{Phase, SealedRoot};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Lesson, Turn},
    rng::Rng,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "A10",
    name: "twice",
    what: "a miner commits to noise, then tries to commit to a second file, and to reveal a key that it never committed to",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Twice)
}

/// Tries again.
struct Twice;

impl Behaviour for Twice {
    fn brings(&mut self, _: &Lesson, found: Vec<f32>, rng: &mut Rng) -> Vec<f32> {
        let value = |_: &f32| ((rng.unit() * 2.0 - 1.0) * 5e-3) as f32;
        found.iter().map(value).collect()
    }

    fn acts(&mut self, turn: &mut Turn) {
        let Some(view) = turn.view.clone() else {
            return;
        };
        let Some(own) = view.contribution_of(turn.hotkey.id()) else {
            return;
        };
        let (netuid, round, hotkey) = (turn.netuid, view.round.round, turn.hotkey.clone());
        let call = match view.round.timetable().next_phase(turn.head.number) {
            Phase::Train => {
                let mut commitment = own.commitment.clone();
                commitment.sealed_root = SealedRoot::from([1; 32]);
                pallet_training::Call::commit {
                    netuid,
                    round,
                    commitment,
                }
            }
            Phase::Reveal => pallet_training::Call::reveal {
                netuid,
                round,
                key: [1; 32],
            },
            _ => return,
        };
        turn.send(&hotkey, call);
    }
}
