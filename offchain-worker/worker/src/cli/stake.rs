//! `cairn stake`.

use cairn_chain::Call;
use cairn_primitives::Balance;
use clap::{Args, Subcommand};

use super::{
    args::{JsonArg, KeyArgs, NetuidArg, NodeArgs},
    subnet::{sent, Sent},
};
use crate::{amount::parse_crn, error::Failure};

/// `cairn stake …`.
#[derive(Subcommand, Debug)]
pub enum Stake {
    /// Stake on a hotkey; with enough stake it validates
    #[command(
        after_help = "Examples:\n  cairn stake add --key owner --hotkey validator --netuid 1 1000"
    )]
    Add(Amount),
    /// Take stake off a hotkey
    #[command(
        after_help = "Examples:\n  cairn stake remove --key owner --hotkey validator --netuid 1 250.5"
    )]
    Remove(Amount),
    /// Add to the bond of a miner's hotkey; with enough bond it is assigned data
    #[command(
        after_help = "Examples:\n  cairn stake bond --key owner --hotkey miner --netuid 1 10"
    )]
    Bond(Amount),
}

/// How much, on whom.
#[derive(Args, Debug)]
pub struct Amount {
    /// Amount in CRN, such as 100 or 0.5
    #[arg(value_name = "CRN", value_parser = parse_crn)]
    amount: Balance,
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

impl Stake {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let (amount, verb) = match &self {
            Stake::Add(amount) => (amount, "staked"),
            Stake::Remove(amount) => (amount, "unstaked"),
            Stake::Bond(amount) => (amount, "bonded"),
        };
        let hotkey = amount.key.account(&amount.hotkey)?;
        let (netuid, pebble) = (amount.netuid.netuid, amount.amount);
        let call = match &self {
            Stake::Add(_) => Call::add_stake(netuid, &hotkey, pebble),
            Stake::Remove(_) => Call::remove_stake(netuid, &hotkey, pebble),
            Stake::Bond(_) => Call::add_bond(netuid, &hotkey, pebble),
        };
        let signer = amount.key.keypair()?;
        let client = amount.node.connect().await?;
        let included = client.submit(&call, &signer).await?;
        let what = format!("{verb} {} CRN on {hotkey}", crate::amount::crn(pebble, 9));
        sent(amount.json.json, Sent::new(what, netuid, &included))
    }
}
