//! Referenda: what is voted on, and the calls that propose and vote.
//!
//! What is read is laid out as in this release's pallets; bytes that are fixed in the tests here are fixed in a test of
//! the runtime too.

use cairn_primitives::{Balance, BlockNumber, Netuid, H256};
use codec::{Decode, Encode};
use serde::Serialize;

use crate::{
    stored::{blake2_128_concat, identity},
    AccountId, Call, ChainError, View,
};

/// What a referendum is about, by the number of its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Track {
    /// Which runs emit.
    Emission,
    /// The numbers that may be set.
    Rules,
    /// The council's seats.
    Council,
    /// A new runtime.
    Upgrade,
    /// A new runtime, soon.
    Repair,
    /// What ends other referenda.
    Cancel,
    /// Who makes and finalises blocks.
    Authorities,
}

impl Track {
    /// All of them.
    pub const ALL: [Track; 7] = [
        Track::Emission,
        Track::Rules,
        Track::Council,
        Track::Upgrade,
        Track::Repair,
        Track::Cancel,
        Track::Authorities,
    ];

    /// The track of this number.
    pub fn of(number: u16) -> Option<Track> {
        Track::ALL.get(usize::from(number)).copied()
    }

    /// Its number.
    pub fn number(self) -> u16 {
        self as u16
    }
}

/// A number that a referendum sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Rule {
    /// What a subnet costs at least, in pebble.
    CreationPriceFloor(Balance),
    /// Blocks in which the price of a subnet falls back to the floor.
    CreationPriceDecay(BlockNumber),
    /// Blocks from one change of a subnet's hyperparameters to the next.
    HyperparametersRateLimit(BlockNumber),
    /// Blocks from a validator's scores to its next ones.
    ScoresRateLimit(BlockNumber),
}

/// Where a referendum stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nobody has reserved yet what its decision takes.
    Submitted,
    /// It waits until it can be decided.
    Prepared,
    /// It is decided.
    Deciding,
    /// It is ahead, and passes at the block that is told if it stays so.
    Confirming,
    /// It passed.
    Approved,
    /// It did not.
    Rejected,
    /// It was cancelled.
    Cancelled,
    /// It was never decided.
    TimedOut,
    /// It was cancelled, and its deposits burned.
    Killed,
}

/// A referendum. Amounts are in pebble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Referendum {
    /// Its number.
    pub index: u32,
    /// Where it stands.
    pub stage: Stage,
    /// Since which block, or at which it will pass.
    pub at: BlockNumber,
    /// What it is about, while it is open.
    pub track: Option<Track>,
    /// The hash of what it would do, while it is open.
    pub proposal: Option<H256>,
    /// The call itself, in SCALE, where the chain has it.
    #[serde(skip)]
    pub call: Option<Vec<u8>>,
    /// Votes for it, by what they weigh; and against it.
    pub ayes: Balance,
    /// Against it.
    pub nays: Balance,
    /// CRN for it, whatever it weighs.
    pub support: Balance,
}

#[derive(Decode)]
struct Deposit {
    _who: [u8; 32],
    _amount: Balance,
}

type Deposits = (Option<Deposit>, Option<Deposit>);

/// As whom it would be enacted: the pallet's number and the track.
#[derive(Decode)]
struct Origin {
    _pallet: u8,
    _track: Track,
}

#[derive(Decode)]
enum Proposal {
    Legacy(H256),
    Inline(Vec<u8>),
    Lookup { hash: H256, length: u32 },
}

#[derive(Decode)]
enum Moment {
    At { _block: BlockNumber },
    After { _blocks: BlockNumber },
}

#[derive(Decode)]
struct Deciding {
    since: BlockNumber,
    confirming: Option<BlockNumber>,
}

/// A referendum that is open, as the chain keeps it.
#[derive(Decode)]
struct Open {
    track: u16,
    _origin: Origin,
    proposal: Proposal,
    _enactment: Moment,
    submitted: BlockNumber,
    _submission: Deposit,
    decision: Option<Deposit>,
    deciding: Option<Deciding>,
    tally: (Balance, Balance, Balance),
    _in_queue: bool,
    _alarm: Option<(BlockNumber, (BlockNumber, u32))>,
}

/// As the chain keeps it. What has a name with an underscore is read only to get past it.
#[derive(Decode)]
enum Kept {
    Open(Open),
    Approved {
        at: BlockNumber,
        _deposits: Deposits,
    },
    Rejected {
        at: BlockNumber,
        _deposits: Deposits,
    },
    Cancelled {
        at: BlockNumber,
        _deposits: Deposits,
    },
    TimedOut {
        at: BlockNumber,
        _deposits: Deposits,
    },
    Killed(BlockNumber),
}

impl Open {
    fn told(self, index: u32) -> Referendum {
        let (stage, at) = match (&self.deciding, &self.decision) {
            (
                Some(Deciding {
                    confirming: Some(at),
                    ..
                }),
                _,
            ) => (Stage::Confirming, *at),
            (Some(Deciding { since, .. }), _) => (Stage::Deciding, *since),
            (None, Some(_)) => (Stage::Prepared, self.submitted),
            (None, None) => (Stage::Submitted, self.submitted),
        };
        let (proposal, call) = match self.proposal {
            Proposal::Legacy(hash) | Proposal::Lookup { hash, .. } => (hash, None),
            Proposal::Inline(call) => (cairn_primitives::blake2_256(&call), Some(call)),
        };
        let (ayes, nays, support) = self.tally;
        Referendum {
            index,
            stage,
            at,
            track: Track::of(self.track),
            proposal: Some(proposal),
            call,
            ayes,
            nays,
            support,
        }
    }
}

impl Kept {
    /// Hash and length of a call that the referendum does not hold itself.
    fn noted(&self) -> Option<(H256, u32)> {
        match self {
            Kept::Open(Open {
                proposal: Proposal::Lookup { hash, length },
                ..
            }) => Some((*hash, *length)),
            _ => None,
        }
    }

    fn told(self, index: u32) -> Referendum {
        let ended = |stage, at| Referendum {
            index,
            stage,
            at,
            track: None,
            proposal: None,
            call: None,
            ayes: 0,
            nays: 0,
            support: 0,
        };
        match self {
            Kept::Open(open) => open.told(index),
            Kept::Approved { at, .. } => ended(Stage::Approved, at),
            Kept::Rejected { at, .. } => ended(Stage::Rejected, at),
            Kept::Cancelled { at, .. } => ended(Stage::Cancelled, at),
            Kept::TimedOut { at, .. } => ended(Stage::TimedOut, at),
            Kept::Killed(at) => ended(Stage::Killed, at),
        }
    }
}

/// A motion of the council.
#[derive(Clone, Debug, PartialEq, Eq, Decode, Serialize)]
pub struct Motion {
    /// Its number.
    pub index: u32,
    /// How many have to be for it.
    pub threshold: u32,
    /// Who is.
    pub ayes: Vec<AccountId>,
    /// Who is not.
    pub nays: Vec<AccountId>,
    /// Until which block it can be carried.
    pub end: BlockNumber,
}

impl View {
    /// How many referenda there ever were.
    pub async fn referenda(&self) -> Result<u32, ChainError> {
        let count = self.stored("Referenda", "ReferendumCount", &[]).await?;
        Ok(count.unwrap_or(0))
    }

    /// A referendum by its number.
    pub async fn referendum(&self, index: u32) -> Result<Option<Referendum>, ChainError> {
        let keys = [blake2_128_concat(index)];
        let kept: Option<Kept> = self.stored("Referenda", "ReferendumInfoFor", &keys).await?;
        let Some(kept) = kept else {
            return Ok(None);
        };
        let noted = kept.noted();
        let mut told = kept.told(index);
        if let Some((hash, length)) = noted {
            let keys = [identity((hash, length))];
            let call: Option<Vec<u8>> = self.stored("Preimage", "PreimageFor", &keys).await?;
            told.call = call.filter(|call| cairn_primitives::blake2_256(call) == hash);
        }
        Ok(Some(told))
    }

    /// Who has seats in the council.
    pub async fn council(&self) -> Result<Vec<AccountId>, ChainError> {
        let members = self.stored("Council", "Members", &[]).await?;
        Ok(members.unwrap_or_default())
    }

    /// The council's motion of this hash, while it is open.
    pub async fn motion(&self, hash: H256) -> Result<Option<Motion>, ChainError> {
        self.stored("Council", "Voting", &[identity(hash)]).await
    }
}

/// What the council reserves of a block for a motion: `Weight`, both numbers compact.
const MOTION_WEIGHT: (u64, u64) = (10_000_000_000, 1 << 20);
/// The most bytes of a motion of ours.
const MOTION_LENGTH: u32 = 128;

impl Call {
    /// Decides whether a subnet's run emits. Enacted by a referendum.
    pub fn set_emitting(netuid: Netuid, emits: bool) -> Call {
        Call::new("Emissions", "set_emitting")
            .with(netuid)
            .with(emits)
    }

    /// Sets a rule. Enacted by a referendum.
    pub fn set_rule(rule: Rule) -> Call {
        Call::new("Governance", "set_rule").with(rule)
    }

    /// Authorises a new runtime by its hash. Enacted by a referendum.
    pub fn authorize_upgrade(code_hash: H256) -> Call {
        Call::new("Governance", "authorize_upgrade").with(code_hash)
    }

    /// Has the authorities of the next session make blocks final without those before, from `after` blocks of it on;
    /// `set` is the number of the set that votes behind `last_final`. Enacted by a referendum.
    pub fn restart_finality(after: u32, last_final: u32, set: u64) -> Call {
        Call::new("Governance", "restart_finality")
            .with(after)
            .with(last_final)
            .with(set)
    }

    /// Fills the council's seats. Enacted by a referendum; `seats` is how many have one now.
    pub fn set_council(members: &[AccountId], seats: u32) -> Call {
        Call::new("Council", "set_members")
            .with(members)
            .with(None::<AccountId>)
            .with(seats)
    }

    /// Makes an account an authority. Enacted by a referendum.
    pub fn add_authority(authority: &AccountId) -> Call {
        Call::new("Authorities", "add").with(authority)
    }

    /// Makes an account an authority no longer. Enacted by a referendum.
    pub fn remove_authority(authority: &AccountId) -> Call {
        Call::new("Authorities", "remove").with(authority)
    }

    /// Ends a referendum, or takes back what it enacts. Enacted by a referendum, or by two thirds of the council.
    pub fn cancel_referendum(index: u32) -> Call {
        Call::new("Governance", "cancel").with(index)
    }

    /// Says that a new runtime, by its hash, should not wait. Enacted by two thirds of the council.
    pub fn endorse_upgrade(code_hash: H256) -> Call {
        Call::new("Governance", "endorse_upgrade").with(code_hash)
    }

    /// Submits a referendum that would make a call. Signed by anybody. A call that is too long for the referendum itself
    /// is noted with it, for a deposit.
    pub fn propose(track: Track, call: Call) -> Call {
        let submit = Call::new("Referenda", "submit").with_origin("Governance", track);
        // As soon as its delay is over: `DispatchTime::After(0)`.
        let soon = (1u8, 0u32);
        if !call.is_long() {
            return submit.with_proposal(call).with(soon);
        }
        let note = Call::new("Preimage", "note_preimage").with_bytes(call.clone());
        let nothing = Call::new("System", "remark").with(Vec::<u8>::new());
        // It may have been noted with a referendum before.
        let note = Call::new("Utility", "if_else")
            .with_call(note)
            .with_call(nothing);
        Call::batch_all(vec![note, submit.with_noted(call).with(soon)])
    }

    /// Reserves what the decision of a referendum takes. Signed by anybody.
    pub fn place_decision_deposit(index: u32) -> Call {
        Call::new("Referenda", "place_decision_deposit").with(index)
    }

    /// Votes with `amount` pebble, which are locked for a time that grows with `conviction`: from 0 to 6.
    pub fn vote(index: u32, aye: bool, conviction: u8, amount: Balance) -> Call {
        let vote = if aye { 0x80 } else { 0 } | conviction;
        // `AccountVote::Standard` is its variant 0.
        Call::new("ConvictionVoting", "vote")
            .with(codec::Compact(index))
            .with((0u8, vote, amount))
    }

    /// Takes a vote back. Signed by who voted.
    pub fn remove_vote(track: Track, index: u32) -> Call {
        Call::new("ConvictionVoting", "remove_vote")
            .with(Some(track.number()))
            .with(index)
    }

    /// Lets an account spend what no vote of a track locks any more. Signed by anybody.
    pub fn unlock_votes(track: Track, account: &AccountId) -> Call {
        Call::new("ConvictionVoting", "unlock")
            .with(track.number())
            .with((0u8, account))
    }

    /// Moves the council to make a call. Signed by one of its members.
    pub fn move_council(threshold: u32, call: Call) -> Call {
        Call::new("Council", "propose")
            .with(codec::Compact(threshold))
            .with_call(call)
            .with(codec::Compact(MOTION_LENGTH))
    }

    /// Votes on a motion of the council. Signed by one of its members.
    pub fn vote_in_council(motion: H256, index: u32, approve: bool) -> Call {
        Call::new("Council", "vote")
            .with(motion)
            .with(codec::Compact(index))
            .with(approve)
    }

    /// Carries out a motion for which enough are. Signed by a member of the council.
    pub fn close_motion(motion: H256, index: u32) -> Call {
        let (time, size) = MOTION_WEIGHT;
        Call::new("Council", "close")
            .with(motion)
            .with(codec::Compact(index))
            .with((codec::Compact(time), codec::Compact(size)))
            .with(codec::Compact(MOTION_LENGTH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::DecodeAll;

    /// What a test of the runtime holds against the runtime.
    const GOLDEN: &str = include_str!("governance.golden");

    fn golden(name: &str) -> Vec<u8> {
        let mut lines = GOLDEN.lines().filter_map(|line| line.split_once(' '));
        let (_, digits) = lines.find(|(found, _)| *found == name).unwrap();
        hex::decode(digits).unwrap()
    }

    #[test]
    fn what_the_chain_keeps_is_read() {
        let bytes = golden("open");
        let told = Kept::decode_all(&mut &bytes[..]).unwrap().told(3);
        assert_eq!((told.stage, told.at), (Stage::Confirming, 23));
        assert_eq!(told.track, Some(Track::Rules));
        assert_eq!((told.ayes, told.nays, told.support), (1, 2, 3));
        assert!(told.call.is_some());
        // The same where the proposal is a hash: it began at 5, with its variant and its length.
        let (hash, length) = (H256([9; 32]), 392u32);
        let noted = [&bytes[..5], &(2u8, hash, length).encode(), &bytes[18..]].concat();
        let noted = Kept::decode_all(&mut &noted[..]).unwrap();
        assert_eq!(noted.noted(), Some((hash, length)));
        let told = noted.told(3);
        assert_eq!((told.proposal, told.call), (Some(hash), None));
        let ended = (1u8, 9u32, None::<u8>, None::<u8>).encode();
        let told = Kept::decode_all(&mut &ended[..]).unwrap().told(3);
        assert_eq!((told.stage, told.at), (Stage::Approved, 9));
        assert!(Kept::decode_all(&mut &[6u8][..]).is_err());
    }

    #[test]
    fn tracks_have_the_numbers_of_the_chain() {
        for (number, track) in Track::ALL.into_iter().enumerate() {
            assert_eq!(Track::of(number as u16), Some(track));
            assert_eq!(
                (track.number(), track.encode()),
                (number as u16, vec![number as u8])
            );
        }
        assert_eq!(Track::of(7), None);
    }

    /// The calls that this file makes, with the numbers and numbers of fields that the chain's have.
    #[allow(non_camel_case_types, dead_code)]
    mod runtime {
        use codec::Encode;
        use scale_info::{meta_type, TypeInfo};
        use subxt::ext::frame_metadata::{v14, RuntimeMetadataPrefixed};

        #[derive(TypeInfo)]
        enum System {
            #[codec(index = 0)]
            remark { remark: () },
        }
        #[derive(TypeInfo)]
        enum Utility {
            #[codec(index = 2)]
            batch_all { calls: () },
            #[codec(index = 6)]
            if_else { main: (), fallback: () },
        }
        #[derive(TypeInfo)]
        enum Preimage {
            #[codec(index = 0)]
            note_preimage { bytes: () },
        }
        #[derive(TypeInfo)]
        enum Referenda {
            #[codec(index = 0)]
            submit {
                origin: (),
                proposal: (),
                moment: (),
            },
            #[codec(index = 1)]
            place_decision_deposit { index: u32 },
        }
        #[derive(TypeInfo)]
        enum ConvictionVoting {
            #[codec(index = 0)]
            vote { index: u32, vote: () },
            #[codec(index = 3)]
            unlock { class: u16, target: () },
            #[codec(index = 4)]
            remove_vote { class: (), index: u32 },
        }
        #[derive(TypeInfo)]
        enum Council {
            #[codec(index = 0)]
            set_members { members: (), prime: (), old: u32 },
            #[codec(index = 2)]
            propose {
                threshold: u32,
                proposal: (),
                length: u32,
            },
            #[codec(index = 3)]
            vote {
                proposal: (),
                index: u32,
                approve: bool,
            },
            #[codec(index = 6)]
            close {
                proposal: (),
                index: u32,
                weight: (),
                length: u32,
            },
        }
        #[derive(TypeInfo)]
        enum Governance {
            #[codec(index = 0)]
            set_rule { rule: () },
            #[codec(index = 1)]
            authorize_upgrade { code_hash: () },
            #[codec(index = 2)]
            endorse_upgrade { code_hash: () },
            #[codec(index = 3)]
            cancel { index: u32 },
            #[codec(index = 4)]
            restart_finality {
                after: u32,
                last_final: u32,
                set: u64,
            },
        }
        #[derive(TypeInfo)]
        enum Authorities {
            #[codec(index = 0)]
            add { authority: () },
            #[codec(index = 1)]
            remove { authority: () },
        }
        #[derive(TypeInfo)]
        enum Emissions {
            #[codec(index = 3)]
            set_emitting { netuid: u16, emits: bool },
        }
        #[derive(TypeInfo)]
        #[scale_info(skip_type_params(Call))]
        struct Extrinsic<Address, Call, Signature>(
            core::marker::PhantomData<(Address, Call, Signature)>,
        );
        #[derive(TypeInfo)]
        enum RuntimeCall {
            None,
        }
        #[derive(TypeInfo)]
        enum Address {
            Id,
        }
        #[derive(TypeInfo)]
        enum Signature {
            Sr25519,
        }
        #[derive(TypeInfo)]
        enum RuntimeEvent {
            None,
        }

        fn pallet<Calls: TypeInfo + 'static>(name: &'static str, index: u8) -> v14::PalletMetadata {
            v14::PalletMetadata {
                name,
                storage: None,
                calls: Some(v14::PalletCallMetadata {
                    ty: meta_type::<Calls>(),
                }),
                event: None,
                constants: Vec::new(),
                error: None,
                index,
            }
        }

        /// The metadata of such a runtime.
        pub fn metadata() -> subxt::metadata::Metadata {
            let pallets = vec![
                pallet::<System>("System", 0),
                pallet::<Utility>("Utility", 17),
                pallet::<Preimage>("Preimage", 20),
                pallet::<Referenda>("Referenda", 22),
                pallet::<ConvictionVoting>("ConvictionVoting", 23),
                pallet::<Council>("Council", 24),
                pallet::<Governance>("Governance", 25),
                pallet::<Authorities>("Authorities", 26),
                pallet::<Emissions>("Emissions", 35),
            ];
            let extrinsic = v14::ExtrinsicMetadata {
                ty: meta_type::<Extrinsic<Address, RuntimeCall, Signature>>(),
                version: 4,
                signed_extensions: Vec::new(),
            };
            let runtime = meta_type::<(RuntimeCall, RuntimeEvent)>();
            let metadata = v14::RuntimeMetadataV14::new(pallets, extrinsic, runtime);
            let bytes = RuntimeMetadataPrefixed::from(metadata).encode();
            subxt::metadata::Metadata::decode_from(&bytes).unwrap()
        }
    }

    #[test]
    fn calls_are_those_that_the_runtime_takes() {
        let metadata = runtime::metadata();
        let (account, hash) = (AccountId([7; 32]), H256([9; 32]));
        let crn = 1_000_000_000;
        let rule = Rule::CreationPriceFloor(50 * crn);
        let seats = Call::set_council(&[account; 12], 3);
        let calls = [
            ("propose", Call::propose(Track::Rules, Call::set_rule(rule))),
            ("propose-seats", Call::propose(Track::Council, seats)),
            ("deposit", Call::place_decision_deposit(3)),
            ("vote", Call::vote(3, true, 1, 9 * crn)),
            ("remove-vote", Call::remove_vote(Track::Rules, 3)),
            ("unlock", Call::unlock_votes(Track::Rules, &account)),
            ("emits", Call::set_emitting(Netuid(7), true)),
            ("upgrade", Call::authorize_upgrade(hash)),
            ("restart-finality", Call::restart_finality(10, 9, 2)),
            ("endorse", Call::endorse_upgrade(hash)),
            ("cancel", Call::cancel_referendum(3)),
            ("seats", Call::set_council(&[account], 3)),
            ("add-authority", Call::add_authority(&account)),
            ("remove-authority", Call::remove_authority(&account)),
            ("move", Call::move_council(2, Call::cancel_referendum(3))),
            ("approve", Call::vote_in_council(hash, 3, true)),
            ("close", Call::close_motion(hash, 3)),
        ];
        for (name, call) in calls {
            let made = call.arguments(&metadata).unwrap();
            assert_eq!(hex::encode(made), hex::encode(golden(name)), "{name}");
        }
    }

    #[test]
    fn what_is_too_long_for_a_referendum_is_not_sent() {
        let seats = Call::set_council(&[AccountId([7; 32]); 12], 3);
        let call = Call::propose(Track::Council, Call::batch_all(vec![seats]));
        let error = call.arguments(&runtime::metadata()).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }
}
