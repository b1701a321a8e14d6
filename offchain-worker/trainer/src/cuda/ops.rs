//! One function per kernel: what it is given, in which order, in how many blocks.
//!
//! Everything runs on the device's one stream, in the order in which it is called; a function returns when the
//! kernel is queued. Pointers must be to buffers of the sizes that the kernel's source states.

use cairn_primitives::blocks::Turn;
use cudarc::driver::{DeviceRepr, LaunchConfig, PushKernelArg};
use half::bf16;

use super::{
    device::{Device, Ptr},
    error::CudaError,
};

/// Rows of which one block of `norm_backward` sums the weight's gradient.
pub const ROWS_PER_PARTIAL: usize = 64;
/// Numbers whose squares one block of `squares` adds up.
pub const SQUARES_PER_BLOCK: usize = 4096;
/// Queries, and keys, per tile of attention.
const TILE: usize = 64;

/// How attention heads lie; the layout is that of `Heads` in `attention.cu`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Heads {
    /// Positions of a window.
    pub length: u32,
    /// Query heads.
    pub queries: u32,
    /// Key heads, and value heads.
    pub keys: u32,
    /// Numbers in a head.
    pub width: u32,
    /// 1/√width.
    pub scale: f32,
}
// SAFETY: plain numbers in C's order.
unsafe impl DeviceRepr for Heads {}

impl Heads {
    /// Numbers in a row of queries, keys and values.
    pub fn row(&self) -> usize {
        (self.queries + 2 * self.keys) as usize * self.width as usize
    }

    /// The narrowest kernel that these heads fit, if any does.
    pub fn kernel_width(width: usize) -> Option<usize> {
        [16, 32, 64, 128]
            .into_iter()
            .find(|kernel| width <= *kernel)
    }
}

/// What an AdamW step is told; the layout is that of `Update` in `optimizer.cu`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Update {
    /// Norm to which the gradient is clipped.
    pub clip_norm: f64,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Learning rate over the first moment's bias correction.
    pub rate: f32,
    /// One over the second moment's bias correction.
    pub correction: f32,
    /// Added to the root.
    pub epsilon: f32,
    /// What weight decay leaves of a matrix's element.
    pub kept: f32,
}
// SAFETY: plain numbers in C's order.
unsafe impl DeviceRepr for Update {}

/// A part of the flat vector that one block updates; the layout is that of `Piece` in `optimizer.cu`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Piece {
    /// Its first number.
    pub start: u64,
    /// Where its first moments are among those that are here.
    pub moments: u64,
    /// The same of its second moments: there are none of Muon's matrices.
    pub second: u64,
    /// Its numbers.
    pub length: u32,
    /// 1 if weight decay applies.
    pub decays: u32,
}
// SAFETY: plain numbers in C's order.
unsafe impl DeviceRepr for Piece {}

/// Where a block of a contribution lies; the layout is that of `Block` in `contribution.cu`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Block {
    /// Its first element in the flat vector.
    pub start: u64,
    /// Its first code among all that are sent.
    pub out: u64,
    /// Elements from one row to the next.
    pub columns: u32,
    /// Elements in a row.
    pub width: u32,
    /// Elements.
    pub length: u32,
    /// How many are sent.
    pub keep: u32,
    /// Which tensor it is of.
    pub tensor: u32,
}
// SAFETY: plain numbers in C's order.
unsafe impl DeviceRepr for Block {}

/// Launches a kernel of this name in this grid with these arguments.
macro_rules! launch {
    ($device:expr, $name:expr, $grid:expr, $($argument:expr),+ $(,)?) => {{
        let name: &'static str = $name;
        let grid: LaunchConfig = $grid;
        let function = $device.function(name)?;
        // SAFETY: the functions of this module give each kernel the arguments that its source names.
        let launched = unsafe {
            $device.stream.launch_builder(function)$(.arg(&$argument))+.launch(grid)
        };
        launched.map(drop).map_err(|error| CudaError::driver(name, error))
    }};
}

pub(super) use launch;

/// So many blocks of so many threads.
fn grid(blocks: usize, threads: u32) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (blocks as u32, 1, 1),
        block_dim: (threads, 1, 1),
        shared_mem_bytes: 0,
    }
}

/// So many threads, in blocks of 256.
pub(super) fn one_each(threads: usize) -> LaunchConfig {
    grid(threads.div_ceil(256), 256)
}

/// A block of four warps for each tile of the windows' heads, with so much shared memory.
fn tiles(heads: &Heads, of_each: u32, windows: usize, shared: usize) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (heads.length.div_ceil(TILE as u32), of_each, windows as u32),
        block_dim: (128, 1, 1),
        shared_mem_bytes: shared as u32,
    }
}

/// The name of an attention kernel for heads of up to so many numbers.
macro_rules! for_width {
    ($name:literal, $width:expr) => {
        match $width {
            16 => concat!($name, "_16"),
            32 => concat!($name, "_32"),
            64 => concat!($name, "_64"),
            _ => concat!($name, "_128"),
        }
    };
}
pub(super) use for_width;

type Done = Result<(), CudaError>;

impl Device {
    /// The embedding's rows for `rows` tokens.
    pub fn embedding_forward(
        &self,
        stream: Ptr<f32>,
        table: Ptr<f32>,
        tokens: Ptr<u32>,
        rows: usize,
        width: usize,
    ) -> Done {
        let threads = rows * (width / 4);
        launch!(
            self,
            "embedding_forward",
            one_each(threads),
            stream,
            table,
            tokens,
            threads as u64,
            width as u32,
        )
    }

    /// Adds the rows of `dstream` to those of their tokens in `dtable`. `sorted` holds the order of the
    /// positions, where each token's begin in it, and the number of tokens; there are at most `rows`.
    #[allow(clippy::too_many_arguments)] // A kernel's.
    pub fn embedding_backward(
        &self,
        dtable: Ptr<f32>,
        dstream: Ptr<f32>,
        tokens: Ptr<u32>,
        order: Ptr<u32>,
        starts: Ptr<u32>,
        buckets: Ptr<u32>,
        rows: usize,
        width: usize,
    ) -> Done {
        launch!(
            self,
            "embedding_backward",
            grid(rows, 256),
            dtable,
            dstream,
            tokens,
            order,
            starts,
            buckets,
            width as u32,
        )
    }

    /// `stream` = `input` + `branch`, unless `branch` is null; `normed` = its normalisation.
    #[allow(clippy::too_many_arguments)] // A kernel's.
    pub fn residual_norm_forward(
        &self,
        stream: Ptr<f32>,
        normed: Ptr<bf16>,
        rates: Ptr<f32>,
        input: Ptr<f32>,
        branch: Ptr<bf16>,
        weight: Ptr<f32>,
        rows: usize,
        width: usize,
    ) -> Done {
        launch!(
            self,
            "residual_norm_forward",
            grid(rows.div_ceil(8), 256),
            stream,
            normed,
            rates,
            input,
            branch,
            weight,
            rows as u32,
            width as u32,
        )
    }

    /// Adds the gradient of the norm's input to `dstream`, `rounded` becomes its copy, and `dweight` is added
    /// to by way of `partial`, a row of the width for each `ROWS_PER_PARTIAL` rows.
    #[allow(clippy::too_many_arguments)] // Two kernels'.
    pub fn norm_backward(
        &self,
        dstream: Ptr<f32>,
        rounded: Ptr<bf16>,
        partial: Ptr<f32>,
        dweight: Ptr<f32>,
        dnormed: Ptr<bf16>,
        stream: Ptr<f32>,
        weight: Ptr<f32>,
        rates: Ptr<f32>,
        rows: usize,
        width: usize,
    ) -> Done {
        let partials = rows.div_ceil(ROWS_PER_PARTIAL);
        launch!(
            self,
            "norm_backward",
            grid(partials, 256),
            dstream,
            rounded,
            partial,
            dnormed,
            stream,
            weight,
            rates,
            rows as u32,
            width as u32,
        )?;
        launch!(
            self,
            "norm_weight_gradient",
            grid(width.div_ceil(32), 256),
            dweight,
            partial,
            partials as u32,
            width as u32,
        )
    }

    /// Turns query and key heads by their positions' angles, or back with a `sign` of −1.
    pub fn rotate(
        &self,
        qkv: Ptr<bf16>,
        cosines: Ptr<f32>,
        sines: Ptr<f32>,
        heads: &Heads,
        windows: usize,
        sign: f32,
    ) -> Done {
        let turned = heads.queries + heads.keys;
        let threads = windows * heads.length as usize * turned as usize * heads.width as usize / 4;
        launch!(
            self,
            "rotate",
            one_each(threads),
            qkv,
            cosines,
            sines,
            threads as u64,
            turned,
            heads.width,
            heads.row() as u32,
            heads.length,
            sign,
        )
    }

    /// Attends; keeps each row's log-sum-exp.
    pub fn attention_forward(
        &self,
        out: Ptr<bf16>,
        lse: Ptr<f32>,
        qkv: Ptr<bf16>,
        heads: &Heads,
        windows: usize,
    ) -> Done {
        let width = tile_width(heads)?;
        let shared = 2 * 4 * TILE * (width + 8);
        launch!(
            self,
            for_width!("attention_forward", width),
            tiles(heads, heads.queries, windows, shared),
            out,
            lse,
            qkv,
            *heads,
        )
    }

    /// The gradients of queries, keys and values. `delta` is for the kernels' own use, one number per window,
    /// head and position.
    #[allow(clippy::too_many_arguments)] // Three kernels'.
    pub fn attention_backward(
        &self,
        dqkv: Ptr<bf16>,
        dout: Ptr<bf16>,
        delta: Ptr<f32>,
        out: Ptr<bf16>,
        lse: Ptr<f32>,
        qkv: Ptr<bf16>,
        heads: &Heads,
        windows: usize,
    ) -> Done {
        let width = tile_width(heads)?;
        let warps = windows * heads.length as usize * heads.queries as usize;
        launch!(
            self,
            "attention_delta",
            grid(warps.div_ceil(8), 256),
            delta,
            out,
            dout,
            warps as u64,
            *heads,
        )?;
        // Two tiles that stay, and two pairs of those that come and go: see the kernels.
        let at_once = if width > 64 { 32 } else { 64 };
        let shared = 2 * (2 * TILE + 4 * at_once) * (width + 8);
        launch!(
            self,
            for_width!("attention_backward_keys", width),
            tiles(heads, heads.keys, windows, shared),
            dqkv,
            dout,
            lse,
            delta,
            qkv,
            *heads,
        )?;
        launch!(
            self,
            for_width!("attention_backward_queries", width),
            tiles(heads, heads.queries, windows, shared),
            dqkv,
            dout,
            lse,
            delta,
            qkv,
            *heads,
        )
    }

    /// Keeps keys and values of rows of queries, keys and values, the first of which is at position `first`.
    pub fn keep_rows(
        &self,
        kept: (Ptr<bf16>, Ptr<bf16>),
        qkv: Ptr<bf16>,
        rows: usize,
        first: usize,
        heads: &Heads,
    ) -> Done {
        let threads = rows * (heads.keys * heads.width) as usize / 2;
        launch!(
            self,
            "keep_rows",
            one_each(threads),
            kept.0,
            kept.1,
            qkv,
            threads as u64,
            first as u32,
            *heads,
        )
    }

    /// Attends from rows, the first of which is at position `first`, to the keys and values that are kept up to each.
    pub fn attend_kept(
        &self,
        mixed: Ptr<bf16>,
        qkv: Ptr<bf16>,
        kept: (Ptr<bf16>, Ptr<bf16>),
        rows: usize,
        first: usize,
        heads: &Heads,
    ) -> Done {
        let each = LaunchConfig {
            grid_dim: (heads.queries, rows as u32, 1),
            ..grid(0, 128)
        };
        launch!(
            self,
            "attend_kept",
            each,
            mixed,
            qkv,
            kept.0,
            kept.1,
            first as u32,
            *heads,
        )
    }

    /// `hidden` = silu(gate) · up.
    pub fn swiglu_forward(
        &self,
        hidden: Ptr<bf16>,
        gate_up: Ptr<bf16>,
        rows: usize,
        width: usize,
    ) -> Done {
        let threads = rows * (width / 8);
        launch!(
            self,
            "swiglu_forward",
            one_each(threads),
            hidden,
            gate_up,
            threads as u64,
            width as u32,
        )
    }

    /// Replaces gate and up by their gradients.
    pub fn swiglu_backward(
        &self,
        gate_up: Ptr<bf16>,
        dhidden: Ptr<bf16>,
        rows: usize,
        width: usize,
    ) -> Done {
        let threads = rows * (width / 8);
        launch!(
            self,
            "swiglu_backward",
            one_each(threads),
            gate_up,
            dhidden,
            threads as u64,
            width as u32,
        )
    }

    /// The cross-entropy of each row of logits, and `share` times its gradient unless `dlogits` is null.
    #[allow(clippy::too_many_arguments)] // A kernel's.
    pub fn cross_entropy(
        &self,
        losses: Ptr<f32>,
        dlogits: Ptr<bf16>,
        logits: Ptr<f32>,
        targets: Ptr<u32>,
        rows: usize,
        vocabulary: usize,
        share: f32,
    ) -> Done {
        launch!(
            self,
            "cross_entropy",
            grid(rows, 512),
            losses,
            dlogits,
            logits,
            targets,
            vocabulary as u32,
            share,
        )
    }

    /// Adds the losses of `rows` rows to `total`.
    pub fn add_losses(&self, total: Ptr<f64>, losses: Ptr<f32>, rows: usize) -> Done {
        launch!(
            self,
            "add_losses",
            grid(1, 1024),
            total,
            losses,
            rows as u32
        )
    }

    /// The Euclidean norm of `length` numbers; `partial` has one for each `SQUARES_PER_BLOCK` of them.
    pub fn norm(
        &self,
        norm: Ptr<f64>,
        partial: Ptr<f64>,
        numbers: Ptr<f32>,
        length: usize,
    ) -> Done {
        let partials = length.div_ceil(SQUARES_PER_BLOCK);
        launch!(
            self,
            "squares",
            grid(partials, 256),
            partial,
            numbers,
            length as u64,
        )?;
        launch!(
            self,
            "gradient_norm",
            grid(1, 1024),
            norm,
            partial,
            partials as u32,
        )
    }

    /// One step of AdamW on `pieces` pieces, unless norm or loss are not finite.
    #[allow(clippy::too_many_arguments)] // A kernel's.
    pub fn adamw(
        &self,
        parameters: Ptr<f32>,
        rounded: Ptr<bf16>,
        m: Ptr<f32>,
        v: Ptr<f32>,
        gradient: Ptr<f32>,
        pieces: (Ptr<Piece>, usize),
        update: Ptr<Update>,
        norm: Ptr<f64>,
        loss: Ptr<f64>,
    ) -> Done {
        launch!(
            self,
            "adamw",
            grid(pieces.1, 256),
            parameters,
            rounded,
            m,
            v,
            gradient,
            pieces.0,
            update,
            norm,
            loss,
        )
    }

    /// Rounds `length` numbers to bfloat16.
    pub fn round(&self, rounded: Ptr<bf16>, numbers: Ptr<f32>, length: usize) -> Done {
        launch!(
            self,
            "round_floats",
            one_each(length),
            rounded,
            numbers,
            length as u64,
        )
    }

    /// Adds to `length` numbers those of the other ranks, which lie behind each other, in the order of ranks.
    pub fn add_ranks(
        &self,
        own: Ptr<f32>,
        others: Ptr<f32>,
        length: usize,
        (rank, ranks): (usize, usize),
    ) -> Done {
        launch!(
            self,
            "add_ranks",
            one_each(length),
            own,
            others,
            length as u64,
            rank as u32,
            ranks as u32,
        )
    }

    /// The sum of all ranks' losses and the norm of all shards, in place of a rank's own.
    pub fn join_reports(
        &self,
        report: Ptr<f64>,
        others: Ptr<f64>,
        (rank, ranks): (usize, usize),
    ) -> Done {
        launch!(
            self,
            "join_reports",
            grid(1, 32),
            report,
            others,
            rank as u32,
            ranks as u32,
        )
    }

    /// `error` = β · `error` + (`before` − `after`) less what is sent of it; that goes to `codes` and, two for each
    /// block, `levels`. `fault` becomes 1 if something is not finite.
    #[allow(clippy::too_many_arguments)] // A kernel's.
    pub fn compress_blocks(
        &self,
        codes: Ptr<u16>,
        levels: Ptr<[u16; 2]>,
        error: Ptr<f32>,
        fault: Ptr<u32>,
        before: Ptr<f32>,
        after: Ptr<f32>,
        list: (Ptr<Block>, usize),
        beta: f32,
        turn: Option<Turn>,
    ) -> Done {
        let of = |turn: Turn| (turn.number.into(), turn.of.into());
        let (number, turns): (u32, u32) = turn.map_or((0, 0), of);
        launch!(
            self,
            "compress_blocks",
            grid(list.1, 256),
            codes,
            levels,
            error,
            fault,
            before,
            after,
            list.0,
            beta,
            number,
            turns,
        )
    }

    /// Moves `theta` by what `senders` contributions sent, one behind the other in `codes`, `levels` (two for each
    /// block), `factors` (one for each of `tensors`) and `trusts` (one).
    #[allow(clippy::too_many_arguments)] // A kernel's.
    pub fn step_blocks(
        &self,
        theta: Ptr<f32>,
        codes: (Ptr<u16>, usize),
        levels: Ptr<[u16; 2]>,
        factors: Ptr<f32>,
        trusts: Ptr<u16>,
        list: (Ptr<Block>, usize),
        tensors: usize,
        senders: usize,
        least: u32,
        rate: f32,
    ) -> Done {
        launch!(
            self,
            "step_blocks",
            grid(list.1, 256),
            theta,
            codes.0,
            levels,
            factors,
            trusts,
            list.0,
            codes.1 as u64,
            tensors as u32,
            senders as u32,
            least,
            rate,
        )
    }
}

fn tile_width(heads: &Heads) -> Result<usize, CudaError> {
    Heads::kernel_width(heads.width as usize).ok_or(CudaError::Shape {
        reason: "its heads are wider than 128",
    })
}
