//! Puts a blob and its outboard into a store, and reads both back.

use std::{
    fs::File,
    io::Read,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart};

use super::{
    fault::Fault,
    fetch::off,
    partial::{beside, make_outboard, outboard_of},
    source::{Pieces, Source, StoreSource},
    tree::{Tree, Walk, Wanted, PAIR},
};
use crate::{paths, Store, StoreError};

/// Up to this many bytes go in one request.
const ONE_REQUEST: u64 = 8 << 20;

/// A store takes at most 10,000 parts of a file.
const MOST_PARTS: u64 = 9_000;

/// Parts under way at a time.
const PARTS_AT_A_TIME: usize = 2;

/// What is published.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file, which must not change meanwhile. Its outboard is made beside it, as `FILE.outboard`.
    File(PathBuf),
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Content::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Content::Bytes(bytes.into())
    }
}

impl From<&FilePath> for Content {
    fn from(file: &FilePath) -> Self {
        Content::File(file.to_path_buf())
    }
}

impl Store {
    /// This store, to fetch from.
    pub fn source(&self) -> Arc<dyn Source> {
        Arc::new(StoreSource {
            name: self.name.clone(),
            files: self.files.clone(),
        })
    }

    /// Puts a blob at `prefix` + its root ([`paths::blob`]), with its outboard beside it if it is longer than
    /// [`crate::SMALL`], reads both back, and gives the root. What is there and good already is left; what is damaged
    /// is replaced. A file is not held in memory.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], [`StoreError::Damaged`] if the store gives back something else, and those of
    /// [`Store::put`].
    pub async fn publish(
        &self,
        prefix: &str,
        content: impl Into<Content>,
    ) -> Result<[u8; 32], StoreError> {
        let content = content.into();
        let (tree, outboard) = hashed(&content).await?;
        let path = paths::blob(prefix, &tree.root);
        match self.check_blob(prefix, &tree.root, tree.length).await {
            Ok(()) => return Ok(tree.root),
            Err(error @ (StoreError::InvalidPath { .. } | StoreError::Refused { .. })) => {
                return Err(error)
            }
            Err(_) => {}
        }
        // The outboard first: who sees the blob finds it.
        if let Some(outboard) = outboard {
            let length = tree.outboard_length();
            self.upload(&paths::outboard(&path), outboard, length)
                .await?;
        }
        self.upload(&path, content, tree.length).await?;
        self.check_blob(prefix, &tree.root, tree.length).await?;
        Ok(tree.root)
    }

    /// Whether a blob and its outboard are there and as long as they must be. Their content is not read.
    ///
    /// # Errors
    /// Those of [`Store::exists`]; [`StoreError::TooLarge`] for more than a blob can have.
    pub async fn holds_blob(
        &self,
        prefix: &str,
        root: &[u8; 32],
        length: u64,
    ) -> Result<bool, StoreError> {
        let path = paths::blob(prefix, root);
        let Some(tree) = Tree::new(*root, length) else {
            let (store, limit) = (self.name.to_string(), super::MAX_LENGTH);
            return Err(StoreError::TooLarge {
                store,
                path,
                length,
                limit,
            });
        };
        if self.length(&path).await? != Some(length) {
            return Ok(false);
        }
        if tree.is_small() {
            return Ok(true);
        }
        let outboard = self.length(&paths::outboard(&path)).await?;
        Ok(outboard == Some(tree.outboard_length()))
    }

    /// Reads a blob and its outboard and checks every byte of both, holding a group at a time.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], and those of [`Store::get`].
    pub async fn check_blob(
        &self,
        prefix: &str,
        root: &[u8; 32],
        length: u64,
    ) -> Result<(), StoreError> {
        let path = paths::blob(prefix, root);
        let (doing, _) = self.doing("reading", &path)?;
        let too_large = StoreError::TooLarge {
            store: self.name.to_string(),
            path: path.clone(),
            length,
            limit: super::MAX_LENGTH,
        };
        let tree = Tree::new(*root, length).ok_or(too_large)?;
        if length == 0 {
            return match self.exists(&path).await? {
                true => Ok(()),
                false => Err(self.fault(&path, Fault::Absent { path: path.clone() })),
            };
        }
        let deadline = self.deadlines.of(length);
        let check = check(self.source(), &path, tree);
        match tokio::time::timeout(deadline, check).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(self.fault(&path, fault)),
            Err(_) => Err(doing.late(deadline)),
        }
    }

    /// Puts a file of any length in place, in parts if it is long.
    async fn upload(&self, path: &str, content: Content, length: u64) -> Result<(), StoreError> {
        let file = match content {
            Content::Bytes(bytes) if length <= ONE_REQUEST => return self.put(path, bytes).await,
            content => content,
        };
        let (doing, location) = self.writing(path)?;
        let deadline = self.deadlines.of(length);
        let upload = async {
            let payload = match &file {
                Content::File(file) if length <= ONE_REQUEST => {
                    Some(read_at_once(file, length).await?)
                }
                _ => None,
            };
            if let Some(bytes) = payload {
                let put = self.files.put(&location, PutPayload::from_bytes(bytes));
                return put.await.map(|_| ()).map_err(|error| doing.explain(error));
            }
            let begun = self.files.put_multipart(&location).await;
            let part = ONE_REQUEST.max(length.div_ceil(MOST_PARTS)) as usize;
            let begun = begun.map_err(|error| doing.explain(error))?;
            let mut parts = WriteMultipart::new_with_chunk_size(begun, part);
            match self.feed(&mut parts, file, part, doing).await {
                Ok(()) => parts
                    .finish()
                    .await
                    .map(|_| ())
                    .map_err(|error| doing.explain(error)),
                Err(error) => {
                    // The store forgets the parts by itself if it does not hear of this.
                    let _ = parts.abort().await;
                    Err(error)
                }
            }
        };
        match tokio::time::timeout(deadline, upload).await {
            Ok(result) => result,
            Err(_) => Err(doing.late(deadline)),
        }
    }

    /// Hands over one part after the other.
    async fn feed(
        &self,
        parts: &mut WriteMultipart,
        content: Content,
        part: usize,
        doing: crate::error::Doing<'_>,
    ) -> Result<(), StoreError> {
        let path = match content {
            Content::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    let ready = parts.wait_for_capacity(PARTS_AT_A_TIME).await;
                    ready.map_err(|error| doing.explain(error))?;
                    parts.put(bytes.split_to(part.min(bytes.len())));
                }
                return Ok(());
            }
            Content::File(path) => path,
        };
        let opened = path.clone();
        let file = off(move || File::open(opened)).await;
        let mut file = Some(file.map_err(|error| unreadable(&path, &error))?);
        while let Some(mut open) = file.take() {
            let read = off(move || {
                let mut bytes = Vec::with_capacity(part);
                open.by_ref().take(part as u64).read_to_end(&mut bytes)?;
                Ok((open, bytes))
            });
            let (open, bytes) = read.await.map_err(|error| unreadable(&path, &error))?;
            if !bytes.is_empty() {
                let ready = parts.wait_for_capacity(PARTS_AT_A_TIME).await;
                ready.map_err(|error| doing.explain(error))?;
                parts.put(bytes.into());
                file = Some(open);
            }
        }
        Ok(())
    }

    fn fault(&self, path: &str, fault: Fault) -> StoreError {
        let store = self.name.to_string();
        match fault {
            Fault::Absent { path } => StoreError::NotFound { store, path },
            Fault::Lied { path, at } => StoreError::Damaged { store, path, at },
            Fault::WrongLength {
                path,
                found,
                expected,
            } => StoreError::Damaged {
                store,
                path,
                at: found.min(expected),
            },
            Fault::Refused => StoreError::Refused {
                store,
                path: path.to_string(),
                operation: "reading",
            },
            other => StoreError::Failed {
                store,
                path: path.to_string(),
                operation: "reading",
                why: other.to_string(),
            },
        }
    }
}

/// Tree and outboard of what is to be published.
async fn hashed(content: &Content) -> Result<(Tree, Option<Content>), StoreError> {
    let content = content.clone();
    let named = match &content {
        Content::File(file) => file.clone(),
        Content::Bytes(_) => PathBuf::from("the bytes"),
    };
    let work = move || {
        Ok(match content {
            Content::Bytes(bytes) => {
                let (tree, outboard) = outboard_of(&bytes);
                (tree, (!tree.is_small()).then(|| Content::from(outboard)))
            }
            Content::File(file) => {
                let outboard = beside(&file, ".outboard");
                let tree = make_outboard(&file, &outboard)?;
                (tree, (!tree.is_small()).then_some(Content::File(outboard)))
            }
        })
    };
    off(work).await.map_err(|error| unreadable(&named, &error))
}

async fn read_at_once(file: &FilePath, length: u64) -> Result<Bytes, StoreError> {
    let path = file.to_path_buf();
    let read = off(move || {
        let mut bytes = Vec::new();
        File::open(path)?.take(length).read_to_end(&mut bytes)?;
        Ok(Bytes::from(bytes))
    });
    read.await.map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &FilePath, error: &std::io::Error) -> StoreError {
    StoreError::Unreadable {
        file: file.to_path_buf(),
        why: error.to_string(),
    }
}

/// Goes through blob and outboard side by side.
async fn check(source: Arc<dyn Source>, path: &str, tree: Tree) -> Result<(), Fault> {
    let outboard = paths::outboard(path);
    let mut pairs = open(&*source, &outboard, tree.outboard_length()).await?;
    let mut groups = open(&*source, path, tree.length).await?;
    let mut walk = Walk::whole(tree);
    while let Some(wanted) = walk.wanted() {
        match wanted {
            Wanted::Pair => {
                let at = walk.pairs() * PAIR;
                let pair = pairs.next(PAIR).await?;
                let is_good = pair.first_chunk().is_some_and(|pair| walk.pair(pair));
                if !is_good {
                    return Err(Fault::Lied { path: outboard, at });
                }
            }
            Wanted::Group(group) => {
                let bytes = tree.bytes(group);
                let content = groups.next(bytes.end - bytes.start).await?;
                if !walk.group(&content) {
                    let (path, at) = (path.to_string(), bytes.start);
                    return Err(Fault::Lied { path, at });
                }
            }
        }
    }
    Ok(())
}

/// A whole file that must have this length.
async fn open(source: &dyn Source, path: &str, expected: u64) -> Result<Pieces, Fault> {
    if expected == 0 {
        return Ok(Pieces::new(Box::pin(futures::stream::empty()), 0));
    }
    let reply = source.read(path, 0..expected).await?;
    if reply.length != expected {
        return Err(Fault::WrongLength {
            path: path.to_string(),
            found: reply.length,
            expected,
        });
    }
    Ok(Pieces::new(reply.bytes, 0))
}
