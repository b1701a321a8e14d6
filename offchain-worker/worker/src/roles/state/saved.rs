//! The pieces of a worker's state.

use std::path::{Path, PathBuf};

use cairn_engine::{AdamState, Part, Sent, Shared, State};
use cairn_primitives::{ModelRoot, Round, SealedRoot, H256};
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

/// The parameters from which an open contribution was made, where they are not those held: on disk if it may be
/// audited.
const ORIGIN: &str = "origin_parameters";

/// What a contribution made ahead left, on disk, and where it is once that is the open one.
const AHEAD: [(&str, &str); 3] = [
    ("sent_first_moment", "ahead_first_moment"),
    ("sent_second_moment", "ahead_second_moment"),
    ("sent_feedback", "ahead_feedback"),
];

/// Moments and error feedback as the last included contribution left them, on disk.
const PARTS: [&str; 3] = ["first_moment", "second_moment", "feedback"];

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
    /// The contribution made for the round after the one that is held, where rounds overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ahead: Option<Ahead>,
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

/// A contribution that was made ahead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ahead {
    intent: Intent,
    /// Inner steps that the optimizer has done after it; none if it left nothing.
    steps: Option<u64>,
    traced: Traced,
}

/// The inner steps of a contribution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// How many were made.
    pub steps: u32,
    /// The hashes of the traced states, in order; none of a cheat's.
    pub states: Vec<H256>,
    /// What computed them, as headers name it; not known of what older versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
}

/// A contribution of this worker's that may still have to be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Its round.
    pub round: Round,
    /// What computed it, as headers name it, if it is known.
    pub engine: Option<String>,
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
    /// The one made for the round after that, where rounds overlap.
    pub ahead: Option<Intent>,
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
#[derive(Clone, Debug, Default)]
pub enum OpenChange<'a> {
    /// It stays.
    #[default]
    Keep,
    /// It is void, and so is what it left, and what was made ahead.
    Void,
    /// Its round is over and does not include it: it is void, and so is what went on from it. If there was none, what
    /// was made ahead is the open one from now on.
    NotIncluded,
    /// It is included: what it left is carried on, and what was made ahead is the open one from now on. If some of it
    /// is audited, what it began with is kept, too.
    Included(Option<Demand>),
    /// This is the one from now on; or, if it is for the round after the one held, this was made ahead.
    Set {
        /// What is, or will be, on chain, and what opens it.
        intent: &'a Intent,
        /// Moments and error feedback after it.
        sent: Vec<(Part, Shared)>,
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
    /// New parameters.
    pub parameters: Option<Shared>,
    /// Whether the parameters before stay for as long as what was made from them may be audited.
    pub keeps_origin: bool,
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

    /// Where it is.
    pub fn directory(&self) -> &Path {
        self.files.directory()
    }

    /// Where copies of the contributions that are open are kept, beside the state in this directory.
    pub fn outgoing_in(directory: &Path) -> PathBuf {
        directory.join("outgoing")
    }

    /// Where traced states are kept, beside the state in this directory.
    pub fn traces_in(directory: &Path) -> PathBuf {
        directory.join("traced")
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
        let (optimizer, feedback) = self.begun(meta)?;
        Ok(Some(Saved {
            held: Held {
                round: meta.round,
                root: meta.root,
            },
            state: State {
                parameters,
                optimizer,
                feedback,
                norm: meta.norm.map(f64::from_bits),
                sent: self.sent(meta)?,
            },
            ahead: meta.ahead.as_ref().map(|ahead| ahead.intent.clone()),
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
        self.files.numbers(name(part))
    }

    fn ends(&self) -> Result<Ends, StateError> {
        let found = self.files.read(ENDS)?;
        // Its hash is right, so it is as it was written.
        let ends = found.and_then(|bytes| Ends::decode(&mut &bytes[..]).ok());
        Ok(ends.unwrap_or_default())
    }

    /// Whether there is a contribution that is not settled yet, to the round held.
    pub fn has_open(&self) -> bool {
        self.files.meta().is_some_and(|meta| meta.open.is_some())
    }

    /// The sealed roots of what is not settled yet.
    pub fn open_roots(&self) -> Vec<SealedRoot> {
        let meta = self.files.meta();
        let open = meta.and_then(|meta| meta.open.as_ref());
        let ahead = meta.and_then(|meta| meta.ahead.as_ref());
        let intents = open.into_iter().chain(ahead.map(|ahead| &ahead.intent));
        intents.map(|one| one.commitment.sealed_root).collect()
    }

    /// What may still have to be made again: what is to be served, and what is not settled yet.
    pub fn debts(&self) -> Vec<Debt> {
        let Some(meta) = self.files.meta() else {
            return Vec::new();
        };
        let (audited, ahead) = (meta.audited.as_ref(), meta.ahead.as_ref());
        let owed = audited.map(|owed| (owed.demand.round, Some(&owed.traced)));
        let open = meta.open.as_ref();
        let open = open.map(|open| (open.round, meta.traced.as_ref()));
        let ahead = ahead.map(|ahead| (ahead.intent.round, Some(&ahead.traced)));
        let all = [owed, open, ahead].into_iter().flatten();
        let debt = |(round, traced): (Round, Option<&Traced>)| Debt {
            round,
            engine: traced.and_then(|traced| traced.engine.clone()),
        };
        all.map(debt).collect()
    }

    /// What is held, and where the last included contribution ended.
    ///
    /// # Errors
    /// [`StateError::Damaged`] and what the system says.
    pub fn last_included(&self) -> Result<Option<State>, StateError> {
        let (Some(meta), Some(parameters)) = (self.files.meta(), self.part(Part::Parameters)?)
        else {
            return Ok(None);
        };
        let step = meta.optimizer_steps;
        let (optimizer, feedback) = self.carried(PARTS, step)?;
        let norm = meta.norm.map(f64::from_bits);
        Ok(Some(State {
            optimizer,
            feedback,
            norm,
            ..State::new(parameters)
        }))
    }

    /// With which moments and error feedback the newest contribution began: as the one before left them, if it was made
    /// ahead.
    fn begun(&self, meta: &Meta) -> Result<(Option<AdamState>, Option<Vec<f32>>), StateError> {
        let is_ahead = meta.ahead.is_some();
        match meta.sent_steps.filter(|_| is_ahead && meta.open.is_some()) {
            Some(steps) => self.carried(SENT.map(|(_, sent)| sent), steps),
            None => self.carried(PARTS, meta.optimizer_steps),
        }
    }

    /// Moments and error feedback under these names.
    fn carried(
        &self,
        [m, v, feedback]: [&str; 3],
        step: u64,
    ) -> Result<(Option<AdamState>, Option<Vec<f32>>), StateError> {
        let moments = self.files.numbers(m)?.zip(self.files.numbers(v)?);
        let optimizer = moments.map(|(m, v)| AdamState { m, v, step });
        Ok((optimizer, self.files.numbers(feedback)?))
    }

    /// What the newest contribution left.
    fn sent(&self, meta: &Meta) -> Result<Option<Sent>, StateError> {
        let (names, steps) = match &meta.ahead {
            Some(ahead) => (AHEAD.map(|(_, ahead)| ahead), ahead.steps),
            None => (SENT.map(|(_, sent)| sent), meta.sent_steps),
        };
        let Some(steps) = steps else {
            return Ok(None);
        };
        let (optimizer, feedback) = self.carried(names, steps)?;
        let found = optimizer.zip(feedback);
        Ok(found.map(|(optimizer, feedback)| Sent {
            optimizer,
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
        let (Some(audited), Some(parameters)) = (audited, self.files.numbers(parameters)?) else {
            return Ok(None);
        };
        let step = audited.steps;
        let moments = self.files.numbers(m)?.zip(self.files.numbers(v)?);
        let before = State {
            optimizer: moments.map(|(m, v)| AdamState { m, v, step }),
            feedback: self.files.numbers(feedback)?,
            ..State::new(parameters)
        };
        Ok(Some((audited, before)))
    }

    /// The parameters from which the open contribution was made, if they are to be kept for who audits it. Where they
    /// are those held, and what was made ahead needs them, too, they are there under two names.
    fn origin(&self, change: &Change, meta: &Meta) -> New {
        if self.files.has(ORIGIN) {
            return New::Was(ORIGIN);
        }
        let is_audited = matches!(change.open, OpenChange::Included(Some(_)));
        match is_audited && change.keeps_origin && meta.ahead.is_some() {
            true => New::Is(name(Part::Parameters)),
            false => New::Was(name(Part::Parameters)),
        }
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
            ahead: None,
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
        let origin = self.origin(change, &meta);
        open_pieces(&change.open, origin, &mut meta, &mut pieces);
        if change.keeps_origin {
            let is_needed = meta.open.is_some() && change.parameters.is_some();
            let kept = match is_needed {
                true => New::Was(name(Part::Parameters)),
                false => New::Gone,
            };
            pieces.push((ORIGIN, kept));
        }
        if let Some(parameters) = &change.parameters {
            pieces.push((name(Part::Parameters), New::Numbers(parameters.clone())));
        }
        if let Some(ends) = change.ends {
            pieces.push((ENDS, New::Bytes(ends.encode())));
        }
        self.files.change(pieces, meta)
    }
}

/// What was made ahead is the open contribution from now on.
fn advance(meta: &mut Meta, pieces: &mut Vec<(&str, New)>) {
    let Some(ahead) = meta.ahead.take() else {
        return;
    };
    (meta.open, meta.sent_steps) = (Some(ahead.intent), ahead.steps);
    meta.traced = Some(ahead.traced);
    if ahead.steps.is_some() {
        pieces.extend(AHEAD.map(|(sent, ahead)| (sent, New::Was(ahead))));
    }
}

/// What was made ahead is void.
fn void_ahead(meta: &mut Meta, pieces: &mut Vec<(&str, New)>) {
    meta.ahead = None;
    pieces.extend(AHEAD.map(|(_, ahead)| (ahead, New::Gone)));
}

/// What a change of the open contribution does to the pieces and to what is said of them; `origin` are the parameters
/// from which it was made.
fn open_pieces(change: &OpenChange, origin: New, meta: &mut Meta, pieces: &mut Vec<(&str, New)>) {
    match change {
        OpenChange::Keep => {}
        OpenChange::Void => {
            (meta.open, meta.sent_steps, meta.traced) = (None, None, None);
            pieces.extend(SENT.map(|(_, sent)| (sent, New::Gone)));
            pieces.push((ORIGIN, New::Gone));
            void_ahead(meta, pieces);
        }
        OpenChange::NotIncluded => {
            let went_on = meta.open.is_some();
            (meta.open, meta.sent_steps, meta.traced) = (None, None, None);
            pieces.extend(SENT.map(|(_, sent)| (sent, New::Gone)));
            match went_on {
                true => void_ahead(meta, pieces),
                false => advance(meta, pieces),
            }
        }
        OpenChange::Included(audited) => {
            if let Some(demand) = *audited {
                meta.audited = Some(Audited {
                    demand,
                    traced: meta.traced.clone().unwrap_or_default(),
                    steps: meta.optimizer_steps,
                });
                let [(_, parameters), carried @ ..] = AUDITED;
                pieces.push((parameters, origin));
                pieces.extend(carried.map(|(part, kept)| (kept, New::Was(name(part)))));
            }
            // A cheat left nothing.
            if let Some(steps) = meta.sent_steps {
                meta.optimizer_steps = steps;
                pieces.extend(SENT.map(|(part, sent)| (name(part), New::Was(sent))));
            }
            (meta.open, meta.sent_steps, meta.traced) = (None, None, None);
            advance(meta, pieces);
        }
        OpenChange::Set {
            intent,
            sent,
            steps,
            traced,
        } => {
            let steps = (!sent.is_empty()).then_some(*steps);
            set(meta, (*intent, steps, *traced), sent, pieces);
        }
    }
}

/// A contribution was made: the open one, or, if it is for the round after the one held, one ahead. `sent` is what it
/// left.
fn set(
    meta: &mut Meta,
    (intent, steps, traced): (&Intent, Option<u64>, &Traced),
    sent: &[(Part, Shared)],
    pieces: &mut Vec<(&str, New)>,
) {
    let is_ahead = intent.round > meta.round;
    let place = |part: Part| {
        let mut places = SENT.into_iter().zip(AHEAD);
        let found = places.find(|((one, _), _)| *one == part);
        found.map(|((_, open), (_, ahead))| if is_ahead { ahead } else { open })
    };
    let known = sent
        .iter()
        .filter_map(|(part, vector)| Some((place(*part)?, vector)));
    pieces.extend(known.map(|(name, vector)| (name, New::Numbers(vector.clone()))));
    let (intent, traced) = (intent.clone(), traced.clone());
    if is_ahead {
        meta.ahead = Some(Ahead {
            intent,
            steps,
            traced,
        });
    } else {
        (meta.open, meta.sent_steps) = (Some(intent), steps);
        meta.traced = Some(traced);
    }
}

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
