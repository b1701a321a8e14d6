//! What a member has sent: of each kind one transaction at a time, and none again before the chain could have shown it.

use std::collections::BTreeMap;

use cairn_primitives::BlockNumber;

use crate::machine::Kind;

/// Where the last transaction of each kind is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox(BTreeMap<Kind, Place>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// On its way to a block.
    UnderWay,
    /// In this block. A view of an older one, which may come later, does not have it.
    In(BlockNumber),
}

impl Outbox {
    /// Whether one of this kind may be sent on account of a view of block `now`.
    pub fn is_free(&self, kind: Kind, now: BlockNumber) -> bool {
        match self.0.get(&kind) {
            None => true,
            Some(Place::UnderWay) => false,
            Some(Place::In(block)) => *block <= now,
        }
    }

    /// One is sent.
    pub fn send(&mut self, kind: Kind) {
        self.0.insert(kind, Place::UnderWay);
    }

    /// It is in `block`, or in none, as of the best block `now`.
    pub fn sent(&mut self, kind: Kind, block: Option<BlockNumber>, now: BlockNumber) {
        match block {
            // The next block at most: a node that names a far one silences nobody.
            Some(block) => {
                let block = block.min(now.saturating_add(1));
                self.0.insert(kind, Place::In(block));
            }
            None => {
                self.0.remove(&kind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_kind_is_under_way() {
        let mut outbox = Outbox::default();
        assert!(outbox.is_free(Kind::Contribution, 5));
        outbox.send(Kind::Contribution);
        assert!(!outbox.is_free(Kind::Contribution, 5));
        assert!(outbox.is_free(Kind::Audit, 5));
        outbox.sent(Kind::Contribution, None, 5);
        assert!(outbox.is_free(Kind::Contribution, 5), "it is in no block");
    }

    #[test]
    fn a_view_of_an_older_block_sends_nothing_again() {
        let mut outbox = Outbox::default();
        outbox.send(Kind::Contribution);
        outbox.sent(Kind::Contribution, Some(6), 5);
        assert!(!outbox.is_free(Kind::Contribution, 5));
        assert!(outbox.is_free(Kind::Contribution, 6));
    }

    #[test]
    fn a_far_block_silences_nobody() {
        let mut outbox = Outbox::default();
        outbox.send(Kind::Contribution);
        outbox.sent(Kind::Contribution, Some(BlockNumber::MAX), 5);
        assert!(outbox.is_free(Kind::Contribution, 6));
    }
}
