//! `cairn wallet`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    args::{JsonArg, WalletDirArg},
    print,
};
use crate::{error::Failure, table::table};
use cairn_chain::AccountId;

/// `cairn wallet …`.
#[derive(Subcommand, Debug)]
pub enum Wallet {
    /// Make a wallet and print, once, the phrase that restores it
    #[command(
        after_help = "Examples:\n  cairn wallet new owner\n  cairn wallet new miner --wallet-dir /srv/keys"
    )]
    New(New),
    /// Show the address of one wallet, or of all
    #[command(after_help = "Examples:\n  cairn wallet show\n  cairn wallet show miner --json")]
    Show(Show),
}

/// `cairn wallet new`.
#[derive(Args, Debug)]
pub struct New {
    /// What to call it: letters, digits, - and _
    name: String,
    #[command(flatten)]
    directory: WalletDirArg,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn wallet show`.
#[derive(Args, Debug)]
pub struct Show {
    /// One wallet; left out: all of them
    name: Option<String>,
    #[command(flatten)]
    directory: WalletDirArg,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Made {
    name: String,
    address: String,
    file: String,
    mnemonic: String,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    address: String,
    file: String,
}

impl Wallet {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Wallet::New(new) => new.run(),
            Wallet::Show(show) => show.run(),
        }
    }
}

impl New {
    fn run(self) -> Result<(), Failure> {
        let wallets = self.directory.wallets();
        let (keypair, mnemonic) = wallets.create(&self.name)?;
        let file = wallets.path(&self.name)?.display().to_string();
        let address = AccountId::of(&keypair).to_string();
        let made = Made {
            name: self.name,
            address,
            file,
            mnemonic,
        };
        print(self.json.json, &made, |made| {
            format!(
                "wallet   {}\naddress  {}\nfile     {}\nphrase   {}\n\nWrite the phrase down and keep it secret: it restores the wallet, and it is not shown again.\n",
                made.name, made.address, made.file, made.mnemonic
            )
        })
    }
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let wallets = self.directory.wallets();
        let names = self.name.map_or_else(|| wallets.names(), |name| vec![name]);
        let shown = names
            .into_iter()
            .map(|name| {
                let address = AccountId::of(&wallets.open(&name)?).to_string();
                let file = wallets.path(&name)?.display().to_string();
                Ok(Shown {
                    name,
                    address,
                    file,
                })
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        print(self.json.json, &shown, |shown| {
            if shown.is_empty() {
                return format!(
                    "no wallets in {}; make one with `cairn wallet new NAME`\n",
                    wallets.directory().display()
                );
            }
            let row = |wallet: &Shown| {
                vec![
                    wallet.name.clone(),
                    wallet.address.clone(),
                    wallet.file.clone(),
                ]
            };
            table(
                &["wallet", "address", "file"],
                &shown.iter().map(row).collect::<Vec<_>>(),
            )
        })
    }
}
