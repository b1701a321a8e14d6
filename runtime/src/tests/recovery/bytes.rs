//! What workers send and read of recoveries, byte by byte: the client's tests read the same file.

use cairn_primitives::CRN;
use codec::{DecodeAll, Encode};
use frame_support::traits::Get;
use pallet_recovery::{
    AttemptOf, AttemptTicketOf, Call, Config, FriendGroupOf, FriendGroupsOf, InheritancePriority,
    InheritorTicketOf, SecurityDepositOf,
};

use crate::{AccountId, Runtime, RuntimeCall};

const GOLDEN: &str = include_str!("../../../../offchain-worker/chain/src/recovery.golden");

fn golden(name: &str) -> Vec<u8> {
    let mut lines = GOLDEN.lines().filter_map(|line| line.split_once(' '));
    let (_, digits) = lines
        .find(|(found, _)| *found == name)
        .unwrap_or_else(|| panic!("no line of {name}"));
    sp_core::bytes::from_hex(&format!("0x{digits}")).expect("hexadecimal")
}

fn account(byte: u8) -> AccountId {
    AccountId::new([byte; 32])
}

fn group() -> FriendGroupOf<Runtime> {
    let friends = [1, 2, 3].map(account).to_vec();
    FriendGroupOf::<Runtime> {
        friends: friends.try_into().expect("few"),
        friends_needed: 2,
        inheritor: account(7),
        inheritance_delay: 201_600,
        inheritance_priority: 1,
        cancel_delay: 14_400,
    }
}

#[test]
fn clients_read_what_the_runtime_keeps() {
    type Groups = (
        FriendGroupsOf<Runtime>,
        <Runtime as Config>::FriendGroupsConsideration,
    );
    type Attempt = (
        AttemptOf<Runtime>,
        AttemptTicketOf<Runtime>,
        SecurityDepositOf<Runtime>,
    );
    type Inheritor = (InheritancePriority, AccountId, InheritorTicketOf<Runtime>);
    let bytes = golden("groups");
    let (groups, _) = Groups::decode_all(&mut &bytes[..]).expect("as it is kept");
    assert_eq!(groups.into_inner(), [group()]);

    let bytes = golden("attempt");
    let (attempt, ticket, deposit) = Attempt::decode_all(&mut &bytes[..]).expect("as it is kept");
    assert_eq!(
        (attempt.friend_group_index, attempt.initiator),
        (1, account(1))
    );
    assert_eq!((attempt.init_block, attempt.last_approval_block), (5, 9));
    assert_eq!(attempt.approvals.0.to_vec(), [0b101]);
    // As many words as the most friends have bits.
    let words = pallet_recovery::ApprovalBitfieldOf::<Runtime>::default();
    assert_eq!(words.0.len(), 1);
    let most: u32 = <Runtime as Config>::MaxFriendsPerConfig::get();
    assert!(most <= 16);
    // What clients read at most.
    assert_eq!(pallet_recovery::MAX_GROUPS_PER_ACCOUNT, 10);
    assert_eq!((ticket.depositor, deposit), (account(1), 10 * CRN));
    assert!(ticket.ticket.is_some());

    let bytes = golden("inheritor");
    let (priority, inheritor, ticket) =
        Inheritor::decode_all(&mut &bytes[..]).expect("as it is kept");
    assert_eq!((priority, inheritor), (1, account(7)));
    assert_eq!(ticket.depositor, account(4));
}

#[test]
fn the_runtime_takes_what_clients_send() {
    let lost = || account(5).into();
    let slash = || {
        RuntimeCall::Recovery(Call::slash_attempt {
            friend_group_index: 1,
        })
    };
    let calls = [
        (
            "set",
            RuntimeCall::Recovery(Call::set_friend_groups {
                friend_groups: vec![group()],
            }),
        ),
        (
            "begin",
            RuntimeCall::Recovery(Call::initiate_attempt {
                lost: lost(),
                friend_group_index: 1,
            }),
        ),
        (
            "approve",
            RuntimeCall::Recovery(Call::approve_attempt {
                lost: lost(),
                friend_group_index: 1,
            }),
        ),
        (
            "finish",
            RuntimeCall::Recovery(Call::finish_attempt {
                lost: lost(),
                friend_group_index: 1,
            }),
        ),
        (
            "cancel",
            RuntimeCall::Recovery(Call::cancel_attempt {
                lost: lost(),
                friend_group_index: 1,
            }),
        ),
        ("slash", slash()),
        ("revoke", RuntimeCall::Recovery(Call::revoke_inheritor {})),
        (
            "control",
            RuntimeCall::Recovery(Call::control_inherited_account {
                recovered: lost(),
                call: Box::new(slash()),
            }),
        ),
    ];
    for (name, call) in calls {
        assert_eq!(call.encode(), golden(name), "{name}");
    }
}
