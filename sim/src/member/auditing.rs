//! Audits: what a miner serves of its work, and what a validator finds in it.

use cairn_primitives::{Finding, Round, Secret, Served, H256};
use cairn_protocol::{audit::interval, verdict::Before};
use cairn_round::{
    audit::{is_last, Audit, Demand, Shown, Verdict},
    miner, validator,
    validator::Claim,
};

use super::{Job, Told};
use crate::{checkers::Who, meter::Part, network::Way, world::World};

impl World {
    /// A miner makes states again that are audited.
    pub(super) fn serve(&mut self, who: Who, demand: Demand) {
        self.write_at_once(who);
        let costs = self.workshop.costs();
        let audited = self.members[who].disk.content().audited.as_ref();
        let made = audited.map_or(0, |audited| audited.traced.windows.len() as u32);
        let interval = interval(demand.drawn, made, self.workshop.run().inner.trace_every);
        let steps = interval.map_or(0, |interval| u64::from(interval.end));
        let work = costs.step * steps;
        let transfer = self.file(who, Way::Up, costs.checkpoint, work);
        self.notes(who, Part::Audit, 0, work);
        self.moves(who, Part::Audit, work, transfer);
        self.begin(who, work + transfer, Job::Serve(demand));
    }

    /// They are made: what is served is stored, and its root is on disk.
    pub(super) fn served(&mut self, who: Who, demand: Demand) {
        let round = demand.round;
        let audited = self.members[who].disk.content().audited.clone();
        let audited = audited.filter(|audited| audited.demand == demand);
        let blob = audited.and_then(|audited| {
            let before = (audited.theta.as_ref(), audited.memory.as_ref());
            self.workshop.serve(before, &audited.traced, demand.drawn)
        });
        let Some(blob) = blob.filter(|_| !self.network.is_cut(who)) else {
            return self.tell_soon(who, Told::Served(round, None));
        };
        let served = Served {
            root: H256(*blake3::hash(&blob).as_bytes()),
            length: blob.len() as u64,
        };
        self.store.put(served.root, blob.into());
        self.members[who].disk.write(|content| {
            (content.shown, content.audited) = (Some(Shown { round, served }), None)
        });
        self.tell_soon(who, Told::Served(round, Some(served)));
    }

    /// What is served of a round is on disk, or that came to nothing.
    pub(super) fn told_served(&mut self, who: Who, round: Round, served: Option<Served>) {
        self.done_mining(who, miner::Done::Served(round, served));
    }

    /// A validator replays what is served.
    pub(super) fn audit(&mut self, who: Who, audit: Box<Audit>) {
        let every = u64::from(self.workshop.run().inner.trace_every);
        let costs = self.workshop.costs();
        let work = costs.step * every;
        let transfer = self.file(who, Way::Down, costs.checkpoint, 0);
        self.moves(who, Part::Audit, 0, transfer);
        self.notes(who, Part::Audit, transfer, work);
        self.begin(who, work + transfer, Job::Audit(audit));
    }

    /// It is replayed: what was found is on disk, with a salt.
    pub(super) fn audited(&mut self, who: Who, audit: &Audit) {
        let of = (audit.round, audit.uid);
        let found = self.replayed(who, audit);
        let found = self.members[who].behaviour.finds(audit, found);
        let Some(finding) = found else {
            return self.tell_soon(who, Told::Audited(of, None));
        };
        let member = &self.members[who];
        let mut draw = self
            .rng
            .fork_at(&member.name, u64::from(audit.round))
            .fork_at("audit", member.disk.writes());
        let auditor = (self.netuid, member.hotkey.id());
        let verdict = Verdict::new(auditor, of, finding, Secret::new(draw.secret()));
        let is_open = |one: &Verdict| one.of() != of && one.round + 8 > of.0;
        self.members[who].disk.write(|content| {
            content.verdicts.retain(is_open);
            content.verdicts.push(verdict.clone());
        });
        self.tell_soon(who, Told::Audited(of, Some(Box::new(verdict))));
    }

    /// What an audit found is on disk, or nothing was found.
    pub(super) fn told_audited(
        &mut self,
        who: Who,
        of: (Round, cairn_primitives::Uid),
        verdict: Option<Box<Verdict>>,
    ) {
        let verdict = verdict.map(|verdict| *verdict);
        self.done_validating(who, validator::Done::Audited(of, verdict));
    }

    /// What a replay finds; `None` if it may be found in a moment.
    fn replayed(&mut self, who: Who, audit: &Audit) -> Option<Finding> {
        let (head, finalised) = self.members[who].head;
        if self.network.is_cut(who) {
            return None;
        }
        let settled = self
            .chain
            .settlement(finalised, self.netuid, audit.round)??;
        let seen = settled.included.iter().map(|one| &one.seen);
        let seen = seen.clone().find(|seen| seen.uid == audit.uid)?.clone();
        let slot = settled
            .miners
            .iter()
            .position(|(uid, _)| *uid == audit.uid)?;
        let claim = Claim {
            round: audit.round,
            uid: seen.uid,
            hotkey: seen.hotkey,
            parent_root: seen.commitment.parent_root,
            commitment: seen.commitment,
            key: seen.key?,
        };
        let now = self.clock.now();
        let sealed = self.store.get(claim.commitment.sealed_root.0, now)?;
        let opened = self
            .workshop
            .open(self.netuid.get(), &claim, Before::default(), &sealed)
            .ok()?;
        let served = audit.served?;
        let blob = self.store.get(served.root, now);
        let is_it = |blob: &[u8]| H256(*blake3::hash(blob).as_bytes()) == served.root;
        match blob.filter(|blob| is_it(blob)) {
            Some(blob) => {
                let of_step = |step| settled.plan.of_step(slot as u64, step);
                self.workshop.audit(&opened, audit.drawn, &blob, of_step)
            }
            None => is_last(audit, head.number).then_some(Finding::Failed),
        }
    }
}
