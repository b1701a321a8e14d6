//! Training steps and losses of the devnet's model, on one thread.

use std::hint::black_box;

use cairn_primitives::{InnerOptimizer, Nano};
use cairn_trainer::{config, initial_parameters, AdamState, Trainer};
use criterion::{criterion_group, criterion_main, Criterion, Throughput};

fn step(c: &mut Criterion) {
    let Some(shape) = config::named("tiny") else {
        return;
    };
    let nano = |value: f64| Nano::from_f64(value).unwrap_or(Nano::ONE);
    let optimizer = InnerOptimizer {
        steps: 20,
        sequences: 16,
        sequence_length: 128,
        learning_rate: nano(3e-3),
        final_rate: nano(0.1),
        warmup_steps: 20,
        total_steps: 1000,
        beta1: nano(0.9),
        beta2: nano(0.95),
        epsilon: nano(1e-8),
        weight_decay: nano(0.1),
        clip_norm: nano(1.0),
        trace_every: 1,
        matrices: Default::default(),
    };
    let tokens: Vec<u32> = (0..16 * 129).map(|i| (i * i + 7 * i) % 1024).collect();
    let windows: Vec<&[u32]> = tokens.chunks_exact(129).collect();
    let mut trainer = Trainer::new(&shape, 1).expect("the CPU has AVX2");
    let mut parameters = initial_parameters(&shape, 0);
    let mut adam = AdamState::new(parameters.len());

    let mut group = c.benchmark_group("tiny");
    group.throughput(Throughput::Elements(16 * 128));
    group.sample_size(10);
    group.bench_function("losses", |b| {
        b.iter(|| black_box(trainer.losses(&parameters, &windows)));
    });
    group.bench_function("step", |b| {
        b.iter(|| black_box(trainer.step(&mut parameters, &mut adam, &optimizer, &windows)));
    });
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
