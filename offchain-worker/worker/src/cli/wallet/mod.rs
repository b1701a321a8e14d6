//! `cairn wallet`.

mod files;
mod funds;
mod keys;
mod multisig;
mod proxy;
mod recovered;
mod recovery;
mod registration;

use clap::Subcommand;

use crate::error::Failure;

/// `cairn wallet …`.
#[derive(Subcommand, Debug)]
pub enum Wallet {
    /// Make a wallet and print, once, the phrase that restores it
    #[command(
        after_help = "Examples:\n  cairn wallet new owner                 asks for a passphrase, twice\n  cairn wallet new miner --plain         a hotkey whose machine starts alone\n  cairn wallet new owner --passphrase-fd 0 < passphrase.txt"
    )]
    New(keys::New),
    /// Make a wallet from its phrase, which is read from the standard input
    #[command(
        after_help = "Examples:\n  cairn wallet restore owner              asks for the phrase\n  cairn wallet restore owner < phrase.txt"
    )]
    Restore(keys::Restore),
    /// Make a wallet from a key file of polkadot.js or Bittensor
    #[command(
        after_help = "Examples:\n  cairn wallet import savings 5Grwva.json\n  cairn wallet import owner ~/.bittensor/wallets/default/coldkey\n  cairn wallet import miner ~/.bittensor/wallets/default/hotkeys/default --plain\n\nThe wallet keeps the passphrase of the file. A file in plain text gets one, unless --plain is given."
    )]
    Import(files::Import),
    /// Write a wallet as a key file of polkadot.js or Bittensor
    #[command(
        after_help = "Examples:\n  cairn wallet export savings --format polkadot-js --out savings.json\n  cairn wallet export owner --format bittensor --out ~/.bittensor/wallets/default/coldkey\n\nThe file keeps the passphrase of the wallet. A wallet in plain text gets one in the file, unless --plain is given."
    )]
    Export(files::Export),
    /// Show the address of one wallet, or of all
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  cairn wallet show\n  cairn wallet show miner --json"
    )]
    Show(keys::Show),
    /// Show what is in an account: what can be spent, and what is locked
    #[command(
        after_help = "Examples:\n  cairn wallet balance owner\n  cairn wallet balance 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY --json"
    )]
    Balance(funds::BalanceOf),
    /// Sign, as a hotkey, that a coldkey may register it; needs no node
    #[command(
        after_help = "Examples:\n  cairn wallet sign-registration --key miner --netuid 1 --coldkey 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY --genesis 0x2a…\n\n`cairn status --json` shows the genesis hash of a chain. The coldkey gives what is printed to `cairn subnet register --hotkey-signature`."
    )]
    SignRegistration(registration::SignRegistration),
    /// Send CRN to another account
    #[command(
        after_help = "Examples:\n  cairn wallet send --key owner --to miner 25\n  cairn wallet send --key owner --to 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY 0.5\n  cairn wallet send --key old --to owner all"
    )]
    Send(funds::Send),
    /// Let others act for an account
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn wallet proxy add --key savings --kind staking hot\n  cairn wallet proxy show savings"
    )]
    Proxy(proxy::Proxies),
    /// Accounts that several share
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn wallet multisig address 2:ann,bob,carol"
    )]
    Multisig(multisig::Multisig),
    /// Name friends who may have an account recovered, and what they and its owner do then
    #[command(
        subcommand,
        after_help = "Examples:\n  cairn wallet recovery add --key savings --friends ann,bob,carol --needed 2 --inheritor new\n  cairn wallet recovery show savings"
    )]
    Recovery(recovery::Recovery),
}

impl Wallet {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Wallet::New(new) => new.run(),
            Wallet::Restore(restore) => restore.run(),
            Wallet::Import(import) => import.run(),
            Wallet::Export(export) => export.run(),
            Wallet::Show(show) => show.run(),
            Wallet::Balance(balance) => balance.run().await,
            Wallet::SignRegistration(sign) => sign.run(),
            Wallet::Send(send) => send.run().await,
            Wallet::Proxy(proxy) => proxy.run().await,
            Wallet::Multisig(multisig) => multisig.run().await,
            Wallet::Recovery(recovery) => recovery.run().await,
        }
    }
}
