//! The epoch as it is defined: on dense matrices, with 128-bit integers, a step at a time. What the crate
//! computes on sparse cells must equal it.

use proptest::{collection::vec, prelude::*};
use yuma::{epoch, BondsRule, Input, LiquidAlpha, Member, Outcome, Params, Pots};

type Matrix = Vec<Vec<u128>>;

const ONE: u128 = 1 << 32;
const SIZE: usize = 9;

fn over(part: u128, whole: u128) -> u128 {
    (part << 32).checked_div(whole).unwrap_or(0)
}

fn times(a: u128, b: u128) -> u128 {
    (a * b) >> 32
}

fn normalised(numbers: &[u128]) -> Vec<u128> {
    let sum = numbers.iter().sum();
    numbers.iter().map(|&number| over(number, sum)).collect()
}

fn matrix(value: impl Fn(usize, usize) -> u128) -> Matrix {
    (0..SIZE)
        .map(|i| (0..SIZE).map(|j| value(i, j)).collect())
        .collect()
}

/// Every column divided by what `of` makes of it.
fn columns_over(m: &Matrix, of: impl Fn(Vec<u128>) -> u128) -> Matrix {
    let wholes: Vec<u128> = (0..SIZE)
        .map(|j| of(m.iter().map(|row| row[j]).collect()))
        .collect();
    matrix(|i, j| over(m[i][j], wholes[j]))
}

fn sum(numbers: Vec<u128>) -> u128 {
    numbers.into_iter().sum()
}

fn share(value: u128) -> u16 {
    u16::try_from((value * 65_535) >> 32).unwrap()
}

#[derive(Clone, Debug)]
struct Subnet {
    stake: Vec<u64>,
    validator: Vec<bool>,
    active: Vec<bool>,
    scores: Vec<Vec<u16>>,
    bonds: Vec<Vec<u16>>,
    params: Params,
}

/// What an epoch gives, dense.
#[derive(Debug)]
struct Model {
    consensus: Vec<u16>,
    incentive: Vec<u16>,
    trust: Vec<u16>,
    dividends: Vec<u16>,
    bonds: Vec<Vec<u16>>,
    /// Dividends before they are normalised.
    earned: u128,
}

impl Subnet {
    fn model(&self) -> Model {
        let total = self.stake.iter().map(|&stake| u128::from(stake)).sum();
        let shares: Vec<u128> = (0..SIZE)
            .map(|i| u128::from(self.validator[i]) * over(self.stake[i].into(), total))
            .collect();
        let active: Vec<u128> = (0..SIZE)
            .map(|i| u128::from(self.active[i]) * shares[i])
            .collect();
        let stake = normalised(&active);
        let votes = |i: usize| u128::from(shares[i] > 0);

        let given = matrix(|i, j| votes(i) * u128::from(i != j) * u128::from(self.scores[i][j]));
        let scores: Matrix = given.iter().map(|row| normalised(row)).collect();
        let consensus: Vec<u128> = (0..SIZE).map(|j| self.median(&scores, &stake, j)).collect();
        let clipped = matrix(|i, j| scores[i][j].min(consensus[j]));
        let ranks: Vec<u128> = (0..SIZE)
            .map(|j| (0..SIZE).map(|i| times(stake[i], clipped[i][j])).sum())
            .collect();
        let incentive = normalised(&ranks);

        let penalty = over(self.params.bonds_penalty.into(), 65_535);
        let followed = matrix(|i, j| {
            let clip = scores[i][j] - clipped[i][j];
            scores[i][j] - (penalty * clip).div_ceil(ONE)
        });
        let stored = matrix(|i, j| votes(i) * u128::from(self.bonds[i][j]));
        let yuma2 = self.params.bonds == BondsRule::Yuma2;
        let (target, old) = match yuma2 {
            true => {
                let bought = matrix(|i, j| times(followed[i][j], stake[i]));
                (columns_over(&bought, sum), columns_over(&stored, sum))
            }
            false => (followed.clone(), matrix(|i, j| over(stored[i][j], 65_535))),
        };
        let consensual = consensus.iter().any(|&agreed| agreed > 0);
        let bonds = matrix(|i, j| {
            let rate = match &self.params.liquid_alpha {
                Some(alpha) if consensual => {
                    liquid_rate(alpha, followed[i][j], consensus[j], target[i][j], old[i][j])
                }
                _ => ONE - over(self.params.bonds_moving_average.into(), 1_000_000),
            };
            times(rate, target[i][j]) + times(ONE - rate, old[i][j])
        });
        let bonds = match yuma2 {
            true => columns_over(&bonds, sum),
            false => bonds,
        };
        let parts = columns_over(&bonds, sum);
        let earned: Vec<u128> = (0..SIZE)
            .map(|i| {
                let bonds = if yuma2 { &bonds[i] } else { &parts[i] };
                let earned = (0..SIZE).map(|j| times(bonds[j], incentive[j])).sum();
                if yuma2 {
                    earned
                } else {
                    times(stake[i], earned)
                }
            })
            .collect();
        let kept = match yuma2 {
            true => columns_over(&bonds, |column| column.into_iter().max().unwrap()),
            false => bonds,
        };
        let shares = |numbers: &[u128]| numbers.iter().map(|&number| share(number)).collect();
        Model {
            consensus: shares(&consensus),
            incentive: shares(&incentive),
            trust: shares(&clipped.into_iter().map(sum).collect::<Vec<_>>()),
            dividends: shares(&normalised(&earned)),
            bonds: kept.iter().map(|row| shares(row)).collect(),
            earned: earned.into_iter().sum(),
        }
    }

    fn median(&self, scores: &Matrix, stake: &[u128], column: usize) -> u128 {
        let masses = normalised(stake);
        let kappa = over(self.params.kappa.into(), 65_535) as i128;
        let minority = masses.iter().sum::<u128>() as i128 - kappa;
        let mut votes: Vec<(u128, u128)> = (0..SIZE)
            .filter(|&i| masses[i] > 0)
            .map(|i| (scores[i][column], masses[i]))
            .collect();
        votes.sort_unstable();
        let mut below = 0;
        for (score, mass) in &votes {
            below += mass;
            if below as i128 > minority {
                return *score;
            }
        }
        votes.last().map_or(0, |vote| vote.0)
    }

    /// What the crate computes.
    fn epoch(&self) -> Vec<Outcome> {
        let rows = |dense: &[Vec<u16>]| -> Vec<Vec<(u16, u16)>> {
            let sparse = |row: &Vec<u16>| {
                let cells = (0..).zip(row.iter().copied());
                cells.filter(|cell| cell.1 > 0).collect()
            };
            dense.iter().map(sparse).collect()
        };
        let (scores, bonds) = (rows(&self.scores), rows(&self.bonds));
        let members: Vec<Member> = (0..SIZE)
            .map(|i| Member {
                uid: i as u16,
                stake: self.stake[i],
                validator: self.validator[i],
                active: self.active[i],
                registered_at: 0,
                scores_set_at: 1,
                scores: &scores[i],
                bonds: &bonds[i],
            })
            .collect();
        let input = Input {
            members: &members,
            last_epoch: 1,
            pots: Pots::default(),
        };
        epoch(&input, &self.params).unwrap().members
    }
}

/// The formula of the rate, in floating point.
fn liquid_rate(alpha: &LiquidAlpha, score: u128, consensus: u128, target: u128, old: u128) -> u128 {
    let distance = match target >= old {
        true => score.saturating_sub(consensus),
        false => old - target,
    };
    let (low, high) = (
        f64::from(alpha.low) / 65_535.0,
        f64::from(alpha.high) / 65_535.0,
    );
    let x = f64::from(alpha.steepness) / 100.0 * (distance as f64 / ONE as f64 - 0.5);
    let rate = low + (high - low) / (1.0 + (-x.clamp(-20.0, 20.0)).exp());
    ((rate * ONE as f64).round() as u128).min(ONE)
}

fn rows() -> impl Strategy<Value = Vec<Vec<u16>>> {
    let value = prop_oneof![Just(0), 1..10u16, any::<u16>()];
    vec(vec(value, SIZE), SIZE)
}

fn subnet(liquid: impl Strategy<Value = Option<LiquidAlpha>>) -> impl Strategy<Value = Subnet> {
    let stake = prop_oneof![Just(0), 1..100u64, any::<u64>()];
    let rule = prop_oneof![Just(BondsRule::Yuma2), Just(BondsRule::Yuma3)];
    let penalty = prop_oneof![Just(0), Just(65_535), any::<u16>()];
    let params = (any::<u16>(), 0..=1_000_000u32, penalty, rule, liquid).prop_map(
        |(kappa, bonds_moving_average, bonds_penalty, bonds, liquid_alpha)| Params {
            kappa,
            bonds_moving_average,
            bonds_penalty,
            bonds,
            liquid_alpha,
        },
    );
    let masks = || vec(prop::bool::weighted(0.8), SIZE);
    (vec(stake, SIZE), masks(), masks(), rows(), rows(), params).prop_map(
        |(stake, validator, active, scores, bonds, params)| Subnet {
            stake,
            validator,
            active,
            scores,
            bonds,
            params,
        },
    )
}

/// Rates not so slow that rounding is all there is to them.
fn liquid_alpha() -> impl Strategy<Value = Option<LiquidAlpha>> {
    (1_638..=65_535u16, 0..=2_000u16)
        .prop_flat_map(|(low, steepness)| (Just(low), low..=65_535, Just(steepness)))
        .prop_map(|(low, high, steepness)| {
            Some(LiquidAlpha {
                low,
                high,
                steepness,
            })
        })
}

fn dense(outcome: &Outcome) -> Vec<u16> {
    let mut dense = vec![0; SIZE];
    for &(uid, bond) in &outcome.bonds {
        dense[usize::from(uid)] = bond;
    }
    dense
}

fn column(outcomes: &[Outcome], value: fn(&Outcome) -> u16) -> Vec<u16> {
    outcomes.iter().map(value).collect()
}

/// Whether no number is further from its counterpart than `by`.
fn within(by: u16, a: &[u16], b: &[u16]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= by)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn sparse_equals_dense_to_the_integer(subnet in subnet(Just(None))) {
        let (model, outcomes) = (subnet.model(), subnet.epoch());
        prop_assert_eq!(column(&outcomes, |o| o.consensus), model.consensus);
        prop_assert_eq!(column(&outcomes, |o| o.incentive), model.incentive);
        prop_assert_eq!(column(&outcomes, |o| o.trust), model.trust);
        prop_assert_eq!(column(&outcomes, |o| o.dividends), model.dividends);
        prop_assert_eq!(outcomes.iter().map(dense).collect::<Vec<_>>(), model.bonds);
    }

    #[test]
    fn liquid_alpha_follows_its_formula(subnet in subnet(liquid_alpha())) {
        let (model, outcomes) = (subnet.model(), subnet.epoch());
        prop_assert_eq!(column(&outcomes, |o| o.consensus), model.consensus);
        prop_assert_eq!(column(&outcomes, |o| o.incentive), model.incentive);
        for (outcome, bonds) in outcomes.iter().zip(&model.bonds) {
            let got = dense(outcome);
            prop_assert!(within(1, &got, bonds), "{}: {:?}, not {:?}", outcome.uid, got, bonds);
        }
        // Where next to nothing was earned, rounding decides who earned it.
        if model.earned > 1 << 20 {
            let got = column(&outcomes, |o| o.dividends);
            prop_assert!(within(2, &got, &model.dividends), "{:?}, not {:?}", got, model.dividends);
        }
    }
}
