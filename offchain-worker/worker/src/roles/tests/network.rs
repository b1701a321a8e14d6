//! Whole rounds: miners, a cheat, validators, crashes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cairn_primitives::{
    Judgement, ModelRoot, Phase, Role, Round, RunConfig, Secret, Uid, Witness, H256,
};
use cairn_round::{machine::Transaction, pledge::Pledge};
use cairn_store::{paths, Store};
use tokio::time::timeout;

use crate::roles::{
    ledger::Line,
    testing::{Network, SimChain, State, NETUID},
    Behaviour, RoleError,
};

/// After this time something hangs, on however busy a machine.
pub(super) const HANGS: Duration = Duration::from_secs(240);

/// The uids of the members of most tests: one miner, and one validator behind it.
pub(super) const ALICE: Uid = Uid(0);
pub(super) const VICTOR: Uid = Uid(1);

pub(super) fn committed(round: Round, count: usize) -> impl Fn(&State) -> bool {
    move |state| state.contributions_of(round).len() == count
}

pub(super) fn revealed(round: Round, count: usize) -> impl Fn(&State) -> bool {
    move |state| {
        state
            .contributions_of(round)
            .iter()
            .filter(|entry| entry.key.is_some())
            .count()
            == count
    }
}

pub(super) fn hidden(round: Round, count: usize) -> impl Fn(&State) -> bool {
    move |state| state.round == round && state.hidden_now() >= count
}

/// Whether nobody has scores left to reveal.
fn opened(state: &State) -> bool {
    let due = |epoch: u32| epoch + 1 == state.epoch;
    let mut commits = state.hidden.iter().map(|(_, commit)| commit);
    commits.all(|commit| commit.revealed || !due(commit.epoch))
}

/// Plays a round in which so many miners contribute and so many validators attest.
pub(super) async fn play(network: &Network, miners: usize, validators: usize) {
    play_until_attested(network, miners, validators).await;
    network.chain.go_to(Phase::Settle);
}

/// The same until all have attested.
pub(super) async fn play_until_attested(network: &Network, miners: usize, validators: usize) {
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
}

/// The lines that a worker has written. Only that opens them as a log, which cuts off what is not whole yet.
pub(super) fn ledger(network: &Network, name: &str) -> Vec<Line> {
    let path = network.state_dir(name).join("ledger.jsonl");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.split_inclusive('\n');
    let whole = lines.filter(|line| line.ends_with('\n'));
    whole
        .map(|line| serde_json::from_str(line).expect("a line"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_miners_share_the_scores_and_a_cheat_gets_next_to_none() {
    let mut network = Network::of(&["Alice", "Bob", "Mallory"], &["Victor", "Vera"]).await;
    network.validate("Victor");
    network.validate("Vera");
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
        [0, 1, 2].map(Uid),
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
    assert_ne!(roots[0], state.run().config.initial_root);
    let votes = &state.attested[&2];
    assert!(votes
        .values()
        .all(|(_, root)| *root == ModelRoot(ledger(&network, "Alice")[1].model_root.0)));
    for validator in [3, 4] {
        let last = &state.scores[&Uid(validator)];
        let of = |uid: Uid| {
            last.iter()
                .find(|(to, _)| *to == uid)
                .map_or(0, |(_, w)| *w)
        };
        assert!(of(Uid(0)) > 0 && of(Uid(1)) > 0, "{last:?}");
        assert!(of(Uid(2)) < of(Uid(0)).min(of(Uid(1))) / 10, "{last:?}");
    }
    assert!(ledger(&network, "Alice")
        .iter()
        .all(|line| line.committed && line.included));
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_miner_goes_on_with_what_it_had_committed_to() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    network
        .chain
        .until("Alice has committed", committed(0, 1))
        .await;
    // so that she finds it in a block
    network.chain.tick();
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
    assert_eq!(state.settled[&0].included, [ALICE]);
    assert_eq!(state.settled[&1].included, [ALICE]);
    let rounds: Vec<Round> = ledger(&network, "Alice")
        .iter()
        .map(|line| line.round)
        .collect();
    assert_eq!(rounds, [0, 1]);
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_validator_reveals_the_scores_that_it_had_committed_to() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    play(&network, 1, 1).await;
    let chain = network.chain.clone();
    chain.until("scores are committed", hidden(1, 1)).await;
    // so that her commitment is not on its way when the phase ends
    chain.until("Alice has committed", committed(1, 1)).await;
    network.kill("Victor").await;
    let early = chain.state().scores;
    assert!(early.is_empty(), "nothing is revealed early: {early:?}");
    // The epoch runs while it is down.
    chain.go_to(Phase::Reveal);
    network.validate("Victor");
    chain.until("they are revealed", opened).await;
    let state = chain.state();
    let row = vec![(ALICE, u16::MAX)];
    assert_eq!(state.scores, BTreeMap::from([(VICTOR, row)]));
    assert_eq!(state.refused, Vec::<String>::new());
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_validator_attests_what_it_had_committed_to() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(0, 1)).await;
    chain.go_to(Phase::Reveal);
    chain.until("Alice has revealed", revealed(0, 1)).await;
    chain.go_to(Phase::Attest);
    let promised = |state: &State| state.promised.get(&0).is_some_and(|all| all.len() == 1);
    chain.until("Victor has committed", promised).await;
    // so that he finds it in a block
    chain.tick();
    network.kill("Victor").await;
    network.validate("Victor");
    chain.go_to_opening();
    let attested = |state: &State| state.attested.contains_key(&0);
    chain.until("Victor has attested", attested).await;
    let state = chain.state();
    let (verdicts, root) = &state.attested[&0][&VICTOR];
    assert_eq!(verdicts.uids().collect::<Vec<Uid>>(), [ALICE]);
    assert_eq!(*root, ModelRoot(state.run().config.initial_root.0));
    assert_eq!(state.refused, Vec::<String>::new());
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_miner_takes_a_checkpoint_and_reaches_the_same_root() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    for _ in 0..3 {
        play(&network, 1, 1).await;
    }
    network
        .chain
        .until("round 3 has begun", committed(3, 1))
        .await;
    until_checkpoints(&network, &[1]).await;
    network.chain.register("Bob", Role::Miner);
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
    let parents: BTreeSet<ModelRoot> = parents.collect();
    assert_eq!(parents.len(), 1);
    // The chain has round 0, too, but the checkpoint of round 1 is newer than the first parameters.
    assert_eq!(
        ledger(&network, "Bob").first().map(|line| line.round),
        Some(1)
    );
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_nobody_attested_leaves_the_parameters_as_they_are() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
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
    assert_eq!(line.model_root, state.run().config.initial_root);
    network.stop().await;
}

/// Does a validator's part of the attest phase for Victor, who does not run: attests this root, and that Alice's
/// contribution is good.
pub(super) fn attest_for_victor(chain: &SimChain, round: Round, root: ModelRoot) {
    let victor = Network::key("Victor");
    let voter = (NETUID, Network::account("Victor").hotkey());
    let (verdicts, salt) = (Judgement::new([ALICE], []), Secret::new([7; 32]));
    let pledge = Pledge::new(voter, round, root, verdicts, Witness::default(), salt);
    chain.go_to(Phase::Attest);
    let promise = Transaction::CommitAttestation(pledge.clone());
    drop(chain.send(NETUID, promise, &victor));
    chain.go_to_opening();
    drop(chain.send(NETUID, Transaction::Attest(pledge), &victor));
    chain.go_to(Phase::Settle);
}

/// Plays a round of Alice's in which this root is attested for Victor.
async fn play_for_victor(network: &Network, round: Round, root: ModelRoot) {
    let chain = &network.chain;
    chain
        .until("Alice has committed", committed(round, 1))
        .await;
    chain.go_to(Phase::Reveal);
    chain.until("Alice has revealed", revealed(round, 1)).await;
    attest_for_victor(chain, round, root);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_other_parameters_than_the_network_stops_and_says_so() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.mine("Alice", Behaviour::Honest);
    let initial = network.chain.state().run().config.initial_root;
    // Only after something was included the chain does not know which root comes next.
    play_for_victor(&network, 0, initial).await;
    let other = H256([0xee; 32]);
    play_for_victor(&network, 1, ModelRoot(other)).await;
    assert_eq!(network.chain.state().refused, Vec::<String>::new());
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
    let netuid = NETUID.get();
    let all = paths::all_checkpoints(netuid);
    let listed = network.store.list(&all).await.expect("there");
    let parsed = listed
        .iter()
        .filter_map(|entry| paths::parse_checkpoint(netuid, &entry.path));
    let mut rounds: Vec<Round> = parsed.map(|(round, _)| round).collect();
    rounds.sort_unstable();
    rounds
}

/// Waits until the store has checkpoints of these rounds: whoever writes them does so beside all else.
pub(super) async fn until_checkpoints(network: &Network, rounds: &[Round]) {
    let written = async {
        while checkpoints(network).await != rounds {
            tokio::task::yield_now().await;
        }
    };
    let written = timeout(HANGS, written).await;
    written.unwrap_or_else(|_| panic!("there are none of rounds {rounds:?}"));
}

/// A validator and a miner after three rounds: the fourth has begun, and only round 1 has a checkpoint.
async fn after_three_rounds() -> Network {
    let network = Network::of(&["Alice"], &["Victor"]).await;
    let network = three_rounds_of(network).await;
    until_checkpoints(&network, &[1]).await;
    network
}

async fn three_rounds_of(mut network: Network) -> Network {
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    for _ in 0..3 {
        play(&network, 1, 1).await;
    }
    let chain = network.chain.clone();
    chain.until("Alice has committed", committed(3, 1)).await;
    // Victor has applied round 2 when he votes on it.
    chain.until("Victor has voted", hidden(3, 1)).await;
    network
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_are_as_far_apart_as_the_run_says() {
    let often = |config: &mut RunConfig, _: &Store| config.checkpoint_every = 2;
    let network = Network::with(&["Alice"], &["Victor"], often).await;
    let network = three_rounds_of(network).await;
    until_checkpoints(&network, &[1, 2]).await;
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_stopped_leaves_its_last_parameters_in_the_store() {
    let network = after_three_rounds().await;
    let last_final = ledger(&network, "Victor")[1].model_root;
    network.chain.stop_run();
    until_checkpoints(&network, &[1, 2, 3]).await;
    let prefix = paths::checkpoints(NETUID.get(), 2);
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
    let config = network.chain.state().run().config.clone();
    network.chain.replace_run(config);
    let error = network.end("Victor").await.expect_err("it is another run");
    assert!(matches!(error, RoleError::RunReplaced { .. }), "{error}");
    assert_eq!(checkpoints(&network).await, [1, 2, 3]);
}
