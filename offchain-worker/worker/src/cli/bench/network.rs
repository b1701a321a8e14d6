//! A run that is played without a chain: its miners, one after the other, and what a validator needs to score them.
//! All that costs time or memory is done as roles do it.

use std::sync::Arc;

use cairn_data::{Corpus, DataSet, Manifest, Shard, ShardInfo, TextTokenizer, TokenWidth};
use cairn_engine::{Device, Engine, Order, Settlement, State, Trained, Version};
use cairn_gradient::{
    checked::{check, Claim, Terms},
    seal, sealed_root, Checked, Header, Work,
};
use cairn_primitives::{
    blake2_256, key_hash, AuditRules, Commitment, Hotkey, InitialParameters, Layout, Netuid, Round,
    RunConfig, SealedRoot, Uid, H256,
};
use cairn_protocol::{
    assignment::{DataRange, Plan, RoundData},
    exam,
};
use cairn_round::validator::{Found, Measurement, Subject};
use cairn_trainer::{config, initial_parameters};

use crate::{
    devnet::setting::{CORPUS, HELD_OUT, RUN, TOKENIZER},
    error::Failure,
    run_file::RunFile,
    run_rules,
    scoring::{windows, Files},
};

/// Tokens of a sequence where nothing else is said.
const SEQUENCE: u32 = 512;
/// Windows beside those that miners train on: enough for any exam.
const UNASSIGNED: u64 = 512;
/// The key of every contribution: nobody is kept from reading them.
const KEY: [u8; 32] = [7; 32];
/// The subnet of a run that is on no chain.
const NETUID: Netuid = Netuid(1);

/// What is played.
#[derive(Clone, Debug)]
pub struct Play {
    /// The model's name.
    pub model: String,
    /// Tokens of a sequence; none: 512, or the model's context if that is shorter.
    pub seq: Option<u32>,
    /// Inner steps of a round.
    pub steps: u16,
    /// Steps from one traced state to the next.
    pub trace_every: u16,
    /// Sequences of a step.
    pub sequences: u16,
    /// Miners.
    pub miners: u16,
    /// Rounds for which there has to be text.
    pub rounds: u32,
    /// What computes.
    pub device: Device,
    /// Threads of the CPU.
    pub threads: usize,
}

impl Play {
    /// The built-in run with another model and other work.
    fn run_config(&self) -> Result<RunConfig, Failure> {
        let name = self.model.as_str();
        let Some(model) = config::named(name).filter(|_| name != "covenant-72b") else {
            return Err(Failure::new(
                format!("there is no model `{name}` that a CPU can hold"),
                "--config takes tiny, 10m, 100m, 1b or 8b here",
            ));
        };
        let mut config = RunFile::parse(RUN)?.unfilled();
        config.inner.sequence_length = self.seq.unwrap_or(model.context.min(SEQUENCE));
        config.model = model;
        config.inner.steps = self.steps;
        config.inner.sequences = self.sequences;
        config.inner.warmup_steps = 0;
        config.inner.trace_every = self.trace_every;
        config.max_contributors = self.miners;
        config.audits = AuditRules::default();
        let of_a_round = config
            .windows_per_miner()
            .saturating_mul(u64::from(self.miners));
        let trained = of_a_round.saturating_mul(u64::from(self.rounds.max(1)));
        config.data.windows = trained.saturating_add(UNASSIGNED);
        run_rules::check_alone(&config)?;
        Ok(config)
    }
}

/// A contribution as others have it.
pub struct Made {
    /// The sealed root.
    pub root: SealedRoot,
    /// The contribution.
    pub checked: Arc<Checked>,
    /// The steps that it is made of.
    pub trained: Trained,
}

/// A run that is played on one engine.
pub struct Network {
    /// The run.
    pub config: RunConfig,
    /// Where the parameters lie.
    pub layout: Layout,
    /// Its text.
    pub data: DataSet,
    /// What computes, for all.
    pub engine: Box<dyn Engine>,
    /// What all hold.
    pub parameters: Vec<f32>,
    /// What each miner carries on.
    pub carried: Vec<State>,
    /// Contributions of the round and of the one before.
    pub files: Files,
    /// The sealed roots of those of the round before.
    before: Vec<SealedRoot>,
}

impl Network {
    /// Before its first round.
    pub fn new(play: &Play) -> Result<Network, Failure> {
        let config = play.run_config()?;
        let data = text(&config, Length::Once)?;
        Network::with(config, data, (play.device, play.threads))
    }

    /// One miner of a run, as its file configures it, before a round of so many inner steps. It has the text that is
    /// built in, over and over where that is too short, and the parameters of the run's seed, or of seed 1 in a run that
    /// begins with a checkpoint.
    pub fn of_run(file: &RunFile, steps: u16, on: (Device, usize)) -> Result<Network, Failure> {
        let mut config = file.unfilled();
        run_rules::check_alone(&config)?;
        config.inner.steps = steps;
        config.max_contributors = 1;
        config.data.windows = config.windows_per_miner().saturating_add(UNASSIGNED);
        run_rules::check_alone(&config)?;
        let data = text(&config, Length::Repeated)?;
        Network::with(config, data, on)
    }

    /// With this text, computed on this device and with so many threads of the CPU.
    fn with(
        config: RunConfig,
        data: DataSet,
        (device, threads): (Device, usize),
    ) -> Result<Network, Failure> {
        let seed = match config.initial_parameters {
            InitialParameters::Seed(seed) => seed,
            InitialParameters::Checkpoint(_) => 1,
        };
        let parameters = initial_parameters(&config.model, seed);
        let (engine, _) = cairn_engine::open(device, &config, threads)?;
        Ok(Network {
            layout: Layout::of(&config.model),
            data,
            engine,
            parameters,
            carried: vec![State::new(Vec::new()); usize::from(config.max_contributors)],
            files: Files::new(),
            before: Vec::new(),
            config,
        })
    }

    /// All miners' contributions to a round, which is then settled; and what is to be measured of it.
    pub fn round(&mut self, round: Round) -> Result<Measurement, Failure> {
        let miners = self.carried.len() as u64;
        let made: Vec<Made> = (0..miners)
            .map(|slot| self.contribution(round, slot))
            .collect::<Result<_, Failure>>()?;
        let parameters = std::mem::take(&mut self.parameters);
        self.engine.load(State::new(parameters))?;
        self.settle(&made)?;
        let measurement = self.measurement(round, &made)?;
        self.before = made.iter().map(|one| one.root).collect();
        let files = made.into_iter().map(|one| (one.root, one.checked));
        self.files.extend(files);
        Ok(measurement)
    }

    /// What is to be measured of a round that was settled last.
    pub fn measurement(&self, round: Round, made: &[Made]) -> Result<Measurement, Failure> {
        let subject = |(slot, made): (u16, &Made)| Subject {
            slot: slot.into(),
            uid: Uid(slot),
            hotkey: hotkey(slot.into()),
            found: Found::Good(made.root),
        };
        let subjects: Vec<Subject> = (0..).zip(made).map(subject).collect();
        Ok(Measurement {
            round,
            root: self.engine.root(Version::Base)?,
            plan: self.plan(round),
            exam: exam::exam(NETUID, round, blake2_256(b"bench")),
            salt: H256::repeat_byte(8),
            included: subjects.iter().map(|subject| subject.uid).collect(),
            trusts: vec![1; subjects.len()],
            subjects,
            before: self.before.clone(),
        })
    }

    /// Ends a round: what it contributed is kept for the next one, and no longer.
    pub fn end(&mut self) -> Result<(), Failure> {
        self.parameters = self.engine.state(Version::Held)?.parameters;
        self.engine.forget_base();
        let last = &self.before;
        self.files.retain(|root, _| last.contains(root));
        Ok(())
    }

    /// Applies these contributions to what the engine holds.
    pub fn settle(&mut self, made: &[Made]) -> Result<(), Failure> {
        let numbered = (0..).map(Uid).zip(made);
        let included: Vec<(Uid, u16, Arc<Checked>)> = numbered
            .map(|(uid, made)| (uid, 1, made.checked.clone()))
            .collect();
        self.engine.settle(&Settlement {
            included: &included,
            is_included: true,
        })?;
        self.engine.keep()?;
        Ok(())
    }

    /// Who has to train on what.
    pub fn plan(&self, round: Round) -> Plan {
        let miners = self.carried.len() as u64;
        let of_a_round = miners.saturating_mul(self.config.windows_per_miner());
        let cursor = u64::from(round).saturating_mul(of_a_round);
        let range = DataRange { pass: 0, cursor };
        Plan::new(NETUID, &self.config, RoundData { range, miners })
    }

    /// What a slot's miner makes from what it carries on, and carries on from there.
    fn contribution(&mut self, round: Round, slot: u64) -> Result<Made, Failure> {
        let carried = self.carried.get_mut(slot as usize);
        let carried = carried.ok_or_else(|| Failure::new("a miner is missing", "report this"))?;
        let state = State {
            parameters: self.parameters.clone(),
            ..std::mem::replace(carried, State::new(Vec::new()))
        };
        self.engine.load(state)?;
        let trained = self.train(round, slot)?;
        let made = self.send(round, slot, trained)?;
        let pending = self.engine.state(Version::Pending)?;
        self.engine.discard();
        if let Some(carried) = self.carried.get_mut(slot as usize) {
            *carried = State {
                parameters: Vec::new(),
                ..pending
            };
        }
        Ok(made)
    }

    /// A slot's inner steps from what the engine holds.
    pub fn train(&mut self, round: Round, slot: u64) -> Result<Trained, Failure> {
        let order = Order {
            round,
            uid: uid(slot),
            steps: self.config.inner.steps.into(),
        };
        let (plan, data) = (self.plan(round), &self.data);
        let length = self.config.inner.sequence_length;
        let mut sequences = |step| windows(data, &plan.of_step(slot, step), length);
        let trained = self.engine.train(&order, &mut sequences, &mut |_| true)?;
        trained.ok_or_else(|| Failure::new("no step was made", "give more --steps"))
    }

    /// What is sent of the steps just made, as a validator has it.
    pub fn send(&mut self, round: Round, slot: u64, trained: Trained) -> Result<Made, Failure> {
        let header = Header {
            netuid: NETUID,
            round,
            hotkey: hotkey(slot),
            parent_root: self.engine.root(Version::Held)?,
            layout_hash: self.layout.hash(),
            inner_steps: trained.steps(),
            tokens: trained.tokens,
            mean_loss: trained.mean_loss(),
            work: Work::default(),
        };
        let mut sealed = self.engine.contribution(header.clone())?;
        seal(&mut sealed, &KEY);
        let root = sealed_root(&sealed);
        let claim = Claim {
            round,
            hotkey: header.hotkey,
            uid: uid(slot),
            commitment: Commitment {
                parent_root: header.parent_root,
                sealed_root: root,
                length: sealed.len() as u64,
                key_hash: key_hash(NETUID, round, &header.hotkey, &KEY),
            },
            key: KEY,
            parent_root: header.parent_root,
            before: Default::default(),
        };
        let terms = Terms {
            netuid: NETUID,
            config: &self.config,
            layout: &self.layout,
        };
        Ok(Made {
            root,
            checked: Arc::new(check(&terms, &claim, &sealed)?),
            trained,
        })
    }
}

fn uid(slot: u64) -> Uid {
    Uid(slot as u16)
}

fn hotkey(slot: u64) -> Hotkey {
    Hotkey(H256::repeat_byte(slot as u8))
}

/// What is done where the built-in text is too short.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    /// It is refused.
    Once,
    /// It is repeated.
    Repeated,
}

/// The most tokens of a repeated text: 512 MiB.
const MOST_TOKENS: u64 = 1 << 27;

/// As much of the built-in text as the run has windows.
fn text(config: &RunConfig, of: Length) -> Result<DataSet, Failure> {
    let corpus = Corpus::compressed(CORPUS, HELD_OUT)?;
    let tokenizer = TextTokenizer::parse(TOKENIZER)?;
    let length = u64::from(config.inner.sequence_length);
    let wanted = config.data.windows.saturating_mul(length).saturating_add(1);
    let mut tokens: Vec<u32> = Vec::new();
    for document in corpus.training() {
        if tokens.len() as u64 >= wanted {
            break;
        }
        tokens.extend(tokenizer.encode(&[document], 0)?.into_iter().flatten());
        tokens.push(tokenizer.end());
    }
    if of == Length::Repeated && wanted <= MOST_TOKENS {
        // A run may have fewer tokens than the tokenizer that is built in.
        let vocabulary = config.model.vocabulary.max(1);
        let text = tokens.iter().map(|token| token % vocabulary);
        tokens = text.cycle().take(wanted as usize).collect();
    }
    if (tokens.len() as u64) < wanted {
        return Err(Failure::new(
            format!(
                "the text that is built in has {} tokens, and {wanted} are wanted",
                tokens.len()
            ),
            "give fewer rounds, contributions, steps or sequences, or shorter ones",
        ));
    }
    tokens.truncate(wanted as usize);
    let vocabulary = config.model.vocabulary;
    let shard = Shard {
        width: TokenWidth::of(vocabulary),
        tokens,
    };
    let shard = shard.to_bytes()?;
    let mut manifest = Manifest::new("a bench", vocabulary, H256::zero());
    manifest.train.push(ShardInfo::of(&shard)?);
    Ok(DataSet::new(&manifest, |_| Some(&shard))?)
}
