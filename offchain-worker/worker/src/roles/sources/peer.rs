//! This worker as a peer: what its store has it serves, and fetches what other peers have.

#[cfg(feature = "p2p")]
pub use with::{Guest, Node};
#[cfg(not(feature = "p2p"))]
pub use without::{Guest, Node};

#[cfg(feature = "p2p")]
mod with {
    use std::{path::Path, sync::Arc, time::Duration};

    use cairn_p2p::{
        Address, Directory, Limits, Peer, PeerError, PeerId, PeerKey, Policy, ProbeError, Serving,
        Settings,
    };
    use cairn_primitives::{text::MAX_TEXT, Text};
    use cairn_store::{
        guard::{is_public, Origin},
        Source, Store,
    };

    use super::super::{PeerOptions, Relays, RoleError, Unanswered};

    /// How long a relay is waited for.
    const RELAY: Duration = Duration::from_secs(10);

    /// A peer that only asks, under a key that is used once.
    pub struct Guest(Peer);

    impl Guest {
        /// Comes up, with these relays.
        ///
        /// # Errors
        /// Why it does not.
        pub async fn start(relays: Relays) -> Result<Guest, String> {
            let mut key = [0u8; 32];
            getrandom::fill(&mut key).map_err(|error| error.to_string())?;
            let has_relays = !relays.urls.is_empty();
            let settings = settings(&PeerOptions::default(), relays);
            let peer = Peer::bind(&PeerKey::from_bytes(&key), settings).await;
            let guest = Guest(peer.map_err(|error| error.to_string())?);
            if has_relays {
                wait_for_relay(&guest.0).await;
            }
            Ok(guest)
        }

        /// The peer at an endpoint of the chain.
        ///
        /// # Errors
        /// Why it is not asked.
        pub fn source(&self, text: &str, origin: Origin) -> Result<Arc<dyn Source>, String> {
            source(&self.0, text, origin)
        }

        /// Bits a second at least that go from here to the peer at an endpoint of the chain, by a few MiB.
        ///
        /// # Errors
        /// Why it took none.
        pub async fn probe(&self, text: &str, origin: Origin) -> Result<f64, Unanswered> {
            let not_asked = |error: PeerError| Unanswered::NotAsked(error.to_string());
            let address = text.parse::<Address>().map_err(not_asked)?;
            match self.0.probe(&address, origin).await {
                Ok(uplink) => Ok(uplink.bits_per_s),
                Err(ProbeError::NotAsked(error)) => Err(not_asked(error)),
                Err(error @ (ProbeError::Busy | ProbeError::Unknown)) => {
                    Err(Unanswered::Declined(error.to_string()))
                }
                Err(error) => Err(Unanswered::Silent(error.to_string())),
            }
        }

        /// Tells other peers that it is gone.
        pub async fn close(&self) {
            self.0.close().await;
        }
    }

    fn source(peer: &Peer, text: &str, origin: Origin) -> Result<Arc<dyn Source>, String> {
        let address: Address = text.parse().map_err(|error| format!("{error}"))?;
        let source = peer.source(&address, origin);
        Ok(Arc::new(source.map_err(|error| error.to_string())?))
    }

    /// A peer that serves a store.
    pub struct Node {
        peer: Peer,
        _serving: Serving,
    }

    /// Whoever asks: who follows a run from outside is no member, and files are sealed.
    #[derive(Debug)]
    struct Anybody;

    impl Policy for Anybody {
        fn admits(&self, _: &PeerId) -> bool {
            true
        }

        fn serves(&self, _: &PeerId, _: &str) -> bool {
            true
        }
    }

    /// Where a peer is, and the relays that it uses, with who named them.
    fn settings(options: &PeerOptions, relays: Relays) -> Settings {
        let mut settings = Settings {
            relays: relays.urls,
            relays_by: relays.by,
            ..Settings::default()
        };
        if !options.bind.is_empty() {
            settings.bind = options.bind.clone();
        }
        settings
    }

    /// What others may cost it.
    fn limits(options: &PeerOptions) -> Limits {
        Limits {
            rate: options.rate,
            ..Limits::default()
        }
    }

    /// Binds where it was bound before, if nothing else is asked for and that is free, so that what the chain says of
    /// it stays true over a restart.
    async fn bind(key: &PeerKey, settings: Settings, port: &Path) -> Result<Peer, PeerError> {
        let before = std::fs::read_to_string(port).ok();
        let before = before.and_then(|text| text.trim().parse::<u16>().ok());
        if let Some(before) = before {
            let mut same = settings.clone();
            for at in same.bind.iter_mut().filter(|at| at.port() == 0) {
                at.set_port(before);
            }
            if let Ok(peer) = Peer::bind(key, same).await {
                return Ok(peer);
            }
        }
        let peer = Peer::bind(key, settings).await?;
        let bound = peer.bound().first().map(|at| at.port().to_string());
        if let Some(Err(error)) = bound.map(|bound| std::fs::write(port, bound)) {
            tracing::warn!(
                "{}: {error}; after a restart this peer is elsewhere",
                port.display()
            );
        }
        Ok(peer)
    }

    async fn wait_for_relay(peer: &Peer) {
        if tokio::time::timeout(RELAY, peer.online()).await.is_err() {
            let seconds = RELAY.as_secs();
            tracing::warn!("no relay answered in {seconds} s: others may not reach this peer");
        }
    }

    impl Node {
        /// Serves a store that is a directory, reached by these relays, too. The peer's key is in `directory`, where it
        /// is made if it is not there.
        ///
        /// # Errors
        /// [`RoleError::Peer`].
        pub async fn start(
            options: &PeerOptions,
            relays: Relays,
            store: &Store,
            directory: &Path,
        ) -> Result<Node, RoleError> {
            let failed = |error: &dyn std::fmt::Display| RoleError::Peer(error.to_string());
            let shelf = store.directory().ok_or_else(|| {
                let what = format!("{} is no directory, and a peer serves one", store.url());
                RoleError::Peer(format!(
                    "{what}: leave --p2p out and name the store's https:// address by --endpoint"
                ))
            })?;
            let key = directory.join("peer.key");
            let key = match key.exists() {
                true => PeerKey::load(&key),
                false => PeerKey::make(&key),
            };
            let has_relays = !relays.urls.is_empty();
            let key = key.map_err(|error| failed(&error))?;
            let settings = settings(options, relays);
            let peer = bind(&key, settings, &directory.join("peer.port")).await;
            let peer = peer.map_err(|error| failed(&error))?;
            let shelf = Directory::open(&shelf).map_err(|error| failed(&error))?;
            let serving = peer
                .serve(Arc::new(shelf), Arc::new(Anybody), limits(options))
                .map_err(|error| failed(&error))?;
            if has_relays {
                wait_for_relay(&peer).await;
            }
            Ok(Node {
                peer,
                _serving: serving,
            })
        }

        /// Where others reach it, as the chain is to say it.
        ///
        /// # Errors
        /// [`RoleError::Peer`] if there is no way to it.
        pub fn endpoint(&self, options: &PeerOptions, is_local: bool) -> Result<Text, RoleError> {
            let mut address = self.peer.address();
            if !options.addresses.is_empty() {
                address.direct = options.addresses.clone();
            }
            address.direct.retain(|at| is_local || is_public(at.ip()));
            let text = address.to_text(MAX_TEXT as usize);
            let text = text.and_then(|text| Text::new(&text).ok());
            text.ok_or_else(|| {
                RoleError::Peer(
                    "no address of this machine is public, so nobody finds this peer: name one by \
                     --p2p-address IP:PORT, or a relay by --p2p-relay URL"
                        .into(),
                )
            })
        }

        /// The peer at an endpoint of the chain.
        ///
        /// # Errors
        /// Why it is not asked.
        pub fn source(&self, text: &str, origin: Origin) -> Result<Arc<dyn Source>, String> {
            source(&self.peer, text, origin)
        }

        /// Whether it has come to its end and does not come back.
        pub fn is_over(&self) -> bool {
            self.peer.is_over()
        }

        /// Tells other peers that it is gone.
        pub async fn close(&self) {
            self.peer.close().await;
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_the_owner_says_reaches_the_peer() {
            let relays = |by| Relays {
                urls: vec!["https://relay.example".into()],
                by,
            };
            let said = PeerOptions {
                bind: vec!["127.0.0.1:4001".parse().unwrap()],
                rate: Some(20_000_000),
                ..PeerOptions::default()
            };
            let nothing = PeerOptions::default();
            for by in [Origin::Owner, Origin::Chain] {
                let found = settings(&said, relays(by));
                assert_eq!(found.bind, said.bind);
                assert_eq!(found.relays, ["https://relay.example"]);
                assert_eq!(found.relays_by, by);
                let usual = settings(&nothing, relays(by));
                assert_eq!(usual.bind, Settings::default().bind);
            }
            assert_eq!(limits(&said).rate, Some(20_000_000));
            assert_eq!(limits(&nothing), Limits::default());
        }
    }
}

#[cfg(not(feature = "p2p"))]
mod without {
    use std::{path::Path, sync::Arc};

    use cairn_primitives::Text;
    use cairn_store::{guard::Origin, Source, Store};

    use super::super::{PeerOptions, Relays, RoleError, Unanswered};

    const NOT_BUILT: &str = "this cairn was built without peers: build it with --features p2p";

    /// There is none.
    pub enum Guest {}

    impl Guest {
        /// # Errors
        /// That there are no peers.
        pub async fn start(_: Relays) -> Result<Guest, String> {
            Err(NOT_BUILT.into())
        }

        /// # Errors
        /// That there are no peers.
        pub fn source(&self, _: &str, _: Origin) -> Result<Arc<dyn Source>, String> {
            Err(NOT_BUILT.into())
        }

        /// # Errors
        /// That there are no peers.
        pub async fn probe(&self, _: &str, _: Origin) -> Result<f64, Unanswered> {
            Err(Unanswered::NotAsked(NOT_BUILT.into()))
        }

        /// Nobody is told.
        pub async fn close(&self) {}
    }

    /// There is none.
    pub enum Node {}

    impl Node {
        /// # Errors
        /// [`RoleError::Peer`].
        pub async fn start(
            _: &PeerOptions,
            _: Relays,
            _: &Store,
            _: &Path,
        ) -> Result<Node, RoleError> {
            Err(RoleError::Peer(NOT_BUILT.into()))
        }

        /// # Errors
        /// [`RoleError::Peer`].
        pub fn endpoint(&self, _: &PeerOptions, _: bool) -> Result<Text, RoleError> {
            Err(RoleError::Peer(NOT_BUILT.into()))
        }

        /// # Errors
        /// That there are no peers.
        pub fn source(&self, _: &str, _: Origin) -> Result<Arc<dyn Source>, String> {
            Err(NOT_BUILT.into())
        }

        /// It never began.
        pub fn is_over(&self) -> bool {
            false
        }

        /// Nobody is told.
        pub async fn close(&self) {}
    }
}
