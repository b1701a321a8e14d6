//! Tokens per second of the CPU's engine and of the one on PyTorch, in turn: `engine_speed CONFIG LENGTH SEQUENCES`.
//!
//! Needs what `make engine-torch` installs. The table in docs/engines.md is its output.

use std::{error::Error, time::Instant};

use cairn_engine::{Cpu, Engine, Order, State};
use cairn_engine_process::{open, Options};
use cairn_primitives::{
    AuditRules, CompressionSchedule, DataSet, InitialParameters, InnerOptimizer, ModelRoot, Nano,
    OuterStep, Phases, RunConfig, Text, Uid, H256,
};
use cairn_trainer::{config::named, cuda::cache_directory, initial_parameters};

const STEPS: u32 = 6;
const TURNS: u32 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, length, sequences] = words.as_slice() else {
        return Err("engine_speed CONFIG LENGTH SEQUENCES".into());
    };
    let config = config(name, length.parse()?, sequences.parse()?).ok_or("no such config")?;
    let parameters = initial_parameters(&config.model, 1);
    println!(
        "{name}: {} parameters, {sequences} sequences of {length}",
        parameters.len()
    );
    println!("| engine | tokens/s | a step, s | all else of a round, s |\n|---|---|---|---|");
    for _ in 0..TURNS {
        for threads in [1, 2] {
            let engine = Cpu::new(&config, threads)?;
            let name = format!("cairn, {threads} threads");
            measure(&name, Box::new(engine), &config, &parameters)?;
        }
        for (ranks, threads) in [(1, 1), (2, 1)] {
            let mut options = Options::ranks(&cache_directory(), ranks, "cpu");
            options.arguments = vec!["--threads".into(), threads.to_string().into()];
            let engine = open(&config, options, 1)?;
            let name = format!("{}, {threads} threads each", engine.name());
            measure(&name, Box::new(engine), &config, &parameters)?;
        }
    }
    Ok(())
}

/// The median step of a round, and what the round took beside its steps.
fn measure(
    name: &str,
    mut engine: Box<dyn Engine>,
    config: &RunConfig,
    parameters: &[f32],
) -> Result<(), Box<dyn Error>> {
    engine.load(State::new(parameters.to_vec()))?;
    let (length, vocabulary) = (config.inner.sequence_length, config.model.vocabulary);
    let text: Vec<Vec<u32>> = (0..u32::from(config.inner.sequences))
        .map(|one| {
            (0..=length)
                .map(|i| (one * 7919 + i * 104_729) % vocabulary)
                .collect()
        })
        .collect();
    let batch: Vec<&[u32]> = text.iter().map(Vec::as_slice).collect();
    let (begun, mut last, mut times) = (Instant::now(), None, Vec::new());
    let mut go_on = |_: Option<&cairn_engine::StepDone>| {
        let now = Instant::now();
        times.extend(last.replace(now).map(|last| (now - last).as_secs_f64()));
        true
    };
    let order = Order {
        round: 0,
        uid: Uid(0),
        steps: STEPS,
    };
    engine.train(&order, &mut |_| batch.clone(), &mut go_on)?;
    let all = begun.elapsed().as_secs_f64();
    let rest = all - times.iter().sum::<f64>();
    times.sort_by(f64::total_cmp);
    let step = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    let speed = (batch.len() as u32 * length) as f64 / step;
    println!("| {name} | {speed:.0} | {step:.3} | {rest:.2} |");
    Ok(())
}

fn config(name: &str, length: u32, sequences: u16) -> Option<RunConfig> {
    let data = DataSet {
        manifest_root: H256::zero(),
        tokenizer_root: H256::zero(),
        store: Text::default(),
        windows: 1_000,
    };
    let inner = InnerOptimizer {
        steps: STEPS as u16,
        sequences,
        sequence_length: length,
        learning_rate: Nano(1_000_000),
        final_rate: Nano(100_000_000),
        warmup_steps: 2,
        total_steps: 40,
        beta1: Nano(900_000_000),
        beta2: Nano(950_000_000),
        epsilon: Nano(10),
        weight_decay: Nano(100_000_000),
        clip_norm: Nano(1_000_000_000),
        trace_every: STEPS as u16,
        matrices: Default::default(),
    };
    Some(RunConfig {
        name: Text::new("speed").ok()?,
        initial_root: ModelRoot::zero(),
        initial_parameters: InitialParameters::Seed(1),
        model: named(name)?,
        data,
        inner,
        compression: CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block: 64,
            error_decay: Nano(800_000_000),
            final_error_decay: None,
        },
        outer: OuterStep {
            learning_rate: Nano(700_000_000),
            rho: Nano(500_000_000),
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        },
        phases: Phases {
            train: 10,
            reveal: 2,
            attest: 3,
            floor: 25,
        },
        max_contributors: 16,
        audits: AuditRules::default(),
        overlap: 0,
        checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
    })
}
