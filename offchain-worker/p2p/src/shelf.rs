//! What is served.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_store::paths;
use nix::{
    errno::Errno,
    fcntl::{openat, OFlag},
    sys::stat::Mode,
};

use crate::PeerError;

/// Files by their paths.
#[async_trait]
pub trait Shelf: Send + Sync + 'static {
    /// The file at a path of [`cairn_store::paths`]; `None` if there is none.
    ///
    /// # Errors
    /// What the disk says.
    async fn open(&self, path: &str) -> io::Result<Option<Box<dyn File>>>;
}

/// A file that is open.
#[async_trait]
pub trait File: Send + Sync {
    /// Its length in bytes.
    fn length(&self) -> u64;

    /// Exactly so many bytes from byte `at` on.
    ///
    /// # Errors
    /// What the disk says; that the file ends before.
    async fn read(&self, at: u64, length: usize) -> io::Result<Bytes>;
}

/// The files under a directory, as a `file://` store keeps them. Nothing beyond it is opened: no link is followed, and
/// only plain files are.
#[derive(Debug)]
pub struct Directory(Arc<OwnedFd>);

/// Of a file or directory on the way; a pipe does not make us wait.
const ON_THE_WAY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NONBLOCK);

impl Directory {
    /// The directory at a path of this machine. It stays this one, whatever is at that path later.
    ///
    /// # Errors
    /// [`PeerError::Directory`].
    pub fn open(path: &Path) -> Result<Directory, PeerError> {
        let failed = |error: io::Error| PeerError::Directory {
            path: path.to_path_buf(),
            why: error.to_string(),
        };
        let directory = fs::File::open(path).map_err(failed)?;
        match directory.metadata().map_err(failed)?.is_dir() {
            true => Ok(Directory(Arc::new(directory.into()))),
            false => Err(failed(io::ErrorKind::NotADirectory.into())),
        }
    }
}

#[async_trait]
impl Shelf for Directory {
    async fn open(&self, path: &str) -> io::Result<Option<Box<dyn File>>> {
        if paths::check(path).is_err() {
            return Ok(None);
        }
        let (root, path) = (self.0.clone(), path.to_string());
        let found = off(move || beneath(&root, &path)).await?;
        Ok(found.map(|plain| Box::new(plain) as Box<dyn File>))
    }
}

/// A plain file on disk.
struct Plain {
    file: Arc<fs::File>,
    length: u64,
}

#[async_trait]
impl File for Plain {
    fn length(&self) -> u64 {
        self.length
    }

    async fn read(&self, at: u64, length: usize) -> io::Result<Bytes> {
        let file = self.file.clone();
        off(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, at)?;
            Ok(bytes.into())
        })
        .await
    }
}

/// The plain file at a checked path beneath a directory, opened a segment at a time.
fn beneath(root: &OwnedFd, path: &str) -> io::Result<Option<Plain>> {
    let mut at: Option<OwnedFd> = None;
    for segment in path.split('/') {
        let here = at.as_ref().unwrap_or(root).as_fd();
        match openat(here, segment, ON_THE_WAY, Mode::empty()) {
            Ok(next) => at = Some(next),
            // A link is ELOOP, a socket ENXIO.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    let Some(file) = at.map(fs::File::from) else {
        return Ok(None);
    };
    let found = file.metadata()?;
    let plain = Plain {
        file: Arc::new(file),
        length: found.len(),
    };
    Ok(found.is_file().then_some(plain))
}

/// Work on the disk, off the async runtime.
async fn off<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(shelf: &Directory, path: &str) -> Option<Bytes> {
        let file = shelf.open(path).await.unwrap()?;
        Some(file.read(0, file.length() as usize).await.unwrap())
    }

    #[tokio::test]
    async fn plain_files_beneath_are_served_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let (root, outside) = (place.path().join("root"), place.path().join("outside"));
        for directory in [&root.join("a/b"), &outside] {
            fs::create_dir_all(directory).unwrap();
        }
        fs::write(root.join("a/b/file"), b"inside").unwrap();
        fs::write(outside.join("secret"), b"outside").unwrap();
        std::os::unix::fs::symlink(outside.join("secret"), root.join("a/link")).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("way")).unwrap();
        std::os::unix::fs::symlink(root.join("a"), root.join("within")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let shelf = Directory::open(&root).unwrap();
        assert_eq!(read(&shelf, "a/b/file").await.unwrap(), "inside");
        for path in [
            "a/b/none",
            "a/b",
            "a/b/file/x",
            "a/link",
            "way/secret",
            "within/b/file",
            "pipe",
            "socket",
            "../outside/secret",
            "a/../../outside/secret",
            "/etc/passwd",
            "",
            ".",
        ] {
            assert!(read(&shelf, path).await.is_none(), "{path}");
        }
        // It is the directory that was opened, not its name.
        fs::rename(&root, place.path().join("moved")).unwrap();
        fs::rename(&outside, &root).unwrap();
        assert_eq!(read(&shelf, "a/b/file").await.unwrap(), "inside");
        assert!(read(&shelf, "secret").await.is_none());
    }

    #[tokio::test]
    async fn a_file_that_ends_early_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), [7; 10]).unwrap();
        let shelf = Directory::open(place.path()).unwrap();
        let file = shelf.open("file").await.unwrap().unwrap();
        assert_eq!(file.length(), 10);
        assert_eq!(file.read(4, 6).await.unwrap(), vec![7; 6]);
        assert!(file.read(4, 7).await.is_err());
        assert!(Directory::open(&place.path().join("file")).is_err());
        assert!(Directory::open(&place.path().join("none")).is_err());
    }
}
