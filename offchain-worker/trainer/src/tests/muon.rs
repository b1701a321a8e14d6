//! Muon against a plain reference in `f64`, and its bits.

use cairn_primitives::{InnerOptimizer, Layout, Matrices, ModelShape, Muon, Nano, Tensor};

use super::{nano, numbers, optimizer, slices, small, tiny, wide, windows};
use crate::{
    initial_parameters, muon::orthogonal, optimizer::learning_rate, AdamState, Trainer,
    TrainerError,
};

/// The coefficients, as their author states them.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];

fn with_muon(sequence_length: u32) -> InnerOptimizer {
    InnerOptimizer {
        matrices: Matrices::Muon(Muon::default()),
        ..optimizer(sequence_length)
    }
}

/// A matrix of `f64`.
#[derive(Clone)]
struct Plain {
    columns: usize,
    values: Vec<f64>,
}

impl Plain {
    fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    fn made(rows: usize, columns: usize, at: impl Fn(usize, usize) -> f64) -> Plain {
        let row = |i| (0..columns).map(move |j| (i, j));
        let values = (0..rows).flat_map(row).map(|(i, j)| at(i, j)).collect();
        Plain { columns, values }
    }

    fn turned(&self) -> Plain {
        Plain::made(self.columns, self.rows(), |i, j| self.at(j, i))
    }

    fn times(&self, other: &Plain) -> Plain {
        Plain::made(self.rows(), other.columns, |i, j| {
            (0..self.columns)
                .map(|k| self.at(i, k) * other.at(k, j))
                .sum()
        })
    }

    /// Newton and Schulz, always with the shorter side first.
    fn orthogonal(&self) -> Plain {
        if self.rows() > self.columns {
            return self.turned().orthogonal().turned();
        }
        let norm = self.values.iter().map(|x| x * x).sum::<f64>().sqrt() + 1e-7;
        let mut x = Plain::made(self.rows(), self.columns, |i, j| self.at(i, j) / norm);
        let [a, b, c] = COEFFICIENTS;
        for _ in 0..5 {
            let square = x.times(&x.turned());
            let fourth = square.times(&square);
            let side = square.columns;
            let p = Plain::made(side, side, |i, j| b * square.at(i, j) + c * fourth.at(i, j));
            let moved = p.times(&x);
            x = Plain::made(x.rows(), x.columns, |i, j| a * x.at(i, j) + moved.at(i, j));
        }
        x
    }
}

/// Asserts that a matrix is another but for what five iterations magnify of rounding.
fn assert_close(what: &str, ours: &[f32], expected: &[f64]) {
    assert_eq!(ours.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f64, |most, x| most.max(x.abs()));
    for (place, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        let error = (f64::from(*ours) - expected).abs();
        assert!(
            error < 1e-4 * largest,
            "{what} at {place}: {ours} for {expected}, largest {largest}"
        );
    }
}

#[test]
fn five_iterations_are_those_of_the_reference() {
    for (rows, columns) in [
        (1, 1),
        (1, 9),
        (9, 1),
        (16, 16),
        (12, 37),
        (37, 12),
        (40, 300),
    ] {
        let mut ours = numbers(rows * columns, 7);
        let plain = Plain {
            columns,
            values: wide(&ours),
        };
        orthogonal(&mut ours, columns);
        let expected = plain.orthogonal();
        assert_close(&format!("{rows}×{columns}"), &ours, &expected.values);
    }
}

/// The rows of a wide matrix come out nearly orthogonal, and as long as its author says: 0.7 to 1.2.
#[test]
fn what_comes_out_is_nearly_orthogonal() {
    let (rows, columns) = (24, 96);
    let mut ours = numbers(rows * columns, 3);
    orthogonal(&mut ours, columns);
    let plain = Plain {
        columns,
        values: wide(&ours),
    };
    let square = plain.times(&plain.turned());
    for i in 0..rows {
        let length = square.at(i, i).sqrt();
        assert!((0.6..1.25).contains(&length), "row {i}: {length}");
        for j in 0..i {
            assert!(
                square.at(i, j).abs() < 0.4,
                "{i} and {j}: {}",
                square.at(i, j)
            );
        }
    }
}

#[test]
fn nothing_becomes_nothing() {
    let mut zero = vec![0f32; 12];
    orthogonal(&mut zero, 4);
    assert_eq!(zero, [0.0; 12]);
}

/// What one tensor should be after a step from zero moments, in `f64`.
fn stepped(tensor: &Tensor, inner: &InnerOptimizer, before: &[f32], g: &[f64]) -> Vec<f64> {
    let Matrices::Muon(muon) = inner.matrices else {
        panic!("not Muon's");
    };
    let rate = learning_rate(inner, 0);
    let is_matrix = tensor.shape.len() == 2;
    let decay = if is_matrix { rate * 0.1 } else { 0.0 };
    let kept = before.iter().map(|w| f64::from(*w) * (1.0 - decay));
    if !tensor.is_of_a_block() {
        // AdamW's first step: the gradient over its own size.
        return kept
            .zip(g)
            .map(|(w, g)| w - rate * g / (g.abs() + 1e-8))
            .collect();
    }
    let mu = muon.momentum.to_f64();
    let values = g.iter().map(|g| (1.0 - mu) * g * (1.0 + mu)).collect();
    let columns = tensor.shape[1] as usize;
    let step = Plain { columns, values }.orthogonal();
    let longer = f64::from(tensor.shape[0].max(tensor.shape[1]));
    let rate = rate * muon.rms.to_f64() * longer.sqrt();
    kept.zip(&step.values).map(|(w, x)| w - rate * x).collect()
}

#[test]
fn a_step_is_muons_on_the_blocks_and_adams_elsewhere() {
    for tied in [true, false] {
        let shape = tiny(tied);
        let layout = Layout::of(&shape);
        let inner = with_muon(8);
        let mut params = initial_parameters(&shape, 1);
        let before = params.clone();
        let windows = windows(4, 9, shape.vocabulary, 1);
        let mut trainer = Trainer::new(&shape, 2).unwrap();
        let (_, gradient) = trainer.gradient(&params, &slices(&windows)).unwrap();
        let gradient = wide(gradient);
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let clip = (inner.clip_norm.to_f64() / norm).min(1.0);
        let clipped: Vec<f64> = gradient.iter().map(|g| g * clip).collect();
        let mut adam = AdamState::of(&layout, &inner);
        trainer
            .step(&mut params, &mut adam, &inner, &slices(&windows))
            .unwrap();
        for (tensor, range) in layout.ranges() {
            let (before, g) = (&before[range.clone()], &clipped[range.clone()]);
            let expected = stepped(tensor, &inner, before, g);
            let change = |after: f64, before: f32| after - f64::from(before);
            let moved: Vec<f32> = params[range.clone()]
                .iter()
                .zip(before)
                .map(|(w, before)| change(f64::from(*w), *before) as f32)
                .collect();
            let expected: Vec<f64> = expected
                .iter()
                .zip(before)
                .map(|(w, before)| change(*w, *before))
                .collect();
            let largest = expected.iter().fold(0f64, |most, x| most.max(x.abs()));
            for (moved, expected) in moved.iter().zip(&expected) {
                let error = (f64::from(*moved) - expected).abs();
                assert!(
                    error < 2e-3 * largest,
                    "{}: {moved} for {expected}",
                    tensor.name
                );
            }
            if tensor.is_of_a_block() {
                let mu = 0.05;
                for (m, g) in adam.m[range].iter().zip(g) {
                    assert!((f64::from(*m) - mu * g).abs() < 1e-7, "{}", tensor.name);
                }
            }
        }
        assert_eq!(adam.step, 1);
    }
}

/// A full-rank step has the root mean square that the run asks for, within what the iteration leaves.
#[test]
fn a_step_is_as_long_as_an_adams() {
    let mut step = numbers(96 * 64, 2);
    orthogonal(&mut step, 64);
    let squares = step.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let rms = 0.2 * 96f64.sqrt() * (squares / step.len() as f64).sqrt();
    assert!((0.15..0.24).contains(&rms), "{rms}");
}

#[test]
fn decay_is_apart_from_the_step() {
    let shape = small();
    let layout = Layout::of(&shape);
    let mut inner = with_muon(8);
    // So short a step that only decay is seen.
    let Matrices::Muon(muon) = &mut inner.matrices else {
        panic!("not Muon's");
    };
    muon.rms = Nano(1);
    let mut params = initial_parameters(&shape, 1);
    let before = params.clone();
    let windows = windows(2, 9, shape.vocabulary, 1);
    let mut adam = AdamState::of(&layout, &inner);
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    trainer
        .step(&mut params, &mut adam, &inner, &slices(&windows))
        .unwrap();
    let kept = 1.0 - learning_rate(&inner, 0) * 0.1;
    for (tensor, range) in layout.ranges().filter(|(tensor, _)| tensor.is_of_a_block()) {
        for (after, before) in params[range.clone()].iter().zip(&before[range]) {
            let expected = f64::from(*before) * kept;
            let error = (f64::from(*after) - expected).abs();
            assert!(error < 1e-7, "{}: {after} for {expected}", tensor.name);
        }
    }
}

/// Parameters and state after some steps on `threads` threads.
fn train(shape: &ModelShape, threads: usize, steps: u64) -> (Vec<f32>, AdamState) {
    let inner = with_muon(70);
    let mut trainer = Trainer::new(shape, threads).unwrap();
    let mut params = initial_parameters(shape, 42);
    let mut adam = AdamState::of(&Layout::of(shape), &inner);
    for i in 0..steps {
        let windows = windows(5, 71, shape.vocabulary, i);
        trainer
            .step(&mut params, &mut adam, &inner, &slices(&windows))
            .unwrap();
    }
    (params, adam)
}

/// Sides above a block of the inner dimension, and no multiple of a tile.
fn broad() -> ModelShape {
    ModelShape {
        layers: 1,
        d_model: 264,
        heads: 3,
        kv_heads: 1,
        ffn: 521,
        vocabulary: 50,
        context: 128,
        rope_theta: 500_000,
        tied_embeddings: true,
    }
}

fn hash(numbers: &[f32]) -> String {
    assert!(numbers.iter().all(|x| x.is_finite()));
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    blake3::hash(&bytes).to_string()
}

#[test]
fn parameters_after_muons_steps_are_these() {
    let mut found = Vec::new();
    for (shape, steps) in [(small(), 20), (broad(), 2)] {
        let one = train(&shape, 1, steps);
        for threads in [2, 3] {
            assert!(train(&shape, threads, steps) == one, "{threads} threads");
        }
        let second = with_muon(1).matrices.second_moments(&Layout::of(&shape));
        assert_eq!(one.1.v.len(), second);
        found.push(hash(&one.0));
    }
    let recorded = [
        "faa27c454ce919aed288dd1746d65d6169307a76414f36efdce45818ef44dc8a",
        "28d8762608bcd0014378179ded8464eb0868ae523ed0fe6225e97a37bb07073d",
    ];
    assert_eq!(found, recorded, "{}", crate::simd());
}

/// This program once more, with AVX-512 switched off: the same hashes.
#[test]
fn avx512_changes_no_bit_of_muons() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .env("CAIRN_SIMD", "avx2")
        .args(["--exact", "--test-threads=1"])
        .arg("tests::muon::parameters_after_muons_steps_are_these")
        .arg("tests::bits::the_environment_can_switch_avx512_off")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("2 passed"), "{printed}");
}

#[test]
fn a_state_that_was_saved_goes_on_with_the_same_bits() {
    let shape = tiny(false);
    let straight = train(&shape, 1, 4);
    let (mut params, adam) = train(&shape, 1, 2);
    let mut adam = AdamState::from_bytes(&adam.to_bytes()).unwrap();
    assert!(adam.v.len() < adam.m.len());
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    for i in 2..4 {
        let windows = windows(5, 71, shape.vocabulary, i);
        trainer
            .step(&mut params, &mut adam, &with_muon(70), &slices(&windows))
            .unwrap();
    }
    assert!((params, adam) == straight);
}

#[test]
fn the_state_of_another_optimizer_is_refused() {
    let shape = small();
    let layout = Layout::of(&shape);
    let mut params = initial_parameters(&shape, 1);
    let windows = windows(2, 9, shape.vocabulary, 1);
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    for (state, inner) in [
        (AdamState::new(params.len()), with_muon(8)),
        (AdamState::of(&layout, &with_muon(8)), optimizer(8)),
    ] {
        let mut state = state;
        let error = trainer
            .step(&mut params, &mut state, &inner, &slices(&windows))
            .unwrap_err();
        assert!(
            matches!(
                error,
                TrainerError::Length {
                    what: "the optimizer's second moment",
                    ..
                }
            ),
            "{error}"
        );
    }
}

/// It learns: a text in which each token follows from the one before is soon known.
#[test]
fn the_loss_falls() {
    let shape = small();
    let mut inner = with_muon(32);
    inner.learning_rate = nano(1e-2);
    let mut params = initial_parameters(&shape, 1);
    let mut adam = AdamState::of(&Layout::of(&shape), &inner);
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    let mut losses = Vec::new();
    for step in 0..30u32 {
        let window = |number: u32| -> Vec<u32> {
            let first = step * 4 + number;
            (0..33).map(|i| (first * 7 + i * 5) % 50).collect()
        };
        let windows: Vec<Vec<u32>> = (0..4).map(window).collect();
        let loss = trainer.step(&mut params, &mut adam, &inner, &slices(&windows));
        losses.push(loss.unwrap());
    }
    assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
}
