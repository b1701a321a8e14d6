//! The chain: blocks of the real runtime in memory, with inherents, signatures, fees, extensions and hooks.
//!
//! Each block that a member may still look at keeps its state, so a view is read at that block and a branch is
//! another block on an ancestor (`blocks`). Usually all nodes hear of each other; while the network is split, each
//! side has its own best block and its own pool (`branches`). Nothing final is undone.

mod blocks;
mod branches;
pub mod calls;
pub mod founding;
mod genesis;
pub mod keys;
pub mod pool;
pub mod reads;

use std::collections::BTreeMap;

use cairn_primitives::{BlockNumber, H256};
use cairn_runtime::{Executive, RuntimeGenesisConfig, System, UncheckedExtrinsic};
use codec::Encode;
use frame_support::genesis_builder_helper::build_state;
use serde_json::Value;
use sp_io::TestExternalities;
use sp_runtime::transaction_validity::{TransactionSource, TransactionValidity};
use sp_state_machine::InMemoryBackend;

pub use blocks::Made;
// Whoever asks a state needs no other crate.
pub use cairn_runtime::{readers, AccountId, RuntimeCall};
pub use genesis::GenesisError;

use keys::Key;
use pool::Pool;

use crate::rng::Rng;

/// A block's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Its number.
    pub number: BlockNumber,
    /// Its hash.
    pub hash: H256,
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub struct Included {
    /// Hash of its bytes.
    pub id: H256,
    /// The transaction.
    pub extrinsic: UncheckedExtrinsic,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

struct Block {
    id: Id,
    parent: H256,
    slot: u64,
    state: InMemoryBackend<sp_core::Blake2Hasher>,
    transactions: Vec<Included>,
}

/// A part of the network, by its number.
pub type Part = usize;

/// All nodes while the network is whole; the one of two parts that goes on otherwise.
pub const MAIN: Part = 0;
/// The other part.
pub const OTHER: Part = 1;

/// Nodes that hear of each other: their best and finalised blocks, and what waits there for a block.
#[derive(Clone, Debug)]
struct Side {
    best: Id,
    finalised: Id,
    pool: Pool,
}

/// Blocks, and the nodes that make them.
pub struct Chain {
    blocks: BTreeMap<H256, Block>,
    main: Side,
    /// While the network is split.
    other: Option<Side>,
    branches: u64,
    /// What the authors' VRF outputs are drawn from.
    authors: Rng,
    /// Where a state is while it is asked.
    hand: TestExternalities,
    reads: reads::Reads,
}

impl Chain {
    /// A development chain whose genesis has these patches, and its block 1, which is empty. `authors` draws what the
    /// VRF of each slot's author would give.
    ///
    /// # Errors
    /// [`GenesisError`] if the runtime does not take the genesis.
    pub fn new(patch: Value, authors: Rng) -> Result<Chain, GenesisError> {
        let genesis = genesis::genesis(patch)?;
        let mut hand = TestExternalities::default();
        hand.execute_with(|| build_state::<RuntimeGenesisConfig>(genesis))
            .map_err(GenesisError::from)?;
        hand.commit_all().map_err(GenesisError::from)?;
        let root = Id {
            number: 0,
            hash: H256::zero(),
        };
        let first = Block {
            id: root,
            parent: H256::zero(),
            slot: 0,
            state: hand.backend.clone(),
            transactions: Vec::new(),
        };
        let mut chain = Chain {
            blocks: BTreeMap::from([(root.hash, first)]),
            main: Side {
                best: root,
                finalised: root,
                pool: Pool::default(),
            },
            other: None,
            branches: 0,
            authors,
            hand,
            reads: reads::Reads::default(),
        };
        chain.make(MAIN, 1);
        Ok(chain)
    }

    /// A side; of a network that is whole there is but one.
    fn side(&self, part: Part) -> &Side {
        match (&self.other, part) {
            (Some(other), OTHER) => other,
            _ => &self.main,
        }
    }

    fn side_mut(&mut self, part: Part) -> &mut Side {
        match (&mut self.other, part) {
            (Some(other), OTHER) => other,
            _ => &mut self.main,
        }
    }

    /// The best block of the main part.
    pub fn best(&self) -> Id {
        self.main.best
    }

    /// The block with this hash, if its state is still kept.
    pub fn id_of(&self, hash: H256) -> Option<Id> {
        self.blocks.get(&hash).map(|block| block.id)
    }

    /// The best and the finalised block of a part.
    pub fn head(&self, part: Part) -> (Id, Id) {
        let side = self.side(part);
        (side.best, side.finalised)
    }

    /// Asks the state of a block; nothing of what that changes is kept. `None` if that state is no longer kept.
    pub fn ask<R>(&mut self, at: Id, question: impl FnOnce() -> R) -> Option<R> {
        let block = self.blocks.get_mut(&at.hash)?;
        std::mem::swap(&mut self.hand.backend, &mut block.state);
        let answer = self.hand.execute_with(question);
        self.hand.reset_overlay();
        std::mem::swap(&mut self.hand.backend, &mut block.state);
        Some(answer)
    }

    /// Asks the state of the main part's best block.
    pub fn ask_best<R: Default>(&mut self, question: impl FnOnce() -> R) -> R {
        self.ask(self.main.best, question).unwrap_or_default()
    }

    /// A transaction comes to the pool of a part. Gives its name.
    pub fn submit(&mut self, part: Part, extrinsic: UncheckedExtrinsic) -> H256 {
        let id = name(&extrinsic);
        let best = self.side(part).best;
        if let Some(validity) = self.validate(best, &extrinsic) {
            self.side_mut(part).pool.add(id, extrinsic, validity);
        }
        id
    }

    /// What the runtime says of a transaction at a block.
    fn validate(&mut self, at: Id, extrinsic: &UncheckedExtrinsic) -> Option<TransactionValidity> {
        let checked = extrinsic.clone();
        self.ask(at, || {
            Executive::validate_transaction(TransactionSource::External, checked, at.hash)
        })
    }

    /// Why a part's pool refused a transaction, if it did.
    pub fn refusal(&self, part: Part, transaction: H256) -> Option<&str> {
        self.side(part).pool.refusal(transaction)
    }

    /// The transactions that wait in a part's pool.
    pub fn waiting(&self, part: Part) -> impl Iterator<Item = &UncheckedExtrinsic> {
        self.side(part).pool.waiting()
    }

    /// Signs a call as of block `at`, `ahead` nonces after the next one.
    pub fn sign(
        &mut self,
        at: Id,
        key: &Key,
        ahead: u32,
        tip: u64,
        call: RuntimeCall,
    ) -> Option<UncheckedExtrinsic> {
        self.ask(at, || {
            let nonce = System::account_nonce(key.account()).saturating_add(ahead);
            key.sign(nonce, tip, call)
        })?
    }

    /// The transactions of a block; none if it is no longer kept.
    pub fn transactions(&self, at: Id) -> &[Included] {
        let block = self.blocks.get(&at.hash);
        block
            .map(|block| block.transactions.as_slice())
            .unwrap_or_default()
    }

    /// Where a transaction is in the chain that ends with block `head`, and whether it failed there.
    pub fn find(&self, transaction: H256, head: Id) -> Option<(BlockNumber, Option<String>)> {
        let mut at = self.blocks.get(&head.hash)?;
        loop {
            let mut found = at.transactions.iter();
            if let Some(one) = found.find(|one| one.id == transaction) {
                return Some((at.id.number, one.failure.clone()));
            }
            at = self.blocks.get(&at.parent).filter(|_| at.id.number > 0)?;
        }
    }
}

/// A transaction's name: the hash of its bytes.
pub fn name(extrinsic: &UncheckedExtrinsic) -> H256 {
    H256(*blake3::hash(&extrinsic.encode()).as_bytes())
}
