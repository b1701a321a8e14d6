//! Whole rounds that overlap.

use cairn_primitives::{AuditRules, Finding, Phase, Round, RunConfig, Uid};
use cairn_store::Store;

use super::network::{committed, ledger, play, revealed, ALICE};
use crate::roles::{
    chain::Chain,
    ledger::Line,
    testing::{Network, State, NETUID},
    Behaviour, Status,
};

/// After this time something hangs, on however busy a machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(240);

fn overlapping(config: &mut RunConfig, _: &Store) {
    config.overlap = 1;
}

/// Two miners and a validator at work.
async fn at_work() -> Network {
    let mut network = Network::with(&["Alice", "Bob"], &["Victor"], overlapping).await;
    network.validate("Victor");
    for name in ["Alice", "Bob"] {
        network.mine(name, Behaviour::Honest);
    }
    network
}

/// Has so many miners reveal in a round in which all have committed, and the validator attest it.
async fn end_round(network: &Network, round: Round, miners: usize) {
    let chain = &network.chain;
    if miners > 0 {
        chain.go_to(Phase::Reveal);
        chain
            .until("all have revealed", revealed(round, miners))
            .await;
    }
    chain.go_to(Phase::Attest);
    let promised = |state: &State| {
        state
            .promised
            .get(&round)
            .is_some_and(|all| !all.is_empty())
    };
    chain.until("it is to be attested", promised).await;
    chain.go_to_opening();
    let attested = |state: &State| {
        state
            .attested
            .get(&round)
            .is_some_and(|all| !all.is_empty())
    };
    chain.until("it is attested", attested).await;
    chain.go_to(Phase::Settle);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_round_includes_what_was_trained_while_the_one_before_was_settled() {
    let network = at_work().await;
    for _ in 0..3 {
        play(&network, 2, 1).await;
    }
    let begun = committed(3, 2);
    network.chain.until("round 3 has begun", begun).await;
    let state = network.chain.state();
    assert_eq!(state.refused, Vec::<String>::new());
    for round in 0..3 {
        assert_eq!(state.settled[&round].included, [0, 1].map(Uid), "{round}");
    }
    // Rounds 0 and 1 are made from the first parameters, round 2 from those after round 0.
    let made_from = |round: Round| {
        let made = state.contributions_of(round).iter();
        let mut roots: Vec<_> = made.map(|one| one.commitment.parent_root).collect();
        roots.dedup();
        roots
    };
    let first = state.run().config.initial_root;
    let lines = ledger(&network, "Victor");
    assert_eq!((made_from(0), made_from(1)), (vec![first], vec![first]));
    assert_eq!(made_from(2), [lines[0].model_root]);
    for name in ["Alice", "Bob"] {
        // A line comes when its round is on the disk, for which nobody waits.
        let has_lines = async {
            while ledger(&network, name).len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, has_lines).await;
        waited.expect(name);
        let own = ledger(&network, name);
        let is_same = |(own, of): (&_, &_)| same(own, of);
        assert!(own.iter().zip(&lines).all(is_same), "{name}");
        assert!(own.iter().all(|line| line.committed && line.included));
    }
    network.stop().await;
}

fn same(own: &Line, of: &Line) -> bool {
    (own.round, own.model_root) == (of.round, of.model_root)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_miner_goes_on_with_what_it_had_made_ahead() {
    let mut network = Network::with(&["Alice"], &["Victor"], overlapping).await;
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    play(&network, 1, 1).await;
    for round in 1..3 {
        let begun = committed(round, 1);
        network.chain.until("the next round has begun", begun).await;
        // so that she finds it in a block
        network.chain.tick();
        network.kill("Alice").await;
        network.mine("Alice", Behaviour::Honest);
        play(&network, 1, 1).await;
    }
    let begun = committed(3, 1);
    network.chain.until("round 3 has begun", begun).await;
    let state = network.chain.state();
    assert_eq!(state.refused, Vec::<String>::new(), "it committed twice");
    for round in 0..3 {
        assert_eq!(state.settled[&round].included, [ALICE], "{round}");
    }
    network.stop().await;
}

/// Nobody reveals in round 1, so all that was made ahead for round 2 is void. What is made anew goes on from round 0, or
/// no validator would find it good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_null_round_what_was_made_ahead_is_made_anew() {
    let network = at_work().await;
    play(&network, 2, 1).await;
    let begun = committed(1, 2);
    network.chain.until("round 1 has begun", begun).await;
    let state = network.chain.state();
    let times = state.run().round.times;
    network
        .chain
        .pass(times.attest.saturating_sub(state.number));
    end_round(&network, 1, 0).await;
    let begun = committed(2, 2);
    network.chain.until("round 2 has begun", begun).await;
    end_round(&network, 2, 2).await;
    let begun = committed(3, 2);
    network.chain.until("round 3 has begun", begun).await;
    let state = network.chain.state();
    assert_eq!(state.settled[&1].included, Vec::<Uid>::new());
    assert_eq!(state.settled[&2].included, [0, 1].map(Uid));
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audits_begin_from_what_the_contribution_was_made_from() {
    assert_eq!(made_again_for_audits(1 << 30).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_kept_is_made_again_from_what_the_contribution_was_made_from() {
    assert!(made_again_for_audits(0).await > 0);
}

/// An auditor makes steps again from the parameters that they were made from: those of the round before. Gives how many
/// a miner makes again that keeps traced states in so many bytes, for two audits that it passes.
async fn made_again_for_audits(keep_states: u64) -> u64 {
    const AUDITED: Round = 1;
    let audited = |config: &mut RunConfig, _: &Store| {
        config.overlap = 1;
        config.audits = AuditRules {
            rate: AuditRules::EACH,
            auditors: 1,
            blocks: 8,
            ..AuditRules::default()
        };
    };
    let mut network = Network::with(&["Alice"], &["Victor"], audited).await;
    network.keep_states(keep_states);
    network.validate("Victor");
    network.mine("Alice", Behaviour::Honest);
    let chain = network.chain.clone();
    let audit_of = |state: &State, round| {
        let mut audits = state.audits.clone().into_iter();
        audits.find(|audit| audit.round == round)
    };
    let of = move |state: &State| audit_of(state, AUDITED);
    for round in 0..=AUDITED {
        play(&network, 1, 1).await;
        let served =
            move |state: &State| audit_of(state, round).is_some_and(|audit| audit.served.is_some());
        // Blocks come here when a test says so: none is to pass while she makes what she owes.
        chain.until("its work is served", served).await;
    }
    chain.go_to(Phase::Attest);
    let replayed = move |state: &State| {
        of(state).is_some_and(|audit| audit.auditors.iter().all(|one| one.committed.is_some()))
    };
    chain.until("it is replayed", replayed).await;
    chain.go_to(Phase::Settle);
    let found = move |state: &State| {
        of(state).is_none_or(|audit| audit.auditors.iter().all(|one| one.found.is_some()))
    };
    chain.until("what was found is known", found).await;
    let audit = of(&chain.state());
    let found = audit.iter().flat_map(|audit| &audit.auditors);
    assert!(found
        .into_iter()
        .all(|one| one.found == Some(Finding::Passed)));
    let at = chain.head().hash;
    let member = chain.member(at, NETUID, Network::account("Alice")).await;
    let member = member.expect("it answers").expect("she is a member");
    assert!(member.bond > 0, "her bond is lost");
    let made_again = network.made_again("Alice");
    network.stop().await;
    made_again
}

/// Alice asks her bond back in round 0. She still has her part in that, and none in round 1, for which she was drawn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_the_bond_any_more_trains_no_further_and_says_what_is_missing() {
    let network = at_work().await;
    let chain = network.chain.clone();
    chain.until("both have committed", committed(0, 2)).await;
    chain.unbond("Alice");
    play(&network, 2, 1).await;
    chain.until("Bob has committed", committed(1, 1)).await;
    let state = chain.state();
    assert_eq!(state.settled[&0].included, [0, 1].map(Uid));
    let made = state.contributions_of(1).iter().map(|one| one.uid);
    assert_eq!(made.collect::<Vec<_>>(), [Uid(1)]);
    let directory = network.state_dir("Alice");
    let says_so = async {
        // Why that is she asks the chain, and writes it down with the block after.
        loop {
            let status = Status::read(&directory);
            let (idle, block) = status.map_or((None, 0), |it| (it.idle, it.block));
            if idle.is_some_and(|why| why.contains("bond")) {
                break;
            }
            if block == chain.head().number {
                chain.tick();
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, says_so).await;
    waited.expect("she says what is missing");
    network.stop().await;
}
