//! Who was stopped between two steps goes on from a state that was kept, and comes to the same end; from what does not
//! follow from its own beginning nobody goes on.

use cairn_engine::{Begun, Engine, Keeper, State, StepDone, Trained, Version};
use cairn_primitives::{Uid, H256};
use cairn_protocol::trace;

use crate::{
    fixture::{sequences, slices},
    rounds::{contribute, header, loaded, order, start},
};

const STEPS: u32 = 3;
const ALICE: Uid = Uid(1);

/// Keeps all states, and has kept one before.
#[derive(Default)]
struct Memory {
    before: Option<Begun>,
    kept: Vec<Begun>,
}

impl Keeper for Memory {
    fn begun(&mut self, _: &trace::State) -> Option<Begun> {
        self.before.take()
    }

    fn has_room(&mut self) -> bool {
        true
    }

    fn keep(&mut self, so_far: &Trained, traced: trace::State, state: Option<State>) {
        assert_eq!(so_far.trace.last(), Some(&traced.hash()));
        assert_eq!(so_far.newest() as usize, so_far.trace.len() - 1);
        self.kept.extend(state.map(|state| Begun {
            losses: so_far.losses.clone(),
            trace: so_far.trace.clone(),
            state,
        }));
    }
}

/// The numbers of the steps that are made in a round after one that was kept, what came of them, and what is kept then.
fn train(
    engine: &mut dyn Engine,
    before: Option<Begun>,
    mut has_time: impl FnMut() -> bool,
) -> (Vec<u32>, Option<Trained>, Vec<Begun>) {
    let mut memory = Memory {
        before,
        ..Memory::default()
    };
    let all: Vec<Vec<Vec<u32>>> = (0..STEPS).map(|step| sequences(1, 1, step)).collect();
    let mut of_step = |step: u32| slices(&all[step as usize]);
    let mut made = Vec::new();
    let mut go_on = |done: Option<&StepDone>| {
        made.extend(done.map(|done| done.step));
        has_time()
    };
    let trained = engine.train_keeping(&order(1), &mut of_step, &mut go_on, &mut memory);
    (made, trained.unwrap(), memory.kept)
}

/// The file of the steps just made.
fn file(engine: &mut dyn Engine, trained: &Trained) -> Vec<u8> {
    let root = engine.root(Version::Held).unwrap();
    let file = engine.contribution(header(ALICE, 1, root.0, trained));
    let file = file.unwrap();
    engine.discard();
    file
}

/// Engines that have a round behind them, so that there are moments to go on with.
fn engines() -> Vec<Box<dyn Engine>> {
    let round = |mut engine: Box<dyn Engine>| {
        contribute(engine.as_mut(), ALICE, 0);
        engine.keep().unwrap();
        let sent = engine.state(Version::Sent).unwrap();
        engine.load(State { sent: None, ..sent }).unwrap();
        engine
    };
    loaded().into_iter().map(round).collect()
}

#[test]
fn who_goes_on_comes_to_the_same_end_as_who_was_not_stopped() {
    for mut engine in engines() {
        let engine = engine.as_mut();
        let (made, whole, kept) = train(engine, None, || true);
        let whole = whole.unwrap();
        assert_eq!(made, [0, 1, 2]);
        let sent = file(engine, &whole);
        let done: Vec<usize> = kept.iter().map(|kept| kept.losses.len()).collect();
        match engine.class().is_card() {
            true => assert_eq!(done, [2, 3]),
            false => assert_eq!(done, [2]),
        }
        // After the last step no other is made.
        for begun in kept {
            let left: Vec<u32> = (0..STEPS).skip(begun.losses.len()).collect();
            let (made, trained, _) = train(engine, Some(begun), || true);
            assert_eq!((made, trained.as_ref()), (left, Some(&whole)));
            assert!(file(engine, &whole) == sent, "{}", engine.name());
        }
    }
}

/// Who ends after the first of three steps traces that state, which is on the way of nobody who makes two.
#[test]
fn a_state_that_no_other_steps_follow_is_not_gone_on_from() {
    for mut engine in engines() {
        let engine = engine.as_mut();
        let (_, whole, _) = train(engine, None, || true);
        engine.discard();
        let mut looks = 0;
        let once = || {
            looks += 1;
            looks == 1
        };
        let (_, ended, kept) = train(engine, None, once);
        engine.discard();
        assert_eq!(ended.unwrap().steps(), 1);
        for begun in kept {
            assert_eq!(begun.losses.len(), 1);
            let (made, trained, _) = train(engine, Some(begun), || true);
            engine.discard();
            assert_eq!((made, &trained), (vec![0, 1, 2], &whole));
        }
    }
}

#[test]
fn without_time_for_another_step_what_was_kept_is_sent() {
    for mut engine in engines() {
        let engine = engine.as_mut();
        let (_, whole, kept) = train(engine, None, || true);
        engine.discard();
        let begun = kept.into_iter().next();
        let (made, trained, _) = train(engine, begun, || false);
        let (trained, whole) = (trained.unwrap(), whole.unwrap());
        assert!(made.is_empty());
        assert_eq!((trained.steps(), trained.tokens), (2, whole.tokens / 3 * 2));
        assert_eq!(trained.trace, whole.trace[..2]);
        assert_eq!(trained.losses, whole.losses[..2]);
        assert!(!file(engine, &trained).is_empty());
    }
}

/// How what was kept can be something else.
type Change = fn(&mut Begun);

#[test]
fn nobody_goes_on_from_what_does_not_follow_from_the_rounds_beginning() {
    let changes: [(&str, Change); 9] = [
        ("another beginning", |it| it.trace[0] = H256([1; 32])),
        ("another end", |it| it.trace[1] = H256([1; 32])),
        ("another number", |it| it.state.parameters[5] += 1.0),
        ("fewer numbers", |it| it.state.parameters.truncate(5)),
        ("other moments", |it| {
            it.state.optimizer.as_mut().unwrap().m[5] += 1.0;
        }),
        ("no moments", |it| it.state.optimizer = None),
        ("a step more", |it| it.losses.push(1.0)),
        ("a step less", |it| it.losses.truncate(1)),
        ("no loss", |it| it.losses[0] = f32::NAN),
    ];
    for mut engine in engines() {
        let engine = engine.as_mut();
        let (_, whole, kept) = train(engine, None, || true);
        engine.discard();
        for (what, change) in changes {
            let mut begun = kept[0].clone();
            change(&mut begun);
            let (made, trained, _) = train(engine, Some(begun), || true);
            engine.discard();
            assert_eq!((made, &trained), (vec![0, 1, 2], &whole), "{what}");
        }
        // What another member's round led to is not this one's.
        let begun = kept.into_iter().next();
        engine.load(State::new(start())).unwrap();
        let (made, _, _) = train(engine, begun, || true);
        assert_eq!(made, [0, 1, 2]);
        engine.discard();
    }
}
