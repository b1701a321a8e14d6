use std::{collections::BTreeSet, sync::Arc};

use cairn_engine::{
    audit::{find, Audited},
    Device,
};
use cairn_gradient::{Checked, Header};
use cairn_primitives::{AuditRules, Finding, Matrices, Muon, Uid};
use cairn_protocol::assignment::{DataRange, RoundData};
use codec::Decode;

use super::*;
use crate::{
    metrics::Metrics,
    roles::{
        chain::Chain,
        miner::{
            make::{make, Text},
            round_job::Timing,
            serve, Opener,
        },
        state::{Traced, Traces},
        testing::{Network, NETUID},
    },
};

const MINERS: u64 = 3;
const SLOT: u64 = 1;
const UID: Uid = Uid(0);
pub(in super::super) const STEPS: u32 = 6;
/// Every second state is traced, so that no interval is one step.
pub(in super::super) const EVERY: u16 = 2;
const INTERVALS: u32 = 3;

/// What a member needs to make a contribution, in a run that audits all of them.
pub(in super::super) struct Desk {
    pub order: Order,
    pub engine: Box<dyn Engine>,
}

/// The run of a test as a member has it, and its engine with the run's first parameters.
async fn desk(network: &Network, name: &str, round: Round) -> Desk {
    desk_of(network, name, round, Matrices::AdamW).await
}

/// Everything that steps the blocks' matrices.
pub(in super::super) fn all_matrices() -> [Matrices; 2] {
    [Matrices::AdamW, Matrices::Muon(Muon::default())]
}

/// The same of a run whose matrices are stepped so.
pub(in super::super) async fn desk_of(
    network: &Network,
    name: &str,
    round: Round,
    matrices: Matrices,
) -> Desk {
    let at = network.chain.head().hash;
    let info = network.chain.run(at, NETUID).await.unwrap().unwrap();
    let account = Network::account(name);
    let run = Run::load(NETUID, account, &info, &network.stores()).await;
    let mut run = Arc::into_inner(run.unwrap()).unwrap();
    run.config.inner.trace_every = EVERY;
    run.config.inner.matrices = matrices;
    run.config.audits.rate = AuditRules::EACH;
    let (mut engine, _) = cairn_engine::open(Device::Cpu, &run.config, 1).unwrap();
    let parameters = cairn_trainer::initial_parameters(&run.config.model, 1);
    engine.load(State::new(parameters)).unwrap();
    let traces = Traces::open(&network.state_dir(name), 1 << 20, &run.config);
    let order = Order {
        plan: plan(&run),
        run: Arc::new(run),
        round,
        uid: UID,
        slot: SLOT,
        deadline: 100,
        anew: false,
        control: Arc::default(),
        timing: Arc::new(Timing::new(Arc::new(|| 0), 0)),
        metrics: Arc::new(Metrics::new("miner", NETUID).unwrap()),
        traces,
    };
    Desk { order, engine }
}

fn plan(run: &Run) -> Plan {
    let range = DataRange { pass: 0, cursor: 0 };
    let miners = MINERS;
    Plan::new(NETUID, &run.config, RoundData { range, miners })
}

impl Desk {
    /// What a miner that makes contributions so sends, if it is good.
    fn sends(
        &mut self,
        make: impl FnOnce(&Order, &mut dyn Engine) -> Result<Option<Made>, RoleError>,
    ) -> (Made, Checked) {
        let made = make(&self.order, self.engine.as_mut()).unwrap().unwrap();
        self.engine.discard();
        let (run, commitment) = (&self.order.run, made.intent.commitment.clone());
        let claim = Claim {
            round: self.order.round,
            uid: UID,
            hotkey: run.hotkey.hotkey(),
            commitment,
            key: *made.intent.key.expose(),
            parent_root: self.engine.root(Version::Held).unwrap(),
        };
        let checked = inspect::check(run, &claim, Before::default(), &made.sealed);
        (made, checked.unwrap())
    }

    /// What it serves of that.
    fn serves(&mut self, opener: Opener, made: &Made, drawn: u32) -> Option<Vec<u8>> {
        let traced = Traced {
            steps: made.trained.steps(),
            states: made.trained.trace.clone(),
            engine: None,
        };
        let asked = Asked {
            run: &self.order.run,
            round: self.order.round,
            plan: &self.order.plan,
            slot: SLOT,
            before: self.engine.state(Version::Held).unwrap(),
            traced: &traced,
            drawn,
            kept: &self.order.traces,
            metrics: &self.order.metrics,
        };
        opener(self.engine.as_mut(), asked).unwrap()
    }

    /// How many steps it has made again to serve something.
    fn made_again(&self) -> u64 {
        let shown = self.order.metrics.exposition().unwrap();
        let name = "cairn_worker_replayed_steps_total";
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
        let value = line.rsplit(' ').next().unwrap();
        value.parse().unwrap()
    }

    /// What an auditor finds that replays this text.
    fn finds(&mut self, sent: &Checked, text: Text, drawn: u32, blob: &[u8]) -> Option<Finding> {
        let Order { run, plan, .. } = &self.order;
        let audited = Audited::new(sent, &run.config, &run.layout, drawn);
        let mut sequences = |step| run.windows(&text(plan, SLOT, step));
        find(self.engine.as_mut(), &audited, blob, &mut sequences).unwrap()
    }
}

/// Whether a header claims all steps of a round and all tokens.
fn claims_all(header: &Header) -> bool {
    (header.inner_steps, header.tokens) == (STEPS, u64::from(STEPS) * 8 * 16)
}

#[tokio::test]
async fn what_an_honest_miner_serves_passes() {
    let network = Network::new().await;
    for matrices in all_matrices() {
        let mut alice = desk_of(&network, "Alice", 0, matrices).await;
        let (made, checked) = alice.sends(make);
        assert!(claims_all(checked.header()));
        for drawn in 0..INTERVALS {
            let blob = alice.serves(serve::open, &made, drawn).unwrap();
            let found = alice.finds(&checked, ASSIGNED, drawn, &blob);
            assert_eq!(found, Some(Finding::Passed));
        }
    }
}

#[tokio::test]
async fn what_was_kept_is_served_without_a_step_and_what_is_lost_or_damaged_is_made_again() {
    let network = Network::new().await;
    for matrices in all_matrices() {
        let mut alice = desk_of(&network, "Alice", 0, matrices).await;
        let (made, _) = alice.sends(make);
        let serve = |alice: &mut Desk| -> Vec<Vec<u8>> {
            let drawn = 0..INTERVALS;
            let served = drawn.map(|drawn| alice.serves(serve::open, &made, drawn));
            served.map(Option::unwrap).collect()
        };
        let kept = serve(&mut alice);
        assert_eq!(alice.made_again(), 0);
        let directory = network.state_dir("Alice");
        let files = std::fs::read_dir(&directory).unwrap();
        let files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        // Of states 0, 2, 4 and 6 all but the first.
        assert_eq!(files.len(), 3);
        for file in &files {
            let mut bytes = std::fs::read(file).unwrap();
            bytes[0] ^= 1;
            std::fs::write(file, bytes).unwrap();
        }
        assert!(serve(&mut alice) == kept, "it serves other bytes");
        let steps = 2 + 4 + 6;
        assert_eq!(alice.made_again(), steps);
        files
            .iter()
            .for_each(|file| std::fs::remove_file(file).unwrap());
        assert!(serve(&mut alice) == kept, "it serves other bytes");
        assert_eq!(alice.made_again(), 2 * steps);
    }
}

#[tokio::test]
async fn noise_is_good_by_its_form_other_in_each_round_and_serves_nothing() {
    let network = Network::new().await;
    let mut mallory = desk(&network, "Mallory", 0).await;
    let (made, first) = mallory.sends(noise);
    assert!(claims_all(first.header()));
    assert_eq!(first.header().work, Work::default());
    assert_eq!(mallory.serves(open_nothing, &made, 0), None);
    let pending = mallory.engine.optimizer_steps(Version::Pending);
    assert!(pending.is_err(), "it trained");
    mallory.order.round = 1;
    let (_, second) = mallory.sends(noise);
    let Order { run, .. } = &mallory.order;
    let tensors = [first, second].map(|one| one.decode(&run.layout).unwrap().tensors);
    assert_ne!(tensors[0], tensors[1]);
}

#[tokio::test]
async fn lazy_claims_all_steps_and_only_a_replay_shows_that_it_made_one() {
    let network = Network::new().await;
    for matrices in all_matrices() {
        let mut mallory = desk_of(&network, "Mallory", 0, matrices).await;
        let (made, checked) = mallory.sends(lazy);
        let header = checked.header().clone();
        assert!(claims_all(&header));
        assert_eq!(header.work.trace, trace::root(&made.trained.trace));
        assert_eq!(header.work.before, Carried::default());
        for drawn in 0..INTERVALS {
            let blob = mallory.serves(open_claimed, &made, drawn).unwrap();
            let opened = Opened::decode(&mut blob.as_slice()).unwrap();
            let interval = interval(drawn, STEPS, EVERY).unwrap();
            assert_eq!(opened.check(&header, EVERY, interval), Ok(()));
            let found = mallory.finds(&checked, ASSIGNED, drawn, &blob);
            assert_eq!(found, Some(Finding::Failed));
        }
    }
}

/// Where every state is traced, the one step that a lazy miner makes is an interval, and that passes.
#[tokio::test]
async fn the_step_that_lazy_made_is_one() {
    let network = Network::new().await;
    let mut mallory = desk(&network, "Mallory", 0).await;
    let Order { run, plan, .. } = &mallory.order;
    let held = mallory.engine.state(Version::Held).unwrap().parameters;
    let only = OneStep::make(mallory.engine.as_mut(), held, run, (plan, SLOT)).unwrap();
    let order = cairn_engine::Order {
        round: 0,
        uid: UID,
        steps: 1,
    };
    let mut sequences = |step| run.windows(&ASSIGNED(plan, SLOT, step));
    let engine = &mut mallory.engine;
    let one = engine.train(&order, &mut sequences, &mut |_| true);
    assert_eq!(one.unwrap().unwrap().trace, only.trace(1, EVERY));
    let most = |values: Vec<f32>| values.into_iter().map(f32::abs).fold(0.0, f32::max);
    let (once, often) = (most(only.stretched(1)), most(only.stretched(6)));
    assert!(once > 0.0 && often == 6.0 * once, "{once} {often}");
}

#[tokio::test]
async fn a_stranger_makes_all_steps_and_its_states_do_not_follow_from_assigned_text() {
    let network = Network::new().await;
    for matrices in all_matrices() {
        let mut mallory = desk_of(&network, "Mallory", 0, matrices).await;
        let (made, checked) = mallory.sends(stranger);
        assert!(claims_all(checked.header()));
        for drawn in 0..INTERVALS {
            let blob = mallory.serves(open_stranger, &made, drawn).unwrap();
            let mut found = |text| mallory.finds(&checked, text, drawn, &blob);
            assert_eq!(found(ASSIGNED), Some(Finding::Failed));
            assert_eq!(found(own_text), Some(Finding::Passed));
        }
    }
}

#[tokio::test]
async fn a_strangers_text_is_nobodys() {
    let network = Network::new().await;
    let Desk { order, .. } = desk(&network, "Mallory", 0).await;
    let of = |text: Text, slot| -> BTreeSet<u64> {
        let windows = (0..STEPS).flat_map(|step| text(&order.plan, slot, step));
        windows.collect()
    };
    let own = of(own_text, SLOT);
    assert_eq!(own.len() as u64, order.run.config.windows_per_miner());
    for slot in 0..MINERS {
        assert!(own.is_disjoint(&of(ASSIGNED, slot)));
    }
}

#[tokio::test]
async fn where_all_text_is_assigned_a_stranger_takes_its_neighbours() {
    let network = Network::new().await;
    let Desk { order, .. } = desk(&network, "Mallory", 0).await;
    let mut config = order.run.config.clone();
    config.data.windows = MINERS * config.windows_per_miner();
    let range = DataRange { pass: 0, cursor: 0 };
    let miners = MINERS;
    let plan = Plan::new(NETUID, &config, RoundData { range, miners });
    for (slot, neighbour) in [(0, 1), (1, 2), (2, 0)] {
        assert_eq!(own_text(&plan, slot, 3), ASSIGNED(&plan, neighbour, 3));
    }
}

#[tokio::test]
async fn a_copier_sends_what_another_sent_under_its_own_name_or_nothing() {
    let network = Network::new().await;
    let mut alice = desk(&network, "Alice", 0).await;
    let (_, checked) = alice.sends(make);
    let mut mallory = desk(&network, "Mallory", 1).await;
    let Order { run, .. } = &mallory.order;
    let run = run.clone();
    let found = checked.decode(&run.layout).unwrap();
    let tensors = found.tensors.clone();
    let (made, copy) = mallory.sends(|order, engine| copier(Some(found), order, engine));
    assert!(claims_all(copy.header()));
    assert_eq!(
        (copy.header().round, copy.header().hotkey),
        (1, run.hotkey.hotkey())
    );
    let decoded = copy.decode(&run.layout).unwrap();
    assert!(decoded.tensors == tensors, "other values");
    assert_eq!(mallory.serves(open_nothing, &made, 0), None);
    let nothing = copier(None, &mallory.order, mallory.engine.as_mut());
    assert!(nothing.unwrap().is_none());
}

#[tokio::test]
async fn no_cheat_sends_anything_in_a_round_that_is_over() {
    let network = Network::new().await;
    let mut alice = desk(&network, "Alice", 0).await;
    let (_, checked) = alice.sends(make);
    let mut mallory = desk(&network, "Mallory", 1).await;
    let run = mallory.order.run.clone();
    mallory.order.control.abandon();
    let found = checked.decode(&run.layout).ok();
    let (order, engine) = (&mallory.order, mallory.engine.as_mut());
    let made = [
        noise(order, engine),
        lazy(order, engine),
        stranger(order, engine),
        copier(found, order, engine),
    ];
    assert!(made.into_iter().all(|made| made.unwrap().is_none()));
}
