//! Accounts that several share: `cairn wallet multisig`.

use cairn_chain::{AccountId, Call, Shared};
use cairn_primitives::{api::pebble, Balance, BlockNumber, H256};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    amount::cost,
    cli::{
        args::{parse_hash, JsonArg, KeyArgs, NodeArgs},
        print,
        receipt::{sent, Sent},
        refusal::Asked,
    },
    error::Failure,
};

/// `cairn wallet multisig …`.
#[derive(Subcommand, Debug)]
pub enum Multisig {
    /// Say which account several share; needs no node
    #[command(
        after_help = "Examples:\n  cairn wallet multisig address 2:ann,bob,5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\n\nEach of them acts for it with --multisig, in the same words; the last who has to approve makes the transaction:\n  cairn wallet send --key ann --multisig 2:ann,bob,carol --to dave 25\n  cairn wallet send --key bob --multisig 2:ann,bob,carol --to dave 25"
    )]
    Address(Address),
    /// Show who has approved a transaction that was not made yet
    #[command(
        after_help = "Examples:\n  cairn wallet multisig show 2:ann,bob,carol 0x2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"
    )]
    Show(Show),
    /// Give a transaction up that was not made yet; by who approved it first
    #[command(
        after_help = "Examples:\n  cairn wallet multisig cancel --key ann --multisig 2:ann,bob,carol 0x2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a"
    )]
    Cancel(Cancel),
}

/// `cairn wallet multisig address`.
#[derive(Args, Debug)]
pub struct Address {
    /// How many have to approve, and all who share it
    #[arg(value_name = "NUMBER:ACCOUNT,…")]
    shared: String,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn wallet multisig show`.
#[derive(Args, Debug)]
pub struct Show {
    #[command(flatten)]
    of: Address,
    /// The transaction, as the first approval says it
    #[arg(value_name = "HASH", value_parser = parse_hash)]
    call: H256,
    #[command(flatten)]
    node: NodeArgs,
}

/// `cairn wallet multisig cancel`.
#[derive(Args, Debug)]
pub struct Cancel {
    /// The transaction, as the first approval says it
    #[arg(value_name = "HASH", value_parser = parse_hash)]
    call: H256,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Of {
    address: String,
    /// How many have to approve.
    threshold: u16,
}

/// A transaction that was not made yet.
#[derive(Serialize)]
struct Waiting {
    #[serde(flatten)]
    of: Of,
    call: H256,
    /// The block of the first approval.
    since: BlockNumber,
    approved_by: Vec<String>,
    /// What the first of them holds for it.
    #[serde(with = "pebble")]
    deposit: Balance,
}

impl Of {
    fn new(shared: &Shared) -> Of {
        Of {
            address: shared.account().to_string(),
            threshold: shared.threshold(),
        }
    }
}

impl Multisig {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Multisig::Address(address) => address.run(),
            Multisig::Show(show) => show.run().await,
            Multisig::Cancel(cancel) => cancel.run().await,
        }
    }
}

impl Address {
    fn run(self) -> Result<(), Failure> {
        let of = Of::new(&self.key.shared(&self.shared)?);
        print(self.json.json, &of, |of| format!("{}\n", of.address))
    }
}

/// Nothing of this hash waits.
fn nothing_waits(call: H256) -> Failure {
    Failure::new(
        format!("no transaction {call:?} of this account waits for approvals"),
        "it was made or given up, or others share the account: the first approval says the hash",
    )
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let shared = self.of.key.shared(&self.of.shared)?;
        let view = self.node.connect().await?.at_best().await?;
        let approved = view.approved(&shared.account(), self.call).await?;
        let approved = approved.ok_or_else(|| nothing_waits(self.call))?;
        let waiting = Waiting {
            of: Of::new(&shared),
            call: self.call,
            since: approved.since.0,
            approved_by: approved.by.iter().map(AccountId::to_string).collect(),
            deposit: approved.deposit,
        };
        print(self.of.json.json, &waiting, |waiting| {
            let by = &waiting.approved_by;
            let mut text = format!(
                "approved by {} of {} since block {}; the first holds {} for it\n",
                by.len(),
                waiting.of.threshold,
                waiting.since,
                cost(waiting.deposit)
            );
            for one in by {
                text += &format!("  {one}\n");
            }
            text
        })
    }
}

impl Cancel {
    async fn run(self) -> Result<(), Failure> {
        let (signer, shared) = self.key.member()?;
        let client = self.node.connect().await?;
        let approved = client
            .at_best()
            .await?
            .approved(&shared.account(), self.call)
            .await?;
        let since = approved.ok_or_else(|| nothing_waits(self.call))?.since;
        let others = shared.others(&signer.account()).unwrap_or_default();
        let call = Call::cancel_shared(shared.threshold(), &others, since, self.call);
        let included = Asked::new(&client, &signer).submit(&call).await?;
        let did = format!("gave {:?} of {} up", self.call, shared.account());
        sent(self.json.json, Sent::new(did, None, &included))
    }
}
