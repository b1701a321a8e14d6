//! Wallets: one key file each, under one directory.
//!
//! A key file is TOML with one key, `mnemonic`, and only its owner may read it. Nothing here ever logs a
//! secret; the phrase is shown to the person once, when the wallet is made.

use std::{
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use cairn_chain::Keypair;
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// What a key file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    mnemonic: String,
}

/// A directory of key files.
pub struct Wallets {
    directory: PathBuf,
}

impl Wallets {
    /// The wallets under `directory`; it is made when the first one is.
    pub fn at(directory: PathBuf) -> Wallets {
        Wallets { directory }
    }

    /// Where wallets are kept unless a person says otherwise: `~/.cairn/wallets`.
    pub fn default_directory() -> PathBuf {
        std::env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default()
            .join(".cairn/wallets")
    }

    /// Makes a wallet and gives the phrase that restores it.
    pub fn create(&self, name: &str) -> Result<(Keypair, String), Failure> {
        let mut entropy = [0u8; 16];
        getrandom::fill(&mut entropy)
            .map_err(|error| Failure::new(format!("no randomness: {error}"), "try again"))?;
        let phrase = cairn_chain::mnemonic(&entropy)?;
        let keypair = cairn_chain::keypair(&phrase)?;
        self.write(name, &phrase)?;
        Ok((keypair, phrase))
    }

    /// Makes a wallet from its phrase.
    pub fn restore(&self, name: &str, phrase: &str) -> Result<Keypair, Failure> {
        // a development key or a derived one is no phrase that a wallet was made with
        let is_phrase = phrase.split(' ').count() >= 12 && !phrase.contains('/');
        let keypair = is_phrase
            .then(|| cairn_chain::keypair(phrase).ok())
            .flatten()
            .ok_or_else(|| {
                Failure::new(
                    "this is not a wallet's phrase",
                    "give the twelve words that `cairn wallet new` printed, in their order",
                )
            })?;
        self.write(name, phrase)?;
        Ok(keypair)
    }

    fn write(&self, name: &str, phrase: &str) -> Result<(), Failure> {
        let path = self.path(name)?;
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory);
        made.map_err(|error| {
            let what = format!(
                "cannot make the wallet directory {}: {error}",
                self.directory.display()
            );
            Failure::new(what, "name another one with --wallet-dir")
        })?;
        let content = toml::to_string(&KeyFile {
            mnemonic: phrase.to_string(),
        })?;
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path);
        let mut file = opened.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::new(
                format!("there is a wallet `{name}` already ({})", path.display()),
                "choose another name; a wallet is never overwritten",
            ),
            _ => Failure::new(
                format!("cannot write {}: {error}", path.display()),
                "make the wallet directory writable, or name another one with --wallet-dir",
            ),
        })?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        Ok(())
    }

    /// The key of a wallet. A file that others can read is refused: its key is no secret any more.
    pub fn open(&self, name: &str) -> Result<Keypair, Failure> {
        let path = self.path(name)?;
        let metadata = std::fs::metadata(&path).map_err(|_| {
            Failure::new(
                format!("no wallet `{name}` in {}", self.directory.display()),
                format!("make it with `cairn wallet new {name}`, or name its directory with --wallet-dir"),
            )
        })?;
        if metadata.permissions().mode() & 0o077 != 0 {
            let what = format!("others can read {}", path.display());
            return Err(Failure::new(
                what,
                format!("run `chmod 600 {}`", path.display()),
            ));
        }
        let content = std::fs::read_to_string(&path)?;
        // The parser's own message would quote the line, and the line is the secret.
        let file: KeyFile = toml::from_str(&content).map_err(|_| {
            Failure::new(
                format!("{} is not a key file", path.display()),
                "it must hold one line: mnemonic = \"twelve words\"",
            )
        })?;
        cairn_chain::keypair(&file.mnemonic).map_err(|_| {
            Failure::new(
                format!("the phrase in {} is not valid", path.display()),
                "restore the file",
            )
        })
    }

    /// Names of all wallets, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                entry
                    .file_name()
                    .to_str()?
                    .strip_suffix(".toml")
                    .map(String::from)
            })
            .collect();
        names.sort();
        names
    }

    /// Where a wallet's key file is.
    pub fn path(&self, name: &str) -> Result<PathBuf, Failure> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let what = format!("`{name}` cannot name a wallet");
            return Err(Failure::new(what, "use up to 64 letters, digits, - and _"));
        }
        Ok(self.directory.join(format!("{name}.toml")))
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_chain::{keypair, AccountId};

    fn address(keypair: &Keypair) -> AccountId {
        AccountId::of(keypair)
    }

    fn wallets() -> (tempfile::TempDir, Wallets) {
        let directory = tempfile::tempdir().unwrap();
        let wallets = Wallets::at(directory.path().join("wallets"));
        (directory, wallets)
    }

    #[test]
    fn a_wallet_opens_to_the_key_that_its_phrase_restores() {
        let (_directory, wallets) = wallets();
        let (made, phrase) = wallets.create("miner-1").unwrap();
        assert_eq!(address(&wallets.open("miner-1").unwrap()), address(&made));
        assert_eq!(address(&keypair(&phrase).unwrap()), address(&made));
        assert_eq!(phrase.split(' ').count(), 12);
        assert_eq!(wallets.names(), ["miner-1"]);
    }

    #[test]
    fn a_phrase_restores_the_wallet() {
        let (_directory, wallets) = wallets();
        let (made, phrase) = wallets.create("a").unwrap();
        let restored = wallets.restore("b", &phrase).unwrap();
        assert_eq!(address(&restored), address(&made));
        assert_eq!(address(&wallets.open("b").unwrap()), address(&made));
        assert!(wallets.restore("b", &phrase).is_err(), "never overwritten");
        let wrong = phrase.replacen(' ', " zebra ", 1);
        for phrase in ["", "//Alice", "twelve words", &wrong] {
            let error = wallets.restore("c", phrase).err().unwrap().to_string();
            assert!(error.contains("twelve words"), "{error}");
            assert!(wallets.open("c").is_err());
        }
    }

    #[test]
    fn only_its_owner_can_read_a_key_file() {
        let (_directory, wallets) = wallets();
        wallets.create("a").unwrap();
        let path = wallets.path("a").unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = wallets.open("a").err().unwrap().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_wallet_is_never_overwritten() {
        let (_directory, wallets) = wallets();
        let (made, _) = wallets.create("a").unwrap();
        assert!(wallets.create("a").is_err());
        assert_eq!(address(&wallets.open("a").unwrap()), address(&made));
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        let (_directory, wallets) = wallets();
        for name in ["", "../a", "a/b", ".", "a b", "é"] {
            assert!(wallets.create(name).is_err(), "{name}");
        }
    }

    #[test]
    fn errors_never_quote_a_secret() {
        let (_directory, wallets) = wallets();
        wallets.create("a").unwrap();
        let path = wallets.path("a").unwrap();
        std::fs::write(&path, "mnemonic = \"secret words\nfoo").unwrap();
        let error = wallets.open("a").err().unwrap().to_string();
        assert!(!error.contains("secret words"), "{error}");
    }
}
