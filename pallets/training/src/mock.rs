//! A chain with nothing but this pallet: the other pallets are tables that tests write.

use std::{cell::RefCell, collections::BTreeMap};

use cairn_primitives::{
    key_hash,
    traits::{Audits, Incentives, Membership, OnMember, Questions, Settled, Slashing, Stakes},
    Balance, BlockNumber, Commitment, ContributionKey, DataSet, Hotkey, Hyperparameters,
    InitialParameters, Judgement, ModelRoot, Netuid, Role, Round, RunConfig, SealedRoot, Text, Uid,
    Verdicts, Witness, H256,
};
use cairn_protocol::phase::RoundStage;
use frame_support::{
    assert_ok, derive_impl, parameter_types,
    storage::with_storage_layer,
    traits::{Hooks, Randomness},
    weights::Weight,
};
use sp_runtime::{
    traits::IdentityLookup, AccountId32, BuildStorage, DispatchError, DispatchResult,
};

use crate::{
    benchmarking::run_config, Attestation, Attestations, Config, Event, Pallet, Statement,
};

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Training: crate,
    }
);

pub type AccountId = AccountId32;

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlockU32<Test>;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
}

parameter_types! {
    pub const MaxContributionBytes: u64 = 1_000;
    pub const HistoryRounds: Round = 3;
    pub const LineageRounds: Round = 5;
    pub static MaxTransitionsPerBlock: u32 = 4;
    /// Whether all members are one person's.
    pub static OneColdkey: bool = false;
}

impl Config for Test {
    type Randomness = MockRandomness;
    type Membership = World;
    type Stakes = World;
    type Slashing = World;
    type Incentives = World;
    type Audits = World;
    type MaxContributionBytes = MaxContributionBytes;
    type HistoryRounds = HistoryRounds;
    type LineageRounds = LineageRounds;
    type MaxTransitionsPerBlock = MaxTransitionsPerBlock;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
    type BenchmarkHelper = World;
}

impl crate::benchmarking::BenchmarkHelper for World {
    fn subnet(validators: u32, miners: u32) -> Netuid {
        let stakes = vec![MIN_STAKE; validators as usize];
        let mut built = ExtBuilder::default().subnet(NET).validators(NET, &stakes);
        for uid in validators..validators + miners {
            built = built.miner(NET, Uid(uid as u16));
        }
        WORLD.with_borrow_mut(|world| *world = built.subnets);
        NET
    }
}

/// Randomness that differs only by subject.
pub struct MockRandomness;

impl Randomness<H256, BlockNumber> for MockRandomness {
    fn random(subject: &[u8]) -> (H256, BlockNumber) {
        (cairn_primitives::blake2_256(subject), 0)
    }
}

/// A member as the other pallets would know it.
#[derive(Clone)]
pub struct Member {
    pub hotkey: AccountId,
    pub role: Role,
    pub stake: Balance,
    pub bond: Balance,
    pub incentive: u16,
}

/// A subnet as the other pallets would know it.
#[derive(Clone, Default)]
pub struct Subnet {
    pub rules: Hyperparameters,
    pub announced: Option<Hyperparameters>,
    pub members: BTreeMap<Uid, Member>,
    pub dissolving: bool,
}

thread_local! {
    /// Subnets whose incentives were to be forgotten.
    pub static FORGOTTEN: RefCell<Vec<Netuid>> = const { RefCell::new(Vec::new()) };
    static WORLD: RefCell<BTreeMap<Netuid, Subnet>> = const { RefCell::new(BTreeMap::new()) };
}

/// What the other pallets know.
pub struct World;

impl World {
    /// Changes a subnet; creates it if need be.
    pub fn change<R>(netuid: Netuid, change: impl FnOnce(&mut Subnet) -> R) -> R {
        WORLD.with_borrow_mut(|world| change(world.entry(netuid).or_default()))
    }

    fn subnet(netuid: Netuid) -> Option<Subnet> {
        WORLD.with_borrow(|world| world.get(&netuid).cloned())
    }

    fn by_key(netuid: Netuid, key: &AccountId) -> Option<Member> {
        Self::subnet(netuid)?
            .members
            .into_values()
            .find(|member| member.hotkey == *key)
    }

    /// The member leaves and the pallet is told.
    pub fn leave(netuid: Netuid, uid: Uid) {
        if let Some(member) = Self::change(netuid, |subnet| subnet.members.remove(&uid)) {
            Training::on_left(netuid, uid, &member.hotkey);
        }
    }
}

impl Membership<AccountId> for World {
    fn netuids() -> Vec<Netuid> {
        WORLD.with_borrow(|world| world.keys().copied().collect())
    }
    fn is_dissolving(netuid: Netuid) -> bool {
        Self::subnet(netuid).is_some_and(|subnet| subnet.dissolving)
    }
    fn hyperparameters(netuid: Netuid) -> Option<Hyperparameters> {
        Self::subnet(netuid).map(|subnet| subnet.rules)
    }
    fn owner(netuid: Netuid) -> Option<AccountId> {
        Self::subnet(netuid).map(|_| owner(netuid))
    }
    fn uid(netuid: Netuid, hotkey: &AccountId) -> Option<Uid> {
        let members = Self::members(netuid);
        members
            .into_iter()
            .find(|(_, key)| key == hotkey)
            .map(|(uid, _)| uid)
    }
    fn hotkey(netuid: Netuid, uid: Uid) -> Option<AccountId> {
        Self::subnet(netuid)?
            .members
            .get(&uid)
            .map(|member| member.hotkey.clone())
    }
    fn coldkey(hotkey: &AccountId) -> Option<AccountId> {
        Some(if OneColdkey::get() {
            stranger()
        } else {
            hotkey.clone()
        })
    }
    fn announced(netuid: Netuid) -> Option<Hyperparameters> {
        Self::subnet(netuid)?.announced
    }
    fn role(netuid: Netuid, uid: Uid) -> Option<Role> {
        Some(Self::subnet(netuid)?.members.get(&uid)?.role)
    }
    fn registered_at(_: Netuid, _: Uid) -> Option<BlockNumber> {
        Some(0)
    }
    fn members(netuid: Netuid) -> Vec<(Uid, AccountId)> {
        let members = Self::subnet(netuid).unwrap_or_default().members;
        members
            .into_iter()
            .map(|(uid, member)| (uid, member.hotkey))
            .collect()
    }
}

impl Stakes<AccountId> for World {
    fn stake(netuid: Netuid, hotkey: &AccountId) -> Balance {
        Self::by_key(netuid, hotkey).map_or(0, |member| member.stake)
    }
    fn subnet_stake(netuid: Netuid) -> Balance {
        Self::subnet(netuid)
            .unwrap_or_default()
            .members
            .values()
            .map(|member| member.stake)
            .sum()
    }
    fn bond(netuid: Netuid, hotkey: &AccountId) -> Balance {
        Self::by_key(netuid, hotkey).map_or(0, |member| member.bond)
    }
    fn reward(_: Netuid, _: &AccountId, _: Balance) -> Result<(), DispatchError> {
        Err(DispatchError::Unavailable)
    }
}

impl Slashing<AccountId> for World {
    fn slash_bond(netuid: Netuid, hotkey: &AccountId, _: &[AccountId]) -> Balance {
        let bond = Self::bond(netuid, hotkey);
        Self::slash(netuid, hotkey, bond, None)
    }
    fn slash(
        netuid: Netuid,
        hotkey: &AccountId,
        amount: Balance,
        _: Option<&AccountId>,
    ) -> Balance {
        Self::change(netuid, |subnet| {
            let mut members = subnet.members.values_mut();
            let Some(member) = members.find(|member| member.hotkey == *hotkey) else {
                return 0;
            };
            let bond = member.bond.min(amount);
            let stake = member.stake.min(amount - bond);
            member.bond -= bond;
            member.stake -= stake;
            bond + stake
        })
    }
}

/// What the audits pallet would be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A round, what it can audit, and by whom.
    Settled(Round, H256, Vec<Uid>, Vec<Uid>),
    /// The run was stopped.
    Stopped,
    /// A round is no longer kept.
    Forgotten(Round),
}

thread_local! {
    static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
    static OPEN: RefCell<u32> = const { RefCell::new(0) };
    static PROVEN: RefCell<Option<Vec<Uid>>> = const { RefCell::new(None) };
}

impl World {
    /// What the audits pallet was told since the last time.
    pub fn told() -> Vec<Told> {
        TOLD.with_borrow_mut(std::mem::take)
    }

    /// So many open audits are left to be cleared.
    pub fn with_open_audits(count: u32) {
        OPEN.set(count);
    }

    /// These are proven: when the run is stopped, the work of all others is in question.
    pub fn with_proven(uids: Option<Vec<Uid>>) {
        PROVEN.set(uids);
    }

    fn tell(told: Told) {
        TOLD.with_borrow_mut(|all| all.push(told));
    }
}

impl Audits<AccountId> for World {
    fn on_settled(settled: Settled<'_, AccountId>) {
        assert_eq!(settled.rules, config().audits);
        let snapshot = crate::Rounds::<Test>::get(settled.netuid, settled.round);
        let snapshot = snapshot.expect("it was begun").validators;
        for (uid, hotkey, stake) in settled.validators {
            let mut known = snapshot.iter();
            let is_it =
                known.any(|one| (one.uid, &one.hotkey, one.stake) == (*uid, hotkey, *stake));
            assert!(is_it, "it has another stake in the round");
        }
        let included = settled.included.iter().map(|(uid, _)| *uid).collect();
        let validators = settled.validators.iter().map(|(uid, ..)| *uid).collect();
        Self::tell(Told::Settled(
            settled.round,
            settled.seed,
            included,
            validators,
        ));
    }
    fn proven(_: Netuid) -> Verdicts {
        let proven = PROVEN.with_borrow(Clone::clone);
        Verdicts::from_uids(proven.unwrap_or_default())
    }
    fn on_stopped(_: Netuid) -> Option<Questions> {
        Self::tell(Told::Stopped);
        let proven = PROVEN.with_borrow(Clone::clone)?;
        Some(Questions {
            proven: Verdicts::from_uids(proven),
            ..Questions::default()
        })
    }
    fn forget(_: Netuid, round: Round) -> u32 {
        Self::tell(Told::Forgotten(round));
        0
    }
    fn clear(_: Netuid, limit: u32) -> u32 {
        OPEN.with_borrow_mut(|open| {
            let gone = limit.min(*open);
            *open -= gone;
            gone
        })
    }
}

impl Incentives for World {
    fn incentive(netuid: Netuid, uid: Uid) -> u16 {
        let members = Self::subnet(netuid).unwrap_or_default().members;
        members.get(&uid).map_or(0, |member| member.incentive)
    }
    fn last_paid(_: Netuid, _: Uid) -> Balance {
        0
    }

    /// Only notes it, so that a test can begin with miners that earn.
    fn forget(netuid: Netuid) {
        FORGOTTEN.with_borrow_mut(|forgotten| forgotten.push(netuid));
    }
}

/// The subnet that most tests use.
pub const NET: Netuid = Netuid(1);
/// Least stake of a validator and least bond of a miner in the mock.
pub const MIN_STAKE: Balance = 100;
/// Least bond of a miner in the mock.
pub const MIN_BOND: Balance = 10;
/// Root of the first parameters.
pub const ROOT: ModelRoot = ModelRoot(H256([7; 32]));

/// The coldkey that owns a subnet.
pub fn owner(netuid: Netuid) -> AccountId {
    AccountId::new([200u8.wrapping_add(netuid.get() as u8); 32])
}

/// The hotkey with which the mock registers a uid.
pub fn hotkey(netuid: Netuid, uid: Uid) -> AccountId {
    let mut bytes = [1; 32];
    bytes[..2].copy_from_slice(&netuid.get().to_le_bytes());
    bytes[2..4].copy_from_slice(&uid.get().to_le_bytes());
    AccountId::new(bytes)
}

/// Somebody who is nobody.
pub fn stranger() -> AccountId {
    AccountId::new([99; 32])
}

/// A signed origin.
pub fn by(who: AccountId) -> RuntimeOrigin {
    RuntimeOrigin::signed(who)
}

/// The benchmarks' run, with rounds of 4 + 2 + 4 blocks and 2 × 3 windows per miner, on a data set that has room for
/// 16 miners beside the exam's 128 windows.
pub fn config() -> RunConfig {
    RunConfig {
        initial_parameters: InitialParameters::Seed(1),
        data: DataSet {
            manifest_root: H256([1; 32]),
            tokenizer_root: H256([2; 32]),
            store: Text::default(),
            windows: 228,
        },
        max_contributors: 20,
        ..run_config()
    }
}

/// The blocks of a round in the mock.
pub const ROUND: BlockNumber = 10;

/// A miner's key in a round.
pub fn key(uid: Uid) -> ContributionKey {
    [uid.get() as u8; 32]
}

/// A miner's commitment in a round whose parameters have the root `parent`.
pub fn commitment(netuid: Netuid, round: Round, uid: Uid, parent: ModelRoot) -> Commitment {
    Commitment {
        parent_root: parent,
        sealed_root: SealedRoot(cairn_primitives::blake2_256(&[
            netuid.get() as u8,
            round as u8,
            uid.get() as u8,
        ])),
        length: 100,
        key_hash: key_hash(netuid, round, &Hotkey::of(&hotkey(netuid, uid)), &key(uid)),
    }
}

/// A miner commits as it should.
pub fn commit(netuid: Netuid, round: Round, uid: Uid, parent: ModelRoot) -> DispatchResult {
    let commitment = commitment(netuid, round, uid, parent);
    Training::commit(by(hotkey(netuid, uid)), netuid, round, commitment)
}

/// A miner reveals as it should.
pub fn reveal(netuid: Netuid, round: Round, uid: Uid) -> DispatchResult {
    Training::reveal(by(hotkey(netuid, uid)), netuid, round, key(uid))
}

thread_local! {
    static WITNESSES: RefCell<BTreeMap<Uid, Witness>> = const { RefCell::new(BTreeMap::new()) };
    static BROKEN: RefCell<BTreeMap<Uid, Vec<Uid>>> = const { RefCell::new(BTreeMap::new()) };
}

/// From now on this validator says that these are broken.
pub fn calls_broken(uid: Uid, broken: &[Uid]) {
    BROKEN.with_borrow_mut(|known| known.insert(uid, broken.to_vec()));
}

/// A witness of these gains, which states this loss in micro-nats per token.
pub fn witness(gains: u8, loss: u32) -> Witness {
    let gains = H256([gains; 32]);
    Witness { gains, loss }
}

/// From now on these validators give these witnesses; others give none.
pub fn witnesses(all: &[(Uid, Witness)]) {
    let all = all.iter().copied().collect();
    WITNESSES.with_borrow_mut(|known| *known = all);
}

/// What a validator says that finds the contributions of `good` good.
pub fn attestation(uid: Uid, good: &[Uid], root: ModelRoot) -> Attestation {
    let broken = BROKEN.with_borrow(|all| all.get(&uid).cloned().unwrap_or_default());
    Attestation {
        model_root: root,
        verdicts: Judgement::new(good.iter().copied(), broken),
        witness: WITNESSES.with_borrow(|all| all.get(&uid).copied().unwrap_or_default()),
        salt: [uid.get() as u8; 32],
    }
}

/// The hash that a validator commits to before it says so.
pub fn hash(netuid: Netuid, round: Round, uid: Uid, said: &Attestation) -> H256 {
    said.hash((netuid, round, &Hotkey::of(&hotkey(netuid, uid))))
}

/// A validator commits to attesting `root` and that the contributions of `good` are good.
pub fn commit_attestation(
    netuid: Netuid,
    round: Round,
    uid: Uid,
    good: &[Uid],
    root: ModelRoot,
) -> DispatchResult {
    let hash = hash(netuid, round, uid, &attestation(uid, good, root));
    Training::commit_attestation(by(hotkey(netuid, uid)), netuid, round, hash)
}

/// A validator attests what it has committed to.
pub fn open(
    netuid: Netuid,
    round: Round,
    uid: Uid,
    good: &[Uid],
    root: ModelRoot,
) -> DispatchResult {
    let Attestation {
        model_root,
        verdicts,
        witness,
        salt,
    } = attestation(uid, good, root);
    let who = by(hotkey(netuid, uid));
    Training::attest(who, netuid, round, model_root, verdicts, witness, salt)
}

/// A validator attests `root` and that the contributions of `good` are good, as if it had committed to that in time.
pub fn attest(
    netuid: Netuid,
    round: Round,
    uid: Uid,
    good: &[Uid],
    root: ModelRoot,
) -> DispatchResult {
    let hash = hash(netuid, round, uid, &attestation(uid, good, root));
    with_storage_layer(|| {
        let at = (netuid, round, uid);
        if !Attestations::<Test>::contains_key(at) {
            Attestations::<Test>::insert(at, Statement::Committed(hash));
            Training::comes(at, RoundStage::Bind);
        }
        open(netuid, round, uid, good, root)
    })
}

/// One block: what the last one left is finished, its events are forgotten, the hook runs. Returns what
/// the hook used.
pub fn next_block() -> Weight {
    let next = System::block_number() + 1;
    let parent = cairn_primitives::blake2_256(&next.to_le_bytes());
    System::reset_events();
    System::initialize(&next, &parent, &Default::default());
    <Pallet<Test> as Hooks<BlockNumber>>::on_initialize(next)
}

/// Blocks until `block` is the present one.
pub fn run_to(block: BlockNumber) {
    assert!(System::block_number() < block, "block {block} is past");
    while System::block_number() < block {
        next_block();
    }
}

/// The pallet's events of this block.
pub fn events() -> Vec<Event<Test>> {
    let ours = |event| match event {
        RuntimeEvent::Training(event) => Some(event),
        _ => None,
    };
    System::events()
        .into_iter()
        .filter_map(|record| ours(record.event))
        .collect()
}

/// The usual run, in which so many percent of each stage always pass.
pub fn with_floor(floor: u8) -> RunConfig {
    let mut config = config();
    config.phases.floor = floor;
    config
}

/// The first block of the current round of [`NET`].
pub fn start() -> BlockNumber {
    let run = Training::run_info(NET).expect("there is a run");
    run.round.times.start
}

/// A whole round of `NET` in which `miners` commit from `parent` and reveal, and each of `validators`
/// attests `root` and that all of them are good; ends in the first block of the next round.
pub fn whole_round(miners: &[Uid], validators: &[Uid], root: ModelRoot) {
    let round = Training::run_info(NET).expect("there is a run").round.round;
    let start = start();
    for uid in miners {
        assert_ok!(commit(NET, round, *uid, root));
    }
    run_to(start + 4);
    for uid in miners {
        assert_ok!(reveal(NET, round, *uid));
    }
    run_to(start + 6);
    for uid in validators {
        assert_ok!(commit_attestation(NET, round, *uid, miners, root));
    }
    run_to(start + 8);
    for uid in validators {
        assert_ok!(open(NET, round, *uid, miners, root));
    }
    run_to(start + ROUND);
}

/// Builds a chain at block 1 and ends with a look at its state.
#[derive(Default)]
pub struct ExtBuilder {
    subnets: BTreeMap<Netuid, Subnet>,
    runs: Vec<(Netuid, RunConfig)>,
}

impl ExtBuilder {
    /// A subnet without members.
    pub fn subnet(mut self, netuid: Netuid) -> Self {
        let rules = Hyperparameters {
            min_validator_stake: MIN_STAKE,
            min_miner_bond: MIN_BOND,
            ..Default::default()
        };
        self.subnets.insert(
            netuid,
            Subnet {
                rules,
                announced: None,
                members: BTreeMap::new(),
                dissolving: false,
            },
        );
        self
    }

    fn member(mut self, netuid: Netuid, uid: Uid, stake: Balance, bond: Balance) -> Self {
        let role = if bond > 0 {
            Role::Miner
        } else {
            Role::Validator
        };
        let member = Member {
            hotkey: hotkey(netuid, uid),
            role,
            stake,
            bond,
            incentive: 0,
        };
        self.subnets
            .entry(netuid)
            .or_default()
            .members
            .insert(uid, member);
        self
    }

    /// Validators with these stakes; their uids begin at 0.
    pub fn validators(self, netuid: Netuid, stakes: &[Balance]) -> Self {
        (0..).zip(stakes).fold(self, |built, (uid, stake)| {
            built.member(netuid, Uid(uid), *stake, 0)
        })
    }

    /// A miner with a bond.
    pub fn miner(self, netuid: Netuid, uid: Uid) -> Self {
        self.member(netuid, uid, 0, MIN_BOND)
    }

    /// So many miners with a bond; their uids begin at 10.
    pub fn miners(self, netuid: Netuid, count: u16) -> Self {
        (10..10 + count).fold(self, |built, uid| built.miner(netuid, Uid(uid)))
    }

    /// The members so far earned something in the last epoch, all the same.
    pub fn earning(mut self) -> Self {
        let subnets = self.subnets.values_mut();
        for member in subnets.flat_map(|subnet| subnet.members.values_mut()) {
            member.incentive = 1;
        }
        self
    }

    /// A run that is started in block 1 and begins in block 2.
    pub fn run(mut self, netuid: Netuid, config: RunConfig) -> Self {
        self.runs.push((netuid, config));
        self
    }

    /// Three validators of stake 100 and three miners on [`NET`], and a run.
    pub fn usual() -> Self {
        Self::default()
            .subnet(NET)
            .validators(NET, &[100, 100, 100])
            .miners(NET, 3)
            .run(NET, config())
    }

    /// The chain at genesis; runs are not started yet.
    pub fn build(&self) -> sp_io::TestExternalities {
        WORLD.with_borrow_mut(|world| *world = self.subnets.clone());
        World::told();
        World::with_open_audits(0);
        World::with_proven(None);
        BROKEN.with_borrow_mut(BTreeMap::clear);
        MaxTransitionsPerBlock::set(4);
        OneColdkey::set(false);
        let storage = frame_system::GenesisConfig::<Test>::default().build_storage();
        sp_io::TestExternalities::new(storage.expect("genesis builds"))
    }

    /// Runs `test`, in block 1 or, if there is a run, in block 2; then checks the state.
    pub fn execute(self, test: impl FnOnce()) {
        self.build().execute_with(|| {
            next_block();
            for (netuid, config) in &self.runs {
                assert_ok!(Training::start_run(
                    by(owner(*netuid)),
                    *netuid,
                    config.clone()
                ));
            }
            if !self.runs.is_empty() {
                next_block();
            }
            test();
            Training::do_try_state().expect("the state is sound");
        });
    }
}
