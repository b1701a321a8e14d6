//! What auditors' findings come to.
//!
//! Where none of those that were drawn finds that work is false, it has passed. Where one does there is a *dispute*: all
//! validators of the round are asked, and their stake decides.

use cairn_primitives::{AuditOutcome, Balance, Finding};

/// How an audit ends by what those revealed that were drawn; `None` if one of them found that the work is false, so that
/// all validators are to be asked.
pub fn of_drawn(findings: impl IntoIterator<Item = Finding>) -> Option<AuditOutcome> {
    let mut outcome = Some(AuditOutcome::Undecided);
    for finding in findings {
        outcome = match finding {
            Finding::Passed => outcome.map(|_| AuditOutcome::Passed),
            Finding::Failed => None,
        };
    }
    outcome
}

/// How a dispute ends in a round of whose validators this is the stake, in pebble, and what each has revealed; those of the
/// miner's coldkey, who are not asked, nothing.
///
/// Work is false if two thirds of the stake that revealed something say so, and passes if more than half of it does; so
/// less than a third can neither take a bond nor save one while the others are there. Where less than half of the stake
/// revealed anything nothing is decided.
pub fn of_all(validators: impl IntoIterator<Item = (Balance, Option<Finding>)>) -> AuditOutcome {
    let (mut all, mut passed, mut failed) = (0u128, 0u128, 0u128);
    for (stake, finding) in validators {
        let stake = u128::from(stake);
        all = all.saturating_add(stake);
        let side = match finding {
            Some(Finding::Passed) => &mut passed,
            Some(Finding::Failed) => &mut failed,
            None => continue,
        };
        *side = side.saturating_add(stake);
    }
    let said = passed.saturating_add(failed);
    if said == 0 || said.saturating_mul(2) < all {
        return AuditOutcome::Undecided;
    }
    match (
        passed.saturating_mul(2) > said,
        failed.saturating_mul(3) >= said.saturating_mul(2),
    ) {
        (true, _) => AuditOutcome::Passed,
        (false, true) => AuditOutcome::Failed,
        (false, false) => AuditOutcome::Undecided,
    }
}

/// Whether an auditor missed an audit that ended so: it revealed nothing, or what the end did not bear out. Of those that
/// only a dispute asked nobody missed one that nobody decided: else whoever begins more of them than there is time for
/// could take the dividends of all others.
pub fn is_missed(found: Option<Finding>, is_drawn: bool, outcome: AuditOutcome) -> bool {
    match found {
        None => is_drawn || outcome != AuditOutcome::Undecided,
        Some(Finding::Passed) => outcome == AuditOutcome::Failed,
        Some(Finding::Failed) => outcome == AuditOutcome::Passed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn work_passes_where_nobody_finds_it_false_and_else_all_are_asked() {
        let (yes, no) = (Finding::Passed, Finding::Failed);
        let of = |findings: &[Finding]| of_drawn(findings.iter().copied());
        assert_eq!(of(&[yes, yes, yes]), Some(AuditOutcome::Passed));
        assert_eq!(of(&[yes]), Some(AuditOutcome::Passed));
        assert_eq!(of(&[]), Some(AuditOutcome::Undecided));
        for disputed in [&[no][..], &[yes, yes, no], &[no, yes], &[no, no, no]] {
            assert_eq!(of(disputed), None);
        }
    }

    #[test]
    fn two_thirds_of_the_stake_that_revealed_take_a_bond_and_more_than_half_saves_it() {
        use AuditOutcome::*;
        let (yes, no) = (Some(Finding::Passed), Some(Finding::Failed));
        let of = |passed: u64, failed: u64, quiet: u64| {
            of_all([(passed, yes), (failed, no), (quiet, None)])
        };
        assert_eq!((of(51, 49, 0), of(50, 50, 0)), (Passed, Undecided));
        assert_eq!((of(34, 66, 0), of(33, 66, 1)), (Undecided, Failed));
        assert_eq!((of(0, 50, 50), of(0, 49, 51)), (Failed, Undecided));
        assert_eq!((of(50, 0, 50), of(49, 0, 51)), (Passed, Undecided));
        assert_eq!(
            (of(0, 0, 9), of(0, 0, 0), of_all([])),
            (Undecided, Undecided, Undecided)
        );
        let most = u64::MAX;
        assert_eq!(
            (of(most, most, most), of(0, most, most)),
            (Undecided, Failed)
        );
    }

    #[test]
    fn whoever_said_nothing_or_lost_a_dispute_missed_it() {
        use AuditOutcome::*;
        let (yes, no) = (Some(Finding::Passed), Some(Finding::Failed));
        let missed = |found, is_drawn| {
            [Passed, Failed, Undecided].map(|outcome| is_missed(found, is_drawn, outcome))
        };
        assert_eq!(missed(None, true), [true; 3]);
        assert_eq!(missed(None, false), [true, true, false]);
        for is_drawn in [true, false] {
            assert_eq!(missed(yes, is_drawn), [false, true, false]);
            assert_eq!(missed(no, is_drawn), [true, false, false]);
        }
    }

    proptest! {
        // Less than a third of the stake, whatever it says, while all others say the same.
        #[test]
        fn less_than_a_third_takes_no_bond_and_saves_none(
            honest in proptest::collection::vec(1u64..1 << 60, 1..20), part in 0u64..1_000, says: Option<bool>, is_false: bool,
        ) {
            let all: u128 = honest.iter().map(|stake| u128::from(*stake)).sum();
            let others = u64::try_from(all / 2_001 * u128::from(part)).unwrap();
            let finding = |failed| match failed { true => Finding::Failed, false => Finding::Passed };
            let truth = Some(finding(is_false));
            let said = honest.iter().map(|stake| (*stake, truth)).chain([(others, says.map(finding))]);
            let expected = match is_false { true => AuditOutcome::Failed, false => AuditOutcome::Passed };
            prop_assert_eq!(of_all(said), expected);
        }
    }
}
