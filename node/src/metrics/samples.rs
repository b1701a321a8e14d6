//! The numbers. Pure.

use cairn_primitives::{
    api::{Issuance, LineageEntry, RoundInfo, SettledRound, SubnetEmission, SubnetInfo},
    nats, Balance, Netuid,
};

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub labels: &'static [&'static str],
}

const fn metric(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric { name, help, labels }
}

const SUBNET: &[&str] = &["netuid"];

/// All of them, as of the best block. `ops/metrics/node.prom` has them, too, and a test compares.
pub const METRICS: &[Metric] = &[
    metric("cairn_chain_issued_pebbles", "What was issued so far", &[]),
    metric(
        "cairn_chain_issuance_pebbles",
        "Where what was issued is; the parts add up to cairn_chain_issued_pebbles",
        &["place"],
    ),
    metric("cairn_chain_members", "Members of a subnet", SUBNET),
    metric(
        "cairn_chain_registration_price_pebbles",
        "What a seat of a subnet costs",
        SUBNET,
    ),
    metric("cairn_chain_run", "1 if the subnet has a run", SUBNET),
    metric("cairn_chain_round", "Current round of a subnet's run", SUBNET),
    metric(
        "cairn_chain_round_start_block",
        "First block of the current round",
        SUBNET,
    ),
    metric("cairn_chain_miners", "Miners of the current round", SUBNET),
    metric(
        "cairn_chain_validators",
        "Validators of the current round",
        SUBNET,
    ),
    metric(
        "cairn_chain_absent_members",
        "Members that are not expected until they say that they are back",
        SUBNET,
    ),
    metric(
        "cairn_chain_attested_share_ratio",
        "Share of the stake that attested in the last round; a quorum is a half",
        SUBNET,
    ),
    metric(
        "cairn_chain_agreed_share_ratio",
        "Share of the attesting stake behind the leading root of the last round; final are two thirds",
        SUBNET,
    ),
    metric(
        "cairn_chain_root_final",
        "1 if the root with which the last round began is final",
        SUBNET,
    ),
    metric(
        "cairn_chain_loss_nats",
        "Mean loss in nats per token of the parameters of the newest round of which validators agreed on one",
        SUBNET,
    ),
    metric(
        "cairn_chain_included_contributions",
        "Contributions that the last round included; none in a null round",
        SUBNET,
    ),
    metric(
        "cairn_chain_emission_share_ratio",
        "Share of each block's emission that the subnet gets",
        SUBNET,
    ),
    metric(
        "cairn_chain_works",
        "1 if the subnet worked of late, without which it earns nothing",
        SUBNET,
    ),
    metric("cairn_chain_epochs", "Epochs of the subnet so far", SUBNET),
    metric(
        "cairn_chain_pot_pebbles",
        "What waits for the next epoch, by for whom",
        &["netuid", "pot"],
    ),
    metric(
        "cairn_chain_late_pebbles",
        "What of the pots waited for scores",
        SUBNET,
    ),
];

/// A value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: &'static str,
    pub labels: Vec<String>,
    pub value: f64,
}

/// What the chain says of a subnet.
#[derive(Clone, Debug)]
pub struct SubnetFacts<AccountId> {
    pub subnet: SubnetInfo<AccountId>,
    /// The round of its run, and how many members are absent.
    pub run: Option<(RoundInfo<AccountId>, usize)>,
    /// How the last round ended.
    pub settled: Option<SettledRound>,
    /// The lineage from some rounds before the last one on: not each has a loss, and the last one has none yet.
    pub lineage: Vec<LineageEntry>,
    pub emission: Option<SubnetEmission>,
}

/// The nearest number with a floating point; above 2⁵³ pebble it is a few off.
fn pebbles(amount: Balance) -> f64 {
    amount as f64
}

/// `part` of `whole`; nothing of nothing is 0.
fn share(part: Balance, whole: Balance) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    pebbles(part) / pebbles(whole)
}

/// What is said of the whole chain.
pub fn of_chain(issuance: &Issuance) -> Vec<Sample> {
    let part = |place: &str, amount| Sample {
        name: "cairn_chain_issuance_pebbles",
        labels: vec![place.into()],
        value: pebbles(amount),
    };
    vec![
        Sample {
            name: "cairn_chain_issued_pebbles",
            labels: Vec::new(),
            value: pebbles(issuance.issued),
        },
        part("balances", issuance.balances),
        part("stakes", issuance.stakes),
        part("unbonding", issuance.unbonding),
        part("bonds", issuance.bonds),
        part("pots", issuance.pots),
    ]
}

/// What is said of a subnet. What it does not have is left out.
pub fn of_subnet<AccountId>(facts: &SubnetFacts<AccountId>) -> Vec<Sample> {
    let netuid = facts.subnet.netuid;
    let mut samples = vec![
        one("cairn_chain_members", netuid, facts.subnet.members.into()),
        one(
            "cairn_chain_registration_price_pebbles",
            netuid,
            pebbles(facts.subnet.registration_price),
        ),
        one("cairn_chain_run", netuid, truth(facts.run.is_some())),
    ];
    if let Some((round, absent)) = &facts.run {
        samples.extend(of_round(netuid, round, *absent));
    }
    if let Some(settled) = &facts.settled {
        let attested = share(settled.attesting_stake, settled.total_stake);
        samples.push(one("cairn_chain_attested_share_ratio", netuid, attested));
        let included = settled.included.len() as f64;
        samples.push(one("cairn_chain_included_contributions", netuid, included));
    }
    if let Some(entry) = facts.lineage.last() {
        let agreed = share(entry.attested_stake, entry.attesting_stake);
        samples.push(one("cairn_chain_agreed_share_ratio", netuid, agreed));
        samples.push(one("cairn_chain_root_final", netuid, truth(entry.is_final)));
    }
    if let Some(loss) = facts.lineage.iter().rev().find_map(|entry| entry.loss) {
        samples.push(one("cairn_chain_loss_nats", netuid, nats(loss)));
    }
    if let Some(emission) = &facts.emission {
        samples.extend(of_emission(netuid, emission));
    }
    samples
}

fn of_round<AccountId>(netuid: Netuid, round: &RoundInfo<AccountId>, absent: usize) -> [Sample; 5] {
    [
        one("cairn_chain_round", netuid, f64::from(round.round)),
        one(
            "cairn_chain_round_start_block",
            netuid,
            f64::from(round.times.start),
        ),
        one("cairn_chain_miners", netuid, round.miners.len() as f64),
        one(
            "cairn_chain_validators",
            netuid,
            round.validators.len() as f64,
        ),
        one("cairn_chain_absent_members", netuid, absent as f64),
    ]
}

fn of_emission(netuid: Netuid, emission: &SubnetEmission) -> [Sample; 7] {
    let pot = |pot: &str, amount| Sample {
        name: "cairn_chain_pot_pebbles",
        labels: vec![netuid.to_string(), pot.into()],
        value: pebbles(amount),
    };
    // It is in parts of a thousand million, as pebble of a CRN are.
    let emitted = share(emission.share, 1_000_000_000);
    [
        one("cairn_chain_emission_share_ratio", netuid, emitted),
        one("cairn_chain_works", netuid, truth(emission.works)),
        one("cairn_chain_epochs", netuid, emission.epochs as f64),
        one("cairn_chain_late_pebbles", netuid, pebbles(emission.late)),
        pot("owner", emission.owner_pot),
        pot("miners", emission.miners_pot),
        pot("validators", emission.validators_pot),
    ]
}

fn one(name: &'static str, netuid: Netuid, value: f64) -> Sample {
    Sample {
        name,
        labels: vec![netuid.to_string()],
        value,
    }
}

fn truth(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}
