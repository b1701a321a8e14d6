//! Seats that commit at once to files as long as the format allows, and store as much: what validators fetch, they keep
//! in memory; and were seats waited for that have earned nothing, whoever trains would be late beside them.

use cairn_gradient::{max_encoded_len, sealed_root};
use cairn_primitives::{
    key_hash, Commitment, Compression, ContributionKey, Layout, ModelRoot, Phase, Round, Uid,
};
use cairn_runtime::readers;

use super::{Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    rng::Rng,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "E2",
    name: "long-files",
    what: "sixteen seats commit at once in every round, from the first one on, so that whoever trains is late beside them; \
           to random bytes as long as the format allows, which they store",
    beside: Role::Miner,
    attackers: 16,
    stage,
    setting: |_| (),
};

const KEY: ContributionKey = [7; 32];

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Miner, ATTACK.name, |number| {
        LongFiles::of(number as u64)
    })
}

/// Sends as much as it may: random bytes, which are no contribution.
pub(super) struct LongFiles {
    number: u64,
    committed: Option<Round>,
    revealed: Option<Round>,
}

impl LongFiles {
    /// One of several, each with bytes of its own.
    pub(super) fn of(number: u64) -> LongFiles {
        LongFiles {
            number,
            committed: None,
            revealed: None,
        }
    }
}

/// The longest file of the run.
fn longest(turn: &mut Turn) -> Option<usize> {
    let netuid = turn.netuid;
    let run = turn.chain.ask(turn.head, || readers::run(netuid))??;
    let layout = Layout::of(&run.config.model);
    let most = Compression {
        // where all values are sent there are no gaps
        kept_per_block: cairn_gradient::BLOCK as u16 - 1,
        turn: None,
        ..run.config.compression_of(Uid(0), 0)
    };
    usize::try_from(max_encoded_len(&layout, &most)).ok()
}

impl Behaviour for LongFiles {
    fn steps(&mut self, _: Round, _: u32) -> u32 {
        0
    }

    fn acts(&mut self, turn: &mut Turn) {
        let Some(view) = turn.view.clone() else {
            return;
        };
        let (netuid, round, hotkey) = (turn.netuid, view.round.round, turn.hotkey.clone());
        match view.round.timetable().next_phase(turn.head.number) {
            Phase::Train if self.committed != Some(round) => {
                let Some(length) = longest(turn) else {
                    return;
                };
                let mut draw = Rng::new(self.number).fork_at("junk", u64::from(round));
                let bytes: Vec<u8> = (0..length).map(|_| draw.bits() as u8).collect();
                let sealed_root = sealed_root(&bytes);
                turn.store.put(sealed_root.0, bytes.into());
                self.committed = Some(round);
                let parent = view.contributions.first();
                let commitment = Commitment {
                    parent_root: parent
                        .map_or(ModelRoot::from([1; 32]), |one| one.commitment.parent_root),
                    sealed_root,
                    length: length as u64,
                    key_hash: key_hash(netuid, round, &hotkey.id(), &KEY),
                };
                let commit = pallet_training::Call::commit {
                    netuid,
                    round,
                    commitment,
                };
                turn.send(&hotkey, commit);
            }
            Phase::Reveal if self.revealed != Some(round) => {
                self.revealed = Some(round);
                let reveal = pallet_training::Call::reveal {
                    netuid,
                    round,
                    key: KEY,
                };
                turn.send(&hotkey, reveal);
            }
            _ => {}
        }
    }
}
