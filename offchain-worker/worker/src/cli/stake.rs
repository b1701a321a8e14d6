//! `cairn stake`.

use cairn_chain::{AccountId, Call, Position};
use cairn_primitives::{Balance, Netuid};
use clap::{Args, Subcommand};

use super::{
    args::{JsonArg, KeyArgs, NetuidArg, NodeArgs},
    print,
    subnet::{sent, Sent},
};
use crate::{
    amount::{as_percent, crn, parse_crn, parse_part, parse_percent, Part},
    error::Failure,
    table::table,
};

/// `cairn stake …`.
#[derive(Subcommand, Debug)]
pub enum Stake {
    /// Stake on anybody's hotkey: it validates with all the stake on it, and its stakers share what it earns
    #[command(
        after_help = "Examples:\n  cairn stake add --key savings --hotkey 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY --netuid 1 1000"
    )]
    Add(Add),
    /// Ask for stake on a hotkey back; it can be withdrawn after the subnet's unbonding period
    #[command(
        after_help = "Examples:\n  cairn stake remove --key savings --hotkey validator --netuid 1 250.5\n  cairn stake remove --key savings --hotkey validator all"
    )]
    Remove(Remove),
    /// Withdraw stake that was asked back and is released; stake on the move arrives
    #[command(
        after_help = "Examples:\n  cairn stake withdraw --key savings --hotkey validator --netuid 1\n  cairn stake withdraw --key owner --hotkey miner --bond"
    )]
    Withdraw(Withdraw),
    /// Move stake to another hotkey or subnet; it waits for the unbonding period on the way
    #[command(
        after_help = "Examples:\n  cairn stake move --key savings --hotkey validator --netuid 1 --to-hotkey better --to-netuid 2 all"
    )]
    Move(Move),
    /// Give stake to another coldkey; it stays on its hotkey and goes on earning
    #[command(
        after_help = "Examples:\n  cairn stake transfer --key savings --hotkey validator --netuid 1 --to heirs 100"
    )]
    Transfer(Transfer),
    /// Set the share of a hotkey's dividends that its owner takes, in percent
    #[command(
        after_help = "Examples:\n  cairn stake take --key owner --hotkey validator 9.5\n\nLowering it is possible at any time, raising it only by one percent a week; 18 percent is the most."
    )]
    Take(Take),
    /// Show what a coldkey has staked, and what waits to be withdrawn
    #[command(
        after_help = "Examples:\n  cairn stake show --key savings\n  cairn stake show --account 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY --json"
    )]
    Show(Show),
    /// Add to the bond of a miner's hotkey; with enough bond it is assigned data
    #[command(
        after_help = "Examples:\n  cairn stake bond --key owner --hotkey miner --netuid 1 10"
    )]
    Bond(Add),
    /// Ask for the whole bond of a miner's hotkey back; it can be withdrawn after the subnet's unbonding period
    #[command(
        after_help = "Examples:\n  cairn stake unbond --key owner --hotkey miner --netuid 1"
    )]
    Unbond(Unbond),
}

/// On whom, where, and whose signature.
#[derive(Args, Debug)]
pub struct On {
    /// The hotkey: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_HOTKEY", value_name = "ADDRESS|WALLET")]
    hotkey: String,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn stake add` and `cairn stake bond`.
#[derive(Args, Debug)]
pub struct Add {
    /// Amount in CRN, such as 100 or 0.5
    #[arg(value_name = "CRN", value_parser = parse_crn)]
    amount: Balance,
    #[command(flatten)]
    on: On,
}

/// `cairn stake remove`.
#[derive(Args, Debug)]
pub struct Remove {
    /// Amount in CRN, such as 100 or 0.5, or all
    #[arg(value_name = "CRN|all", value_parser = parse_part)]
    amount: Part,
    #[command(flatten)]
    on: On,
}

/// `cairn stake withdraw`.
#[derive(Args, Debug)]
pub struct Withdraw {
    /// Withdraw the hotkey's bond instead of stake on it
    #[arg(long, env = "CAIRN_BOND", value_parser = clap::builder::BoolishValueParser::new())]
    bond: bool,
    #[command(flatten)]
    on: On,
}

/// `cairn stake move`.
#[derive(Args, Debug)]
pub struct Move {
    /// Amount in CRN, such as 100 or 0.5, or all
    #[arg(value_name = "CRN|all", value_parser = parse_part)]
    amount: Part,
    /// The hotkey to move to: an address, or the name of a wallet [default: the same]
    #[arg(long, env = "CAIRN_TO_HOTKEY", value_name = "ADDRESS|WALLET")]
    to_hotkey: Option<String>,
    /// The subnet to move to [default: the same]
    #[arg(long, env = "CAIRN_TO_NETUID", value_name = "NETUID")]
    to_netuid: Option<Netuid>,
    #[command(flatten)]
    on: On,
}

/// `cairn stake transfer`.
#[derive(Args, Debug)]
pub struct Transfer {
    /// Amount in CRN, such as 100 or 0.5, or all
    #[arg(value_name = "CRN|all", value_parser = parse_part)]
    amount: Part,
    /// The coldkey that gets it: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_TO", value_name = "ADDRESS|WALLET")]
    to: String,
    #[command(flatten)]
    on: On,
}

/// `cairn stake take`.
#[derive(Args, Debug)]
pub struct Take {
    /// Percent of the dividends, such as 18 or 9.5
    #[arg(value_name = "PERCENT", value_parser = parse_percent)]
    percent: u16,
    #[command(flatten)]
    on: On,
}

/// `cairn stake unbond`.
#[derive(Args, Debug)]
pub struct Unbond {
    #[command(flatten)]
    on: On,
}

/// `cairn stake show`.
#[derive(Args, Debug)]
pub struct Show {
    /// The coldkey: an address, or the name of a wallet [default: the key that would sign]
    #[arg(long, env = "CAIRN_ACCOUNT", value_name = "ADDRESS|WALLET")]
    account: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

impl Stake {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Stake::Add(add) => add.stake().await,
            Stake::Bond(add) => add.bond().await,
            Stake::Remove(remove) => remove.run().await,
            Stake::Withdraw(withdraw) => withdraw.run().await,
            Stake::Move(moving) => moving.run().await,
            Stake::Transfer(transfer) => transfer.run().await,
            Stake::Take(take) => take.run().await,
            Stake::Unbond(unbond) => unbond.run().await,
            Stake::Show(show) => show.run().await,
        }
    }
}

impl On {
    fn hotkey(&self) -> Result<AccountId, Failure> {
        self.key.account(&self.hotkey)
    }

    fn netuid(&self) -> Netuid {
        self.netuid.netuid
    }

    /// Signs a call, waits until it is in a block, and says what it did.
    async fn submit(&self, call: Call, did: String) -> Result<(), Failure> {
        self.submit_for(self.netuid(), call, did).await
    }

    /// The same for a call that is about a subnet or about all of them.
    async fn submit_for(
        &self,
        netuid: impl Into<Option<Netuid>>,
        call: Call,
        did: String,
    ) -> Result<(), Failure> {
        let signer = self.key.keypair()?;
        let client = self.node.connect().await?;
        let included = client.submit(&call, &signer).await?;
        sent(self.json.json, Sent::new(did, netuid, &included))
    }
}

/// How a part of what there is reads.
fn part(part: Part) -> String {
    match part.0 {
        Some(amount) => format!("{} CRN", crn(amount, 9)),
        None => "everything".into(),
    }
}

impl Add {
    async fn stake(self) -> Result<(), Failure> {
        let hotkey = self.on.hotkey()?;
        let call = Call::add_stake(self.on.netuid(), &hotkey, self.amount);
        let did = format!("staked {} CRN on {hotkey}", crn(self.amount, 9));
        self.on.submit(call, did).await
    }

    async fn bond(self) -> Result<(), Failure> {
        let hotkey = self.on.hotkey()?;
        let call = Call::add_bond(self.on.netuid(), &hotkey, self.amount);
        let did = format!("bonded {} CRN on {hotkey}", crn(self.amount, 9));
        self.on.submit(call, did).await
    }
}

impl Remove {
    async fn run(self) -> Result<(), Failure> {
        let hotkey = self.on.hotkey()?;
        let call = Call::remove_stake(self.on.netuid(), &hotkey, self.amount.0);
        let did = format!("asked for {} on {hotkey} back", part(self.amount));
        self.on.submit(call, did).await
    }
}

impl Withdraw {
    async fn run(self) -> Result<(), Failure> {
        let hotkey = self.on.hotkey()?;
        let netuid = self.on.netuid();
        let (call, what) = if self.bond {
            (Call::withdraw_bond(netuid, &hotkey), "the bond of")
        } else {
            (
                Call::withdraw_stake(netuid, &hotkey),
                "what was released on",
            )
        };
        self.on
            .submit(call, format!("withdrew {what} {hotkey}"))
            .await
    }
}

impl Move {
    async fn run(self) -> Result<(), Failure> {
        if self.to_hotkey.is_none() && self.to_netuid.is_none() {
            return Err(Failure::new(
                "the stake would move to where it already is",
                "say where with --to-hotkey, --to-netuid or both",
            ));
        }
        let hotkey = self.on.hotkey()?;
        let netuid = self.on.netuid();
        let to_hotkey = match &self.to_hotkey {
            Some(to) => self.on.key.account(to)?,
            None => hotkey,
        };
        let to_netuid = self.to_netuid.unwrap_or(netuid);
        let call = Call::move_stake(netuid, &hotkey, (to_netuid, &to_hotkey), self.amount.0);
        let did = format!(
            "began to move {} from {hotkey} to {to_hotkey} on subnet {to_netuid}",
            part(self.amount)
        );
        self.on.submit(call, did).await
    }
}

impl Transfer {
    async fn run(self) -> Result<(), Failure> {
        let hotkey = self.on.hotkey()?;
        let to = self.on.key.account(&self.to)?;
        let call = Call::transfer_stake(&to, self.on.netuid(), &hotkey, self.amount.0);
        let did = format!("gave {} on {hotkey} to {to}", part(self.amount));
        self.on.submit(call, did).await
    }
}

impl Take {
    async fn run(self) -> Result<(), Failure> {
        let hotkey = self.on.hotkey()?;
        let call = Call::set_take(&hotkey, self.percent);
        let share = as_percent(self.percent);
        let did = format!("set the take of {hotkey} to {share} on all subnets");
        self.on.submit_for(None, call, did).await
    }
}

impl Unbond {
    async fn run(self) -> Result<(), Failure> {
        let hotkey = self.on.hotkey()?;
        let call = Call::unbond(self.on.netuid(), &hotkey);
        let did = format!("asked for the bond of {hotkey} back");
        self.on.submit(call, did).await
    }
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let account = match &self.account {
            Some(account) => self.key.account(account)?,
            None => AccountId::of(&self.key.keypair()?),
        };
        let view = self.node.connect().await?.at_best().await?;
        let positions = view.positions(&account).await?;
        print(self.json.json, &positions, |positions| {
            if positions.is_empty() {
                return format!("{account} stakes on nobody; begin with `cairn stake add`\n");
            }
            let rows: Vec<_> = positions.iter().map(row).collect();
            let head = [
                "netuid",
                "staked",
                "unbonding",
                "take",
                "hotkey",
                "released at",
            ];
            table(&head, &rows)
        })
    }
}

fn row(position: &Position) -> Vec<String> {
    let releases = position.unbonding.iter().map(|entry| {
        let to = entry
            .moves_to
            .map(|(netuid, hotkey)| format!(" to {hotkey} on {netuid}"));
        format!("block {}{}", entry.release_at, to.unwrap_or_default())
    });
    vec![
        position.netuid.to_string(),
        crn(position.staked, 9),
        crn(position.total_unbonding(), 9),
        as_percent(position.take),
        position.hotkey.to_string(),
        releases.collect::<Vec<_>>().join(", "),
    ]
}
