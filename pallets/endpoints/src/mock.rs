//! A chain with nothing but this pallet: who is a member is a table that tests write.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use cairn_primitives::{traits::Membership, BlockNumber, Hyperparameters, Netuid, Role, Text, Uid};
use frame_support::derive_impl;
use sp_runtime::{traits::IdentityLookup, AccountId32, BuildStorage, DispatchResult};

use crate::{Config, List};

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Endpoints: crate,
    }
);

pub type AccountId = AccountId32;

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlockU32<Test>;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
}

impl Config for Test {
    type Membership = World;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
    type BenchmarkHelper = World;
}

thread_local! {
    static MEMBERS: RefCell<BTreeMap<(Netuid, Uid), AccountId>> =
        const { RefCell::new(BTreeMap::new()) };
    static DISSOLVING: Cell<bool> = const { Cell::new(false) };
}

/// Who is a member.
pub struct World;

impl World {
    /// `hotkey` has this seat.
    pub fn seat(uid: Uid, hotkey: AccountId) {
        MEMBERS.with_borrow_mut(|all| all.insert((NET, uid), hotkey));
    }

    /// Nobody has this seat.
    pub fn free(uid: Uid) {
        MEMBERS.with_borrow_mut(|all| all.remove(&(NET, uid)));
    }

    /// The subnet is being dissolved.
    pub fn dissolve() {
        DISSOLVING.set(true);
    }
}

impl Membership<AccountId> for World {
    fn netuids() -> Vec<Netuid> {
        vec![NET]
    }
    fn is_dissolving(_: Netuid) -> bool {
        DISSOLVING.get()
    }
    fn hyperparameters(_: Netuid) -> Option<Hyperparameters> {
        Some(Hyperparameters::default())
    }
    fn owner(_: Netuid) -> Option<AccountId> {
        None
    }
    fn uid(netuid: Netuid, of: &AccountId) -> Option<Uid> {
        let mut members = Self::members(netuid).into_iter();
        members.find(|(_, key)| key == of).map(|(uid, _)| uid)
    }
    fn hotkey(netuid: Netuid, uid: Uid) -> Option<AccountId> {
        MEMBERS.with_borrow(|all| all.get(&(netuid, uid)).cloned())
    }
    fn coldkey(_: &AccountId) -> Option<AccountId> {
        None
    }
    fn role(_: Netuid, _: Uid) -> Option<Role> {
        None
    }
    fn registered_at(_: Netuid, _: Uid) -> Option<BlockNumber> {
        None
    }
    fn members(netuid: Netuid) -> Vec<(Uid, AccountId)> {
        MEMBERS.with_borrow(|all| {
            let here = all.iter().filter(|((at, _), _)| *at == netuid);
            here.map(|((_, uid), key)| (*uid, key.clone())).collect()
        })
    }
}

impl crate::benchmarking::BenchmarkHelper<AccountId> for World {
    fn member() -> (Netuid, AccountId) {
        World::seat(Uid(0), hotkey(0));
        (NET, hotkey(0))
    }
}

/// The subnet of all tests.
pub const NET: Netuid = Netuid(1);

/// A hotkey.
pub fn hotkey(number: u8) -> AccountId {
    AccountId::new([number; 32])
}

/// These texts as what a member names.
pub fn list(texts: &[&str]) -> List {
    let texts = texts.iter().map(|text| Text::new(text).expect("short"));
    let texts: Vec<Text> = texts.collect();
    texts.try_into().expect("few")
}

/// A hotkey names these.
pub fn set(by: u8, texts: &[&str]) -> DispatchResult {
    Endpoints::set_endpoints(RuntimeOrigin::signed(hotkey(by)), NET, list(texts))
}

/// What members have named, by uid.
pub fn named() -> Vec<(Uid, Vec<String>)> {
    let texts = |texts: Vec<Text>| texts.iter().map(Text::to_text).collect();
    let all = Endpoints::endpoints(NET).into_iter();
    all.map(|one| (one.uid, texts(one.endpoints))).collect()
}

/// Builds a chain and ends with a look at its state.
pub struct ExtBuilder;

impl ExtBuilder {
    /// The chain at genesis.
    pub fn build(&self) -> sp_io::TestExternalities {
        MEMBERS.with_borrow_mut(BTreeMap::clear);
        DISSOLVING.set(false);
        let storage = frame_system::GenesisConfig::<Test>::default().build_storage();
        sp_io::TestExternalities::new(storage.expect("genesis builds"))
    }

    /// Runs `test` in block 1, with two members; then checks the state.
    pub fn execute(self, test: impl FnOnce()) {
        self.build().execute_with(|| {
            System::set_block_number(1);
            World::seat(Uid(3), hotkey(3));
            World::seat(Uid(5), hotkey(5));
            test();
            Endpoints::do_try_state().expect("the state is sound");
        });
    }
}
