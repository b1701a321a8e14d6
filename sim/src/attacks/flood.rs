//! A member sends one free call many times over.

use cairn_primitives::{key_hash, Commitment, ModelRoot, Phase, SealedRoot, H256};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D12",
    name: "flood",
    what: "a member sends its free commitment 128 times before each block of the train phase, with rising nonces",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

/// Copies before each block.
const COPIES: u8 = 128;

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Flood)
}

/// Floods.
struct Flood;

impl Behaviour for Flood {
    fn steps(&mut self, _: u32, _: u32) -> u32 {
        0
    }

    fn acts(&mut self, turn: &mut Turn) {
        let Some(view) = turn.view.clone() else {
            return;
        };
        if view.round.timetable().next_phase(turn.head.number) != Phase::Train {
            return;
        }
        let (netuid, round, hotkey) = (turn.netuid, view.round.round, turn.hotkey.clone());
        for copy in 0..COPIES {
            let root = H256::repeat_byte(copy.saturating_add(1));
            let commitment = Commitment {
                parent_root: ModelRoot(root),
                sealed_root: SealedRoot(root),
                length: 1,
                key_hash: key_hash(netuid, round, &hotkey.id(), &root.0),
            };
            let commit = pallet_training::Call::commit {
                netuid,
                round,
                commitment,
            };
            turn.send(&hotkey, commit);
        }
    }
}
