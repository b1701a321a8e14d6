//! What a miner serves of its steps passes for them, and nothing else does.

use std::{cell::Cell, collections::BTreeMap};

use cairn_engine::{
    audit::{find, judge, open, open_kept, Audited, Incoming, Kept, Traced},
    Engine, EngineError, Keeper, State, Trained,
};
use cairn_gradient::{decode, decode_header, encode, Contribution, Header, SparseTensor};
use cairn_primitives::{
    blocks::NEGATIVE, Compression, EngineClass, Finding, Layout, Tensor, Uid, Work,
};
use cairn_protocol::{audit::interval, trace};
use proptest::prelude::*;

use crate::{
    fixture::{compression_of, config, sequences, slices},
    rounds::{contribute, cpu, held, loaded, order, start, train},
};

/// Steps of a round.
const STEPS: u32 = 3;

/// A round of a member with some rounds behind it: its engine, what it traced, and the header of its contribution.
struct Round {
    engine: Box<dyn Engine>,
    trace: Vec<cairn_primitives::H256>,
    header: Header,
    file: Vec<u8>,
}

impl Round {
    fn of(mut engine: Box<dyn Engine>) -> Round {
        let trained = train(engine.as_mut(), Uid(1), 0);
        engine.discard();
        let file = contribute(engine.as_mut(), Uid(1), 0);
        engine.keep().unwrap();
        Round {
            engine,
            trace: trained.trace,
            header: decode_header(&file).unwrap(),
            file,
        }
    }

    fn traced(&self) -> Traced<'_> {
        Traced {
            steps: STEPS,
            states: &self.trace,
            every: config().inner.trace_every,
        }
    }

    fn open(&mut self, drawn: u32) -> Result<Option<Vec<u8>>, EngineError> {
        let traced = Traced {
            states: &self.trace,
            ..self.traced()
        };
        let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
        let mut of_step = |step: u32| slices(&all[step as usize]);
        let before = held(self.engine.as_ref());
        open(self.engine.as_mut(), before, traced, drawn, &mut of_step)
    }
}

/// What an auditor finds that thinks that the miner had the data of `uid`.
fn found(
    engine: &mut dyn Engine,
    (header, file): (&Header, &[u8]),
    drawn: u32,
    blob: &[u8],
    uid: u16,
) -> Option<Finding> {
    let (config, layout) = (config(), Layout::of(&config().model));
    let audited = Audited {
        header,
        file,
        compression: &compression_of(0),
        config: &config,
        layout: &layout,
        drawn,
    };
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(uid, 0, step)).collect();
    let mut of_step = |step: u32| slices(&all[step as usize]);
    find(engine, &audited, blob, &mut of_step).unwrap()
}

/// What was served, given away, and whether it is gone.
struct Given<'a>(Vec<u8>, &'a Cell<bool>);

impl AsRef<[u8]> for Given<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.1.set(true);
    }
}

/// Beside the steps are its numbers alone.
#[test]
fn a_blob_that_is_given_away_is_gone_before_the_first_step() {
    let mut round = Round::of(auditor());
    let (drawn, is_gone) = (1, Cell::new(false));
    let blob = Given(round.open(drawn).unwrap().unwrap(), &is_gone);
    let (config, layout) = (config(), Layout::of(&config().model));
    let audited = Audited {
        header: &round.header,
        file: &round.file,
        compression: &compression_of(0),
        config: &config,
        layout: &layout,
        drawn,
    };
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
    let mut steps = 0;
    let mut of_step = |step: u32| {
        assert!(is_gone.get());
        steps += 1;
        slices(&all[step as usize])
    };
    let found = find(auditor().as_mut(), &audited, blob, &mut of_step).unwrap();
    assert_eq!((found, steps > 0), (Some(Finding::Passed), true));
}

/// However it is cut; in front of the vectors stand 2,048 bytes at most.
#[test]
fn what_comes_in_pieces_is_judged_as_the_whole() {
    let mut round = Round::of(auditor());
    let (config, layout) = (config(), Layout::of(&config().model));
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
    for drawn in 0..2 {
        let blob = round.open(drawn).unwrap().unwrap();
        let audited = Audited {
            header: &round.header,
            file: &round.file,
            compression: &compression_of(0),
            config: &config,
            layout: &layout,
            drawn,
        };
        let judged = |blob: &[u8], at_a_time: usize| {
            let mut incoming = Incoming::of(&audited);
            blob.chunks(at_a_time).for_each(|some| incoming.take(some));
            let mut of_step = |step: u32| slices(&all[step as usize]);
            let served = incoming.finish();
            judge(auditor().as_mut(), &audited, served, &mut of_step).unwrap()
        };
        for at_a_time in [3, 2_047, 2_048, 2_049, blob.len()] {
            assert_eq!(judged(&blob, at_a_time), Some(Finding::Passed));
        }
        let (last, rest) = blob.split_last().unwrap();
        let (longer, other) = ([&blob[..], &[0]].concat(), [rest, &[last ^ 1]].concat());
        let (none, half) = (&blob[..0], &blob[..blob.len() / 2]);
        for wrong in [none, &blob[..100], half, rest, &longer[..], &other[..]] {
            for at_a_time in [7, 2_048, longer.len()] {
                assert_eq!(judged(wrong, at_a_time), Some(Finding::Failed));
            }
        }
    }
}

fn auditor() -> Box<dyn Engine> {
    let mut engine = cpu();
    engine.load(State::new(start())).unwrap();
    engine
}

#[test]
fn honest_steps_pass_whichever_interval_is_drawn_and_nothing_held_changes() {
    for engine in loaded() {
        let mut round = Round::of(engine);
        let before = held(round.engine.as_ref());
        for drawn in 0..2 {
            let blob = round.open(drawn).unwrap().unwrap();
            assert_eq!(held(round.engine.as_ref()), before);
            let (header, file) = (round.header.clone(), round.file.clone());
            let engine = round.engine.as_mut();
            let mut find = |header, drawn, uid| found(engine, (header, &file), drawn, &blob, uid);
            assert_eq!(find(&header, drawn, 1), Some(Finding::Passed));
            // Of another interval, on other data, or of other steps it is nothing.
            assert_eq!(find(&header, drawn + 1, 1), Some(Finding::Failed));
            assert_eq!(find(&header, drawn, 2), Some(Finding::Failed));
            // A step more than there were is found out where the last one is replayed.
            let more = Header {
                inner_steps: STEPS + 1,
                ..header.clone()
            };
            let passes = find(&more, drawn, 1) == Some(Finding::Passed);
            assert_eq!(passes, drawn == 0);
            assert_eq!(held(round.engine.as_ref()), before);
        }
    }
}

/// Honest steps, of which something else is sent: only the last interval shows it, and whatever of the file is another.
#[test]
fn a_file_that_is_not_made_of_the_last_state_fails() {
    for engine in loaded() {
        let mut round = Round::of(engine);
        let blobs = [0, 1].map(|drawn| round.open(drawn).unwrap().unwrap());
        let (layout, compression) = (Layout::of(&config().model), compression_of(0));
        let made = decode(&round.file, &layout, &compression).unwrap();
        assert_eq!(encode(&made, &layout, &compression).unwrap(), round.file);
        let flipped = flipped(&made, &layout, &compression);
        let mut other_loss = made.clone();
        other_loss.header.mean_loss += 1.0;
        let mut other_rest = made.clone();
        other_rest.header.work.after.feedback = made.header.parent_root.0;
        for (other, passes) in [(flipped, false), (other_loss, true), (other_rest, false)] {
            let file = encode(&other, &layout, &compression).unwrap();
            let engine = round.engine.as_mut();
            let of = (&other.header, file.as_slice());
            let found = [0, 1].map(|drawn| found(engine, of, drawn, &blobs[drawn as usize], 1));
            let last = if passes {
                Finding::Passed
            } else {
                Finding::Failed
            };
            assert_eq!(found, [Finding::Passed, last].map(Some));
        }
    }
}

/// Each value points the other way.
fn flipped(made: &Contribution, layout: &Layout, compression: &Compression) -> Contribution {
    let flip = |(tensor, sent): (&Tensor, &SparseTensor)| {
        let mut selected = sent.selected().clone();
        selected.codes.iter_mut().for_each(|code| *code ^= NEGATIVE);
        SparseTensor::from_selected(tensor, compression, selected).unwrap()
    };
    let tensors = layout.0.iter().zip(&made.tensors);
    Contribution {
        header: made.header.clone(),
        tensors: tensors.map(flip).collect(),
    }
}

#[test]
fn who_traced_nothing_has_nothing_to_serve_and_who_traced_otherwise_says_so() {
    let mut round = Round::of(auditor());
    let trace = std::mem::take(&mut round.trace);
    assert_eq!(round.open(0).unwrap(), None);
    round.trace = trace;
    round.trace[1].0[0] ^= 1;
    assert!(matches!(round.open(0), Err(EngineError::Foreign(_))));
    let none = Traced {
        steps: 0,
        ..round.traced()
    };
    let mut engine = auditor();
    assert_eq!(
        open(engine.as_mut(), State::new(start()), none, 0, &mut |_| {
            Vec::new()
        })
        .unwrap(),
        None
    );
}

/// Keeps states as a miner's disk does, with room for the vectors of so many.
struct Disk {
    room: usize,
    kept: BTreeMap<u32, Kept>,
}

impl Keeper for Disk {
    fn has_room(&mut self) -> bool {
        let full = self.kept.values().filter(|kept| !kept.vectors.is_empty());
        full.count() < self.room
    }

    fn keep(&mut self, so_far: &Trained, traced: trace::State, state: Option<State>) {
        let vectors = state.map(|state| {
            let optimizer = state.optimizer.expect("it has stepped");
            let all = [state.parameters, optimizer.m, optimizer.v];
            let numbers = all.iter().flatten();
            numbers.flat_map(|number| number.to_le_bytes()).collect()
        });
        let vectors: Vec<u8> = vectors.unwrap_or_default();
        self.kept.insert(so_far.newest(), Kept { traced, vectors });
    }
}

impl Disk {
    /// What is kept of a round's steps, for which there is room for so many vectors.
    fn of(engine: &mut dyn Engine, room: usize) -> Disk {
        let kept = BTreeMap::new();
        let mut disk = Disk { room, kept };
        let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 0, step)).collect();
        let mut of_step = |step: u32| slices(&all[step as usize]);
        let made = engine.train_keeping(&order(0), &mut of_step, &mut |_| true, &mut disk);
        assert_eq!(made.unwrap().unwrap().steps(), STEPS);
        engine.discard();
        disk
    }

    fn open(&self, round: &Round, drawn: u32) -> Option<Vec<u8>> {
        let (class, before) = (round.engine.class(), held(round.engine.as_ref()));
        let mut of = |number: u32, with_vectors: bool| {
            let mut kept = self.kept.get(&number)?.clone();
            if !with_vectors {
                kept.vectors.clear();
            }
            Some(kept)
        };
        open_kept(class, &before, round.traced(), drawn, &mut of)
    }

    /// The same with a state changed; none: it is gone.
    fn changed(&self, number: u32, change: impl FnOnce(&mut Kept) -> bool) -> Disk {
        let mut kept = self.kept.clone();
        let stays = kept.get_mut(&number).is_none_or(change);
        if !stays {
            kept.remove(&number);
        }
        Disk { kept, ..*self }
    }
}

/// Of states 0, 2 and 3 the second is traced between the steps, and a card's third is served, too.
#[test]
fn what_was_kept_is_served_as_it_is_made_again() {
    for mut engine in loaded() {
        let disk = Disk::of(engine.as_mut(), 2);
        let mut round = Round::of(engine);
        let is_card = round.engine.class().is_card();
        let with_vectors = disk.kept.values().map(|kept| !kept.vectors.is_empty());
        assert_eq!(with_vectors.collect::<Vec<_>>(), [true, is_card]);
        for drawn in 0..2 {
            let made = round.open(drawn).unwrap();
            assert!(made.is_some());
            assert_eq!(disk.open(&round, drawn), made);
        }
    }
}

#[test]
fn what_was_not_kept_or_is_damaged_is_not_served() {
    for mut engine in loaded() {
        let disk = Disk::of(engine.as_mut(), 2);
        let none = Disk::of(engine.as_mut(), 0);
        let round = Round::of(engine);
        let is_card = round.engine.class().is_card();
        // States stand for themselves without vectors where those are not served.
        let opened = [0, 1].map(|drawn| none.open(&round, drawn).is_some());
        assert_eq!(opened, [!is_card, false]);
        let opened = |disk: Disk| [0, 1].map(|drawn| disk.open(&round, drawn).is_some());
        assert_eq!(opened(disk.changed(1, |_| false)), [false; 2]);
        assert_eq!(opened(disk.changed(2, |_| false)), [true, false]);
        let other = |kept: &mut Kept| {
            kept.traced.steps += 1;
            true
        };
        assert_eq!(opened(disk.changed(1, other)), [false; 2]);
        assert_eq!(opened(disk.changed(2, other)), [true, false]);
        let flip = |kept: &mut Kept| {
            let middle = kept.vectors.len() / 2;
            kept.vectors[middle] ^= 1;
            true
        };
        assert_eq!(opened(disk.changed(1, flip)), [!is_card, false]);
        let cut = |kept: &mut Kept| kept.vectors.pop().is_some();
        assert_eq!(opened(disk.changed(1, cut)), [!is_card, false]);
        if is_card {
            assert_eq!(opened(disk.changed(2, flip)), [true, false]);
        }
    }
}

#[test]
fn work_of_another_class_is_not_judged() {
    let mut round = Round::of(auditor());
    let blob = round.open(0).unwrap().unwrap();
    let header = Header {
        work: Work {
            engine: EngineClass::cuda("another"),
            ..round.header.work
        },
        ..round.header.clone()
    };
    let of = (&header, round.file.as_slice());
    assert_eq!(found(auditor().as_mut(), of, 0, &blob, 1), None);
}

#[test]
fn the_last_interval_may_be_shorter() {
    let every = config().inner.trace_every;
    let last = interval(1, STEPS, every).unwrap();
    assert_eq!((last.begin, last.end), (2, 3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// One bit of what is served, or its end, and it fails; nothing that is served stops an auditor.
    #[test]
    fn whatever_else_is_served_fails(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
        let mut round = Round::of(auditor());
        let blob = round.open(1).unwrap().unwrap();
        let mut other = blob.clone();
        let at = at.index(other.len());
        if cut {
            other.truncate(at);
        } else {
            other[at] ^= 1 << bit;
        }
        let (header, file) = (round.header.clone(), round.file.clone());
        let (engine, of) = (round.engine.as_mut(), (&header, file.as_slice()));
        prop_assert_eq!(found(engine, of, 1, &other, 1), Some(Finding::Failed));
        let longer = [&blob[..], &[0]].concat();
        prop_assert_eq!(found(engine, of, 1, &longer, 1), Some(Finding::Failed));
    }
}
