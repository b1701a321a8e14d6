//! Sending what a member signs, and looking for it in the chain that its node knows of.

use cairn_round::{machine::Transaction, pledge::Pledge, Event};

use super::{driver::LOOK, Flight, Job};
use crate::{
    chain::calls::call_of,
    checkers::{Happening, Who},
    world::{Next, World},
};

/// Blocks in which a transaction is looked for before it counts as lost.
const PATIENCE: u32 = 8;

impl World {
    pub(super) fn send(&mut self, who: Who, transaction: Transaction) {
        let head = self.members[who].head.0;
        let view = self.chain.current(head, self.netuid).flatten();
        let kind = transaction.kind();
        let voter = (self.netuid, self.members[who].hotkey.id());
        let behaviour = &mut self.members[who].behaviour;
        let transaction = match transaction {
            Transaction::Attest(pledge) => {
                let (honest, round) = ((pledge.judgement(), pledge.root), pledge.round);
                let (verdicts, root) = behaviour.attests(honest, round, view.as_deref());
                let (witness, salt) = (pledge.witness, pledge.salt);
                Transaction::Attest(Pledge::new(voter, round, root, verdicts, witness, salt))
            }
            other => other,
        };
        let sent = behaviour.sends(transaction, view.as_deref());
        let Some(transaction) = sent else {
            return self.begin(who, LOOK, Job::NotSent(kind));
        };
        if self.members[who].is_honest() {
            let member = &self.members[who];
            let is_on_disk = member.disk.has(&transaction);
            let seen = member.process.seen.clone();
            self.see(&Happening::Sent {
                who,
                transaction: &transaction,
                seen: &seen,
                is_on_disk,
            });
        }
        self.members[who].process.outbox.push_back(transaction);
        self.send_next(who);
    }

    /// Sends what waits, one after the other, so that nonces do not collide; the most urgent first.
    fn send_next(&mut self, who: Who) {
        let member = &mut self.members[who];
        if member.process.flight.is_some() {
            return;
        }
        let waiting = member.process.outbox.iter().enumerate();
        let urgent = waiting.min_by_key(|(place, one)| (one.kind(), *place));
        let urgent = urgent.map(|(place, _)| place);
        let Some(transaction) = urgent.and_then(|place| member.process.outbox.remove(place)) else {
            return;
        };
        let (kind, head, key) = (transaction.kind(), member.head.0, member.hotkey.clone());
        let call = call_of(self.netuid, transaction);
        let signed = self.chain.sign(head, &key, 0, 0, call);
        let Some(extrinsic) = signed.filter(|_| !self.network.is_cut(who)) else {
            return self.begin(who, LOOK, Job::NotSent(kind));
        };
        let id = crate::chain::name(&extrinsic);
        self.members[who].process.flight = Some(Flight {
            kind,
            id,
            sent_at: head.number,
        });
        let delay = self.network.message();
        let next = Next::Reached {
            by: who,
            extrinsic: Box::new(extrinsic),
        };
        self.clock.after(delay, next);
    }

    /// Looks for what is under way in the chain that the member knows of.
    pub(crate) fn look_for_flight(&mut self, who: Who) {
        let member = &self.members[who];
        let Some(flight) = &member.process.flight else {
            return;
        };
        let head = member.head.0;
        let kind = flight.kind;
        let is_lost = head.number >= flight.sent_at.saturating_add(PATIENCE)
            || self.chain.refusal(self.part_of(who), flight.id).is_some();
        let block = match self.chain.find(flight.id, head) {
            Some((number, None)) => Some(number),
            Some((_, Some(_))) => None,
            None if is_lost => None,
            None => return,
        };
        self.members[who].process.flight = None;
        // Who waits has its turn before the machine hears of it, as in a worker.
        self.send_next(who);
        self.tell(who, Event::Sent { kind, block });
    }
}
