//! What the chain says of the member: its role, what stands behind it, and how safe its seat is.

use cairn_chain::{AccountId, MemberInfo, RunInfo, SubnetInfo};
use cairn_primitives::{api::Duty, Balance, BlockNumber, Role};

use super::check::Check;
use crate::{
    amount::crn,
    notices::look::goes_next,
    roles::idle::{Facts, Part},
};

/// What the chain says, as of block `now`.
pub struct Seen<'a> {
    pub subnet: &'a SubnetInfo,
    pub run: Option<&'a RunInfo>,
    pub members: &'a [MemberInfo],
    pub now: BlockNumber,
    /// Milliseconds from one block to the next.
    pub every: u64,
}

impl Seen<'_> {
    /// Lines on the member with this hotkey.
    pub fn of(&self, hotkey: &AccountId) -> Vec<Check> {
        let Some(member) = self.members.iter().find(|member| member.hotkey == *hotkey) else {
            let netuid = self.subnet.netuid;
            let found = format!("{hotkey} has no uid in subnet {netuid}");
            let remedy = format!(
                "register it: `cairn subnet register --netuid {netuid} --hotkey {hotkey}`, with --role validator to validate"
            );
            return vec![Check::fix("role", found, remedy)];
        };
        vec![self.role(member), self.backing(member), self.seat(member)]
    }

    fn role(&self, member: &MemberInfo) -> Check {
        let (uid, role) = (member.uid, member.chosen_role);
        let facts = Facts {
            subnet: self.subnet,
            run: self.run,
            members: self.members,
            now: self.now,
        };
        let part = match role {
            Role::Miner => Part::Miner,
            Role::Validator => Part::Validator,
        };
        match member.role {
            Duty::Idle => {
                let found = format!("uid {uid} is a {role} without a part in rounds");
                Check::fix("role", found, facts.of_hotkey(&member.hotkey, part))
            }
            Duty::Miner | Duty::Validator => match facts.of_member(member) {
                None => Check::ok("role", format!("uid {uid} is a {role} in this round")),
                Some(why) => Check::ok(
                    "role",
                    format!("uid {uid} is a {role}, not in this round: {why}"),
                ),
            },
        }
        .with("uid", f64::from(uid.0))
    }

    /// A miner's bond, or a validator's stake.
    fn backing(&self, member: &MemberInfo) -> Check {
        let rules = &self.subnet.hyperparameters;
        let (check, there, least, command) = match member.chosen_role {
            Role::Miner => ("bond", member.bond, rules.min_miner_bond, "stake bond"),
            Role::Validator => {
                let least = rules.min_validator_stake.max(1);
                ("stake", member.stake, least, "stake add")
            }
        };
        let found = format!("{} of at least {} CRN", crn(there, 9), crn(least, 9));
        let lacks = least.saturating_sub(there);
        let remedy = format!(
            "`cairn {command} --netuid {} --hotkey {} {}`",
            self.subnet.netuid,
            member.hotkey,
            crn(lacks, 9).replace(',', "")
        );
        let coins = |amount: Balance| amount as f64 / cairn_primitives::CRN as f64;
        Check::either(check, lacks == 0, found, remedy)
            .with("crn", coins(there))
            .with("least_crn", coins(least))
    }

    /// Whether a newcomer can replace it, and from when on.
    fn seat(&self, member: &MemberInfo) -> Check {
        let (rules, subnet) = (&self.subnet.hyperparameters, self.subnet);
        let until = member.registered_at.saturating_add(rules.immunity_period);
        let left = until.saturating_sub(self.now);
        let free = rules.max_members.saturating_sub(subnet.members);
        let check = if left > 0 {
            let hours = f64::from(left) * self.every as f64 / 3.6e6;
            let found = format!(
                "nobody replaces it for {left} blocks, about {hours:.1} h, until block {until}"
            );
            Check::ok("seat", found)
        } else if free > 0 {
            let found = format!(
                "nobody is replaced: {free} of {} seats are free",
                rules.max_members
            );
            Check::ok("seat", found)
        } else if goes_next(subnet, self.members, member, self.now) {
            let found = "all seats are taken, and the next newcomer takes this one";
            let remedy = format!(
                "earn more than others: `cairn why --netuid {} --uid {}` says what would raise its score",
                subnet.netuid, member.uid
            );
            Check::fix("seat", found, remedy)
        } else {
            let found = "all seats are taken, and the next newcomer takes another one";
            Check::ok("seat", found)
        };
        check.with("immune_blocks", left.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::State, *};
    use crate::roles::testing::{a_member, a_subnet};
    use cairn_primitives::{Uid, CRN};

    fn key(byte: u8) -> AccountId {
        AccountId([byte; 32])
    }

    fn miner(uid: u16, bond: Balance) -> MemberInfo {
        MemberInfo {
            bond,
            role: if bond < 10 * CRN {
                Duty::Idle
            } else {
                Duty::Miner
            },
            registered_at: 100,
            ..a_member(Uid(uid), key(uid as u8))
        }
    }

    fn lines(subnet: &SubnetInfo, members: &[MemberInfo], now: BlockNumber, of: u8) -> Vec<Check> {
        let seen = Seen {
            subnet,
            run: None,
            members,
            now,
            every: 6_000,
        };
        seen.of(&key(of))
    }

    #[test]
    fn a_stranger_is_told_to_register() {
        let found = lines(&a_subnet(), &[miner(1, 0)], 100, 9);
        assert_eq!((found.len(), found[0].state), (1, State::Fix));
        assert!(found[0].text().contains("subnet register"));
    }

    #[test]
    fn a_bond_that_is_too_small_and_what_it_costs() {
        let found = lines(&a_subnet(), &[miner(1, 4 * CRN)], 100, 1);
        let states: Vec<State> = found.iter().map(|check| check.state).collect();
        assert_eq!(states, [State::Fix, State::Fix, State::Ok]);
        assert!(found[1].text().contains("stake bond") && found[1].text().contains(" 6"));
        let found = lines(&a_subnet(), &[miner(1, 10 * CRN)], 100, 1);
        assert_eq!(found[1].state, State::Ok);
        let mut validator = miner(1, 0);
        validator.chosen_role = Role::Validator;
        let found = lines(&a_subnet(), &[validator], 100, 1);
        assert_eq!((found[1].check, found[1].state), ("stake", State::Fix));
        assert!(found[1].text().contains("stake add"));
    }

    #[test]
    fn a_seat_is_safe_until_its_immunity_ends_and_then_by_what_it_earned() {
        let mut subnet = a_subnet();
        subnet.hyperparameters.immunity_period = 50;
        subnet.hyperparameters.max_members = 2;
        subnet.members = 2;
        let mut members = [miner(1, 10 * CRN), miner(2, 10 * CRN)];
        members[1].last_paid = CRN;
        let seat = |subnet: &SubnetInfo, members: &[MemberInfo], now, of| {
            lines(subnet, members, now, of).pop().unwrap()
        };
        let immune = seat(&subnet, &members, 149, 1);
        assert_eq!(immune.state, State::Ok);
        assert_eq!(immune.figures["immune_blocks"], 1.0);
        let next = seat(&subnet, &members, 150, 1);
        assert_eq!(next.state, State::Fix);
        assert!(
            next.text().contains("cairn why --netuid 7 --uid 1"),
            "{}",
            next.text()
        );
        assert_eq!(seat(&subnet, &members, 150, 2).state, State::Ok);
        subnet.hyperparameters.max_members = 3;
        let free = seat(&subnet, &members, 150, 1);
        assert!(
            free.found.contains("1 of 3 seats are free"),
            "{}",
            free.found
        );
    }
}
