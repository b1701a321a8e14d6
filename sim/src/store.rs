//! Files by the hash of their bytes: at their makers, whom everybody can reach, and at whoever has fetched them; and
//! what can be wrong with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use cairn_primitives::{ModelRoot, Round, H256};

use crate::clock::Millis;

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there before this moment.
    Missing(Millis),
    /// Other bytes come instead before this moment.
    Corrupt(Millis),
    /// It takes so many times as long.
    Slow(u32),
}

/// Sealed contributions, files of evidence and checkpoints.
#[derive(Debug, Default)]
pub struct Store {
    sealed: BTreeMap<H256, Rc<[u8]>>,
    /// Of these an honest member has a copy, which it serves.
    copies: BTreeSet<H256>,
    /// These their makers no longer serve.
    withdrawn: BTreeSet<H256>,
    checkpoints: BTreeMap<(Round, ModelRoot), Rc<[f32]>>,
    faults: BTreeMap<H256, Fault>,
}

impl Store {
    /// Stores a sealed contribution, or a file of evidence, under the hash of its bytes.
    pub fn put(&mut self, root: H256, bytes: Rc<[u8]>) {
        self.sealed.insert(root, bytes);
        self.withdrawn.remove(&root);
    }

    /// An honest member has fetched a sealed contribution, and serves it from now on.
    pub fn keep(&mut self, root: H256) {
        self.copies.insert(root);
    }

    /// A sealed contribution whose bytes have this hash, if it is to be had now.
    pub fn get(&self, root: H256, now: Millis) -> Option<Rc<[u8]>> {
        let found = self.sealed.get(&root)?;
        if self.withdrawn.contains(&root) && !self.copies.contains(&root) {
            return None;
        }
        let bytes: Rc<[u8]> = match self.faults.get(&root) {
            Some(Fault::Missing(until)) if now < *until => return None,
            Some(Fault::Corrupt(until)) if now < *until => {
                found.iter().map(|byte| byte ^ 1).collect()
            }
            _ => found.clone(),
        };
        // What every worker does with what comes from a store.
        (cairn_gradient::sealed_root(&bytes).get() == root).then_some(bytes)
    }

    /// How many times as long as usual a file takes.
    pub fn slowness(&self, root: H256) -> u64 {
        match self.faults.get(&root) {
            Some(Fault::Slow(times)) => u64::from(*times),
            _ => 1,
        }
    }

    /// Something goes wrong with a file.
    pub fn spoil(&mut self, root: H256, fault: Fault) {
        self.faults.insert(root, fault);
    }

    /// The maker of a sealed contribution serves it no longer. Who has a copy still does.
    pub fn withdraw(&mut self, root: H256) {
        self.withdrawn.insert(root);
    }

    /// Stores a checkpoint of the parameters with which a round begins.
    pub fn put_checkpoint(&mut self, round: Round, root: ModelRoot, parameters: Rc<[f32]>) {
        self.checkpoints.insert((round, root), parameters);
    }

    /// Rounds and roots of all checkpoints.
    pub fn checkpoints(&self) -> Vec<(Round, ModelRoot)> {
        self.checkpoints.keys().copied().collect()
    }

    /// A checkpoint.
    pub fn checkpoint(&self, round: Round, root: ModelRoot) -> Option<Rc<[f32]>> {
        self.checkpoints.get(&(round, root)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faulty_file_is_not_to_be_had_and_a_mended_one_is() {
        let mut store = Store::default();
        let bytes: Rc<[u8]> = Rc::from(&b"a contribution"[..]);
        let root = cairn_gradient::sealed_root(&bytes).get();
        assert_eq!(store.get(root, 0), None);
        store.put(root, bytes.clone());
        assert_eq!(store.get(root, 0), Some(bytes.clone()));
        for fault in [Fault::Missing(10), Fault::Corrupt(10)] {
            store.spoil(root, fault);
            assert_eq!(store.get(root, 9), None);
            assert_eq!(store.get(root, 10), Some(bytes.clone()));
        }
        store.spoil(root, Fault::Slow(3));
        assert_eq!((store.get(root, 0), store.slowness(root)), (Some(bytes), 3));
        store.withdraw(root);
        assert_eq!(store.get(root, 20), None);
    }

    #[test]
    fn what_its_maker_withdraws_is_to_be_had_from_who_has_fetched_it() {
        let mut store = Store::default();
        let bytes: Rc<[u8]> = Rc::from(&b"a contribution"[..]);
        let root = cairn_gradient::sealed_root(&bytes).get();
        store.put(root, bytes.clone());
        store.keep(root);
        store.withdraw(root);
        assert_eq!(store.get(root, 0), Some(bytes));
    }

    #[test]
    fn a_checkpoint_is_found_by_its_round_and_root() {
        let mut store = Store::default();
        let [one, other] = [1, 2].map(|byte| ModelRoot::from([byte; 32]));
        store.put_checkpoint(3, one, Rc::from(&[1.0][..]));
        assert_eq!(store.checkpoints(), [(3, one)]);
        assert_eq!(store.checkpoint(3, one), Some(Rc::from(&[1.0][..])));
        assert_eq!(store.checkpoint(3, other), None);
    }
}
