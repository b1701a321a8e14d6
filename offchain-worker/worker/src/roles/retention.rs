//! What a worker removes from its own store: files of rounds that the chain no longer keeps, and what was served for
//! audits that are over. And which of its rounds' traced states a miner still keeps beside its state.
//!
//! Nobody can ask for them: whoever joins begins at a checkpoint of a round that the chain keeps, and applies the
//! rounds since. So a store holds the files of at most [`HISTORY_ROUNDS`] rounds, and of those that went by since the
//! last look. The newest checkpoint stays, whatever its round. What is served for an audit is as large as five vectors
//! of the parameters, or eight of a card's, and is of no use once the audit is over.

use std::sync::Mutex;

use cairn_primitives::{AuditRules, Netuid, Round};
use cairn_protocol::limits::HISTORY_ROUNDS;
use cairn_store::{paths, Store, StoreError};

use super::setup::locked;

/// Rounds before the current one of which what is served for audits stays: those whose audits may be open, and two
/// more, since a fork may bring a round back.
pub const AUDITED_ROUNDS: Round = AuditRules::OPEN_ROUNDS + 2;

/// Whether traced states of its own work in a round may still be asked of a miner: while it holds that round's
/// parameters, or older ones, nobody has drawn any; after that what was drawn is owed until it is served, or until no
/// audit of it is open any more. So it keeps those of three rounds at most, where rounds overlap.
pub(super) fn may_be_asked_for(round: Round, held: Option<Round>, owed: Option<Round>) -> bool {
    let is_to_come = |held: Round| round >= held;
    let is_owed = |held: Round| owed == Some(round) && held.saturating_sub(round) <= AUDITED_ROUNDS;
    held.is_some_and(|held| is_to_come(held) || is_owed(held))
}

/// Up to which round files were removed; `None` for who has not looked yet.
#[derive(Debug, Default)]
pub(super) struct Pruned {
    files: Mutex<Option<Round>>,
    audits: Mutex<Option<Round>>,
}

impl Pruned {
    /// Removes files of rounds before the oldest that the chain keeps, and gives how many. What a store does not remove
    /// is tried again the next time.
    ///
    /// # Errors
    /// Those of the store. What was removed is removed.
    pub async fn prune(
        &self,
        store: &Store,
        netuid: Netuid,
        oldest: Round,
    ) -> Result<usize, StoreError> {
        let removed = prune(store, netuid, (from(&self.files, oldest), oldest)).await?;
        *locked(&self.files) = Some(oldest);
        Ok(removed)
    }

    /// Removes what was served for audits that are over in this round, and gives how many files. `oldest` is the oldest
    /// round that the chain keeps.
    ///
    /// # Errors
    /// As above.
    pub async fn prune_audits(
        &self,
        store: &Store,
        netuid: Netuid,
        (oldest, round): (Round, Round),
    ) -> Result<usize, StoreError> {
        let end = round.saturating_sub(AUDITED_ROUNDS);
        let mut old = Vec::new();
        for round in from(&self.audits, oldest)..end {
            let listed = store.list(&paths::audits(netuid.get(), round)).await?;
            old.extend(listed.into_iter().map(|file| file.path));
        }
        let removed = remove(store, &old).await?;
        *locked(&self.audits) = Some(end);
        Ok(removed)
    }
}

/// The first round to look at.
fn from(pruned: &Mutex<Option<Round>>, oldest: Round) -> Round {
    let known = *locked(pruned);
    known.unwrap_or_else(|| oldest.saturating_sub(HISTORY_ROUNDS))
}

async fn remove(store: &Store, old: &[String]) -> Result<usize, StoreError> {
    for path in old {
        store.delete(path).await?;
    }
    Ok(old.len())
}

/// Removes files of the rounds from `first` up to `oldest`, without it; gives how many.
async fn prune(
    store: &Store,
    netuid: Netuid,
    (first, oldest): (Round, Round),
) -> Result<usize, StoreError> {
    let mut old: Vec<String> = Vec::new();
    for round in first..oldest {
        let directory = paths::contributions(netuid.get(), round);
        let listed = store.list(&directory).await?;
        old.extend(listed.into_iter().map(|file| file.path));
    }
    let checkpoints = store.list(&paths::all_checkpoints(netuid.get())).await?;
    let rounds = checkpoints
        .iter()
        .filter_map(|it| paths::round_of(&it.path));
    let newest = rounds.map(|(_, round)| round).max();
    let is_old = |path: &str| {
        let round = paths::round_of(path).map(|(_, round)| round);
        round.is_some_and(|round| round < oldest) && round != newest
    };
    let checkpoints = checkpoints.into_iter().map(|file| file.path);
    old.extend(checkpoints.filter(|path| is_old(path)));
    remove(store, &old).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETUID: Netuid = Netuid(7);

    async fn store_with(prefixes: &[String]) -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::create_in(directory.path()).expect("room");
        for prefix in prefixes {
            // Long enough for an outboard.
            let bytes = vec![7u8; 300 << 10];
            store.publish(prefix, bytes).await.expect("room");
        }
        (directory, store)
    }

    async fn left(store: &Store) -> Vec<String> {
        let listed = store.list("").await.expect("readable");
        let prefix = |path: &str| path.rsplit_once(['/', '-']).map(|(all, _)| all.to_string());
        let mut left: Vec<String> = listed.iter().filter_map(|it| prefix(&it.path)).collect();
        left.dedup();
        left
    }

    #[tokio::test]
    async fn what_nobody_can_ask_for_is_removed_with_its_outboard() {
        let netuid = NETUID.get();
        let rounds = [2, 3, 10];
        let of = rounds.map(|round| {
            [
                paths::contributions(netuid, round),
                paths::audits(netuid, round),
                paths::checkpoints(netuid, round),
            ]
        });
        let other = paths::contributions(8, 2);
        let all: Vec<String> = of
            .into_iter()
            .flatten()
            .chain([other, "data/".into()])
            .collect();
        let (directory, store) = store_with(&all).await;
        let pruned = Pruned::default();
        let removed = pruned.prune(&store, NETUID, 3).await;
        assert_eq!(removed.expect("room"), 2 * 2);
        let served = pruned.prune_audits(&store, NETUID, (3, AUDITED_ROUNDS + 10));
        assert_eq!(served.await.expect("room"), 2 * 2, "of two rounds");
        let expected = [
            "audits/7/10",
            "checkpoints/7/10",
            "checkpoints/7/3",
            "contributions/7/10",
            "contributions/7/3",
            "contributions/8/2",
            "data",
        ];
        assert_eq!(left(&store).await, expected);
        let root = directory.path();
        for gone in ["contributions/7/2", "audits/7/2", "audits/7/3"] {
            assert!(!root.join(gone).exists(), "{gone} is empty and still there");
        }
        for pruned in [pruned, Pruned::default()] {
            let removed = pruned.prune(&store, NETUID, 3).await;
            assert_eq!(removed.expect("room"), 0);
        }
    }

    /// Whatever audits may be open in a round, what is served for them is there.
    #[tokio::test]
    async fn what_is_served_stays_for_as_long_as_an_audit_may_be_open() {
        let prefixes: Vec<String> = (0..30)
            .map(|round| paths::audits(NETUID.get(), round))
            .collect();
        let (directory, store) = store_with(&prefixes).await;
        let is_there = |round: Round| {
            let place = format!("audits/{NETUID}/{round}");
            directory.path().join(place).exists()
        };
        let pruned = Pruned::default();
        for round in 0..30 {
            let removed = pruned.prune_audits(&store, NETUID, (0, round)).await;
            assert!(removed.expect("room") <= 2, "a round at a time");
            let mut open = round.saturating_sub(AuditRules::OPEN_ROUNDS)..=round;
            assert!(open.all(is_there), "in round {round}");
            let there = (0..round).filter(|round| is_there(*round));
            assert!(there.count() <= AUDITED_ROUNDS as usize, "in round {round}");
        }
    }

    #[test]
    fn traced_states_stay_until_what_was_drawn_of_them_is_served_or_no_audit_is_open() {
        let kept = |held, owed| -> Vec<Round> {
            let rounds = 0..22;
            let is_kept = |round: &Round| may_be_asked_for(*round, held, owed);
            rounds.filter(is_kept).collect()
        };
        // Training may be a round ahead of what is held.
        assert_eq!(kept(Some(20), None), [20, 21]);
        assert_eq!(kept(Some(20), Some(19)), [19, 20, 21]);
        let last = 20 - AUDITED_ROUNDS;
        assert_eq!(kept(Some(20), Some(last)), [last, 20, 21]);
        assert_eq!(kept(Some(20), Some(last - 1)), [20, 21]);
        assert!(
            kept(None, Some(19)).is_empty(),
            "who holds nothing made nothing"
        );
    }

    /// A store that removes nothing for a while loses none of it.
    #[tokio::test]
    async fn what_was_not_removed_is_removed_the_next_time() {
        let (directory, store) = store_with(&[paths::audits(NETUID.get(), 1)]).await;
        let mirror = Store::open("http://127.0.0.1:1/nobody").expect("a mirror");
        let pruned = Pruned::default();
        let (oldest, round) = (0, AUDITED_ROUNDS + 2);
        let failed = pruned.prune_audits(&mirror, NETUID, (oldest, round)).await;
        assert!(failed.is_err(), "nobody is there");
        let removed = pruned.prune_audits(&store, NETUID, (oldest, round)).await;
        assert_eq!(removed.expect("room"), 2);
        assert!(!directory.path().join("audits/7/1").exists());
    }

    #[tokio::test]
    async fn the_newest_checkpoint_stays() {
        let prefixes = [1, 5].map(|round| paths::checkpoints(NETUID.get(), round));
        let (_directory, store) = store_with(&prefixes).await;
        assert_eq!(prune(&store, NETUID, (0, 100)).await.expect("room"), 2);
        assert_eq!(left(&store).await, ["checkpoints/7/5"]);
    }

    #[tokio::test]
    async fn an_empty_store_is_none_the_worse() {
        let (_directory, store) = store_with(&[]).await;
        assert_eq!(prune(&store, NETUID, (0, 100)).await.expect("nothing"), 0);
    }
}
