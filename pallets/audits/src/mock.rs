//! A chain with nothing but this pallet: the other pallets are tables that tests write.

use std::{cell::RefCell, collections::BTreeMap};

use cairn_primitives::{
    finding_hash,
    traits::{Attendance, Audits as _, Membership, Questions, Settled, Slashing, Wages},
    AuditRules, Balance, BlockNumber, Finding, Hotkey, Hyperparameters, Netuid, Role, Round,
    Served, Uid, H256,
};
use frame_support::{derive_impl, parameter_types, traits::Hooks, weights::Weight};
use sp_runtime::{traits::IdentityLookup, AccountId32, BuildStorage, DispatchResult};

use crate::{Audit, Config, Event, OpenAudits, Pallet};

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Audits: crate,
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
    pub static MaxEndsPerBlock: u32 = 8;
}

impl Config for Test {
    type Membership = World;
    type Slashing = World;
    type Attendance = World;
    type Wages = World;
    type MaxEndsPerBlock = MaxEndsPerBlock;
    type WeightInfo = crate::weights::SubstrateWeight<Test>;
    type BenchmarkHelper = World;
}

/// What is withheld of each member, in pebble.
pub const FORFEITED: Balance = 77;

/// What follows from an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// This hotkey's bond was taken, for these coldkeys.
    Slashed(AccountId, Vec<AccountId>),
    /// This member's work was false.
    False(Uid),
    /// This auditor revealed nothing.
    Missed(Uid),
    /// What was withheld of this member is lost.
    Forfeited(Uid),
    /// Wages were settled with these questions open.
    Stopped(Questions),
}

thread_local! {
    static MEMBERS: RefCell<BTreeMap<Netuid, Vec<Uid>>> = const { RefCell::new(BTreeMap::new()) };
    static CAME: RefCell<BTreeMap<Uid, BlockNumber>> = const { RefCell::new(BTreeMap::new()) };
    static OWNERS: RefCell<BTreeMap<AccountId, AccountId>> = const { RefCell::new(BTreeMap::new()) };
    static STAKES: RefCell<BTreeMap<Uid, Balance>> = const { RefCell::new(BTreeMap::new()) };
    static FOLLOWED: RefCell<Vec<Followed>> = const { RefCell::new(Vec::new()) };
}

/// What the other pallets know.
pub struct World;

impl World {
    /// What followed since the last time.
    pub fn followed() -> Vec<Followed> {
        FOLLOWED.with_borrow_mut(std::mem::take)
    }

    /// The hotkey of this uid is this coldkey's.
    pub fn owned(uid: Uid, coldkey: AccountId) {
        OWNERS.with_borrow_mut(|owners| owners.insert(hotkey(uid), coldkey));
    }

    /// The validator with this uid has so much at stake from the next round on.
    pub fn staked(uid: Uid, stake: Balance) {
        STAKES.with_borrow_mut(|stakes| stakes.insert(uid, stake));
    }

    /// A seat has been this member's since that block.
    pub fn came(uid: Uid, block: BlockNumber) {
        CAME.with_borrow_mut(|came| came.insert(uid, block));
    }

    fn follows(followed: Followed) {
        FOLLOWED.with_borrow_mut(|all| all.push(followed));
    }
}

impl Membership<AccountId> for World {
    fn netuids() -> Vec<Netuid> {
        MEMBERS.with_borrow(|all| all.keys().copied().collect())
    }
    fn hyperparameters(_: Netuid) -> Option<Hyperparameters> {
        Some(Hyperparameters::default())
    }
    fn owner(_: Netuid) -> Option<AccountId> {
        Some(stranger())
    }
    fn uid(netuid: Netuid, of: &AccountId) -> Option<Uid> {
        let members = Self::members(netuid).into_iter();
        let mut found = members.filter(|(_, key)| key == of);
        found.next().map(|(uid, _)| uid)
    }
    fn hotkey(_: Netuid, uid: Uid) -> Option<AccountId> {
        Some(hotkey(uid))
    }
    fn coldkey(of: &AccountId) -> Option<AccountId> {
        let known = OWNERS.with_borrow(|owners| owners.get(of).cloned());
        Some(known.unwrap_or_else(|| of.clone()))
    }
    fn role(_: Netuid, _: Uid) -> Option<Role> {
        None
    }
    fn registered_at(_: Netuid, uid: Uid) -> Option<BlockNumber> {
        let came = CAME.with_borrow(|came| came.get(&uid).copied());
        Some(came.unwrap_or(0))
    }
    fn members(netuid: Netuid) -> Vec<(Uid, AccountId)> {
        let members = MEMBERS.with_borrow(|all| all.get(&netuid).cloned());
        let members = members.unwrap_or_default().into_iter();
        members.map(|uid| (uid, hotkey(uid))).collect()
    }
}

impl Wages for World {
    fn forfeit(_: Netuid, uid: Uid) -> Balance {
        Self::follows(Followed::Forfeited(uid));
        FORFEITED
    }
    fn on_stopped(_: Netuid, questions: &Questions) {
        Self::follows(Followed::Stopped(questions.clone()));
    }
}

impl Slashing<AccountId> for World {
    fn slash(_: Netuid, _: &AccountId, _: Balance, _: Option<&AccountId>) -> Balance {
        panic!("audits take bonds only")
    }
    fn slash_bond(_: Netuid, hotkey: &AccountId, reporters: &[AccountId]) -> Balance {
        Self::follows(Followed::Slashed(hotkey.clone(), reporters.to_vec()));
        BOND
    }
}

impl Attendance<AccountId> for World {
    fn on_false_work(_: Netuid, uid: Uid, of: &AccountId) {
        assert_eq!(*of, hotkey(uid));
        Self::follows(Followed::False(uid));
    }
    fn on_missed_audit(_: Netuid, uid: Uid, of: &AccountId) {
        assert_eq!(*of, hotkey(uid));
        Self::follows(Followed::Missed(uid));
    }
}

impl crate::benchmarking::BenchmarkHelper<AccountId> for World {
    fn subnet(validators: u32, miners: u32) -> Netuid {
        let uids = (0..validators + miners)
            .map(|uid| Uid(uid as u16))
            .collect();
        MEMBERS.with_borrow_mut(|all| all.insert(NET, uids));
        NET
    }
}

/// The subnet that most tests use.
pub const NET: Netuid = Netuid(1);
/// What every miner has as a bond.
pub const BOND: Balance = 1_000;
/// Blocks of a stage.
pub const BLOCKS: BlockNumber = 5;
/// The round in most tests.
pub const ROUND: Round = 3;
/// The miner in most tests.
pub const MINER: Uid = Uid(10);

/// Every contribution is audited, by three.
pub const RULES: AuditRules = AuditRules {
    rate: AuditRules::EACH,
    auditors: 3,
    blocks: BLOCKS,
    tolerance: 0,
    card_bond: 2,
};

/// What a miner serves.
pub const SERVED: Served = Served {
    root: H256([4; 32]),
    length: 500,
};

/// The hotkey of a uid.
pub fn hotkey(uid: Uid) -> AccountId {
    let mut bytes = [1; 32];
    bytes[..2].copy_from_slice(&uid.get().to_le_bytes());
    AccountId::new(bytes)
}

/// Somebody who is nobody.
pub fn stranger() -> AccountId {
    AccountId::new([99; 32])
}

/// A signed origin.
pub fn by(uid: Uid) -> RuntimeOrigin {
    RuntimeOrigin::signed(hotkey(uid))
}

fn members(uids: &[Uid]) -> Vec<(Uid, AccountId)> {
    uids.iter().map(|uid| (*uid, hotkey(*uid))).collect()
}

/// What each validator has at stake.
pub const STAKE: Balance = 10;

fn validators_of(uids: &[Uid]) -> Vec<(Uid, AccountId, Balance)> {
    let stake = |uid: Uid| STAKES.with_borrow(|all| all.get(&uid).copied().unwrap_or(STAKE));
    let one = |uid: &Uid| (*uid, hotkey(*uid), stake(*uid));
    uids.iter().map(one).collect()
}

/// A round of a subnet is settled in this block that included what these miners made.
pub fn settle_in(
    netuid: Netuid,
    round: Round,
    rules: AuditRules,
    included: &[Uid],
    validators: &[Uid],
) {
    Audits::on_settled(Settled {
        netuid,
        round,
        seed: cairn_primitives::blake2_256(&[netuid.get() as u8, round as u8]),
        rules,
        max_contributors: 8,
        parameters: 100,
        included: &members(included),
        validators: &validators_of(validators),
    });
}

/// [`ROUND`] of [`NET`] is settled, and what these miners made is audited by three of four validators.
pub fn settle(included: &[Uid]) {
    settle_in(
        NET,
        ROUND,
        RULES,
        included,
        &[Uid(0), Uid(1), Uid(2), Uid(3)],
    );
}

/// The audit of [`MINER`], if it is open.
pub fn audit() -> Option<Audit<AccountId>> {
    OpenAudits::<Test>::get((NET, ROUND, MINER))
}

/// Its auditors.
pub fn auditors() -> Vec<Uid> {
    let audit = audit().expect("it is open");
    audit.auditors.iter().map(|one| one.uid).collect()
}

/// [`MINER`] serves what it should.
pub fn open() -> DispatchResult {
    Audits::open(by(MINER), NET, ROUND, MINER, SERVED)
}

/// What an auditor hides its finding with.
pub fn salt(auditor: Uid) -> [u8; 32] {
    [auditor.get() as u8; 32]
}

/// What an auditor of [`MINER`] commits to.
pub fn hash(auditor: Uid, finding: Finding) -> H256 {
    let of = hotkey(auditor);
    finding_hash(
        (NET, ROUND, MINER),
        &Hotkey::of(&of),
        finding,
        &salt(auditor),
    )
}

/// An auditor commits to a finding.
pub fn commit(auditor: Uid, finding: Finding) -> DispatchResult {
    let hash = hash(auditor, finding);
    Audits::commit_verdict(by(auditor), NET, ROUND, MINER, hash)
}

/// An auditor reveals a finding.
pub fn reveal(auditor: Uid, finding: Finding) -> DispatchResult {
    Audits::reveal_verdict(by(auditor), NET, ROUND, MINER, finding, salt(auditor))
}

/// One block: what the last one left is finished, its events are forgotten, the hook runs. Returns what the hook used.
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
        RuntimeEvent::Audits(event) => Some(event),
        _ => None,
    };
    let all = System::events().into_iter();
    all.filter_map(|record| ours(record.event)).collect()
}

/// Builds a chain and ends with a look at its state.
pub struct ExtBuilder;

impl ExtBuilder {
    /// The chain at genesis.
    pub fn build(&self) -> sp_io::TestExternalities {
        OWNERS.with_borrow_mut(BTreeMap::clear);
        CAME.with_borrow_mut(BTreeMap::clear);
        STAKES.with_borrow_mut(BTreeMap::clear);
        MEMBERS.with_borrow_mut(BTreeMap::clear);
        World::followed();
        MaxEndsPerBlock::set(8);
        let storage = frame_system::GenesisConfig::<Test>::default().build_storage();
        sp_io::TestExternalities::new(storage.expect("genesis builds"))
    }

    /// Runs `test` in block 1; then checks the state.
    pub fn execute(self, test: impl FnOnce()) {
        self.build().execute_with(|| {
            next_block();
            test();
            Audits::do_try_state().expect("the state is sound");
        });
    }

    /// The same in block 100, after [`ROUND`] was settled in it with a contribution of [`MINER`]'s.
    pub fn audited(self, test: impl FnOnce()) {
        self.execute(|| {
            run_to(100);
            settle(&[MINER]);
            test();
        });
    }
}
