//! A run and its rounds, for the plans of the scenes.

use cairn_primitives::{
    AuditRules, CompressionSchedule, DataSet, InitialParameters, InnerOptimizer, ModelShape, Nano,
    OuterStep, Round, RunConfig, Text, H256,
};
use cairn_protocol::assignment::{DataRange, RoundData};

use crate::common::{held_at, PHASES};

/// A run of rounds of two inner steps of three windows, on a thousand windows.
pub fn run() -> RunConfig {
    RunConfig {
        name: Text::default(),
        model: ModelShape {
            layers: 1,
            d_model: 16,
            heads: 2,
            kv_heads: 1,
            ffn: 32,
            vocabulary: 32,
            context: 16,
            rope_theta: 10_000,
            tied_embeddings: true,
        },
        initial_parameters: InitialParameters::Seed(1),
        initial_root: held_at(0).root,
        data: DataSet {
            manifest_root: H256::zero(),
            tokenizer_root: H256::zero(),
            store: Text::default(),
            windows: 1_000,
        },
        inner: InnerOptimizer {
            steps: 2,
            sequences: 3,
            sequence_length: 16,
            learning_rate: Nano(3_000_000),
            final_rate: Nano(100_000_000),
            warmup_steps: 10,
            total_steps: 100,
            beta1: Nano(900_000_000),
            beta2: Nano(950_000_000),
            epsilon: Nano(1),
            weight_decay: Nano(0),
            clip_norm: Nano::ONE,
            trace_every: 1,
            matrices: Default::default(),
        },
        compression: CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block: 64,
            error_decay: Nano(500_000_000),
            final_error_decay: None,
        },
        outer: OuterStep {
            learning_rate: Nano::ONE,
            rho: Nano::ONE,
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        },
        phases: PHASES,
        max_contributors: 16,
        audits: AuditRules::default(),
        overlap: 0,
        checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
    }
}

/// A round of it with its own data.
pub fn data(round: Round) -> RoundData {
    RoundData {
        range: DataRange {
            pass: 0,
            cursor: 18 * u64::from(round),
        },
        miners: 3,
    }
}
