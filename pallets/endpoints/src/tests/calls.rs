//! Who may name what, when, and for nothing.

use cairn_primitives::{Text, Uid};
use cairn_protocol::limits::ENDPOINTS_EVERY;
use frame_support::{
    assert_noop, assert_ok, dispatch::CheckIfFeeless, traits::UnfilteredDispatchable,
};

use crate::{benchmarking::longest, mock::*, Call, Endpoints as Stored, Error, Event, List};

const MIRROR: &str = "https://mirror.example/run";
const PEER: &str = "iroh://00ff?at=203.0.113.7:4433";

#[test]
fn a_member_says_where_its_files_are_and_everybody_can_read_it() {
    ExtBuilder.execute(|| {
        assert_ok!(set(5, &[MIRROR, PEER]));
        assert_ok!(set(3, &[PEER]));
        let expected = [
            (Uid(3), vec![PEER.to_string()]),
            (Uid(5), vec![MIRROR.to_string(), PEER.to_string()]),
        ];
        assert_eq!(named(), expected);
        let said = Event::EndpointsSet {
            netuid: NET,
            uid: Uid(3),
            endpoints: list(&[PEER]),
        };
        System::assert_last_event(said.into());
    });
}

#[test]
fn of_some_members_it_can_be_asked() {
    ExtBuilder.execute(|| {
        assert_ok!(set(5, &[PEER]));
        let asked = [hotkey(9), hotkey(5), hotkey(3)];
        let found = Endpoints::endpoints_of(NET, &asked);
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.uid, one.endpoints.len(), one.set_at))
            .collect();
        assert_eq!(found, [(Uid(5), 1, Some(1)), (Uid(3), 0, None)]);
        let many = vec![hotkey(3); 40];
        assert_eq!(Endpoints::endpoints_of(NET, &many).len(), 16);
    });
}

#[test]
fn what_is_named_replaces_what_was_and_none_is_nothing() {
    ExtBuilder.execute(|| {
        assert_ok!(set(3, &[MIRROR]));
        System::set_block_number(1 + ENDPOINTS_EVERY);
        assert_ok!(set(3, &[]));
        assert_eq!(named(), []);
        System::set_block_number(1 + 2 * ENDPOINTS_EVERY);
        assert_ok!(set(3, &[PEER]));
        assert_eq!(named(), [(Uid(3), vec![PEER.to_string()])]);
    });
}

#[test]
fn each_refusal_changes_nothing() {
    ExtBuilder.execute(|| {
        assert_noop!(set(9, &[MIRROR]), Error::<Test>::NotAMember);
        assert_noop!(set(3, &["file:///etc"]), Error::<Test>::NotAnEndpoint);
        assert_noop!(
            set(3, &["https://me:word@mirror.example"]),
            Error::<Test>::HasCredentials
        );
        assert_noop!(set(3, &[PEER, PEER]), Error::<Test>::NamedTwice);
        assert_ok!(set(3, &[PEER]));
        System::set_block_number(ENDPOINTS_EVERY);
        assert_noop!(set(3, &[MIRROR]), Error::<Test>::TooSoon);
        World::dissolve();
        assert_noop!(set(5, &[MIRROR]), Error::<Test>::Dissolving);
    });
}

#[test]
fn a_call_is_free_exactly_when_it_succeeds() {
    ExtBuilder.execute(|| {
        let unprintable = Text(
            b"https://mirror.example/\x1b[31m"
                .to_vec()
                .try_into()
                .expect("short"),
        );
        let hidden: List = vec![unprintable].try_into().expect("few");
        let mut free = 0;
        for block in [1, ENDPOINTS_EVERY, 1 + ENDPOINTS_EVERY] {
            System::set_block_number(block);
            for by in [3, 5, 9] {
                for endpoints in [hidden.clone(), list(&[MIRROR]), longest()] {
                    let call = Call::<Test>::set_endpoints {
                        netuid: NET,
                        endpoints,
                    };
                    let origin = RuntimeOrigin::signed(hotkey(by));
                    let is_free = call.is_feeless(&origin);
                    assert!(!call.is_feeless(&RuntimeOrigin::root()));
                    let done = call.dispatch_bypass_filter(origin);
                    assert_eq!(is_free, done.is_ok(), "{block} {by}");
                    free += u32::from(is_free);
                }
            }
        }
        assert_eq!(free, 2 * 2, "two members, twice");
    });
}

#[test]
fn what_nobody_may_name_is_found_in_the_state() {
    ExtBuilder.execute(|| {
        assert_ok!(set(3, &[MIRROR]));
        Stored::<Test>::mutate(NET, Uid(3), |named| {
            let named = named.as_mut().expect("it is there");
            named.set_at = 2;
        });
        assert!(Endpoints::do_try_state().is_err());
        Stored::<Test>::remove(NET, Uid(3));
    });
}
