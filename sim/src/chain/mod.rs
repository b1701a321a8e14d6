//! The chain: blocks of the real runtime in memory, with inherents, signatures, fees, extensions and hooks.
//!
//! Each block that a member may still look at keeps its state, so a view is read at that block and a re-organisation is
//! another block on an ancestor. Finality follows the best block at some distance, and nothing final is undone.

pub mod keys;
pub mod pool;
pub mod reads;

use std::collections::BTreeMap;

use cairn_primitives::{BlockNumber, H256};
use cairn_runtime::{
    audit, block_time, presets, Executive, Header, Runtime, RuntimeCall, RuntimeGenesisConfig,
    System, UncheckedExtrinsic,
};
use codec::Encode;
use frame_support::genesis_builder_helper::build_state;
use serde_json::Value;
use sp_consensus_babe::digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest};
use sp_io::TestExternalities;
use sp_runtime::{
    generic::{Digest, DigestItem},
    traits::Header as _,
    transaction_validity::TransactionSource,
};
use sp_state_machine::InMemoryBackend;

use keys::Key;
use pool::{author, Pool, Waiting};

/// Blocks whose state is kept behind the finalised one, for members that hear of new blocks late.
const KEPT: BlockNumber = 8;

/// The whole state is audited after every so many blocks, which takes longer than making them; the totals after each.
const LOOK_AT_ALL: BlockNumber = 5;

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

/// Why there is no chain to begin with.
#[derive(Debug, thiserror::Error)]
#[error("the genesis cannot be built: {0}; report it with the command")]
pub struct GenesisError(String);

/// A chain, and the pool of the node that makes its blocks.
pub struct Chain {
    blocks: BTreeMap<H256, Block>,
    best: Id,
    finalised: Id,
    forks: u64,
    /// Where a state is while it is asked.
    hand: TestExternalities,
    /// What waits for a block.
    pub pool: Pool,
    reads: reads::Reads,
}

/// A block that was made.
#[derive(Debug)]
pub struct Made {
    /// Which.
    pub id: Id,
    /// What is wrong with the books after it.
    pub audit: Result<(), String>,
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

/// The genesis of a development chain with these patches.
fn genesis(patch: Value) -> Result<Vec<u8>, GenesisError> {
    let failed = |error: serde_json::Error| GenesisError(error.to_string());
    let preset = presets::get(&cairn_runtime::DEVELOPMENT_PRESET.into())
        .ok_or_else(|| GenesisError("there is no development preset".into()))?;
    let mut genesis = serde_json::to_value(RuntimeGenesisConfig::default()).map_err(failed)?;
    lay_over(
        &mut genesis,
        serde_json::from_slice(&preset).map_err(failed)?,
    );
    lay_over(&mut genesis, patch);
    Ok(genesis.to_string().into_bytes())
}

impl Chain {
    /// A development chain whose genesis has these patches, and its block 1, which is empty.
    ///
    /// # Errors
    /// [`GenesisError`] if the runtime does not take the genesis.
    pub fn new(patch: Value) -> Result<Chain, GenesisError> {
        let genesis = genesis(patch)?;
        let mut hand = TestExternalities::default();
        hand.execute_with(|| build_state::<RuntimeGenesisConfig>(genesis))
            .map_err(GenesisError)?;
        hand.commit_all().map_err(GenesisError)?;
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
            best: root,
            finalised: root,
            forks: 0,
            hand,
            pool: Pool::default(),
            reads: reads::Reads::default(),
        };
        chain.make(1);
        Ok(chain)
    }

    /// The best block.
    pub fn best(&self) -> Id {
        self.best
    }

    /// The finalised block.
    pub fn finalised(&self) -> Id {
        self.finalised
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

    /// Asks the state of the best block.
    pub fn ask_best<R: Default>(&mut self, question: impl FnOnce() -> R) -> R {
        self.ask(self.best, question).unwrap_or_default()
    }

    /// A transaction comes to the pool. Gives its name.
    pub fn submit(&mut self, extrinsic: UncheckedExtrinsic) -> H256 {
        let id = name(&extrinsic);
        let checked = extrinsic.clone();
        let hash = self.best.hash;
        let validity = self.ask(self.best, || {
            Executive::validate_transaction(TransactionSource::External, checked, hash)
        });
        if let Some(validity) = validity {
            self.pool.add(id, extrinsic, validity);
        }
        id
    }

    /// Signs a call with the next nonce that the best block has for the key, and gives it to the pool.
    pub fn submit_call(&mut self, key: &Key, call: RuntimeCall) -> Option<H256> {
        let extrinsic = self.sign(self.best, key, 0, 0, call)?;
        Some(self.submit(extrinsic))
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

    /// The next block, at `slot`, on the best one.
    pub fn make(&mut self, slot: u64) -> Made {
        let waiting = self.pool.take();
        self.make_of(self.best, slot, waiting)
    }

    fn make_of(&mut self, parent: Id, slot: u64, waiting: Vec<Waiting>) -> Made {
        let Some(state) = self
            .blocks
            .get(&parent.hash)
            .map(|block| block.state.clone())
        else {
            let audit = Err("the parent's state is gone".into());
            return Made { id: parent, audit };
        };
        self.hand.backend = state;
        let header = open(parent, slot, self.forks);
        let mut transactions = Vec::new();
        let (header, (left, out), audit) = self.hand.execute_with(|| {
            Executive::initialize_block(&header);
            let now = slot * block_time::Milliseconds::<Runtime>::get();
            let inherent = RuntimeCall::Timestamp(pallet_timestamp::Call::set { now });
            let inherent = Executive::apply_extrinsic(UncheckedExtrinsic::new_bare(inherent));
            let rest = author(waiting, |one| {
                let outcome = Executive::apply_extrinsic(one.extrinsic.clone())?;
                transactions.push(Included {
                    id: one.id,
                    extrinsic: one.extrinsic.clone(),
                    failure: outcome.err().map(|error| format!("{error:?}")),
                });
                Ok(())
            });
            let header = Executive::finalize_block();
            let inherent = match inherent {
                Ok(Ok(())) => Ok(()),
                refused => Err(format!("the timestamp was refused: {refused:?}")),
            };
            let books = if header.number.is_multiple_of(LOOK_AT_ALL) {
                audit::everything()
            } else {
                audit::money()
            };
            let books = books.map_err(|error| format!("{error:?}"));
            (header, rest, inherent.and(books))
        });
        let kept = self.hand.commit_all();
        let id = Id {
            number: header.number,
            hash: header.hash(),
        };
        let block = Block {
            id,
            parent: parent.hash,
            slot,
            state: std::mem::take(&mut self.hand).backend,
            transactions,
        };
        self.blocks.insert(id.hash, block);
        self.best = id;
        for (id, error) in out {
            self.pool.refuse(id, error);
        }
        for one in left {
            self.submit(one.extrinsic);
        }
        Made {
            id,
            audit: audit.and(kept),
        }
    }

    /// Builds another branch on the block `depth` below the best one, one block longer than the present one, whose last
    /// block is at `slot`. What was in the blocks that go is back in the pool; `delay` says which of it the branch takes no
    /// notice of before its end. Nothing final is undone: `None` if it would be.
    pub fn fork(
        &mut self,
        depth: BlockNumber,
        slot: u64,
        mut delay: impl FnMut() -> bool,
    ) -> Option<Vec<Made>> {
        let (mut back, mut slots) = (Vec::new(), vec![slot]);
        let mut at = self.best;
        for _ in 0..depth {
            if at == self.finalised {
                return None;
            }
            let block = self.blocks.get(&at.hash)?;
            slots.push(block.slot);
            back.extend(block.transactions.iter().rev().cloned());
            at = self.blocks.get(&block.parent)?.id;
        }
        self.forks += 1;
        back.reverse();
        let mut late: Vec<UncheckedExtrinsic> = Vec::new();
        let waiting = self.pool.take();
        self.best = at;
        for one in back {
            if delay() {
                late.push(one.extrinsic);
            } else {
                self.submit(one.extrinsic);
            }
        }
        late.extend(waiting.into_iter().map(|one| one.extrinsic));
        let mut made = Vec::new();
        while let Some(slot) = slots.pop() {
            if slots.is_empty() {
                for extrinsic in late.drain(..) {
                    self.submit(extrinsic);
                }
            }
            made.push(self.make(slot));
        }
        Some(made)
    }

    /// Finality reaches the block `lag` below the best one, if it was not further already. Gives the finalised block.
    pub fn finalise(&mut self, lag: BlockNumber) -> Id {
        let mut at = self.best;
        for _ in 0..lag {
            match self.blocks.get(&at.hash) {
                Some(block) if at.number > self.finalised.number => {
                    at = self
                        .blocks
                        .get(&block.parent)
                        .map_or(at, |parent| parent.id);
                }
                _ => break,
            }
        }
        if at.number > self.finalised.number {
            self.finalised = at;
        }
        let oldest = self.finalised.number.saturating_sub(KEPT);
        self.blocks.retain(|_, block| block.id.number >= oldest);
        self.reads.forget(oldest);
        self.finalised
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

    /// The transactions of a block.
    pub fn transactions(&self, at: Id) -> &[Included] {
        self.blocks
            .get(&at.hash)
            .map_or(&[], |block| &block.transactions)
    }
}

/// The header with which a block of authority 0 begins. The number of forks so far tells branches apart.
fn open(parent: Id, slot: u64, forks: u64) -> Header {
    let claim = PreDigest::SecondaryPlain(SecondaryPlainPreDigest {
        authority_index: 0,
        slot: slot.into(),
    });
    let logs = vec![
        <DigestItem as CompatibleDigestItem>::babe_pre_digest(claim),
        DigestItem::PreRuntime(*b"fork", forks.encode()),
    ];
    Header::new(
        parent.number.saturating_add(1),
        H256::zero(),
        H256::zero(),
        parent.hash,
        Digest { logs },
    )
}

/// A transaction's name: the hash of its bytes.
pub fn name(extrinsic: &UncheckedExtrinsic) -> H256 {
    H256(*blake3::hash(&extrinsic.encode()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::CRN;
    use serde_json::json;

    fn chain(key: &Key) -> Chain {
        let balances = vec![(key.account().clone(), CRN)];
        Chain::new(json!({ "balances": { "balances": balances } })).expect("a genesis")
    }

    fn remark(text: &str) -> RuntimeCall {
        let remark = text.as_bytes().to_vec();
        RuntimeCall::System(frame_system::Call::remark { remark })
    }

    #[test]
    fn a_pebble_too_many_is_found_and_a_question_changes_nothing() {
        let mut chain = chain(&Key::of("somebody"));
        let mut books = |wrong: u64| {
            chain.ask(chain.best(), || {
                pallet_balances::TotalIssuance::<Runtime>::mutate(|issued| *issued += wrong);
                audit::money()
            })
        };
        assert_eq!(books(0), Some(Ok(())));
        assert!(matches!(books(1), Some(Err(_))));
        assert_eq!(books(0), Some(Ok(())));
    }

    #[test]
    fn what_a_fork_undoes_is_in_the_new_branch_again_and_nothing_final_is_undone() {
        let key = Key::of("somebody");
        let mut chain = chain(&key);
        let id = chain.submit_call(&key, remark("a")).expect("it is signed");
        chain.make(2);
        chain.make(3);
        let before = chain.best();
        assert_eq!(chain.find(id, before), Some((2, None)));
        let made = chain.fork(2, 4, || true).expect("nothing is final");
        assert!(made.iter().all(|one| one.audit.is_ok()));
        let best = chain.best();
        assert_eq!(best.number, before.number + 1);
        // It was late, so the last block has it.
        assert_eq!(chain.find(id, best), Some((4, None)));
        assert_eq!(chain.find(id, before), Some((2, None)));
        chain.finalise(1);
        assert!(chain.fork(2, 5, || false).is_none());
        assert_eq!(chain.best(), best);
    }

    #[test]
    fn a_second_transaction_waits_for_the_first_and_a_stale_one_is_refused() {
        let key = Key::of("somebody");
        let mut chain = chain(&key);
        let best = chain.best();
        let mut sign = |ahead| chain.sign(best, &key, ahead, 0, remark("a"));
        let (first, second) = (sign(0).expect("signed"), sign(1).expect("signed"));
        let second = chain.submit(second);
        chain.make(2);
        assert_eq!(chain.find(second, chain.best()), None);
        let first = chain.submit(first.clone());
        chain.make(3);
        assert_eq!(chain.find(first, chain.best()), Some((3, None)));
        assert_eq!(chain.find(second, chain.best()), Some((3, None)));
        assert!(chain.pool.is_empty());
        let stale = chain.sign(best, &key, 0, 0, remark("b")).expect("signed");
        let stale = chain.submit(stale);
        assert!(chain.pool.refusal(stale).is_some());
    }
}
