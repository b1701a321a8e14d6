//! Keys: `cairn wallet new`, `restore` and `show`.

use std::io::{BufRead, IsTerminal};

use cairn_chain::AccountId;
use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        args::{JsonArg, WalletDirArg},
        print,
    },
    error::Failure,
    table::table,
};

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

/// `cairn wallet restore`.
#[derive(Args, Debug)]
pub struct Restore {
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

impl New {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
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

/// The phrase, from the standard input: what is on a command line can be read by others.
fn phrase() -> Result<String, Failure> {
    let mut input = std::io::stdin().lock();
    if input.is_terminal() {
        eprint!("phrase: ");
    }
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

impl Restore {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let wallets = self.directory.wallets();
        let keypair = wallets.restore(&self.name, &phrase()?)?;
        let restored = Shown {
            address: AccountId::of(&keypair).to_string(),
            file: wallets.path(&self.name)?.display().to_string(),
            name: self.name,
        };
        print(self.json.json, &restored, |wallet| {
            format!(
                "wallet   {}\naddress  {}\nfile     {}\n",
                wallet.name, wallet.address, wallet.file
            )
        })
    }
}

impl Show {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
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
