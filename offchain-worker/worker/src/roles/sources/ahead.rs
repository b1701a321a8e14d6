//! Files that are brought here before they are needed.
//!
//! Where the own store is a directory, they are put there, like what is fetched when it is needed. To a store beyond
//! this machine they would have to be sent, only to be fetched again: they lie beside the state instead, until the
//! parameters after their round are held. Nothing is held in memory.

use bytes::Bytes;
use cairn_round::ahead::Whom;
use cairn_store::{Blob, StoreError};

use super::{from_holders, has_room, in_time, into_store, place_under, Brought, Wanted};
use crate::{
    metrics::{Came, Stage},
    roles::{chain::Chain, driver::Desk},
};

/// Brings a file here, if it is to be had of those who may be asked. Whether it is here.
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
    let (store, root) = (&desk.run.store, wanted.root.0);
    let held = store.holds_blob(&wanted.prefix, &root, wanted.length);
    let brought = match (held.await?, store.directory()) {
        (true, Some(_)) => return Ok(true),
        (false, Some(_)) => into_store(desk, wanted, whom).await?,
        (true, None) => from_store(desk, wanted).await,
        (false, None) => {
            let asked = from_holders(desk, wanted, (whom, &desk.sources.ahead));
            asked.await.1
        }
    };
    Ok(matches!(brought, Brought::Whole))
}

/// Brings a file of the own store to this machine.
async fn from_store<C: Chain>(desk: &Desk<C>, wanted: &Wanted) -> Brought {
    let under = &desk.sources.ahead;
    if !has_room(under, wanted).await {
        return Brought::FromNobody;
    }
    let blob = Blob::new(&wanted.prefix, wanted.root.0, wanted.length);
    let sources = [desk.run.store.source()];
    let fetched = in_time(&blob, &sources, &place_under(under, wanted)).await;
    let why = match fetched {
        Ok(Ok(outcome)) => {
            desk.metrics().fetched(Came::FromStore, outcome.fetched);
            return Brought::Whole;
        }
        Ok(Err(error)) => error.to_string(),
        Err(why) => why,
    };
    tracing::debug!("{why}");
    Brought::Failed
}

/// What was brought beside the state, if it is whole and good.
pub(super) async fn found<C: Chain>(desk: &Desk<C>, wanted: &Wanted) -> Option<Bytes> {
    if desk.run.store.directory().is_some() || wanted.length > wanted.most {
        return None;
    }
    let place = place_under(&desk.sources.ahead, wanted);
    let (root, length) = (wanted.root.0, wanted.length);
    let read = move || {
        let is_whole = std::fs::metadata(&place).is_ok_and(|found| found.len() == length);
        let bytes = is_whole.then(|| std::fs::read(&place).ok())??;
        let is_good = *blake3::hash(&bytes).as_bytes() == root;
        is_good.then(|| Bytes::from(bytes))
    };
    tokio::task::spawn_blocking(read).await.ok().flatten()
}
