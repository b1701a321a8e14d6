//! Who has to train on what.
//!
//! The data set's windows are put in an order that nobody chose: a keyed permutation of `0..windows`. A
//! round takes the next `miners × windows_per_miner` positions of it; a miner's slot, drawn from the
//! round's seed, says which of them are its own. So no two miners of a round share a sequence, no sequence
//! comes twice in a pass over the data, and anyone can recompute who had to train on what.
//!
//! The permutation is a four-round Feistel network over the smallest even number of bits that covers
//! `windows`, with `blake2_256` as its round function, walked until it falls inside the range
//! (cycle walking: Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, §5).

use alloc::vec::Vec;
use codec::Encode;

use crate::{blake2_256, Netuid, Round, H256};

/// The place of a round in the order of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRange {
    /// Which pass over the data.
    pub pass: u32,
    /// Position in that pass at which the round begins.
    pub cursor: u64,
}

impl DataRange {
    /// The range for a round of `miners` after a round that ended at `self`: a round never straddles two
    /// passes, since a window at the end of one may be at the start of the next.
    pub fn fit(self, windows: u64, per_miner: u64, miners: u64) -> DataRange {
        let needed = per_miner.saturating_mul(miners);
        if self.cursor > 0 && self.cursor.saturating_add(needed) > windows {
            DataRange {
                pass: self.pass.saturating_add(1),
                cursor: 0,
            }
        } else {
            self
        }
    }
}

/// The key of a pass's permutation.
pub fn pass_key(netuid: Netuid, initial_root: H256, pass: u32) -> H256 {
    blake2_256(&(b"cairn/pass", netuid, initial_root, pass).encode())
}

/// The seed of a round, from the chain's randomness.
pub fn round_seed(netuid: Netuid, round: Round, randomness: H256) -> H256 {
    blake2_256(&(b"cairn/round", netuid, round, randomness).encode())
}

/// The first eight bytes of a hash as a little-endian number.
fn number(hash: H256) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Where position `index` of the order `0..windows` leads under `key`. Positions beyond the end wrap.
pub fn permute(key: H256, windows: u64, index: u64) -> u64 {
    if windows <= 1 {
        return 0;
    }
    let bits = (64 - (windows - 1).leading_zeros())
        .next_multiple_of(2)
        .max(2);
    let half = bits / 2;
    let mask = (1u64 << half) - 1;
    let mut value = index % windows;
    loop {
        let (mut left, mut right) = (value >> half, value & mask);
        for step in 0u8..4 {
            let digest = blake2_256(&(key, step, right).encode());
            let word = number(digest) & mask;
            (left, right) = (right, left ^ word);
        }
        value = (left << half) | right;
        if value < windows {
            return value;
        }
    }
}

/// The slots of a round: `miners` in an order drawn from `seed` (Fisher–Yates).
pub fn slots<T: Clone>(seed: H256, miners: &[T]) -> Vec<T> {
    let mut order: Vec<T> = miners.to_vec();
    for last in (1..order.len()).rev() {
        let digest = blake2_256(&(b"cairn/slot", seed, last as u64).encode());
        let chosen = number(digest) % (last as u64 + 1);
        order.swap(last, chosen as usize);
    }
    order
}

/// The windows of slot `slot` in a round that begins at `range`, in the order in which they are trained on.
pub fn windows_of(
    key: H256,
    windows: u64,
    range: DataRange,
    per_miner: u64,
    slot: u64,
) -> impl Iterator<Item = u64> {
    let first = range.cursor + slot * per_miner;
    (first..first + per_miner).map(move |position| permute(key, windows, position))
}

/// `count` windows that a round assigned to nobody, drawn from its seed: positions outside the `used` ones
/// from `range.cursor` on. Empty if the round used them all.
pub fn unassigned(
    key: H256,
    windows: u64,
    range: DataRange,
    used: u64,
    seed: H256,
    count: u64,
) -> Vec<u64> {
    let free = windows.saturating_sub(used);
    if free == 0 {
        return Vec::new();
    }
    let draw = blake2_256(&(b"cairn/unassigned", seed).encode());
    (0..count.min(free))
        .map(|index| permute(draw, free, index))
        .map(|skip| permute(key, windows, (range.cursor + used + skip) % windows))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pass_visits_every_window_once(windows in 1u64..3_000, key: [u8; 32]) {
            let seen: BTreeSet<u64> = (0..windows).map(|i| permute(H256(key), windows, i)).collect();
            prop_assert_eq!(seen.len() as u64, windows);
            prop_assert!(seen.iter().all(|window| *window < windows));
        }

        #[test]
        fn miners_of_a_round_share_nothing(
            key: [u8; 32], miners in 1u64..8, per_miner in 1u64..40, cursor in 0u64..500, seed: [u8; 32],
        ) {
            let windows = 1_000;
            let range = DataRange { pass: 0, cursor }.fit(windows, per_miner, miners);
            let mut seen = BTreeSet::new();
            for slot in 0..miners {
                for window in windows_of(H256(key), windows, range, per_miner, slot) {
                    prop_assert!(seen.insert(window));
                }
            }
            for window in unassigned(H256(key), windows, range, miners * per_miner, H256(seed), 64) {
                prop_assert!(!seen.contains(&window));
            }
        }

        #[test]
        fn slots_are_a_shuffle(seed: [u8; 32], miners in 0u16..50) {
            let uids: Vec<u16> = (0..miners).collect();
            let mut order = slots(H256(seed), &uids);
            order.sort_unstable();
            prop_assert_eq!(order, uids);
        }
    }
}
