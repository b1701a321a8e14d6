//! A chain with this pallet and balances.

use crate as pallet_subnets;
use cairn_primitives::{
    traits::{Dissolve, Incentives, OnBurned, OnMember, Runs},
    Balance, BlockNumber, Hyperparameters, Netuid, Role, Uid, CRN,
};
use frame_support::{
    derive_impl, dispatch::DispatchResultWithPostInfo, parameter_types, traits::ConstU64,
};
use sp_runtime::{
    testing::{TestSignature, UintAuthorityId},
    BuildStorage,
};
use std::{cell::RefCell, collections::BTreeMap};

type Block = frame_system::mocking::MockBlockU32<Test>;
pub type AccountId = u64;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Subnets: pallet_subnets,
    }
);

/// What [`ConstU64`] below says: the least that an account holds.
pub const EXISTENTIAL_DEPOSIT: Balance = 500;
pub const FLOOR: Balance = 1_000 * CRN;
pub const DECAY: BlockNumber = 1_000;
pub const AUDIT_WINDOW: BlockNumber = 100;
pub const DISSOLVED_PER_BLOCK: u32 = 4;
/// Coldkeys that the default chain funds.
pub const OWNER: AccountId = 1;
pub const ALICE: AccountId = 2;
pub const BOB: AccountId = 3;
/// What each of them has.
pub const FUNDS: Balance = 1_000_000 * CRN;

parameter_types! {
    pub const MaxSubnets: u32 = 4;
    pub const CreationPriceFloor: Balance = FLOOR;
    pub const CreationPriceDecay: BlockNumber = DECAY;
    pub const DefaultAuditWindow: BlockNumber = AUDIT_WINDOW;
    pub static HyperparametersRateLimit: BlockNumber = 0;
    pub static HasRun: bool = false;
    pub const DissolvedPerBlock: u32 = DISSOLVED_PER_BLOCK;
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
    type OnBurned = Notes;
    type OnMember = Notes;
    type Incentives = Notes;
    type Runs = Notes;
    type Signature = TestSignature;
    type Signer = UintAuthorityId;
    type Dissolve = Notes;
    type MaxSubnets = MaxSubnets;
    type CreationPriceFloor = CreationPriceFloor;
    type CreationPriceDecay = CreationPriceDecay;
    type DefaultAuditWindow = DefaultAuditWindow;
    type HyperparametersRateLimit = HyperparametersRateLimit;
    type DissolvedPerBlock = DissolvedPerBlock;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
    type BenchmarkHelper = Notes;
}

impl crate::benchmarking::BenchmarkHelper<AccountId, TestSignature> for Notes {
    fn signing_hotkey() -> AccountId {
        77
    }

    fn sign(hotkey: &AccountId, payload: &[u8]) -> TestSignature {
        TestSignature(*hotkey, payload.to_vec())
    }

    fn issued(_: Balance) {}
    fn occupy(_: Netuid) {}
}

/// A chain in which benchmarks run as tests.
pub fn for_benchmarks() -> sp_io::TestExternalities {
    let storage = frame_system::GenesisConfig::<Test>::default().build_storage();
    storage.unwrap().into()
}

/// What the pallet told the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    Joined(Netuid, Uid, AccountId),
    Left(Netuid, Uid, AccountId),
    Swapped(Netuid, Uid, AccountId, AccountId),
    Dissolving(Netuid),
}

thread_local! {
    static BURNED: RefCell<Balance> = const { RefCell::new(0) };
    static NOTES: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
    static KEPT: RefCell<BTreeMap<Netuid, u32>> = const { RefCell::new(BTreeMap::new()) };
    static PAID: RefCell<BTreeMap<(Netuid, Uid), Balance>> = const { RefCell::new(BTreeMap::new()) };
}

/// The other pallets: writes down what it is told.
pub struct Notes;

impl Notes {
    pub fn burned() -> Balance {
        BURNED.with_borrow(|burned| *burned)
    }

    pub fn take() -> Vec<Note> {
        NOTES.with_borrow_mut(std::mem::take)
    }

    pub fn pay(netuid: Netuid, uid: Uid, amount: Balance) {
        PAID.with_borrow_mut(|paid| paid.insert((netuid, uid), amount));
    }

    /// Makes the other pallets keep this many things of a subnet.
    pub fn keep(netuid: Netuid, items: u32) {
        KEPT.with_borrow_mut(|kept| kept.insert(netuid, items));
    }

    /// How many things the other pallets keep of a subnet.
    pub fn kept(netuid: Netuid) -> u32 {
        KEPT.with_borrow(|kept| kept.get(&netuid).copied().unwrap_or(0))
    }

    fn clear() {
        BURNED.set(0);
        KEPT.take();
        HyperparametersRateLimit::set(0);
        HasRun::set(false);
        NOTES.take();
        PAID.take();
    }
}

impl OnBurned for Notes {
    fn on_burned(amount: Balance) {
        BURNED.with_borrow_mut(|burned| *burned += amount);
    }
}

impl Dissolve for Notes {
    fn on_dissolving(netuid: Netuid) {
        NOTES.with_borrow_mut(|notes| notes.push(Note::Dissolving(netuid)));
    }

    fn dissolve(netuid: Netuid, limit: u32) -> u32 {
        let done = Self::kept(netuid).min(limit);
        Self::keep(netuid, Self::kept(netuid) - done);
        done
    }
}

impl OnMember<AccountId> for Notes {
    fn on_joined(netuid: Netuid, uid: Uid, hotkey: &AccountId) {
        NOTES.with_borrow_mut(|notes| notes.push(Note::Joined(netuid, uid, *hotkey)));
    }

    fn on_swapped(netuid: Netuid, uid: Uid, old: &AccountId, new: &AccountId) {
        NOTES.with_borrow_mut(|notes| notes.push(Note::Swapped(netuid, uid, *old, *new)));
    }

    fn on_left(netuid: Netuid, uid: Uid, hotkey: &AccountId) {
        PAID.with_borrow_mut(|paid| paid.remove(&(netuid, uid)));
        NOTES.with_borrow_mut(|notes| notes.push(Note::Left(netuid, uid, *hotkey)));
    }
}

impl Runs for Notes {
    fn has_run(_: Netuid) -> bool {
        HasRun::get()
    }
}

/// What `signer` signs so that it sits on a subnet as `coldkey`'s.
pub fn signature(signer: AccountId, netuid: Netuid, coldkey: AccountId) -> TestSignature {
    TestSignature(signer, Subnets::registration_payload(netuid, &coldkey))
}

/// Registers a miner whose hotkey agrees.
pub fn register(
    coldkey: AccountId,
    netuid: Netuid,
    hotkey: AccountId,
    max_price: Balance,
) -> DispatchResultWithPostInfo {
    let signature = signature(hotkey, netuid, coldkey);
    let origin = RuntimeOrigin::signed(coldkey);
    Subnets::register(origin, netuid, hotkey, Role::Miner, max_price, signature)
}

impl Incentives for Notes {
    fn incentive(_: Netuid, _: Uid) -> u16 {
        0
    }

    fn last_paid(netuid: Netuid, uid: Uid) -> Balance {
        PAID.with_borrow(|paid| paid.get(&(netuid, uid)).copied().unwrap_or(0))
    }

    fn forget(_: Netuid) {}
}

/// Builds a chain, runs a test on it, and checks that the pallet's storage is sound at the end.
pub struct ExtBuilder {
    balances: Vec<(AccountId, Balance)>,
    subnets: Vec<Hyperparameters>,
    members: Vec<(Netuid, AccountId, AccountId)>,
}

impl Default for ExtBuilder {
    fn default() -> Self {
        let balances = [OWNER, ALICE, BOB].map(|who| (who, FUNDS)).to_vec();
        ExtBuilder {
            balances,
            subnets: Vec::new(),
            members: Vec::new(),
        }
    }
}

impl ExtBuilder {
    pub fn balance(mut self, who: AccountId, amount: Balance) -> Self {
        self.balances.retain(|(other, _)| *other != who);
        self.balances.push((who, amount));
        self
    }

    /// A subnet of [`OWNER`]'s with default hyperparameters.
    pub fn subnet(self) -> Self {
        self.subnet_with(|_| ())
    }

    /// A subnet of [`OWNER`]'s.
    pub fn subnet_with(mut self, change: impl FnOnce(&mut Hyperparameters)) -> Self {
        let mut hyperparameters = Hyperparameters::default();
        change(&mut hyperparameters);
        self.subnets.push(hyperparameters);
        self
    }

    pub fn member(mut self, netuid: Netuid, coldkey: AccountId, hotkey: AccountId) -> Self {
        self.members.push((netuid, coldkey, hotkey));
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
        Notes::clear();
        sp_io::TestExternalities::new(storage).execute_with(|| {
            System::set_block_number(1);
            let issued = Balances::total_issuance();
            for (index, hyperparameters) in self.subnets.into_iter().enumerate() {
                let owner = RuntimeOrigin::signed(OWNER);
                Subnets::create_subnet(owner.clone(), Balance::MAX).unwrap();
                Subnets::set_hyperparameters(owner, Netuid(index as u16 + 1), hyperparameters)
                    .unwrap();
            }
            for (netuid, coldkey, hotkey) in self.members {
                register(coldkey, netuid, hotkey, Balance::MAX).unwrap();
            }
            Notes::take();
            System::reset_events();
            test();
            Subnets::do_try_state().unwrap();
            assert_eq!(
                Balances::total_issuance() + Notes::burned(),
                issued,
                "tokens got lost"
            );
        });
    }
}

/// The pallet's events since the last call.
pub fn events() -> Vec<crate::Event<Test>> {
    let events = System::events()
        .into_iter()
        .filter_map(|record| match record.event {
            RuntimeEvent::Subnets(event) => Some(event),
            _ => None,
        })
        .collect();
    System::reset_events();
    events
}

/// The uids and hotkeys of a subnet's members.
pub fn members(netuid: Netuid) -> Vec<(Uid, AccountId)> {
    use cairn_primitives::traits::Membership;
    <Subnets as Membership<AccountId>>::members(netuid)
}
