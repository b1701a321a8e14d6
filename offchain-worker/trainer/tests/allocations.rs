//! A training step allocates nothing once its buffers are there.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use cairn_primitives::{InnerOptimizer, Matrices, Muon, Nano};
use cairn_trainer::{config, initial_parameters, AdamState, Settings, Trainer};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The only test of this program, so that nobody else allocates. One thread: others make their own packing buffers with
/// their first task, whenever that comes.
#[test]
fn a_step_allocates_nothing_after_the_first() {
    let shape = config::named("tiny").unwrap();
    let nano = |value: f64| Nano::from_f64(value).unwrap();
    let optimizer = InnerOptimizer {
        steps: 20,
        sequences: 4,
        sequence_length: 128,
        learning_rate: nano(3e-3),
        final_rate: nano(0.1),
        warmup_steps: 2,
        total_steps: 100,
        beta1: nano(0.9),
        beta2: nano(0.95),
        epsilon: nano(1e-8),
        weight_decay: nano(0.1),
        clip_norm: nano(1.0),
        trace_every: 1,
        matrices: Default::default(),
    };
    let tokens: Vec<u32> = (0..4 * 129).map(|i| (i * i + 7 * i) % 1024).collect();
    let windows: Vec<&[u32]> = tokens.chunks_exact(129).collect();
    let muon = Matrices::Muon(Muon::default());
    for (recompute, windows_at_once, matrices) in [
        (false, None, Matrices::AdamW),
        (true, Some(2), Matrices::AdamW),
        (false, None, muon),
    ] {
        let optimizer = InnerOptimizer {
            matrices,
            ..optimizer.clone()
        };
        let settings = Settings {
            recompute,
            windows_at_once,
        };
        let mut trainer = Trainer::new(&shape, 1).unwrap().with_settings(settings);
        let mut parameters = initial_parameters(&shape, 0);
        let mut adam = AdamState::of(&cairn_primitives::Layout::of(&shape), &optimizer);
        let mut counts = Vec::new();
        for _ in 0..6 {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            trainer
                .step(&mut parameters, &mut adam, &optimizer, &windows)
                .unwrap();
            counts.push(ALLOCATIONS.load(Ordering::Relaxed) - before);
        }
        assert!(counts[0] > 10, "the first allocates: {counts:?}");
        assert_eq!(counts[1..], [0; 5], "{settings:?} {matrices:?}");
    }
}
