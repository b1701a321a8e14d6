//! Files that are brought here before they are needed.
//!
//! Where the own store is a directory, they are put there, like what is fetched when it is needed. To a store beyond
//! this machine they would have to be sent, only to be fetched again: they lie beside the state instead, until the
//! parameters after their round are held. Nothing is held in memory.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use cairn_round::ahead::Whom;
use cairn_store::{Blob, Meter, Store, StoreError};

use super::{from_holders, has_room, in_time, into_store, place_under, whole, Brought, Wanted};
use crate::{
    metrics::{Came, Stage},
    roles::{chain::Chain, driver::Desk},
};

/// How long a file is asked for at a time. Then others have their turn, since few are asked for at once, and whoever
/// lets theirs trickle is to keep nobody from the rest. What came of it is gone on from.
const TURN: Duration = Duration::from_secs(60);
/// How much of that those who are asked have to send it. What is left is for who they are and where it is put: a turn
/// that is cut off says nothing of them.
const SENDING: Duration = Duration::from_secs(50);
const _: () = assert!(SENDING.as_secs() < TURN.as_secs());

/// Brings a file here, if it is to be had in time of those who may be asked. Whether it is here.
///
/// # Errors
/// Those of the own store.
pub(in crate::roles) async fn ahead<C: Chain>(
    desk: &Desk<C>,
    wanted: &Wanted,
    whom: Whom,
) -> Result<bool, StoreError> {
    if wanted.length > wanted.most {
        return Ok(false);
    }
    let _timer = desk.time(Stage::Fetch);
    let brought = tokio::time::timeout(TURN, bring(desk, wanted, whom)).await;
    brought.unwrap_or(Ok(false))
}

async fn bring<C: Chain>(desk: &Desk<C>, wanted: &Wanted, whom: Whom) -> Result<bool, StoreError> {
    let (store, under) = (&desk.run.store, desk.sources.ahead.as_path());
    let asked = (whom, whole(wanted.length).min(SENDING));
    let held = store.holds_blob(&wanted.prefix, &wanted.root.0, wanted.length);
    let brought = match (held.await?, store.directory()) {
        (true, Some(_)) => return Ok(true),
        (false, Some(_)) => into_store(desk, wanted, asked).await?,
        (false, None) => from_holders(desk, wanted, asked, under).await.1,
        (true, None) => {
            let copied = copy(store, wanted, under).await;
            let copied = copied.inspect_err(|why| tracing::debug!("{why}"));
            if let Ok(bytes) = copied {
                desk.metrics().fetched(Came::FromStore, bytes);
            }
            return Ok(copied.is_ok());
        }
    };
    Ok(matches!(brought, Brought::Whole))
}

/// Brings a file of a store to its place under a directory. How many bytes came.
async fn copy(store: &Store, wanted: &Wanted, under: &Path) -> Result<u64, String> {
    if !has_room(under, wanted).await {
        return Err(format!("no room in {}", under.display()));
    }
    let blob = Blob::new(&wanted.prefix, wanted.root.0, wanted.length);
    let (into, meter) = (place_under(under, wanted), Meter::default());
    let limit = whole(wanted.length);
    let fetched = in_time(&blob, &[store.source()], &into, &meter, limit).await?;
    let outcome = fetched.map_err(|error| error.to_string())?;
    Ok(outcome.fetched)
}

/// What was brought beside the state, if it is whole and good.
pub(super) async fn found<C: Chain>(desk: &Desk<C>, wanted: &Wanted) -> Option<Bytes> {
    match desk.run.store.directory() {
        Some(_) => None,
        None => read(wanted, &desk.sources.ahead).await,
    }
}

async fn read(wanted: &Wanted, under: &Path) -> Option<Bytes> {
    if wanted.length > wanted.most {
        return None;
    }
    let place = place_under(under, wanted);
    let (root, length) = (wanted.root.0, wanted.length);
    let read = move || {
        let found = std::fs::metadata(&place).ok()?;
        let bytes = (found.len() == length).then(|| std::fs::read(&place));
        let bytes = bytes?.ok()?;
        let is_good = *blake3::hash(&bytes).as_bytes() == root;
        is_good.then(|| Bytes::from(bytes))
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::sources::{forget, BUSY};
    use cairn_primitives::{Hotkey, Round, H256};

    /// Longer than a group, so that it has an outboard.
    const LENGTH: usize = 300 << 10;

    /// A store with a file, and what that is.
    async fn store(round: Round) -> (tempfile::TempDir, Store, Wanted) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::create_in(&directory.path().join("store")).expect("room");
        let prefix = cairn_store::paths::contributions(7, round);
        let root = store.publish(&prefix, vec![7u8; LENGTH]).await;
        let wanted = Wanted {
            prefix,
            root: H256(root.expect("room")),
            length: LENGTH as u64,
            most: LENGTH as u64,
            maker: Hotkey(H256([1; 32])),
            round,
            holders: Vec::new(),
            others: Vec::new(),
        };
        (directory, store, wanted)
    }

    #[tokio::test]
    async fn what_was_brought_is_found_until_its_round_is_over() {
        let (directory, store, wanted) = store(3).await;
        let under = directory.path().join("ahead");
        assert_eq!(read(&wanted, &under).await, None, "it was not brought");
        assert_eq!(copy(&store, &wanted, &under).await, Ok(LENGTH as u64));
        assert_eq!(read(&wanted, &under).await, Some(vec![7u8; LENGTH].into()));
        // Who comes back finds it, and fetches nothing.
        assert_eq!(copy(&store, &wanted, &under).await, Ok(0));
        forget(&under, 3).await;
        assert!(read(&wanted, &under).await.is_some());
        forget(&under, 4).await;
        assert_eq!(read(&wanted, &under).await, None);
        assert!(!under.join("3").exists());
    }

    /// Whoever was told to end lets go of the place a moment later.
    #[tokio::test(start_paused = true)]
    async fn a_place_that_another_fetch_has_is_waited_for_but_not_for_ever() {
        let (directory, store, wanted) = store(3).await;
        let under = directory.path().join("ahead");
        assert!(has_room(&under, &wanted).await);
        let partial = place_under(&under, &wanted).with_extension("partial");
        let other = std::fs::File::create(partial).expect("room");
        other.lock().expect("nobody has it");
        let why = copy(&store, &wanted, &under).await.expect_err("it is held");
        assert!(why.contains("another process fetches"), "{why}");
        let (times, pause) = BUSY;
        let lets_go = async {
            tokio::time::sleep(pause * (times / 2)).await;
            drop(other);
        };
        let (copied, ()) = tokio::join!(copy(&store, &wanted, &under), lets_go);
        assert_eq!(copied, Ok(LENGTH as u64));
        assert!(read(&wanted, &under).await.is_some());
    }

    #[tokio::test]
    async fn what_is_not_there_or_is_something_else_is_not_found() {
        let (directory, store, wanted) = store(3).await;
        let under = directory.path().join("ahead");
        let other = Wanted {
            root: H256([9; 32]),
            ..wanted.clone()
        };
        assert!(copy(&store, &other, &under).await.is_err());
        assert_eq!(read(&other, &under).await, None);
        let long = Wanted {
            most: LENGTH as u64 - 1,
            ..wanted.clone()
        };
        assert!(copy(&store, &wanted, &under).await.is_ok());
        assert_eq!(read(&long, &under).await, None, "longer than it may be");
        let place = place_under(&under, &wanted);
        let mut bytes = std::fs::read(&place).expect("it is there");
        bytes[LENGTH / 2] ^= 1;
        std::fs::write(&place, &bytes).expect("room");
        assert_eq!(read(&wanted, &under).await, None, "a bit was lost");
        std::fs::write(&place, &bytes[1..]).expect("room");
        assert_eq!(read(&wanted, &under).await, None, "it was cut short");
    }
}
