//! A run small enough for tests, and its text.

use std::sync::Arc;

use cairn_engine::{Cpu, Engine, EngineError, Order, Settlement, State, StepDone, Trained};
use cairn_gradient::{
    checked::{check, Claim, Terms},
    seal, sealed_root, verify, Checked, Header, Work,
};
use cairn_primitives::{
    key_hash, AuditRules, Commitment, CompressionSchedule, DataSet, InitialParameters,
    InnerOptimizer, Layout, ModelRoot, ModelShape, Nano, Netuid, OuterStep, Phases, RunConfig,
    Text, Uid, H256,
};

const VOCABULARY: u64 = 64;
const LENGTH: u64 = 24;
/// Sequences of a step: over 3 ranks their shares are 2, 3 and 3.
pub const SEQUENCES: u64 = 8;

/// A model with no size that is a multiple of 3, so that over 3 ranks no tensor is cut evenly.
pub fn config() -> RunConfig {
    let model = ModelShape {
        layers: 2,
        d_model: 32,
        heads: 4,
        kv_heads: 2,
        ffn: 80,
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
            steps: 20,
            sequences: SEQUENCES as u16,
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
            trace_every: 8,
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

/// The first parameters of the run.
pub fn start(config: &RunConfig) -> Vec<f32> {
    cairn_trainer::initial_parameters(&config.model, 1)
}

/// The sequences of a step: each token follows from the one before, with some noise.
pub fn sequences(step: u64) -> Vec<Vec<u32>> {
    let sequence = |number: u64| {
        let mut token = (step * SEQUENCES + number) * 7 % VOCABULARY;
        let next = |i: u64| {
            token = (token * 5 + 3 + (i + step) % 2) % VOCABULARY;
            token as u32
        };
        (0..=LENGTH).map(next).collect()
    };
    (0..SEQUENCES).map(sequence).collect()
}

/// So many steps of a round; the text of a round goes on where the last one's ended.
pub fn train(
    engine: &mut dyn Engine,
    round: u32,
    steps: u32,
    mut go_on: impl FnMut(Option<&StepDone>) -> bool,
) -> Result<Option<Trained>, EngineError> {
    let text: Vec<Vec<Vec<u32>>> = (0..steps)
        .map(|step| sequences(u64::from(round * steps + step)))
        .collect();
    let mut give = |step: u32| text[step as usize].iter().map(Vec::as_slice).collect();
    engine.train(
        &Order {
            round,
            uid: Uid(0),
            steps,
        },
        &mut give,
        &mut go_on,
    )
}

/// With the run's first parameters.
pub fn load(engine: &mut dyn Engine, config: &RunConfig) -> H256 {
    engine.load(State::new(start(config))).unwrap().0
}

/// The size of the difference over the size of the second.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
    let pairs = a.iter().zip(b);
    let apart = squares(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let size = squares(&mut b.iter().map(|b| f64::from(*b)));
    (apart / size).sqrt()
}

/// As an engine takes them.
pub fn slices(sequences: &[Vec<u32>]) -> Vec<&[u32]> {
    sequences.iter().map(Vec::as_slice).collect()
}

/// The CPU's engine with the run's first parameters.
pub fn cpu() -> Cpu {
    let mut engine = Cpu::new(&config(), 1).unwrap();
    load(&mut engine, &config());
    engine
}

/// What a contribution of these steps states.
pub fn header(round: u32, root: H256, trained: &Trained) -> Header {
    Header {
        netuid: Netuid(1),
        round,
        hotkey: [1; 32].into(),
        parent_root: ModelRoot(root),
        layout_hash: Layout::of(&config().model).hash(),
        inner_steps: trained.steps(),
        tokens: trained.tokens,
        mean_loss: trained.mean_loss(),
        work: Work::default(),
    }
}

/// A plain file of the first round as others have it.
pub fn checked(config: &RunConfig, plain: &[u8]) -> Arc<Checked> {
    let (key, mut sealed) = ([7; 32], plain.to_vec());
    seal(&mut sealed, &key);
    let layout = Layout::of(&config.model);
    let compression = config.compression_of(Uid(0), 0);
    let header = verify(plain, &layout, &compression).unwrap().header;
    let claim = Claim {
        round: header.round,
        uid: Uid(0),
        hotkey: header.hotkey,
        commitment: Commitment {
            parent_root: header.parent_root,
            sealed_root: sealed_root(&sealed),
            length: sealed.len() as u64,
            key_hash: key_hash(header.netuid, header.round, &header.hotkey, &key),
        },
        key,
        parent_root: header.parent_root,
        before: Default::default(),
    };
    let terms = Terms {
        netuid: header.netuid,
        config,
        layout: &layout,
    };
    Arc::new(check(&terms, &claim, &sealed).unwrap())
}

/// A settled round with these.
pub fn including(included: &[(Uid, u16, Arc<Checked>)], is_included: bool) -> Settlement<'_> {
    Settlement {
        included,
        is_included,
    }
}
