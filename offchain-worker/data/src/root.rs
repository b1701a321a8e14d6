//! Files are named by their root.

use cairn_primitives::H256;

use crate::DataError;

/// BLAKE3 of a file's bytes, by which it is found and checked.
pub fn root(bytes: &[u8]) -> H256 {
    H256(*blake3::hash(bytes).as_bytes())
}

/// Whether bytes are the file of that root.
pub(crate) fn check_root(what: &'static str, root: H256, bytes: &[u8]) -> Result<(), DataError> {
    let found = self::root(bytes);
    if found == root {
        return Ok(());
    }
    Err(DataError::Root { what, root, found })
}
