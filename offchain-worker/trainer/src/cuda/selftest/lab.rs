//! Numbers to test with, comparing and timing.

use std::time::Instant;

use half::bf16;

use super::super::{
    device::{Buffer, Card, Device},
    error::CudaError,
};

/// Launches that are timed together.
const TIMED_LAUNCHES: u32 = 20;

/// What a kernel did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was tested.
    pub name: &'static str,
    /// Largest error, relative to the larger of the value and the root mean square of all values.
    pub error: f64,
    /// The most that is accepted.
    pub tolerance: f64,
    /// Time of one launch.
    pub seconds: Option<f64>,
    /// The share of the card's peak that this is: of its memory's bandwidth, or of its tensor cores' arithmetic.
    pub share_of_peak: Option<(f64, &'static str)>,
}

impl Outcome {
    /// Whether the error is within the tolerance.
    pub fn passed(&self) -> bool {
        self.error <= self.tolerance
    }

    /// Adds this to what is known: the larger error, the newest time.
    pub(super) fn merge_into(self, all: &mut Vec<Outcome>) {
        match all.iter_mut().find(|known| known.name == self.name) {
            Some(known) => {
                known.error = known.error.max(self.error);
                known.seconds = self.seconds.or(known.seconds);
                known.share_of_peak = self.share_of_peak.or(known.share_of_peak);
            }
            None => all.push(self),
        }
    }
}

/// What a launch has to do at least.
#[derive(Clone, Copy)]
pub enum Work {
    /// Bytes to read and write.
    Bytes(usize),
    /// Multiplications and additions on tensor cores.
    Flops(usize),
}

/// A device, and what was found out on it.
pub struct Lab<'a> {
    /// The device.
    pub device: &'a Device,
    random: u64,
    timing: bool,
    outcomes: Vec<Outcome>,
}

type Done = Result<(), CudaError>;

impl<'a> Lab<'a> {
    /// A lab whose numbers come from `seed`; it compares.
    pub fn new(device: &'a Device, seed: u64) -> Lab<'a> {
        Lab {
            device,
            random: seed,
            timing: false,
            outcomes: Vec::new(),
        }
    }

    /// From now on times, and compares no more.
    pub fn time(&mut self) {
        self.timing = true;
    }

    /// What was found out.
    pub fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }

    /// A number in −1..1 (SplitMix64: Steele, Lea and Flood 2014).
    pub fn number(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u32) -> u32 {
        (self.bits() % u64::from(limit)) as u32
    }

    fn bits(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Floats, and a copy on the card.
    pub fn floats(&mut self, len: usize, scale: f32) -> Result<(Vec<f32>, Buffer<f32>), CudaError> {
        let numbers: Vec<f32> = (0..len).map(|_| self.number() * scale).collect();
        let buffer = self.device.uploaded(&numbers, "a test")?;
        Ok((numbers, buffer))
    }

    /// The same, rounded to bfloat16; the first is what was rounded to.
    pub fn rounded(
        &mut self,
        len: usize,
        scale: f32,
    ) -> Result<(Vec<f64>, Buffer<bf16>), CudaError> {
        let numbers: Vec<bf16> = (0..len)
            .map(|_| bf16::from_f32(self.number() * scale))
            .collect();
        let buffer = self.device.uploaded(&numbers, "a test")?;
        Ok((numbers.iter().map(|x| x.to_f64()).collect(), buffer))
    }

    /// Launches, and compares by `error`, or times.
    pub fn trial(
        &mut self,
        name: &'static str,
        tolerance: f64,
        work: Work,
        launch: impl Fn() -> Done,
        error: impl FnOnce() -> Result<f64, CudaError>,
    ) -> Done {
        launch()?;
        let mut outcome = Outcome {
            name,
            error: 0.0,
            tolerance,
            seconds: None,
            share_of_peak: None,
        };
        if self.timing {
            self.device.synchronize(name)?;
            let begin = Instant::now();
            for _ in 0..TIMED_LAUNCHES {
                launch()?;
            }
            self.device.synchronize(name)?;
            let seconds = begin.elapsed().as_secs_f64() / f64::from(TIMED_LAUNCHES);
            outcome.seconds = Some(seconds);
            outcome.share_of_peak = share_of_peak(self.device.card(), work, seconds);
        } else {
            outcome.error = error()?;
        }
        outcome.merge_into(&mut self.outcomes);
        Ok(())
    }
}

fn share_of_peak(card: &Card, work: Work, seconds: f64) -> Option<(f64, &'static str)> {
    let (done, peak, of) = match work {
        Work::Bytes(bytes) => (bytes, card.bandwidth()?, "memory"),
        Work::Flops(flops) => (flops, card.tensor_flops()?, "arithmetic"),
    };
    Some((done as f64 / seconds / peak, of))
}

/// The largest error of `got` against `want`, relative to the larger of the value and the root mean square of all
/// values; infinite if anything is not a number, or if there are not as many.
pub fn error(got: impl IntoIterator<Item = f64>, want: &[f64]) -> f64 {
    let mean = want.iter().map(|x| x * x).sum::<f64>() / want.len().max(1) as f64;
    let typical = mean.sqrt().max(f64::MIN_POSITIVE);
    let (mut largest, mut count) = (0f64, 0);
    for (got, want) in got.into_iter().zip(want) {
        let error = (got - want).abs() / want.abs().max(typical);
        largest = largest.max(if error.is_nan() { f64::INFINITY } else { error });
        count += 1;
    }
    if count == want.len() {
        largest
    } else {
        f64::INFINITY
    }
}

/// Numbers as `f64`.
pub fn wide<T: Copy + Into<f64>>(numbers: &[T]) -> Vec<f64> {
    numbers.iter().map(|x| (*x).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_relative_and_never_lost() {
        assert_eq!(error([1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert!((error([1.0, 2.2], &[1.0, 2.0]) - 0.1).abs() < 1e-9);
        assert_eq!(error([1.0, f64::NAN], &[1.0, 2.0]), f64::INFINITY);
        assert_eq!(error([1.0], &[1.0, 2.0]), f64::INFINITY);
    }
}
