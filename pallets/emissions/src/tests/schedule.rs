//! How many tokens come into being.

use cairn_primitives::CRN;

use crate::schedule::*;

#[test]
fn a_day_issues_7_200_whatever_a_block_takes() {
    assert_eq!(first_reward(6_000), CRN / 2);
    assert_eq!(first_reward(12_000), CRN);
    assert_eq!(first_reward(86_400_000), PER_DAY);
    // Rounded down: a third of half a CRN.
    assert_eq!(first_reward(2_000), 166_666_666);
}

#[test]
fn it_halves_as_what_is_still_to_come_halves() {
    let million = 1_000_000 * CRN;
    let quarters = [10_500, 15_750, 18_375].map(|thousands| thousands * (million / 1_000));
    for (halving, at) in (1..).zip(quarters) {
        assert_eq!(halvings(at - 1), halving - 1);
        assert_eq!(halvings(at), halving);
        assert_eq!(next_halving(at - 1), at);
        assert_eq!(reward(at - 1, 6_000), CRN >> halving);
        assert_eq!(reward(at, 6_000), CRN >> (halving + 1));
    }
    assert_eq!(halvings(0), 0);
    assert_eq!(next_halving(0), quarters[0]);
}

#[test]
fn it_never_passes_the_cap() {
    assert_eq!(reward(CAP, 6_000), 0);
    assert_eq!(reward(CAP + 1, 6_000), 0);
    assert_eq!(next_halving(CAP), CAP);
    // A block of a year would issue more than is left.
    let year = 365 * 86_400_000;
    assert_eq!(
        reward(CAP - 1, year),
        1.min(first_reward(year) >> halvings(CAP - 1))
    );
    for left in 0..CAP.ilog2() {
        let issued = CAP - (1 << left);
        assert!(
            issued + reward(issued, u64::MAX) <= CAP,
            "with 2^{left} left"
        );
    }
}
