//! Cards in a run that audits: CPUs judge them within the run's tolerance.

use cairn_engine::Device;
use cairn_gradient::{Header, Work};
use cairn_primitives::{AuditRules, EngineClass, Finding, ModelRoot, Phase, RunConfig, Uid};
use cairn_protocol::verdict::Refusal;
use cairn_store::Store;
use cairn_trainer::cuda::{compile::SOURCES, libraries::Library};

use super::network::{play, play_until_attested};
use crate::roles::{
    chain::Chain,
    inspect::check_bond,
    run::Run,
    testing::{Network, State, BOND, NETUID},
    Behaviour,
};

/// Whose card is honest, and whose trains on other text.
const ALICE: Uid = Uid(0);
const MALLORY: Uid = Uid(1);

/// A run that audits everything, and admits cards behind so many times the least bond.
pub(super) fn admitting(card_bond: u8) -> impl FnOnce(&mut RunConfig, &Store) {
    move |config, _| {
        config.audits = AuditRules {
            rate: AuditRules::EACH,
            auditors: 1,
            blocks: 8,
            tolerance: AuditRules::USUAL_TOLERANCE,
            card_bond,
        };
    }
}

/// The driver that runs kernels on the CPU.
pub(super) fn driver() {
    cuda_on_cpu::driver(SOURCES.iter().map(|source| (source.name, source.kernels)));
    Library::Nvrtc
        .require()
        .expect("NVRTC is needed to test the CUDA backend: run `make cuda-tools`");
}

/// Of round 0's audits, those of which the auditor said so much.
fn audits(state: &State, is_so: impl Fn(Option<Finding>, bool) -> bool) -> Vec<Uid> {
    let audits = state.audits.iter().filter(|audit| audit.round == 0);
    let told = audits.filter(|audit| {
        let mut auditors = audit.auditors.iter();
        auditors.all(|one| is_so(one.found, one.committed.is_some()))
    });
    told.map(|audit| audit.uid).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_passes_the_audit_of_a_cpu_and_a_cheat_on_one_does_not() {
    driver();
    let mut network = Network::with(&["Alice", "Mallory"], &["Victor"], admitting(1)).await;
    network.validate("Victor");
    network.mine_on(Device::Cuda(0), "Alice", Behaviour::Honest);
    network.mine_on(Device::Cuda(0), "Mallory", Behaviour::Stranger);
    let chain = network.chain.clone();
    play_until_attested(&network, 2, 1).await;
    // She takes her bond out after the block whose bond counts.
    chain.unbond("Mallory");
    assert_eq!(chain.bond_of("Mallory"), (0, BOND));
    chain.go_to(Phase::Settle);
    let served = |state: &State| {
        let audits = state.audits.iter().filter(|audit| audit.round == 0);
        audits.filter(|audit| audit.served.is_some()).count() == 2
    };
    // Blocks come here when a test says so: none is to pass while they make what they owe.
    chain.until("their work is served", served).await;
    chain.go_to(Phase::Attest);
    // An auditor sends one thing at a time, and sees in a block that it is there.
    let replayed =
        |count| move |state: &State| audits(state, |_, committed| committed).len() >= count;
    chain.until("one is replayed", replayed(1)).await;
    chain.tick();
    chain.until("both are replayed", replayed(2)).await;
    chain.go_to(Phase::Settle);
    let found =
        |count| move |state: &State| audits(state, |found, _| found.is_some()).len() >= count;
    chain.until("what one found is known", found(1)).await;
    chain.tick();
    chain.until("what was found is known", found(2)).await;
    let state = chain.state();
    let of = |finding| audits(&state, |found, _| found == Some(finding));
    assert_eq!(of(Finding::Passed), [ALICE]);
    assert_eq!(of(Finding::Failed), [MALLORY]);
    for name in ["Alice", "Mallory"] {
        assert_eq!(network.made_again(name), 0, "{name} keeps a card's states");
    }
    let is_open = || chain.state().audits.iter().any(|audit| audit.round == 0);
    while is_open() {
        chain.tick();
    }
    chain.tick();
    assert_eq!(chain.bond_of("Mallory"), (0, 0), "it is taken all the same");
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_without_the_bond_for_it_is_told_what_is_missing_before_it_trains() {
    let mut network = Network::with(&["Alice"], &["Victor"], admitting(2)).await;
    network.validate("Victor");
    network.mine_on(Device::Cuda(0), "Alice", Behaviour::Honest);
    let error = network.end("Alice").await.expect_err("half of the bond");
    let error = error.to_string();
    assert!(error.contains("a bond of 20.00 CRN"), "{error}");
    assert!(error.contains("cairn stake bond"), "{error}");
    // Who leaves the choice open works on the CPU.
    network.mine_on(Device::Auto, "Alice", Behaviour::Honest);
    play(&network, 1, 1).await;
    assert_eq!(network.chain.state().settled[&0].included, [ALICE]);
    network.stop().await;
}

/// What a validator finds now of the bond behind Alice's card in round 0.
async fn backed(network: &Network) -> Result<(), Refusal> {
    let (chain, at) = (&network.chain, network.chain.head().hash);
    let (alice, stores) = (Network::account("Alice"), network.stores());
    let info = chain.run(at, NETUID).await.expect("it answers");
    let run = Run::load(NETUID, alice, &info.expect("a run"), &stores).await;
    let run = run.expect("it is there");
    let header = Header {
        netuid: NETUID,
        round: 0,
        hotkey: alice.hotkey(),
        parent_root: ModelRoot::zero(),
        layout_hash: run.layout_hash,
        inner_steps: 1,
        tokens: 1,
        mean_loss: 1.0,
        work: Work {
            engine: EngineClass::cuda("one"),
            ..Work::default()
        },
    };
    check_bond(chain, &run, at, &header).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bond_behind_a_card_is_that_of_the_reveal_phases_first_block() {
    let network = || Network::with(&["Alice"], &["Victor"], admitting(2));
    let (once, twice) = (BOND, 2 * BOND);
    let refused = |found| {
        Err(Refusal::CardBond {
            found,
            least: twice,
        })
    };

    let late = network().await;
    late.chain.go_to(Phase::Reveal);
    assert_eq!(backed(&late).await, refused(once));
    late.chain.bond("Alice");
    assert_eq!(late.chain.bond_of("Alice"), (twice, 0));
    assert_eq!(backed(&late).await, refused(once), "a block too late");

    let early = network().await;
    early.chain.bond("Alice");
    early.chain.go_to(Phase::Reveal);
    early.chain.unbond("Alice");
    assert_eq!(early.chain.bond_of("Alice"), (0, twice));
    assert_eq!(backed(&early).await, Ok(()), "it is a card's all the same");

    let gone = network().await;
    gone.chain.bond("Alice");
    gone.chain.unbond("Alice");
    gone.chain.go_to(Phase::Reveal);
    assert_eq!(backed(&gone).await, refused(0), "before the reveals");
}
