//! Who may have what.

use std::fmt;

use cairn_store::paths;

use crate::PeerId;

/// What a server asks before it answers. Both are called for strangers, so neither may wait for anything.
pub trait Policy: fmt::Debug + Send + Sync + 'static {
    /// Whether this peer may connect; for example, whether its id is a member's. It has proven that it has the key.
    fn admits(&self, peer: &PeerId) -> bool;

    /// Whether it may have the file at this path. Only paths of blobs ([`is_blob`]) are asked about.
    fn serves(&self, peer: &PeerId, path: &str) -> bool;
}

/// Whether a path is one that a blob or its outboard has: named by its root at the end. Nothing else is served, so what
/// else lies in the same directory stays there.
pub fn is_blob(path: &str) -> bool {
    if paths::check(path).is_err() {
        return false;
    }
    let blob = path.strip_suffix(".outboard").unwrap_or(path);
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let Some((prefix, root)) = blob.split_at_checked(blob.len().saturating_sub(64)) else {
        return false;
    };
    let is_end = matches!(prefix.bytes().last(), None | Some(b'/' | b'-'));
    is_end && root.len() == 64 && root.as_bytes().iter().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_and_their_outboards_are_told_from_all_else() {
        let root = [0xab; 32];
        for prefix in [
            paths::contributions(1, 2),
            paths::audits(1, 2),
            paths::checkpoints(1, 2),
            paths::DATA.to_string(),
            String::new(),
        ] {
            let blob = paths::blob(&prefix, &root);
            assert!(is_blob(&blob), "{blob}");
            assert!(is_blob(&paths::outboard(&blob)), "{blob}");
        }
        let hex = "ab".repeat(32);
        for path in [
            String::new(),
            "wallet".into(),
            "data".into(),
            ".outboard".into(),
            "a.outboard".into(),
            format!("data/x{hex}"),
            format!("data/{}", &hex[1..]),
            format!("data/{}", hex.to_uppercase()),
            format!("data/{hex}.key"),
            format!("data/{hex}.outboard.outboard"),
            format!("data/{hex}/"),
            format!("../{hex}"),
            format!("/{hex}"),
            format!("data//{hex}"),
            format!("é{}", &hex[1..]),
        ] {
            assert!(!is_blob(&path), "{path}");
        }
    }
}
