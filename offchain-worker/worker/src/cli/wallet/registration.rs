//! `cairn wallet sign-registration`: where a hotkey is, and its coldkey is not.

use cairn_chain::AccountId;
use cairn_primitives::{Netuid, H256};
use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        args::{parse_hash, JsonArg, KeyArgs, NetuidArg},
        member::sign_registration,
        print,
    },
    error::Failure,
};

/// `cairn wallet sign-registration`.
#[derive(Args, Debug)]
pub struct SignRegistration {
    /// The coldkey that will own what the hotkey earns, for ever: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_COLDKEY", value_name = "ADDRESS|WALLET")]
    coldkey: String,
    /// The chain: the hash of its block 0
    #[arg(long, env = "CAIRN_GENESIS", value_name = "HASH", value_parser = parse_hash)]
    genesis: H256,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Signed {
    hotkey: String,
    coldkey: String,
    netuid: Netuid,
    genesis: H256,
    signature: String,
}

impl SignRegistration {
    /// Does it.
    pub fn run(self) -> Result<(), Failure> {
        let keypair = self.key.keypair()?;
        let coldkey = self.key.account(&self.coldkey)?;
        let netuid = self.netuid.netuid;
        let signature = sign_registration(&keypair, self.genesis, netuid, &coldkey);
        let signed = Signed {
            hotkey: AccountId::of(&keypair).to_string(),
            coldkey: coldkey.to_string(),
            netuid,
            genesis: self.genesis,
            signature: signature.to_string(),
        };
        print(self.json.json, &signed, |signed| {
            format!(
                "hotkey     {}\ncoldkey    {}\nsubnet     {}\nchain      {:?}\nsignature  {}\n",
                signed.hotkey, signed.coldkey, signed.netuid, signed.genesis, signed.signature
            )
        })
    }
}
