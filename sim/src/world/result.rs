//! How a simulation was: what the command writes.

use std::collections::BTreeMap;

use cairn_primitives::{
    api::pebble,
    traits::{Membership, Positions},
    Balance, MicroNats, ModelRoot, Round, Uid, H256,
};
use cairn_round::scoring::Evidence;
use cairn_runtime::{readers, AccountId, Balances, Emissions, Stake, Subnets};
use frame_support::traits::fungible::Inspect;
use serde::Serialize;

use super::{Expenses, Losses, World};
use crate::{
    chain::{founding::ENDOWMENT, reads::Part},
    checkers::{tally::Tally, Fault},
    clock::seconds,
    member::Member,
    meter::Meter,
    settings::Role,
};

/// A round.
#[derive(Clone, Debug, Serialize)]
pub struct RoundResult {
    /// Its number.
    pub round: Round,
    /// Whose contributions were included, ascending.
    pub included: Vec<Uid>,
    /// Who had a part in it, and did it.
    #[serde(flatten)]
    pub part: Part,
    /// Whether there were none.
    pub null: bool,
    /// The root of the parameters after it; none if no honest member came that far.
    pub model_root: Option<ModelRoot>,
    /// The loss that the chain keeps of the parameters with which it began, in micro-nats per token; none of the last.
    pub loss: Option<MicroNats>,
    /// Virtual time from the end of the last round to its own, as of the finalised block.
    pub virtual_seconds: f64,
    /// Included contributions of those that were assigned. The churn table's goodput is another one: of inner steps.
    pub goodput: f64,
    /// What it took of an honest member.
    pub costs: Expenses,
}

/// A member.
#[derive(Clone, Debug, Serialize)]
pub struct MemberResult {
    /// Its number; none if it has no seat.
    pub uid: Option<Uid>,
    /// What it is there for.
    pub role: &'static str,
    /// The attack that it is part of.
    pub attack: Option<&'static str>,
    /// GPUs that it works with.
    pub gpus: f64,
    /// What its hotkey was paid in all subnets; an outsider: what all hotkeys of its coldkey were, and its subnets'
    /// cuts.
    #[serde(with = "pebble")]
    pub earned: Balance,
    /// The part of it that was paid in the second half of the rounds.
    #[serde(with = "pebble")]
    pub earned_late: Balance,
    /// What it earned as a miner and does not have yet.
    #[serde(with = "pebble")]
    pub withheld: Balance,
    /// What its coldkey is poorer by, what it earned aside; of several members of one coldkey, each its part.
    #[serde(with = "pebble")]
    pub lost: Balance,
    /// What its coldkey is richer by, what it earned aside.
    #[serde(with = "pebble")]
    pub gained: Balance,
    /// What it lost by audits, as far as blocks are final.
    #[serde(skip)]
    pub losses: Losses,
    /// Stake on it when the network was set up, in pebble.
    #[serde(skip)]
    pub staked: Balance,
    /// Its name.
    #[serde(skip)]
    pub name: String,
    /// What an attacker has to tell.
    #[serde(skip)]
    pub told: Option<String>,
}

/// A simulation.
#[derive(Clone, Debug, Serialize)]
pub struct RunResult {
    /// The seed.
    pub seed: u64,
    /// Digest over all that happened.
    pub digest: H256,
    /// Virtual time that passed.
    pub virtual_seconds: f64,
    /// Loss of text that nobody trained on, of the newest parameters that an honest member holds, in nats per token.
    pub heldout_loss: f64,
    /// The rounds.
    pub rounds: Vec<RoundResult>,
    /// The members.
    pub members: Vec<MemberResult>,
    /// What was issued for the subnet's miners: what they were paid, what is withheld of them, and what their pot has.
    #[serde(with = "pebble")]
    pub for_miners: Balance,
    /// Whether each checker found nothing wrong.
    pub checks: BTreeMap<&'static str, bool>,
    /// The most sealed bytes that an honest validator held at once.
    pub held_bytes: u64,
    /// What a round took of an honest member, over all of them.
    pub costs: Expenses,
    /// What audits took of all honest processors together, as a share of what training took.
    pub audit_share: f64,
    /// Blocks that were undone.
    #[serde(skip)]
    pub undone: usize,
    /// Rows of scores that honest members committed to in fine weather, and that could be revealed: how many were.
    #[serde(skip)]
    pub revealed: usize,
    /// How many were not.
    #[serde(skip)]
    pub unrevealed: usize,
    /// What they found.
    #[serde(skip)]
    pub faults: Vec<Fault>,
    /// What each honest validator measured.
    #[serde(skip)]
    pub evidence: Vec<Vec<Evidence>>,
    /// How often the checkers were told of each kind of happening.
    #[serde(skip)]
    pub tally: Tally,
}

impl RunResult {
    /// Whether all checkers found nothing wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// Checkers that found something wrong, in alphabetical order.
    pub fn broken(&self) -> Vec<&'static str> {
        let broken = self.checks.iter().filter(|(_, holds)| !**holds);
        broken.map(|(name, _)| *name).collect()
    }

    /// What was issued for honest miners in a second, in pebble: of all that was issued for miners, as large a part as
    /// the honest ones have of what epochs gave. So it does not depend on when the last epoch was, nor on whose audits
    /// were open then. Nothing if no epoch gave anything. Attackers that do a miner's work count as honest here.
    pub fn honest_pay(&self, attackers_work: bool) -> f64 {
        let miners = || self.members.iter().filter(|member| member.role == "miner");
        let given = |member: &MemberResult| member.earned.saturating_add(member.withheld) as f64;
        let all: f64 = miners().map(given).sum();
        let honest = miners().filter(|member| attackers_work || member.attack.is_none());
        let honest: f64 = honest.map(given).sum();
        if all * self.virtual_seconds > 0.0 {
            honest / all * self.for_miners as f64 / self.virtual_seconds
        } else {
            0.0
        }
    }

    /// Rounds in which nothing was included.
    pub fn null_rounds(&self) -> usize {
        self.rounds.iter().filter(|round| round.null).count()
    }
}

/// How a member stands.
pub(super) struct Standing {
    uid: Option<Uid>,
    /// What its hotkey was paid, or an outsider's coldkey in all.
    pub earned: Balance,
    /// What it earned as a miner and does not have yet.
    withheld: Balance,
    /// What its coldkey earned in all.
    together: Balance,
    /// What its coldkey has.
    wealth: Balance,
}

/// All that a coldkey has: in its account, staked, unbonding, and in the bonds of these hotkeys.
fn wealth(coldkey: &AccountId, hotkeys: &[AccountId]) -> Balance {
    let account = <Balances as Inspect<AccountId>>::total_balance(coldkey);
    let staked: Balance = <Stake as Positions<AccountId>>::positions(coldkey, None, 256)
        .iter()
        .map(|one| one.staked.saturating_add(one.total_unbonding()))
        .sum();
    let bonds: Balance = Subnets::all_netuids()
        .into_iter()
        .flat_map(|netuid| hotkeys.iter().map(move |hotkey| (netuid, hotkey)))
        .map(|(netuid, hotkey)| {
            let bond = Stake::bond_of(netuid, hotkey);
            bond.active.saturating_add(bond.unbonding)
        })
        .sum();
    account.saturating_add(staked).saturating_add(bonds)
}

fn earned(hotkey: &AccountId) -> Balance {
    let netuids = Subnets::all_netuids().into_iter();
    netuids
        .map(|netuid| Emissions::earned(netuid, hotkey))
        .sum()
}

/// What the hotkeys of a coldkey were paid, and what its subnets paid their owner.
fn earned_in_all(coldkey: &AccountId) -> Balance {
    let hotkeys = Subnets::hotkeys(coldkey, None, 256);
    let paid: Balance = hotkeys.iter().map(earned).sum();
    let owned = readers::subnets().into_iter();
    let owned = owned.filter(|subnet| subnet.owner == *coldkey);
    let cuts: Balance = owned
        .filter_map(|subnet| readers::emission(subnet.netuid))
        .map(|emission| emission.paid_to.owner)
        .sum();
    paid.saturating_add(cuts)
}

impl World {
    pub(super) fn result(mut self) -> (RunResult, Meter) {
        let members = self.member_results();
        let for_miners = self.for_miners();
        let newest = self
            .members
            .iter()
            .filter(|member| member.is_honest())
            .filter_map(|member| member.disk.content().held.clone())
            .max_by_key(|(held, _)| held.round);
        let theta = newest.map_or_else(|| self.workshop.initial(), |(_, theta)| theta);
        let heldout_loss = self.workshop.held_out(&theta);
        let newest = self.epoch;
        let ran = self.scores.iter();
        let ran = ran.filter(|((_, epoch), _)| epoch.saturating_add(1) < newest);
        let (revealed, unrevealed): (Vec<_>, Vec<_>) = ran.partition(|(_, is_out)| **is_out);
        let (revealed, unrevealed) = (revealed.len(), unrevealed.len());
        let mut before = self.began;
        let mut costs = Expenses::default();
        let rounds = self.settled.iter().map(|one| {
            let of_round = self.expenses(one.round);
            costs.merge(&of_round);
            let took = one
                .at
                .saturating_sub(std::mem::replace(&mut before, one.at));
            RoundResult {
                round: one.round,
                null: one.included.is_empty(),
                model_root: self.kept.get(&one.round.saturating_add(1)).copied(),
                loss: one.loss,
                virtual_seconds: seconds(took),
                goodput: one.included.len() as f64 / one.part.assigned.len().max(1) as f64,
                included: one.included.clone(),
                part: one.part.clone(),
                costs: of_round,
            }
        });
        let rounds: Vec<RoundResult> = rounds.collect();
        let result = RunResult {
            seed: self.settings.seed,
            rounds,
            digest: H256(*self.log.finalize().as_bytes()),
            virtual_seconds: seconds(self.clock.now()),
            heldout_loss,
            members,
            for_miners,
            checks: self.checkers.verdicts().collect(),
            held_bytes: self.held_bytes,
            audit_share: costs.audit_share(),
            costs,
            undone: self.undone,
            revealed,
            unrevealed,
            faults: self.checkers.faults().to_vec(),
            evidence: self.evidence.into_values().collect(),
            tally: self.checkers.tally().clone(),
        };
        (result, self.meter)
    }

    /// What every member has earned and has, as of the best block.
    pub(super) fn earnings(&mut self) -> Vec<Standing> {
        let netuid = self.netuid;
        let of = |member: &Member| {
            let (hotkey, coldkey) = (member.hotkey.account(), member.coldkey.account());
            let hotkeys = Subnets::hotkeys(coldkey, None, 256);
            let together = earned_in_all(coldkey);
            let uid = Subnets::uid(netuid, hotkey);
            Standing {
                uid,
                withheld: uid.map_or(0, |uid| Emissions::withheld(netuid, uid)),
                earned: match member.role {
                    Role::Outsider => together,
                    // What another coldkey's hotkey earns is not its own.
                    _ if hotkeys.contains(hotkey) => earned(hotkey),
                    _ => 0,
                },
                together,
                wealth: wealth(coldkey, &hotkeys),
            }
        };
        let members = &self.members;
        self.chain.ask_best(|| members.iter().map(of).collect())
    }

    /// What was issued for the miners of the subnet, as of the best block.
    fn for_miners(&mut self) -> Balance {
        let netuid = self.netuid;
        let emission = self.chain.ask_best(|| readers::emission(netuid));
        emission.map_or(0, |emission| {
            let given = emission.paid_to.miners.saturating_add(emission.withheld);
            given.saturating_add(emission.miners_pot)
        })
    }

    fn member_results(&mut self) -> Vec<MemberResult> {
        let standings = self.earnings();
        let halfway = self.halfway.iter().copied().chain(std::iter::repeat(0));
        let losses = (0..self.members.len()).map(|who| self.bytes.losses(who));
        let all = self.members.iter().zip(standings).zip(halfway.zip(losses));
        let result =
            |((member, standing), (halfway, losses)): ((&Member, Standing), (Balance, Losses))| {
                let coldkey = member.coldkey.account();
                let sharing = self.members.iter();
                let sharing = sharing.filter(|other| other.coldkey.account() == coldkey);
                let sharing = sharing.count().max(1) as u64;
                let had = ENDOWMENT.saturating_add(standing.together);
                MemberResult {
                    uid: standing.uid,
                    role: match member.role {
                        Role::Miner => "miner",
                        Role::Validator => "validator",
                        Role::Outsider => "outsider",
                    },
                    attack: member.attack,
                    gpus: member.gpus,
                    earned: standing.earned,
                    earned_late: standing.earned.saturating_sub(halfway),
                    withheld: standing.withheld,
                    lost: had.saturating_sub(standing.wealth) / sharing,
                    gained: standing.wealth.saturating_sub(had) / sharing,
                    losses,
                    staked: member.staked,
                    name: member.name.clone(),
                    told: member.behaviour.tells(),
                }
            };
        all.map(result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(
        role: &'static str,
        attack: Option<&'static str>,
        given: [Balance; 2],
    ) -> MemberResult {
        let [earned, withheld] = given;
        MemberResult {
            uid: None,
            role,
            attack,
            gpus: 1.0,
            earned,
            earned_late: 0,
            withheld,
            lost: 0,
            gained: 0,
            losses: Losses::default(),
            staked: 0,
            name: String::new(),
            told: None,
        }
    }

    fn result(members: Vec<MemberResult>, for_miners: Balance, virtual_seconds: f64) -> RunResult {
        RunResult {
            seed: 1,
            digest: H256::zero(),
            virtual_seconds,
            heldout_loss: 0.0,
            rounds: Vec::new(),
            members,
            for_miners,
            checks: BTreeMap::new(),
            held_bytes: 0,
            costs: Expenses::default(),
            audit_share: 0.0,
            undone: 0,
            revealed: 0,
            unrevealed: 0,
            faults: Vec::new(),
            evidence: Vec::new(),
            tally: Tally::default(),
        }
    }

    #[test]
    fn honest_pay_is_the_honest_part_of_all_that_was_issued_for_miners() {
        let members = || {
            vec![
                member("miner", None, [20, 5]),
                // What is withheld of it counts as paid.
                member("miner", None, [0, 15]),
                member("miner", Some("noise"), [50, 10]),
                // What validators have is no miner's pay.
                member("validator", None, [9_000, 0]),
                member("outsider", Some("junk"), [900, 0]),
            ]
        };
        // Of 100 that epochs gave, 40 are the honest miners'; as much again is in the pot. All in ten seconds.
        let run = result(members(), 200, 10.0);
        assert_eq!(run.honest_pay(false), 8.0);
        assert_eq!(run.honest_pay(true), 20.0, "where attackers work, too");
        assert_eq!(result(members(), 100, 10.0).honest_pay(false), 4.0);
        assert_eq!(result(members(), 200, 20.0).honest_pay(false), 4.0);
    }

    #[test]
    fn where_nothing_was_given_honest_pay_is_nothing() {
        let nobody = vec![
            member("miner", None, [0, 0]),
            member("validator", None, [7, 0]),
        ];
        assert_eq!(result(nobody, 200, 10.0).honest_pay(false), 0.0);
        assert_eq!(result(Vec::new(), 200, 10.0).honest_pay(true), 0.0);
        let paid = vec![member("miner", None, [7, 0])];
        assert_eq!(result(paid, 7, 0.0).honest_pay(false), 0.0, "no time");
    }
}
