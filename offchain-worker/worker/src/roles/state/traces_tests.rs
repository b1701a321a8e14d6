//! What is kept is found again, within its bounds, and nothing else is.

use cairn_engine::AdamState;
use cairn_primitives::H256;
use tempfile::TempDir;

use super::*;

/// Numbers in a vector.
const NUMBERS: usize = 3;
/// Bytes of the vectors of a state.
const EACH: u64 = 3 * 4 * NUMBERS as u64;
/// Bytes at most of how the steps had come to a state with a number up to 3.
const COURSE: u64 = course(3);
/// Bytes of a file at most.
const FILE: u64 = HEAD + EACH + COURSE;
const SIZES: Sizes = Sizes {
    vectors: EACH,
    course: COURSE,
};

/// Bytes of how the steps had come to the state with this number, one step for each: two hashes, three lengths, a list of
/// losses and one of hashes.
const fn course(number: u64) -> u64 {
    2 * 32 + 3 * 8 + (1 + 4 * number) + (1 + 32 * (number + 1))
}

/// After this time something never will be, on however busy a machine.
const HANGS: Duration = Duration::from_secs(240);
/// What steps follow from.
const WORK: H256 = H256([5; 32]);

fn state(number: u32) -> State {
    let vector = |offset: f32| vec![number as f32 + offset; NUMBERS];
    State {
        optimizer: Some(AdamState {
            m: vector(0.25),
            v: vector(0.5),
            step: number.into(),
        }),
        ..State::new(vector(0.0))
    }
}

fn traced(number: u32) -> trace::State {
    state(number).traced()
}

fn bytes(state: &State) -> Vec<u8> {
    let optimizer = state.optimizer.as_ref().expect("it has stepped");
    let all = [&state.parameters, &optimizer.m, &optimizer.v];
    let numbers = all.into_iter().flatten();
    numbers.flat_map(|number| number.to_le_bytes()).collect()
}

fn opened(directory: &TempDir, budget: u64) -> Traces {
    open(directory, budget, SIZES)
}

/// The same of files of other lengths. Nine steps are made, and each is traced.
fn open(directory: &TempDir, budget: u64, sizes: Sizes) -> Traces {
    let mut inner = crate::roles::testing::config().inner;
    (inner.steps, inner.trace_every) = (9, 1);
    Traces::of_sizes(&directory.path().join("traced"), budget, (sizes, inner))
}

/// Keeps states of a round: with vectors, as long as there is room.
fn keep(traces: &Traces, round: Round, numbers: std::ops::Range<u32>) {
    keep_of(WORK, traces, round, numbers);
}

/// The same of other work; gives how many steps it goes on after.
fn keep_of(work: H256, traces: &Traces, round: Round, numbers: std::ops::Range<u32>) -> usize {
    let mut keeping = traces.of(round, work);
    let begun = keeping.begun(&traced(0));
    for number in numbers {
        let vectors = keeping.has_room().then(|| state(number));
        keeping.keep(&so_far(number), traced(number), vectors);
    }
    begun.map_or(0, |begun| begun.losses.len())
}

/// One step for each state.
fn so_far(number: u32) -> Trained {
    Trained {
        losses: (0..number).map(|step| step as f32).collect(),
        tokens: 8,
        trace: (0..=number).map(|number| traced(number).hash()).collect(),
    }
}

/// Which of these states are there, and whether with vectors.
fn there(traces: &Traces, round: Round) -> Vec<(u32, bool)> {
    let read = |number| {
        let kept = traces.read(round, number, true)?;
        assert_eq!(kept.traced, traced(number));
        let is_full = !kept.vectors.is_empty();
        assert!(!is_full || kept.vectors == bytes(&state(number)));
        Some((number, is_full))
    };
    (0..9).filter_map(read).collect()
}

fn bytes_on_disk(directory: &TempDir) -> u64 {
    let entries = fs::read_dir(directory.path().join("traced")).expect("it is there");
    // One that another thread removes meanwhile has none.
    let lengths = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
    lengths.sum()
}

#[tokio::test]
async fn what_is_kept_is_found_again_also_by_another_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let traces = opened(&directory, 1 << 20);
    keep(&traces, 4, 1..4);
    assert_eq!(there(&traces, 4), [(1, true), (2, true), (3, true)]);
    let other = opened(&directory, 1 << 20);
    assert_eq!(there(&other, 4), [(1, true), (2, true), (3, true)]);
    assert!(there(&other, 3).is_empty());
    let without = other.read(4, 2, false).expect("it is there");
    assert_eq!((without.traced, without.vectors.len()), (traced(2), 0));
    // Where what is needed more may soon not fit, all of it goes.
    let large = Sizes {
        vectors: u64::MAX,
        ..SIZES
    };
    let large = open(&directory, 1 << 20, large);
    assert!(there(&large, 4).is_empty());
    assert_eq!(bytes_on_disk(&directory), 0);
}

#[tokio::test]
async fn no_more_is_kept_than_the_budget_holds() {
    let directory = tempfile::tempdir().expect("a directory");
    for (budget, expected) in [
        (0, vec![]),
        (HEAD - 1, vec![]),
        (HEAD, vec![(1, false)]),
        (FILE, vec![(1, true)]),
        (2 * FILE - 1, vec![(1, true), (2, false)]),
        (2 * FILE, vec![(1, true), (2, true)]),
    ] {
        let traces = opened(&directory, budget);
        keep(&traces, 7, 1..4);
        let there = there(&traces, 7);
        assert_eq!(there[..expected.len()], expected, "{budget}");
        assert!(there[expected.len()..].iter().all(|(_, is_full)| !is_full));
        fs::create_dir_all(directory.path().join("traced")).expect("room");
        assert!(bytes_on_disk(&directory) <= budget, "{budget}");
        // What one that is told less finds is too much.
        let none = self::there(&opened(&directory, 0), 7);
        assert!(none.is_empty(), "{none:?}");
        assert_eq!(bytes_on_disk(&directory), 0);
    }
}

#[test]
fn what_waits_for_the_disk_is_bounded_and_leaves_room_on_it() {
    let limits = |each| Limits {
        budget: u64::MAX,
        sizes: Sizes {
            vectors: each - 1,
            course: 1,
        },
    };
    let large = limits(WAITING);
    assert!(large.have_room(0, 0, None));
    assert!(!large.have_room(0, 1, None), "a large one waits alone");
    let small = limits(WAITING / 4);
    let each = small.sizes.both();
    let waits = |count: u64| small.have_room(0, count * each, None);
    assert_eq!([0, 1, 2, 3, 4].map(waits), [true, true, true, true, false]);
    let free = |count: u64| small.have_room(0, each, Some(count * each));
    assert_eq!([8, 9].map(free), [false, true]);
}

#[tokio::test]
async fn states_of_other_rounds_go_and_so_does_an_earlier_try() {
    let directory = tempfile::tempdir().expect("a directory");
    let traces = opened(&directory, 1 << 20);
    for round in 3..6 {
        keep(&traces, round, 1..3);
    }
    traces.retain(|round| round != 4);
    let count = |round| there(&traces, round).len();
    assert_eq!([3, 4, 5].map(count), [2, 0, 2]);
    // Its second try is of other text, and makes fewer steps.
    let other = H256([6; 32]);
    assert_eq!(keep_of(other, &traces, 5, 1..2), 0);
    assert_eq!(there(&traces, 5), [(1, true)]);
    let bytes = |number| HEAD + EACH + course(number);
    assert_eq!(bytes_on_disk(&directory), bytes(1) + bytes(2) + bytes(1));
}

#[tokio::test]
async fn steps_go_on_from_the_newest_state_that_has_its_vectors() {
    let directory = tempfile::tempdir().expect("a directory");
    // Of the third there is no more than what stands for it.
    let budget = 3 * FILE - 1;
    let traces = opened(&directory, budget);
    keep(&traces, 7, 1..4);
    let there_now = there(&traces, 7);
    assert_eq!(there_now, [(1, true), (2, true), (3, false)]);
    let other = opened(&directory, budget);
    let begun = other.of(7, WORK).begun(&traced(0));
    let begun = begun.expect("two steps were kept");
    let expected = so_far(2);
    assert_eq!(
        (begun.losses, begun.trace),
        (expected.losses, expected.trace)
    );
    assert_eq!(begun.state, state(2));
    assert_eq!(there(&other, 7), [(1, true), (2, true)]);
    // Nobody goes on with what another round began with, and then nothing of it stays.
    assert_eq!(other.of(7, WORK).begun(&traced(1)), None);
    assert!(there(&other, 7).is_empty());
    let gone = async {
        while bytes_on_disk(&directory) > 0 {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(HANGS, gone).await;
    gone.expect("another thread removes them");
}

/// A run's rules say how long the end of a file is.
#[test]
fn no_course_is_longer_than_a_run_says() {
    for (steps, every) in [(1, 1), (6, 2), (500, 7), (u16::MAX, 1)] {
        let mut config = crate::roles::testing::config();
        (config.inner.steps, config.inner.trace_every) = (steps, every);
        let states = trace::count(steps.into(), every) as usize;
        let so_far = Trained {
            losses: vec![1.0; steps.into()],
            tokens: 1,
            trace: vec![H256::zero(); states],
        };
        let course = Course::of(WORK, &so_far, &state(1)).expect("it has moments");
        let bytes = course.bytes(&traced(1)).len() as u64;
        let most = Sizes::of(&config).course;
        assert!((most - 6..=most).contains(&bytes), "{bytes} {most}");
    }
}

/// A disk that is slow with other states keeps nobody from one that is there.
#[test]
fn who_reads_waits_for_nothing_but_that_state() {
    let directory = tempfile::tempdir().expect("a directory");
    let traces = opened(&directory, 1 << 20);
    let full = |number| {
        let state = state(number);
        let course = Course::of(WORK, &so_far(number), &state);
        Box::new(Full { state, course })
    };
    let write = |number| Work::Write((5, number), traced(number), Some(full(number)));
    {
        let mut queue = locked(&traces.0.queue);
        queue.files.extend((1..4).map(|number| ((5, number), FILE)));
        queue.work.extend((1..4).map(write));
        // Nobody works: here it is this thread.
        queue.is_working = true;
    }
    let one = traces.next().expect("the first is to be written");
    let Work::Write(name, traced, full) = one else {
        panic!("nothing is to be removed");
    };
    traces.write(name, traced, full);
    // It is begun, and does not end.
    let begun = traces.next();
    assert!(matches!(begun, Some(Work::Write((5, 2), ..))));
    assert!(traces.wait((5, 1)) && traces.read(5, 1, true).is_some());
    let is_to_come = |number| locked(&traces.0.queue).is_to_come((5, number));
    assert_eq!([1, 2, 3].map(is_to_come), [false, true, true]);
    // What is to go is not there, even before it is gone.
    locked(&traces.0.queue).files.remove(&(5, 1));
    assert!(traces.read(5, 1, true).is_none());
}

/// What cannot be written is not kept, unless a later try is still to be written.
#[test]
fn what_cannot_be_written_is_forgotten_unless_it_is_to_come_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let traces = opened(&directory, 1 << 20);
    fs::remove_dir_all(directory.path().join("traced")).expect("it is there");
    let write = || Work::Write((5, 1), traced(1), None);
    {
        let mut queue = locked(&traces.0.queue);
        queue.files.insert((5, 1), HEAD);
        queue.work.extend([write(), write()]);
        queue.is_working = true;
    }
    let is_kept = [1, 2].map(|_| {
        if let Some(Work::Write(name, traced, full)) = traces.next() {
            traces.write(name, traced, full);
        }
        locked(&traces.0.queue).files.contains_key(&(5, 1))
    });
    assert_eq!(is_kept, [true, false]);
}

/// A file that a crash cut off is not read beyond its end, and one that is none is removed at the next start.
#[tokio::test]
async fn what_is_not_whole_or_nobodys_hurts_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let traces = opened(&directory, 1 << 20);
    keep(&traces, 5, 1..4);
    assert!((1..4).all(|number| traces.wait((5, number))));
    let path = |name: &str| directory.path().join("traced").join(name);
    let cut = |number: u32, length: u64| {
        let path = path(&format!("5-{number}.bin"));
        let file = File::options().write(true).open(path);
        file.expect("it is there").set_len(length).expect("room");
    };
    cut(1, HEAD - 1);
    cut(2, HEAD + EACH - 1);
    let lengths = [1, 2, 3].map(|number| {
        let kept = traces.read(5, number, true);
        kept.map(|kept| kept.vectors.len() as u64)
    });
    assert_eq!(lengths, [None, Some(EACH - 1), Some(EACH)]);
    for name in ["5-9.new", "-.bin", "5-x.bin", "notes"] {
        fs::write(path(name), "x").expect("room");
    }
    let before = bytes_on_disk(&directory);
    drop(opened(&directory, 1 << 20));
    assert_eq!(bytes_on_disk(&directory), before - 4);
}
