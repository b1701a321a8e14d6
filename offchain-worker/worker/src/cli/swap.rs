//! `cairn subnet swap`: a member that signs with another hotkey.

use cairn_chain::{AccountId, Call, Client, Event, HotkeySignature};
use cairn_primitives::{BlockNumber, Netuid, Uid};
use clap::{builder::BoolishValueParser, ArgGroup, Args};

use super::{
    args::{JsonArg, KeyArgs, NetuidArg, NodeArgs},
    member::{agreement, parse_signature},
    receipt::{command, sent, when, Sent},
    refusal::Asked,
    signer::Signer,
};
use crate::error::Failure;

/// `cairn subnet swap`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").required(true).args(["to", "finish", "cancel"])))]
pub struct Swap {
    /// The hotkey that the member has: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_HOTKEY", value_name = "ADDRESS|WALLET")]
    hotkey: String,
    /// Announce this hotkey for it: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_TO", value_name = "ADDRESS|WALLET")]
    to: Option<String>,
    /// Give it the hotkey that was announced, once that may be
    #[arg(long, env = "CAIRN_FINISH", value_parser = BoolishValueParser::new())]
    finish: bool,
    /// Take back what was announced
    #[arg(long, env = "CAIRN_CANCEL", value_parser = BoolishValueParser::new())]
    cancel: bool,
    /// The new hotkey's signature, if its key is not here: what `cairn wallet sign-registration` printed
    #[arg(long, env = "CAIRN_HOTKEY_SIGNATURE", value_name = "SIGNATURE", value_parser = parse_signature)]
    hotkey_signature: Option<HotkeySignature>,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

impl Swap {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let signer = self.key.signer()?;
        let hotkey = self.key.account(&self.hotkey)?;
        let to = match &self.to {
            Some(to) => Some((to.as_str(), self.key.account(to)?)),
            None => None,
        };
        let client = self.node.connect().await?;
        if let Some((name, to)) = to {
            return self.announce(&client, &signer, &hotkey, (name, &to)).await;
        }
        let asked = Asked::new(&client, &signer).on(netuid).hotkey(hotkey);
        if self.cancel {
            let included = asked.submit(&Call::cancel_swap(netuid, &hotkey)).await?;
            let did = format!("{hotkey} keeps its seat");
            return sent(self.json.json, Sent::new(did, netuid, &included));
        }
        let included = asked.submit(&Call::finish_swap(netuid, &hotkey)).await?;
        type Fields = (Netuid, Uid, [u8; 32], [u8; 32]);
        let event = included.event("Subnets", "HotkeySwapped");
        let (_, uid, _, new) = event.and_then(Event::first::<Fields>).ok_or_else(silent)?;
        let new = AccountId(new);
        let did = format!("gave the seat of {hotkey} to {new}");
        let bond = command("stake bond", &new, netuid);
        let done = Sent::new(did, netuid, &included)
            .uid(Some(uid))
            .note(format!("bond and stake stay on the old hotkey; to mine with the new one bond again: `{bond} CRN`"));
        sent(self.json.json, done)
    }

    async fn announce(
        &self,
        client: &Client,
        signer: &Signer,
        hotkey: &AccountId,
        (name, to): (&str, &AccountId),
    ) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let given = self.hotkey_signature;
        let signature = agreement(client, &self.key, (netuid, signer), name, given)?;
        let asked = Asked::new(client, signer).on(netuid).hotkey(*hotkey);
        let call = Call::announce_swap(netuid, hotkey, to, &signature);
        let included = asked.submit(&call).await?;
        type Fields = (Netuid, Uid, [u8; 32], [u8; 32], BlockNumber);
        let event = included.event("Subnets", "SwapAnnounced");
        let (.., from) = event.and_then(Event::first::<Fields>).ok_or_else(silent)?;
        let when = when(client, from, included.block.number).await;
        let finish = command("subnet swap --finish", hotkey, netuid);
        let done = Sent::new(format!("announced {to} for {hotkey}"), netuid, &included)
            .note(format!("it can take the seat from {when}: `{finish}`"));
        sent(self.json.json, done)
    }
}

/// The node executed a transaction and said nothing of what came of it.
fn silent() -> Failure {
    Failure::new(
        "it is done, but the node did not say what came of it",
        "look with `cairn subnet show`, and use a worker and a node of the same release",
    )
}
