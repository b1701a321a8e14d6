//! The numbers of the reference implementation. `tests/vectors/README.md` states the source.

use std::collections::BTreeMap;

use serde::Deserialize;
use yuma::{epoch, BondsRule, Input, Member, Output, Params, Pots};

#[derive(Deserialize)]
struct Scenario {
    n: u16,
    stake: Vec<u64>,
    permits: Vec<bool>,
    params: ScenarioParams,
    emission: u64,
    tolerance: f64,
    epochs: Vec<Epoch>,
}

#[derive(Deserialize)]
struct ScenarioParams {
    kappa: u16,
    bonds_moving_average: u32,
    bonds_penalty: u16,
    yuma: u8,
}

#[derive(Deserialize)]
struct Epoch {
    set_weights: BTreeMap<u16, Vec<u16>>,
    active: Option<Vec<bool>>,
    expect: Expect,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expect {
    emission: Option<Vec<u64>>,
    bonds_column: Option<Column>,
    bonds_fraction: Option<Vec<Vec<f64>>>,
    bonds_first_uid: u16,
    dividends_fraction: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Column {
    uid: u16,
    rows: Vec<u16>,
    values: Vec<u16>,
}

type Row = Vec<(u16, u16)>;

/// A subnet between two epochs.
struct Subnet {
    scenario: Scenario,
    weights: Vec<Row>,
    bonds: Vec<Row>,
}

impl Subnet {
    fn new(json: &str) -> Subnet {
        let scenario: Scenario = serde_json::from_str(json).unwrap();
        let rows = vec![Row::new(); scenario.n.into()];
        Subnet {
            scenario,
            weights: rows.clone(),
            bonds: rows,
        }
    }

    fn params(&self) -> Params {
        let params = &self.scenario.params;
        Params {
            kappa: params.kappa,
            bonds_moving_average: params.bonds_moving_average,
            bonds_penalty: params.bonds_penalty,
            bonds: match params.yuma {
                2 => BondsRule::Yuma2,
                3 => BondsRule::Yuma3,
                other => panic!("Yuma {other}?"),
            },
        }
    }

    fn step(&mut self, number: usize) -> Output {
        let step = &self.scenario.epochs[number];
        for (uid, row) in &step.set_weights {
            self.weights[usize::from(*uid)] = (0..).zip(row.iter().copied()).collect();
        }
        let member = |uid: usize| Member {
            uid: uid as u16,
            stake: self.scenario.stake[uid],
            validator: self.scenario.permits[uid],
            active: step.active.as_ref().is_none_or(|active| active[uid]),
            registered_at: 0,
            weights_set_at: 1,
            weights: &self.weights[uid],
            bonds: &self.bonds[uid],
        };
        let members: Vec<Member> = (0..self.scenario.n.into()).map(member).collect();
        let pots = Pots::default();
        let input = Input {
            members: &members,
            last_epoch: 1,
            pots,
        };
        let output = epoch(&input, &self.params()).unwrap();
        self.bonds = output
            .members
            .iter()
            .map(|outcome| outcome.bonds.clone())
            .collect();
        output
    }

    fn bond(&self, row: usize, uid: u16) -> u16 {
        self.bonds[row]
            .iter()
            .find(|cell| cell.0 == uid)
            .map_or(0, |cell| cell.1)
    }
}

/// Runs a scenario and returns how many numbers were compared.
fn reproduce(json: &str) -> usize {
    let mut subnet = Subnet::new(json);
    let tolerance = subnet.scenario.tolerance;
    let near = |what: &str, number: usize, got: u16, expected: f64| {
        let got = f64::from(got) / 65_535.0;
        assert!(
            (got - expected).abs() <= tolerance,
            "epoch {number}, {what}: {got}, not {expected}"
        );
    };
    let mut compared = 0;
    for number in 0..subnet.scenario.epochs.len() {
        let output = subnet.step(number);
        let expect = std::mem::take(&mut subnet.scenario.epochs[number].expect);
        if let Some(emission) = expect.emission {
            let got = output.combined_emission(subnet.scenario.emission);
            assert_eq!(got, emission, "emission of epoch {number}");
            compared += emission.len();
        }
        if let Some(Column { uid, rows, values }) = expect.bonds_column {
            let got: Vec<u16> = rows
                .iter()
                .map(|&row| subnet.bond(row.into(), uid))
                .collect();
            assert_eq!(got, values, "bonds in uid {uid} after epoch {number}");
            compared += values.len();
        }
        for (row, bonds) in expect.bonds_fraction.iter().flatten().enumerate() {
            for (uid, &expected) in (expect.bonds_first_uid..).zip(bonds) {
                near(
                    &format!("bond of {row} in {uid}"),
                    number,
                    subnet.bond(row, uid),
                    expected,
                );
                compared += 1;
            }
        }
        for (uid, &expected) in expect.dividends_fraction.iter().flatten().enumerate() {
            near(
                &format!("dividends of {uid}"),
                number,
                output.members[uid].dividends,
                expected,
            );
            compared += 1;
        }
    }
    compared
}

#[test]
fn yuma2_is_exact_to_the_integer() {
    assert_eq!(
        reproduce(include_str!("vectors/yuma2_bonds.json")),
        8 * 8 + 7 * 4
    );
}

#[test]
fn yuma3_without_liquid_alpha_is_within_the_stated_tolerance() {
    let json = include_str!("vectors/yuma3_liquid_alpha_disabled.json");
    assert_eq!(reproduce(json), 6 * (6 + 3));
}
