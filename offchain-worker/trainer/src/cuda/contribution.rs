//! Contributions made, and applied, on the card, with the bits of the CPU's.
//!
//! The arithmetic is that of the crate `cairn-gradient`: single IEEE operations in a stated order, so that a miner
//! with a card and one without send the same bytes for the same weights, and all come to the same model. The
//! tests compare the two to the bit.

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

/// What is sent of a tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent {
    /// Indices within the tensor, row by row, ascending.
    pub indices: Vec<u32>,
    /// A value for each.
    pub values: Vec<f32>,
}

/// What one member contributed, and the factor that its norm is clipped by, for each tensor.
pub struct Share<'a> {
    /// What it sent of each tensor, in the layout's order.
    pub tensors: &'a [Sent],
    /// f of each tensor: 1, or the median norm over its own.
    pub clips: &'a [f32],
}

/// Compresses and applies contributions to models of one layout.
pub struct Contributions<'a> {
    device: &'a Device,
    layout: &'a Layout,
    blocks: Vec<Block>,
    on_card: Buffer<Block>,
    /// Where each tensor's blocks begin in `blocks`, and at last their number.
    of_tensor: Vec<usize>,
}

impl<'a> Contributions<'a> {
    /// For models of `layout`, of which `kept` of 4,096 elements are sent.
    ///
    /// # Errors
    ///
    /// [`CudaError::OutOfMemory`] if the card has no room for the list of blocks.
    pub fn new(
        device: &'a Device,
        layout: &'a Layout,
        kept: usize,
    ) -> Result<Contributions<'a>, CudaError> {
        let (mut blocks, mut of_tensor) = (Vec::new(), vec![0]);
        let mut out = 0;
        for (tensor, range) in layout.ranges() {
            for mut block in blocks_of(tensor, range.start as u64, kept) {
                block.out = out;
                out += u64::from(block.keep);
                blocks.push(block);
            }
            of_tensor.push(blocks.len());
        }
        let on_card = device.uploaded(&blocks, "a contribution's blocks")?;
        Ok(Contributions {
            device,
            layout,
            blocks,
            on_card,
            of_tensor,
        })
    }

    /// What is sent of `before` − `after` and of the error feedback, which becomes what is not sent: as
    /// `cairn_gradient::compress` has it. All three are flat, in the layout's order.
    ///
    /// `None`, and an error feedback as it was, if something is not finite.
    ///
    /// # Errors
    ///
    /// [`CudaError`] if the card has too little memory or fails; `error` is then as it was.
    pub fn compress(
        &self,
        before: &[f32],
        after: &[f32],
        error: &mut [f32],
        beta: f32,
    ) -> Result<Option<Vec<Sent>>, CudaError> {
        let device = self.device;
        let entries: usize = self.blocks.iter().map(|block| block.keep as usize).sum();
        let what = "making a contribution";
        let places = device.buffer::<u16>(entries, what)?;
        let values = device.buffer::<f32>(entries, what)?;
        let left = device.uploaded(&*error, what)?;
        let fault = device.uploaded(&[0u32], what)?;
        let (before, after) = (
            device.uploaded(before, what)?,
            device.uploaded(after, what)?,
        );
        device.compress_blocks(
            places.ptr(),
            values.ptr(),
            left.ptr(),
            fault.ptr(),
            before.ptr(),
            after.ptr(),
            (self.on_card.ptr(), self.blocks.len()),
            beta,
        )?;
        if device.downloaded(&fault)? != [0] {
            return Ok(None);
        }
        let (places, values) = (device.downloaded(&places)?, device.downloaded(&values)?);
        device.download(&left, error)?;
        let tensors = self.layout.ranges().zip(self.of_tensor.windows(2));
        let sent = tensors.map(|((_, range), of)| {
            let blocks = self.blocks.get(of[0]..of[1]).unwrap_or_default();
            in_order(blocks, range.start as u64, &places, &values)
        });
        Ok(Some(sent.collect()))
    }

    /// θ ← θ − α Δ̄ with shares in ascending order of uid: as `cairn_gradient::outer_step` has it, given the
    /// factors. `least` is ⌈ρR⌉. `theta` is flat, in the layout's order.
    ///
    /// # Errors
    ///
    /// [`CudaError`] if the card has too little memory or fails; `theta` is then as it was.
    pub fn apply(
        &self,
        theta: &mut [f32],
        shares: &[Share],
        least: u32,
        rate: f32,
    ) -> Result<(), CudaError> {
        let device = self.device;
        let what = "applying contributions";
        let weights = device.uploaded(&*theta, what)?;
        let sums = device.buffer::<f32>(theta.len(), what)?;
        let senders = device.buffer::<u16>(theta.len(), what)?;
        device.clear(&sums)?;
        device.clear(&senders)?;
        let mut kept = Vec::new();
        for share in shares {
            let tensors = self.layout.ranges().zip(share.tensors).zip(share.clips);
            for (((_, range), sent), clip) in tensors {
                let indices = device.uploaded(&sent.indices, what)?;
                let values = device.uploaded(&sent.values, what)?;
                device.add_contribution(
                    sums.at(range.start),
                    senders.at(range.start),
                    indices.ptr(),
                    values.ptr(),
                    sent.indices.len(),
                    *clip,
                )?;
                kept.push((indices, values));
            }
        }
        device.apply_contributions(
            weights.ptr(),
            sums.ptr(),
            senders.ptr(),
            theta.len(),
            least,
            rate,
        )?;
        device.download(&weights, theta)
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
            });
        }
    }
    blocks
}

/// The entries of a tensor's blocks in ascending order of their index within the tensor.
fn in_order(blocks: &[Block], start: u64, places: &[u16], values: &[f32]) -> Sent {
    let mut entries: Vec<(u32, f32)> = Vec::new();
    for block in blocks {
        let at = block.out as usize..block.out as usize + block.keep as usize;
        let of_block = places[at.clone()].iter().zip(&values[at]);
        entries.extend(of_block.map(|(place, value)| {
            let (row, column) = (
                u32::from(*place) / block.width,
                u32::from(*place) % block.width,
            );
            let index = (block.start - start) as u32 + row * block.columns + column;
            (index, *value)
        }));
    }
    entries.sort_by_key(|(index, _)| *index);
    let (indices, values) = entries.into_iter().unzip();
    Sent { indices, values }
}
