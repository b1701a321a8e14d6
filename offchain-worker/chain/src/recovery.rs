//! Recovery of an account whose key is lost: by friends that it named, for an account that inherits it.
//!
//! What is read is laid out as in this release's pallet; bytes that are fixed in the tests here are fixed in a test of
//! the runtime too.

use cairn_primitives::{Balance, BlockNumber};
use codec::{Decode, Encode};

use crate::{stored::blake2_128_concat, AccountId, Call, ChainError, View};

/// Friends of an account who together may have it recovered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FriendGroup {
    /// Who they are. Ascending.
    pub friends: Vec<AccountId>,
    /// How many of them have to say that its key is lost.
    pub needed: u32,
    /// Who acts for it then.
    pub inheritor: AccountId,
    /// Blocks from the first who says so to that.
    pub delay: BlockNumber,
    /// A group with a lower number may take the account from whom a group with a higher one gave it to.
    pub priority: u32,
    /// Blocks from the last who said so to when whoever began can take it back.
    pub cancel_delay: BlockNumber,
}

impl FriendGroup {
    /// The most that an account can name.
    pub const MOST: usize = 10;
}

/// A recovery that friends have begun, and that is neither finished nor stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryAttempt {
    /// Who began.
    pub begun_by: AccountId,
    /// In which block.
    pub since: BlockNumber,
    /// The block in which somebody last said that the key is lost.
    pub last_approval: BlockNumber,
    /// Who says so.
    pub approved_by: Vec<AccountId>,
    /// What whoever began loses if the owner takes it, in pebble.
    pub deposit: Balance,
}

/// Who paid for an entry, and how much.
#[derive(Decode)]
struct Ticket {
    _depositor: AccountId,
    _held: Option<Balance>,
}

/// As the chain keeps it. What has a name with an underscore is read only to get past it.
#[derive(Decode)]
struct Kept {
    _group: u32,
    initiator: AccountId,
    since: BlockNumber,
    last_approval: BlockNumber,
    /// A bit for each friend, 16 in a word.
    approvals: Vec<u16>,
    _ticket: Ticket,
    deposit: Balance,
}

impl Kept {
    fn told(self, friends: &[AccountId]) -> RecoveryAttempt {
        let approved = |place: usize| {
            let word = self.approvals.get(place / 16).copied().unwrap_or_default();
            word & (1 << (place % 16)) != 0
        };
        let approved_by = friends.iter().enumerate();
        let approved_by = approved_by.filter(|(place, _)| approved(*place));
        RecoveryAttempt {
            begun_by: self.initiator,
            since: self.since,
            last_approval: self.last_approval,
            approved_by: approved_by.map(|(_, friend)| *friend).collect(),
            deposit: self.deposit,
        }
    }
}

type KeptGroups = (Vec<FriendGroup>, Balance);
type KeptInheritor = (u32, AccountId, Ticket);

impl View {
    /// The groups of friends that an account has named, [`FriendGroup::MOST`] at most.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn friend_groups(&self, account: &AccountId) -> Result<Vec<FriendGroup>, ChainError> {
        let keys = [blake2_128_concat(account)];
        let found: Option<KeptGroups> = self.stored("Recovery", "FriendGroups", &keys).await?;
        let mut groups = found.unwrap_or_default().0;
        groups.truncate(FriendGroup::MOST);
        Ok(groups)
    }

    /// What a group of an account's, by its number, has begun; `None` if nothing.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn recovery_attempt(
        &self,
        account: &AccountId,
        number: u32,
        group: &FriendGroup,
    ) -> Result<Option<RecoveryAttempt>, ChainError> {
        let keys = [blake2_128_concat(account), blake2_128_concat(number)];
        let kept: Option<Kept> = self.stored("Recovery", "Attempt", &keys).await?;
        Ok(kept.map(|kept| kept.told(&group.friends)))
    }

    /// Who acts for an account that was recovered; `None` if it was not.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn inheritor(&self, account: &AccountId) -> Result<Option<AccountId>, ChainError> {
        let keys = [blake2_128_concat(account)];
        let kept: Option<KeptInheritor> = self.stored("Recovery", "Inheritor", &keys).await?;
        Ok(kept.map(|(_, inheritor, _)| inheritor))
    }

    /// By what a chain for development divides delays; 1 on others.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn hurry(&self) -> Result<u32, ChainError> {
        let hurry: Option<u32> = self.stored("Governance", "Hurry", &[]).await?;
        Ok(hurry.unwrap_or(1).max(1))
    }
}

impl Call {
    /// Names the friends who may have the account that signs recovered: these groups, and no others.
    pub fn set_friend_groups(groups: &[FriendGroup]) -> Call {
        Call::new("Recovery", "set_friend_groups").with(groups)
    }

    /// Says that the key of an account is lost. Signed by one of its friends, of the group of this number; a deposit is
    /// held.
    pub fn begin_recovery(lost: &AccountId, group: u32) -> Call {
        Call::recovery("initiate_attempt", lost, group)
    }

    /// Says so, too. Signed by another friend of the group.
    pub fn approve_recovery(lost: &AccountId, group: u32) -> Call {
        Call::recovery("approve_attempt", lost, group)
    }

    /// Gives an account to its inheritor, once enough have said so and the delay is over. Signed by anybody.
    pub fn finish_recovery(lost: &AccountId, group: u32) -> Call {
        Call::recovery("finish_attempt", lost, group)
    }

    /// Stops a recovery. Signed by the account itself, or after a delay by who began; the deposit comes back.
    pub fn cancel_recovery(lost: &AccountId, group: u32) -> Call {
        Call::recovery("cancel_attempt", lost, group)
    }

    /// Stops a recovery of the account that signs, and burns the deposit of who began.
    pub fn slash_recovery(group: u32) -> Call {
        Call::new("Recovery", "slash_attempt").with(group)
    }

    /// Takes the account that signs back from who inherited it.
    pub fn revoke_inheritor() -> Call {
        Call::new("Recovery", "revoke_inheritor")
    }

    /// A call that is made as a recovered account. Signed by its inheritor.
    pub fn as_recovered(recovered: &AccountId, call: Call) -> Call {
        Call::new("Recovery", "control_inherited_account")
            .with((0u8, recovered))
            .with_call(call)
    }

    fn recovery(name: &'static str, lost: &AccountId, group: u32) -> Call {
        // MultiAddress::Id is its variant 0.
        Call::new("Recovery", name).with((0u8, lost)).with(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::DecodeAll;

    /// What a test of the runtime holds against the runtime.
    const GOLDEN: &str = include_str!("recovery.golden");

    fn golden(name: &str) -> Vec<u8> {
        let mut lines = GOLDEN.lines().filter_map(|line| line.split_once(' '));
        let (_, digits) = lines.find(|(found, _)| *found == name).unwrap();
        hex::decode(digits).unwrap()
    }

    fn account(byte: u8) -> AccountId {
        AccountId([byte; 32])
    }

    fn group() -> FriendGroup {
        FriendGroup {
            friends: [1, 2, 3].map(account).to_vec(),
            needed: 2,
            inheritor: account(7),
            delay: 201_600,
            priority: 1,
            cancel_delay: 14_400,
        }
    }

    #[test]
    fn what_the_chain_keeps_is_read() {
        let bytes = golden("groups");
        let (groups, _) = KeptGroups::decode_all(&mut &bytes[..]).unwrap();
        assert_eq!(groups, [group()]);
        let bytes = golden("attempt");
        let kept = Kept::decode_all(&mut &bytes[..]).unwrap();
        let told = kept.told(&group().friends);
        assert_eq!((told.begun_by, told.since), (account(1), 5));
        assert_eq!(
            (told.last_approval, told.deposit),
            (9, 10 * cairn_primitives::CRN)
        );
        // The first and the third.
        assert_eq!(told.approved_by, [account(1), account(3)]);
        let bytes = golden("inheritor");
        let (_, inheritor, _) = KeptInheritor::decode_all(&mut &bytes[..]).unwrap();
        assert_eq!(inheritor, account(7));
        assert!(Kept::decode_all(&mut &golden("groups")[..]).is_err());
    }

    #[test]
    fn friends_beyond_the_bits_have_approved_nothing() {
        let bytes = golden("attempt");
        let kept = Kept::decode_all(&mut &bytes[..]).unwrap();
        let many: Vec<AccountId> = (0..40).map(account).collect();
        assert_eq!(kept.told(&many).approved_by, [account(0), account(2)]);
    }

    /// The calls of the pallet, with the numbers and numbers of fields that the chain's have.
    #[allow(non_camel_case_types, dead_code)]
    mod runtime {
        use codec::Encode;
        use scale_info::{meta_type, TypeInfo};
        use subxt::ext::frame_metadata::{v14, RuntimeMetadataPrefixed};

        #[derive(TypeInfo)]
        enum Recovery {
            #[codec(index = 0)]
            control_inherited_account { recovered: (), call: () },
            #[codec(index = 1)]
            revoke_inheritor {},
            #[codec(index = 2)]
            set_friend_groups { friend_groups: () },
            #[codec(index = 3)]
            initiate_attempt { lost: (), group: u32 },
            #[codec(index = 4)]
            approve_attempt { lost: (), group: u32 },
            #[codec(index = 5)]
            finish_attempt { lost: (), group: u32 },
            #[codec(index = 6)]
            cancel_attempt { lost: (), group: u32 },
            #[codec(index = 7)]
            slash_attempt { group: u32 },
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

        /// The metadata of such a runtime.
        pub fn metadata() -> subxt::metadata::Metadata {
            let pallets = vec![v14::PalletMetadata {
                name: "Recovery",
                storage: None,
                calls: Some(v14::PalletCallMetadata {
                    ty: meta_type::<Recovery>(),
                }),
                event: None,
                constants: Vec::new(),
                error: None,
                index: 29,
            }];
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
        let lost = account(5);
        let calls = [
            ("set", Call::set_friend_groups(&[group()])),
            ("begin", Call::begin_recovery(&lost, 1)),
            ("approve", Call::approve_recovery(&lost, 1)),
            ("finish", Call::finish_recovery(&lost, 1)),
            ("cancel", Call::cancel_recovery(&lost, 1)),
            ("slash", Call::slash_recovery(1)),
            ("revoke", Call::revoke_inheritor()),
            (
                "control",
                Call::as_recovered(&lost, Call::slash_recovery(1)),
            ),
        ];
        for (name, call) in calls {
            let made = call.encoded(&metadata).unwrap();
            assert_eq!(hex::encode(made), hex::encode(golden(name)), "{name}");
        }
    }
}
