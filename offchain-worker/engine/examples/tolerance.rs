//! How far a card's steps lie from a CPU's, honest ones and others, by the rule that audits go by: on the driver that
//! runs the kernels on a CPU. Prints a line for each measurement, and then the most of what is honest and the least of
//! each cheat. The figures of docs/decisions/063 are its.
//!
//! `cargo run -p cairn-engine --example tolerance -- [small|large] [SEEDS] [STEPS-BEFORE …]`

use std::{collections::BTreeMap, error::Error};

use cairn_engine::{audit::distances, AdamState, Cpu, Cuda, Engine, State};
use cairn_primitives::{
    AuditRules, CompressionSchedule, DataSet, InitialParameters, InnerOptimizer, Layout, ModelRoot,
    ModelShape, Nano, OuterStep, Phases, RunConfig, Text, H256,
};
use cairn_protocol::tolerance::{Distance, Distances};
use cairn_trainer::{
    cuda::{compile::SOURCES, libraries::Library, CudaOptions},
    initial_parameters,
};

type Anything<T> = Result<T, Box<dyn Error>>;

/// What is trained on, byte by byte: pages of this project.
const TEXT: &[u8] = concat!(
    include_str!("../../../docs/architecture.md"),
    include_str!("../../../docs/trainer.md"),
    include_str!("../../../docs/operators.md"),
    include_str!("../../../docs/security.md"),
)
.as_bytes();

/// Steps after which intervals are looked at, unless others are named.
const AFTER: [u32; 4] = [0, 40, 200, 1_000];
/// Steps of an interval.
const INTERVALS: [u32; 4] = [1, 2, 5, 10];

/// A run whose tokens are bytes.
fn config(layers: u16, width: u32, sequences: u16, length: u32) -> Anything<RunConfig> {
    Ok(RunConfig {
        name: Text::default(),
        initial_root: ModelRoot::zero(),
        initial_parameters: InitialParameters::Seed(1),
        model: ModelShape {
            layers,
            d_model: width,
            heads: 4,
            kv_heads: 2,
            ffn: 3 * width,
            vocabulary: 256,
            context: length,
            rope_theta: 10_000,
            tied_embeddings: false,
        },
        data: DataSet {
            manifest_root: H256::zero(),
            tokenizer_root: H256::zero(),
            store: Text::default(),
            windows: 1 << 20,
        },
        // What is not the batch's is as in chain-specs/run-tiny.toml.
        inner: InnerOptimizer {
            steps: 10,
            sequences,
            sequence_length: length,
            learning_rate: Nano(3_000_000),
            final_rate: Nano(100_000_000),
            warmup_steps: 20,
            total_steps: 400,
            beta1: Nano(900_000_000),
            beta2: Nano(950_000_000),
            epsilon: Nano(10),
            weight_decay: Nano(100_000_000),
            clip_norm: Nano(1_000_000_000),
            trace_every: 1,
            matrices: Default::default(),
        },
        compression: CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block: 64,
            error_decay: Nano(500_000_000),
            final_error_decay: None,
        },
        outer: OuterStep {
            learning_rate: Nano::ONE,
            rho: Nano::ONE,
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        },
        phases: Phases {
            train: 10,
            reveal: 2,
            attest: 4,
            floor: 25,
        },
        max_contributors: 16,
        audits: AuditRules::default(),
        overlap: 0,
        checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
    })
}

/// The sequences of a step: windows of the text at places that follow from the seed.
fn batch(config: &RunConfig, seed: u64, step: u32, kept: usize, length: usize) -> Vec<Vec<u32>> {
    let whole = config.inner.sequence_length as usize;
    let window = |number: usize| {
        let key = format!("{seed} {step} {number}");
        let digest = hashed(key.as_bytes());
        let at = digest % (TEXT.len() - whole - 1);
        let window = &TEXT[at..at + length + 1];
        window.iter().map(|byte| u32::from(*byte)).collect()
    };
    (0..kept).map(window).collect()
}

/// A number from a key (FNV-1a, and a mix at its end).
fn hashed(key: &[u8]) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in key {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 29;
    hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash >> 33) as usize
}

/// Makes an interval's steps with an engine; `of` gives the sequences.
fn made(
    engine: &mut dyn Engine,
    begin: &State,
    steps: std::ops::Range<u32>,
    of: &dyn Fn(u32) -> Vec<Vec<u32>>,
) -> Anything<State> {
    let all: BTreeMap<u32, Vec<Vec<u32>>> = steps.clone().map(|step| (step, of(step))).collect();
    let mut sequences = |step: u32| all[&step].iter().map(Vec::as_slice).collect::<Vec<_>>();
    Ok(engine.replay(begin, steps, &mut sequences)?)
}

fn moments(state: &State, layout: &Layout, config: &RunConfig) -> AdamState {
    let fresh = || AdamState::of(layout, &config.inner);
    state.optimizer.clone().unwrap_or_else(fresh)
}

/// The clipped gradient of the step between two states.
fn between(config: &RunConfig, layout: &Layout, begin: &State, end: &State) -> Vec<f32> {
    let (begin, end) = (moments(begin, layout, config), moments(end, layout, config));
    let beta = config.inner.beta1.to_f32();
    let pairs = begin.m.iter().zip(&end.m);
    pairs.map(|(m, n)| (n - beta * m) / (1.0 - beta)).collect()
}

/// AdamW's step with a gradient that somebody made up.
fn stepped(config: &RunConfig, layout: &Layout, begin: &State, gradient: &[f32]) -> State {
    let inner = &config.inner;
    let mut optimizer = moments(begin, layout, config);
    let mut parameters = begin.parameters.clone();
    let (b1, b2) = (inner.beta1.to_f64(), inner.beta2.to_f64());
    let step = optimizer.step as f64 + 1.0;
    let rate = learning_rate(inner, optimizer.step);
    let (first, second) = (1.0 - b1.powf(step), 1.0 - b2.powf(step));
    for (tensor, range) in layout.ranges() {
        let kept = match tensor.shape.len() {
            2 => 1.0 - rate * inner.weight_decay.to_f64(),
            _ => 1.0,
        };
        for at in range {
            let g = f64::from(gradient[at]);
            let m = b1 * f64::from(optimizer.m[at]) + (1.0 - b1) * g;
            let v = b2 * f64::from(optimizer.v[at]) + (1.0 - b2) * g * g;
            let way = rate * (m / first) / ((v / second).sqrt() + inner.epsilon.to_f64());
            optimizer.m[at] = m as f32;
            optimizer.v[at] = v as f32;
            parameters[at] = (f64::from(parameters[at]) * kept - way) as f32;
        }
    }
    optimizer.step += 1;
    State {
        optimizer: Some(optimizer),
        ..State::new(parameters)
    }
}

/// The learning rate after so many steps, as the trainer has it.
fn learning_rate(inner: &InnerOptimizer, done: u64) -> f64 {
    let (peak, floor) = (inner.learning_rate.to_f64(), inner.final_rate.to_f64());
    let (warmup, total) = (u64::from(inner.warmup_steps), u64::from(inner.total_steps));
    if done < warmup {
        return peak * (done + 1) as f64 / warmup as f64;
    }
    let progress = (done.min(total) - warmup) as f64 / (total - warmup) as f64;
    let wave = 0.5 + 0.5 * (std::f64::consts::PI * progress).cos();
    peak * (floor + (1.0 - floor) * wave)
}

/// Without the gradient of the tensors that are named so.
fn frozen(layout: &Layout, gradient: &[f32], is_frozen: &dyn Fn(&str) -> bool) -> Vec<f32> {
    let mut left = gradient.to_vec();
    for (tensor, range) in layout.ranges() {
        if is_frozen(&tensor.name) {
            left[range].fill(0.0);
        }
    }
    left
}

/// With noise of a part of its length, the same part of each number's typical size.
fn noisy(gradient: &[f32], part: f64, seed: u64) -> Vec<f32> {
    let square: f64 = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum();
    let size = (square / gradient.len() as f64).sqrt() * part;
    let noise = |(at, g): (usize, &f32)| {
        let key = format!("noise {seed} {at}");
        let sign = if hashed(key.as_bytes()) & 1 == 0 {
            1.0
        } else {
            -1.0
        };
        g + (sign * size) as f32
    };
    gradient.iter().enumerate().map(noise).collect()
}

/// What was found, by name: the tolerances that would let it pass.
#[derive(Default)]
struct Book(BTreeMap<String, Vec<f64>>);

impl Book {
    fn note(&mut self, name: &str, at: &str, found: &Distances) {
        let parts = [found.first_moment, found.second_moment, found.parameters];
        let parts = parts.map(|part: Distance| part.relative());
        println!(
            "{name:34} {at:22} first {:.4} second {:.4} parameters {:.4} needs {:.4}{}",
            parts[0],
            parts[1],
            parts[2],
            found.needed(),
            if found.is_possible { "" } else { " impossible" },
        );
        self.0.entry(name.into()).or_default().push(found.needed());
    }

    fn print(&self) {
        println!(
            "\n{:34} {:>8} {:>8} {:>8} {:>8}",
            "", "least", "median", "most", "of"
        );
        for (name, all) in &self.0 {
            let mut all = all.clone();
            all.sort_by(f64::total_cmp);
            let (least, most) = (all[0], all[all.len() - 1]);
            let median = all[all.len() / 2];
            println!(
                "{name:34} {least:8.4} {median:8.4} {most:8.4} {:8}",
                all.len()
            );
        }
    }
}

/// Everything of one seed at one shape. Honest steps are a card's; cheats' are a CPU's, which is quicker and, beside what
/// they leave out, the same.
fn of_seed(config: &RunConfig, seed: u64, places: &[u32], book: &mut Book) -> Anything<()> {
    let layout = Layout::of(&config.model);
    let (all, length) = (
        usize::from(config.inner.sequences),
        config.inner.sequence_length as usize,
    );
    let (mut cpu, mut card) = (
        Cpu::new(config, 1)?,
        Cuda::new(config, CudaOptions::default())?,
    );
    let mut cheats = BTreeMap::new();
    for length in [length, length / 2, length - length / 8] {
        let mut config = config.clone();
        config.inner.sequence_length = length as u32;
        cheats.insert(length, Cpu::new(&config, 1)?);
    }
    let honest = |step: u32| batch(config, seed, step, all, length);
    let mut state = State::new(initial_parameters(&config.model, seed));
    let (mut done, mut last) = (0, None);
    for after in places.iter().copied() {
        while done < after {
            let next = made(&mut cpu, &state, done..done + 1, &honest)?;
            last = Some(between(config, &layout, &state, &next));
            (state, done) = (next, done + 1);
        }
        let (mut want, mut got, mut made_of) = (state.clone(), state.clone(), after);
        for steps in INTERVALS {
            let at = format!("seed {seed} {after}+{steps}");
            let (begin, range) = (state.clone(), after..after + steps);
            want = made(&mut cpu, &want, made_of..range.end, &honest)?;
            got = made(&mut card, &got, made_of..range.end, &honest)?;
            made_of = range.end;
            let mut note = |name: &str, served: &State| {
                let run = (config, &layout);
                book.note(
                    name,
                    &at,
                    &distances(run, state.clone(), steps, (&want, served)),
                );
            };
            note(&format!("honest, {steps} steps"), &got);
            of_batches(
                config,
                &mut cheats,
                (seed, range.clone()),
                &begin,
                &mut note,
            )?;
            if steps == 1 {
                let g = between(config, &layout, &begin, &want);
                of_one_step(
                    config,
                    (seed, after),
                    &begin,
                    &g,
                    last.as_deref(),
                    &mut note,
                )?;
                continue;
            }
            let middle = made(&mut cpu, &begin, after..range.end - 1, &honest)?;
            let before = made(&mut cpu, &begin, after..range.end - 2, &honest)?;
            let twice = between(config, &layout, &before, &middle);
            let name = format!("one of {steps} steps not made");
            let none = vec![0.0; twice.len()];
            note(&name, &stepped(config, &layout, &middle, &none));
            let name = format!("one of {steps} gradients twice");
            note(&name, &stepped(config, &layout, &middle, &twice));
        }
    }
    Ok(())
}

/// What one step comes to with gradients that are not its own.
fn of_one_step(
    config: &RunConfig,
    (seed, after): (u64, u32),
    begin: &State,
    g: &[f32],
    last: Option<&[f32]>,
    note: &mut dyn FnMut(&str, &State),
) -> Anything<()> {
    let layout = Layout::of(&config.model);
    let mut with = |name: &str, g: &[f32]| note(name, &stepped(config, &layout, begin, g));
    if let Some(last) = last {
        with("gradient of the step before", last);
    }
    for part in [0.01, 0.02, 0.05, 0.1, 0.2] {
        let name = format!("noise of {part}");
        with(&name, &noisy(g, part, seed + u64::from(after)));
    }
    let layers = config.model.layers;
    let first = |name: &str| name.starts_with("model.layers.0.");
    with(
        &format!("one of {layers} layers frozen"),
        &frozen(&layout, g, &first),
    );
    let embedding = |name: &str| name.starts_with("model.embed");
    with("embedding frozen", &frozen(&layout, g, &embedding));
    let head = |name: &str| name.starts_with("lm_head");
    with("head frozen", &frozen(&layout, g, &head));
    let norms = |name: &str| name.ends_with("norm.weight");
    with("norms frozen", &frozen(&layout, g, &norms));
    let half: Vec<f32> = g.iter().map(|g| g / 2.0).collect();
    with("half of the gradient", &half);
    let mut slow = config.clone();
    slow.inner.learning_rate = Nano(slow.inner.learning_rate.0 / 2);
    note(
        "half of the learning rate",
        &stepped(&slow, &layout, begin, g),
    );
    Ok(())
}

/// What steps come to on other text, or on less of it. An engine takes sequences of one length, so there is one for each.
fn of_batches(
    config: &RunConfig,
    cheats: &mut BTreeMap<usize, Cpu>,
    (seed, steps): (u64, std::ops::Range<u32>),
    begin: &State,
    note: &mut dyn FnMut(&str, &State),
) -> Anything<()> {
    let (all, length) = (
        usize::from(config.inner.sequences),
        config.inner.sequence_length as usize,
    );
    let mut with = |name: String, seed: u64, kept: usize, length: usize| -> Anything<()> {
        let of = |step| batch(config, seed, step, kept, length);
        let cheat = cheats.get_mut(&length).ok_or("no engine")?;
        note(&name, &made(cheat, begin, steps.clone(), &of)?);
        Ok(())
    };
    with("half of the batch".into(), seed, all / 2, length)?;
    with(
        format!("all but one of {all} sequences"),
        seed,
        all - 1,
        length,
    )?;
    with("half of the context".into(), seed, all, length / 2)?;
    with(
        "context less an eighth".into(),
        seed,
        all,
        length - length / 8,
    )?;
    with("other text".into(), seed + 1_000, all, length)
}

fn main() -> Anything<()> {
    let sources = SOURCES.iter();
    cuda_on_cpu::driver(sources.map(|source| (source.name, source.kernels)));
    Library::Nvrtc.require()?;
    let mut arguments = std::env::args().skip(1);
    let config = match arguments.next().as_deref() {
        Some("large") => config(4, 64, 4, 32)?,
        _ => config(2, 32, 8, 16)?,
    };
    let seeds: u64 = arguments.next().map_or(Ok(3), |seeds| seeds.parse())?;
    let named = arguments
        .map(|place| place.parse())
        .collect::<Result<Vec<u32>, _>>()?;
    let places = if named.is_empty() {
        AFTER.to_vec()
    } else {
        named
    };
    println!("{} parameters", Layout::of(&config.model).parameters());
    let mut book = Book::default();
    for seed in 1..=seeds {
        of_seed(&config, seed, &places, &mut book)?;
    }
    book.print();
    Ok(())
}
