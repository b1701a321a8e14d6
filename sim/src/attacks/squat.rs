//! Somebody registers another's hotkey first, so that what its owner's worker earns goes to the squatter.

use super::{Attack, Scene};
use crate::settings::{Recruit, Role};

/// The attack. The victim's GPU would do the work, so the squatter is counted as if that GPU were its own.
pub const ATTACK: Attack = Attack {
    id: "A14",
    name: "squat",
    what: "somebody registers a miner's hotkey first, without its consent, to be paid for its work",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

const VICTIM: &str = "miner 0";

fn stage(_: &Scene) -> Vec<Recruit> {
    vec![Recruit {
        squats: Some(VICTIM),
        attack: Some(ATTACK.name),
        ..Recruit::honest(Role::Outsider, "the squatter")
    }]
}
