//! A member that crashes at any instant goes on from its disk: with the parameters that it held or those of one more
//! round, and with the contribution that it had committed to.

use std::collections::BTreeMap;

use cairn_primitives::{Round, SealedRoot};
use cairn_round::{machine::Transaction, Held};

use super::{Checker, Happening, Who};

/// What each member had before it crashed.
#[derive(Debug, Default)]
pub struct CrashSafety {
    held: BTreeMap<Who, Held>,
    committed: BTreeMap<Who, (Round, SealedRoot)>,
    /// What settled rounds included: whoever made something else is done with it.
    included: BTreeMap<Round, Vec<SealedRoot>>,
}

impl CrashSafety {
    fn back(
        &self,
        who: Who,
        held: Option<Held>,
        made: &[(Round, SealedRoot)],
    ) -> Result<(), String> {
        if let Some(before) = self.held.get(&who) {
            let is_lost = held.is_none_or(|held| {
                held.round < before.round || held.round > before.round.saturating_add(1)
            });
            if is_lost {
                return Err(format!(
                    "member {who} held {before:?} and is back with {held:?}"
                ));
            }
        }
        let Some((round, root)) = self.committed.get(&who) else {
            return Ok(());
        };
        // Where rounds overlap it commits to what it made for the round after the one held.
        let is_open = held.is_some_and(|held| held.round <= *round);
        let included = self.included.get(round);
        let is_void = included.is_some_and(|included| !included.contains(root));
        if is_open && !is_void && !made.contains(&(*round, *root)) {
            return Err(format!(
                "member {who} committed to {root:?} in round {round} and is back with {made:?}"
            ));
        }
        Ok(())
    }
}

impl Checker for CrashSafety {
    fn name(&self) -> &'static str {
        "crash_safety"
    }

    fn see(&mut self, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Kept { who, held } => {
                self.held.insert(*who, *held);
            }
            // Whatever it had made is void.
            Happening::Joined { who, held } => {
                self.held.insert(*who, *held);
                self.committed.remove(who);
            }
            Happening::Sent {
                who,
                transaction: Transaction::Commit(round, commitment),
                ..
            } => {
                self.committed
                    .insert(*who, (*round, commitment.sealed_root));
            }
            Happening::Settled { settlement, .. } => {
                let included = settlement.sealed_roots();
                self.included.insert(settlement.round, included);
            }
            Happening::Restarted { who, held, made } => return self.back(*who, *held, made),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::sight::Sight;
    use cairn_primitives::{Commitment, ModelRoot, H256};

    fn held(round: Round) -> Held {
        Held {
            round,
            root: ModelRoot::from([1; 32]),
        }
    }

    #[test]
    fn a_disk_that_lost_a_round_is_found() {
        let mut safety = CrashSafety::default();
        let kept = Happening::Kept {
            who: 0,
            held: held(4),
        };
        assert!(safety.see(&kept).is_ok());
        assert!(safety.back(0, Some(held(4)), &[]).is_ok());
        assert!(safety.back(0, Some(held(5)), &[]).is_ok());
        assert!(safety.back(0, Some(held(3)), &[]).is_err());
        assert!(safety.back(0, Some(held(6)), &[]).is_err());
        assert!(safety.back(0, None, &[]).is_err());
    }

    #[test]
    fn a_commitment_that_is_not_on_disk_is_found() {
        let mut safety = CrashSafety::default();
        let root = H256([7; 32]);
        let commitment = Commitment {
            parent_root: ModelRoot(root),
            sealed_root: SealedRoot(root),
            length: 1,
            key_hash: root,
        };
        let sent = Happening::Sent {
            who: 0,
            transaction: &Transaction::Commit(4, commitment),
            seen: &Sight::default(),
            is_on_disk: true,
        };
        assert!(safety.see(&sent).is_ok());
        assert!(safety
            .back(0, Some(held(4)), &[(4, SealedRoot(root))])
            .is_ok());
        assert!(safety.back(0, Some(held(5)), &[]).is_ok());
        assert!(safety.back(0, Some(held(4)), &[]).is_err());
    }
}
