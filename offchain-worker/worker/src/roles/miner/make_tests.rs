//! A miner that is stopped while it trains goes on from what it had kept, unless its work is other work by then.

use std::{
    fs,
    path::PathBuf,
    sync::{
        atomic::{AtomicU32, Ordering},
        Arc,
    },
    time::Duration,
};

use cairn_primitives::{Matrices, Nano};

use super::*;
use crate::roles::{
    miner::{
        cheats::tests::{all_matrices, desk_of, Desk, EVERY, STEPS},
        round_job::{Control, Timing},
    },
    testing::Network,
};

/// After this time something never will be, on however busy a machine.
const HANGS: Duration = Duration::from_secs(240);
/// How often a job looks at the clock before its first step, and for each.
const LOOKS: (u32, u32) = (2, 3);

/// A clock that stands still, and counts looks at it. With so many it has the job abandoned.
fn clock(looks: &Arc<AtomicU32>, control: &Arc<Control>, most: u32) -> Arc<Timing> {
    let (looks, control) = (looks.clone(), control.clone());
    let look = move || {
        if looks.fetch_add(1, Ordering::Relaxed) + 1 >= most {
            control.abandon();
        }
        0
    };
    Arc::new(Timing::new(Arc::new(look), 0))
}

/// Another process of a member in the same round.
async fn desk(network: &Network, matrices: Matrices) -> Desk {
    desk_of(network, "Alice", 0, matrices).await
}

/// Makes a contribution, or is stopped after so many steps. Gives it, and how many steps were made.
fn makes(desk: &mut Desk, stop_after: Option<u32>) -> (Option<Made>, u32) {
    let looks = Arc::new(AtomicU32::new(0));
    let most = stop_after.map_or(u32::MAX, |steps| LOOKS.0 + LOOKS.1 * steps);
    desk.order.control = Arc::default();
    desk.order.timing = clock(&looks, &desk.order.control, most);
    // It looks at the clock once when it is made.
    looks.store(0, Ordering::Relaxed);
    let made = make(&desk.order, desk.engine.as_mut()).unwrap();
    let steps = (looks.load(Ordering::Relaxed) - LOOKS.0) / LOOKS.1;
    (made, steps)
}

/// What is left of a contribution's steps.
fn end(desk: &mut Desk, made: &Made) -> (Trained, cairn_engine::State) {
    desk.engine.keep().unwrap();
    let state = desk.engine.state(Version::Sent).unwrap();
    (made.trained.clone(), state)
}

fn files(network: &Network) -> Vec<PathBuf> {
    let entries = fs::read_dir(network.state_dir("Alice")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Waits until all that was kept is on the disk, as a process that is killed later has it.
fn written(desk: &Desk, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        assert!(desk.order.traces.read(0, number, false).is_some());
    }
}

#[tokio::test]
async fn who_is_stopped_between_steps_goes_on_from_the_newest_state_that_it_kept() {
    for matrices in all_matrices() {
        let network = Network::new().await;
        let mut undisturbed = desk(&network, matrices).await;
        let (made, steps) = makes(&mut undisturbed, None);
        assert_eq!(steps, STEPS);
        let whole = end(&mut undisturbed, &made.unwrap());
        written(&undisturbed, 1..=STEPS / u32::from(EVERY));
        files(&network)
            .iter()
            .for_each(|file| fs::remove_file(file).unwrap());
        // States are traced after two steps and after four, when there is time for another.
        for (stopped_after, left) in [(1, 6), (3, 4), (5, 2)] {
            let mut first = desk(&network, matrices).await;
            let (made, _) = makes(&mut first, Some(stopped_after));
            assert!(made.is_none());
            // The state in which it ended has a file, too.
            written(&first, 1..=stopped_after.div_ceil(u32::from(EVERY)));
            drop(first);
            let mut second = desk(&network, matrices).await;
            let (made, steps) = makes(&mut second, None);
            assert_eq!(steps, left, "stopped after {stopped_after}");
            assert!(end(&mut second, &made.unwrap()) == whole);
            // What was kept before is kept still, and what was made anew is, too.
            written(&second, 1..=STEPS / u32::from(EVERY));
            let kept = files(&network);
            assert_eq!(kept.len() as u32, STEPS / u32::from(EVERY));
            kept.iter().for_each(|file| fs::remove_file(file).unwrap());
        }
    }
}

/// How a member's next process can differ from the one before.
type Change = fn(&mut Desk);

#[tokio::test]
async fn what_was_kept_of_other_work_is_not_gone_on_from() {
    let changes: [(&str, Change); 4] = [
        ("another slot", |desk| desk.order.slot += 1),
        ("another round", |desk| desk.order.round += 1),
        ("other rules of the run", |desk| {
            let run = Arc::get_mut(&mut desk.order.run).unwrap();
            run.config.inner.weight_decay = Nano(1);
        }),
        ("other parameters", |desk| {
            let mut state = desk.engine.state(Version::Held).unwrap();
            state.parameters[0] += 1.0;
            desk.engine.load(state).unwrap();
        }),
    ];
    for (what, change) in changes {
        let network = Network::new().await;
        let mut first = desk(&network, Matrices::AdamW).await;
        makes(&mut first, Some(5));
        written(&first, 1..=3);
        drop(first);
        let mut second = desk(&network, Matrices::AdamW).await;
        change(&mut second);
        let (_, steps) = makes(&mut second, None);
        assert_eq!(steps, STEPS, "{what}");
    }
}

#[tokio::test]
async fn what_steps_follow_from_tells_who_makes_them_and_on_what_text() {
    let network = Network::new().await;
    let desk = desk(&network, Matrices::AdamW).await;
    let of = |text: Text, class| work(text, &desk.order, &class);
    let own = of(ASSIGNED, EngineClass::CPU);
    assert_eq!(own, of(ASSIGNED, EngineClass::CPU));
    assert_ne!(own, of(ASSIGNED, EngineClass::cuda("NVIDIA H100")));
    assert_ne!(
        own,
        of(
            |plan, slot, step| Plan::of_step(plan, slot, step + 1),
            EngineClass::CPU
        )
    );
}

/// Whatever byte of the newest state is another, the one before is gone on from, or none.
#[tokio::test]
async fn a_damaged_state_costs_the_steps_since_the_one_before() {
    let network = Network::new().await;
    let mut first = desk(&network, Matrices::AdamW).await;
    makes(&mut first, Some(5));
    written(&first, 1..=3);
    drop(first);
    // Of the third there is no more than what stands for it.
    let newest = network.state_dir("Alice").join("0-2.bin");
    let whole = fs::read(&newest).unwrap();
    let length = whole.len();
    // Of what stands for it, of its vectors, of what lies behind, and the end.
    for place in [0, 103, length / 2, length - 200, length - 40, length - 1] {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        fs::write(&newest, bytes).unwrap();
        let mut second = desk(&network, Matrices::AdamW).await;
        let (_, steps) = makes(&mut second, Some(0));
        assert_eq!(steps, 0, "it is stopped at once");
        // Another thread removes it.
        let gone = async {
            while files(&network).len() > 1 {
                tokio::task::yield_now().await;
            }
        };
        let gone = tokio::time::timeout(HANGS, gone).await;
        gone.unwrap_or_else(|_| panic!("byte {place} of {length}: {:?}", files(&network)));
        assert!(!newest.exists());
        fs::write(&newest, &whole).unwrap();
    }
    // And a file that was cut off.
    fs::write(&newest, &whole[..length - 1]).unwrap();
    let mut second = desk(&network, Matrices::AdamW).await;
    let (_, steps) = makes(&mut second, None);
    assert_eq!(steps, 4);
}
