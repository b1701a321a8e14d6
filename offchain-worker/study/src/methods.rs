//! From the workers' pseudo-gradients to the next parameters, by each method.

use cairn_gradient::{
    encode, outer_step, Compressor, Contribution, Header, SparseTensor, Turn, Work, BLOCK,
};
use cairn_primitives::{Compression, Layout, ModelRoot, Nano, Netuid, OuterStep, Standing, Uid};
use cairn_protocol::combination::{self, Brought};
use cairn_trainer::muon::orthogonal;

use crate::anywhere::Taken;
use crate::axes::Axes;
use crate::cell::{After, Cell, Heard, Method, Places, Quantiser, Shares};
use crate::delay::{left, subtract, LastRound};
use crate::dense::Sender;
use crate::scatter::{bins, placed, scatter, Values};
use crate::turns::in_turn;
use crate::Failed;

/// Bits of a value in Templar's format, by its authors' count: 12 for its place, 2 for itself.
const TEMPLAR_BITS: u64 = 14;

/// What workers and the outer step remember from round to round.
pub struct Exchange<'a> {
    cell: &'a Cell,
    layout: &'a Layout,
    /// One error feedback per worker.
    errors: Vec<Vec<f32>>,
    /// The outer momentum, or the last step.
    velocity: Vec<f32>,
    /// What is to make up for a delay.
    last: LastRound,
    /// Along which values are chosen, if not by place.
    axes: Option<Axes>,
    /// Bytes that one worker has sent.
    pub bytes: u64,
    /// The sum over rounds of how much of what workers had they sent, by squares; of values anywhere.
    pub taken: f64,
    /// The sum of a round's inner rates.
    pub path: f64,
}

impl<'a> Exchange<'a> {
    pub fn new(cell: &'a Cell, layout: &'a Layout) -> Exchange<'a> {
        let zeros = vec![0.0; layout.parameters()];
        Exchange {
            cell,
            layout,
            errors: vec![zeros.clone(); cell.workers],
            velocity: zeros,
            last: LastRound::new(cell, layout),
            axes: cell.turned.map(|decay| Axes::new(layout, decay)),
            bytes: 0,
            taken: 0.0,
            path: 0.0,
        }
    }

    /// The parameters at which a worker begins a round that is made from `base`.
    pub fn start(&self, worker: usize, base: &[f32]) -> Vec<f32> {
        let mut start = base.to_vec();
        if self.cell.ahead != 0.0 {
            subtract(&mut start, self.cell.ahead as f32, &self.errors[worker]);
        }
        self.last.begin(worker, &mut start);
        start
    }

    /// Moves the parameters by what the workers found in a round.
    pub fn round(
        &mut self,
        theta: &mut [f32],
        round: usize,
        deltas: &[Vec<f32>],
    ) -> Result<(), Failed> {
        let before = theta.to_vec();
        if self.cell.expected != 0.0 {
            return self.beyond_the_expected(theta, round, deltas);
        }
        self.exchanged(theta, round, deltas)?;
        self.orthogonalised(theta, &before);
        self.outside(theta, &before, round);
        self.last.met(theta, &before);
        Ok(())
    }

    /// The step that is expected, which costs no bytes, and what workers send beyond it.
    fn beyond_the_expected(
        &mut self,
        theta: &mut [f32],
        round: usize,
        deltas: &[Vec<f32>],
    ) -> Result<(), Failed> {
        let before = theta.to_vec();
        let share = self.cell.expected as f32;
        let expected: Vec<f32> = self.velocity.iter().map(|step| share * step).collect();
        let beyond = |delta: &Vec<f32>| -> Vec<f32> {
            let pairs = delta.iter().zip(&expected);
            pairs.map(|(delta, expected)| delta - expected).collect()
        };
        let beyond: Vec<Vec<f32>> = deltas.iter().map(beyond).collect();
        self.exchanged(theta, round, &beyond)?;
        let moved = theta.iter_mut().zip(&before).zip(&expected);
        for (step, ((theta, before), expected)) in self.velocity.iter_mut().zip(moved) {
            *theta -= expected;
            *step = before - *theta;
        }
        Ok(())
    }

    fn exchanged(
        &mut self,
        theta: &mut [f32],
        round: usize,
        deltas: &[Vec<f32>],
    ) -> Result<(), Failed> {
        match self.cell.method {
            Method::AdamW | Method::DiLoCo => {
                self.bytes += 4 * theta.len() as u64;
                self.last.sent(deltas.iter().cloned());
                mean(deltas, theta);
            }
            Method::Templar | Method::Cairn => self.sparse(theta, round, deltas)?,
            Method::Dense => self.dense(theta, round, deltas),
        }
        Ok(())
    }

    /// The methods step with rate 1; from there to the cell's rate and Nesterov momentum.
    fn outside(&mut self, theta: &mut [f32], before: &[f32], round: usize) {
        let warm = match self.cell.outer_warmup {
            0 => 1.0,
            rounds => ((round + 1) as f64 / rounds as f64).min(1.0),
        };
        let (rate, momentum) = (self.cell.outer_rate * warm, self.cell.momentum);
        if (rate, momentum) == (1.0, 0.0) {
            return;
        }
        for ((theta, before), velocity) in theta.iter_mut().zip(before).zip(&mut self.velocity) {
            let change = f64::from(before - *theta);
            let moved = momentum * f64::from(*velocity) + change;
            *velocity = moved as f32;
            *theta = before - (rate * (change + momentum * moved)) as f32;
        }
    }

    /// All values of all workers, rounded; what that leaves is fed back.
    fn dense(&mut self, theta: &mut [f32], round: usize, deltas: &[Vec<f32>]) {
        let (mut sent, mut bits) = (Vec::with_capacity(deltas.len()), 0.0);
        for (worker, (error, delta)) in self.errors.iter_mut().zip(deltas).enumerate() {
            let share = match self.cell.shares {
                Shares::None => None,
                Shares::Own => Some((worker, deltas.len())),
                Shares::Turns => Some(((worker + round) % deltas.len(), deltas.len())),
            };
            let sender = Sender {
                layout: self.layout,
                code: self.cell.code,
                beta: self.cell.decay_in(round) as f32,
                share,
            };
            let (all, taken) = sender.send(error, delta);
            sent.push(all);
            bits += taken;
        }
        self.bytes += (bits / 8.0 / deltas.len() as f64).ceil() as u64;
        self.last.sent(sent.iter().cloned());
        match self.cell.shares {
            Shares::None => mean(&sent, theta),
            _ => sent.iter().for_each(|own| subtract(theta, 1.0, own)),
        }
    }

    /// What the cell does with the blocks' matrices after the exchange.
    fn orthogonalised(&self, theta: &mut [f32], before: &[f32]) {
        if self.cell.after == After::Nothing {
            return;
        }
        let of_blocks = self.layout.ranges().filter(|(t, _)| t.is_of_a_block());
        for (tensor, range) in of_blocks {
            let pairs = before[range.clone()].iter().zip(&theta[range.clone()]);
            let mut step: Vec<f32> = pairs.map(|(before, after)| before - after).collect();
            let length = norm(&step);
            let sides = [tensor.shape[0], tensor.shape[1]];
            orthogonal(&mut step, sides[1] as usize);
            let longer = f64::from(sides[0].max(sides[1]));
            let factor = match self.cell.after {
                After::Nothing => 0.0,
                After::Spread(gain) => gain * length / norm(&step).max(1e-30),
                After::Muon(gain) => {
                    gain * self.path * self.cell.rms.unwrap_or(0.2) * longer.sqrt()
                }
            };
            let moved = theta[range.clone()].iter_mut().zip(&before[range]);
            for ((theta, before), step) in moved.zip(&step) {
                *theta = before - factor as f32 * step;
            }
        }
    }

    fn sparse(
        &mut self,
        theta: &mut [f32],
        round: usize,
        deltas: &[Vec<f32>],
    ) -> Result<(), Failed> {
        if self.cell.places == Places::Anywhere {
            self.anywhere(theta, round, deltas);
            return Ok(());
        }
        let mut sent = Vec::with_capacity(deltas.len());
        for (worker, delta) in deltas.iter().enumerate() {
            sent.push(self.select(worker, round, delta)?);
        }
        self.bytes += self.bytes_of(&sent[0], round)?;
        if self.cell.heard == Heard::Ignored {
            return self.apply(theta, sent);
        }
        let before = theta.to_vec();
        self.apply(theta, sent.clone())?;
        self.hear(theta, &before, &sent);
        Ok(())
    }

    /// The largest values of the whole model, by place or along the axes of what is settled.
    fn anywhere(&mut self, theta: &mut [f32], round: usize, deltas: &[Vec<f32>]) {
        let (layout, rho) = (self.layout, self.rho());
        let blocks = layout.parameters() as f64 / BLOCK as f64;
        let taken = Taken {
            layout,
            axes: self.axes.as_ref(),
            beta: self.cell.decay_in(round) as f32,
            count: (f64::from(self.cell.kept_in(round)) * blocks).round() as usize,
        };
        let found = taken.round(&mut self.errors, deltas, rho);
        self.bytes += found.bytes;
        self.taken += found.share;
        self.last
            .sent(found.sent.iter().map(|sent| taken.spread(sent)));
        subtract(theta, 1.0, &found.step);
        if let Some(axes) = &mut self.axes {
            axes.learn(layout, &found.step);
        }
    }

    fn apply(&mut self, theta: &mut [f32], sent: Vec<Vec<SparseTensor>>) -> Result<(), Failed> {
        let layout = self.layout;
        match self.quantiser() {
            Quantiser::Levels => {
                let values = |tensors: &Vec<SparseTensor>| {
                    let of_each = tensors.iter().map(SparseTensor::values);
                    placed(layout, of_each.map(|values| values.map(numbered)))
                };
                self.last.sent(sent.iter().map(values));
                self.step(theta, sent)
            }
            quantiser => {
                let values: Vec<Vec<Values>> = sent
                    .iter()
                    .enumerate()
                    .map(|(worker, tensors)| self.round_anew(worker, tensors, quantiser))
                    .collect();
                let of_each = values.iter().map(|tensors| {
                    let tensors = tensors.iter().map(|values| values.iter().copied());
                    placed(layout, tensors)
                });
                self.last.sent(of_each);
                scatter(theta, layout, &values, self.rho());
                Ok(())
            }
        }
    }

    /// Lessens each worker's unsent part where others moved the parameters in its direction, down to nothing.
    fn hear(&mut self, theta: &[f32], before: &[f32], sent: &[Vec<SparseTensor>]) {
        for (error, tensors) in self.errors.iter_mut().zip(sent) {
            let rest = error.clone();
            let moved = before
                .iter()
                .zip(theta)
                .map(|(before, after)| before - after);
            for (error, moved) in error.iter_mut().zip(moved) {
                *error = left(*error, moved);
            }
            // where it sent something itself, the rest is what it rounded away
            for (tensor, (_, range)) in tensors.iter().zip(self.layout.ranges()) {
                for (place, _) in tensor.values() {
                    let place = range.start + place as usize;
                    error[place] = rest[place];
                }
            }
        }
    }

    /// The outer step as the chain's workers take it.
    fn step(&self, theta: &mut [f32], sent: Vec<Vec<SparseTensor>>) -> Result<(), Failed> {
        let trusted = Standing {
            trust: u16::MAX,
            is_proven: true,
        };
        let brought = (0..sent.len()).map(|worker| Brought {
            standing: trusted,
            steps: self.cell.steps_of(worker) as u32,
        });
        let counts = combination::counts(self.cell.combine, &brought.collect::<Vec<_>>());
        let contributions: Vec<(Uid, u16, Contribution)> = (0..)
            .map(Uid)
            .zip(counts)
            .zip(sent)
            .map(|((uid, count), tensors)| (uid, count, self.contribution(tensors)))
            .collect();
        let outer = OuterStep {
            learning_rate: Nano::ONE,
            rho: Nano::from_f64(self.rho()).ok_or("ρ is not from 0 to 1")?,
            clip: Nano::from_f64(self.cell.clip.unwrap_or(1.0)).ok_or("no such clip")?,
            combine: Default::default(),
        };
        outer_step(theta, self.layout, &contributions, &outer)?;
        Ok(())
    }

    /// What a worker sends of each tensor; its error feedback keeps the rest. Templar's variant selects as ours
    /// does, of vectors too, all of which it really sends.
    fn select(
        &mut self,
        worker: usize,
        round: usize,
        delta: &[f32],
    ) -> Result<Vec<SparseTensor>, Failed> {
        let compression = self.compression(worker, round)?;
        let compressor = Compressor::new(&compression)?;
        let error = &mut self.errors[worker];
        let mut sent = Vec::new();
        for (tensor, range) in self.layout.ranges() {
            let (delta, error) = (&delta[range.clone()], &mut error[range]);
            sent.push(match self.cell.places {
                Places::Largest | Places::Anywhere => compressor.tensor(tensor, delta, error)?,
                Places::Turns => in_turn(tensor, &compression, round, delta, error)?,
            });
        }
        Ok(sent)
    }

    /// What a worker sends, rounded by another quantiser than ours, with its error feedback set right.
    fn round_anew(
        &mut self,
        worker: usize,
        tensors: &[SparseTensor],
        quantiser: Quantiser,
    ) -> Vec<Values> {
        let mut sent = Vec::with_capacity(tensors.len());
        for (tensor, (_, range)) in tensors.iter().zip(self.layout.ranges()) {
            let error = &mut self.errors[worker][range];
            tensor.add_to(error);
            let places: Vec<usize> = tensor.values().map(|(i, _)| i as usize).collect();
            let exact: Vec<f32> = places.iter().map(|place| error[*place]).collect();
            let rounded = match quantiser {
                Quantiser::Bins => bins(&exact),
                _ => exact,
            };
            for (place, value) in places.iter().zip(&rounded) {
                error[*place] -= value;
            }
            sent.push(places.into_iter().zip(rounded).collect());
        }
        sent
    }

    /// Bytes of one worker's contribution.
    fn bytes_of(&self, sent: &[SparseTensor], round: usize) -> Result<u64, Failed> {
        let values: u64 = sent
            .iter()
            .map(|tensor| tensor.values().count() as u64)
            .sum();
        if self.cell.method == Method::Templar {
            return Ok((values * TEMPLAR_BITS).div_ceil(8));
        }
        if self.cell.places == Places::Turns {
            // two bits for a value and two levels for a block
            let blocks = self.layout.parameters().div_ceil(BLOCK) as u64;
            return Ok(values.div_ceil(4) + 4 * blocks);
        }
        let contribution = self.contribution(sent.to_vec());
        let file = encode(&contribution, self.layout, &self.compression(0, round)?)?.len() as u64;
        Ok(match self.cell.quantiser {
            Quantiser::Levels | Quantiser::Bins => file,
            Quantiser::Exact => file + (values * 30).div_ceil(8),
        })
    }

    fn quantiser(&self) -> Quantiser {
        match self.cell.method {
            Method::Templar => Quantiser::Bins,
            _ => self.cell.quantiser,
        }
    }

    fn rho(&self) -> f64 {
        match self.cell.method {
            Method::Templar => 0.0,
            _ => self.cell.rho,
        }
    }

    fn compression(&self, worker: usize, round: usize) -> Result<Compression, Failed> {
        let (uid, turns) = (Uid(worker as u16), self.cell.turns);
        Ok(Compression {
            kept_per_block: self.cell.kept_in(round),
            error_decay: Nano::from_f64(self.cell.decay_in(round)).ok_or("β is not from 0 to 1")?,
            turn: (turns > 0).then(|| Turn::in_round(uid, round as u32, turns)),
        })
    }

    fn contribution(&self, tensors: Vec<SparseTensor>) -> Contribution {
        let header = Header {
            netuid: Netuid(0),
            round: 0,
            hotkey: [0; 32].into(),
            parent_root: ModelRoot::zero(),
            layout_hash: self.layout.hash(),
            inner_steps: self.cell.inner_steps as u32,
            tokens: 0,
            mean_loss: 0.0,
            work: Work::default(),
        };
        Contribution { header, tensors }
    }
}

/// A value with its place as a number.
fn numbered((place, value): (u32, f32)) -> (usize, f32) {
    (place as usize, value)
}

/// The Euclidean norm.
fn norm(numbers: &[f32]) -> f64 {
    let squares = numbers.iter().map(|x| f64::from(*x).powi(2));
    squares.sum::<f64>().sqrt()
}

/// θ ← θ − the mean of the pseudo-gradients.
fn mean(deltas: &[Vec<f32>], theta: &mut [f32]) {
    let count = deltas.len() as f32;
    for (index, theta) in theta.iter_mut().enumerate() {
        let sum: f32 = deltas.iter().map(|delta| delta[index]).sum();
        *theta -= sum / count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::Code;
    use crate::grid::{base, cairn};
    use cairn_primitives::{Combination, Tensor};

    fn layout() -> Layout {
        let tensor = |name: &str, shape: &[u32]| Tensor {
            name: name.into(),
            shape: shape.to_vec(),
        };
        Layout(vec![tensor("matrix", &[128, 64]), tensor("vector", &[64])])
    }

    /// Pseudo-gradients without a pattern.
    fn deltas(workers: usize, length: usize) -> Vec<Vec<f32>> {
        let value = |n: usize| (n.wrapping_mul(2_654_435_761) % 10_007) as f32 / 10_007.0 - 0.5;
        let worker = |w: usize| (0..length).map(|i| value(i + w * length).powi(3)).collect();
        (0..workers).map(worker).collect()
    }

    /// The parameters after some rounds, what the workers have not sent yet, and the sum of what they found.
    fn play(cell: &Cell) -> (Vec<f32>, Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let layout = layout();
        let deltas = deltas(cell.workers, layout.parameters());
        let mut exchange = Exchange::new(cell, &layout);
        let mut theta = vec![0.0; layout.parameters()];
        for round in 0..cell.rounds {
            exchange.round(&mut theta, round, &deltas).unwrap();
        }
        (theta, exchange.errors, deltas)
    }

    /// Two workers find the opposite of each other, one of them in a quarter of the steps: it counts as much, or a
    /// quarter.
    #[test]
    fn by_tokens_a_slow_worker_counts_less() {
        let layout = layout();
        let delta = deltas(1, layout.parameters()).remove(0);
        let against: Vec<f32> = delta.iter().map(|x| -x).collect();
        let moved = |cell: &Cell, deltas: &[Vec<f32>]| {
            let mut theta = vec![0.0; layout.parameters()];
            let mut exchange = Exchange::new(cell, &layout);
            exchange.round(&mut theta, 0, deltas).unwrap();
            theta
        };
        let mut cell = Cell {
            slow: 1,
            ..cairn(2, 4, 1, 4_096, 1.0)
        };
        let both = [delta, against];
        let by_trust = moved(&cell, &both);
        cell.combine = Combination::Tokens;
        let by_tokens = moved(&cell, &both);
        let alone = moved(&cairn(1, 4, 1, 4_096, 1.0), &both[..1]);
        assert!(alone.iter().any(|theta| theta.abs() > 0.01));
        for ((by_trust, by_tokens), alone) in by_trust.iter().zip(&by_tokens).zip(&alone) {
            assert!(by_trust.abs() < 1e-6, "{by_trust}");
            // (4 − 1) / (4 + 1)
            assert!(
                (by_tokens - 0.6 * alone).abs() < 1e-4,
                "{by_tokens} {alone}"
            );
        }
    }

    /// With ρ and β of 1, parameters and unsent parts add up to the mean of all pseudo-gradients, however they are
    /// selected and rounded, as long as no norm is clipped.
    #[test]
    fn nothing_is_lost() {
        for (places, quantiser) in [
            (Places::Largest, Quantiser::Levels),
            (Places::Largest, Quantiser::Bins),
            (Places::Largest, Quantiser::Exact),
            (Places::Turns, Quantiser::Levels),
            (Places::Anywhere, Quantiser::Levels),
        ] {
            let cell = Cell {
                error_decay: 1.0,
                places,
                quantiser,
                turned: (places == Places::Anywhere).then_some(0.5),
                ..cairn(1, 1, 5, 64, 1.0)
            };
            let (theta, errors, deltas) = play(&cell);
            for (i, theta) in theta.iter().enumerate() {
                let found = cell.rounds as f32 * deltas[0][i];
                assert!((errors[0][i] - theta - found).abs() < 1e-5, "{cell:?}");
            }
        }
    }

    /// What a worker keeps is what it had less what the others apply, also along axes that have turned.
    #[test]
    fn what_is_applied_is_what_the_sender_deducts() {
        let layout = layout();
        let cell = Cell {
            places: Places::Anywhere,
            turned: Some(0.5),
            error_decay: 0.5,
            ..cairn(1, 1, 4, 64, 0.0)
        };
        let mut exchange = Exchange::new(&cell, &layout);
        let mut theta = vec![0.0; layout.parameters()];
        let found = deltas(4, layout.parameters());
        for (round, delta) in found.iter().enumerate() {
            let (before, kept) = (theta.clone(), exchange.errors[0].clone());
            let delta = std::slice::from_ref(delta);
            exchange.round(&mut theta, round, delta).unwrap();
            for (i, error) in exchange.errors[0].iter().enumerate() {
                let applied = before[i] - theta[i];
                let expected = 0.5 * kept[i] + delta[0][i] - applied;
                assert!((error - expected).abs() < 1e-5, "{error} {expected}");
            }
            // 129 values of 8,256: of as many places, or along axes that have turned of more
            let moved = theta.iter().zip(&before).filter(|(a, b)| a != b).count();
            let is_turned = moved > 129;
            assert!(moved >= 129 && is_turned == (round > 0), "{moved}");
        }
        assert!(exchange.bytes < 4 * 200);
    }

    #[test]
    fn without_loss_sparse_is_dense() {
        let dense = Cell {
            error_decay: 0.0,
            quantiser: Quantiser::Exact,
            ..cairn(1, 1, 3, 4_096, 1.0)
        };
        let (theta, ..) = play(&dense);
        let (expected, ..) = play(&base(Method::DiLoCo, 1, 1, 3));
        for (theta, expected) in theta.iter().zip(&expected) {
            assert!((theta - expected).abs() < 1e-6, "{theta} {expected}");
        }
    }

    /// Nor does what was expected and did not come.
    #[test]
    fn what_is_expected_is_no_loss() {
        let cell = Cell {
            error_decay: 1.0,
            expected: 0.5,
            code: Code::Three(1.0),
            ..base(Method::Dense, 1, 1, 6)
        };
        let (theta, errors, deltas) = play(&cell);
        for (i, theta) in theta.iter().enumerate() {
            let found = cell.rounds as f32 * deltas[0][i];
            assert!((errors[0][i] - theta - found).abs() < 1e-5);
        }
    }

    /// What is rounded away comes later.
    #[test]
    fn dense_codes_lose_nothing_either() {
        for code in [Code::None, Code::Two, Code::Sign, Code::Three(1.0)] {
            let cell = Cell {
                error_decay: 1.0,
                code,
                ..base(Method::Dense, 1, 1, 5)
            };
            let (theta, errors, deltas) = play(&cell);
            for (i, theta) in theta.iter().enumerate() {
                let found = cell.rounds as f32 * deltas[0][i];
                assert!((errors[0][i] - theta - found).abs() < 1e-5, "{cell:?}");
            }
        }
    }

    /// A step that is spread is as long as before, or so many times as long.
    #[test]
    fn a_spread_step_keeps_its_length() {
        let mut layout = layout();
        layout.0[0].name = "model.layers.0.some.weight".into();
        let cell = Cell {
            after: After::Spread(2.0),
            ..base(Method::DiLoCo, 1, 1, 1)
        };
        let deltas = deltas(1, layout.parameters());
        let mut exchange = Exchange::new(&cell, &layout);
        let mut theta = vec![0.0; layout.parameters()];
        exchange.round(&mut theta, 0, &deltas).unwrap();
        let matrix = layout.0[0].len();
        let ratio = norm(&theta[..matrix]) / norm(&deltas[0][..matrix]);
        assert!((ratio - 2.0).abs() < 1e-4, "{ratio}");
        let vector = theta[matrix..].iter().zip(&deltas[0][matrix..]);
        assert!(vector.into_iter().all(|(theta, delta)| *theta == -delta));
    }

    /// What a worker begins the next round with is what it sent: what it found less what it keeps.
    #[test]
    fn an_eager_worker_begins_with_what_it_sent() {
        let sparse = |quantiser| Cell {
            quantiser,
            ..cairn(2, 1, 1, 64, 0.0)
        };
        for cell in [
            base(Method::DiLoCo, 2, 1, 1),
            Cell {
                code: Code::Two,
                ..base(Method::Dense, 2, 1, 1)
            },
            sparse(Quantiser::Levels),
            sparse(Quantiser::Bins),
        ] {
            let layout = layout();
            let cell = Cell {
                delay: 1,
                eager: 0.5,
                ..cell
            };
            let mut exchange = Exchange::new(&cell, &layout);
            let start = vec![1.0; layout.parameters()];
            assert_eq!(exchange.start(1, &start), start, "nothing is sent yet");
            let deltas = deltas(2, layout.parameters());
            let mut theta = start.clone();
            exchange.round(&mut theta, 0, &deltas).unwrap();
            let begun = exchange.start(1, &start);
            let kept = deltas[1].iter().zip(&exchange.errors[1]);
            for (begun, (found, kept)) in begun.iter().zip(kept) {
                let expected = 1.0 - 0.5 * (found - kept);
                assert!((begun - expected).abs() < 1e-6, "{cell:?}");
            }
            assert!(begun != start && begun != exchange.start(0, &start));
        }
    }

    /// Rate and momentum by hand: changes of 1 in each round, momentum 0.5, rate 2.
    #[test]
    fn nesterov_by_hand() {
        let layout = Layout(vec![Tensor {
            name: "one".into(),
            shape: vec![1],
        }]);
        let cell = Cell {
            outer_rate: 2.0,
            momentum: 0.5,
            ..base(Method::DiLoCo, 1, 1, 2)
        };
        let mut exchange = Exchange::new(&cell, &layout);
        let mut theta = vec![0.0];
        exchange.round(&mut theta, 0, &[vec![1.0]]).unwrap();
        // velocity 1, step 1 + 0.5 · 1
        assert_eq!(theta, [-3.0]);
        exchange.round(&mut theta, 1, &[vec![1.0]]).unwrap();
        // velocity 1.5, step 1 + 0.5 · 1.5
        assert_eq!(theta, [-6.5]);
    }
}
