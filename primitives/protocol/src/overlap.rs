//! What is trained ahead, in a run whose rounds overlap.
//!
//! Miners train round r + 1 while round r is revealed, attested and settled. So they have to know in time who trains
//! on what in it, and from which parameters: slots are drawn when the round before begins, and a round's *base* are
//! the parameters with which the round before began. The outer step is still applied to the newest ones: what it adds
//! up was found one step earlier.

use cairn_primitives::{ModelRoot, Round, Uid, Verdicts};

/// The rounds that are trained from the parameters with which round `held` begins: that round; or, where rounds
/// overlap, the one after it, and from the first parameters both.
pub fn trained_from(held: Round, overlaps: bool) -> impl Iterator<Item = Round> {
    let own = Some(held).filter(|_| !overlaps || held == 0);
    let next = held.checked_add(1).filter(|_| overlaps);
    own.into_iter().chain(next)
}

/// The root of a round's base, which contributions have to name: `parent` is the root of the parameters with which the
/// round began, and `before` that with which the round before began, if it is final. If it is not, nothing was included
/// since, so both are the same parameters. Where rounds do not overlap there is no `before`.
pub fn base(parent: ModelRoot, before: Option<ModelRoot>) -> ModelRoot {
    before.unwrap_or(parent)
}

/// Of the miners that a round was drawn for, those that have no part in it when it begins: who is not among the miners
/// that it could have now, which ascend by uid. Slots are positions, so they keep their place.
pub fn without_part<T: PartialEq>(drawn: &[(Uid, T)], possible: &[(Uid, T)]) -> Verdicts {
    let is_possible = |(uid, miner): &(Uid, T)| {
        let found = possible.binary_search_by_key(uid, |(uid, _)| *uid);
        let found = found.ok().and_then(|at| possible.get(at));
        found.is_some_and(|(_, other)| other == miner)
    };
    let gone = drawn.iter().filter(|one| !is_possible(one));
    Verdicts::from_uids(gone.map(|(uid, _)| *uid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn root(number: u8) -> ModelRoot {
        ModelRoot::from([number; 32])
    }

    #[test]
    fn where_rounds_overlap_the_base_is_what_the_round_before_began_with() {
        assert_eq!(base(root(4), Some(root(3))), root(3));
        assert_eq!(base(root(4), None), root(4), "nothing was included since");
    }

    #[test]
    fn who_left_since_a_round_was_drawn_has_no_part_and_nobody_has_it_instead() {
        let of = |all: &[(u16, u8)]| -> Vec<(Uid, u8)> {
            all.iter().map(|(uid, key)| (Uid(*uid), *key)).collect()
        };
        let drawn = of(&[(7, 70), (2, 20), (5, 50)]);
        let gone = |possible: &[(u16, u8)]| without_part(&drawn, &of(possible));
        let none = Verdicts::default();
        assert_eq!(gone(&[(2, 20), (3, 30), (5, 50), (7, 70)]), none);
        assert_eq!(gone(&[(2, 20), (5, 50)]), Verdicts::from_uids([Uid(7)]));
        // Another one has its number now.
        let replaced = gone(&[(2, 21), (5, 50), (7, 70)]);
        assert_eq!(replaced, Verdicts::from_uids([Uid(2)]));
        assert_eq!(gone(&[]), Verdicts::from_uids([2, 5, 7].map(Uid)));
    }

    proptest! {
        #[test]
        fn each_round_is_trained_from_one_set_of_parameters(rounds in 1u32..40, overlaps: bool) {
            let trained = (0..rounds).flat_map(|held| trained_from(held, overlaps));
            let trained: Vec<Round> = trained.collect();
            let last = rounds + u32::from(overlaps);
            prop_assert_eq!(trained, (0..last).collect::<Vec<_>>());
        }
    }
}
