//! What members sign, as calls of the runtime.

use cairn_primitives::Netuid;
use cairn_round::machine::Transaction;
use cairn_runtime::RuntimeCall;

/// The call of what a member of subnet `netuid` signs.
pub fn call_of(netuid: Netuid, transaction: Transaction) -> RuntimeCall {
    use pallet_audits::Call as Audits;
    use pallet_emissions::{Call as Emissions, Row};
    use pallet_endpoints::Call as Endpoints;
    use pallet_training::Call as Training;
    match transaction {
        Transaction::Commit(round, commitment) => Training::commit {
            netuid,
            round,
            commitment,
        }
        .into(),
        Transaction::Reveal(round, key) => Training::reveal {
            netuid,
            round,
            key: *key.expose(),
        }
        .into(),
        Transaction::CommitAttestation(pledge) => Training::commit_attestation {
            netuid,
            round: pledge.round,
            hash: pledge.hash,
        }
        .into(),
        Transaction::Attest(pledge) => Training::attest {
            netuid,
            round: pledge.round,
            model_root: pledge.root,
            verdicts: pledge.judgement(),
            witness: pledge.witness,
            salt: *pledge.salt.expose(),
        }
        .into(),
        Transaction::OpenAudit(uid, shown) => Audits::open {
            netuid,
            round: shown.round,
            uid,
            served: shown.served,
        }
        .into(),
        Transaction::CommitVerdict(verdict) => Audits::commit_verdict {
            netuid,
            round: verdict.round,
            uid: verdict.uid,
            hash: verdict.hash,
        }
        .into(),
        Transaction::RevealVerdict(verdict) => Audits::reveal_verdict {
            netuid,
            round: verdict.round,
            uid: verdict.uid,
            finding: verdict.finding,
            salt: *verdict.salt.expose(),
        }
        .into(),
        Transaction::Here(_) => Training::here { netuid }.into(),
        Transaction::SetEndpoints(endpoints) => Endpoints::set_endpoints {
            netuid,
            endpoints: pallet_endpoints::List::truncate_from(endpoints),
        }
        .into(),
        Transaction::SetScores(_, row) => Emissions::set_scores {
            netuid,
            scores: Row::truncate_from(row),
        }
        .into(),
        Transaction::CommitScores(hidden_row) => Emissions::commit_scores {
            netuid,
            epoch: hidden_row.epoch,
            hash: hidden_row.hash,
        }
        .into(),
        Transaction::RevealScores(hidden_row) => Emissions::reveal_scores {
            netuid,
            epoch: hidden_row.epoch,
            scores: Row::truncate_from(hidden_row.scores),
            evidence: hidden_row.evidence,
            salt: *hidden_row.salt.expose(),
        }
        .into(),
    }
}
