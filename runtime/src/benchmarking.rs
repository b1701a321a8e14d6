//! Which pallets have benchmarks, and how the others are set up for them.

use alloc::{vec, vec::Vec};

use cairn_primitives::{
    traits::Membership, Balance, Netuid, Role, Uid, CRN, MAX_MEMBERS, MAX_VALIDATORS,
};
use frame_benchmarking::account;
use frame_support::traits::{fungible::Mutate, Hooks};
use pallet_emissions::MemberRecord;
use pallet_training::benchmarking::{everybody_contributed, everybody_worked, run_config};
use sp_consensus_babe::digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest};
use sp_core::{crypto::KeyTypeId, sr25519};
use sp_runtime::generic::{Digest, DigestItem};

use crate::{
    block_time, AccountId, Balances, Executive, Hash, Header, Runtime, RuntimeCall, RuntimeOrigin,
    Signature, Stake, Subnets, System, Training, UncheckedExtrinsic,
};

frame_benchmarking::define_benchmarks!(
    [pallet_subnets, Subnets]
    [pallet_stake, Stake]
    [pallet_training, Training]
    [pallet_audits, Audits]
    [pallet_emissions, Emissions]
    [pallet_endpoints, Endpoints]
);

/// Sets up subnets and members as people do, by calls.
pub struct People;

/// What everybody has: enough for any price.
const WEALTH: Balance = 100_000 * CRN;

impl People {
    /// A new account that can pay.
    fn rich(name: &'static str, index: u32) -> AccountId {
        let who = account(name, index, 0);
        Balances::mint_into(&who, WEALTH).expect("an account can hold it");
        <Self as pallet_subnets::benchmarking::BenchmarkHelper<_, _>>::issued(WEALTH);
        who
    }

    /// Registers a new hotkey of `owner`.
    fn member(owner: &AccountId, netuid: Netuid, index: u32, role: Role) -> AccountId {
        let hotkey: AccountId = account("hotkey", index, netuid.get().into());
        Subnets::join(netuid, owner.clone(), hotkey.clone(), role, Balance::MAX)
            .expect("there is a seat");
        hotkey
    }
}

/// Under which the keys lie that benchmarks sign with.
const KEYS: KeyTypeId = KeyTypeId(*b"benc");

impl pallet_subnets::benchmarking::BenchmarkHelper<AccountId, Signature> for People {
    fn signing_hotkey() -> AccountId {
        sp_io::crypto::sr25519_generate(KEYS, None).0.into()
    }

    fn sign(hotkey: &AccountId, payload: &[u8]) -> Signature {
        let public = sr25519::Public::from_raw(hotkey.clone().into());
        let signature = sp_io::crypto::sr25519_sign(KEYS, &public, payload);
        Signature::Sr25519(signature.expect("the key was generated"))
    }

    fn issued(amount: Balance) {
        pallet_emissions::Issued::<Runtime>::mutate(|issued| {
            *issued = issued.saturating_add(amount);
        });
    }

    fn occupy(netuid: Netuid) {
        let rules = Subnets::hyperparameters(netuid).expect("the subnet exists");
        let members = Subnets::members(netuid);
        let validators = members.len().div_ceil(4);
        for (index, (uid, hotkey)) in members.iter().enumerate() {
            let owner = Subnets::coldkey(hotkey).expect("members have one");
            let signed = || RuntimeOrigin::signed(owner.clone());
            Stake::add_bond(signed(), netuid, hotkey.clone(), rules.min_miner_bond)
                .expect("the coldkey can pay");
            if index < validators {
                pallet_subnets::Members::<Runtime>::mutate(netuid, uid, |member| {
                    member.as_mut().expect("it is one").role = Role::Validator;
                });
                Stake::add_stake(signed(), netuid, hotkey.clone(), rules.min_validator_stake)
                    .expect("the coldkey can pay");
                weigh_all_others(netuid, *uid, &members);
            }
            pallet_emissions::MemberRecords::<Runtime>::insert(
                netuid,
                uid,
                MemberRecord::default(),
            );
        }
        let owner = RuntimeOrigin::signed(Subnets::owner(netuid).expect("the subnet exists"));
        Training::start_run(owner, netuid, run_config()).expect("the owner may");
        let next = System::block_number().saturating_add(1);
        System::set_block_number(next);
        Training::on_initialize(next);
        // With a validator alone no round begins.
        if members.len() > 1 {
            everybody_contributed::<Runtime>(netuid).expect("the round has begun");
        }
    }
}

impl pallet_training::benchmarking::BenchmarkHelper for People {
    fn subnet(validators: u32, miners: u32) -> Netuid {
        let owner = Self::rich("owner", 0);
        let signed = || RuntimeOrigin::signed(owner.clone());
        Subnets::create_subnet(signed(), Balance::MAX).expect("there is room for a subnet");
        let netuid = pallet_subnets::LastNetuid::<Runtime>::get();
        let rules = Subnets::hyperparameters(netuid).expect("the subnet exists");
        for index in 0..validators.saturating_add(miners) {
            let role = match index < validators {
                true => Role::Validator,
                false => Role::Miner,
            };
            let hotkey = Self::member(&owner, netuid, index, role);
            if index < validators {
                Stake::add_stake(signed(), netuid, hotkey, rules.min_validator_stake)
                    .expect("the owner can pay");
            } else {
                Stake::add_bond(signed(), netuid, hotkey, rules.min_miner_bond)
                    .expect("the owner can pay");
            }
        }
        netuid
    }
}

impl pallet_audits::benchmarking::BenchmarkHelper<AccountId> for People {
    fn subnet(validators: u32, miners: u32) -> Netuid {
        let founder = Self::rich("founder", 0);
        let signed = RuntimeOrigin::signed(founder.clone());
        Subnets::create_subnet(signed, Balance::MAX).expect("there is room for a subnet");
        let netuid = pallet_subnets::LastNetuid::<Runtime>::get();
        let rules = Subnets::hyperparameters(netuid).expect("the subnet exists");
        for index in 0..validators {
            let owner = Self::rich("owner", index);
            Self::member(&owner, netuid, index, Role::Validator);
        }
        for index in validators..validators.saturating_add(miners) {
            let hotkey = Self::member(&founder, netuid, index, Role::Miner);
            let signed = RuntimeOrigin::signed(founder.clone());
            Stake::add_bond(signed, netuid, hotkey, rules.min_miner_bond)
                .expect("the founder can pay");
        }
        netuid
    }
}

impl pallet_endpoints::benchmarking::BenchmarkHelper<AccountId> for People {
    fn member() -> (Netuid, AccountId) {
        use pallet_audits::benchmarking::BenchmarkHelper;
        let netuid = <People as BenchmarkHelper<AccountId>>::subnet(1, 0);
        let mut members = <Subnets as Membership<AccountId>>::members(netuid);
        (netuid, members.pop().expect("there is one").1)
    }
}

impl pallet_emissions::benchmarking::BenchmarkHelper for People {
    fn subnet(validators: u32, others: u32, commit_reveal: bool) -> Netuid {
        use pallet_training::benchmarking::BenchmarkHelper;
        let netuid = <People as BenchmarkHelper>::subnet(validators, others);
        let owner = RuntimeOrigin::signed(Subnets::owner(netuid).expect("the subnet exists"));
        Training::start_run(owner, netuid, run_config()).expect("the owner may");
        everybody_worked::<Runtime>(netuid);
        pallet_subnets::RulesOf::<Runtime>::mutate_extant(netuid, |rules| {
            rules.present.commit_reveal = commit_reveal;
        });
        netuid
    }
}

impl pallet_stake::benchmarking::BenchmarkHelper<AccountId> for People {
    fn subnet(coldkey: &AccountId, hotkeys: &[AccountId]) -> Netuid {
        let founder = Self::rich("founder", 0);
        let price = Balance::MAX;
        Subnets::create_subnet(RuntimeOrigin::signed(founder), price)
            .expect("there is room for a subnet");
        let netuid = pallet_subnets::LastNetuid::<Runtime>::get();
        Balances::mint_into(coldkey, WEALTH).expect("an account can hold it");
        for hotkey in hotkeys {
            let (coldkey, hotkey) = (coldkey.clone(), hotkey.clone());
            Subnets::join(netuid, coldkey, hotkey, Role::Validator, price)
                .expect("there is a seat");
        }
        netuid
    }
}

/// What a block has to do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Issuance, and looking what is due.
    Nothing,
    /// The end of a round to which every miner has contributed, and the beginning of the next.
    Round,
    /// An epoch.
    Epoch,
}

/// Blocks before the one that is measured: the run has begun, and there is something in the pots.
const BLOCKS_BEFORE: u64 = 6;

/// Brings an empty state to where the block of the returned header does what is due: a full subnet trains
/// whose validators have all set scores on all others, and have bonds in them.
pub fn stage(due: Due) -> Header {
    let mut parent = Hash::zero();
    let mut netuid = Netuid::default();
    for slot in 1..=BLOCKS_BEFORE {
        let header = open(slot, parent);
        Executive::initialize_block(&header);
        let now = slot.saturating_mul(block_time::Milliseconds::<Runtime>::get());
        let timestamp = RuntimeCall::Timestamp(pallet_timestamp::Call::set { now });
        Executive::apply_extrinsic(UncheckedExtrinsic::new_bare(timestamp))
            .expect("inherents are valid")
            .expect("inherents succeed");
        if slot == 1 {
            netuid = full_subnet();
        }
        if slot == BLOCKS_BEFORE {
            make_due(netuid, due);
        }
        parent = Executive::finalize_block().hash();
    }
    open(BLOCKS_BEFORE.saturating_add(1), parent)
}

/// The header with which the next block, of authority 0, begins.
fn open(slot: u64, parent: Hash) -> Header {
    let claim = PreDigest::SecondaryPlain(SecondaryPlainPreDigest {
        authority_index: 0,
        slot: slot.into(),
    });
    let logs = vec![<DigestItem as CompatibleDigestItem>::babe_pre_digest(claim)];
    let number = System::block_number().saturating_add(1);
    sp_runtime::traits::Header::new(number, Hash::zero(), Hash::zero(), parent, Digest { logs })
}

/// A subnet with all members that there can be, which trains, and in which every validator has set scores
/// on everybody else, and has bonds in them.
fn full_subnet() -> Netuid {
    use pallet_training::benchmarking::BenchmarkHelper;
    let netuid = People::subnet(MAX_VALIDATORS, MAX_MEMBERS.saturating_sub(MAX_VALIDATORS));
    let owner = RuntimeOrigin::signed(Subnets::owner(netuid).expect("the subnet exists"));
    Training::start_run(owner, netuid, run_config()).expect("the owner may");
    let members = Subnets::members(netuid);
    everybody_worked::<Runtime>(netuid);
    pallet_emissions::Emitting::<Runtime>::insert(netuid, true);
    for (own, _) in members.iter().take(MAX_VALIDATORS as usize) {
        weigh_all_others(netuid, *own, &members);
    }
    netuid
}

/// Lets a validator have set scores on everybody else, and have bonds in them.
fn weigh_all_others(netuid: Netuid, own: Uid, members: &[(Uid, AccountId)]) {
    let others = members.iter().filter(|(uid, _)| *uid != own);
    let row: Vec<(Uid, u16)> = others
        .map(|(uid, _)| (*uid, uid.get().saturating_add(1_000)))
        .collect();
    let scores = pallet_emissions::Row::truncate_from(row);
    pallet_emissions::Bonds::<Runtime>::insert(netuid, own, scores.clone());
    let set_at = System::block_number();
    let file = cairn_primitives::Served {
        root: Default::default(),
        length: 1,
    };
    let evidence = Some(cairn_primitives::api::EvidenceCommit { epoch: 0, file });
    let vote = pallet_emissions::Vote {
        set_at,
        scores,
        evidence,
    };
    pallet_emissions::Votes::<Runtime>::insert(netuid, own, vote);
}

/// Makes something due in the next block.
fn make_due(netuid: Netuid, due: Due) {
    let next = System::block_number().saturating_add(1);
    match due {
        Due::Nothing => {}
        Due::Round => {
            everybody_contributed::<Runtime>(netuid).expect("the round has begun");
            let mut run = pallet_training::Runs::<Runtime>::get(netuid).expect("there is a run");
            pallet_training::Agenda::<Runtime>::remove(run.times.due, netuid);
            pallet_training::Agenda::<Runtime>::insert(next, netuid, ());
            run.times.due = next;
            pallet_training::Runs::<Runtime>::insert(netuid, run);
        }
        Due::Epoch => {
            let ledger = pallet_emissions::SubnetLedgers::<Runtime>::get(netuid);
            let from = ledger.expect("blocks have seen the subnet").tempo_from;
            pallet_subnets::RulesOf::<Runtime>::mutate_extant(netuid, |rules| {
                rules.present.tempo = next.saturating_sub(from);
            });
        }
    }
}
