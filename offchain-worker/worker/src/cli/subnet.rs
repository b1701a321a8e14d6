//! `cairn subnet`.

use cairn_chain::{Call, MemberInfo, SubnetInfo};
use cairn_primitives::{Balance, Netuid, Uid};
use clap::{Args, Subcommand};
use serde::Serialize;

pub use super::receipt::{sent, Sent};
use super::{
    args::{JsonArg, KeyArgs, NetuidArg, NodeArgs},
    look::{members, no_subnet},
    print,
    purse::Purse,
    receipt::command,
    refusal::Asked,
    rules::{Dissolve, Set},
};
use crate::{
    amount::{cost, crn, parse_crn},
    error::Failure,
    table::table,
};

/// `cairn subnet …`.
#[derive(Subcommand, Debug)]
pub enum Subnet {
    /// List all subnets
    #[command(after_help = "Examples:\n  cairn subnet ls\n  cairn subnet ls --json")]
    Ls(Ls),
    /// Show a subnet, its hyperparameters and its members
    #[command(after_help = "Examples:\n  cairn subnet show --netuid 1")]
    Show(Show),
    /// Show what a new subnet costs now, and a slot on one
    #[command(
        after_help = "Examples:\n  cairn subnet price\n  cairn subnet price --netuid 1 --json"
    )]
    Price(Price),
    /// Create a subnet, for a price that is burned
    #[command(
        after_help = "Examples:\n  cairn subnet create --key owner\n  cairn subnet create --suri //Alice --max-price 1000"
    )]
    Create(Create),
    /// Make a hotkey a member of a subnet, for a price that is burned
    #[command(
        after_help = "Examples:\n  cairn subnet register --key owner --hotkey miner --netuid 1"
    )]
    Register(Register),
    /// Give up a hotkey's slot in a subnet; its bond can be withdrawn after the subnet's unbonding period
    #[command(
        after_help = "Examples:\n  cairn subnet leave --key owner --hotkey miner --netuid 1"
    )]
    Leave(Leave),
    /// Set hyperparameters of a subnet; those not named stay as they are
    #[command(
        after_help = "Examples:\n  cairn subnet set --key owner --netuid 1 tempo=720 min_miner_bond=20CRN\n  cairn subnet set --key owner registration_price_factor=1.5"
    )]
    Set(Set),
    /// End a subnet and return everything on it to its owners
    #[command(
        after_help = "Examples:\n  cairn subnet dissolve --key owner --netuid 1 --for-ever\n\nThe subnet stops at once. After its unbonding period stake, bonds and pots go back by themselves."
    )]
    Dissolve(Dissolve),
}

/// `cairn subnet ls`.
#[derive(Args, Debug)]
pub struct Ls {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn subnet show`.
#[derive(Args, Debug)]
pub struct Show {
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn subnet price`.
#[derive(Args, Debug)]
pub struct Price {
    /// Of a slot on this subnet, too
    #[arg(long, env = "CAIRN_NETUID", value_name = "NETUID")]
    netuid: Option<Netuid>,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn subnet create`.
#[derive(Args, Debug)]
pub struct Create {
    /// The most to pay, in CRN [default: the current price]
    #[arg(long, env = "CAIRN_MAX_PRICE", value_name = "CRN", value_parser = parse_crn)]
    max_price: Option<u64>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn subnet register`.
#[derive(Args, Debug)]
pub struct Register {
    /// The hotkey: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_HOTKEY", value_name = "ADDRESS|WALLET")]
    hotkey: String,
    /// The most to pay, in CRN [default: the current price]
    #[arg(long, env = "CAIRN_MAX_PRICE", value_name = "CRN", value_parser = parse_crn)]
    max_price: Option<u64>,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn subnet leave`.
#[derive(Args, Debug)]
pub struct Leave {
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

#[derive(Serialize)]
struct Shown {
    subnet: SubnetInfo,
    members: Vec<MemberInfo>,
}

impl Subnet {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Subnet::Ls(ls) => ls.run().await,
            Subnet::Show(show) => show.run().await,
            Subnet::Price(price) => price.run().await,
            Subnet::Create(create) => create.run().await,
            Subnet::Register(register) => register.run().await,
            Subnet::Leave(leave) => leave.run().await,
            Subnet::Set(set) => set.run().await,
            Subnet::Dissolve(dissolve) => dissolve.run().await,
        }
    }
}

impl Ls {
    async fn run(self) -> Result<(), Failure> {
        let subnets = self
            .node
            .connect()
            .await?
            .at_best()
            .await?
            .subnets()
            .await?;
        print(self.json.json, &subnets, |subnets| {
            if subnets.is_empty() {
                return "no subnets yet; create one with `cairn subnet create`\n".into();
            }
            let row = |subnet: &SubnetInfo| {
                vec![
                    subnet.netuid.to_string(),
                    subnet.members.to_string(),
                    crn(subnet.stake, 2),
                    crn(subnet.bonds, 2),
                    crn(subnet.registration_price, 9),
                    if subnet.has_run { "yes" } else { "no" }.into(),
                    subnet.owner.to_string(),
                ]
            };
            let head = [
                "netuid",
                "members",
                "stake",
                "bonds",
                "price CRN",
                "run",
                "owner",
            ];
            table(&head, &subnets.iter().map(row).collect::<Vec<_>>())
        })
    }
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let view = self.node.connect().await?.at_best().await?;
        let subnet = view
            .subnet(netuid)
            .await?
            .ok_or_else(|| no_subnet(netuid))?;
        let shown = Shown {
            subnet,
            members: view.members(netuid).await?,
        };
        print(self.json.json, &shown, |shown| {
            let subnet = &shown.subnet;
            let mut text = format!(
                "subnet              {}\nowner               {}\nstake               {} CRN\nbonds               {} CRN\nregistration price  {}\n\n",
                subnet.netuid,
                subnet.owner,
                crn(subnet.stake, 2),
                crn(subnet.bonds, 2),
                cost(subnet.registration_price),
            );
            if let Some(from) = subnet.dissolves_from {
                text +=
                    &format!("being dissolved: everything is given back from block {from} on\n\n");
            }
            text += &hyperparameters(subnet);
            text + "\n" + &members(&shown.members)
        })
    }
}

/// The hyperparameters, as JSON names them.
fn hyperparameters(subnet: &SubnetInfo) -> String {
    let value = serde_json::to_value(&subnet.hyperparameters).unwrap_or_default();
    let fields = value.as_object().into_iter().flatten();
    let rows: Vec<_> = fields
        .map(|(name, value)| {
            // Amounts are texts in JSON.
            let plain = value
                .as_str()
                .map_or_else(|| value.to_string(), String::from);
            vec![name.clone(), plain]
        })
        .collect();
    table(&["hyperparameter", "value"], &rows)
}

impl Price {
    async fn run(self) -> Result<(), Failure> {
        let view = self.node.connect().await?.at_best().await?;
        let subnet = match self.netuid {
            None => None,
            Some(netuid) => {
                let subnet = view.subnet(netuid).await?;
                Some(subnet.ok_or_else(|| no_subnet(netuid))?)
            }
        };
        let prices = Prices {
            subnet: view.creation_price().await?.to_string(),
            netuid: self.netuid,
            slot: subnet.map(|subnet| subnet.registration_price.to_string()),
        };
        print(self.json.json, &prices, Prices::text)
    }
}

/// Prices, in pebble.
#[derive(Serialize)]
struct Prices {
    /// Of a new subnet.
    subnet: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    netuid: Option<Netuid>,
    /// Of a slot on that subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<String>,
}

impl Prices {
    fn text(&self) -> String {
        let amount = |pebble: &str| pebble.parse().map(cost).unwrap_or_default();
        let mut text = format!("a new subnet         {}\n", amount(&self.subnet));
        if let (Some(netuid), Some(slot)) = (self.netuid, &self.slot) {
            text += &format!("a slot on subnet {netuid:<3} {}\n", amount(slot));
        }
        text + "\nPrices fall until somebody buys. --max-price says the most that you will pay.\n"
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let signer = self.key.keypair()?;
        let client = self.node.connect().await?;
        let now = client.at_best().await?.creation_price().await?;
        let most = self.max_price.unwrap_or(now);
        let call = Call::create_subnet(most);
        let purse = Purse::of(&client, &signer, &call).await?;
        purse.afford("a subnet", now.min(most))?;
        let asked = Asked {
            amount: Some(most),
            ..Asked::new(&client, &signer)
        };
        let included = asked.submit(&call).await?;
        let created = included.event("Subnets", "SubnetCreated");
        type Fields = (Netuid, [u8; 32], Balance);
        let fields = created.and_then(|event| event.first::<Fields>());
        let (netuid, _, price) = fields.ok_or_else(|| {
            Failure::new(
                "the node did not say which subnet it created",
                "look with `cairn subnet ls`",
            )
        })?;
        let done = Sent::new("created a subnet,".into(), netuid, &included).price(price);
        sent(self.json.json, done)
    }
}

impl Register {
    async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let signer = self.key.keypair()?;
        let hotkey = self.key.account(&self.hotkey)?;
        let client = self.node.connect().await?;
        let subnet = client
            .at_best()
            .await?
            .subnet(netuid)
            .await?
            .ok_or_else(|| no_subnet(netuid))?;
        let most = self.max_price.unwrap_or(subnet.registration_price);
        let call = Call::register(netuid, &hotkey, most);
        let purse = Purse::of(&client, &signer, &call).await?;
        let price = subnet.registration_price.min(most);
        purse.afford(&format!("a slot on subnet {netuid}"), price)?;
        let asked = Asked::new(&client, &signer).on(netuid).hotkey(hotkey);
        let asked = Asked {
            amount: Some(most),
            ..asked
        };
        let included = asked.submit(&call).await?;
        let joined = included.event("Subnets", "MemberJoined");
        type Fields = (Netuid, Uid, [u8; 32], [u8; 32], Balance);
        let joined = joined.and_then(|event| event.first::<Fields>());
        let name = joined.map(|(_, uid, ..)| format!(" as uid {uid}"));
        let did = format!("registered {hotkey}{}", name.unwrap_or_default());
        let mut done = Sent::new(did, netuid, &included).uid(joined.map(|(_, uid, ..)| uid));
        if let Some((.., price)) = joined {
            done = done.price(price);
        }
        sent(self.json.json, done)
    }
}

impl Leave {
    async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let signer = self.key.keypair()?;
        let hotkey = self.key.account(&self.hotkey)?;
        let client = self.node.connect().await?;
        let asked = Asked::new(&client, &signer).on(netuid).hotkey(hotkey);
        let included = asked.submit(&Call::leave(netuid, &hotkey)).await?;
        let did = format!("gave up the slot of {hotkey}");
        let mut done = Sent::new(did, netuid, &included);
        // What was asked back before waits together with what was bonded until now.
        let view = client.at(included.block.hash);
        let bond = view.bond(netuid, &hotkey).await?;
        done = match bond.unbonding {
            0 => done.note("it had no bond".into()),
            amount => {
                let note = format!("its bond of {} waits to be withdrawn", cost(amount));
                let done = done.amount(amount).note(note);
                let command = command("stake withdraw --bond", &hotkey, netuid);
                done.release(&client, bond.release_at, &command).await
            }
        };
        sent(self.json.json, done)
    }
}
