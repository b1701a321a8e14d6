//! Transactions that wait for a block, in the order in which Substrate's pool gives them to an author: by priority,
//! then by age, each behind those that it needs.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use cairn_primitives::H256;
use cairn_runtime::UncheckedExtrinsic;
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionValidity, TransactionValidityError, ValidTransaction,
};

/// A transaction that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Hash of its bytes.
    pub id: H256,
    /// The transaction.
    pub extrinsic: UncheckedExtrinsic,
    /// What the runtime said of it.
    pub validity: ValidTransaction,
    age: u64,
}

/// The pool.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    waiting: Vec<Waiting>,
    refused: BTreeMap<H256, String>,
    came: u64,
}

impl Pool {
    /// A transaction came, of which the runtime said this. What is invalid is refused.
    pub fn add(&mut self, id: H256, extrinsic: UncheckedExtrinsic, validity: TransactionValidity) {
        match validity {
            Ok(validity) => {
                let age = self.came;
                self.came += 1;
                self.refused.remove(&id);
                self.waiting.retain(|one| one.id != id);
                self.waiting.push(Waiting {
                    id,
                    extrinsic,
                    validity,
                    age,
                });
            }
            Err(error) => self.refuse(id, error),
        }
    }

    /// Notes that a transaction will not be in a block.
    pub fn refuse(&mut self, id: H256, error: TransactionValidityError) {
        self.refused.insert(id, format!("{error:?}"));
    }

    /// Why a transaction was refused, if it was.
    pub fn refusal(&self, id: H256) -> Option<&str> {
        self.refused.get(&id).map(String::as_str)
    }

    /// All that wait, out of the pool.
    pub fn take(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// What waits.
    pub fn waiting(&self) -> impl Iterator<Item = &UncheckedExtrinsic> {
        self.waiting.iter().map(|one| &one.extrinsic)
    }
}

/// Gives transactions to `apply` in an author's order. What it answers with `true` is in the block; what with `false`
/// for lack of room waits on. Gives back what waits on, and what is out with the reason.
pub fn author(
    mut waiting: Vec<Waiting>,
    mut apply: impl FnMut(&Waiting) -> Result<(), TransactionValidityError>,
) -> (Vec<Waiting>, Vec<(H256, TransactionValidityError)>) {
    waiting.sort_by_key(|one| (Reverse(one.validity.priority), one.age));
    let mut provided: BTreeSet<Vec<u8>> = BTreeSet::new();
    let (mut left, mut out) = (Vec::new(), Vec::new());
    loop {
        let is_ready = |one: &Waiting| {
            one.validity
                .requires
                .iter()
                .all(|tag| provided.contains(tag))
        };
        let Some(at) = waiting.iter().position(is_ready) else {
            break;
        };
        let one = waiting.remove(at);
        match apply(&one) {
            Ok(()) => provided.extend(one.validity.provides),
            Err(TransactionValidityError::Invalid(InvalidTransaction::ExhaustsResources)) => {
                left.push(one);
            }
            Err(error) => out.push((one.id, error)),
        }
    }
    left.append(&mut waiting);
    (left, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_runtime::RuntimeCall;

    fn waiting(id: u8, priority: u64, requires: &[u8], provides: &[u8], age: u64) -> Waiting {
        let remark = frame_system::Call::remark { remark: vec![id] };
        Waiting {
            id: H256::repeat_byte(id),
            extrinsic: UncheckedExtrinsic::new_bare(RuntimeCall::System(remark)),
            validity: ValidTransaction {
                priority,
                requires: requires.iter().map(|tag| vec![*tag]).collect(),
                provides: provides.iter().map(|tag| vec![*tag]).collect(),
                ..ValidTransaction::default()
            },
            age,
        }
    }

    #[test]
    fn the_author_takes_by_priority_then_age_and_what_needs_others_after_them() {
        let all = vec![
            waiting(1, 5, &[], &[], 2),
            waiting(2, 5, &[], &[], 1),
            waiting(3, 9, &[7], &[], 0),
            waiting(4, 1, &[], &[7], 3),
            waiting(5, 1, &[8], &[], 4),
        ];
        let mut order = Vec::new();
        let (left, out) = author(all, |one| {
            order.push(one.id.0[0]);
            Ok(())
        });
        assert_eq!(order, [2, 1, 4, 3]);
        assert_eq!(left.iter().map(|one| one.id.0[0]).collect::<Vec<_>>(), [5]);
        assert!(out.is_empty());
    }

    #[test]
    fn what_finds_no_room_waits_and_what_is_invalid_is_out() {
        let all = vec![waiting(1, 2, &[], &[], 0), waiting(2, 1, &[], &[], 1)];
        let (left, out) = author(all, |one| {
            Err(match one.id.0[0] {
                1 => InvalidTransaction::ExhaustsResources.into(),
                _ => InvalidTransaction::Stale.into(),
            })
        });
        assert_eq!(left.len(), 1);
        assert_eq!(out[0].0, H256::repeat_byte(2));
    }
}
