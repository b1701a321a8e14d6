//! The parameters that a member holds: applying settled rounds, keeping what comes of it, and joining from a
//! checkpoint.

use std::rc::Rc;

use cairn_protocol::{
    checkpoint::{self, Source},
    combination, overlap,
    verdict::Before,
};
use cairn_round::{audit::Demand, validator::Claim, Event, Held, Included, Seen, Settlement};

use super::{
    writing::{Change, Kept},
    Job, Pending, Told,
};
use crate::{
    checkers::Who,
    disk::Audited,
    meter::Part,
    workshop::{Gathered, Settled, Theta},
    world::World,
};

impl World {
    /// How many of a settled round's files a member fetches: those that it has neither opened nor fetched before. Where
    /// members have lines of their own, its own file is at hand. Where they have none, it fetches that, too, so an
    /// outer step begins later than it would have to.
    pub(super) fn missing(&self, who: Who, settlement: &Settlement) -> u64 {
        let (process, own) = (&self.members[who].process, self.members[who].hotkey.id());
        let has_line = self.settings.links.lines.is_some();
        let is_here = |seen: &Seen| {
            let root = seen.commitment.sealed_root;
            process.good.contains_key(&root) || process.files.contains_key(&(seen.uid, root))
        };
        let included = settlement.included.iter().map(|one| &one.seen);
        let missing = included
            .filter(|seen| !is_here(seen))
            .filter(|seen| !(has_line && seen.hotkey == own));
        missing.count() as u64
    }

    /// The contributions of a settled round, fetched if need be, and what each counts.
    fn gather(&mut self, who: Who, settlement: &Settlement, held: Held) -> Option<Vec<Gathered>> {
        let (mut found, mut brought) = (Vec::new(), Vec::new());
        for Included { seen, standing } in &settlement.included {
            let root = seen.commitment.sealed_root;
            if let Some(known) = self.members[who].process.good.get(&root) {
                brought.push(known.brought(*standing));
                found.push((seen.uid, root, known.clone()));
                continue;
            }
            let ahead = self.members[who].process.files.get(&(seen.uid, root));
            let sealed = match ahead {
                Some(sealed) => sealed.clone(),
                None => {
                    let sealed = self.store.get(root.0, self.clock.now());
                    let sealed = sealed.filter(|_| !self.network.is_cut(who))?;
                    if self.members[who].is_honest() {
                        self.store.keep(root.0);
                    }
                    sealed
                }
            };
            let claim = Claim {
                round: settlement.round,
                uid: seen.uid,
                hotkey: seen.hotkey,
                commitment: seen.commitment.clone(),
                key: seen.key?,
                parent_root: overlap::base(held.root, settlement.base),
            };
            let opened = self
                .workshop
                .open(self.netuid.get(), &claim, Before::default(), &sealed)
                .ok()?;
            brought.push(opened.brought(*standing));
            found.push((seen.uid, root, opened));
        }
        let counts = combination::counts(self.workshop.run().outer.combine, &brought);
        let counted = found.into_iter().zip(counts);
        let counted = counted.map(|((uid, root, opened), count)| (uid, count, root, opened));
        Some(counted.collect())
    }

    pub(super) fn applied(&mut self, who: Who, settlement: &Settlement, is_included: bool) {
        let round = settlement.round;
        let Some((held, theta)) = self.members[who].process.held.clone() else {
            return self.tell(who, Event::NotApplied(round));
        };
        let gathered = self.gather(who, settlement, held);
        let before = Settled {
            theta: theta.clone(),
            norm: self.members[who].process.norm,
        };
        let mut ends = self.members[who].process.ends.clone();
        if let Some(included) = &gathered {
            let opened = included.iter().map(|(.., opened)| opened);
            ends.note(opened.map(|opened| &opened.contribution.header));
            let files = included.iter();
            let files = files.map(|(_, _, root, opened)| (*root, opened.clone()));
            self.members[who].process.good.extend(files);
        }
        let next = gathered.and_then(|included| self.workshop.apply(&before, &included));
        let Some(next) = next else {
            return self.tell(who, Event::NotApplied(round));
        };
        let root = next.theta.root;
        let process = &mut self.members[who].process;
        process.pending = Some(Pending {
            round: round.saturating_add(1),
            next,
            ends,
            is_included,
        });
        self.tell(who, Event::Applied { round, root });
    }

    pub(super) fn kept(&mut self, who: Who, held: Held, audited: Option<Demand>) {
        let is_beside = self.writes_beside(who);
        let member = &mut self.members[who];
        let pending = member.process.pending.take();
        let Some(pending) = pending.filter(|pending| pending.round == held.round) else {
            return;
        };
        let Pending {
            next,
            ends,
            is_included,
            ..
        } = pending;
        let Settled { theta, norm } = next;
        let process = &mut member.process;
        let open = process.open.take();
        // What was made ahead goes on from that.
        let is_void = open.is_some() && !is_included;
        process.open = process.ahead.take().filter(|_| !is_void);
        let next = process.open.clone();
        let open = open.filter(|_| is_included);
        let audited = audited.zip(open.clone());
        let audited = audited.map(|(demand, open)| Audited {
            demand,
            traced: open.traced,
            theta: open.theta,
            memory: process.memory.clone().unwrap_or_default(),
        });
        let left = open.map(|open| open.left);
        let kept = Kept {
            held: (held, theta.clone()),
            norm,
            ends: ends.clone(),
            open: next,
            audited,
            left: left.clone(),
        };
        process.before = process.held.replace((held, theta));
        (process.norm, process.ends) = (norm, ends);
        if let Some(left) = left {
            process.memory = Some(left);
        }
        if !is_beside {
            member.disk.write(|content| kept.write(content));
            return self.tell_soon(who, Told::Kept(held));
        }
        process.files.clear();
        let write = self.workshop.costs().write;
        let change = Change::Kept(Box::new(kept));
        self.write_beside(who, write, change);
        self.tell(who, Event::Kept(held));
    }

    pub(super) fn joined(&mut self, who: Who) {
        let finalised = self.members[who].head.1;
        let vouched = self.chain.vouched(finalised, self.netuid);
        let vouched = vouched.filter(|_| !self.network.is_cut(who));
        let Some((oldest, roots)) = vouched else {
            return self.tell(who, Event::NotJoined);
        };
        // Only what is newer helps who holds something.
        let own = self.members[who].process.held.as_ref();
        let own = own.map_or(0, |(held, _)| held.round.saturating_add(1));
        let oldest = oldest.max(own);
        let listed = self.store.checkpoints();
        let candidates = checkpoint::candidates(listed, roots, oldest);
        let sources = checkpoint::sources(None, &candidates, oldest).into_iter();
        let found = sources.filter_map(|source| self.parameters(source)).next();
        match found {
            Some((held, theta)) => {
                let write = self.workshop.costs().write;
                self.notes(who, Part::Keep, 0, write);
                self.begin(who, write, Job::KeepJoined(held, theta));
            }
            None => self.tell(who, Event::NotJoined),
        }
    }

    /// Parameters from where they can be had.
    fn parameters(&self, source: Source) -> Option<(Held, Rc<Theta>)> {
        match source {
            Source::Held(_) => None,
            Source::Checkpoint(round, root) => {
                let theta = self.workshop.theta(&self.store.checkpoint(round, root)?);
                (theta.root == root).then_some((Held { round, root }, theta))
            }
            Source::First => {
                let theta = self.workshop.initial();
                let root = theta.root;
                Some((Held { round: 0, root }, theta))
            }
        }
    }
}
