//! A round that is made from older parameters than those to which it is applied, and what may make up for that.

use std::collections::VecDeque;

use cairn_primitives::Layout;

use crate::cell::{Cell, Met};

/// The parameters with which the last rounds began.
pub struct Bases {
    /// Rounds between the one that began with them and the one that is made from them.
    delay: usize,
    /// So much of the step that led to them is made once more.
    repeated: f32,
    last: VecDeque<Vec<f32>>,
}

impl Bases {
    pub fn new(cell: &Cell) -> Bases {
        Bases {
            delay: cell.delay,
            repeated: cell.repeated as f32,
            last: VecDeque::new(),
        }
    }

    /// What a round is made from that begins with `theta`.
    pub fn begin(&mut self, theta: &[f32]) -> Vec<f32> {
        self.last.push_back(theta.to_vec());
        if self.last.len() > self.delay + 2 {
            self.last.pop_front();
        }
        let base = (self.last.len() - 1).saturating_sub(self.delay);
        let before = &self.last[base.saturating_sub(1)];
        let base = &self.last[base];
        if self.repeated == 0.0 {
            return base.clone();
        }
        let pairs = base.iter().zip(before);
        pairs
            .map(|(base, before)| base + self.repeated * (base - before))
            .collect()
    }
}

/// What a round takes from the one before it.
pub struct LastRound {
    eager: f32,
    met: Met,
    /// What each worker sent, if workers begin with some of it.
    own: Vec<Vec<f32>>,
    /// The step that was made.
    step: Vec<f32>,
}

impl LastRound {
    /// Before the first round.
    pub fn new(cell: &Cell, layout: &Layout) -> LastRound {
        LastRound {
            eager: cell.eager as f32,
            met: cell.met,
            own: Vec::new(),
            step: vec![0.0; layout.parameters()],
        }
    }

    /// Keeps what each worker sent, if workers begin the next round with some of it.
    pub fn sent(&mut self, sent: impl Iterator<Item = Vec<f32>>) {
        if self.eager != 0.0 {
            self.own = sent.collect();
        }
    }

    /// Takes so much of what a worker sent off the base from which it begins.
    pub fn begin(&self, worker: usize, base: &mut [f32]) {
        if let Some(own) = self.own.get(worker) {
            subtract(base, self.eager, own);
        }
    }

    /// Takes the step that was made while this one was found off it, as the cell says.
    pub fn met(&mut self, theta: &mut [f32], before: &[f32]) {
        if self.met == Met::Ignored {
            return;
        }
        for ((theta, before), step) in theta.iter_mut().zip(before).zip(&mut self.step) {
            let found = before - *theta;
            *step = match self.met {
                Met::Ignored => found,
                Met::Less(share) => found - share as f32 * *step,
                Met::Deducted => left(found, *step),
            };
            *theta = before - *step;
        }
    }
}

/// What is left to say where the parameters moved too.
pub fn left(unsent: f32, moved: f32) -> f32 {
    match unsent.is_sign_negative() == moved.is_sign_negative() {
        true => (unsent.abs() - moved.abs()).max(0.0).copysign(unsent),
        false => unsent,
    }
}

/// `from` ← `from` − share · `what`.
pub fn subtract(from: &mut [f32], share: f32, what: &[f32]) {
    for (from, what) in from.iter_mut().zip(what) {
        *from -= share * what;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Method;
    use crate::grid::base;
    use crate::methods::Exchange;
    use crate::overlap::late;
    use cairn_primitives::Tensor;

    /// A layout of one value.
    fn one() -> Layout {
        Layout(vec![Tensor {
            name: "one".into(),
            shape: vec![1],
        }])
    }

    #[test]
    fn a_step_is_repeated_by_hand() {
        let begun = |repeated| {
            let mut bases = Bases::new(&Cell {
                repeated,
                ..late(base(Method::DiLoCo, 1, 1, 4))
            });
            [1.0, 3.0, 7.0, 8.0].map(|theta| bases.begin(&[theta])[0])
        };
        assert_eq!(begun(0.0), [1.0, 1.0, 3.0, 7.0]);
        // 3 + 0.5 · (3 − 1), 7 + 0.5 · (7 − 3)
        assert_eq!(begun(0.5), [1.0, 1.0, 4.0, 9.0]);
    }

    /// Changes of 1 in two rounds, then of −1.
    #[test]
    fn the_step_before_is_taken_off_by_hand() {
        let after = |met| {
            let cell = Cell {
                delay: 1,
                met,
                ..base(Method::DiLoCo, 1, 1, 3)
            };
            let layout = one();
            let mut exchange = Exchange::new(&cell, &layout);
            let mut theta = vec![0.0];
            let changes = [1.0, 1.0, -1.0].into_iter().enumerate();
            let after = changes.map(|(round, change)| {
                let found = [vec![change]];
                exchange.round(&mut theta, round, &found).unwrap();
                theta[0]
            });
            after.collect::<Vec<f32>>()
        };
        assert_eq!(after(Met::Ignored), [-1.0, -2.0, -1.0]);
        // steps 1, 1 − 0.5 · 1, −1 − 0.5 · 0.5
        assert_eq!(after(Met::Less(0.5)), [-1.0, -1.5, -0.25]);
        assert_eq!(after(Met::Deducted), [-1.0, -1.0, 0.0]);
    }

    #[test]
    fn what_the_parameters_moved_is_said_no_more() {
        let found = [
            (1.0, 0.25),
            (1.0, 2.0),
            (-1.0, -0.25),
            (-1.0, 0.5),
            (1.0, -0.5),
            (1.0, 0.0),
        ];
        let found = found.map(|(unsent, moved)| left(unsent, moved));
        assert_eq!(found, [0.75, 0.0, -0.75, -1.0, 1.0, 1.0]);
    }

    /// Four workers look for a value, and each of them finds it in each round from where it begins: how far from it
    /// the parameters are at most in rounds 7 to 12. With a delay they circle around it, in 6 rounds.
    fn distance(cell: &Cell) -> f32 {
        let layout = one();
        let mut exchange = Exchange::new(cell, &layout);
        let mut bases = Bases::new(cell);
        let mut theta = vec![1f32];
        let mut farthest = 0f32;
        for round in 0..12 {
            let base = bases.begin(&theta);
            // the value is 0, so that what is found is where a worker begins
            let deltas = (0..cell.workers).map(|worker| exchange.start(worker, &base));
            let deltas: Vec<Vec<f32>> = deltas.collect();
            exchange.round(&mut theta, round, &deltas).unwrap();
            if round >= 6 {
                farthest = farthest.max(theta[0].abs());
            }
        }
        farthest
    }

    #[test]
    fn what_makes_up_for_a_delay_where_all_find_the_same() {
        let cell = || late(base(Method::DiLoCo, 4, 1, 12));
        assert_eq!(distance(&cell()), 1.0);
        let eager = |eager| distance(&Cell { eager, ..cell() });
        assert_eq!(eager(1.0), 0.0);
        assert!((0.3..0.4).contains(&eager(0.25)), "{}", eager(0.25));
        let met = |met| distance(&Cell { met, ..cell() });
        assert_eq!(met(Met::Deducted), 0.0);
        assert!((0.05..0.1).contains(&met(Met::Less(0.5))));
        let outer_rate = 0.5;
        let halved = distance(&Cell {
            outer_rate,
            ..cell()
        });
        assert!((0.05..0.1).contains(&halved), "{halved}");
        let repeated = 1.0;
        let overshot = distance(&Cell { repeated, ..cell() });
        assert!(overshot > 10.0, "{overshot}");
    }
}
