//! Who validates, who mines.
//!
//! Stake decides first, then bond. Who has the stake to validate is a validator if a seat is left for it, and never a
//! miner: it would judge its own work.

use core::cmp::Reverse;

use alloc::vec::Vec;
use cairn_primitives::{Balance, Hyperparameters, Uid, Verdicts, MAX_VALIDATORS};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// What a member's stake and bond entitle it to, whoever else is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It has the stake to validate: to a validator's seat, if one is left.
    Seat,
    /// It has the bond to mine: to data.
    Data,
    /// It has neither.
    Nothing,
}

/// A validator of a round, as it was at the round's first block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Validator<AccountId> {
    /// Its number.
    pub uid: Uid,
    /// Its key.
    pub hotkey: AccountId,
    /// The stake on it at the round's first block, in pebble: what its attestation counts.
    pub stake: Balance,
}

/// Whether `stake`, in pebble, is enough to validate. Nothing is never enough.
pub fn may_validate(rules: &Hyperparameters, stake: Balance) -> bool {
    stake >= rules.min_validator_stake.max(1)
}

/// What a member with this stake may claim, in pebble. Its bond is asked for only if it has not the stake to validate.
pub fn claim(rules: &Hyperparameters, stake: Balance, bond: impl FnOnce() -> Balance) -> Claim {
    if may_validate(rules, stake) {
        Claim::Seat
    } else if bond() >= rules.min_miner_bond {
        Claim::Data
    } else {
        Claim::Nothing
    }
}

/// How many validators a subnet has at most.
pub fn seats(rules: &Hyperparameters) -> usize {
    let seats = u32::from(rules.max_validators).min(MAX_VALIDATORS);
    usize::try_from(seats).unwrap_or(usize::MAX)
}

/// Those of `members` that have a seat, the one with the most stake first; of equal stakes the lowest uid comes first.
/// `of` gives a member's uid and its stake in pebble.
pub fn seated<T>(
    rules: &Hyperparameters,
    members: impl IntoIterator<Item = T>,
    of: impl Fn(&T) -> (Uid, Balance),
) -> Vec<T> {
    let mut seated: Vec<T> = members
        .into_iter()
        .filter(|member| may_validate(rules, of(member).1))
        .collect();
    seated.sort_by_key(|member| {
        let (uid, stake) = of(member);
        (Reverse(stake), uid)
    });
    seated.truncate(seats(rules));
    seated
}

/// The uid of the member `who` of a round, unless it has left since the round began.
pub fn member_of<'a, AccountId: PartialEq + 'a>(
    members: impl IntoIterator<Item = (Uid, &'a AccountId)>,
    departed: &Verdicts,
    who: &AccountId,
) -> Option<Uid> {
    members
        .into_iter()
        .find(|(_, hotkey)| *hotkey == who)
        .map(|(uid, _)| uid)
        .filter(|uid| !departed.contains(*uid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(min_validator_stake: Balance, min_miner_bond: Balance, seats: u16) -> Hyperparameters {
        Hyperparameters {
            min_validator_stake,
            min_miner_bond,
            max_validators: seats,
            ..Hyperparameters::default()
        }
    }

    #[test]
    fn stake_decides_before_bond() {
        let rules = rules(100, 10, 2);
        assert_eq!(claim(&rules, 100, || 10), Claim::Seat);
        assert_eq!(claim(&rules, 99, || 10), Claim::Data);
        assert_eq!(claim(&rules, 99, || 9), Claim::Nothing);
        assert_eq!(
            claim(&rules, 100, || panic!("a staker's bond is no matter")),
            Claim::Seat
        );
    }

    #[test]
    fn with_a_least_stake_of_0_nothing_is_still_not_enough() {
        let rules = rules(0, 0, 2);
        assert_eq!(claim(&rules, 0, || 0), Claim::Data);
        assert_eq!(claim(&rules, 1, || 0), Claim::Seat);
    }

    #[test]
    fn there_are_never_more_seats_than_a_chain_has() {
        assert_eq!(seats(&rules(1, 1, 3)), 3);
        assert_eq!(seats(&rules(1, 1, u16::MAX)), 64);
    }

    #[test]
    fn of_equal_stakes_the_lowest_uid_sits() {
        let members = [(4, 7), (1, 7), (9, 8), (2, 7)];
        assert_eq!(
            seated(&rules(1, 0, 3), members, |m| *m),
            [(9, 8), (1, 7), (2, 7)]
        );
    }

    #[test]
    fn who_left_is_no_member_of_the_round() {
        let members = [(3u16, [3u8; 32]), (5, [5; 32])];
        let of = |departed: &Verdicts, who: [u8; 32]| {
            member_of(members.iter().map(|(u, k)| (*u, k)), departed, &who)
        };
        assert_eq!(of(&Verdicts::default(), [5; 32]), Some(5));
        assert_eq!(of(&Verdicts::from_uids([5]), [5; 32]), None);
        assert_eq!(of(&Verdicts::from_uids([5]), [3; 32]), Some(3));
        assert_eq!(of(&Verdicts::default(), [4; 32]), None);
    }

    proptest! {
        #[test]
        fn the_seated_have_the_most_stake(
            stakes in prop::collection::vec(0u64..50, 0..100), least in 0u64..20, seats in 0u16..70,
        ) {
            let rules = rules(least, 0, seats);
            let members: Vec<(Uid, Balance)> = (0..).zip(stakes).collect();
            let sitting = seated(&rules, members.clone(), |member| *member);
            let able = members.iter().filter(|(_, stake)| may_validate(&rules, *stake)).count();
            prop_assert_eq!(sitting.len(), able.min(super::seats(&rules)));
            // No staker without a seat comes before one with a seat.
            let last = sitting.last().map(|(uid, stake)| (Reverse(*stake), *uid));
            for (uid, stake) in members {
                let has_seat = sitting.contains(&(uid, stake));
                let before = last.is_some_and(|last| (Reverse(stake), uid) <= last);
                prop_assert_eq!(has_seat, before && may_validate(&rules, stake));
            }
        }

        #[test]
        fn the_order_of_members_is_irrelevant(
            (members, shuffled) in prop::collection::btree_map(0u16..256, 0u64..9, 0..40)
                .prop_map(|map| map.into_iter().collect::<Vec<_>>())
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let rules = rules(2, 0, 8);
            prop_assert_eq!(seated(&rules, members, |m| *m), seated(&rules, shuffled, |m| *m));
        }

        #[test]
        fn nobody_claims_both(stake: u64, bond: u64, least: u64, least_bond: u64) {
            let rules = rules(least, least_bond, 64);
            let found = claim(&rules, stake, || bond);
            prop_assert_eq!(found == Claim::Seat, may_validate(&rules, stake));
            prop_assert_eq!(found == Claim::Data, !may_validate(&rules, stake) && bond >= least_bond);
        }
    }
}
