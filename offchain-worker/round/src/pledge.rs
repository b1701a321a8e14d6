//! What a validator commits to, and later attests.
//!
//! ```text
//!   all checked, or time is up ──▶ Pledge ──▶ pledge on disk ──▶ CommitAttestation ──▶ (second half) ──▶ Attest
//! ```
//!
//! A *pledge* is an attestation with the salt that hides it. It is on disk before the commitment to it is sent, so
//! that a validator that is killed at any instant can still attest, and never commits to two things in a round. Until
//! it is opened nobody else knows the salt, which makes it this validator's own part of a round's randomness.

use cairn_primitives::{
    attestation_hash, Hotkey, Judgement, ModelRoot, Netuid, Round, Secret, Verdicts, Witness, H256,
};
use serde::{Deserialize, Serialize};

/// Pledges that are kept: of the round held, and of the one before, whose salt is still asked for.
const KEPT: usize = 2;

/// An attestation, and what opens the commitment to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pledge {
    /// The round.
    pub round: Round,
    /// The root of the parameters that the round begins with.
    pub root: ModelRoot,
    /// The contributions that were found good.
    pub verdicts: Verdicts,
    /// Those that were found broken.
    #[serde(default)]
    pub broken: Verdicts,
    /// What shows that the round before was measured; nothing if it was not.
    pub witness: Witness,
    /// The salt.
    pub salt: Secret,
    /// [`attestation_hash`] of all that.
    pub hash: H256,
}

impl Pledge {
    /// A pledge of `hotkey` in subnet `netuid`. The salt must come from the system's random numbers.
    pub fn new(
        (netuid, hotkey): (Netuid, Hotkey),
        round: Round,
        root: ModelRoot,
        verdicts: Judgement,
        witness: Witness,
        salt: Secret,
    ) -> Pledge {
        let at = (netuid, round, &hotkey);
        Pledge {
            round,
            root,
            hash: attestation_hash(at, root, &verdicts, witness, salt.expose()),
            verdicts: verdicts.good,
            broken: verdicts.broken,
            witness,
            salt,
        }
    }

    /// What it says of the round's contributions.
    pub fn judgement(&self) -> Judgement {
        Judgement {
            good: self.verdicts.clone(),
            broken: self.broken.clone(),
        }
    }

    /// The salt, which is this validator's own draw for the round; to be shown to nobody before it is opened.
    pub fn own_draw(&self) -> H256 {
        H256(*self.salt.expose())
    }
}

/// The pledges to keep once there is this one.
pub fn with(kept: &[Pledge], pledge: Pledge) -> Vec<Pledge> {
    let round = pledge.round;
    let others = kept.iter().filter(|one| one.round != round);
    let mut all: Vec<Pledge> = others.cloned().chain(Some(pledge)).collect();
    all.sort_by_key(|one| one.round);
    let first = all.len().saturating_sub(KEPT);
    all.split_off(first)
}
