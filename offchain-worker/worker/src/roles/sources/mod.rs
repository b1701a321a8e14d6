//! Where files of others come from: the own store, or else their makers and those who vouched for them, at the
//! endpoints that the chain names.
//!
//! What was fetched is put into the own store, so that who vouches for a file can serve it, too. A source that lied, or
//! that did not answer, is remembered and passed over for a while.

mod ahead;
mod asked;
#[cfg(all(test, feature = "p2p"))]
mod impostor_tests;
mod outside;
mod peer;
#[cfg(test)]
mod reach_tests;
mod relays;
mod standing;
mod uplink;
mod visitor;

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use cairn_chain::{AccountId, MemberEndpoints};
use cairn_primitives::{api::Attester, Hotkey, Round, Text, H256};
use cairn_protocol::endpoint;
use cairn_round::ahead::Whom;
use cairn_store::{
    fetch_metered, guard::Origin, Blob, Fault, FetchError, Meter, Outcome, Patience, Source, Store,
    StoreError,
};

pub(super) use self::{
    ahead::ahead,
    asked::{Asked, Notes},
};
pub use self::{
    outside::{only_inside, HOW_TO_BE_REACHED},
    relays::{Relays, IF_TRUSTED},
    uplink::{uplink, Probed},
    visitor::{is_peer, Visitor},
};
use self::{peer::Node, standing::Standing};
use super::{chain::Chain, driver::Desk, setup::locked, RoleError};
use crate::metrics::{Came, Failed, Metrics, Stage};

/// What the owner said of endpoints.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Where else than by peers this worker's files can be had.
    pub endpoints: Vec<Text>,
    /// Whether members' endpoints on this machine and in private networks may be asked.
    pub trusts_endpoints: bool,
    /// How to be a peer; `None` to be none.
    pub peer: Option<PeerOptions>,
}

impl Reach {
    /// As whose word what the chain names is taken.
    fn origin(&self) -> Origin {
        match self.trusts_endpoints {
            true => Origin::Owner,
            false => Origin::Chain,
        }
    }
}

/// How to be a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerOptions {
    /// Where on this machine UDP is used; any address and a free port if nothing is said.
    pub bind: Vec<SocketAddr>,
    /// Where others reach it; what the endpoint finds out by itself if nothing is said.
    pub addresses: Vec<SocketAddr>,
    /// Relays; `None` for those that the run's manifest names.
    pub relays: Option<Vec<String>>,
    /// Bytes a second that are served to all other peers together; `None` for no limit.
    pub rate: Option<u64>,
}

/// What a fetch may get wrong before the next source is asked. A file of a round is not waited for as long as a
/// checkpoint.
const PATIENCE: Patience = Patience {
    deadline: Duration::from_secs(10),
    late: Duration::from_secs(1),
    strikes: 2,
    pause: Duration::from_millis(250),
};
/// What the endpoint of a store begins with; other endpoints are peers.
const STORE: &str = "https://";
/// Sources that are kept open at most.
const MOST_OPEN: usize = 256;
/// For a whole file: this, and a second for each MiB. Who brings a group now and then holds nobody up.
const WHOLE: Duration = Duration::from_secs(30);
/// How often, and after how long each time, a place is tried again that another fetch has: one that was told to end
/// lets go of it a moment later.
const BUSY: (u32, Duration) = (20, Duration::from_millis(100));
/// Rounds of which what came in part is kept, to go on from there.
pub const INCOMING_ROUNDS: Round = 16;

/// A file that is wanted, as the chain names it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Where it lies in every store.
    pub prefix: String,
    /// Its root.
    pub root: H256,
    /// Its length in bytes.
    pub length: u64,
    /// The most bytes that are taken.
    pub most: u64,
    /// Who made it.
    pub maker: Hotkey,
    /// The round that it belongs to.
    pub round: Round,
    /// Who must have it beside its maker; the round's validators if nobody is named.
    pub holders: Vec<Hotkey>,
    /// Who may have it, too.
    pub others: Vec<Hotkey>,
}

/// Where files come from and go to.
pub(super) struct Sources {
    /// What the chain is to say of where this worker's files can be had.
    pub endpoints: Vec<Text>,
    origin: Origin,
    node: Option<Node>,
    /// Where what is fetched lies until it is whole.
    incoming: PathBuf,
    /// Where what is fetched before it is needed lies, if the own store is no directory.
    ahead: PathBuf,
    open: Mutex<BTreeMap<String, Arc<dyn Source>>>,
    standing: Arc<Mutex<Standing>>,
}

impl Sources {
    /// Those of a worker with this store, which keeps what it needs under `directory`, in a run whose manifest names
    /// these `relays`.
    ///
    /// # Errors
    /// [`RoleError::Peer`].
    pub async fn new(
        reach: &Reach,
        relays: &[String],
        store: &Store,
        directory: &Path,
    ) -> Result<Sources, RoleError> {
        let origin = reach.origin();
        let node = match &reach.peer {
            Some(options) => {
                let own = options.relays.as_deref();
                let (relays, left_out) = Relays::choose(own, relays, origin);
                for said in left_out {
                    tracing::warn!("{said}; {IF_TRUSTED}");
                }
                Some(Node::start(options, relays, store, directory).await?)
            }
            None => None,
        };
        let mut endpoints = reach.endpoints.clone();
        if let (Some(node), Some(options)) = (&node, &reach.peer) {
            endpoints.push(node.endpoint(options, reach.trusts_endpoints)?);
        }
        endpoint::set(&endpoints, None, 0).map_err(|refusal| {
            RoleError::Peer(format!(
                "the chain takes no such endpoints ({refusal:?}): correct --endpoint"
            ))
        })?;
        if let Some(found) = only_inside(&endpoints) {
            tracing::warn!(
                "{found}; {HOW_TO_BE_REACHED}, unless all members are in the same network"
            );
        }
        let incoming = directory.join("incoming");
        // What was under way when it was stopped is begun anew.
        empty(&incoming).await;
        Ok(Sources {
            endpoints,
            origin,
            node,
            incoming,
            ahead: directory.join("ahead"),
            open: Mutex::default(),
            standing: Arc::default(),
        })
    }

    /// Shows how many endpoints of others are in use.
    pub fn show(&self, metrics: &Metrics) {
        let open = locked(&self.open).len();
        let passed_over = locked(&self.standing).passed_over(Instant::now());
        metrics.sources(open, passed_over);
    }

    /// Whether it still is a peer, if it was to be one.
    ///
    /// # Errors
    /// [`RoleError::Peer`] if it is not any more.
    pub fn check(&self) -> Result<(), RoleError> {
        match &self.node {
            Some(node) if node.is_over() => Err(RoleError::Peer(
                "the address that this peer was bound to is gone from this machine, so nobody reaches it: start it \
                 again once the address is back, or without --p2p-bind"
                    .into(),
            )),
            _ => Ok(()),
        }
    }

    /// Tells peers that it is gone.
    pub async fn close(&self) {
        if let Some(node) = &self.node {
            node.close().await;
        }
    }

    /// The source at an endpoint of the chain; `None` if it cannot be asked, or is not asked now.
    fn at(&self, endpoint: &Text) -> Option<Asked> {
        let text = endpoint.to_text();
        // By what was named, not by whom it leads to: nobody can have another one passed over.
        if !locked(&self.standing).is_asked(&text, Instant::now()) {
            return None;
        }
        let known = locked(&self.open).get(&text).cloned();
        let source = match known {
            Some(source) => source,
            None => match self.connect(&text) {
                Ok(source) => source,
                Err(why) => {
                    tracing::debug!("{text} is not asked: {why}");
                    return None;
                }
            },
        };
        Some(Asked {
            endpoint: text,
            source,
            standing: self.standing.clone(),
        })
    }

    fn connect(&self, text: &str) -> Result<Arc<dyn Source>, String> {
        let said = |error: StoreError| error.to_string();
        let source = match (text.strip_prefix(STORE), &self.node) {
            (Some(_), _) => Store::open_named_by(text, self.origin)
                .map_err(said)?
                .source(),
            (None, Some(node)) => node.source(text, self.origin)?,
            (None, None) => return Err("this worker is no peer: start it with --p2p".into()),
        };
        let mut open = locked(&self.open);
        if open.len() >= MOST_OPEN {
            open.clear();
        }
        open.insert(text.to_string(), source.clone());
        Ok(source)
    }

    /// Fetches from these for so long at most, and takes note of how each did.
    async fn bring(
        &self,
        blob: &Blob,
        into: &Path,
        asked: &[Asked],
        limit: Duration,
    ) -> Result<(), String> {
        let sources: Vec<_> = asked.iter().map(|one| one.source.clone()).collect();
        let mut notes = Notes::new(asked, 0);
        let fetched = in_time(blob, &sources, into, notes.meter(), limit).await;
        match &fetched {
            Ok(_) => notes.ended(),
            Err(_) => notes.late(limit),
        }
        fetched?.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Removes what came in part of rounds long before this one.
    pub async fn forget_before(&self, round: Round) {
        forget(&self.incoming, round.saturating_sub(INCOMING_ROUNDS)).await;
    }

    /// Removes what was fetched before it was needed, of rounds before this one.
    pub async fn forget_ahead(&self, round: Round) {
        forget(&self.ahead, round).await;
    }
}

/// Fetches from these, for so long at most.
async fn in_time(
    blob: &Blob,
    sources: &[Arc<dyn Source>],
    into: &Path,
    meter: &Meter,
    limit: Duration,
) -> Result<Result<Outcome, FetchError>, String> {
    let (times, pause) = BUSY;
    let fetched = async {
        for _ in 0..times {
            match fetch_metered(blob, sources, into, PATIENCE, meter).await {
                Err(FetchError::Busy { .. }) => tokio::time::sleep(pause).await,
                ended => return ended,
            }
        }
        fetch_metered(blob, sources, into, PATIENCE, meter).await
    };
    let fetched = tokio::time::timeout(limit, fetched).await;
    fetched.map_err(|_| format!("{} did not come in {} s", blob.path, limit.as_secs()))
}

/// Where a file lies under a directory while it comes. Nobody else's, though another one may have committed to the same
/// root.
fn place_under(directory: &Path, wanted: &Wanted) -> PathBuf {
    let name = [
        &wanted.root.0[..],
        &wanted.maker.0 .0,
        &wanted.length.to_le_bytes(),
    ];
    let name = blake3::hash(&name.concat());
    let round = directory.join(wanted.round.to_string());
    round.join(name.to_hex().as_str())
}

/// Removes what lies under a directory of rounds before this one.
async fn forget(directory: &Path, oldest: Round) {
    let Ok(mut entries) = tokio::fs::read_dir(directory).await else {
        return;
    };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let name = entry.file_name().to_string_lossy().parse::<Round>();
        if name.is_ok_and(|round| round < oldest) {
            empty(&entry.path()).await;
        }
    }
}

/// How long a file may take.
fn whole(length: u64) -> Duration {
    WHOLE.saturating_add(Duration::from_secs(length >> 20))
}

/// Removes a directory, if it is there.
async fn empty(directory: &Path) {
    match tokio::fs::remove_dir_all(directory).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::debug!("{} stays: {error}", directory.display());
        }
        _ => {}
    }
}

/// Those who should have a file and may be asked, at their endpoints. What the chain does not answer is as if nobody
/// had it.
async fn holders<C: Chain>(desk: &Desk<C>, wanted: &Wanted, whom: Whom) -> Vec<Asked> {
    let ask = Ask {
        maker: Some(wanted.maker),
        spares_maker: whom == Whom::NotItsLine,
    };
    if !wanted.holders.is_empty() {
        return at_endpoints(desk, ask, &wanted.holders, &wanted.others).await;
    }
    let (chain, netuid, at) = (&desk.chain, desk.run.netuid, desk.heads.best.hash);
    let round = match chain.round(at, netuid, wanted.round).await {
        Ok(round) => round,
        Err(error) => {
            tracing::debug!("who has files of round {}: {error}", wanted.round);
            None
        }
    };
    let validators = round.map_or_else(Vec::new, |round| round.validators);
    let (must, may): (Vec<_>, Vec<_>) = validators.iter().partition(|one| one.attested);
    let hotkeys = |all: Vec<&Attester<AccountId>>| -> Vec<Hotkey> {
        all.iter().map(|one| one.hotkey.hotkey()).collect()
    };
    at_endpoints(desk, ask, &hotkeys(must), &hotkeys(may)).await
}

/// Who made what is asked for, if that is anybody, and whether the peer is left out that it is itself: a store that it
/// names is not at the end of its line.
#[derive(Clone, Copy, Debug, Default)]
struct Ask {
    maker: Option<Hotkey>,
    spares_maker: bool,
}

/// The sources of a file by these members, the maker first.
async fn at_endpoints<C: Chain>(
    desk: &Desk<C>,
    ask: Ask,
    must: &[Hotkey],
    may: &[Hotkey],
) -> Vec<Asked> {
    let own = desk.run.hotkey.hotkey();
    let asked = endpoint::ask(&own, ask.maker, must, may);
    let asked: Vec<AccountId> = asked.iter().map(|one| AccountId(one.0 .0)).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let (at, netuid) = (desk.heads.best.hash, desk.run.netuid);
    let named = match desk.chain.endpoints_of(at, netuid, &asked).await {
        Ok(named) => named,
        Err(error) => {
            tracing::debug!("endpoints: {error}");
            return Vec::new();
        }
    };
    let endpoints = may_be_asked(&named, ask).into_iter();
    let asked = endpoints.map(|one| desk.sources.at(one));
    asked.flatten().collect()
}

/// The endpoints of these members that may be asked, each once.
fn may_be_asked(named: &[MemberEndpoints], ask: Ask) -> Vec<&Text> {
    let mut endpoints: Vec<&Text> = Vec::new();
    for member in named {
        let is_spared = ask.spares_maker && ask.maker == Some(member.hotkey.hotkey());
        for endpoint in &member.endpoints {
            let is_left_out = is_spared && !endpoint.to_text().starts_with(STORE);
            if !is_left_out && !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
    }
    endpoints
}

/// The validators of the current round, at their endpoints: they have checkpoints.
pub(super) async fn validators<C: Chain>(
    desk: &Desk<C>,
    validators: &[Attester<AccountId>],
) -> Vec<Asked> {
    let others: Vec<Hotkey> = validators.iter().map(|one| one.hotkey.hotkey()).collect();
    at_endpoints(desk, Ask::default(), &others, &[]).await
}

/// A file from the own store or else from those who should have it; then it is in the own store, too. Its bytes are
/// those of its root.
///
/// # Errors
/// Those of the own store: [`StoreError::NotFound`] if nobody has it.
pub(super) async fn file<C: Chain>(desk: &Desk<C>, wanted: &Wanted) -> Result<Bytes, StoreError> {
    let _timer = desk.time(Stage::Fetch);
    if let Some(file) = ahead::found(desk, wanted).await {
        return Ok(file);
    }
    let (store, root) = (&desk.run.store, &wanted.root.0);
    own(desk, wanted, move || async move {
        let file = store.get_blob(&wanted.prefix, root, wanted.most).await?;
        let length = file.len() as u64;
        Ok((file, length))
    })
    .await
}

/// What `by` reads of such a file out of the own store, for who does not want to hold all of it. It checks the root,
/// and says how many bytes there were; it is called again if the file has to come from others.
///
/// # Errors
/// Those of [`file`].
pub(super) async fn read<C: Chain, T, F>(
    desk: &Desk<C>,
    wanted: &Wanted,
    by: impl Fn() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<(T, u64), StoreError>>,
{
    let _timer = desk.time(Stage::Fetch);
    own(desk, wanted, by).await
}

/// What `by` reads out of the own store, into which the file is brought if it is not there.
async fn own<C: Chain, T, F>(
    desk: &Desk<C>,
    wanted: &Wanted,
    by: impl Fn() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<(T, u64), StoreError>>,
{
    let missing = match by().await {
        Ok((read, length)) => {
            desk.metrics().fetched(Came::FromStore, length);
            return Ok(read);
        }
        Err(
            error @ (StoreError::NotFound { .. }
            | StoreError::RootMismatch { .. }
            | StoreError::TooLarge { .. }),
        ) => error,
        Err(error) => return Err(error),
    };
    if wanted.length > wanted.most {
        return Err(missing);
    }
    let limit = whole(wanted.length);
    match into_store(desk, wanted, (Whom::Anybody, limit)).await? {
        Brought::Whole => by().await.map(|(read, _)| read),
        Brought::FromNobody => Err(missing),
        Brought::Failed => {
            desk.metrics().failed(Failed::Fetch);
            Err(missing)
        }
    }
}

/// What came of asking others for a file.
enum Brought {
    /// It is here.
    Whole,
    /// There was nobody to ask, or no place for it.
    FromNobody,
    /// Nobody who was asked brought it.
    Failed,
}

/// Brings a file from those who should have it into the own store. They have so long at most to send it.
///
/// # Errors
/// Those of the own store.
async fn into_store<C: Chain>(
    desk: &Desk<C>,
    wanted: &Wanted,
    asked: (Whom, Duration),
) -> Result<Brought, StoreError> {
    let under = desk.sources.incoming.as_path();
    let (file, brought) = from_holders(desk, wanted, asked, under).await;
    if let Brought::Whole = brought {
        let kept = desk.run.store.publish(&wanted.prefix, file.as_path()).await;
        remove(&file).await;
        kept?;
    }
    Ok(brought)
}

/// Brings a file from those who should have it, who have so long at most to send it, to its place under a directory, and
/// gives that.
async fn from_holders<C: Chain>(
    desk: &Desk<C>,
    wanted: &Wanted,
    (whom, limit): (Whom, Duration),
    under: &Path,
) -> (PathBuf, Brought) {
    let file = place_under(under, wanted);
    let sources = holders(desk, wanted, whom).await;
    if sources.is_empty() || !has_room(under, wanted).await {
        return (file, Brought::FromNobody);
    }
    let blob = Blob::new(&wanted.prefix, wanted.root.0, wanted.length);
    match desk.sources.bring(&blob, &file, &sources, limit).await {
        Ok(()) => {
            desk.metrics().fetched(Came::FromMembers, wanted.length);
            (file, Brought::Whole)
        }
        Err(why) => {
            tracing::debug!("{why}");
            (file, Brought::Failed)
        }
    }
}

/// Makes the directory of a file that is to come.
async fn has_room(under: &Path, wanted: &Wanted) -> bool {
    let round = under.join(wanted.round.to_string());
    let made = tokio::fs::create_dir_all(round).await;
    if let Err(error) = &made {
        tracing::warn!("no room for files of others ({error}): free disk space");
    }
    made.is_ok()
}

/// Removes what was fetched and is in the store now.
async fn remove(file: &Path) {
    let mut outboard = file.as_os_str().to_owned();
    outboard.push(".outboard");
    for path in [file, Path::new(&outboard)] {
        if let Err(error) = tokio::fs::remove_file(path).await {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::debug!("{} stays: {error}", path.display());
            }
        }
    }
}

/// Why there is no answer from an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It could not be asked from here, or may not be.
    NotAsked(String),
    /// It was asked, and does not answer.
    Silent(String),
    /// It answered that it does not do what it was asked for, now or at all.
    Declined(String),
}

/// How long a source at an endpoint takes to answer, for who only wants to know.
///
/// # Errors
/// Why it does not answer, or is not asked.
pub async fn answers(
    endpoint: &Text,
    origin: Origin,
    relays: &Relays,
) -> Result<Duration, Unanswered> {
    let text = endpoint.to_text();
    let began = Instant::now();
    let not_asked = |error: StoreError| Unanswered::NotAsked(error.to_string());
    if text.starts_with(STORE) {
        let store = Store::open_named_by(&text, origin).map_err(not_asked)?;
        return answer(store.source().as_ref(), began).await;
    }
    let guest = peer::Guest::start(relays.clone()).await;
    let guest = guest.map_err(Unanswered::NotAsked)?;
    let answered = match guest.source(&text, origin) {
        Ok(source) => answer(source.as_ref(), began).await,
        Err(why) => Err(Unanswered::NotAsked(why)),
    };
    guest.close().await;
    answered
}

/// A source answers if it says that it does not have what nobody has.
async fn answer(source: &dyn Source, began: Instant) -> Result<Duration, Unanswered> {
    let path = cairn_store::paths::blob(cairn_store::paths::DATA, &[0; 32]);
    match has(source, &path, 0).await {
        Ok(_) => Ok(began.elapsed()),
        Err(fault) => Err(Unanswered::Silent(fault.to_string())),
    }
}

/// Whether a source has a file of this length. It has the deadline twice: to be connected to, and to answer.
///
/// # Errors
/// It does not answer.
pub(super) async fn has(source: &dyn Source, path: &str, length: u64) -> Result<bool, Fault> {
    let deadline = PATIENCE.deadline.saturating_mul(2);
    match tokio::time::timeout(deadline, source.read(path, 0..1)).await {
        Ok(Ok(reply)) => Ok(reply.length == length),
        Ok(Err(Fault::Absent { .. })) => Ok(false),
        Ok(Err(fault)) => Err(fault),
        Err(_) => Err(Fault::Stalled { deadline }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::Uid;

    fn member(uid: u8, endpoints: &[&str]) -> MemberEndpoints {
        let endpoints = endpoints.iter().map(|text| Text::new(text).expect("short"));
        MemberEndpoints {
            uid: Uid(uid.into()),
            hotkey: AccountId([uid; 32]),
            endpoints: endpoints.collect(),
            set_at: Some(1),
        }
    }

    #[test]
    fn of_a_maker_that_is_spared_only_its_stores_are_asked() {
        let named = [
            member(1, &["iroh://01", "https://maker.example"]),
            member(2, &["iroh://02", "https://maker.example"]),
            member(3, &["https://other.example"]),
        ];
        let maker = Some(AccountId([1; 32]).hotkey());
        let asked = |maker, spares_maker| -> Vec<String> {
            let asked = may_be_asked(
                &named,
                Ask {
                    maker,
                    spares_maker,
                },
            );
            asked.into_iter().map(|text| text.to_text()).collect()
        };
        let (store, peers) = ("https://maker.example", ["iroh://01", "iroh://02"]);
        let other = "https://other.example";
        let all = [peers[0], store, peers[1], other];
        assert_eq!(asked(maker, false), all);
        assert_eq!(asked(maker, true), [store, peers[1], other]);
        assert_eq!(asked(None, true), all);
    }
}
