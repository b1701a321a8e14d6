//! Epochs as a WASM module: `prepare` makes a subnet, `run` computes epochs on it.

#![no_std]

extern crate alloc;

#[path = "../../../benches/epoch/subnet.rs"]
mod subnet;

use alloc::boxed::Box;

use subnet::{params, Fill, Subnet};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// A subnet and the rule to run on it.
struct Task {
    subnet: Subnet,
    params: yuma::Params,
}

/// Makes a subnet and returns a handle of it. `fill` is of 1,000 cells: 1,000 all of them, below that scattered
/// or, if `agreed` is not 0, the same members for all validators.
#[no_mangle]
pub extern "C" fn prepare(
    rule: u32,
    members: u32,
    validators: u32,
    fill: u32,
    agreed: u32,
) -> *const Task {
    let fill = match (fill, agreed) {
        (1_000, _) => Fill::Full,
        (part, 0) => Fill::Scattered(part.into()),
        (part, _) => Fill::Agreed(part.into()),
    };
    let params = params(rule as usize);
    let subnet = Subnet::new(members as u16, validators as u16, fill, &params);
    Box::into_raw(Box::new(Task { subnet, params }))
}

/// How many cells the subnet of a handle has.
///
/// # Safety
///
/// `task` must come from `prepare`.
#[no_mangle]
pub unsafe extern "C" fn cells(task: *const Task) -> u32 {
    // SAFETY: the caller's promise; tasks are never freed.
    unsafe { &*task }.subnet.cells() as u32
}

/// Computes one epoch and returns what miners were paid, so that there is something to compare.
///
/// # Safety
///
/// `task` must come from `prepare`.
#[no_mangle]
pub unsafe extern "C" fn run(task: *const Task) -> u64 {
    // SAFETY: the caller's promise; tasks are never freed.
    let task = unsafe { &*task };
    let output = task.subnet.epoch(&task.params);
    output
        .members
        .iter()
        .fold(0, |sum, outcome| sum.wrapping_add(outcome.miner_emission))
}
