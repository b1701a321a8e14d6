//! The pieces of a worker's state.

use std::path::Path;

use cairn_primitives::{Commitment, Round, H256};
use cairn_round::ballot::Ballot;
use cairn_trainer::AdamState;
use serde::{Deserialize, Serialize};

use super::{
    files::{Files, StateError},
    Identity,
};
use crate::roles::ledger::Line;

const THETA: &str = "theta";
const ADAM: &str = "adam";
const FEEDBACK: &str = "feedback";
const OPEN: &str = "open";

/// What the manifest says beside the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    round: Round,
    root: H256,
    open: Option<OpenMeta>,
    last: Option<Line>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ballots: Vec<Ballot>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OpenMeta {
    round: Round,
    commitment: Commitment,
    key: H256,
}

/// A contribution that was made, before it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The round that it was made for.
    pub round: Round,
    /// What is, or will be, on chain.
    pub commitment: Commitment,
    /// What opens it.
    pub key: [u8; 32],
    /// The file before it was sealed: it goes back into the error feedback if it is not included.
    pub plain: Vec<u8>,
}

/// What was on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// The round that begins with the weights.
    pub round: Round,
    /// The weights' root.
    pub root: H256,
    /// The weights.
    pub theta: Vec<f32>,
    /// AdamW's moments, of a miner that has trained.
    pub adam: Option<AdamState>,
    /// The error feedback, of a miner that has trained.
    pub feedback: Option<Vec<f32>>,
    /// The contribution that is not settled yet.
    pub open: Option<Open>,
    /// The ledger's last line.
    pub last: Option<Line>,
    /// A validator's weights that are not revealed yet, or were a moment ago.
    pub ballots: Vec<Ballot>,
}

/// What changes. What is `None` stays as it is, but for `open`.
#[derive(Default)]
pub struct Change<'a> {
    /// New weights, the round that begins with them and their root.
    pub weights: Option<(Round, H256, &'a [f32])>,
    /// New moments.
    pub adam: Option<&'a AdamState>,
    /// New error feedback.
    pub feedback: Option<&'a [f32]>,
    /// The open contribution from now on.
    pub open: Option<&'a Open>,
    /// The ledger's last line.
    pub last: Option<&'a Line>,
    /// All of a validator's ballots from now on.
    pub ballots: Option<&'a [Ballot]>,
}

/// A worker's state directory.
pub struct StateDir {
    files: Files<Meta>,
}

impl StateDir {
    /// Opens the directory and locks it.
    ///
    /// # Errors
    /// [`StateError`] if it is in use, damaged, or another worker's.
    pub fn open(directory: &Path, identity: Identity) -> Result<StateDir, StateError> {
        Ok(StateDir {
            files: Files::open(directory, identity)?,
        })
    }

    /// Reads everything; `None` in a new directory.
    ///
    /// # Errors
    /// [`StateError::Damaged`] and what the system says.
    pub fn load(&self) -> Result<Option<Saved>, StateError> {
        let (Some(meta), Some(theta)) = (self.files.meta(), self.files.read(THETA)?) else {
            return Ok(None);
        };
        let adam = match self.files.read(ADAM)? {
            Some(bytes) => {
                Some(
                    AdamState::from_bytes(&bytes).map_err(|error| StateError::Damaged {
                        path: ADAM.into(),
                        why: error.to_string(),
                    })?,
                )
            }
            None => None,
        };
        let open = meta
            .open
            .as_ref()
            .zip(self.files.read(OPEN)?)
            .map(|(open, plain)| Open {
                round: open.round,
                commitment: open.commitment.clone(),
                key: open.key.0,
                plain,
            });
        Ok(Some(Saved {
            round: meta.round,
            root: meta.root,
            theta: floats(&theta),
            adam,
            feedback: self.files.read(FEEDBACK)?.map(|bytes| floats(&bytes)),
            open,
            last: meta.last.clone(),
            ballots: meta.ballots.clone(),
        }))
    }

    /// Writes a change: all of it or, whatever happens, nothing.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn save(&mut self, change: &Change) -> Result<(), StateError> {
        let before = self.files.meta();
        let (round, root) = match change.weights {
            Some((round, root, _)) => (round, root),
            None => before.map_or((0, H256::zero()), |meta| (meta.round, meta.root)),
        };
        let open = change.open.map(|open| OpenMeta {
            round: open.round,
            commitment: open.commitment.clone(),
            key: H256(open.key),
        });
        let last = change
            .last
            .cloned()
            .or_else(|| before.and_then(|meta| meta.last.clone()));
        let ballots = match change.ballots {
            Some(ballots) => ballots.to_vec(),
            None => before.map_or_else(Vec::new, |meta| meta.ballots.clone()),
        };
        let mut pieces = vec![(OPEN, change.open.map(|open| open.plain.clone()))];
        if let Some((_, _, theta)) = change.weights {
            pieces.push((THETA, Some(bytes(theta))));
        }
        if let Some(adam) = change.adam {
            pieces.push((ADAM, Some(adam.to_bytes())));
        }
        if let Some(feedback) = change.feedback {
            pieces.push((FEEDBACK, Some(bytes(feedback))));
        }
        self.files.change(
            pieces,
            Meta {
                round,
                root,
                open,
                last,
                ballots,
            },
        )
    }
}

/// Little-endian bytes of numbers.
pub fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// Numbers of little-endian bytes; a rest of fewer than four bytes is left out.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    let numbers = bytes
        .chunks_exact(4)
        .filter_map(|number| number.try_into().ok());
    numbers.map(f32::from_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let [genesis, initial_root, hotkey] = [1, 2, 3].map(|byte| H256([byte; 32]));
        Identity {
            genesis,
            netuid: 1,
            started_at: 5,
            started_in: H256([4; 32]),
            initial_root,
            hotkey,
        }
    }

    fn an_open(round: Round) -> Open {
        let [parent_root, sealed_root, key_hash] = [4, 5, 6].map(|byte| H256([byte; 32]));
        let commitment = Commitment {
            parent_root,
            sealed_root,
            length: 3,
            key_hash,
        };
        Open {
            round,
            commitment,
            key: [7; 32],
            plain: vec![1, 2, 3],
        }
    }

    #[test]
    fn a_round_goes_through_the_disk() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || StateDir::open(directory.path(), identity()).expect("it is ours");
        assert_eq!(open().load().expect("new"), None);

        let theta = [1.5f32, -0.0, f32::MIN_POSITIVE];
        let weights = Some((3, H256([8; 32]), &theta[..]));
        open()
            .save(&Change {
                weights,
                ..Change::default()
            })
            .expect("room");
        let saved = open().load().expect("undamaged").expect("saved");
        assert_eq!(
            (saved.round, saved.root, saved.adam, saved.open),
            (3, H256([8; 32]), None, None)
        );
        assert_eq!(saved.theta.map_bits(), theta.to_vec().map_bits());

        let (adam, contribution) = (AdamState::new(3), an_open(3));
        let change = Change {
            adam: Some(&adam),
            feedback: Some(&[9.0; 3]),
            open: Some(&contribution),
            ..Change::default()
        };
        open().save(&change).expect("room");
        let saved = open().load().expect("undamaged").expect("saved");
        assert_eq!((saved.round, saved.open), (3, Some(contribution)));
        assert_eq!(saved.feedback, Some(vec![9.0; 3]));
        assert_eq!(saved.adam.map(|adam| adam.m.len()), Some(3));

        open()
            .save(&Change {
                weights: Some((4, H256([9; 32]), &theta)),
                ..Change::default()
            })
            .expect("room");
        let saved = open().load().expect("undamaged").expect("saved");
        assert_eq!((saved.round, saved.open), (4, None));
        assert_eq!(saved.feedback, Some(vec![9.0; 3]));
    }

    #[test]
    fn ballots_stay_until_there_are_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || StateDir::open(directory.path(), identity()).expect("it is ours");
        let ballot = |round| {
            let salt = H256([round as u8; 32]);
            Ballot::new(
                (1, H256([3; 32])),
                round,
                7,
                vec![(1, 2), (3, 65_535)],
                salt,
            )
        };
        let ballots = || open().load().expect("undamaged").expect("saved").ballots;
        let weights = Some((3, H256([8; 32]), &[1.5f32][..]));
        let with = |ballots| Change {
            weights,
            ballots,
            ..Change::default()
        };
        open().save(&with(None)).expect("room");
        assert_eq!(ballots(), []);
        let two = [ballot(1), ballot(2)];
        open().save(&with(Some(&two))).expect("room");
        open().save(&with(None)).expect("room");
        assert_eq!(ballots(), two);
        open().save(&with(Some(&two[1..]))).expect("room");
        assert_eq!(ballots(), two[1..]);
    }

    trait Bits {
        fn map_bits(&self) -> Vec<u32>;
    }

    impl Bits for Vec<f32> {
        fn map_bits(&self) -> Vec<u32> {
            self.iter().map(|number| number.to_bits()).collect()
        }
    }
}
