//! When a validator may attest, and what its attestation adds.
//!
//! An attestation says which contributions a validator found good, and which root the parameters have that it began the
//! round with. It counts the stake that the validator had at the round's first block. Whoever leaves in the middle of a
//! round takes its contribution or its attestation back out of the tally.

use bounded_collections::{BoundedBTreeMap, ConstU32};
use cairn_primitives::{Balance, Phase, Uid, Verdicts, H256, MAX_MEMBERS, MAX_VALIDATORS};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// The part of a round that grows while it runs: what was revealed, and what the validators said of it. Stake is in
/// pebble.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Tally {
    /// Stake of the validators in the snapshot, less those that left.
    pub total_stake: Balance,
    /// Stake of those that attested.
    pub attesting_stake: Balance,
    /// For each revealed contribution the stake of those whose verdict on it was good.
    pub support: BoundedBTreeMap<Uid, Balance, ConstU32<MAX_MEMBERS>>,
    /// For each model root that somebody attested the stake behind it.
    pub roots: BoundedBTreeMap<H256, Balance, ConstU32<MAX_VALIDATORS>>,
    /// Members of the snapshot that left the subnet since.
    pub departed: Verdicts,
}

/// What a validator attested: kept so that it can be taken back if the validator leaves.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Attestation {
    /// The root of the weights with which the round began.
    pub model_root: H256,
    /// The contributions that it found good.
    pub verdicts: Verdicts,
}

/// Why an attestation is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The attest phase has not begun.
    TooEarly,
    /// The attest phase is over.
    TooLate,
    /// The validator has attested in this round already.
    AlreadyAttested,
    /// The attested root is zero, which no parameters have.
    ZeroRoot,
    /// A verdict on a contribution that was not revealed.
    Unrevealed,
}

/// Sums that do not fit, or something taken back that was never added: a fault of the caller's, since there is no more
/// stake than tokens and no more members than the tally has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbalanced;

/// Whether a validator of the round may attest this now.
///
/// Verdicts on contributions whose miner has left meanwhile are passed over, so that nobody can spoil an attestation by
/// leaving.
///
/// # Errors
/// [`Refusal`].
pub fn check(
    phase: Phase,
    has_attested: bool,
    tally: &Tally,
    model_root: H256,
    verdicts: &Verdicts,
) -> Result<(), Refusal> {
    let is_known = |uid| tally.support.contains_key(&uid) || tally.departed.contains(uid);
    match phase {
        Phase::Train | Phase::Reveal => Err(Refusal::TooEarly),
        Phase::Settle => Err(Refusal::TooLate),
        Phase::Attest if has_attested => Err(Refusal::AlreadyAttested),
        Phase::Attest if model_root.is_zero() => Err(Refusal::ZeroRoot),
        Phase::Attest if !verdicts.uids().all(is_known) => Err(Refusal::Unrevealed),
        Phase::Attest => Ok(()),
    }
}

impl Tally {
    /// The tally of a round that begins, of whose validators the stakes are these.
    pub fn new(stakes: impl IntoIterator<Item = Balance>) -> Tally {
        let add = |sum: Balance, stake| sum.saturating_add(stake);
        Tally {
            total_stake: stakes.into_iter().fold(0, add),
            ..Tally::default()
        }
    }

    /// Makes room for verdicts on a contribution that was revealed.
    ///
    /// # Errors
    /// [`Unbalanced`].
    pub fn reveal(&mut self, uid: Uid) -> Result<(), Unbalanced> {
        let known = self.support.try_insert(uid, 0);
        known.map(|_| ()).map_err(|_| Unbalanced)
    }

    /// Adds an attestation that counts `stake`.
    ///
    /// # Errors
    /// [`Unbalanced`]; what was added by then stays.
    pub fn add(&mut self, attestation: &Attestation, stake: Balance) -> Result<(), Unbalanced> {
        let root = attestation.model_root;
        let behind_root = self.roots.get(&root).copied().unwrap_or(0);
        let behind_root = behind_root.checked_add(stake).ok_or(Unbalanced)?;
        self.roots
            .try_insert(root, behind_root)
            .map_err(|_| Unbalanced)?;
        let attesting = self.attesting_stake.checked_add(stake);
        self.attesting_stake = attesting.ok_or(Unbalanced)?;
        for uid in attestation.verdicts.uids() {
            if let Some(support) = self.support.get_mut(&uid) {
                *support = support.checked_add(stake).ok_or(Unbalanced)?;
            }
        }
        Ok(())
    }

    /// Takes back an attestation of `stake` that was added before.
    ///
    /// # Errors
    /// [`Unbalanced`]; what was taken back by then stays so.
    pub fn take_back(
        &mut self,
        attestation: &Attestation,
        stake: Balance,
    ) -> Result<(), Unbalanced> {
        let root = attestation.model_root;
        let behind_root = self.roots.get_mut(&root).ok_or(Unbalanced)?;
        *behind_root = behind_root.checked_sub(stake).ok_or(Unbalanced)?;
        if *behind_root == 0 {
            self.roots.remove(&root);
        }
        let attesting = self.attesting_stake.checked_sub(stake);
        self.attesting_stake = attesting.ok_or(Unbalanced)?;
        for uid in attestation.verdicts.uids() {
            if let Some(support) = self.support.get_mut(&uid) {
                *support = support.checked_sub(stake).ok_or(Unbalanced)?;
            }
        }
        Ok(())
    }

    /// A validator of the snapshot leaves with its stake and with what it attested, if it has.
    ///
    /// # Errors
    /// [`Unbalanced`]; it has left all the same.
    pub fn validator_leaves(
        &mut self,
        uid: Uid,
        stake: Balance,
        attestation: Option<&Attestation>,
    ) -> Result<(), Unbalanced> {
        self.total_stake = self.total_stake.saturating_sub(stake);
        self.note_departure(uid);
        attestation.map_or(Ok(()), |attestation| self.take_back(attestation, stake))
    }

    /// A miner of the snapshot leaves with its contribution, if it has revealed one.
    pub fn miner_leaves(&mut self, uid: Uid) {
        self.support.remove(&uid);
        self.note_departure(uid);
    }

    fn note_departure(&mut self, uid: Uid) {
        self.departed = Verdicts::from_uids(self.departed.uids().chain(Some(uid)));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn root(number: u8) -> H256 {
        H256([number; 32])
    }

    /// A tally of validators with these stakes, to which these contributions were revealed.
    pub(crate) fn tally(stakes: &[Balance], revealed: &[Uid]) -> Tally {
        let mut tally = Tally::new(stakes.iter().copied());
        for uid in revealed {
            tally.reveal(*uid).expect("there is room");
        }
        tally
    }

    pub(crate) fn attestation(number: u8, good: &[Uid]) -> Attestation {
        Attestation {
            model_root: root(number),
            verdicts: Verdicts::from_uids(good.iter().copied()),
        }
    }

    #[test]
    fn an_attestation_is_taken_in_the_attest_phase_only_and_once() {
        let tally = tally(&[5], &[1]);
        let good = Verdicts::from_uids([1]);
        let at = |phase, has_attested| check(phase, has_attested, &tally, root(1), &good);
        assert_eq!(at(Phase::Train, false), Err(Refusal::TooEarly));
        assert_eq!(at(Phase::Reveal, false), Err(Refusal::TooEarly));
        assert_eq!(at(Phase::Attest, false), Ok(()));
        assert_eq!(at(Phase::Attest, true), Err(Refusal::AlreadyAttested));
        assert_eq!(at(Phase::Settle, false), Err(Refusal::TooLate));
    }

    #[test]
    fn it_names_a_root_and_only_what_was_revealed() {
        let mut tally = tally(&[5], &[1, 2]);
        let of = |tally: &Tally, root, uids: &[Uid]| {
            let verdicts = Verdicts::from_uids(uids.iter().copied());
            check(Phase::Attest, false, tally, root, &verdicts)
        };
        assert_eq!(of(&tally, H256::zero(), &[1]), Err(Refusal::ZeroRoot));
        assert_eq!(of(&tally, root(1), &[1, 3]), Err(Refusal::Unrevealed));
        assert_eq!(of(&tally, root(1), &[]), Ok(()));
        // Whoever left after it was fetched spoils nothing.
        tally.miner_leaves(2);
        assert_eq!(of(&tally, root(1), &[1, 2]), Ok(()));
    }

    #[test]
    fn sums_that_do_not_fit_are_refused() {
        let mut tally = tally(&[u64::MAX], &[1]);
        tally.add(&attestation(1, &[1]), u64::MAX).expect("it fits");
        assert_eq!(tally.add(&attestation(1, &[1]), 1), Err(Unbalanced));
        assert_eq!(tally.take_back(&attestation(2, &[]), 1), Err(Unbalanced));
    }

    fn any_attestation() -> impl Strategy<Value = (Attestation, Balance)> {
        let verdicts = prop::collection::vec(0u16..8, 0..8);
        (1u8..4, verdicts, 1u64..1_000)
            .prop_map(|(root, good, stake)| (attestation(root, &good), stake))
    }

    proptest! {
        #[test]
        fn what_is_taken_back_leaves_no_trace(
            stays in prop::collection::vec(any_attestation(), 0..6), goes in any_attestation(),
        ) {
            let mut before = tally(&[10_000], &[0, 2, 4, 6]);
            for (attestation, stake) in &stays {
                prop_assert_eq!(before.add(attestation, *stake), Ok(()));
            }
            let mut after = before.clone();
            prop_assert_eq!(after.add(&goes.0, goes.1), Ok(()));
            prop_assert_eq!(after.take_back(&goes.0, goes.1), Ok(()));
            prop_assert_eq!(after, before);
        }

        #[test]
        fn the_order_of_attestations_is_irrelevant(
            (all, shuffled) in prop::collection::vec(any_attestation(), 0..8)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            let of = |all: &[(Attestation, Balance)]| {
                let mut tally = tally(&[10_000], &[1, 3, 5]);
                for (attestation, stake) in all {
                    tally.add(attestation, *stake).expect("it fits");
                }
                tally
            };
            let tally = of(&all);
            prop_assert_eq!(&tally, &of(&shuffled));
            prop_assert_eq!(tally.attesting_stake, tally.roots.values().sum::<u64>());
            prop_assert!(tally.support.values().all(|support| *support <= tally.attesting_stake));
        }

        #[test]
        fn whoever_leaves_takes_its_stake_along(
            (attestation, stake) in any_attestation(), other in 1u64..1_000, attested: bool,
        ) {
            let mut tally = tally(&[stake, other], &[1, 2]);
            if attested {
                tally.add(&attestation, stake).expect("it fits");
            }
            let said = attested.then_some(&attestation);
            prop_assert_eq!(tally.validator_leaves(200, stake, said), Ok(()));
            prop_assert_eq!((tally.total_stake, tally.attesting_stake), (other, 0));
            prop_assert!(tally.departed.contains(200) && tally.roots.is_empty());
        }
    }
}
