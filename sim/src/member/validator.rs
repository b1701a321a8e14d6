//! A validator's own work: fetching, opening, measuring, weighing, checkpoints.

use std::{collections::BTreeMap, rc::Rc};

use cairn_primitives::{
    Commitment, Hotkey, Judgement, ModelRoot, Round, SealedRoot, Secret, Served, Uid, Witness, H256,
};
use cairn_protocol::{
    exam::{is_beside, witness},
    value::fruitless,
    verdict::Before,
};
use cairn_round::{
    hidden_row::{self, HiddenRow},
    machine::Machine as _,
    measure::{File, Measuring, On},
    pledge::{self, Pledge},
    scoring::{alike, forget_old, proven, repeats, Evidence, EvidenceFile},
    validator::{self, Claim, Done, Found, Measurement, Task, Weighed},
    Event, Held,
};

use super::{Job, Machine, Process, Told, Trials};
use crate::{
    chain::reads::id,
    checkers::{verdicts::Vow, Happening, Who},
    clock::Millis,
    meter::Part,
    network::Way,
    workshop::{Opened, Workshop},
    world::World,
};

/// How long it takes to write what is to be attested.
const WRITING: Millis = 5;
/// How long it takes to ask who the members are.
const ASKING: Millis = 25;

impl World {
    /// Begins what a validator's machine wants.
    pub(crate) fn validate(&mut self, who: Who, task: Task) {
        let costs = self.workshop.costs();
        match task {
            Task::Fetch {
                round,
                uid,
                commitment,
                ..
            } => {
                let fetching = self.fetch_sealed(who, commitment.sealed_root, Part::Fetch);
                self.begin(who, fetching, Job::Fetch(round, uid, Box::new(commitment)));
            }
            Task::Open(claim) => {
                self.notes(who, Part::Check, 0, costs.open);
                self.begin(who, costs.open, Job::Open(Box::new(claim)));
            }
            Task::Pledge {
                round,
                root,
                verdicts,
                witness,
            } => {
                self.vouch(who, Held { round, root }, &verdicts, witness);
                let job = Job::Pledge(round, root, Box::new(verdicts), witness);
                self.begin(who, WRITING, job);
            }
            Task::Measure(measurement) => {
                self.computes(who);
                self.measure(who, measurement);
            }
            Task::Audit(audit) => self.audit(who, audit),
            Task::StopMeasuring => {
                if let Some(trials) = self.members[who].process.trials.take() {
                    self.measured(who, trials);
                }
            }
            Task::Weigh { round, epoch } => self.begin(who, ASKING, Job::Weigh(round, epoch)),
            Task::WriteCheckpoint(held) => {
                let transfer = self.file(who, Way::Up, costs.checkpoint, 0);
                self.moves(who, Part::Upload, 0, transfer);
                self.begin(who, transfer, Job::Checkpoint(held));
            }
        }
    }

    /// A member begins to fetch a sealed file. How long that takes.
    pub(super) fn fetch_sealed(&mut self, who: Who, root: SealedRoot, part: Part) -> Millis {
        let (length, slowness) = (
            self.workshop.costs().contribution,
            self.store.slowness(root.0),
        );
        let fetching = self.file(who, Way::Down, length, 0) * slowness;
        self.moves(who, part, 0, fetching);
        fetching
    }

    /// A job of a validator ended.
    pub(crate) fn validated(&mut self, who: Who, job: Job) {
        match job {
            Job::Fetch(round, uid, commitment) => self.fetched(who, round, uid, &commitment),
            Job::Open(claim) => self.opened(who, &claim),
            Job::Pledge(round, root, verdicts, witness) => {
                self.pledge(who, (round, root), *verdicts, witness);
            }
            Job::Measure => self.measured_some(who),
            Job::Weigh(round, epoch) => self.weigh(who, round, epoch),
            Job::Checkpoint(held) => self.checkpoint(who, held),
            _ => {}
        }
    }

    pub(super) fn done_validating(&mut self, who: Who, done: Done) {
        if let Done::Measured(round, witness, _) = done {
            self.has_computed(who);
            if let Some(witness) = witness {
                let happening = Happening::Measured {
                    who,
                    round,
                    witness,
                };
                self.see(&happening);
            }
        }
        let member = &mut self.members[who];
        if let Some(Machine::Validator(machine)) = &mut member.machine {
            machine.handle(Event::Done(done), member.head.0.number);
        }
        self.poll(who);
    }

    fn fetched(&mut self, who: Who, round: Round, uid: Uid, commitment: &Commitment) {
        let root = commitment.sealed_root;
        let found = self.store.get(root.0, self.clock.now());
        let found = found.filter(|_| !self.network.is_cut(who));
        let is_here = found.is_some();
        if let Some(bytes) = found {
            let member = &mut self.members[who];
            member.process.files.insert((uid, root), bytes);
            if member.is_honest() {
                let held = member.process.files.values();
                let held = held.map(|bytes| bytes.len() as u64).sum();
                self.held_bytes = self.held_bytes.max(held);
                self.store.keep(root.0);
            }
        }
        let done = Done::Fetched {
            round,
            id: (uid, root),
            is_here,
        };
        self.done_validating(who, done);
    }

    fn opened(&mut self, who: Who, claim: &Claim) {
        let name = (claim.uid, claim.commitment.sealed_root);
        let file = self.members[who].process.files.remove(&name);
        let process = &self.members[who].process;
        let before = Before {
            norm: process.norm,
            last: process.ends.last(&claim.hotkey),
        };
        let opened = file.map(|file| self.workshop.open(self.netuid.get(), claim, before, &file));
        let found = match &opened {
            Some(Ok(_)) => validator::Opened::Good,
            Some(Err(is_broken)) if *is_broken => validator::Opened::Broken,
            Some(Err(_)) | None => validator::Opened::Bad,
        };
        let (round, (uid, root)) = (claim.round, name);
        if let Some(Ok(opened)) = opened {
            self.members[who].process.good.insert(root, opened);
        }
        if self.members[who].is_honest() {
            let happening = Happening::Opened {
                who,
                round,
                uid,
                root,
                found,
            };
            self.see(&happening);
        }
        let done = Done::Opened {
            round,
            id: name,
            found,
        };
        self.done_validating(who, done);
    }

    /// A validator is about to bind itself to what it attests.
    fn vouch(&mut self, who: Who, held: Held, said: &Judgement, witness: Witness) {
        let member = &self.members[who];
        if !member.is_honest() {
            return;
        }
        let (content, seen) = (member.disk.content(), member.process.seen.clone());
        let mut pledges = content.pledges.iter();
        let is_bound = pledges.any(|one| (one.round, one.root) == (held.round, held.root));
        let on_disk = content.held();
        let vow = Vow {
            held,
            said,
            witness,
            seen: &seen,
        };
        let happening = Happening::Vouches {
            who,
            vow,
            held: on_disk,
            is_bound,
        };
        self.see(&happening);
    }

    fn pledge(
        &mut self,
        who: Who,
        (round, root): (Round, ModelRoot),
        verdicts: Judgement,
        witness: Witness,
    ) {
        let head = self.members[who].head.0;
        let view = self.chain.current(head, self.netuid).flatten();
        let behaviour = &mut self.members[who].behaviour;
        let said = behaviour.attests((verdicts.clone(), root), round, view.as_deref());
        let member = &self.members[who];
        let mut draw = self
            .rng
            .fork_at(&member.name, u64::from(round))
            .fork_at("pledge", member.disk.writes());
        let voter = (self.netuid, member.hotkey.id());
        let salt = Secret::new(draw.secret());
        // The machine knows of no lie: only the hash is that of what will be said.
        let pledge = Pledge {
            hash: Pledge::new(voter, round, said.1, said.0, witness, salt).hash,
            ..Pledge::new(voter, round, root, verdicts, witness, salt)
        };
        let kept = pledge::with(&member.disk.content().pledges, pledge.clone());
        self.members[who]
            .disk
            .write(|content| content.pledges = kept);
        self.tell_soon(who, Told::Pledged(Box::new(pledge)));
    }

    /// A pledge is on disk.
    pub(crate) fn pledged(&mut self, who: Who, pledge: Pledge) {
        self.done_validating(who, Done::Pledged(pledge));
    }

    fn measure(&mut self, who: Who, mut what: Measurement) {
        let round = what.round;
        let member = &self.members[who];
        if member.is_honest() {
            let held = member.disk.content().held();
            let happening = Happening::Measures {
                who,
                measurement: &what,
                held,
            };
            self.see(&happening);
        }
        let member = &self.members[who];
        let before = member.process.before.clone();
        let before = before.filter(|(held, _)| {
            (held.round, held.root) == (round, what.root) && member.behaviour.measures()
        });
        let held = member.process.held.clone();
        let (Some((_, theta)), Some((_, settled))) = (before, held) else {
            return self.done_validating(who, Done::Measured(round, None, Vec::new()));
        };
        let run = self.workshop.run();
        if !is_beside(&run.audits, &run.outer) {
            what.trusts.clear();
        }
        let files = files_of(
            &member.process,
            &self.workshop,
            &what,
            &member.disk.content().evidence,
        );
        let trials = Trials {
            round,
            theta,
            settled,
            measuring: Measuring::new(what, 0, |root| files.get(&root).copied()),
        };
        self.go_on_measuring(who, trials);
    }

    /// Losses that are needed next, if any are.
    fn go_on_measuring(&mut self, who: Who, trials: Trials) {
        match trials.measuring.next() {
            Some(ask) => {
                let windows = ask.sequences.len() as u64;
                self.members[who].process.trials = Some(trials);
                let time = self.workshop.costs().window * windows;
                self.notes(who, Part::Measure, 0, time);
                self.begin(who, time, Job::Measure);
            }
            None => self.measured(who, trials),
        }
    }

    /// Losses were computed.
    fn measured_some(&mut self, who: Who) {
        let Some(mut trials) = self.members[who].process.trials.take() else {
            return;
        };
        if let Some(ask) = trials.measuring.next() {
            let good = &self.members[who].process.good;
            let (theta, alone) = match ask.on {
                On::Before => (&trials.theta, None),
                On::Settled => (&trials.settled, None),
                On::Alone(root) => {
                    let opened = good.get(&root).cloned();
                    (&trials.theta, opened.map(|opened| (root, opened)))
                }
            };
            let losses = self.workshop.losses(theta, alone, &ask.sequences);
            trials.measuring.take(losses);
        }
        self.go_on_measuring(who, trials);
    }

    fn measured(&mut self, who: Who, trials: Trials) {
        let round = trials.round;
        let (included, exam) = trials.measuring.asked();
        let loss = trials.measuring.loss();
        let found = trials.measuring.finish();
        let witness = witness((self.netuid, round), exam, &included, &found, loss);
        let witness = witness.map(|found| self.members[who].behaviour.shows(found));
        let fruitless = fruitless(round, &included, &found);
        if self.members[who].is_honest() {
            let evidence = self.evidence.entry(who).or_default();
            evidence.extend(found.iter().cloned());
        }
        self.members[who].disk.write(|content| {
            content.evidence.extend(found);
            forget_old(&mut content.evidence);
        });
        let process = &mut self.members[who].process;
        process.good_before = std::mem::take(&mut process.good);
        self.done_validating(who, Done::Measured(round, witness, fruitless));
    }

    fn weigh(&mut self, who: Who, round: Round, epoch: Option<u32>) {
        let head = self.members[who].head.0;
        let members = self.chain.members(head, self.netuid);
        let Some(members) = members.filter(|_| !self.network.is_cut(who)) else {
            return self.done_validating(who, Done::Weighed(Weighed::Unanswered));
        };
        let own = self.members[who].hotkey.account().clone();
        let log = &self.members[who].disk.content().evidence;
        let present: Vec<(Uid, Hotkey)> = members
            .iter()
            .map(|member| (member.uid, id(&member.hotkey)))
            .collect();
        let of = (self.netuid, epoch.unwrap_or_default(), id(&own));
        let file = EvidenceFile::new(of, round, log, &present);
        let found = file.row().unwrap_or_default();
        let row = self.members[who].behaviour.scores(found, &members, &own);
        if row.is_empty() {
            return self.done_validating(who, Done::Weighed(Weighed::Nothing));
        }
        let Some(epoch) = epoch else {
            let open = Weighed::Open(round, row);
            return self.done_validating(who, Done::Weighed(open));
        };
        let evidence = self.store_evidence(&file);
        let member = &self.members[who];
        let mut draw = self
            .rng
            .fork_at(&member.name, u64::from(epoch))
            .fork_at("salt", member.disk.writes());
        let voter = (self.netuid, member.hotkey.id());
        let salt = Secret::new(draw.secret());
        let hidden_row = HiddenRow::new(voter, round, epoch, row, evidence, salt);
        let Some(Machine::Validator(machine)) = &member.machine else {
            return;
        };
        let kept = hidden_row::with(machine.hidden_rows(), hidden_row.clone());
        self.members[who]
            .disk
            .write(|content| content.hidden_rows = kept);
        self.tell_soon(who, Told::Weighed(Box::new(hidden_row)));
    }

    /// Stores a file of evidence, and gives what is committed to of it. Whoever knows its root can have it: nobody else
    /// does before the row is revealed.
    fn store_evidence(&mut self, file: &EvidenceFile) -> Served {
        let bytes = file.to_bytes();
        let served = Served {
            root: H256(*blake3::hash(&bytes).as_bytes()),
            length: bytes.len() as u64,
        };
        self.store.put(served.root, bytes.into());
        served
    }

    /// A hidden row is on disk.
    pub(crate) fn weighed(&mut self, who: Who, hidden_row: HiddenRow) {
        self.done_validating(who, Done::Weighed(Weighed::Hidden(hidden_row)));
    }

    fn checkpoint(&mut self, who: Who, held: Held) {
        let process = &self.members[who].process;
        let ours = [&process.held, &process.before];
        let found = ours.into_iter().flatten().find(|(one, _)| *one == held);
        let values = found.map(|(_, theta)| theta.values.as_slice().into());
        let values = values.filter(|_| !self.network.is_cut(who));
        let is_written = values.is_some();
        if let Some(values) = values {
            self.store.put_checkpoint(held.round, held.root, values);
        }
        self.done_validating(who, Done::Checkpoint(held, is_written));
    }
}

/// What is known of the contributions that are to be measured, by sealed root.
fn files_of(
    process: &Process,
    workshop: &Workshop,
    what: &Measurement,
    evidence: &[Evidence],
) -> BTreeMap<SealedRoot, File> {
    let sure = proven(evidence, what.round);
    let of_sure = what.subjects.iter();
    let of_sure = of_sure.filter(|one| sure.contains(&(one.uid, one.hotkey)));
    let of_sure: Vec<Found> = of_sure.map(|one| one.found).collect();
    let good = what
        .subjects
        .iter()
        .filter_map(|subject| match subject.found {
            Found::Good(root) => Some((root, process.good.get(&root)?.clone())),
            Found::Missed => None,
        });
    let (roots, opened): (Vec<SealedRoot>, Vec<Rc<Opened>>) = good.unzip();
    let before = what.before.iter();
    let before: Option<Vec<_>> = before
        .map(|root| process.good_before.get(root).cloned())
        .collect();
    let common = workshop.resemblance(&opened, &before.unwrap_or_default());
    let (alike, repeats) = (
        alike(opened.len(), &common.pairs),
        repeats(&common.with_before),
    );
    let file = |(number, (root, opened)): (usize, (SealedRoot, &Rc<Opened>))| {
        let file = File {
            inner_steps: opened.inner_steps(),
            alike: alike.get(number).copied().unwrap_or(1),
            repeats: repeats.get(number).copied().unwrap_or(false),
            is_proven: of_sure.contains(&Found::Good(root)),
        };
        (root, file)
    };
    roots
        .into_iter()
        .zip(&opened)
        .enumerate()
        .map(file)
        .collect()
}
