//! From when on a decision holds, so that whoever dislikes it can act before.

use cairn_primitives::{Balance, BlockNumber, Hyperparameters, CRN};

use crate::limits::RAISE;

/// Tempos that lie at least between a decision and its effect: whoever votes sees the rules of an epoch before it.
pub const TEMPOS: BlockNumber = 2;

/// The block from which on rules hold that a subnet's owner sets at block `now`, where `present` ones hold.
///
/// Whoever asks for stake or bond back at once has it before they hold, and whoever asks in any block before leaves
/// under the present ones. `None` past the last block.
pub fn rules_from(now: BlockNumber, present: &Hyperparameters) -> Option<BlockNumber> {
    let epochs = present.tempo.checked_mul(TEMPOS)?;
    now.checked_add(present.unbonding_period.max(epochs))
}

/// Whether the rules ask of members at most [`RAISE`] times what the `present` ones do, or 1 CRN: of validators the
/// stake, of miners the bond. So nobody can ask at once for what nobody has, and stop a run by it.
pub fn is_gradual(present: &Hyperparameters, rules: &Hyperparameters) -> bool {
    let may_be = |present: Balance, next: Balance| next <= present.saturating_mul(RAISE).max(CRN);
    may_be(present.min_validator_stake, rules.min_validator_stake)
        && may_be(present.min_miner_bond, rules.min_miner_bond)
}

/// The block from which on a member may choose its role again that chose it at block `set_at`.
///
/// In between it has been through a whole epoch in the role that it chose, and cannot take from both pots of one.
pub fn role_from(set_at: BlockNumber, rules: &Hyperparameters) -> BlockNumber {
    set_at.saturating_add(rules.tempo.saturating_mul(TEMPOS))
}

/// The block from which on a member may have another hotkey, which its coldkey announced at block `now`. `None` past
/// the last block.
///
/// Whoever staked on the old one sees it coming, and has the time in which stake is asked back.
pub fn swap_from(now: BlockNumber, rules: &Hyperparameters) -> Option<BlockNumber> {
    now.checked_add(rules.unbonding_period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(tempo: BlockNumber, unbonding_period: BlockNumber) -> Hyperparameters {
        Hyperparameters {
            tempo,
            unbonding_period,
            ..Hyperparameters::default()
        }
    }

    #[test]
    fn rules_wait_for_who_leaves_and_for_two_epochs() {
        assert_eq!(rules_from(1_000, &rules(360, 7_200)), Some(8_200));
        assert_eq!(rules_from(1_000, &rules(360, 500)), Some(1_720));
        assert_eq!(rules_from(BlockNumber::MAX, &rules(360, 7_200)), None);
        assert_eq!(rules_from(1, &rules(BlockNumber::MAX, 7_200)), None);
    }

    #[test]
    fn another_hotkey_waits_for_the_unbonding_period() {
        assert_eq!(swap_from(1_000, &rules(360, 7_200)), Some(8_200));
        assert_eq!(swap_from(BlockNumber::MAX, &rules(360, 1)), None);
    }

    #[test]
    fn what_is_asked_of_members_doubles_at_most() {
        let asks = |stake, bond| Hyperparameters {
            min_validator_stake: stake,
            min_miner_bond: bond,
            ..Hyperparameters::default()
        };
        let present = asks(7 * CRN, 0);
        for (stake, bond, is_gradual) in [
            (14 * CRN, CRN, true),
            (1, 0, true),
            (14 * CRN + 1, 0, false),
            (7 * CRN, CRN + 1, false),
        ] {
            assert_eq!(super::is_gradual(&present, &asks(stake, bond)), is_gradual);
        }
        assert!(super::is_gradual(&asks(u64::MAX, 0), &asks(u64::MAX, 0)));
    }

    #[test]
    fn a_role_holds_for_two_epochs() {
        assert_eq!(role_from(1_000, &rules(360, 7_200)), 1_720);
        assert_eq!(role_from(1, &rules(BlockNumber::MAX, 0)), BlockNumber::MAX);
    }

    proptest! {
        #[test]
        fn who_asks_back_at_once_is_released_before_the_rules_change(
            now in 0..u32::MAX / 2, tempo in 5..50_400u32, unbonding in 1..302_400u32,
        ) {
            let present = rules(tempo, unbonding);
            let from = rules_from(now, &present).expect("blocks are left");
            prop_assert!(now + present.unbonding_period <= from);
            prop_assert!(now + 2 * tempo <= from);
        }
    }
}
