//! What founders write down of their chain, and what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{limits::MAX_AMOUNT, Balance, CRN};
use cairn_runtime::{
    configs::{consensus::MAX_AUTHORITIES, governance::SEATS, money::ExistentialDeposit},
    AccountId,
};
use sc_network::config::MultiaddrWithPeerId;
use sc_telemetry::TelemetryEndpoints;
use serde::Deserialize;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

use crate::address;

/// Seconds that a block may take.
const BLOCK_TIMES: std::ops::RangeInclusive<u64> = 2..=60;
/// The most characters of a name.
const LONGEST_NAME: usize = 64;
/// Decimals of CRN.
const DECIMALS: usize = 9;

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    id: String,
    block_time: u64,
    #[serde(default)]
    boot_nodes: Vec<String>,
    #[serde(default)]
    telemetry: Vec<String>,
    council: Vec<String>,
    authorities: Vec<KeysOfOne>,
    founders: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysOfOne {
    account: String,
    babe: String,
    grandpa: String,
}

/// A chain that can be founded.
#[derive(Debug)]
pub struct Founding {
    /// For people.
    pub name: String,
    /// For directories and the network's protocol.
    pub id: String,
    /// Seconds from one block to the next.
    pub block_time: u64,
    /// Where a new node finds others.
    pub boot_nodes: Vec<MultiaddrWithPeerId>,
    /// Whom nodes tell how they are, if anybody.
    pub telemetry: Option<TelemetryEndpoints>,
    /// The council's first members.
    pub council: Vec<AccountId>,
    /// Who makes and finalises blocks.
    pub authorities: Vec<Authority>,
    /// Balances in pebble.
    pub founders: Vec<(AccountId, Balance)>,
}

/// An authority and its keys.
#[derive(Debug)]
pub struct Authority {
    /// Who owns the keys.
    pub account: AccountId,
    /// An sr25519 public key.
    pub babe: AccountId,
    /// An ed25519 public key.
    pub grandpa: AccountId,
}

impl Founding {
    /// Reads the content of a file.
    ///
    /// # Errors
    /// What is wrong and where, in one line.
    pub fn read(text: &str) -> Result<Founding, String> {
        let file: File = toml::from_str(text).map_err(|error| explain(text, &error))?;
        let founding = Founding {
            name: name(&file.name)?,
            id: id(&file.id)?,
            block_time: block_time(file.block_time)?,
            boot_nodes: each("boot_nodes", &file.boot_nodes, boot_node)?,
            telemetry: telemetry(&file.telemetry)?,
            council: council(&file.council)?,
            authorities: authorities(&file.authorities)?,
            founders: founders(&file.founders)?,
        };
        Ok(founding)
    }

    /// What holds of this chain that its founders may not have meant.
    pub fn notes(&self) -> Vec<&'static str> {
        let notes = [
            (
                self.authorities.len() < 4,
                "with fewer than four authorities the chain stops when one of them does",
            ),
            (
                self.council.len() < 3,
                "with fewer than three members of the council one alone cancels referenda",
            ),
            (
                self.boot_nodes.is_empty(),
                "without boot nodes each node has to be told of another by --bootnodes",
            ),
        ];
        let held = notes.into_iter().filter(|(holds, _)| *holds);
        held.map(|(_, note)| note).collect()
    }
}

/// What the library found, with the line.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| before.matches('\n').count().saturating_add(1));
    let place = line
        .map(|line| format!("line {line}: "))
        .unwrap_or_default();
    let message = error.message().lines().next().unwrap_or("no TOML");
    format!("{place}{message}")
}

/// Reads each of a list, and says of which something is wrong.
fn each<T>(
    key: &str,
    texts: &[String],
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let numbered = (1..).zip(texts);
    let read = numbered.map(|(number, text)| {
        read(text).map_err(|why| format!("{key}, number {number}: `{}` {why}", shown(text)))
    });
    read.collect()
}

fn shown(text: &str) -> String {
    text.chars()
        .take(64)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

fn name(name: &str) -> Result<String, String> {
    let is_printable = !name.trim().is_empty() && !name.contains(char::is_control);
    match is_printable && name.chars().count() <= LONGEST_NAME {
        true => Ok(name.into()),
        false => Err(format!(
            "name: `{}` is not 1 to {LONGEST_NAME} characters that can be printed",
            shown(name)
        )),
    }
}

fn id(id: &str) -> Result<String, String> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if id.is_empty() || id.len() > LONGEST_NAME || !id.bytes().all(allowed) {
        let shown = shown(id);
        return Err(format!(
            "id: `{shown}` is not 1 to {LONGEST_NAME} of a-z, 0-9, - and _"
        ));
    }
    // Their nodes would keep it in the same directory and speak to it.
    let names = ["dev", "devnet", "local"];
    if names.contains(&id.strip_prefix("cairn_").unwrap_or(id)) {
        return Err(format!(
            "id: `{id}` is the name of a network for development; choose another"
        ));
    }
    Ok(id.into())
}

fn block_time(seconds: u64) -> Result<u64, String> {
    match BLOCK_TIMES.contains(&seconds) {
        true => Ok(seconds),
        false => Err(format!(
            "block_time: {seconds} is not {} to {} seconds",
            BLOCK_TIMES.start(),
            BLOCK_TIMES.end()
        )),
    }
}

fn boot_node(text: &str) -> Result<MultiaddrWithPeerId, String> {
    text.parse()
        .map_err(|_| "is no address with a peer: write /dns/HOST/tcp/30333/p2p/PEER".into())
}

fn telemetry(urls: &[String]) -> Result<Option<TelemetryEndpoints>, String> {
    let endpoint = |url: &str| {
        let endpoint = (url.to_string(), 0);
        let read = TelemetryEndpoints::new(vec![endpoint.clone()]);
        read.map_err(|_| "is no address: write wss://HOST/submit/".to_string())?;
        Ok(endpoint)
    };
    let endpoints = each("telemetry", urls, endpoint)?;
    match endpoints.is_empty() {
        true => Ok(None),
        false => TelemetryEndpoints::new(endpoints)
            .map(Some)
            .map_err(|error| format!("telemetry: {error}")),
    }
}

/// A public key that is not one of those whose secrets everybody has.
fn key(text: &str) -> Result<AccountId, String> {
    let key = address::read(text).ok_or_else(|| format!("is not {}", address::EXPECTED))?;
    let known = |seed: String| {
        format!("is the development key {seed}, whose secret everybody has; put a key of your own there")
    };
    let sr25519 = Sr25519Keyring::iter().find(|one| one.to_account_id() == key);
    let ed25519 = Ed25519Keyring::iter().find(|one| one.to_account_id() == key);
    let seed = sr25519.map(Sr25519Keyring::to_seed);
    match seed.or_else(|| ed25519.map(Ed25519Keyring::to_seed)) {
        Some(seed) => Err(known(seed)),
        None => Ok(key),
    }
}

fn council(texts: &[String]) -> Result<Vec<AccountId>, String> {
    let most = usize::try_from(SEATS).unwrap_or(usize::MAX);
    if texts.is_empty() || texts.len() > most {
        let seats = texts.len();
        return Err(format!(
            "council: it has 1 to {SEATS} members, and there are {seats}"
        ));
    }
    let members = each("council", texts, key)?;
    match members.iter().collect::<BTreeSet<_>>().len() == members.len() {
        true => Ok(members),
        false => Err("council: an account is there twice".into()),
    }
}

fn authorities(all: &[KeysOfOne]) -> Result<Vec<Authority>, String> {
    let most = usize::try_from(MAX_AUTHORITIES).unwrap_or(usize::MAX);
    if all.is_empty() || all.len() > most {
        return Err(format!(
            "authorities: there are 1 to {MAX_AUTHORITIES}, and {} are named",
            all.len()
        ));
    }
    let mut seen = BTreeSet::new();
    let mut read = Vec::new();
    for (number, one) in (1..).zip(all) {
        let mut part = |part: &str, text: &str| {
            let place = format!("authorities, number {number}: {part} `{}`", shown(text));
            let key = key(text).map_err(|why| format!("{place} {why}"))?;
            match seen.insert(key.clone()) {
                true => Ok(key),
                false => Err(format!(
                    "{place} is there twice: each has an account and two keys of its own"
                )),
            }
        };
        read.push(Authority {
            account: part("account", &one.account)?,
            babe: part("babe", &one.babe)?,
            grandpa: part("grandpa", &one.grandpa)?,
        });
    }
    Ok(read)
}

fn founders(all: &BTreeMap<String, String>) -> Result<Vec<(AccountId, Balance)>, String> {
    if all.is_empty() {
        return Err("founders: somebody has to have CRN, or nobody can create a subnet".into());
    }
    let mut balances = BTreeMap::new();
    let mut sum: Balance = 0;
    for (text, amount) in all {
        let place = format!("founders: `{}`", shown(text));
        let account = key(text).map_err(|why| format!("{place} {why}"))?;
        let pebble = pebble(amount).ok_or_else(|| {
            let amount = shown(amount);
            format!("{place} has `{amount}`, which is no amount of CRN, such as \"1000.5\"")
        })?;
        let least = ExistentialDeposit::get();
        if pebble < least {
            return Err(format!(
                "{place} has less than {least} pebble, which no account can have"
            ));
        }
        if balances.insert(account, pebble).is_some() {
            return Err(format!("{place} is there twice"));
        }
        sum = sum.saturating_add(pebble);
    }
    match sum <= MAX_AMOUNT {
        true => Ok(balances.into_iter().collect()),
        false => Err(
            "founders: they have more than 21 million CRN, which is all that there can be".into(),
        ),
    }
}

/// An amount of CRN in pebble; `None` if it is none.
fn pebble(text: &str) -> Option<Balance> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > DECIMALS {
        return None;
    }
    let whole: Balance = whole.parse().ok()?;
    let decimals: Balance = format!("{decimals:0<DECIMALS$}").parse().ok()?;
    whole.checked_mul(CRN)?.checked_add(decimals)
}
