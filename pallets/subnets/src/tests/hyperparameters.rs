use crate::{mock::*, Error, Event};
use cairn_primitives::{limits, traits::Membership, Hyperparameters, Nano, Netuid, CRN};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError;

fn set(change: impl FnOnce(&mut Hyperparameters)) -> Result<(), DispatchError> {
    let mut hyperparameters = Hyperparameters::default();
    change(&mut hyperparameters);
    Subnets::set_hyperparameters(RuntimeOrigin::signed(OWNER), Netuid(1), hyperparameters)
}

#[test]
fn the_owner_sets_them() {
    ExtBuilder::default().subnet().build_and_execute(|| {
        assert_ok!(set(|h| h.tempo = 370));
        assert_eq!(events(), [Event::HyperparametersSet { netuid: Netuid(1) }]);
        let expected = Hyperparameters {
            tempo: 370,
            ..Default::default()
        };
        assert_eq!(Subnets::hyperparameters(Netuid(1)), Some(expected));
    });
}

#[test]
fn nobody_else_does() {
    ExtBuilder::default().subnet().build_and_execute(|| {
        let set = |origin, netuid| {
            Subnets::set_hyperparameters(origin, netuid, Hyperparameters::default())
        };
        let alice = RuntimeOrigin::signed(ALICE);
        assert_noop!(set(alice, Netuid(1)), Error::<Test>::NotSubnetOwner);
        let owner = RuntimeOrigin::signed(OWNER);
        assert_noop!(set(owner, Netuid(2)), Error::<Test>::UnknownSubnet);
        assert_noop!(
            set(RuntimeOrigin::none(), Netuid(1)),
            DispatchError::BadOrigin
        );
        assert_ok!(set(RuntimeOrigin::root(), Netuid(1)));
    });
}

#[test]
fn the_owner_sets_them_so_often_and_root_at_any_time() {
    ExtBuilder::default().subnet().build_and_execute(|| {
        HyperparametersRateLimit::set(50);
        System::set_block_number(100);
        assert_ok!(set(|h| h.tempo = 370));
        assert_noop!(
            set(|h| h.tempo = 371),
            Error::<Test>::HyperparametersTooSoon
        );
        assert_ok!(Subnets::set_hyperparameters(
            RuntimeOrigin::root(),
            Netuid(1),
            Hyperparameters::default()
        ));
        System::set_block_number(149);
        assert_noop!(
            set(|h| h.tempo = 371),
            Error::<Test>::HyperparametersTooSoon
        );
        // What is out of range is not a change.
        assert_noop!(set(|h| h.tempo = 0), Error::<Test>::TempoOutOfRange);
        System::set_block_number(150);
        assert_ok!(set(|h| h.tempo = 371));
    });
}

#[test]
fn what_is_asked_back_waits_for_the_audit_and_for_an_epoch() {
    ExtBuilder::default().subnet().build_and_execute(|| {
        let with = |tempo, unbonding_period| {
            set(|h| {
                (h.tempo, h.unbonding_period) = (tempo, unbonding_period);
                h.activity_cutoff = tempo;
            })
        };
        assert_noop!(with(5, AUDIT_WINDOW - 1), Error::<Test>::UnbondingTooShort);
        assert_ok!(with(5, AUDIT_WINDOW));
        assert_ok!(with(300, 300));
        assert_noop!(with(300, 299), Error::<Test>::UnbondingTooShort);
    });
}

/// Tries values on both sides of a limit of a hyperparameter.
macro_rules! limit {
    (
        $error:ident, $field:ident: in $($good:expr),+; out $($bad:expr),+
        $(; with $($other:ident = $value:expr),+)?
    ) => {{
        let with = |h: Hyperparameters| Hyperparameters { $($($other: $value,)+)? ..h };
        $(assert_ok!(set(|h| { *h = with(h.clone()); h.$field = $good }));)+
        $(assert_noop!(
            set(|h| { *h = with(h.clone()); h.$field = $bad }),
            Error::<Test>::$error
        );)+
    }};
}

#[test]
fn each_has_limits() {
    ExtBuilder::default().subnet().build_and_execute(|| {
        let (period, amount) = (limits::MAX_PERIOD, limits::MAX_AMOUNT);
        let (longest, least) = (limits::longest_unbonding(AUDIT_WINDOW), limits::MIN_PRICE);
        limit!(TempoOutOfRange, tempo: in 5, 7_200; out 0, 4, 50_401; with unbonding_period = 7_200, activity_cutoff = 10);
        limit!(SeatsOutOfRange, max_members: in 1, 256; out 0, 257; with max_validators = 1);
        limit!(SeatsOutOfRange, max_validators: in 1, 64; out 0, 65);
        limit!(SeatsOutOfRange, max_validators: in 7; out 8; with max_members = 7);
        limit!(PeriodOutOfRange, immunity_period: in 0, period; out period + 1);
        limit!(PeriodOutOfRange, activity_cutoff: in 1, 720; out 0, 721; with tempo = 360);
        limit!(PeriodOutOfRange, unbonding_period: in AUDIT_WINDOW, longest; out 0, longest + 1; with tempo = 5, activity_cutoff = 10);
        limit!(ConsensusOutOfRange, kappa: in 26_214, 49_151; out 0, 26_213, 49_152);
        limit!(ConsensusOutOfRange, bonds_moving_average: in 0, 1_000_000; out 1_000_001);
        limit!(ConsensusOutOfRange, liquid_alpha_low: in 0, 58_982; out 58_983);
        limit!(StakeOutOfRange, min_validator_stake: in 1, amount; out 0, amount + 1);
        limit!(StakeOutOfRange, min_miner_bond: in 0, amount; out amount + 1);
        limit!(PriceOutOfRange, min_registration_price: in least, 100 * CRN; out 0, least - 1, 100 * CRN + 1);
        limit!(PriceOutOfRange, max_registration_price: in least, amount; out least - 1, amount + 1);
        limit!(PriceOutOfRange, registration_half_life: in 1, period; out 0, period + 1);
        limit!(PriceOutOfRange, registration_price_factor: in Nano::ONE, Nano(10_000_000_000);
            out Nano(999_999_999), Nano(10_000_000_001));
    });
}

#[test]
fn another_half_life_does_not_move_the_price_of_the_moment() {
    let builder = ExtBuilder::default().subnet_with(|h| h.min_registration_price = CRN);
    builder.member(Netuid(1), ALICE, 20).build_and_execute(|| {
        System::set_block_number(100);
        let price = Subnets::price(Netuid(1)).unwrap();
        assert!(price > CRN, "the price has not come down yet");
        let rules = Hyperparameters {
            registration_half_life: 1,
            ..Subnets::rules(Netuid(1)).unwrap()
        };
        assert_ok!(Subnets::set_hyperparameters(
            RuntimeOrigin::root(),
            Netuid(1),
            rules
        ));
        assert_eq!(Subnets::price(Netuid(1)), Some(price));
        System::set_block_number(101);
        assert_eq!(Subnets::price(Netuid(1)), Some((price / 2).max(CRN)));
    });
}

#[test]
fn new_limits_of_the_price_hold_at_once() {
    ExtBuilder::default().subnet().build_and_execute(|| {
        assert_ok!(set(|h| h.min_registration_price = 3 * CRN));
        assert_eq!(Subnets::price(Netuid(1)), Some(3 * CRN));
        assert_ok!(set(|h| (
            h.min_registration_price,
            h.max_registration_price
        ) = (CRN, 2 * CRN)));
        assert_eq!(Subnets::price(Netuid(1)), Some(2 * CRN));
    });
}
