//! Contributions that were checked, and are kept as they were sent, which is shorter than what they decode to.
//!
//! Whoever applies a contribution takes it through [`check`] first, and so does whoever vouches for one: what the rule
//! [`cairn_protocol::verdict`] says, and what takes reading the file.

use cairn_primitives::{
    Commitment, Compression, ContributionKey, Hotkey, Layout, ModelRoot, Netuid, Round, RunConfig,
    Standing, Uid, H256,
};
use cairn_protocol::{
    combination::{self, Brought},
    verdict::{self, check_carried, check_header, check_length, check_norm, Before, Engines, Owed},
};
use thiserror::Error;

use crate::{
    contribution::{Contribution, Header, MismatchError},
    outer::{alone::Alone, OuterStepError, Stepped, StreamError, StreamedStep},
    seal::open,
    wire::{decode, verify, DecodeError, Reader, Verified},
};

/// Why a contribution is not good.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Refusal {
    /// Not the format, or not one of this run.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// In the format, and not what its maker owes.
    #[error(transparent)]
    Verdict(#[from] verdict::Refusal),
}

impl Refusal {
    /// Whether the file is *broken*: whoever opens the bytes that the commitment names, with the revealed key, refuses
    /// them for this. So nothing else may decide it than the file, its commitment and the run's configuration
    /// ([`verdict::Refusal::is_broken`]).
    pub fn is_broken(&self) -> bool {
        match self {
            Refusal::Decode(error) => match error {
                DecodeError::HeaderTruncated { .. }
                | DecodeError::Magic { .. }
                | DecodeError::MeanLoss
                | DecodeError::Engine
                | DecodeError::Empty
                | DecodeError::ForeignLayout { .. }
                | DecodeError::Tensor { .. }
                | DecodeError::TrailingBytes => true,
                // Another release may read it; and a layout that cannot be is the reader's own.
                DecodeError::Version { .. }
                | DecodeError::ForeignVersion { .. }
                | DecodeError::Layout(_) => false,
            },
            Refusal::Verdict(refusal) => refusal.is_broken(),
        }
    }
}

/// What the contributions to a run have in common.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The subnet.
    pub netuid: Netuid,
    /// The run's configuration.
    pub config: &'a RunConfig,
    /// The layout of its model.
    pub layout: &'a Layout,
}

/// Whose contribution a file should be, and for what.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The round.
    pub round: Round,
    /// Who committed.
    pub hotkey: Hotkey,
    /// Its seat, by which it has its turn.
    pub uid: Uid,
    /// To what.
    pub commitment: Commitment,
    /// The revealed key.
    pub key: ContributionKey,
    /// Root of the parameters with which the round began.
    pub parent_root: ModelRoot,
    /// What is known of the rounds before. Nothing when a contribution is applied that the chain has settled on.
    pub before: Before,
}

/// A contribution to a run, opened and known to be one.
#[derive(Debug, PartialEq)]
pub struct Checked {
    header: Header,
    norm: f64,
    file: Vec<u8>,
    hash: H256,
    compression: Compression,
}

/// Opens a sealed file, of which the root is known to be the one committed to, and checks that it is what the miner
/// owes.
///
/// # Errors
/// [`Refusal`].
pub fn check(terms: &Terms, claim: &Claim, sealed: &[u8]) -> Result<Checked, Refusal> {
    let owed = Owed {
        netuid: terms.netuid,
        round: claim.round,
        hotkey: claim.hotkey,
        commitment: claim.commitment.clone(),
        parent_root: claim.parent_root,
        layout_hash: terms.layout.hash(),
        inner_steps: terms.config.inner.steps,
        engines: Engines::of(&terms.config.audits),
    };
    check_length(&owed, sealed.len() as u64)?;
    let compression = terms.config.compression_of(claim.uid, claim.round);
    let checked = Checked::open(sealed, &claim.key, terms.layout, compression)?;
    check_header(&owed, &checked.header)?;
    check_norm(checked.norm, claim.before.norm)?;
    check_carried(&checked.header, &claim.before.last)?;
    Ok(checked)
}

impl Checked {
    /// Opens a sealed file and goes through it once.
    ///
    /// # Errors
    /// If it is no contribution to this run.
    fn open(
        sealed: &[u8],
        key: &ContributionKey,
        layout: &Layout,
        compression: Compression,
    ) -> Result<Checked, DecodeError> {
        let mut file = sealed.to_vec();
        open(&mut file, key);
        let Verified { header, norm } = verify(&file, layout, &compression)?;
        let hash = H256(blake3::hash(&file).into());
        Ok(Checked {
            header,
            norm,
            file,
            hash,
            compression,
        })
    }

    /// What it says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its norm over all tensors.
    pub fn norm(&self) -> f64 {
        self.norm
    }

    /// Its bytes, as they were before they were sealed.
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// The BLAKE3 hash of those bytes: whoever has applied it knows it again.
    pub fn hash(&self) -> H256 {
        self.hash
    }

    /// How its maker made it small.
    pub fn compression(&self) -> &Compression {
        &self.compression
    }

    /// All of it, for as long as it is needed.
    ///
    /// # Errors
    /// If it was checked for another layout.
    pub fn decode(&self, layout: &Layout) -> Result<Contribution, DecodeError> {
        decode(&self.file, layout, &self.compression)
    }
}

/// What each of a round's included contributions counts in the run's outer step, as the rule [`combination`] has it:
/// by what the settlement says of it and, where tokens count, by the inner steps that its header declares. All of the
/// round have to be there, in any order.
pub fn counted<C: AsRef<Checked>>(
    config: &RunConfig,
    included: Vec<(Uid, Standing, C)>,
) -> Vec<(Uid, u16, C)> {
    let brought = included.iter().map(|(_, standing, checked)| Brought {
        standing: *standing,
        steps: checked.as_ref().header.inner_steps,
    });
    let brought: Vec<Brought> = brought.collect();
    let counts = combination::counts(config.outer.combine, &brought);
    let each = included.into_iter().zip(counts);
    each.map(|((uid, _, checked), count)| (uid, count, checked))
        .collect()
}

/// Takes the run's outer step, with one tensor of each contribution in memory at a time. Contributions come with uid
/// and what they [count](counted). Gives the model root and the median norm.
///
/// # Errors
/// If parameters or contributions do not go with the layout, a count is 0, or a uid is there twice. Some parameters
/// may have changed.
pub fn outer_step<C: AsRef<Checked>>(
    theta: &mut [f32],
    layout: &Layout,
    config: &RunConfig,
    contributions: &[(Uid, u16, C)],
) -> Result<Stepped, StreamError> {
    let readers = contributions.iter().map(|(uid, trust, checked)| {
        let Checked {
            file, compression, ..
        } = checked.as_ref();
        let reader = Reader::new(file.as_slice(), layout, compression);
        let named = |error| StreamError::Read { uid: *uid, error };
        reader.map(|reader| (*uid, *trust, reader)).map_err(named)
    });
    let mut step = StreamedStep::new(readers.collect::<Result<_, _>>()?, &config.outer)?;
    for (_, range) in layout.ranges() {
        // too few parameters are of the wrong length, and the step says so
        step.tensor(theta.get_mut(range).unwrap_or_default())?;
    }
    step.finish()
}

/// Parameters after the run's outer step from `before` with one contribution alone, into `after`, whose memory is used
/// again: the bits of [`outer_step`], with one tensor of the contribution in memory at a time.
///
/// # Errors
/// If the parameters do not go with the layout, or the contribution was checked for another run. What is in `after` is
/// of no use then.
pub fn outer_step_alone(
    before: &[f32],
    after: &mut Vec<f32>,
    layout: &Layout,
    config: &RunConfig,
    contribution: &Checked,
) -> Result<(), StreamError> {
    let (found, expected) = (before.len(), layout.parameters());
    if found != expected {
        let error = MismatchError::VectorLength { found, expected };
        return Err(OuterStepError::Parameters(error).into());
    }
    let alone = Alone::new(&config.outer)?;
    let read = |error| StreamError::Read { uid: Uid(0), error };
    let Checked {
        file, compression, ..
    } = contribution;
    let mut reader = Reader::new(file.as_slice(), layout, compression).map_err(read)?;
    after.resize(before.len(), 0.0);
    let mut tensor = None;
    for (_, range) in layout.ranges() {
        // a reader has a tensor for each of its layout
        if !reader.tensor(&mut tensor).map_err(read)? {
            break;
        }
        let (before, after) = (before.get(range.clone()), after.get_mut(range));
        if let (Some(before), Some(sent), Some(after)) = (before, &tensor, after) {
            alone.tensor(before, sent, after);
        }
    }
    reader.finish().map_err(read)?;
    Ok(())
}
