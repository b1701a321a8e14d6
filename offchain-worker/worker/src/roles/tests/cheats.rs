//! Cheats of all kinds in one network.

use cairn_gradient::SparseTensor;
use cairn_primitives::{Round, Uid};
use cairn_protocol::verdict::Before;
use cairn_round::validator::Claim;

use super::network::{committed, play, ALICE};
use crate::roles::{
    chain::Chain,
    inspect::check,
    run::Run,
    testing::{sealed_file, Network, NETUID},
    Behaviour,
};

const CHEATS: [&str; 4] = ["Noise", "Lazy", "Stranger", "Copier"];
const COPIER: Uid = Uid(4);

/// The values that a member sent.
async fn sent(network: &Network, round: Round, uid: Uid) -> Vec<SparseTensor> {
    let state = network.chain.state();
    let at = network.chain.head().hash;
    let info = network.chain.run(at, NETUID).await.expect("it answers");
    let (account, store) = (Network::account("Alice"), network.stores());
    let run = Run::load(NETUID, account, &info.expect("a run"), &store).await;
    let run = run.expect("it is there");
    let mut made = state.contributions_of(round).iter();
    let made = made.find(|one| one.uid == uid).expect("it committed");
    let sealed = sealed_file(&run.store, round, &made.commitment).await;
    let claim = Claim {
        round,
        uid,
        hotkey: made.hotkey.hotkey(),
        commitment: made.commitment.clone(),
        key: made.key.expect("it was revealed"),
        parent_root: made.commitment.parent_root,
    };
    let checked = check(
        &run,
        &claim,
        Before::default(),
        &sealed.expect("it is stored"),
    );
    let decoded = checked.expect("it is good").decode(&run.layout);
    decoded.expect("it is one of this run").tensors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_kinds_take_part_and_a_copier_sends_what_counted_most_in_the_round_before() {
    let miners = [&["Alice"][..], &CHEATS[..]].concat();
    let mut network = Network::of(&miners, &["Victor"]).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    for (name, behaviour) in CHEATS.into_iter().zip(Behaviour::CHEATS) {
        network.mine(name, behaviour);
    }
    // A copier finds nothing in the first round.
    play(&network, 4, 1).await;
    play(&network, 5, 1).await;
    network
        .chain
        .until("round 2 has begun", committed(2, 5))
        .await;
    let state = network.chain.state();
    assert_eq!(state.refused, Vec::<String>::new());
    assert_eq!(state.settled[&0].included, [0, 1, 2, 3].map(Uid));
    assert!(state.settled[&1].included.contains(&ALICE));
    let (copied, copy) = (
        sent(&network, 0, ALICE).await,
        sent(&network, 1, COPIER).await,
    );
    assert!(copied == copy, "it sent something else");
    network.stop().await;
}
