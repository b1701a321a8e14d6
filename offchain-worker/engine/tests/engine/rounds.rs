//! Driving an engine through rounds, as a role does.

use std::sync::Arc;

use cairn_engine::{
    cost::{Cost, Costs},
    Cpu, Engine, EngineError, Order, Settlement, State, StepDone, Trained, Version,
};
use cairn_gradient::{
    checked::{check, Claim, Terms},
    seal, sealed_root, verify, Checked, Header, Work,
};
use cairn_primitives::{key_hash, Commitment, Layout, ModelRoot, Netuid, RunConfig, Uid, H256};
use cairn_trainer::initial_parameters;

use crate::fixture::{config, sequences, slices};

/// What the engines' cost models say.
pub const COSTS: Costs = Costs {
    step: 1_000,
    sequence: 10,
    contribution: 100,
    file: 5_000_000,
};

/// The parameters that all begin with.
pub fn start() -> Vec<f32> {
    initial_parameters(&config().model, 1)
}

pub fn cpu() -> Box<dyn Engine> {
    Box::new(Cpu::new(&config(), 1).unwrap())
}

pub fn cost() -> Box<dyn Engine> {
    Box::new(Cost::new(&config(), COSTS, 5))
}

/// An engine of each kind, with nothing loaded.
pub fn engines() -> Vec<Box<dyn Engine>> {
    vec![cpu(), crate::cuda::engine(), crate::cards::engine(), cost()]
}

/// The same with the first parameters loaded.
pub fn loaded() -> Vec<Box<dyn Engine>> {
    let load = |mut engine: Box<dyn Engine>| {
        engine.load(State::new(start())).unwrap();
        engine
    };
    engines().into_iter().map(load).collect()
}

pub fn order(round: u32) -> Order {
    Order {
        round,
        uid: Uid(0),
        steps: config().inner.steps.into(),
    }
}

/// Makes at most the steps of a round, for as long as `go_on` says.
pub fn train_while(
    engine: &mut dyn Engine,
    uid: Uid,
    round: u32,
    go_on: &mut dyn FnMut(Option<&StepDone>) -> bool,
) -> Result<Option<Trained>, EngineError> {
    let steps = 0..u32::from(config().inner.steps);
    let all: Vec<Vec<Vec<u32>>> = steps
        .map(|step| sequences(uid.get(), round, step))
        .collect();
    let mut of_step = |step: u32| slices(&all[step as usize]);
    engine.train(&order(round), &mut of_step, go_on)
}

/// Makes the steps of a round.
pub fn train(engine: &mut dyn Engine, uid: Uid, round: u32) -> Trained {
    let trained = train_while(engine, uid, round, &mut |_| true);
    trained.unwrap().unwrap()
}

pub fn header(uid: Uid, round: u32, root: H256, trained: &Trained) -> Header {
    Header {
        netuid: Netuid(1),
        round,
        hotkey: [uid.get() as u8; 32].into(),
        parent_root: ModelRoot(root),
        layout_hash: Layout::of(&config().model).hash(),
        inner_steps: trained.steps(),
        tokens: trained.tokens,
        mean_loss: trained.mean_loss(),
        work: Work::default(),
    }
}

/// Steps that nobody made.
pub fn untrained() -> Trained {
    Trained {
        losses: vec![1.0],
        tokens: 1,
        trace: Vec::new(),
    }
}

/// Makes a round's contribution, which is pending then.
pub fn contribute(engine: &mut dyn Engine, uid: Uid, round: u32) -> Vec<u8> {
    let trained = train(engine, uid, round);
    let root = engine.root(Version::Held).unwrap();
    let header = header(uid, round, root.0, &trained);
    engine.contribution(header).unwrap()
}

/// A plain file as others have it.
pub fn checked(config: &RunConfig, plain: &[u8]) -> Arc<Checked> {
    checked_of(config, Uid(0), plain)
}

/// The same by whoever has this uid.
pub fn checked_of(config: &RunConfig, uid: Uid, plain: &[u8]) -> Arc<Checked> {
    let (key, mut sealed) = ([7; 32], plain.to_vec());
    seal(&mut sealed, &key);
    let layout = Layout::of(&config.model);
    let header = verify(plain, &layout, &config.compression_of(uid, 0))
        .unwrap()
        .header;
    let claim = Claim {
        round: header.round,
        uid,
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

/// A contribution of the first round, made by the CPU's engine.
pub fn contribution_of(uid: Uid) -> Vec<u8> {
    let mut engine = cpu();
    engine.load(State::new(start())).unwrap();
    contribute(engine.as_mut(), uid, 0)
}

/// A settled round in which these were included, each with its trust.
pub fn including(included: &[(Uid, u16, Arc<Checked>)]) -> Settlement<'_> {
    Settlement {
        included,
        is_included: false,
    }
}

pub fn held(engine: &dyn Engine) -> State {
    engine.state(Version::Held).unwrap()
}
