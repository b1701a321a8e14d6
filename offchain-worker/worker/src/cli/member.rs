//! `cairn subnet register`, `role` and `leave`: a hotkey's seat.

use cairn_chain::{AccountId, Call, Client, HotkeySignature, Keypair};
use cairn_primitives::{Balance, Netuid, Role, Uid, H256};
use cairn_protocol::registration::payload;
use clap::Args;

use super::{
    args::{JsonArg, KeyArgs, NetuidArg, NodeArgs},
    look::no_subnet,
    purse::Purse,
    receipt::{command, sent, Sent},
    refusal::Asked,
    signer::Signer,
};
use crate::{
    amount::{cost, parse_crn},
    error::Failure,
};

/// `cairn subnet register`.
#[derive(Args, Debug)]
pub struct Register {
    /// The hotkey: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_HOTKEY", value_name = "ADDRESS|WALLET")]
    hotkey: String,
    /// What it is there for: miner or validator
    #[arg(long, env = "CAIRN_ROLE", default_value_t = Role::Miner, value_name = "ROLE")]
    role: Role,
    /// The hotkey's signature, if its key is not here: what `cairn wallet sign-registration` printed
    #[arg(long, env = "CAIRN_HOTKEY_SIGNATURE", value_name = "SIGNATURE", value_parser = parse_signature)]
    hotkey_signature: Option<HotkeySignature>,
    /// The most to pay, in CRN [default: the current price]
    #[arg(long, env = "CAIRN_MAX_PRICE", value_name = "CRN", value_parser = parse_crn)]
    max_price: Option<u64>,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn subnet leave`.
#[derive(Args, Debug)]
pub struct Leave {
    /// The hotkey: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_HOTKEY", value_name = "ADDRESS|WALLET")]
    hotkey: String,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn subnet role`.
#[derive(Args, Debug)]
pub struct ChooseRole {
    /// What it is there for: miner or validator
    #[arg(value_name = "ROLE")]
    role: Role,
    /// The hotkey: an address, or the name of a wallet
    #[arg(long, env = "CAIRN_HOTKEY", value_name = "ADDRESS|WALLET")]
    hotkey: String,
    #[command(flatten)]
    netuid: NetuidArg,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

impl Register {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let signer = self.key.signer()?;
        let hotkey = self.key.account(&self.hotkey)?;
        let client = self.node.connect().await?;
        let signed = (netuid, &signer);
        let given = self.hotkey_signature;
        let signature = agreement(&client, &self.key, signed, &self.hotkey, given)?;
        let subnet = client
            .at_best()
            .await?
            .subnet(netuid)
            .await?
            .ok_or_else(|| no_subnet(netuid))?;
        let most = self.max_price.unwrap_or(subnet.registration_price);
        let call = Call::register(netuid, &hotkey, self.role, most, &signature);
        let purse = Purse::of(&client, &signer, &call).await?;
        let price = subnet.registration_price.min(most);
        purse.afford(&format!("a seat on subnet {netuid}"), price)?;
        let asked = Asked::new(&client, &signer).on(netuid).hotkey(hotkey);
        let asked = Asked {
            amount: Some(most),
            ..asked
        };
        let included = asked.submit(&call).await?;
        let joined = included.event("Subnets", "MemberJoined");
        type Fields = (Netuid, Uid, [u8; 32], [u8; 32], Balance);
        let joined = joined.and_then(|event| event.first::<Fields>());
        let name = joined.map(|(_, uid, ..)| format!(" with uid {uid}"));
        let did = format!(
            "registered {hotkey} as a {}{}",
            self.role,
            name.unwrap_or_default()
        );
        let mut done = Sent::new(did, netuid, &included).uid(joined.map(|(_, uid, ..)| uid));
        if let Some((.., price)) = joined {
            done = done.price(price);
        }
        sent(self.json.json, done)
    }
}

/// What a hotkey signs to sit on a subnet: given, or made here with its key.
pub fn agreement(
    client: &Client,
    key: &KeyArgs,
    (netuid, signer): (Netuid, &Signer),
    named: &str,
    given: Option<HotkeySignature>,
) -> Result<HotkeySignature, Failure> {
    if let Some(signature) = given {
        return Ok(signature);
    }
    let (genesis, coldkey) = (client.genesis_hash(), signer.account());
    let keypair = key.keypair_of(named)?.ok_or_else(|| {
        Failure::new(
            format!("the hotkey {named} has to sign, and its key is not here"),
            format!(
                "sign where it is, with `cairn wallet sign-registration --key WALLET --netuid {netuid} \
                 --coldkey {coldkey} --genesis {genesis:?}`, and give the result as --hotkey-signature"
            ),
        )
    })?;
    Ok(sign_registration(&keypair, genesis, netuid, &coldkey))
}

/// Signs that a hotkey wants to sit on a subnet as a coldkey's.
pub fn sign_registration(
    hotkey: &Keypair,
    genesis: H256,
    netuid: Netuid,
    coldkey: &AccountId,
) -> HotkeySignature {
    HotkeySignature(hotkey.sign(&payload(&genesis, netuid, coldkey)))
}

/// Reads a signature: 0x and 128 hexadecimal digits.
pub fn parse_signature(text: &str) -> Result<HotkeySignature, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0u8; 64];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| {
        format!("`{text}` is not a signature: 0x and 128 hexadecimal digits, as `cairn wallet sign-registration` prints")
    })?;
    Ok(HotkeySignature(bytes))
}

impl ChooseRole {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let signer = self.key.signer()?;
        let hotkey = self.key.account(&self.hotkey)?;
        let client = self.node.connect().await?;
        let asked = Asked::new(&client, &signer).on(netuid).hotkey(hotkey);
        let call = Call::set_role(netuid, &hotkey, self.role);
        let included = asked.submit(&call).await?;
        let did = format!("made {hotkey} a {}", self.role);
        let done = Sent::new(did, netuid, &included)
            .note("it holds from the next round and epoch on".into());
        sent(self.json.json, done)
    }
}

impl Leave {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        let netuid = self.netuid.netuid;
        let signer = self.key.signer()?;
        let hotkey = self.key.account(&self.hotkey)?;
        let client = self.node.connect().await?;
        let asked = Asked::new(&client, &signer).on(netuid).hotkey(hotkey);
        let included = asked.submit(&Call::leave(netuid, &hotkey)).await?;
        let did = format!("gave up the seat of {hotkey}");
        let mut done = Sent::new(did, netuid, &included);
        // What was asked back before waits together with what was bonded until now.
        let view = client.at(included.block.hash);
        let bond = view.bond(netuid, &hotkey).await?;
        done = match bond.unbonding {
            0 => done.note("it had no bond".into()),
            amount => {
                let note = format!("its bond of {} waits to be withdrawn", cost(amount));
                let done = done.amount(amount).note(note);
                let command = command("stake withdraw --bond", &hotkey, netuid);
                done.release(&client, bond.release_at, &command).await
            }
        };
        sent(self.json.json, done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_as_it_is_written() {
        let signature = HotkeySignature([0xa5; 64]);
        let text = signature.to_string();
        assert_eq!(parse_signature(&text).expect("its own"), signature);
        for text in ["", "0x", "0x12", "a signature", &"ab".repeat(65)] {
            assert!(parse_signature(text).is_err(), "{text}");
        }
    }

    /// What any tool for Substrate's keys verifies.
    #[test]
    fn a_hotkey_signs_for_one_coldkey_on_one_subnet_of_one_chain() {
        let bob = cairn_chain::keypair("//Bob").expect("a key");
        let alice = AccountId::of(&cairn_chain::keypair("//Alice").expect("a key"));
        let signed = sign_registration(&bob, H256([7; 32]), Netuid(1), &alice);
        let verifies = |genesis: u8, netuid, coldkey: &AccountId| {
            let message = payload(&H256([genesis; 32]), netuid, coldkey);
            cairn_keys::verify(&signed.0, &message, &bob.public_key())
        };
        assert!(verifies(7, Netuid(1), &alice));
        assert!(!verifies(8, Netuid(1), &alice) && !verifies(7, Netuid(2), &alice));
        assert!(!verifies(7, Netuid(1), &AccountId::of(&bob)));
    }
}
