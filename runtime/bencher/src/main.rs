//! Measures the runtime's benchmarks and writes the pallets' `weights.rs`.
//!
//! The benchmarks are FRAME's: they are compiled into the runtime by its feature `runtime-benchmarks` and
//! called through its `Benchmark` API, in WASM as a node runs it, on the in-memory trie that Substrate's
//! database crate keeps for this. The fit is FRAME's too. What is here asks for the measurements one by one
//! and fills in the template `weights.rs.jinja`. Substrate's own command line for it would bring in the crates
//! of parachains and a database in C++, a build several times as long as the measurements.
//!
//! ```text
//! make weights                                  all pallets
//! make weights ARGS="--pallet pallet_training"  one of them
//! make weights ARGS="--native"                  natively compiled code instead; writes nothing
//! make weights ARGS="--blocks"                  the hooks of whole blocks; writes nothing
//! ```
//!
//! `machine` calls the runtime, `measure` runs a benchmark at its sizes, `fit` draws lines through the
//! results, `write` makes Rust of them; `blocks` times whole blocks.

mod blocks;
mod fit;
mod machine;
mod measure;
mod write;

use std::path::PathBuf;

use clap::Parser;

use machine::Machine;
use measure::Settings;

/// Measures the runtime's benchmarks and writes weights.
#[derive(Parser)]
struct Arguments {
    /// Only this pallet, for example pallet_training. May be given more than once.
    #[arg(long)]
    pallet: Vec<String>,
    /// Only the benchmark of this name. Writes nothing.
    #[arg(long)]
    benchmark: Option<String>,
    /// Sizes at which each component of a benchmark is measured, between its lowest and its highest.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(2..))]
    steps: u32,
    /// Runs at each size.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Run the runtime that is compiled into this program instead of the WASM one. Writes nothing.
    #[arg(long)]
    native: bool,
    /// Instead of benchmarks, time the hooks of whole blocks. Writes nothing.
    #[arg(long)]
    blocks: bool,
    /// Write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Also print what was measured as JSON.
    #[arg(long)]
    json: bool,
    /// The checkout whose pallets' weights are written.
    #[arg(long, default_value = ".")]
    checkout: PathBuf,
}

fn main() {
    if let Err(error) = run(&Arguments::parse()) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    if arguments.blocks {
        return blocks::run(arguments.repeat);
    }
    let machine = match arguments.native {
        true => Machine::native()?,
        false => Machine::wasm()?,
    };
    let settings = Settings {
        steps: arguments.steps,
        repeat: arguments.repeat,
    };
    let wanted =
        |name: &str| arguments.pallet.is_empty() || arguments.pallet.iter().any(|p| p == name);
    let pallets: Vec<_> = measure::list(&machine)?
        .into_iter()
        .filter(|pallet| wanted(&pallet.name))
        .collect();
    if pallets.is_empty() {
        return Err(
            "no such pallet has benchmarks: name one as in runtime/src/benchmarking.rs".into(),
        );
    }
    let keep = !(arguments.dry_run || arguments.native || arguments.benchmark.is_some());
    for mut pallet in pallets {
        if let Some(only) = &arguments.benchmark {
            pallet
                .benchmarks
                .retain(|benchmark| benchmark.name == *only);
        }
        let mut fits = Vec::new();
        for benchmark in &pallet.benchmarks {
            let results = measure::run(&machine, &pallet, benchmark, settings)?;
            let fit = fit::through(benchmark, &results)?;
            println!("{}::{}", pallet.name, fit.summary());
            fits.push(fit);
        }
        if arguments.json {
            let shown = serde_json::to_string(&fits).map_err(|error| error.to_string())?;
            println!("{shown}");
        }
        if keep {
            let path = write::weights(&arguments.checkout, &pallet.name, &fits, settings)?;
            println!("wrote {}", path.display());
        }
    }
    Ok(())
}
