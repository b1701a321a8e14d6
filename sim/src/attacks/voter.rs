//! Scores by commit and reveal, without a machine: for validators that do no work.

use cairn_primitives::{scores_hash, EpochIndex, Served, Uid};
use cairn_runtime::readers;

use crate::behaviour::Turn;

/// What was committed to.
#[derive(Default)]
pub(super) struct Voter {
    rows: Vec<(EpochIndex, Vec<(Uid, u16)>)>,
}

/// A salt: what is hidden here is worth nothing.
const SALT: [u8; 32] = [5; 32];

impl Voter {
    /// Reveals the row of the last epoch, and commits to `row` before the next one.
    pub fn vote(&mut self, turn: &mut Turn, row: Vec<(Uid, u16)>) {
        let (netuid, hotkey) = (turn.netuid, turn.hotkey.clone());
        let account = hotkey.account().clone();
        let voting = turn
            .chain
            .ask(turn.head, || readers::voting(netuid, &account));
        let Some(voting) = voting.flatten() else {
            return;
        };
        let open = voting
            .commits
            .iter()
            .find(|one| one.epoch.saturating_add(1) == voting.epoch && !one.revealed);
        let known = open.and_then(|open| self.rows.iter().find(|(epoch, _)| *epoch == open.epoch));
        if let Some((epoch, row)) = known.cloned() {
            let reveal = pallet_emissions::Call::reveal_scores {
                netuid,
                epoch,
                scores: pallet_emissions::Row::truncate_from(row),
                // It has measured nothing that it could show.
                evidence: Served::default(),
                salt: SALT,
            };
            return turn.send(&hotkey, reveal);
        }
        let epoch = voting.epoch;
        let has_committed = voting.commits.iter().any(|one| one.epoch == epoch);
        if has_committed || row.is_empty() || turn.head.number + 2 >= voting.due {
            return;
        }
        let nothing = Served::default();
        let hash = scores_hash(netuid, epoch, &hotkey.id(), &row, nothing, &SALT);
        self.rows.retain(|(known, _)| *known != epoch);
        self.rows.push((epoch, row));
        turn.send(
            &hotkey,
            pallet_emissions::Call::commit_scores {
                netuid,
                epoch,
                hash,
            },
        );
    }
}
