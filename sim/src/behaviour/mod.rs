//! What a member does otherwise than its machine would have it. An honest one does nothing otherwise; each attack is
//! a file.

pub mod honest;

use std::rc::Rc;

use cairn_primitives::{
    api::MemberInfo, Balance, Finding, Judgement, ModelRoot, Netuid, Round, Uid, Witness,
};
use cairn_round::{audit::Audit, machine::Transaction, plan::Plan, View};
use cairn_runtime::{AccountId, RuntimeCall, UncheckedExtrinsic};

use crate::{
    chain::{keys::Key, Chain, Id},
    clock::Millis,
    rng::Rng,
    store::Store,
    workshop::Theta,
};

/// A round in which a miner trains.
pub struct Lesson<'a> {
    /// The round.
    pub round: Round,
    /// The miner's slot.
    pub slot: u64,
    /// Who trains on what.
    pub plan: &'a Plan,
    /// Inner steps of a round.
    pub steps: u32,
    /// Sequences of an inner step.
    pub sequences: u64,
    /// Windows of the data set.
    pub windows: u64,
    /// The parameters with which the round began.
    pub theta: &'a Theta,
    /// Those before, if the miner held them.
    pub before: Option<&'a Theta>,
}

/// A moment at which a member has heard of a new block.
pub struct Turn<'a> {
    /// The chain.
    pub chain: &'a mut Chain,
    /// The store.
    pub store: &'a mut Store,
    /// What time it is.
    pub now: Millis,
    /// The best block that the member knows of.
    pub head: Id,
    /// The current round there.
    pub view: Option<Rc<View>>,
    /// The subnet.
    pub netuid: Netuid,
    /// The member's hotkey.
    pub hotkey: &'a Key,
    /// Its coldkey.
    pub coldkey: &'a Key,
    /// The owner of the subnet.
    pub owner: &'a Key,
    /// What it sends.
    pub calls: Vec<Send>,
    /// The block that it shows as the best one to those who rely on its node.
    pub shows: Option<Id>,
}

/// A call that a member sends beside its machine.
pub struct Send {
    /// Who signs.
    pub by: Key,
    /// What is added to the fee, in pebble.
    pub tip: Balance,
    /// The call.
    pub call: RuntimeCall,
}

impl Turn<'_> {
    /// Sends a call.
    pub fn send(&mut self, by: &Key, call: impl Into<RuntimeCall>) {
        self.send_with(by, 0, call);
    }

    /// Sends a call with a tip, in pebble.
    pub fn send_with(&mut self, by: &Key, tip: Balance, call: impl Into<RuntimeCall>) {
        self.calls.push(Send {
            by: by.clone(),
            tip,
            call: call.into(),
        });
    }

    /// The members of the subnet.
    pub fn members(&mut self) -> Vec<MemberInfo<AccountId>> {
        self.chain
            .members(self.head, self.netuid)
            .unwrap_or_default()
    }
}

/// Deviations from what an honest member does. Each defaults to none.
pub trait Behaviour {
    /// Inner steps that it does of `most`; none: it contributes nothing.
    fn steps(&mut self, round: Round, most: u32) -> u32 {
        let _ = round;
        most
    }

    /// Inner steps that it claims to have done.
    fn claims(&self, done: u32) -> u32 {
        done
    }

    /// The windows of an inner step.
    fn windows(&mut self, lesson: &Lesson, step: u32) -> Vec<u64> {
        lesson.plan.of_step(lesson.slot, step)
    }

    /// What it contributes when training found this pseudo-gradient.
    fn brings(&mut self, lesson: &Lesson, found: Vec<f32>, rng: &mut Rng) -> Vec<f32> {
        let _ = (lesson, rng);
        found
    }

    /// Whether it stores its contribution where others can fetch it.
    fn uploads(&self) -> bool {
        true
    }

    /// What it attests in place of these verdicts and this root: asked when it commits and when it opens, so the same
    /// each time.
    fn attests(
        &mut self,
        honest: (Judgement, ModelRoot),
        round: Round,
        view: Option<&View>,
    ) -> (Judgement, ModelRoot) {
        let _ = (round, view);
        honest
    }

    /// What it sends in place of this transaction.
    fn sends(&mut self, transaction: Transaction, view: Option<&View>) -> Option<Transaction> {
        let _ = view;
        Some(transaction)
    }

    /// What it sends when it sees a transaction on its way to a block.
    fn overhears(&mut self, extrinsic: &UncheckedExtrinsic, coldkey: &Key) -> Vec<Send> {
        let _ = (extrinsic, coldkey);
        Vec::new()
    }

    /// Whether it keeps to itself what somebody who relies on its node sends.
    fn keeps(&mut self, extrinsic: &UncheckedExtrinsic) -> bool {
        let _ = extrinsic;
        false
    }

    /// Whether it measures contributions.
    fn measures(&self) -> bool {
        true
    }

    /// What it shows of having measured, in place of this.
    fn shows(&mut self, witness: Witness) -> Witness {
        witness
    }

    /// What it says of audited work, in place of what its replay found; none: that it cannot tell yet.
    fn finds(&mut self, audit: &Audit, found: Option<Finding>) -> Option<Finding> {
        let _ = audit;
        found
    }

    /// The scores that it gives in place of these.
    fn scores(
        &mut self,
        row: Vec<(Uid, u16)>,
        members: &[MemberInfo<AccountId>],
        own: &AccountId,
    ) -> Vec<(Uid, u16)> {
        let _ = (members, own);
        row
    }

    /// What it has to tell in the end, as a clause for people.
    fn tells(&self) -> Option<String> {
        None
    }

    /// What it does when it hears of a block.
    fn acts(&mut self, turn: &mut Turn) {
        let _ = turn;
    }
}
