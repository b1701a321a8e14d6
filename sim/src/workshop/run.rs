//! The runs that are simulated: a real model of some thousand parameters, or a cost model of a few. What rounds are
//! like is the same for both.

use cairn_engine::{cost, cost::Cost, Cpu, Engine, EngineError};
use cairn_gradient::model_root;
use cairn_primitives::{
    blocks::Turn, AuditRules, CompressionSchedule, DataSet, InitialParameters, InnerOptimizer,
    Matrices, ModelRoot, ModelShape, Muon, Nano, OuterStep, Phases, RunConfig, Text as Name, H256,
    MAX_MEMBERS,
};
use cairn_trainer::initial_parameters;

use super::{
    text::{Text, VOCABULARY},
    HELD_OUT,
};
use crate::{
    clock::Millis,
    rng::Rng,
    settings::{Kind, Terms},
};

/// How long things take, and how large they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// An inner step.
    pub step: Millis,
    /// Compressing and sealing.
    pub seal: Millis,
    /// Opening and checking a contribution.
    pub open: Millis,
    /// An outer step.
    pub apply: Millis,
    /// The loss of a window.
    pub window: Millis,
    /// Writing parameters to disk.
    pub write: Millis,
    /// Writing to disk what a contribution leaves to its maker: moments and error feedback.
    pub carry: Millis,
    /// Bytes of a contribution, as far as its transfer is concerned.
    pub contribution: u64,
    /// Bytes of a checkpoint.
    pub checkpoint: u64,
}

/// Of included contributions one in so many is audited.
pub const AUDITED_ONE_IN: u32 = 4;

/// A run, what computes it, and its data.
pub(super) struct Made {
    pub run: RunConfig,
    pub engine: Box<dyn Engine>,
    pub text: Text,
    pub initial: Vec<f32>,
}

/// A run of this kind.
///
/// # Errors
/// [`EngineError`] if this machine cannot compute it.
pub(super) fn make(
    kind: Kind,
    rng: &Rng,
    windows: u64,
    costs: Costs,
    terms: (Option<Terms>, u8),
) -> Result<Made, EngineError> {
    match kind {
        Kind::Tiny => tiny(rng, windows, Matrices::AdamW, terms),
        Kind::Muon => tiny(rng, windows, Matrices::Muon(Muon::default()), terms),
        Kind::Turns => {
            let mut made = tiny(rng, windows, Matrices::Muon(Muon::default()), terms)?;
            take_turns(&mut made.run);
            made.engine = Box::new(Cpu::new(&made.run, 1)?);
            Ok(made)
        }
        Kind::Cost => Ok(bowl(rng, windows, costs, terms)),
    }
}

/// Each sends one in four of all values, another one in each round.
fn take_turns(run: &mut RunConfig) {
    run.compression = CompressionSchedule {
        kept_per_block: 4_096,
        error_decay: Nano(0),
        final_error_decay: None,
        turns: Turn::MOST,
    };
    run.outer.rho = OuterStep::MIN_RHO;
}

/// A run on these terms, of which training runs so many rounds ahead.
fn on(mut run: RunConfig, (terms, overlap): (Option<Terms>, u8)) -> RunConfig {
    run.overlap = overlap;
    if let Some(terms) = terms {
        run.phases = terms.phases;
        run.inner.steps = terms.steps;
        run.inner.sequences = terms.sequences;
        run.audits = terms.audits;
        run.outer.combine = terms.combine;
        run.max_contributors = MAX_MEMBERS as u16;
    }
    run
}

/// A token of text for each of 16 places, from 32.
fn tiny(
    rng: &Rng,
    windows: u64,
    matrices: Matrices,
    terms: (Option<Terms>, u8),
) -> Result<Made, EngineError> {
    let model = ModelShape {
        layers: 1,
        d_model: 16,
        heads: 2,
        kv_heads: 1,
        ffn: 32,
        vocabulary: VOCABULARY,
        context: 16,
        rope_theta: 10_000,
        tied_embeddings: true,
    };
    let inner = InnerOptimizer {
        steps: 8,
        sequences: 16,
        sequence_length: model.context,
        learning_rate: Nano(6_000_000),
        beta1: Nano(900_000_000),
        beta2: Nano(950_000_000),
        epsilon: Nano(10),
        matrices,
        ..plain_steps()
    };
    let text = Text::real(rng, windows + HELD_OUT, model.context);
    let initial = initial_parameters(&model, 1);
    let run = run_of(model, windows, model_root(&initial), inner, 512);
    let run = on(run, terms);
    Ok(Made {
        engine: Box::new(Cpu::new(&run, 1)?),
        run,
        text,
        initial,
    })
}

/// As few parameters as a model can have.
fn bowl(rng: &Rng, windows: u64, costs: Costs, terms: (Option<Terms>, u8)) -> Made {
    let model = ModelShape {
        layers: 1,
        d_model: 2,
        heads: 1,
        kv_heads: 1,
        ffn: 1,
        vocabulary: 2,
        context: 2,
        rope_theta: 10_000,
        tied_embeddings: true,
    };
    let inner = InnerOptimizer {
        steps: 4,
        sequences: 8,
        sequence_length: model.context,
        ..plain_steps()
    };
    let text = Text::numbered(windows + HELD_OUT, model.context);
    let initial = initial_parameters(&model, 1);
    let run = run_of(model, windows, model_root(&initial), inner, 2_048);
    let run = on(run, terms);
    let seed = rng.fork("point").bits();
    Made {
        engine: Box::new(Cost::new(&run, microseconds(costs), seed)),
        run,
        text,
        initial,
    }
}

/// What the cost model's meter counts.
fn microseconds(costs: Costs) -> cost::Costs {
    cost::Costs {
        step: costs.step.saturating_mul(1_000),
        sequence: costs.window.saturating_mul(1_000),
        contribution: costs.apply.saturating_mul(1_000),
        file: costs.contribution,
    }
}

fn plain_steps() -> InnerOptimizer {
    InnerOptimizer {
        steps: 1,
        sequences: 1,
        sequence_length: 1,
        learning_rate: Nano(30_000_000),
        final_rate: Nano::ONE,
        warmup_steps: 0,
        total_steps: 1_000,
        beta1: Nano(0),
        beta2: Nano(0),
        epsilon: Nano(1),
        weight_decay: Nano(0),
        clip_norm: Nano::ONE,
        trace_every: 1,
        matrices: Default::default(),
    }
}

fn run_of(
    model: ModelShape,
    windows: u64,
    initial_root: ModelRoot,
    inner: InnerOptimizer,
    kept_per_block: u16,
) -> RunConfig {
    RunConfig {
        name: Name::default(),
        model,
        initial_parameters: InitialParameters::Seed(1),
        initial_root,
        data: DataSet {
            manifest_root: H256::zero(),
            tokenizer_root: H256::zero(),
            store: Name::default(),
            windows,
        },
        inner,
        compression: CompressionSchedule {
            turns: CompressionSchedule::usual_turns(),
            kept_per_block,
            error_decay: Nano(900_000_000),
            final_error_decay: None,
        },
        outer: OuterStep {
            learning_rate: Nano::ONE,
            rho: Nano::ONE,
            clip: OuterStep::USUAL_CLIP,
            combine: Default::default(),
        },
        phases: Phases {
            train: 7,
            reveal: 2,
            attest: 4,
            floor: 25,
        },
        max_contributors: 64,
        audits: AuditRules {
            rate: AuditRules::EACH / AUDITED_ONE_IN,
            auditors: 3,
            blocks: 12,
            ..AuditRules::default()
        },
        overlap: 0,
        checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
    }
}
