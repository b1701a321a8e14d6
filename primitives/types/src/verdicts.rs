//! What a validator says of a round's contributions.

use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::Uid;

/// A set of uids as a bit map: bit `uid % 8` of byte `uid / 8`.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Verdicts(pub BoundedVec<u8, ConstU32<{ crate::MAX_MEMBERS / 8 }>>);

impl Verdicts {
    /// The set of `uids`; those of [`crate::MAX_MEMBERS`] and above cannot be members and are left out.
    pub fn from_uids(uids: impl IntoIterator<Item = Uid>) -> Verdicts {
        let mut map = Verdicts::default();
        for uid in uids {
            let (byte, bit) = (uid.index() / 8, uid.get() % 8);
            while map.0.len() <= byte {
                if map.0.try_push(0).is_err() {
                    return map;
                }
            }
            if let Some(slot) = map.0.get_mut(byte) {
                *slot |= 1 << bit;
            }
        }
        map
    }

    /// Whether `uid` is in the set.
    pub fn contains(&self, uid: Uid) -> bool {
        self.0
            .get(uid.index() / 8)
            .is_some_and(|byte| byte & (1 << (uid.get() % 8)) != 0)
    }

    /// How many uids are in the set.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }

    /// The uids of the set, ascending.
    pub fn uids(&self) -> impl Iterator<Item = Uid> + '_ {
        (0..self.0.len().saturating_mul(8) as u16)
            .map(Uid)
            .filter(|uid| self.contains(*uid))
    }
}

/// What a validator says of a round's contributions: of each that it is good, that it is broken, or nothing.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Judgement {
    /// Those that were fetched, match their roots, open, decode and are what their makers owe.
    pub good: Verdicts,
    /// Those that were fetched, match their roots, and opened are not what their makers owe, whoever looks.
    pub broken: Verdicts,
}

impl Judgement {
    /// That these are good and those are broken.
    pub fn new(
        good: impl IntoIterator<Item = Uid>,
        broken: impl IntoIterator<Item = Uid>,
    ) -> Judgement {
        Judgement {
            good: Verdicts::from_uids(good),
            broken: Verdicts::from_uids(broken),
        }
    }

    /// Whether it says of some contribution that it is both.
    pub fn is_torn(&self) -> bool {
        let mut both = self.good.0.iter().zip(self.broken.0.iter());
        both.any(|(good, broken)| good & broken != 0)
    }

    /// Of how many contributions it says something; one that is both counts twice.
    pub fn count(&self) -> u32 {
        self.good.count().saturating_add(self.broken.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_set_of_uids_is_what_was_put_in() {
        let uids = [0, 7, 8, 200, 255].map(Uid);
        let set = Verdicts::from_uids(uids);
        assert_eq!(set.uids().collect::<Vec<_>>(), uids);
        assert_eq!(set.count(), 5);
    }

    #[test]
    fn nothing_is_good_and_broken_at_once() {
        let of = |good: &[u16], broken: &[u16]| {
            let uids = |all: &[u16]| all.iter().copied().map(Uid).collect::<Vec<_>>();
            Judgement::new(uids(good), uids(broken))
        };
        assert!(!of(&[0, 9, 200], &[1, 8, 201]).is_torn());
        assert!(!of(&[0, 9], &[]).is_torn() && !of(&[], &[255]).is_torn());
        assert!(of(&[0, 9], &[9, 200]).is_torn());
        assert!(of(&[255], &[3, 255]).is_torn());
        assert_eq!(of(&[0, 9, 200], &[1, 8]).count(), 5);
    }

    #[test]
    fn no_uid_is_in_an_empty_set() {
        assert_eq!(Verdicts::default().count(), 0);
        assert!(
            !Verdicts::default().contains(Uid(0)) && !Verdicts::default().contains(Uid(u16::MAX))
        );
    }
}
