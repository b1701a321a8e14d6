//! A run small enough for tests, and its text.

use cairn_primitives::{
    AuditRules, Compression, CompressionSchedule, DataSet, InitialParameters, InnerOptimizer,
    ModelRoot, ModelShape, Nano, OuterStep, Phases, RunConfig, Text, Uid, H256,
};

const VOCABULARY: u64 = 64;
const LENGTH: u64 = 24;

pub fn config() -> RunConfig {
    let model = ModelShape {
        layers: 2,
        d_model: 32,
        heads: 4,
        kv_heads: 2,
        ffn: 64,
        vocabulary: VOCABULARY as u32,
        context: 72,
        rope_theta: 10_000,
        tied_embeddings: false,
    };
    RunConfig {
        name: Text::new("test").unwrap(),
        initial_root: ModelRoot::zero(),
        initial_parameters: InitialParameters::Seed(1),
        model,
        data: DataSet {
            manifest_root: H256::zero(),
            tokenizer_root: H256::zero(),
            store: Text::default(),
            windows: 1_000,
        },
        inner: InnerOptimizer {
            steps: 3,
            sequences: 4,
            sequence_length: LENGTH as u32,
            learning_rate: Nano(10_000_000),
            final_rate: Nano(100_000_000),
            warmup_steps: 2,
            total_steps: 40,
            beta1: Nano(900_000_000),
            beta2: Nano(950_000_000),
            epsilon: Nano(10),
            weight_decay: Nano(100_000_000),
            clip_norm: Nano(1_000_000_000),
            // Of three steps the states 0, 2 and 3.
            trace_every: 2,
            matrices: Default::default(),
        },
        compression: CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block: 64,
            error_decay: Nano(800_000_000),
            final_error_decay: Some(Nano(950_000_000)),
        },
        outer: OuterStep {
            learning_rate: Nano(700_000_000),
            rho: Nano(500_000_000),
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        },
        phases: Phases {
            train: 10,
            reveal: 2,
            attest: 3,
            floor: 25,
        },
        max_contributors: 16,
        audits: AuditRules::default(),
        overlap: 0,
        checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
    }
}

/// How contributions to a round are made small: the run has no turns, so it is the same for all.
pub fn compression_of(round: u32) -> Compression {
    config().compression_of(Uid(0), round)
}

/// The sequences of a member's step: each token follows from the one before, with some noise.
pub fn sequences(member: u16, round: u32, step: u32) -> Vec<Vec<u32>> {
    let batch = u64::from(member) * 1_000 + u64::from(round) * 10 + u64::from(step);
    let sequence = |number: u64| {
        let mut token = (batch * 4 + number) * 7 % VOCABULARY;
        let next = |i: u64| {
            token = (token * 5 + 3 + (i + batch) % 2) % VOCABULARY;
            token as u32
        };
        (0..=LENGTH).map(next).collect()
    };
    (0..4).map(sequence).collect()
}

pub fn slices(sequences: &[Vec<u32>]) -> Vec<&[u32]> {
    sequences.iter().map(Vec::as_slice).collect()
}
