//! What holds whatever happens.

use proptest::prelude::*;
use share_pool::{Holding, Pool};

const HOLDERS: usize = 5;

#[derive(Clone, Debug)]
enum Step {
    Deposit(usize, u64),
    Withdraw(usize, u64),
    WithdrawAll(usize),
    Transfer(usize, usize, u64),
    Reward(u64),
    Slash(u64),
}

/// Small amounts, at which rounding matters most, usual ones, and whatever fits.
fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..20u64, 4 => 0..1_000_000_000_000u64, 1 => any::<u64>()]
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..HOLDERS;
    prop_oneof![
        6 => (who(), amount()).prop_map(|(i, a)| Step::Deposit(i, a)),
        4 => (who(), amount()).prop_map(|(i, a)| Step::Withdraw(i, a)),
        1 => who().prop_map(Step::WithdrawAll),
        2 => (who(), who(), amount()).prop_map(|(i, j, a)| Step::Transfer(i, j, a)),
        3 => amount().prop_map(Step::Reward),
        2 => amount().prop_map(Step::Slash),
    ]
}

/// A pool, its holders, and how much money each has taken out less what it put in.
#[derive(Clone, Debug, Default)]
struct World {
    pool: Pool,
    holdings: [Holding; HOLDERS],
    cash: [i128; HOLDERS],
    given: i128,
}

impl World {
    fn play(&mut self, step: Step) {
        match step {
            Step::Deposit(i, amount) => {
                if let Ok(paid) = self.pool.deposit(&mut self.holdings[i], amount) {
                    assert!(paid <= amount);
                    self.cash[i] -= i128::from(paid);
                }
            }
            Step::Withdraw(i, amount) => {
                if let Ok(got) = self.pool.withdraw(&mut self.holdings[i], amount) {
                    assert!(got >= amount);
                    self.cash[i] += i128::from(got);
                }
            }
            Step::WithdrawAll(i) => {
                self.cash[i] += i128::from(self.pool.withdraw_all(&mut self.holdings[i]));
                assert!(self.holdings[i].is_empty());
            }
            Step::Transfer(i, j, amount) if i != j => {
                let (mut from, mut to) = (self.holdings[i], self.holdings[j]);
                if self.pool.transfer(&mut from, &mut to, amount).is_ok() {
                    (self.holdings[i], self.holdings[j]) = (from, to);
                }
            }
            Step::Transfer(..) => {}
            Step::Reward(amount) => {
                if self.pool.reward(amount).is_ok() {
                    self.given += i128::from(amount);
                }
            }
            Step::Slash(amount) => self.given -= i128::from(self.pool.slash(amount)),
        }
    }

    fn worth(&self, i: usize) -> i128 {
        self.pool.worth(&self.holdings[i]).into()
    }

    fn check(&self) {
        let held: u128 = self.holdings.iter().map(|h| self.pool.shares_of(h)).sum();
        assert_eq!(held, self.pool.shares(), "shares are somebody's");
        assert_eq!(self.pool.is_empty(), self.pool.value() == 0);
        let worth: i128 = (0..HOLDERS).map(|i| self.worth(i)).sum();
        let holders = self.holdings.iter().filter(|h| self.pool.shares_of(h) > 0);
        let dust = i128::from(self.pool.value()) - worth;
        let most = holders.count() as i128;
        assert!(dust >= 0 && dust < most.max(1), "dust of {dust}");
        let cash: i128 = self.cash.iter().sum();
        assert_eq!(i128::from(self.pool.value()) + cash, self.given, "money");
    }
}

fn worlds() -> impl Strategy<Value = World> {
    prop::collection::vec(step(), 0..60).prop_map(|steps| {
        let mut world = World::default();
        for step in steps {
            world.play(step);
        }
        world
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn money_and_shares_add_up(steps in prop::collection::vec(step(), 1..100)) {
        let mut world = World::default();
        for step in steps {
            world.play(step);
            world.check();
        }
    }

    /// Deposits, withdrawals and transfers of some leave the others with at least what they had.
    #[test]
    fn nobody_loses_by_what_others_do(
        mut world in worlds(), steps in prop::collection::vec(step(), 1..40),
    ) {
        let still = [0, 1];
        let before = still.map(|i| world.worth(i));
        for step in steps {
            let theirs = match &step {
                Step::Deposit(i, _) | Step::Withdraw(i, _) | Step::WithdrawAll(i) => *i > 1,
                Step::Transfer(i, j, _) => *i > 1 && *j > 1,
                Step::Reward(_) | Step::Slash(_) => false,
            };
            if theirs {
                world.play(step);
                for (i, before) in still.into_iter().zip(before) {
                    prop_assert!(world.worth(i) >= before);
                }
            }
        }
    }

    /// Whatever some do among themselves, in however many parts and names: once they are out again they have no
    /// more than before, and rounding has cost each of their steps at most a unit.
    #[test]
    fn nobody_gains_by_splitting(
        mut world in worlds(), steps in prop::collection::vec(step(), 1..40),
    ) {
        let ours = 2..HOLDERS;
        let leave = |world: &mut World| {
            ours.clone().for_each(|i| world.play(Step::WithdrawAll(i)));
            ours.clone().map(|i| world.cash[i]).sum::<i128>()
        };
        let before = leave(&mut world);
        let mut played = ours.len() as i128;
        for step in steps {
            let theirs = match &step {
                Step::Deposit(i, _) | Step::Withdraw(i, _) | Step::WithdrawAll(i) => ours.contains(i),
                Step::Transfer(i, j, _) => ours.contains(i) && ours.contains(j),
                Step::Reward(_) | Step::Slash(_) => false,
            };
            if theirs {
                world.play(step);
                played += 1;
            }
        }
        let after = leave(&mut world);
        prop_assert!(after <= before, "{before} became {after}");
        prop_assert!(after >= before - played, "{before} became {after}");
    }

    /// A deposit and a withdrawal at once cost at most a unit, and never bring any.
    #[test]
    fn in_and_out_is_no_business(mut world in worlds(), amount in amount()) {
        let mut holding = Holding::default();
        if let Ok(paid) = world.pool.deposit(&mut holding, amount) {
            let got = world.pool.withdraw_all(&mut holding);
            prop_assert!(got <= paid && got + 1 >= paid, "{paid} became {got}");
        }
    }

    /// A reward is shared in proportion, to the unit.
    #[test]
    fn a_reward_is_shared_in_proportion(mut world in worlds(), amount in 0..1_000_000_000_000u64) {
        let (value, shares) = (world.pool.value(), world.pool.shares());
        if world.pool.reward(amount).is_err() {
            return Ok(());
        }
        for holding in &world.holdings {
            let exact = (u128::from(value) + u128::from(amount)) as f64
                * (world.pool.shares_of(holding) as f64 / shares as f64);
            let worth = world.pool.worth(holding) as f64;
            prop_assert!((worth - exact).abs() <= 1.0 + exact * 1e-12, "{worth} for {exact}");
        }
    }
}
