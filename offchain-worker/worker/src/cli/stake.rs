//! `cairn stake`.

use cairn_chain::{AccountId, Call, Client, Event, Included, Position};
use cairn_primitives::{Balance, BlockNumber, Netuid};
use clap::{Args, Subcommand, ValueEnum};

use super::{
    args::{numbered, JsonArg, KeyArgs, NetuidArg, NodeArgs},
    print,
    purse::Purse,
    receipt::{command, sent, when, Sent},
    refusal::Asked,
    signer::Signer,
};
use crate::{
    amount::{as_percent, cost, crn, parse_part, parse_percent, Part},
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
    /// Say whether others may stake on a hotkey; stake that is there stays
    #[command(
        after_help = "Examples:\n  cairn stake foreign --key owner --hotkey miner refuse\n  cairn stake foreign --key owner --hotkey validator allow"
    )]
    Foreign(Foreign),
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
    /// Amount in CRN, such as 100 or 0.5, or all but the fees of getting it back
    #[arg(value_name = "CRN|all", value_parser = parse_part)]
    amount: Part,
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
    #[arg(long, env = "CAIRN_TO_NETUID", value_name = "NETUID", value_parser = numbered::<Netuid>())]
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

/// `cairn stake foreign`.
#[derive(Args, Debug)]
pub struct Foreign {
    /// Whether others may stake on it
    #[arg(value_enum, value_name = "allow|refuse")]
    others: Others,
    #[command(flatten)]
    on: On,
}

/// What others may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Others {
    /// They may stake.
    Allow,
    /// They may not.
    Refuse,
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
            Stake::Foreign(foreign) => foreign.run().await,
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

    /// Connects, with everything that a call needs.
    async fn at_work(&self) -> Result<Work<'_>, Failure> {
        Ok(Work {
            hotkey: self.hotkey()?,
            signer: self.key.signer()?,
            client: self.node.connect().await?,
            on: self,
        })
    }
}

/// A connection, who signs, and about which hotkey.
struct Work<'a> {
    on: &'a On,
    hotkey: AccountId,
    signer: Signer,
    client: Client,
}

impl Work<'_> {
    fn asked(&self, amount: Option<Balance>) -> Asked<'_> {
        let asked = Asked::new(&self.client, &self.signer)
            .on(self.on.netuid())
            .hotkey(self.hotkey);
        Asked { amount, ..asked }
    }

    /// Stake that was asked back: how much, and from which block on it can be withdrawn.
    async fn unbonding(&self, included: &Included, what: &str) -> Result<(), Failure> {
        type Fields = ([u8; 32], Netuid, [u8; 32], Balance, BlockNumber);
        let event = included.event("Stake", "StakeUnbonding");
        let (.., amount, release_at) = event.and_then(Event::first::<Fields>).ok_or_else(silent)?;
        let did = format!("{what} {} of the stake on {}", cost(amount), self.hotkey);
        let command = command("stake withdraw", &self.hotkey, self.on.netuid());
        let done = Sent::new(did, self.on.netuid(), included).amount(amount);
        sent(
            self.on.json.json,
            done.release(&self.client, release_at, &command).await,
        )
    }
}

/// The node executed a transaction and said nothing of what came of it.
fn silent() -> Failure {
    Failure::new(
        "it is done, but the node did not say what came of it",
        "look with `cairn stake show`, and use a worker and a node of the same release",
    )
}

impl Add {
    async fn stake(self) -> Result<(), Failure> {
        let work = self.on.at_work().await?;
        let (netuid, hotkey) = (self.on.netuid(), work.hotkey);
        let call = |amount| Call::add_stake(netuid, &hotkey, amount);
        let purse = Purse::of(&work.client, &work.signer, &call(Balance::MAX)).await?;
        let amount = purse.invest(self.amount)?;
        let included = work.asked(Some(amount)).submit(&call(amount)).await?;
        type Fields = ([u8; 32], Netuid, [u8; 32], Balance);
        let event = included.event("Stake", "StakeAdded");
        let (.., staked) = event.and_then(Event::first::<Fields>).ok_or_else(silent)?;
        let did = format!("staked {} on {hotkey}", cost(staked));
        let done = Sent::new(did, netuid, &included).amount(staked);
        sent(self.on.json.json, self.left(&purse, done))
    }

    /// Says what was left where all was asked for.
    fn left(&self, purse: &Purse, done: Sent) -> Sent {
        match self.amount.0 {
            Some(_) => done,
            // Another account pays them.
            None if purse.way_back() == 0 => done,
            None => done.note(format!(
                "{} stay in the account, for the fees of getting it back",
                cost(purse.way_back().min(purse.most()))
            )),
        }
    }

    async fn bond(self) -> Result<(), Failure> {
        let work = self.on.at_work().await?;
        let (netuid, hotkey) = (self.on.netuid(), work.hotkey);
        let call = |amount| Call::add_bond(netuid, &hotkey, amount);
        let purse = Purse::of(&work.client, &work.signer, &call(Balance::MAX)).await?;
        let amount = purse.invest(self.amount)?;
        let included = work.asked(Some(amount)).submit(&call(amount)).await?;
        let did = format!("bonded {} on {hotkey}", cost(amount));
        let mut done = Sent::new(did, netuid, &included).amount(amount);
        let view = work.client.at(included.block.hash);
        let bond = view.bond(netuid, &hotkey).await?.active;
        if let Some(subnet) = view.subnet(netuid).await? {
            let least = subnet.hyperparameters.min_miner_bond;
            if let Some(note) = too_little_bond(netuid, bond, least) {
                done = done.note(note);
            }
        }
        sent(self.on.json.json, self.left(&purse, done))
    }
}

/// What to tell somebody whose bond is not enough to mine.
fn too_little_bond(netuid: Netuid, bond: Balance, least: Balance) -> Option<String> {
    let missing = least.checked_sub(bond).filter(|missing| *missing > 0)?;
    Some(format!(
        "the bond is {} now, and a miner of subnet {netuid} needs {}: bond {} more, or it is assigned no data",
        cost(bond),
        cost(least),
        cost(missing)
    ))
}

impl Remove {
    async fn run(self) -> Result<(), Failure> {
        let work = self.on.at_work().await?;
        let call = Call::remove_stake(self.on.netuid(), &work.hotkey, self.amount.0);
        let included = work.asked(self.amount.0).submit(&call).await?;
        work.unbonding(&included, "asked for").await
    }
}

impl Withdraw {
    async fn run(self) -> Result<(), Failure> {
        let work = self.on.at_work().await?;
        match self.bond {
            true => self.bond(&work).await,
            false => self.stake(&work).await,
        }
    }

    async fn bond(&self, work: &Work<'_>) -> Result<(), Failure> {
        let (netuid, hotkey) = (self.on.netuid(), work.hotkey);
        let call = Call::withdraw_bond(netuid, &hotkey);
        let included = work.asked(None).submit(&call).await?;
        type Fields = (Netuid, [u8; 32], Balance);
        let event = included.event("Stake", "BondWithdrawn");
        let (.., amount) = event.and_then(Event::first::<Fields>).ok_or_else(silent)?;
        let did = format!("withdrew {} of the bond of {hotkey}", cost(amount));
        sent(
            self.on.json.json,
            Sent::new(did, netuid, &included).amount(amount),
        )
    }

    async fn stake(&self, work: &Work<'_>) -> Result<(), Failure> {
        let (netuid, hotkey) = (self.on.netuid(), work.hotkey);
        let call = Call::withdraw_stake(netuid, &hotkey);
        let included = work.asked(None).submit(&call).await?;
        let came = withdrawn(&included);
        let mut did = format!(
            "withdrew {} of the stake on {hotkey}",
            cost(came.to_account)
        );
        for (netuid, hotkey, amount) in &came.moved {
            did += &format!(", moved {} to {hotkey} on subnet {netuid}", cost(*amount));
        }
        let mut done = Sent::new(did, netuid, &included).amount(came.to_account);
        let view = work.client.at(included.block.hash);
        let coldkey = work.signer.account();
        let position = view.position(&coldkey, netuid, &hotkey).await?;
        let waiting = position
            .map(|position| position.unbonding)
            .unwrap_or_default();
        for part in waiting {
            let when = when(&work.client, part.release_at, included.block.number).await;
            done = done.note(format!(
                "{} more can be withdrawn from {when}",
                cost(part.amount)
            ));
        }
        sent(self.on.json.json, done)
    }
}

/// What came of a withdrawal.
#[derive(Debug, Default, PartialEq, Eq)]
struct Came {
    /// To the account.
    to_account: Balance,
    /// Elsewhere: to which subnet and hotkey, and how much.
    moved: Vec<(Netuid, AccountId, Balance)>,
}

fn withdrawn(included: &Included) -> Came {
    type Withdrawn = ([u8; 32], Netuid, [u8; 32], Balance);
    type Moved = ([u8; 32], Netuid, [u8; 32], Netuid, [u8; 32], Balance);
    let mut came = Came::default();
    for event in included
        .events
        .iter()
        .filter(|event| event.pallet == "Stake")
    {
        match event.name.as_str() {
            "StakeWithdrawn" => {
                let amount = event.first::<Withdrawn>().map_or(0, |(.., amount)| amount);
                came.to_account = came.to_account.saturating_add(amount);
            }
            "StakeMoved" => {
                if let Some((.., netuid, hotkey, amount)) = event.first::<Moved>() {
                    came.moved.push((netuid, AccountId(hotkey), amount));
                }
            }
            _ => {}
        }
    }
    came
}

impl Move {
    async fn run(self) -> Result<(), Failure> {
        if self.to_hotkey.is_none() && self.to_netuid.is_none() {
            return Err(Failure::new(
                "the stake would move to where it already is",
                "say where with --to-hotkey, --to-netuid or both",
            ));
        }
        let to_hotkey = match &self.to_hotkey {
            Some(to) => Some(self.on.key.account(to)?),
            None => None,
        };
        let work = self.on.at_work().await?;
        let netuid = self.on.netuid();
        let to_hotkey = to_hotkey.unwrap_or(work.hotkey);
        let to_netuid = self.to_netuid.unwrap_or(netuid);
        let to = (to_netuid, &to_hotkey);
        let call = Call::move_stake(netuid, &work.hotkey, to, self.amount.0);
        let included = work.asked(self.amount.0).submit(&call).await?;
        let what = format!("began to move to {to_hotkey} on subnet {to_netuid}");
        work.unbonding(&included, &what).await
    }
}

impl Transfer {
    async fn run(self) -> Result<(), Failure> {
        let to = self.on.key.account(&self.to)?;
        let work = self.on.at_work().await?;
        let (netuid, hotkey) = (self.on.netuid(), work.hotkey);
        let call = Call::transfer_stake(&to, netuid, &hotkey, self.amount.0);
        let included = work.asked(self.amount.0).submit(&call).await?;
        type Fields = ([u8; 32], [u8; 32], Netuid, [u8; 32], Balance);
        let event = included.event("Stake", "StakeTransferred");
        let (.., amount) = event.and_then(Event::first::<Fields>).ok_or_else(silent)?;
        let did = format!("gave {} of the stake on {hotkey} to {to}", cost(amount));
        sent(
            self.on.json.json,
            Sent::new(did, netuid, &included).amount(amount),
        )
    }
}

impl Take {
    async fn run(self) -> Result<(), Failure> {
        let work = self.on.at_work().await?;
        let hotkey = work.hotkey;
        let asked = Asked {
            take: Some(self.percent),
            netuid: None,
            ..work.asked(None)
        };
        let included = asked.submit(&Call::set_take(&hotkey, self.percent)).await?;
        let share = as_percent(self.percent);
        let did = format!("set the take of {hotkey} to {share} on all subnets");
        sent(self.on.json.json, Sent::new(did, None, &included))
    }
}

impl Foreign {
    async fn run(self) -> Result<(), Failure> {
        let work = self.on.at_work().await?;
        let hotkey = work.hotkey;
        let call = Call::set_foreign_stake(&hotkey, self.others == Others::Allow);
        let included = work.asked(None).submit(&call).await?;
        let did = match self.others {
            Others::Allow => format!("allowed others to stake on {hotkey}"),
            Others::Refuse => format!("refused others' stake on {hotkey}"),
        };
        let done = Sent::new(did, None, &included);
        sent(
            self.on.json.json,
            match self.others {
                Others::Allow => done,
                Others::Refuse => done.note("stake that is there stays".into()),
            },
        )
    }
}

impl Unbond {
    async fn run(self) -> Result<(), Failure> {
        let work = self.on.at_work().await?;
        let (netuid, hotkey) = (self.on.netuid(), work.hotkey);
        let call = Call::unbond(netuid, &hotkey);
        let included = work.asked(None).submit(&call).await?;
        let (amount, release_at) = unbonding(&included).ok_or_else(silent)?;
        let did = format!("asked for the bond of {hotkey}, {}, back", cost(amount));
        let command = command("stake withdraw --bond", &hotkey, netuid);
        let done = Sent::new(did, netuid, &included).amount(amount);
        sent(
            self.on.json.json,
            done.release(&work.client, release_at, &command).await,
        )
    }
}

/// How much of a bond stopped counting, and from which block on it can be withdrawn.
fn unbonding(included: &Included) -> Option<(Balance, BlockNumber)> {
    type Fields = (Netuid, [u8; 32], Balance, BlockNumber);
    let event = included.event("Stake", "Unbonding");
    let (.., amount, release_at) = event.and_then(Event::first::<Fields>)?;
    Some((amount, release_at))
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let account = match &self.account {
            Some(account) => self.key.account(account)?,
            None => self.key.address()?,
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

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_chain::Block;
    use cairn_primitives::{CRN, H256};
    use codec::Encode;

    fn included(events: Vec<(&str, Vec<u8>)>) -> Included {
        let event = |(name, fields): (&str, Vec<u8>)| Event {
            pallet: "Stake".into(),
            name: name.into(),
            fields,
        };
        Included {
            block: Block {
                number: 9,
                hash: H256::zero(),
            },
            index: 1,
            hash: H256::zero(),
            events: events.into_iter().map(event).collect(),
        }
    }

    #[test]
    fn a_withdrawal_says_what_came_and_where() {
        let (me, key, other) = ([1u8; 32], [2u8; 32], [3u8; 32]);
        let done = included(vec![
            ("StakeWithdrawn", (me, 1u16, key, 5 * CRN).encode()),
            ("StakeMoved", (me, 1u16, key, 2u16, other, 3 * CRN).encode()),
            ("StakeWithdrawn", (me, 1u16, key, CRN).encode()),
        ]);
        let came = withdrawn(&done);
        assert_eq!(came.to_account, 6 * CRN);
        assert_eq!(came.moved, [(Netuid(2), AccountId(other), 3 * CRN)]);
        assert_eq!(withdrawn(&included(vec![])), Came::default());
    }

    #[test]
    fn an_unbonding_says_how_much_and_until_when() {
        let done = included(vec![(
            "Unbonding",
            (1u16, [2u8; 32], 7u64, 720u32).encode(),
        )]);
        assert_eq!(unbonding(&done), Some((7, 720)));
        assert_eq!(unbonding(&included(vec![])), None);
    }

    #[test]
    fn a_bond_below_what_a_miner_needs_is_said() {
        let note = too_little_bond(Netuid(1), 5 * CRN, 10 * CRN).expect("too little");
        assert!(
            note.contains("5.00 CRN more") && note.contains("10.00 CRN"),
            "{note}"
        );
        assert_eq!(too_little_bond(Netuid(1), 10 * CRN, 10 * CRN), None);
        assert_eq!(too_little_bond(Netuid(1), 0, 0), None);
    }
}
