//! Files that a command writes where a person said.
//!
//! A plain file gets its name when it is complete, so that a failure leaves what was there before. What is
//! no plain file is never replaced: devices and pipes are written to, everything else is refused. A link is
//! followed, and a file that is replaced keeps its permissions.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, BufWriter, ErrorKind, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use crate::error::Failure;

/// The most links that are followed, as most systems have it.
const MAX_LINKS: usize = 40;

/// A file that is being written.
pub struct NewFile {
    /// What it is called to people.
    name: PathBuf,
    /// Where it is written, and where it goes then; `None` where it is written in place.
    part: Option<(PathBuf, PathBuf)>,
    sink: BufWriter<File>,
}

impl NewFile {
    /// Begins to write the file called `name`.
    ///
    /// # Errors
    /// If it cannot be written, or is something that must not be replaced.
    pub fn create(name: &Path) -> Result<NewFile, Failure> {
        let there = match fs::metadata(name) {
            Ok(there) => Some(there),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(at(name, &error)),
        };
        let in_place = there.as_ref().is_some_and(writes_through) || is_open_file(name);
        if in_place {
            let file = OpenOptions::new().write(true).open(name);
            let file = file.map_err(|error| at(name, &error))?;
            return Ok(NewFile::over(name, None, file));
        }
        if there.as_ref().is_some_and(|there| !there.is_file()) || names_directory(name) {
            return Err(Failure::new(
                format!("{} is no file that can be written", name.display()),
                "name a plain file, a device or a pipe",
            ));
        }
        let target = followed(name).map_err(|error| at(name, &error))?;
        if there.is_some() {
            // A file that is protected from writing is protected from being replaced.
            let writable = OpenOptions::new().write(true).open(&target);
            writable.map_err(|error| at(name, &error))?;
        }
        let (part, file) = beside(&target, ANYBODY).map_err(|error| at(name, &error))?;
        let new = NewFile::over(name, Some((part, target)), file);
        if let Some(there) = there {
            let kept = new.sink.get_ref().set_permissions(there.permissions());
            kept.map_err(|error| at(name, &error))?;
        }
        Ok(new)
    }

    fn over(name: &Path, part: Option<(PathBuf, PathBuf)>, file: File) -> NewFile {
        NewFile {
            name: name.to_path_buf(),
            part,
            sink: BufWriter::new(file),
        }
    }

    /// Writes a whole file.
    ///
    /// # Errors
    /// Those of [`NewFile::create`] and of writing; what was there before is still there then.
    pub fn write(name: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let mut file = NewFile::create(name)?;
        file.write_all(bytes).map_err(|error| at(name, &error))?;
        file.finish()
    }

    /// Whether it is what standard output goes to: nothing else should be printed there.
    pub fn is_standard_output(&self) -> bool {
        let output = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        let same = |a: Metadata, b: Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        match (
            output.and_then(|file| file.metadata()),
            self.sink.get_ref().metadata(),
        ) {
            (Ok(output), Ok(own)) => same(output, own),
            _ => false,
        }
    }

    /// Completes it: it is on the disk and has its name.
    ///
    /// # Errors
    /// If it cannot be written; what was there before is still there then.
    pub fn finish(mut self) -> Result<(), Failure> {
        let finished = self.sink.flush().and_then(|()| match &self.part {
            None => Ok(()),
            Some((part, target)) => {
                self.sink.get_ref().sync_all()?;
                fs::rename(part, target)
            }
        });
        finished.map_err(|error| at(&self.name, &error))?;
        // It has its name: there is nothing to remove.
        self.part = None;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.part {
            let _ = fs::remove_file(part);
        }
    }
}

/// Writes a whole new file that only its owner may read, such as a key. Nothing is ever replaced, not even by another
/// process at the same time, and a link counts as something that is there.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if there is something of this name, and those of the system; there is no new file then.
pub fn write_secret(name: &Path, bytes: &[u8]) -> io::Result<()> {
    let (part, mut file) = beside(name, SECRET)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    // A second name for it is refused where there is one already; a new name in its place would not be.
    let named = written.and_then(|()| fs::hard_link(&part, name));
    let _ = fs::remove_file(&part);
    named
}

/// Devices and pipes take what is written to them.
fn writes_through(there: &Metadata) -> bool {
    let kind = there.file_type();
    kind.is_char_device() || kind.is_block_device() || kind.is_fifo()
}

/// Whether it names a file that is open in this process, such as /dev/stdout: the name leads to the open
/// file, and a new one of that name would be another.
fn is_open_file(name: &Path) -> bool {
    let mut path = name.to_path_buf();
    for _ in 0..MAX_LINKS {
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        if parent
            .is_some_and(|parent| parent.starts_with("/proc") || parent == Path::new("/dev/fd"))
        {
            return true;
        }
        match step(&path) {
            Ok(Some(next)) => path = next,
            _ => return false,
        }
    }
    false
}

/// Whether the name can only be a directory's.
fn names_directory(name: &Path) -> bool {
    name.file_name().is_none() || name.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// Where a link leads; `None` if it is no link.
fn step(path: &Path) -> io::Result<Option<PathBuf>> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_symlink() => {
            let to = fs::read_link(path)?;
            Ok(Some(path.parent().unwrap_or(Path::new("")).join(to)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file that a name means, all links followed; it may not be there yet.
fn followed(name: &Path) -> io::Result<PathBuf> {
    let mut path = name.to_path_buf();
    for _ in 0..MAX_LINKS {
        match step(&path)? {
            Some(next) => path = next,
            None => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

/// Who may read and write a file: anybody, less what the process takes away; its owner.
const ANYBODY: u32 = 0o666;
const SECRET: u32 = 0o600;

/// A new file beside the one whose place it will take.
fn beside(target: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let mut last = None;
    for number in 0..100 {
        let mut part = target.as_os_str().to_owned();
        part.push(format!(".{}-{number}.part", std::process::id()));
        let part = PathBuf::from(part);
        // Never one that is there: it may be a link to anything.
        let mut options = OpenOptions::new();
        match options.write(true).create_new(true).mode(mode).open(&part) {
            Ok(file) => return Ok((part, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| ErrorKind::AlreadyExists.into()))
}

/// What happened to a file that is written.
pub fn at(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        format!("cannot write {}: {error}", path.display()),
        "check the path, its permissions and the disk",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, PermissionsExt};

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_when_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        fs::write(&path, "old").unwrap();
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!(
            (fs::read(&path).unwrap(), names(directory.path())),
            (b"old".to_vec(), vec!["out".into()])
        );
        NewFile::write(&path, b"new").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(directory.path())),
            (b"new".to_vec(), vec!["out".into()])
        );
    }

    #[test]
    fn links_are_followed_and_permissions_kept() {
        let directory = tempfile::tempdir().unwrap();
        let in_it = |name: &str| directory.path().join(name);
        fs::create_dir(in_it("elsewhere")).unwrap();
        symlink("elsewhere/file", in_it("inner")).unwrap();
        symlink("inner", in_it("link")).unwrap();
        // First a link that leads to nothing yet, then one to a file.
        for text in ["first", "second"] {
            NewFile::write(&in_it("link"), text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(in_it("elsewhere/file")).unwrap(), text);
            fs::set_permissions(in_it("elsewhere/file"), fs::Permissions::from_mode(0o640))
                .unwrap();
        }
        assert!(fs::symlink_metadata(in_it("link")).unwrap().is_symlink());
        NewFile::write(&in_it("link"), b"third").unwrap();
        let mode = fs::metadata(in_it("elsewhere/file"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640);
    }

    #[test]
    fn a_secret_is_its_owners_and_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write_secret(&path, b"secret").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"secret");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let link = directory.path().join("link");
        symlink("nowhere", &link).unwrap();
        for there in [&path, &link] {
            let error = write_secret(there, b"other").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read(&path).unwrap(), b"secret");
        assert!(write_secret(&directory.path().join("none/key"), b"secret").is_err());
        assert_eq!(names(directory.path()), ["key", "link"]);
    }

    #[test]
    fn what_is_no_plain_file_is_written_to_or_refused() {
        let null = Path::new("/dev/null");
        NewFile::write(null, b"lost").unwrap();
        assert!(fs::metadata(null).unwrap().file_type().is_char_device());
        if Path::new("/dev/full").exists() {
            let error = NewFile::write(Path::new("/dev/full"), b"x").unwrap_err();
            assert!(error.to_string().contains("/dev/full"), "{error}");
        }
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || fs::read(fifo).unwrap()
        });
        NewFile::write(&fifo, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        let socket = directory.path().join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let slash = directory.path().join("no/");
        for refused in [
            directory.path(),
            &socket,
            &slash,
            Path::new("/"),
            Path::new(""),
        ] {
            assert!(NewFile::create(refused).is_err(), "{}", refused.display());
        }
        assert_eq!(names(directory.path()), ["fifo", "socket"]);
        let link = directory.path().join("loop");
        symlink("loop", &link).unwrap();
        assert!(NewFile::create(&link).is_err());
    }
}
