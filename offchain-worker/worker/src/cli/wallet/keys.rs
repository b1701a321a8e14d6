//! Keys: `cairn wallet new`, `restore` and `show`.

use std::io::{self, BufRead, IsTerminal};

use cairn_chain::AccountId;
use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        args::{JsonArg, WalletDirArg},
        print,
    },
    error::Failure,
    output,
    printable::printable,
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
        let shown = output::print_once(self.json.json, &made, |made| {
            format!(
                "wallet   {}\naddress  {}\nfile     {}\nphrase   {}\n\nWrite the phrase down and keep it secret: it restores the wallet. It is in the file as well, and is not printed again.\n",
                made.name, made.address, printable(&made.file), made.mnemonic
            )
        });
        shown.map_err(|error| match wallets.discard(&made.name) {
            Ok(()) => Failure::during("no wallet was made, since its phrase was not shown", error),
            Err(left) => left,
        })
    }
}

/// The most that is read as a phrase: far more than any has.
const MAX_PHRASE: u64 = 4_096;

/// The phrase, from the standard input: what is on a command line can be read by others. A person ends it
/// with an empty line, a program with its end.
fn phrase() -> Result<String, Failure> {
    let input = std::io::stdin().lock();
    let typed = input.is_terminal();
    if typed {
        output::say_raw("phrase, on one line or several; an empty line ends it: ");
    }
    read_phrase(input, typed)
}

fn read_phrase(input: impl BufRead, typed: bool) -> Result<String, Failure> {
    let mut text = String::new();
    let mut lines = input.take(MAX_PHRASE);
    let cannot = |error: io::Error| {
        Failure::new(
            format!("cannot read the phrase from standard input: {error}"),
            "give it as plain text",
        )
    };
    while lines.read_line(&mut text).map_err(cannot)? > 0 {
        let blank = text
            .lines()
            .last()
            .is_some_and(|line| line.trim().is_empty());
        if typed && blank && !text.trim().is_empty() {
            break;
        }
    }
    if lines.limit() == 0 {
        return Err(Failure::new(
            "standard input is too long for a phrase",
            "give the words of the phrase and nothing else",
        ));
    }
    Ok(text)
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
        let names = match self.name {
            Some(name) => vec![name],
            None => wallets.names()?,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_ends_a_phrase_with_an_empty_line_and_a_program_with_its_end() {
        let text = "\none two\nthree\n\nfour\n";
        assert_eq!(
            read_phrase(text.as_bytes(), true).unwrap().trim(),
            "one two\nthree"
        );
        assert_eq!(read_phrase(text.as_bytes(), false).unwrap(), text);
        assert!(read_phrase(&[0xff, 0xfe][..], false).is_err());
        assert!(read_phrase("word ".repeat(1_000).as_bytes(), false).is_err());
    }
}
