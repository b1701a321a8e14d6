//! How a miner binds itself to a contribution, and a validator to what it attests, to its scores and to what it finds
//! in an audit, before anybody can see them.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

use crate::{
    blake2_256, EpochIndex, Finding, Hotkey, Judgement, ModelRoot, Netuid, Round, SealedRoot,
    Served, Uid, Witness, H256,
};

/// The secret that opens a sealed contribution: ChaCha20's key and nonce are derived from it.
pub type ContributionKey = [u8; 32];

/// What a miner says of its contribution while it is still sealed.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
pub struct Commitment {
    /// Model root of the parameters that the miner started from: the round's base.
    pub parent_root: ModelRoot,
    /// BLAKE3 of the sealed file, by which it is found in the store.
    pub sealed_root: SealedRoot,
    /// Length of the sealed file in bytes.
    pub length: u64,
    /// [`key_hash`] of the key that opens it.
    pub key_hash: H256,
}

/// `blake2_256(SCALE(netuid, round, hotkey, key))`: binds a key to one miner and one round, so that a
/// commitment copied from somebody else can never be opened by the copier.
pub fn key_hash(netuid: Netuid, round: Round, hotkey: &Hotkey, key: &ContributionKey) -> H256 {
    blake2_256(&(netuid, round, hotkey, key).encode())
}

/// What keeps committed scores, or an attestation, from being guessed: 32 random bytes, never used twice.
pub type Salt = [u8; 32];

/// `blake2_256(SCALE(netuid, epoch, hotkey, scores, evidence, salt))`: binds a validator to a row of scores, and to the
/// file of evidence from which they follow. Like [`key_hash`] it is worth nothing to anybody else, nor before another
/// epoch.
///
/// `epoch` is the number of the subnet's epoch before which the scores are committed; `scores` are the
/// cells in the very order in which they are revealed.
pub fn scores_hash(
    netuid: Netuid,
    epoch: EpochIndex,
    hotkey: &Hotkey,
    scores: &[(Uid, u16)],
    evidence: Served,
    salt: &Salt,
) -> H256 {
    blake2_256(&(netuid, epoch, hotkey, scores, evidence, salt).encode())
}

/// `blake2_256(SCALE(netuid, round, hotkey, model_root, verdicts, witness, salt))`: binds a validator to what it attests
/// in a round. Like [`key_hash`] it is worth nothing to anybody else, nor in another round.
pub fn attestation_hash(
    (netuid, round, hotkey): (Netuid, Round, &Hotkey),
    model_root: ModelRoot,
    verdicts: &Judgement,
    witness: Witness,
    salt: &Salt,
) -> H256 {
    blake2_256(&(netuid, round, hotkey, model_root, verdicts, witness, salt).encode())
}

/// `blake2_256(SCALE(netuid, round, uid, hotkey, finding, salt))`: binds the auditor with this hotkey to what it
/// found in the contribution of `uid`. Like [`key_hash`] it is worth nothing to anybody else, nor for another
/// contribution.
pub fn finding_hash(
    (netuid, round, uid): (Netuid, Round, Uid),
    hotkey: &Hotkey,
    finding: Finding,
    salt: &Salt,
) -> H256 {
    blake2_256(&(netuid, round, uid, hotkey, finding, salt).encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_bound_to_subnet_round_contribution_hotkey_and_salt() {
        let (hotkey, salt) = (Hotkey(H256([4; 32])), [5; 32]);
        let of = finding_hash((Netuid(1), 2, Uid(3)), &hotkey, Finding::Failed, &salt);
        let others = [
            finding_hash((Netuid(2), 2, Uid(3)), &hotkey, Finding::Failed, &salt),
            finding_hash((Netuid(1), 3, Uid(3)), &hotkey, Finding::Failed, &salt),
            finding_hash((Netuid(1), 2, Uid(4)), &hotkey, Finding::Failed, &salt),
            finding_hash(
                (Netuid(1), 2, Uid(3)),
                &Hotkey(H256([5; 32])),
                Finding::Failed,
                &salt,
            ),
            finding_hash((Netuid(1), 2, Uid(3)), &hotkey, Finding::Passed, &salt),
            finding_hash((Netuid(1), 2, Uid(3)), &hotkey, Finding::Failed, &[6; 32]),
        ];
        assert!(!others.contains(&of));
        let bytes = [
            &[1, 0][..],
            &[2, 0, 0, 0],
            &[3, 0],
            &[4; 32],
            &[1],
            &[5; 32],
        ];
        assert_eq!(of, blake2_256(&bytes.concat()), "plain SCALE");
    }

    #[test]
    fn a_key_is_bound_to_subnet_round_and_hotkey() {
        let of = key_hash(Netuid(1), 2, &Hotkey(H256([3; 32])), &[4; 32]);
        assert_ne!(of, key_hash(Netuid(2), 2, &Hotkey(H256([3; 32])), &[4; 32]));
        assert_ne!(of, key_hash(Netuid(1), 3, &Hotkey(H256([3; 32])), &[4; 32]));
        assert_ne!(of, key_hash(Netuid(1), 2, &Hotkey(H256([4; 32])), &[4; 32]));
        assert_ne!(of, key_hash(Netuid(1), 2, &Hotkey(H256([3; 32])), &[5; 32]));
    }

    #[test]
    fn scores_are_bound_to_evidence_subnet_epoch_hotkey_and_salt() {
        let (hotkey, row, salt) = (Hotkey(H256([3; 32])), [(Uid(1), 2), (Uid(3), 4)], [5; 32]);
        let served = |root: u8, length| Served {
            root: H256([root; 32]),
            length,
        };
        let file = served(7, 9);
        let of = scores_hash(Netuid(1), 2, &hotkey, &row, file, &salt);
        let other = Hotkey(H256([4; 32]));
        let turned = [(Uid(3), 4), (Uid(1), 2)];
        let others = [
            scores_hash(Netuid(2), 2, &hotkey, &row, file, &salt),
            scores_hash(Netuid(1), 3, &hotkey, &row, file, &salt),
            scores_hash(Netuid(1), 2, &other, &row, file, &salt),
            scores_hash(Netuid(1), 2, &hotkey, &row[..1], file, &salt),
            scores_hash(Netuid(1), 2, &hotkey, &turned, file, &salt),
            scores_hash(Netuid(1), 2, &hotkey, &row, served(8, 9), &salt),
            scores_hash(Netuid(1), 2, &hotkey, &row, served(7, 8), &salt),
            scores_hash(Netuid(1), 2, &hotkey, &row, file, &[6; 32]),
        ];
        assert!(!others.contains(&of));
    }

    /// The encoding is a promise: other clients compute it too.
    #[test]
    fn what_is_hashed_is_plain_scale() {
        let bytes = [
            &[1, 0][..],
            &[2, 0, 0, 0],
            &[3; 32],
            &[8, 1, 0, 2, 0, 3, 0, 4, 0],
            &[7; 32],
            &[9, 0, 0, 0, 0, 0, 0, 0],
            &[5; 32],
        ]
        .concat();
        let file = Served {
            root: H256([7; 32]),
            length: 9,
        };
        let hash = scores_hash(
            Netuid(1),
            2,
            &Hotkey(H256([3; 32])),
            &[(Uid(1), 2), (Uid(3), 4)],
            file,
            &[5; 32],
        );
        assert_eq!(hash, blake2_256(&bytes));
    }

    #[test]
    fn an_attestation_is_bound_to_all_that_it_says_and_to_subnet_round_hotkey_and_salt() {
        let (root, good, salt) = (
            ModelRoot::from([4; 32]),
            Judgement::new([1, 9].map(Uid), [Uid(3)]),
            [5; 32],
        );
        let witness = |gains, loss| Witness {
            gains: H256([gains; 32]),
            loss,
        };
        let (shown, hotkey) = (witness(6, 7), Hotkey(H256([3; 32])));
        let at = (Netuid(1), 2, &hotkey);
        let of = attestation_hash(at, root, &good, shown, &salt);
        let says = |at| attestation_hash(at, root, &good, shown, &salt);
        let fewer = Judgement::new([Uid(1)], [Uid(3)]);
        let silent = Judgement::new([1, 9].map(Uid), []);
        let turned = Judgement::new([Uid(3)], [1, 9].map(Uid));
        let others = [
            says((Netuid(2), 2, &hotkey)),
            says((Netuid(1), 3, &hotkey)),
            says((Netuid(1), 2, &Hotkey(H256([4; 32])))),
            attestation_hash(at, ModelRoot::from([5; 32]), &good, shown, &salt),
            attestation_hash(at, root, &fewer, shown, &salt),
            attestation_hash(at, root, &silent, shown, &salt),
            attestation_hash(at, root, &turned, shown, &salt),
            attestation_hash(at, root, &good, witness(7, 7), &salt),
            attestation_hash(at, root, &good, witness(6, 8), &salt),
            attestation_hash(at, root, &good, shown, &[6; 32]),
        ];
        assert!(!others.contains(&of));
        let bytes = [
            &[1, 0][..],
            &[2, 0, 0, 0],
            &[3; 32],
            &[4; 32],
            &[8, 2, 2],
            &[4, 8],
            &[6; 32],
            &[7, 0, 0, 0],
            &[5; 32],
        ];
        assert_eq!(of, blake2_256(&bytes.concat()), "plain SCALE");
    }
}
