//! How far a card's work may be from what a CPU makes of it again.
//!
//! A card's bits are not a CPU's, so an auditor that replays an interval of a card's steps compares two states: the one
//! that it comes to, and the one that was served. What both began with, and what the optimizer does to it without any
//! gradient, says nothing of the work; so both are compared to a third state, the *idle* one: the optimizer after as
//! many steps whose gradients are zero. What differs from that is what the interval's gradients changed. A distance is
//! what lies between the two changes, over what the auditor's is: of the first moment, of the second in the measure of
//! gradients, which are its roots, and of the parameters. Those of the moments have to be within the run's tolerance, that
//! of the parameters within [`OF_PARAMETERS`] times as much: AdamW's first steps go by the signs of gradients alone, and
//! rounding turns the signs of small ones.
//!
//! Old moments alone move parameters, too, and a first moment beside a second that is far too small moves them far:
//! then most of what changed would come of that one number, and all others could be anything. AdamW's moments are
//! never so: [`are_moments_possible`] is asked of both states that were served.
//!
//! Sums are of `f64`, over the vectors in index order, so that all auditors come to the same answer.

use cairn_primitives::{AuditRules, InnerOptimizer};

/// How many times as far as moments the parameters may be.
pub const OF_PARAMETERS: u32 = 6;

/// The vectors of a state that are compared. All three states have them equally long.
#[derive(Clone, Copy, Debug)]
pub struct Vectors<'a> {
    /// The parameters.
    pub parameters: &'a [f32],
    /// The optimizer's first moment.
    pub first_moment: &'a [f32],
    /// Its second moment.
    pub second_moment: &'a [f32],
}

/// How far two changes lie apart, beside how long the one is that is trusted. Both are sums of squares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distance {
    /// Of what lies between them.
    pub apart: f64,
    /// Of the one that the auditor made.
    pub change: f64,
}

/// What a replay finds of a state that was served.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distances {
    /// Of the first moments: of the gradients, by when they came.
    pub first_moment: Distance,
    /// Of the roots of what the second moments gained: of the gradients without their signs.
    pub second_moment: Distance,
    /// Of the parameters.
    pub parameters: Distance,
    /// Whether vectors are equally long, and nowhere the served second moment is below the idle one, which nothing
    /// that is added to it can bring about.
    pub is_possible: bool,
}

impl Distance {
    /// The part of the change that lies between, from 0 on; no number, or none that is finite, if there is no such
    /// part.
    pub fn relative(&self) -> f64 {
        libm::sqrt(self.apart / self.change)
    }

    /// Whether it is at most so many of 65,536 of the change. Where nothing changed nothing may lie between.
    pub fn is_within(&self, parts: u32) -> bool {
        let part = f64::from(parts) / f64::from(AuditRules::EACH);
        let are_numbers = self.apart.is_finite() && self.change.is_finite();
        are_numbers && self.apart <= part * part * self.change
    }

    /// With one more number: what the idle state has of it, the auditor's, and the one that was served.
    fn and(self, idle: f64, replayed: f64, served: f64) -> Distance {
        let (made, shown) = (replayed - idle, served - idle);
        let between = shown - made;
        Distance {
            apart: self.apart + between * between,
            change: self.change + made * made,
        }
    }
}

impl Distances {
    /// Of what was served, from what was replayed, given the idle state.
    pub fn of(idle: Vectors<'_>, replayed: Vectors<'_>, served: Vectors<'_>) -> Distances {
        let sum = |of: fn(Vectors<'_>) -> &[f32]| {
            let (idle, replayed, served) = (of(idle), of(replayed), of(served));
            each(idle, replayed, served).fold(Distance::default(), |sum, (idle, made, shown)| {
                sum.and(idle, made, shown)
            })
        };
        let seconds = || {
            each(
                idle.second_moment,
                replayed.second_moment,
                served.second_moment,
            )
        };
        let gained = |idle: f64, now: f64| libm::sqrt((now - idle).max(0.0));
        let second_moment = seconds().fold(Distance::default(), |sum, (idle, made, shown)| {
            sum.and(0.0, gained(idle, made), gained(idle, shown))
        });
        Distances {
            first_moment: sum(|vectors| vectors.first_moment),
            second_moment,
            parameters: sum(|vectors| vectors.parameters),
            is_possible: are_as_long(idle, replayed)
                && are_as_long(idle, served)
                // What is no number is not at least anything.
                && seconds().all(|(idle, _, shown)| shown >= idle),
        }
    }

    /// Whether the served state may be honest work, by a tolerance of so many of 65,536.
    pub fn are_within(&self, tolerance: u16) -> bool {
        let (near, far) = (
            u32::from(tolerance),
            u32::from(tolerance).saturating_mul(OF_PARAMETERS),
        );
        let moments = [self.first_moment, self.second_moment];
        let are_near = moments.iter().all(|one| one.is_within(near));
        self.is_possible && are_near && self.parameters.is_within(far)
    }

    /// The part of the change that a tolerance has to allow for this; infinite where none can.
    pub fn needed(&self) -> f64 {
        if !self.is_possible {
            return f64::INFINITY;
        }
        let parameters = self.parameters.relative() / f64::from(OF_PARAMETERS);
        let moments = [self.first_moment, self.second_moment].map(|one| one.relative());
        let parts = moments.into_iter().chain([parameters]);
        parts.fold(0.0, |most: f64, part| match part <= most {
            true => most,
            false if part.is_nan() => f64::INFINITY,
            false => part,
        })
    }
}

/// Whether so many of AdamW's steps from zero moments can lead to these, whatever the gradients were: by the inequality
/// of Cauchy and Schwarz, a first moment is at most a multiple of the second's root. Betas have to be those of a run
/// with a tolerance.
pub fn are_moments_possible(inner: &InnerOptimizer, of: Vectors<'_>, steps: u64) -> bool {
    let [beta1, beta2] = [inner.beta1, inner.beta2].map(|beta| f64::from(beta.to_f32()));
    let ratio = beta1 * beta1 / beta2;
    let sum = (1.0 - libm::pow(ratio, steps as f64)) / (1.0 - ratio);
    // A 64th is far more than `f32` rounds away in as many steps as such betas remember.
    let most = (1.0 - beta1) * libm::sqrt(sum / (1.0 - beta2)) * (1.0 + 1.0 / 64.0);
    // Squares become zero before gradients do: what lies below this moves nothing, beside epsilon.
    let least = inner.epsilon.to_f64() / 65_536.0;
    let mut moments = of.first_moment.iter().zip(of.second_moment);
    of.first_moment.len() == of.second_moment.len()
        // What is no number is not at most anything, nor is the root of what is below zero.
        && moments.all(|(first, second)| {
            let root = libm::sqrt(f64::from(*second));
            root.is_finite() && f64::from(*first).abs() <= most * (root + least)
        })
}

fn are_as_long(one: Vectors<'_>, other: Vectors<'_>) -> bool {
    let lengths = |vectors: Vectors<'_>| {
        [
            vectors.parameters.len(),
            vectors.first_moment.len(),
            vectors.second_moment.len(),
        ]
    };
    lengths(one) == lengths(other)
}

/// The numbers of three vectors, side by side.
fn each<'a>(
    idle: &'a [f32],
    replayed: &'a [f32],
    served: &'a [f32],
) -> impl Iterator<Item = (f64, f64, f64)> + 'a {
    let both = replayed.iter().zip(served);
    let all = idle.iter().zip(both);
    all.map(|(idle, (made, shown))| (f64::from(*idle), f64::from(*made), f64::from(*shown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use cairn_primitives::Nano;
    use proptest::prelude::*;

    /// An eighth, which is more than a run can have.
    const EIGHTH: u16 = 8_192;

    /// A state of two parameters.
    struct State {
        parameters: Vec<f32>,
        first: Vec<f32>,
        second: Vec<f32>,
    }

    impl State {
        fn of(parameters: &[f32], first: &[f32], second: &[f32]) -> State {
            State {
                parameters: parameters.to_vec(),
                first: first.to_vec(),
                second: second.to_vec(),
            }
        }

        fn vectors(&self) -> Vectors<'_> {
            Vectors {
                parameters: &self.parameters,
                first_moment: &self.first,
                second_moment: &self.second,
            }
        }
    }

    fn idle() -> State {
        State::of(&[5.0, -7.0], &[0.9, 0.0], &[4.0, 0.5])
    }

    fn replayed() -> State {
        State::of(&[5.5, -7.5], &[1.9, 2.0], &[8.0, 1.5])
    }

    fn found(served: &State) -> Distances {
        let (idle, replayed) = (idle(), replayed());
        Distances::of(idle.vectors(), replayed.vectors(), served.vectors())
    }

    #[test]
    fn the_same_passes_any_tolerance_and_the_idle_state_none() {
        assert!(found(&replayed()).are_within(0));
        let idle = found(&idle());
        assert!(!idle.are_within(AuditRules::MAX_TOLERANCE) && !idle.are_within(u16::MAX));
        assert!((idle.needed() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn each_vector_is_held_against_what_it_gained() {
        type Spoil = fn(&mut State, f32);
        let spoils: [(Spoil, f32); 3] = [
            // The way of the parameters is √0.5, however far from zero they are; they may be six times as far.
            (
                |state, by| state.parameters[0] += 6.0 * by,
                core::f32::consts::FRAC_1_SQRT_2 - 1e-6,
            ),
            // The first moment gained 1 and 2.
            (|state, by| state.first[1] += by, 2.236_06),
            // The roots of what the second gained are 2 and 1; the second of them grows.
            (
                |state, by| state.second[1] = 0.5 + (1.0 + by) * (1.0 + by),
                2.236_06,
            ),
        ];
        for (spoil, change) in spoils {
            for (part, passes) in [(0.124_5, true), (0.125_5, false)] {
                let mut served = replayed();
                spoil(&mut served, part * change);
                let found = found(&served);
                assert_eq!(found.are_within(EIGHTH), passes, "{found:?}");
                assert!((found.needed() - f64::from(part)).abs() < 1e-4, "{found:?}");
            }
        }
    }

    #[test]
    fn a_second_moment_never_shrinks_faster_than_by_its_decay() {
        let mut served = replayed();
        served.second = vec![8.0, 0.499_999];
        assert!(!found(&served).are_within(u16::MAX));
        // However little there was of it.
        let (mut idle, mut replayed) = (idle(), replayed());
        (idle.second[1], replayed.second[1]) = (1e-20, 1e-20);
        let served = State::of(&[5.5, -7.5], &[1.9, 2.0], &[8.0, 0.0]);
        let found = Distances::of(idle.vectors(), replayed.vectors(), served.vectors());
        assert!(!found.are_within(EIGHTH));
        replayed.second = served.second.clone();
        idle.second[1] = 0.0;
        let found = Distances::of(idle.vectors(), replayed.vectors(), served.vectors());
        assert!(found.are_within(0));
    }

    #[test]
    fn where_nothing_changed_nothing_may_lie_between() {
        let (idle, mut served) = (idle(), idle());
        let of = |served: &State| {
            Distances::of(idle.vectors(), idle.vectors(), served.vectors()).are_within(u16::MAX)
        };
        assert!(of(&served));
        served.parameters[0] = 5.000_001;
        assert!(!of(&served));
    }

    #[test]
    fn what_is_no_number_and_what_is_too_large_fails() {
        let at: [fn(&mut State) -> &mut f32; 3] = [
            |state| &mut state.parameters[1],
            |state| &mut state.first[0],
            |state| &mut state.second[0],
        ];
        for place in at {
            for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
                let mut served = replayed();
                *place(&mut served) = number;
                assert!(!found(&served).are_within(u16::MAX), "{number}");
                assert!(found(&served).needed() > 1.0, "{number}");
                // Nor if the auditor's own is no better.
                let (idle, mut replayed) = (idle(), replayed());
                *place(&mut replayed) = number;
                let both = Distances::of(idle.vectors(), replayed.vectors(), served.vectors());
                assert!(number == f32::MAX || !both.are_within(u16::MAX), "{number}");
            }
        }
    }

    #[test]
    fn a_vector_that_is_shorter_or_longer_fails() {
        let spoils: [fn(&mut State); 4] = [
            |state| state.parameters.truncate(1),
            |state| state.first.push(0.0),
            |state| state.second.clear(),
            |state| state.second.push(1.0),
        ];
        for spoil in spoils {
            let mut served = replayed();
            spoil(&mut served);
            assert!(!found(&served).are_within(u16::MAX));
        }
    }

    /// An optimizer with these betas.
    fn optimizer(beta1: u64, beta2: u64) -> InnerOptimizer {
        InnerOptimizer {
            steps: 10,
            sequences: 1,
            sequence_length: 1,
            learning_rate: Nano(1_000_000),
            final_rate: Nano(0),
            warmup_steps: 0,
            total_steps: 100,
            beta1: Nano(beta1),
            beta2: Nano(beta2),
            epsilon: Nano(10),
            weight_decay: Nano(0),
            clip_norm: Nano::ONE,
            trace_every: 1,
            matrices: Default::default(),
        }
    }

    /// The moments of one parameter after steps with these gradients, in the arithmetic of AdamW.
    fn moments(inner: &InnerOptimizer, gradients: &[f32]) -> (f32, f32) {
        let (beta1, beta2) = (inner.beta1.to_f32(), inner.beta2.to_f32());
        gradients.iter().fold((0.0, 0.0), |(m, v), g| {
            (
                beta1 * m + (1.0 - beta1) * g,
                beta2 * v + (1.0 - beta2) * (g * g),
            )
        })
    }

    fn are_possible(inner: &InnerOptimizer, first: &[f32], second: &[f32], steps: u64) -> bool {
        let vectors = Vectors {
            parameters: &[],
            first_moment: first,
            second_moment: second,
        };
        are_moments_possible(inner, vectors, steps)
    }

    #[test]
    fn moments_that_gradients_lead_to_are_possible() {
        let inner = optimizer(900_000_000, 950_000_000);
        let series: [fn(usize) -> f32; 6] = [
            |_| 1.0,
            |_| 0.0,
            |at| if at % 3 == 0 { 0.5 } else { 0.0 },
            |at| if at < 5 { 1e-3 } else { 0.0 },
            // Grows as the bound's worst gradients do.
            |at| f32::powi(1.055, at as i32) * 1e-6,
            // The square is zero.
            |_| 1e-24,
        ];
        for steps in [0, 1, 2, 7, 40, 90] {
            let of = |one: fn(usize) -> f32| {
                let gradients: Vec<f32> = (0..steps).map(one).collect();
                moments(&inner, &gradients)
            };
            let (first, second): (Vec<f32>, Vec<f32>) = series.into_iter().map(of).unzip();
            assert!(
                are_possible(&inner, &first, &second, steps as u64),
                "{steps}"
            );
        }
    }

    #[test]
    fn a_planted_first_moment_is_impossible() {
        let inner = optimizer(900_000_000, 950_000_000);
        let possible =
            |first: f32, second: f32, steps| are_possible(&inner, &[first], &[second], steps);
        // After one step it is 0.1 g beside 0.05 g²: what is more came of no gradient.
        assert!(possible(0.1, 0.05, 1) && possible(-0.1, 0.05, 1));
        assert!(!possible(0.102, 0.05, 1) && !possible(-0.102, 0.05, 1));
        assert!(!possible(1e-6, 0.0, 40) && !possible(-1e-6, 0.0, 40));
        assert!(possible(0.0, 0.0, 0) && !possible(1e-30, 1.0, 0));
        // However long it was, it is not above 1.17 times the root.
        assert!(possible(1.16, 1.0, u64::MAX) && !possible(1.19, 1.0, u64::MAX));
        for (first, second) in [
            (f32::NAN, 1.0),
            (0.0, f32::NAN),
            (0.0, -1e-12),
            (f32::INFINITY, 1.0),
            (1.0, f32::INFINITY),
        ] {
            assert!(!possible(first, second, 40), "{first} {second}");
        }
        assert!(!are_possible(&inner, &[0.0], &[], 1) && !are_possible(&inner, &[], &[0.0], 1));
    }

    proptest! {
        /// Whatever the gradients, AdamW comes to moments that are possible, by all betas that a run can have.
        #[test]
        fn what_adamw_comes_to_is_possible(
            gradients in prop::collection::vec((-30i32..3, -1.0..1.0f32, any::<bool>()), 0..120),
            (beta1, beta2) in prop::sample::select(vec![
                (900_000_000u64, 950_000_000u64),
                (900_000_000, 999_000_000),
                (949_900_000, 902_500_000),
                (999_000_000, 999_900_000),
                (1, 100_001),
                (1, 999_900_000),
            ]),
        ) {
            let inner = optimizer(beta1, beta2);
            let gradient = |(power, by, is_zero): &(i32, f32, bool)| match is_zero {
                true => 0.0,
                false => by * f32::powi(10.0, *power),
            };
            let gradients: Vec<f32> = gradients.iter().map(gradient).collect();
            let (first, second) = moments(&inner, &gradients);
            let steps = gradients.len() as u64;
            prop_assert!(are_possible(&inner, &[first], &[second], steps), "{} {}", first, second);
        }

        /// Whatever the state, noise of a size passes a tolerance above it and fails one below it, and a power of two
        /// does not matter.
        #[test]
        fn noise_is_as_large_as_it_is(
            numbers in prop::collection::vec((-2.0..2.0f32, 0.1..1.0f32, any::<bool>()), 4..40),
            part in 0.01..0.2f64,
            power in -10i32..10,
        ) {
            let scale = f32::powi(2.0, power);
            let idle: Vec<f32> = numbers.iter().map(|(at, ..)| at * scale).collect();
            let made: Vec<f32> = numbers.iter().map(|(at, by, _)| (at + by) * scale).collect();
            let shown: Vec<f32> = numbers.iter().map(|(at, by, up)| {
                let sign = if *up { 1.0 } else { -1.0 };
                (at + by + sign * part as f32 * by) * scale
            }).collect();
            // The second moment is what these gradients gain from nothing.
            let none = vec![0.0; numbers.len()];
            let squares = |numbers: &[f32], idle: &[f32]| -> Vec<f32> {
                numbers.iter().zip(idle).map(|(now, then)| (now - then) * (now - then)).collect()
            };
            let (second, other) = (squares(&made, &idle), squares(&shown, &idle));
            let of = |numbers, second| Vectors { parameters: numbers, first_moment: numbers, second_moment: second };
            let found = Distances::of(of(&idle, &none), of(&made, &second), of(&shown, &other));
            let needed = found.needed();
            prop_assert!((needed - part).abs() < 1e-3, "{} {}", needed, part);
            let tolerance = |part: f64| (part * 65_536.0) as u16;
            prop_assert!(found.are_within(tolerance(part + 0.002)));
            prop_assert!(!found.are_within(tolerance(part - 0.002)));
        }

        /// Where the change goes another way altogether, no tolerance that a run can have admits it.
        #[test]
        fn another_direction_fails(at in 0usize..8, by in 0.5..2.0f32) {
            let (idle, mut made, mut shown) = (vec![1.0f32; 8], vec![1.0f32; 8], vec![1.0f32; 8]);
            made[at] += by;
            shown[(at + 1) % 8] += by;
            let same = vec![1.0f32; 8];
            let of = |parameters| Vectors { parameters, first_moment: &same, second_moment: &same };
            let found = Distances::of(of(&idle), of(&made), of(&shown));
            prop_assert!(!found.are_within(AuditRules::MAX_TOLERANCE));
        }
    }
}
