//! Making blocks, as an author does.

use cairn_primitives::{BlockNumber, H256};
use cairn_runtime::{
    audit, block_time, Executive, Header, Runtime, RuntimeCall, UncheckedExtrinsic,
};
use codec::Encode;
use sp_consensus_babe::digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest};
use sp_runtime::{
    generic::{Digest, DigestItem},
    traits::Header as _,
    transaction_validity::TransactionValidityError,
};

use super::{
    name,
    pool::{author, Pool, Waiting},
    Block, Chain, Id, Included, Part,
};

/// The whole state is audited after every so many blocks, which takes longer than making them; the totals after each.
const LOOK_AT_ALL: BlockNumber = 5;

/// A block that was made.
#[derive(Debug)]
pub struct Made {
    /// Which.
    pub id: Id,
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
        let side = self.side_mut(part);
        let (parent, waiting) = (side.best, side.pool.take());
        let authored = self.author(parent, slot, waiting);
        let side = self.side_mut(part);
        side.best = authored.made.id;
        for (id, error) in authored.out {
            side.pool.refuse(id, error);
        }
        for one in authored.left {
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
        let hidden = self.author(parent, slot, pool.take()).made.id;
        // Or an honest author might make the very same block.
        self.branches += 1;
        Some(hidden)
    }

    fn author(&mut self, parent: Id, slot: u64, waiting: Vec<Waiting>) -> Authored {
        let Some(state) = self
            .blocks
            .get(&parent.hash)
            .map(|block| block.state.clone())
        else {
            let audit = Err("the parent's state is gone".into());
            return Authored {
                made: Made { id: parent, audit },
                left: waiting,
                out: Vec::new(),
            };
        };
        self.hand.backend = state;
        let header = open(parent, slot, self.branches);
        let mut transactions = Vec::new();
        let (header, (left, out), audit) = self
            .hand
            .execute_with(|| execute(&header, slot, waiting, &mut transactions));
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
        let audit = audit.and(kept);
        Authored {
            made: Made { id, audit },
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
    slot: u64,
    waiting: Vec<Waiting>,
    transactions: &mut Vec<Included>,
) -> (Header, Rest, Result<(), String>) {
    Executive::initialize_block(header);
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
