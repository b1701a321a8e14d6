//! The world: everything that there is, one clock, one thread. What happens next is decided by the seed alone.

mod result;
mod setup;
mod weather;

use std::collections::BTreeMap;

use cairn_primitives::{BlockNumber, Netuid, Round, H256};
use cairn_runtime::{readers, UncheckedExtrinsic};

use crate::{
    behaviour::Turn,
    chain::{keys::Key, Chain, GenesisError, Id, Made},
    checkers::{Checkers, Happening, Who},
    clock::{Clock, Millis},
    engine::Workshop,
    member::{Job, Member},
    network::Network,
    rng::Rng,
    settings::Settings,
    store::Store,
};
use cairn_round::Event;
use cairn_trainer::TrainerError;

pub use result::{MemberResult, RoundResult, RunResult};

/// Milliseconds from one block to the next, as the development chain has it.
pub const BLOCK_TIME: Millis = 2_000;
/// Blocks after which a world ends that does not get its rounds done.
const MOST_BLOCKS: u64 = 40;

/// Why a world cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The chain cannot begin.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// This machine cannot train.
    #[error(transparent)]
    Trainer(#[from] TrainerError),
    /// The chain refused what sets the network up.
    #[error("the network cannot be set up: {0}; take fewer members")]
    Setup(String),
}

/// What happens at some moment.
#[derive(Debug)]
pub(crate) enum Next {
    /// A block is due.
    Slot,
    /// A member's node hears of these blocks.
    Heard { who: Who, best: Id, finalised: Id },
    /// A transaction reaches the pool.
    Reached(Box<UncheckedExtrinsic>),
    /// A job of a process ends.
    Ended {
        who: Who,
        incarnation: u32,
        job: Job,
    },
    /// A member's process starts again.
    Restart(Who),
    /// A member is connected again.
    Connect(Who),
}

/// A round that is settled and final.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub round: Round,
    pub included: Vec<u16>,
    pub assigned: usize,
    pub at: Millis,
}

/// Everything.
pub struct World {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock<Next>,
    pub(crate) chain: Chain,
    pub(crate) store: Store,
    pub(crate) network: Network,
    pub(crate) workshop: Workshop,
    pub(crate) members: Vec<Member>,
    pub(crate) checkers: Checkers,
    pub(crate) netuid: Netuid,
    pub(crate) owner: Key,
    pub(crate) rng: Rng,
    pub(crate) weather_rng: Rng,
    slot: u64,
    round: Round,
    log: blake3::Hasher,
    settled: Vec<Settled>,
    kept: BTreeMap<Round, H256>,
    began: Millis,
    finals: u64,
}

impl World {
    /// Shows the checkers what happened, and takes it into the digest.
    pub(crate) fn see(&mut self, happening: &Happening) {
        match happening {
            Happening::Kept { who, held } => {
                self.note(b"kept", *who, &held.root.0);
                if self.members[*who].is_honest() {
                    self.kept.entry(held.round).or_insert(held.root);
                }
            }
            Happening::Sealed { who, root, .. } => self.note(b"seal", *who, &root.0),
            Happening::Stopped { who, .. } => self.note(b"stop", *who, &[]),
            _ => {}
        }
        self.checkers.see(happening);
    }

    fn note(&mut self, tag: &[u8; 4], who: Who, what: &[u8]) {
        self.log
            .update(&self.clock.now().to_le_bytes())
            .update(tag)
            .update(&(who as u64).to_le_bytes())
            .update(what);
    }

    /// Runs until the rounds are done, and says how it was.
    pub fn run(mut self) -> RunResult {
        for who in 0..self.members.len() {
            let member = &self.members[who];
            let (hotkey, is_honest) = (member.hotkey.id(), member.is_honest());
            self.see(&Happening::Member {
                who,
                hotkey,
                is_honest,
            });
            self.members[who].head = (self.chain.best(), self.chain.finalised());
            self.start(who);
        }
        self.began = self.clock.now();
        self.clock.after(BLOCK_TIME, Next::Slot);
        let round = u64::from(self.workshop.run().phases.round());
        let most = self.slot + MOST_BLOCKS + round.saturating_mul(u64::from(self.settings.rounds));
        while let Some(next) = self.clock.advance() {
            self.happen(next);
            let is_done = self.settled.len() >= self.settings.rounds as usize;
            if is_done || self.slot > most {
                break;
            }
        }
        self.result()
    }

    fn happen(&mut self, next: Next) {
        match next {
            Next::Slot => self.next_slot(),
            Next::Heard {
                who,
                best,
                finalised,
            } => self.heard(who, best, finalised),
            Next::Reached(extrinsic) => {
                self.chain.submit(*extrinsic);
            }
            Next::Ended {
                who,
                incarnation,
                job,
            } => {
                if self.members[who].incarnation == incarnation {
                    self.note(b"ends", who, &[]);
                    self.ended(who, job);
                }
            }
            Next::Restart(who) => self.restart(who),
            Next::Connect(who) => self.connect(who),
        }
    }

    fn next_slot(&mut self) {
        self.slot += 1;
        let made = self.next_blocks();
        for one in &made {
            self.note(b"make", 0, &one.id.hash.0);
            self.look_at_books(one);
        }
        let lag = self.rng.fork_at("finality", self.slot).within(1, 3) as BlockNumber;
        let finalised = self.chain.finalise(lag);
        let best = self.chain.best();
        if let Some(view) = self.chain.current(best, self.netuid).flatten() {
            self.round = view.round.round;
            if self.round >= self.settings.calm_from {
                self.network.calm();
            }
            self.see(&Happening::Round(view.round.round));
        }
        self.note_settled(finalised);
        for who in 0..self.members.len() {
            if !self.network.is_cut(who) {
                let delay = self.network.message();
                let heard = Next::Heard {
                    who,
                    best,
                    finalised,
                };
                self.clock.after(delay, heard);
            }
        }
        self.bad_weather();
        self.clock.after(BLOCK_TIME, Next::Slot);
    }

    fn look_at_books(&mut self, made: &Made) {
        let issued = self
            .chain
            .ask(made.id, || readers::issuance().issued)
            .unwrap_or(0);
        self.see(&Happening::Block {
            number: made.id.number,
            audit: &made.audit,
            issued,
        });
    }

    fn note_settled(&mut self, finalised: Id) {
        loop {
            let round = self.finals as Round;
            let found = self.chain.settlement(finalised, self.netuid, round);
            let Some(settlement) = found.flatten() else {
                return;
            };
            let (attested, validators) = self.chain.attesters(finalised, self.netuid, round);
            self.settled.push(Settled {
                round,
                included: settlement.uids(),
                assigned: settlement.miners.len(),
                at: self.clock.now(),
            });
            self.finals += 1;
            self.see(&Happening::Settled {
                settlement: &settlement,
                attested: &attested,
                validators: &validators,
            });
        }
    }

    fn heard(&mut self, who: Who, best: Id, finalised: Id) {
        // Messages overtake each other; a node follows the chain that it knows to be the longest.
        let known = self.members[who].head;
        if self.network.is_cut(who) || best.number < known.0.number {
            return;
        }
        let now = self.clock.now();
        let member = &mut self.members[who];
        member.head = (
            best,
            if finalised.number > known.1.number {
                finalised
            } else {
                known.1
            },
        );
        member.process.pace.observe_block(best.number, now);
        self.take_turn(who);
        self.look_for_flight(who);
        self.tell(who, Event::Moved);
    }

    /// A member does what it does beside its machine.
    fn take_turn(&mut self, who: Who) {
        let head = self.members[who].head.0;
        let view = self.chain.current(head, self.netuid).flatten();
        let member = &mut self.members[who];
        let mut turn = Turn {
            chain: &mut self.chain,
            store: &mut self.store,
            now: self.clock.now(),
            head,
            view,
            netuid: self.netuid,
            hotkey: &member.hotkey,
            coldkey: &member.coldkey,
            owner: &self.owner,
            calls: Vec::new(),
        };
        member.behaviour.acts(&mut turn);
        let mut ahead: BTreeMap<H256, u32> = BTreeMap::new();
        for call in std::mem::take(&mut turn.calls) {
            let nonce = ahead.entry(call.by.id()).or_default();
            let signed = self.chain.sign(head, &call.by, *nonce, call.tip, call.call);
            *nonce += 1;
            if let Some(extrinsic) = signed {
                let delay = self.network.message();
                self.clock.after(delay, Next::Reached(Box::new(extrinsic)));
            }
        }
    }
}
