//! Every block full of long remarks, without a tip: bytes that nobody needs, paid at their price.

use cairn_primitives::{BlockNumber, H256};
use cairn_runtime::{
    configs::system::{Length, MAX_TRANSACTION_BYTES},
    duties::Duty,
    RuntimeCall, TransactionPayment,
};
use codec::Encode;
use frame_support::dispatch::DispatchClass;

use super::{junk::ENVELOPE, Attack, Scene};
use crate::{
    behaviour::{Behaviour, Turn},
    chain::Included,
    settings::{Recruit, Role},
};

/// The attack.
pub const ATTACK: Attack = Attack {
    id: "D1",
    name: "junk-bytes",
    what:
        "two outsiders fill every block with remarks as long as a transaction may be, without a tip",
    beside: Role::Miner,
    attackers: ACCOUNTS,
    stage,
    setting: |_| (),
};

/// One account may not have as many waiting as a block takes.
const ACCOUNTS: usize = 2;

fn stage(scene: &Scene) -> Vec<Recruit> {
    scene.recruits(Role::Outsider, ATTACK.name, |number| JunkBytes {
        share: (number, scene.attackers.max(1)),
        ..JunkBytes::default()
    })
}

/// Fills its share of each block; the first of several tells what they saw.
#[derive(Default)]
struct JunkBytes {
    /// Which of how many.
    share: (usize, usize),
    /// The newest block that it saw.
    seen: Option<H256>,
    /// Blocks that it saw.
    blocks: BlockNumber,
    /// Of them, those that were full.
    full: BlockNumber,
    /// Members' duties that were done in these.
    duties: usize,
    /// What fees are multiplied by.
    price: f64,
}

/// Bytes that ordinary transactions have of a block.
fn room() -> usize {
    *Length::get().max.get(DispatchClass::Normal) as usize
}

impl JunkBytes {
    /// Looks at what the newest block has.
    fn looks(&mut self, turn: &mut Turn) {
        if self.seen.replace(turn.head.hash) == Some(turn.head.hash) {
            return;
        }
        let transactions = turn.chain.transactions(turn.head);
        let size = |one: &Included| one.extrinsic.encoded_size();
        let bytes: usize = transactions.iter().map(size).sum();
        let is_duty =
            |one: &&Included| one.failure.is_none() && Duty::is_owed(&one.extrinsic.function);
        let duties = transactions.iter().filter(is_duty).count();
        self.blocks += 1;
        // One more of the longest would not have fitted.
        if bytes + MAX_TRANSACTION_BYTES as usize > room() {
            self.full += 1;
            self.duties += duties;
        }
        let price = turn.chain.ask(turn.head, || {
            TransactionPayment::next_fee_multiplier().to_float()
        });
        self.price = price.unwrap_or(self.price);
    }
}

impl Behaviour for JunkBytes {
    fn acts(&mut self, turn: &mut Turn) {
        let (number, all) = self.share;
        if number == 0 {
            self.looks(turn);
        }
        let bytes = MAX_TRANSACTION_BYTES.saturating_sub(ENVELOPE) as usize;
        // One more than fit, so that none of the room is left.
        let own = (room() / bytes + 1).div_ceil(all);
        let coldkey = turn.coldkey.clone();
        for number in 0..own {
            let remark = vec![number as u8; bytes];
            let call = RuntimeCall::System(frame_system::Call::remark { remark });
            turn.send(&coldkey, call);
        }
    }

    fn tells(&self) -> Option<String> {
        let (full, blocks, duties, price) = (self.full, self.blocks, self.duties, self.price);
        (self.share.0 == 0).then(|| {
            format!(
                "{full} of {blocks} blocks that one saw were full, {duties} duties of members were done in these, and \
                 fees ended at {price:.3} times what they are in quiet blocks"
            )
        })
    }
}
