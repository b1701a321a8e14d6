//! Options that several commands share.

use std::{cmp::Ordering, path::PathBuf};

use cairn_chain::{AccountId, Client, Keypair, Patience, Settings, Shared};
use cairn_primitives::{Netuid, H256};
use clap::{builder::TypedValueParser, ArgMatches, Args, Command, FromArgMatches};

use super::{passphrase::PassphraseArg, signer};
use crate::{amount::parse_bytes, error::Failure, wallet::Wallets};

/// Which node.
#[derive(Args, Clone, Debug)]
pub struct NodeArgs {
    /// WebSocket address of a node; given again, or with commas between: the next is asked when one fails
    #[arg(
        long,
        env = "CAIRN_NODE",
        default_value = "ws://127.0.0.1:9944",
        value_name = "URL",
        value_delimiter = ','
    )]
    pub node: Vec<String>,

    /// Refuse a node whose chain has another genesis hash than this one
    #[arg(long, env = "CAIRN_GENESIS", value_name = "HASH", value_parser = parse_hash)]
    pub genesis: Option<H256>,
}

impl NodeArgs {
    /// The first node, for what can ask one only.
    pub fn first(&self) -> &str {
        self.node.first().map_or("", String::as_str)
    }

    /// Connects to a node of the right chain.
    pub async fn connect(&self) -> Result<Client, Failure> {
        let (settings, patience) = (Settings::default(), Patience::NONE);
        Ok(Client::connect_to(&self.node, self.genesis, settings, patience).await?)
    }
}

/// Which subnet.
#[derive(Args, Clone, Copy, Debug)]
pub struct NetuidArg {
    /// Number of the subnet
    #[arg(long, env = "CAIRN_NETUID", default_value_t = Netuid(1), value_name = "NETUID", value_parser = numbered::<Netuid>())]
    pub netuid: Netuid,
}

/// How to print.
#[derive(Args, Clone, Copy, Debug)]
pub struct JsonArg {
    /// Print the same facts as JSON
    #[arg(long, env = "CAIRN_JSON", value_parser = clap::builder::BoolishValueParser::new())]
    pub json: bool,
}

/// How many threads compute.
#[derive(Args, Clone, Copy, Debug)]
pub struct ThreadsArg {
    /// Threads of the CPU [default: one per core]
    #[arg(long, env = "CAIRN_THREADS", value_name = "NUMBER")]
    threads: Option<usize>,
}

impl ThreadsArg {
    /// So many, or as many as there are cores.
    pub fn count(self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or_else(cores)
    }
}

/// What a miner keeps of its work.
#[derive(Args, Clone, Copy, Debug)]
pub struct KeepArg {
    /// Keep on the disk, in at most so many bytes, the states between a miner's steps that an audit may ask for, so that
    /// they are not trained again; 0: none
    #[arg(long, env = "CAIRN_KEEP_STATES", default_value = "8GiB", value_name = "BYTES", value_parser = parse_bytes)]
    pub keep_states: u64,
}

impl KeepArg {
    /// So many bytes where nobody says otherwise.
    pub const USUAL: u64 = 8 << 30;
}

/// Where wallets are.
#[derive(Args, Clone, Debug)]
pub struct WalletDirArg {
    /// Directory of wallets [default: ~/.cairn/wallets]
    #[arg(long, env = "CAIRN_WALLET_DIR", value_name = "DIR")]
    pub wallet_dir: Option<PathBuf>,
}

impl WalletDirArg {
    /// The wallets.
    pub fn wallets(&self) -> Wallets {
        Wallets::at(
            self.wallet_dir
                .clone()
                .unwrap_or_else(Wallets::default_directory),
        )
    }
}

/// Whose key signs.
#[derive(Clone)]
pub struct KeyArgs {
    signer: Signer,
    directory: WalletDirArg,
    passphrase: PassphraseArg,
    elsewhere: Elsewhere,
    acting: Acting,
    json: bool,
}

/// For whom a transaction is.
#[derive(Args, Clone)]
struct Acting {
    /// Act for this account as its proxy: see `cairn wallet proxy --help`
    #[arg(
        long = "for",
        env = "CAIRN_FOR",
        value_name = "ADDRESS|WALLET",
        conflicts_with = "multisig"
    )]
    acting_for: Option<String>,

    /// Act as one of those who share an account: how many have to approve, and all of them, as in 2:ann,bob,5Grw…
    #[arg(long, env = "CAIRN_MULTISIG", value_name = "NUMBER:ACCOUNT,…")]
    multisig: Option<String>,

    /// Act for this account, which was recovered, as the one that inherited it: see `cairn wallet recovery --help`
    #[arg(long, env = "CAIRN_RECOVERED", value_name = "ADDRESS|WALLET")]
    recovered: Option<String>,
}

/// A key that is not here.
#[derive(Args, Clone)]
struct Elsewhere {
    /// Send nothing, and write what has to be signed to this file: see `cairn transaction --help`
    #[arg(long, env = "CAIRN_UNSIGNED_TO", value_name = "FILE")]
    unsigned_to: Option<PathBuf>,

    /// With --unsigned-to: who will sign, if its wallet is not here either
    #[arg(
        long,
        env = "CAIRN_FROM",
        value_name = "ADDRESS|WALLET",
        requires = "unsigned_to"
    )]
    from: Option<String>,
}

/// Where the key comes from.
#[derive(Clone)]
enum Signer {
    Wallet(String),
    Suri(String),
    /// Nothing is said.
    None,
    /// Both are said in the same place.
    Both,
}

/// Whose key signs, as it is written.
#[derive(Args)]
struct WrittenKey {
    /// Name of the wallet that signs
    #[arg(long, env = "CAIRN_KEY", value_name = "WALLET")]
    key: Option<String>,

    /// A development key such as //Alice instead of a wallet: everybody has it, so never use it for real money
    #[arg(long, env = "CAIRN_SURI", hide_env_values = true, value_name = "URI")]
    suri: Option<String>,

    /// Where wallets are.
    #[command(flatten)]
    directory: WalletDirArg,

    /// Where their passphrases come from.
    #[command(flatten)]
    passphrase: PassphraseArg,

    /// Where what has to be signed goes.
    #[command(flatten)]
    elsewhere: Elsewhere,

    /// For whom it is.
    #[command(flatten)]
    acting: Acting,
}

impl Args for KeyArgs {
    fn augment_args(command: Command) -> Command {
        WrittenKey::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        WrittenKey::augment_args_for_update(command)
    }
}

impl FromArgMatches for KeyArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<KeyArgs, clap::Error> {
        KeyArgs::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<KeyArgs, clap::Error> {
        // A flag beats a variable, and a variable the settings file, whichever of the two options it is of.
        let of_key = matches.value_source("key");
        let of_suri = matches.value_source("suri");
        // Commands declare --json after the key, so that it can still be seen here.
        let json = matches.try_get_one::<bool>("json").ok().flatten().copied();
        let written = WrittenKey::from_arg_matches_mut(matches)?;
        let signer = match (written.key, written.suri) {
            (Some(name), None) => Signer::Wallet(name),
            (None, Some(suri)) => Signer::Suri(suri),
            (None, None) => Signer::None,
            (Some(name), Some(suri)) => match of_key.cmp(&of_suri) {
                Ordering::Greater => Signer::Wallet(name),
                Ordering::Less => Signer::Suri(suri),
                Ordering::Equal => Signer::Both,
            },
        };
        Ok(KeyArgs {
            signer,
            directory: written.directory,
            passphrase: written.passphrase,
            elsewhere: written.elsewhere,
            acting: written.acting,
            json: json.unwrap_or_default(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = KeyArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

impl KeyArgs {
    /// Whether a key was named.
    pub fn is_named(&self) -> bool {
        !matches!(self.signer, Signer::None) || self.elsewhere.from.is_some()
    }

    /// Who signs a transaction: a key that is here, or one elsewhere.
    pub fn signer(&self) -> Result<signer::Signer, Failure> {
        let standing = match (&self.acting.acting_for, &self.acting.multisig) {
            (Some(account), _) => signer::Standing::Proxy(self.account(account)?),
            (None, Some(shared)) => signer::Standing::Member(self.shared(shared)?),
            (None, None) => signer::Standing::Own,
        };
        let recovered = self.acting.recovered.as_ref();
        let recovered = recovered.map(|account| self.account(account)).transpose()?;
        let signer = signer::Signer::new(self.hand()?, standing)?;
        Ok(signer.acting_as(recovered).printing(self.json))
    }

    /// Who signs for itself, as one of those who share the account that --multisig names.
    ///
    /// # Errors
    /// It is none of them, or nothing is named.
    pub fn member(&self) -> Result<(signer::Signer, Shared), Failure> {
        let named = self.acting.multisig.as_ref().ok_or_else(|| {
            Failure::new(
                "it is not said which account is meant",
                "name it with --multisig",
            )
        })?;
        let shared = self.shared(named)?;
        let member = signer::Signer::new(self.hand()?, signer::Standing::Member(shared.clone()))?;
        Ok((member.for_itself(), shared))
    }

    /// An account that several share, as in `2:ann,bob`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn shared(&self, text: &str) -> Result<Shared, Failure> {
        let wrong = || {
            Failure::new(
                format!("`{text}` is no account that several share"),
                "write how many have to approve, 2 or more, and all who share it, 100 at most, once each: 2:ann,bob,5Grw…",
            )
        };
        let (threshold, members) = text.split_once(':').ok_or_else(wrong)?;
        let threshold: u16 = threshold.parse().map_err(|_| wrong())?;
        let members = members.split(',').take(Shared::MOST + 1);
        let members = members.map(|member| self.account(member.trim()));
        Shared::new(threshold, members.collect::<Result<_, _>>()?).ok_or_else(wrong)
    }

    /// Whose hand signs.
    fn hand(&self) -> Result<signer::Hand, Failure> {
        let Some(file) = &self.elsewhere.unsigned_to else {
            return self.key_here().map(signer::Hand::Key);
        };
        let account = match (&self.elsewhere.from, &self.signer) {
            (Some(from), _) => self.account(from)?,
            (None, Signer::None | Signer::Both) => {
                return Err(Failure::new(
                    "--unsigned-to does not say who will sign",
                    "name its address with --from, or its wallet with --key",
                ))
            }
            (None, _) => self.whose()?,
        };
        Ok(signer::Hand::Elsewhere(account, file.clone()))
    }

    /// Whose key it is, for a command that sends nothing.
    pub fn address(&self) -> Result<AccountId, Failure> {
        self.ensure_own_and_here()?;
        self.whose()
    }

    /// Whose key it is. A wallet says that without its passphrase.
    fn whose(&self) -> Result<AccountId, Failure> {
        match &self.signer {
            Signer::Wallet(name) => self.directory.wallets().address(name),
            Signer::Suri(suri) => Ok(AccountId::of(&development_key(suri)?)),
            Signer::None | Signer::Both => self.key_here().map(|key| AccountId::of(&key)),
        }
    }

    fn ensure_own_and_here(&self) -> Result<(), Failure> {
        let given = [
            ("--unsigned-to", self.elsewhere.unsigned_to.is_some()),
            ("--for", self.acting.acting_for.is_some()),
            ("--multisig", self.acting.multisig.is_some()),
            ("--recovered", self.acting.recovered.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((option, _)) => Err(Failure::new(
                format!("{option} is for commands that send one transaction, and this one is none of them"),
                "leave it out",
            )),
        }
    }

    /// The key that signs for itself, which has to be here.
    pub fn keypair(&self) -> Result<Keypair, Failure> {
        self.ensure_own_and_here()?;
        self.key_here()
    }

    fn key_here(&self) -> Result<Keypair, Failure> {
        match &self.signer {
            Signer::Suri(suri) => development_key(suri),
            Signer::Wallet(name) => self.open(name),
            Signer::None => Err(Failure::new(
                "no key to sign with",
                "name a wallet with --key, or a development key with --suri //Alice",
            )),
            Signer::Both => Err(Failure::new(
                "both a wallet (--key or CAIRN_KEY) and a key (--suri or CAIRN_SURI) are given",
                "leave one of them out",
            )),
        }
    }

    /// The key of a wallet.
    fn open(&self, name: &str) -> Result<Keypair, Failure> {
        let ask = || self.passphrase.of(&format!("wallet `{name}`"));
        self.directory.wallets().open(name, ask)
    }

    /// The key of an account that [`KeyArgs::account`] takes, if it is here: that of a wallet, or a development key.
    pub fn keypair_of(&self, text: &str) -> Result<Option<Keypair>, Failure> {
        if text.starts_with("//") {
            return development_key(text).map(Some);
        }
        let wallets = self.directory.wallets();
        match text.parse::<AccountId>().is_err() && wallets.has(text) {
            true => self.open(text).map(Some),
            false => Ok(None),
        }
    }

    /// An account given as an address, as the name of a wallet, or as a development key.
    pub fn account(&self, text: &str) -> Result<AccountId, Failure> {
        if text.starts_with("//") {
            return Ok(AccountId::of(&development_key(text)?));
        }
        let address = match text.parse() {
            Ok(account) => return Ok(account),
            Err(error) => error,
        };
        let wallets = self.directory.wallets();
        if wallets.has(text) {
            return wallets.address(text);
        }
        // What is nearly an address is one that was mistyped, or another network's.
        if text.len() > 40 {
            return Err(address.into());
        }
        Err(Failure::new(
            format!(
                "`{text}` is neither an address nor a wallet in {}",
                wallets.directory().display()
            ),
            "give an address that begins with 5 or cr, or a name that `cairn wallet show` lists",
        ))
    }
}

/// A key that everybody has. Any other would be read by others on the machine, and lie in a shell's history.
fn development_key(suri: &str) -> Result<Keypair, Failure> {
    if !cairn_keys::is_development(suri) {
        return Err(Failure::new(
            "--suri takes development keys only, such as //Alice: others can read what is on a command line",
            "keep the key in a wallet: `cairn wallet restore NAME` reads its phrase, `cairn wallet import` a key file",
        ));
    }
    Ok(cairn_chain::keypair(suri)?)
}

impl std::fmt::Debug for KeyArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = match &self.signer {
            Signer::Wallet(name) => Some(name),
            _ => None,
        };
        f.debug_struct("KeyArgs")
            .field("key", &key)
            .finish_non_exhaustive()
    }
}

/// Where payloads are.
#[derive(Args, Clone, Debug)]
pub struct StoreArg {
    /// The store that the workers of a run share, such as file:///srv/cairn
    #[arg(long, env = "CAIRN_STORE", value_name = "URL")]
    pub store: String,
}

/// Reads the number of a subnet or of a member, with the words that clap has for numbers.
pub fn numbered<N: From<u16> + Clone + Send + Sync + 'static>() -> impl TypedValueParser<Value = N>
{
    clap::value_parser!(u16).map(N::from)
}

/// Reads 32 bytes in hexadecimal.
pub fn parse_hash(text: &str) -> Result<H256, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut hash = [0u8; 32];
    hex::decode_to_slice(digits, &mut hash)
        .map_err(|_| format!("`{text}` is not a hash: 0x and 64 hexadecimal digits"))?;
    Ok(H256(hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{builder::Resettable, Arg};

    #[test]
    fn what_a_miner_keeps_unless_it_is_told_otherwise_is_what_plans_count() {
        let command = KeepArg::augment_args(Command::new("x"));
        let command = command.mut_args(|argument| argument.env(Resettable::Reset));
        let of = |line: &str| {
            let matches = command.clone().get_matches_from(line.split(' '));
            let keep = KeepArg::from_arg_matches(&matches);
            keep.unwrap().keep_states
        };
        assert_eq!(of("x"), KeepArg::USUAL);
        assert_eq!(of("x --keep-states 20MB"), 20_000_000);
    }

    /// Who signs for a command line, with `default` of an option in the settings file.
    fn signer(line: &str, default: Option<(&'static str, &'static str)>) -> Signer {
        let mut command = KeyArgs::augment_args(Command::new("x"));
        // Variables of the surroundings are no part of this.
        command = command.mut_args(|argument| argument.env(Resettable::Reset));
        if let Some((id, value)) = default {
            command = command.mut_arg(id, |argument: Arg| argument.default_value(value));
        }
        let matches = command.get_matches_from(line.split(' '));
        KeyArgs::from_arg_matches(&matches).unwrap().signer
    }

    #[test]
    fn a_flag_beats_what_is_set_elsewhere() {
        let wallet = signer("x --key a", Some(("suri", "//Alice")));
        assert!(matches!(wallet, Signer::Wallet(name) if name == "a"));
        let suri = signer("x --suri //Bob", Some(("key", "a")));
        assert!(matches!(suri, Signer::Suri(suri) if suri == "//Bob"));
        assert!(matches!(signer("x", Some(("key", "a"))), Signer::Wallet(_)));
        let both = signer("x --key a --suri //Bob", None);
        assert!(matches!(both, Signer::Both));
        assert!(matches!(signer("x", None), Signer::None));
    }
}
