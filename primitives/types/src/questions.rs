//! What audits leave open: for the pallets, and for the rules that say what follows.

use alloc::collections::BTreeMap;

use crate::{Round, Uid, Verdicts};

/// Whose work is in question on a subnet whose run audits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// The newest round of which audits were drawn: what is earned now was earned in it or before.
    pub newest: Round,
    /// Members of whom an audit has ended without finding their work false.
    pub proven: Verdicts,
    /// For each member with audits that are open, or that nobody could decide since one was decided, the oldest round
    /// of these.
    pub open: BTreeMap<Uid, Round>,
}

impl Questions {
    /// The work of a member is in question from this round on, if it is not from an older one.
    pub fn ask(&mut self, uid: Uid, round: Round) {
        let first = self.open.entry(uid).or_insert(round);
        *first = (*first).min(round);
    }
}
