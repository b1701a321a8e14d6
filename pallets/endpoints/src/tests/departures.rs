//! What becomes of endpoints when their member goes.

use cairn_primitives::{traits::OnMember, Uid};
use frame_support::assert_ok;

use crate::mock::*;

const MIRROR: &str = "https://mirror.example/run";

#[test]
fn who_leaves_leaves_no_endpoints_and_the_next_may_name_its_own_at_once() {
    ExtBuilder.execute(|| {
        assert_ok!(set(3, &[MIRROR]));
        assert_ok!(set(5, &[MIRROR]));
        World::free(Uid(3));
        assert!(Endpoints::do_try_state().is_err(), "endpoints of nobody");
        Endpoints::on_left(NET, Uid(3), &hotkey(3));
        assert_eq!(named(), [(Uid(5), vec![MIRROR.to_string()])]);
        World::seat(Uid(3), hotkey(8));
        assert_ok!(set(8, &[MIRROR]));
    });
}

#[test]
fn another_hotkey_names_its_own() {
    ExtBuilder.execute(|| {
        assert_ok!(set(3, &[MIRROR]));
        World::seat(Uid(3), hotkey(7));
        Endpoints::on_swapped(NET, Uid(3), &hotkey(3), &hotkey(7));
        assert_eq!(named(), []);
        assert_ok!(set(7, &[MIRROR]));
    });
}
