//! `cairn why`: what a miner did in the last rounds, what became of it, and what would have paid more.

use cairn_chain::{MemberInfo, View};
use cairn_primitives::{AuditOutcome, Netuid, Round, Uid};
use cairn_protocol::limits::VALUE_ROUNDS;
use clap::Args;
use serde::Serialize;

use super::{
    args::{numbered, JsonArg, NetuidArg, NodeArgs},
    demand::{unserved, DemandArgs, Demanded, OnChain, Question},
    evidence::{explain, find, Explained},
    look::{no_run, no_subnet},
    print,
};
use crate::{
    amount::crn,
    error::Failure,
    table::{percent, table},
};

/// `cairn why`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn why --uid 3\n  cairn why --uid 3 --netuid 2 --json\n\nThe chain knows who was assigned data, committed, revealed, was included and audited. How it was measured, validators know: a log on\nthis machine says it, or else what they serve as evidence of the scores that count now (`cairn validate explain`)."
)]
pub struct Why {
    /// Number of the miner
    #[arg(long, env = "CAIRN_UID", value_name = "UID", value_parser = numbered::<Uid>())]
    uid: Uid,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
    #[command(flatten)]
    demand: DemandArgs,
}

/// What the chain says of a miner in a settled round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Part {
    round: Round,
    assigned: bool,
    committed: bool,
    revealed: bool,
    included: bool,
    is_null: bool,
    /// How its audit ended, if it was audited.
    audit: Option<AuditOutcome>,
}

#[derive(Serialize)]
struct Answer {
    netuid: Netuid,
    member: MemberInfo,
    rounds: Vec<Part>,
    /// How a validator on this machine measured it.
    measured: Option<Explained>,
    /// What validators serve as evidence, if none is on this machine.
    demanded: Vec<Demanded>,
    missing: Vec<String>,
}

impl Why {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let (uid, netuid) = (self.uid, self.netuid.netuid);
        let client = self.node.connect().await?;
        let view = client.at_best().await?;
        let subnet = view
            .subnet(netuid)
            .await?
            .ok_or_else(|| no_subnet(netuid))?;
        let run = view.run(netuid).await?.ok_or_else(|| no_run(&subnet))?;
        let members = view.members(netuid).await?;
        let member = members
            .into_iter()
            .find(|member| member.uid == uid)
            .ok_or_else(|| {
                Failure::new(
                    format!("subnet {netuid} has no uid {uid}"),
                    "list its members with `cairn status`",
                )
            })?;
        let first = run
            .round
            .round
            .saturating_sub(VALUE_ROUNDS)
            .max(run.oldest_round);
        let mut rounds = Vec::new();
        for round in first..run.round.round {
            rounds.extend(part(&view, netuid, round, &member).await?);
        }
        let measured = match find(None, netuid) {
            Some(log) => explain(&log, None, uid)?.filter(|it| it.hotkey == member.hotkey.hotkey()),
            None => None,
        };
        let (demanded, unmeasured) = match &measured {
            Some(_) => (Vec::new(), None),
            None => {
                let chain = OnChain::read(&view, netuid).await?;
                let question = Question {
                    uid,
                    round: None,
                    whom: None,
                };
                let demanded = self.demand.demand(&chain, &run.config, question).await?;
                let unserved = unserved(netuid, &demanded);
                (demanded, unserved.map(|failure| failure.to_string()))
            }
        };
        let answer = Answer {
            netuid,
            missing: missing(&rounds, &member, unmeasured),
            member,
            rounds,
            measured,
            demanded,
        };
        print(self.json.json, &answer, Answer::text)
    }
}

/// What became of a miner in a round; `None` if that is not kept.
async fn part(
    view: &View,
    netuid: Netuid,
    round: Round,
    member: &MemberInfo,
) -> Result<Option<Part>, Failure> {
    let (Some(info), Some(settled)) = (
        view.round(netuid, round).await?,
        view.settled(netuid, round).await?,
    ) else {
        return Ok(None);
    };
    let own = (member.uid, member.hotkey);
    let contributions = view.contributions(netuid, round).await?;
    let sent = contributions
        .iter()
        .find(|one| (one.uid, one.hotkey) == own);
    Ok(Some(Part {
        round,
        assigned: info.miners.contains(&own),
        committed: sent.is_some(),
        revealed: sent.is_some_and(|one| one.key.is_some()),
        included: sent.is_some() && settled.included.contains(&member.uid),
        is_null: settled.included.is_empty(),
        audit: view.audit_outcome(netuid, round, member.uid).await?,
    }))
}

/// What a miner lacked, what comes first in a round first.
fn missing(rounds: &[Part], member: &MemberInfo, unmeasured: Option<String>) -> Vec<String> {
    let count = |what: fn(&Part) -> bool| rounds.iter().filter(|part| what(part)).count();
    let said =
        |rounds: usize, what: &str| (rounds > 0).then(|| format!("in {rounds} rounds {what}"));
    let all = [
        said(
            count(|part| !part.assigned),
            "it was assigned no data: it had no bond or no role as a miner, or there was no room",
        ),
        said(
            count(|part| part.assigned && !part.committed),
            "it committed to nothing: see that the worker runs and trains within the round",
        ),
        said(
            count(|part| part.committed && !part.revealed),
            "it did not reveal: see that the worker reaches its node in the reveal phase",
        ),
        said(
            count(|part| part.revealed && !part.included && !part.is_null),
            "others were included and it was not: see that its store can be read by all",
        ),
        said(count(|part| part.is_null), "nothing was included of anybody"),
        said(
            count(|part| part.audit == Some(AuditOutcome::Silent)),
            "it served nothing for its audit and lost its bond: bond again, keep the worker running and its store in reach",
        ),
        said(
            count(|part| part.audit == Some(AuditOutcome::Failed)),
            "its audit found other work than it claimed and it lost its bond: bond again, and test this machine's memory",
        ),
        (member.incentive == 0)
            .then(|| "validators gave it no incentive in the last epoch".to_string()),
        unmeasured.map(|why| format!("how it was measured validators know: {why}")),
    ];
    all.into_iter().flatten().collect()
}

/// How an audit ended, in a word or two.
fn audited(outcome: AuditOutcome) -> &'static str {
    match outcome {
        AuditOutcome::Open => "not over",
        AuditOutcome::Passed => "passed",
        AuditOutcome::Failed => "failed",
        AuditOutcome::Silent => "silent",
        AuditOutcome::Undecided => "undecided",
    }
}

impl Answer {
    fn text(&self) -> String {
        let member = &self.member;
        let mut text = format!(
            "uid {} of subnet {}: incentive {}, paid {} CRN in the last epoch, {} CRN in all\n",
            member.uid,
            self.netuid,
            percent(member.incentive.into(), u16::MAX.into()),
            crn(member.last_paid, 4),
            crn(member.earned, 4),
        );
        let mark = |is_so: bool| if is_so { "yes" } else { "no" }.to_string();
        let row = |part: &Part| {
            let steps = [part.assigned, part.committed, part.revealed, part.included];
            let mut cells = vec![part.round.to_string()];
            cells.extend(steps.map(mark));
            cells.push(part.audit.map_or("–", audited).into());
            cells
        };
        let rows: Vec<Vec<String>> = self.rounds.iter().map(row).collect();
        text += &table(
            &[
                "round",
                "assigned",
                "committed",
                "revealed",
                "included",
                "audit",
            ],
            &rows,
        );
        for line in &self.missing {
            text += &format!("- {line}\n");
        }
        if let Some(measured) = &self.measured {
            text += &measured.text();
        }
        for one in &self.demanded {
            text += &one.text(member.uid);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_chain::AccountId;
    use cairn_primitives::{api::Duty, Role};

    fn member(incentive: u16) -> MemberInfo {
        MemberInfo {
            uid: Uid(3),
            hotkey: AccountId([3; 32]),
            coldkey: AccountId([4; 32]),
            role: Duty::Miner,
            chosen_role: Role::Miner,
            role_can_be_set_from: None,
            takes_foreign_stake: true,
            swap: None,
            registered_at: 1,
            stake: 0,
            bond: 10,
            take: 0,
            incentive,
            dividends: 0,
            last_paid: 5,
            earned: 9,
        }
    }

    fn part(done: usize) -> Part {
        Part {
            round: 1,
            assigned: done > 0,
            committed: done > 1,
            revealed: done > 2,
            included: done > 3,
            is_null: false,
            audit: None,
        }
    }

    #[test]
    fn a_lost_bond_is_said_with_its_reason() {
        for (outcome, word) in [
            (AuditOutcome::Silent, "served nothing"),
            (AuditOutcome::Failed, "other work"),
        ] {
            let part = Part {
                audit: Some(outcome),
                ..part(4)
            };
            let found = missing(&[part], &member(9), None);
            assert_eq!(found.len(), 1);
            assert!(
                found[0].contains(word) && found[0].contains("bond again"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn the_first_thing_that_was_missing_is_named_and_no_later_one() {
        let words = [
            "no data",
            "committed to nothing",
            "did not reveal",
            "it was not",
        ];
        for (done, word) in words.into_iter().enumerate() {
            let found = missing(&[part(done)], &member(9), None);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(word), "{found:?}");
        }
        assert!(missing(&[part(4)], &member(9), None).is_empty());
    }

    #[test]
    fn what_only_validators_know_is_said_to_be_missing() {
        let nobody = unserved(Netuid(1), &[]).map(|failure| failure.to_string());
        let found = missing(&[part(4)], &member(0), nobody);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("incentive") && found[1].contains("has revealed scores"));
    }
}
