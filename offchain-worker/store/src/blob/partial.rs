//! A blob that is not whole yet, on disk: what a kill leaves and the next start goes on from.
//!
//! | file | content |
//! |---|---|
//! | `INTO.partial` | the groups that came, at their places; the rest are holes |
//! | `INTO.bitmap` | which groups came: a hint, each is hashed again when the fetch goes on |
//! | `INTO.outboard` | the outboard, as far as it came; it stays beside the blob |
//!
//! Everything here blocks, and is called off the async runtime.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

use bytes::Bytes;

use super::{
    bitmap::Bitmap,
    tree::{halves, Hash, Tree, Walk, GROUP, PAIR},
};

/// The bitmap is written after so many groups (1 MiB), or after each part of the blob of [`PARTS`] if that is more.
const SAVE_EVERY: u64 = 64;

/// How often the bitmap of a long blob is written at most: together that is 1/128 of the blob's own bytes.
const PARTS: u64 = 1_024;

/// After how many groups the bitmap is written.
pub(crate) fn save_every(tree: &Tree) -> u64 {
    SAVE_EVERY.max(tree.groups() / PARTS)
}

/// A file and its siblings.
#[derive(Debug)]
pub(crate) struct Partial {
    tree: Tree,
    into: PathBuf,
    data: File,
    outboard: File,
    verified: Mutex<Verified>,
    saving: Mutex<()>,
}

#[derive(Debug)]
struct Verified {
    bitmap: Bitmap,
    /// Groups that came since the bitmap was written, or at least since its writing began.
    unsaved: u64,
}

/// The path with something behind its name.
pub(crate) fn beside(into: &Path, suffix: &str) -> PathBuf {
    let mut name = into.as_os_str().to_os_string();
    name.push(suffix);
    name.into()
}

impl Partial {
    /// Opens what is there or begins. `None` if another fetch has it open.
    pub fn open(into: &Path, tree: Tree) -> io::Result<Option<Partial>> {
        if let Some(directory) = into.parent() {
            fs::create_dir_all(directory)?;
        }
        let open = |suffix: &str| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.open(beside(into, suffix))
        };
        let data = open(".partial")?;
        match data.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        let outboard = open(".outboard")?;
        let mut hint = Vec::new();
        if let Ok(file) = File::open(beside(into, ".bitmap")) {
            file.take(Bitmap::file_length(&tree) + 1)
                .read_to_end(&mut hint)?;
        }
        let hint = Bitmap::decode(&tree, &hint);
        data.set_len(tree.length)?;
        let bitmap = hint.unwrap_or_else(|| Bitmap::new(tree.groups()));
        Ok(Some(Partial {
            tree,
            into: into.to_path_buf(),
            data,
            outboard,
            verified: Mutex::new(Verified { bitmap, unsaved: 0 }),
            saving: Mutex::new(()),
        }))
    }

    /// How far the outboard on disk is good; the rest is cut off.
    pub fn outboard_so_far(&self) -> io::Result<Walk> {
        let mut walk = Walk::outboard(self.tree);
        let mut reader = io::BufReader::new(&self.outboard);
        let mut pair = [0; PAIR as usize];
        while walk.wanted().is_some() {
            match reader.read_exact(&mut pair) {
                Ok(()) if walk.pair(&pair) => {}
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        self.outboard.set_len(walk.pairs() * PAIR)?;
        Ok(walk)
    }

    /// Writes pairs that were checked.
    pub fn put_pairs(&self, first: u64, pairs: &[u8]) -> io::Result<()> {
        self.outboard.write_all_at(pairs, first * PAIR)
    }

    /// Hashes again what the bitmap says is there, and gives how many bytes that is. The outboard must be whole.
    pub fn check_again(&self) -> io::Result<u64> {
        let claimed = self.verified().bitmap.clone();
        let mut good = 0;
        let mut buffer = Vec::new();
        for group in (0..self.tree.groups()).filter(|group| claimed.has(*group)) {
            let bytes = self.tree.bytes(group);
            buffer.resize((bytes.end - bytes.start) as usize, 0);
            self.data.read_exact_at(&mut buffer, bytes.start)?;
            let is_good = self.tree.hash(group, &buffer) == self.hash_of(group)?;
            self.verified().bitmap.put(group, is_good);
            if is_good {
                good += buffer.len() as u64;
            }
        }
        Ok(good)
    }

    /// Takes a group's bytes if they are the right ones.
    pub fn put_group(&self, group: u64, bytes: &[u8]) -> io::Result<bool> {
        let range = self.tree.bytes(group);
        let is_whole = bytes.len() as u64 == range.end - range.start;
        if !is_whole || self.tree.hash(group, bytes) != self.hash_of(group)? {
            return Ok(false);
        }
        self.data.write_all_at(bytes, range.start)?;
        let mut verified = self.verified();
        verified.bitmap.put(group, true);
        verified.unsaved += 1;
        let due = verified.unsaved >= save_every(&self.tree) && !verified.bitmap.is_full();
        drop(verified);
        if due {
            self.save()?;
        }
        Ok(true)
    }

    /// Takes groups that follow each other, up to the first whose bytes are not the right ones, and gives how many.
    pub fn put_groups(&self, first: u64, groups: &[Bytes]) -> io::Result<u64> {
        let mut good = 0;
        for bytes in groups {
            if !self.put_group(first + good, bytes)? {
                break;
            }
            good += 1;
        }
        Ok(good)
    }

    /// Good bytes that are there.
    pub fn bytes(&self) -> u64 {
        let groups = self.verified().bitmap.count();
        groups.saturating_mul(GROUP).min(self.tree.length)
    }

    /// What is missing.
    pub fn gaps(&self) -> Vec<std::ops::Range<u64>> {
        self.verified().bitmap.gaps()
    }

    /// Puts the blob in its place, once it is whole.
    pub fn finish(&self) -> io::Result<()> {
        self.data.sync_all()?;
        if self.tree.is_small() {
            fs::remove_file(beside(&self.into, ".outboard"))?;
        } else {
            self.outboard.sync_all()?;
        }
        fs::rename(beside(&self.into, ".partial"), &self.into)?;
        for suffix in [".bitmap", ".bitmap-new"] {
            match fs::remove_file(beside(&self.into, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The hash that a group must have.
    fn hash_of(&self, group: u64) -> io::Result<Hash> {
        let Some((pair, is_right)) = self.tree.place(group) else {
            return Ok(self.tree.root);
        };
        let mut bytes = [0; PAIR as usize];
        self.outboard.read_exact_at(&mut bytes, pair * PAIR)?;
        let (left, right) = halves(&bytes);
        Ok(if is_right { right } else { left })
    }

    /// Writes the bitmap beside its place and renames it, so that it is never torn.
    fn save(&self) -> io::Result<()> {
        // Several sources come here at a time; while one writes, the others need not. What they brought is counted, so
        // that it is written with the next group that comes.
        let _saving = match self.saving.try_lock() {
            Ok(saving) => saving,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        // Only who writes looks at what is there: nothing older is written over something newer.
        let mut verified = self.verified();
        let file = verified.bitmap.encode(&self.tree);
        let saved = std::mem::take(&mut verified.unsaved);
        drop(verified);
        let fresh = beside(&self.into, ".bitmap-new");
        let written =
            fs::write(&fresh, file).and_then(|()| fs::rename(fresh, beside(&self.into, ".bitmap")));
        if written.is_err() {
            self.verified().unsaved += saved;
        }
        written
    }

    fn verified(&self) -> MutexGuard<'_, Verified> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Partial {
    /// A fetch that was given up keeps all that came.
    fn drop(&mut self) {
        let verified = self.verified();
        let is_due = verified.unsaved > 0 && !verified.bitmap.is_full();
        drop(verified);
        if is_due {
            // What is lost with it is fetched again.
            let _ = self.save();
        }
    }
}

/// The outboard of a file, written to `outboard`, and the file's root and length.
pub(crate) fn make_outboard(file: &Path, outboard: &Path) -> io::Result<Tree> {
    let data = File::open(file)?;
    let length = data.metadata()?.len();
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, "longer than 4 TiB");
    let mut tree = Tree::new([0; 32], length).ok_or_else(too_long)?;
    let mut data = io::BufReader::with_capacity(GROUP as usize, data);
    if tree.is_small() {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)?;
        tree.length = bytes.len() as u64;
        tree.root = *blake3::hash(&bytes).as_bytes();
        return Ok(tree);
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let mut pairs = bao_tree::io::outboard::PreOrderOutboard {
        root: blake3::Hash::from([0; 32]),
        tree: tree.bao(),
        data: options.open(outboard)?,
    };
    tree.root = *bao_tree::io::sync::outboard(data, tree.bao(), &mut pairs)?.as_bytes();
    Ok(tree)
}

/// The outboard of bytes, and their root and length.
pub(crate) fn outboard_of(bytes: &[u8]) -> (Tree, Vec<u8>) {
    let root = *blake3::hash(bytes).as_bytes();
    let tree = Tree {
        root,
        length: bytes.len() as u64,
    };
    if tree.is_small() {
        return (tree, Vec::new());
    }
    let made = bao_tree::io::outboard::PreOrderMemOutboard::create(bytes, tree.bao().block_size());
    (tree, made.data)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{content, groups},
        *,
    };

    /// A blob of 200 groups, its bytes, and a place for it whose outboard is whole.
    fn begun(directory: &Path) -> (Tree, Bytes, Partial) {
        let content = content(groups(200));
        let (tree, outboard) = outboard_of(&content);
        let partial = Partial::open(&directory.join("blob"), tree).unwrap();
        let partial = partial.unwrap();
        partial.put_pairs(0, &outboard).unwrap();
        (tree, content, partial)
    }

    fn put(partial: &Partial, content: &Bytes, group: u64) {
        let bytes = partial.tree.bytes(group);
        let bytes = &content[bytes.start as usize..bytes.end as usize];
        assert!(partial.put_group(group, bytes).unwrap());
    }

    /// The one gap that there is by the bitmap on the disk.
    fn missing(directory: &Path, tree: &Tree) -> std::ops::Range<u64> {
        let file = fs::read(beside(&directory.join("blob"), ".bitmap")).unwrap();
        let gaps = Bitmap::decode(tree, &file).unwrap().gaps();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        gaps[0].clone()
    }

    #[test]
    fn what_came_while_another_wrote_the_bitmap_is_in_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let (tree, content, partial) = begun(directory.path());
        let writing = partial.saving.lock().unwrap();
        (0..100).for_each(|group| put(&partial, &content, group));
        drop(writing);
        put(&partial, &content, 100);
        assert_eq!(missing(directory.path(), &tree), 101..200);
    }

    #[test]
    fn what_several_brought_at_once_is_all_kept_when_a_fetch_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let (tree, content, partial) = begun(directory.path());
        std::thread::scope(|scope| {
            for who in 0..4 {
                let (partial, content) = (&partial, &content);
                let mine = (0..190).filter(move |group| group % 4 == who);
                scope.spawn(move || mine.for_each(|group| put(partial, content, group)));
            }
        });
        drop(partial);
        assert_eq!(missing(directory.path(), &tree), 190..200);
    }
}
