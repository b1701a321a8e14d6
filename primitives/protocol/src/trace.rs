//! What a replay of inner steps begins from, and has to lead to.
//!
//! A miner's inner steps lead from state to state: parameters, both moments of the optimizer, and how many steps it
//! has done. Some of the states are *traced*, at distances that the run's configuration sets, and the header of a
//! contribution names the root of a tree over them. So a miner that is asked for two neighbouring states can open no
//! others than those that it had, and whoever replays the steps between them finds out whether the second follows
//! from the first.
//!
//! The tree is BLAKE2b-256, which the chain's runtime has at hand, over states named by BLAKE3, which hashes vectors on
//! many threads.

use alloc::vec::Vec;

use cairn_primitives::{blake2_256, H256};
use codec::{Decode, Encode};

/// First byte of what is hashed for a state.
const STATE: u8 = 0;
/// First byte of what is hashed for two branches.
const BRANCH: u8 = 1;

/// A state between inner steps: the BLAKE3 of each vector's little-endian bytes. Before the optimizer's first step the
/// moments have the hash zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct State {
    /// Of the parameters: their model root.
    pub parameters: H256,
    /// Of the optimizer's first moment.
    pub first_moment: H256,
    /// Of its second moment.
    pub second_moment: H256,
    /// Inner steps that the optimizer has done.
    pub steps: u64,
}

impl State {
    /// What stands for it in the tree.
    pub fn hash(&self) -> H256 {
        let vectors = (self.parameters, self.first_moment, self.second_moment);
        blake2_256(&(STATE, vectors, self.steps).encode())
    }
}

/// Whether the state after `done` of `all` inner steps is traced: that before the first, those after each `every`
/// steps, and that after the last.
pub fn is_traced(done: u32, all: u32, every: u16) -> bool {
    done == all || done.checked_rem(u32::from(every).max(1)) == Some(0)
}

/// How many states of `all` inner steps are traced.
pub fn count(all: u32, every: u16) -> u32 {
    all.div_ceil(u32::from(every).max(1)).saturating_add(1)
}

/// The root of the tree over traced states, by their hashes in order. Zero if there are none.
///
/// Neighbours are hashed in pairs, and so are the results, until there is one; the last of an odd number goes up as
/// it is.
pub fn root(states: &[H256]) -> H256 {
    let mut level = states.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    level.first().copied().unwrap_or_default()
}

/// What shows that the state with this number is one of those under the root: the neighbours on the way up. `None` if
/// there is no such state.
pub fn proof(states: &[H256], number: u32) -> Option<Vec<H256>> {
    let mut at = usize::try_from(number).ok()?;
    states.get(at)?;
    let (mut level, mut neighbours) = (states.to_vec(), Vec::new());
    while level.len() > 1 {
        neighbours.extend(level.get(at ^ 1).copied());
        at >>= 1;
        level = above(&level);
    }
    Some(neighbours)
}

/// Whether a proof shows that the state with this number, of `count` in all, is one of those under the root. Takes as
/// many hashes as `count` has binary digits, at most.
pub fn opens(root: H256, count: u32, number: u32, state: H256, proof: &[H256]) -> bool {
    if number >= count {
        return false;
    }
    let (mut hash, mut at, mut width) = (state, number, count);
    let mut neighbours = proof.iter();
    while width > 1 {
        // the last of an odd number has no neighbour
        if at ^ 1 < width {
            let Some(neighbour) = neighbours.next() else {
                return false;
            };
            hash = match at & 1 {
                0 => branch(hash, *neighbour),
                _ => branch(*neighbour, hash),
            };
        }
        at >>= 1;
        width = width.div_ceil(2);
    }
    hash == root && neighbours.next().is_none()
}

fn above(level: &[H256]) -> Vec<H256> {
    let pairs = level.chunks(2);
    let one = |pair: &[H256]| match pair {
        [left, right] => branch(*left, *right),
        _ => pair.first().copied().unwrap_or_default(),
    };
    pairs.map(one).collect()
}

fn branch(left: H256, right: H256) -> H256 {
    blake2_256(&(BRANCH, left, right).encode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn states(count: u8) -> Vec<H256> {
        (0..count).map(|number| H256([number; 32])).collect()
    }

    #[test]
    fn the_first_the_last_and_those_between_are_traced() {
        let of = |all, every| -> Vec<u32> {
            (0..=all)
                .filter(|done| is_traced(*done, all, every))
                .collect()
        };
        assert_eq!(of(10, 4), [0, 4, 8, 10]);
        assert_eq!(of(8, 4), [0, 4, 8]);
        assert_eq!(of(3, 1), [0, 1, 2, 3]);
        assert_eq!(of(3, 9), [0, 3]);
        assert_eq!(of(0, 1), [0]);
    }

    #[test]
    fn all_that_a_state_says_is_in_its_hash() {
        let [parameters, first_moment, second_moment] = [1, 2, 3].map(|byte| H256([byte; 32]));
        let state = State {
            parameters,
            first_moment,
            second_moment,
            steps: 4,
        };
        let bytes = [&[0][..], &[1; 32], &[2; 32], &[3; 32], &4u64.to_le_bytes()].concat();
        assert_eq!(state.hash(), blake2_256(&bytes));
    }

    #[test]
    fn a_tree_of_three_is_a_pair_and_the_last() {
        let [a, b, c] = [0, 1, 2].map(|byte| H256([byte; 32]));
        assert_eq!(root(&states(3)), branch(branch(a, b), c));
        assert_eq!((root(&states(1)), root(&[])), (a, H256::zero()));
        assert_eq!(proof(&states(3), 2), Some(alloc::vec![branch(a, b)]));
        assert_eq!(proof(&states(3), 3), None);
    }

    proptest! {
        #[test]
        fn as_many_are_traced_as_are_counted(all in 0u32..200, every in 1u16..50) {
            let traced = (0..=all).filter(|done| is_traced(*done, all, every)).count();
            prop_assert_eq!(traced, count(all, every) as usize);
        }

        #[test]
        fn each_state_opens_at_its_own_place_only(of in 1u8..40, number: u32, other: u32, bit in 0usize..256) {
            let (all, count) = (states(of), u32::from(of));
            let (number, root) = (number % count, root(&all));
            let (state, shown) = (all[number as usize], proof(&all, number).unwrap());
            prop_assert!(opens(root, count, number, state, &shown));
            prop_assert!(shown.len() <= 6);
            let elsewhere = other % (count + 1);
            prop_assert!(elsewhere == number || !opens(root, count, elsewhere, state, &shown));
            let mut damaged = state;
            damaged.0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!opens(root, count, number, damaged, &shown));
            let longer = [&shown[..], &[H256::zero()]].concat();
            prop_assert!(!opens(root, count, number, state, &longer));
            if let Some((_, shorter)) = shown.split_last() {
                prop_assert!(!opens(root, count, number, state, shorter));
            }
        }
    }
}
