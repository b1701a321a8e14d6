//! The kernels that make and apply contributions, to the bit.

use cairn_primitives::blocks::{BLOCK, HIGH, PLACE};

use super::{
    lab::{Lab, Work},
    reference,
};
use crate::cuda::{
    device::{Buffer, Device},
    error::CudaError,
    ops::Block,
};

type Done = Result<(), CudaError>;

/// Elements of a block.
const LENGTH: usize = BLOCK;
/// How many of them are sent.
const KEEP: usize = 64;
/// What the contributions of an outer step are taken times: they send the same otherwise.
const FACTORS: [f32; 3] = [1.0, 1.4, 0.9];
/// Their trust.
const TRUSTS: [u16; 3] = [1, 2, 3];

/// Full blocks, one behind the other.
fn list(blocks: usize) -> Vec<Block> {
    let block = |i: usize| Block {
        start: (i * LENGTH) as u64,
        out: (i * KEEP) as u64,
        columns: LENGTH as u32,
        width: LENGTH as u32,
        length: LENGTH as u32,
        keep: KEEP as u32,
        tensor: 0,
    };
    (0..blocks).map(block).collect()
}

/// What is sent, on the card.
struct Sent {
    codes: Buffer<u16>,
    levels: Buffer<[u16; 2]>,
}

impl Sent {
    /// Places within blocks, and values.
    fn read(&self, device: &Device) -> Result<(Vec<u16>, Vec<f32>), CudaError> {
        let (codes, levels) = (
            device.downloaded(&self.codes)?,
            device.downloaded(&self.levels)?,
        );
        let of_block = |(codes, levels): (&[u16], &[u16; 2])| -> Vec<(u16, f32)> {
            let value = |code: &u16| {
                let level = u32::from(levels[usize::from(code & HIGH != 0)]);
                let sign = u32::from(code >> 15);
                (code & PLACE, f32::from_bits(level << 16 | sign << 31))
            };
            codes.iter().map(value).collect()
        };
        let all = codes.chunks(KEEP).zip(&levels).flat_map(of_block);
        Ok(all.unzip())
    }
}

/// Makes contributions of so many blocks, and applies them.
pub fn all(lab: &mut Lab, blocks: usize) -> Done {
    let device = lab.device;
    let blocks_at = device.uploaded(&list(blocks), "a test")?;
    let sent = Sent {
        codes: device.buffer(blocks * KEEP, "a test")?,
        levels: device.buffer(blocks, "a test")?,
    };
    compress(lab, &blocks_at, &sent)?;
    step(lab, &blocks_at, &sent)
}

fn same(right: bool) -> f64 {
    if right {
        0.0
    } else {
        f64::INFINITY
    }
}

fn compress(lab: &mut Lab, list: &Buffer<Block>, sent: &Sent) -> Done {
    let device = lab.device;
    let all = list.len() * LENGTH;
    let (before, before_at) = lab.floats(all, 1e-2)?;
    let (after, after_at) = lab.floats(all, 1e-2)?;
    let (error_before, error_at) = lab.floats(all, 1e-2)?;
    let fault = device.uploaded(&[0u32], "a test")?;
    lab.trial(
        "compress_blocks",
        0.0,
        Work::Bytes(all * 16),
        || {
            device.compress_blocks(
                sent.codes.ptr(),
                sent.levels.ptr(),
                error_at.ptr(),
                fault.ptr(),
                before_at.ptr(),
                after_at.ptr(),
                (list.ptr(), list.len()),
                0.95,
                None,
            )
        },
        || {
            let change = before.iter().zip(&after).map(|(x, y)| x - y);
            let accumulated = error_before.iter().zip(change).map(|(e, d)| 0.95 * e + d);
            let mut want: Vec<f32> = accumulated.collect();
            let (mut places, mut values) = (Vec::new(), Vec::new());
            for block in want.chunks_mut(LENGTH) {
                let (of_block, sent) = reference::compress(block, KEEP);
                places.extend(of_block);
                values.extend(sent);
            }
            let right = sent.read(device)? == (places, values);
            Ok(same(right && device.downloaded(&error_at)? == want))
        },
    )
}

fn step(lab: &mut Lab, list: &Buffer<Block>, sent: &Sent) -> Done {
    let device = lab.device;
    let (before, theta) = lab.floats(list.len() * LENGTH, 1.0)?;
    let (one, levels) = (
        device.downloaded(&sent.codes)?,
        device.downloaded(&sent.levels)?,
    );
    let codes = device.uploaded(&one.repeat(FACTORS.len()), "a test")?;
    let levels = device.uploaded(&levels.repeat(FACTORS.len()), "a test")?;
    let factors = device.uploaded(&FACTORS, "a test")?;
    let trusts = device.uploaded(&TRUSTS, "a test")?;
    let (least, rate) = (4, 0.9f32);
    let divisor = TRUSTS.iter().map(|trust| u32::from(*trust)).sum::<u32>();
    lab.trial(
        "step_blocks",
        0.0,
        Work::Bytes(list.len() * (8 * LENGTH + 2 * KEEP * FACTORS.len())),
        || {
            device.step_blocks(
                theta.ptr(),
                (codes.ptr(), one.len()),
                levels.ptr(),
                factors.ptr(),
                trusts.ptr(),
                (list.ptr(), list.len()),
                1,
                FACTORS.len(),
                least,
                rate,
            )
        },
        || {
            let (places, values) = sent.read(device)?;
            let mut want = before.clone();
            for (i, (place, value)) in places.iter().zip(&values).enumerate() {
                let sum = FACTORS
                    .iter()
                    .fold(0f32, |sum, factor| sum + factor * value);
                let at = i / KEEP * LENGTH + usize::from(*place);
                want[at] -= rate * (sum * (1.0 / divisor.max(least) as f32));
            }
            Ok(same(device.downloaded(&theta)? == want))
        },
    )
}
