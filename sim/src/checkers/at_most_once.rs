//! In one round an honest member commits to one content, attests one thing, and applies the round once.

use std::{collections::BTreeMap, fmt::Debug};

use cairn_primitives::{Round, SealedRoot, H256};
use cairn_round::machine::Transaction;

use super::{Checker, Happening, Who};

/// What was signed and applied in each round.
#[derive(Debug, Default)]
pub struct AtMostOnce {
    committed: BTreeMap<(Who, Round), SealedRoot>,
    attested: BTreeMap<(Who, Round), H256>,
    applied: BTreeMap<Who, Round>,
}

fn once<T: PartialEq + Debug>(
    known: T,
    now: T,
    what: impl FnOnce() -> String,
) -> Result<(), String> {
    if known == now {
        Ok(())
    } else {
        Err(format!("{}: first {known:?}, then {now:?}", what()))
    }
}

impl AtMostOnce {
    fn sent(&mut self, who: Who, transaction: &Transaction) -> Result<(), String> {
        match transaction {
            Transaction::Commit(round, commitment) => {
                let now = commitment.sealed_root;
                let known = *self.committed.entry((who, *round)).or_insert(now);
                once(known, now, || {
                    format!("member {who} committed twice in round {round}")
                })
            }
            Transaction::CommitAttestation(pledge) | Transaction::Attest(pledge) => {
                let (round, now) = (pledge.round, pledge.hash);
                let known = *self.attested.entry((who, round)).or_insert(now);
                once(known, now, || {
                    format!("member {who} attested two things in round {round}")
                })
            }
            _ => Ok(()),
        }
    }
}

impl Checker for AtMostOnce {
    fn name(&self) -> &'static str {
        "at_most_once"
    }

    fn see(&mut self, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Sent {
                who, transaction, ..
            } => self.sent(*who, transaction),
            Happening::Kept { who, held } => {
                let before = self.applied.insert(*who, held.round);
                match before.filter(|before| before.checked_add(1) != Some(held.round)) {
                    Some(before) => Err(format!(
                        "member {who} went from round {before} to {} by an outer step",
                        held.round
                    )),
                    None => Ok(()),
                }
            }
            Happening::Restarted { who, held, .. } => {
                // What was told is what is on disk; a crash may have cut off the telling, never the disk.
                self.applied.insert(*who, held.map_or(0, |held| held.round));
                Ok(())
            }
            Happening::Joined { who, held } => {
                self.applied.insert(*who, held.round);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::sight::Sight;
    use cairn_primitives::{Commitment, Hotkey, Judgement, ModelRoot, Netuid, Secret, Witness};
    use cairn_round::{pledge::Pledge, Held};

    fn commit(round: Round, content: u8) -> Transaction {
        let root = H256::repeat_byte(content);
        let commitment = Commitment {
            parent_root: ModelRoot::zero(),
            sealed_root: SealedRoot(root),
            length: 1,
            key_hash: root,
        };
        Transaction::Commit(round, commitment)
    }

    fn sent(once: &mut AtMostOnce, transaction: Transaction) -> bool {
        let happening = Happening::Sent {
            who: 0,
            transaction: &transaction,
            seen: &Sight::default(),
            is_on_disk: true,
        };
        once.see(&happening).is_ok()
    }

    #[test]
    fn a_second_content_or_root_is_found() {
        let mut once = AtMostOnce::default();
        assert!(sent(&mut once, commit(1, 1)));
        assert!(sent(&mut once, commit(1, 1)));
        assert!(sent(&mut once, commit(2, 2)));
        assert!(!sent(&mut once, commit(1, 2)));
        let pledge = |root: u8| {
            let (verdicts, salt) = (Judgement::default(), Secret::new([7; 32]));
            let voter = (Netuid(1), Hotkey::default());
            Pledge::new(
                voter,
                1,
                ModelRoot(H256::repeat_byte(root)),
                verdicts,
                Witness::default(),
                salt,
            )
        };
        assert!(sent(&mut once, Transaction::CommitAttestation(pledge(1))));
        assert!(sent(&mut once, Transaction::Attest(pledge(1))));
        assert!(!sent(&mut once, Transaction::Attest(pledge(2))));
    }

    #[test]
    fn a_round_that_is_applied_twice_or_left_out_is_found() {
        let mut once = AtMostOnce::default();
        let kept = |round| Happening::Kept {
            who: 0,
            held: Held {
                round,
                root: ModelRoot::zero(),
            },
        };
        assert!(once.see(&kept(1)).is_ok());
        assert!(once.see(&kept(2)).is_ok());
        assert!(once.see(&kept(2)).is_err());
        assert!(once.see(&kept(4)).is_err());
    }
}
