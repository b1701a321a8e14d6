//! An S3 server of the devnet's own: a bucket for each member, which that member alone writes and anybody reads.
//!
//! It listens on this machine only. It speaks TLS, since a chain names no other stores; its certificate is made when it
//! starts, and the devnet's workers trust no other. Each member has credentials of its own, derived from a secret that
//! is drawn then and never written. A bucket is a directory, from which the devnet itself reads.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cairn_store::{Store, StoreError};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    ServerConfig,
};
use s3s::{
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    s3_error,
    service::{S3Service, S3ServiceBuilder},
    S3Result,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::error::Failure;

/// The bucket of the text that everybody trains on.
pub const DATA: &str = "data";
/// What the names of all files in a bucket begin with.
const PREFIX: &str = "run";
/// What anybody may do in any bucket.
const READS: [&str; 2] = ["GetObject", "HeadObject"];
/// How long it waits when it cannot take a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the buckets are, and who writes them how.
#[derive(Clone)]
pub struct Buckets {
    directory: PathBuf,
    certificate: PathBuf,
    address: SocketAddr,
    secret: [u8; 32],
}

impl Buckets {
    /// Where it listens, for people.
    pub fn address(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where they lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The store of a member, for itself.
    pub fn url(&self, name: &str) -> String {
        format!("s3://{name}/{PREFIX}")
    }

    /// The same store, for all others.
    pub fn endpoint(&self, name: &str) -> String {
        format!("{}/{name}/{PREFIX}", self.address())
    }

    /// The same store as a directory, which is made if it is not there.
    ///
    /// # Errors
    /// Those of [`Store::create_in`].
    pub fn files(&self, name: &str) -> Result<Store, StoreError> {
        Store::create_in(&self.directory.join(name).join(PREFIX))
    }

    /// With which variables a member's worker writes its bucket and reads others'.
    pub fn variables(&self, name: &str) -> Vec<(&'static str, String)> {
        let here = self.address.ip().to_string();
        vec![
            ("AWS_ENDPOINT_URL", self.address()),
            ("AWS_ACCESS_KEY_ID", name.to_string()),
            ("AWS_SECRET_ACCESS_KEY", secret_of(&self.secret, name)),
            ("SSL_CERT_FILE", self.certificate.display().to_string()),
            // A proxy for all else does not reach this machine.
            ("NO_PROXY", here.clone()),
            ("no_proxy", here),
        ]
    }
}

/// The server. It ends with this, and so do its connections.
pub struct Server {
    buckets: Buckets,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts one whose buckets are in a directory below `directory`.
    ///
    /// # Errors
    /// If the directory cannot be written, or the machine has no free port or no randomness.
    pub async fn start(directory: &Path) -> Result<Server, Failure> {
        let below = directory.join("buckets");
        std::fs::create_dir_all(&below)?;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| Failure::new(error, "this system gives no random numbers now"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let certificate = directory.join("buckets.pem");
        let tls = certified(address, &certificate)?;
        let service = service(&below, secret)?;
        let buckets = Buckets {
            directory: below,
            certificate,
            address,
            secret,
        };
        let task = tokio::spawn(serve(listener, tls, service));
        Ok(Server { buckets, task })
    }

    /// Where its buckets are, and who writes them how.
    pub fn buckets(&self) -> &Buckets {
        &self.buckets
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a server at this address proves itself with; whoever trusts what is written to `file` believes it.
fn certified(address: SocketAddr, file: &Path) -> Result<TlsAcceptor, Failure> {
    let made = rcgen::generate_simple_self_signed(vec![address.ip().to_string()])?;
    std::fs::write(file, made.cert.pem())?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What answers requests for the buckets in a directory.
fn service(directory: &Path, secret: [u8; 32]) -> Result<S3Service, Failure> {
    let files = s3s_fs::FileSystem::new(directory).map_err(|error| {
        let what = format!("cannot serve {}: {error:?}", directory.display());
        Failure::new(what, "name an empty, writable directory with --keep")
    })?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(Members(secret));
    builder.set_access(OwnBuckets);
    Ok(builder.build())
}

/// Takes connections for ever; those that are open end when this is dropped.
async fn serve(listener: TcpListener, tls: TlsAcceptor, service: S3Service) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => {
                open.spawn(connection(socket, tls.clone(), service.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "the devnet's buckets: cannot take a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves one client until it goes away, which ends its own connection only.
async fn connection(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    tls: TlsAcceptor,
    service: S3Service,
) {
    let shaken = timeout(PATIENCE, tls.accept(socket)).await;
    let stream = match shaken.unwrap_or_else(|late| Err(late.into())) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "the devnet's buckets: no TLS");
            return;
        }
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let served = http.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "the devnet's buckets: a connection broke off");
    }
}

/// A member's secret: its access key is its name.
fn secret_of(secret: &[u8; 32], name: &str) -> String {
    blake3::keyed_hash(secret, name.as_bytes())
        .to_hex()
        .to_string()
}

/// Knows all members' secrets.
struct Members([u8; 32]);

#[async_trait::async_trait]
impl S3Auth for Members {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        Ok(SecretKey::from(secret_of(&self.0, access_key)))
    }
}

/// Lets each write its own bucket.
struct OwnBuckets;

#[async_trait::async_trait]
impl S3Access for OwnBuckets {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let bucket = context.s3_path().get_bucket_name();
        let caller = context.credentials().map(|it| it.access_key.as_str());
        match may(context.s3_op().name(), bucket, caller) {
            true => Ok(()),
            false => Err(s3_error!(
                AccessDenied,
                "another member's bucket is only read"
            )),
        }
    }
}

/// Whether a caller may do that in a bucket: all in the one that has its name, and read everywhere. Who has not signed
/// has no name.
fn may(operation: &str, bucket: Option<&str>, caller: Option<&str>) -> bool {
    let is_own = bucket.is_some() && bucket == caller;
    is_own || (bucket.is_some() && READS.contains(&operation))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::{Certificate, Client, StatusCode};
    use tokio::{net::TcpStream, runtime::Handle, task::yield_now};

    use super::*;

    #[test]
    fn a_member_writes_its_own_bucket_and_all_are_read() {
        let own = Some("miner-1");
        for operation in [
            "PutObject",
            "DeleteObject",
            "ListObjectsV2",
            "CreateMultipartUpload",
        ] {
            assert!(may(operation, own, own), "{operation}");
            assert!(!may(operation, Some(DATA), own), "{operation}");
            assert!(!may(operation, own, None), "{operation}");
        }
        for operation in READS {
            assert!(may(operation, own, None) && may(operation, Some(DATA), own));
        }
        // Nobody lists buckets, and what names none belongs to nobody.
        for operation in ["ListBuckets", "GetObject"] {
            assert!(!may(operation, None, own) && !may(operation, None, None));
        }
    }

    #[test]
    fn members_have_secrets_of_their_own() {
        let [one, other] = ["miner-1", "miner-2"].map(|name| secret_of(&[7; 32], name));
        assert_ne!(one, other);
        assert_ne!(one, secret_of(&[8; 32], "miner-1"));
    }

    /// A client that trusts a server's certificate alone.
    fn client(buckets: &Buckets) -> Client {
        // The first to name a provider wins, and all would name this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pem = std::fs::read(&buckets.certificate).unwrap();
        let certificate = Certificate::from_pem(&pem).unwrap();
        let builder = Client::builder().no_proxy().tls_certs_only([certificate]);
        builder.build().unwrap()
    }

    #[tokio::test]
    async fn who_has_no_credentials_reads_files_and_does_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path()).await.unwrap();
        let buckets = server.buckets();
        let store = buckets.files("miner-1").unwrap();
        store.put("a/b", Bytes::from_static(b"made")).await.unwrap();
        let client = client(buckets);
        let file = format!("{}/a/b", buckets.endpoint("miner-1"));
        let found = client.get(&file).send().await.unwrap();
        assert_eq!(found.status(), StatusCode::OK);
        assert_eq!(found.bytes().await.unwrap().as_ref(), b"made");
        let part = client.get(&file).header("range", "bytes=1-2");
        let part = part.send().await.unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.bytes().await.unwrap().as_ref(), b"ad");
        let none = client.get(format!("{file}c")).send().await.unwrap();
        assert_eq!(none.status(), StatusCode::NOT_FOUND);
        let written = client.put(&file).body("other").send().await.unwrap();
        assert_eq!(written.status(), StatusCode::FORBIDDEN);
        let removed = client.delete(&file).send().await.unwrap();
        assert_eq!(removed.status(), StatusCode::FORBIDDEN);
        let listed = format!("{}/miner-1?list-type=2", buckets.address());
        let listed = client.get(listed).send().await.unwrap();
        assert_eq!(listed.status(), StatusCode::FORBIDDEN);
        assert_eq!(store.get("a/b", 4).await.unwrap().as_ref(), b"made");
    }

    #[tokio::test]
    async fn connections_end_with_the_server() {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(directory.path()).await.unwrap();
        let tasks = Handle::current().metrics();
        let says_nothing = TcpStream::connect(server.buckets().address).await.unwrap();
        // The server's own, and the connection's.
        while tasks.num_alive_tasks() < 2 {
            yield_now().await;
        }
        drop(server);
        // All tasks share this thread, so each has its turn when this one waits.
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(tasks.num_alive_tasks(), 0);
        drop(says_nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 443));
        let tls = certified(address, &directory.path().join("buckets.pem")).unwrap();
        let service = service(directory.path(), [7; 32]).unwrap();
        let (_says_nothing, socket) = tokio::io::duplex(64);
        let served = timeout(PATIENCE * 2, connection(socket, tls, service));
        served.await.expect("it ends by itself");
    }
}
