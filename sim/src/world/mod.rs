//! The world: everything that there is, one clock, one thread. What happens next is decided by the seed alone.

mod churn;
mod expenses;
mod losses;
mod partition;
mod result;
mod setup;
mod weather;

use std::collections::BTreeMap;

use cairn_engine::EngineError;
use cairn_primitives::{
    Balance, BlockNumber, EpochIndex, MicroNats, ModelRoot, Netuid, Round, Uid, H256,
};
use cairn_runtime::{readers, UncheckedExtrinsic};

use crate::{
    behaviour::{Send, Turn},
    chain::{founding::Refused, keys::Key, reads::Part, Chain, GenesisError, Id, Made, MAIN},
    checkers::{sight::Sight, Checkers, Happening, Who},
    clock::{Clock, Millis},
    member::{Job, Member},
    meter::{Meter, Part as Doing, Span},
    network::{Network, Way},
    rng::Rng,
    settings::{Settings, Weather},
    store::Store,
    workshop::Workshop,
};
use cairn_round::{scoring::Evidence, Event};

use churn::Pulse;
use expenses::Signed;
pub use expenses::{Expense, Expenses, Figure};
pub use losses::Losses;
use partition::Partition;
pub use result::{MemberResult, RoundResult, RunResult};

/// Milliseconds from one block to the next, as the development chain has it, where settings say nothing else.
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
    Engine(#[from] EngineError),
    /// The chain refused what sets the network up.
    #[error("the network cannot be set up: {0}; take fewer members")]
    Setup(String),
}

impl From<Refused> for WorldError {
    fn from(Refused(why): Refused) -> WorldError {
        WorldError::Setup(why)
    }
}

/// What happens at some moment.
#[derive(Debug)]
pub(crate) enum Next {
    /// A block is due.
    Slot,
    /// A member's node hears of these blocks.
    Heard {
        who: Who,
        /// Of two pieces of news the later one counts, whichever comes first.
        news: u64,
        head: (Id, Id),
    },
    /// A member's transaction reaches its node.
    Reached {
        by: Who,
        extrinsic: Box<UncheckedExtrinsic>,
    },
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
    /// A member's node has caught up.
    CaughtUp(Who),
    /// The parts of the network hear of each other again.
    Heal,
    /// A member is killed, and is away for so long.
    Kill { who: Who, away: Millis },
}

/// A round that is settled and final.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub round: Round,
    pub included: Vec<Uid>,
    pub part: Part,
    /// What the chain keeps of the loss of the parameters with which it began: known when the next round is settled.
    pub loss: Option<MicroNats>,
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
    /// While the network is split.
    partition: Option<Partition>,
    /// The slot in which blocks become final again.
    still_until: u64,
    /// Pieces of news of blocks so far.
    news: u64,
    /// Blocks that were undone.
    undone: usize,
    /// The best block when the weather had become fine, the network whole, and everybody was back.
    calm_at: Option<BlockNumber>,
    /// The newest epoch that a member has seen before it ran.
    epoch: EpochIndex,
    /// Whether what honest members committed to since then is revealed, by the epoch before which they did.
    scores: BTreeMap<(Who, EpochIndex), bool>,
    /// The most sealed bytes that an honest validator held at once.
    pub(crate) held_bytes: u64,
    /// Bytes of transactions that members signed, and audits that they lost.
    bytes: Signed,
    /// What honest validators measured.
    pub(crate) evidence: BTreeMap<Who, Vec<Evidence>>,
    /// What each member had earned when half of the rounds were done.
    halfway: Vec<Balance>,
    slot: u64,
    /// The slot after which the world ends, done or not.
    last_slot: u64,
    round: Round,
    log: blake3::Hasher,
    settled: Vec<Settled>,
    kept: BTreeMap<Round, ModelRoot>,
    began: Millis,
    finals: u64,
    /// When rounds began, as far as who comes and goes has to know.
    pulse: Pulse,
    pub(crate) meter: Meter,
}

impl World {
    /// Shows the checkers what happened, and takes it into the digest.
    pub(crate) fn see(&mut self, happening: &Happening) {
        match happening {
            Happening::Kept { who, held } => {
                self.note(b"kept", *who, held.root.bytes());
                if self.members[*who].is_honest() {
                    self.kept.entry(held.round).or_insert(held.root);
                }
            }
            Happening::Sealed { who, root, .. } => self.note(b"seal", *who, root.bytes()),
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
    pub fn run(self) -> RunResult {
        self.run_and_note().0
    }

    /// The same, with what members' time went into.
    pub fn run_and_note(mut self) -> (RunResult, Meter) {
        for who in 0..self.members.len() {
            let member = &self.members[who];
            let (hotkey, is_honest) = (member.hotkey.id(), member.is_honest());
            self.see(&Happening::Member {
                who,
                hotkey,
                is_honest,
            });
            self.members[who].head = self.chain.head(MAIN);
            self.start(who);
        }
        self.began = self.clock.now();
        self.clock.after(self.settings.block_time, Next::Slot);
        let round = u64::from(self.workshop.run().phases.round());
        let rounds = round.saturating_mul(u64::from(self.settings.rounds));
        self.last_slot = self.slot + MOST_BLOCKS + rounds;
        while let Some(next) = self.clock.advance() {
            self.happen(next);
            let is_done = self.settled.len() >= self.settings.rounds as usize;
            if is_done || self.slot > self.last_slot {
                break;
            }
        }
        self.result()
    }

    /// How long a file takes that a member begins to send or to fetch `after` from now.
    pub(crate) fn file(&mut self, who: Who, way: Way, bytes: u64, after: Millis) -> Millis {
        let from = self.clock.now().saturating_add(after);
        self.network.file((who, way), bytes, from)
    }

    /// Notes what a member's processor will be at for `time`, `after` from now.
    pub(crate) fn notes(&mut self, who: Who, part: Doing, after: Millis, time: Millis) {
        self.meter.spends(self.round, who, (part, time));
        self.moves(who, part, after, time);
    }

    /// Notes what a member will be at for `time`, `after` from now, while its processor waits: a file is on its way.
    pub(crate) fn moves(&mut self, who: Who, part: Doing, after: Millis, time: Millis) {
        let from = self.clock.now().saturating_add(after);
        let until = from.saturating_add(time);
        self.meter.works(who, Span { part, from, until });
    }

    fn happen(&mut self, next: Next) {
        match next {
            Next::Slot => self.next_slot(),
            Next::Heard { who, news, head } => self.heard(who, news, head),
            Next::Reached { by, extrinsic } => self.reached(by, *extrinsic),
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
            Next::CaughtUp(who) => self.catch_up(who),
            Next::Heal => self.heal(),
            Next::Kill { who, away } => self.kill(who, away),
        }
    }

    fn next_slot(&mut self) {
        self.slot += 1;
        let (part, made) = self.next_blocks();
        for one in &made {
            self.note(b"make", 0, &one.id.hash.0);
            self.look_at_books(one);
            self.note_bytes(one);
        }
        if self.finalises(part) && !self.stands_still() {
            let lag = self.rng.fork_at("finality", self.slot).within(1, 3) as BlockNumber;
            self.chain.finalise(part, lag);
        }
        let (best, finalised) = self.chain.head(MAIN);
        if let Some(view) = self.chain.current(best, self.netuid).flatten() {
            self.round = view.round.round;
            let next = best.number.saturating_add(1);
            let stage = view.round.timetable().stage(next);
            self.meter.stage(self.clock.now(), self.round, stage);
            self.begin_round(self.round);
            if self.round >= self.settings.calm_from {
                self.network.calm();
            }
            let is_calm = self.weather() == Weather::default() && self.partition.is_none();
            if is_calm && self.calm_at.is_none() && self.are_all_here() {
                self.calm_at = Some(best.number);
            }
            self.see(&Happening::Round(view.round.round));
        }
        self.note_final(finalised);
        self.note_settled(finalised);
        self.announce(|world, who| world.part_of(who) == part);
        self.bad_weather();
        self.clock.after(self.settings.block_time, Next::Slot);
    }

    /// Notes which of the scores that a member committed to in fine weather are revealed.
    pub(crate) fn note_scores(&mut self, who: Who, seen: &Sight) {
        let is_honest = self.members[who].is_honest();
        let Some(calm_at) = self.calm_at.filter(|_| is_honest) else {
            return;
        };
        self.epoch = self.epoch.max(seen.epoch);
        for commit in seen.scores.iter().filter(|commit| commit.at > calm_at) {
            self.scores.insert((who, commit.epoch), commit.revealed);
        }
    }

    /// Some members' nodes are told of their part's blocks.
    fn announce(&mut self, whom: impl Fn(&World, Who) -> bool) {
        self.news += 1;
        for who in 0..self.members.len() {
            if !self.network.is_cut(who) && whom(self, who) {
                let head = self.chain.head(self.part_of(who));
                self.tell_news(who, head);
            }
        }
    }

    /// A member's node will hear of these blocks.
    fn tell_news(&mut self, who: Who, head: (Id, Id)) {
        let news = self.news;
        let delay = self.network.message() + self.network.behind(who);
        self.clock.after(delay, Next::Heard { who, news, head });
    }

    fn reached(&mut self, by: Who, extrinsic: UncheckedExtrinsic) {
        let liar = self.members[by].node;
        if let Some(liar) = liar {
            let is_kept = self.members[liar].behaviour.keeps(&extrinsic);
            self.take_turn(liar);
            if is_kept {
                return;
            }
        }
        for who in 0..self.members.len() {
            let member = &mut self.members[who];
            if who != by && !member.is_honest() {
                let coldkey = member.coldkey.clone();
                let calls = member.behaviour.overhears(&extrinsic, &coldkey);
                self.send_calls(who, calls);
            }
        }
        self.chain.submit(self.part_of(by), extrinsic);
    }

    fn look_at_books(&mut self, made: &Made) {
        let mut issued = |id| self.chain.ask(id, || readers::issuance().issued);
        let (issued, before) = (issued(made.id), issued(made.parent));
        self.see(&Happening::Block {
            number: made.id.number,
            audit: &made.audit,
            issued: issued.unwrap_or(0),
            before: before.unwrap_or(0),
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
            let included = settlement.included.iter();
            let included = included.map(|one| one.seen.commitment.sealed_root);
            self.meter.settles(round, included);
            let before = round.checked_sub(1);
            let loss = before.and_then(|before| self.chain.loss(finalised, self.netuid, before));
            if let Some(before) = self.settled.last_mut() {
                before.loss = loss;
            }
            self.settled.push(Settled {
                round,
                included: settlement.uids(),
                part: self.chain.part(finalised, self.netuid, round),
                loss: None,
                at: self.clock.now(),
            });
            self.finals += 1;
            if self.settled.len() == self.settings.rounds as usize / 2 {
                self.halfway = self.earnings().into_iter().map(|one| one.earned).collect();
            }
            self.see(&Happening::Settled {
                settlement: &settlement,
                attested: &attested,
                validators: &validators,
                loss,
            });
        }
    }

    fn heard(&mut self, who: Who, news: u64, (best, finalised): (Id, Id)) {
        let member = &mut self.members[who];
        // Messages overtake each other.
        if self.network.is_cut(who) || news < member.news {
            return;
        }
        let now = self.clock.now();
        let (_, known) = member.head;
        member.news = news;
        let is_newer = finalised.number > known.number;
        member.head = (best, if is_newer { finalised } else { known });
        member.process.pace.observe_block(best.number, now);
        self.take_turn(who);
        self.come(who);
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
            shows: None,
        };
        if member.is_honest() && member.bonded > 0 {
            bond_again(&mut turn, member.bonded, &mut member.bonded_in);
        }
        member.behaviour.acts(&mut turn);
        let (calls, shows) = (std::mem::take(&mut turn.calls), turn.shows);
        if let Some(shown) = shows {
            self.show(who, shown);
        }
        self.send_calls(who, calls);
    }

    /// Signs calls as of the block that a member knows of, and sends them.
    fn send_calls(&mut self, who: Who, calls: Vec<Send>) {
        let head = self.members[who].head.0;
        let mut ahead: BTreeMap<H256, u32> = BTreeMap::new();
        for call in calls {
            let nonce = ahead.entry(call.by.id().get()).or_default();
            let signed = self.chain.sign(head, &call.by, *nonce, call.tip, call.call);
            *nonce += 1;
            if let Some(extrinsic) = signed {
                let delay = self.network.message();
                let extrinsic = Box::new(extrinsic);
                self.clock
                    .after(delay, Next::Reached { by: who, extrinsic });
            }
        }
    }

    /// A member shows a block as the best one to those who rely on its node.
    fn show(&mut self, liar: Who, shown: Id) {
        self.news += 1;
        for who in 0..self.members.len() {
            if self.members[who].node == Some(liar) {
                let (_, finalised) = self.members[who].head;
                self.tell_news(who, (shown, finalised));
            }
        }
    }
}

/// Whoever runs a miner sees that it lost its bond, and bonds again; once in a round is enough.
fn bond_again(turn: &mut Turn, bonded: Balance, bonded_in: &mut Option<Round>) {
    let round = turn.view.as_ref().map(|view| view.round.round);
    if round.is_none() || *bonded_in == round {
        return;
    }
    *bonded_in = round;
    let hotkey = turn.hotkey.account().clone();
    let members = turn.members();
    let own = members.iter().find(|member| member.hotkey == hotkey);
    let missing = own.map_or(0, |own| bonded.saturating_sub(own.bond));
    if missing > 0 {
        let bond = pallet_stake::Call::add_bond {
            netuid: turn.netuid,
            hotkey,
            amount: missing,
        };
        turn.send(&turn.coldkey.clone(), bond);
    }
}
