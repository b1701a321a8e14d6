//! Of whom a validator can say something after a round.

use alloc::vec::Vec;
use cairn_primitives::Uid;

/// What a validator can say of a miner's part in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its contribution is here, and can be measured.
    Delivered,
    /// It had data and delivered nothing good.
    Missed,
    /// Others found its contribution good; that it is not here is no fault of the miner's.
    Unknown,
}

impl Standing {
    /// Of a miner whose contribution is here and good, or not, and was included, or not.
    pub fn of(is_here: bool, is_included: bool) -> Standing {
        match (is_here, is_included) {
            (true, _) => Standing::Delivered,
            (false, true) => Standing::Unknown,
            (false, false) => Standing::Missed,
        }
    }
}

/// A miner of which there is evidence to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its slot in the round.
    pub slot: u64,
    /// Its number.
    pub uid: Uid,
    /// What can be said of it.
    pub standing: Standing,
}

/// The miners of a round, given in the order of their slots, and what a validator can say of them: nothing of
/// anybody, if it did not attest in that round, since then it did not look at all of them. Slots are drawn by the
/// round's seed, so whoever is left out when time runs out is left out by chance.
pub fn subjects(
    has_attested: bool,
    miners: impl IntoIterator<Item = Uid>,
    is_here: impl Fn(Uid) -> bool,
    included: &[Uid],
) -> Vec<Subject> {
    if !has_attested {
        return Vec::new();
    }
    let subject = |(slot, uid): (u64, Uid)| Subject {
        slot,
        uid,
        standing: Standing::of(is_here(uid), included.contains(&uid)),
    };
    (0..).zip(miners).map(subject).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_others_have_is_unknown_and_what_nobody_has_is_missed() {
        let found = subjects(
            true,
            [5, 3, 9, 4].map(Uid),
            |uid| uid == Uid(9),
            &[Uid(3), Uid(9)],
        );
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.slot, one.uid, one.standing))
            .collect();
        let expected = [
            (0, Uid(5), Standing::Missed),
            (1, Uid(3), Standing::Unknown),
            (2, Uid(9), Standing::Delivered),
            (3, Uid(4), Standing::Missed),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn who_did_not_attest_says_nothing() {
        assert!(subjects(false, [1, 2].map(Uid), |_| true, &[Uid(1)]).is_empty());
    }

    proptest! {
        #[test]
        fn only_who_delivered_nothing_anywhere_has_missed(
            miners in prop::collection::btree_set((0u16..40).prop_map(Uid), 0..20),
            here in prop::collection::btree_set((0u16..40).prop_map(Uid), 0..20),
            included in prop::collection::btree_set((0u16..40).prop_map(Uid), 0..20),
        ) {
            let included: Vec<Uid> = included.into_iter().collect();
            let miners: Vec<Uid> = miners.into_iter().collect();
            let found = subjects(true, miners.iter().copied(), |uid| here.contains(&uid), &included);
            for ((slot, uid), one) in miners.iter().enumerate().zip(&found) {
                prop_assert_eq!((one.slot, one.uid), (slot as u64, *uid));
                let nowhere = !here.contains(uid) && !included.contains(uid);
                prop_assert_eq!(one.standing == Standing::Missed, nowhere);
                prop_assert_eq!(one.standing == Standing::Delivered, here.contains(uid));
            }
            prop_assert_eq!(found.len(), miners.len());
        }
    }
}
