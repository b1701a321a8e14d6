//! The pieces of a worker's state.

use std::path::Path;

use cairn_engine::{AdamState, Engine, EngineError, Part, State, Version};
use cairn_primitives::{Round, H256};
use cairn_round::{ballot::Ballot, miner::Intent, pledge::Pledge, Held};
use serde::{Deserialize, Serialize};

use super::{
    files::{Files, StateError},
    Identity,
};
use crate::roles::ledger::Line;

const OPEN: &str = "open";

/// A part's name on disk.
fn name(part: Part) -> &'static str {
    match part {
        Part::Parameters => "parameters",
        Part::FirstMoment => "first_moment",
        Part::SecondMoment => "second_moment",
        Part::Feedback => "feedback",
    }
}

/// What the manifest says beside the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    round: Round,
    root: H256,
    /// Inner steps that the optimizer has done.
    #[serde(default)]
    optimizer_steps: u64,
    open: Option<Intent>,
    last: Option<Line>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ballots: Vec<Ballot>,
    /// Bits of the norm, an `f64`: text might round it.
    #[serde(default)]
    norm: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pledges: Vec<Pledge>,
}

/// A contribution that was made, before it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// What is, or will be, on chain, and what opens it.
    pub intent: Intent,
    /// The file before it was sealed: it goes back into the error feedback if it is not included.
    pub plain: Vec<u8>,
}

/// What was on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// The parameters that were held.
    pub held: Held,
    /// All that an engine has to know.
    pub state: State,
    /// The contribution that is not settled yet.
    pub open: Option<Open>,
    /// The ledger's last line.
    pub last: Option<Line>,
    /// A validator's weights that are not revealed yet, or were a moment ago.
    pub ballots: Vec<Ballot>,
    /// What a validator attests, or attested, in the last rounds.
    pub pledges: Vec<Pledge>,
}

/// What becomes of the open contribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenChange<'a> {
    /// It stays.
    #[default]
    Keep,
    /// It is settled, or void.
    Clear,
    /// This is the one from now on.
    Set(&'a Open),
}

/// What changes. What is not named stays as it is.
#[derive(Default)]
pub struct Change<'a> {
    /// The parameters held from now on.
    pub held: Option<Held>,
    /// With them, what contributions are held against.
    pub norm: Option<f64>,
    /// New parts of the engine's state, as little-endian bytes.
    pub parts: Vec<(Part, Vec<u8>)>,
    /// Inner steps that the optimizer has done.
    pub optimizer_steps: Option<u64>,
    /// The open contribution.
    pub open: OpenChange<'a>,
    /// The ledger's last line.
    pub last: Option<&'a Line>,
    /// All of a validator's ballots from now on.
    pub ballots: Option<&'a [Ballot]>,
    /// All of a validator's pledges from now on.
    pub pledges: Option<&'a [Pledge]>,
}

/// Reads parts of an engine's state, as little-endian bytes. What it does not have is left out.
///
/// # Errors
/// Those of [`Engine::snapshot`].
pub fn read(
    engine: &dyn Engine,
    version: Version,
    parts: &[Part],
) -> Result<Vec<(Part, Vec<u8>)>, EngineError> {
    let mut found = Vec::new();
    for part in parts {
        let mut bytes = Vec::new();
        let mut sink = |piece: &[f32]| {
            bytes.extend(piece.iter().flat_map(|number| number.to_le_bytes()));
            Ok(())
        };
        if engine.snapshot(version, *part, &mut sink)? {
            found.push((*part, bytes));
        }
    }
    Ok(found)
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
        let (Some(meta), Some(parameters)) = (self.files.meta(), self.part(Part::Parameters)?)
        else {
            return Ok(None);
        };
        let moments = self
            .part(Part::FirstMoment)?
            .zip(self.part(Part::SecondMoment)?);
        let step = meta.optimizer_steps;
        let open = meta.open.as_ref().zip(self.files.read(OPEN)?);
        let open = open.map(|(intent, plain)| Open {
            intent: intent.clone(),
            plain,
        });
        Ok(Some(Saved {
            held: Held {
                round: meta.round,
                root: meta.root,
            },
            state: State {
                parameters,
                optimizer: moments.map(|(m, v)| AdamState { m, v, step }),
                feedback: self.part(Part::Feedback)?,
                norm: meta.norm.map(f64::from_bits),
            },
            open,
            last: meta.last.clone(),
            ballots: meta.ballots.clone(),
            pledges: meta.pledges.clone(),
        }))
    }

    fn part(&self, part: Part) -> Result<Option<Vec<f32>>, StateError> {
        Ok(self.files.read(name(part))?.map(|bytes| floats(&bytes)))
    }

    /// Writes a change: all of it or, whatever happens, nothing.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn save(&mut self, change: &Change) -> Result<(), StateError> {
        let mut meta = self.files.meta().cloned().unwrap_or(Meta {
            round: 0,
            root: H256::zero(),
            optimizer_steps: 0,
            open: None,
            last: None,
            ballots: Vec::new(),
            norm: None,
            pledges: Vec::new(),
        });
        if let Some(held) = change.held {
            (meta.round, meta.root) = (held.round, held.root);
            meta.norm = change.norm.map(f64::to_bits);
        }
        meta.optimizer_steps = change.optimizer_steps.unwrap_or(meta.optimizer_steps);
        meta.last = change.last.cloned().or(meta.last);
        if let Some(ballots) = change.ballots {
            meta.ballots = ballots.to_vec();
        }
        if let Some(pledges) = change.pledges {
            meta.pledges = pledges.to_vec();
        }
        let mut pieces: Vec<(&str, Option<Vec<u8>>)> = Vec::new();
        match change.open {
            OpenChange::Keep => {}
            OpenChange::Clear => {
                meta.open = None;
                pieces.push((OPEN, None));
            }
            OpenChange::Set(open) => {
                meta.open = Some(open.intent.clone());
                pieces.push((OPEN, Some(open.plain.clone())));
            }
        }
        for (part, bytes) in &change.parts {
            pieces.push((name(*part), Some(bytes.clone())));
        }
        self.files.change(pieces, meta)
    }
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
    use cairn_primitives::{Commitment, Secret, Verdicts};

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
        let intent = Intent {
            round,
            commitment,
            key: Secret::new([7; 32]),
        };
        Open {
            intent,
            plain: vec![1, 2, 3],
        }
    }

    fn held(round: Round, byte: u8) -> Option<Held> {
        let root = H256([byte; 32]);
        Some(Held { round, root })
    }

    fn bytes(numbers: &[f32]) -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    }

    #[test]
    fn a_round_goes_through_the_disk() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || StateDir::open(directory.path(), identity()).expect("it is ours");
        let saved = || open().load().expect("undamaged").expect("saved");
        assert_eq!(open().load().expect("new"), None);

        let theta = [1.5f32, -0.0, f32::MIN_POSITIVE];
        let joined = Change {
            held: held(3, 8),
            parts: vec![(Part::Parameters, bytes(&theta))],
            ..Change::default()
        };
        open().save(&joined).expect("room");
        let found = saved();
        assert_eq!((Some(found.held), &found.open), (held(3, 8), &None));
        assert_eq!(
            (&found.state.optimizer, &found.state.feedback),
            (&None, &None)
        );
        assert_eq!(found.state.parameters.map_bits(), theta.to_vec().map_bits());

        let contribution = an_open(3);
        let trained = Change {
            parts: vec![
                (Part::FirstMoment, bytes(&[1.0; 3])),
                (Part::SecondMoment, bytes(&[2.0; 3])),
                (Part::Feedback, bytes(&[9.0; 3])),
            ],
            optimizer_steps: Some(6),
            open: OpenChange::Set(&contribution),
            ..Change::default()
        };
        open().save(&trained).expect("room");
        // A change that says nothing of it leaves it alone.
        open().save(&Change::default()).expect("room");
        let found = saved();
        assert_eq!(
            (Some(found.held), found.open),
            (held(3, 8), Some(contribution))
        );
        let optimizer = found.state.optimizer.expect("it has trained");
        assert_eq!(
            (optimizer.m, optimizer.v, optimizer.step),
            (vec![1.0; 3], vec![2.0; 3], 6)
        );
        assert_eq!(found.state.feedback, Some(vec![9.0; 3]));

        let kept = Change {
            held: held(4, 9),
            norm: Some(0.1 + 0.2),
            parts: vec![(Part::Parameters, bytes(&theta))],
            open: OpenChange::Clear,
            ..Change::default()
        };
        open().save(&kept).expect("room");
        let found = saved();
        assert_eq!((Some(found.held), found.open), (held(4, 9), None));
        assert_eq!(found.state.feedback, Some(vec![9.0; 3]));
        assert_eq!(found.state.optimizer.map(|it| it.step), Some(6));
        assert_eq!(found.state.norm, Some(0.1 + 0.2));
    }

    #[test]
    fn ballots_stay_until_there_are_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || StateDir::open(directory.path(), identity()).expect("it is ours");
        let ballot = |round| {
            let salt = Secret::new([round as u8; 32]);
            Ballot::new(
                (1, H256([3; 32])),
                round,
                7,
                vec![(1, 2), (3, 65_535)],
                salt,
            )
        };
        let ballots = || open().load().expect("undamaged").expect("saved").ballots;
        let with = |ballots| Change {
            held: held(3, 8),
            parts: vec![(Part::Parameters, bytes(&[1.5]))],
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

    #[test]
    fn pledges_stay_until_there_are_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || StateDir::open(directory.path(), identity()).expect("it is ours");
        let pledge = |round| {
            let salt = Secret::new([round as u8; 32]);
            let voter = (1, H256([3; 32]));
            Pledge::new(voter, round, H256([8; 32]), Verdicts::from_uids([1]), salt)
        };
        let with = |pledges| Change {
            held: held(3, 8),
            parts: vec![(Part::Parameters, bytes(&[1.5]))],
            pledges,
            ..Change::default()
        };
        let two = [pledge(1), pledge(2)];
        open().save(&with(Some(&two))).expect("room");
        open().save(&with(None)).expect("room");
        let found = open().load().expect("undamaged").expect("saved");
        assert_eq!(found.pledges, two);
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
