//! Contributions made, and applied, on the card, with the bits of the CPU's.
//!
//! The arithmetic is that of the crate `cairn-gradient`: single IEEE operations in a stated order, so that a miner
//! with a card and one without send the same bytes for the same weights, and all come to the same model. The
//! tests compare the two to the bit.
//!
//! What is sent is said as that crate says it, too: of each block of a tensor a code for each value, and two levels.
//! The codec only has to encode what the card selected, and weights never cross to the host for it.

use cairn_primitives::{Layout, Tensor};

use super::{
    device::{Buffer, Device},
    error::CudaError,
    ops::Block,
};

/// Elements of a full block: 64 × 64 of a matrix, 4,096 of a vector.
const BLOCK: usize = 4096;
/// Rows and columns of a matrix's full block.
const SIDE: usize = 64;

/// What is sent of a tensor, in the form that `cairn_gradient::SparseTensor` has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// A code for each value, block by block: its place, whether its level is the high one, its sign.
    pub codes: Vec<u16>,
    /// The levels of each block, each the upper half of an `f32`, the low one first.
    pub levels: Vec<[u16; 2]>,
}

/// What one member contributed, and the factor that its norm is clipped by, for each tensor.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// What it sent of each tensor, in the layout's order.
    pub tensors: &'a [Selected],
    /// f of each tensor: 1, or the median norm over its own.
    pub clips: &'a [f32],
}

/// The settings of an outer step.
#[derive(Clone, Copy, Debug)]
pub struct OuterRule {
    /// α.
    pub rate: f32,
    /// ⌈ρR⌉, and 1 at least.
    pub least: u32,
}

/// Makes and applies contributions to models of one layout.
pub struct Contributions {
    /// How many of 4,096 elements are sent.
    kept: usize,
    blocks: Buffer<Block>,
    parts: Vec<Part>,
}

/// What is sent of one tensor.
struct Part {
    codes: usize,
    blocks: usize,
}

impl Contributions {
    /// For models of `layout`, of which `kept` of 4,096 elements are sent.
    ///
    /// # Errors
    ///
    /// [`CudaError::OutOfMemory`] if the card has no room for the list of blocks.
    pub fn new(device: &Device, layout: &Layout, kept: usize) -> Result<Contributions, CudaError> {
        let (mut blocks, mut parts, mut out) = (Vec::new(), Vec::new(), 0);
        for (number, (tensor, range)) in layout.ranges().enumerate() {
            let of_tensor = blocks_of(tensor, range.start as u64, kept);
            let codes = of_tensor.iter().map(|block| block.keep as usize).sum();
            parts.push(Part {
                codes,
                blocks: of_tensor.len(),
            });
            blocks.extend(of_tensor.into_iter().map(|block| {
                let block = Block {
                    out,
                    tensor: number as u32,
                    ..block
                };
                out += u64::from(block.keep);
                block
            }));
        }
        Ok(Contributions {
            kept,
            blocks: device.uploaded(&blocks, "a contribution's blocks")?,
            parts,
        })
    }

    /// How many of 4,096 elements are sent.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// What is sent of `before` − `after` and of the error feedback, which becomes what is not sent: as
    /// `cairn_gradient::compress` has it. All three are flat, in the layout's order.
    ///
    /// `None` if something is not finite, and then at the same place of the error feedback, which is of no more use.
    ///
    /// # Errors
    ///
    /// [`CudaError`] if the card has too little memory or fails.
    pub fn select(
        &self,
        device: &Device,
        before: &Buffer<f32>,
        after: &Buffer<f32>,
        error: &Buffer<f32>,
        beta: f32,
    ) -> Result<Option<Vec<Selected>>, CudaError> {
        let what = "making a contribution";
        let codes = device.buffer::<u16>(self.codes(), what)?;
        let levels = device.buffer::<[u16; 2]>(self.blocks.len(), what)?;
        let fault = device.uploaded(&[0u32], what)?;
        device.compress_blocks(
            codes.ptr(),
            levels.ptr(),
            error.ptr(),
            fault.ptr(),
            before.ptr(),
            after.ptr(),
            (self.blocks.ptr(), self.blocks.len()),
            beta,
        )?;
        if device.downloaded(&fault)? != [0] {
            return Ok(None);
        }
        let mut codes = device.downloaded(&codes)?.into_iter();
        let mut levels = device.downloaded(&levels)?.into_iter();
        let of_part = |part: &Part| Selected {
            codes: codes.by_ref().take(part.codes).collect(),
            levels: levels.by_ref().take(part.blocks).collect(),
        };
        Ok(Some(self.parts.iter().map(of_part).collect()))
    }

    /// Whether what was sent has as many codes and levels as these models' tensors, and a clip for each.
    pub fn fits(&self, share: &Share) -> bool {
        let fits = |(part, sent): (&Part, &Selected)| {
            (part.codes, part.blocks) == (sent.codes.len(), sent.levels.len())
        };
        let count = self.parts.len();
        (share.tensors.len(), share.clips.len()) == (count, count)
            && self.parts.iter().zip(share.tensors).all(fits)
    }

    /// θ ← θ − α Δ̄ with shares in ascending order of uid: as `cairn_gradient::outer_step` has it, given the
    /// factors. `theta` is flat, in the layout's order.
    ///
    /// # Errors
    ///
    /// [`CudaError::Shape`] if a share does not fit, [`CudaError`] if the card has too little memory or fails; `theta`
    /// may have been moved if it was lost.
    pub fn step(
        &self,
        device: &Device,
        theta: &Buffer<f32>,
        shares: &[Share],
        rule: OuterRule,
    ) -> Result<(), CudaError> {
        if !shares.iter().all(|share| self.fits(share)) {
            return Err(CudaError::Shape {
                reason: "a contribution is of another layout or density",
            });
        }
        let what = "applying contributions";
        let sent = || shares.iter().flat_map(|share| share.tensors);
        let codes: Vec<u16> = sent().flat_map(|sent| &sent.codes).copied().collect();
        let levels: Vec<[u16; 2]> = sent().flat_map(|sent| &sent.levels).copied().collect();
        let clips = shares.iter().flat_map(|share| share.clips);
        let clips: Vec<f32> = clips.copied().collect();
        let (codes, levels, clips) = (
            device.uploaded(&codes, what)?,
            device.uploaded(&levels, what)?,
            device.uploaded(&clips, what)?,
        );
        device.step_blocks(
            theta.ptr(),
            (codes.ptr(), self.codes()),
            levels.ptr(),
            clips.ptr(),
            (self.blocks.ptr(), self.blocks.len()),
            self.parts.len(),
            shares.len(),
            rule.least,
            rule.rate,
        )
    }

    fn codes(&self) -> usize {
        self.parts.iter().map(|part| part.codes).sum()
    }
}

/// The blocks of a tensor: strip by strip, each from the left. Of a block of `len` elements,
/// max(1, round(len · kept / 4096)) are sent.
fn blocks_of(tensor: &Tensor, start: u64, kept: usize) -> Vec<Block> {
    let size = |i: usize| tensor.shape.get(i).map_or(1, |n| *n as usize);
    // A vector is one row.
    let (rows, columns, high, wide) = if tensor.shape.len() == 2 {
        (size(0), size(1), SIDE, SIDE)
    } else {
        (1, size(0), 1, BLOCK)
    };
    let mut blocks = Vec::new();
    for row in (0..rows).step_by(high) {
        for column in (0..columns).step_by(wide) {
            let width = wide.min(columns - column);
            let length = high.min(rows - row) * width;
            blocks.push(Block {
                start: start + (row * columns + column) as u64,
                out: 0,
                columns: columns as u32,
                width: width as u32,
                length: length as u32,
                keep: ((length * kept + BLOCK / 2) / BLOCK).clamp(1, length) as u32,
                tensor: 0,
            });
        }
    }
    blocks
}
