//! When a validator may attest, and what its attestation adds.
//!
//! An attestation says which contributions a validator found good and which broken, which root the parameters have
//! that it began the round with, and what shows that it measured the round before ([`crate::exam::witness`]). It is
//! committed to before anybody can see another's, so that it cannot be copied. It counts the stake that the validator
//! had at the round's first block. Whoever leaves in the middle of a round takes its contribution or its attestation
//! back out of the tally.
//!
//! Broken is what is not owed, whoever looks ([`crate::verdict::Refusal::is_broken`]): a root names the bytes, so
//! whoever has opened them says the same. What two thirds of the attesting stake say to be broken *was found broken*,
//! and who called that good has not opened it.

use alloc::collections::BTreeMap;
use bounded_collections::{BoundedBTreeMap, ConstU32};
use cairn_primitives::{
    attestation_hash, AuditRules, Balance, Hotkey, Judgement, ModelRoot, Netuid, Round, Salt, Uid,
    Verdicts, Witness, H256, MAX_MEMBERS, MAX_VALIDATORS,
};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

use crate::phase::Attesting;

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
    /// For each revealed contribution that somebody said to be broken the stake of those who did.
    pub broken: BoundedBTreeMap<Uid, Balance, ConstU32<MAX_MEMBERS>>,
    /// For each model root that somebody attested the stake behind it.
    pub roots: BoundedBTreeMap<ModelRoot, Balance, ConstU32<MAX_VALIDATORS>>,
    /// Members of the snapshot that left the subnet since, or that could not mine any more when the round began, for
    /// which they had been chosen a round before.
    pub departed: Verdicts,
}

/// What a validator attested: kept so that it can be taken back if the validator leaves.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Attestation {
    /// The root of the parameters with which the round began.
    pub model_root: ModelRoot,
    /// The contributions that it found good, and those that it found broken.
    pub verdicts: Judgement,
    /// What shows that it measured the round before; nothing if it did not, or if nobody is asked.
    pub witness: Witness,
    /// What kept its commitment from being guessed.
    pub salt: Salt,
}

impl Attestation {
    /// What the validator with this hotkey commits to in a round.
    pub fn hash(&self, at: (Netuid, Round, &Hotkey)) -> H256 {
        attestation_hash(
            at,
            self.model_root,
            &self.verdicts,
            self.witness,
            &self.salt,
        )
    }

    /// The first contribution that it called good of those that were found `broken`: whoever opens one does not.
    pub fn called_unseen(&self, broken: &Verdicts) -> Option<Uid> {
        let mut good = self.verdicts.good.uids();
        good.find(|uid| broken.contains(*uid))
    }
}

/// How far a validator has come in a round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub enum Statement {
    /// It is bound to an attestation that nobody else knows.
    Committed(H256),
    /// It has attested.
    Attested(Attestation),
}

impl Statement {
    /// What it attested, if it has.
    pub fn attestation(&self) -> Option<&Attestation> {
        match self {
            Statement::Committed(_) => None,
            Statement::Attested(attestation) => Some(attestation),
        }
    }
}

/// Why a commitment to an attestation, or an attestation, is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The attest phase, or its second half, has not begun.
    TooEarly,
    /// The first half of the attest phase is over.
    TooLateToCommit,
    /// The attest phase is over.
    TooLate,
    /// The validator has committed in this round already.
    AlreadyCommitted,
    /// The validator has not committed in this round.
    NotCommitted,
    /// The validator has attested in this round already.
    AlreadyAttested,
    /// The hash is zero, so it was never computed.
    ZeroHash,
    /// The attested root is zero, which no parameters have.
    ZeroRoot,
    /// It says of a contribution that it is good and broken.
    Torn,
    /// It is not what the validator committed to.
    WrongHash,
}

/// Sums that do not fit, or something taken back that was never added: a fault of the caller's, since there is no more
/// stake than tokens and no more members than the tally has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbalanced;

/// What the commitment of a validator of the round makes of what it has said in it.
///
/// # Errors
/// [`Refusal`].
pub fn commit(
    attesting: Attesting,
    known: Option<&Statement>,
    hash: H256,
) -> Result<Statement, Refusal> {
    match attesting {
        Attesting::NotYet => Err(Refusal::TooEarly),
        Attesting::Open | Attesting::Over => Err(Refusal::TooLateToCommit),
        Attesting::Commit if known.is_some() => Err(Refusal::AlreadyCommitted),
        Attesting::Commit if hash.is_zero() => Err(Refusal::ZeroHash),
        Attesting::Commit => Ok(Statement::Committed(hash)),
    }
}

/// Whether the validator with this hotkey may attest this in a round of subnet `netuid`.
///
/// Verdicts on what was not revealed, or on what a miner took with it when it left, are accepted and count for
/// nothing: a validator is bound before it can know that a re-organisation undid somebody's key.
///
/// # Errors
/// [`Refusal`].
pub fn check(
    attesting: Attesting,
    known: Option<&Statement>,
    at: (Netuid, Round, &Hotkey),
    attestation: &Attestation,
) -> Result<(), Refusal> {
    match (attesting, known) {
        (Attesting::NotYet | Attesting::Commit, _) => Err(Refusal::TooEarly),
        (Attesting::Over, _) => Err(Refusal::TooLate),
        (Attesting::Open, None) => Err(Refusal::NotCommitted),
        (Attesting::Open, Some(Statement::Attested(_))) => Err(Refusal::AlreadyAttested),
        _ if attestation.model_root.is_zero() => Err(Refusal::ZeroRoot),
        _ if attestation.verdicts.is_torn() => Err(Refusal::Torn),
        (Attesting::Open, Some(Statement::Committed(hash))) => {
            let is_it = attestation.hash(at) == *hash;
            is_it.then_some(()).ok_or(Refusal::WrongHash)
        }
    }
}

/// Whether validators of a run that audits so are asked for a witness: where nothing is audited they may measure on
/// cards, whose bits differ, so none decides who attended.
pub fn asks_for_witness(rules: &AuditRules) -> bool {
    rules.rate > 0
}

/// The witness that more than half of the attesting stake gave, of which `said` has each one's with its stake in pebble;
/// `None` if there is no such, or if those gave none. Whoever gave another, or none, has not attended the round. The
/// loss that it states is that of the parameters with which the round before began. Nobody is held against it where
/// nobody [is asked](asks_for_witness).
pub fn decisive_witness(said: impl IntoIterator<Item = (Witness, Balance)>) -> Option<Witness> {
    let mut by_witness: BTreeMap<Witness, u128> = BTreeMap::new();
    let mut all = 0u128;
    for (witness, stake) in said {
        let sum = by_witness.entry(witness).or_default();
        *sum = sum.saturating_add(stake.into());
        all = all.saturating_add(stake.into());
    }
    let decisive = by_witness
        .into_iter()
        .find(|(_, stake)| stake.saturating_mul(2) > all);
    decisive
        .map(|(witness, _)| witness)
        .filter(|witness| !witness.is_nothing())
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
        for uid in attestation.verdicts.good.uids() {
            if let Some(support) = self.support.get_mut(&uid) {
                *support = support.checked_add(stake).ok_or(Unbalanced)?;
            }
        }
        for uid in attestation.verdicts.broken.uids() {
            if self.support.contains_key(&uid) {
                let against = self.broken.get(&uid).copied().unwrap_or(0);
                let against = against.checked_add(stake).ok_or(Unbalanced)?;
                let noted = self.broken.try_insert(uid, against);
                noted.map_err(|_| Unbalanced)?;
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
        for uid in attestation.verdicts.good.uids() {
            if let Some(support) = self.support.get_mut(&uid) {
                *support = support.checked_sub(stake).ok_or(Unbalanced)?;
            }
        }
        for uid in attestation.verdicts.broken.uids() {
            if let Some(against) = self.broken.get_mut(&uid) {
                *against = against.checked_sub(stake).ok_or(Unbalanced)?;
                if *against == 0 {
                    self.broken.remove(&uid);
                }
            }
        }
        Ok(())
    }

    /// What was found broken: at least two thirds of the attesting stake say so.
    pub fn found_broken(&self) -> Verdicts {
        let broken = self.broken.iter();
        let broken = broken.filter(|(_, against)| self.is_two_thirds(**against));
        Verdicts::from_uids(broken.map(|(uid, _)| *uid))
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
        self.broken.remove(&uid);
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

    pub(crate) fn root(number: u8) -> ModelRoot {
        ModelRoot::from([number; 32])
    }

    /// A tally of validators with these stakes, to which these contributions were revealed.
    pub(crate) fn tally(stakes: &[Balance], revealed: &[Uid]) -> Tally {
        let mut tally = Tally::new(stakes.iter().copied());
        for uid in revealed {
            tally.reveal(*uid).expect("there is room");
        }
        tally
    }

    fn witness(number: u8, loss: u32) -> Witness {
        let gains = root(number).0;
        Witness { gains, loss }
    }

    pub(crate) fn attestation(number: u8, good: &[Uid]) -> Attestation {
        judged(number, good, &[])
    }

    fn judged(number: u8, good: &[Uid], broken: &[Uid]) -> Attestation {
        Attestation {
            model_root: root(number),
            verdicts: Judgement::new(good.iter().copied(), broken.iter().copied()),
            witness: witness(number, 0),
            salt: [number; 32],
        }
    }

    const AT: (Netuid, Round, &Hotkey) = (Netuid(7), 4, &Hotkey(H256([3; 32])));
    const ALL: [Attesting; 4] = [
        Attesting::NotYet,
        Attesting::Commit,
        Attesting::Open,
        Attesting::Over,
    ];

    fn committed(attestation: &Attestation) -> Statement {
        Statement::Committed(attestation.hash(AT))
    }

    #[test]
    fn a_commitment_is_taken_in_the_first_half_only_and_once() {
        let of = |attesting, known| commit(attesting, known, root(8).0);
        let expected = [
            Err(Refusal::TooEarly),
            Ok(Statement::Committed(root(8).0)),
            Err(Refusal::TooLateToCommit),
            Err(Refusal::TooLateToCommit),
        ];
        assert_eq!(ALL.map(|attesting| of(attesting, None)), expected);
        let known = Statement::Committed(root(8).0);
        let again = of(Attesting::Commit, Some(&known));
        assert_eq!(again, Err(Refusal::AlreadyCommitted));
        let zero = commit(Attesting::Commit, None, H256::zero());
        assert_eq!(zero, Err(Refusal::ZeroHash));
    }

    #[test]
    fn an_attestation_is_taken_in_the_second_half_only_and_once() {
        let said = attestation(1, &[Uid(1)]);
        let known = committed(&said);
        let expected = [
            Err(Refusal::TooEarly),
            Err(Refusal::TooEarly),
            Ok(()),
            Err(Refusal::TooLate),
        ];
        let found = ALL.map(|attesting| check(attesting, Some(&known), AT, &said));
        assert_eq!(found, expected);
        let open = |known: Option<&Statement>| check(Attesting::Open, known, AT, &said);
        let twice = Statement::Attested(said.clone());
        assert_eq!(open(Some(&twice)), Err(Refusal::AlreadyAttested));
        assert_eq!(open(None), Err(Refusal::NotCommitted));
        let zero = Attestation {
            model_root: ModelRoot::zero(),
            ..said.clone()
        };
        let of_zero = check(Attesting::Open, Some(&committed(&zero)), AT, &zero);
        assert_eq!(of_zero, Err(Refusal::ZeroRoot));
        let torn = judged(1, &[1, 2].map(Uid), &[2, 3].map(Uid));
        let of_torn = check(Attesting::Open, Some(&committed(&torn)), AT, &torn);
        assert_eq!(of_torn, Err(Refusal::Torn));
        let apart = judged(1, &[1, 2].map(Uid), &[Uid(3)]);
        let of_apart = check(Attesting::Open, Some(&committed(&apart)), AT, &apart);
        assert_eq!(of_apart, Ok(()));
    }

    #[test]
    fn what_two_thirds_say_to_be_broken_was_found_broken() {
        let all = [1, 2, 3].map(Uid);
        let mut tally = tally(&[100, 100, 100], &all);
        tally.add(&attestation(1, &all), 100).expect("it fits");
        assert_eq!(tally.found_broken(), Verdicts::default(), "nobody says so");
        let both = judged(1, &[Uid(3)], &[1, 2].map(Uid));
        tally.add(&both, 100).expect("it fits");
        assert_eq!(tally.found_broken(), Verdicts::default(), "half says so");
        let one = judged(1, &[2, 3].map(Uid), &[Uid(1)]);
        tally.add(&one, 99).expect("it fits");
        assert_eq!(tally.found_broken(), Verdicts::default(), "a pebble less");
        tally.take_back(&one, 99).expect("it was added");
        tally.add(&one, 100).expect("it fits");
        let found = tally.found_broken();
        assert_eq!(found, Verdicts::from_uids([Uid(1)]));
        assert_eq!(attestation(1, &all).called_unseen(&found), Some(Uid(1)));
        assert_eq!(both.called_unseen(&found), None);
        assert_eq!(one.called_unseen(&found), None);
        tally.miner_leaves(Uid(1));
        assert_eq!(tally.found_broken(), Verdicts::default(), "it left");
    }

    #[test]
    fn of_what_nobody_says_to_be_broken_nobody_called_anything_unseen() {
        let mut tally = tally(&[100, 100, 100], &[Uid(1)]);
        tally.add(&attestation(1, &[Uid(1)]), 100).expect("it fits");
        for _ in 0..2 {
            tally.add(&attestation(1, &[]), 100).expect("it fits");
        }
        assert!(tally.broken.is_empty());
        assert_eq!(tally.found_broken(), Verdicts::default());
        let said = attestation(1, &[Uid(1)]);
        assert_eq!(said.called_unseen(&tally.found_broken()), None);
    }

    #[test]
    fn a_witness_decides_if_more_than_half_of_the_stake_gave_it() {
        let decisive = |said: &[(u8, Balance)]| {
            decisive_witness(said.iter().map(|(of, stake)| (witness(*of, 7), *stake)))
        };
        let first = Some(witness(1, 7));
        assert_eq!(decisive(&[]), None);
        assert_eq!(decisive(&[(1, 51), (2, 49)]), first);
        assert_eq!(decisive(&[(1, 50), (2, 50)]), None);
        assert_eq!(decisive(&[(1, 30), (2, 40), (1, 30)]), first);
        assert_eq!(decisive(&[(0, 60), (1, 40)]), None, "most measured nothing");
        assert_eq!(decisive(&[(1, u64::MAX), (1, u64::MAX), (2, 9)]), first);
    }

    proptest! {
        #[test]
        fn no_half_moves_a_loss_that_the_others_agree_on(
            honest in 1u64..1_000_000, lies in prop::collection::vec((0u8..4, any::<u32>(), 1u64..1_000), 0..20),
        ) {
            let against: u64 = lies.iter().map(|(.., stake)| *stake).sum();
            let told = lies.iter().map(|(gains, loss, stake)| (witness(*gains, *loss), *stake));
            let truth = witness(9, 5_500_000);
            let said: Vec<_> = told.chain(Some((truth, against.saturating_add(honest)))).collect();
            prop_assert_eq!(decisive_witness(said), Some(truth));
            // Without others who agree, half of the stake decides nothing.
            let lie = witness(9, 1);
            prop_assert_eq!(decisive_witness([(lie, honest), (truth, honest)]), None);
        }
    }

    #[test]
    fn verdicts_on_what_was_not_revealed_count_for_nothing() {
        let mut before = tally(&[5, 5], &[Uid(1), Uid(2)]);
        before.miner_leaves(Uid(2));
        let mut known = before.clone();
        known.add(&attestation(1, &[Uid(1)]), 5).expect("it fits");
        before
            .add(&attestation(1, &[Uid(1), Uid(2), Uid(7)]), 5)
            .expect("it fits");
        assert_eq!(before, known);
        known.add(&attestation(1, &[]), 5).expect("it fits");
        before
            .add(&judged(1, &[], &[Uid(2), Uid(7)]), 5)
            .expect("it fits");
        assert_eq!(before, known);
    }

    #[test]
    fn sums_that_do_not_fit_are_refused() {
        let mut tally = tally(&[u64::MAX], &[Uid(1)]);
        tally
            .add(&attestation(1, &[Uid(1)]), u64::MAX)
            .expect("it fits");
        assert_eq!(tally.add(&attestation(1, &[Uid(1)]), 1), Err(Unbalanced));
        assert_eq!(tally.take_back(&attestation(2, &[]), 1), Err(Unbalanced));
    }

    fn any_attestation() -> impl Strategy<Value = (Attestation, Balance)> {
        let uids = || prop::collection::vec((0u16..8).prop_map(Uid), 0..8);
        (1u8..4, uids(), uids(), 1u64..1_000).prop_map(|(root, good, broken, stake)| {
            let apart = broken.into_iter().filter(|uid| !good.contains(uid));
            let apart: Vec<Uid> = apart.collect();
            (judged(root, &good, &apart), stake)
        })
    }

    proptest! {
        #[test]
        fn nothing_opens_but_what_was_committed_to(
            (said, _) in any_attestation(), (other, _) in any_attestation(), hotkey: [u8; 32], salt: [u8; 32],
        ) {
            let known = committed(&said);
            let open = |at, said: &Attestation| check(Attesting::Open, Some(&known), at, said);
            prop_assert_eq!(open(AT, &said), Ok(()));
            prop_assert_eq!(open(AT, &other).is_ok(), other == said);
            let hotkey = Hotkey(H256(hotkey));
            prop_assert_eq!(open((Netuid(7), 4, &hotkey), &said).is_ok(), hotkey == *AT.2);
            let salted = Attestation { salt, ..said.clone() };
            prop_assert_eq!(open(AT, &salted).is_ok(), salted == said);
            prop_assert_eq!(open((Netuid(7), 5, AT.2), &said), Err(Refusal::WrongHash));
            prop_assert_eq!(open((Netuid(8), 4, AT.2), &said), Err(Refusal::WrongHash));
        }

        #[test]
        fn what_is_taken_back_leaves_no_trace(
            stays in prop::collection::vec(any_attestation(), 0..6), goes in any_attestation(),
        ) {
            let mut before = tally(&[10_000], &[0, 2, 4, 6].map(Uid));
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
                let mut tally = tally(&[10_000], &[1, 3, 5].map(Uid));
                for (attestation, stake) in all {
                    tally.add(attestation, *stake).expect("it fits");
                }
                tally
            };
            let tally = of(&all);
            prop_assert_eq!(&tally, &of(&shuffled));
            prop_assert_eq!(tally.attesting_stake, tally.roots.values().sum::<u64>());
            prop_assert!(tally.support.values().all(|support| *support <= tally.attesting_stake));
            prop_assert!(tally.broken.values().all(|against| *against <= tally.attesting_stake));
            let found = tally.found_broken();
            prop_assert!(found.uids().all(|uid| !tally.is_two_thirds(tally.support[&uid])));
        }

        #[test]
        fn whoever_leaves_takes_its_stake_along(
            (attestation, stake) in any_attestation(), other in 1u64..1_000, attested: bool,
        ) {
            let mut tally = tally(&[stake, other], &[Uid(1), Uid(2)]);
            if attested {
                tally.add(&attestation, stake).expect("it fits");
            }
            let said = attested.then_some(&attestation);
            prop_assert_eq!(tally.validator_leaves(Uid(200), stake, said), Ok(()));
            prop_assert_eq!((tally.total_stake, tally.attesting_stake), (other, 0));
            prop_assert!(tally.departed.contains(Uid(200)) && tally.roots.is_empty());
            prop_assert!(tally.broken.is_empty());
        }
    }
}
