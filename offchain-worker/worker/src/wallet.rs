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
use subxt_signer::bip39::{self, Mnemonic};

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

    /// Makes a wallet from its phrase, as somebody typed or pasted it.
    pub fn restore(&self, name: &str, text: &str) -> Result<Keypair, Failure> {
        let phrase = phrase(text).map_err(|why| {
            Failure::new(
                format!("this is not a wallet's phrase: {why}"),
                "give the 12 to 24 words of the phrase, in their order and nothing else",
            )
        })?;
        let keypair = cairn_chain::keypair(&phrase)?;
        self.write(name, &phrase)?;
        Ok(keypair)
    }

    /// Takes back a wallet that was just made and whose phrase nobody saw.
    pub fn discard(&self, name: &str) -> Result<(), Failure> {
        let path = self.path(name)?;
        std::fs::remove_file(&path).map_err(|error| {
            Failure::new(
                format!("cannot remove {}: {error}", path.display()),
                "it is a wallet whose phrase nobody saw; remove it yourself",
            )
        })
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
        let written = file
            .write_all(content.as_bytes())
            .and_then(|()| file.sync_all());
        written.map_err(|error| {
            // Half a key is none.
            let _ = std::fs::remove_file(&path);
            Failure::new(
                format!("cannot write {}: {error}", path.display()),
                "free some space, or name another directory with --wallet-dir",
            )
        })
    }

    /// The key of a wallet. A file that others can read is refused: its key is no secret any more.
    pub fn open(&self, name: &str) -> Result<Keypair, Failure> {
        let path = self.path(name)?;
        let metadata = std::fs::metadata(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failure::new(
                format!("no wallet `{name}` in {}", self.directory.display()),
                format!("make it with `cairn wallet new {name}`, or name its directory with --wallet-dir"),
            ),
            _ => self.unreadable(&path, &error),
        })?;
        if metadata.permissions().mode() & 0o077 != 0 {
            let what = format!("others can read {}", path.display());
            return Err(Failure::new(
                what,
                format!("run `chmod 600 {}`", path.display()),
            ));
        }
        let content =
            std::fs::read_to_string(&path).map_err(|error| self.unreadable(&path, &error))?;
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

    /// Names of all wallets, in order; none if there is no directory yet.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let cannot = |error: std::io::Error| self.unreadable(&self.directory, &error);
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(cannot)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry.map_err(cannot)?.file_name();
            let name = file.to_str().and_then(|name| name.strip_suffix(".toml"));
            names.extend(name.filter(|name| is_name(name)).map(String::from));
        }
        names.sort();
        Ok(names)
    }

    /// Whether there is a wallet of this name, or nobody may know.
    pub fn has(&self, name: &str) -> bool {
        let Ok(path) = self.path(name) else {
            return false;
        };
        match std::fs::metadata(path) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::PermissionDenied,
        }
    }

    fn unreadable(&self, path: &Path, error: &std::io::Error) -> Failure {
        Failure::new(
            format!("cannot read {}: {error}", path.display()),
            "make it readable for yourself, or name another directory with --wallet-dir",
        )
    }

    /// Where a wallet's key file is.
    pub fn path(&self, name: &str) -> Result<PathBuf, Failure> {
        if !is_name(name) {
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

/// Whether a wallet can have this name.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

/// The phrase in what somebody typed or pasted: words over any number of lines, in capitals or not. What is
/// wrong with it never repeats any of it.
fn phrase(text: &str) -> Result<String, String> {
    let text = text.trim_start_matches('\u{feff}').to_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return Err("it is empty".into());
    }
    let hex = |word: &str| word.len() >= 32 && word.chars().all(|c| c.is_ascii_hexdigit());
    if words.iter().any(|word| hex(word.trim_start_matches("0x"))) {
        return Err("it has a number in hexadecimal, which may be a seed and is no phrase".into());
    }
    if text.contains('/') {
        return Err("it has a / in it, as derived and development keys have".into());
    }
    if ![12, 15, 18, 21, 24].contains(&words.len()) {
        return Err(format!(
            "it has {} words, and a phrase has 12, 15, 18, 21 or 24",
            words.len()
        ));
    }
    let phrase = words.join(" ");
    match Mnemonic::parse(&phrase) {
        Ok(_) => Ok(phrase),
        Err(bip39::Error::UnknownWord(at)) => Err(format!(
            "word {} is not on the list of words (BIP-39)",
            at.saturating_add(1)
        )),
        Err(bip39::Error::InvalidChecksum) => {
            Err("its checksum is wrong: a word is another one, or they are in another order".into())
        }
        Err(_) => Err("its words are not of one list (BIP-39)".into()),
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
        assert_eq!(wallets.names().unwrap(), ["miner-1"]);
        assert!(wallets.has("miner-1") && !wallets.has("miner-2") && !wallets.has("../x"));
        wallets.discard("miner-1").unwrap();
        assert!(wallets.names().unwrap().is_empty());
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
            assert!(error.contains("12 to 24 words"), "{error}");
            assert!(wallets.open("c").is_err());
        }
    }

    /// The phrase of 24 words for an entropy of zeros, of which the first twelve are no phrase, and the first
    /// for another entropy, of which they are.
    fn long_phrases() -> [String; 2] {
        let zeros = cairn_chain::mnemonic(&[0; 32]).unwrap();
        let found = (0u32..).find_map(|number| {
            let mut entropy = [0; 32];
            entropy[..4].copy_from_slice(&number.to_le_bytes());
            let long = cairn_chain::mnemonic(&entropy).ok()?;
            let first: Vec<&str> = long.split(' ').take(12).collect();
            keypair(&first.join(" ")).ok().map(|_| long)
        });
        [zeros, found.unwrap()]
    }

    #[test]
    fn all_words_of_a_pasted_phrase_count() {
        for (number, phrase) in long_phrases().iter().enumerate() {
            let (_directory, wallets) = wallets();
            let whole = address(&keypair(phrase).unwrap());
            let words: Vec<&str> = phrase.split(' ').collect();
            let two_lines = format!("{}\n{}\n", words[..12].join(" "), words[12..].join(" "));
            for (form, text) in [
                two_lines.clone(),
                two_lines.replace('\n', "\r\n"),
                format!("\u{feff}  {}\t\n\n", phrase.to_uppercase()),
                words.join("\n"),
                phrase.replace(' ', "  \u{a0}"),
            ]
            .iter()
            .enumerate()
            {
                let name = format!("w{number}-{form}");
                let restored = wallets.restore(&name, text).unwrap();
                assert_eq!(address(&restored), whole);
                assert_eq!(address(&wallets.open(&name).unwrap()), whole);
            }
        }
    }

    #[test]
    fn what_is_no_phrase_is_refused_by_name_and_never_repeated() {
        let (_directory, wallets) = wallets();
        let phrase = cairn_chain::mnemonic(&[7; 16]).unwrap();
        let words: Vec<&str> = phrase.split(' ').collect();
        let (mut swapped, mut mistyped) = (words.clone(), words);
        swapped.swap(0, 11);
        mistyped[1] = "zzzz";
        let seed = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
        for (text, why) in [
            (String::new(), "empty"),
            (" \r\n\t ".into(), "empty"),
            (format!("{phrase} zebra"), "13 words"),
            (format!("{phrase}\n{phrase}"), "checksum"),
            (mistyped.join(" "), "word 2"),
            (swapped.join(" "), "checksum"),
            (format!("0x{seed}"), "hexadecimal"),
            (seed.to_uppercase(), "hexadecimal"),
            (format!("{phrase}\n0x{seed}"), "hexadecimal"),
            (format!("{phrase}//hard"), "/"),
            (phrase.replace(' ', ","), "1 words"),
            (phrase.replace(' ', ", "), "word 1"),
        ] {
            let Err(error) = wallets.restore("x", &text) else {
                panic!("a wallet was made where {why} is wrong");
            };
            let error = error.to_string();
            assert!(error.contains(why), "{error}");
            for secret in text.split_whitespace().filter(|word| word.len() > 3) {
                assert!(!error.contains(secret), "{error}");
            }
            assert!(!wallets.has("x"));
        }
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_an_error_and_none_is_no_wallets() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Wallets::at(file.clone()).names().unwrap_err().to_string();
        assert!(
            error.contains("cannot read") && error.contains("file"),
            "{error}"
        );
        assert!(Wallets::at(file).open("a").is_err());
        assert!(Wallets::at(directory.path().join("none"))
            .names()
            .unwrap()
            .is_empty());
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
