//! The tree of hashes over a blob, and the walk that checks a blob and its outboard as they arrive.
//!
//! A blob's root is the plain BLAKE3 of its bytes. BLAKE3 is a tree over chunks of 1 KiB; cut off at *groups* of
//! 16 KiB, its upper nodes are the *outboard*: a pair of hashes (64 bytes) for each node, in pre-order, without a
//! header. With it each group can be checked for itself, and each pair against the pair above it, so that nothing has
//! to be trusted or held until the end.

use std::ops::Range;

use bao_tree::{BaoTree, BlockSize};
use blake3::hazmat::{merge_subtrees_non_root, merge_subtrees_root, HasherExt, Mode};

/// Bytes of a group.
pub const GROUP: u64 = 16 << 10;

/// The longest blob that has no outboard: it is checked as a whole, in one group.
pub const SMALL: u64 = 16 * GROUP;

/// The longest blob: 4 TiB. Its bitmap of groups is 32 MiB.
pub const MAX_LENGTH: u64 = 1 << 42;

/// Bytes of a pair of hashes in an outboard.
pub const PAIR: u64 = 64;

/// A BLAKE3 hash, or the chaining value of a part.
pub(crate) type Hash = [u8; 32];

/// A blob's root and length, which together fix the shape of its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    pub root: Hash,
    pub length: u64,
}

impl Tree {
    /// `None` for a blob longer than [`MAX_LENGTH`].
    pub fn new(root: Hash, length: u64) -> Option<Tree> {
        (length <= MAX_LENGTH).then_some(Tree { root, length })
    }

    /// Whether it is checked as a whole.
    pub fn is_small(&self) -> bool {
        self.length <= SMALL
    }

    /// How many parts are checked each for itself; at least one.
    pub fn groups(&self) -> u64 {
        if self.is_small() {
            1
        } else {
            self.length.div_ceil(GROUP)
        }
    }

    /// The bytes of a group.
    pub fn bytes(&self, group: u64) -> Range<u64> {
        self.bytes_of(&(group..group.saturating_add(1)))
    }

    /// The bytes of several groups.
    pub fn bytes_of(&self, groups: &Range<u64>) -> Range<u64> {
        if self.is_small() {
            return 0..self.length;
        }
        let at = |group: u64| group.saturating_mul(GROUP).min(self.length);
        at(groups.start)..at(groups.end)
    }

    /// Pairs in the outboard.
    pub fn pairs(&self) -> u64 {
        self.groups() - 1
    }

    /// Bytes of the outboard.
    pub fn outboard_length(&self) -> u64 {
        self.pairs() * PAIR
    }

    /// The same tree in the words of `bao-tree`, which makes outboards.
    pub fn bao(&self) -> BaoTree {
        BaoTree::new(self.length, BlockSize::from_chunk_log(4))
    }

    /// Which pair of the outboard has a group's hash, and whether it is the right one of the two. `None` if the root
    /// itself is the group's hash, or there is no such group.
    pub fn place(&self, group: u64) -> Option<(u64, bool)> {
        let (mut pair, mut first, mut count) = (0, 0, self.groups());
        if group >= count || count == 1 {
            return None;
        }
        loop {
            let left = left_of(count);
            let is_right = group - first >= left;
            let below = if is_right { count - left } else { left };
            if below == 1 {
                return Some((pair, is_right));
            }
            // A subtree of n groups has n - 1 pairs: the right one begins after those of the left.
            pair += if is_right { left } else { 1 };
            first += if is_right { left } else { 0 };
            count = below;
        }
    }

    /// The hash of a group's bytes, to be compared with what the outboard (or the root) has.
    pub fn hash(&self, group: u64, bytes: &[u8]) -> Hash {
        if self.groups() == 1 {
            return *blake3::hash(bytes).as_bytes();
        }
        if bytes.is_empty() {
            return [0; 32];
        }
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(self.bytes(group).start);
        hasher.update(bytes).finalize_non_root()
    }
}

/// Groups in the left half of `count` > 1: the largest power of two below it.
fn left_of(count: u64) -> u64 {
    count.div_ceil(2).next_power_of_two()
}

/// What a [`Walk`] wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The next pair of the outboard.
    Pair,
    /// The bytes of this group.
    Group(u64),
}

/// Something whose hash is known and whose content is not.
struct Open {
    first: u64,
    count: u64,
    hash: Hash,
}

/// Goes through an outboard in pre-order, and if it is told so through the groups between, and checks each against what
/// came before. Holds a hash for each level of the tree.
pub(crate) struct Walk {
    tree: Tree,
    with_groups: bool,
    open: Vec<Open>,
    pairs: u64,
}

impl Walk {
    /// Through the outboard alone.
    pub fn outboard(tree: Tree) -> Walk {
        Walk::new(tree, false)
    }

    /// Through outboard and groups.
    pub fn whole(tree: Tree) -> Walk {
        Walk::new(tree, true)
    }

    fn new(tree: Tree, with_groups: bool) -> Walk {
        let mut walk = Walk {
            tree,
            with_groups,
            open: Vec::new(),
            pairs: 0,
        };
        walk.push(0, tree.groups(), tree.root);
        walk
    }

    /// Pairs that were checked.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// What is to be checked next; `None` at the end.
    pub fn wanted(&self) -> Option<Wanted> {
        self.open.last().map(|open| match open.count {
            1 => Wanted::Group(open.first),
            _ => Wanted::Pair,
        })
    }

    /// Checks the next pair. After `false` nothing has changed.
    pub fn pair(&mut self, pair: &[u8; PAIR as usize]) -> bool {
        let Some(open) = self.open.last().filter(|open| open.count > 1) else {
            return false;
        };
        let (left, right) = halves(pair);
        let is_root = open.count == self.tree.groups();
        let found = match is_root {
            true => *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes(),
            false => merge_subtrees_non_root(&left, &right, Mode::Hash),
        };
        if found != open.hash {
            return false;
        }
        let (first, count) = (open.first, open.count);
        let middle = left_of(count);
        self.open.pop();
        self.push(first + middle, count - middle, right);
        self.push(first, middle, left);
        self.pairs += 1;
        true
    }

    /// Checks the next group. After `false` nothing has changed.
    pub fn group(&mut self, bytes: &[u8]) -> bool {
        let Some(open) = self.open.last().filter(|open| open.count == 1) else {
            return false;
        };
        let range = self.tree.bytes(open.first);
        let is_good = bytes.len() as u64 == range.end - range.start
            && self.tree.hash(open.first, bytes) == open.hash;
        if is_good {
            self.open.pop();
        }
        is_good
    }

    fn push(&mut self, first: u64, count: u64, hash: Hash) {
        if count > 1 || self.with_groups {
            self.open.push(Open { first, count, hash });
        }
    }
}

/// The two hashes of a pair.
pub(crate) fn halves(pair: &[u8; PAIR as usize]) -> (Hash, Hash) {
    let (mut left, mut right) = ([0; 32], [0; 32]);
    left.copy_from_slice(&pair[..32]);
    right.copy_from_slice(&pair[32..]);
    (left, right)
}
