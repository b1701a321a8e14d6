//! What each operation does, by example.

use share_pool::{Error, Holding, Pool};

/// A pool in which one holder has `amount`.
fn pool(amount: u64) -> (Pool, Holding) {
    let (mut pool, mut holding) = (Pool::default(), Holding::default());
    assert_eq!(pool.deposit(&mut holding, amount), Ok(amount));
    (pool, holding)
}

#[test]
fn a_reward_belongs_to_those_who_were_in() {
    let (mut pool, ann) = pool(300);
    let mut bea = Holding::default();
    pool.deposit(&mut bea, 100).unwrap();
    pool.reward(400).unwrap();
    let mut late = Holding::default();
    pool.deposit(&mut late, 200).unwrap();
    pool.reward(100).unwrap();
    assert_eq!(
        [&ann, &bea, &late].map(|holding| pool.worth(holding)),
        [660, 220, 220]
    );
}

#[test]
fn a_slash_takes_from_all_alike_and_never_more_than_there_is() {
    let (mut pool, ann) = pool(300);
    let mut bea = Holding::default();
    pool.deposit(&mut bea, 100).unwrap();
    assert_eq!(pool.slash(100), 100);
    assert_eq!((pool.worth(&ann), pool.worth(&bea)), (225, 75));
    assert_eq!(pool.slash(u64::MAX), 300);
    assert_eq!((pool.worth(&ann), pool.worth(&bea)), (0, 0));
    assert!(pool.is_empty());
}

#[test]
fn after_everything_was_slashed_old_shares_are_void_and_the_pool_is_as_new() {
    let (mut pool, mut ann) = pool(300);
    pool.slash(300);
    let mut bea = Holding::default();
    assert_eq!(pool.deposit(&mut bea, 50), Ok(50));
    assert_eq!((pool.worth(&ann), pool.worth(&bea)), (0, 50));
    assert_eq!(pool.withdraw_all(&mut ann), 0);
    assert!(ann.is_empty());
    // Who was in before comes back like anybody.
    pool.deposit(&mut ann, 50).unwrap();
    pool.reward(10).unwrap();
    assert_eq!((pool.worth(&ann), pool.worth(&bea)), (55, 55));
}

#[test]
fn void_shares_do_not_count_with_new_ones() {
    let (mut pool, mut ann) = pool(300);
    pool.slash(300);
    pool.deposit(&mut ann, 7).unwrap();
    assert_eq!((pool.worth(&ann), pool.value()), (7, 7));
}

#[test]
fn who_leaves_last_takes_what_rounding_left() {
    let (mut pool, mut ann) = pool(1);
    let (mut bea, mut cat) = (Holding::default(), Holding::default());
    pool.deposit(&mut bea, 1).unwrap();
    pool.deposit(&mut cat, 1).unwrap();
    pool.reward(2).unwrap();
    assert_eq!(pool.withdraw_all(&mut ann), 1);
    assert_eq!(pool.withdraw_all(&mut bea), 2);
    assert_eq!(pool.withdraw_all(&mut cat), 2);
    assert_eq!((pool.value(), pool.shares()), (0, 0));
}

#[test]
fn amounts_are_exact_while_a_share_is_cheaper_than_a_unit() {
    let (mut pool, mut ann) = pool(1_000_003);
    pool.reward(77_777).unwrap();
    let mut bea = Holding::default();
    assert_eq!(pool.deposit(&mut bea, 12_345), Ok(12_345));
    assert_eq!(pool.withdraw(&mut ann, 999), Ok(999));
    let mut cat = Holding::default();
    assert_eq!(pool.transfer(&mut ann, &mut cat, 500), Ok(500));
}

#[test]
fn nothing_and_too_much_are_refused() {
    let (mut pool, mut ann) = pool(10);
    let before = (pool, ann);
    let mut bea = Holding::default();
    assert_eq!(pool.deposit(&mut ann, 0), Err(Error::Nothing));
    assert_eq!(pool.withdraw(&mut ann, 0), Err(Error::Nothing));
    assert_eq!(pool.withdraw(&mut ann, 11), Err(Error::NotEnough));
    assert_eq!(pool.withdraw(&mut bea, 1), Err(Error::NotEnough));
    assert_eq!(pool.transfer(&mut ann, &mut bea, 11), Err(Error::NotEnough));
    assert_eq!(pool.deposit(&mut bea, u64::MAX), Err(Error::Overflow));
    assert_eq!(pool.reward(u64::MAX), Err(Error::Overflow));
    assert_eq!(Pool::default().reward(1), Err(Error::NoShares));
    assert_eq!((pool, ann), before);
    assert!(bea.is_empty());
}

/// The attack: be the first, leave one share, make it dear by a gift, take what rounding costs whoever comes
/// next.
#[test]
fn a_first_depositor_cannot_take_from_the_next() {
    let (mut pool, mut thief) = pool(1_000_000);
    pool.withdraw(&mut thief, 999_999).unwrap();
    pool.reward(1_000_000_000).unwrap();
    let a_share = pool.value().div_ceil(1 << 20);
    let got = pool.value() - a_share;
    pool.withdraw(&mut thief, got).unwrap();
    assert_eq!(pool.shares(), 1, "the thief holds the only share");
    pool.reward(1_000_000_000_000).unwrap();
    let price = pool.value();

    let mut victim = Holding::default();
    assert_eq!(
        pool.deposit(&mut victim, price - 1),
        Err(Error::LessThanAShare)
    );
    // Nearly two shares' worth buys one, and costs one.
    assert_eq!(pool.deposit(&mut victim, 2 * price - 1), Ok(price));
    assert_eq!((pool.worth(&victim), pool.worth(&thief)), (price, price));
}

#[test]
fn the_whole_supply_fits_and_survives_a_deep_slash() {
    let supply = 21_000_000_000_000_000u64;
    let (mut pool, mut ann) = pool(supply);
    assert_eq!(pool.slash(supply - 1_000_000), supply - 1_000_000);
    let mut bea = Holding::default();
    assert_eq!(pool.deposit(&mut bea, supply), Ok(supply));
    assert_eq!(pool.worth(&ann), 1_000_000);
    assert_eq!(pool.withdraw_all(&mut ann), 1_000_000);
    assert_eq!(pool.withdraw_all(&mut bea), supply);
}

/// A pool of which slashes have left next to nothing takes no more deposits, and lets everybody out.
#[test]
fn a_pool_that_is_out_of_range_lets_everybody_out() {
    let (mut pool, mut ann) = pool(u64::MAX >> 1);
    let mut refused = false;
    for _ in 0..4 {
        pool.slash(pool.value() - 1);
        let before = (pool, ann);
        if pool.deposit(&mut ann, u64::MAX >> 2) == Err(Error::Overflow) {
            assert_eq!((pool, ann), before);
            refused = true;
            break;
        }
    }
    assert!(refused);
    let value = pool.value();
    assert_eq!(pool.withdraw_all(&mut ann), value);
    assert_eq!(pool.deposit(&mut ann, 5), Ok(5));
}
