//! `cairn-node chain new`: a chain of one's own, from a file of keys.

mod founding;

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use cairn_primitives::SS58_PREFIX;
use cairn_runtime::configs::consensus::BABE_GENESIS_EPOCH_CONFIG;
use sc_service::ChainType;
use serde::Serialize;
use serde_json::{json, Value};

use crate::{
    chain_spec::{self, ChainSpec, Genesis},
    progress,
};
use founding::Founding;

/// A file of keys, explained.
const EXAMPLE: &str = include_str!("new_chain/example.toml");
/// The most bytes of a file of keys.
const LONGEST: u64 = 1024 * 1024;

/// What is done with chains that do not exist yet.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write the specification of a new chain, for people and for nodes.
    #[command(after_help = help())]
    New(New),
}

/// Writes the specification of a new chain.
#[derive(Debug, clap::Args)]
pub struct New {
    /// The file with the chain's keys.
    #[arg(long, value_name = "FILE", required_unless_present = "example")]
    from: Option<PathBuf>,

    /// Where the specifications go: ID.json for people, ID-raw.json for nodes.
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    output: PathBuf,

    /// Print as JSON what was written.
    #[arg(long)]
    json: bool,

    /// Only print a file of keys that explains itself.
    #[arg(long, conflicts_with_all = ["from", "json"])]
    example: bool,
}

fn help() -> String {
    format!(
        "Examples:\n  cairn-node chain new --example > keys.toml\n  \
         cairn-node chain new --from keys.toml --output specs\n  \
         cairn-node --chain specs/stones-raw.json --validator\n\n\
         A file of keys:\n\n{EXAMPLE}"
    )
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    name: String,
    id: String,
    /// The specification for people.
    readable: PathBuf,
    /// The specification for nodes.
    raw: PathBuf,
    /// SHA-256 of that file, as `sha256sum` prints it.
    raw_sha256: String,
    /// The hash of the first block, which is the chain's name everywhere.
    genesis: String,
    /// The prefix of its addresses.
    ss58_prefix: u16,
    /// What its founders may not have meant.
    notes: Vec<&'static str>,
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// What is wrong, in one line.
    pub fn run(&self) -> Result<(), String> {
        let Command::New(new) = self;
        let Some(from) = new.from.as_ref().filter(|_| !new.example) else {
            return print(EXAMPLE.trim_end());
        };
        let founding = read(from)?;
        let founding =
            Founding::read(&founding).map_err(|why| format!("{}: {why}", from.display()))?;
        let written = progress::during("building the genesis", progress::tell, || {
            write(&founding, &new.output)
        })?;
        match new.json {
            true => {
                let json = serde_json::to_string_pretty(&written);
                print(&json.map_err(|error| error.to_string())?)
            }
            false => print(&written.to_text()),
        }
    }
}

/// Prints lines on the standard output.
fn print(text: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("cannot print: {error}"))
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| {
        format!("cannot read {shown}: {error}; `cairn-node chain new --example` prints a file to begin with")
    };
    let bytes = std::fs::metadata(path).map_err(cannot)?.len();
    if bytes > LONGEST {
        return Err(format!(
            "{shown} has {bytes} bytes, which no file of keys has"
        ));
    }
    std::fs::read_to_string(path).map_err(cannot)
}

/// Writes both specifications of a chain into a directory. It replaces nothing.
fn write(founding: &Founding, directory: &Path) -> Result<Written, String> {
    let file = |end: &str| directory.join(format!("{}{end}.json", founding.id));
    let (readable, raw) = (file(""), file("-raw"));
    for path in [&readable, &raw] {
        if path.exists() {
            let path = path.display();
            return Err(format!(
                "{path} is there already: remove it, or pass another --output"
            ));
        }
    }
    let cannot = |path: &Path, why: String| {
        let path = path.display();
        format!("cannot write {path}: {why}; pass another --output")
    };
    std::fs::create_dir_all(directory).map_err(|error| cannot(directory, error.to_string()))?;
    let of_state = spec(founding, Genesis::State)?;
    let genesis = chain_spec::genesis_hash(&of_state)?;
    let texts = [
        (
            &readable,
            spec(founding, Genesis::Readable)?.as_json(false)?,
        ),
        (&raw, of_state.as_json(true)?),
    ];
    for (path, text) in &texts {
        write_new(path, text).map_err(|why| cannot(path, why))?;
    }
    let [_, (_, text)] = &texts;
    let hash = sp_crypto_hashing::sha2_256(text.as_bytes());
    Ok(Written {
        name: founding.name.clone(),
        id: founding.id.clone(),
        raw_sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        genesis: format!("{genesis:?}"),
        ss58_prefix: SS58_PREFIX,
        notes: founding.notes(),
        readable,
        raw,
    })
}

fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => "it is there already".into(),
        _ => error.to_string(),
    })
}

/// The specification of a chain.
fn spec(founding: &Founding, genesis: Genesis) -> Result<ChainSpec, String> {
    let title = chain_spec::Title {
        name: &founding.name,
        id: &founding.id,
        chain_type: ChainType::Live,
        ss58_prefix: SS58_PREFIX,
    };
    chain_spec::build(title, patch(founding), genesis, |builder| {
        let builder = builder
            .with_protocol_id(&founding.id)
            .with_boot_nodes(founding.boot_nodes.clone());
        match &founding.telemetry {
            Some(endpoints) => builder.with_telemetry_endpoints(endpoints.clone()),
            None => builder,
        }
    })
}

/// What the genesis changes of the runtime's defaults. There is no sudo key, nothing hurries, and which runs emit is
/// governed.
fn patch(founding: &Founding) -> Value {
    let keys = founding.authorities.iter().map(|one| {
        let keys = json!({ "babe": one.babe, "grandpa": one.grandpa });
        json!([one.account, one.account, keys])
    });
    json!({
        "blockTime": { "milliseconds": founding.block_time.saturating_mul(1_000) },
        "balances": { "balances": founding.founders },
        "babe": { "epochConfig": BABE_GENESIS_EPOCH_CONFIG },
        "session": { "keys": keys.collect::<Vec<_>>() },
        "council": { "members": founding.council },
    })
}

impl Written {
    fn to_text(&self) -> String {
        let mut lines = vec![
            format!("{} is written down:", self.name),
            format!("  for people   {}", self.readable.display()),
            format!("  for nodes    {}", self.raw.display()),
            format!("  its SHA-256  {}", self.raw_sha256),
            format!("  genesis      {}", self.genesis),
            format!("  addresses    SS58 prefix {}", self.ss58_prefix),
        ];
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sp_core::crypto::Ss58Codec;
    use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

    use super::*;

    /// The example, with keys of somebody's own.
    fn keys() -> String {
        let sr25519 = Sr25519Keyring::iter().map(|one| one.public().0);
        let ed25519 = Ed25519Keyring::iter().map(|one| one.public().0);
        let mut text = EXAMPLE.to_string();
        for (key, own) in sr25519.chain(ed25519).zip(1..) {
            let account = |key| cairn_runtime::AccountId::new(key);
            let address = |key| account(key).to_ss58check();
            let hex = |key: [u8; 32]| format!("{:?}", sp_core::H256(key));
            text = text.replace(&address(key), &address([own; 32]));
            text = text.replace(&hex(key), &hex([own.wrapping_add(100); 32]));
        }
        text
    }

    fn founded(text: &str) -> Founding {
        Founding::read(text).expect("it is right")
    }

    #[test]
    fn the_example_is_right_but_for_its_keys() {
        let error = Founding::read(EXAMPLE).expect_err("development keys");
        assert!(
            error.contains("//Alice") && error.lines().count() == 1,
            "{error}"
        );
        let founding = founded(&keys());
        assert_eq!((founding.id.as_str(), founding.block_time), ("stones", 6));
        assert_eq!(founding.founders.len(), 2);
        let sum: u64 = founding.founders.iter().map(|(_, pebble)| pebble).sum();
        assert_eq!(sum, 1_250_000_500_000_000);
        assert_eq!((founding.council.len(), founding.authorities.len()), (3, 1));
        assert_eq!(founding.notes().len(), 2);
    }

    #[test]
    fn the_page_has_the_example() {
        let page = include_str!("../../docs/operators.md");
        assert!(
            page.contains(EXAMPLE.trim_end()),
            "docs/operators.md, A chain of one's own"
        );
    }

    #[test]
    fn its_state_has_what_the_file_says_and_no_more() {
        let founding = founded(&keys());
        let state = chain_spec::state(patch(&founding), b"code").expect("it builds");
        let mut externalities = sp_io::TestExternalities::new(state);
        externalities.execute_with(|| {
            use cairn_runtime::{governance, readers, Runtime};
            assert_eq!(readers::issuance().issued, 1_250_000_500_000_000);
            assert!(!governance::Development::<Runtime>::get());
            assert_eq!(pallet_sudo_key(), None);
            assert_eq!(
                cairn_runtime::block_time::Milliseconds::<Runtime>::get(),
                6_000
            );
            let list = cairn_runtime::authorities::Authorities::<Runtime>::get();
            assert_eq!(
                list.into_inner(),
                vec![founding.authorities[0].account.clone()]
            );
        });
    }

    /// The key as it lies in storage: this crate does not know the pallet.
    fn pallet_sudo_key() -> Option<Vec<u8>> {
        let key = [b"Sudo".as_slice(), b"Key"].map(sp_crypto_hashing::twox_128);
        sp_io::storage::get(&key.concat()).map(|value| value.to_vec())
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line() {
        let right = keys();
        let lines: BTreeMap<&str, &str> = right
            .lines()
            .filter_map(|line| line.split_once(" = ").map(|(key, _)| (key, line)))
            .collect();
        let set = |key: &str, value: &str| right.replace(lines[key], &format!("{key} = {value}"));
        let founder = lines
            .keys()
            .find(|key| key.starts_with('5'))
            .expect("a founder");
        let account = lines["account"].split_once(" = ").expect("a value").1;
        for (text, words) in [
            (String::new(), ["missing field", "name"]),
            ("name = ".into(), ["line 1", ""]),
            (set("name", "\"\""), ["name", "64"]),
            (set("id", "\"A chain\""), ["id: `A chain`", "a-z"]),
            (set("id", "\"../up\""), ["id: `../up`", "a-z"]),
            (set("id", "\"dev\""), ["id: `dev`", "choose another"]),
            (set("block_time", "1"), ["block_time: 1", "2 to 60"]),
            (set("block_time", "-1"), ["line", "-1"]),
            (
                set("boot_nodes", "[\"host:30333\"]"),
                ["boot_nodes, number 1", "/p2p/"],
            ),
            (
                set("telemetry", "[\"nowhere\"]"),
                ["telemetry, number 1", "wss://"],
            ),
            (set(founder, "\"1e9\""), ["founders", "1e9"]),
            (set(founder, "\"1.0000000001\""), ["founders", "no amount"]),
            (set(founder, "\"0.0000001\""), ["founders", "500 pebble"]),
            (set(founder, "\"20999999\""), ["founders", "21 million"]),
            (set(founder, "1"), ["line", "string"]),
            (
                right.replace(&format!("{founder} ="), "5Alice ="),
                ["founders: `5Alice`", "begins with 5 or cr"],
            ),
            (
                set("babe", "\"0x12\""),
                ["authorities, number 1: babe `0x12`", "64 hexadecimal"],
            ),
            (
                set("babe", account),
                ["authorities, number 1: babe", "there twice"],
            ),
            (right.replace("grandpa =", "granpa ="), ["granpa", "line"]),
            (
                right.replace("council = [", "council = []\nx = ["),
                ["`x`", "line"],
            ),
            (
                right.replace("[[authorities]]", "[[authority]]"),
                ["authority", "line"],
            ),
        ] {
            let error = Founding::read(&text).expect_err(&text);
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
            assert!(error.lines().count() == 1 && error.len() < 300, "{error}");
        }
    }

    #[test]
    fn a_specification_is_never_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("stones-raw.json");
        std::fs::write(&path, "mine").expect("written");
        let error = write(&founded(&keys()), directory.path()).expect_err("it is there");
        assert!(
            error.contains("stones-raw.json is there already"),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).expect("read"), b"mine");
    }
}
