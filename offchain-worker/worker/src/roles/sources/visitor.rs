//! Files for who is no worker: asked of members' endpoints and of a store that a person names, and checked while they
//! arrive.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use cairn_primitives::Text;
use cairn_store::{fetch, guard::Origin, Blob, Source, Store, StoreError};

use super::{peer::Guest, Relays, PATIENCE, STORE};

/// Whether an endpoint is a peer's, and no store.
pub fn is_peer(endpoint: &Text) -> bool {
    !endpoint.to_text().starts_with(STORE)
}

/// Who asks.
pub struct Visitor {
    /// As whose word what the chain names is taken.
    origin: Origin,
    /// What a person named, asked beside endpoints.
    own: Option<Store>,
    /// Itself as a peer, if peers are asked.
    guest: Option<Result<Guest, String>>,
    /// How long a file may take.
    deadline: Duration,
}

impl Visitor {
    /// Comes up, as a peer too if one of these endpoints is a peer's. It waits for so long for a file.
    pub async fn new<'a>(
        endpoints: impl IntoIterator<Item = &'a Text>,
        own: Option<Store>,
        (origin, relays): (Origin, Relays),
        deadline: Duration,
    ) -> Visitor {
        let has_peers = endpoints.into_iter().any(is_peer);
        let guest = match has_peers {
            true => Some(Guest::start(relays).await),
            false => None,
        };
        Visitor {
            origin,
            own,
            guest,
            deadline,
        }
    }

    /// A whole blob from these endpoints, or from the store that was named.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn bring(&self, blob: &Blob, endpoints: &[Text]) -> Result<Vec<u8>, String> {
        let mut sources: Vec<Arc<dyn Source>> = self.own.iter().map(Store::source).collect();
        let mut not_asked = Vec::new();
        for endpoint in endpoints {
            match self.source(&endpoint.to_text()) {
                Ok(source) => sources.push(source),
                Err(why) => not_asked.push(why),
            }
        }
        if sources.is_empty() {
            return Err(match not_asked.is_empty() {
                true => "it names no endpoint".into(),
                false => not_asked.join("; "),
            });
        }
        let scratch = Scratch::new()?;
        let into = scratch.0.join("file");
        let fetched = fetch(blob, &sources, &into, PATIENCE);
        match tokio::time::timeout(self.deadline, fetched).await {
            Err(_) => Err(format!(
                "it did not come whole in {} s",
                self.deadline.as_secs()
            )),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(_)) => tokio::fs::read(&into)
                .await
                .map_err(|error| format!("cannot read {} ({error})", into.display())),
        }
    }

    fn source(&self, endpoint: &str) -> Result<Arc<dyn Source>, String> {
        if endpoint.starts_with(STORE) {
            let store = Store::open_named_by(endpoint, self.origin);
            return store
                .map(|store| store.source())
                .map_err(|error: StoreError| error.to_string());
        }
        match &self.guest {
            Some(Ok(guest)) => guest.source(endpoint, self.origin),
            Some(Err(why)) => Err(why.clone()),
            None => Err(format!("{endpoint} is none that can be asked")),
        }
    }

    /// Tells peers that it is gone.
    pub async fn close(self) {
        if let Some(Ok(guest)) = &self.guest {
            guest.close().await;
        }
    }
}

/// A directory of its own, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, String> {
        let mut name = [0u8; 16];
        getrandom::fill(&mut name).map_err(|error| error.to_string())?;
        let place = std::env::temp_dir().join(format!("cairn-{}", hex::encode(name)));
        DirBuilder::new()
            .mode(0o700)
            .create(&place)
            .map_err(|error| format!("cannot make {} ({error})", place.display()))?;
        Ok(Scratch(place))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody can do anything about what stays.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_store::paths;

    async fn visitor(own: Option<Store>) -> Visitor {
        let (relays, _) = Relays::choose(None, &[], Origin::Chain);
        let hangs = Duration::from_secs(240);
        Visitor::new([], own, (Origin::Chain, relays), hangs).await
    }

    #[tokio::test]
    async fn what_a_named_store_has_is_brought_and_nothing_else_is_taken_for_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::create_in(directory.path()).expect("room");
        let bytes = vec![7u8; 300 << 10];
        let root = store
            .publish(paths::DATA, bytes.clone())
            .await
            .expect("room");
        let visitor = visitor(Some(store)).await;
        let blob = Blob::new(paths::DATA, root, bytes.len() as u64);
        assert_eq!(visitor.bring(&blob, &[]).await, Ok(bytes));
        let path = directory.path().join(&blob.path);
        let mut damaged = fs::read(&path).expect("there");
        damaged[9] ^= 1;
        fs::write(&path, damaged).expect("room");
        assert!(visitor.bring(&blob, &[]).await.is_err());
        visitor.close().await;
    }

    #[tokio::test]
    async fn where_nobody_can_be_asked_the_reason_is_said() {
        let (visitor, blob) = (visitor(None).await, Blob::new(paths::DATA, [1; 32], 9));
        let nobody = visitor.bring(&blob, &[]).await;
        assert_eq!(nobody, Err("it names no endpoint".into()));
        let inside = [Text::new("https://10.0.0.1/run").expect("short")];
        let refused = visitor.bring(&blob, &inside).await.expect_err("inside");
        assert!(refused.contains("10.0.0.1"), "{refused}");
    }
}
