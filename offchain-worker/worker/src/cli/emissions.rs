//! `cairn emissions`: how the token comes into being, where it is, who is paid what.

use cairn_chain::{AccountEarning, MemberEmission, MemberInfo, View};
use cairn_primitives::{
    api::{EpochPage, Issuance, MemberEpoch, Schedule, SubnetEmission, SubnetEpoch},
    Balance, EpochIndex, Netuid, Uid, HISTORY_EPOCHS,
};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    args::{numbered, JsonArg, KeyArgs, NetuidArg, NodeArgs},
    look::no_subnet,
    print,
};
use crate::{
    amount::{as_percent, crn},
    error::Failure,
    table::{percent, table},
};

/// `cairn emissions …`; an overview without a subcommand.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  cairn emissions                       schedule, where everything is, all subnets\n  cairn emissions --netuid 1            and what everybody in this subnet was paid\n  cairn emissions --account miner       and what this wallet's account has and earned\n  cairn emissions subnet --netuid 1\n  cairn emissions history --netuid 1 --uid 3 --json"
)]
pub struct Emissions {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    overview: Overview,
}

#[derive(Args, Debug)]
struct Overview {
    /// Show this subnet only, with what each of its members was paid
    #[arg(long, env = "CAIRN_NETUID", value_name = "NETUID", value_parser = numbered::<Netuid>())]
    netuid: Option<Netuid>,
    /// Also show what this account has and earned: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_ACCOUNT", value_name = "ADDRESS|WALLET")]
    account: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Show how the token is issued, and where it is
    #[command(
        after_help = "Examples:\n  cairn emissions schedule\n  cairn emissions schedule --json"
    )]
    Schedule(Schedules),
    /// Show a subnet: its share, its pots, its epochs
    #[command(after_help = "Examples:\n  cairn emissions subnet --netuid 2")]
    Subnet(OneSubnet),
    /// Show a member: its shares in the last epoch, and what it earned
    #[command(after_help = "Examples:\n  cairn emissions member --netuid 1 --uid 3")]
    Member(OneMember),
    /// Show the hotkeys that an account owns or stakes on: staked, earned, unbonding, take
    #[command(
        after_help = "Examples:\n  cairn emissions account miner\n  cairn emissions account 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY --json"
    )]
    Account(OneAccount),
    /// Show the last 64 epochs of a subnet or, with --uid, of a member
    #[command(
        after_help = "Examples:\n  cairn emissions history --netuid 1\n  cairn emissions history --netuid 1 --uid 3 --last 10 --json"
    )]
    History(Epochs),
}

#[derive(Args, Debug)]
struct Schedules {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Args, Debug)]
struct OneSubnet {
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Args, Debug)]
struct OneMember {
    #[command(flatten)]
    netuid: NetuidArg,
    /// The member's number
    #[arg(long, env = "CAIRN_UID", value_name = "UID", value_parser = numbered::<Uid>())]
    uid: Uid,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Args, Debug)]
struct OneAccount {
    /// The account: an address, or the name of a wallet
    #[arg(value_name = "ADDRESS|WALLET")]
    account: String,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Args, Debug)]
struct Epochs {
    #[command(flatten)]
    netuid: NetuidArg,
    /// Show this member instead of the whole subnet
    #[arg(long, env = "CAIRN_UID", value_name = "UID", value_parser = numbered::<Uid>())]
    uid: Option<Uid>,
    /// Number of epochs to show, the newest ones
    #[arg(long, env = "CAIRN_LAST", default_value_t = HISTORY_EPOCHS, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=HISTORY_EPOCHS as i64))]
    last: EpochIndex,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Money {
    schedule: Schedule,
    issuance: Issuance,
}

#[derive(Serialize)]
struct Economy {
    #[serde(flatten)]
    money: Money,
    subnets: Vec<SubnetEmission>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<MemberInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Vec<AccountEarning>>,
}

impl Emissions {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self.what {
            None => self.overview.run().await,
            Some(What::Schedule(it)) => it.run().await,
            Some(What::Subnet(it)) => it.run().await,
            Some(What::Member(it)) => it.run().await,
            Some(What::Account(it)) => it.run().await,
            Some(What::History(it)) => it.run().await,
        }
    }
}

impl Overview {
    async fn run(self) -> Result<(), Failure> {
        let account = self
            .account
            .as_deref()
            .map(|text| self.key.account(text))
            .transpose()?;
        let view = self.node.connect().await?.at_best().await?;
        let mut subnets = Vec::new();
        let members = match self.netuid {
            None => {
                for subnet in view.subnets().await? {
                    subnets.extend(view.emission(subnet.netuid).await?);
                }
                None
            }
            Some(netuid) => {
                let emission = view.emission(netuid).await?;
                subnets.push(emission.ok_or_else(|| no_subnet(netuid))?);
                Some(view.members(netuid).await?)
            }
        };
        let account = match &account {
            Some(account) => Some(view.account(account).await?),
            None => None,
        };
        let economy = Economy {
            money: Money::read(&view).await?,
            subnets,
            members,
            account,
        };
        print(self.json.json, &economy, Economy::text)
    }
}

impl Economy {
    fn text(&self) -> String {
        let mut text = self.money.text() + "\n";
        match &self.members {
            None => text += &subnets_table(&self.subnets),
            Some(members) => {
                text += &self.subnets.iter().map(subnet_text).collect::<String>();
                text = text + "\n" + &paid_table(members);
            }
        }
        if let Some(earnings) = &self.account {
            text = text + "\n" + &account_table(earnings);
        }
        text
    }
}

impl Schedules {
    async fn run(self) -> Result<(), Failure> {
        let view = self.node.connect().await?.at_best().await?;
        print(self.json.json, &Money::read(&view).await?, Money::text)
    }
}

impl OneSubnet {
    async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let view = self.node.connect().await?.at_best().await?;
        let emission = view.emission(netuid).await?;
        let emission = emission.ok_or_else(|| no_subnet(netuid))?;
        print(self.json.json, &emission, subnet_text)
    }
}

impl OneMember {
    async fn run(self) -> Result<(), Failure> {
        let (netuid, uid) = (self.netuid.netuid, self.uid);
        let view = self.node.connect().await?.at_best().await?;
        match view.member_emission(netuid, uid).await? {
            Some(member) => print(self.json.json, &member, member_text),
            None => Err(nobody(&view, netuid, uid).await?),
        }
    }
}

impl OneAccount {
    async fn run(self) -> Result<(), Failure> {
        let account = self.key.account(&self.account)?;
        let view = self.node.connect().await?.at_best().await?;
        let earnings = view.account(&account).await?;
        print(self.json.json, &earnings, |earnings| {
            account_table(earnings)
        })
    }
}

impl Epochs {
    async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let view = self.node.connect().await?.at_best().await?;
        let emission = view.emission(netuid).await?;
        let epochs = emission.ok_or_else(|| no_subnet(netuid))?.epochs;
        let from = epochs.saturating_sub(self.last);
        let json = self.json.json;
        match self.uid {
            None => {
                let page = view.subnet_history(netuid, from, self.last).await?;
                let page = page.ok_or_else(|| no_subnet(netuid))?;
                print(json, &page, subnet_history)
            }
            Some(uid) => match view.member_history(netuid, uid, from, self.last).await? {
                Some(page) => print(json, &page, member_history),
                None => Err(nobody(&view, netuid, uid).await?),
            },
        }
    }
}

/// Why there is no such member: it may be the subnet that is not there.
async fn nobody(view: &View, netuid: Netuid, uid: Uid) -> Result<Failure, Failure> {
    Ok(match view.emission(netuid).await? {
        None => no_subnet(netuid),
        Some(_) => Failure::new(
            format!("there is no uid {uid} in subnet {netuid}"),
            format!("list its members with `cairn status --netuid {netuid}`"),
        ),
    })
}

impl Money {
    async fn read(view: &View) -> Result<Money, Failure> {
        Ok(Money {
            schedule: view.schedule().await?,
            issuance: view.issuance().await?,
        })
    }

    fn text(&self) -> String {
        let (s, i) = (&self.schedule, &self.issuance);
        let (owner, miners, validators) = s.split;
        format!(
            "issued     {} of {} CRN, {} CRN a block; {} halvings, the next at {} CRN\n\
             split      owner {owner} %, miners {miners} %, validators {validators} %\n\
             where      accounts {}, stakes {}, unbonding {}, bonds {}, pots {}\n",
            crn(s.issued, 4),
            crn(s.cap, 2),
            crn(s.per_block, 9),
            s.halvings,
            crn(s.next_halving, 2),
            crn(i.balances, 4),
            crn(i.stakes, 4),
            crn(i.unbonding, 4),
            crn(i.bonds, 4),
            crn(i.pots, 4),
        )
    }
}

/// A share of 65,535.
fn share(part: u16) -> String {
    percent(part.into(), u16::MAX.into())
}

/// An amount with enough decimals for an epoch's pay.
fn pay(amount: Balance) -> String {
    crn(amount, 6)
}

/// What members of a subnet were paid.
fn paid_table(members: &[MemberInfo]) -> String {
    if members.is_empty() {
        return "no members: nobody was paid\n".into();
    }
    let row = |member: &MemberInfo| {
        vec![
            member.uid.to_string(),
            format!("{:?}", member.role).to_lowercase(),
            share(member.incentive),
            share(member.dividends),
            pay(member.last_paid),
            pay(member.earned),
            member.hotkey.to_string(),
        ]
    };
    let head = [
        "uid",
        "role",
        "incentive",
        "dividends",
        "last epoch CRN",
        "earned CRN",
        "hotkey",
    ];
    table(&head, &members.iter().map(row).collect::<Vec<_>>())
}

fn subnets_table(subnets: &[SubnetEmission]) -> String {
    if subnets.is_empty() {
        return "no subnets: nothing is paid out; `cairn subnet create` makes one\n".into();
    }
    let row = |subnet: &SubnetEmission| {
        vec![
            subnet.netuid.to_string(),
            percent(subnet.share, 1_000_000_000),
            crn(subnet.paid, 4),
            crn(subnet.owner_pot, 4),
            crn(subnet.miners_pot, 4),
            crn(subnet.validators_pot, 4),
            subnet.epochs.to_string(),
            subnet.next_epoch.to_string(),
        ]
    };
    let head = [
        "netuid",
        "share",
        "paid CRN",
        "owner pot",
        "miners' pot",
        "validators' pot",
        "epochs",
        "next at block",
    ];
    table(&head, &subnets.iter().map(row).collect::<Vec<_>>())
}

fn subnet_text(subnet: &SubnetEmission) -> String {
    let epochs = match subnet.epochs {
        0 => format!("none so far, the first at block {}", subnet.next_epoch),
        epochs => format!(
            "{epochs} so far, the last at block {}, the next at block {}",
            subnet.last_epoch, subnet.next_epoch
        ),
    };
    let late = match subnet.late_epochs {
        0 => String::new(),
        epochs => format!(
            "late       {} CRN of them, over {epochs} epochs\n",
            pay(subnet.late)
        ),
    };
    let withheld = match subnet.withheld {
        0 => String::new(),
        amount => format!(
            "withheld   {} CRN of miners, until their audits are over\n",
            pay(amount)
        ),
    };
    let why = match (subnet.emits, subnet.works) {
        (true, true) => "",
        (false, _) => "idle       its run is not on the list of those that emit\n",
        (true, false) => {
            "idle       no round of late was final, with miners and validators of two coldkeys each\n"
        }
    };
    format!(
        "subnet     {}, {} of every block's emission\n\
         {why}\
         epochs     {epochs}\n\
         pots       owner {}, miners {}, validators {} CRN\n\
         {late}\
         {withheld}\
         paid       owner {}, miners {}, validators {}, in all {} CRN\n",
        subnet.netuid,
        percent(subnet.share, 1_000_000_000),
        pay(subnet.owner_pot),
        pay(subnet.miners_pot),
        pay(subnet.validators_pot),
        pay(subnet.paid_to.owner),
        pay(subnet.paid_to.miners),
        pay(subnet.paid_to.validators),
        pay(subnet.paid),
    )
}

fn member_text(member: &MemberEmission) -> String {
    let scores = match member.scores_set_at {
        Some(block) => format!("chosen at block {block}"),
        None => "none".into(),
    };
    let withheld = match member.withheld {
        0 => String::new(),
        amount => format!(
            "withheld   {} CRN, until its audits are over\n",
            pay(amount)
        ),
    };
    format!(
        "member     uid {} of subnet {}, since block {}\n\
         hotkey     {}\n\
         coldkey    {}\n\
         stake      {} CRN\n\
         last epoch incentive {}, dividends {}; {} CRN as a miner, {} CRN as a validator\n\
         {withheld}\
         earned     {} CRN as a miner, {} CRN as a validator; this hotkey ever, in this subnet: {} CRN\n\
         scores     {scores}\n",
        member.uid,
        member.netuid,
        member.registered_at,
        member.hotkey,
        member.coldkey,
        pay(member.stake),
        share(member.incentive),
        share(member.dividends),
        pay(member.last_as_miner),
        pay(member.last_as_validator),
        pay(member.earned_as_miner),
        pay(member.earned_as_validator),
        pay(member.earned_ever),
    )
}

fn account_table(earnings: &[AccountEarning]) -> String {
    if earnings.is_empty() {
        return "this account owns no hotkey in any subnet, has no stake, and is no hotkey\n"
            .into();
    }
    let row = |earning: &AccountEarning| {
        let owner = if earning.owned {
            "this account"
        } else {
            "another"
        };
        vec![
            earning.netuid.to_string(),
            earning.uid.map_or("–".into(), |uid| uid.to_string()),
            owner.into(),
            crn(earning.staked, 4),
            crn(earning.unbonding, 4),
            as_percent(earning.take),
            crn(earning.earned, 4),
            crn(earning.bond, 4),
            earning.hotkey.to_string(),
        ]
    };
    let head = [
        "netuid",
        "uid",
        "owner",
        "staked",
        "unbonding",
        "take",
        "hotkey earned",
        "bond",
        "hotkey",
    ];
    table(&head, &earnings.iter().map(row).collect::<Vec<_>>())
}

/// What is shown where no epoch has run.
const NO_EPOCH: &str = "no epoch has run yet\n";

fn subnet_history(page: &EpochPage<SubnetEpoch>) -> String {
    if page.epochs.is_empty() {
        return NO_EPOCH.into();
    }
    let row = |epoch: &SubnetEpoch| {
        vec![
            epoch.epoch.to_string(),
            epoch.block.to_string(),
            format!("{} / {}", epoch.voters, epoch.validators),
            epoch.members.to_string(),
            pay(epoch.paid.owner),
            pay(epoch.paid.miners),
            pay(epoch.paid.validators),
        ]
    };
    let head = [
        "epoch",
        "block",
        "voted",
        "members",
        "to the owner",
        "to miners",
        "to validators",
    ];
    table(&head, &page.epochs.iter().map(row).collect::<Vec<_>>())
}

fn member_history(page: &EpochPage<MemberEpoch>) -> String {
    if page.epochs.is_empty() {
        return "no epoch has run since it came\n".into();
    }
    let row = |epoch: &MemberEpoch| {
        vec![
            epoch.epoch.to_string(),
            epoch.block.to_string(),
            share(epoch.incentive),
            share(epoch.dividends),
            pay(epoch.as_miner),
            pay(epoch.as_validator),
        ]
    };
    let head = [
        "epoch",
        "block",
        "incentive",
        "dividends",
        "as a miner",
        "as a validator",
    ];
    table(&head, &page.epochs.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::testing::a_member;
    use cairn_chain::AccountId;
    use cairn_primitives::{Pots, CRN};

    fn emission(epochs: EpochIndex) -> SubnetEmission {
        SubnetEmission {
            netuid: Netuid(1),
            share: 500_000_000,
            emits: true,
            works: true,
            owner_pot: 0,
            miners_pot: 0,
            validators_pot: 0,
            late: 0,
            late_epochs: 0,
            withheld: 0,
            epochs,
            last_epoch: if epochs == 0 { 0 } else { 90 },
            next_epoch: 100,
            paid: 0,
            paid_to: Pots::default(),
        }
    }

    #[test]
    fn nothing_is_said_in_words() {
        assert!(subnets_table(&[]).contains("no subnets"));
        assert!(account_table(&[]).contains("no stake"));
        assert!(paid_table(&[]).contains("nobody was paid"));
        let page = EpochPage {
            epochs: Vec::new(),
            next: None,
        };
        assert_eq!(subnet_history(&page), NO_EPOCH);
        let text = subnet_text(&emission(0));
        assert!(
            text.contains("none so far, the first at block 100"),
            "{text}"
        );
        assert!(!text.contains("block 0"), "{text}");
        for (emits, works, why) in [
            (false, true, "not on the list"),
            (true, false, "two coldkeys"),
        ] {
            let idle = SubnetEmission {
                emits,
                works,
                ..emission(0)
            };
            assert!(subnet_text(&idle).contains(why));
        }
        let late = SubnetEmission {
            late: CRN,
            late_epochs: 3,
            ..emission(9)
        };
        assert!(subnet_text(&late).contains("1.00 CRN of them, over 3 epochs"));
        assert!(!subnet_text(&emission(9)).contains("late"));
        let withheld = SubnetEmission {
            withheld: 2 * CRN,
            ..emission(9)
        };
        assert!(subnet_text(&withheld).contains("2.00 CRN of miners, until their audits are over"));
        assert!(!subnet_text(&emission(9)).contains("withheld"));
        assert!(subnet_text(&emission(9)).contains("9 so far, the last at block 90"));
    }

    #[test]
    fn members_are_listed_with_what_they_were_paid() {
        let mut member = a_member(Uid(3), AccountId([3; 32]));
        (member.last_paid, member.earned) = (CRN, 7 * CRN);
        let text = paid_table(&[member]);
        assert!(text.contains("1.00") && text.contains("7.00"), "{text}");
    }
}
