//! Sending what a member signs, and looking for it in the chain that its node knows of.

use cairn_primitives::Netuid;
use cairn_round::{machine::Transaction, pledge::Pledge, Event};
use cairn_runtime::RuntimeCall;

use super::{driver::LOOK, Flight, Job};
use crate::{
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
                let (honest, round) = ((pledge.verdicts, pledge.root), pledge.round);
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
            let is_on_disk = member.disk.content().has(&transaction);
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

    /// Sends what waits, one after the other, so that nonces do not collide.
    fn send_next(&mut self, who: Who) {
        let member = &mut self.members[who];
        if member.process.flight.is_some() {
            return;
        }
        let Some(transaction) = member.process.outbox.pop_front() else {
            return;
        };
        let (kind, head, key) = (transaction.kind(), member.head.0, member.hotkey.clone());
        let call = call_of(self.netuid.get(), transaction);
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
        self.tell(who, Event::Sent { kind, block });
        self.send_next(who);
    }
}

/// The call of a transaction.
fn call_of(netuid: u16, transaction: Transaction) -> RuntimeCall {
    use pallet_audits::Call as Audits;
    use pallet_emissions::{Call as Emissions, Row};
    use pallet_endpoints::Call as Endpoints;
    use pallet_training::Call as Training;
    match transaction {
        Transaction::Commit(round, commitment) => Training::commit {
            netuid: Netuid(netuid),
            round,
            commitment,
        }
        .into(),
        Transaction::Reveal(round, key) => Training::reveal {
            netuid: Netuid(netuid),
            round,
            key: *key.expose(),
        }
        .into(),
        Transaction::CommitAttestation(pledge) => Training::commit_attestation {
            netuid: Netuid(netuid),
            round: pledge.round,
            hash: pledge.hash,
        }
        .into(),
        Transaction::Attest(pledge) => Training::attest {
            netuid: Netuid(netuid),
            round: pledge.round,
            model_root: pledge.root,
            verdicts: pledge.verdicts,
            witness: pledge.witness,
            salt: *pledge.salt.expose(),
        }
        .into(),
        Transaction::OpenAudit(uid, shown) => Audits::open {
            netuid: Netuid(netuid),
            round: shown.round,
            uid,
            served: shown.served,
        }
        .into(),
        Transaction::CommitVerdict(verdict) => Audits::commit_verdict {
            netuid: Netuid(netuid),
            round: verdict.round,
            uid: verdict.uid,
            hash: verdict.hash,
        }
        .into(),
        Transaction::RevealVerdict(verdict) => Audits::reveal_verdict {
            netuid: Netuid(netuid),
            round: verdict.round,
            uid: verdict.uid,
            finding: verdict.finding,
            salt: *verdict.salt.expose(),
        }
        .into(),
        Transaction::Here(_) => Training::here {
            netuid: Netuid(netuid),
        }
        .into(),
        Transaction::SetEndpoints(endpoints) => Endpoints::set_endpoints {
            netuid: Netuid(netuid),
            endpoints: pallet_endpoints::List::truncate_from(endpoints),
        }
        .into(),
        Transaction::SetScores(_, row) => Emissions::set_scores {
            netuid: Netuid(netuid),
            scores: Row::truncate_from(row),
        }
        .into(),
        Transaction::CommitScores(hidden_row) => Emissions::commit_scores {
            netuid: Netuid(netuid),
            epoch: hidden_row.epoch,
            hash: hidden_row.hash,
        }
        .into(),
        Transaction::RevealScores(hidden_row) => Emissions::reveal_scores {
            netuid: Netuid(netuid),
            epoch: hidden_row.epoch,
            scores: Row::truncate_from(hidden_row.scores),
            salt: *hidden_row.salt.expose(),
        }
        .into(),
    }
}
