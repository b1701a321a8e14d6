//! Prints how many tokens per second the devnet's model trains with.
//!
//! ```text
//! cargo run -p cairn-trainer --example throughput -- [threads] [steps]
//! ```

use std::time::Instant;

use cairn_primitives::{InnerOptimizer, ModelShape, Nano};
use cairn_trainer::{initial_weights, AdamState, Trainer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (threads, steps) = (number(1)?, number(10)?.max(1));
    let shape = ModelShape {
        layers: 4,
        d_model: 128,
        heads: 4,
        kv_heads: 2,
        ffn: 384,
        vocabulary: 1024,
        context: 128,
        rope_theta: 500_000,
        tied_embeddings: true,
    };
    let nano = |value: f64| Nano::from_f64(value).ok_or("no such number");
    let optimizer = InnerOptimizer {
        steps: 20,
        sequences: 16,
        sequence_length: 128,
        learning_rate: nano(3e-3)?,
        final_rate: nano(0.1)?,
        warmup_steps: 20,
        total_steps: 1000,
        beta1: nano(0.9)?,
        beta2: nano(0.95)?,
        epsilon: nano(1e-8)?,
        weight_decay: nano(0.1)?,
        clip_norm: nano(1.0)?,
    };
    let tokens: Vec<u32> = (0..16 * 129).map(|i| (i * i + 7 * i) % 1024).collect();
    let windows: Vec<&[u32]> = tokens.chunks_exact(129).collect();
    let mut trainer = Trainer::new(&shape, threads)?;
    let mut weights = initial_weights(&shape, 0);
    let mut adam = AdamState::new(weights.len());
    let first = trainer.step(&mut weights, &mut adam, &optimizer, &windows)?;
    let start = Instant::now();
    let mut last = first;
    for _ in 0..steps {
        last = trainer.step(&mut weights, &mut adam, &optimizer, &windows)?;
    }
    let training = start.elapsed().as_secs_f64() / (steps * 2048) as f64;
    let start = Instant::now();
    for _ in 0..steps {
        trainer.losses(&weights, &windows)?;
    }
    let measuring = start.elapsed().as_secs_f64() / (steps * 2048) as f64;
    println!(
        "{} parameters, {threads} threads, loss {first:.3} to {last:.3}",
        weights.len()
    );
    println!("training:  {:.0} tokens/s", 1.0 / training);
    println!("measuring: {:.0} tokens/s", 1.0 / measuring);
    Ok(())
}
