//! Paid junk in every block of the reveal phase.

use cairn_primitives::{Phase, CRN};
use cairn_runtime::configs::system::MAX_TRANSACTION_BYTES;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D1",
    name: "junk",
    what: "an outsider fills every block of the reveal phase with the longest transactions that it may send, at a tip of 1 CRN",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Outsider, ATTACK.name, |_| Junk)
}

/// Transactions that it sends before each block.
const A_BLOCK: u8 = 16;
/// What signature and extensions take of a transaction, at most.
pub(super) const ENVELOPE: u32 = 256;

/// Sends junk.
struct Junk;

impl Behaviour for Junk {
    fn acts(&mut self, turn: &mut Turn) {
        let Some(view) = turn.view.clone() else {
            return;
        };
        if view.round.timetable().next_phase(turn.head.number) != Phase::Reveal {
            return;
        }
        let bytes = MAX_TRANSACTION_BYTES.saturating_sub(ENVELOPE) as usize;
        let coldkey = turn.coldkey.clone();
        for number in 0..A_BLOCK {
            let remark = vec![number; bytes];
            turn.send_with(&coldkey, CRN, frame_system::Call::remark { remark });
        }
    }
}
