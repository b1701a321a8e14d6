//! A newcomer's pending registration is overtaken by one of the same hotkey, with a tip.

use cairn_primitives::{Netuid, Role as Chosen, CRN};
use cairn_runtime::{RuntimeCall, UncheckedExtrinsic};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Send, Turn},
    chain::keys::Key,
    settings::{Recruit, Role},
};

/// The attack. The newcomer's GPU would do the work, so the one who overtakes it is counted as if that GPU were its
/// own.
pub const ATTACK: Attack = Attack {
    id: "A14",
    name: "front-run",
    what: "an outsider sees a newcomer's pending registration, and sends one of that hotkey with the signature that it saw \
           at a tip of 1 CRN, so that the newcomer's worker would mine for it",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |_| (),
};

const NEWCOMER: &str = "the newcomer";
/// The most that it pays for a seat.
const MOST: u64 = 10 * CRN;

fn stage(scene: &Scene) -> Vec<Recruit> {
    let mut recruits = scene.recruits(Role::Outsider, ATTACK.name, |_| FrontRun::default());
    recruits.push(Recruit {
        is_seated: false,
        behaviour: Box::new(Newcomer::default()),
        ..Recruit::honest(Role::Miner, NEWCOMER)
    });
    recruits
}

/// Registers its hotkey in round 1.
#[derive(Default)]
struct Newcomer {
    has_asked: bool,
}

impl Behaviour for Newcomer {
    fn acts(&mut self, turn: &mut Turn) {
        let is_time = turn.view.as_ref().is_some_and(|view| view.round.round > 0);
        if !is_time || std::mem::replace(&mut self.has_asked, true) {
            return;
        }
        let (netuid, hotkey) = (turn.netuid, turn.hotkey.account().clone());
        let (own, coldkey) = (turn.hotkey.clone(), turn.coldkey.clone());
        let seat = turn.chain.ask(turn.head, || {
            own.registers(netuid, (&own, Chosen::Miner), &coldkey)
        });
        let Some(seat) = seat else {
            return;
        };
        turn.send(&coldkey, seat);
        let bond = pallet_stake::Call::add_bond {
            netuid,
            hotkey,
            amount: 10 * CRN,
        };
        turn.send(&turn.coldkey.clone(), bond);
    }
}

/// Registers others' hotkeys.
#[derive(Default)]
struct FrontRun {
    seen: Option<Netuid>,
    has_bonded: bool,
}

impl Behaviour for FrontRun {
    fn overhears(&mut self, extrinsic: &UncheckedExtrinsic, coldkey: &Key) -> Vec<Send> {
        let RuntimeCall::Subnets(pallet_subnets::Call::register {
            netuid,
            hotkey,
            role,
            signature,
            ..
        }) = &extrinsic.function
        else {
            return Vec::new();
        };
        if self.seen.replace(*netuid).is_some() {
            return Vec::new();
        }
        let register = pallet_subnets::Call::register {
            netuid: *netuid,
            hotkey: hotkey.clone(),
            role: *role,
            max_price: MOST,
            signature: signature.clone(),
        };
        vec![Send {
            by: coldkey.clone(),
            tip: CRN,
            call: register.into(),
        }]
    }

    fn acts(&mut self, turn: &mut Turn) {
        if self.seen.is_none() || std::mem::replace(&mut self.has_bonded, true) {
            return;
        }
        let bond = pallet_stake::Call::add_bond {
            netuid: turn.netuid,
            hotkey: Key::of(NEWCOMER).account().clone(),
            amount: 10 * CRN,
        };
        turn.send(&turn.coldkey.clone(), bond);
    }
}
