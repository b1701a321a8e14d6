//! What is written beside all else is written in order, or not at all.

use std::{
    fs::File,
    sync::mpsc::{channel, sync_channel, Receiver},
    time::Duration,
};

use cairn_primitives::{Hotkey, ModelRoot, Netuid, H256};
use cairn_round::Held;
use nix::fcntl::{Flock, FlockArg};
use tempfile::TempDir;
use tokio::{
    task::{spawn_blocking, yield_now},
    time::timeout,
};

use super::*;
use crate::roles::state::{Change, Identity, LOCK};

/// After this time something hangs, on however busy a machine.
const HANGS: Duration = Duration::from_secs(240);

fn identity() -> Identity {
    Identity {
        genesis: H256([1; 32]),
        netuid: Netuid(1),
        started_at: 5,
        started_in: H256([4; 32]),
        initial_root: ModelRoot(H256([2; 32])),
        hotkey: Hotkey(H256([3; 32])),
    }
}

fn a_state() -> (TempDir, SharedState) {
    let directory = tempfile::tempdir().expect("a directory");
    let state = StateDir::open(directory.path(), identity()).expect("it is ours");
    (directory, SharedState::new(state))
}

/// Opens the directory again, once the thread that wrote has let go of it.
fn opened_again(directory: &TempDir, state: SharedState) -> StateDir {
    drop(state);
    let lock = directory.path().join(LOCK);
    let lock = File::options().write(true).open(lock).expect("a file");
    drop(Flock::lock(lock, FlockArg::LockExclusive).expect("the lock"));
    StateDir::open(directory.path(), identity()).expect("it is ours")
}

/// Holds the parameters of a round from now on.
fn hold(state: &mut StateDir, round: u32) -> Result<(), StateError> {
    let root = ModelRoot(H256([9; 32]));
    state.save(&Change {
        held: Some(Held { round, root }),
        parameters: Some(vec![round as f32].into()),
        ..Change::default()
    })
}

fn held(state: &StateDir) -> Option<(u32, Vec<f32>)> {
    let saved = state.load().expect("undamaged");
    saved.map(|saved| (saved.held.round, saved.state.parameters))
}

/// Has a round held beside all else, once something is sent.
fn hold_later(state: &SharedState, round: u32, gate: Receiver<()>) {
    let write = move |state: &mut StateDir| {
        gate.recv().expect("it is let through");
        hold(state, round)
    };
    state.write_beside(write).expect("nothing failed");
}

#[tokio::test]
async fn who_locks_the_directory_finds_all_that_was_asked_for_before() {
    let (directory, state) = a_state();
    state.write(|state| hold(state, 3)).expect("room");
    let (first, gate) = channel();
    hold_later(&state, 4, gate);
    let (second, gate) = channel();
    hold_later(&state, 5, gate);
    // Nobody waits for the disk.
    first.send(()).expect("it waits");
    second.send(()).expect("it waits");
    let found = held(&state.lock().expect("nothing failed"));
    assert_eq!(found, Some((5, vec![5.0])));
    state.write(|state| hold(state, 6)).expect("room");
    let state = opened_again(&directory, state);
    assert_eq!(held(&state), Some((6, vec![6.0])));
}

/// Has a change made beside all else that asks for another one before it is done, each time it is let through.
fn always_another(state: SharedState, gate: Receiver<()>) {
    let own = state.clone();
    let write = move |_: &mut StateDir| {
        if gate.recv().is_ok() {
            always_another(own, gate);
        }
        Ok(())
    };
    state.write_beside(write).expect("nothing failed");
}

#[tokio::test]
async fn who_waits_for_the_disk_is_done_though_it_always_has_something_to_write() {
    let (_directory, state) = a_state();
    // Nothing is sent before a change takes it.
    let (disk, gate) = sync_channel(0);
    always_another(state.clone(), gate);
    let own = state.clone();
    let waits = spawn_blocking(move || own.written());
    let writes = async {
        while !waits.is_finished() {
            disk.send(()).expect("there is always another change");
            yield_now().await;
        }
    };
    let ended = timeout(HANGS, writes).await;
    ended.expect("it waits for what is asked for meanwhile");
    waits.await.expect("no panic").expect("nothing failed");
    let queue = locked(&state.0.queue);
    assert!(queue.asked > queue.written, "the disk is not done");
}

#[tokio::test]
async fn while_two_changes_are_under_way_a_third_one_waits() {
    let (_directory, state) = a_state();
    let (first, gate) = channel();
    hold_later(&state, 4, gate);
    let (second, gate) = channel();
    hold_later(&state, 5, gate);
    let (third, gate) = channel();
    let (asked, is_asked) = channel();
    let own = state.clone();
    let asks = spawn_blocking(move || {
        hold_later(&own, 6, gate);
        asked.send(()).expect("somebody listens");
    });
    assert!(is_asked.try_recv().is_err(), "two are under way");
    first.send(()).expect("it waits");
    // As soon as one of them is on the disk.
    is_asked.recv().expect("it is asked for");
    asks.await.expect("no panic");
    for gate in [second, third] {
        gate.send(()).expect("it waits");
    }
    state.written().expect("nothing failed");
    let found = held(&state.lock().expect("nothing failed"));
    assert_eq!(found, Some((6, vec![6.0])));
}

#[tokio::test]
async fn after_a_change_that_fails_nothing_is_written_and_everybody_is_told() {
    let (directory, state) = a_state();
    state.write(|state| hold(state, 3)).expect("room");
    let (gate, is_open) = channel();
    let fails = move |state: &mut StateDir| {
        is_open.recv().expect("it is let through");
        let path = state.directory().to_path_buf();
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let doing = "write";
        Err(StateError::Io {
            doing,
            path,
            source,
        })
    };
    state.write_beside(fails).expect("nothing failed yet");
    let next = state.write_beside(|state| hold(state, 4));
    next.expect("nothing failed yet");
    gate.send(()).expect("it waits");
    for _ in 0..2 {
        let told = state.written().expect_err("it failed").to_string();
        assert!(told.contains("free disk space"), "{told}");
        assert!(state.lock().is_err());
        assert!(state.write_beside(|state| hold(state, 5)).is_err());
    }
    let state = opened_again(&directory, state);
    assert_eq!(held(&state), Some((3, vec![3.0])));
}

#[tokio::test]
async fn a_change_that_panics_is_one_that_fails() {
    let (directory, state) = a_state();
    state.write(|state| hold(state, 3)).expect("room");
    let breaks = |_: &mut StateDir| -> Result<(), StateError> { panic!("a bug") };
    state.write_beside(breaks).expect("nothing failed yet");
    assert!(state.written().is_err());
    assert!(state.write_beside(|state| hold(state, 4)).is_err());
    let state = opened_again(&directory, state);
    assert_eq!(held(&state), Some((3, vec![3.0])));
}
