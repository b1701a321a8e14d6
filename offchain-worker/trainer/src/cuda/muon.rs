//! Muon on a card: what it keeps there, and its launches in order.
//!
//! The rule is that of the module [`muon`](crate::muon). Its products take bfloat16 and accumulate in float, as all
//! products here; the term a·X of the iteration stays float, so that roundings of X do not grow from one iteration to
//! the next. Matrices come one after the other in the layout's order, in the same memory.

use cairn_primitives::{InnerOptimizer, Layout, Muon};
use cudarc::driver::{DeviceRepr, LaunchConfig, PushKernelArg};
use half::bf16;

use super::{
    device::{Buffer, Device, Ptr},
    error::CudaError,
    gemm::{Form, Out, Sizes},
    ops::{launch, one_each},
    pass::Parameters,
};
use crate::{muon::ITERATIONS, optimizer::learning_rate};

type Done = Result<(), CudaError>;

/// What a step of Muon is told; the layout is that of `Numbers` in `muon.cu`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Numbers {
    /// Norm to which the gradient is clipped.
    pub clip_norm: f64,
    /// Learning rate times root mean square, to be multiplied by the root of a matrix's longer side.
    pub rate: f64,
    /// Decay of the momentum.
    pub momentum: f32,
    /// What weight decay leaves of an element.
    pub kept: f32,
}
// SAFETY: plain numbers in C's order.
unsafe impl DeviceRepr for Numbers {}

impl Numbers {
    /// Those of the step after `done` steps; the CPU's, to the bit.
    pub fn new(optimizer: &InnerOptimizer, muon: &Muon, done: u64) -> Numbers {
        let rate = learning_rate(optimizer, done);
        Numbers {
            clip_norm: optimizer.clip_norm.to_f64(),
            rate: rate * muon.rms.to_f64(),
            momentum: muon.momentum.to_f32(),
            kept: (1.0 - rate * optimizer.weight_decay.to_f64()) as f32,
        }
    }
}

/// A matrix of a block in the flat vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Its first element.
    pub start: usize,
    /// Its rows.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
}

impl Matrix {
    /// Its elements.
    pub fn len(&self) -> usize {
        self.rows * self.columns
    }

    fn shorter(&self) -> usize {
        self.rows.min(self.columns)
    }

    /// Elements of X·Xᵀ, or of Xᵀ·X, whichever is smaller.
    fn square(&self) -> usize {
        self.shorter().pow(2)
    }

    fn longer(&self) -> usize {
        self.rows.max(self.columns)
    }
}

/// The matrices of a layout's blocks, in order.
pub fn matrices(layout: &Layout) -> Vec<Matrix> {
    let of_blocks = layout.ranges().filter(|(tensor, _)| tensor.is_of_a_block());
    let matrix = |(tensor, range): (&cairn_primitives::Tensor, std::ops::Range<usize>)| {
        let columns = tensor.shape.last().map_or(1, |columns| *columns as usize);
        Matrix {
            start: range.start,
            rows: range.len() / columns.max(1),
            columns,
        }
    };
    of_blocks.map(matrix).collect()
}

/// Bytes of a card that Muon's iteration takes in models of this layout: 6 for each element of the largest matrix, and 8
/// for each of a square of the longest of all shorter sides.
pub fn iteration_bytes(layout: &Layout) -> u64 {
    let matrices = matrices(layout);
    let most = |of: fn(&Matrix) -> usize| matrices.iter().map(of).max().unwrap_or_default() as u64;
    let (all, square) = (most(Matrix::len), most(Matrix::square));
    all.saturating_mul(6)
        .saturating_add(square.saturating_mul(8))
}

/// Memory for the iteration of one matrix at a time, as large as the largest needs it.
pub struct Iteration {
    /// The step, and while it is made a·X with what is added to it.
    pub step: Buffer<f32>,
    /// The norm of the step before it is made orthogonal.
    norm: Buffer<f64>,
    /// X.
    x: Buffer<bf16>,
    /// S.
    square: Buffer<bf16>,
    /// S·S.
    fourth: Buffer<f32>,
    /// P.
    polynomial: Buffer<bf16>,
}

impl Iteration {
    /// For these matrices.
    ///
    /// # Errors
    ///
    /// [`CudaError::OutOfMemory`] if the card has not enough.
    pub fn new(device: &Device, matrices: &[Matrix]) -> Result<Iteration, CudaError> {
        let most = |of: fn(&Matrix) -> usize| matrices.iter().map(of).max().unwrap_or_default();
        let (all, square) = (most(Matrix::len), most(Matrix::square));
        let what = "Muon's iteration";
        Ok(Iteration {
            step: device.buffer(all, what)?,
            norm: device.buffer(1, what)?,
            x: device.buffer(all, what)?,
            square: device.buffer(square, what)?,
            fourth: device.buffer(square, what)?,
            polynomial: device.buffer(square, what)?,
        })
    }

    /// Makes the step of a matrix orthogonal. `partial` is for the kernels' own use: the norm's sums.
    pub fn orthogonalise(&self, device: &Device, matrix: &Matrix, partial: Ptr<f64>) -> Done {
        let Iteration {
            step,
            norm,
            x,
            square,
            fourth,
            polynomial,
        } = self;
        let Matrix { rows, columns, .. } = *matrix;
        let (length, side) = (matrix.len(), matrix.shorter());
        let is_wide = rows <= columns;
        let product = |form, (m, n, k), a: &Buffer<bf16>, b: &Buffer<bf16>, out| {
            let sizes = Sizes { m, n, k };
            device.gemm.product(form, sizes, a.ptr(), b.ptr(), out)
        };
        let sides = (side, side, side);
        let form = match is_wide {
            true => Form::RightTransposed,
            false => Form::LeftTransposed,
        };
        device.norm(norm.ptr(), partial, step.ptr(), length)?;
        for iteration in 0..ITERATIONS {
            let norm = match iteration {
                0 => norm.ptr(),
                _ => Ptr::NULL,
            };
            device.begin_iteration(x.ptr(), step.ptr(), norm, length)?;
            let inner = (side, side, matrix.longer());
            product(form, inner, x, x, Out::Rounded(square.ptr()))?;
            product(
                Form::Plain,
                sides,
                square,
                square,
                Out::Floats(fourth.ptr()),
            )?;
            device.polynomial(polynomial.ptr(), square.ptr(), fourth.ptr(), side * side)?;
            let (left, right) = match is_wide {
                true => (polynomial, x),
                false => (x, polynomial),
            };
            let sizes = (rows, columns, side);
            product(Form::Plain, sizes, left, right, Out::Added(step.ptr()))?;
        }
        Ok(())
    }
}

/// What Muon has on a card beside AdamW.
pub struct OnCard {
    matrices: Vec<Matrix>,
    numbers: Buffer<Numbers>,
    iteration: Iteration,
}

impl OnCard {
    /// Reserves it for models of this layout.
    ///
    /// # Errors
    ///
    /// [`CudaError::OutOfMemory`] if the card has not enough.
    pub fn new(device: &Device, layout: &Layout) -> Result<OnCard, CudaError> {
        let matrices = matrices(layout);
        Ok(OnCard {
            numbers: device.buffer(1, "Muon's numbers")?,
            iteration: Iteration::new(device, &matrices)?,
            matrices,
        })
    }

    /// Copies the numbers of a step to the card.
    pub fn put(&mut self, device: &Device, numbers: Numbers) -> Done {
        device.upload(&[numbers], &mut self.numbers)
    }

    /// A step of all matrices of blocks, by the numbers and the `report` (the sum of the losses, and the gradient's
    /// norm) that are on the card. `momentum` is as long as the parameters.
    pub fn step(
        &self,
        device: &Device,
        parameters: &Parameters,
        momentum: &Buffer<f32>,
        partial: &Buffer<f64>,
        report: &Buffer<f64>,
    ) -> Done {
        let step = self.iteration.step.ptr();
        let told = (self.numbers.ptr(), report.at(1), report.at(0));
        for matrix in &self.matrices {
            let (start, length) = (matrix.start, matrix.len());
            let (m, gradient) = (momentum.at(start), parameters.gradient.at(start));
            device.nesterov(step, m, gradient, length, told)?;
            self.iteration
                .orthogonalise(device, matrix, partial.ptr())?;
            let weights = (parameters.values.at(start), parameters.rounded.at(start));
            device.descend(weights, step, matrix, told)?;
        }
        Ok(())
    }
}

/// The numbers, the gradient's norm and the loss.
type Told = (Ptr<Numbers>, Ptr<f64>, Ptr<f64>);

impl Device {
    /// The momentum of `length` numbers, and their `step` before it is made orthogonal.
    pub fn nesterov(
        &self,
        step: Ptr<f32>,
        m: Ptr<f32>,
        gradient: Ptr<f32>,
        length: usize,
        (numbers, norm, loss): Told,
    ) -> Done {
        let count = length as u64;
        let grid = one_each(length);
        launch!(self, "nesterov", grid, step, m, gradient, count, numbers, norm, loss)
    }

    /// `x` = `step` over its norm, or as it is if `norm` is null; `step` = a · x.
    pub fn begin_iteration(
        &self,
        x: Ptr<bf16>,
        step: Ptr<f32>,
        norm: Ptr<f64>,
        length: usize,
    ) -> Done {
        let grid = one_each(length);
        launch!(self, "begin_iteration", grid, x, step, norm, length as u64)
    }

    /// `p` = b · `square` + c · `fourth`.
    pub fn polynomial(
        &self,
        p: Ptr<bf16>,
        square: Ptr<bf16>,
        fourth: Ptr<f32>,
        length: usize,
    ) -> Done {
        let grid = one_each(length);
        launch!(self, "polynomial", grid, p, square, fourth, length as u64)
    }

    /// Moves a matrix's weights, and their rounded copy, by its step.
    pub fn descend(
        &self,
        (weights, rounded): (Ptr<f32>, Ptr<bf16>),
        step: Ptr<f32>,
        matrix: &Matrix,
        (numbers, norm, loss): Told,
    ) -> Done {
        let (count, longer) = (matrix.len() as u64, matrix.longer() as u32);
        let grid = one_each(matrix.len());
        launch!(self, "descend", grid, weights, rounded, step, count, longer, numbers, norm, loss)
    }
}
