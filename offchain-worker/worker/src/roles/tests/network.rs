//! Whole rounds: miners, a cheat, validators, crashes.

use cairn_primitives::{ModelRoot, Phase, Round, Uid, Verdicts, H256};

use crate::roles::{
    ledger::{Line, Log},
    testing::{Network, State},
    Behaviour, RoleError,
};

/// Makes `name` a miner on the chain.
pub(super) fn register_miner(network: &Network, uid: Uid, name: &str) {
    network
        .chain
        .change(|state| state.miners.push((uid, Network::account(name))));
}

pub(super) fn register_validator(network: &Network, uid: Uid, name: &str) {
    network
        .chain
        .change(|state| state.validators.push((uid, Network::account(name))));
}

pub(super) fn committed(round: Round, count: usize) -> impl Fn(&State) -> bool {
    move |state| state.contributions_of(round).len() == count
}

fn revealed(round: Round, count: usize) -> impl Fn(&State) -> bool {
    move |state| {
        state
            .contributions_of(round)
            .iter()
            .filter(|entry| entry.key.is_some())
            .count()
            == count
    }
}

fn hidden(round: Round, count: usize) -> impl Fn(&State) -> bool {
    move |state| state.hidden.iter().filter(|(at, ..)| *at == round).count() >= count
}

/// Whether nobody has scores left to reveal.
fn opened(state: &State) -> bool {
    let due = |epoch: u32| epoch + 1 == state.epoch();
    let mut commits = state.hidden.iter().map(|(_, _, commit)| commit);
    commits.all(|commit| commit.revealed || !due(commit.epoch))
}

/// Plays a round in which so many miners contribute and so many validators attest.
pub(super) async fn play(network: &Network, miners: usize, validators: usize) {
    let chain = &network.chain;
    let round = chain.state().round;
    chain
        .until(
            &format!("all have committed in {round}"),
            committed(round, miners),
        )
        .await;
    if round > 0 {
        chain
            .until(
                &format!("all have committed to scores in {round}"),
                hidden(round, validators),
            )
            .await;
    }
    chain.go_to(Phase::Reveal);
    chain
        .until("scores whose epoch has run are revealed", opened)
        .await;
    chain
        .until(
            &format!("all have revealed in {round}"),
            revealed(round, miners),
        )
        .await;
    chain.go_to(Phase::Attest);
    let promised =
        |state: &State| state.promised.get(&round).map_or(0, |all| all.len()) == validators;
    chain
        .until(
            &format!("all have committed to what they attest in {round}"),
            promised,
        )
        .await;
    chain.go_to_opening();
    let attested =
        |state: &State| state.attested.get(&round).map_or(0, |votes| votes.len()) == validators;
    chain
        .until(&format!("all have attested in {round}"), attested)
        .await;
    chain.go_to(Phase::Settle);
}

pub(super) fn ledger(network: &Network, name: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let path = network.state_dir(name).join("ledger.jsonl");
    Log::open(&path, |line| lines.push(line)).expect("room");
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_miners_share_the_scores_and_a_cheat_gets_next_to_none() {
    let mut network = Network::new().await;
    for (uid, name) in [(1, "Alice"), (2, "Bob"), (3, "Mallory")] {
        register_miner(&network, Uid(uid), name);
    }
    for (uid, name) in [(10, "Victor"), (11, "Vera")] {
        register_validator(&network, Uid(uid), name);
        network.validate(name);
    }
    network.mine("Alice", Behaviour::Honest);
    network.mine("Bob", Behaviour::Honest);
    network.mine("Mallory", Behaviour::Noise);
    for _ in 0..3 {
        play(&network, 3, 2).await;
    }
    // What the last round brought shows in the next one's commitments.
    network
        .chain
        .until("round 3 has begun", committed(3, 3))
        .await;
    let state = network.chain.state();
    assert_eq!(state.refused, Vec::<String>::new());
    assert_eq!(
        state.settled[&0].included,
        [1, 2, 3].map(Uid),
        "a cheat's file is well-formed"
    );
    let roots: Vec<ModelRoot> = ["Alice", "Bob", "Mallory"]
        .map(|name| {
            ledger(&network, name)
                .last()
                .expect("three rounds")
                .model_root
        })
        .to_vec();
    assert!(roots.iter().all(|root| *root == roots[0]));
    assert_ne!(roots[0], state.config.initial_root);
    let votes = &state.attested[&2];
    assert!(votes
        .values()
        .all(|(_, root)| *root == ledger(&network, "Alice")[1].model_root));
    for validator in [10, 11] {
        let last = state
            .scores
            .iter()
            .rfind(|(_, uid, _)| *uid == Uid(validator))
            .expect("set");
        let of = |uid: Uid| {
            last.2
                .iter()
                .find(|(to, _)| *to == uid)
                .map_or(0, |(_, w)| *w)
        };
        assert!(of(Uid(1)) > 0 && of(Uid(2)) > 0, "{:?}", last.2);
        assert!(of(Uid(3)) < of(Uid(1)).min(of(Uid(2))) / 10, "{:?}", last.2);
    }
    assert!(ledger(&network, "Alice")
        .iter()
        .all(|line| line.committed && line.included));
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_miner_goes_on_with_what_it_had_committed_to() {
    let mut network = Network::new().await;
    register_miner(&network, Uid(1), "Alice");
    register_validator(&network, Uid(10), "Victor");
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    network
        .chain
        .until("Alice has committed", committed(0, 1))
        .await;
    network.kill("Alice").await;
    network.mine("Alice", Behaviour::Honest);
    play(&network, 1, 1).await;
    play(&network, 1, 1).await;
    network
        .chain
        .until("round 2 has begun", committed(2, 1))
        .await;
    let state = network.chain.state();
    assert_eq!(state.refused, Vec::<String>::new(), "it committed twice");
    assert_eq!(state.settled[&0].included, [Uid(1)]);
    assert_eq!(state.settled[&1].included, [Uid(1)]);
    let rounds: Vec<Round> = ledger(&network, "Alice")
        .iter()
        .map(|line| line.round)
        .collect();
    assert_eq!(rounds, [0, 1]);
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_validator_reveals_the_scores_that_it_had_committed_to() {
    let mut network = Network::new().await;
    register_miner(&network, Uid(1), "Alice");
    register_validator(&network, Uid(10), "Victor");
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    play(&network, 1, 1).await;
    let chain = network.chain.clone();
    chain.until("scores are committed", hidden(1, 1)).await;
    // so that her commitment is not on its way when the phase ends
    chain.until("Alice has committed", committed(1, 1)).await;
    network.kill("Victor").await;
    assert_eq!(chain.state().scores, [], "nothing is revealed early");
    // The epoch runs while it is down.
    chain.go_to(Phase::Reveal);
    network.validate("Victor");
    chain.until("they are revealed", opened).await;
    let state = chain.state();
    assert_eq!(state.scores, [(1, Uid(10), vec![(Uid(1), u16::MAX)])]);
    assert_eq!(state.refused, Vec::<String>::new());
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_validator_attests_what_it_had_committed_to() {
    let mut network = Network::new().await;
    register_miner(&network, Uid(1), "Alice");
    register_validator(&network, Uid(10), "Victor");
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(0, 1)).await;
    chain.go_to(Phase::Reveal);
    chain.until("Alice has revealed", revealed(0, 1)).await;
    chain.go_to(Phase::Attest);
    let promised = |state: &State| state.promised.get(&0).is_some_and(|all| all.len() == 1);
    chain.until("Victor has committed", promised).await;
    network.kill("Victor").await;
    network.validate("Victor");
    chain.go_to_opening();
    let attested = |state: &State| state.attested.contains_key(&0);
    chain.until("Victor has attested", attested).await;
    let state = chain.state();
    let (verdicts, root) = &state.attested[&0][&Uid(10)];
    assert_eq!(verdicts.uids().collect::<Vec<Uid>>(), [Uid(1)]);
    assert_eq!(*root, state.config.initial_root);
    assert_eq!(state.refused, Vec::<String>::new());
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_miner_takes_a_checkpoint_and_reaches_the_same_root() {
    let mut network = Network::new().await;
    register_miner(&network, Uid(1), "Alice");
    register_validator(&network, Uid(10), "Victor");
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    for _ in 0..3 {
        play(&network, 1, 1).await;
    }
    network
        .chain
        .until("round 3 has begun", committed(3, 1))
        .await;
    // The chain forgets round 0, so only the checkpoint of round 1 is a way in.
    network.chain.change(|state| {
        state.oldest = 1;
        state.contributions.remove(&0);
        state.settled.remove(&0);
    });
    network.chain.tick();
    register_miner(&network, Uid(2), "Bob");
    network.mine("Bob", Behaviour::Honest);
    play(&network, 1, 1).await;
    network
        .chain
        .until("both have committed in round 4", committed(4, 2))
        .await;
    let state = network.chain.state();
    let parents = state
        .contributions_of(4)
        .iter()
        .map(|entry| entry.commitment.parent_root);
    let parents: std::collections::BTreeSet<ModelRoot> = parents.collect();
    assert_eq!(parents.len(), 1);
    assert_eq!(
        ledger(&network, "Bob").first().map(|line| line.round),
        Some(1)
    );
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_nobody_attested_leaves_the_parameters_as_they_are() {
    let mut network = Network::new().await;
    register_miner(&network, Uid(1), "Alice");
    network.mine("Alice", Behaviour::Honest);
    play(&network, 1, 0).await;
    network
        .chain
        .until("round 1 has begun", committed(1, 1))
        .await;
    let state = network.chain.state();
    let parent = |round: Round| state.contributions_of(round)[0].commitment.parent_root;
    assert_eq!(parent(0), parent(1));
    let line = &ledger(&network, "Alice")[0];
    assert_eq!(
        (line.committed, line.included, line.contributions),
        (true, false, 0)
    );
    assert_eq!(line.model_root, state.config.initial_root);
    network.stop().await;
}

/// Plays a round of Alice's in which Victor, who does not run, attests this root.
async fn attest_for_victor(network: &Network, round: Round, root: ModelRoot) {
    let chain = &network.chain;
    chain
        .until("Alice has committed", committed(round, 1))
        .await;
    chain.go_to(Phase::Reveal);
    chain.until("Alice has revealed", revealed(round, 1)).await;
    chain.go_to(Phase::Attest);
    chain.change(|state| {
        let attested = state.attested.entry(round).or_default();
        attested.insert(Uid(10), (Verdicts::from_uids([1].map(Uid)), root));
    });
    chain.go_to(Phase::Settle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_other_parameters_than_the_network_stops_and_says_so() {
    let mut network = Network::new().await;
    register_miner(&network, Uid(1), "Alice");
    register_validator(&network, Uid(10), "Victor");
    network.mine("Alice", Behaviour::Honest);
    let initial = network.chain.state().config.initial_root;
    // Only after something was included the chain does not know which root comes next.
    attest_for_victor(&network, 0, initial).await;
    let other = H256([0xee; 32]);
    attest_for_victor(&network, 1, ModelRoot(other)).await;
    let error = network
        .end("Alice")
        .await
        .expect_err("it has other parameters");
    assert!(
        matches!(error, RoleError::Diverged { round: 1, chain, .. } if chain == ModelRoot(other))
    );
    assert!(error.to_string().contains("state directory"), "{error}");
}

/// Checkpoints in the store: their rounds, ascending.
async fn checkpoints(network: &Network) -> Vec<Round> {
    let listed = network.store.list("checkpoints/7/").await.expect("there");
    let parsed = listed
        .iter()
        .filter_map(|entry| cairn_store::paths::parse_checkpoint(7, &entry.path));
    let mut rounds: Vec<Round> = parsed.map(|(round, _)| round).collect();
    rounds.sort_unstable();
    rounds
}

/// A validator and a miner after three rounds: the fourth has begun, and only round 1 has a checkpoint.
async fn after_three_rounds() -> Network {
    let mut network = Network::new().await;
    register_miner(&network, Uid(1), "Alice");
    register_validator(&network, Uid(10), "Victor");
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    for _ in 0..3 {
        play(&network, 1, 1).await;
    }
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(3, 1)).await;
    // Victor has applied round 2 when he votes on it.
    chain.until("Victor has voted", hidden(3, 1)).await;
    assert_eq!(checkpoints(&network).await, [1]);
    network
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_stopped_leaves_its_last_parameters_in_the_store() {
    let network = after_three_rounds().await;
    let last_final = ledger(&network, "Victor")[1].model_root;
    network.chain.change(|state| state.has_run = false);
    network.chain.tick();
    let written = async {
        while checkpoints(&network).await != [1, 2, 3] {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(240);
    tokio::time::timeout(patience, written)
        .await
        .expect("parameters of rounds 2 and 3");
    let prefix = cairn_store::paths::checkpoints(7, 2);
    assert!(network
        .store
        .has_blob(&prefix, last_final.bytes())
        .await
        .expect("there"));
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_replaced_unseen_leaves_its_last_parameters_too() {
    let mut network = after_three_rounds().await;
    network.chain.change(|state| state.started_at += 1);
    network.chain.tick();
    let error = network.end("Victor").await.expect_err("it is another run");
    assert!(matches!(error, RoleError::RunReplaced { .. }), "{error}");
    assert_eq!(checkpoints(&network).await, [1, 2, 3]);
}
