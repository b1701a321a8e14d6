//! Members that have a store each, and reach each other as peers only.

use std::{future::Future, path::Path};

use cairn_p2p::PeerKey;
use cairn_primitives::{Phase, Role, Round, Text, Uid};
use cairn_protocol::phase::Timetable;
use cairn_store::{guard::Origin, paths, Store};
use tokio::time::timeout;

use super::{
    evidence::{demanded, until_served},
    network::{committed, hidden, ledger, play, play_until_attested, revealed, ALICE, HANGS},
};
use crate::{
    cli::demand::{Demanded, OnChain},
    roles::{
        sources::{Relays, Visitor},
        testing::{sealed_file, Network, State, NETUID},
        Behaviour,
    },
};

const MINERS: [&str; 2] = ["Alice", "Bob"];
const VALIDATORS: [&str; 2] = ["Victor", "Vera"];
/// How often something is waited for that comes from others.
const TIMES: u32 = 8;

fn names() -> impl Iterator<Item = &'static str> {
    MINERS.into_iter().chain(VALIDATORS)
}

/// Whether all have said where they serve, in a block that others can read.
async fn until_all_serve(network: &Network) {
    let all = MINERS.len() + VALIDATORS.len();
    let is_so = move |state: &State| state.endpoints.len() == all;
    network.chain.until("all have named endpoints", is_so).await;
    network.chain.tick();
}

/// Whether a store has the files of all miners of a round.
async fn has_all(network: &Network, store: &Store, round: Round) -> bool {
    for entry in network.chain.state().contributions_of(round) {
        if sealed_file(store, round, &entry.commitment).await.is_err() {
            return false;
        }
    }
    true
}

/// Takes a directory away at a stroke: removed file by file, it could get new ones meanwhile.
fn take_away(directory: &Path) {
    let gone = directory.with_extension("gone");
    std::fs::rename(directory, &gone).expect("it was there");
    std::fs::remove_dir_all(gone).expect("nobody else knows of it");
}

/// Waits until something is so for which files have to come. What a busy machine did not bring in time is asked for
/// again with the next block: now and then there is one, as long as it is in the same phase.
async fn until<F: Future<Output = bool>>(network: &Network, what: &str, is_so: impl Fn() -> F) {
    for _ in 0..TIMES {
        let wait = async {
            while !is_so().await {
                tokio::task::yield_now().await;
            }
        };
        if timeout(HANGS / TIMES, wait).await.is_ok() {
            return;
        }
        let state = network.chain.state();
        let round = &state.run().round;
        if Timetable(round.times).next_phase(state.number) == round.phase {
            network.chain.tick();
        }
    }
    panic!("waited in vain until {what}");
}

/// Waits until the store of `name` has the files of all miners of a round.
async fn until_has_all(network: &Network, name: &str, round: Round) {
    let store = network.store_of(name);
    let what = format!("{name} has the files of round {round}");
    until(network, &what, || has_all(network, &store, round)).await;
}

/// Plays a round of two miners, in which validators have their files before the training is over.
async fn play_once_fetched(network: &Network, round: Round) {
    let chain = &network.chain;
    chain
        .until("both have committed", committed(round, 2))
        .await;
    if round > 0 {
        chain.until("both have voted", hidden(round, 2)).await;
    }
    // So that it is in a block, and validators fetch it.
    chain.tick();
    for name in VALIDATORS {
        until_has_all(network, name, round).await;
    }
    play(network, 2, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_from_member_to_member_and_whoever_attests_has_them() {
    let mut network = Network::apart(&MINERS, &VALIDATORS).await;
    for name in MINERS {
        network.mine(name, Behaviour::Honest);
    }
    for name in VALIDATORS {
        network.validate(name);
    }
    until_all_serve(&network).await;
    for round in 0..2 {
        play_once_fetched(&network, round).await;
    }
    network
        .chain
        .until("round 2 has begun", committed(2, 2))
        .await;
    let state = network.chain.state();
    assert_eq!(state.refused, Vec::<String>::new());
    for round in 0..2 {
        assert_eq!(state.settled[&round].included, [0, 1].map(Uid));
        for name in names() {
            let store = network.store_of(name);
            assert!(has_all(&network, &store, round).await, "{name} in {round}");
        }
        let shared = format!("contributions/{}", NETUID.get());
        let there = network.store.list(&shared).await.expect("it is there");
        assert!(
            there.is_empty(),
            "nobody writes to the run's store: {there:?}"
        );
    }
    network.stop().await;
}

/// Makers reveal and are gone: who attested has their files, so whoever comes later has them from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makers_that_are_gone_made_comes_from_those_who_attested() {
    let mut network = Network::apart(&["Alice", "Bob", "Carol"], &VALIDATORS).await;
    for name in VALIDATORS {
        network.validate(name);
    }
    for name in MINERS {
        network.mine(name, Behaviour::Honest);
    }
    until_all_serve(&network).await;
    play_once_fetched(&network, 0).await;
    let chain = network.chain.clone();
    chain.until("round 1 has begun", committed(1, 2)).await;
    for name in MINERS {
        network.kill(name).await;
        let store = network.store_of(name).directory().expect("a directory");
        take_away(&store);
    }
    // She begins from the first parameters, and needs what both made in round 0 to train in round 1.
    network.mine("Carol", Behaviour::Honest);
    let has_committed = || async { committed(1, 3)(&chain.state()) };
    until(&network, "Carol has committed", has_committed).await;
    assert!(has_all(&network, &network.store_of("Carol"), 0).await);
    network.stop().await;
}

/// Bob has Alice's file before the round is settled. Then she is gone, and nobody else has it any more: what he applies
/// is what he fetched ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_miner_fetched_ahead_it_applies_without_fetching_anything() {
    let mut network = Network::apart(&MINERS, &VALIDATORS).await;
    for name in MINERS {
        network.mine(name, Behaviour::Honest);
    }
    for name in VALIDATORS {
        network.validate(name);
    }
    until_all_serve(&network).await;
    let chain = network.chain.clone();
    chain.until("both have committed", committed(0, 2)).await;
    // So that it is in a block, and validators fetch it. From them Bob has it with one of the next blocks.
    chain.tick();
    for name in VALIDATORS {
        until_has_all(&network, name, 0).await;
    }
    play_until_attested(&network, 2, 2).await;
    // Alice, too, so that nothing is written to her store when it is removed.
    for name in MINERS {
        until_has_all(&network, name, 0).await;
    }
    network.kill("Alice").await;
    let store = |name| network.store_of(name).directory().expect("a directory");
    take_away(&store("Alice"));
    for name in VALIDATORS {
        take_away(&store(name).join("contributions"));
    }
    chain.go_to(Phase::Settle);
    chain.until("Bob has committed", committed(1, 1)).await;
    let state = chain.state();
    assert_eq!(state.settled[&0].included, [0, 1].map(Uid));
    assert_eq!(ledger(&network, "Bob")[0].contributions, 2);
    let of_alice = state.contributions_of(0)[0].commitment.length;
    let came = network.fetched_from_members("Bob");
    assert_eq!(came, of_alice, "once, and nothing at the settlement");
    network.stop().await;
}

/// Nobody has the files of the first rounds any more, so that Carol cannot go on; those of the next round come
/// nevertheless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_late_has_the_next_rounds_before_it_applies_them() {
    let mut network = Network::apart(&MINERS, &VALIDATORS).await;
    for name in VALIDATORS {
        network.validate(name);
    }
    for name in MINERS {
        network.mine(name, Behaviour::Honest);
    }
    until_all_serve(&network).await;
    for round in 0..3 {
        play_once_fetched(&network, round).await;
    }
    let chain = network.chain.clone();
    chain.until("round 3 has begun", committed(3, 2)).await;
    // All have applied what they had of them.
    for name in names() {
        let has_applied = || async { ledger(&network, name).len() == 3 };
        until(&network, "all have settled three rounds", has_applied).await;
        let store = network.store_of(name).directory().expect("a directory");
        for round in 0..2 {
            take_away(&store.join(paths::contributions(NETUID.get(), round)));
        }
    }
    chain.register("Carol", Role::Miner);
    network.mine("Carol", Behaviour::Honest);
    assert_eq!(chain.state().contributions_of(2).len(), 2);
    until_has_all(&network, "Carol", 2).await;
    assert!(!has_all(&network, &network.store_of("Carol"), 1).await);
    assert!(ledger(&network, "Carol").is_empty(), "it applied nothing");
    network.stop().await;
}

/// Only miners are there. While validators may still fetch, nobody else asks a maker itself; then everybody does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_validator_brings_comes_from_its_maker_before_the_settlement() {
    let mut network = Network::apart(&MINERS, &VALIDATORS).await;
    for name in MINERS {
        network.mine(name, Behaviour::Honest);
    }
    let chain = network.chain.clone();
    let both_serve = |state: &State| state.endpoints.len() == MINERS.len();
    chain.until("both have named endpoints", both_serve).await;
    chain.until("both have committed", committed(0, 2)).await;
    chain.go_to(Phase::Reveal);
    chain.until("both have revealed", revealed(0, 2)).await;
    chain.go_to(Phase::Attest);
    for name in MINERS {
        assert_eq!(network.fetched_from_members(name), 0, "{name}");
    }
    chain.go_to_opening();
    // What was not to be had is asked for again after four blocks at the latest.
    chain.pass(3);
    for name in MINERS {
        until_has_all(&network, name, 0).await;
    }
    assert_eq!(chain.state().round, 0, "it is not settled");
    network.stop().await;
}

/// Alice names an address beside her own at which another member is, under a key that is nobody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_somebody_elses_holds_nobody_up() {
    let mut network = Network::apart(&["Alice"], &VALIDATORS).await;
    for name in VALIDATORS {
        network.validate(name);
    }
    let chain = network.chain.clone();
    let serve = |count| move |state: &State| state.endpoints.len() == count;
    chain.until("both have named endpoints", serve(2)).await;
    chain.tick();
    let named = chain.state().endpoints;
    let victor = Network::account("Victor");
    let of_victor = named.iter().find(|member| member.hotkey == victor);
    let of_victor = of_victor.expect("he has named his").endpoints[0].to_text();
    let (_, ways) = of_victor.split_once('?').expect("ways to him");
    let nobody = PeerKey::from_bytes(&[9; 32]).id();
    let foreign = Text::new(&format!("iroh://{nobody}?{ways}")).expect("short");
    network.mine_at(vec![foreign.clone()], "Alice");
    chain.until("all have named endpoints", serve(3)).await;
    let named = chain.state().endpoints;
    let of_alice = named.iter().find(|one| one.endpoints.contains(&foreign));
    assert_eq!(of_alice.expect("it is named").endpoints.len(), 2);
    chain.tick();
    play(&network, 1, 2).await;
    chain.until("round 1 has begun", committed(1, 1)).await;
    let state = chain.state();
    assert_eq!(state.refused, Vec::<String>::new());
    assert_eq!(state.settled[&0].included, [Uid(0)]);
    for name in VALIDATORS {
        let store = network.store_of(name);
        assert!(has_all(&network, &store, 0).await, "{name}");
    }
    network.stop().await;
}

/// Somebody who has the chain, and no store.
async fn visitor(chain: &OnChain, origin: Origin) -> Visitor {
    let (relays, _) = Relays::choose(None, &[], origin);
    let members = chain.endpoints.iter();
    let named = members.flat_map(|member| member.endpoints.iter());
    Visitor::new(named, None, (origin, relays), HANGS).await
}

/// What validators measured comes from themselves, also where all are peers. These are on one machine, to which the
/// chain alone may send nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_is_demanded_of_peers_by_who_trusts_where_they_are() {
    let mut network = Network::apart(&MINERS, &VALIDATORS).await;
    for name in VALIDATORS {
        network.validate(name);
    }
    for name in MINERS {
        network.mine(name, Behaviour::Honest);
    }
    until_all_serve(&network).await;
    for round in 0..2 {
        play_once_fetched(&network, round).await;
    }
    let stores = VALIDATORS.map(|name| network.store_of(name));
    let chain = until_served(&network, &stores).await;

    let trusting = visitor(&chain, Origin::Owner).await;
    let mut found = demanded(&chain, &trusting).await;
    // A busy machine may be late.
    for _ in 1..TIMES {
        if found.iter().all(Demanded::has_come) {
            break;
        }
        found = demanded(&chain, &trusting).await;
    }
    trusting.close().await;
    let uids: Vec<Uid> = found.iter().map(|one| one.validator).collect();
    assert_eq!(uids, [2, 3].map(Uid));
    for one in &found {
        let text = one.text(ALICE);
        assert!(one.explained().is_some(), "{text}");
        assert!(text.contains("follow from this"), "{text}");
    }

    let wary = visitor(&chain, Origin::Chain).await;
    for one in demanded(&chain, &wary).await {
        let text = one.text(ALICE);
        assert!(!one.has_come(), "{text}");
        assert!(text.contains("only public addresses"), "{text}");
    }
    wary.close().await;
    network.stop().await;
}
