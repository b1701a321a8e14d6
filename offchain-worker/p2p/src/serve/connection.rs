//! One connection: its requests, until it ends.

use std::sync::Arc;

use iroh::endpoint::{Connection, RecvStream, SendStream, VarInt};
use tokio::{
    task::JoinSet,
    time::{sleep_until, timeout, Instant},
};

use super::{
    answer::{Answered, Stop},
    probes::Permit,
    room::Place,
    Server,
};
use crate::{limits::WINDOW, Code, PeerId};

/// A request that is under way, for the counts; over when dropped, also by a task that is aborted.
struct Underway {
    server: Arc<Server>,
    place: Place,
}

impl Underway {
    fn begin(server: &Arc<Server>, place: Place) -> Underway {
        server.begins(place);
        Underway {
            server: server.clone(),
            place,
        }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.server.ends(self.place);
    }
}

impl Server {
    /// Answers the requests of a connection, several at a time, and gives what to close it with. Requests that are
    /// still under way then end with it.
    pub(super) async fn serve(
        self: &Arc<Self>,
        connection: &Connection,
        peer: &PeerId,
        place: Place,
    ) -> Code {
        let limits = self.desk.limits;
        let mut leaving = self.leaving.subscribe();
        let mut tasks: JoinSet<Result<Option<Permit>, Stop>> = JoinSet::new();
        let mut idle_until = Instant::now().checked_add(limits.idle);
        loop {
            let idle = async {
                match idle_until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            // QUIC lets it open no more streams than this; one that it has read to the end may still be ours to end.
            let may_ask = tasks.len() < limits.requests_each as usize;
            tokio::select! {
                stream = connection.accept_bi(), if may_ask => {
                    let Ok((to, from)) = stream else {
                        return Code::Done;
                    };
                    let underway = Underway::begin(self, place);
                    tasks.spawn(request(underway, *peer, connection.clone(), (from, to)));
                }
                Some(ended) = tasks.join_next() => {
                    idle_until = Instant::now().checked_add(limits.idle);
                    match ended {
                        Ok(Ok(Some(_permit))) => return Code::Done,
                        Ok(Err(stop)) => {
                            tracing::debug!("peer {peer}: {stop}");
                            self.desk.tally.stopped(&stop);
                            if let Some(code) = stop.closes() {
                                return code;
                            }
                        }
                        Ok(Ok(None)) | Err(_) => {}
                    }
                }
                () = idle, if tasks.is_empty() => return Code::Idle,
                _ = connection.closed() => return Code::Done,
                // The sender is gone only with the server.
                _ = leaving.wait_for(|leaving| *leaving) => return Code::Leaving,
            }
        }
    }
}

/// Answers one request, and sees that the reply arrives. Gives what a probe leaves, whose connection ends with it.
async fn request(
    underway: Underway,
    peer: PeerId,
    connection: Connection,
    (mut from, mut to): (RecvStream, SendStream),
) -> Result<Option<Permit>, Stop> {
    let desk = &underway.server.desk;
    let widen = || connection.set_receive_window(VarInt::from_u32(WINDOW));
    let answered = desk.answer(&peer, &mut from, &mut to, &widen).await;
    let Answered { patience, probe } = match answered {
        Ok(answered) => answered,
        Err(stop) => {
            // A stream that just ended would look whole to somebody who did not ask how much there is.
            let code = stop.closes().unwrap_or(Code::Failed);
            let _ = to.reset(code.number());
            return Err(stop);
        }
    };
    if to.finish().is_err() {
        return probe.map_or(Err(Stop::Left), |permit| Ok(Some(permit)));
    }
    // Of a probe only the receipt is on its way.
    let under_way = match probe {
        Some(_) => 0,
        None => desk.limits.window.into(),
    };
    let left = patience.left_for(under_way);
    match timeout(left, to.stopped()).await {
        Err(_) => Err(Stop::Stalled),
        Ok(_) => Ok(probe),
    }
}
