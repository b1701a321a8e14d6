//! When a miner may commit to a sealed contribution, and when it may reveal the key that opens it.
//!
//! A commitment is accepted in the train phase only, once per miner and round; a key in the reveal phase only, and only
//! the one that was committed to. So nobody can date a contribution back, and nobody can copy what he cannot open.

use cairn_primitives::{key_hash, Commitment, ContributionKey, Hotkey, Netuid, Phase, Round};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// A miner's commitment and, once revealed, its key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Contribution<AccountId> {
    /// Who committed.
    pub hotkey: AccountId,
    /// To what.
    pub commitment: Commitment,
    /// The key that opens it.
    pub key: Option<ContributionKey>,
}

/// Why a commitment or a key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The train phase is over.
    TooLateToCommit,
    /// The miner has committed in this round already.
    AlreadyCommitted,
    /// The sealed file has no bytes.
    Empty,
    /// The sealed file is longer than any may be.
    TooLong,
    /// A hash is zero, so it was never computed.
    ZeroHash,
    /// The reveal phase has not begun: a key that is known now would open the contribution to copiers.
    TooEarlyToReveal,
    /// The reveal phase is over.
    TooLateToReveal,
    /// The miner has not committed in this round.
    NotCommitted,
    /// The miner has revealed already.
    AlreadyRevealed,
    /// The key is not the one committed to, or another hotkey's, subnet's or round's.
    WrongKey,
}

/// What the commitment of `hotkey`, a miner of the round, makes of what is known of it in this round. `longest` is the
/// most bytes that a sealed file may have.
///
/// # Errors
/// [`Refusal`].
pub fn commit<AccountId>(
    phase: Phase,
    known: Option<&Contribution<AccountId>>,
    hotkey: AccountId,
    commitment: Commitment,
    longest: u64,
) -> Result<Contribution<AccountId>, Refusal> {
    let Commitment {
        parent_root,
        sealed_root,
        length,
        key_hash,
    } = commitment;
    let is_zero = parent_root.is_zero() || sealed_root.is_zero() || key_hash.is_zero();
    match phase {
        Phase::Train if known.is_some() => Err(Refusal::AlreadyCommitted),
        Phase::Train if length == 0 => Err(Refusal::Empty),
        Phase::Train if length > longest => Err(Refusal::TooLong),
        Phase::Train if is_zero => Err(Refusal::ZeroHash),
        Phase::Train => Ok(Contribution {
            hotkey,
            commitment,
            key: None,
        }),
        Phase::Reveal | Phase::Attest | Phase::Settle => Err(Refusal::TooLateToCommit),
    }
}

/// What the key of the miner with this hotkey makes of what it committed to in `round` on subnet `netuid`.
///
/// # Errors
/// [`Refusal`].
pub fn reveal<AccountId>(
    phase: Phase,
    known: Option<Contribution<AccountId>>,
    (netuid, round, hotkey): (Netuid, Round, &Hotkey),
    key: ContributionKey,
) -> Result<Contribution<AccountId>, Refusal> {
    match phase {
        Phase::Train => return Err(Refusal::TooEarlyToReveal),
        Phase::Attest | Phase::Settle => return Err(Refusal::TooLateToReveal),
        Phase::Reveal => {}
    }
    let known = known.ok_or(Refusal::NotCommitted)?;
    if known.key.is_some() {
        return Err(Refusal::AlreadyRevealed);
    }
    if key_hash(netuid, round, hotkey, &key) != known.commitment.key_hash {
        return Err(Refusal::WrongKey);
    }
    Ok(Contribution {
        key: Some(key),
        ..known
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{ModelRoot, SealedRoot, H256};
    use proptest::prelude::*;

    const PHASES: [Phase; 4] = [Phase::Train, Phase::Reveal, Phase::Attest, Phase::Settle];
    const HOTKEY: Hotkey = Hotkey(H256([3; 32]));
    const KEY: ContributionKey = [5; 32];
    const LONGEST: u64 = 100;

    fn commitment() -> Commitment {
        Commitment {
            parent_root: ModelRoot(H256([1; 32])),
            sealed_root: SealedRoot(H256([2; 32])),
            length: 10,
            key_hash: key_hash(Netuid(7), 4, &HOTKEY, &KEY),
        }
    }

    fn committed() -> Contribution<Hotkey> {
        commit(Phase::Train, None, HOTKEY, commitment(), LONGEST).expect("it may")
    }

    #[test]
    fn a_commitment_is_taken_in_the_train_phase_only_and_once() {
        for phase in PHASES {
            let found = commit(phase, None, HOTKEY, commitment(), LONGEST);
            match phase {
                Phase::Train => assert_eq!(found, Ok(committed())),
                _ => assert_eq!(found, Err(Refusal::TooLateToCommit)),
            }
        }
        let known = committed();
        let again = commit(Phase::Train, Some(&known), HOTKEY, commitment(), LONGEST);
        assert_eq!(again, Err(Refusal::AlreadyCommitted));
    }

    #[test]
    fn a_commitment_to_nothing_or_to_too_much_is_refused() {
        let with = |change: fn(&mut Commitment)| {
            let mut commitment = commitment();
            change(&mut commitment);
            commit(Phase::Train, None, HOTKEY, commitment, LONGEST).expect_err("it is spoilt")
        };
        assert_eq!(with(|c| c.length = 0), Refusal::Empty);
        assert_eq!(with(|c| c.length = LONGEST + 1), Refusal::TooLong);
        assert_eq!(
            with(|c| c.parent_root = ModelRoot::zero()),
            Refusal::ZeroHash
        );
        assert_eq!(
            with(|c| c.sealed_root = SealedRoot::zero()),
            Refusal::ZeroHash
        );
        assert_eq!(with(|c| c.key_hash = H256::zero()), Refusal::ZeroHash);
    }

    #[test]
    fn a_key_is_taken_in_the_reveal_phase_only_and_once() {
        for phase in PHASES {
            let found = reveal(phase, Some(committed()), (Netuid(7), 4, &HOTKEY), KEY);
            match phase {
                Phase::Train => assert_eq!(found, Err(Refusal::TooEarlyToReveal)),
                Phase::Reveal => assert_eq!(found.expect("it is the key").key, Some(KEY)),
                _ => assert_eq!(found, Err(Refusal::TooLateToReveal)),
            }
        }
        let revealed = reveal(
            Phase::Reveal,
            Some(committed()),
            (Netuid(7), 4, &HOTKEY),
            KEY,
        )
        .ok();
        let again = reveal(Phase::Reveal, revealed, (Netuid(7), 4, &HOTKEY), KEY);
        assert_eq!(again, Err(Refusal::AlreadyRevealed));
        let nothing = reveal::<Hotkey>(Phase::Reveal, None, (Netuid(7), 4, &HOTKEY), KEY);
        assert_eq!(nothing, Err(Refusal::NotCommitted));
    }

    proptest! {
        #[test]
        fn a_key_opens_only_what_it_was_made_for(
            netuid: u16, round: u32, hotkey: [u8; 32], key: [u8; 32], other: [u8; 32],
        ) {
            let (hotkey, another) = (Hotkey(H256(hotkey)), Hotkey(H256(other)));
            let known = Contribution {
                hotkey,
                commitment: Commitment { key_hash: key_hash(Netuid(netuid), round, &hotkey, &key), ..commitment() },
                key: None,
            };
            let with = |at: (Netuid, Round, &Hotkey), key| {
                reveal(Phase::Reveal, Some(known.clone()), at, key).map(|contribution| contribution.key)
            };
            prop_assert_eq!(with((Netuid(netuid), round, &hotkey), key), Ok(Some(key)));
            prop_assume!(other != key && another != hotkey);
            prop_assert_eq!(with((Netuid(netuid), round, &hotkey), other), Err(Refusal::WrongKey));
            prop_assert_eq!(with((Netuid(netuid), round, &another), key), Err(Refusal::WrongKey));
            prop_assert_eq!(with((Netuid(netuid ^ 1), round, &hotkey), key), Err(Refusal::WrongKey));
            prop_assert_eq!(with((Netuid(netuid), round ^ 1, &hotkey), key), Err(Refusal::WrongKey));
        }
    }
}
