//! The numbers of the reference implementation, by way of the example that prints them.
//! `tests/vectors/README.md` states their source.

#[path = "../examples/epoch/scenario.rs"]
mod scenario;

use std::{fs, path::PathBuf};

use scenario::{EpochReport, Scenario};
use serde::Deserialize;

/// The half of a file that says what must come out.
#[derive(Deserialize)]
struct Expectations {
    tolerance: f64,
    epochs: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Expect {
    emission: Option<Vec<u64>>,
    dividends_head: Vec<u16>,
    dividends_fraction: Vec<f64>,
    bonds_column: Option<Column>,
    bonds_fraction: Vec<Vec<f64>>,
    bonds_first_uid: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    uid: usize,
    rows: Vec<usize>,
    values: Vec<u16>,
}

/// Numbers got and expected, as they come.
struct Comparison {
    tolerance: f64,
    compared: usize,
}

impl Comparison {
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: &[T], expected: &[T]) {
        assert_eq!(got, expected, "{what}");
        self.compared += expected.len();
    }

    fn near(&mut self, what: &str, got: u16, expected: f64) {
        let got = f64::from(got) / 65_535.0;
        assert!(
            (got - expected).abs() <= self.tolerance,
            "{what}: {got}, not {expected}"
        );
        self.compared += 1;
    }

    fn epoch(&mut self, name: &str, got: &EpochReport, expect: &Expect) {
        if let Some(emission) = &expect.emission {
            self.equal(&format!("{name}, emission"), &got.emission, emission);
        }
        let head = got.dividends.iter().zip(&expect.dividends_head);
        for (uid, (&got, &expected)) in head.enumerate() {
            let expected = f64::from(expected) / 65_535.0;
            self.near(&format!("{name}, dividends of {uid}"), got, expected);
        }
        for (uid, &expected) in expect.dividends_fraction.iter().enumerate() {
            self.near(
                &format!("{name}, dividends of {uid}"),
                got.dividends[uid],
                expected,
            );
        }
        if let Some(Column { uid, rows, values }) = &expect.bonds_column {
            let column: Vec<u16> = rows.iter().map(|&row| got.bonds[row][*uid]).collect();
            self.equal(&format!("{name}, bonds in {uid}"), &column, values);
        }
        for (row, bonds) in expect.bonds_fraction.iter().enumerate() {
            for (uid, &expected) in (expect.bonds_first_uid..).zip(bonds) {
                self.near(
                    &format!("{name}, bond of {row} in {uid}"),
                    got.bonds[row][uid],
                    expected,
                );
            }
        }
    }
}

/// Runs a file of `tests/vectors` and returns how many numbers were compared.
fn reproduce(name: &str) -> usize {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name);
    let json = fs::read_to_string(path).unwrap();
    let report = Scenario::parse(&json).unwrap().run().unwrap();
    let expected: Expectations = serde_json::from_str(&json).unwrap();
    let mut comparison = Comparison {
        tolerance: expected.tolerance,
        compared: 0,
    };
    assert_eq!(report.epochs.len(), expected.epochs.len());
    for (number, (got, step)) in report.epochs.iter().zip(&expected.epochs).enumerate() {
        comparison.epoch(&format!("{name}, epoch {number}"), got, &step.expect);
    }
    comparison.compared
}

/// Every file with how many numbers it states.
const VECTORS: [(&str, usize); 7] = [
    ("yuma2_bonds.json", 8 * 8 + 7 * 4),
    ("yuma3_kappa_moves_first.json", 6 * (6 + 3)),
    ("yuma3_kappa_moves_last.json", 6 * (6 + 3)),
    ("yuma3_kappa_moves_second.json", 6 * (6 + 3)),
    ("yuma3_liquid_alpha_disabled.json", 6 * (6 + 3)),
    ("yuma3_one_epoch_switch.json", 6 * (6 + 3)),
    ("yuma3_stable_miner.json", 6 * (9 + 3)),
];

#[test]
fn every_vector_is_reproduced() {
    for (name, numbers) in VECTORS {
        assert_eq!(reproduce(name), numbers, "{name}");
    }
}

#[test]
fn no_vector_is_forgotten() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut files: Vec<String> = files.map(|name| name.into_string().unwrap()).collect();
    files.retain(|name| name.ends_with(".json"));
    files.sort_unstable();
    assert_eq!(files, VECTORS.map(|vector| vector.0));
}

#[test]
fn a_report_has_every_uid_and_all_rows() {
    let scenario = Scenario::parse(include_str!("vectors/yuma2_bonds.json")).unwrap();
    let report = serde_json::to_value(scenario.run().unwrap()).unwrap();
    let first = &report["epochs"][0];
    for field in ["emission", "incentive", "dividends", "consensus", "bonds"] {
        assert_eq!(first[field].as_array().unwrap().len(), 8, "{field}");
    }
    assert_eq!(
        first["bonds"][3],
        serde_json::json!([0, 0, 0, 0, 65_535, 65_535, 65_535, 65_535])
    );
}

#[test]
fn whoever_is_inactive_does_not_vote() {
    let mut json = scenario_json();
    json["epochs"][0]["active"] = serde_json::json!([false, true, true]);
    let report = Scenario::parse(&json.to_string()).unwrap().run().unwrap();
    assert_eq!(report.epochs[0].dividends, [0, 65_535, 0]);
}

fn scenario_json() -> serde_json::Value {
    serde_json::json!({
        "n": 3, "stake": [5, 5, 0], "permits": [true, true, false],
        "params": {
            "kappa": 32_767, "bonds_moving_average": 900_000, "bonds_penalty": 0, "yuma": 3,
            "liquid_alpha": {"low": 0.1, "high": 0.3, "steepness": 1_000}
        },
        "emission": 1_000,
        "epochs": [{"set_weights": {"0": [0, 0, 7], "1": [0, 0, 9]}}]
    })
}

#[test]
fn an_error_names_the_field() {
    Scenario::parse(&scenario_json().to_string()).unwrap();
    let cases = [
        (
            "/stake",
            serde_json::json!([1]),
            "stake: 1 entries, but n is 3",
        ),
        (
            "/stake/1",
            serde_json::json!("five"),
            "stake[1]: invalid type",
        ),
        (
            "/permits",
            serde_json::json!([true, true, true, true]),
            "permits: 4 entries",
        ),
        (
            "/emission",
            serde_json::json!(-1),
            "emission: invalid value",
        ),
        (
            "/params/kappa",
            serde_json::json!(65_536),
            "params.kappa: invalid value",
        ),
        (
            "/params/yuma",
            serde_json::json!(4),
            "params.yuma: 4, but it is 2 or 3",
        ),
        (
            "/params/bonds_moving_average",
            serde_json::json!(1_000_001),
            "params.bonds_moving_average: 1000001",
        ),
        (
            "/params/liquid_alpha",
            serde_json::json!({"low": 0.1}),
            "params.liquid_alpha: missing field `high`",
        ),
        (
            "/params/liquid_alpha/low",
            serde_json::json!(0.4),
            "params.liquid_alpha.low: above",
        ),
        (
            "/params/liquid_alpha/high",
            serde_json::json!(1.5),
            "params.liquid_alpha.high: 1.5",
        ),
        (
            "/epochs/0",
            serde_json::json!({}),
            "epochs[0]: missing field `set_weights`",
        ),
        (
            "/epochs/0",
            serde_json::json!({"set_weights": {}, "activ": []}),
            "epochs[0].activ: unknown field",
        ),
        (
            "/epochs/0/set_weights",
            serde_json::json!({"3": [0, 0, 0]}),
            "epochs[0].set_weights.3: no such uid",
        ),
        (
            "/epochs/0/set_weights/0",
            serde_json::json!([1, 2]),
            "epochs[0].set_weights.0: 2 entries",
        ),
    ];
    for (field, value, expected) in cases {
        let mut json = scenario_json();
        *json.pointer_mut(field).unwrap() = value;
        let error = Scenario::parse(&json.to_string()).unwrap_err();
        assert!(error.starts_with(expected), "{field}: {error}");
    }
}
