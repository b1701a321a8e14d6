//! Why somebody has no part in a round: what exactly is missing, and how much, or from when on it has.

use cairn_chain::{AccountId, MemberInfo, RunInfo, SubnetInfo};
use cairn_primitives::{
    api::Duty, Balance, BlockNumber, Netuid, Phase, Role, Uid, H256, MAX_VALIDATORS,
};
use cairn_protocol::{
    assignment,
    eligibility::{claim, Claim},
    limits::MISSED_ROUNDS,
};

use super::{chain::Chain, run::Run, RoleError};
use crate::amount::{counted, crn};

/// What the chain says, as of one block.
pub struct Facts<'a> {
    /// The subnet.
    pub subnet: &'a SubnetInfo,
    /// Its run, if there is one.
    pub run: Option<&'a RunInfo>,
    /// Its members.
    pub members: &'a [MemberInfo],
    /// The block.
    pub now: BlockNumber,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Mine.
    Miner,
    /// Validate.
    Validator,
}

impl Part {
    /// Who does that.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Miner => "miner",
            Part::Validator => "validator",
        }
    }

    /// What a member has to be to take it.
    fn role(self) -> Role {
        match self {
            Part::Miner => Role::Miner,
            Part::Validator => Role::Validator,
        }
    }

    /// What has to stand behind it.
    fn backing(self) -> &'static str {
        match self {
            Part::Miner => "bond",
            Part::Validator => "stake",
        }
    }
}

/// Why this hotkey has no part in the current round, as of the best block.
///
/// # Errors
/// [`RoleError::NoSubnet`] and those of the chain.
pub(super) async fn ask<C: Chain>(
    chain: &C,
    at: H256,
    now: BlockNumber,
    run: &Run,
    (info, part): (&RunInfo, Part),
) -> Result<String, RoleError> {
    let netuid = run.netuid;
    let (subnet, members) = tokio::try_join!(chain.subnet(at, netuid), chain.members(at, netuid))?;
    let subnet = subnet.ok_or(RoleError::NoSubnet { netuid })?;
    let facts = Facts {
        subnet: &subnet,
        run: Some(info),
        members: &members,
        now,
    };
    Ok(facts.of_hotkey(&run.hotkey, part))
}

/// Whether the run's first round has begun.
pub fn has_begun(run: &RunInfo) -> bool {
    let round = &run.round;
    // What the chain answers before: nobody is in it and nothing was drawn.
    round.round > 0 || round.phase != Phase::Settle || !round.seed.is_zero()
}

/// What is to be said of the next round to who came too late for this one.
fn drawn_ahead(run: &RunInfo, part: Part) -> &'static str {
    match part {
        Part::Miner if run.config.overlaps() => {
            "; rounds overlap, so miners have data from the one after that on"
        }
        _ => "",
    }
}

/// What a run that has not begun waits for; `None` if the next block begins it.
pub fn waits_for(subnet: &SubnetInfo, members: &[MemberInfo]) -> Option<String> {
    let rules = &subnet.hyperparameters;
    let there = |duty: Duty| members.iter().any(|member| member.role == duty);
    let miner = format!(
        "a miner with a bond of {} CRN",
        crn(rules.min_miner_bond, 2)
    );
    let validator = format!(
        "a validator with {} CRN of stake",
        crn(rules.min_validator_stake, 2)
    );
    match (there(Duty::Miner), there(Duty::Validator)) {
        (true, true) => None,
        (true, false) => Some(validator),
        (false, true) => Some(miner),
        (false, false) => Some(format!("{miner} and {validator}")),
    }
}

impl Facts<'_> {
    fn netuid(&self) -> Netuid {
        self.subnet.netuid
    }

    /// Why this hotkey has no part.
    pub fn of_hotkey(&self, hotkey: &AccountId, part: Part) -> String {
        let netuid = self.netuid();
        let Some(member) = self.members.iter().find(|member| member.hotkey == *hotkey) else {
            return format!(
                "{hotkey} has no uid in subnet {netuid}: register it with \
                 `cairn subnet register --netuid {netuid} --hotkey {hotkey} --role {}`",
                part.role()
            );
        };
        let rules = &self.subnet.hyperparameters;
        if part.role() != member.chosen_role {
            return format!(
                "its coldkey made it a {}: `cairn subnet role --netuid {netuid} --hotkey {hotkey} {}` makes it a {}",
                member.chosen_role,
                part.role(),
                part.role()
            );
        }
        match claim(rules, part.role(), || member.stake, || member.bond) {
            Claim::Nothing => match part {
                Part::Miner => self.lacks_bond(member),
                Part::Validator => self.lacks_stake(member),
            },
            Claim::Data | Claim::Seat => self.not_yet(member.uid, part),
        }
    }

    /// Why this member has no part; `None` if it has one.
    pub fn of_member(&self, member: &MemberInfo) -> Option<String> {
        if self.subnet.dissolves_from.is_some() {
            return Some("the subnet is being dissolved".into());
        }
        let rules = &self.subnet.hyperparameters;
        let role = member.chosen_role;
        let part = match claim(rules, role, || member.stake, || member.bond) {
            Claim::Nothing => {
                return Some(match role {
                    Role::Miner => missing("bond", member.bond, rules.min_miner_bond),
                    Role::Validator => {
                        missing("stake", member.stake, rules.min_validator_stake.max(1))
                    }
                });
            }
            Claim::Data => Part::Miner,
            Claim::Seat => Part::Validator,
        };
        let round = &self.run?.round;
        let takes_part = match part {
            Part::Miner => round.miners.iter().any(|(uid, _)| *uid == member.uid),
            Part::Validator => round.validators.iter().any(|v| v.uid == member.uid),
        };
        (!takes_part).then(|| self.not_yet(member.uid, part))
    }

    fn lacks_bond(&self, member: &MemberInfo) -> String {
        let (netuid, least) = (self.netuid(), self.subnet.hyperparameters.min_miner_bond);
        format!(
            "{}; add it with `cairn stake bond --netuid {netuid} --hotkey {} {}`",
            missing("bond", member.bond, least),
            member.hotkey,
            plain(least.saturating_sub(member.bond))
        )
    }

    fn lacks_stake(&self, member: &MemberInfo) -> String {
        // Whoever has none does not validate, whatever the least is.
        let least = self.subnet.hyperparameters.min_validator_stake.max(1);
        let netuid = self.netuid();
        format!(
            "{}; add it with `cairn stake add --netuid {netuid} --hotkey {} {}`",
            missing("stake", member.stake, least),
            member.hotkey,
            plain(least.saturating_sub(member.stake))
        )
    }

    /// Bond or stake is there, and yet it is not in the round.
    fn not_yet(&self, uid: Uid, part: Part) -> String {
        let Some(run) = self.run else {
            return format!("subnet {} has no run", self.netuid());
        };
        if !has_begun(run) {
            return match waits_for(self.subnet, self.members) {
                Some(what) => {
                    format!("the run waits for {what}; round 0 begins in the block after")
                }
                None => "round 0 begins in the next block".into(),
            };
        }
        let next = self.next_round(run);
        if run.absent.iter().any(|(absent, _)| *absent == uid) {
            return format!(
                "it missed {MISSED_ROUNDS} rounds in a row, and says that it is back once it has the parameters; {next}"
            );
        }
        let full = match part {
            Part::Miner => self.no_room_for_miner(run),
            Part::Validator => self.no_room_for_validator(run, uid),
        };
        match full {
            Some(why) => format!("{why}; {next}"),
            None => format!(
                "its uid or {} came after the round had begun; {next}{}",
                part.backing(),
                drawn_ahead(run, part)
            ),
        }
    }

    fn next_round(&self, run: &RunInfo) -> String {
        let begins = run.round.times.due;
        let round = run.round.round.saturating_add(1);
        if begins > self.now {
            format!("round {round} begins in block {begins}")
        } else {
            format!("round {round} begins in the next block")
        }
    }

    fn no_room_for_miner(&self, run: &RunInfo) -> Option<String> {
        let room = assignment::room(&run.config);
        let full = run.round.miners.len() as u64 >= room;
        full.then(|| {
            format!(
                "the data set has room for {} a round, and others came before this one",
                counted(room, "miner")
            )
        })
    }

    fn no_room_for_validator(&self, run: &RunInfo, uid: Uid) -> Option<String> {
        let most = u32::from(self.subnet.hyperparameters.max_validators).min(MAX_VALIDATORS);
        let least = run
            .round
            .validators
            .iter()
            .map(|validator| validator.stake)
            .min()?;
        let own = self.members.iter().find(|member| member.uid == uid)?.stake;
        let full = run.round.validators.len() as u64 >= u64::from(most) && own <= least;
        full.then(|| {
            format!(
                "the subnet counts at most {}, and the last of them has {} CRN of stake, this one {}",
                counted(most, "validator"),
                crn(least, 2),
                crn(own, 2)
            )
        })
    }
}

/// `its bond is 5.00 of at least 10.00 CRN, 5.00 are missing`.
fn missing(what: &str, there: Balance, least: Balance) -> String {
    format!(
        "its {what} is {} of at least {} CRN, {} are missing",
        crn(there, 9),
        crn(least, 9),
        crn(least.saturating_sub(there), 9)
    )
}

/// An amount as the command line takes it.
pub(super) fn plain(amount: Balance) -> String {
    crn(amount, 9).replace(',', "")
}

#[cfg(test)]
#[path = "idle_tests.rs"]
mod tests;
