//! Wallets: one key file each, under one directory.
//!
//! A wallet is `NAME.json`, a key file of polkadot.js under a passphrase, which stock wallets import. Where a person
//! asked for plain text it is `NAME.toml` with one key, `mnemonic`, or, without a phrase, such a key file without a
//! passphrase. Only its owner may read a key file. Nothing here ever logs a secret; the phrase is shown to the person
//! once, when the wallet is made.

use std::{
    io::{ErrorKind, Read},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use cairn_chain::{AccountId, Keypair};
use cairn_keys::{Format, KeyError, KeyFile, Passphrase, Secret, MAX_FILE};
use serde::{Deserialize, Serialize};
use subxt_signer::bip39::{self, Mnemonic};
use zeroize::Zeroizing;

use crate::{error::Failure, new_file};

/// What a key file in plain text holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainFile {
    mnemonic: String,
}

/// The same as it is written: nothing of it stays in memory.
#[derive(Serialize)]
struct WrittenFile<'a> {
    mnemonic: &'a str,
}

/// Endings of key files: a file of polkadot.js, and a phrase in plain text.
const KEY_FILE: &str = "json";
const PLAIN: &str = "toml";

/// How a key is kept.
pub enum Kept {
    /// Under a passphrase.
    Encrypted(Passphrase),
    /// As it is: whoever reads the file has the key.
    Plain,
}

impl Kept {
    /// The passphrase, if there is one.
    pub fn passphrase(&self) -> Option<&Passphrase> {
        match self {
            Kept::Encrypted(passphrase) => Some(passphrase),
            Kept::Plain => None,
        }
    }
}

/// What lies in a wallet's file.
enum Content {
    Phrase(Zeroizing<String>),
    KeyFile(KeyFile),
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
    pub fn create(&self, name: &str, kept: &Kept) -> Result<(Keypair, Zeroizing<String>), Failure> {
        let mut entropy = Zeroizing::new([0u8; 16]);
        getrandom::fill(entropy.as_mut())
            .map_err(|error| Failure::new(format!("no randomness: {error}"), "try again"))?;
        let phrase = Zeroizing::new(cairn_chain::mnemonic(entropy.as_ref())?);
        let secret = Secret::of_phrase(&phrase)?;
        self.keep(name, &secret, kept)?;
        Ok((secret.keypair().clone(), phrase))
    }

    /// The secret of a phrase, as somebody typed or pasted it.
    pub fn of_phrase(text: &str) -> Result<Secret, Failure> {
        let phrase = phrase(text).map(Zeroizing::new).map_err(|why| {
            Failure::new(
                format!("this is not a wallet's phrase: {why}"),
                "give the 12 to 24 words of the phrase, in their order and nothing else",
            )
        })?;
        Ok(Secret::of_phrase(&phrase)?)
    }

    /// Makes a wallet of a secret.
    pub fn keep(&self, name: &str, secret: &Secret, kept: &Kept) -> Result<(), Failure> {
        let address = AccountId::of(secret.keypair()).to_string();
        let (ending, content) = match (kept, secret.phrase()) {
            (Kept::Plain, Some(phrase)) => {
                let text = toml::to_string(&WrittenFile { mnemonic: phrase })?;
                (PLAIN, Zeroizing::new(text.into_bytes()))
            }
            _ => {
                let names = (name, address.as_str());
                let passphrase = kept.passphrase();
                let file = cairn_keys::write(Format::PolkadotJs, secret, names, passphrase)?;
                (KEY_FILE, file)
            }
        };
        self.write(name, ending, &content)
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

    /// Makes sure that a new wallet can have this name, before anybody is asked for a passphrase.
    pub fn expect_free(&self, name: &str) -> Result<(), Failure> {
        for path in self.paths(name)? {
            if path.symlink_metadata().is_ok() {
                return Err(taken(name, &path));
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, ending: &str, content: &[u8]) -> Result<(), Failure> {
        self.expect_free(name)?;
        let path = self.directory.join(format!("{name}.{ending}"));
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
        new_file::write_secret(&path, content).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => taken(name, &path),
            _ => Failure::new(
                format!("cannot write {}: {error}", path.display()),
                "make the wallet directory writable and see that there is space, or name another one with --wallet-dir",
            ),
        })
    }

    /// The key of a wallet. `ask` gives the passphrase of this wallet, if there is one.
    pub fn open(
        &self,
        name: &str,
        ask: impl FnOnce() -> Result<Passphrase, Failure>,
    ) -> Result<Keypair, Failure> {
        Ok(self.secret(name, ask)?.keypair().clone())
    }

    /// The same with all that the wallet's file holds.
    pub fn secret(
        &self,
        name: &str,
        ask: impl FnOnce() -> Result<Passphrase, Failure>,
    ) -> Result<Secret, Failure> {
        let (path, content) = self.read(name)?;
        match content {
            Content::Phrase(phrase) => of_plain_phrase(&path, &phrase),
            Content::KeyFile(file) => {
                let passphrase = file.is_encrypted().then(ask).transpose()?;
                let opened = file.open(passphrase.as_ref());
                opened.map_err(|error| Failure::during(path.display(), error))
            }
        }
    }

    /// The address of a wallet; no passphrase is needed. A key file says it, and that it belongs to the key is seen
    /// when the wallet signs.
    pub fn address(&self, name: &str) -> Result<AccountId, Failure> {
        let (path, content) = self.read(name)?;
        match content {
            Content::Phrase(phrase) => {
                Ok(AccountId::of(of_plain_phrase(&path, &phrase)?.keypair()))
            }
            Content::KeyFile(file) => file.public_key().map(AccountId).ok_or_else(|| {
                let what = format!("{} does not say its address", path.display());
                Failure::new(what, "import it with `cairn wallet import`")
            }),
        }
    }

    /// Whether a wallet has a passphrase.
    pub fn is_encrypted(&self, name: &str) -> Result<bool, Failure> {
        match self.read(name)?.1 {
            Content::Phrase(_) => Ok(false),
            Content::KeyFile(file) => Ok(file.is_encrypted()),
        }
    }

    /// What lies in a wallet's file, and where. A file that others can read is refused: its key is no secret any more.
    fn read(&self, name: &str) -> Result<(PathBuf, Content), Failure> {
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
        let bytes = read_bounded(&path).map_err(|error| self.unreadable(&path, &error))?;
        let content = match path.extension().is_some_and(|ending| ending == PLAIN) {
            true => Content::Phrase(phrase_in(&path, &bytes)?),
            false => Content::KeyFile(
                KeyFile::read(&bytes).map_err(|error| Failure::during(path.display(), error))?,
            ),
        };
        Ok((path, content))
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
            let parts = file.to_str().and_then(|name| name.rsplit_once('.'));
            let name =
                parts.filter(|(name, ending)| is_name(name) && [KEY_FILE, PLAIN].contains(ending));
            names.extend(name.map(|(name, _)| name.to_string()));
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Whether there is a wallet of this name, or nobody may know.
    pub fn has(&self, name: &str) -> bool {
        let there = |path: PathBuf| match std::fs::metadata(path) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::PermissionDenied,
        };
        self.paths(name)
            .is_ok_and(|paths| paths.into_iter().any(there))
    }

    fn unreadable(&self, path: &Path, error: &std::io::Error) -> Failure {
        Failure::new(
            format!("cannot read {}: {error}", path.display()),
            "make it readable for yourself, or name another directory with --wallet-dir",
        )
    }

    /// Where a wallet's key file is, or would be.
    ///
    /// # Errors
    /// If no wallet can have this name, or there are two files of it.
    pub fn path(&self, name: &str) -> Result<PathBuf, Failure> {
        let [key_file, plain] = self.paths(name)?;
        match [&key_file, &plain].map(|path| path.exists()) {
            [true, true] => Err(Failure::new(
                format!(
                    "{} and {} are both there",
                    key_file.display(),
                    plain.display()
                ),
                "move the one away that is not meant",
            )),
            [false, true] => Ok(plain),
            _ => Ok(key_file),
        }
    }

    /// Where it can be: as a key file, and as a phrase in plain text.
    fn paths(&self, name: &str) -> Result<[PathBuf; 2], Failure> {
        if !is_name(name) {
            let what = format!("`{name}` cannot name a wallet");
            return Err(Failure::new(what, "use up to 64 letters, digits, - and _"));
        }
        Ok([KEY_FILE, PLAIN].map(|ending| self.directory.join(format!("{name}.{ending}"))))
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// The bytes of a key file: one more than it may have, at most.
pub fn read_bounded(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // Its room is asked for at once: growing would leave pieces of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE + 2));
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn taken(name: &str, path: &Path) -> Failure {
    Failure::new(
        format!("there is a wallet `{name}` already ({})", path.display()),
        "choose another name; a wallet is never overwritten",
    )
}

/// The phrase in a file in plain text.
fn phrase_in(path: &Path, bytes: &[u8]) -> Result<Zeroizing<String>, Failure> {
    let text = std::str::from_utf8(bytes).ok();
    // The parser's own message would quote the line, and the line is the secret.
    let file = text.and_then(|text| toml::from_str::<PlainFile>(text).ok());
    let file = file.ok_or_else(|| {
        Failure::new(
            format!("{} is not a key file", path.display()),
            "it must hold one line: mnemonic = \"twelve words\"",
        )
    })?;
    Ok(Zeroizing::new(file.mnemonic))
}

/// A secret URI as well as a phrase: so it was always read.
fn of_plain_phrase(path: &Path, phrase: &str) -> Result<Secret, Failure> {
    let secret = Secret::of_phrase(phrase).or_else(|_| Keypair::from_uri(phrase).map(Secret::from));
    secret.map_err(|_: KeyError| {
        Failure::new(
            format!("the phrase in {} is not valid", path.display()),
            "restore the file",
        )
    })
}

/// Whether a wallet can have this name.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

/// The phrase in what somebody typed or pasted: words over any number of lines, in capitals or not. What is
/// wrong with it never repeats any of it.
fn phrase(text: &str) -> Result<String, String> {
    let text = Zeroizing::new(text.trim_start_matches('\u{feff}').to_lowercase());
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
    use cairn_chain::keypair;

    fn address(keypair: &Keypair) -> AccountId {
        AccountId::of(keypair)
    }

    const PASSPHRASE: &str = "correct horse battery";

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.to_string().into()).unwrap()
    }

    /// Makes a wallet in plain text from its phrase.
    fn restore(wallets: &Wallets, name: &str, text: &str) -> Result<Keypair, Failure> {
        let secret = Wallets::of_phrase(text)?;
        wallets.keep(name, &secret, &Kept::Plain)?;
        Ok(secret.keypair().clone())
    }

    fn nobody() -> Result<Passphrase, Failure> {
        panic!("asked for a passphrase")
    }

    fn wallets() -> (tempfile::TempDir, Wallets) {
        let directory = tempfile::tempdir().unwrap();
        let wallets = Wallets::at(directory.path().join("wallets"));
        (directory, wallets)
    }

    #[test]
    fn a_wallet_opens_to_the_key_that_its_phrase_restores() {
        let (_directory, wallets) = wallets();
        let (made, phrase) = wallets.create("miner-1", &Kept::Plain).unwrap();
        assert_eq!(
            address(&wallets.open("miner-1", nobody).unwrap()),
            address(&made)
        );
        assert_eq!(address(&keypair(&phrase).unwrap()), address(&made));
        assert_eq!(phrase.split(' ').count(), 12);
        assert_eq!(wallets.names().unwrap(), ["miner-1"]);
        assert!(wallets.has("miner-1") && !wallets.has("miner-2") && !wallets.has("../x"));
        wallets.discard("miner-1").unwrap();
        assert!(wallets.names().unwrap().is_empty());
    }

    #[test]
    fn under_a_passphrase_nothing_of_a_wallet_can_be_read() {
        let (_directory, wallets) = wallets();
        let kept = Kept::Encrypted(passphrase(PASSPHRASE));
        let (made, phrase) = wallets.create("cold", &kept).unwrap();
        let path = wallets.path("cold").unwrap();
        assert!(path.ends_with("cold.json"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("mnemonic") && !text.contains(phrase.as_str()));
        assert!(wallets.is_encrypted("cold").unwrap());
        assert_eq!(wallets.address("cold").unwrap(), address(&made));
        let opened = wallets.open("cold", || Ok(passphrase(PASSPHRASE)));
        assert_eq!(address(&opened.unwrap()), address(&made));
        let wrong = wallets.open("cold", || Ok(passphrase("correct horse batterx")));
        let error = wrong.err().unwrap().to_string();
        assert!(
            error.contains("passphrase is wrong") && error.contains("cold.json"),
            "{error}"
        );
        assert!(!error.contains("batterx"), "{error}");
        for kept in [kept, Kept::Plain] {
            let error = wallets.create("cold", &kept).err().unwrap().to_string();
            assert!(error.contains("already"), "{error}");
        }
        assert_eq!(wallets.names().unwrap(), ["cold"]);
        let restored = restore(&wallets, "again", &phrase).unwrap();
        assert_eq!(address(&restored), address(&made));
    }

    #[test]
    fn a_key_without_a_phrase_is_kept_in_plain_text_as_a_key_file() {
        let (_directory, wallets) = wallets();
        let key = keypair("//Alice").unwrap();
        wallets
            .keep("hot", &key.clone().into(), &Kept::Plain)
            .unwrap();
        assert!(!wallets.is_encrypted("hot").unwrap());
        assert_eq!(
            address(&wallets.open("hot", nobody).unwrap()),
            address(&key)
        );
        assert!(wallets.path("hot").unwrap().ends_with("hot.json"));
    }

    #[test]
    fn of_two_files_of_one_name_none_is_chosen() {
        let (_directory, wallets) = wallets();
        wallets.create("a", &Kept::Plain).unwrap();
        let plain = wallets.path("a").unwrap();
        std::fs::copy(&plain, plain.with_extension("json")).unwrap();
        let error = wallets.open("a", nobody).err().unwrap().to_string();
        assert!(error.contains("both"), "{error}");
        assert_eq!(wallets.names().unwrap(), ["a"]);
    }

    #[test]
    fn a_phrase_restores_the_wallet() {
        let (_directory, wallets) = wallets();
        let (made, phrase) = wallets.create("a", &Kept::Plain).unwrap();
        let restored = restore(&wallets, "b", &phrase).unwrap();
        assert_eq!(address(&restored), address(&made));
        assert_eq!(address(&wallets.open("b", nobody).unwrap()), address(&made));
        assert!(
            restore(&wallets, "b", &phrase).is_err(),
            "never overwritten"
        );
        let wrong = phrase.replacen(' ', " zebra ", 1);
        for phrase in ["", "//Alice", "twelve words", &wrong] {
            let error = restore(&wallets, "c", phrase).err().unwrap().to_string();
            assert!(error.contains("12 to 24 words"), "{error}");
            assert!(wallets.open("c", nobody).is_err());
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
                let restored = restore(&wallets, &name, text).unwrap();
                assert_eq!(address(&restored), whole);
                assert_eq!(address(&wallets.open(&name, nobody).unwrap()), whole);
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
            let Err(error) = restore(&wallets, "x", &text) else {
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
        assert!(Wallets::at(file).open("a", nobody).is_err());
        assert!(Wallets::at(directory.path().join("none"))
            .names()
            .unwrap()
            .is_empty());
    }

    #[test]
    fn only_its_owner_can_read_a_key_file() {
        let (_directory, wallets) = wallets();
        wallets.create("a", &Kept::Plain).unwrap();
        let path = wallets.path("a").unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = wallets.open("a", nobody).err().unwrap().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_wallet_is_never_overwritten() {
        let (_directory, wallets) = wallets();
        let (made, _) = wallets.create("a", &Kept::Plain).unwrap();
        assert!(wallets.create("a", &Kept::Plain).is_err());
        assert_eq!(address(&wallets.open("a", nobody).unwrap()), address(&made));
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        let (_directory, wallets) = wallets();
        for name in ["", "../a", "a/b", ".", "a b", "é"] {
            assert!(wallets.create(name, &Kept::Plain).is_err(), "{name}");
        }
    }

    #[test]
    fn errors_never_quote_a_secret() {
        let (_directory, wallets) = wallets();
        wallets.create("a", &Kept::Plain).unwrap();
        let path = wallets.path("a").unwrap();
        std::fs::write(&path, "mnemonic = \"secret words\nfoo").unwrap();
        let error = wallets.open("a", nobody).err().unwrap().to_string();
        assert!(!error.contains("secret words"), "{error}");
    }
}
