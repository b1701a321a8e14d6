//! The engine on PyTorch, with gloo on the CPU, beside the CPU's engine. Run by `make test-engine-torch`.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use cairn_engine::{Arithmetic, Elsewhere, Engine, EngineError, Origin, State, StepDone, Version};
use cairn_engine_process::{open, Launch, Options, Process};
use cairn_primitives::{EngineClass, RunConfig};
use cairn_trainer::{optimizer::learning_rate, AdamState};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use crate::fixture::{config, cpu, distance, load, sequences, slices, start, train};

/// How far the losses may lie apart, relatively, at each of 20 steps. The furthest seen: see docs/engine-protocol.md.
const LOSSES: f64 = 2e-6;
/// How far the way that the parameters went may lie from the CPU's, relative to its length.
const PARAMETERS: f64 = 1e-4;
/// How far the moments may, relative to theirs.
const MOMENTS: f64 = 5e-5;
const STEPS: u32 = 20;

/// The environment that `make engine-torch` makes.
pub fn options(ranks: u16) -> Options {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/cairn");
    let cache = env::var_os("CAIRN_CACHE").map_or_else(home, PathBuf::from);
    Options::ranks(&cache, ranks, "cpu")
}

fn process(config: &RunConfig, ranks: u16, arguments: &[&str]) -> Process {
    let mut options = options(ranks);
    options.arguments = arguments.iter().map(Into::into).collect();
    Process::start(config, options).unwrap()
}

/// Where 20 steps lead, and their losses.
fn steps(
    config: &RunConfig,
    process: &mut Process,
    from: &State,
) -> ((Vec<f32>, AdamState), Vec<f32>) {
    let optimizer = from.optimizer.as_ref();
    let origin = Origin {
        parameters: &from.parameters,
        optimizer,
        hashes: from.traced(),
    };
    process.begin(&origin).unwrap();
    let done = optimizer.map_or(0, |optimizer| optimizer.step);
    let step = |step: u64| {
        let rate = learning_rate(&config.inner, done + step);
        process
            .step(rate, &slices(&sequences(done + step)))
            .unwrap()
    };
    let losses = (0..u64::from(STEPS)).map(step).collect();
    let there = process.copied().unwrap();
    let led = there.read(from.parameters.len(), done + u64::from(STEPS));
    (led.unwrap(), losses)
}

/// The CPU's.
fn reference(config: &RunConfig, from: &State) -> (State, Vec<f32>) {
    let mut trainer = cairn_trainer::Trainer::new(&config.model, 1).unwrap();
    let mut parameters = from.parameters.clone();
    let begun = from.optimizer.clone();
    let mut optimizer = begun.unwrap_or_else(|| AdamState::new(parameters.len()));
    let losses = (0..STEPS).map(|_| {
        let text = sequences(optimizer.step);
        trainer
            .step(
                &mut parameters,
                &mut optimizer,
                &config.inner,
                &slices(&text),
            )
            .unwrap()
    });
    let losses = losses.collect();
    let state = State {
        optimizer: Some(optimizer),
        ..State::new(parameters)
    };
    (state, losses)
}

/// The largest relative difference of two rows of losses.
fn apart(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let each = got.iter().zip(want);
    each.map(|(got, want)| f64::from((got - want).abs() / want))
        .fold(0.0, f64::max)
}

/// From `from`, 20 steps here and there, which lie no further apart than `most`: losses, parameters, both moments.
fn twenty_steps_are_the_cpus(
    config: &RunConfig,
    process: &mut Process,
    from: &State,
    most: [f64; 4],
) -> State {
    let ((parameters, optimizer), losses) = steps(config, process, from);
    let (want, expected) = reference(config, from);
    let way = |to: &[f32]| -> Vec<f32> {
        to.iter()
            .zip(&from.parameters)
            .map(|(a, b)| a - b)
            .collect()
    };
    let moments = want.optimizer.as_ref().unwrap();
    let found = [
        apart(&losses, &expected),
        distance(&way(&parameters), &way(&want.parameters)),
        distance(&optimizer.m, &moments.m),
        distance(&optimizer.v, &moments.v),
    ];
    println!(
        "{}: losses {:.1e}, way {:.1e}, moments {:.1e} and {:.1e} apart",
        process.name(),
        found[0],
        found[1],
        found[2],
        found[3],
    );
    assert!(losses[19] < 0.6 * losses[0], "{losses:?}");
    for (found, most) in found.iter().zip(&most) {
        assert!(found < most, "{found} of {most}");
    }
    want
}

fn ranks_train_as_the_cpu(ranks: u16, is_tied: bool, arguments: &[&str]) {
    let mut config = config();
    config.model.tied_embeddings = is_tied;
    let mut process = process(&config, ranks, arguments);
    assert_eq!(process.ranks().len(), usize::from(ranks));
    assert!(process.class() != EngineClass::CPU);
    process.ping().unwrap();
    let (begin, most) = (
        State::new(start(&config)),
        [LOSSES, PARAMETERS, MOMENTS, MOMENTS],
    );
    let after = twenty_steps_are_the_cpus(&config, &mut process, &begin, most);
    // And on from there, with moments that come from files.
    twenty_steps_are_the_cpus(&config, &mut process, &after, most);
}

#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn one_rank_trains_as_the_cpu() {
    ranks_train_as_the_cpu(1, false, &[]);
}

/// With an embedding that is the head, too.
#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn two_ranks_train_as_the_cpu() {
    ranks_train_as_the_cpu(2, false, &[]);
    ranks_train_as_the_cpu(2, true, &[]);
}

/// Shares of 2, 3 and 3 sequences.
#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn three_ranks_train_as_the_cpu() {
    ranks_train_as_the_cpu(3, false, &[]);
}

/// Two passes, in the second of which a rank has no sequence left.
#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn passes_of_two_sequences_add_up() {
    ranks_train_as_the_cpu(3, true, &["--tokens-per-pass", "48", "--recompute"]);
}

/// Products in bfloat16 are as far off as their rounding.
#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn products_in_bfloat16_train_nearly_as_the_cpu() {
    let config = config();
    let mut process = process(&config, 2, &["--dtype", "bf16"]);
    assert_eq!(process.dtype(), "bf16");
    let begin = State::new(start(&config));
    twenty_steps_are_the_cpus(&config, &mut process, &begin, [1e-2, 0.2, 0.1, 0.1]);
}

/// Three ranks of which one fails before the second step, once.
fn faulty(kind: &str, rank: u16, more: &[&str]) -> (Elsewhere<Process>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let armed = directory.path().join("armed");
    fs::write(&armed, "").unwrap();
    let Launch::Ranks { python, .. } = options(1).launch else {
        panic!("ranks are launched as ranks");
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("../torch/tests/faulty.py");
    let words = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=3",
    ];
    let mut command: Vec<OsString> = vec![python.into()];
    command.extend(words.map(OsString::from));
    command.push(script.into());
    command.extend([kind, &rank.to_string(), "1"].map(OsString::from));
    command.push(armed.into());
    let mut options = options(1);
    options.launch = Launch::Command(command);
    options.arguments = more.iter().map(Into::into).collect();
    options.deadlines.step = Duration::from_secs(20);
    let mut engine = open(&config(), options, 1).unwrap();
    load(&mut engine, &config());
    (engine, directory)
}

/// A rank that fails costs the round, and the next one goes well; gives the error.
fn costs_a_round(kind: &str, rank: u16, more: &[&str]) -> EngineError {
    let (mut engine, _directory) = faulty(kind, rank, more);
    let before = engine.state(Version::Held).unwrap();
    let begun = Instant::now();
    let error = train(&mut engine, 0, 3, |_| true).unwrap_err();
    println!(
        "{kind} on rank {rank}: {error} (after {:?})",
        begun.elapsed()
    );
    assert_eq!(engine.state(Version::Held).unwrap(), before);
    let trained = train(&mut engine, 0, 3, |_| true).unwrap().unwrap();
    let honest = train(&mut cpu(), 0, 3, |_| true).unwrap().unwrap();
    assert!(apart(&trained.losses, &honest.losses) < LOSSES);
    error
}

#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn a_killed_rank_costs_a_round() {
    for rank in [1, 2] {
        let error = costs_a_round("killed", rank, &[]);
        assert!(matches!(error, EngineError::DeviceLost(_)), "{error}");
        assert!(
            error.to_string().contains("could not make a step"),
            "{error}"
        );
    }
    // Rank 0 is the one that answers.
    let error = costs_a_round("killed", 0, &[]);
    assert!(matches!(error, EngineError::DeviceLost(_)), "{error}");
}

#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn a_rank_without_memory_costs_a_round() {
    for rank in [0, 1] {
        let error = costs_a_round("memory", rank, &[]);
        assert!(matches!(error, EngineError::OutOfMemory(_)), "{error}");
        let said = format!("rank {rank}: RuntimeError");
        assert!(error.to_string().contains(&said), "{error}");
    }
}

#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn a_rank_that_hangs_costs_a_round() {
    let error = costs_a_round("hangs", 1, &["--collective-timeout", "5"]);
    assert!(matches!(error, EngineError::DeviceLost(_)), "{error}");
    assert!(
        error.to_string().contains("could not make a step"),
        "{error}"
    );
    // Nobody is left to answer.
    let error = costs_a_round("hangs", 0, &[]);
    assert!(error
        .to_string()
        .contains("did not make a step within 20 s"));
}

#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn a_mistake_in_the_engine_costs_a_round() {
    let error = costs_a_round("raises", 2, &[]);
    assert!(matches!(error, EngineError::DeviceLost(_)), "{error}");
    assert!(error.to_string().contains("rank 2: ValueError"), "{error}");
}

/// Between two steps, from outside.
#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn a_rank_that_somebody_kills_costs_a_round() {
    let mut engine = open(&config(), options(3), 1).unwrap();
    load(&mut engine, &config());
    let pid = engine.arithmetic().ranks()[1].pid as i32;
    let kill = |done: Option<&StepDone>| {
        if done.is_some_and(|done| done.step == 0) {
            signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
        true
    };
    let error = train(&mut engine, 0, 3, kill).unwrap_err();
    println!("{error}");
    assert!(matches!(error, EngineError::DeviceLost(_)), "{error}");
    assert!(error.to_string().contains("a rank was lost"), "{error}");
    train(&mut engine, 0, 3, |_| true).unwrap().unwrap();
}

/// Parameters so large that the forward pass overflows: as on the CPU.
#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn what_diverged_is_said_to_have() {
    let mut engine = open(&config(), options(2), 1).unwrap();
    let good = load(&mut engine, &config());
    let large = start(&config()).iter().map(|x| x * 1e30).collect();
    engine.load(State::new(large)).unwrap();
    let error = train(&mut engine, 0, 3, |_| true).unwrap_err();
    println!("{error}");
    assert!(error.is_divergence(), "{error}");
    assert_eq!(load(&mut engine, &config()), good);
    train(&mut engine, 0, 3, |_| true).unwrap().unwrap();
}

/// Ranks are in sessions of their own, where the launcher put them.
#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn no_rank_outlives_the_engine() {
    let engine = open(&config(), options(3), 1).unwrap();
    let pids: Vec<u32> = engine
        .arithmetic()
        .ranks()
        .iter()
        .map(|rank| rank.pid)
        .collect();
    let runs = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("State:") && !status.contains("State:\tZ")
    };
    assert!(pids.iter().all(runs));
    drop(engine);
    let patience = Instant::now() + Duration::from_secs(30);
    while pids.iter().any(runs) {
        assert!(Instant::now() < patience, "{pids:?} run on");
        thread::yield_now();
    }
}
