//! A runtime of balances and emissions, with a small world in place of the other pallets.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{
    traits::{Asked, Ledgers, Membership, Questions, Runs, Stakes, Work},
    Balance, BlockNumber, Hyperparameters, Netuid, Role, Round, Uid, Verdicts, CRN,
};
use codec::{Decode, Encode};
use frame_support::{
    construct_runtime, derive_impl, parameter_types,
    traits::{BuildGenesisConfig, Hooks},
};
use sp_runtime::{BuildStorage, DispatchError};

use crate::{self as pallet_emissions, BurnedCredit};

pub type AccountId = u64;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Emissions: pallet_emissions,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlock<Test>;
    type AccountData = pallet_balances::AccountData<Balance>;
}

/// Least balance of an account.
pub const EXISTENTIAL_DEPOSIT: Balance = 500;
/// What a block issues in the mock before the first halving: half a CRN.
pub const REWARD: Balance = CRN / 2;

parameter_types! {
    pub const ExistentialDeposit: Balance = EXISTENTIAL_DEPOSIT;
    pub const MillisecsPerBlock: u64 = 6_000;
    pub const ScoresRateLimit: BlockNumber = 5;
    /// One block, unless a test is about the average: shares then follow stake at once.
    pub static StakeAverageWindow: BlockNumber = 1;
    /// In storage, so that what a failed call did to it is undone.
    pub storage TheWorld: World = World::default();
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type AccountStore = System;
    type ExistentialDeposit = ExistentialDeposit;
    type DustRemoval = BurnedCredit<Test>;
}

impl pallet_emissions::Config for Test {
    type Currency = Balances;
    type Membership = World;
    type Stakes = World;
    type Ledgers = World;
    type Runs = World;
    type Work = World;
    type Asked = World;
    type Governance = frame_system::EnsureRoot<AccountId>;
    type MillisecsPerBlock = MillisecsPerBlock;
    type StakeAverageWindow = StakeAverageWindow;
    type ScoresRateLimit = ScoresRateLimit;
    type WeightInfo = ();
    type BenchmarkHelper = World;
}

impl crate::benchmarking::BenchmarkHelper for World {
    fn subnet(validators: u32, others: u32, commit_reveal: bool) -> Netuid {
        let mut subnet = Subnet::new(Netuid(1));
        subnet.hyperparameters.commit_reveal = commit_reveal;
        let now = System::block_number() as BlockNumber;
        World::change(|world| {
            let netuid = Netuid(world.subnets.len() as u16 + 1);
            for uid in 0..(validators + others) as u16 {
                let hotkey = hotkey(netuid, Uid(uid));
                subnet.members.insert(Uid(uid), (hotkey, now));
                if u32::from(uid) < validators {
                    subnet.stakes.insert(hotkey, CRN);
                    subnet.validators.insert(Uid(uid));
                }
            }
            world.subnets.insert(netuid, subnet);
            netuid
        })
    }
}

/// Subnets, members, stakes and runs as the other pallets would know them.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct World {
    pub subnets: BTreeMap<Netuid, Subnet>,
    pub bonded: Balance,
    pub unbonding: Balance,
}

#[derive(Clone, Debug, Encode, Decode)]
pub struct Subnet {
    pub owner: AccountId,
    pub hyperparameters: Hyperparameters,
    pub has_run: bool,
    /// Whether it worked of late.
    pub works: bool,
    /// Members that were not included since the last epoch.
    pub left_out: Vec<Uid>,
    /// What validators attested, of whom it is not everything.
    pub attended: BTreeMap<Uid, (u32, u32)>,
    /// What rounds count of stakes, where that is not all of it; nothing of who is not expected.
    pub counted: BTreeMap<Uid, Option<Balance>>,
    /// Tempos that were begun.
    pub tempos: u32,
    /// In a run that audits: the newest round, who is proven, and whose audits are open, from which round on.
    pub questions: Option<(Round, Vec<Uid>, BTreeMap<Uid, Round>)>,
    /// Hotkey and the block at which it came.
    pub members: BTreeMap<Uid, (AccountId, BlockNumber)>,
    /// Those who did not choose to mine.
    pub validators: BTreeSet<Uid>,
    pub stakes: BTreeMap<AccountId, Balance>,
    /// Whether stake can be rewarded.
    pub takes_rewards: bool,
    pub dissolving: bool,
}

impl Subnet {
    fn new(netuid: Netuid) -> Subnet {
        let hyperparameters = Hyperparameters {
            tempo: 10,
            min_validator_stake: CRN,
            commit_reveal: false,
            ..Default::default()
        };
        Subnet {
            owner: owner(netuid),
            hyperparameters,
            has_run: true,
            works: true,
            left_out: Vec::new(),
            attended: BTreeMap::new(),
            counted: BTreeMap::new(),
            tempos: 0,
            questions: None,
            members: BTreeMap::new(),
            validators: BTreeSet::new(),
            stakes: BTreeMap::new(),
            takes_rewards: true,
            dissolving: false,
        }
    }
}

impl World {
    /// Changes the world.
    pub fn change<R>(change: impl FnOnce(&mut World) -> R) -> R {
        let mut world = TheWorld::get();
        let result = change(&mut world);
        TheWorld::set(&world);
        result
    }

    /// Changes a subnet of the world.
    pub fn change_subnet(netuid: Netuid, change: impl FnOnce(&mut Subnet)) {
        World::change(|world| change(world.subnets.get_mut(&netuid).unwrap()));
    }

    fn subnet<R>(netuid: Netuid, read: impl FnOnce(&Subnet) -> R) -> Option<R> {
        TheWorld::get().subnets.get(&netuid).map(read)
    }
}

/// The hotkey that the mock gives to a uid when nothing else is said.
pub fn hotkey(netuid: Netuid, uid: Uid) -> AccountId {
    10_000 + u64::from(netuid.get()) * 1_000 + u64::from(uid.get())
}

/// The coldkey of every hotkey in the mock.
pub fn coldkey(hotkey: AccountId) -> AccountId {
    hotkey + 1_000_000
}

/// The owner of a subnet in the mock.
pub fn owner(netuid: Netuid) -> AccountId {
    100 + u64::from(netuid.get())
}

impl Asked for World {
    fn questions(netuid: Netuid) -> Option<Questions> {
        let known = World::subnet(netuid, |subnet| subnet.questions.clone())?;
        known.map(|(newest, proven, open)| Questions {
            newest,
            proven: Verdicts::from_uids(proven),
            open,
        })
    }
}

impl Membership<AccountId> for World {
    fn netuids() -> Vec<Netuid> {
        let at_work = |(netuid, subnet): (Netuid, Subnet)| (!subnet.dissolving).then_some(netuid);
        TheWorld::get()
            .subnets
            .into_iter()
            .filter_map(at_work)
            .collect()
    }

    fn is_dissolving(netuid: Netuid) -> bool {
        World::subnet(netuid, |subnet| subnet.dissolving).unwrap_or_default()
    }

    fn hyperparameters(netuid: Netuid) -> Option<Hyperparameters> {
        World::subnet(netuid, |subnet| subnet.hyperparameters.clone())
    }

    fn owner(netuid: Netuid) -> Option<AccountId> {
        World::subnet(netuid, |subnet| subnet.owner)
    }

    fn uid(netuid: Netuid, hotkey: &AccountId) -> Option<Uid> {
        let find = |subnet: &Subnet| {
            subnet
                .members
                .iter()
                .find(|(_, member)| member.0 == *hotkey)
                .map(|(uid, _)| *uid)
        };
        World::subnet(netuid, find)?
    }

    fn hotkey(netuid: Netuid, uid: Uid) -> Option<AccountId> {
        World::subnet(netuid, |subnet| {
            subnet.members.get(&uid).map(|member| member.0)
        })?
    }

    fn coldkey(hotkey: &AccountId) -> Option<AccountId> {
        Some(coldkey(*hotkey))
    }

    fn role(netuid: Netuid, uid: Uid) -> Option<Role> {
        World::subnet(netuid, |subnet| {
            let role = match subnet.validators.contains(&uid) {
                true => Role::Validator,
                false => Role::Miner,
            };
            subnet.members.contains_key(&uid).then_some(role)
        })?
    }

    fn registered_at(netuid: Netuid, uid: Uid) -> Option<BlockNumber> {
        World::subnet(netuid, |subnet| {
            subnet.members.get(&uid).map(|member| member.1)
        })?
    }

    fn members(netuid: Netuid) -> Vec<(Uid, AccountId)> {
        let list = |subnet: &Subnet| {
            subnet
                .members
                .iter()
                .map(|(uid, member)| (*uid, member.0))
                .collect()
        };
        World::subnet(netuid, list).unwrap_or_default()
    }
}

impl Stakes<AccountId> for World {
    fn stake(netuid: Netuid, hotkey: &AccountId) -> Balance {
        World::subnet(netuid, |subnet| subnet.stakes.get(hotkey).copied())
            .flatten()
            .unwrap_or_default()
    }

    fn subnet_stake(netuid: Netuid) -> Balance {
        World::subnet(netuid, |subnet| subnet.stakes.values().sum()).unwrap_or_default()
    }

    fn bond(_: Netuid, _: &AccountId) -> Balance {
        0
    }

    fn reward(netuid: Netuid, hotkey: &AccountId, amount: Balance) -> Result<(), DispatchError> {
        // Changes first and refuses then, to see that the change is undone.
        World::change_subnet(netuid, |subnet| {
            *subnet.stakes.entry(*hotkey).or_default() += amount;
        });
        match World::subnet(netuid, |subnet| subnet.takes_rewards) {
            Some(true) => Ok(()),
            _ => Err(DispatchError::Unavailable),
        }
    }
}

impl Ledgers for World {
    fn total_staked() -> Balance {
        TheWorld::get()
            .subnets
            .values()
            .flat_map(|subnet| subnet.stakes.values())
            .sum()
    }

    fn total_unbonding() -> Balance {
        TheWorld::get().unbonding
    }

    fn total_bonded() -> Balance {
        TheWorld::get().bonded
    }
}

impl Runs for World {
    fn has_run(netuid: Netuid) -> bool {
        World::subnet(netuid, |subnet| subnet.has_run).unwrap_or_default()
    }
}

impl Work for World {
    fn claims(netuid: Netuid) -> bool {
        World::subnet(netuid, |subnet| subnet.works).unwrap_or_default()
    }

    fn included(netuid: Netuid) -> Verdicts {
        let included = |subnet: &Subnet| {
            let uids = subnet.members.keys().copied();
            Verdicts::from_uids(uids.filter(|uid| !subnet.left_out.contains(uid)))
        };
        World::subnet(netuid, included).unwrap_or_default()
    }

    fn attended(netuid: Netuid) -> BTreeMap<Uid, (u32, u32)> {
        let attended = |subnet: &Subnet| {
            let of = |uid: &Uid| subnet.attended.get(uid).copied().unwrap_or((1, 1));
            subnet.members.keys().map(|uid| (*uid, of(uid))).collect()
        };
        World::subnet(netuid, attended).unwrap_or_default()
    }

    fn counted(netuid: Netuid, stakes: Vec<(Uid, Balance)>) -> BTreeMap<Uid, Balance> {
        let counted = |subnet: &Subnet| {
            let known = stakes.iter().map(|(uid, stake)| {
                let counted = subnet.counted.get(uid).copied();
                (*uid, counted.unwrap_or(Some(*stake)))
            });
            let known = known.filter_map(|(uid, counted)| Some((uid, counted?)));
            known.collect::<BTreeMap<_, _>>()
        };
        World::subnet(netuid, counted).unwrap_or_default()
    }

    fn on_epoch(netuid: Netuid) {
        World::change_subnet(netuid, |subnet| subnet.tempos += 1);
    }
}

/// Builds the world that a test begins in.
#[derive(Default)]
pub struct ExtBuilder {
    balances: Vec<(AccountId, Balance)>,
    world: World,
}

impl ExtBuilder {
    /// Gives an account a balance.
    pub fn balance(mut self, account: AccountId, amount: Balance) -> Self {
        self.balances.push((account, amount));
        self
    }

    /// Adds bonds to the world.
    pub fn bonded(mut self, amount: Balance) -> Self {
        self.world.bonded += amount;
        self
    }

    /// Adds stake that is being withdrawn to the world.
    pub fn unbonding(mut self, amount: Balance) -> Self {
        self.world.unbonding += amount;
        self
    }

    /// Adds a subnet with a run, without members, with a tempo of 10 blocks, and scores that are set in the
    /// open. Its owner has an account.
    pub fn subnet(mut self, netuid: Netuid) -> Self {
        self.world.subnets.insert(netuid, Subnet::new(netuid));
        self.balance(owner(netuid), EXISTENTIAL_DEPOSIT)
    }

    /// Changes a subnet.
    pub fn with(mut self, netuid: Netuid, change: impl FnOnce(&mut Subnet)) -> Self {
        change(self.world.subnets.get_mut(&netuid).unwrap());
        self
    }

    /// Adds a member with an account, and with stake on it.
    pub fn validator(self, netuid: Netuid, uid: Uid, stake: Balance) -> Self {
        self.miner(netuid, uid).with(netuid, |subnet| {
            subnet.stakes.insert(hotkey(netuid, uid), stake);
            subnet.validators.insert(uid);
        })
    }

    /// Adds a member with an account.
    pub fn miner(self, netuid: Netuid, uid: Uid) -> Self {
        self.balance(coldkey(hotkey(netuid, uid)), EXISTENTIAL_DEPOSIT)
            .poor_miner(netuid, uid)
    }

    /// Adds a member whose coldkey has no account.
    pub fn poor_miner(self, netuid: Netuid, uid: Uid) -> Self {
        self.with(netuid, |subnet| {
            subnet.members.insert(uid, (hotkey(netuid, uid), 0));
        })
    }

    /// A subnet of two validators, with 60 and 40 CRN, and two miners.
    pub fn usual() -> Self {
        ExtBuilder::default()
            .subnet(Netuid(1))
            .validator(Netuid(1), Uid(0), 60 * CRN)
            .validator(Netuid(1), Uid(1), 40 * CRN)
            .miner(Netuid(1), Uid(2))
            .miner(Netuid(1), Uid(3))
    }

    /// The usual subnet, with scores by commit and reveal.
    pub fn hidden() -> Self {
        ExtBuilder::usual().with(Netuid(1), |subnet| {
            subnet.hyperparameters.commit_reveal = true
        })
    }

    /// The world at block 1.
    pub fn build(self) -> sp_io::TestExternalities {
        let mut storage = frame_system::GenesisConfig::<Test>::default()
            .build_storage()
            .unwrap();
        pallet_balances::GenesisConfig::<Test> {
            balances: self.balances,
            ..Default::default()
        }
        .assimilate_storage(&mut storage)
        .unwrap();
        let mut ext = sp_io::TestExternalities::new(storage);
        ext.execute_with(|| {
            TheWorld::set(&self.world);
            let genesis = pallet_emissions::GenesisConfig::<Test> {
                open: true,
                ..Default::default()
            };
            genesis.build();
            System::set_block_number(1);
        });
        ext
    }

    /// Runs a test at block 1 and checks the pallet's promises before and after it.
    pub fn build_and_execute(self, test: impl FnOnce()) {
        self.build().execute_with(|| {
            Emissions::do_try_state().unwrap();
            test();
            Emissions::do_try_state().unwrap();
        });
        StakeAverageWindow::set(1);
    }
}

/// Goes on to a block, through the hooks of every block on the way.
pub fn run_to(block: u64) {
    while System::block_number() < block {
        let next = System::block_number() + 1;
        System::set_block_number(next);
        System::reset_events();
        let weight = Emissions::on_initialize(next);
        assert!(weight.ref_time() > 0, "hooks say what they weigh");
        Emissions::do_try_state().unwrap();
    }
}

/// The pallet's own events since the block began or [`System::reset_events`].
pub fn events() -> Vec<crate::Event<Test>> {
    System::events()
        .into_iter()
        .filter_map(|record| match record.event {
            RuntimeEvent::Emissions(event) => Some(event),
            _ => None,
        })
        .collect()
}

/// Sets scores, which must be fine.
pub fn vote(netuid: Netuid, uid: Uid, scores: &[(Uid, u16)]) {
    let scores = scores.to_vec().try_into().unwrap();
    Emissions::set_scores(RuntimeOrigin::signed(hotkey(netuid, uid)), netuid, scores).unwrap();
}
