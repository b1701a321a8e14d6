//! The store itself.

use std::{
    fmt,
    future::Future,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{stream::BoxStream, StreamExt, TryStreamExt};
use object_store::{
    local::LocalFileSystem, path::Path, GetOptions, ObjectStore, ObjectStoreExt, PutPayload,
};
use tokio::time::Instant;

use crate::{
    error::{one_line, Doing},
    guard::{self, Lookup, Origin},
    open, paths,
    url::{self, Place},
    StoreError,
};

/// The most files that a list holds.
pub const MAX_LISTED: usize = 65_536;

/// How much room is made before the first byte of a file has come.
const FIRST_ALLOCATION: u64 = 16 << 20;

/// How long operations may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// What every operation is given.
    pub base: Duration,
    /// What it is given in addition for each MiB that it moves.
    pub per_mebibyte: Duration,
}

impl Default for Deadlines {
    /// 30 s, and a second for each MiB.
    fn default() -> Self {
        Deadlines {
            base: Duration::from_secs(30),
            per_mebibyte: Duration::from_secs(1),
        }
    }
}

impl Deadlines {
    /// The deadline of an operation that moves `bytes`.
    pub(crate) fn of(&self, bytes: u64) -> Duration {
        let mebibytes = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
        self.base
            .saturating_add(self.per_mebibyte.saturating_mul(mebibytes))
    }
}

/// A file in a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// Its length in bytes.
    pub length: u64,
}

/// A store. Cloning it is cheap, and the clones share it.
#[derive(Clone)]
pub struct Store {
    pub(crate) name: Arc<str>,
    pub(crate) files: Arc<dyn ObjectStore>,
    pub(crate) deadlines: Deadlines,
    is_read_only: bool,
}

/// So many empty chunks in a row are passed over.
const EMPTY_CHUNKS: usize = 16;

/// A file that is read chunk by chunk.
pub struct Reading<'a> {
    store: &'a Store,
    doing: Doing<'a>,
    /// What the store says.
    length: u64,
    max_len: u64,
    came: u64,
    chunks: BoxStream<'static, object_store::Result<Bytes>>,
    /// How long it may take, and since when it does.
    deadline: Duration,
    began: Instant,
}

impl Reading<'_> {
    /// Bytes that it has by what the store says. No more than were allowed come, but others may.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next bytes, in chunks as the store sends them; none at the end.
    ///
    /// # Errors
    /// Those of [`Store::get`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Reading { store, doing, .. } = *self;
        let mut chunk = self.chunk().await?;
        // Of a file that is cut off while it is read empty ones come for ever.
        for _ in 0..EMPTY_CHUNKS {
            if !chunk.as_ref().is_some_and(Bytes::is_empty) {
                break;
            }
            chunk = self.chunk().await?;
        }
        let Some(chunk) = chunk.filter(|chunk| !chunk.is_empty()) else {
            return Ok(None);
        };
        self.came = self.came.saturating_add(chunk.len() as u64);
        store.check_length(doing.path, self.came, self.max_len)?;
        Ok(Some(chunk))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Reading { doing, .. } = *self;
        let left = self.deadline.saturating_sub(self.began.elapsed());
        let next = tokio::time::timeout(left, self.chunks.next()).await;
        let next = next.map_err(|_| doing.late(self.deadline))?;
        next.transpose().map_err(|error| doing.explain(error))
    }
}

/// Its URL only: what is underneath has credentials.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.name).finish()
    }
}

impl Store {
    /// Opens the store at a URL: `file:///absolute/path`, `s3://bucket/prefix` with the variables that
    /// `docs/operators.md` lists, or `https://host/path`, which is only read (`http://` on this machine).
    ///
    /// Opening makes nothing: a directory that is not there is an error, so that a mistyped URL is found out. Who wants
    /// a new store calls [`Store::create`]. Nor is it tried whether it can be written: somebody who only reads may open
    /// it too. Those who write call [`Store::check_writable`] first.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`], [`StoreError::UnsupportedScheme`], [`StoreError::Missing`],
    /// [`StoreError::CannotOpen`], [`StoreError::Settings`].
    pub fn open(url: &str) -> Result<Store, StoreError> {
        Store::open_named_by(url, Origin::Owner)
    }

    /// Opens the store at a URL that a chain may have named.
    ///
    /// # Errors
    /// Those of [`Store::open`] and of [`guard::check`].
    pub fn open_named_by(url: &str, origin: Origin) -> Result<Store, StoreError> {
        guard::check(url, origin)?;
        let root = match url::place(url)? {
            Place::Directory(root) => root,
            place => return Store::beyond(url, place, origin, guard::by_the_system),
        };
        match std::fs::metadata(&root).map(|found| found.is_dir()) {
            Ok(true) => Store::at(url, &root),
            Ok(false) => Err(cannot_open(url, "it is not a directory")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(StoreError::Missing {
                    store: url.to_string(),
                    directory: root,
                })
            }
            Err(error) => Err(cannot_open(url, error)),
        }
    }

    /// The directory of a `file://` store.
    pub fn directory(&self) -> Option<std::path::PathBuf> {
        match url::place(self.url()) {
            Ok(Place::Directory(root)) => Some(root),
            _ => None,
        }
    }

    /// Opens the store at a URL as [`Store::open`] does; a directory that is not there is made.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn create(url: &str) -> Result<Store, StoreError> {
        let root = match url::place(url)? {
            Place::Directory(root) => root,
            place => return Store::beyond(url, place, Origin::Owner, guard::by_the_system),
        };
        std::fs::create_dir_all(&root).map_err(|error| cannot_open(url, error))?;
        Store::at(url, &root)
    }

    /// Opens the store in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`StoreError::InvalidUrl`] for a path that is not absolute, [`StoreError::CannotOpen`].
    pub fn create_in(directory: &std::path::Path) -> Result<Store, StoreError> {
        Store::create(&url::of_directory(directory)?)
    }

    fn at(url: &str, root: &std::path::Path) -> Result<Store, StoreError> {
        let files = LocalFileSystem::new_with_prefix(root)
            .map_err(|error| cannot_open(url, one_line(&error.to_string())))?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Store::over(url, Arc::new(files)))
    }

    /// A store beyond this machine's disk.
    pub(crate) fn beyond(
        url: &str,
        place: Place,
        origin: Origin,
        lookup: Lookup,
    ) -> Result<Store, StoreError> {
        match place {
            Place::Directory(root) => Store::at(url, &root),
            Place::Bucket { bucket, prefix } => {
                let variable = |name: &str| std::env::var(name).ok();
                let files = open::s3::open(url, &bucket, &prefix, variable)?;
                Ok(Store::over(url, files))
            }
            Place::Mirror(mirror) => Ok(Store {
                is_read_only: true,
                ..Store::over(url, open::https::open(&mirror, origin, lookup)?)
            }),
        }
    }

    /// A store over files that are open.
    pub(crate) fn over(name: &str, files: Arc<dyn ObjectStore>) -> Store {
        Store {
            name: name.into(),
            files,
            deadlines: Deadlines::default(),
            is_read_only: false,
        }
    }

    /// The same store with other deadlines.
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Store {
        self.deadlines = deadlines;
        self
    }

    /// The URL that it was opened with.
    pub fn url(&self) -> &str {
        &self.name
    }

    /// Writes a small file and deletes it again, so that a store that takes nothing is found out before
    /// work is done for it.
    ///
    /// # Errors
    /// [`StoreError::NotWritable`], [`StoreError::DiskFull`], [`StoreError::TimedOut`].
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        static PROBES: AtomicU64 = AtomicU64::new(0);
        // Processes and threads must not delete each other's probe.
        let probe = PROBES.fetch_add(1, Ordering::Relaxed);
        let path = format!(".probe-{}-{probe}", std::process::id());
        self.put(&path, Bytes::from_static(b"probe")).await?;
        self.delete(&path).await
    }

    /// Puts a file in place at once, over what was there.
    ///
    /// # Errors
    /// [`StoreError::InvalidPath`], [`StoreError::NotWritable`], [`StoreError::DiskFull`],
    /// [`StoreError::TimedOut`].
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        let (doing, location) = self.writing(path)?;
        let deadline = self.deadlines.of(bytes.len() as u64);
        let put = self.files.put(&location, PutPayload::from_bytes(bytes));
        self.within(doing, deadline, put).await.map(|_| ())
    }

    /// Reads a file of at most `max_len` bytes. Its length is asked for first, and never more than
    /// `max_len` bytes are held.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::TooLarge`], [`StoreError::TimedOut`],
    /// [`StoreError::InvalidPath`].
    pub async fn get(&self, path: &str, max_len: u64) -> Result<Bytes, StoreError> {
        let mut reading = self.read(path, max_len).await?;
        let room = reading.length().min(FIRST_ALLOCATION) as usize;
        let mut bytes = BytesMut::with_capacity(room);
        while let Some(chunk) = reading.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// Begins to read a file of at most `max_len` bytes, for who does not want to hold all of it: as [`Store::get`]
    /// does, and within the same time.
    ///
    /// # Errors
    /// Those of [`Store::get`].
    pub async fn read<'a>(
        &'a self,
        path: &'a str,
        max_len: u64,
    ) -> Result<Reading<'a>, StoreError> {
        let (doing, location) = self.doing("reading", path)?;
        let deadline = self.deadlines.of(0);
        let opened = self.files.get_opts(&location, GetOptions::default());
        let opened = self.within(doing, deadline, opened).await?;
        let length = opened.meta.size;
        self.check_length(path, length, max_len)?;
        let deadline = self.deadlines.of(length);
        Ok(Reading {
            store: self,
            doing,
            length,
            max_len,
            came: 0,
            chunks: opened.into_stream(),
            deadline,
            began: Instant::now(),
        })
    }

    /// Whether there is a file at `path`.
    ///
    /// # Errors
    /// [`StoreError::InvalidPath`], [`StoreError::TimedOut`], [`StoreError::Failed`].
    pub async fn exists(&self, path: &str) -> Result<bool, StoreError> {
        Ok(self.length(path).await?.is_some())
    }

    /// The length of the file at `path`, if there is one.
    ///
    /// # Errors
    /// Those of [`Store::exists`].
    pub async fn length(&self, path: &str) -> Result<Option<u64>, StoreError> {
        let (doing, location) = self.doing("looking for", path)?;
        let head = self.files.head(&location);
        match self.within(doing, self.deadlines.of(0), head).await {
            Ok(found) => Ok(Some(found.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All files under a directory, however deep, ascending by path. Files that are still being written
    /// are not among them. An empty `prefix` is the whole store.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] beyond [`MAX_LISTED`] files, [`StoreError::TimedOut`],
    /// [`StoreError::InvalidPath`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let (doing, location) = match prefix {
            "" => (
                Doing {
                    store: &self.name,
                    path: "",
                    operation: "listing",
                },
                None,
            ),
            _ => self
                .doing("listing", prefix)
                .map(|(doing, path)| (doing, Some(path)))?,
        };
        let files = self.files.list(location.as_ref()).take(MAX_LISTED + 1);
        let entry = |file: object_store::ObjectMeta| Entry {
            path: file.location.to_string(),
            length: file.size,
        };
        let list = files.map_ok(entry).try_collect::<Vec<_>>();
        let mut entries = self.within(doing, self.deadlines.of(0), list).await?;
        if entries.len() > MAX_LISTED {
            let (store, prefix) = (self.name.to_string(), prefix.to_string());
            return Err(StoreError::TooMany {
                store,
                prefix,
                limit: MAX_LISTED,
            });
        }
        // What somebody else put there under a name that we never use cannot be asked for either.
        entries.retain(|entry| paths::check(&entry.path).is_ok());
        entries.sort();
        Ok(entries)
    }

    /// Deletes a file, and the directories that are empty then. One that is not there is deleted already.
    ///
    /// # Errors
    /// [`StoreError::InvalidPath`], [`StoreError::NotWritable`], [`StoreError::TimedOut`].
    pub async fn delete(&self, path: &str) -> Result<(), StoreError> {
        let (doing, location) = self.writing(path).map(|(doing, location)| {
            let operation = "deleting";
            (Doing { operation, ..doing }, location)
        })?;
        let delete = self.files.delete(&location);
        match self.within(doing, self.deadlines.of(0), delete).await {
            Err(StoreError::NotFound { .. }) => Ok(()),
            result => result,
        }
    }

    /// Puts a blob at `prefix` + BLAKE3 of its content ([`paths::blob`]) and gives the hash. Several
    /// writers of the same blob do not disturb each other; a damaged one is replaced.
    ///
    /// # Errors
    /// Those of [`Store::put`].
    pub async fn put_blob(&self, prefix: &str, bytes: Bytes) -> Result<[u8; 32], StoreError> {
        let (bytes, root) = hash(bytes).await?;
        self.put(&paths::blob(prefix, &root), bytes).await?;
        Ok(root)
    }

    /// Reads the blob at `prefix` + `root`, of at most `max_len` bytes, and checks that `root` is the
    /// BLAKE3 of what was read.
    ///
    /// # Errors
    /// [`StoreError::RootMismatch`], and those of [`Store::get`].
    pub async fn get_blob(
        &self,
        prefix: &str,
        root: &[u8; 32],
        max_len: u64,
    ) -> Result<Bytes, StoreError> {
        let path = paths::blob(prefix, root);
        let (bytes, found) = hash(self.get(&path, max_len).await?).await?;
        if found != *root {
            let found = blake3::Hash::from(found).to_hex().to_string();
            return Err(StoreError::RootMismatch {
                store: self.name.to_string(),
                path,
                found,
            });
        }
        Ok(bytes)
    }

    /// Whether there is a file with that blob's name. Its content is not read.
    ///
    /// # Errors
    /// Those of [`Store::exists`].
    pub async fn has_blob(&self, prefix: &str, root: &[u8; 32]) -> Result<bool, StoreError> {
        self.exists(&paths::blob(prefix, root)).await
    }

    /// The same, for what changes the store.
    pub(crate) fn writing<'a>(&'a self, path: &'a str) -> Result<(Doing<'a>, Path), StoreError> {
        let doing = self.doing("writing", path)?;
        if self.is_read_only {
            let (store, path) = (self.name.to_string(), path.to_string());
            return Err(StoreError::ReadOnly { store, path });
        }
        Ok(doing)
    }

    /// A checked path and what to say about it in errors.
    pub(crate) fn doing<'a>(
        &'a self,
        operation: &'static str,
        path: &'a str,
    ) -> Result<(Doing<'a>, Path), StoreError> {
        paths::check(path)?;
        let why = "the store cannot name it";
        let location = Path::parse(path).map_err(|_| StoreError::InvalidPath {
            path: path.to_string(),
            why,
        })?;
        Ok((
            Doing {
                store: &self.name,
                path,
                operation,
            },
            location,
        ))
    }

    /// Gives an operation its deadline and its errors names.
    async fn within<T>(
        &self,
        doing: Doing<'_>,
        deadline: Duration,
        operation: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(deadline, operation).await {
            Ok(result) => result.map_err(|error| doing.explain(error)),
            Err(_) => Err(doing.late(deadline)),
        }
    }

    fn check_length(&self, path: &str, length: u64, limit: u64) -> Result<(), StoreError> {
        if length <= limit {
            return Ok(());
        }
        let (store, path) = (self.name.to_string(), path.to_string());
        Err(StoreError::TooLarge {
            store,
            path,
            length,
            limit,
        })
    }
}

fn cannot_open(url: &str, why: impl ToString) -> StoreError {
    StoreError::CannotOpen {
        store: url.to_string(),
        why: why.to_string(),
    }
}

/// BLAKE3 of a blob, off the async runtime: at a gigabyte per second, a checkpoint takes a while.
async fn hash(bytes: Bytes) -> Result<(Bytes, [u8; 32]), StoreError> {
    let work = move || {
        let root = *blake3::hash(&bytes).as_bytes();
        (bytes, root)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StoreError::Failed {
            store: String::new(),
            path: "the blob".to_string(),
            operation: "hashing",
            why: error.to_string(),
        })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
