//! `cairn status`.

use cairn_chain::{MemberInfo, RunInfo, SubnetInfo};
use cairn_primitives::{api::LineageEntry, BlockNumber, Netuid, Uid, H256};
use clap::Args;
use serde::Serialize;

use super::{
    args::{JsonArg, NetuidArg, NodeArgs},
    print,
};
use crate::{
    amount::{crn, thousands},
    error::Failure,
    table::{percent, short, table},
};

/// `cairn status`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn status\n  cairn status --netuid 2 --node ws://10.0.0.1:9944 --json"
)]
pub struct Status {
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
    members: Vec<MemberInfo>,
}

/// There is no such subnet.
pub fn no_subnet(netuid: Netuid) -> Failure {
    Failure::new(
        format!("there is no subnet {netuid}"),
        "list them with `cairn subnet ls`",
    )
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
        let (head, finalized) = (client.best().await?, client.finalized().await?);
        let view = client.at(head.hash);
        let subnet = view
            .subnet(netuid)
            .await?
            .ok_or_else(|| no_subnet(netuid))?;
        let run = view.run(netuid).await?;
        let from = run
            .as_ref()
            .map_or(0, |run| run.round.round.saturating_sub(1));
        let seen = Seen {
            node: client.url().into(),
            genesis: client.genesis_hash(),
            block: head.number,
            finalized: finalized.number,
            lineage: view.lineage(netuid, from).await?.pop(),
            members: view.members(netuid).await?,
            subnet,
            run,
        };
        print(self.json.json, &seen, Seen::text)
    }
}

impl Seen {
    fn text(&self) -> String {
        let mut text = format!(
            "node     {}, block {}, finalised {}\nchain    {}\nsubnet   {}, {} members, {} CRN staked\n",
            self.node,
            thousands(self.block.into()),
            thousands(self.finalized.into()),
            short(&self.genesis),
            self.subnet.netuid,
            self.subnet.members,
            crn(self.subnet.stake, 2),
        );
        match &self.run {
            None => text += "run      none; its owner starts one with `cairn run start`\n",
            Some(run) => {
                let elapsed = self.block.saturating_sub(run.round.start);
                let uids = |miners: &[(Uid, _)]| match miners {
                    [] => "none yet".into(),
                    miners => miners
                        .iter()
                        .map(|(uid, _)| uid.to_string())
                        .collect::<Vec<_>>()
                        .join(" "),
                };
                text += &format!(
                    "run      {}\nround    {}, {:?}, block {elapsed} of {}; miners {}\n",
                    run.config.name.to_text(),
                    run.round.round,
                    run.round.phase,
                    run.config.phases.round(),
                    uids(&run.round.miners),
                );
            }
        }
        if let Some(entry) = &self.lineage {
            let stake = percent(entry.attested_stake, entry.total_stake);
            let state = if entry.is_final {
                "final"
            } else {
                "not final yet"
            };
            text += &format!(
                "weights  {} of round {}, attested by {stake} of stake, {state}\n",
                short(&entry.state_root),
                entry.round
            );
        }
        text + "\n" + &members(&self.members)
    }
}
