//! The side that serves.

mod answer;
mod connection;
mod probes;
mod room;
mod tally;
mod throttle;

#[cfg(all(test, feature = "testing"))]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use iroh::endpoint::{Connection, Incoming, IncomingAddr, ServerConfig};
use tokio::sync::{watch, Semaphore};

use self::{
    answer::Desk,
    probes::Probes,
    room::{Entry, Place, Room},
    tally::Tally,
    throttle::Throttle,
};
use crate::{Code, Limits, PeerId, Policy, Shelf};

pub use tally::Counts;

/// A shelf that is served, until this is dropped or stopped.
#[derive(Debug)]
pub struct Serving {
    pub(crate) server: Arc<Server>,
    pub(crate) slot: Arc<Mutex<Option<Arc<Server>>>>,
}

impl Serving {
    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.server.desk.tally.get()
    }

    /// Closes all connections, and lets nobody in any more.
    pub fn stop(self) {}
}

impl Drop for Serving {
    fn drop(&mut self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.server.leaving.send_replace(true);
    }
}

/// What all connections share.
pub(crate) struct Server {
    desk: Desk,
    config: Arc<ServerConfig>,
    handshakes: Arc<Semaphore>,
    guests: Mutex<Guests>,
    leaving: watch::Sender<bool>,
}

struct Guests {
    room: Room,
    connections: HashMap<Place, Connection>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("limits", &self.desk.limits)
            .field("counts", &self.desk.tally.get())
            .finish_non_exhaustive()
    }
}

impl Server {
    pub fn new(
        shelf: Arc<dyn Shelf>,
        policy: Arc<dyn Policy>,
        limits: Limits,
        config: ServerConfig,
    ) -> Server {
        let room = Room::new(limits.connections, limits.connections_each);
        Server {
            config: Arc::new(config),
            handshakes: Arc::new(Semaphore::new(
                limits.handshakes.min(Semaphore::MAX_PERMITS),
            )),
            guests: Mutex::new(Guests {
                room,
                connections: HashMap::new(),
            }),
            leaving: watch::channel(false).0,
            desk: Desk {
                shelf,
                policy,
                limits,
                throttle: Throttle::new(limits.rate),
                probes: Probes::new(&limits),
                tally: Tally::default(),
            },
        }
    }

    /// Somebody knocks. Whoever it is has proven nothing yet, so this costs next to nothing.
    pub fn knock(self: Arc<Self>, incoming: Incoming) {
        let Ok(permit) = self.handshakes.clone().try_acquire_owned() else {
            self.desk.tally.refused();
            return incoming.refuse();
        };
        // Once half of the room is taken, an address has to prove that it is where the packets come from.
        let is_crowded = self.handshakes.available_permits() < self.desk.limits.handshakes / 2;
        let is_direct = matches!(incoming.remote_addr(), IncomingAddr::Ip(_));
        if is_crowded && is_direct && !incoming.remote_addr_validated() {
            // Whoever has done so cannot be asked again, and then is not asked.
            let _ = incoming.retry();
            return;
        }
        tokio::spawn(async move {
            let connection = self.handshake(incoming).await;
            drop(permit);
            match connection {
                Some(connection) => self.welcome(connection).await,
                None => self.desk.tally.refused(),
            }
        });
    }

    /// The connection, once the peer has proven who it is.
    async fn handshake(&self, incoming: Incoming) -> Option<Connection> {
        let accepting = incoming.accept_with(self.config.clone()).ok()?;
        let done = tokio::time::timeout(self.desk.limits.step, accepting).await;
        done.ok()?.ok()
    }

    /// Lets a peer in, if it may be and there is room, and serves it.
    async fn welcome(self: Arc<Self>, connection: Connection) {
        let peer = PeerId::from(connection.remote_id());
        if !self.desk.policy.admits(&peer) {
            self.desk.tally.refused();
            return close(&connection, Code::NotAdmitted);
        }
        let Some(place) = self.enter(peer, &connection) else {
            self.desk.tally.refused();
            return close(&connection, Code::Full);
        };
        let code = self.serve(&connection, &peer, place).await;
        tracing::debug!("peer {peer}: {}", code.said());
        close(&connection, code);
        self.leave(place);
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, peer: PeerId, connection: &Connection) -> Option<Place> {
        let mut guests = self.guests();
        let (place, leaves) = match guests.room.enter(peer) {
            Entry::In(place) => (place, None),
            Entry::Instead(place, leaves) => (place, guests.connections.remove(&leaves)),
            Entry::Full => return None,
        };
        if let Some(leaves) = leaves {
            close(&leaves, Code::Full);
        }
        guests.connections.insert(place, connection.clone());
        self.desk.tally.connections(guests.room.len());
        self.desk.tally.admitted();
        Some(place)
    }

    fn leave(&self, place: Place) {
        let mut guests = self.guests();
        guests.room.leave(place);
        guests.connections.remove(&place);
        self.desk.tally.connections(guests.room.len());
    }

    fn begins(&self, place: Place) {
        self.guests().room.begins(place);
        self.desk.tally.begins();
    }

    fn ends(&self, place: Place) {
        self.guests().room.ends(place);
        self.desk.tally.ends();
    }
}

fn close(connection: &Connection, code: Code) {
    connection.close(code.number(), code.said().as_bytes());
}
