//! A chain with this pallet, balances, and members that a test seats itself.

use crate as pallet_stake;
use cairn_primitives::{
    traits::{Dissolve, Ledgers, Membership, OnBurned, OnMember, Slashing, Stakes},
    Balance, BlockNumber, Hyperparameters, Netuid, Role, Uid, CRN,
};
use frame_support::{derive_impl, parameter_types, traits::ConstU64};
use sp_runtime::{BuildStorage, DispatchResult, Perbill};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

type Block = frame_system::mocking::MockBlockU32<Test>;
pub type AccountId = u64;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Stake: pallet_stake,
    }
);

pub const EXISTENTIAL_DEPOSIT: Balance = 500;
pub const MINIMUM: Balance = CRN / 1_000;
/// Blocks that stake and bonds stay locked on every subnet, if a test says nothing else.
pub const PERIOD: BlockNumber = 100;
/// A coldkey, and its two hotkeys.
pub const ALICE: AccountId = 1;
pub const ALICE_HOT: AccountId = 10;
pub const ALICE_HOT_2: AccountId = 11;
/// Another coldkey, and its hotkey.
pub const BOB: AccountId = 2;
pub const BOB_HOT: AccountId = 20;
/// Two coldkeys without hotkeys.
pub const CAROL: AccountId = 3;
pub const DAVE: AccountId = 4;
/// The highest take: 18 %.
pub const MAX_TAKE: u16 = 11_796;
/// By how much a take can be raised at a time, and how often.
pub const TAKE_STEP: u16 = 655;
pub const TAKE_INTERVAL: BlockNumber = 1_000;
/// What each coldkey has.
pub const FUNDS: Balance = 1_000 * CRN;

parameter_types! {
    pub const MinimumAmount: Balance = MINIMUM;
    pub const MaxTake: u16 = MAX_TAKE;
    pub const TakeStep: u16 = TAKE_STEP;
    pub const TakeInterval: BlockNumber = TAKE_INTERVAL;
    pub const ReporterShare: Perbill = Perbill::from_percent(10);
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type AccountStore = System;
    type ExistentialDeposit = ConstU64<EXISTENTIAL_DEPOSIT>;
}

impl crate::Config for Test {
    type Currency = Balances;
    type Members = Seats;
    type OnBurned = Seats;
    type MinimumAmount = MinimumAmount;
    type MaxTake = MaxTake;
    type TakeStep = TakeStep;
    type TakeInterval = TakeInterval;
    type ReporterShare = ReporterShare;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
    type BenchmarkHelper = Seats;
}

impl crate::benchmarking::BenchmarkHelper<AccountId> for Seats {
    fn subnet(coldkey: &AccountId, hotkeys: &[AccountId]) -> Netuid {
        hotkeys
            .iter()
            .for_each(|hotkey| Seats::sit(Netuid(1), *coldkey, *hotkey));
        Netuid(1)
    }
}

/// A chain in which benchmarks run as tests.
pub fn for_benchmarks() -> sp_io::TestExternalities {
    let storage = frame_system::GenesisConfig::<Test>::default().build_storage();
    storage.unwrap().into()
}

thread_local! {
    static SEATS: RefCell<BTreeSet<(Netuid, AccountId)>> = const { RefCell::new(BTreeSet::new()) };
    static COLDKEYS: RefCell<BTreeMap<AccountId, AccountId>> =
        const { RefCell::new(BTreeMap::new()) };
    static DISSOLVING: RefCell<BTreeSet<Netuid>> = const { RefCell::new(BTreeSet::new()) };
    static REWARDED: Cell<Balance> = const { Cell::new(0) };
    static BURNED: Cell<Balance> = const { Cell::new(0) };
    static UNBONDING_PERIOD: Cell<BlockNumber> = const { Cell::new(PERIOD) };
}

/// The subnets pallet: two subnets, on which hotkeys sit on the uids of their own numbers.
pub struct Seats;

impl Seats {
    pub fn sit(netuid: Netuid, coldkey: AccountId, hotkey: AccountId) {
        COLDKEYS.with_borrow_mut(|coldkeys| coldkeys.insert(hotkey, coldkey));
        SEATS.with_borrow_mut(|seats| seats.insert((netuid, hotkey)));
    }

    pub fn leave(netuid: Netuid, hotkey: AccountId) {
        if SEATS.with_borrow_mut(|seats| seats.remove(&(netuid, hotkey))) {
            Stake::on_left(netuid, Uid(hotkey as u16), &hotkey);
        }
    }

    pub fn set_unbonding_period(blocks: BlockNumber) {
        UNBONDING_PERIOD.set(blocks);
    }

    pub fn dissolve(netuid: Netuid) {
        DISSOLVING.with_borrow_mut(|dissolving| dissolving.insert(netuid));
    }
}

impl OnBurned for Seats {
    fn on_burned(amount: Balance) {
        BURNED.set(BURNED.get() + amount);
    }
}

impl Membership<AccountId> for Seats {
    fn netuids() -> Vec<Netuid> {
        vec![Netuid(1), Netuid(2)]
    }

    fn hyperparameters(netuid: Netuid) -> Option<Hyperparameters> {
        let unbonding_period = UNBONDING_PERIOD.get();
        (1..=2).contains(&netuid.get()).then(|| Hyperparameters {
            unbonding_period,
            ..Hyperparameters::default()
        })
    }

    fn is_dissolving(netuid: Netuid) -> bool {
        DISSOLVING.with_borrow(|dissolving| dissolving.contains(&netuid))
    }

    fn owner(netuid: Netuid) -> Option<AccountId> {
        (1..=2).contains(&netuid.get()).then_some(ALICE)
    }

    fn uid(netuid: Netuid, hotkey: &AccountId) -> Option<Uid> {
        SEATS.with_borrow(|seats| {
            seats
                .contains(&(netuid, *hotkey))
                .then_some(Uid(*hotkey as u16))
        })
    }

    fn hotkey(netuid: Netuid, uid: Uid) -> Option<AccountId> {
        let hotkey = AccountId::from(uid.get());
        Self::uid(netuid, &hotkey).map(|_| hotkey)
    }

    fn coldkey(hotkey: &AccountId) -> Option<AccountId> {
        COLDKEYS.with_borrow(|coldkeys| coldkeys.get(hotkey).copied())
    }

    fn role(_: Netuid, _: Uid) -> Option<Role> {
        None
    }

    fn registered_at(_: Netuid, _: Uid) -> Option<BlockNumber> {
        None
    }

    fn members(netuid: Netuid) -> Vec<(Uid, AccountId)> {
        SEATS.with_borrow(|seats| {
            let here = seats.iter().filter(|(other, _)| *other == netuid);
            here.map(|(_, hotkey)| (Uid(*hotkey as u16), *hotkey))
                .collect()
        })
    }
}

/// Builds a chain, runs a test on it, and checks that storage is sound and no token lost at the end.
pub struct ExtBuilder {
    balances: Vec<(AccountId, Balance)>,
    stakes: Vec<(Netuid, AccountId, AccountId, Balance)>,
    bonds: Vec<(Netuid, AccountId, Balance)>,
}

impl Default for ExtBuilder {
    fn default() -> Self {
        ExtBuilder {
            balances: [ALICE, BOB, CAROL, DAVE].map(|who| (who, FUNDS)).to_vec(),
            stakes: Vec::new(),
            bonds: Vec::new(),
        }
    }
}

impl ExtBuilder {
    pub fn balance(mut self, who: AccountId, amount: Balance) -> Self {
        self.balances.retain(|(other, _)| *other != who);
        self.balances.push((who, amount));
        self
    }

    /// Funds of an account that nobody else mentions.
    pub fn balance_of_another(mut self, who: AccountId, amount: Balance) -> Self {
        self.balances.push((who, amount));
        self
    }

    /// Stake that the hotkey's coldkey put on it.
    pub fn stake(self, netuid: Netuid, hotkey: AccountId, amount: Balance) -> Self {
        let coldkey = if hotkey == BOB_HOT { BOB } else { ALICE };
        self.delegate(coldkey, netuid, hotkey, amount)
    }

    /// Stake that anybody put on a hotkey.
    pub fn delegate(
        mut self,
        coldkey: AccountId,
        netuid: Netuid,
        hotkey: AccountId,
        amount: Balance,
    ) -> Self {
        self.stakes.push((netuid, coldkey, hotkey, amount));
        self
    }

    /// A bond that the hotkey's coldkey put up.
    pub fn bond(mut self, netuid: Netuid, hotkey: AccountId, amount: Balance) -> Self {
        self.bonds.push((netuid, hotkey, amount));
        self
    }

    pub fn build_and_execute(self, test: impl FnOnce()) {
        let mut storage = frame_system::GenesisConfig::<Test>::default()
            .build_storage()
            .unwrap();
        pallet_balances::GenesisConfig::<Test> {
            balances: self.balances,
            ..Default::default()
        }
        .assimilate_storage(&mut storage)
        .unwrap();
        SEATS.take();
        COLDKEYS.take();
        DISSOLVING.take();
        UNBONDING_PERIOD.set(PERIOD);
        REWARDED.set(0);
        BURNED.set(0);
        for netuid in (1..=2).map(Netuid) {
            Seats::sit(netuid, ALICE, ALICE_HOT);
            Seats::sit(netuid, ALICE, ALICE_HOT_2);
            Seats::sit(netuid, BOB, BOB_HOT);
        }
        sp_io::TestExternalities::new(storage).execute_with(|| {
            System::set_block_number(1);
            let issued = everything();
            let owner = |hotkey| RuntimeOrigin::signed(Seats::coldkey(&hotkey).unwrap());
            for (netuid, coldkey, hotkey, amount) in self.stakes {
                let origin = RuntimeOrigin::signed(coldkey);
                Stake::add_stake(origin, netuid, hotkey, amount).unwrap();
            }
            for (netuid, hotkey, amount) in self.bonds {
                Stake::add_bond(owner(hotkey), netuid, hotkey, amount).unwrap();
            }
            System::reset_events();
            test();
            Stake::do_try_state().unwrap();
            assert_eq!(everything(), issued, "tokens got lost or came from nowhere");
        });
    }
}

/// All tokens that were there at the beginning: those in accounts, staked, waiting and bonded, and those that
/// were burned, less what was rewarded out of a pot outside this chain. Never changes.
pub fn everything() -> Balance {
    Balances::total_issuance()
        + Stake::total_staked()
        + Stake::total_unbonding()
        + Stake::total_bonded()
        + BURNED.get()
        - REWARDED.get()
}

/// Rewards a hotkey out of a pot outside this chain.
pub fn reward(netuid: Netuid, hotkey: AccountId, amount: Balance) -> DispatchResult {
    <Stake as Stakes<AccountId>>::reward(netuid, &hotkey, amount)?;
    REWARDED.set(REWARDED.get() + amount);
    Ok(())
}

/// What was rewarded.
pub fn rewarded() -> Balance {
    REWARDED.get()
}

/// What was burned.
pub fn burned() -> Balance {
    BURNED.get()
}

/// Punishes a hotkey, with DAVE as the reporter.
pub fn slash(netuid: Netuid, hotkey: AccountId, amount: Balance) -> Balance {
    <Stake as Slashing<AccountId>>::slash(netuid, &hotkey, amount, Some(&DAVE))
}

/// Gives everything on a subnet back, `limit` items at a time, and says how many items that were.
pub fn give_everything_back(netuid: Netuid, limit: u32) -> u32 {
    Seats::dissolve(netuid);
    let mut items = 0;
    loop {
        let done = <Stake as Dissolve>::dissolve(netuid, limit);
        Stake::do_try_state().unwrap();
        assert!(done <= limit, "{done} of {limit}");
        items += done;
        if done < limit {
            return items;
        }
    }
}

/// What counts of a coldkey's stake on a hotkey.
pub fn staked(coldkey: AccountId, netuid: Netuid, hotkey: AccountId) -> Balance {
    position(coldkey, netuid, hotkey).map_or(0, |position| position.staked)
}

/// What a coldkey waits for from a hotkey: amounts and the blocks of their release.
pub fn waiting(
    coldkey: AccountId,
    netuid: Netuid,
    hotkey: AccountId,
) -> Vec<(Balance, BlockNumber)> {
    let queue = position(coldkey, netuid, hotkey).map(|position| position.unbonding);
    let queue = queue.unwrap_or_default().into_iter();
    queue
        .map(|entry| (entry.amount, entry.release_at))
        .collect()
}

fn position(
    coldkey: AccountId,
    netuid: Netuid,
    hotkey: AccountId,
) -> Option<cairn_primitives::api::Position<AccountId>> {
    <Stake as cairn_primitives::traits::Positions<AccountId>>::position(&coldkey, netuid, &hotkey)
}

/// The pallet's events since the last call.
pub fn events() -> Vec<crate::Event<Test>> {
    let events = System::events()
        .into_iter()
        .filter_map(|record| match record.event {
            RuntimeEvent::Stake(event) => Some(event),
            _ => None,
        })
        .collect();
    System::reset_events();
    events
}
