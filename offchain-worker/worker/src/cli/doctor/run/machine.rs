//! Whether this machine is large and fast enough: memory, seconds per inner step, disk.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cairn_engine::{Device, Engine, EngineError, Order, State};
use cairn_gradient::max_encoded_len;
use cairn_primitives::{api::Duty, Layout, RunConfig, Uid};
use cairn_protocol::{
    audit,
    limits::{EVIDENCE_BYTES, HISTORY_ROUNDS},
    phase::Timetable,
};
use cairn_trainer::initial_parameters;

use super::check::Check;
use crate::{
    amount::size,
    needs,
    roles::{sources::INCOMING_ROUNDS, AUDITED_ROUNDS, KEPT_EPOCHS},
};

/// Steps that are timed, after one that is not.
const TIMED: u32 = 3;
/// How often a state directory holds as many bytes as the parameters have: parameters, two moments and the error
/// feedback of the round held and of the one before it, three of them of what was sent, and all once more while they
/// are replaced.
const STATE_COPIES: u64 = 16;
/// How often more where rounds overlap: three of what was made ahead left, and the parameters that an open contribution
/// was made from.
const AHEAD_COPIES: u64 = 4;

/// How many files of evidence a validator has beside its state: of the rows that are hidden, and of one that is made.
const HIDDEN_ROWS: u64 = 5;

/// What the run makes of a contribution at most, in bytes.
pub fn contribution(config: &RunConfig) -> u64 {
    max_encoded_len(
        &Layout::of(&config.model),
        &config.compression_of(Uid(0), 0),
    )
}

/// The most bytes that a worker of this duty holds in memory: what [`crate::needs`] counts, and the data. What is kept
/// for the backward pass is there on the CPU alone: a card has memory of its own for it.
pub fn memory_needed(config: &RunConfig, duty: Duty, device: Device) -> u64 {
    let mut held = match (duty, config.audits.rate > 0) {
        (Duty::Validator, true) => needs::auditing(config),
        (Duty::Validator, false) => needs::measuring(config),
        (Duty::Miner | Duty::Idle, true) => needs::serving(config, false),
        (Duty::Miner | Duty::Idle, false) => needs::mining(config, false),
    };
    let layers = needs::layers(config);
    // Who only measures keeps none.
    held.retain(|it| device == Device::Cpu || *it != layers);
    let windows = config.data.windows;
    let tokens = windows.saturating_mul(config.inner.sequence_length.into());
    needs::total(&held).saturating_add(tokens.saturating_mul(4))
}

/// Whether the model fits.
pub fn memory(needed: u64, free: Option<u64>) -> Check {
    let found = format!("a worker of this run takes about {}", size(needed));
    let check = match free {
        None => Check::unknown(
            "memory",
            format!("{found}; the system does not say what is free"),
            "see for yourself",
        ),
        Some(free) => {
            let found = format!("{found}; {} are free", size(free));
            let remedy = "end other programs, or train on a machine with more memory";
            Check::either("memory", needed <= free, found, remedy).with("free_bytes", free as f64)
        }
    };
    check.with("needed_bytes", needed as f64)
}

/// Memory that a new program can have: what the system can free, within what this group of processes may have.
pub fn memory_free() -> Option<u64> {
    let available = super::super::field("/proc/meminfo", "MemAvailable")?;
    let kib: u64 = available.split(' ').next()?.parse().ok()?;
    let available = kib.saturating_mul(1_024);
    let number = |file: &str| -> Option<u64> {
        let text = std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(file)).ok()?;
        text.trim().parse().ok()
    };
    // Without a limit the file says `max`, which is no number.
    let left = number("memory.max").map(|most| {
        let used = number("memory.current").unwrap_or_default();
        most.saturating_sub(used)
    });
    Some(left.map_or(available, |left| left.min(available)))
}

/// What a worker computes on: where that is left to it, the first card if it can be used, else the CPU.
pub fn chosen(device: Device, config: &RunConfig, threads: usize) -> Device {
    let first = Device::Cuda(0);
    match device {
        Device::Auto if cairn_engine::open(first, config, threads).is_ok() => first,
        Device::Auto => Device::Cpu,
        Device::Cpu | Device::Cuda(_) | Device::Cards { .. } => device,
    }
}

/// How fast steps are here.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// Of a step with all its sequences.
    pub seconds: f64,
    /// Sequences of the steps that were timed; if that is less than the run's, the time is scaled.
    pub sequences: u16,
    /// What computed.
    pub on: String,
}

/// Makes steps of the run's shape on invented text, for about as long as `bound`, but at least one of one sequence.
///
/// # Errors
/// Those of the engine.
pub fn pace(
    config: &RunConfig,
    (device, threads): (Device, usize),
    bound: Duration,
) -> Result<Pace, EngineError> {
    let (mut engine, _) = cairn_engine::open(device, config, threads)?;
    engine.load(State::new(initial_parameters(&config.model, 0)))?;
    let all = config.inner.sequences.max(1);
    let one = timed(engine.as_mut(), config, 1, bound)?;
    let scaled = one * f64::from(all);
    let is_short = scaled * f64::from(TIMED) < bound.as_secs_f64();
    let (seconds, sequences) = match is_short && all > 1 {
        true => (timed(engine.as_mut(), config, all, bound)?, all),
        false => (scaled, 1),
    };
    Ok(Pace {
        seconds,
        sequences,
        on: engine.name(),
    })
}

/// The median time of steps with so many sequences. The first takes longer, and counts only if there is no other.
fn timed(
    engine: &mut dyn Engine,
    config: &RunConfig,
    sequences: u16,
    bound: Duration,
) -> Result<f64, EngineError> {
    let length = usize::try_from(config.inner.sequence_length).unwrap_or(usize::MAX);
    let length = length.saturating_add(1);
    let vocabulary = config.model.vocabulary.max(1);
    let count = length.saturating_mul(usize::from(sequences));
    let tokens: Vec<u32> = invented(vocabulary).take(count).collect();
    let order = Order {
        round: 0,
        uid: Uid(0),
        steps: TIMED.saturating_add(1),
    };
    let (began, mut marks) = (Instant::now(), Vec::new());
    let mut go_on = |_: Option<&_>| {
        marks.push(began.elapsed().as_secs_f64());
        began.elapsed() < bound
    };
    engine.train(&order, &mut |_| tokens.chunks(length).collect(), &mut go_on)?;
    engine.discard();
    let times = marks.windows(2).filter_map(|pair| match pair {
        [before, after] => Some(after - before),
        _ => None,
    });
    let mut times: Vec<f64> = times.collect();
    if times.len() > 1 {
        times.remove(0);
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied();
    Ok(median.unwrap_or_else(|| began.elapsed().as_secs_f64()))
}

/// Tokens that mean nothing.
fn invented(vocabulary: u32) -> impl Iterator<Item = u32> {
    let mut state = 1u64;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as u32).checked_rem(vocabulary).unwrap_or(0)
    })
}

/// Whether a round's steps end within the train phase. A validator makes none in a round, so nothing is in its way.
pub fn steps(pace: &Pace, config: &RunConfig, duty: Duty, block: Duration) -> Check {
    let times = Timetable::new(0, &config.phases);
    let there = block
        .saturating_mul(times.training_deadline())
        .as_secs_f64();
    let (wanted, all) = (config.inner.steps, config.inner.sequences);
    let needed = pace.seconds * f64::from(wanted);
    let fit = (there / pace.seconds).floor();
    let scaled = match pace.sequences < all {
        true => format!(
            ", scaled from steps of {} of {all} sequences",
            pace.sequences
        ),
        false => String::new(),
    };
    let found = format!(
        "{:.3} s a step on {}{scaled}: {wanted} steps take {needed:.1} s of the {there:.1} s that there are",
        pace.seconds, pace.on
    );
    let faster = "train on a faster device (--device, or --engine torch), or with more threads";
    let check = if duty == Duty::Validator {
        Check::ok("steps", format!("{found}; a validator trains no round"))
    } else if needed <= there {
        Check::ok("steps", found)
    } else if fit < 1.0 {
        Check::fix("steps", format!("{found}, so not one is made"), faster)
    } else {
        let found = format!("{found}, so {fit:.0} are made in a round that lasts its longest");
        Check::fix(
            "steps",
            found,
            format!("{faster}; what is made is sent all the same"),
        )
    };
    check
        .with("seconds_per_step", pace.seconds)
        .with("seconds_needed", needed)
        .with("seconds_there", there)
}

/// A directory, or the nearest that there is above it, and what is there.
pub struct Place {
    pub directory: PathBuf,
    /// Bytes that can still be written.
    pub free: Option<u64>,
    /// Bytes of the run that are there already.
    pub used: u64,
}

impl Place {
    /// With what is free on its disk.
    pub fn at(directory: &Path, used: u64) -> Place {
        let there = directory.ancestors().find(|above| above.exists());
        let free = there.and_then(crate::metrics::disk::free_bytes);
        Place {
            directory: directory.to_path_buf(),
            free,
            used,
        }
    }
}

/// The most bytes that a member's own store takes of this run: the files of all rounds that the chain keeps, each
/// with the hashes beside it, what is served for audits of the last rounds, and, of who validates, checkpoints and the
/// evidence of the last epochs, as if the subnet had all members that there can be.
pub fn store_bound(config: &RunConfig, duty: Duty) -> u64 {
    let outboard = |bytes: u64| bytes.saturating_add(bytes / 256);
    let every = u64::from(config.checkpoint_every.max(1));
    // What is too old is removed when a checkpoint is due.
    let rounds = u64::from(HISTORY_ROUNDS).saturating_add(every);
    let files = u64::from(config.max_contributors).saturating_mul(outboard(contribution(config)));
    let parameters = config.model.parameters().unwrap_or(u64::MAX);
    let served = match config.audits.rate {
        0 => 0,
        _ => outboard(audit::longest(parameters, &config.audits)),
    };
    // A miner serves its own, and a validator may be drawn for all.
    let (checkpoint, audits, epochs) = match duty {
        Duty::Validator => (
            outboard(parameters.saturating_mul(4)),
            u64::from(config.max_contributors),
            u64::from(KEPT_EPOCHS).saturating_add(1),
        ),
        Duty::Miner | Duty::Idle => (0, 1, 0),
    };
    let checkpoints = rounds / every;
    let audits = audits.saturating_mul(u64::from(AUDITED_ROUNDS).saturating_add(1));
    let files = files.saturating_mul(rounds);
    files
        .saturating_add(checkpoint.saturating_mul(checkpoints))
        .saturating_add(served.saturating_mul(audits))
        .saturating_add(outboard(EVIDENCE_BYTES).saturating_mul(epochs))
}

/// The most bytes that a worker's state takes: [`STATE_COPIES`] of the parameters, [`AHEAD_COPIES`] more where rounds
/// overlap, what came in part, of who validates evidence that is hidden yet, and of a miner traced states: those of two
/// rounds, of three where they overlap, in at most `keep_states` bytes.
pub fn state_bound(config: &RunConfig, duty: Duty, keep_states: u64) -> u64 {
    let parameters = config.model.parameters().unwrap_or(u64::MAX);
    let ahead = if config.overlaps() { AHEAD_COPIES } else { 0 };
    let copies = parameters
        .saturating_mul(4)
        .saturating_mul(STATE_COPIES.saturating_add(ahead));
    let files = u64::from(config.max_contributors).saturating_mul(contribution(config));
    let rounds = if config.overlaps() { 3 } else { 2 };
    let beside = match duty {
        Duty::Validator => EVIDENCE_BYTES.saturating_mul(HIDDEN_ROWS),
        Duty::Miner | Duty::Idle => needs::traced(config)
            .saturating_mul(rounds)
            .min(keep_states),
    };
    copies
        .saturating_add(files.saturating_mul(INCOMING_ROUNDS.into()))
        .saturating_add(beside)
}

/// Whether there is room for all that a directory may come to hold.
pub fn disk(check: &'static str, place: &Place, bound: u64) -> Check {
    let directory = place.directory.display();
    let left = bound.saturating_sub(place.used);
    let most = format!("{directory} takes at most {}", size(bound));
    let found = match place.free {
        None => {
            let found = format!("{most}; the system does not say what is free");
            return Check::unknown(check, found, "see for yourself with `df`");
        }
        Some(free) => free,
    };
    let is_room = left <= found;
    let found = format!(
        "{most}, {} of it are there; {} are free",
        size(place.used),
        size(found)
    );
    Check::either(
        check,
        is_room,
        found,
        "free some, or name a directory on another disk",
    )
    .with("bound_bytes", bound as f64)
    .with("used_bytes", place.used as f64)
    .with("free_bytes", place.free.unwrap_or_default() as f64)
}

#[cfg(test)]
mod tests {
    use cairn_trainer::config::Needs;

    use super::{super::check::State as Is, *};
    use crate::roles::testing::a_run;

    #[test]
    fn a_model_that_does_not_fit_is_said_to_be_too_large() {
        let config = a_run().config;
        let needed = memory_needed(&config, Duty::Miner, Device::Cpu);
        let beside_a_card = memory_needed(&config, Duty::Miner, Device::Cuda(0));
        let length = usize::try_from(config.inner.sequence_length).unwrap();
        let needs = Needs::of(&config.model, usize::from(config.inner.sequences), length);
        assert_eq!(needed - beside_a_card, needs.activations + needs.logits);
        let parameters = config.model.parameters().unwrap() * 4;
        assert!(needed > 9 * parameters, "{needed} for {parameters}");
        let of = |duty, rate| {
            let mut config = config.clone();
            config.audits.rate = rate;
            memory_needed(&config, duty, Device::Cpu) / parameters
        };
        let (miner, validator) = (Duty::Miner, Duty::Validator);
        assert!(
            of(miner, 1) > of(miner, 0),
            "who is audited makes its steps again"
        );
        assert!(of(validator, 1) > of(validator, 0));
        let mut unaudited = config.clone();
        unaudited.audits.rate = 0;
        let [here, beside_a_card] =
            [Device::Cpu, Device::Cuda(0)].map(|on| memory_needed(&unaudited, validator, on));
        assert_eq!(here, beside_a_card, "who only measures keeps no layers");
        assert_eq!(memory(needed, Some(needed)).state, Is::Ok);
        let bad = memory(needed, Some(needed - 1));
        assert_eq!(bad.state, Is::Fix);
        assert!(bad.text().contains("more memory"));
        assert_eq!(memory(needed, None).state, Is::Unknown);
        assert!(memory_free().unwrap() > 0);
    }

    #[test]
    fn steps_are_made_and_timed_and_scaled_where_time_is_short() {
        let config = a_run().config;
        let all = config.inner.sequences;
        let long = pace(&config, (Device::Cpu, 1), Duration::from_secs(600)).unwrap();
        assert_eq!((long.sequences, long.on.as_str()), (all, cairn_engine::CPU));
        let short = pace(&config, (Device::Cpu, 1), Duration::ZERO).unwrap();
        assert_eq!(short.sequences, 1);
        assert!(short.seconds > 0.0 && long.seconds > 0.0);
    }

    #[test]
    fn steps_that_are_too_slow_are_said_to_be() {
        let mut config = a_run().config;
        config.inner.steps = 10;
        config.phases.train = 16;
        let block = Duration::from_secs(2);
        let pace = |seconds, sequences| Pace {
            seconds,
            sequences,
            on: "it".into(),
        };
        // 13 blocks of two seconds until training stops.
        let all = config.inner.sequences;
        let good = steps(&pace(2.6, all), &config, Duty::Miner, block);
        assert_eq!(good.state, Is::Ok);
        assert!(!good.found.contains("scaled"), "{}", good.found);
        let some = steps(&pace(2.7, 1), &config, Duty::Miner, block);
        assert_eq!(some.state, Is::Fix);
        assert!(some.found.contains("so 9 are made") && some.found.contains("scaled"));
        let none = steps(&pace(26.1, all), &config, Duty::Miner, block);
        assert!(none.found.contains("not one"), "{}", none.found);
        assert_eq!(none.figures["seconds_there"], 26.0);
        let validator = steps(&pace(26.1, all), &config, Duty::Validator, block);
        assert_eq!(validator.state, Is::Ok);
        assert!(validator.found.contains("trains no round"));
    }

    #[test]
    fn a_disk_without_room_for_all_that_may_come_is_said_to_be_small() {
        let place = |free, used| Place {
            directory: "/srv/store".into(),
            free,
            used,
        };
        assert_eq!(disk("store", &place(Some(60), 40), 100).state, Is::Ok);
        let bad = disk("store", &place(Some(59), 40), 100);
        assert_eq!(bad.state, Is::Fix);
        assert!(bad.text().contains("another disk"));
        assert_eq!(disk("store", &place(None, 0), 100).state, Is::Unknown);
        let config = a_run().config;
        let (miner, validator) = (
            store_bound(&config, Duty::Miner),
            store_bound(&config, Duty::Validator),
        );
        assert!(validator > miner && miner > 256 * contribution(&config));
        let with = |every| {
            let mut config = config.clone();
            config.checkpoint_every = every;
            store_bound(&config, Duty::Validator)
        };
        assert_eq!(with(5), validator);
        let each = config.model.parameters().unwrap() * 4;
        assert!(with(1) > with(5) + 100 * each, "200 checkpoints more");
        let of = |rate| {
            let mut config = config.clone();
            config.audits.rate = rate;
            store_bound(&config, Duty::Miner)
        };
        let vectors = config.model.parameters().unwrap() * 4;
        let served = of(1) - of(0);
        let rounds = u64::from(AUDITED_ROUNDS);
        assert!((5 * vectors * rounds..6 * vectors * (rounds + 1)).contains(&served));
        let of_cards = {
            let mut config = config.clone();
            (config.audits.rate, config.audits.tolerance) = (1, 1);
            store_bound(&config, Duty::Miner) - of(0)
        };
        assert!((8 * vectors * rounds..9 * vectors * (rounds + 1)).contains(&of_cards));
        let state = [Duty::Miner, Duty::Validator].map(|duty| state_bound(&config, duty, 1 << 30));
        assert!(state[0] > config.model.parameters().unwrap() * 4 * 15);
        assert_eq!(state[1] - state[0], 5 * EVIDENCE_BYTES);
        // A state is traced after each of six steps, of which the last has no vectors.
        let of = |rate, overlap, keep_states| {
            let mut config = config.clone();
            (config.audits.rate, config.overlap) = (rate, overlap);
            state_bound(&config, Duty::Miner, keep_states)
        };
        assert_eq!(of(0, 0, 1 << 30), state[0]);
        let traced = of(1, 0, 1 << 30) - state[0];
        assert!((2 * 5 * 3 * vectors..2 * 6 * 3 * vectors).contains(&traced));
        let three = of(1, 1, 1 << 30) - of(0, 1, 1 << 30);
        assert_eq!(2 * three, 3 * traced);
        assert_eq!(of(1, 0, 1_000) - state[0], 1_000);
        let below = std::env::temp_dir().join("none/of/this/is/there");
        assert!(Place::at(&below, 0).free.unwrap() > 0);
    }
}
