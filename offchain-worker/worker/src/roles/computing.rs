//! What a worker computes on: by what was asked for, what the run's audits admit, and what stands behind it.

use cairn_engine::Device;
use cairn_primitives::{AuditRules, Balance, H256};
use cairn_protocol::verdict::{card_bond, Engines};

use super::{chain::Chain, idle::plain, run::Run, RoleError};
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

/// The same by what stands behind it: a run that admits cards asks for a larger bond of who works on one. Who left the
/// choice open gets the CPU without it. A hotkey that is no member yet is told what it lacks once it is.
///
/// # Errors
/// [`RoleError::Run`], which says what is missing; those of the chain.
pub(super) async fn backed<C: Chain>(
    chain: &C,
    at: H256,
    run: &Run,
    asked: Device,
) -> Result<Device, RoleError> {
    let rules = &run.config.audits;
    if asked == Device::Cpu || !rules.admits_cards() {
        return Ok(asked);
    }
    let member = chain.member(at, run.netuid, run.hotkey).await?;
    let subnet = chain.subnet(at, run.netuid).await?;
    let (Some(member), Some(subnet)) = (member, subnet) else {
        return Ok(asked);
    };
    let least = card_bond(rules, subnet.hyperparameters.min_miner_bond);
    if member.bond >= least {
        return Ok(asked);
    }
    let lack = lack(run, member.bond, least);
    match asked {
        Device::Auto => {
            tracing::info!("computing on the CPU: {lack}");
            Ok(Device::Cpu)
        }
        _ => Err(RoleError::Run(format!(
            "{lack}, or start with --device cpu"
        ))),
    }
}

/// What is missing for a card's work to count, and how to add it.
fn lack(run: &Run, bond: Balance, least: Balance) -> String {
    let missing = least.saturating_sub(bond);
    format!(
        "for a card this run asks for a bond of {} CRN, and this hotkey's is {}: add to it with \
         `cairn stake bond --netuid {} --hotkey {} {}`",
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
