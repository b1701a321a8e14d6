//! `status.json`: where a worker stands, for programs that look on.

use std::{fs, path::Path};

use cairn_chain::AccountId;
use cairn_primitives::{BlockNumber, ModelRoot, Netuid, Round, Uid};
use serde::{Deserialize, Serialize};

use super::RoleError;

/// Where a worker stands. Replaced as a whole, so that a reader never sees half of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `miner` or `validator`.
    pub role: String,
    /// The worker's number in the subnet, once it has one.
    pub uid: Option<Uid>,
    /// Its key.
    pub hotkey: AccountId,
    /// The subnet.
    pub netuid: Netuid,
    /// The best block that it knows.
    pub block: BlockNumber,
    /// The round that begins with the parameters that it holds.
    pub round: Round,
    /// Their root.
    pub model_root: ModelRoot,
    /// Mean loss of its last inner step, in nats.
    pub loss: Option<f32>,
    /// Rounds in which it committed, or attested.
    pub rounds_committed: u32,
    /// Rounds that included its contribution.
    pub rounds_included: u32,
    /// Why it has no part in the current round; none if it has one.
    #[serde(default)]
    pub idle: Option<String>,
    /// The block by which it ends at the latest, if it drains and rounds are settled when they are due.
    #[serde(default)]
    pub drains_until: Option<BlockNumber>,
}

impl Status {
    /// The file's name.
    pub const FILE: &'static str = "status.json";

    /// Writes the file.
    ///
    /// # Errors
    /// [`RoleError::Log`].
    pub fn write(&self, directory: &Path) -> Result<(), RoleError> {
        let path = directory.join(Status::FILE);
        let temporary = path.with_extension("new");
        let write = || {
            fs::write(&temporary, serde_json::to_vec_pretty(self)?)?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|source| RoleError::Log {
            path: path.clone(),
            source,
        })
    }

    /// Reads the file; `None` if the worker has not written one yet.
    pub fn read(directory: &Path) -> Option<Status> {
        serde_json::from_slice(&fs::read(directory.join(Status::FILE)).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(Status::read(directory.path()), None);
        let status = Status {
            role: "miner".into(),
            uid: Some(Uid(3)),
            hotkey: AccountId([7; 32]),
            netuid: Netuid(1),
            block: 99,
            round: 4,
            model_root: ModelRoot::from([8; 32]),
            loss: Some(6.25),
            rounds_committed: 4,
            rounds_included: 3,
            idle: Some("its bond is 5.00 of 10.00 CRN".into()),
            drains_until: Some(120),
        };
        status.write(directory.path()).expect("room");
        assert_eq!(Status::read(directory.path()), Some(status));
    }
}
