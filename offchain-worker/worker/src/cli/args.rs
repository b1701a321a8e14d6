//! Options that several commands share.

use std::path::PathBuf;

use cairn_chain::{AccountId, Client, Keypair};
use cairn_primitives::{Netuid, H256};
use clap::Args;

use crate::{error::Failure, wallet::Wallets};

/// Which node.
#[derive(Args, Clone, Debug)]
pub struct NodeArgs {
    /// WebSocket address of a node
    #[arg(
        long,
        env = "CAIRN_NODE",
        default_value = "ws://127.0.0.1:9944",
        value_name = "URL"
    )]
    pub node: String,

    /// Refuse a node whose chain has another genesis hash than this one
    #[arg(long, env = "CAIRN_GENESIS", value_name = "HASH", value_parser = parse_hash)]
    pub genesis: Option<H256>,
}

impl NodeArgs {
    /// Connects, and makes sure that it is the right chain.
    pub async fn connect(&self) -> Result<Client, Failure> {
        let client = Client::connect(&self.node).await?;
        if let Some(expected) = self.genesis {
            client.expect_genesis(expected)?;
        }
        Ok(client)
    }
}

/// Which subnet.
#[derive(Args, Clone, Copy, Debug)]
pub struct NetuidArg {
    /// Number of the subnet
    #[arg(long, env = "CAIRN_NETUID", default_value_t = 1, value_name = "NETUID")]
    pub netuid: Netuid,
}

/// How to print.
#[derive(Args, Clone, Copy, Debug)]
pub struct JsonArg {
    /// Print the same facts as JSON
    #[arg(long, env = "CAIRN_JSON", value_parser = clap::builder::BoolishValueParser::new())]
    pub json: bool,
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
#[derive(Args, Clone)]
pub struct KeyArgs {
    /// Name of the wallet that signs
    #[arg(long, env = "CAIRN_KEY", value_name = "WALLET")]
    pub key: Option<String>,

    /// A development key such as //Alice instead of a wallet; never use it for real money
    #[arg(long, env = "CAIRN_SURI", hide_env_values = true, value_name = "URI")]
    pub suri: Option<String>,

    /// Where wallets are.
    #[command(flatten)]
    pub directory: WalletDirArg,
}

impl KeyArgs {
    /// Whether a key was named.
    pub fn is_named(&self) -> bool {
        self.key.is_some() || self.suri.is_some()
    }

    /// The key that signs.
    pub fn keypair(&self) -> Result<Keypair, Failure> {
        match (&self.suri, &self.key) {
            (Some(suri), None) => Ok(cairn_chain::keypair(suri)?),
            (None, Some(name)) => self.directory.wallets().open(name),
            (None, None) => Err(Failure::new(
                "no key to sign with",
                "name a wallet with --key, or a development key with --suri //Alice",
            )),
            (Some(_), Some(_)) => Err(Failure::new(
                "both --key and --suri are given",
                "leave one of them out",
            )),
        }
    }

    /// An account given as an address, as the name of a wallet, or as a development key.
    pub fn account(&self, text: &str) -> Result<AccountId, Failure> {
        if text.starts_with("//") {
            return Ok(AccountId::of(&cairn_chain::keypair(text)?));
        }
        let wallets = self.directory.wallets();
        if wallets.names().iter().any(|name| name == text) {
            return Ok(AccountId::of(&wallets.open(text)?));
        }
        text.parse().map_err(|_| {
            Failure::new(
                format!(
                    "`{text}` is neither an address nor a wallet in {}",
                    wallets.directory().display()
                ),
                "give an address that begins with 5, or a name that `cairn wallet show` lists",
            )
        })
    }
}

impl std::fmt::Debug for KeyArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyArgs")
            .field("key", &self.key)
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

/// Reads 32 bytes in hexadecimal.
pub fn parse_hash(text: &str) -> Result<H256, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut hash = [0u8; 32];
    hex::decode_to_slice(digits, &mut hash)
        .map_err(|_| format!("`{text}` is not a hash: 0x and 64 hexadecimal digits"))?;
    Ok(H256(hash))
}
