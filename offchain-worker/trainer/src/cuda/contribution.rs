//! Contributions made, and applied, on the card, with the bits of the CPU's.
//!
//! The arithmetic is that of the crate `cairn-gradient`: single IEEE operations in a stated order, so that a miner
//! with a card and one without send the same bytes for the same parameters, and all come to the same model. The
//! tests compare the two to the bit.
//!
//! What is sent is said as that crate says it, too: of each block of a tensor a code for each value, and two levels.
//! The codec only has to encode what the card selected, and parameters never cross to the host for it.

use cairn_primitives::{
    blocks::{Grid, Kept, Turn},
    Layout, LayoutError, Selected,
};

use super::{
    device::{Buffer, Device},
    error::CudaError,
    ops::Block,
};

/// What one member contributed, and what it is taken times.
#[derive(Clone, Copy, Debug)]
pub struct Share<'a> {
    /// What it sent of each tensor, in the layout's order.
    pub tensors: &'a [&'a Selected],
    /// t · f of each tensor: its trust, times 1 or the median norm over its own.
    pub factors: &'a [f32],
    /// t, its trust over the greatest common divisor of all shares'; those of all shares add up to less than 2²⁴.
    pub trust: u16,
}

/// The settings of an outer step.
#[derive(Clone, Copy, Debug)]
pub struct OuterRule {
    /// α.
    pub rate: f32,
    /// ⌈ρT⌉ with T the shares' trust together, and 1 at least.
    pub least: u32,
}

/// Makes and applies contributions to models of one layout.
pub struct Contributions {
    /// Which elements are sent.
    kept: Kept,
    blocks: Buffer<Block>,
    parts: Vec<Part>,
}

/// What is sent of one tensor.
struct Part {
    codes: usize,
    blocks: usize,
}

impl Contributions {
    /// For models of `layout`, of which these elements are sent.
    ///
    /// # Errors
    ///
    /// [`CudaError::Shape`] if nothing can be sent of such tensors, [`CudaError::OutOfMemory`] if the card has no room
    /// for the list of blocks.
    pub fn new(device: &Device, layout: &Layout, kept: Kept) -> Result<Contributions, CudaError> {
        let (mut blocks, mut parts, mut out) = (Vec::new(), Vec::new(), 0);
        for (number, (tensor, range)) in layout.ranges().enumerate() {
            let grid = Grid::of(tensor).map_err(impossible)?;
            let (of_tensor, codes) = grid.totals(kept);
            parts.push(Part {
                codes,
                blocks: of_tensor,
            });
            blocks.extend(blocks_of(grid, range.start as u64, kept).map(|block| {
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

    /// Which elements are sent.
    pub fn kept(&self) -> Kept {
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
            self.turn(),
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

    /// Whether what was sent has as many codes and levels as these models' tensors, and a factor for each.
    pub fn fits(&self, share: &Share) -> bool {
        let fits = |(part, sent): (&Part, &&Selected)| {
            (part.codes, part.blocks) == (sent.codes.len(), sent.levels.len())
        };
        let count = self.parts.len();
        (share.tensors.len(), share.factors.len()) == (count, count)
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
        let factors = shares.iter().flat_map(|share| share.factors);
        let factors: Vec<f32> = factors.copied().collect();
        let trusts: Vec<u16> = shares.iter().map(|share| share.trust).collect();
        let (codes, levels, factors, trusts) = (
            device.uploaded(&codes, what)?,
            device.uploaded(&levels, what)?,
            device.uploaded(&factors, what)?,
            device.uploaded(&trusts, what)?,
        );
        device.step_blocks(
            theta.ptr(),
            (codes.ptr(), self.codes()),
            levels.ptr(),
            factors.ptr(),
            trusts.ptr(),
            (self.blocks.ptr(), self.blocks.len()),
            self.parts.len(),
            shares.len(),
            rule.least,
            rule.rate,
        )
    }

    /// Whose turn it is, if members take turns.
    fn turn(&self) -> Option<Turn> {
        match self.kept {
            Kept::Largest(_) => None,
            Kept::Turn(turn) => Some(turn),
        }
    }

    fn codes(&self) -> usize {
        self.parts.iter().map(|part| part.codes).sum()
    }
}

/// The blocks of a tensor that begins at `start`, in the order in which they are sent.
fn blocks_of(grid: Grid, start: u64, kept: Kept) -> impl Iterator<Item = Block> {
    (0..grid.strip_count()).flat_map(move |number| {
        let strip = grid.strip(number);
        strip.blocks(kept).map(move |block| Block {
            start: start + (strip.start + block.col) as u64,
            out: 0,
            columns: strip.cols as u32,
            width: block.width as u32,
            length: block.len as u32,
            keep: block.keep as u32,
            tensor: 0,
        })
    })
}

pub(super) fn impossible(_: LayoutError) -> CudaError {
    CudaError::Shape {
        reason: "its tensors cannot be contributed to, or not with these values of a block",
    }
}

#[cfg(test)]
mod tests {
    use cairn_primitives::blocks;

    /// The value of a constant of the kernels, as their source writes it.
    fn constant(name: &str) -> u64 {
        let source = include_str!("kernels/contribution.cu");
        let of_line = |line: &str| -> Option<u64> {
            let stated = line.trim().strip_prefix("static const ")?;
            let (_, listed) = stated.split_once(' ')?;
            listed.split([',', ';']).find_map(|one| {
                let (found, value) = one.split_once(" = ")?;
                (found.trim() == name).then(|| number(value.trim()))
            })
        };
        source.lines().find_map(of_line).expect(name)
    }

    fn number(text: &str) -> u64 {
        if let Some((one, places)) = text.split_once(" << ") {
            return number(one) << number(places);
        }
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
            None => text.parse().unwrap(),
        }
    }

    #[test]
    fn the_kernels_have_the_constants_of_the_format() {
        assert_eq!(constant("BLOCK"), blocks::BLOCK as u64);
        assert_eq!(constant("PLACE"), u64::from(blocks::PLACE));
        assert_eq!(constant("HIGH"), u64::from(blocks::HIGH));
        assert_eq!(constant("NEGATIVE"), u64::from(blocks::NEGATIVE));
        assert_eq!(constant("LEVEL_LIMIT"), u64::from(blocks::LEVEL_LIMIT));
    }
}
