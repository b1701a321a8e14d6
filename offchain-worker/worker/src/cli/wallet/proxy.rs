//! Who may act for an account: `cairn wallet proxy`.

use cairn_chain::{AccountId, Call, Proxy, ProxyKind};
use cairn_primitives::BlockNumber;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::{
    cli::{
        args::{JsonArg, KeyArgs, NodeArgs},
        print,
        receipt::{sent, Sent},
        refusal::Asked,
    },
    error::Failure,
    table::table,
};

/// `cairn wallet proxy …`.
#[derive(Subcommand, Debug)]
pub enum Proxies {
    /// Let another account act for the one that signs
    #[command(
        after_help = "Examples:\n  cairn wallet proxy add --key savings --kind staking hot\n  cairn stake add --key hot --for savings --hotkey miner --netuid 1 100    what the proxy does then\n\nA deposit is held while there are proxies. A proxy of the kind `any` can take everything."
    )]
    Add(Change),
    /// Let it act for the account no longer
    #[command(
        after_help = "Examples:\n  cairn wallet proxy remove --key savings --kind staking hot"
    )]
    Remove(Remove),
    /// Show who may act for an account
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  cairn wallet proxy show savings\n  cairn wallet proxy show savings --json"
    )]
    Show(Show),
}

/// What a proxy may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Everything, sending all the money included
    Any,
    /// Add, move and remove stake and bonds that stay the account's own
    Staking,
    /// Register hotkeys and let them leave
    Registration,
    /// Set a subnet's rules, start and stop its runs
    Ownership,
    /// Vote in referenda
    Voting,
}

impl From<Kind> for ProxyKind {
    fn from(kind: Kind) -> ProxyKind {
        match kind {
            Kind::Any => ProxyKind::Any,
            Kind::Staking => ProxyKind::Staking,
            Kind::Registration => ProxyKind::Registration,
            Kind::Ownership => ProxyKind::Ownership,
            Kind::Voting => ProxyKind::Voting,
        }
    }
}

impl From<ProxyKind> for Kind {
    fn from(kind: ProxyKind) -> Kind {
        match kind {
            ProxyKind::Any => Kind::Any,
            ProxyKind::Staking => Kind::Staking,
            ProxyKind::Registration => Kind::Registration,
            ProxyKind::Ownership => Kind::Ownership,
            ProxyKind::Voting => Kind::Voting,
        }
    }
}

/// `cairn wallet proxy add`.
#[derive(Args, Debug)]
pub struct Change {
    /// Who acts: an address, or the name of a wallet
    #[arg(value_name = "ADDRESS|WALLET")]
    delegate: String,
    /// What it may do
    #[arg(long, env = "CAIRN_KIND", value_enum, value_name = "KIND")]
    kind: Kind,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// `cairn wallet proxy remove`.
#[derive(Args, Debug)]
pub struct Remove {
    #[command(flatten)]
    change: Change,
    /// Blocks between announcing and acting, if another wallet asked for that
    #[arg(long, env = "CAIRN_DELAY", default_value_t = 0, value_name = "BLOCKS")]
    delay: BlockNumber,
}

/// `cairn wallet proxy show`.
#[derive(Args, Debug)]
pub struct Show {
    /// The account: an address, or the name of a wallet [default: the wallet that signs]
    #[arg(value_name = "ADDRESS|WALLET")]
    account: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Line {
    delegate: String,
    kind: Kind,
    /// Blocks between announcing and acting.
    delay: BlockNumber,
}

impl Proxies {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Proxies::Add(change) => {
                change
                    .run(Call::add_proxy, "may act for it from now on")
                    .await
            }
            Proxies::Remove(Remove { change, delay }) => {
                let call = |delegate: &AccountId, kind| Call::remove_proxy(delegate, kind, delay);
                change.run(call, "may act for it no longer").await
            }
            Proxies::Show(show) => show.run().await,
        }
    }
}

impl Change {
    async fn run(
        self,
        call: impl Fn(&AccountId, ProxyKind) -> Call,
        done: &str,
    ) -> Result<(), Failure> {
        let delegate = self.key.account(&self.delegate)?;
        let signer = self.key.signer()?;
        let client = self.node.connect().await?;
        let asked = Asked::new(&client, &signer);
        let included = asked.submit(&call(&delegate, self.kind.into())).await?;
        let did = format!("{delegate} {done}");
        sent(self.json.json, Sent::new(did, None, &included))
    }
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        let account = match &self.account {
            Some(account) => self.key.account(account)?,
            None => self.key.address()?,
        };
        let view = self.node.connect().await?.at_best().await?;
        let line = |proxy: Proxy| Line {
            delegate: proxy.delegate.to_string(),
            kind: proxy.kind.into(),
            delay: proxy.delay,
        };
        let proxies = view.proxies(&account).await?;
        let lines: Vec<Line> = proxies.into_iter().map(line).collect();
        print(self.json.json, &lines, |lines| {
            if lines.is_empty() {
                return format!("nobody else may act for {account}\n");
            }
            let cells = |line: &Line| {
                let kind = Kind::to_possible_value(&line.kind);
                let kind = kind.map_or_else(String::new, |kind| kind.get_name().into());
                vec![line.delegate.clone(), kind, line.delay.to_string()]
            };
            let rows: Vec<Vec<String>> = lines.iter().map(cells).collect();
            table(&["may act", "in", "after blocks"], &rows)
        })
    }
}
