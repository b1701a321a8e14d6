//! What a member has seen of the chain when it decides something.

use std::collections::BTreeMap;

use cairn_primitives::{BlockNumber, EpochIndex, Hotkey, Phase, Round, SealedRoot, Uid, H256};
use cairn_round::{hidden_row::Committed, View};

/// As much of a member's last view as what it may say depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// The current round.
    pub round: Round,
    /// Whether somebody can still commit in the next block, by what is final.
    pub may_commit: bool,
    /// The sealed root of its own contribution, and whether its key is out.
    pub committed: Option<(SealedRoot, bool)>,
    /// The sealed roots of contributions that are revealed.
    pub revealed: BTreeMap<Uid, SealedRoot>,
    /// What it has committed to attest.
    pub promised: Option<H256>,
    /// Whether it has attested.
    pub has_attested: bool,
    /// The next epoch.
    pub epoch: EpochIndex,
    /// Its commitments to scores.
    pub scores: Vec<Committed>,
    /// Its commitments to what audits found that are not revealed.
    pub findings: Vec<H256>,
}

impl Sight {
    /// What the member with this hotkey sees in a view as of block `now`.
    pub fn of(view: &View, hotkey: Hotkey, now: BlockNumber) -> Sight {
        let own = view.contribution_of(hotkey);
        let attester = view.validator(hotkey);
        let revealed = view.contributions.iter().filter(|seen| seen.key.is_some());
        let audits = view.audits.iter();
        let auditors = audits.flat_map(|audit| &audit.auditors);
        let ours = auditors.filter(|one| one.hotkey == hotkey && one.found.is_none());
        let voting = view.voting.as_ref();
        Sight {
            round: view.round.round,
            may_commit: view.round.certain.next_phase(now) == Phase::Train,
            committed: own.map(|seen| (seen.commitment.sealed_root, seen.key.is_some())),
            revealed: revealed
                .map(|seen| (seen.uid, seen.commitment.sealed_root))
                .collect(),
            promised: attester.and_then(|one| one.committed),
            has_attested: attester.is_some_and(|one| one.attested),
            epoch: voting.map_or(0, |voting| voting.epoch),
            scores: voting.map_or_else(Vec::new, |voting| voting.commits.clone()),
            findings: ours.filter_map(|one| one.committed).collect(),
        }
    }
}
