//! `cairn subnet`.

use cairn_chain::{Call, Included, MemberInfo, SubnetInfo};
use cairn_primitives::{BlockNumber, Netuid, Uid, H256};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    args::{JsonArg, KeyArgs, NetuidArg, NodeArgs},
    look::{members, no_subnet},
    print,
    rules::{Dissolve, Set},
};
use crate::{
    amount::{crn, parse_crn},
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

/// A transaction that is in a block.
#[derive(Serialize)]
pub struct Sent {
    /// What it did.
    did: String,
    /// On which subnet, unless on all.
    #[serde(skip_serializing_if = "Option::is_none")]
    netuid: Option<Netuid>,
    /// As which member.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<Uid>,
    /// In which block.
    block: BlockNumber,
    block_hash: H256,
}

impl Sent {
    /// What was done, and where it is.
    pub fn new(did: String, netuid: impl Into<Option<Netuid>>, included: &Included) -> Sent {
        let block = included.block;
        Sent {
            did,
            netuid: netuid.into(),
            uid: None,
            block: block.number,
            block_hash: block.hash,
        }
    }
}

/// Prints a transaction.
pub fn sent(json: bool, sent: Sent) -> Result<(), Failure> {
    print(json, &sent, |sent| {
        let on = sent.netuid.map(|netuid| format!(" on subnet {netuid}"));
        let on = on.unwrap_or_default();
        format!("{}{on}, in block {}\n", sent.did, sent.block)
    })
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
                    crn(subnet.registration_price, 4),
                    if subnet.has_run { "yes" } else { "no" }.into(),
                    subnet.owner.to_string(),
                ]
            };
            let head = [
                "netuid", "members", "stake", "bonds", "price", "run", "owner",
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
                "subnet              {}\nowner               {}\nstake               {} CRN\nbonds               {} CRN\nregistration price  {} CRN\n\n",
                subnet.netuid,
                subnet.owner,
                crn(subnet.stake, 2),
                crn(subnet.bonds, 2),
                crn(subnet.registration_price, 9),
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

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let signer = self.key.keypair()?;
        let client = self.node.connect().await?;
        let price = match self.max_price {
            Some(price) => price,
            None => client.at_best().await?.creation_price().await?,
        };
        let included = client.submit(&Call::create_subnet(price), &signer).await?;
        let created = included
            .event("Subnets", "SubnetCreated")
            .and_then(|event| event.first());
        let netuid: Netuid = created.ok_or_else(|| {
            Failure::new(
                "the node did not say which subnet it created",
                "look with `cairn subnet ls`",
            )
        })?;
        sent(
            self.json.json,
            Sent::new("created".into(), netuid, &included),
        )
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
        let price = self.max_price.unwrap_or(subnet.registration_price);
        let included = client
            .submit(&Call::register(netuid, &hotkey, price), &signer)
            .await?;
        let joined = included
            .event("Subnets", "MemberJoined")
            .and_then(|event| event.first());
        let uid = joined.map(|(_, uid): (Netuid, Uid)| uid);
        let name = uid.map(|uid| format!(" as uid {uid}")).unwrap_or_default();
        let mut done = Sent::new(format!("registered {hotkey}{name}"), netuid, &included);
        done.uid = uid;
        sent(self.json.json, done)
    }
}

impl Leave {
    async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let signer = self.key.keypair()?;
        let hotkey = self.key.account(&self.hotkey)?;
        let client = self.node.connect().await?;
        let included = client
            .submit(&Call::leave(netuid, &hotkey), &signer)
            .await?;
        let did = format!("gave up the slot of {hotkey}");
        sent(self.json.json, Sent::new(did, netuid, &included))
    }
}
