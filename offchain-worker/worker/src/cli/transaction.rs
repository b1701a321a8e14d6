//! `cairn transaction`: what `--unsigned-to` wrote is shown, signed without a network, and sent.

use std::path::{Path, PathBuf};

use cairn_chain::{AccountId, Signed, Unsigned};
use cairn_primitives::{BlockNumber, H256};
use clap::{Args, Subcommand};
use serde::{de::DeserializeOwned, Serialize};

use crate::{
    cli::{
        args::{JsonArg, KeyArgs, NodeArgs},
        print,
    },
    error::Failure,
    new_file::NewFile,
    output,
};

/// The most bytes of a file with a transaction: metadata in hexadecimal is most of it.
const LONGEST: u64 = 16 * 1_024 * 1_024;

/// `cairn transaction …`.
#[derive(Subcommand, Debug)]
pub enum Transaction {
    /// Show what a transaction that waits for its signature would do; needs no node
    #[command(after_help = "Examples:\n  cairn transaction show send.json")]
    Show(Show),
    /// Show a transaction and sign it; needs no node
    #[command(
        after_help = "Examples:\n  cairn transaction sign send.json --key savings --out signed.json\n  cairn transaction sign send.json --key savings --genesis 0x2a… --out signed.json\n\nNames and amounts are read by the metadata in the file, which comes from the node that it was made with."
    )]
    Sign(Sign),
    /// Send a transaction that was signed, and see it into a block
    #[command(after_help = "Examples:\n  cairn transaction send signed.json")]
    Send(Send),
}

/// `cairn transaction show`.
#[derive(Args, Debug)]
pub struct Show {
    /// What --unsigned-to wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn transaction sign`.
#[derive(Args, Debug)]
pub struct Sign {
    /// What --unsigned-to wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the signed transaction goes
    #[arg(long, env = "CAIRN_OUT", value_name = "FILE")]
    out: PathBuf,
    /// Refuse a transaction for another chain than the one with this genesis hash
    #[arg(long, env = "CAIRN_GENESIS", value_name = "HASH", value_parser = super::args::parse_hash)]
    genesis: Option<H256>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn transaction send`.
#[derive(Args, Debug)]
pub struct Send {
    /// What `cairn transaction sign` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// What a transaction would do.
#[derive(Serialize)]
struct Shown {
    account: AccountId,
    call: String,
    nonce: u64,
    valid_until: BlockNumber,
    genesis: H256,
    spec_version: u32,
    /// Where it was signed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<String>,
}

#[derive(Serialize)]
struct Done {
    account: AccountId,
    call: String,
    block: BlockNumber,
    block_hash: H256,
}

impl Transaction {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Transaction::Show(show) => show.run(),
            Transaction::Sign(sign) => sign.run(),
            Transaction::Send(send) => send.run().await,
        }
    }
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let unsigned: Unsigned = read(&self.file, "--unsigned-to")?;
        print(self.json.json, &Shown::of(&unsigned)?, Shown::text)
    }
}

impl Sign {
    fn run(self) -> Result<(), Failure> {
        let unsigned: Unsigned = read(&self.file, "--unsigned-to")?;
        if let Some(expected) = self.genesis.filter(|genesis| *genesis != unsigned.genesis) {
            return Err(Failure::new(
                format!(
                    "it is for the chain {:?}, not for {expected:?}",
                    unsigned.genesis
                ),
                "make it with a node of the chain that you mean",
            ));
        }
        let mut shown = Shown::of(&unsigned)?;
        // What is signed is seen before the key is asked for.
        if !self.json.json {
            output::show(&shown.text())?;
        }
        let signed = unsigned.sign(&self.key.keypair()?)?;
        NewFile::write(&self.out, &serde_json::to_vec(&signed)?)?;
        let out = self.out.display().to_string();
        shown.signed = Some(out.clone());
        print(self.json.json, &shown, |_| format!("signed   {out}\n"))
    }
}

impl Send {
    async fn run(self) -> Result<(), Failure> {
        let signed: Signed = read(&self.file, "cairn transaction sign")?;
        let client = self.node.connect().await?;
        let included = client.submit_signed(&signed).await?;
        let done = Done {
            account: signed.account,
            call: signed.call,
            block: included.block.number,
            block_hash: included.block.hash,
        };
        print(self.json.json, &done, |done| {
            let (call, account, block) = (&done.call, done.account, done.block);
            format!("{call} of {account} is in block {block}\n")
        })
    }
}

impl Shown {
    fn of(unsigned: &Unsigned) -> Result<Shown, Failure> {
        Ok(Shown {
            account: unsigned.account,
            call: unsigned.shown()?,
            nonce: unsigned.nonce,
            valid_until: unsigned.valid_until(),
            genesis: unsigned.genesis,
            spec_version: unsigned.spec_version,
            signed: None,
        })
    }

    fn text(&self) -> String {
        let mut text = format!(
            "account  {}\ncall     {}\nnonce    {}\nvalid    up to block {}\nchain    {:?}, runtime {}\n",
            self.account, self.call, self.nonce, self.valid_until, self.genesis, self.spec_version
        );
        if let Some(file) = &self.signed {
            text += &format!("signed   {file}\n");
        }
        text
    }
}

/// A file with a transaction, which `from` writes.
fn read<T: DeserializeOwned>(path: &Path, from: &str) -> Result<T, Failure> {
    use std::io::Read;
    let file = path.display();
    let remedy = format!("name a file that `{from}` wrote");
    let cannot = |error| Failure::new(format!("cannot read {file}: {error}"), &remedy);
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(cannot)?;
    let read = opened.take(LONGEST).read_to_end(&mut bytes);
    read.map_err(cannot)?;
    let parsed = serde_json::from_slice(&bytes);
    parsed.map_err(|_| Failure::new(format!("{file} is no such transaction"), &remedy))
}
