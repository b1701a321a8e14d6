//! Which stores a worker reads and writes.
//!
//! A worker writes only where its owner said. A run's configuration may name another store, from which its data and
//! its first parameters are read; a stranger may have written it, so it is opened by what `cairn_store::guard` allows.

use cairn_primitives::RunConfig;
use cairn_store::{guard::Origin, Store};

use super::RoleError;

/// What the owner said of stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stores {
    /// Where this worker's files go and others' come from.
    pub url: String,
    /// Whether the owner vouches for whatever store a run names.
    pub trusts_run: bool,
}

impl Stores {
    /// Those of who trusts no run's.
    pub fn at(url: &str) -> Stores {
        Stores {
            url: url.to_string(),
            trusts_run: false,
        }
    }

    /// The worker's own store.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn own(&self) -> Result<Store, RoleError> {
        Ok(Store::open(&self.url)?)
    }

    /// Where a run's data and its first parameters are: in the store that it names, or in the own one.
    ///
    /// # Errors
    /// [`RoleError::NamedStore`] if it names what a chain may not name; those of [`Store::open`].
    pub fn of_run(&self, config: &RunConfig) -> Result<Store, RoleError> {
        let named = config.data.store.to_text();
        if named.is_empty() || named == self.url {
            return self.own();
        }
        if self.trusts_run {
            return Ok(Store::open(&named)?);
        }
        Store::open_named_by(&named, Origin::Chain).map_err(RoleError::NamedStore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::testing::config_and_store;
    use cairn_primitives::Text;

    /// What becomes of a run that names this store.
    async fn opened(named: &str, stores: &Stores) -> Result<String, RoleError> {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut config, _) = config_and_store(directory.path()).await;
        config.data.store = Text::new(named).expect("short");
        stores.of_run(&config).map(|store| store.url().to_string())
    }

    #[tokio::test]
    async fn a_run_cannot_send_a_worker_to_its_own_machine_or_network() {
        let own = tempfile::tempdir().expect("a directory");
        let url = format!("file://{}", own.path().display());
        let stores = Stores::at(&url);
        for named in ["", url.as_str()] {
            assert_eq!(opened(named, &stores).await.expect("its own"), url);
        }
        let other = tempfile::tempdir().expect("a directory");
        let directory = format!("file://{}", other.path().display());
        let inside = [
            "s3://bucket/run",
            "http://localhost:8000/run",
            "https://10.0.0.1/run",
        ];
        for named in inside.into_iter().chain([directory.as_str()]) {
            let refused = opened(named, &stores).await;
            assert!(
                matches!(refused, Err(RoleError::NamedStore(_))),
                "{named}: {refused:?}"
            );
        }
        let trusting = Stores {
            trusts_run: true,
            ..stores
        };
        assert_eq!(
            opened(&directory, &trusting).await.expect("told so"),
            directory
        );
    }

    #[tokio::test]
    async fn a_public_mirror_may_be_named() {
        let own = tempfile::tempdir().expect("a directory");
        let stores = Stores::at(&format!("file://{}", own.path().display()));
        let named = "https://mirror.example/run";
        assert_eq!(opened(named, &stores).await.expect("public"), named);
    }
}
