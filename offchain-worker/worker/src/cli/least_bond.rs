//! Whether the least bond of a subnet is as high as what its miners are paid asks for: with less, false work earns more
//! until an audit finds it than it loses then.

use cairn_chain::{MemberInfo, RoundInfo, RunInfo, SubnetInfo};
use cairn_primitives::{
    api::pebble, limits::MAX_AMOUNT, AuditRules, Balance, BlockNumber, Netuid, Role, Round,
};
use cairn_protocol::audit;
use serde::{Serialize, Serializer};

use crate::amount::{crn, thousands};

/// How long rounds take: so many blocks for so many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    blocks: BlockNumber,
    rounds: Round,
}

impl Pace {
    /// That of the rounds since this one, the oldest that the chain has kept; if none is over, that of a round that
    /// takes its longest.
    pub fn of(run: &RunInfo, oldest: Option<&RoundInfo>) -> Pace {
        let longest = run.config.phases.round().max(1);
        let since = |oldest: &RoundInfo| {
            let rounds = run.round.round.checked_sub(oldest.round)?;
            let blocks = run.round.times.start.saturating_sub(oldest.times.start);
            // What lies between is never longer, except while a run waits for who takes part.
            let most = longest.saturating_mul(rounds);
            (rounds > 0).then(|| Pace {
                blocks: blocks.clamp(1, most),
                rounds,
            })
        };
        oldest.and_then(since).unwrap_or(Pace {
            blocks: longest,
            rounds: 1,
        })
    }

    /// What a round pays who is paid this much in an epoch of `tempo` blocks, rounded up.
    fn pay_of_a_round(self, paid: Balance, tempo: BlockNumber) -> Balance {
        let in_all = u128::from(paid).saturating_mul(self.blocks.into());
        let over = u128::from(self.rounds).saturating_mul(tempo.max(1).into());
        Balance::try_from(in_all.div_ceil(over.max(1))).unwrap_or(Balance::MAX)
    }

    fn rounds_per_epoch(self, tempo: BlockNumber) -> f64 {
        f64::from(tempo) * f64::from(self.rounds) / f64::from(self.blocks)
    }
}

/// How the least bond stands to what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// False work loses at least what it earns.
    Enough,
    /// It earns more than it loses.
    TooLow,
    /// It does whatever the bond: nothing is audited, or too little for any bond that can be asked for.
    NoneIsEnough,
    /// No epoch has paid a miner yet.
    Unknown,
}

/// A least bond that was announced and does not hold yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Announced {
    /// How much, in pebble.
    #[serde(with = "pebble")]
    pub bond: Balance,
    /// The block from which on it holds.
    pub from: BlockNumber,
}

/// A subnet's least bond, and what it should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeastBond {
    #[serde(skip)]
    netuid: Netuid,
    /// The one that holds now, in pebble.
    #[serde(with = "pebble")]
    pub now: Balance,
    /// The one that will hold, if that is another one.
    pub announced: Option<Announced>,
    /// How the one that will hold stands.
    pub state: Standing,
    /// The least with which false work loses what it earns, in pebble; none where no bond is enough, and where it is
    /// not known yet.
    #[serde(serialize_with = "maybe_pebble")]
    pub should_be: Option<Balance>,
    /// What a round paid the miner to whom the last epoch gave most, in pebble.
    #[serde(with = "pebble")]
    pub pay_of_a_round: Balance,
    /// By how long rounds were of late.
    pub rounds_per_epoch: f64,
    /// Of [`AuditRules::EACH`] contributions so many are audited.
    pub audit_rate: u32,
    /// What the subnet's owner can do.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

fn maybe_pebble<S: Serializer>(amount: &Option<Balance>, to: S) -> Result<S::Ok, S::Error> {
    amount.map(|amount| amount.to_string()).serialize(to)
}

impl LeastBond {
    /// That of a subnet with these members, for its run by these rounds: `oldest` is the oldest one that the chain has
    /// kept.
    pub fn of(
        subnet: &SubnetInfo,
        members: &[MemberInfo],
        run: &RunInfo,
        oldest: Option<&RoundInfo>,
    ) -> LeastBond {
        let (rules, rate) = (&subnet.hyperparameters, run.config.audits.rate);
        let miners = members
            .iter()
            .filter(|member| member.chosen_role == Role::Miner);
        let most_paid = miners.map(|member| member.last_paid).max();
        let pace = Pace::of(run, oldest);
        let pay_of_a_round = pace.pay_of_a_round(most_paid.unwrap_or(0), rules.tempo);
        let announced = subnet.announced.as_ref().map(|announced| Announced {
            bond: announced.hyperparameters.min_miner_bond,
            from: announced.from,
        });
        let announced = announced.filter(|announced| announced.bond != rules.min_miner_bond);
        let will_be = announced.map_or(rules.min_miner_bond, |announced| announced.bond);
        let least = audit::least_bond(pay_of_a_round, rate).filter(|bond| *bond <= MAX_AMOUNT);
        let (state, should_be) = match least {
            None => (Standing::NoneIsEnough, None),
            Some(_) if pay_of_a_round == 0 => (Standing::Unknown, None),
            Some(least) if will_be < least => (Standing::TooLow, Some(least)),
            Some(least) => (Standing::Enough, Some(least)),
        };
        LeastBond {
            netuid: subnet.netuid,
            now: rules.min_miner_bond,
            announced,
            state,
            should_be,
            pay_of_a_round,
            rounds_per_epoch: pace.rounds_per_epoch(rules.tempo),
            audit_rate: rate,
            remedy: None,
        }
        .with_remedy()
    }

    fn with_remedy(mut self) -> LeastBond {
        self.remedy = match (self.state, self.should_be) {
            (Standing::TooLow, Some(least)) => Some(format!(
                "the subnet's owner announces more: `cairn subnet set --netuid {} --key OWNER \
                 min_miner_bond={}CRN`; it holds after notice, and who has bonded less is assigned \
                 no data from then on",
                self.netuid,
                crn(least, 9).replace(',', "")
            )),
            (Standing::NoneIsEnough, _) => Some(
                "a run whose file says more in `[audits] rate` has more of its work replayed"
                    .into(),
            ),
            _ => None,
        };
        self
    }

    /// What was found, for people.
    pub fn found(&self) -> String {
        let announced = self.announced.map(|announced| {
            let (bond, from) = (crn(announced.bond, 9), thousands(announced.from.into()));
            format!(", {bond} CRN from block {from} on")
        });
        let bond = format!("{} CRN{}", crn(self.now, 9), announced.unwrap_or_default());
        let (rate, each) = (self.audit_rate.into(), AuditRules::EACH.into());
        let rate = format!("{} of {}", thousands(rate), thousands(each));
        let pay = format!(
            "a round paid the best paid miner {} CRN, and {rate} contributions are audited",
            crn(self.pay_of_a_round, 9)
        );
        match (self.state, self.should_be) {
            (Standing::Enough, Some(least)) => {
                format!("{bond}, and {} is enough: {pay}", crn(least, 9))
            }
            (Standing::TooLow, Some(least)) => {
                let least = crn(least, 9);
                format!("{bond}, too low: it should be {least} CRN at least, since {pay}")
            }
            (Standing::NoneIsEnough, _) if self.audit_rate == 0 => {
                format!("{bond}; nothing is audited, so false work loses no bond")
            }
            (Standing::NoneIsEnough, _) => format!("{bond}; no bond is high enough: {pay}"),
            _ => format!("{bond}; what it should be is known once an epoch has paid a miner"),
        }
    }

    /// For people: a line, and one more if there is something to do.
    pub fn text(&self) -> String {
        let line = format!("  least bond   {}\n", self.found());
        match &self.remedy {
            Some(remedy) => format!("{line}{:<15}→ {remedy}\n", ""),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::testing::{a_member, a_run, a_subnet};
    use cairn_chain::AccountId;
    use cairn_primitives::{api::AnnouncedRules, Hyperparameters, Uid, CRN};

    /// A run of round `round`, which began at `start`, of whose contributions so many of 65,536 are audited; and
    /// round 0, which began at block 10.
    fn rounds(round: Round, start: BlockNumber, rate: u32) -> (RunInfo, RoundInfo) {
        let mut run = a_run();
        run.config.audits.rate = rate;
        (run.round.round, run.round.times.start) = (round, start);
        let mut oldest = run.round.clone();
        (oldest.round, oldest.times.start) = (0, 10);
        (run, oldest)
    }

    /// Of a subnet whose epochs have 100 blocks, with this least bond: two miners that the last epoch gave this much
    /// and less, and a validator that it gave more. Rounds take ten blocks.
    fn of(bond: Balance, paid: Balance, rate: u32) -> LeastBond {
        let mut subnet = a_subnet();
        (
            subnet.hyperparameters.tempo,
            subnet.hyperparameters.min_miner_bond,
        ) = (100, bond);
        let (run, oldest) = rounds(4, 50, rate);
        LeastBond::of(&subnet, &members(paid), &run, Some(&oldest))
    }

    fn members(paid: Balance) -> [MemberInfo; 3] {
        let roles = [Role::Miner, Role::Miner, Role::Validator];
        let amounts = [paid, paid / 2, paid.saturating_mul(3)];
        [0, 1, 2].map(|number: u8| MemberInfo {
            chosen_role: roles[usize::from(number)],
            last_paid: amounts[usize::from(number)],
            ..a_member(Uid(number.into()), AccountId([number; 32]))
        })
    }

    #[test]
    fn a_bond_is_enough_from_what_a_round_pays_over_the_rate_on() {
        // Ten rounds an epoch pay 5 CRN, and every second contribution is audited.
        let enough = of(CRN, 5 * CRN, AuditRules::EACH / 2);
        assert_eq!(enough.pay_of_a_round, CRN / 2);
        assert_eq!(
            (enough.state, enough.should_be),
            (Standing::Enough, Some(CRN))
        );
        assert_eq!(
            (enough.rounds_per_epoch, enough.remedy.clone()),
            (10.0, None)
        );
        assert_eq!(enough.text().lines().count(), 1, "{}", enough.text());
        let low = of(CRN - 1, 5 * CRN, AuditRules::EACH / 2);
        assert_eq!((low.state, low.should_be), (Standing::TooLow, Some(CRN)));
        let text = low.text();
        let says = [
            "too low: it should be 1.00 CRN at least",
            "32,768 of 65,536",
            "best paid miner 0.50 CRN",
        ];
        assert!(says.iter().all(|words| text.contains(words)), "{text}");
        let command = "`cairn subnet set --netuid 7 --key OWNER min_miner_bond=1.00CRN`";
        assert!(text.contains(command), "{text}");
        // A pebble more in an epoch is less than a pebble in a round, and counts as one.
        let more = of(CRN, 5 * CRN + 1, AuditRules::EACH / 2);
        assert_eq!(
            (more.state, more.should_be),
            (Standing::TooLow, Some(CRN + 2))
        );
    }

    #[test]
    fn an_amount_of_thousands_is_one_that_the_command_takes() {
        let low = of(CRN, 100_000 * CRN, AuditRules::EACH);
        let remedy = low.remedy.unwrap_or_default();
        assert!(remedy.contains("min_miner_bond=10000.00CRN"), "{remedy}");
    }

    #[test]
    fn where_nothing_or_too_little_is_audited_no_bond_is_enough() {
        let none = of(MAX_AMOUNT, 5 * CRN, 0);
        assert_eq!((none.state, none.should_be), (Standing::NoneIsEnough, None));
        assert!(
            none.found().contains("nothing is audited"),
            "{}",
            none.found()
        );
        assert!(none
            .remedy
            .is_some_and(|remedy| remedy.contains("[audits] rate")));
        // In a round 4,000 CRN, and one of 65,536: more than there will ever be.
        let rare = of(MAX_AMOUNT, 40_000 * CRN, 1);
        assert_eq!((rare.state, rare.should_be), (Standing::NoneIsEnough, None));
        assert!(
            rare.found().contains("no bond is high enough"),
            "{}",
            rare.found()
        );
        let least = of(MAX_AMOUNT, 3_000 * CRN, 1);
        assert_eq!(least.state, Standing::Enough);
    }

    #[test]
    fn before_an_epoch_paid_a_miner_nothing_is_known() {
        let unknown = of(0, 0, AuditRules::EACH);
        assert_eq!(
            (unknown.state, unknown.should_be),
            (Standing::Unknown, None)
        );
        assert!(
            unknown.found().contains("once an epoch"),
            "{}",
            unknown.found()
        );
        assert_eq!(unknown.remedy, None);
    }

    #[test]
    fn what_was_announced_is_what_counts() {
        let announced = |bond| {
            let mut subnet = a_subnet();
            (
                subnet.hyperparameters.tempo,
                subnet.hyperparameters.min_miner_bond,
            ) = (100, CRN);
            subnet.announced = Some(AnnouncedRules {
                from: 1_234,
                hyperparameters: Hyperparameters {
                    min_miner_bond: bond,
                    ..subnet.hyperparameters.clone()
                },
            });
            let (run, oldest) = rounds(4, 50, AuditRules::EACH);
            LeastBond::of(&subnet, &members(20 * CRN), &run, Some(&oldest))
        };
        let raised = announced(2 * CRN);
        assert_eq!(raised.state, Standing::Enough);
        let found = raised.found();
        assert!(
            found.contains("1.00 CRN, 2.00 CRN from block 1,234 on"),
            "{found}"
        );
        assert_eq!(announced(2 * CRN - 1).state, Standing::TooLow);
        assert_eq!(announced(CRN).announced, None, "another rule was announced");
    }

    #[test]
    fn a_round_is_as_long_as_rounds_were_and_never_longer_than_it_can_be() {
        let (run, oldest) = rounds(4, 50, 0);
        let longest = run.config.phases.round();
        assert!(longest > 10);
        let pace = |blocks, rounds| Pace { blocks, rounds };
        assert_eq!(Pace::of(&run, Some(&oldest)), pace(40, 4));
        assert_eq!(Pace::of(&run, None), pace(longest, 1));
        assert_eq!(Pace::of(&run, Some(&run.round)), pace(longest, 1));
        let (waited, oldest) = rounds(2, 10_000, 0);
        assert_eq!(Pace::of(&waited, Some(&oldest)), pace(2 * longest, 2));
        // Two epochs a round, as in a network that lives for minutes.
        assert_eq!(pace(40, 4).pay_of_a_round(3, 5), 6);
        assert_eq!(
            pace(BlockNumber::MAX, 1).pay_of_a_round(Balance::MAX, 0),
            Balance::MAX
        );
    }

    #[test]
    fn programs_are_told_the_same() {
        let json = serde_json::to_value(of(CRN / 2, 5 * CRN, AuditRules::EACH / 2)).unwrap();
        assert_eq!(
            (&json["now"], &json["should_be"]),
            (&"500000000".into(), &"1000000000".into())
        );
        assert_eq!(
            (&json["state"], &json["audit_rate"]),
            (&"too_low".into(), &32_768.into())
        );
        assert!(json["do"]
            .as_str()
            .is_some_and(|remedy| remedy.contains("subnet set")));
        let json = serde_json::to_value(of(0, 0, AuditRules::EACH)).unwrap();
        assert!(
            json["should_be"].is_null() && json["do"].is_null(),
            "{json}"
        );
    }
}
