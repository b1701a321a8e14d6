//! Keys: `cairn wallet new`, `restore` and `show`.

use std::io::{self, BufRead, IsTerminal};

use cairn_chain::AccountId;
use clap::Args;
use serde::Serialize;
use zeroize::Zeroizing;

use super::files::kept_as;
use crate::{
    cli::{
        args::{JsonArg, WalletDirArg},
        passphrase::KeptArgs,
        print,
    },
    error::Failure,
    output,
    printable::printable,
    table::table,
    wallet::Wallets,
};

/// `cairn wallet new`.
#[derive(Args, Debug)]
pub struct New {
    /// What to call it: letters, digits, - and _
    name: String,
    #[command(flatten)]
    kept: KeptArgs,
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
    kept: KeptArgs,
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
struct Made<'a> {
    name: String,
    address: String,
    file: String,
    encrypted: bool,
    mnemonic: &'a str,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    address: String,
    file: String,
    encrypted: bool,
}

/// What to say of a phrase that is shown.
fn advice(encrypted: bool) -> &'static str {
    match encrypted {
        true => {
            "Write the phrase down and keep it secret: it restores the wallet without its passphrase. \
             It is in no file, and is not printed again."
        }
        false => {
            "Write the phrase down and keep it secret: it restores the wallet. It is in the file as well, \
             in plain text: whoever can read the file has the key. It is not printed again."
        }
    }
}

impl New {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let wallets = self.directory.wallets();
        wallets.expect_free(&self.name)?;
        let kept = self.kept.kept(&format!("wallet `{}`", self.name))?;
        let (keypair, mnemonic) = wallets.create(&self.name, &kept)?;
        let file = wallets.path(&self.name)?.display().to_string();
        let address = AccountId::of(&keypair).to_string();
        let made = Made {
            name: self.name,
            address,
            file,
            encrypted: kept.passphrase().is_some(),
            mnemonic: &mnemonic,
        };
        let shown = output::print_once(self.json.json, &made, |made| {
            format!(
                "wallet   {}\naddress  {}\nfile     {}\nkept     {}\nphrase   {}\n\n{}\n",
                made.name,
                made.address,
                printable(&made.file),
                kept_as(made.encrypted),
                made.mnemonic,
                advice(made.encrypted)
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
fn phrase() -> Result<Zeroizing<String>, Failure> {
    let input = std::io::stdin().lock();
    let typed = input.is_terminal();
    if typed {
        output::say_raw("phrase, on one line or several; an empty line ends it: ");
    }
    read_phrase(input, typed)
}

fn read_phrase(input: impl BufRead, typed: bool) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_PHRASE as usize));
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
        wallets.expect_free(&self.name)?;
        let secret = Wallets::of_phrase(&phrase()?)?;
        let kept = self.kept.kept(&format!("wallet `{}`", self.name))?;
        wallets.keep(&self.name, &secret, &kept)?;
        let restored = Shown {
            address: AccountId::of(secret.keypair()).to_string(),
            file: wallets.path(&self.name)?.display().to_string(),
            encrypted: kept.passphrase().is_some(),
            name: self.name,
        };
        print(self.json.json, &restored, |wallet| {
            format!(
                "wallet   {}\naddress  {}\nfile     {}\nkept     {}\n",
                wallet.name,
                wallet.address,
                wallet.file,
                kept_as(wallet.encrypted)
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
                Ok(Shown {
                    address: wallets.address(&name)?.to_string(),
                    file: wallets.path(&name)?.display().to_string(),
                    encrypted: wallets.is_encrypted(&name)?,
                    name,
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
                    kept_as(wallet.encrypted).to_string(),
                    wallet.file.clone(),
                ]
            };
            table(
                &["wallet", "address", "kept", "file"],
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
        assert_eq!(read_phrase(text.as_bytes(), false).unwrap().as_str(), text);
        assert!(read_phrase(&[0xff, 0xfe][..], false).is_err());
        assert!(read_phrase("word ".repeat(1_000).as_bytes(), false).is_err());
    }
}
