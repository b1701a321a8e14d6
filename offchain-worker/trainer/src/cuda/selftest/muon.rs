//! Muon: its iteration, and whole steps on the card's own gradient, against the CPU's.

use cairn_primitives::{InnerOptimizer, Layout, Matrices, ModelShape, Muon};

use super::{
    lab::{wide, Lab, Outcome, Work},
    reference::product,
    step::{outcome, worst_tensor},
    Settings,
};
use crate::{
    cuda::{
        error::CudaError,
        muon::{Iteration, Matrix},
        plan::norm_partials,
        trainer::{CudaOptions, CudaTrainer},
    },
    initial_parameters,
    muon::{self, pieces, Both, Scratch},
    optimizer::Update,
    AdamState, TrainerError,
};

/// The relative error of a matrix, as a whole, after five iterations, which round X, S and P to 2⁻⁹ each.
const ITERATION: f64 = 0.05;
/// The relative error of a tensor's way, as a whole.
const WAY: f64 = 0.04;
/// Steps that are compared: from the second on momentum is no multiple of the gradient.
const STEPS: u64 = 3;

/// The iteration on a random matrix of this rank. One of a few tokens' gradient has many singular values of zero: what
/// is rounded must not grow there.
pub fn orthogonal(
    lab: &mut Lab,
    (rows, columns): (usize, usize),
    rank: usize,
) -> Result<(), CudaError> {
    let device = lab.device;
    let matrix = Matrix {
        start: 0,
        rows,
        columns,
    };
    let mut iteration = Iteration::new(device, &[matrix])?;
    let (mut step, mut step_at) = lab.floats(matrix.len(), 1.0)?;
    if rank < rows.min(columns) {
        let (left, right) = (
            lab.floats(rows * rank, 1.0)?.0,
            lab.floats(rank * columns, 1.0)?.0,
        );
        let (left, right) = (wide(&left), wide(&right));
        let sizes = (rows, columns, rank);
        let made = product(
            sizes,
            |i, p| left[i * rank + p],
            |p, j| right[p * columns + j],
        );
        step = made.iter().map(|x| *x as f32).collect();
        device.upload(&step, &mut step_at)?;
    }
    iteration.step = step_at;
    let partial = device.buffer::<f64>(norm_partials(matrix.len()), "a test")?;
    let (shorter, longer) = (rows.min(columns), rows.max(columns));
    let flops = 4 * shorter * shorter * longer + 2 * shorter.pow(3);
    lab.trial(
        "muon (iteration)",
        ITERATION,
        Work::Flops(muon::ITERATIONS * flops),
        || iteration.orthogonalise(device, &matrix, partial.ptr()),
        || {
            muon::orthogonal(&mut step, columns);
            let got = device.downloaded(&iteration.step)?;
            Ok(apart(&got, &step))
        },
    )
}

/// The distance of two vectors, relative to the second's length; infinite if anything is not a number.
fn apart(got: &[f32], want: &[f32]) -> f64 {
    let squares = |each: &mut dyn Iterator<Item = f64>| each.map(|x| x * x).sum::<f64>();
    let mut differences = got
        .iter()
        .zip(want)
        .map(|(a, b)| f64::from(*a) - f64::from(*b));
    let size = squares(&mut want.iter().map(|x| f64::from(*x)));
    let apart = (squares(&mut differences) / size).sqrt();
    match apart.is_nan() {
        true => f64::INFINITY,
        false => apart,
    }
}

/// Steps on the card beside the CPU's by the card's own gradients, each from where the card is.
pub fn steps(
    shape: &ModelShape,
    adamw: &InnerOptimizer,
    windows: &[&[u32]],
    settings: Settings,
) -> Result<[Outcome; 2], TrainerError> {
    let muon = Muon::default();
    let optimizer = InnerOptimizer {
        matrices: Matrices::Muon(muon),
        ..adamw.clone()
    };
    let layout = Layout::of(shape);
    let mut card = CudaTrainer::new(
        shape,
        CudaOptions {
            ordinal: settings.ordinal,
            matrices: optimizer.matrices,
            ..CudaOptions::default()
        },
    )?;
    let (pieces, mut scratch) = (pieces(&layout), Scratch::default());
    let mut params = initial_parameters(shape, settings.seed);
    let mut adam = AdamState::of(&layout, &optimizer);
    let (mut way, mut moments) = (0f64, 0f64);
    for done in 0..STEPS {
        let (_, gradient) = card.gradient(&params, windows)?;
        let gradient = gradient.to_vec();
        let (before, mut expected, mut state) = (params.clone(), params.clone(), adam.clone());
        // No gradient is clipped, whatever its norm.
        let update = Update::new(&optimizer, done, 0.0);
        Both::new(update, &optimizer, &muon, done).apply(
            &mut expected,
            &mut state,
            &gradient,
            &pieces,
            &mut scratch,
        );
        card.step(&mut params, &mut adam, &optimizer, windows)?;
        let moved = |to: &[f32]| -> Vec<f32> {
            let each = to.iter().zip(&before);
            each.map(|(to, from)| to - from).collect()
        };
        way = way.max(worst_tensor(shape, &moved(&params), &moved(&expected)));
        for (got, want) in [(&adam.m, &state.m), (&adam.v, &state.v)] {
            let is_same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
            if got.len() != want.len() || !got.iter().zip(want).all(is_same) {
                moments = f64::INFINITY;
            }
        }
    }
    Ok([
        outcome("muon", way, WAY),
        outcome("muon's moments", moments, 0.0),
    ])
}
