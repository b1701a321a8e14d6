//! An endpoint.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cairn_store::guard::Origin;
use iroh::{
    dns::DnsResolver,
    endpoint::{presets, BindOpts},
    Endpoint, EndpointAddr, RelayMap, RelayMode, RelayUrl,
};
use tokio::task::JoinHandle;

use crate::{
    address::relay,
    frame::ALPN,
    names::Names,
    probe::{self, ProbeError, Uplink},
    serve::Server,
    Address, Limits, PeerError, PeerId, PeerKey, PeerSource, Policy, Serving, Shelf,
};

/// How an endpoint comes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Addresses of this machine to send and receive UDP at; port 0 for any that is free. None: only by relays.
    pub bind: Vec<SocketAddr>,
    /// URLs of the relays by which it may be found and speak. None: only by direct addresses.
    pub relays: Vec<String>,
    /// Who named the relays.
    pub relays_by: Origin,
    /// For a connection, for the head of an answer, for each of its chunks, and for a probe.
    pub deadline: Duration,
}

impl Default for Settings {
    /// All addresses of this machine, no relays, 10 s.
    fn default() -> Self {
        Settings {
            bind: vec![
                (Ipv4Addr::UNSPECIFIED, 0).into(),
                (Ipv6Addr::UNSPECIFIED, 0).into(),
            ],
            relays: Vec::new(),
            relays_by: Origin::Owner,
            deadline: Duration::from_secs(10),
        }
    }
}

/// An endpoint: serves blobs, and fetches them from others.
pub struct Peer {
    endpoint: Endpoint,
    relays: Vec<RelayUrl>,
    settings: Settings,
    /// Who answers those that knock.
    slot: Arc<Mutex<Option<Arc<Server>>>>,
    door: JoinHandle<()>,
}

/// Its id: the rest has keys in it.
impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer").field(&self.id()).finish()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.door.abort();
    }
}

impl Peer {
    /// Brings an endpoint up. It asks nobody for anything but the relays that it is given.
    ///
    /// # Errors
    /// [`PeerError::InvalidRelay`], [`PeerError::CannotBind`].
    pub async fn bind(key: &PeerKey, settings: Settings) -> Result<Peer, PeerError> {
        let relays = settings
            .relays
            .iter()
            .map(|url| relay(url, settings.relays_by));
        let relays = relays.collect::<Result<Vec<_>, _>>()?;
        let endpoint = endpoint(key, &settings, &relays).await?;
        let slot = Arc::<Mutex<Option<Arc<Server>>>>::default();
        let door = tokio::spawn(open(endpoint.clone(), slot.clone()));
        Ok(Peer {
            endpoint,
            relays,
            settings,
            slot,
            door,
        })
    }

    /// Its id.
    pub fn id(&self) -> PeerId {
        self.endpoint.id().into()
    }

    /// Where it is, as far as it knows by now: the addresses of this machine, what relays said of it, and the relay
    /// that it is connected to.
    pub fn address(&self) -> Address {
        Address::from(&self.endpoint.addr())
    }

    /// Where on this machine it sends and receives UDP.
    pub fn bound(&self) -> Vec<SocketAddr> {
        self.endpoint.bound_sockets()
    }

    /// Comes back when one of the relays can be spoken by; never, if there is none.
    pub async fn online(&self) {
        self.endpoint.online().await;
    }

    /// Whether it has come to its end, after which nobody reaches it and it reaches nobody: it was closed, or all its
    /// addresses were taken from this machine.
    pub fn is_over(&self) -> bool {
        self.door.is_finished()
    }

    /// Serves a shelf, until what this gives is dropped.
    ///
    /// # Errors
    /// [`PeerError::Serving`].
    pub fn serve(
        &self,
        shelf: Arc<dyn Shelf>,
        policy: Arc<dyn Policy>,
        limits: Limits,
    ) -> Result<Serving, PeerError> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_some() {
            return Err(PeerError::Serving);
        }
        let config = self
            .endpoint
            .create_server_config_builder(vec![ALPN.to_vec()]);
        let config = config.set_transport_config(limits.server()).build();
        let server = Arc::new(Server::new(shelf, policy, limits, config));
        *slot = Some(server.clone());
        drop(slot);
        let slot = self.slot.clone();
        Ok(Serving { server, slot })
    }

    /// A peer to fetch from, at addresses that somebody named. It is not connected to before it is asked for something.
    ///
    /// # Errors
    /// Those of [`Address::check`]; [`PeerError::UnknownRelay`].
    pub fn source(&self, address: &Address, origin: Origin) -> Result<PeerSource, PeerError> {
        let at = self.way(address, origin)?;
        let deadline = self.settings.deadline;
        Ok(PeerSource::new(self.endpoint.clone(), at, deadline))
    }

    /// How fast this machine sends to a peer at addresses that somebody named: up to 4 MiB go there, over 5 s or a
    /// little more, and are thrown away. It has [`Settings::deadline`] to be connected to, and as long again.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub async fn probe(&self, address: &Address, origin: Origin) -> Result<Uplink, ProbeError> {
        let at = self.way(address, origin)?;
        probe::probe(&self.endpoint, at, self.settings.deadline).await
    }

    /// The way to a peer at addresses that somebody named.
    fn way(&self, address: &Address, origin: Origin) -> Result<EndpointAddr, PeerError> {
        address.check(origin)?;
        let at = address.endpoint()?;
        if let Some(unknown) = at.relay_urls().find(|url| !self.relays.contains(url)) {
            let (id, relay) = (address.id, unknown.to_string());
            return Err(PeerError::UnknownRelay { id, relay });
        }
        Ok(at)
    }

    /// Closes all connections and tells the other sides.
    pub async fn close(&self) {
        self.endpoint.close().await;
    }
}

/// Lets those who knock in, or sends them away. While nothing is served there is nobody to let in, and they must not
/// queue up.
async fn open(endpoint: Endpoint, slot: Arc<Mutex<Option<Arc<Server>>>>) {
    while let Some(incoming) = endpoint.accept().await {
        let server = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match server {
            Some(server) => server.knock(incoming),
            None => incoming.refuse(),
        }
    }
}

async fn endpoint(
    key: &PeerKey,
    settings: &Settings,
    relays: &[RelayUrl],
) -> Result<Endpoint, PeerError> {
    let cannot = |why: String| PeerError::CannotBind {
        at: format!("{:?}", settings.bind),
        why,
    };
    let relay_mode = match relays.is_empty() {
        true => RelayMode::Disabled,
        false => RelayMode::Custom(relays.iter().cloned().collect::<RelayMap>()),
    };
    let mut builder = Endpoint::builder(presets::Minimal)
        .secret_key(key.secret())
        .relay_mode(relay_mode)
        .clear_address_lookup()
        .dns_resolver(DnsResolver::custom(Names(settings.relays_by)))
        .clear_ip_transports();
    for at in &settings.bind {
        // A machine without IPv6 has the rest.
        let is_required = !at.ip().is_unspecified() || at.is_ipv4();
        let options = BindOpts::default().set_is_required(is_required);
        builder = builder
            .bind_addr_with_opts(*at, options)
            .map_err(|error| cannot(error.to_string()))?;
    }
    builder
        .bind()
        .await
        .map_err(|error| cannot(error.to_string()))
}
