//! The pieces of a worker's state.

use std::path::{Path, PathBuf};

use cairn_engine::{AdamState, Engine, EngineError, Part, Sent, State, Version};
use cairn_primitives::{ModelRoot, Round, H256};
use cairn_protocol::verdict::Ends;
use cairn_round::{
    audit::{Demand, Shown, Verdict},
    hidden_row::HiddenRow,
    miner::Intent,
    pledge::Pledge,
    Held,
};
use codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{
    files::{Files, New, StateError},
    Identity,
};
use crate::roles::ledger::Line;

/// A part's name on disk.
fn name(part: Part) -> &'static str {
    match part {
        Part::Parameters => "parameters",
        Part::FirstMoment => "first_moment",
        Part::SecondMoment => "second_moment",
        Part::Feedback => "feedback",
    }
}

/// What is kept of the state with which a round began of which work is audited, and where it was until then.
const AUDITED: [(Part, &str); 4] = [
    (Part::Parameters, "audited_parameters"),
    (Part::FirstMoment, "audited_first_moment"),
    (Part::SecondMoment, "audited_second_moment"),
    (Part::Feedback, "audited_feedback"),
];

/// Where makers ended, on disk, in SCALE.
const ENDS: &str = "ends";

/// What an open contribution left, on disk, and what it takes the place of if it is included.
const SENT: [(Part, &str); 3] = [
    (Part::FirstMoment, "sent_first_moment"),
    (Part::SecondMoment, "sent_second_moment"),
    (Part::Feedback, "sent_feedback"),
];

/// What the manifest says beside the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    round: Round,
    root: ModelRoot,
    /// Inner steps that the optimizer has done.
    optimizer_steps: u64,
    open: Option<Intent>,
    /// Those after the steps of the open contribution.
    sent_steps: Option<u64>,
    /// The states that were traced between those.
    traced: Option<Traced>,
    /// What is to be served of a round that was applied.
    audited: Option<Audited>,
    /// What a miner serves of the newest round that was audited.
    shown: Option<Shown>,
    /// What a validator found in audits that are not over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    verdicts: Vec<Verdict>,
    last: Option<Line>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hidden_rows: Vec<HiddenRow>,
    /// Bits of the norm, an `f64`: text might round it.
    #[serde(default)]
    norm: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pledges: Vec<Pledge>,
}

/// The inner steps of a contribution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// How many were made.
    pub steps: u32,
    /// The hashes of the traced states, in order; none of a cheat's.
    pub states: Vec<H256>,
}

/// What is audited of a round that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// Which steps.
    pub demand: Demand,
    /// The inner steps of the contribution.
    pub traced: Traced,
    /// Inner steps that the optimizer had done before.
    steps: u64,
}

/// What was on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// The parameters that were held.
    pub held: Held,
    /// All that an engine has to know.
    pub state: State,
    /// The contribution that is not settled yet.
    pub open: Option<Intent>,
    /// The ledger's last line.
    pub last: Option<Line>,
    /// A validator's scores that are not revealed yet, or were a moment ago.
    pub hidden_rows: Vec<HiddenRow>,
    /// What a validator attests, or attested, in the last rounds.
    pub pledges: Vec<Pledge>,
    /// Where makers ended.
    pub ends: Ends,
    /// The steps of the contribution that is not settled yet.
    pub traced: Option<Traced>,
    /// What is to be served of a round that was applied.
    pub owed: Option<Demand>,
    /// What a miner serves of the newest round that was audited.
    pub shown: Option<Shown>,
    /// What a validator found in audits that are not over.
    pub verdicts: Vec<Verdict>,
}

/// What becomes of the open contribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OpenChange<'a> {
    /// It stays.
    #[default]
    Keep,
    /// It is void, and so is what it left.
    Void,
    /// It is included: what it left is carried on. If some of it is audited, what it began with is kept, too.
    Included(Option<Demand>),
    /// This is the one from now on.
    Set {
        /// What is, or will be, on chain, and what opens it.
        intent: &'a Intent,
        /// Moments and error feedback after it, as little-endian bytes.
        sent: Vec<(Part, Vec<u8>)>,
        /// Inner steps that the optimizer has done then.
        steps: u64,
        /// The inner steps of it.
        traced: &'a Traced,
    },
}

/// What changes. What is not named stays as it is.
#[derive(Default)]
pub struct Change<'a> {
    /// The parameters held from now on.
    pub held: Option<Held>,
    /// With them, what contributions are held against.
    pub norm: Option<f64>,
    /// New parameters, as little-endian bytes.
    pub parameters: Option<Vec<u8>>,
    /// Whether moments and error feedback are forgotten.
    pub begins_anew: bool,
    /// The open contribution.
    pub open: OpenChange<'a>,
    /// The ledger's last line.
    pub last: Option<&'a Line>,
    /// Where makers ended.
    pub ends: Option<&'a Ends>,
    /// What a miner serves of the newest round that was audited.
    pub shown: Option<Shown>,
    /// All of a validator's verdicts from now on.
    pub verdicts: Option<&'a [Verdict]>,
    /// All of a validator's hidden_rows from now on.
    pub hidden_rows: Option<&'a [HiddenRow]>,
    /// All of a validator's pledges from now on.
    pub pledges: Option<&'a [Pledge]>,
}

/// Reads a part of an engine's state, as little-endian bytes; `None` if it does not have that.
///
/// # Errors
/// Those of [`Engine::snapshot`].
pub fn read(
    engine: &dyn Engine,
    version: Version,
    part: Part,
) -> Result<Option<Vec<u8>>, EngineError> {
    let mut bytes = Vec::new();
    let mut sink = |piece: &[f32]| {
        bytes.extend(piece.iter().flat_map(|number| number.to_le_bytes()));
        Ok(())
    };
    let is_there = engine.snapshot(version, part, &mut sink)?;
    Ok(is_there.then_some(bytes))
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

    /// Where a checkpoint is downloaded to. What lies there is checked again before it is used.
    pub fn joining(&self) -> PathBuf {
        self.files.directory().join("joining")
    }

    /// Where a copy of the contribution that is open is kept.
    pub fn outgoing(&self) -> PathBuf {
        StateDir::outgoing_in(self.files.directory())
    }

    /// The same of the state in this directory.
    pub fn outgoing_in(directory: &Path) -> PathBuf {
        directory.join("outgoing")
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
                sent: self.sent(meta)?,
            },
            open: meta.open.clone(),
            last: meta.last.clone(),
            hidden_rows: meta.hidden_rows.clone(),
            pledges: meta.pledges.clone(),
            ends: self.ends()?,
            traced: meta.traced.clone(),
            owed: meta.audited.as_ref().map(|audited| audited.demand),
            shown: meta.shown,
            verdicts: meta.verdicts.clone(),
        }))
    }

    fn part(&self, part: Part) -> Result<Option<Vec<f32>>, StateError> {
        self.numbers(name(part))
    }

    fn numbers(&self, name: &str) -> Result<Option<Vec<f32>>, StateError> {
        Ok(self.files.read(name)?.map(|bytes| floats(&bytes)))
    }

    fn ends(&self) -> Result<Ends, StateError> {
        let found = self.files.read(ENDS)?;
        // Its hash is right, so it is as it was written.
        let ends = found.and_then(|bytes| Ends::decode(&mut &bytes[..]).ok());
        Ok(ends.unwrap_or_default())
    }

    /// What the open contribution left.
    fn sent(&self, meta: &Meta) -> Result<Option<Sent>, StateError> {
        let [(_, m), (_, v), (_, feedback)] = SENT;
        let moments = self.numbers(m)?.zip(self.numbers(v)?);
        let found = moments.zip(self.numbers(feedback)?).zip(meta.sent_steps);
        Ok(found.map(|(((m, v), feedback), step)| Sent {
            optimizer: AdamState { m, v, step },
            feedback,
        }))
    }

    /// What is to be served of a round that was applied, and the parameters, moments and error feedback with which that
    /// began.
    ///
    /// # Errors
    /// [`StateError::Damaged`] and what the system says.
    pub fn audited(&self) -> Result<Option<(Audited, State)>, StateError> {
        let audited = self.files.meta().and_then(|meta| meta.audited.clone());
        let [(_, parameters), (_, m), (_, v), (_, feedback)] = AUDITED;
        let (Some(audited), Some(parameters)) = (audited, self.numbers(parameters)?) else {
            return Ok(None);
        };
        let step = audited.steps;
        let moments = self.numbers(m)?.zip(self.numbers(v)?);
        let before = State {
            optimizer: moments.map(|(m, v)| AdamState { m, v, step }),
            feedback: self.numbers(feedback)?,
            ..State::new(parameters)
        };
        Ok(Some((audited, before)))
    }

    /// Writes a change: all of it or, whatever happens, nothing.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn save(&mut self, change: &Change) -> Result<(), StateError> {
        let mut meta = self.files.meta().cloned().unwrap_or(Meta {
            round: 0,
            root: ModelRoot::zero(),
            optimizer_steps: 0,
            open: None,
            sent_steps: None,
            traced: None,
            audited: None,
            shown: None,
            verdicts: Vec::new(),
            last: None,
            hidden_rows: Vec::new(),
            norm: None,
            pledges: Vec::new(),
        });
        if let Some(held) = change.held {
            (meta.round, meta.root) = (held.round, held.root);
            meta.norm = change.norm.map(f64::to_bits);
        }
        meta.last = change.last.cloned().or(meta.last);
        if let Some(hidden_rows) = change.hidden_rows {
            meta.hidden_rows = hidden_rows.to_vec();
        }
        if let Some(pledges) = change.pledges {
            meta.pledges = pledges.to_vec();
        }
        if let Some(verdicts) = change.verdicts {
            meta.verdicts = verdicts.to_vec();
        }
        let mut pieces: Vec<(&str, New)> = Vec::new();
        if change.begins_anew {
            meta.optimizer_steps = 0;
            pieces.extend(SENT.map(|(part, _)| (name(part), New::Gone)));
        }
        if let Some(shown) = change.shown {
            (meta.shown, meta.audited) = (Some(shown), None);
            pieces.extend(AUDITED.map(|(_, kept)| (kept, New::Gone)));
        }
        open_pieces(&change.open, &mut meta, &mut pieces);
        if let Some(parameters) = &change.parameters {
            pieces.push((name(Part::Parameters), New::Bytes(parameters.clone())));
        }
        if let Some(ends) = change.ends {
            pieces.push((ENDS, New::Bytes(ends.encode())));
        }
        self.files.change(pieces, meta)
    }
}

/// What a change of the open contribution does to the pieces and to what is said of them.
fn open_pieces(change: &OpenChange, meta: &mut Meta, pieces: &mut Vec<(&str, New)>) {
    match change {
        OpenChange::Keep => {}
        OpenChange::Void => {
            (meta.open, meta.sent_steps, meta.traced) = (None, None, None);
            pieces.extend(SENT.map(|(_, sent)| (sent, New::Gone)));
        }
        OpenChange::Included(audited) => {
            if let Some(demand) = *audited {
                meta.audited = Some(Audited {
                    demand,
                    traced: meta.traced.clone().unwrap_or_default(),
                    steps: meta.optimizer_steps,
                });
                pieces.extend(AUDITED.map(|(part, kept)| (kept, New::Was(name(part)))));
            }
            // A cheat left nothing.
            if let Some(steps) = meta.sent_steps {
                meta.optimizer_steps = steps;
                pieces.extend(SENT.map(|(part, sent)| (name(part), New::Was(sent))));
            }
            (meta.open, meta.sent_steps, meta.traced) = (None, None, None);
        }
        OpenChange::Set {
            intent,
            sent,
            steps,
            traced,
        } => {
            meta.open = Some((*intent).clone());
            meta.traced = Some((*traced).clone());
            meta.sent_steps = (!sent.is_empty()).then_some(*steps);
            let named = |part: &Part| SENT.iter().find(|(one, _)| one == part);
            let known = sent
                .iter()
                .filter_map(|(part, bytes)| Some((named(part)?.1, bytes)));
            pieces.extend(known.map(|(name, bytes)| (name, New::Bytes(bytes.clone()))));
        }
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
    use cairn_primitives::{
        Commitment, Finding, Hotkey, Netuid, SealedRoot, Secret, Served, Uid, Verdicts,
    };

    fn identity() -> Identity {
        let [genesis, first, hotkey] = [1, 2, 3].map(|byte| H256([byte; 32]));
        Identity {
            genesis,
            netuid: Netuid(1),
            started_at: 5,
            started_in: H256([4; 32]),
            initial_root: ModelRoot(first),
            hotkey: Hotkey(hotkey),
        }
    }

    fn an_intent(round: Round) -> Intent {
        let commitment = Commitment {
            parent_root: ModelRoot::from([4; 32]),
            sealed_root: SealedRoot::from([5; 32]),
            length: 3,
            key_hash: H256([6; 32]),
        };
        Intent {
            round,
            commitment,
            key: Secret::new([7; 32]),
        }
    }

    fn held(round: Round, byte: u8) -> Option<Held> {
        let root = ModelRoot::from([byte; 32]);
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
            parameters: Some(bytes(&theta)),
            ends: Some(&Ends::from_round(0)),
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

        for (round, is_included) in [(3, false), (4, true)] {
            let intent = an_intent(round);
            let left = |byte: f32| Sent {
                optimizer: AdamState {
                    m: vec![byte; 3],
                    v: vec![byte + 1.0; 3],
                    step: 6,
                },
                feedback: vec![9.0; 3],
            };
            let sent = left(f32::from(round as u8));
            let traced = Traced {
                steps: 3,
                states: vec![H256([round as u8; 32]); 2],
            };
            let trained = Change {
                open: OpenChange::Set {
                    intent: &intent,
                    sent: vec![
                        (Part::FirstMoment, bytes(&sent.optimizer.m)),
                        (Part::SecondMoment, bytes(&sent.optimizer.v)),
                        (Part::Feedback, bytes(&sent.feedback)),
                    ],
                    steps: 6,
                    traced: &traced,
                },
                ..Change::default()
            };
            open().save(&trained).expect("room");
            // A change that says nothing of it leaves it alone.
            open().save(&Change::default()).expect("room");
            let found = saved();
            assert_eq!((found.held.round, found.open), (round, Some(intent)));
            assert_eq!(found.traced, Some(traced));
            assert_eq!(found.state.optimizer, None);
            assert_eq!(found.state.sent.as_ref(), Some(&sent));

            let demand = Demand { round, drawn: 5 };
            let kept = Change {
                held: held(round + 1, 9),
                norm: Some(0.1 + 0.2),
                parameters: Some(bytes(&theta)),
                open: match is_included {
                    true => OpenChange::Included(Some(demand)),
                    false => OpenChange::Void,
                },
                ..Change::default()
            };
            open().save(&kept).expect("room");
            let found = saved();
            assert_eq!((Some(found.held), found.open), (held(round + 1, 9), None));
            assert_eq!(found.traced, None);
            let carried = found.state.optimizer.zip(found.state.feedback);
            let want = is_included.then_some((sent.optimizer, sent.feedback));
            assert_eq!((carried, found.state.sent), (want, None));
            assert_eq!(found.owed, is_included.then_some(demand));
            let audited = open().audited().expect("undamaged");
            let audited = audited.map(|(audited, before)| (audited.demand, before));
            let before = State::new(theta.to_vec());
            assert_eq!(audited, is_included.then_some((demand, before)));
            assert_eq!(found.state.norm, Some(0.1 + 0.2));
        }
        assert_eq!(saved().ends, Ends::from_round(0));
        let anew = Change {
            begins_anew: true,
            ..Change::default()
        };
        open().save(&anew).expect("room");
        let state = saved().state;
        assert_eq!((state.optimizer, state.feedback), (None, None));
    }

    #[test]
    fn ballots_stay_until_there_are_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || StateDir::open(directory.path(), identity()).expect("it is ours");
        let hidden_row = |round| {
            let salt = Secret::new([round as u8; 32]);
            HiddenRow::new(
                (Netuid(1), Hotkey(H256([3; 32]))),
                round,
                7,
                vec![(Uid(1), 2), (Uid(3), 65_535)],
                salt,
            )
        };
        let hidden_rows = || {
            open()
                .load()
                .expect("undamaged")
                .expect("saved")
                .hidden_rows
        };
        let with = |hidden_rows| Change {
            held: held(3, 8),
            parameters: Some(bytes(&[1.5])),
            hidden_rows,
            ..Change::default()
        };
        open().save(&with(None)).expect("room");
        assert_eq!(hidden_rows(), []);
        let two = [hidden_row(1), hidden_row(2)];
        open().save(&with(Some(&two))).expect("room");
        open().save(&with(None)).expect("room");
        assert_eq!(hidden_rows(), two);
        open().save(&with(Some(&two[1..]))).expect("room");
        assert_eq!(hidden_rows(), two[1..]);
    }

    #[test]
    fn pledges_stay_until_there_are_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || StateDir::open(directory.path(), identity()).expect("it is ours");
        let pledge = |round| {
            let salt = Secret::new([round as u8; 32]);
            let voter = (Netuid(1), [3; 32].into());
            Pledge::new(
                voter,
                round,
                ModelRoot(H256([8; 32])),
                Verdicts::from_uids([1].map(Uid)),
                H256([7; 32]),
                salt,
            )
        };
        let with = |pledges| Change {
            held: held(3, 8),
            parameters: Some(bytes(&[1.5])),
            pledges,
            ..Change::default()
        };
        let two = [pledge(1), pledge(2)];
        open().save(&with(Some(&two))).expect("room");
        open().save(&with(None)).expect("room");
        let found = open().load().expect("undamaged").expect("saved");
        assert_eq!(found.pledges, two);
    }

    #[test]
    fn what_is_served_and_what_was_found_stays_until_there_is_other() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || StateDir::open(directory.path(), identity()).expect("it is ours");
        let saved = || open().load().expect("undamaged").expect("saved");
        let served = Served {
            root: H256([5; 32]),
            length: 9,
        };
        let shown = Some(Shown { round: 4, served });
        let salt = Secret::new([6; 32]);
        let verdict = Verdict::new(
            (Netuid(1), Hotkey(H256([3; 32]))),
            (4, Uid(2)),
            Finding::Failed,
            salt,
        );
        let first = Change {
            held: held(3, 8),
            parameters: Some(bytes(&[1.5])),
            shown,
            verdicts: Some(std::slice::from_ref(&verdict)),
            ..Change::default()
        };
        open().save(&first).expect("room");
        open().save(&Change::default()).expect("room");
        assert_eq!((saved().shown, saved().verdicts), (shown, vec![verdict]));
        assert_eq!(open().audited().expect("undamaged"), None);
        let none = Change {
            verdicts: Some(&[]),
            ..Change::default()
        };
        open().save(&none).expect("room");
        assert_eq!((saved().shown, saved().verdicts), (shown, vec![]));
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
