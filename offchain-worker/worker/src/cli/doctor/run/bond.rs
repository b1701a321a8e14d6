//! Whether the subnet's least bond is as high as what the run pays asks for.

use cairn_chain::{AccountId, RunInfo};

use super::{
    super::super::least_bond::{LeastBond, Standing},
    check::Check,
    Facts,
};

/// A line on it. It is the subnet's owner who can do something about it: to others it says what was found.
pub(super) fn least(run: &RunInfo, facts: &Facts, hotkey: Option<AccountId>) -> Check {
    let found = LeastBond::of(&facts.subnet, &facts.members, run, facts.oldest.as_ref());
    let owner = facts.subnet.owner;
    let is_its = |hotkey: AccountId| {
        let mut members = facts.members.iter();
        let own = members.find(|member| member.hotkey == hotkey);
        hotkey == owner || own.is_some_and(|member| member.coldkey == owner)
    };
    let said = found.found();
    let check = match (found.state, &found.remedy) {
        (Standing::TooLow, Some(remedy)) if hotkey.is_some_and(is_its) => {
            Check::fix("least bond", said, remedy)
        }
        (Standing::Unknown, _) => Check::unknown("least bond", said, "ask again after an epoch"),
        (_, Some(remedy)) => Check::ok("least bond", said).advised(remedy),
        (_, None) => Check::ok("least bond", said),
    };
    let coins = |amount: u64| amount as f64 / cairn_primitives::CRN as f64;
    let check = check
        .with("crn", coins(found.now))
        .with("rounds_per_epoch", found.rounds_per_epoch);
    match found.should_be {
        Some(least) => check.with("least_crn", coins(least)),
        None => check,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::check::State, *};
    use crate::roles::testing::{a_member, a_run, a_subnet};
    use cairn_chain::{Block, MemberInfo};
    use cairn_primitives::{AuditRules, Uid, CRN, H256};

    const OWNER: AccountId = AccountId([9; 32]);
    const STRANGER: AccountId = AccountId([8; 32]);

    /// A subnet with epochs as long as its rounds, two miners of which one is the owner's, and a least bond of 10 CRN.
    fn facts(paid: u64) -> Facts {
        let mut run = a_run();
        run.config.audits.rate = AuditRules::EACH / 2;
        let mut subnet = a_subnet();
        subnet.owner = OWNER;
        subnet.hyperparameters.min_miner_bond = 10 * CRN;
        subnet.hyperparameters.tempo = run.config.phases.round();
        let miner = |uid: u8, coldkey| MemberInfo {
            coldkey,
            last_paid: paid,
            ..a_member(Uid(uid.into()), AccountId([uid; 32]))
        };
        Facts {
            block: Block {
                number: 7,
                hash: H256::zero(),
            },
            made: 0,
            every: Duration::from_secs(6),
            subnet,
            run: Some(run),
            oldest: None,
            members: vec![miner(1, OWNER), miner(2, STRANGER)],
            endpoints: Vec::new(),
            validators: Vec::new(),
        }
    }

    fn line(paid: u64, hotkey: Option<AccountId>) -> Check {
        let facts = facts(paid);
        let run = facts.run.as_ref().expect("there is one");
        least(run, &facts, hotkey)
    }

    #[test]
    fn the_owner_is_told_to_ask_for_more_and_others_that_it_is_too_low() {
        let owners = [OWNER, AccountId([1; 32])].map(Some);
        let others = [None, Some(STRANGER), Some(AccountId([2; 32]))];
        for hotkey in owners.into_iter().chain(others) {
            let check = line(6 * CRN, hotkey);
            let state = match owners.contains(&hotkey) {
                true => State::Fix,
                false => State::Ok,
            };
            assert_eq!((check.check, check.state), ("least bond", state));
            let text = check.text();
            let says = ["10.00 CRN, too low", "12.00 CRN", "min_miner_bond=12.00CRN"];
            assert!(says.iter().all(|words| text.contains(words)), "{text}");
            let figures = ["crn", "least_crn", "rounds_per_epoch"].map(|name| check.figures[name]);
            assert_eq!(figures, [10.0, 12.0, 1.0]);
        }
    }

    #[test]
    fn what_is_enough_asks_for_nothing_and_what_is_unknown_for_patience() {
        let enough = line(5 * CRN, Some(OWNER));
        assert_eq!((enough.state, enough.remedy), (State::Ok, None));
        let unknown = line(0, Some(OWNER));
        assert_eq!(unknown.state, State::Unknown);
        assert!(!unknown.figures.contains_key("least_crn"));
    }
}
