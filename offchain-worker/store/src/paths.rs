//! What lies where in a store.
//!
//! | path | content |
//! |---|---|
//! | `contributions/{netuid}/{round}/{sealed root}` | a miner's sealed contribution |
//! | `audits/{netuid}/{round}/{root}` | a state from between a miner's inner steps, served for an audit |
//! | `evidence/{netuid}/{epoch}-{root}` | what a validator measured, from which its scores of an epoch follow |
//! | `checkpoints/{netuid}/{round}-{model root}` | the parameters θ with which a round began |
//! | `data/{root}` | manifest, tokenizer and shards of a data set |
//! | any of these + `.outboard` | the hashes of its groups, for a blob longer than [`crate::SMALL`] |
//!
//! Roots are BLAKE3 hashes in lower-case hexadecimal. The functions give the part before the root: the
//! *prefix* that [`crate::Store::put_blob`] and [`crate::Store::get_blob`] take. Prefixes may be used by
//! anyone who names files by their hash; nothing here touches a disk.

use crate::StoreError;

/// Longest path inside a store, in bytes.
pub const MAX_PATH: usize = 1_024;

/// Prefix of a data set's files.
pub const DATA: &str = "data/";

/// Prefix of the sealed contributions of one round.
pub fn contributions(netuid: u16, round: u32) -> String {
    format!("contributions/{netuid}/{round}/")
}

/// Prefix of what is served for the audits of one round.
pub fn audits(netuid: u16, round: u32) -> String {
    format!("audits/{netuid}/{round}/")
}

/// Prefix of the files of evidence of one epoch: one of each validator.
pub fn evidence(netuid: u16, epoch: u32) -> String {
    format!("evidence/{netuid}/{epoch}-")
}

/// Directory of all files of evidence of one subnet, to be listed.
pub fn all_evidence(netuid: u16) -> String {
    format!("evidence/{netuid}/")
}

/// The epoch of a file of evidence of this subnet, or of its outboard; `None` if it is neither.
pub fn epoch_of(netuid: u16, path: &str) -> Option<u32> {
    let name = path.strip_prefix(&all_evidence(netuid))?;
    name.split_once('-')?.0.parse().ok()
}

/// Prefix of the checkpoints of one round. There is one, unless validators disagree about θ.
pub fn checkpoints(netuid: u16, round: u32) -> String {
    format!("checkpoints/{netuid}/{round}-")
}

/// Directory of all checkpoints of one subnet, to be listed.
pub fn all_checkpoints(netuid: u16) -> String {
    format!("checkpoints/{netuid}/")
}

/// The subnet and the round that a file belongs to; `None` of data, and of what is none of ours.
pub fn round_of(path: &str) -> Option<(u16, u32)> {
    let (kind, rest) = path.split_once('/')?;
    let (netuid, rest) = rest.split_once('/')?;
    let (round, _) = match kind {
        "contributions" | "audits" => rest.split_once('/')?,
        "checkpoints" => rest.split_once('-')?,
        _ => return None,
    };
    Some((netuid.parse().ok()?, round.parse().ok()?))
}

/// The path of the blob with this root. A prefix that ends neither in `/` nor in `-` is a directory.
pub fn blob(prefix: &str, root: &[u8; 32]) -> String {
    let hex = blake3::Hash::from(*root).to_hex();
    match prefix.chars().last() {
        None | Some('/' | '-') => format!("{prefix}{hex}"),
        Some(_) => format!("{prefix}/{hex}"),
    }
}

/// The path of a blob's outboard: beside it.
pub fn outboard(blob: &str) -> String {
    format!("{blob}.outboard")
}

/// The round and model root of a checkpoint's path; `None` if it is not one of this subnet's.
pub fn parse_checkpoint(netuid: u16, path: &str) -> Option<(u32, [u8; 32])> {
    let name = path.strip_prefix(&all_checkpoints(netuid))?;
    let (round, root) = name.split_once('-')?;
    let round: u32 = round.parse().ok()?;
    let root = *blake3::Hash::from_hex(root).ok()?.as_bytes();
    // Only the canonical spelling is a checkpoint: one content has one name.
    (blob(&checkpoints(netuid, round), &root) == path).then_some((round, root))
}

/// Checks a path: segments of `A–Z a–z 0–9 . _ -`, none of them empty, `.` or `..`.
///
/// Characters that mean something to a file system, a shell or a URL are refused, so that a path from
/// outside can never leave the store, and a path is the same on every kind of store.
pub fn check(path: &str) -> Result<(), StoreError> {
    let bad = |why: &'static str| {
        Err(StoreError::InvalidPath {
            path: path.to_string(),
            why,
        })
    };
    if path.is_empty() {
        return bad("it is empty");
    }
    if path.len() > MAX_PATH {
        return bad("it is longer than 1,024 bytes");
    }
    for segment in path.split('/') {
        match segment {
            "" => return bad("it has an empty segment"),
            "." | ".." => return bad("it has a `.` or `..` segment"),
            _ => {}
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !segment.bytes().all(plain) {
            return bad("only letters, digits and . _ - may be in it");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_what_the_design_says() {
        let root = [0xab; 32];
        let hex = "ab".repeat(32);
        assert_eq!(
            blob(&contributions(3, 14), &root),
            format!("contributions/3/14/{hex}")
        );
        assert_eq!(
            blob(&checkpoints(3, 14), &root),
            format!("checkpoints/3/14-{hex}")
        );
        assert_eq!(
            blob(&evidence(3, 14), &root),
            format!("evidence/3/14-{hex}")
        );
        assert_eq!(blob(DATA, &root), format!("data/{hex}"));
        assert_eq!(blob("data", &root), format!("data/{hex}"));
    }

    #[test]
    fn every_path_we_make_passes_the_check() {
        for prefix in [
            contributions(u16::MAX, u32::MAX),
            checkpoints(0, 0),
            evidence(u16::MAX, u32::MAX),
            DATA.to_string(),
        ] {
            check(&blob(&prefix, &[0; 32])).unwrap();
        }
    }

    #[test]
    fn the_epoch_of_evidence_is_read_back_from_its_path() {
        let path = blob(&evidence(5, 77), &[9; 32]);
        assert_eq!(epoch_of(5, &path), Some(77));
        assert_eq!(epoch_of(5, &outboard(&path)), Some(77));
        assert_eq!(epoch_of(6, &path), None);
        let checkpoint = blob(&checkpoints(5, 77), &[9; 32]);
        for other in [checkpoint.as_str(), "evidence/5/x-9", "evidence/5/77"] {
            assert_eq!(epoch_of(5, other), None, "{other}");
        }
    }

    #[test]
    fn checkpoints_are_read_back_from_their_paths() {
        let path = blob(&checkpoints(5, 77), &[9; 32]);
        assert_eq!(parse_checkpoint(5, &path), Some((77, [9; 32])));
        assert_eq!(parse_checkpoint(6, &path), None);
    }

    #[test]
    fn what_only_looks_like_a_checkpoint_is_none() {
        let hex = "09".repeat(32);
        for path in [
            format!("checkpoints/5/077-{hex}"),
            format!("checkpoints/5/+77-{hex}"),
            format!("checkpoints/5/77-{}", "0A".repeat(32)),
            format!("checkpoints/5/77-{}", &hex[2..]),
            format!("checkpoints/5/4294967296-{hex}"),
            format!("checkpoints/5/x/77-{hex}"),
            "checkpoints/5/latest".to_string(),
        ] {
            assert_eq!(parse_checkpoint(5, &path), None, "{path}");
        }
    }

    #[test]
    fn paths_that_could_leave_the_store_are_refused() {
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a b",
            "a\0b",
            "é",
            "a#1",
            "%2e%2e/a",
            "a:b",
        ] {
            assert!(
                matches!(check(path), Err(StoreError::InvalidPath { .. })),
                "{path:?}"
            );
        }
        assert!(check(&"a".repeat(MAX_PATH)).is_ok());
        assert!(check(&"a".repeat(MAX_PATH + 1)).is_err());
    }
}
