//! Whole blocks: how long all hooks of a block's beginning take together.

use std::time::{Duration, Instant};

use cairn_runtime::{
    benchmarking::{stage, Due},
    Header, System,
};
use sp_runtime::{ExtrinsicInclusionMode, Storage};
use sp_state_machine::BasicExternalities;

use crate::machine::Machine;

/// Times each kind of block `repeat` times, in WASM and natively, and prints the medians.
pub fn run(repeat: u32) -> Result<(), String> {
    let cases = [
        ("nothing due", Due::Nothing),
        ("a round's end and beginning", Due::Round),
        ("an epoch", Due::Epoch),
    ];
    println!("on_initialize of all pallets, a subnet of 256 members, 64 of them validators:");
    for (name, due) in cases {
        let (storage, header) = staged(due);
        let weight = weigh(&storage, &header);
        let wasm = median(&Machine::wasm_on(storage.clone())?, &header, repeat)?;
        let native = median(&Machine::native_on(storage)?, &header, repeat)?;
        println!(
            "{name:<28} weight {:>8.2} ms   WASM {:>8.2} ms   native {:>8.2} ms",
            weight as f64 / 1e9,
            wasm.as_secs_f64() * 1e3,
            native.as_secs_f64() * 1e3,
        );
    }
    Ok(())
}

/// The state before the block, and the header with which the block begins.
fn staged(due: Due) -> (Storage, Header) {
    let mut externalities = BasicExternalities::new_empty();
    let header = externalities.execute_with(|| stage(due));
    (externalities.into_storages(), header)
}

/// What the runtime says that the hooks weigh, in picoseconds.
fn weigh(storage: &Storage, header: &Header) -> u64 {
    BasicExternalities::new(storage.clone()).execute_with(|| {
        cairn_runtime::Executive::initialize_block(header);
        System::block_weight().total().ref_time()
    })
}

/// The median time of the beginning of the block. The first call, which compiles the runtime, is left out.
fn median(machine: &Machine, header: &Header, repeat: u32) -> Result<Duration, String> {
    let mut times = Vec::new();
    for _ in 0..=repeat {
        let began = Instant::now();
        let _: ExtrinsicInclusionMode = machine.time("Core_initialize_block", header)?;
        times.push(began.elapsed());
    }
    times.remove(0);
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .copied()
        .ok_or_else(|| "nothing was repeated".into())
}
