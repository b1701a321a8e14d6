//! Coming late, or to the wrong place.

use cairn_chain::AccountId;
use cairn_engine::Device;
use cairn_primitives::{ModelRoot, Phases, RunConfig, Text};
use cairn_round::Held;
use cairn_store::{paths, Store};

use super::{cards::admitting, network::committed};
use crate::roles::{
    chain::Chain,
    join::{newest, read_checkpoint, there, Claim},
    run::Run,
    stores::Stores,
    testing::{config_and_store, Network, SimChain, KEPT, NETUID},
    Behaviour, RoleError,
};

/// Of rounds that are as short as a round can be.
const SHORT: Phases = Phases {
    train: 4,
    reveal: 2,
    attest: 4,
    floor: 100,
};

/// Rounds go by in which nobody works, until the chain forgets the first ones.
#[tokio::test]
async fn who_comes_too_late_for_everything_is_told_so() {
    let short = |config: &mut RunConfig, _: &Store| config.phases = SHORT;
    let mut network = Network::with(&["Alice"], &["Victor"], short).await;
    while network.chain.state().run().oldest_round == 0 {
        network.chain.pass(256);
    }
    network.mine("Alice", Behaviour::Honest);
    let error = network
        .end("Alice")
        .await
        .expect_err("nothing to begin from");
    assert!(
        matches!(error, RoleError::NoCheckpoint { oldest, .. } if oldest > 0),
        "{error}"
    );
}

/// Where the text takes long to come: what the chain is asked then is asked of blocks whose states are kept.
#[tokio::test]
async fn a_worker_begins_though_the_node_has_forgotten_where_the_chain_was_when_it_was_started() {
    let long = |config: &mut RunConfig, store: &Store| {
        // A card would have to have more behind it, which is asked last.
        admitting(2)(config, store);
        config.phases.train = 4 * KEPT;
    };
    let mut network = Network::with(&["Alice"], &["Victor"], long).await;
    let chain = network.chain.clone();
    let begun = chain.head();
    chain.comes_meanwhile(2 * KEPT);
    network.mine_on(Device::Auto, "Alice", Behaviour::Honest);
    let ended = network.end("Alice");
    tokio::select! {
        ended = ended => panic!("it has ended: {ended:?}"),
        () = chain.until("Alice has committed", committed(0, 1)) => {}
    }
    assert!(
        chain.block_time(begun.hash).await.is_err(),
        "it is forgotten"
    );
}

#[tokio::test]
async fn first_parameters_that_are_not_the_chains_are_refused() {
    let other = |config: &mut RunConfig, _: &Store| config.initial_root = ModelRoot::from([9; 32]);
    let mut network = Network::with(&["Alice"], &["Victor"], other).await;
    network.mine("Alice", Behaviour::Honest);
    let error = network
        .end("Alice")
        .await
        .expect_err("other parameters")
        .to_string();
    assert!(
        error.contains("initial parameters") && error.contains("0x0909"),
        "{error}"
    );
}

#[tokio::test]
async fn a_data_set_of_another_size_is_refused() {
    let larger = |config: &mut RunConfig, _: &Store| config.data.windows += 1;
    let mut network = Network::with(&["Alice"], &["Victor"], larger).await;
    network.mine("Alice", Behaviour::Honest);
    let error = network.end("Alice").await.expect_err("another data set");
    assert!(matches!(error, RoleError::Windows { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_shard_is_named() {
    let mut network = Network::new().await;
    let root = network.chain.state().run().config.data.manifest_root;
    for entry in network.store.list("data").await.expect("there") {
        if !entry.path.ends_with(&format!("{root:?}")[2..]) {
            network.store.delete(&entry.path).await.expect("there");
        }
    }
    network.mine("Alice", Behaviour::Honest);
    let error = network
        .end("Alice")
        .await
        .expect_err("a shard is missing")
        .to_string();
    assert!(
        error.contains("data/") && error.contains("not in the store"),
        "{error}"
    );
}

#[tokio::test]
async fn a_state_directory_that_is_in_use_is_not_shared() {
    let mut network = Network::of(&["Alice"], &["Victor"]).await;
    network.mine("Alice", Behaviour::Honest);
    network
        .chain
        .until("Alice works", |state| !state.contributions_of(0).is_empty())
        .await;
    network.validate("Alice");
    // The second one of that name.
    let error = network
        .end("Alice")
        .await
        .expect_err("the first one has it")
        .to_string();
    assert!(error.contains("in use"), "{error}");
    network.stop().await;
}

#[tokio::test]
async fn checkpoints_that_the_chain_does_not_vouch_for_are_passed_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let (config, store) = config_and_store(directory.path()).await;
    let initial = config.initial_root;
    let chain = SimChain::with_run(config, &[], &[]);
    let (forged, prefix) = (vec![0u8; 64], paths::checkpoints(NETUID.get(), 3));
    store.put_blob(&prefix, forged.into()).await.expect("room");
    let head = chain.head().hash;
    let info = Chain::run(&chain, head, NETUID)
        .await
        .expect("there")
        .expect("a run");
    let run = Run::load(NETUID, AccountId([1; 32]), &info, &Stores::at(store.url()))
        .await
        .expect("fine");
    let place = directory.path().join("joining");
    std::fs::create_dir(&place).expect("room");
    let part = place.join("3.partial");
    std::fs::write(&part, "what came of it").expect("room");
    let (held, _) = newest(&chain, &run, head, &info, (&place, &[]))
        .await
        .expect("from the beginning");
    assert_eq!((held.round, held.root), (0, initial));
    assert!(!part.exists(), "nobody goes on with it");
}

#[tokio::test]
async fn a_checkpoint_is_taken_only_as_it_was_published() {
    let directory = tempfile::tempdir().expect("a directory");
    let (config, store) = config_and_store(directory.path()).await;
    let chain = SimChain::with_run(config, &[], &[]);
    let info = Chain::run(&chain, chain.head().hash, NETUID)
        .await
        .expect("there")
        .expect("a run");
    let run = Run::load(NETUID, AccountId([1; 32]), &info, &Stores::at(store.url()))
        .await
        .expect("fine");
    let parameters: Vec<f32> = (0..run.layout.parameters()).map(|i| i as f32).collect();
    let bytes: Vec<u8> = parameters.iter().flat_map(|it| it.to_le_bytes()).collect();
    let prefix = paths::checkpoints(NETUID.get(), 3);
    let root = store
        .publish(&prefix, bytes.clone())
        .await
        .expect("a checkpoint");
    let held = Held {
        round: 3,
        root: ModelRoot::from(root),
    };
    let place = directory.path().join("joining");
    let taken = read_checkpoint(&run, held, &place, &[]).await;
    assert_eq!(taken, Some(parameters));
    assert!(!place.exists(), "nothing is left over");
    let mut damaged = bytes;
    damaged[5] ^= 1;
    let path = paths::blob(&prefix, &root);
    store.put(&path, damaged.into()).await.expect("room");
    assert_eq!(read_checkpoint(&run, held, &place, &[]).await, None);
}

#[tokio::test]
async fn data_and_checkpoints_come_from_the_store_that_the_run_names_too() {
    let named = tempfile::tempdir().expect("a directory");
    let own = tempfile::tempdir().expect("a directory");
    let (mut config, store) = config_and_store(named.path()).await;
    config.data.store = Text::new(store.url()).expect("short");
    let chain = SimChain::with_run(config, &[], &[]);
    let info = Chain::run(&chain, chain.head().hash, NETUID)
        .await
        .expect("there")
        .expect("a run");
    let mut stores = Stores::at(&format!("file://{}", own.path().display()));
    let untold = Run::load(NETUID, AccountId([1; 32]), &info, &stores).await;
    assert!(matches!(untold.err(), Some(RoleError::NamedStore(_))));
    stores.trusts_run = true;
    let run = Run::load(NETUID, AccountId([1; 32]), &info, &stores)
        .await
        .expect("told so");
    // What it needs of the text is in its own store now.
    let manifest = format!("{:?}", run.config.data.manifest_root);
    for entry in store.list(paths::DATA).await.expect("there") {
        if !entry.path.ends_with(&manifest[2..]) {
            store.delete(&entry.path).await.expect("there");
        }
    }
    let again = Run::load(NETUID, AccountId([1; 32]), &info, &stores).await;
    again.map(drop).expect("the text is there");
    let parameters: Vec<f32> = (0..run.layout.parameters()).map(|i| i as f32).collect();
    let bytes: Vec<u8> = parameters.iter().flat_map(|it| it.to_le_bytes()).collect();
    let prefix = paths::checkpoints(NETUID.get(), 5);
    let root = store.publish(&prefix, bytes).await.expect("a checkpoint");
    let held = Held {
        round: 5,
        root: ModelRoot::from(root),
    };
    let finals = [(4, held.root), (held.round, held.root), (10, held.root)];
    let found = there(&run, &finals, &[]).await.expect("it can be asked");
    let due = Claim {
        round: held.round,
        root: held.root,
        by: Vec::new(),
    };
    assert_eq!(found, [due], "one that is due and there");
    let place = own.path().join("joining");
    let taken = read_checkpoint(&run, held, &place, &[]).await;
    assert_eq!(taken, Some(parameters));
}
