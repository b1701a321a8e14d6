//! Key files of other wallets: `cairn wallet import` and `export`.

use std::{io::ErrorKind, path::PathBuf};

use cairn_chain::AccountId;
use cairn_keys::{write, Format, KeyFile};
use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        args::{JsonArg, WalletDirArg},
        passphrase::KeptArgs,
        print,
    },
    error::Failure,
    new_file::write_secret,
    wallet::read_bounded,
};

/// `cairn wallet import`.
#[derive(Args, Debug)]
pub struct Import {
    /// What to call it: letters, digits, - and _
    name: String,
    /// A key file of polkadot.js or of Bittensor
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    kept: KeptArgs,
    #[command(flatten)]
    directory: WalletDirArg,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn wallet export`.
#[derive(Args, Debug)]
pub struct Export {
    /// The wallet
    name: String,
    /// For whom: polkadot-js, or bittensor
    #[arg(long, env = "CAIRN_FORMAT", value_name = "FORMAT")]
    format: Format,
    /// The file to write; there must be none yet
    #[arg(long, env = "CAIRN_OUT", value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    kept: KeptArgs,
    #[command(flatten)]
    directory: WalletDirArg,
    #[command(flatten)]
    json: JsonArg,
}

/// A wallet and a file.
#[derive(Serialize)]
struct Copied {
    name: String,
    address: String,
    file: String,
    encrypted: bool,
}

impl Copied {
    fn text(&self) -> String {
        format!(
            "wallet   {}\naddress  {}\nfile     {}\nkept     {}\n",
            self.name,
            self.address,
            self.file,
            kept_as(self.encrypted)
        )
    }
}

/// How a key is kept, for people.
pub fn kept_as(encrypted: bool) -> &'static str {
    match encrypted {
        true => "under a passphrase",
        false => "in plain text",
    }
}

impl Import {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let wallets = self.directory.wallets();
        wallets.expect_free(&self.name)?;
        let named = self.file.display().to_string();
        let bytes = read_bounded(&self.file).map_err(|error| {
            Failure::new(
                format!("cannot read {named}: {error}"),
                "name a key file that you may read",
            )
        })?;
        let during = |error| Failure::during(&named, error);
        let file = KeyFile::read(&bytes).map_err(during)?;
        let passphrase = file.is_encrypted();
        let passphrase = passphrase.then(|| self.kept.passphrase().of(&named));
        let passphrase = passphrase.transpose()?;
        let secret = file.open(passphrase.as_ref()).map_err(during)?;
        let what = format!("wallet `{}`", self.name);
        let kept = self.kept.kept_as(passphrase, &what)?;
        wallets.keep(&self.name, &secret, &kept)?;
        let copied = Copied {
            address: AccountId::of(secret.keypair()).to_string(),
            file: wallets.path(&self.name)?.display().to_string(),
            encrypted: kept.passphrase().is_some(),
            name: self.name,
        };
        print(self.json.json, &copied, Copied::text)
    }
}

impl Export {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let wallets = self.directory.wallets();
        let what = format!("wallet `{}`", self.name);
        let mut passphrase = None;
        let secret = wallets.secret(&self.name, || {
            let given = self.kept.passphrase().of(&what)?;
            Ok(passphrase.insert(given).clone())
        })?;
        let file = self.out.display().to_string();
        let kept = self.kept.kept_as(passphrase, &file)?;
        let address = AccountId::of(secret.keypair()).to_string();
        let names = (self.name.as_str(), address.as_str());
        let bytes = write(self.format, &secret, names, kept.passphrase())?;
        write_secret(&self.out, &bytes).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::new(
                format!("{file} is there already"),
                "name another file; a key file is never overwritten",
            ),
            _ => Failure::new(
                format!("cannot write {file}: {error}"),
                "check the path, its permissions and the disk",
            ),
        })?;
        let copied = Copied {
            address,
            file,
            encrypted: kept.passphrase().is_some(),
            name: self.name,
        };
        print(self.json.json, &copied, Copied::text)
    }
}
