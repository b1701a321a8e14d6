//! What an epoch costs per cell in WASM.
//!
//!     make bench-wasm
//!
//! builds `guest` for `wasm32v1-none` and runs this on it: the module is compiled by the version of wasmtime and
//! with the optimisation level that the node's executor uses.

use std::{
    env,
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use wasmtime::{Config, Engine, Instance, Module, OptLevel, Store};

/// Name, members, cells filled of 1,000, and whether all validators weigh the same members.
const SIZES: [(&str, u32, u32, u32); 4] = [
    ("256x64 full", 256, 1_000, 0),
    ("1024x64 full", 1_024, 1_000, 0),
    ("4096x64 5% scattered", 4_096, 50, 0),
    ("4096x64 5% agreed", 4_096, 50, 1),
];

const RULES: [&str; 4] = ["yuma2", "yuma3", "yuma2-liquid", "yuma3-liquid"];

const VALIDATORS: u32 = 64;

const ROUNDS: usize = 200;

fn main() -> ExitCode {
    let Some(path) = env::args().nth(1) else {
        eprintln!("usage: yuma-wasm-bench GUEST.wasm");
        return ExitCode::FAILURE;
    };
    match measure(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(path: &str) -> Result<(), Box<dyn Error>> {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::SpeedAndSize);
    let engine = Engine::new(&config)?;
    let module = Module::from_file(&engine, path)?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let prepare =
        instance.get_typed_func::<(u32, u32, u32, u32, u32), u32>(&mut store, "prepare")?;
    let cells = instance.get_typed_func::<u32, u32>(&mut store, "cells")?;
    let run = instance.get_typed_func::<u32, u64>(&mut store, "run")?;

    println!("{ROUNDS} epochs each, ns per cell: median, fastest");
    for (rule, name) in (0..).zip(RULES) {
        for (size, members, fill, agreed) in SIZES {
            let task = prepare.call(&mut store, (rule, members, VALIDATORS, fill, agreed))?;
            let mut times = Vec::with_capacity(ROUNDS);
            for _ in 0..ROUNDS {
                let start = Instant::now();
                run.call(&mut store, task)?;
                times.push(start.elapsed());
            }
            times.sort_unstable();
            let cells = f64::from(cells.call(&mut store, task)?);
            let per_cell = |time: Duration| time.as_nanos() as f64 / cells;
            let (median, fastest) = (per_cell(times[ROUNDS / 2]), per_cell(times[0]));
            println!("{name:14} {size:22} {cells:6} cells {median:7.1} {fastest:7.1}");
        }
    }
    Ok(())
}
