//! `cairn status` and `cairn emissions`.

use cairn_chain::{AccountEarning, MemberInfo, RunInfo, SubnetInfo};
use cairn_primitives::{
    api::{Issuance, LineageEntry, Schedule, SubnetEmission},
    BlockNumber, Netuid, Uid, H256,
};
use clap::Args;
use serde::Serialize;

use super::{
    args::{JsonArg, KeyArgs, NetuidArg, NodeArgs},
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

/// `cairn emissions`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn emissions\n  cairn emissions --account miner\n  cairn emissions --account 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY --json"
)]
pub struct Emissions {
    /// Show what this account earned: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_ACCOUNT", value_name = "ADDRESS|WALLET")]
    account: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
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

#[derive(Serialize)]
struct Economy {
    schedule: Schedule,
    issuance: Issuance,
    subnets: Vec<SubnetEmission>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Vec<AccountEarning>>,
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
                let uids = |miners: &[(Uid, _)]| {
                    miners
                        .iter()
                        .map(|(uid, _)| uid.to_string())
                        .collect::<Vec<_>>()
                        .join(" ")
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

impl Emissions {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let account = self
            .account
            .as_deref()
            .map(|text| self.key.account(text))
            .transpose()?;
        let view = self.node.connect().await?.at_best().await?;
        let mut subnets = Vec::new();
        for subnet in view.subnets().await? {
            subnets.extend(view.emission(subnet.netuid).await?);
        }
        let earnings = match &account {
            Some(account) => Some(view.account(account).await?),
            None => None,
        };
        let economy = Economy {
            schedule: view.schedule().await?,
            issuance: view.issuance().await?,
            subnets,
            account: earnings,
        };
        print(self.json.json, &economy, Economy::text)
    }
}

impl Economy {
    fn text(&self) -> String {
        let (s, i) = (&self.schedule, &self.issuance);
        let (owner, miners, validators) = s.split;
        let mut text = format!(
            "issued     {} of {} CRN, {} CRN a block; {} halvings, the next at {} CRN\n",
            crn(s.issued, 4),
            crn(s.cap, 2),
            crn(s.per_block, 9),
            s.halvings,
            crn(s.next_halving, 2),
        );
        text +=
            &format!("split      owner {owner} %, miners {miners} %, validators {validators} %\n");
        text += &format!(
            "where      accounts {}, stakes {}, unbonding {}, bonds {}, pots {}\n\n",
            crn(i.balances, 4),
            crn(i.stakes, 4),
            crn(i.unbonding, 4),
            crn(i.bonds, 4),
            crn(i.pots, 4),
        );
        let row = |subnet: &SubnetEmission| {
            vec![
                subnet.netuid.to_string(),
                percent(subnet.share, 1_000_000_000),
                crn(subnet.paid, 4),
                crn(subnet.owner_pot, 4),
                crn(subnet.miners_pot, 4),
                crn(subnet.validators_pot, 4),
                subnet.next_epoch.to_string(),
            ]
        };
        let head = [
            "netuid",
            "share",
            "paid",
            "owner pot",
            "miners' pot",
            "validators' pot",
            "next epoch",
        ];
        text += &table(&head, &self.subnets.iter().map(row).collect::<Vec<_>>());
        if let Some(earnings) = &self.account {
            let row = |earning: &AccountEarning| {
                vec![
                    earning.netuid.to_string(),
                    earning.uid.map_or("–".into(), |uid| uid.to_string()),
                    crn(earning.earned, 4),
                    crn(earning.stake, 4),
                    crn(earning.bond, 4),
                    earning.hotkey.to_string(),
                ]
            };
            let head = ["netuid", "uid", "earned", "stake", "bond", "hotkey"];
            text += "\n";
            text += &table(&head, &earnings.iter().map(row).collect::<Vec<_>>());
        }
        text
    }
}
