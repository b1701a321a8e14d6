//! The node that a miner relies on shows it a false head, on which the reveal phase has begun, and takes the key.

use cairn_gradient::{decode, encode, open, Header};
use cairn_primitives::{Commitment, ContributionKey, Layout, Phase, Round, Uid};
use cairn_runtime::{readers, RuntimeCall, UncheckedExtrinsic};

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    chain::Id,
    settings::{Recruit, Role},
    workshop::sealed_file,
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "E5",
    name: "lying-node",
    what: "a miner that trains nothing runs the node of one of the four others, shows it a false head in the train phase, \
           takes the key that it reveals, and commits its work as its own",
    beside: Role::Miner,
    attackers: 1,
    stage,
    setting: |settings| {
        let victim = settings.cast.iter_mut().find(|one| one.name == VICTIM);
        if let Some(victim) = victim {
            victim.node = Some(format!("{} 0", ATTACK.name));
        }
    },
};

const VICTIM: &str = "miner 0";
/// With what the stolen file is sealed again.
const KEY: ContributionKey = [9; 32];
/// Blocks of a false head at most.
const MOST: u32 = 16;

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |_| Liar::default())
}

/// Lies to one miner.
#[derive(Default)]
struct Liar {
    /// What the victim committed to, as it came.
    seen: Option<(Round, Commitment, UncheckedExtrinsic)>,
    shown: Option<Round>,
    taken: Option<(Round, ContributionKey)>,
    committed: Option<Round>,
    revealed: Option<Round>,
    /// Keys that came too early.
    early: u32,
    phase: Option<Phase>,
}

impl Liar {
    /// A head on which the reveal phase comes next.
    fn false_head(
        turn: &mut Turn,
        commit: UncheckedExtrinsic,
        timetable: impl Fn(u32) -> Phase,
    ) -> Option<Id> {
        let mut head = turn.chain.make_hidden(turn.head, vec![commit])?;
        for _ in 0..MOST {
            if timetable(head.number) == Phase::Reveal {
                return Some(head);
            }
            head = turn.chain.make_hidden(head, Vec::new())?;
        }
        None
    }

    /// The victim's work, in a file of one's own.
    fn steal(
        turn: &mut Turn,
        seen: &Commitment,
        round: Round,
        key: &ContributionKey,
    ) -> Option<Commitment> {
        let netuid = turn.netuid;
        let run = turn.chain.ask(turn.head, || readers::run(netuid))??;
        let layout = Layout::of(&run.config.model);
        let compression = run.config.compression_of(Uid(0), round);
        let sealed = turn.store.get(seen.sealed_root.0, turn.now)?;
        let mut plain = sealed.to_vec();
        open(&mut plain, key);
        let mut stolen = decode(&plain, &layout, &compression).ok()?;
        stolen.header = Header {
            hotkey: turn.hotkey.id(),
            ..stolen.header
        };
        let file = encode(&stolen, &layout, &compression).ok()?;
        let (commitment, sealed) = sealed_file(&stolen.header, &file, &KEY);
        turn.store.put(commitment.sealed_root.0, sealed.into());
        Some(commitment)
    }
}

impl Behaviour for Liar {
    fn steps(&mut self, _: Round, _: u32) -> u32 {
        0
    }

    fn keeps(&mut self, extrinsic: &UncheckedExtrinsic) -> bool {
        match &extrinsic.function {
            RuntimeCall::Training(pallet_training::Call::commit {
                round, commitment, ..
            }) => {
                self.seen = Some((*round, commitment.clone(), extrinsic.clone()));
                false
            }
            RuntimeCall::Training(pallet_training::Call::reveal { round, key, .. }) => {
                if self.phase == Some(Phase::Train) {
                    self.early += 1;
                }
                self.taken = Some((*round, *key));
                true
            }
            _ => false,
        }
    }

    fn acts(&mut self, turn: &mut Turn) {
        let Some(view) = turn.view.clone() else {
            return;
        };
        let (netuid, round) = (turn.netuid, view.round.round);
        let phase = view.round.timetable().next_phase(turn.head.number);
        self.phase = Some(phase);
        let hotkey = turn.hotkey.clone();
        if phase == Phase::Reveal && self.committed == Some(round) && self.revealed != Some(round) {
            self.revealed = Some(round);
            let reveal = pallet_training::Call::reveal {
                netuid,
                round,
                key: KEY,
            };
            return turn.send(&hotkey, reveal);
        }
        let Some((_, seen, commit)) = self.seen.clone().filter(|(seen, ..)| *seen == round) else {
            return;
        };
        if phase != Phase::Train || self.committed == Some(round) {
            return;
        }
        if let Some((_, key)) = self.taken.filter(|(taken, _)| *taken == round) {
            if let Some(commitment) = Liar::steal(turn, &seen, round, &key) {
                self.committed = Some(round);
                let commit = pallet_training::Call::commit {
                    netuid,
                    round,
                    commitment,
                };
                turn.send(&hotkey, commit);
            }
        } else if self.shown != Some(round) {
            self.shown = Some(round);
            let timetable = view.round.timetable();
            turn.shows = Liar::false_head(turn, commit, |now| timetable.next_phase(now));
        }
    }

    fn tells(&self) -> Option<String> {
        Some(format!("{} keys came in the train phase", self.early))
    }
}
