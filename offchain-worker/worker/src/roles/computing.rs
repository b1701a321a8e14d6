//! What a worker computes on: by what was asked for, what the run's audits admit, and what stands behind it.

use cairn_chain::AuditInfo;
use cairn_engine::Device;
use cairn_primitives::{AuditRules, Balance, EngineClass, Round, H256};
use cairn_protocol::{
    audit::free_from,
    verdict::{card_bond, Engines},
};

use super::{chain::Chain, heads::Heads, idle::plain, run::Run, state::Debt, RoleError};
use crate::amount::crn;

/// What to compute on, by what was asked for and how the run audits. What validators show of a round is compared to the
/// bit, so one that measures takes the CPU where anything is audited; a miner may take a card if the run has a
/// tolerance.
///
/// # Errors
/// [`RoleError::Run`], which says what to do.
pub(crate) fn device(
    asked: Device,
    rules: &AuditRules,
    measures: bool,
) -> Result<Device, RoleError> {
    let takes_cards = match Engines::of(rules) {
        Engines::Any => true,
        Engines::Cpu => false,
        Engines::CpuAndCards => !measures,
    };
    let refused = |why: &str| Err(RoleError::Run(why.into()));
    match asked {
        device if takes_cards => Ok(device),
        Device::Auto | Device::Cpu => Ok(Device::Cpu),
        Device::Cuda(_) | Device::Cards { .. } if measures => refused(
            "this run audits work, and compares to the bit what validators show of having measured it: start with \
             --device cpu",
        ),
        Device::Cuda(_) | Device::Cards { .. } => refused(
            "this run audits work to the bit, and a card's bits are not a CPU's: start with --device cpu, or take \
             part in a run whose [audits] have a tolerance, or in one without audits",
        ),
    }
}

/// Of what this worker may still have to make again, what may be audited: where anything is, and as long as audits of
/// its round can be open in round `now`.
pub(super) fn open_debts(mut debts: Vec<Debt>, rules: &AuditRules, now: Round) -> Vec<Debt> {
    debts.retain(|debt| rules.rate > 0 && now < free_from(debt.round));
    debts
}

/// Of these, what may still be audited by what the chain says: its round is not settled in a final block, or its audit
/// is open. Audits are drawn in the block that settles a round.
///
/// # Errors
/// Those of the chain.
pub(super) async fn undecided<C: Chain>(
    chain: &C,
    heads: Heads,
    run: &Run,
    debts: Vec<Debt>,
) -> Result<Vec<Debt>, RoleError> {
    let (best, last) = (heads.best.hash, heads.finalized.hash);
    if debts.is_empty() {
        return Ok(debts);
    }
    // A node may say of a final block before it says that it is the best one.
    let (here, there) = tokio::try_join!(
        chain.audits(best, run.netuid),
        chain.audits(last, run.netuid)
    )?;
    let audits: Vec<AuditInfo> = here.into_iter().chain(there).collect();
    let mut left = Vec::new();
    for debt in debts {
        let is_it = |audit: &AuditInfo| (audit.round, audit.hotkey) == (debt.round, run.hotkey);
        let is_open = audits.iter().any(is_it);
        if is_open || chain.settled(last, run.netuid, debt.round).await?.is_none() {
            left.push(debt);
        }
    }
    Ok(left)
}

/// Whether what may be audited can be made again by an engine of this class: others' bits are not those that were
/// traced.
///
/// # Errors
/// [`RoleError::Run`], which says on what to start.
pub(super) fn check_debts(debts: &[Debt], class: EngineClass) -> Result<(), RoleError> {
    let others = debts.iter().filter_map(|debt| {
        let engine = debt.engine.as_deref()?;
        (engine != class.text()).then_some((debt, engine))
    });
    let Some((debt, engine)) = others.max_by_key(|(debt, _)| debt.round) else {
        return Ok(());
    };
    let how = match engine == EngineClass::CPU.text() {
        true => "with --device cpu",
        false => "on such a card, with as many of them and the same driver",
    };
    Err(RoleError::Run(format!(
        "round {} was computed on `{engine}` and may still be audited, and this is `{}`, which cannot make it again; \
         serving nothing costs the bond: start {how}; without risk another device begins from round {} on, or once \
         `cairn mine --drain` has ended there",
        debt.round,
        class.text(),
        free_from(debt.round)
    )))
}

/// The same by what stands behind it: a run that admits cards asks for a larger bond of who works on one. Who left the
/// choice open gets the CPU without it, and so does who is no member yet. While something may be audited that this
/// worker made, it goes on with what made it: what it does not serve costs more than what is refused.
///
/// # Errors
/// [`RoleError::Run`], which says what is missing; those of the chain.
pub(super) async fn backed<C: Chain>(
    chain: &C,
    at: H256,
    run: &Run,
    (asked, debts): (Device, &[Debt]),
) -> Result<Device, RoleError> {
    let rules = &run.config.audits;
    if asked == Device::Auto && are_cpus(debts) {
        tracing::info!("computing on the CPU, which made what may still be audited");
        return Ok(Device::Cpu);
    }
    if asked == Device::Cpu || !rules.admits_cards() {
        return Ok(asked);
    }
    let member = chain.member(at, run.netuid, run.hotkey);
    let subnet = chain.subnet(at, run.netuid);
    let (member, subnet) = tokio::try_join!(member, subnet)?;
    let Some(subnet) = subnet else {
        return Ok(asked);
    };
    let least = card_bond(rules, subnet.hyperparameters.min_miner_bond);
    let bond = member.map_or(0, |member| member.bond);
    if bond >= least {
        return Ok(asked);
    }
    let lack = lack(run, bond, least);
    match asked {
        _ if !debts.is_empty() => {
            tracing::warn!("until then validators refuse what a card makes here: {lack}");
            Ok(asked)
        }
        Device::Auto => {
            tracing::info!("computing on the CPU: {lack}");
            Ok(Device::Cpu)
        }
        _ => Err(RoleError::Run(format!(
            "{lack}, or start with --device cpu"
        ))),
    }
}

/// Whether there is something to make again, and a CPU made all of it.
fn are_cpus(debts: &[Debt]) -> bool {
    let is_cpus = |debt: &Debt| debt.engine.as_deref() == Some(EngineClass::CPU.text());
    !debts.is_empty() && debts.iter().all(is_cpus)
}

/// What is missing for a card's work to count, and how to add it.
fn lack(run: &Run, bond: Balance, least: Balance) -> String {
    let missing = least.saturating_sub(bond);
    format!(
        "for a card this run asks for a bond of {} CRN, and this hotkey's is {}: register it if it is no member, and \
         add to its bond with `cairn stake bond --netuid {} --hotkey {} {}`",
        crn(least, 9),
        crn(bond, 9),
        run.netuid,
        run.hotkey,
        plain(missing)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARDS: [Device; 2] = [Device::Cuda(0), Device::Cards { first: 0, count: 2 }];

    fn rules(rate: u32, tolerance: u16) -> AuditRules {
        AuditRules {
            rate,
            tolerance,
            ..AuditRules::default()
        }
    }

    fn debt(round: Round, engine: Option<&str>) -> Debt {
        Debt {
            round,
            engine: engine.map(str::to_owned),
        }
    }

    #[test]
    fn work_may_be_audited_until_no_audit_of_its_round_is_open() {
        let of = |rate, now| open_debts(vec![debt(4, None)], &rules(rate, 1), now).len();
        assert_eq!([4, 5, 19, 20, 99].map(|now| of(1, now)), [1, 1, 1, 0, 0]);
        assert_eq!(of(0, 4), 0);
        let last = debt(Round::MAX, None);
        assert_eq!(open_debts(vec![last], &rules(1, 1), 7).len(), 1);
    }

    #[test]
    fn what_may_be_audited_is_made_again_on_what_made_it() {
        let card = EngineClass::cuda("one");
        let (on_card, on_cpu) = (debt(7, Some(card.text())), debt(8, Some("cpu")));
        let unknown = debt(6, None);
        for class in [card, EngineClass::CPU] {
            assert!(check_debts(&[], class).is_ok());
            assert!(check_debts(std::slice::from_ref(&unknown), class).is_ok());
        }
        assert!(check_debts(&[on_card.clone(), unknown.clone()], card).is_ok());
        assert!(check_debts(std::slice::from_ref(&on_cpu), EngineClass::CPU).is_ok());
        let other = EngineClass::cuda("another");
        for class in [EngineClass::CPU, other] {
            let refused = check_debts(&[unknown.clone(), on_card.clone()], class);
            let words = refused.expect_err("another's").to_string();
            assert!(words.contains("on `cuda one`"), "{words}");
            assert!(words.contains("from round 23 on"), "{words}");
        }
        let refused = check_debts(std::slice::from_ref(&on_cpu), card);
        let words = refused.expect_err("a CPU's").to_string();
        assert!(words.contains("start with --device cpu"), "{words}");
        assert!(are_cpus(std::slice::from_ref(&on_cpu)) && !are_cpus(&[]));
        assert!(!are_cpus(&[on_cpu, on_card]) && !are_cpus(&[unknown]));
    }

    #[test]
    fn where_nothing_is_audited_everybody_takes_what_was_asked_for() {
        for asked in [Device::Auto, Device::Cpu, CARDS[0], CARDS[1]] {
            for measures in [false, true] {
                let taken = device(asked, &rules(0, 1), measures);
                assert_eq!(taken.expect("anything"), asked);
            }
        }
    }

    #[test]
    fn work_that_is_replayed_to_the_bit_is_computed_on_the_cpu() {
        for asked in [Device::Auto, Device::Cpu] {
            for measures in [false, true] {
                let taken = device(asked, &rules(1, 0), measures);
                assert_eq!(taken.expect("a choice"), Device::Cpu);
            }
        }
        for card in CARDS {
            for measures in [false, true] {
                let refused = device(card, &rules(1, 0), measures).expect_err("a card");
                assert!(refused.to_string().contains("--device cpu"), "{refused}");
            }
        }
    }

    #[test]
    fn with_a_tolerance_miners_take_cards_and_who_measures_does_not() {
        for asked in [Device::Auto, Device::Cpu, CARDS[0], CARDS[1]] {
            let taken = device(asked, &rules(1, 1), false);
            assert_eq!(taken.expect("anything"), asked);
        }
        let taken = device(Device::Auto, &rules(1, 1), true);
        assert_eq!(taken.expect("a choice"), Device::Cpu);
        for card in CARDS {
            let refused = device(card, &rules(1, 1), true).expect_err("a card");
            assert!(refused.to_string().contains("--device cpu"), "{refused}");
        }
    }
}
