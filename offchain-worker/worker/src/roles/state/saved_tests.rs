//! What goes through the disk.

use std::fs::{self, File};

use super::*;
use crate::roles::state::files::MANIFEST;
use cairn_primitives::{
    Commitment, Finding, Hotkey, Judgement, Netuid, SealedRoot, Secret, Served, Uid, Witness,
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

fn vector(numbers: &[f32]) -> Shared {
    numbers.to_vec().into()
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
        parameters: Some(vector(&theta)),
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
            engine: Some("cuda a card".into()),
        };
        let trained = Change {
            open: OpenChange::Set {
                intent: &intent,
                sent: vec![
                    (Part::FirstMoment, vector(&sent.optimizer.m)),
                    (Part::SecondMoment, vector(&sent.optimizer.v)),
                    (Part::Feedback, vector(&sent.feedback)),
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
        assert_eq!(found.traced.as_ref(), Some(&traced));
        let debt = Debt {
            round,
            engine: traced.engine.clone(),
        };
        assert_eq!(open().debts().last(), Some(&debt));
        assert_eq!(found.state.optimizer, None);
        assert_eq!(found.state.sent.as_ref(), Some(&sent));

        let demand = Demand { round, drawn: 5 };
        let kept = Change {
            held: held(round + 1, 9),
            norm: Some(0.1 + 0.2),
            parameters: Some(vector(&theta)),
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
        let debts: Vec<Debt> = is_included.then_some(debt).into_iter().collect();
        assert_eq!(open().debts(), debts);
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
fn hidden_rows_stay_until_there_are_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || StateDir::open(directory.path(), identity()).expect("it is ours");
    let hidden_row = |round| {
        let salt = Secret::new([round as u8; 32]);
        HiddenRow::new(
            (Netuid(1), Hotkey(H256([3; 32]))),
            round,
            7,
            vec![(Uid(1), 2), (Uid(3), 65_535)],
            Served {
                root: H256([4; 32]),
                length: 5,
            },
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
        parameters: Some(vector(&[1.5])),
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
            Judgement::new([Uid(1)], [Uid(9)]),
            Witness {
                gains: H256([7; 32]),
                loss: 3,
            },
            salt,
        )
    };
    let with = |pledges| Change {
        held: held(3, 8),
        parameters: Some(vector(&[1.5])),
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
        parameters: Some(vector(&[1.5])),
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

/// What a contribution to this round leaves.
fn left(round: Round) -> Sent {
    let number = round as f32;
    Sent {
        optimizer: AdamState {
            m: vec![number; 3],
            v: vec![number + 0.5; 3],
            step: u64::from(round) + 1,
        },
        feedback: vec![-number; 3],
    }
}

/// A contribution to this round is on the disk.
fn make(state: &mut StateDir, round: Round) {
    let (intent, sent) = (an_intent(round), left(round));
    let traced = Traced {
        steps: round,
        states: Vec::new(),
        engine: None,
    };
    let made = OpenChange::Set {
        intent: &intent,
        sent: vec![
            (Part::FirstMoment, vector(&sent.optimizer.m)),
            (Part::SecondMoment, vector(&sent.optimizer.v)),
            (Part::Feedback, vector(&sent.feedback)),
        ],
        steps: sent.optimizer.step,
        traced: &traced,
    };
    let made = Change {
        open: made,
        ..Change::default()
    };
    state.save(&made).expect("room");
}

/// The round held is over, and these parameters are held from now on; none: the same.
fn go_on(state: &mut StateDir, next: Round, theta: Option<f32>, open: OpenChange) {
    let kept = Change {
        held: held(next, next as u8),
        parameters: theta.map(|number| vector(&[number; 3])),
        keeps_origin: true,
        open,
        ..Change::default()
    };
    state.save(&kept).expect("room");
}

fn begun(directory: &Path, round: Round) -> StateDir {
    let mut state = StateDir::open(directory, identity()).expect("it is ours");
    go_on(&mut state, round, Some(round as f32), OpenChange::Keep);
    state
}

fn rounds(state: &StateDir) -> (Option<Round>, Option<Round>) {
    let saved = state.load().expect("undamaged").expect("saved");
    let round = |intent: Option<Intent>| intent.map(|intent| intent.round);
    (round(saved.open), round(saved.ahead))
}

/// Where the newest contribution began, and what it left; then where the last included one ended.
fn steps(state: &StateDir) -> [Option<u64>; 3] {
    let now = state.load().expect("undamaged").expect("saved").state;
    let before = state.last_included().expect("undamaged").expect("saved");
    let of = |optimizer: &Option<AdamState>| optimizer.as_ref().map(|moments| moments.step);
    let sent = now.sent.as_ref().map(|sent| sent.optimizer.step);
    [of(&now.optimizer), sent, of(&before.optimizer)]
}

#[test]
fn what_is_made_ahead_goes_on_from_what_is_open() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut state = begun(directory.path(), 3);
    make(&mut state, 3);
    make(&mut state, 4);
    assert_eq!(rounds(&state), (Some(3), Some(4)));
    assert_eq!(steps(&state), [Some(4), Some(5), None]);
    let roots = state.open_roots();
    assert_eq!(roots.len(), 2);
    go_on(&mut state, 4, Some(4.0), OpenChange::Included(None));
    assert_eq!(rounds(&state), (Some(4), None));
    assert_eq!(steps(&state), [Some(4), Some(5), Some(4)]);
    let saved = state.load().expect("undamaged").expect("saved");
    assert_eq!(saved.state.sent, Some(left(4)));
    assert_eq!(saved.state.feedback, Some(left(3).feedback));
}

#[test]
fn what_went_on_from_a_contribution_that_is_not_included_is_void() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut state = begun(directory.path(), 3);
    make(&mut state, 3);
    make(&mut state, 4);
    go_on(&mut state, 4, Some(4.0), OpenChange::NotIncluded);
    assert_eq!(rounds(&state), (None, None));
    assert_eq!(steps(&state), [None; 3]);
    // Without one it went on from nothing that could fail.
    make(&mut state, 5);
    assert_eq!(rounds(&state), (None, Some(5)));
    go_on(&mut state, 5, None, OpenChange::NotIncluded);
    assert_eq!(rounds(&state), (Some(5), None));
    assert_eq!(steps(&state), [None, Some(6), None]);
    let void = Change {
        open: OpenChange::Void,
        ..Change::default()
    };
    state.save(&void).expect("room");
    assert_eq!((rounds(&state), steps(&state)), ((None, None), [None; 3]));
}

#[test]
fn what_is_audited_begins_with_the_parameters_that_it_was_made_from() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut state = begun(directory.path(), 0);
    make(&mut state, 0);
    make(&mut state, 1);
    for round in 0..4 {
        let demand = Demand { round, drawn: 7 };
        let included = OpenChange::Included(Some(demand));
        let next = round + 1;
        go_on(&mut state, next, Some(next as f32), included);
        make(&mut state, next + 1);
        let (audited, before) = state.audited().expect("undamaged").expect("it is kept");
        assert_eq!(audited.demand, demand);
        // Rounds 0 and 1 are both made from the first parameters.
        let made_from = round.saturating_sub(1) as f32;
        assert_eq!(before.parameters, [made_from; 3], "round {round}");
        let moments = before.optimizer.map(|moments| moments.step);
        let expected = round.checked_sub(1).map(|last| left(last).optimizer.step);
        assert_eq!(moments, expected, "round {round}");
    }
    // After a null round it is made from what is held.
    let void = OpenChange::NotIncluded;
    go_on(&mut state, 5, None, void);
    make(&mut state, 6);
    go_on(&mut state, 6, Some(6.0), OpenChange::NotIncluded);
    assert_eq!(rounds(&state), (Some(6), None));
    let demand = Demand { round: 6, drawn: 7 };
    go_on(&mut state, 7, Some(7.0), OpenChange::Included(Some(demand)));
    let (_, before) = state.audited().expect("undamaged").expect("it is kept");
    assert_eq!(before.parameters, [4.0; 3]);
}

/// A miner in round 3 that has done so many of the changes that it writes beside its training: the contribution made
/// ahead, the round after, the next contribution, the round after that.
fn behind(changes: usize) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let mut state = begun(directory.path(), 3);
    make(&mut state, 3);
    for change in 0..changes {
        let round = 4 + change as Round / 2;
        if change % 2 == 0 {
            make(&mut state, round);
            continue;
        }
        let round_before = round - 1;
        let demand = Demand {
            round: round_before,
            drawn: 7,
        };
        let included = OpenChange::Included(Some(demand));
        go_on(&mut state, round, Some(round as f32), included);
    }
    directory
}

/// All that is in a state directory, and how a worker goes on from it.
fn all(directory: &Path) -> (Option<Saved>, Option<(Audited, State)>, Option<State>) {
    let state = StateDir::open(directory, identity()).expect("it is ours");
    let saved = state.load().expect("undamaged");
    let audited = state.audited().expect("undamaged");
    (saved, audited, state.last_included().expect("undamaged"))
}

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is there");
    let names = entries.map(|entry| entry.expect("readable").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.into_string().expect("plain"))
        .collect();
    names.sort();
    names
}

/// The plug is pulled while changes are written: some files of the next one are there, the last of them perhaps not
/// whole; or all of them and the new manifest, and what was there before.
#[test]
fn a_state_whose_disk_is_behind_is_as_before_a_change_or_as_after_it() {
    for changes in 0..4 {
        let (old, new) = (behind(changes), behind(changes + 1));
        let [before, after] = [&old, &new].map(|directory| all(directory.path()));
        assert_ne!(before, after, "change {changes}");
        let known = files(old.path());
        let added: Vec<String> = files(new.path())
            .into_iter()
            .filter(|name| !known.contains(name))
            .collect();
        for count in 0..=added.len() {
            for is_torn in [false, true] {
                let torn = tempfile::tempdir().expect("a directory");
                let copy = |name: &String, from: &Path| {
                    fs::copy(from.join(name), torn.path().join(name)).expect("room");
                };
                known.iter().for_each(|name| copy(name, old.path()));
                let there = &added[..count];
                there.iter().for_each(|name| copy(name, new.path()));
                if let Some(last) = there.last().filter(|_| is_torn) {
                    let path = torn.path().join(last);
                    let file = File::options().write(true).open(path);
                    file.expect("it is there").set_len(5).expect("room");
                }
                assert_eq!(all(torn.path()), before, "{count} of change {changes}");
                assert_eq!(files(torn.path()), known, "what nothing names is gone");
            }
        }
        let renamed = behind(changes);
        let manifest = MANIFEST.to_string();
        for name in added.iter().chain([&manifest]) {
            let to = renamed.path().join(name);
            fs::copy(new.path().join(name), to).expect("room");
        }
        assert_eq!(all(renamed.path()), after, "change {changes}");
        assert_eq!(files(renamed.path()), files(new.path()));
    }
}
