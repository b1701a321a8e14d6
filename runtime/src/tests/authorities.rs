//! Authorities come and go by governance, by one in a session, and change their keys themselves.

use codec::{Decode, Encode};
use frame_support::{assert_noop, assert_ok, traits::KeyOwnerProofSystem, BoundedVec};
use sp_consensus_babe::{
    digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest},
    AuthorityId, EquivocationProof,
};
use sp_consensus_grandpa::{localized_payload, Equivocation, Message, Prevote};
use sp_core::proof_of_possession::statement_of_ownership;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_runtime::{
    generic::{Digest, DigestItem},
    traits::{Dispatchable, Header as _},
    DispatchError, DispatchResult,
};

use super::chain::{genesis, Chain};
use crate::{
    authorities::{Authorities as List, Error, LEAST},
    configs::consensus::EPOCH_SLOTS,
    governance::Origin,
    presets, AccountId, Authorities, Babe, Governance, Grandpa, Hash, Header, Historical, Runtime,
    RuntimeCall, RuntimeOrigin, Session, SessionKeys, System,
};

fn account(key: Sr25519Keyring) -> AccountId {
    key.to_account_id()
}

fn keys(babe: Sr25519Keyring, grandpa: Ed25519Keyring) -> SessionKeys {
    SessionKeys {
        babe: babe.public().into(),
        grandpa: grandpa.public().into(),
    }
}

/// The account registers these keys, with the proof that they are its own.
fn registers(account: &AccountId, babe: Sr25519Keyring, grandpa: Ed25519Keyring) -> DispatchResult {
    let statement = statement_of_ownership(&account.encode());
    let proof = (babe.sign(&statement), grandpa.sign(&statement)).encode();
    let signed = RuntimeOrigin::signed(account.clone());
    Session::set_keys(signed, keys(babe, grandpa), proof)
}

fn governance() -> RuntimeOrigin {
    Origin::Authorities.into()
}

/// Four authorities.
fn chain() -> Chain {
    Chain::new(&genesis(presets::LOCAL_PRESET))
}

/// Two sessions, after which what was changed holds.
fn two_sessions(chain: &mut Chain) {
    let session = chain.ask(pallet_session::CurrentIndex::<Runtime>::get);
    for _ in 0..3 * EPOCH_SLOTS {
        chain.block(|| ()).expect("the books are right");
        if chain.ask(pallet_session::CurrentIndex::<Runtime>::get) == session + 2 {
            chain.block(|| ()).expect("the books are right");
            return;
        }
    }
    panic!("no two sessions in three epochs");
}

/// How many there are by the session, by BABE and by GRANDPA.
fn counts(chain: &mut Chain) -> (usize, usize, usize) {
    chain.ask(|| {
        let session = pallet_session::Validators::<Runtime>::get().len();
        (
            session,
            Babe::authorities().len(),
            Grandpa::grandpa_authorities().len(),
        )
    })
}

fn set_id(chain: &mut Chain) -> u64 {
    chain.ask(pallet_grandpa::CurrentSetId::<Runtime>::get)
}

#[test]
fn one_comes_and_one_goes() {
    let mut chain = chain();
    let (eve, bob) = (account(Sr25519Keyring::Eve), account(Sr25519Keyring::Bob));
    assert_eq!(counts(&mut chain), (4, 4, 4));
    two_sessions(&mut chain);
    let first_set = set_id(&mut chain);
    let added = chain.block(|| {
        assert_noop!(
            Authorities::add(governance(), eve.clone()),
            Error::<Runtime>::NoKeys
        );
        assert_ok!(registers(&eve, Sr25519Keyring::Eve, Ed25519Keyring::Eve));
        assert_ok!(Authorities::add(governance(), eve.clone()));
        // One change in a session.
        let again = Authorities::remove(governance(), bob.clone());
        assert_eq!(again, Err(Error::<Runtime>::ChangedThisSession.into()));
    });
    added.expect("the books are right");
    assert_eq!(counts(&mut chain), (4, 4, 4), "not at once");
    two_sessions(&mut chain);
    assert_eq!(counts(&mut chain), (5, 5, 5));
    assert_eq!(set_id(&mut chain), first_set + 1);
    let removed = chain.block(|| {
        assert_noop!(
            Authorities::add(governance(), eve.clone()),
            Error::<Runtime>::IsOne
        );
        assert_ok!(Authorities::remove(governance(), bob.clone()));
    });
    removed.expect("the books are right");
    two_sessions(&mut chain);
    assert_eq!(counts(&mut chain), (4, 4, 4));
    let now = chain.ask(pallet_session::Validators::<Runtime>::get);
    assert!(now.contains(&eve) && !now.contains(&bob));
    chain.ask(|| {
        assert_noop!(
            Authorities::remove(governance(), bob),
            Error::<Runtime>::IsNone
        );
        // Of four, one can fail: fewer there never are.
        assert_noop!(
            Authorities::remove(governance(), eve),
            Error::<Runtime>::TooFew
        );
        assert_eq!(List::<Runtime>::get().len() as u32, LEAST);
    });
}

#[test]
fn a_chain_with_one_authority_keeps_it() {
    let mut chain = Chain::new(&genesis(presets::DEVELOPMENT_PRESET));
    chain.ask(|| {
        let alice = account(Sr25519Keyring::Alice);
        assert_eq!(List::<Runtime>::get().into_inner(), vec![alice.clone()]);
        assert_noop!(
            Authorities::remove(governance(), alice),
            Error::<Runtime>::TooFew
        );
    });
}

#[test]
fn an_authority_changes_its_keys_without_asking() {
    let mut chain = chain();
    let alice = account(Sr25519Keyring::Alice);
    let new = keys(Sr25519Keyring::One, Ed25519Keyring::One);
    let changed = chain.block(|| {
        let anothers = Session::set_keys(RuntimeOrigin::signed(alice.clone()), new.clone(), vec![]);
        assert!(anothers.is_err(), "without a proof");
        assert_ok!(registers(&alice, Sr25519Keyring::One, Ed25519Keyring::One));
    });
    changed.expect("the books are right");
    two_sessions(&mut chain);
    chain.ask(|| {
        let authorities = Babe::authorities();
        assert!(authorities.iter().any(|(key, _)| *key == new.babe));
        assert!(Grandpa::grandpa_authorities()
            .iter()
            .any(|(key, _)| *key == new.grandpa));
        assert_eq!(List::<Runtime>::get().len(), 4);
    });
    assert_eq!(counts(&mut chain), (4, 4, 4));
}

#[test]
fn nobody_is_an_authority_in_name_only() {
    let mut chain = chain();
    let alice = account(Sr25519Keyring::Alice);
    let purged = chain.block(|| {
        let call = RuntimeCall::Session(pallet_session::Call::purge_keys {});
        let refused = call.dispatch(RuntimeOrigin::signed(alice.clone()));
        let filtered = frame_system::Error::<Runtime>::CallFiltered;
        assert_eq!(refused.map_err(|it| it.error), Err(filtered.into()));
    });
    purged.expect("the books are right");
    two_sessions(&mut chain);
    assert_eq!(counts(&mut chain), (4, 4, 4));
}

#[test]
fn while_nothing_changes_finality_has_one_set() {
    let mut chain = chain();
    two_sessions(&mut chain);
    let set = set_id(&mut chain);
    two_sessions(&mut chain);
    assert_eq!(set_id(&mut chain), set);
}

#[test]
fn only_a_referendum_changes_the_list() {
    let mut chain = chain();
    chain.ask(|| {
        let bob = account(Sr25519Keyring::Bob);
        for origin in [
            RuntimeOrigin::root(),
            RuntimeOrigin::signed(bob.clone()),
            Origin::Upgrade.into(),
        ] {
            assert_noop!(
                Authorities::add(origin.clone(), bob.clone()),
                DispatchError::BadOrigin
            );
            assert_noop!(
                Authorities::remove(origin, bob.clone()),
                DispatchError::BadOrigin
            );
        }
    });
}

#[test]
fn a_list_out_of_order_is_found() {
    let mut chain = chain();
    chain.ask(|| {
        let backwards: Vec<_> = List::<Runtime>::get().into_iter().rev().collect();
        List::<Runtime>::put(BoundedVec::truncate_from(backwards));
        let found = Authorities::do_try_state().expect_err("it is reversed");
        assert_eq!(found, "the authorities are not ascending".into());
        List::<Runtime>::kill();
        assert!(Authorities::do_try_state().is_err());
    });
}

#[test]
fn finality_begins_anew_with_the_authorities_of_the_next_session() {
    use crate::governance::{self, Event, RESTART_AFTER};
    let mut chain = chain();
    two_sessions(&mut chain);
    let (set, origin) = (set_id(&mut chain), || RuntimeOrigin::from(Origin::Repair));
    let now = chain.ask(System::block_number);
    let after = *RESTART_AFTER.start();
    chain.ask(|| {
        for (after, last_final, set) in [
            (after - 1, 1, set),
            (RESTART_AFTER.end() + 1, 1, set),
            (after, now, set),
            (after, u32::MAX, set),
            (after, 1, set + 1),
        ] {
            let refused = Governance::restart_finality(origin(), after, last_final, set);
            let out_of_range = governance::Error::<Runtime>::RestartOutOfRange;
            assert_eq!(refused, Err(out_of_range.into()), "{after} {last_final}");
        }
    });
    // New keys hold, and since nothing is final no node takes them up: the chain counts a set more than nodes do.
    let changed = chain.block(|| {
        let eve = account(Sr25519Keyring::Eve);
        assert_ok!(registers(&eve, Sr25519Keyring::Eve, Ed25519Keyring::Eve));
        assert_ok!(Authorities::add(governance(), eve));
    });
    changed.expect("the books are right");
    two_sessions(&mut chain);
    assert_eq!(set_id(&mut chain), set + 1);
    let restarted = chain.block(|| {
        assert_ok!(Governance::restart_finality(origin(), after, now - 1, set));
        let said = Event::FinalityRestarted {
            after,
            last_final: now - 1,
        };
        System::assert_has_event(said.into());
        let stalled = pallet_grandpa::Stalled::<Runtime>::get();
        assert_eq!(stalled, Some((after, now - 1)));
    });
    restarted.expect("the books are right");
    two_sessions(&mut chain);
    // Nobody came or went: that it is another set, and which, is what was asked for.
    assert_eq!(set_id(&mut chain), set + 1);
    assert_eq!(counts(&mut chain), (5, 5, 5));
    assert!(!chain.ask(pallet_grandpa::Stalled::<Runtime>::exists));
}

/// Five authorities, of whom Eve is one.
fn with_eve() -> Chain {
    let mut chain = chain();
    let eve = account(Sr25519Keyring::Eve);
    let added = chain.block(|| {
        assert_ok!(registers(&eve, Sr25519Keyring::Eve, Ed25519Keyring::Eve));
        assert_ok!(Authorities::add(governance(), eve.clone()));
    });
    added.expect("the books are right");
    two_sessions(&mut chain);
    assert_eq!(counts(&mut chain), (5, 5, 5));
    chain
}

/// Two blocks of one slot, by one key.
fn two_blocks(by: Sr25519Keyring) -> EquivocationProof<Header> {
    let offender = AuthorityId::from(by.public());
    let authorities = Babe::authorities();
    let place = authorities.iter().position(|(key, _)| *key == offender);
    let slot = pallet_babe::CurrentSlot::<Runtime>::get();
    let block = |state: u8| {
        let claim = PreDigest::SecondaryPlain(SecondaryPlainPreDigest {
            authority_index: place.expect("it is an authority") as u32,
            slot,
        });
        let logs = vec![<DigestItem as CompatibleDigestItem>::babe_pre_digest(claim)];
        let number = System::block_number();
        let state = Hash::repeat_byte(state);
        let mut header = Header::new(
            number,
            Hash::zero(),
            state,
            System::parent_hash(),
            Digest { logs },
        );
        let seal = by.sign(header.hash().as_ref()).into();
        header
            .digest_mut()
            .push(<DigestItem as CompatibleDigestItem>::babe_seal(seal));
        header
    };
    EquivocationProof {
        offender,
        slot,
        first_header: block(1),
        second_header: block(2),
    }
}

/// Reports two blocks of one slot, with the proof of whose key made them.
fn reports(by: Sr25519Keyring) -> DispatchResult {
    let proof = two_blocks(by);
    let owner = Historical::prove((sp_consensus_babe::KEY_TYPE, &proof.offender));
    let owner = owner.expect("it is an authority");
    let reported =
        Babe::report_equivocation_unsigned(RuntimeOrigin::none(), Box::new(proof), owner);
    reported.map(|_| ()).map_err(|failed| failed.error)
}

#[test]
fn who_makes_two_blocks_in_one_slot_is_disabled_and_off_the_list() {
    let mut chain = with_eve();
    let eve = account(Sr25519Keyring::Eve);
    let reported = chain.block(|| {
        assert_ok!(reports(Sr25519Keyring::Eve));
        let disabled = Session::disabled_validators();
        let validators = pallet_session::Validators::<Runtime>::get();
        let place = validators.iter().position(|one| *one == eve);
        assert_eq!(disabled, [place.expect("still for this session") as u32]);
        assert!(!List::<Runtime>::get().contains(&eve));
        // The same again is no news.
        let again = reports(Sr25519Keyring::Eve);
        assert_eq!(
            again,
            Err(pallet_babe::Error::<Runtime>::DuplicateOffenceReport.into())
        );
    });
    reported.expect("the books are right");
    two_sessions(&mut chain);
    assert_eq!(counts(&mut chain), (4, 4, 4));
    let now = chain.ask(pallet_session::Validators::<Runtime>::get);
    assert!(!now.contains(&eve));
}

#[test]
fn of_four_none_is_taken_off_the_list_but_it_is_disabled() {
    let mut chain = chain();
    two_sessions(&mut chain);
    let bob = account(Sr25519Keyring::Bob);
    let reported = chain.block(|| {
        assert_ok!(reports(Sr25519Keyring::Bob));
        assert_eq!(Session::disabled_validators().len(), 1);
        assert!(List::<Runtime>::get().contains(&bob));
        let said = System::read_events_no_consensus().any(|one| {
            let event = crate::authorities::Event::Equivocated {
                authority: bob.clone(),
                removed: false,
            };
            one.event == event.into()
        });
        assert!(said);
    });
    reported.expect("the books are right");
}

/// Two votes of one round, by one key.
fn two_votes(
    by: Ed25519Keyring,
    first: u8,
    second: u8,
) -> sp_consensus_grandpa::EquivocationProof<Hash, u32> {
    let (set, round) = (Grandpa::current_set_id(), 7u64);
    let vote = |block: u8| {
        let vote = Prevote::<Header> {
            target_hash: Hash::repeat_byte(block),
            target_number: 9,
        };
        let said = localized_payload(round, set, &Message::<Header>::Prevote(vote.clone()));
        (vote, by.sign(&said))
    };
    // As it is encoded: which of the two kinds of vote it is, the round, the key, and both votes.
    let encoded = (0u8, round, by.public(), vote(first), vote(second)).encode();
    let votes = Equivocation::decode(&mut &encoded[..]).expect("it is one");
    sp_consensus_grandpa::EquivocationProof::new(set, votes)
}

/// Reports two votes of one round, with the proof of whose key signed them.
fn reports_votes(by: Ed25519Keyring, first: u8, second: u8) -> DispatchResult {
    let owner = Historical::prove((
        sp_consensus_grandpa::KEY_TYPE,
        sp_consensus_grandpa::AuthorityId::from(by.public()),
    ));
    let owner = owner.expect("it is an authority");
    let proof = Box::new(two_votes(by, first, second));
    let reported = Grandpa::report_equivocation_unsigned(RuntimeOrigin::none(), proof, owner);
    reported.map(|_| ()).map_err(|failed| failed.error)
}

#[test]
fn who_votes_for_two_blocks_in_one_round_is_disabled_and_off_the_list() {
    let mut chain = with_eve();
    let eve = account(Sr25519Keyring::Eve);
    let reported = chain.block(|| {
        assert!(reports_votes(Ed25519Keyring::Eve, 1, 1).is_err());
        assert!(List::<Runtime>::get().contains(&eve));
        assert_ok!(reports_votes(Ed25519Keyring::Eve, 1, 2));
        let validators = pallet_session::Validators::<Runtime>::get();
        let place = validators.iter().position(|one| *one == eve);
        let place = place.expect("still for this session") as u32;
        assert_eq!(Session::disabled_validators(), [place]);
        assert!(!List::<Runtime>::get().contains(&eve));
        let again = reports_votes(Ed25519Keyring::Eve, 1, 2);
        let known = pallet_grandpa::Error::<Runtime>::DuplicateOffenceReport;
        assert_eq!(again, Err(known.into()));
    });
    reported.expect("the books are right");
    two_sessions(&mut chain);
    assert_eq!(counts(&mut chain), (4, 4, 4));
}

#[test]
fn an_authority_without_keys_is_found() {
    let mut chain = chain();
    let alice = account(Sr25519Keyring::Alice);
    chain.ask(|| {
        assert_ok!(Authorities::do_try_state());
        pallet_session::NextKeys::<Runtime>::remove(&alice);
        assert!(Authorities::do_try_state().is_err());
    });
}

#[test]
fn one_block_or_anothers_key_proves_nothing() {
    let mut chain = with_eve();
    let reported = chain.block(|| {
        let honest = two_blocks(Sr25519Keyring::Eve);
        let owner = || {
            let owner = Historical::prove((sp_consensus_babe::KEY_TYPE, &honest.offender));
            owner.expect("it is an authority")
        };
        let report = |proof| {
            let none = RuntimeOrigin::none();
            Babe::report_equivocation_unsigned(none, Box::new(proof), owner())
        };
        let mut once = honest.clone();
        once.second_header = once.first_header.clone();
        assert!(report(once).is_err());
        let mut another = honest.clone();
        another.offender = AuthorityId::from(Sr25519Keyring::Bob.public());
        assert!(report(another).is_err());
        let mut foreign = owner();
        foreign.session += 1;
        let none = RuntimeOrigin::none();
        let refused = Babe::report_equivocation_unsigned(none, Box::new(honest.clone()), foreign);
        assert!(refused.is_err());
        assert!(Session::disabled_validators().is_empty());
        assert_eq!(List::<Runtime>::get().len(), 5);
    });
    reported.expect("the books are right");
}

#[test]
fn keys_are_provable_for_so_many_sessions() {
    let mut chain = chain();
    two_sessions(&mut chain);
    two_sessions(&mut chain);
    chain.ask(|| {
        let roots = || pallet_session::historical::HistoricalSessions::<Runtime>::iter().count();
        assert!(roots() >= 3);
        let (_, end) = pallet_session::historical::StoredRange::<Runtime>::get().expect("some");
        let far = end + crate::configs::consensus::KEPT_SESSIONS as u32;
        <Authorities as pallet_session::historical::SessionManager<_, _>>::start_session(far);
        assert_eq!(roots(), 0);
    });
}
