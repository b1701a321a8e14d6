//! A subnet over several epochs, in the format of `tests/vectors/README.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use yuma::{epoch, BondsRule, Input, LiquidAlpha, Member, Output, Params, Pots};

/// What is run. What the vectors expect of it is the tests' business.
#[derive(Clone, Debug, Deserialize)]
pub struct Scenario {
    n: u16,
    stake: Vec<u64>,
    permits: Vec<bool>,
    params: ScenarioParams,
    emission: u64,
    epochs: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioParams {
    kappa: u16,
    bonds_moving_average: u32,
    bonds_penalty: u16,
    yuma: u8,
    liquid_alpha: Option<Liquid>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Liquid {
    low: f64,
    high: f64,
    steepness: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    set_weights: BTreeMap<u16, Vec<u16>>,
    active: Option<Vec<bool>>,
    #[allow(dead_code)] // the tests read it
    #[serde(default)]
    expect: serde_json::Value,
}

/// What the epochs gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In order.
    pub epochs: Vec<EpochReport>,
}

/// What one epoch gave. Shares are of 65,535.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EpochReport {
    /// Per uid what it has of the pot, if miners and validators share it half and half.
    pub emission: Vec<u64>,
    /// Per uid its share as a miner.
    pub incentive: Vec<u16>,
    /// Per uid its share as a validator.
    pub dividends: Vec<u16>,
    /// Per uid the largest score on it that enough stake supports.
    pub consensus: Vec<u16>,
    /// Per uid its bonds in every uid.
    pub bonds: Vec<Vec<u16>>,
}

type Row = Vec<(u16, u16)>;

impl Scenario {
    /// Reads a scenario and checks it. An error names the field.
    pub fn parse(json: &str) -> Result<Scenario, String> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let scenario: Scenario =
            serde_path_to_error::deserialize(&mut reader).map_err(|error| error.to_string())?;
        reader.end().map_err(|error| error.to_string())?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        let n = usize::from(self.n);
        let length = |field: &str, length: usize| match length == n {
            true => Ok(()),
            false => Err(format!("{field}: {length} entries, but n is {n}")),
        };
        length("stake", self.stake.len())?;
        length("permits", self.permits.len())?;
        self.params.check()?;
        for (number, step) in self.epochs.iter().enumerate() {
            if let Some(active) = &step.active {
                length(&format!("epochs[{number}].active"), active.len())?;
            }
            for (uid, row) in &step.set_weights {
                let field = format!("epochs[{number}].set_weights.{uid}");
                if *uid >= self.n {
                    return Err(format!("{field}: no such uid, since n is {n}"));
                }
                length(&field, row.len())?;
            }
        }
        Ok(())
    }

    /// Runs all epochs.
    pub fn run(&self) -> Result<Report, String> {
        let params = self.params.to_params();
        let mut scores = vec![Row::new(); self.n.into()];
        let mut bonds = scores.clone();
        let mut epochs = Vec::new();
        for (number, step) in self.epochs.iter().enumerate() {
            for (uid, row) in &step.set_weights {
                scores[usize::from(*uid)] = (0..).zip(row.iter().copied()).collect();
            }
            let member = |uid: u16| {
                let index = usize::from(uid);
                Member {
                    uid,
                    stake: self.stake[index],
                    validator: self.permits[index],
                    active: step.active.as_ref().is_none_or(|active| active[index]),
                    registered_at: 0,
                    scores_set_at: 1,
                    scores: &scores[index],
                    bonds: &bonds[index],
                }
            };
            let members: Vec<Member> = (0..self.n).map(member).collect();
            let input = Input {
                members: &members,
                last_epoch: 1,
                pots: Pots::default(),
            };
            let output = epoch(&input, &params).map_err(|e| format!("epochs[{number}]: {e}"))?;
            epochs.push(self.report(&output));
            bonds = output.members.into_iter().map(|o| o.bonds).collect();
        }
        Ok(Report { epochs })
    }

    fn report(&self, output: &Output) -> EpochReport {
        let dense = |row: &Row| {
            let mut dense = vec![0; self.n.into()];
            for &(uid, bond) in row {
                dense[usize::from(uid)] = bond;
            }
            dense
        };
        let members = &output.members;
        EpochReport {
            emission: output.combined_emission(self.emission),
            incentive: members.iter().map(|outcome| outcome.incentive).collect(),
            dividends: members.iter().map(|outcome| outcome.dividends).collect(),
            consensus: members.iter().map(|outcome| outcome.consensus).collect(),
            bonds: members
                .iter()
                .map(|outcome| dense(&outcome.bonds))
                .collect(),
        }
    }
}

impl ScenarioParams {
    fn check(&self) -> Result<(), String> {
        if ![2, 3].contains(&self.yuma) {
            return Err(format!("params.yuma: {}, but it is 2 or 3", self.yuma));
        }
        if self.bonds_moving_average > 1_000_000 {
            return Err(format!(
                "params.bonds_moving_average: {}, but it is at most 1,000,000",
                self.bonds_moving_average
            ));
        }
        let Some(liquid) = &self.liquid_alpha else {
            return Ok(());
        };
        for (field, fraction) in [("low", liquid.low), ("high", liquid.high)] {
            if !(0.0..=1.0).contains(&fraction) {
                return Err(format!(
                    "params.liquid_alpha.{field}: {fraction}, but it is a fraction of 1"
                ));
            }
        }
        if liquid.low > liquid.high {
            return Err("params.liquid_alpha.low: above params.liquid_alpha.high".into());
        }
        Ok(())
    }

    fn to_params(&self) -> Params {
        let share = |fraction: f64| (fraction * 65_535.0).round() as u16;
        Params {
            kappa: self.kappa,
            bonds_moving_average: self.bonds_moving_average,
            bonds_penalty: self.bonds_penalty,
            bonds: match self.yuma {
                2 => BondsRule::Yuma2,
                _ => BondsRule::Yuma3,
            },
            liquid_alpha: self.liquid_alpha.as_ref().map(|liquid| LiquidAlpha {
                low: share(liquid.low),
                high: share(liquid.high),
                steepness: liquid.steepness,
            }),
        }
    }
}
