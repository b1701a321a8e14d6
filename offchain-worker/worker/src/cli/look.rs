//! `cairn status`.

mod watch;

use cairn_chain::{Block, Client, MemberInfo, RunInfo, SubnetInfo};
use cairn_primitives::{
    api::LineageEntry, nats, BlockNumber, MicroNats, Netuid, Phase, Round, Uid, H256,
};
use clap::{builder::BoolishValueParser, Args};
use serde::Serialize;

use super::{
    args::{JsonArg, NetuidArg, NodeArgs},
    print,
};
use crate::{
    amount::{counted, crn, thousands},
    error::Failure,
    roles::idle::{has_begun, waits_for, Facts},
    table::{percent, short, table},
};

/// `cairn status`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn status\n  cairn status --netuid 2 --node ws://10.0.0.1:9944 --json\n  cairn status --watch\n\n--watch shows it again with each block until Ctrl-C: on a terminal in place, else as a line, with --json as a line of JSON."
)]
pub struct Status {
    /// Show it again with each new block, until Ctrl-C
    #[arg(long, env = "CAIRN_WATCH", value_parser = BoolishValueParser::new())]
    watch: bool,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Seen {
    node: String,
    genesis: H256,
    block: BlockNumber,
    finalized: BlockNumber,
    subnet: SubnetInfo,
    run: Option<RunInfo>,
    /// The newest entry, which may not be final yet.
    lineage: Option<LineageEntry>,
    /// The newest loss that validators agreed on, of those of the last [`ROOTS`] rounds.
    loss: Option<Loss>,
    members: Vec<MemberInfo>,
    /// Members without a part in the current round, and why.
    idle: Vec<Idle>,
}

/// Rounds of which the roots are looked at.
const ROOTS: Round = 16;

/// The mean loss of the parameters with which a round began.
#[derive(Serialize)]
struct Loss {
    round: Round,
    micro_nats: MicroNats,
}

impl Loss {
    /// The newest one of these entries, if any has one.
    fn newest(lineage: &[LineageEntry]) -> Option<Loss> {
        lineage.iter().rev().find_map(|entry| {
            let (round, micro_nats) = (entry.round, entry.loss?);
            Some(Loss { round, micro_nats })
        })
    }
}

#[derive(Serialize)]
struct Idle {
    uid: Uid,
    why: String,
}

/// There is no such subnet.
pub fn no_subnet(netuid: Netuid) -> Failure {
    Failure::new(
        format!("there is no subnet {netuid}"),
        "list them with `cairn subnet ls`",
    )
}

/// There is no run.
pub fn no_run(subnet: &SubnetInfo) -> Failure {
    let netuid = subnet.netuid;
    match subnet.dissolves_from {
        Some(from) => Failure::new(
            format!("subnet {netuid} has no run, and there will be none"),
            format!("it is being dissolved, from block {from} on"),
        ),
        None => Failure::new(
            format!("subnet {netuid} has no run"),
            "its owner starts one with `cairn run start`",
        ),
    }
}

/// What happens in a phase.
pub fn phase_in_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Train => "miners train and commit",
        Phase::Reveal => "miners reveal their keys",
        Phase::Attest => "validators attest",
        Phase::Settle => "the next block settles it",
    }
}

/// Where a run stands.
pub fn round_in_words(run: &RunInfo, subnet: &SubnetInfo, members: &[MemberInfo]) -> String {
    if has_begun(run) {
        let round = &run.round;
        return format!("round {}: {}", round.round, phase_in_words(round.phase));
    }
    match waits_for(subnet, members) {
        Some(what) => format!("no round yet: it waits for {what}"),
        None => "no round yet: round 0 begins in the next block".into(),
    }
}

/// A table of members.
pub fn members(members: &[MemberInfo]) -> String {
    let row = |member: &MemberInfo| {
        let role = format!("{:?}", member.role).to_lowercase();
        vec![
            member.uid.to_string(),
            role,
            crn(member.stake, 2),
            crn(member.bond, 2),
            percent(member.incentive.into(), u16::MAX.into()),
            percent(member.dividends.into(), u16::MAX.into()),
            crn(member.earned, 4),
            member.hotkey.to_string(),
        ]
    };
    let head = [
        "uid",
        "role",
        "stake",
        "bond",
        "incentive",
        "dividends",
        "earned CRN",
        "hotkey",
    ];
    table(&head, &members.iter().map(row).collect::<Vec<_>>())
}

impl Status {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let client = self.node.connect().await?;
        if self.watch {
            return watch::run(&client, netuid, self.json.json).await;
        }
        let seen = Seen::at(&client, client.best().await?, netuid).await?;
        print(self.json.json, &seen, Seen::text)
    }
}

impl Seen {
    /// What there is to see after the block `head`.
    async fn at(client: &Client, head: Block, netuid: Netuid) -> Result<Seen, Failure> {
        let finalized = client.finalized().await?;
        let view = client.at(head.hash);
        let subnet = view.subnet(netuid).await?;
        let subnet = subnet.ok_or_else(|| no_subnet(netuid))?;
        let run = view.run(netuid).await?;
        let round = run.as_ref().map_or(0, |run| run.round.round);
        let mut lineage = view.lineage(netuid, round.saturating_sub(ROOTS)).await?;
        let loss = Loss::newest(&lineage);
        let members = view.members(netuid).await?;
        let facts = Facts {
            subnet: &subnet,
            run: run.as_ref(),
            members: &members,
            now: head.number,
        };
        let why = |member: &MemberInfo| {
            let uid = member.uid;
            facts.of_member(member).map(|why| Idle { uid, why })
        };
        let idle = members.iter().filter_map(why).collect();
        Ok(Seen {
            node: client.url().into(),
            genesis: client.genesis_hash(),
            block: head.number,
            finalized: finalized.number,
            idle,
            subnet,
            run,
            lineage: lineage.pop(),
            loss,
            members,
        })
    }

    fn text(&self) -> String {
        let mut text = format!(
            "node     {}, block {}, finalised {}\nchain    {}\nsubnet   {}, {}, {} CRN staked\n",
            self.node,
            thousands(self.block.into()),
            thousands(self.finalized.into()),
            short(&self.genesis),
            self.subnet.netuid,
            counted(self.subnet.members, "member"),
            crn(self.subnet.stake, 2),
        );
        if let Some(from) = self.subnet.dissolves_from {
            text += &format!(
                "         being dissolved: nothing is trained, stake and bonds are paid back from block {} on\n",
                thousands(from.into())
            );
        }
        text += &self.run_text();
        text += &self.parameters_text();
        text += &self.loss.as_ref().map_or_else(String::new, Loss::text);
        if self.members.is_empty() {
            let netuid = self.subnet.netuid;
            text += &match self.subnet.dissolves_from {
                Some(_) => "members  none\n".into(),
                None => {
                    format!("members  none; `cairn subnet register --netuid {netuid}` makes one\n")
                }
            };
            return text;
        }
        text = text + "\n" + &members(&self.members);
        if !self.idle.is_empty() {
            text += "\nwithout a part in the round\n";
        }
        for idle in &self.idle {
            text += &format!("  uid {}: {}\n", idle.uid, idle.why);
        }
        text
    }

    fn run_text(&self) -> String {
        let Some(run) = &self.run else {
            return match self.subnet.dissolves_from {
                Some(_) => "run      none\n".into(),
                None => "run      none; its owner starts one with `cairn run start`\n".into(),
            };
        };
        let name = format!("run      {}\n", run.config.name.to_text());
        let stands = round_in_words(run, &self.subnet, &self.members);
        if !has_begun(run) {
            return name + &format!("round    {stands}\n");
        }
        let (block, blocks) = self.place(run);
        let round = &run.round;
        let attested = round.validators.iter().filter(|v| v.attested).count();
        let miners: Vec<Uid> = round.miners.iter().map(|(uid, _)| *uid).collect();
        let validators: Vec<Uid> = round.validators.iter().map(|v| v.uid).collect();
        name + &format!(
            "round    {}, block {block} of {blocks}\n         miners: {}\n         validators: {}{}\n",
            stands.trim_start_matches("round "),
            uids(&miners, "nobody had the bond when it began"),
            uids(&validators, "nobody had the stake when it began"),
            match attested {
                0 => String::new(),
                some => format!("; {some} of {} attested", validators.len()),
            }
        ) + &unawaited(run)
    }

    /// The block within the round, from 1, and the round's blocks.
    fn place(&self, run: &RunInfo) -> (BlockNumber, BlockNumber) {
        let elapsed = self.block.saturating_sub(run.round.times.start);
        let blocks = run.round.times.due.saturating_sub(run.round.times.start);
        (elapsed.saturating_add(1).min(blocks), blocks)
    }

    fn parameters_text(&self) -> String {
        let Some(entry) = &self.lineage else {
            return String::new();
        };
        if entry.attested_stake == 0 {
            return format!("model    of round {}: nobody attested them\n", entry.round);
        }
        let stake = percent(entry.attested_stake, entry.total_stake);
        let state = match entry.is_final {
            true => "final",
            false => "not final: less than two thirds of those who attested agree",
        };
        format!(
            "model    {} of round {}, attested by {stake} of stake, {state}\n",
            short(&entry.model_root),
            entry.round
        )
    }
}

impl Loss {
    /// What it is of, and its unit.
    fn text(&self) -> String {
        format!(
            "loss     {:.4} nats per token with the model of round {}, as validators agree\n",
            nats(self.micro_nats),
            self.round
        )
    }
}

/// The members for which rounds do not wait, if there are any.
fn unawaited(run: &RunInfo) -> String {
    let uids_of: Vec<Uid> = run.unawaited.iter().map(|(uid, _)| *uid).collect();
    match uids_of.is_empty() {
        true => String::new(),
        false => format!(
            "         does not wait long for: {}, which earned nothing yet or held a round up\n",
            uids(&uids_of, "")
        ),
    }
}

/// `uid 0`, `uids 0, 3`, or why nobody.
fn uids(uids: &[Uid], nobody: &str) -> String {
    match uids {
        [] => format!("none, {nobody}"),
        [uid] => format!("uid {uid}"),
        several => {
            let numbers: Vec<String> = several.iter().map(Uid::to_string).collect();
            format!("uids {}", numbers.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::testing::{a_member, a_run, a_subnet};
    use cairn_chain::AccountId;
    use cairn_primitives::api::{Attester, Duty};
    use cairn_primitives::ModelRoot;
    use cairn_protocol::phase::Timetable;

    fn seen(run: Option<RunInfo>) -> Seen {
        Seen {
            node: "ws://here".into(),
            genesis: H256::zero(),
            block: 104,
            finalized: 102,
            subnet: a_subnet(),
            run,
            lineage: None,
            loss: None,
            members: Vec::new(),
            idle: Vec::new(),
        }
    }

    fn in_round_3() -> RunInfo {
        let mut run = a_run();
        run.round.round = 3;
        run.round.times = Timetable::new(100, &run.config.phases).0;
        (run.round.phase, run.round.seed) = (Phase::Train, H256([1; 32]));
        run
    }

    fn waiting() -> RunInfo {
        let mut run = a_run();
        (run.round.times.start, run.round.phase) = (105, Phase::Settle);
        run.round.seed = H256::zero();
        run
    }

    #[test]
    fn a_run_that_waits_says_for_what_and_shows_no_block_of_no_round() {
        let text = seen(Some(waiting())).text();
        assert!(
            text.contains("no round yet: it waits for a miner with a bond of"),
            "{text}"
        );
        assert!(
            !text.contains("Settle") && !text.contains("block 0"),
            "{text}"
        );
        assert!(
            text.contains("members  none; `cairn subnet register"),
            "{text}"
        );
        let mut ready = seen(Some(waiting()));
        let member = |uid, role| MemberInfo {
            role,
            ..a_member(uid, AccountId([uid.get() as u8; 32]))
        };
        ready.members = vec![member(Uid(0), Duty::Miner), member(Uid(1), Duty::Validator)];
        assert!(
            ready.text().contains("round 0 begins in the next block"),
            "{}",
            ready.text()
        );
    }

    #[test]
    fn a_uid_is_called_one_and_nobody_is_said_so() {
        let mut run = in_round_3();
        let text = seen(Some(run.clone())).text();
        assert!(
            text.contains("round    3: miners train and commit, block 5 of 16"),
            "{text}"
        );
        assert!(text.contains("miners: none, nobody had the bond"), "{text}");
        assert!(
            text.contains("validators: none, nobody had the stake"),
            "{text}"
        );
        let key = AccountId([1; 32]);
        run.round.miners = vec![(Uid(0), key)];
        run.round.validators = vec![Attester {
            uid: Uid(1),
            hotkey: key,
            stake: 9,
            committed: None,
            attested: true,
        }];
        let text = seen(Some(run.clone())).text();
        assert!(text.contains("miners: uid 0\n"), "{text}");
        assert!(
            text.contains("validators: uid 1; 1 of 1 attested\n"),
            "{text}"
        );
        run.round.miners.push((Uid(3), key));
        assert!(seen(Some(run)).text().contains("miners: uids 0, 3\n"));
    }

    #[test]
    fn those_for_whom_no_round_waits_are_named() {
        let mut run = in_round_3();
        let text = seen(Some(run.clone())).text();
        assert!(!text.contains("does not wait"), "{text}");
        let key = AccountId([1; 32]);
        run.unawaited = vec![(Uid(3), key), (Uid(4), key)];
        let text = seen(Some(run)).text();
        let line = "         does not wait long for: uids 3, 4, which earned nothing yet or held a round up\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn parameters_that_nobody_attested_have_no_root_to_show() {
        let mut seen = seen(Some(in_round_3()));
        let entry = LineageEntry {
            round: 2,
            model_root: ModelRoot::zero(),
            attested_stake: 0,
            attesting_stake: 0,
            total_stake: 10,
            is_final: false,
            loss: None,
        };
        seen.lineage = Some(entry.clone());
        let text = seen.text();
        assert!(
            text.contains("model    of round 2: nobody attested them"),
            "{text}"
        );
        assert!(!text.contains("model    0x"), "{text}");
        let root = H256([7; 32]);
        seen.lineage = Some(LineageEntry {
            model_root: ModelRoot(root),
            attested_stake: 9,
            attesting_stake: 9,
            is_final: true,
            ..entry
        });
        assert!(seen.text().contains("attested by 90 % of stake, final"));
    }

    #[test]
    fn the_newest_loss_that_validators_agree_on_is_shown() {
        let entry = |round, loss| LineageEntry {
            round,
            model_root: ModelRoot(H256([7; 32])),
            attested_stake: 9,
            attesting_stake: 9,
            total_stake: 10,
            is_final: true,
            loss,
        };
        let mut seen = seen(Some(in_round_3()));
        assert!(Loss::newest(&[entry(1, None), entry(2, None)]).is_none());
        assert!(!seen.text().contains("loss"));
        let lineage = [
            entry(0, Some(3_465_736)),
            entry(1, Some(3_250_000)),
            entry(2, None),
        ];
        seen.loss = Loss::newest(&lineage);
        let text = seen.text();
        let says =
            "\nloss     3.2500 nats per token with the model of round 1, as validators agree\n";
        assert!(text.contains(says), "{text}");
        let json = serde_json::to_value(&seen).expect("JSON");
        let expected = serde_json::json!({ "round": 1, "micro_nats": 3_250_000 });
        assert_eq!(json["loss"], expected);
    }

    #[test]
    fn nobody_is_told_to_start_a_run_on_a_subnet_that_is_being_dissolved() {
        let mut seen = seen(None);
        assert!(seen.text().contains("its owner starts one"));
        seen.subnet.dissolves_from = Some(4_000);
        let text = seen.text();
        assert!(
            text.contains("being dissolved") && text.contains("from block 4,000 on"),
            "{text}"
        );
        assert!(
            !text.contains("starts one") && !text.contains("register"),
            "{text}"
        );
        let error = no_run(&seen.subnet).to_string();
        assert!(
            error.contains("being dissolved") && !error.contains("starts one"),
            "{error}"
        );
    }

    #[test]
    fn who_is_idle_is_listed_with_the_reason() {
        let mut seen = seen(None);
        seen.members = vec![a_member(Uid(4), AccountId([4; 32]))];
        seen.idle = vec![Idle {
            uid: Uid(4),
            why: "its bond is 5.00 of at least 10.00 CRN".into(),
        }];
        assert!(
            seen.text().contains("  uid 4: its bond is 5.00 of"),
            "{}",
            seen.text()
        );
    }
}
