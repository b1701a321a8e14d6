//! The calls that are free: what a member of a run owes in a phase, in an audit, or before an epoch.

use alloc::vec::Vec;
use cairn_primitives::{traits::Membership, BlockNumber, Netuid, Phase, Uid};
use cairn_protocol::audit::Stage;
use codec::Encode;
use sp_runtime::transaction_validity::{TransactionPriority, ValidTransaction};

use crate::{AccountId, Audits, Runtime, RuntimeCall, Subnets, System};

/// The most blocks by which one duty can be more urgent than another.
pub const URGENCIES: TransactionPriority = 1 << 32;

/// Blocks that a duty has for which nothing waits: everything that has a phase goes before it.
const IN_NO_HURRY: BlockNumber = 100_000;

/// Which duty. Its number is part of what tells two of a member apart in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
pub enum Kind {
    /// `training.commit`.
    Commit,
    /// `training.reveal`.
    Reveal,
    /// `training.commit_attestation`.
    CommitAttestation,
    /// `training.attest`.
    Attest,
    /// `training.here`.
    Here,
    /// `audits.open`.
    Open,
    /// `audits.commit_verdict`.
    CommitVerdict,
    /// `audits.reveal_verdict`.
    RevealVerdict,
    /// `emissions.set_scores`.
    SetScores,
    /// `emissions.commit_scores`.
    CommitScores,
    /// `emissions.reveal_scores`.
    RevealScores,
    /// `endpoints.set_endpoints`.
    SetEndpoints,
}

/// Until when a duty is due.
enum Until {
    /// The end of a phase of this round.
    Phase(u32, Phase),
    /// The end of a stage of the audit of this contribution to this round.
    Stage(u32, Uid, Stage),
    /// The subnet's next epoch.
    Epoch,
    /// So many blocks from now: nothing waits for it.
    Later(BlockNumber),
}

/// What a member owes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// Which call.
    pub kind: Kind,
    /// The subnet.
    pub netuid: Netuid,
    /// The number of the round or the epoch.
    pub turn: u32,
    /// The member. In an audit, who was it when the audit was drawn.
    pub uid: Uid,
    /// In an audit, the miner whose contribution it is of.
    pub about: Option<Uid>,
    /// The first block in which it is too late.
    pub until: BlockNumber,
}

impl Duty {
    /// What this call is the duty of, if `who` is a member, or has a part in an audit. Whether it may be done now is
    /// the pallets' to say.
    pub fn of(call: &RuntimeCall, who: &AccountId) -> Option<Duty> {
        let (kind, netuid, turn, until) = row(call)?;
        let member = || <Subnets as Membership<AccountId>>::uid(netuid, who);
        let (uid, about, until) = match until {
            Until::Phase(round, phase) => {
                let times = crate::Training::times(netuid, round)?;
                (member()?, None, times.end_of(phase))
            }
            Until::Stage(round, about, stage) => {
                let (uid, until) = Audits::party(who, (netuid, round, about), stage)?;
                (uid, Some(about), until)
            }
            Until::Later(blocks) => (
                member()?,
                None,
                System::block_number().saturating_add(blocks),
            ),
            Until::Epoch => {
                let tempo = <Subnets as Membership<AccountId>>::hyperparameters(netuid)?.tempo;
                let due = pallet_emissions::SubnetLedgers::<Runtime>::get(netuid)?.due(tempo);
                (member()?, None, due)
            }
        };
        Some(Duty {
            kind,
            netuid,
            turn,
            uid,
            about,
            until,
        })
    }

    /// Whether a call is one that members owe.
    pub fn is_owed(call: &RuntimeCall) -> bool {
        row(call).is_some()
    }

    /// What the pool is told of it: one at a time, and more urgent the less time is left.
    pub fn validity(&self, priority: TransactionPriority) -> ValidTransaction {
        let left = self.until.saturating_sub(System::block_number()).max(1);
        let urgency = TransactionPriority::from(u32::MAX.saturating_sub(left));
        ValidTransaction {
            priority: priority.saturating_add(urgency),
            provides: alloc::vec![self.tag()],
            longevity: left.into(),
            ..ValidTransaction::default()
        }
    }

    fn tag(&self) -> Vec<u8> {
        let of = (self.netuid, self.turn, self.uid, self.about);
        (b"cairn/duty", self.kind, of).encode()
    }
}

/// What is free, a line for each call: which duty, of which subnet, in which round or epoch, and until when.
fn row(call: &RuntimeCall) -> Option<(Kind, Netuid, u32, Until)> {
    use pallet_audits::Call as Replay;
    use pallet_emissions::Call as Scores;
    use pallet_endpoints::Call as Places;
    use pallet_training::Call as Work;
    use RuntimeCall::{Audits, Emissions, Endpoints, Training};
    let in_phase = |round: u32, phase| (round, Until::Phase(round, phase));
    let in_stage = |round: u32, uid, stage| (round, Until::Stage(round, uid, stage));
    let (kind, netuid, (turn, until)) = match call {
        Training(Work::commit { netuid, round, .. }) => {
            (Kind::Commit, netuid, in_phase(*round, Phase::Train))
        }
        Training(Work::reveal { netuid, round, .. }) => {
            (Kind::Reveal, netuid, in_phase(*round, Phase::Reveal))
        }
        Training(Work::commit_attestation { netuid, round, .. }) => (
            Kind::CommitAttestation,
            netuid,
            in_phase(*round, Phase::Attest),
        ),
        Training(Work::attest { netuid, round, .. }) => {
            (Kind::Attest, netuid, in_phase(*round, Phase::Attest))
        }
        Training(Work::here { netuid }) => (Kind::Here, netuid, (0, Until::Epoch)),
        Audits(Replay::open {
            netuid, round, uid, ..
        }) => (Kind::Open, netuid, in_stage(*round, *uid, Stage::Open)),
        Audits(Replay::commit_verdict {
            netuid, round, uid, ..
        }) => (
            Kind::CommitVerdict,
            netuid,
            in_stage(*round, *uid, Stage::Commit),
        ),
        Audits(Replay::reveal_verdict {
            netuid, round, uid, ..
        }) => (
            Kind::RevealVerdict,
            netuid,
            in_stage(*round, *uid, Stage::Reveal),
        ),
        Emissions(Scores::set_scores { netuid, .. }) => {
            (Kind::SetScores, netuid, (0, Until::Epoch))
        }
        Emissions(Scores::commit_scores { netuid, epoch, .. }) => {
            (Kind::CommitScores, netuid, (*epoch, Until::Epoch))
        }
        Emissions(Scores::reveal_scores { netuid, epoch, .. }) => {
            (Kind::RevealScores, netuid, (*epoch, Until::Epoch))
        }
        Endpoints(Places::set_endpoints { netuid, .. }) => {
            (Kind::SetEndpoints, netuid, (0, Until::Later(IN_NO_HURRY)))
        }
        _ => return None,
    };
    Some((kind, *netuid, turn, until))
}
