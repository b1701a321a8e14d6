//! `cairn subnet`.

use cairn_chain::{Call, MemberInfo, SubnetInfo};
use cairn_primitives::{api::AnnouncedRules, Balance, Hyperparameters, Netuid};
use clap::{Args, Subcommand};
use serde::Serialize;

pub use super::receipt::{sent, Sent};
use super::{
    args::{numbered, JsonArg, KeyArgs, NetuidArg, NodeArgs},
    endpoints::Endpoints,
    look::{members, no_subnet},
    member::{ChooseRole, Leave, Register},
    print,
    purse::Purse,
    refusal::Asked,
    rules::{Dissolve, Set},
    swap::Swap,
};
use crate::{
    amount::{cost, crn, parse_crn, thousands},
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
    /// List where members' files can be had
    #[command(
        after_help = "Examples:\n  cairn subnet endpoints --netuid 1\n  cairn subnet endpoints --netuid 1 --json"
    )]
    Endpoints(Endpoints),
    /// Show what a new subnet costs now, and a seat on one
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
        after_help = "Examples:\n  cairn subnet register --key owner --hotkey miner --netuid 1\n  cairn subnet register --key owner --hotkey validator --netuid 1 --role validator\n\nThe hotkey has to sign. If its wallet is on another machine, `cairn wallet sign-registration` signs there, and --hotkey-signature takes what it prints."
    )]
    Register(Register),
    /// Choose what a hotkey's member is there for: to mine or to validate
    #[command(
        after_help = "Examples:\n  cairn subnet role --key owner --hotkey validator --netuid 1 validator\n\nIt holds from the next round and epoch on, and can be chosen again after two tempos."
    )]
    Role(ChooseRole),
    /// Let a member sign with another hotkey, an unbonding period after that was announced
    #[command(
        after_help = "Examples:\n  cairn subnet swap --key owner --hotkey miner --netuid 1 --to miner-2\n  cairn subnet swap --key owner --hotkey miner --netuid 1 --finish\n  cairn subnet swap --key owner --hotkey miner --netuid 1 --cancel\n\nThe seat, the role and the record stay. Bond and stake stay on the old hotkey: bond again for the new one."
    )]
    Swap(Swap),
    /// Give up a hotkey's seat in a subnet; its bond can be withdrawn after the subnet's unbonding period
    #[command(
        after_help = "Examples:\n  cairn subnet leave --key owner --hotkey miner --netuid 1"
    )]
    Leave(Leave),
    /// Set hyperparameters of a subnet; those not named stay as they are
    #[command(
        after_help = "Examples:\n  cairn subnet set --key owner --netuid 1 tempo=720 min_miner_bond=20CRN\n  cairn subnet set --key owner registration_price_factor=1.5\n  cairn subnet set --key owner --netuid 1 --withdraw\n\nOnce somebody has joined the subnet they hold only after its unbonding period or two tempos, whichever is longer. Until then --withdraw takes them back."
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
    /// Of a seat on this subnet, too
    #[arg(long, env = "CAIRN_NETUID", value_name = "NETUID", value_parser = numbered::<Netuid>())]
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
            Subnet::Endpoints(endpoints) => endpoints.run().await,
            Subnet::Price(price) => price.run().await,
            Subnet::Create(create) => create.run().await,
            Subnet::Register(register) => register.run().await,
            Subnet::Role(role) => role.run().await,
            Subnet::Swap(swap) => swap.run().await,
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
            if let Some(announced) = &subnet.announced {
                text += "\n";
                text += &to_come(&subnet.hyperparameters, announced);
            }
            text + "\n" + &members(&shown.members)
        })
    }
}

/// The hyperparameters, as JSON names them.
fn hyperparameters(subnet: &SubnetInfo) -> String {
    let rows: Vec<_> = named(&subnet.hyperparameters)
        .into_iter()
        .map(|(name, value)| vec![name, value])
        .collect();
    table(&["hyperparameter", "value"], &rows)
}

/// What announced rules will change, and from when on.
fn to_come(present: &Hyperparameters, announced: &AnnouncedRules) -> String {
    let rows: Vec<_> = named(present)
        .into_iter()
        .zip(named(&announced.hyperparameters))
        .filter(|((_, before), (_, after))| before != after)
        .map(|((name, before), (_, after))| vec![name, before, after])
        .collect();
    let from = thousands(announced.from.into());
    let head = format!(
        "from block {from} on; who asks for stake or bond back before leaves under the present rules\n"
    );
    match rows.is_empty() {
        true => format!("from block {from} on: the same rules\n"),
        false => head + &table(&["hyperparameter", "now", "then"], &rows),
    }
}

/// Names and values, as JSON has them.
fn named(rules: &Hyperparameters) -> Vec<(String, String)> {
    let value = serde_json::to_value(rules).unwrap_or_default();
    let fields = value.as_object().into_iter().flatten();
    let plain = |value: &serde_json::Value| {
        // Amounts are texts in JSON.
        value
            .as_str()
            .map_or_else(|| value.to_string(), String::from)
    };
    fields
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect()
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
            seat: subnet.map(|subnet| subnet.registration_price.to_string()),
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
    /// Of a seat on that subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    seat: Option<String>,
}

impl Prices {
    fn text(&self) -> String {
        let amount = |pebble: &str| pebble.parse().map(cost).unwrap_or_default();
        let mut text = format!("a new subnet         {}\n", amount(&self.subnet));
        if let (Some(netuid), Some(seat)) = (self.netuid, &self.seat) {
            text += &format!("a seat on subnet {netuid:<3} {}\n", amount(seat));
        }
        text + "\nPrices fall until somebody buys. --max-price says the most that you will pay.\n"
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let signer = self.key.signer()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_announced_rules_those_are_shown_that_differ() {
        let present = Hyperparameters::default();
        let announced = |rules: Hyperparameters| AnnouncedRules {
            from: 12_345,
            hyperparameters: rules,
        };
        let text = to_come(
            &present,
            &announced(Hyperparameters {
                tempo: 99,
                ..present.clone()
            }),
        );
        assert!(text.starts_with("from block 12,345 on; who asks"), "{text}");
        assert!(text.contains("360") && text.contains("99"), "{text}");
        assert!(!text.contains("kappa"), "{text}");
        let text = to_come(&present, &announced(present.clone()));
        assert_eq!(text, "from block 12,345 on: the same rules\n");
    }
}
