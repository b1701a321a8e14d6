//! Every kernel against what it should compute, under several schedules; and the driver against planted faults.

use std::sync::Arc;

use cairn_trainer::cuda::selftest::{self, Settings};
use cudarc::{
    driver::{CudaContext, CudaStream, DriverError, LaunchConfig, PushKernelArg},
    nvrtc::Ptx,
};

use crate::fake::{driver, PLANTED};

fn all_are_right(seed: u64) {
    driver().seed(seed);
    let settings = Settings {
        ordinal: 0,
        seed: 100 + seed,
        timed: false,
    };
    let report = selftest::run(settings).unwrap();
    for outcome in &report.outcomes {
        println!(
            "{:<28} {:.2e} of {:.2e}",
            outcome.name, outcome.error, outcome.tolerance
        );
    }
    let wrong: Vec<_> = report.outcomes.iter().filter(|o| !o.passed()).collect();
    assert!(wrong.is_empty(), "schedule {seed}: {wrong:?}");
    assert!(report.outcomes.len() >= 20, "a comparison is missing");
}

#[test]
fn all_kernels_are_right_in_order() {
    all_are_right(0);
}

#[test]
fn all_kernels_are_right_when_warps_run_ahead() {
    all_are_right(1);
}

#[test]
fn all_kernels_are_right_in_another_order() {
    all_are_right(2);
}

/// Runs a planted kernel on as many numbers as a block has threads, and gives what it wrote.
fn planted(name: &str, threads: u32) -> Result<Vec<f32>, DriverError> {
    let context = CudaContext::new(0)?;
    // SAFETY: one stream.
    unsafe { context.disable_event_tracking() };
    let stream: Arc<CudaStream> = context.new_stream()?;
    let cubin = PLANTED.compile("sm_90", None, &[]).unwrap().cubin;
    let function = context
        .load_module(Ptx::from_binary(cubin))?
        .load_function(name)?;
    let numbers: Vec<f32> = (0..threads).map(|i| i as f32).collect();
    let from = stream.clone_htod(&numbers)?;
    let mut to = stream.alloc_zeros::<f32>(numbers.len())?;
    let size = LaunchConfig {
        grid_dim: (1, 1, 1),
        block_dim: (threads, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the kernels take these arguments; what they do wrong is the test's subject.
    unsafe {
        stream
            .launch_builder(&function)
            .arg(&mut to)
            .arg(&from)
            .launch(size)?
    };
    let got = stream.clone_dtoh(&to)?;
    stream.synchronize()?;
    Ok(got)
}

#[test]
fn a_missing_barrier_gives_wrong_results_under_a_random_schedule() {
    let expected: Vec<f32> = (0..256).rev().map(|i| i as f32).collect();
    for seed in 0..6 {
        driver().seed(seed);
        assert_eq!(
            planted("reverse", 256).unwrap(),
            expected,
            "schedule {seed}"
        );
    }
    let found = (1..6).filter(|seed| {
        driver().seed(*seed);
        planted("reverse_without_barrier", 256).unwrap() != expected
    });
    assert!(found.count() >= 3, "random schedules do not find the race");
}

#[test]
fn reading_outside_an_allocation_is_an_error() {
    for (seed, kernel) in [
        (0, "read_outside"),
        (2, "read_outside"),
        (1, "read_outside"),
    ] {
        driver().seed(seed);
        let error = planted(kernel, 32).unwrap_err();
        assert!(
            error.to_string().contains("ILLEGAL_ADDRESS"),
            "{kernel}: {error}"
        );
    }
}

#[test]
fn barriers_that_not_all_threads_reach_are_an_error() {
    driver();
    for kernel in ["diverge", "wait_for_half"] {
        let error = planted(kernel, 64).unwrap_err();
        assert!(
            error.to_string().contains("LAUNCH_FAILED"),
            "{kernel}: {error}"
        );
    }
}

#[test]
fn an_asynchronous_copy_that_is_not_waited_for_has_not_arrived() {
    driver();
    let expected: Vec<f32> = (0..32).map(|i| i as f32).collect();
    assert_ne!(planted("copy_without_waiting", 32).unwrap(), expected);
}
