//! Evidence that validators serve, demanded from a machine that has none of their logs.

use cairn_primitives::{Uid, H256};
use cairn_store::{guard::Origin, paths, Store};
use tokio::time::timeout;

use super::network::{hidden, play, ALICE, HANGS};
use crate::{
    cli::{
        demand::{demand, Answer, Demanded, OnChain, Question},
        evidence::explain,
    },
    roles::{
        chain::Chain,
        sources::{Relays, Visitor},
        testing::{Network, NETUID},
        Behaviour,
    },
};

const VALIDATORS: [&str; 2] = ["Victor", "Vera"];
/// How often something is waited for that comes with a block.
const TIMES: u32 = 8;

/// What the chain says of the scores that count.
async fn on_chain(network: &Network) -> OnChain {
    let (state, head) = (network.chain.state(), network.chain.head());
    let members = network.chain.members(head.hash, NETUID).await;
    OnChain {
        netuid: NETUID,
        scores: state.rows,
        members: members.expect("the chain answers"),
        endpoints: state.endpoints,
    }
}

/// Whether these stores have all that the chain has the roots of.
async fn is_served(stores: &[Store], chain: &OnChain) -> bool {
    for told in chain.scores.iter().filter_map(|one| one.evidence) {
        let prefix = paths::evidence(NETUID.get(), told.epoch);
        let mut is_there = false;
        for store in stores {
            let has = store.has_blob(&prefix, &told.file.root.0).await;
            is_there |= has.expect("readable");
        }
        if !is_there {
            return false;
        }
    }
    chain.scores.len() == VALIDATORS.len()
}

/// Waits until both have revealed scores and serve what they follow from, in one of these stores, which they do with
/// the block after.
pub(super) async fn until_served(network: &Network, stores: &[Store]) -> OnChain {
    for _ in 0..TIMES {
        let wait = async {
            loop {
                let chain = on_chain(network).await;
                if is_served(stores, &chain).await {
                    return chain;
                }
                tokio::task::yield_now().await;
            }
        };
        if let Ok(chain) = timeout(HANGS / TIMES, wait).await {
            return chain;
        }
        network.chain.tick();
    }
    panic!("waited in vain until evidence is served");
}

/// Somebody who has the address of the store, and nothing else.
async fn visitor(network: &Network) -> Visitor {
    let (relays, _) = Relays::choose(None, &[], Origin::Chain);
    let own = Some(network.store.clone());
    Visitor::new([], own, (Origin::Chain, relays), HANGS).await
}

/// What both say to a demand of what they found of Alice.
pub(super) async fn demanded(chain: &OnChain, visitor: &Visitor) -> Vec<Demanded> {
    let question = Question {
        uid: ALICE,
        round: None,
        whom: None,
    };
    demand(chain, visitor, question).await
}

/// Why nothing came of the first.
fn why(found: &[Demanded]) -> &str {
    match &found[0].answer {
        Answer::Nothing { why } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_machine_finds_what_validators_found_and_a_forged_row_is_called_so() {
    let mut network = Network::of(&["Alice", "Bob"], &VALIDATORS).await;
    for name in VALIDATORS {
        network.validate(name);
    }
    for name in ["Alice", "Bob"] {
        network.mine(name, Behaviour::Honest);
    }
    play(&network, 2, 2).await;
    network.chain.until("both have voted", hidden(1, 2)).await;
    // What scores follow from is nobody's while they are hidden.
    let all = paths::all_evidence(NETUID.get());
    assert_eq!(network.store.list(&all).await.expect("readable"), []);
    play(&network, 2, 2).await;
    let mut chain = until_served(&network, &[network.store.clone()]).await;

    let visitor = visitor(&network).await;
    let found = demanded(&chain, &visitor).await;
    let uids: Vec<Uid> = found.iter().map(|one| one.validator).collect();
    assert_eq!(uids, [2, 3].map(Uid));
    for (one, name) in found.iter().zip(VALIDATORS) {
        let log = network.state_dir(name).join("evidence.jsonl");
        let served = one.explained().expect("Alice was measured");
        let own = explain(&log, Some(served.round), ALICE);
        let own = own.expect("readable").expect("she is in the log");
        assert_eq!((&own.account, own.part), (&served.account, served.part));
        assert!(served.account.rounds.iter().any(|part| part.gain > 0.0));
        let text = one.text(ALICE);
        assert!(text.contains("follow from this"), "{text}");
    }

    // The chain cannot look at evidence, so that a row is forged shows here only.
    chain.scores[0].scores[0].1 ^= 1;
    let text = demanded(&chain, &visitor).await[0].text(ALICE);
    assert!(text.contains("DO NOT FOLLOW"), "{text}");
    // What another validator committed to is not one's own.
    chain.scores[0].evidence = chain.scores[1].evidence;
    let found = demanded(&chain, &visitor).await;
    assert!(why(&found).contains("another's"), "{found:?}");
    // Of what nobody has there is nothing.
    let told = chain.scores[0].evidence.as_mut().expect("committed");
    told.file.root = H256([1; 32]);
    let found = demanded(&chain, &visitor).await;
    assert!(!why(&found).is_empty() && found[1].has_come(), "{found:?}");
    visitor.close().await;
    network.stop().await;
}
