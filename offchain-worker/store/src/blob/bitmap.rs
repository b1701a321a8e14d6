//! Which groups of a blob are there: a bit for each, and the file that keeps them.

use std::ops::Range;

use super::tree::Tree;

/// What a file of this kind begins with.
const MAGIC: &[u8; 8] = b"cairnbm1";

/// A bit for each group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bitmap {
    bytes: Vec<u8>,
    groups: u64,
    set: u64,
}

impl Bitmap {
    /// None of so many groups.
    pub fn new(groups: u64) -> Bitmap {
        let bytes = vec![0; groups.div_ceil(8) as usize];
        Bitmap {
            bytes,
            groups,
            set: 0,
        }
    }

    /// Whether all are there.
    pub fn is_full(&self) -> bool {
        self.set == self.groups
    }

    /// How many are there.
    pub fn count(&self) -> u64 {
        self.set
    }

    /// Whether one is there.
    pub fn has(&self, group: u64) -> bool {
        let byte = self.bytes.get((group / 8) as usize).copied();
        group < self.groups && byte.unwrap_or(0) >> (group % 8) & 1 == 1
    }

    /// Says of one whether it is there.
    pub fn put(&mut self, group: u64, is_there: bool) {
        if group >= self.groups || self.has(group) == is_there {
            return;
        }
        if let Some(byte) = self.bytes.get_mut((group / 8) as usize) {
            *byte ^= 1 << (group % 8);
            self.set = if is_there { self.set + 1 } else { self.set - 1 };
        }
    }

    /// The stretches that are not there.
    pub fn gaps(&self) -> Vec<Range<u64>> {
        let mut gaps: Vec<Range<u64>> = Vec::new();
        for group in (0..self.groups).filter(|group| !self.has(*group)) {
            match gaps.last_mut() {
                Some(last) if last.end == group => last.end = group + 1,
                _ => gaps.push(group..group + 1),
            }
        }
        gaps
    }

    /// As a file: magic, root, length, bits, and the BLAKE3 of all that.
    pub fn encode(&self, tree: &Tree) -> Vec<u8> {
        let mut file = head(tree);
        file.extend_from_slice(&self.bytes);
        let sum = blake3::hash(&file);
        file.extend_from_slice(sum.as_bytes());
        file
    }

    /// From a file; `None` if it is torn, or of another blob.
    pub fn decode(tree: &Tree, file: &[u8]) -> Option<Bitmap> {
        let (content, sum) = file.split_last_chunk::<32>()?;
        if blake3::hash(content) != blake3::Hash::from(*sum) {
            return None;
        }
        let bytes = content.strip_prefix(head(tree).as_slice())?;
        let mut bitmap = Bitmap::new(tree.groups());
        if bytes.len() != bitmap.bytes.len() {
            return None;
        }
        bitmap.bytes.copy_from_slice(bytes);
        let unused = (bitmap.bytes.len() as u64 * 8) - bitmap.groups;
        if let Some(last) = bitmap.bytes.last_mut() {
            *last &= 0xff >> unused;
        }
        bitmap.set = bitmap
            .bytes
            .iter()
            .map(|byte| u64::from(byte.count_ones()))
            .sum();
        Some(bitmap)
    }

    /// Bytes of its file.
    pub fn file_length(tree: &Tree) -> u64 {
        head(tree).len() as u64 + tree.groups().div_ceil(8) + 32
    }
}

fn head(tree: &Tree) -> Vec<u8> {
    [MAGIC.as_slice(), &tree.root, &tree.length.to_le_bytes()].concat()
}
