//! A source in memory that does what a test wants.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc, Mutex,
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{stream, StreamExt};

use super::super::{partial::outboard_of, Blob, Fault, Reply, Source, GROUP};
use crate::paths;

/// What it does with a request for a file.
pub(super) type Manner = Arc<dyn Fn(&mut Answer) + Send + Sync>;

/// What it is about to answer.
pub(super) struct Answer {
    pub is_outboard: bool,
    /// Where in the file.
    pub range: Range<u64>,
    /// Its length, as it says.
    pub length: u64,
    pub bytes: Vec<u8>,
    /// After these bytes nothing comes for ever, instead of the end.
    pub hangs: bool,
    /// Before each chunk of 12 KiB.
    pub pace: Duration,
    pub fault: Option<Fault>,
}

/// Called for each chunk of a blob before it is handed over, with how many came before.
pub(super) type Witness = Arc<dyn Fn(u64) + Send + Sync>;

pub(super) struct Shelf {
    name: String,
    files: HashMap<String, Bytes>,
    manner: Manner,
    witness: Mutex<Option<Witness>>,
    /// Bytes of blobs handed over.
    pub handed: Arc<AtomicU64>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Shelf {
    pub fn new(name: &str, content: &Bytes, manner: Manner) -> (Blob, Arc<Shelf>) {
        let (tree, outboard) = outboard_of(content);
        let blob = Blob::new(paths::DATA, tree.root, tree.length);
        let files = HashMap::from([
            (paths::outboard(&blob.path), outboard.into()),
            (blob.path.clone(), content.clone()),
        ]);
        let shelf = Shelf {
            name: name.into(),
            files,
            manner,
            witness: Mutex::new(None),
            handed: Arc::default(),
        };
        (blob, Arc::new(shelf))
    }

    pub fn honest(content: &Bytes) -> (Blob, Arc<Shelf>) {
        Shelf::new("honest", content, Arc::new(|_: &mut Answer| {}))
    }

    pub fn watched_by(&self, witness: Witness) {
        *self.witness.lock().unwrap() = Some(witness);
    }

    pub fn handed(&self) -> u64 {
        self.handed.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Source for Shelf {
    fn name(&self) -> &str {
        &self.name
    }

    async fn read(&self, path: &str, range: Range<u64>) -> Result<Reply, Fault> {
        assert!(!range.is_empty(), "an empty range is not asked for");
        let absent = || Fault::Absent { path: path.into() };
        let file = self.files.get(path).ok_or_else(absent)?;
        let end = range.end.min(file.len() as u64);
        let mut answer = Answer {
            is_outboard: path.ends_with(".outboard"),
            bytes: file.slice(range.start as usize..end as usize).to_vec(),
            range,
            length: file.len() as u64,
            hangs: false,
            pace: Duration::ZERO,
            fault: None,
        };
        (self.manner)(&mut answer);
        if let Some(fault) = answer.fault {
            return Err(fault);
        }
        let bytes = Bytes::from(answer.bytes);
        let (is_blob, handed) = (!answer.is_outboard, self.handed.clone());
        let witness = self.witness.lock().unwrap().clone();
        // Chunks that are no groups.
        let chunk = 3 * GROUP as usize / 4;
        let chunks = (0..bytes.len()).step_by(chunk);
        let parts: Vec<_> = chunks
            .map(|at| bytes.slice(at..bytes.len().min(at + chunk)))
            .collect();
        let pace = answer.pace;
        let parts = stream::iter(parts).then(move |part| async move {
            if !pace.is_zero() {
                tokio::time::sleep(pace).await;
            }
            part
        });
        let parts = parts.map(move |part: Bytes| {
            if is_blob {
                let before = handed.fetch_add(part.len() as u64, Ordering::SeqCst);
                if let Some(witness) = &witness {
                    witness(before);
                }
            }
            Ok(part)
        });
        let end = match answer.hangs {
            true => stream::pending().boxed(),
            false => stream::empty().boxed(),
        };
        Ok(Reply {
            length: answer.length,
            bytes: parts.chain(end).boxed(),
        })
    }
}
