//! A program that does what it should gives the CPU's bits. One that does not costs a round, and nothing else.

use std::{
    fs,
    io::Read,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    time::Duration,
};

use cairn_engine::{Cpu, Elsewhere, Engine, EngineError, State, Version};
use cairn_engine_process::{open, Launch, Options, Process};
use cairn_primitives::{EngineClass, Matrices, Muon, Uid, H256};

use crate::{
    fake::launch,
    fixture::{checked, config, cpu, header, including, load, start, train},
};

const STEPS: u32 = 3;

/// Where a fault is armed.
struct Armed(tempfile::TempDir);

impl Armed {
    fn new() -> Armed {
        let armed = Armed(tempfile::tempdir().unwrap());
        armed.again();
        armed
    }

    fn again(&self) {
        fs::write(self.path(), "").unwrap();
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("armed")
    }

    /// Whether something of that name was left beside it.
    fn has(&self, name: &str) -> bool {
        self.path().with_extension(name).exists()
    }
}

/// With the run's first parameters, and a fault that comes once.
fn engine(fault: &str) -> (Elsewhere<Process>, Armed) {
    let armed = Armed::new();
    let mut options = launch(fault, &armed.path());
    if ["step:silence", "step:trickle"].contains(&fault) {
        // Honest steps are made by then, on however busy a machine.
        options.deadlines.step = Duration::from_secs(10);
    }
    let mut engine = open(&config(), options, 1).unwrap();
    load(&mut engine, &config());
    (engine, armed)
}

/// The program makes the CPU's steps, so all that is made of them has the CPU's bits, apart from the class.
#[test]
fn an_honest_program_gives_the_cpus_bits() {
    let (mut theirs, armed) = engine("never:");
    let mut ours = cpu();
    assert_eq!(theirs.class(), EngineClass::process("fake 1x cpu"));
    assert_eq!(theirs.name(), "fake 1x cpu");
    let mut files = Vec::new();
    for engine in [&mut theirs as &mut dyn Engine, &mut ours] {
        let trained = train(engine, 0, STEPS, |_| true).unwrap().unwrap();
        let root = engine.root(Version::Held).unwrap();
        let file = engine.contribution(header(0, root.0, &trained)).unwrap();
        engine.keep().unwrap();
        files.push((trained, file));
    }
    let [(got, mut file), (want, expected)] = files.try_into().unwrap();
    assert_eq!(got, want);
    let class = file.get_mut(124..156).unwrap();
    assert_eq!(class, theirs.class().bytes());
    class.copy_from_slice(EngineClass::CPU.bytes());
    assert_eq!(file, expected);

    // Both go on: by what it has, if the round took what was sent …
    let included = [(Uid(1), 1, checked(&config(), &expected))];
    for engine in [&mut theirs as &mut dyn Engine, &mut ours] {
        engine.settle(&including(&included, true)).unwrap();
        engine.keep().unwrap();
    }
    assert_eq!(next(&mut theirs), next(&mut ours));
    assert!(armed.has("kept"));
    // … and by files if not.
    fs::remove_file(armed.path().with_extension("kept")).unwrap();
    theirs.discard();
    ours.discard();
    assert_eq!(next(&mut theirs), next(&mut ours));
    assert!(!armed.has("kept"));
    assert_eq!(state(&theirs), state(&ours));
}

/// Another round's steps.
fn next(engine: &mut dyn Engine) -> (Vec<f32>, Vec<H256>) {
    let trained = train(engine, 1, STEPS, |_| true).unwrap().unwrap();
    (trained.losses, trained.trace)
}

fn state(engine: &dyn Engine) -> State {
    engine.state(Version::Held).unwrap()
}

/// What is measured or replayed is computed here.
#[test]
fn measuring_and_replaying_are_the_cpus() {
    let (mut theirs, mut ours) = (engine("never:").0, cpu());
    let text = crate::fixture::sequences(5);
    let slices = crate::fixture::slices(&text);
    let mut found = Vec::new();
    for engine in [&mut theirs as &mut dyn Engine, &mut ours] {
        engine.settle(&including(&[], false)).unwrap();
        engine.keep().unwrap();
        let losses = engine.measure(None, &slices, &mut || true).unwrap();
        let before = State::new(start(&config()));
        let after = engine.replay(&before, 0..2, &mut |_| slices.clone());
        found.push((losses, after.unwrap()));
    }
    assert_eq!(found[0], found[1]);
}

/// Time that is over before the first step costs nothing; after it, what was made counts.
#[test]
fn time_may_end_between_steps() {
    let (mut theirs, mut ours) = (engine("never:").0, cpu());
    for engine in [&mut theirs as &mut dyn Engine, &mut ours] {
        assert!(train(engine, 0, STEPS, |_| false).unwrap().is_none());
    }
    let first = |done: Option<&cairn_engine::StepDone>| done.is_none();
    let got = train(&mut theirs, 0, STEPS, first).unwrap().unwrap();
    let want = train(&mut ours, 0, STEPS, first).unwrap().unwrap();
    assert_eq!((got.steps(), &got), (1, &want));
}

/// The round is lost; the state is not, and the next round goes well.
fn costs_a_round(fault: &str) -> EngineError {
    let (mut engine, armed) = engine(fault);
    let before = state(&engine);
    let error = train(&mut engine, 0, STEPS, |_| true).unwrap_err();
    assert!(!armed.path().exists(), "{fault} did not come");
    assert_eq!(state(&engine), before, "{fault}");
    let nothing_is_pending = engine.keep().unwrap_err();
    assert!(matches!(nothing_is_pending, EngineError::OutOfTurn { .. }));
    let trained = train(&mut engine, 0, STEPS, |_| true).unwrap().unwrap();
    assert_eq!(
        Some(trained),
        train(&mut cpu(), 0, STEPS, |_| true).unwrap(),
        "{fault}"
    );
    error
}

/// Each of these is a device's fault, and says what was asked for.
fn is_fault(fault: &str, said: &str) {
    let error = costs_a_round(fault);
    assert!(error.is_device_fault(), "{fault}: {error}");
    assert!(error.to_string().contains(said), "{fault}: {error}");
}

#[test]
fn answers_that_are_none() {
    is_fault(
        "step:garbage",
        "asked to make a step: an answer that is none",
    );
    is_fault("step:deep", "an answer that is none");
    is_fault(
        "load:huge",
        "asked to load parameters: an answer of 4294967295 bytes",
    );
    is_fault("begin:other-id", "an answer to request 77, not to 3");
    is_fault("save:both", "neither or both");
    is_fault("finish:neither", "neither or both");
    is_fault("step:more", "an answer that is none");
    is_fault("step:other-facts", "an answer of other facts");
    is_fault("step:mood", "an answer that is none");
}

#[test]
fn late_answers() {
    for fault in ["step:silence", "step:trickle"] {
        let error = costs_a_round(fault);
        assert!(matches!(error, EngineError::DeviceLost(_)), "{error}");
        let said = "the engine did not make a step within 10 s, and was ended";
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn a_program_that_ends() {
    for verb in ["load", "begin", "step", "save", "finish"] {
        let error = costs_a_round(&format!("{verb}:ends"));
        assert!(matches!(error, EngineError::DeviceLost(_)), "{error}");
        let said = error.to_string();
        assert!(said.contains("SomeError: it  [31mbroke"), "{said}");
    }
}

#[test]
fn numbers_that_cannot_be() {
    is_fault("step:negative-loss", "a loss of -1");
    is_fault("step:endless-loss", "a loss of inf");
    is_fault("step:no-loss", "other facts");
    is_fault("save:nan", "the vector of parameters with NaN at 100");
    is_fault(
        "save:infinite",
        "the optimizer's first moment with inf at 0",
    );
    is_fault(
        "save:negative",
        "the optimizer's second moment with -0.000000001 at 3",
    );
    is_fault("save:short", "parameters.f32: 40 bytes where");
    is_fault("save:long", "parameters.f32: ");
}

/// A run of which each state is traced, and engines for it: those between the steps are hashed where they lie.
fn traced(fault: &str) -> (Elsewhere<Process>, Cpu, Armed) {
    let mut config = config();
    config.inner.trace_every = 1;
    let armed = Armed::new();
    let mut theirs = open(&config, launch(fault, &armed.path()), 1).unwrap();
    let mut ours = Cpu::new(&config, 1).unwrap();
    load(&mut theirs, &config);
    load(&mut ours, &config);
    (theirs, ours, armed)
}

#[test]
fn states_between_the_steps_have_the_cpus_hashes() {
    let (mut theirs, mut ours, _armed) = traced("never:");
    let got = train(&mut theirs, 0, STEPS, |_| true).unwrap().unwrap();
    let want = train(&mut ours, 0, STEPS, |_| true).unwrap().unwrap();
    assert_eq!((got.trace.len(), &got), (4, &want));
}

#[test]
fn numbers_that_cannot_be_between_the_steps() {
    for (fault, said) in [
        ("save:nan", "the vector of parameters with NaN at 100"),
        ("save:infinite", "first moment with inf at 0"),
        ("save:negative", "second moment with -0.000000001 at 3"),
        ("save:short", "parameters.f32: 40 bytes where"),
    ] {
        let (mut theirs, mut ours, armed) = traced(fault);
        let error = train(&mut theirs, 0, STEPS, |_| true).unwrap_err();
        assert!(!armed.path().exists(), "{fault} did not come");
        assert!(error.is_device_fault(), "{fault}: {error}");
        assert!(error.to_string().contains(said), "{fault}: {error}");
        let [got, want] = [&mut theirs as &mut dyn Engine, &mut ours]
            .map(|engine| train(engine, 0, STEPS, |_| true).unwrap());
        assert_eq!(got, want, "{fault}");
    }
}

#[test]
fn a_directory_in_place_of_a_file() {
    is_fault("step:directory", "parameters.f32: ");
}

/// Nobody reads what a program puts in a file's place: the file itself was not filled.
#[test]
fn a_file_that_was_replaced_is_not_read() {
    let (mut engine, _armed) = engine("save:replaced");
    let trained = train(&mut engine, 0, STEPS, |_| true).unwrap().unwrap();
    let honest = train(&mut cpu(), 0, STEPS, |_| true).unwrap().unwrap();
    assert_eq!(trained.losses, honest.losses);
    assert_ne!(trained.trace, honest.trace);
}

#[test]
fn faults_that_a_program_states() {
    type Is = fn(&EngineError) -> bool;
    let is: [(&str, Is); 5] = [
        ("oom", |e| matches!(e, EngineError::OutOfMemory(_))),
        ("rank_lost", |e| matches!(e, EngineError::DeviceLost(_))),
        ("collective_timeout", |e| {
            matches!(e, EngineError::DeviceLost(_))
        }),
        ("protocol", |e| matches!(e, EngineError::Device(_))),
        (
            "not_finite",
            |e| matches!(e, EngineError::NotFinite { loss, norm } if loss.is_nan() && norm.is_infinite()),
        ),
    ];
    for (kind, is) in is {
        let error = costs_a_round(&format!("step:{kind}"));
        assert!(is(&error), "{kind}: {error:?}");
        if kind != "not_finite" {
            let said = "the engine could not make a step: rank 1: as  told";
            assert_eq!(error.to_string(), said);
        }
    }
}

/// What does not begin well is refused.
#[test]
fn programs_that_do_not_start() {
    let refused = |options: Options| match open(&config(), options, 1) {
        Ok(_) => panic!("it started"),
        Err(error) => {
            assert!(error.is_device_fault(), "{error}");
            error.to_string()
        }
    };
    for (fault, said) in [
        ("hello:version", "speaks protocol 2, this speaks 1"),
        ("hello:layout", "a model of"),
        ("hello:parameters", "a model of 7 parameters"),
        ("hello:no-ranks", "0 ranks"),
        ("hello:garbage", "an answer that is none"),
        ("start:ends", "SomeError: no such card"),
    ] {
        let armed = Armed::new();
        let found = refused(launch(fault, &armed.path()));
        assert!(found.contains(said), "{fault}: {found}");
    }
    let armed = Armed::new();
    let mut hides = launch("start:hides", &armed.path());
    hides.deadlines.start = Duration::from_millis(500);
    assert!(refused(hides).contains("did not start within 0 s"));
    let mut missing = launch("never:", &armed.path());
    missing.launch = Launch::Command(vec!["/no/such/program".into()]);
    let found = refused(missing.clone());
    assert!(found.contains("`/no/such/program`"), "{found}");
    missing.launch = Launch::Command(Vec::new());
    refused(missing.clone());
    missing.directory = Some("/no/such/directory".into());
    assert!(refused(missing).contains("--engine-dir"));
}

/// A name from outside moves no cursor.
#[test]
fn what_a_program_calls_itself_is_shown_without_control_characters() {
    let (engine, _armed) = engine("hello:escapes");
    assert_eq!(engine.name(), " [2Jfake 1x cpu");
    assert_eq!(engine.class(), EngineClass::process(" [2Jfake 1x cpu"));
}

/// The program's own children, too: one holds a connection for as long as it lives.
#[test]
fn nothing_outlives_the_engine() {
    let armed = Armed::new();
    let listener = UnixListener::bind(armed.path().with_extension("lifeline")).unwrap();
    let engine = open(&config(), launch("hello:lifeline", &armed.path()), 1).unwrap();
    let (mut lifeline, _) = listener.accept().unwrap();
    let patience = Some(Duration::from_secs(240));
    lifeline.set_read_timeout(patience).unwrap();
    drop(engine);
    assert_eq!(lifeline.read(&mut [0]).unwrap(), 0);
}

/// The directory of bulk files goes with the engine.
#[test]
fn no_file_is_left() {
    let armed = Armed::new();
    let below = tempfile::tempdir().unwrap();
    let mut options = launch("never:", &armed.path());
    options.directory = Some(below.path().into());
    let mut engine = open(&config(), options, 1).unwrap();
    load(&mut engine, &config());
    let names = || -> Vec<_> {
        let inside = fs::read_dir(below.path()).unwrap().next().unwrap().unwrap();
        let mode = inside.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "others may look in");
        let files = fs::read_dir(inside.path()).unwrap();
        files.map(|file| file.unwrap().file_name()).collect()
    };
    train(&mut engine, 0, STEPS, |_| true).unwrap();
    assert_eq!(names(), ["socket"]);
    drop(engine);
    assert_eq!(fs::read_dir(below.path()).unwrap().count(), 0);
}

#[test]
fn a_run_with_muon_is_refused_before_a_program_starts() {
    let mut config = config();
    config.inner.matrices = Matrices::Muon(Muon::default());
    let armed = Armed::new();
    let refused = open(&config, launch("none", &armed.path()), 1);
    assert!(matches!(refused, Err(EngineError::Matrices { .. })));
}
