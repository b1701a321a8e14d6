//! The engine on PyTorch, with gloo on the CPU, beside the CPU's engine. Run by `make test-engine-torch`.

use std::{env, path::PathBuf};

use cairn_engine::{Cpu, Elsewhere, Engine, State, Version};
use cairn_engine_process::{open, Options, Process};
use cairn_gradient::Header;
use cairn_primitives::{Hotkey, Layout, Netuid, RunConfig, H256};

use crate::fixture::{config, distance, load, train};

/// The environment that `make engine-torch` makes.
fn options(ranks: u16) -> Options {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/cairn");
    let cache = env::var_os("CAIRN_CACHE").map_or_else(home, PathBuf::from);
    Options::ranks(&cache, ranks, "cpu")
}

fn torch(config: &RunConfig, ranks: u16) -> Elsewhere<Process> {
    let mut engine = open(config, options(ranks), 1).unwrap();
    load(&mut engine, config);
    engine
}

fn cpu(config: &RunConfig) -> Cpu {
    let mut engine = Cpu::new(config, 1).unwrap();
    load(&mut engine, config);
    engine
}

fn twenty_steps_are_the_cpus(config: &RunConfig, ranks: u16) {
    let (mut theirs, mut ours) = (torch(config, ranks), cpu(config));
    let got = train(&mut theirs, 0, 20, |_| true).unwrap().unwrap();
    let want = train(&mut ours, 0, 20, |_| true).unwrap().unwrap();
    assert_eq!((got.steps(), got.tokens), (20, want.tokens));
    let apart = |(got, want): (&f32, &f32)| f64::from((got - want).abs() / want);
    let losses = got.losses.iter().zip(&want.losses).map(apart);
    let losses = losses.fold(0f64, f64::max);
    println!("{ranks}: {:?} {:?}", got.losses, want.losses);
    println!("losses apart by {losses:.1e}");
}

#[test]
#[ignore = "needs PyTorch: make test-engine-torch"]
fn twenty_steps_of_one_rank_are_the_cpus() {
    twenty_steps_are_the_cpus(&config(), 1);
}
