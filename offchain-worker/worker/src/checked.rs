//! Contributions that were checked and are kept as they were sent, which is shorter than what they decode to.

use std::sync::Arc;

use cairn_gradient::{
    decode, open, verify, Contribution, DecodeError, Header, Reader, StreamError, StreamedStep,
};
use cairn_primitives::{Compression, Layout, RunConfig, Uid, H256};

/// A contribution to a run, opened and known to be one.
#[derive(Debug, PartialEq)]
pub struct Checked {
    header: Header,
    file: Vec<u8>,
}

impl Checked {
    /// Opens a sealed file and goes through it once.
    ///
    /// # Errors
    /// If it is no contribution to this run.
    pub fn open(
        sealed: &[u8],
        key: &[u8; 32],
        layout: &Layout,
        config: &RunConfig,
    ) -> Result<Checked, DecodeError> {
        let mut file = sealed.to_vec();
        open(&mut file, key);
        let header = verify(&file, layout, &reading(config))?;
        Ok(Checked { header, file })
    }

    /// What it says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All of it, for as long as it is needed.
    ///
    /// # Errors
    /// If it was checked for another run.
    pub fn decode(&self, layout: &Layout, config: &RunConfig) -> Result<Contribution, DecodeError> {
        decode(&self.file, layout, &reading(config))
    }
}

/// What reading takes is the same in all rounds.
fn reading(config: &RunConfig) -> Compression {
    config.compression_in(0)
}

/// Takes the run's outer step, with one tensor of each contribution in memory at a time. Gives the state root.
///
/// # Errors
/// If weights or contributions do not go with the layout, or a uid is there twice. Some weights may have changed.
pub fn outer_step(
    theta: &mut [f32],
    layout: &Layout,
    config: &RunConfig,
    contributions: &[(Uid, Arc<Checked>)],
) -> Result<H256, StreamError> {
    let compression = reading(config);
    let readers = contributions.iter().map(|(uid, checked)| {
        let reader = Reader::new(checked.file.as_slice(), layout, &compression);
        let named = |error| StreamError::Read { uid: *uid, error };
        reader.map(|reader| (*uid, reader)).map_err(named)
    });
    let mut step = StreamedStep::new(readers.collect::<Result<_, _>>()?, &config.outer)?;
    for (_, range) in layout.ranges() {
        // too few weights are of the wrong length, and the step says so
        step.tensor(theta.get_mut(range).unwrap_or_default())?;
    }
    step.finish()
}
