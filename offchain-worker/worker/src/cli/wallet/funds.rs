//! What is in an account: `cairn wallet balance` and `send`.

use cairn_chain::{AccountBalance, AccountId, Call};
use cairn_primitives::{api::pebble, Balance, BlockNumber, H256};
use clap::Args;
use serde::Serialize;

use crate::{
    amount::{cost, crn, parse_part, Part},
    cli::{
        args::{JsonArg, KeyArgs, NodeArgs},
        print,
        purse::Purse,
        refusal::Asked,
    },
    error::Failure,
};

/// `cairn wallet balance`.
#[derive(Args, Debug)]
pub struct BalanceOf {
    /// The account: an address, or the name of a wallet [default: the wallet that signs]
    #[arg(value_name = "ADDRESS|WALLET")]
    account: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn wallet send`.
#[derive(Args, Debug)]
pub struct Send {
    /// Amount in CRN, such as 100 or 0.5, or all that the account can spend
    #[arg(value_name = "CRN|all", value_parser = parse_part)]
    amount: Part,
    /// The recipient: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_TO", value_name = "ADDRESS|WALLET")]
    to: String,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// Amounts in pebble. What is staked or bonded is not in the account: `cairn stake show` has it.
#[derive(Serialize)]
struct Account {
    address: String,
    /// What can be spent.
    #[serde(with = "pebble")]
    spendable: Balance,
    /// What is held back, by deposits and locks.
    #[serde(with = "pebble")]
    locked: Balance,
}

impl Account {
    fn new(address: AccountId, balance: AccountBalance) -> Account {
        // locks reach what is reserved first
        let frozen = balance.frozen.saturating_sub(balance.reserved);
        Account {
            address: address.to_string(),
            spendable: balance.free.saturating_sub(frozen),
            locked: balance.reserved.saturating_add(frozen.min(balance.free)),
        }
    }
}

#[derive(Serialize)]
struct Sent {
    from: String,
    to: String,
    #[serde(with = "pebble")]
    amount: Balance,
    block: BlockNumber,
    block_hash: H256,
}

impl BalanceOf {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let address = match &self.account {
            Some(account) => self.key.account(account)?,
            None => self.key.address()?,
        };
        let view = self.node.connect().await?.at_best().await?;
        let account = Account::new(address, view.balance(&address).await?);
        print(self.json.json, &account, |account| {
            format!(
                "{}\nspendable  {} CRN\nlocked     {} CRN\n",
                account.address,
                crn(account.spendable, 9),
                crn(account.locked, 9)
            )
        })
    }
}

impl Send {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let to = self.key.account(&self.to)?;
        let signer = self.key.signer()?;
        let client = self.node.connect().await?;
        // The longest amount makes the dearest transaction.
        let longest = Call::transfer(&to, Balance::MAX);
        let purse = Purse::of(&client, &signer, &longest).await?;
        let amount = purse.take(self.amount)?;
        let there = client.at_best().await?.balance(&to).await?;
        if there.free.saturating_add(there.reserved) == 0 && amount < purse.deposit() {
            let (amount, least) = (cost(amount), cost(purse.deposit()));
            return Err(Failure::new(
                format!("{to} is a new account, and {amount} are too little to open one"),
                format!("send {least} or more"),
            ));
        }
        let asked = Asked::new(&client, &signer);
        let included = asked.submit(&Call::transfer(&to, amount)).await?;
        let sent = Sent {
            from: signer.account().to_string(),
            to: to.to_string(),
            amount,
            block: included.block.number,
            block_hash: included.block.hash,
        };
        print(self.json.json, &sent, |sent| {
            format!(
                "sent {} to {}, in block {}\n",
                cost(sent.amount),
                sent.to,
                sent.block
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_take_what_is_reserved_first() {
        let address = AccountId::of(&cairn_chain::keypair("//Alice").unwrap());
        let of = |free, reserved, frozen| {
            let balance = AccountBalance {
                free,
                reserved,
                frozen,
            };
            let account = Account::new(address, balance);
            (account.spendable, account.locked)
        };
        assert_eq!(of(10, 0, 0), (10, 0));
        assert_eq!(of(10, 3, 0), (10, 3));
        assert_eq!(of(10, 3, 5), (8, 5));
        assert_eq!(of(10, 0, 50), (0, 10));
    }
}
