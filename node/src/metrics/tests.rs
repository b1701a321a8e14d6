//! What is shown of a chain and of its subnets.

use cairn_primitives::{
    api::{Attester, Issuance, LineageEntry, RoundInfo, SettledRound, SubnetEmission, SubnetInfo},
    Hyperparameters, ModelRoot, Netuid, Phase, Pots, Uid, H256,
};
use substrate_prometheus_endpoint::{prometheus::TextEncoder, Registry};

use super::{
    gauges::Gauges,
    samples::{of_chain, of_subnet, SubnetFacts, METRICS},
};

type Id = u8;

fn issuance() -> Issuance {
    Issuance {
        issued: 100,
        balances: 40,
        stakes: 30,
        unbonding: 5,
        bonds: 15,
        pots: 10,
    }
}

fn subnet(netuid: u16) -> SubnetInfo<Id> {
    SubnetInfo {
        netuid: Netuid(netuid),
        owner: 0,
        created_at: 0,
        members: 7,
        registration_price: 1_000_000_000,
        dissolves_from: None,
        can_be_set_from: None,
        stake: 0,
        bonds: 0,
        has_run: true,
        is_clearing_run: false,
        hyperparameters: Hyperparameters::default(),
        announced: None,
    }
}

fn round() -> RoundInfo<Id> {
    let validator = |uid| Attester {
        uid: Uid(uid),
        hotkey: 0,
        stake: 9,
        committed: None,
        attested: true,
    };
    RoundInfo {
        round: 12,
        times: cairn_primitives::RoundTimes {
            start: 480,
            ..Default::default()
        },
        phase: Phase::Train,
        seed: H256::zero(),
        pass: 0,
        cursor: 0,
        miners: vec![(Uid(1), 1), (Uid(2), 2), (Uid(3), 3)],
        validators: vec![validator(4), validator(5)],
        base: None,
    }
}

fn emission(netuid: u16) -> SubnetEmission {
    SubnetEmission {
        netuid: Netuid(netuid),
        share: 250_000_000,
        emits: true,
        works: true,
        owner_pot: 18,
        miners_pot: 41,
        validators_pot: 41,
        late: 3,
        late_epochs: 1,
        withheld: 0,
        epochs: 44,
        last_epoch: 470,
        next_epoch: 480,
        paid: 0,
        paid_to: Pots::default(),
    }
}

/// A round's root with so much stake behind it, and its loss.
fn ancestor(round: u32, attested_stake: u64, loss: Option<u32>) -> LineageEntry {
    LineageEntry {
        round,
        model_root: ModelRoot::zero(),
        attested_stake,
        attesting_stake: 90,
        total_stake: 120,
        is_final: true,
        loss,
    }
}

/// A subnet that has all that a subnet can have.
fn facts(netuid: u16) -> SubnetFacts<Id> {
    SubnetFacts {
        subnet: subnet(netuid),
        run: Some((round(), 1)),
        settled: Some(SettledRound {
            round: 11,
            settled_at: 480,
            included: vec![Uid(1), Uid(3)],
            trust: vec![1, 1],
            proven: vec![],
            exam: H256::zero(),
            attesting_stake: 90,
            total_stake: 120,
        }),
        lineage: vec![
            ancestor(8, 90, Some(3_500_000)),
            ancestor(9, 90, Some(3_250_000)),
            ancestor(10, 90, None),
            ancestor(11, 60, None),
        ],
        emission: Some(emission(netuid)),
    }
}

fn text(registry: &Registry) -> String {
    let encoder = TextEncoder::new();
    encoder.encode_to_string(&registry.gather()).unwrap()
}

/// The value of the metric whose line begins so.
fn value(shown: &str, line: &str) -> Option<f64> {
    let found = shown.lines().find_map(|shown| shown.strip_prefix(line))?;
    found.trim().parse().ok()
}

#[test]
fn all_metrics_are_those_of_the_file_that_rules_and_dashboards_are_held_against() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ops/metrics/node.prom");
    let registry = Registry::new();
    let mut gauges = Gauges::register(&registry).unwrap();
    let mut samples = of_chain(&issuance());
    samples.extend(of_subnet(&facts(1)));
    gauges.show(samples);
    let shown = text(&registry);
    if std::env::var_os("CAIRN_WRITE_METRICS").is_some() {
        std::fs::write(path, &shown).unwrap();
    }
    let file = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        shown == file,
        "ops/metrics/node.prom is not what a node shows; run this test with CAIRN_WRITE_METRICS=1, and look at what \
         changed:\n{shown}"
    );
    // Each is there with a value, so none is listed that is never shown.
    for metric in METRICS {
        let family = format!("# TYPE {} gauge", metric.name);
        assert!(shown.contains(&family), "{family}");
    }
}

#[test]
fn shares_are_of_what_they_say() {
    let registry = Registry::new();
    let mut gauges = Gauges::register(&registry).unwrap();
    gauges.show(of_subnet(&facts(1)));
    let shown = text(&registry);
    let value = |name: &str| value(&shown, &format!("cairn_chain_{name}{{netuid=\"1\"}}"));
    assert_eq!(value("attested_share_ratio"), Some(0.75));
    assert_eq!(value("agreed_share_ratio"), Some(60.0 / 90.0));
    assert_eq!(value("emission_share_ratio"), Some(0.25));
    assert_eq!(value("included_contributions"), Some(2.0));
    assert_eq!(value("loss_nats"), Some(3.25));
    assert_eq!(
        (value("miners"), value("validators")),
        (Some(3.0), Some(2.0))
    );
}

#[test]
fn nobody_who_could_attest_is_no_division_by_nothing() {
    let mut facts = facts(1);
    if let Some(settled) = &mut facts.settled {
        (settled.attesting_stake, settled.total_stake) = (0, 0);
    }
    let samples = of_subnet(&facts);
    let share = samples
        .iter()
        .find(|sample| sample.name == "cairn_chain_attested_share_ratio");
    assert_eq!(share.map(|share| share.value), Some(0.0));
}

#[test]
fn what_is_gone_is_shown_no_longer() {
    let registry = Registry::new();
    let mut gauges = Gauges::register(&registry).unwrap();
    gauges.show([of_subnet(&facts(1)), of_subnet(&facts(2))].concat());
    let members = |netuid: u16| format!("cairn_chain_members{{netuid=\"{netuid}\"}}");
    let round = "cairn_chain_round{netuid=\"1\"}";
    let shown = text(&registry);
    assert!(value(&shown, &members(2)).is_some() && value(&shown, round).is_some());
    // The second subnet was dissolved, the first one's run was stopped.
    let stopped = SubnetFacts {
        run: None,
        settled: None,
        lineage: Vec::new(),
        ..facts(1)
    };
    gauges.show(of_subnet(&stopped));
    let shown = text(&registry);
    assert_eq!(value(&shown, &members(1)), Some(7.0));
    assert_eq!(value(&shown, &members(2)), None);
    assert_eq!(value(&shown, round), None);
    assert_eq!(value(&shown, "cairn_chain_run{netuid=\"1\"}"), Some(0.0));
}
