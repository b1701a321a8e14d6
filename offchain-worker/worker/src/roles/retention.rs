//! What a worker removes from its own store: files of rounds that the chain no longer keeps.
//!
//! Nobody can ask for them: whoever joins begins at a checkpoint of a round that the chain keeps, and applies the
//! rounds since. So a store holds the files of at most [`HISTORY_ROUNDS`] rounds, and of those that went by since the
//! last look. The newest checkpoint stays, whatever its round.

use cairn_primitives::{Netuid, Round};
use cairn_protocol::limits::HISTORY_ROUNDS;
use cairn_store::{paths, Store, StoreError};

/// The first round to look at, for who has not looked yet.
pub(super) fn first(oldest: Round) -> Round {
    oldest.saturating_sub(HISTORY_ROUNDS)
}

/// Removes files of the rounds from `first` up to `oldest`, without it; gives how many.
///
/// # Errors
/// Those of the store. What was removed is removed.
pub(super) async fn prune(
    store: &Store,
    netuid: Netuid,
    (first, oldest): (Round, Round),
) -> Result<usize, StoreError> {
    let mut old: Vec<String> = Vec::new();
    for round in first..oldest {
        for directory in [
            paths::contributions(netuid.get(), round),
            paths::audits(netuid.get(), round),
        ] {
            let listed = store.list(&directory).await?;
            old.extend(listed.into_iter().map(|file| file.path));
        }
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
    for path in &old {
        store.delete(path).await?;
    }
    Ok(old.len())
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
        assert_eq!(prune(&store, NETUID, (0, 3)).await.expect("room"), 3 * 2);
        let expected = [
            "audits/7/10",
            "audits/7/3",
            "checkpoints/7/10",
            "checkpoints/7/3",
            "contributions/7/10",
            "contributions/7/3",
            "contributions/8/2",
            "data",
        ];
        assert_eq!(left(&store).await, expected);
        let root = directory.path();
        for gone in ["contributions/7/2", "audits/7/2"] {
            assert!(!root.join(gone).exists(), "{gone} is empty and still there");
        }
        assert_eq!(prune(&store, NETUID, (0, 3)).await.expect("room"), 0);
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
