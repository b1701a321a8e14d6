//! Of whom a validator can say something after a round.

use alloc::vec::Vec;
use cairn_primitives::Uid;

/// A miner of which there is evidence to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<T> {
    /// Its slot in the round.
    pub slot: u64,
    /// Its number.
    pub uid: Uid,
    /// Its contribution, which can be measured; `None` if it had data and delivered nothing good.
    pub contribution: Option<T>,
}

/// The miners of a round, given in the order of their slots, and what a validator can say of them: nothing of
/// anybody, if it did not attest in that round, since then it did not look at all of them. What the round included is
/// here, whoever found it good: the validator has applied it. Slots are drawn by the round's seed, so whoever is left
/// out when time runs out is left out by chance.
pub fn subjects<T>(
    has_attested: bool,
    miners: impl IntoIterator<Item = Uid>,
    contribution: impl Fn(Uid) -> Option<T>,
) -> Vec<Subject<T>> {
    if !has_attested {
        return Vec::new();
    }
    let subject = |(slot, uid): (u64, Uid)| Subject {
        slot,
        uid,
        contribution: contribution(uid),
    };
    (0..).zip(miners).map(subject).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_did_not_attest_says_nothing() {
        assert!(subjects(false, [1, 2].map(Uid), Some).is_empty());
    }

    proptest! {
        #[test]
        fn each_miner_has_its_slot_and_what_is_here_of_it(
            miners in prop::collection::btree_set((0u16..40).prop_map(Uid), 0..20),
            here in prop::collection::btree_set((0u16..40).prop_map(Uid), 0..20),
        ) {
            let miners: Vec<Uid> = miners.into_iter().rev().collect();
            let contribution = |uid: Uid| here.contains(&uid).then(|| uid.get() + 1);
            let found = subjects(true, miners.iter().copied(), contribution);
            for ((slot, uid), one) in miners.iter().enumerate().zip(&found) {
                prop_assert_eq!((one.slot, one.uid), (slot as u64, *uid));
                prop_assert_eq!(one.contribution, contribution(*uid));
            }
            prop_assert_eq!(found.len(), miners.len());
        }
    }
}
