//! Somebody registers another's hotkey first: what its owner's worker earns goes to the squatter.

use super::{Attack, Scene};
use crate::settings::{Recruit, Role};

/// The attack. The victim's GPU does the work, so the squatter is counted as if that GPU were its own.
pub const ATTACK: Attack = Attack {
    id: "A14",
    name: "squat",
    what:
        "somebody registers a miner's hotkey first, without its consent, and is paid for its work",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |settings| settings.cast.retain(|recruit| recruit.name != VICTIM),
};

const VICTIM: &str = "miner 0";

fn stage(_: &Scene) -> Vec<Recruit> {
    vec![Recruit {
        coldkey: "the squatter".into(),
        is_first: true,
        attack: Some(ATTACK.name),
        ..Recruit::honest(Role::Miner, VICTIM)
    }]
}
