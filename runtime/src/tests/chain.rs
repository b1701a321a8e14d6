//! A chain in memory whose blocks go the whole way: inherents, signatures, fees, hooks, storage root. After
//! each block the state is audited.

use std::sync::LazyLock;

use cairn_primitives::{Netuid, Role};
use codec::Encode;
use frame_support::genesis_builder_helper::build_state;
use serde_json::Value;
use sp_consensus_babe::digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest};
use sp_core::{sr25519, Pair};
use sp_io::TestExternalities;
use sp_keyring::Sr25519Keyring;
use sp_runtime::{
    generic::{Digest, DigestItem, Era},
    traits::{Header as _, IdentifyAccount},
    ApplyExtrinsicResult, MultiSignature, MultiSigner, TransactionOutcome,
};

use crate::{
    audit, block_time,
    extensions::{CheckMetadataHash, FreeOrPaid, InTurn},
    presets, AccountId, Balance, Executive, Hash, Header, Nonce, Runtime, RuntimeCall,
    RuntimeGenesisConfig, SignedPayload, Subnets, System, TxExtension, UncheckedExtrinsic,
};

/// How many accounts the tests know.
pub const ACTORS: u8 = 18;

static PAIRS: LazyLock<Vec<sr25519::Pair>> = LazyLock::new(|| {
    let seed = |actor: u8| sr25519::Pair::from_seed(&[actor + 1; 32]);
    (0..ACTORS).map(seed).collect()
});

static ACCOUNTS: LazyLock<Vec<AccountId>> = LazyLock::new(|| {
    let account = |pair: &sr25519::Pair| MultiSigner::from(pair.public()).into_account();
    PAIRS.iter().map(account).collect()
});

/// Somebody who can sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Actor(pub u8);

impl Actor {
    /// Its account.
    pub fn account(self) -> AccountId {
        ACCOUNTS[usize::from(self.0)].clone()
    }

    /// Whose account it is.
    pub fn of(account: &AccountId) -> Option<Actor> {
        (0..ACTORS)
            .map(Actor)
            .find(|actor| actor.account() == *account)
    }

    /// What it signs to be registered as a hotkey of `coldkey`'s. Reads the chain's genesis, so it has to be asked
    /// within a block.
    pub fn registers(self, netuid: Netuid, coldkey: &AccountId) -> MultiSignature {
        let payload = Subnets::registration_payload(netuid, coldkey);
        MultiSignature::Sr25519(PAIRS[usize::from(self.0)].sign(&payload))
    }

    /// Its transaction, the next one by its nonce.
    pub fn sign(self, call: RuntimeCall) -> UncheckedExtrinsic {
        self.sign_nth(System::account_nonce(self.account()), call)
    }

    /// Its transaction with this nonce.
    pub fn sign_nth(self, nonce: Nonce, call: RuntimeCall) -> UncheckedExtrinsic {
        self.sign_with(nonce, 0, call)
    }

    /// Its transaction with this nonce and tip.
    pub fn sign_with(self, nonce: Nonce, tip: Balance, call: RuntimeCall) -> UncheckedExtrinsic {
        let account = self.account();
        let extension: TxExtension = (
            frame_system::CheckNonZeroSender::new(),
            frame_system::CheckSpecVersion::new(),
            frame_system::CheckTxVersion::new(),
            frame_system::CheckGenesis::new(),
            frame_system::CheckEra::from(Era::Immortal),
            InTurn::new(nonce),
            frame_system::CheckWeight::new(),
            FreeOrPaid::with_tip(tip),
            CheckMetadataHash::new(false),
            frame_system::WeightReclaim::new(),
        );
        let payload = SignedPayload::new(call.clone(), extension.clone()).expect("can be signed");
        let signature = payload.using_encoded(|bytes| PAIRS[usize::from(self.0)].sign(bytes));
        UncheckedExtrinsic::new_signed(
            call,
            account.into(),
            MultiSignature::Sr25519(signature),
            extension,
        )
    }
}

/// Lays a patch over a genesis, as a node does with a preset.
fn lay_over(base: &mut Value, patch: Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                lay_over(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, patch) => *base = patch,
    }
}

/// The genesis of a preset.
pub fn genesis(preset: &str) -> Value {
    let patch = presets::get(&preset.into()).expect("the preset exists");
    let mut genesis = serde_json::to_value(RuntimeGenesisConfig::default()).expect("plain data");
    lay_over(
        &mut genesis,
        serde_json::from_slice(&patch).expect("presets are JSON"),
    );
    genesis
}

/// Runs a test in block 1, which is not made by anybody, on the genesis of a preset; then audits the state.
pub fn on(preset: &str, test: impl FnOnce()) {
    TestExternalities::default().execute_with(|| {
        build_state::<RuntimeGenesisConfig>(genesis(preset).to_string().into_bytes())
            .expect("the preset builds");
        System::set_block_number(1);
        test();
        audit::everything().expect("the books are right");
    });
}

/// A chain of blocks.
pub struct Chain {
    state: TestExternalities,
    parent: Hash,
    slot: u64,
}

impl Chain {
    /// A chain that has only its genesis.
    pub fn new(genesis: &Value) -> Chain {
        let mut state = TestExternalities::default();
        state.execute_with(|| {
            build_state::<RuntimeGenesisConfig>(genesis.to_string().into_bytes())
                .expect("the genesis builds");
        });
        let mut chain = Chain {
            state,
            parent: Hash::zero(),
            slot: 0,
        };
        chain.keep();
        chain
    }

    /// A chain that goes on from a state in which there are blocks already.
    pub fn of(mut state: TestExternalities) -> Chain {
        let last = state.execute_with(pallet_babe::CurrentSlot::<Runtime>::get);
        // The time of the last one may be late in its slot, and here that of the next one is a slot's beginning.
        let slot = u64::from(last) + 1;
        let mut chain = Chain {
            state,
            parent: Hash::zero(),
            slot,
        };
        chain.keep();
        chain
    }

    /// One block, in which `work` may send transactions; `Err` if the books are wrong afterwards.
    pub fn block<R>(&mut self, work: impl FnOnce() -> R) -> Result<R, String> {
        self.slot += 1;
        let (slot, parent) = (self.slot, self.parent);
        let (result, header, audit) = self.state.execute_with(|| {
            let header = open(slot, parent);
            Executive::initialize_block(&header);
            send_bare(pallet_timestamp::Call::set {
                now: slot * block_time::Milliseconds::<Runtime>::get(),
            });
            let result = work();
            let header = Executive::finalize_block();
            (result, header, audit::everything())
        });
        self.parent = header.hash();
        self.keep();
        audit.map_err(|error| format!("block {}: {error:?}", header.number))?;
        Ok(result)
    }

    /// Asks after the last block; nothing of what that changes is kept.
    pub fn ask<R>(&mut self, question: impl FnOnce() -> R) -> R {
        self.state.execute_with(|| {
            frame_support::storage::with_transaction_unchecked(|| {
                TransactionOutcome::Rollback(question())
            })
        })
    }

    /// Moves what the last block changed into the trie, so that the next root costs what it changes.
    fn keep(&mut self) {
        self.state.commit_all().expect("no transaction is open");
    }
}

/// The header with which a block of authority 0 begins.
fn open(slot: u64, parent: Hash) -> Header {
    let claim = PreDigest::SecondaryPlain(SecondaryPlainPreDigest {
        authority_index: 0,
        slot: slot.into(),
    });
    let logs = vec![<DigestItem as CompatibleDigestItem>::babe_pre_digest(claim)];
    Header::new(
        System::block_number() + 1,
        Hash::zero(),
        Hash::zero(),
        parent,
        Digest { logs },
    )
}

fn send_bare(call: impl Into<RuntimeCall>) {
    Executive::apply_extrinsic(UncheckedExtrinsic::new_bare(call.into()))
        .expect("inherents are valid")
        .expect("inherents succeed");
}

/// The call by which `coldkey` registers one of the well-known keys as its hotkey, with that key's signature.
pub fn register(
    netuid: Netuid,
    hotkey: Sr25519Keyring,
    role: Role,
    coldkey: &AccountId,
) -> RuntimeCall {
    let payload = Subnets::registration_payload(netuid, coldkey);
    RuntimeCall::Subnets(pallet_subnets::Call::register {
        netuid,
        hotkey: hotkey.to_account_id(),
        role,
        max_price: Balance::MAX,
        signature: MultiSignature::Sr25519(hotkey.sign(&payload)),
    })
}

/// Sends a transaction within a block.
pub fn send(actor: Actor, call: RuntimeCall) -> ApplyExtrinsicResult {
    Executive::apply_extrinsic(actor.sign(call))
}
