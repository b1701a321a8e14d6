//! What an honest member binds itself to is on its disk first, what it opens is what the chain has of it, nothing is
//! opened before its time, and no secret is used twice.

use std::collections::BTreeMap;

use cairn_primitives::{Secret, H256};
use cairn_round::machine::Transaction;

use super::{sight::Sight, Checker, Happening, Who};

/// What each secret was used for.
#[derive(Debug, Default)]
pub struct Secrets(BTreeMap<[u8; 32], (Who, H256)>);

impl Secrets {
    /// Notes what a secret hides, or opens.
    fn is_fresh(&mut self, secret: &Secret, by: Who, hides: H256) -> bool {
        let known = self.0.entry(*secret.expose()).or_insert((by, hides));
        *known == (by, hides)
    }

    /// What is wrong with a transaction of a member that has seen this.
    fn fault(&mut self, who: Who, seen: &Sight, transaction: &Transaction) -> Option<&'static str> {
        let is_new = match transaction {
            Transaction::Reveal(_, key) => {
                let sealed_root = seen.committed.map(|(root, _)| root);
                self.is_fresh(key, who, sealed_root.unwrap_or_default().0)
            }
            Transaction::CommitAttestation(pledge) => self.is_fresh(&pledge.salt, who, pledge.hash),
            Transaction::CommitScores(row) => self.is_fresh(&row.salt, who, row.hash),
            Transaction::CommitVerdict(verdict) => self.is_fresh(&verdict.salt, who, verdict.hash),
            _ => true,
        };
        (!is_new)
            .then_some("a secret is used twice")
            .or_else(|| untimely(seen, transaction))
    }
}

/// What is untimely about a transaction.
fn untimely(seen: &Sight, transaction: &Transaction) -> Option<&'static str> {
    let (is_due, otherwise) = match transaction {
        Transaction::Commit(round, _) => (
            seen.round == *round && seen.committed.is_none(),
            "there is a commitment already, or the round is over",
        ),
        Transaction::Reveal(round, _) => (
            seen.round == *round
                && seen.committed.is_some_and(|(_, is_out)| !is_out)
                && !seen.may_commit,
            "a key is shown while others can commit, or without a commitment to what it opens",
        ),
        Transaction::CommitAttestation(pledge) => (
            seen.round == pledge.round && seen.promised.is_none() && !seen.has_attested,
            "it is bound already, or the round is over",
        ),
        Transaction::Attest(pledge) => (
            seen.round == pledge.round && seen.promised == Some(pledge.hash) && !seen.has_attested,
            "an attestation is opened to which the chain has no commitment",
        ),
        Transaction::CommitScores(row) => (
            seen.epoch == row.epoch,
            "scores are committed before another epoch than theirs",
        ),
        Transaction::RevealScores(row) => {
            let mut open = seen.scores.iter().filter(|commit| !commit.revealed);
            (
                seen.epoch == row.epoch.saturating_add(1)
                    && open.any(|commit| commit.hash == row.hash),
                "scores are shown before their epoch has run, or without a commitment",
            )
        }
        Transaction::RevealVerdict(verdict) => (
            seen.findings.contains(&verdict.hash),
            "a finding is shown to which the chain has no commitment",
        ),
        _ => (true, ""),
    };
    (!is_due).then_some(otherwise)
}

impl Checker for Secrets {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn see(&mut self, happening: &Happening) -> Result<(), String> {
        let Happening::Sent {
            who,
            transaction,
            seen,
            is_on_disk,
        } = happening
        else {
            return Ok(());
        };
        let unbound = (!is_on_disk).then_some("that is not on its disk");
        let fault = unbound.or_else(|| self.fault(*who, seen, transaction));
        match fault {
            Some(why) => Err(format!("member {who} sends {transaction:?}: {why}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{
        Commitment, Finding, Hotkey, Judgement, ModelRoot, Netuid, SealedRoot, Served, Uid, Witness,
    };
    use cairn_round::{
        audit::Verdict,
        hidden_row::{Committed, HiddenRow},
        pledge::Pledge,
    };

    fn sends(secrets: &mut Secrets, seen: &Sight, transaction: &Transaction) -> bool {
        let sent = Happening::Sent {
            who: 0,
            transaction,
            seen,
            is_on_disk: true,
        };
        secrets.see(&sent).is_ok()
    }

    fn is_fine(seen: &Sight, transaction: &Transaction) -> bool {
        sends(&mut Secrets::default(), seen, transaction)
    }

    /// Round 3, in which the member has committed to this.
    fn committed(root: u8) -> Sight {
        Sight {
            round: 3,
            committed: Some((SealedRoot::from([root; 32]), false)),
            ..Sight::default()
        }
    }

    fn reveal(round: u32) -> Transaction {
        Transaction::Reveal(round, Secret::new([7; 32]))
    }

    fn pledge(root: u8) -> Pledge {
        let (voter, root) = ((Netuid(1), Hotkey::default()), ModelRoot::from([root; 32]));
        let salt = Secret::new([9; 32]);
        Pledge::new(
            voter,
            3,
            root,
            Judgement::default(),
            Witness::default(),
            salt,
        )
    }

    #[test]
    fn what_is_not_on_disk_is_found() {
        let sent = Happening::Sent {
            who: 0,
            transaction: &reveal(3),
            seen: &committed(1),
            is_on_disk: false,
        };
        assert!(Secrets::default().see(&sent).is_err());
    }

    #[test]
    fn a_key_that_is_shown_too_early_or_without_its_commitment_is_found() {
        assert!(is_fine(&committed(1), &reveal(3)));
        assert!(!is_fine(&committed(1), &reveal(2)));
        let (may_commit, round) = (true, 3);
        let early = Sight {
            may_commit,
            ..committed(1)
        };
        let undone = Sight {
            round,
            ..Sight::default()
        };
        for seen in [early, undone] {
            assert!(!is_fine(&seen, &reveal(3)), "{seen:?}");
        }
    }

    #[test]
    fn a_key_or_a_salt_that_is_used_twice_is_found() {
        let mut secrets = Secrets::default();
        assert!(sends(&mut secrets, &committed(1), &reveal(3)));
        assert!(sends(&mut secrets, &committed(1), &reveal(3)));
        assert!(!sends(&mut secrets, &committed(2), &reveal(3)));
        let seen = Sight {
            round: 3,
            ..Sight::default()
        };
        let commit = |root| Transaction::CommitAttestation(pledge(root));
        assert!(sends(&mut secrets, &seen, &commit(1)));
        assert!(!sends(&mut secrets, &seen, &commit(2)));
    }

    #[test]
    fn an_attestation_to_which_there_is_no_commitment_is_found() {
        let promised = |promised, has_attested| Sight {
            round: 3,
            promised,
            has_attested,
            ..Sight::default()
        };
        let attest = Transaction::Attest(pledge(1));
        assert!(is_fine(&promised(Some(pledge(1).hash), false), &attest));
        for seen in [
            promised(None, false),
            promised(Some(pledge(2).hash), false),
            promised(Some(pledge(1).hash), true),
        ] {
            assert!(!is_fine(&seen, &attest), "{seen:?}");
        }
        let commit = Transaction::CommitAttestation(pledge(1));
        assert!(is_fine(&promised(None, false), &commit));
        assert!(!is_fine(&promised(Some(pledge(1).hash), false), &commit));
    }

    #[test]
    fn scores_that_are_shown_before_their_epoch_has_run_are_found() {
        let voter = (Netuid(1), Hotkey::default());
        let salt = Secret::new([5; 32]);
        let row = HiddenRow::new(voter, 3, 4, Vec::new(), Served::default(), salt);
        let seen = |epoch, revealed| Sight {
            epoch,
            scores: vec![Committed {
                epoch: 4,
                hash: row.hash,
                at: 50,
                revealed,
            }],
            ..Sight::default()
        };
        let (commit, reveal) = (
            Transaction::CommitScores(row.clone()),
            Transaction::RevealScores(row.clone()),
        );
        assert!(is_fine(&seen(4, false), &commit) && !is_fine(&seen(5, false), &commit));
        assert!(is_fine(&seen(5, false), &reveal));
        assert!(!is_fine(&seen(4, false), &reveal) && !is_fine(&seen(5, true), &reveal));
    }

    #[test]
    fn a_second_commitment_or_one_to_a_round_that_is_over_is_found() {
        let commitment = Commitment {
            parent_root: ModelRoot::zero(),
            sealed_root: SealedRoot::from([1; 32]),
            length: 1,
            key_hash: H256::zero(),
        };
        let commit = |round| Transaction::Commit(round, commitment.clone());
        let round = 3;
        let nothing = Sight {
            round,
            ..Sight::default()
        };
        assert!(is_fine(&nothing, &commit(3)) && !is_fine(&nothing, &commit(2)));
        assert!(!is_fine(&committed(1), &commit(3)));
    }

    #[test]
    fn a_finding_that_is_shown_without_its_commitment_is_found() {
        let of = |finding| {
            let (auditor, salt) = ((Netuid(1), Hotkey::default()), Secret::new([4; 32]));
            Verdict::new(auditor, (3, Uid(5)), finding, salt)
        };
        let verdict = of(Finding::Passed);
        let reveal = Transaction::RevealVerdict(verdict.clone());
        let seen = Sight {
            findings: vec![verdict.hash],
            ..Sight::default()
        };
        assert!(is_fine(&seen, &reveal) && !is_fine(&Sight::default(), &reveal));
        let mut secrets = Secrets::default();
        let commit = |finding| Transaction::CommitVerdict(of(finding));
        assert!(sends(&mut secrets, &seen, &commit(Finding::Passed)));
        assert!(!sends(&mut secrets, &seen, &commit(Finding::Failed)));
    }
}
