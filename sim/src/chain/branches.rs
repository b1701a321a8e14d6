//! Branches: blocks that are undone, a network that is split, and finality.

use cairn_primitives::BlockNumber;
use cairn_runtime::UncheckedExtrinsic;

use super::{Chain, Id, Made, Part, Side, MAIN};

/// Blocks whose state is kept behind the finalised one, for members that hear of new blocks late.
const KEPT: BlockNumber = 8;

impl Chain {
    /// The main part builds another branch on the block `depth` below its best one, one block longer than the present
    /// one, whose last block is at `slot`. What was in the blocks that go is back in the pool; `delay` says which of
    /// it the branch takes no notice of before its end. Nothing final is undone: `None` if it would be.
    pub fn fork(
        &mut self,
        depth: BlockNumber,
        slot: u64,
        mut delay: impl FnMut() -> bool,
    ) -> Option<Vec<Made>> {
        let (mut back, mut slots) = (Vec::new(), vec![slot]);
        let mut at = self.main.best;
        for _ in 0..depth {
            if at == self.main.finalised {
                return None;
            }
            let block = self.blocks.get(&at.hash)?;
            slots.push(block.slot);
            back.extend(block.transactions.iter().rev().cloned());
            at = self.blocks.get(&block.parent)?.id;
        }
        self.branches += 1;
        back.reverse();
        let mut late: Vec<UncheckedExtrinsic> = Vec::new();
        let waiting = self.main.pool.take();
        self.main.best = at;
        for one in back {
            if delay() {
                late.push(one.extrinsic);
            } else {
                self.submit(MAIN, one.extrinsic);
            }
        }
        late.extend(waiting.into_iter().map(|one| one.extrinsic));
        let mut made = Vec::new();
        while let Some(slot) = slots.pop() {
            if slots.is_empty() {
                for extrinsic in late.drain(..) {
                    self.submit(MAIN, extrinsic);
                }
            }
            made.push(self.make(MAIN, slot));
        }
        Some(made)
    }

    /// The network is split: from here on each part has its own best block and its own pool, in which the same waits.
    pub fn split(&mut self) {
        self.branches += 1;
        self.other = Some(self.main.clone());
    }

    /// The parts hear of each other again. The branch with what became final meanwhile wins, then the longer one,
    /// then the main part's. What the other one had is in the pool again. Gives how many blocks were undone.
    pub fn heal(&mut self) -> usize {
        let Some(other) = self.other.take() else {
            return 0;
        };
        let is_longer = other.best.number > self.main.best.number;
        let loser = if self.main.finalised == other.finalised && is_longer {
            std::mem::replace(&mut self.main, other)
        } else {
            other
        };
        let undone = self.apart(loser.best);
        let blocks = undone
            .iter()
            .rev()
            .filter_map(|id| self.blocks.get(&id.hash));
        let gone = blocks.flat_map(|block| &block.transactions);
        let mut back: Vec<UncheckedExtrinsic> = gone.map(|one| one.extrinsic.clone()).collect();
        let Side { mut pool, .. } = loser;
        back.extend(pool.take().into_iter().map(|one| one.extrinsic));
        for extrinsic in back {
            self.submit(MAIN, extrinsic);
        }
        undone.len()
    }

    /// Blocks from `tip` down that are not below the main part's best one, the newest first.
    fn apart(&self, tip: Id) -> Vec<Id> {
        let (mut ours, mut theirs) = (self.main.best, tip);
        let parent = |id: Id| {
            let block = self.blocks.get(&id.hash)?;
            Some(self.blocks.get(&block.parent)?.id)
        };
        let mut apart = Vec::new();
        while ours != theirs {
            let next = if ours.number > theirs.number {
                parent(ours).map(|next| ours = next)
            } else {
                apart.push(theirs);
                parent(theirs).map(|next| theirs = next)
            };
            if next.is_none() {
                break;
            }
        }
        apart
    }

    /// In a part, finality reaches the block `lag` below the best one, if it was not further already.
    pub fn finalise(&mut self, part: Part, lag: BlockNumber) {
        let (mut at, finalised) = self.head(part);
        for _ in 0..lag {
            match self.blocks.get(&at.hash) {
                Some(block) if at.number > finalised.number => {
                    at = self
                        .blocks
                        .get(&block.parent)
                        .map_or(at, |parent| parent.id);
                }
                _ => break,
            }
        }
        if at.number > finalised.number {
            self.side_mut(part).finalised = at;
        }
        self.forget();
    }

    /// Forgets states that nobody looks at any more.
    fn forget(&mut self) {
        let other = self.other.as_ref().map(|side| side.finalised.number);
        let oldest = self.main.finalised.number;
        let oldest = oldest.min(other.unwrap_or(oldest)).saturating_sub(KEPT);
        self.blocks.retain(|_, block| block.id.number >= oldest);
        self.reads.forget(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use cairn_primitives::CRN;
    use cairn_runtime::{audit, Runtime};
    use serde_json::json;

    fn chain(key: &Key) -> Chain {
        let balances = vec![(key.account().clone(), CRN)];
        let patch = json!({ "balances": { "balances": balances } });
        Chain::new(patch, Rng::new(1)).expect("a genesis")
    }

    fn remark(text: &str) -> RuntimeCall {
        let remark = text.as_bytes().to_vec();
        RuntimeCall::System(frame_system::Call::remark { remark })
    }

    /// Signs a remark as of a part's best block and sends it there.
    fn send(chain: &mut Chain, part: Part, key: &Key, text: &str) -> H256 {
        let at = chain.head(part).0;
        let signed = chain.sign(at, key, 0, 0, remark(text));
        chain.submit(part, signed.expect("it is signed"))
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
        let id = send(&mut chain, MAIN, &key, "a");
        chain.make(MAIN, 2);
        chain.make(MAIN, 3);
        let before = chain.best();
        assert_eq!(chain.find(id, before), Some((2, None)));
        let made = chain.fork(2, 4, || true).expect("nothing is final");
        assert!(made.iter().all(|one| one.audit.is_ok()));
        let best = chain.best();
        assert_eq!(best.number, before.number + 1);
        // It was late, so the last block has it.
        assert_eq!(chain.find(id, best), Some((4, None)));
        assert_eq!(chain.find(id, before), Some((2, None)));
        chain.finalise(MAIN, 1);
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
        let second = chain.submit(MAIN, second);
        chain.make(MAIN, 2);
        assert_eq!(chain.find(second, chain.best()), None);
        let first = chain.submit(MAIN, first.clone());
        chain.make(MAIN, 3);
        assert_eq!(chain.find(first, chain.best()), Some((3, None)));
        assert_eq!(chain.find(second, chain.best()), Some((3, None)));
        assert_eq!(chain.waiting(MAIN).count(), 0);
        let stale = chain.sign(best, &key, 0, 0, remark("b")).expect("signed");
        let stale = chain.submit(MAIN, stale);
        assert!(chain.refusal(MAIN, stale).is_some());
    }

    #[test]
    fn two_parts_go_different_ways_and_the_longer_one_wins_with_what_the_other_had() {
        let (one, other) = (Key::of("somebody"), Key::of("somebody else"));
        let balances: Vec<_> = [&one, &other]
            .map(|key| (key.account().clone(), CRN))
            .into();
        let genesis = json!({ "balances": { "balances": balances } });
        let mut chain = Chain::new(genesis, Rng::new(1)).expect("a genesis");
        let early = send(&mut chain, MAIN, &one, "before the split");
        chain.split();
        let here = send(&mut chain, MAIN, &other, "here");
        chain.make(MAIN, 2);
        chain.make(OTHER, 3);
        chain.make(OTHER, 4);
        let late = send(&mut chain, OTHER, &one, "there");
        let (ours, theirs) = (chain.head(MAIN).0, chain.head(OTHER).0);
        assert_eq!((ours.number, theirs.number), (2, 3));
        for head in [ours, theirs] {
            assert_eq!(chain.find(early, head), Some((2, None)));
        }
        assert_eq!(chain.find(here, theirs), None);
        assert_eq!(chain.heal(), 1);
        assert_eq!((chain.best(), chain.head(OTHER).0), (theirs, theirs));
        chain.make(MAIN, 5);
        for id in [here, late] {
            assert_eq!(chain.find(id, chain.best()), Some((4, None)));
        }
        assert_eq!(chain.heal(), 0);
    }

    #[test]
    fn a_longer_branch_does_not_undo_what_became_final_meanwhile() {
        let mut chain = chain(&Key::of("somebody"));
        chain.split();
        chain.make(MAIN, 2);
        for slot in 3..6 {
            chain.make(OTHER, slot);
        }
        chain.finalise(MAIN, 0);
        let best = chain.best();
        assert_ne!(chain.head(OTHER).1, chain.head(MAIN).1);
        assert_eq!(chain.heal(), 3);
        assert_eq!(chain.head(MAIN), (best, best));
    }

    #[test]
    fn a_hidden_block_is_nobodys_best() {
        let mut chain = chain(&Key::of("somebody"));
        let best = chain.best();
        let hidden = chain
            .make_hidden(best, Vec::new())
            .expect("the state is there");
        assert_eq!((hidden.number, chain.best()), (best.number + 1, best));
        let made = chain.make(MAIN, 2);
        assert_ne!(made.id, hidden);
    }
}
