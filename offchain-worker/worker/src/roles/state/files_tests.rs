//! Whenever the plug is pulled, the directory is as before or as after.

use cairn_gradient::READ_AT_ONCE;

use super::*;

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

fn open(path: &Path) -> Files<u32> {
    Files::open(path, identity()).expect("it is nobody else's")
}

fn content(files: &Files<u32>) -> (Option<u32>, Vec<Option<Vec<u8>>>) {
    let read = |name| files.read(name).expect("undamaged");
    (files.meta().copied(), ["a", "b", "c"].map(read).to_vec())
}

fn first() -> Vec<(&'static str, New)> {
    vec![
        ("a", New::Bytes(vec![1; 10])),
        ("b", New::Bytes(vec![2; 20])),
    ]
}

fn second() -> Vec<(&'static str, New)> {
    vec![
        ("a", New::Bytes(vec![3; 11])),
        ("b", New::Gone),
        ("c", New::Numbers(vec![1.0, -2.0].into())),
    ]
}

/// What there is after that.
fn seconds() -> Vec<Option<Vec<u8>>> {
    let numbers = vec![0, 0, 128, 63, 0, 0, 0, 192];
    vec![Some(vec![3; 11]), None, Some(numbers)]
}

#[test]
fn a_piece_takes_the_place_of_another() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = open(directory.path());
    files.change(first(), 7).expect("room");
    let moved = vec![("a", New::Was("b")), ("c", New::Was("d"))];
    files.change(moved, 8).expect("room");
    let after = (Some(8), vec![Some(vec![2; 20]), None, None]);
    assert_eq!(content(&files), after);
    drop(files);
    assert_eq!(content(&open(directory.path())), after);
    // What nothing names is gone.
    let files = fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(files, 3, "a piece, the manifest, the lock");
}

#[test]
fn what_was_saved_is_read_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = open(directory.path());
    assert_eq!(content(&files), (None, vec![None, None, None]));
    files.change(first(), 7).expect("room");
    drop(files);
    let mut files = open(directory.path());
    assert_eq!(
        content(&files),
        (Some(7), vec![Some(vec![1; 10]), Some(vec![2; 20]), None])
    );
    files.change(second(), 8).expect("room");
    drop(files);
    let after = (Some(8), seconds());
    assert_eq!(content(&open(directory.path())), after);
}

/// Half of what a step writes is there.
fn tear(step: Option<&Step>) {
    let (path, length) = match step {
        Some(Step::Write(path, bytes)) => (path, bytes.len()),
        Some(Step::WriteNumbers(path, vector)) => (path, 4 * vector.numbers().len()),
        _ => return,
    };
    step.expect("it writes").run().expect("room");
    let file = File::options().write(true).open(path).expect("a file");
    file.set_len(length as u64 / 2).expect("it is there");
}

#[test]
fn numbers_of_many_pieces_are_written_as_they_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let numbers: Vec<f32> = (0..2 * PIECE + 3).map(|number| number as f32).collect();
    let mut files = open(directory.path());
    let pieces = vec![
        ("a", New::Numbers(numbers.clone().into())),
        ("b", New::Numbers(Vec::new().into())),
    ];
    files.change(pieces, 7).expect("room");
    drop(files);
    let bytes: Vec<u8> = numbers.iter().flat_map(|it| it.to_le_bytes()).collect();
    let found = content(&open(directory.path()));
    assert_eq!(found, (Some(7), vec![Some(bytes), Some(Vec::new()), None]));
}

/// One number more or fewer than are read at a time, and none.
#[test]
fn numbers_are_read_back_to_the_bit_and_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = open(directory.path());
    assert_eq!(files.numbers("a").expect("new"), None);
    let edge = READ_AT_ONCE / 4;
    for (generation, length) in (1..).zip([0, 1, edge - 1, edge, edge + 1]) {
        let numbers: Vec<f32> = (0..length).map(|at| (at as f32).ln()).collect();
        let pieces = vec![("a", New::Numbers(numbers.clone().into()))];
        files.change(pieces, 7).expect("room");
        let found = files.numbers("a").expect("undamaged");
        assert_eq!(found, Some(numbers));
        let file = directory.path().join(format!("a-{generation}.bin"));
        let whole = fs::read(&file).expect("it is there");
        let longer = [&whole[..], &[0; 4]].concat();
        let mut others = vec![longer];
        if let Some((last, rest)) = whole.split_last() {
            others.extend([[rest, &[last ^ 1]].concat(), rest.to_vec()]);
        }
        for other in others {
            fs::write(&file, other).expect("room");
            let error = files.numbers("a").expect_err("damaged");
            assert!(matches!(error, StateError::Damaged { .. }), "{error}");
        }
        fs::write(&file, whole).expect("room");
        assert!(files.numbers("a").expect("as before").is_some());
    }
}

#[test]
fn a_piece_is_there_under_two_names_until_each_is_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = open(directory.path());
    files.change(first(), 7).expect("room");
    files.change(vec![("c", New::Is("a"))], 8).expect("room");
    let a = Some(vec![1; 10]);
    let both = vec![a.clone(), Some(vec![2; 20]), a.clone()];
    assert_eq!(content(&files), (Some(8), both));
    files.change(second()[..2].to_vec(), 9).expect("room");
    drop(files);
    let mut files = open(directory.path());
    let expected = (Some(9), vec![Some(vec![3; 11]), None, a]);
    assert_eq!(content(&files), expected);
    // What is not there is there under no other name.
    files.change(vec![("c", New::Is("b"))], 10).expect("room");
    assert_eq!(content(&files).1, [Some(vec![3; 11]), None, None]);
}

/// A change that cannot be finished, for lack of room say, leaves a second name of a file that is still needed.
#[test]
fn a_change_that_failed_can_be_made_again_and_spoils_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = open(directory.path());
    files.change(first(), 7).expect("room");
    let before = content(&files);
    let change = || vec![("c", New::Is("a")), ("a", New::Bytes(vec![3; 11]))];
    let in_the_way = directory.path().join(MANIFEST).with_extension("new");
    fs::create_dir(&in_the_way).expect("room");
    for _ in 0..2 {
        assert!(files.change(change(), 8).is_err());
        assert_eq!(content(&files), before);
    }
    fs::remove_dir(&in_the_way).expect("it is empty");
    files.change(change(), 8).expect("room");
    drop(files);
    let pieces = vec![Some(vec![3; 11]), Some(vec![2; 20]), Some(vec![1; 10])];
    assert_eq!(content(&open(directory.path())), (Some(8), pieces));
}

/// What lies where a piece goes may be another name of a file that is still needed.
#[test]
fn nothing_is_written_through_another_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let [needed, left, other] = ["needed", "left", "other"].map(|name| directory.path().join(name));
    fs::write(&needed, [1; 10]).expect("room");
    fs::write(&other, [2; 4]).expect("room");
    for step in [
        Step::Write(left.clone(), vec![3; 5]),
        Step::Link(needed.clone(), left.clone()),
        Step::Link(other, left.clone()),
    ] {
        let _ = fs::remove_file(&left);
        fs::hard_link(&needed, &left).expect("it can have two names");
        step.run().expect("room");
        assert_eq!(fs::read(&needed).expect("it is there"), [1; 10]);
    }
    assert_eq!(fs::read(&left).expect("it is there"), [2; 4]);
}

// The plug is pulled after every number of steps, and in the middle of each write.
#[test]
fn whenever_the_plug_is_pulled_the_state_is_the_old_or_the_new_one() {
    let steps = {
        let directory = tempfile::tempdir().expect("a directory");
        let mut files = open(directory.path());
        files.change(first(), 7).expect("room");
        files.plan(second(), 8).expect("plain data").1.len()
    };
    let mut news = 0;
    for done in 0..=steps {
        for torn in [false, true] {
            let directory = tempfile::tempdir().expect("a directory");
            let mut files = open(directory.path());
            files.change(first(), 7).expect("room");
            let (old, plan) = (content(&files), files.plan(second(), 8).expect("plain").1);
            for step in plan.iter().take(done) {
                step.run().expect("room");
            }
            if torn {
                tear(plan.get(done));
            }
            drop(files);
            let found = content(&open(directory.path()));
            let new = (Some(8), seconds());
            assert!(
                found == old || found == new,
                "after {done} steps: {found:?}"
            );
            news += usize::from(found == new);
        }
    }
    // New from the rename on, of which there is one, and the removals after it.
    assert!(news > 0 && news < 2 * (steps + 1));
}

#[test]
fn after_a_cut_off_change_the_next_one_succeeds_and_nothing_is_left_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = open(directory.path());
    files.change(first(), 7).expect("room");
    for step in files.plan(second(), 8).expect("plain").1.iter().take(2) {
        step.run().expect("room");
    }
    drop(files);
    let mut files = open(directory.path());
    files.change(second(), 9).expect("room");
    assert_eq!(files.meta(), Some(&9));
    let bins = fs::read_dir(directory.path())
        .expect("there")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(".bin"));
    assert_eq!(bins.count(), 2);
}

#[test]
fn a_second_process_is_kept_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = open(directory.path());
    let second = Files::<u32>::open(directory.path(), identity());
    assert!(matches!(second, Err(StateError::InUse { .. })));
    drop(files);
    open(directory.path());
}

#[test]
fn the_state_of_another_key_run_or_chain_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    open(directory.path()).change(first(), 7).expect("room");
    let others = [
        (
            Identity {
                genesis: H256([9; 32]),
                ..identity()
            },
            "chain",
        ),
        (
            Identity {
                hotkey: Hotkey(H256([9; 32])),
                ..identity()
            },
            "hotkey",
        ),
        (
            Identity {
                netuid: Netuid(2),
                ..identity()
            },
            "subnet",
        ),
        (
            Identity {
                started_at: 6,
                ..identity()
            },
            "run",
        ),
        (
            Identity {
                started_in: H256([9; 32]),
                ..identity()
            },
            "same genesis",
        ),
    ];
    for (other, word) in others {
        let error = Files::<u32>::open(directory.path(), other)
            .err()
            .expect("foreign");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn a_damaged_piece_or_manifest_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = open(directory.path());
    files.change(first(), 7).expect("room");
    fs::write(directory.path().join("a-1.bin"), [9; 10]).expect("room");
    let error = files.read("a").expect_err("damaged").to_string();
    assert!(
        error.contains("a-1.bin") && error.contains("remove"),
        "{error}"
    );
    drop(files);
    fs::write(directory.path().join(MANIFEST), b"{").expect("room");
    let error = Files::<u32>::open(directory.path(), identity())
        .err()
        .expect("damaged");
    assert!(matches!(error, StateError::Damaged { .. }));
}
