//! Who validates, who mines.
//!
//! A member's coldkey chooses its role. Stake makes no miner a validator, so nobody can turn a rival out of mining by
//! staking on it; and a validator never mines: it would judge its own work.

use core::cmp::Reverse;

use alloc::vec::Vec;
use cairn_primitives::{Balance, Hyperparameters, Role, Uid, Verdicts, MAX_VALIDATORS};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

use crate::attendance::Absence;

/// What a member's role, stake and bond entitle it to, whoever else is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A validator with the stake to validate: to a seat, if one is left.
    Seat,
    /// A miner with the bond to mine: to data.
    Data,
    /// It has not what its role asks for.
    Nothing,
}

/// A validator of a round, as it was at the round's first block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Validator<AccountId> {
    /// Its number.
    pub uid: Uid,
    /// Its key.
    pub hotkey: AccountId,
    /// What its attestation counts, in pebble: the stake on it at the round's first block, less what has leaked.
    pub stake: Balance,
    /// What has leaked of the stake on it, in pebble.
    pub leaked: Balance,
}

impl<AccountId> Validator<AccountId> {
    /// A validator with all the stake on it, in pebble.
    pub fn new(uid: Uid, hotkey: AccountId, stake: Balance) -> Validator<AccountId> {
        Validator {
            uid,
            hotkey,
            stake,
            leaked: 0,
        }
    }

    /// The same, as it counts after what it missed.
    pub fn after(self, absence: &Absence) -> Validator<AccountId> {
        let all = self.all_stake();
        let stake = absence.counted(all);
        Validator {
            stake,
            leaked: all.saturating_sub(stake),
            ..self
        }
    }

    /// All the stake on it at the round's first block, in pebble.
    pub fn all_stake(&self) -> Balance {
        self.stake.saturating_add(self.leaked)
    }
}

/// Whether a member of this role with this stake, in pebble, may validate. Nothing is never enough.
pub fn may_validate(rules: &Hyperparameters, role: Role, stake: Balance) -> bool {
    role == Role::Validator && stake >= rules.min_validator_stake.max(1)
}

/// What a member of this role with this stake and bond, in pebble, may claim. Each is asked for only where it matters.
pub fn claim(
    rules: &Hyperparameters,
    role: Role,
    stake: impl FnOnce() -> Balance,
    bond: impl FnOnce() -> Balance,
) -> Claim {
    match role {
        Role::Validator if may_validate(rules, role, stake()) => Claim::Seat,
        Role::Miner if bond() >= rules.min_miner_bond => Claim::Data,
        Role::Validator | Role::Miner => Claim::Nothing,
    }
}

/// How many validators a subnet has at most.
pub fn seats(rules: &Hyperparameters) -> usize {
    let seats = u32::from(rules.max_validators).min(MAX_VALIDATORS);
    usize::try_from(seats).unwrap_or(usize::MAX)
}

/// Those of `members` that have a seat, the one with the most stake first; of equal stakes the lowest uid comes first.
/// `of` gives a member's uid, its role, and its stake in pebble.
pub fn seated<T>(
    rules: &Hyperparameters,
    members: impl IntoIterator<Item = T>,
    of: impl Fn(&T) -> (Uid, Role, Balance),
) -> Vec<T> {
    let mut seated: Vec<T> = members
        .into_iter()
        .filter(|member| {
            let (_, role, stake) = of(member);
            may_validate(rules, role, stake)
        })
        .collect();
    seated.sort_by_key(|member| {
        let (uid, _, stake) = of(member);
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

    /// A member as [`seated`] asks for it, of those who chose to validate.
    fn validating(member: &(Uid, Balance)) -> (Uid, Role, Balance) {
        (member.0, Role::Validator, member.1)
    }

    fn claims(rules: &Hyperparameters, role: Role, stake: Balance, bond: Balance) -> Claim {
        claim(rules, role, || stake, || bond)
    }

    #[test]
    fn the_role_decides_and_then_what_it_asks_for() {
        let rules = rules(100, 10, 2);
        assert_eq!(claims(&rules, Role::Validator, 100, 0), Claim::Seat);
        assert_eq!(claims(&rules, Role::Validator, 99, 10), Claim::Nothing);
        assert_eq!(claims(&rules, Role::Miner, 0, 10), Claim::Data);
        assert_eq!(claims(&rules, Role::Miner, 100, 9), Claim::Nothing);
    }

    #[test]
    fn a_strangers_stake_does_not_turn_a_miner_into_a_validator() {
        let rules = rules(100, 10, 2);
        assert_eq!(claims(&rules, Role::Miner, u64::MAX, 10), Claim::Data);
        assert!(!may_validate(&rules, Role::Miner, u64::MAX));
    }

    #[test]
    fn with_a_least_stake_of_0_nothing_is_still_not_enough() {
        let rules = rules(0, 0, 2);
        assert_eq!(claims(&rules, Role::Validator, 0, 0), Claim::Nothing);
        assert_eq!(claims(&rules, Role::Validator, 1, 0), Claim::Seat);
    }

    #[test]
    fn there_are_never_more_seats_than_a_chain_has() {
        assert_eq!(seats(&rules(1, 1, 3)), 3);
        assert_eq!(seats(&rules(1, 1, u16::MAX)), 64);
    }

    #[test]
    fn of_equal_stakes_the_lowest_uid_sits() {
        let members = [(4, 7), (1, 7), (9, 8), (2, 7)].map(|(uid, stake)| (Uid(uid), stake));
        assert_eq!(
            seated(&rules(1, 0, 3), members, validating),
            [(Uid(9), 8), (Uid(1), 7), (Uid(2), 7)]
        );
    }

    #[test]
    fn what_has_leaked_is_remembered() {
        let halved = Absence {
            halved: 2,
            ..Absence::default()
        };
        let one = Validator::new(Uid(3), [3u8; 32], 10).after(&halved);
        assert_eq!((one.stake, one.leaked, one.all_stake()), (2, 8, 10));
        assert_eq!(one.after(&Absence::default()).stake, 10);
    }

    #[test]
    fn a_miner_has_no_seat_however_much_stake_there_is_on_it() {
        let members = [(Uid(4), Role::Miner, 70), (Uid(1), Role::Validator, 7)];
        let seated = seated(&rules(1, 0, 3), members, |member| *member);
        assert_eq!(seated, [(Uid(1), Role::Validator, 7)]);
    }

    #[test]
    fn who_left_is_no_member_of_the_round() {
        let members = [(Uid(3), [3u8; 32]), (Uid(5), [5; 32])];
        let of = |departed: &Verdicts, who: [u8; 32]| {
            member_of(members.iter().map(|(u, k)| (*u, k)), departed, &who)
        };
        assert_eq!(of(&Verdicts::default(), [5; 32]), Some(Uid(5)));
        assert_eq!(of(&Verdicts::from_uids([Uid(5)]), [5; 32]), None);
        assert_eq!(of(&Verdicts::from_uids([Uid(5)]), [3; 32]), Some(Uid(3)));
        assert_eq!(of(&Verdicts::default(), [4; 32]), None);
    }

    proptest! {
        #[test]
        fn the_seated_have_the_most_stake(
            stakes in prop::collection::vec(0u64..50, 0..100), least in 0u64..20, seats in 0u16..70,
        ) {
            let rules = rules(least, 0, seats);
            let members: Vec<(Uid, Balance)> = (0..).map(Uid).zip(stakes).collect();
            let sitting = seated(&rules, members.clone(), validating);
            let able = |stake| may_validate(&rules, Role::Validator, stake);
            let count = members.iter().filter(|(_, stake)| able(*stake)).count();
            prop_assert_eq!(sitting.len(), count.min(super::seats(&rules)));
            // No staker without a seat comes before one with a seat.
            let last = sitting.last().map(|(uid, stake)| (Reverse(*stake), *uid));
            for (uid, stake) in members {
                let has_seat = sitting.contains(&(uid, stake));
                let before = last.is_some_and(|last| (Reverse(stake), uid) <= last);
                prop_assert_eq!(has_seat, before && able(stake));
            }
        }

        #[test]
        fn the_order_of_members_is_irrelevant(
            (members, shuffled) in prop::collection::btree_map((0u16..256).prop_map(Uid), 0u64..9, 0..40)
                .prop_map(|map| map.into_iter().collect::<Vec<_>>())
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let rules = rules(2, 0, 8);
            prop_assert_eq!(seated(&rules, members, validating), seated(&rules, shuffled, validating));
        }

        #[test]
        fn nobody_claims_what_is_another_roles(stake: u64, bond: u64, least: u64, least_bond: u64) {
            let rules = rules(least, least_bond, 64);
            let able = may_validate(&rules, Role::Validator, stake);
            let found = claims(&rules, Role::Validator, stake, bond);
            prop_assert_eq!(found, if able { Claim::Seat } else { Claim::Nothing });
            let found = claims(&rules, Role::Miner, stake, bond);
            prop_assert_eq!(found, if bond >= least_bond { Claim::Data } else { Claim::Nothing });
        }
    }
}
