//! What a referendum takes.

use cairn_primitives::limits::longest_unbonding;
use frame_support::traits::Get;
use pallet_referenda::TracksInfo;

use crate::{
    configs::cairn::DefaultAuditWindow,
    governance::{
        tracks::{Row, Tracks, CANCEL, DAY, REPAIR, ROWS},
        Origin,
    },
    tests::chain::on,
    Runtime,
};

/// The tracks on which nobody is in a hurry.
fn ordinary() -> impl Iterator<Item = &'static Row> {
    let hasty = [Origin::Repair, Origin::Cancel];
    ROWS.iter().filter(move |row| !hasty.contains(&row.origin))
}

#[test]
fn whoever_has_staked_can_have_it_back_in_time_to_vote() {
    let unbonding = longest_unbonding(DefaultAuditWindow::get());
    for row in ordinary() {
        assert!(unbonding < row.prepare + row.decision, "{:?}", row.origin);
    }
}

#[test]
fn what_was_approved_can_be_cancelled_by_stake_before_it_is_enacted() {
    let cancel = &ROWS[usize::from(CANCEL)];
    let takes = cancel.prepare + cancel.decision + cancel.confirm + cancel.enactment;
    for row in ordinary() {
        assert!(takes + DAY < row.enactment, "{:?}", row.origin);
    }
    // A repair is too soon for that: it needs the council's word, and four in five votes.
    let repair = &ROWS[usize::from(REPAIR)];
    assert!(repair.approval.1 >= 80 && repair.support.1 >= 20);
}

#[test]
fn votes_stay_locked_until_what_they_want_is_enacted() {
    on(crate::presets::DEVELOPMENT_PRESET, || {
        crate::governance::Hurry::<Runtime>::put(1);
        let locked: u32 = <Runtime as pallet_conviction_voting::Config>::VoteLockingPeriod::get();
        assert!(ROWS.iter().all(|row| row.enactment <= locked));
        crate::governance::Hurry::<Runtime>::put(7_200);
    });
}

#[test]
fn nothing_but_a_track_is_a_track() {
    use crate::OriginCaller;
    use frame_system::RawOrigin;
    for (id, origin) in Origin::ALL.into_iter().enumerate() {
        let track = Tracks::track_for(&OriginCaller::Governance(origin));
        assert_eq!(track, Ok(id as u16));
        assert_eq!(Origin::of(id as u16), Some(origin));
    }
    for origin in [RawOrigin::Root, RawOrigin::None] {
        assert_eq!(Tracks::track_for(&OriginCaller::system(origin)), Err(()));
    }
    assert_eq!(Origin::of(Origin::ALL.len() as u16), None);
}

#[test]
fn delays_are_divided_on_a_chain_for_development() {
    on(crate::presets::DEVELOPMENT_PRESET, || {
        let hurried = Tracks::info(0).expect("the first track");
        assert_eq!(hurried.decision_period, 28);
        crate::governance::Hurry::<Runtime>::put(1);
        let usual = Tracks::info(0).expect("the first track");
        assert_eq!(usual.decision_period, 14 * DAY);
        crate::governance::Hurry::<Runtime>::put(u32::MAX);
        let least = Tracks::info(0).expect("the first track");
        assert_eq!(least.decision_period, 1);
    });
}
