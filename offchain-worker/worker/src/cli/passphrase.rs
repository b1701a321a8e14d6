//! Where passphrases come from: an open file, the variable `CAIRN_PASSPHRASE`, or a person. Never the command line,
//! which others on the machine can read.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
    sync::OnceLock,
};

use cairn_keys::Passphrase;
use clap::Args;
use zeroize::Zeroizing;

use crate::{error::Failure, wallet::Kept};

/// The variable that may hold it.
const VARIABLE: &str = "CAIRN_PASSPHRASE";

/// What the variable held when the program began; what is read from an open file, which can be read once.
static OF_VARIABLE: OnceLock<Zeroizing<String>> = OnceLock::new();
static OF_FILE: OnceLock<Passphrase> = OnceLock::new();

/// The most bytes of a line that may be a passphrase.
const LONGEST: u64 = 1_026;

/// Takes the passphrase out of the environment, so that no program that is started from here has it. To be called
/// while this one has one thread.
pub fn take_from_environment() {
    if let Ok(text) = std::env::var(VARIABLE) {
        let _ = OF_VARIABLE.set(Zeroizing::new(text));
    }
    std::env::remove_var(VARIABLE);
}

/// Where the passphrases of wallets come from.
#[derive(Args, Clone, Debug)]
pub struct PassphraseArg {
    /// Read the passphrase from the first line of this open file, such as 3 after `3< file` [default: CAIRN_PASSPHRASE,
    /// else a person is asked]
    #[arg(long, env = "CAIRN_PASSPHRASE_FD", value_name = "N")]
    passphrase_fd: Option<u16>,
}

/// How a new key is kept.
#[derive(Args, Clone, Debug)]
pub struct KeptArgs {
    /// Keep the key in plain text: whoever can read the file has the key. For hotkeys of machines that start alone
    #[arg(long, env = "CAIRN_PLAIN", value_parser = clap::builder::BoolishValueParser::new())]
    plain: bool,
    #[command(flatten)]
    passphrase: PassphraseArg,
}

impl PassphraseArg {
    /// The passphrase of something that has one.
    pub fn of(&self, what: &str) -> Result<Passphrase, Failure> {
        match self.given()? {
            Some(passphrase) => Ok(passphrase),
            None => ask(&format!("passphrase of {what}: "), what, ""),
        }
    }

    /// A passphrase for something new, which a person gives twice.
    fn new_for(&self, what: &str) -> Result<Passphrase, Failure> {
        let other = ", or keep the key in plain text with --plain";
        let passphrase = match self.given()? {
            Some(passphrase) => passphrase,
            None => {
                let first = ask(&format!("new passphrase for {what}: "), what, other)?;
                first.check_new()?;
                let again = ask("the same once more: ", what, other)?;
                if !first.is(&again) {
                    return Err(Failure::new(
                        "the second was another passphrase",
                        "try again",
                    ));
                }
                first
            }
        };
        passphrase.check_new()?;
        Ok(passphrase)
    }

    /// The passphrase that somebody gave beforehand.
    fn given(&self) -> Result<Option<Passphrase>, Failure> {
        if let Some(passphrase) = OF_FILE.get() {
            return Ok(Some(passphrase.clone()));
        }
        if let Some(number) = self.passphrase_fd {
            let passphrase = of_open_file(number)?;
            return Ok(Some(OF_FILE.get_or_init(|| passphrase).clone()));
        }
        let text = OF_VARIABLE.get().cloned();
        Ok(text.map(Passphrase::new).transpose()?)
    }
}

impl KeptArgs {
    /// How a new key is kept: the passphrase is asked for here.
    pub fn kept(&self, what: &str) -> Result<Kept, Failure> {
        match self.plain {
            true => Ok(Kept::Plain),
            false => self.passphrase.new_for(what).map(Kept::Encrypted),
        }
    }

    /// How a key is kept that had this passphrase, or none, before: under the same, if that is not given up.
    pub fn kept_as(&self, before: Option<Passphrase>, what: &str) -> Result<Kept, Failure> {
        match before {
            Some(passphrase) if !self.plain => Ok(Kept::Encrypted(passphrase)),
            _ => self.kept(what),
        }
    }

    /// Where passphrases come from.
    pub fn passphrase(&self) -> &PassphraseArg {
        &self.passphrase
    }
}

/// The first line of a file that is open in this process already.
fn of_open_file(number: u16) -> Result<Passphrase, Failure> {
    let cannot = |error: io::Error| {
        Failure::new(
            format!("cannot read a passphrase from the open file {number}: {error}"),
            format!("open it for this command, as in `{number}< FILE`"),
        )
    };
    let file = File::open(format!("/dev/fd/{number}")).map_err(cannot)?;
    let line = first_line(file).map_err(cannot)?;
    match line.is_empty() {
        true => Err(cannot(io::ErrorKind::UnexpectedEof.into())),
        false => Ok(Passphrase::new(line)?),
    }
}

/// The first line, without its end.
fn first_line(file: impl Read) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(LONGEST as usize));
    BufReader::with_capacity(1, file.take(LONGEST)).read_line(&mut line)?;
    let length = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(length);
    Ok(line)
}

/// Asks a person at a terminal. `other` is what they could do instead.
fn ask(question: &str, what: &str, other: &str) -> Result<Passphrase, Failure> {
    if !io::stderr().is_terminal() {
        return Err(Failure::new(
            format!("{what} takes a passphrase, and there is no terminal to ask on"),
            format!("give it by --passphrase-fd or in {VARIABLE}{other}"),
        ));
    }
    let answer = rpassword::prompt_password(question).map_err(|error| {
        Failure::new(
            format!("cannot ask for the passphrase of {what}: {error}"),
            format!("give it by --passphrase-fd or in {VARIABLE}"),
        )
    })?;
    Ok(Passphrase::new(Zeroizing::new(answer))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_a_line_without_its_end() {
        for (bytes, line) in [
            (&b"correct horse\n"[..], "correct horse"),
            (b"correct horse\r\nsecond", "correct horse"),
            (b" correct horse ", " correct horse "),
            (b"", ""),
        ] {
            assert_eq!(first_line(bytes).unwrap().as_str(), line);
        }
        assert!(first_line(&[0xff, b'\n'][..]).is_err());
        assert!(first_line(io::repeat(b'x')).unwrap().len() as u64 <= LONGEST);
    }
}
