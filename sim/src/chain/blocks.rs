//! Making blocks, as an author does.

use cairn_primitives::{BlockNumber, H256};
use cairn_runtime::{
    audit, block_time, Executive, Header, Runtime, RuntimeCall, UncheckedExtrinsic,
};
use codec::Encode;
use frame_support::storage::with_transaction_unchecked;
use sp_consensus_babe::digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest};
use sp_runtime::{
    generic::{Digest, DigestItem},
    traits::Header as _,
    transaction_validity::TransactionValidityError,
    ApplyExtrinsicResult, TransactionOutcome,
};

use super::{
    name,
    pool::{author, Pool, Waiting},
    Block, Chain, Id, Included, Part,
};
use crate::rng::Rng;

/// The whole state is audited after every so many blocks, which takes longer than making them; the totals after each.
const LOOK_AT_ALL: BlockNumber = 5;

/// A block that was made.
#[derive(Debug)]
pub struct Made {
    /// Which.
    pub id: Id,
    /// The block before it.
    pub parent: Id,
    /// What is wrong with the books after it.
    pub audit: Result<(), String>,
}

/// A block, what waits on, and what is out with the reason.
struct Authored {
    made: Made,
    left: Vec<Waiting>,
    out: Vec<(H256, TransactionValidityError)>,
}

impl Chain {
    /// The next block of a part, at `slot`, on its best one.
    pub fn make(&mut self, part: Part, slot: u64) -> Made {
        self.make_of(part, slot, || true)
    }

    /// The same by an author that has heard of some of what waits only.
    pub fn make_of(&mut self, part: Part, slot: u64, mut has_heard: impl FnMut() -> bool) -> Made {
        let side = self.side_mut(part);
        let (parent, waiting) = (side.best, side.pool.take());
        let (waiting, unheard): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|_| has_heard());
        let draw = self.authors.fork_at("slot", slot);
        let authored = self.author(parent, (slot, draw), waiting);
        let side = self.side_mut(part);
        side.best = authored.made.id;
        for (id, error) in authored.out {
            side.pool.refuse(id, error);
        }
        for one in authored.left.into_iter().chain(unheard) {
            self.submit(part, one.extrinsic);
        }
        authored.made
    }

    /// A block with these transactions on any other, of which no honest node hears: who lies about the chain makes one.
    /// `None` if the parent's state is no longer kept.
    pub fn make_hidden(&mut self, parent: Id, with: Vec<UncheckedExtrinsic>) -> Option<Id> {
        let slot = self.blocks.get(&parent.hash)?.slot.saturating_add(1);
        let mut pool = Pool::default();
        for extrinsic in with {
            let validity = self.validate(parent, &extrinsic)?;
            pool.add(name(&extrinsic), extrinsic, validity);
        }
        self.branches += 1;
        // Who is no author of the slot does not know what its VRF gives.
        let draw = self.authors.fork_at("hidden", self.branches);
        let hidden = self.author(parent, (slot, draw), pool.take()).made.id;
        // Or an honest author might make the very same block.
        self.branches += 1;
        Some(hidden)
    }

    /// Asks the state that the next block of a part would leave, at `slot` and with what waits in its pool. Nothing of
    /// that is kept: the block is not made. `None` if the best block's state is no longer kept.
    pub fn ask_next<R>(
        &mut self,
        part: Part,
        slot: u64,
        question: impl FnOnce() -> R,
    ) -> Option<R> {
        let (parent, waiting) = {
            let side = self.side(part);
            (side.best, side.pool.clone().take())
        };
        let header = open(parent, slot, self.branches);
        let mut draw = self.authors.fork_at("slot", slot);
        self.ask(parent, || {
            // What is wrong with its books shows when it is made.
            let _ = execute(&header, (slot, &mut draw), waiting, &mut Vec::new());
            question()
        })
    }

    fn author(
        &mut self,
        parent: Id,
        (slot, mut draw): (u64, Rng),
        waiting: Vec<Waiting>,
    ) -> Authored {
        let Some(state) = self
            .blocks
            .get(&parent.hash)
            .map(|block| block.state.clone())
        else {
            let audit = Err("the parent's state is gone".into());
            return Authored {
                made: Made {
                    id: parent,
                    parent,
                    audit,
                },
                left: waiting,
                out: Vec::new(),
            };
        };
        self.hand.backend = state;
        let header = open(parent, slot, self.branches);
        let mut transactions = Vec::new();
        let (header, (left, out), audit) = self
            .hand
            .execute_with(|| execute(&header, (slot, &mut draw), waiting, &mut transactions));
        let kept = self.hand.commit_all();
        let mut state = std::mem::take(&mut self.hand).backend;
        // What is left is without the nodes of its trie that only earlier blocks had.
        state.backend_storage_mut().purge();
        let id = Id {
            number: header.number,
            hash: header.hash(),
        };
        let block = Block {
            id,
            parent: parent.hash,
            slot,
            state,
            transactions,
        };
        self.blocks.insert(id.hash, block);
        let audit = audit.and(kept);
        Authored {
            made: Made { id, parent, audit },
            left,
            out,
        }
    }
}

/// What waits on, and what is out.
type Rest = (Vec<Waiting>, Vec<(H256, TransactionValidityError)>);

/// Executes a block, and looks at the books after it.
fn execute(
    header: &Header,
    (slot, draw): (u64, &mut Rng),
    waiting: Vec<Waiting>,
    transactions: &mut Vec<Included>,
) -> (Header, Rest, Result<(), String>) {
    Executive::initialize_block(header);
    let now = slot * block_time::Milliseconds::<Runtime>::get();
    let inherent = RuntimeCall::Timestamp(pallet_timestamp::Call::set { now });
    let inherent = Executive::apply_extrinsic(UncheckedExtrinsic::new_bare(inherent));
    let rest = author(waiting, |one| {
        let outcome = apply(&one.extrinsic)?;
        transactions.push(Included {
            id: one.id,
            extrinsic: one.extrinsic.clone(),
            failure: outcome.err().map(|error| format!("{error:?}")),
        });
        Ok(())
    });
    let header = Executive::finalize_block();
    claim(draw);
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
}

/// Applies a transaction as an author does: of one that is not valid here nothing is kept, not even its nonce.
fn apply(extrinsic: &UncheckedExtrinsic) -> ApplyExtrinsicResult {
    with_transaction_unchecked(|| {
        let result = Executive::apply_extrinsic(extrinsic.clone());
        match result {
            Ok(_) => TransactionOutcome::Commit(result),
            Err(_) => TransactionOutcome::Rollback(result),
        }
    })
}

/// Notes the VRF output of a block's author, as its claim would: nobody knows it before the block, and what the block
/// contains does not change it.
fn claim(draw: &mut Rng) {
    let key = frame_support::storage::storage_prefix(b"Babe", b"AuthorVrfRandomness");
    sp_io::storage::set(&key, &Some(draw.secret()).encode());
}

/// The header with which a block of authority 0 begins. The number of branches so far tells branches apart.
fn open(parent: Id, slot: u64, branches: u64) -> Header {
    let claim = PreDigest::SecondaryPlain(SecondaryPlainPreDigest {
        authority_index: 0,
        slot: slot.into(),
    });
    let logs = vec![
        <DigestItem as CompatibleDigestItem>::babe_pre_digest(claim),
        DigestItem::PreRuntime(*b"fork", branches.encode()),
    ];
    Header::new(
        parent.number.saturating_add(1),
        H256::zero(),
        H256::zero(),
        parent.hash,
        Digest { logs },
    )
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use cairn_primitives::CRN;
    use cairn_runtime::configs::system::MAX_TRANSACTION_BYTES;
    use serde_json::json;

    #[test]
    fn what_finds_no_room_is_in_the_next_block_with_the_nonce_that_it_has() {
        let keys = ["one", "two", "three"].map(Key::of);
        let rich = |key: &Key| (key.account().clone(), 1_000_000 * CRN);
        let balances: Vec<_> = keys.iter().map(rich).collect();
        let patch = json!({ "balances": { "balances": balances } });
        let mut chain = Chain::new(patch, Rng::new(1)).expect("a genesis");
        let best = chain.best();
        // Of each as many as a pool takes ahead of their turn, and of all more than a block has room for.
        let bytes = MAX_TRANSACTION_BYTES as usize - 256;
        let long: Vec<H256> = (0..42)
            .flat_map(|ahead| keys.iter().map(move |key| (ahead, key)))
            .map(|(ahead, key)| {
                let remark = vec![ahead as u8; bytes];
                let call = RuntimeCall::System(frame_system::Call::remark { remark });
                let signed = chain.sign(best, key, ahead, 0, call);
                chain.submit(MAIN, signed.expect("it is signed"))
            })
            .collect();
        chain.make(MAIN, 2);
        chain.make(MAIN, 3);
        let found = long.iter().map(|id| chain.find(*id, chain.best()));
        let blocks: Vec<_> = found.map(|found| found.map(|(number, _)| number)).collect();
        let first = blocks.iter().filter(|block| **block == Some(2)).count();
        assert!((100..126).contains(&first), "{blocks:?}");
        let second = blocks.iter().filter(|block| **block == Some(3)).count();
        assert_eq!(first + second, blocks.len(), "{blocks:?}");
    }

    #[test]
    fn what_an_author_has_not_heard_of_waits_for_another_one() {
        let key = Key::of("somebody");
        let balances = vec![(key.account().clone(), CRN)];
        let patch = json!({ "balances": { "balances": balances } });
        let mut chain = Chain::new(patch, Rng::new(1)).expect("a genesis");
        let remark = vec![7];
        let call = RuntimeCall::System(frame_system::Call::remark { remark });
        let best = chain.best();
        let signed = chain.sign(best, &key, 0, 0, call);
        let id = chain.submit(MAIN, signed.expect("it is signed"));
        chain.make_of(MAIN, 2, || false);
        assert_eq!(chain.find(id, chain.best()), None);
        assert_eq!(chain.waiting(MAIN).count(), 1);
        chain.make(MAIN, 3);
        assert_eq!(chain.find(id, chain.best()), Some((3, None)));
    }

    #[test]
    fn what_waits_is_seen_in_the_next_block_before_there_is_one() {
        let key = Key::of("somebody");
        let balances = vec![(key.account().clone(), CRN)];
        let patch = json!({ "balances": { "balances": balances } });
        let mut chain = Chain::new(patch, Rng::new(1)).expect("a genesis");
        let best = chain.best();
        let remark = frame_system::Call::remark { remark: vec![1] };
        let signed = chain.sign(best, &key, 0, 0, RuntimeCall::System(remark));
        let id = chain.submit(MAIN, signed.expect("it is signed"));
        let nonce = || System::account_nonce(key.account());
        assert_eq!(chain.ask_next(MAIN, 2, nonce), Some(1));
        assert_eq!(chain.ask(best, nonce), Some(0));
        assert_eq!(chain.best(), best);
        assert_eq!(chain.find(id, best), None);
        let made = chain.make(MAIN, 2);
        assert_eq!(chain.find(id, made.id), Some((2, None)));
        assert_eq!(chain.ask(made.id, nonce), Some(1));
    }
}
