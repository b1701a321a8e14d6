//! What went wrong, for people: one line that says what, and what to do. The client libraries' errors are for
//! machines.

use std::path::{Path, PathBuf};

use sc_cli::SharedParams;
use sc_service::Configuration;

use crate::{chain_spec, progress};

const NO_KEY: &str =
    "that is no key: give the words of a phrase, 0x and 64 hexadecimal digits, or an address";

/// What an error's explanation names: where the node keeps its things, and of which network.
#[derive(Clone, Debug)]
pub struct Place {
    base: PathBuf,
    database: PathBuf,
    network: String,
}

impl Place {
    /// Where a node of this configuration, of the network that `--chain` names, keeps its things.
    pub fn of(config: &Configuration, network: &str) -> Place {
        let base = config.base_path.path().to_path_buf();
        let database = config.database.path().unwrap_or(&config.data_path);
        Place {
            database: database.to_path_buf(),
            base,
            network: network.into(),
        }
    }

    /// The same before there is a configuration: from the flags alone.
    pub fn of_flags(flags: &SharedParams) -> Place {
        let base = flags.base_path.clone();
        let base = base.unwrap_or_else(|| "its usual directory".into());
        Place {
            database: base.clone(),
            base,
            network: flags.chain.clone().unwrap_or_default(),
        }
    }

    /// Whether there is a chain: a command that reads one makes none.
    ///
    /// # Errors
    /// There is none.
    pub fn exists(&self) -> Result<(), String> {
        match self.database.exists() {
            true => Ok(()),
            false => Err(self.absent()),
        }
    }

    fn absent(&self) -> String {
        let database = self.database.display();
        format!(
            "there is no chain in {database}; run the node first, or check --base-path and --chain"
        )
    }

    /// Makes the directory, so that what is wrong with it is told before anything is built.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn make(&self, directory: &Path) -> Result<(), String> {
        std::fs::create_dir_all(directory).map_err(|error| self.unusable(&error.to_string()))
    }

    fn unusable(&self, why: &str) -> String {
        let (base, why) = (self.base.display(), without_code(why));
        format!("cannot keep the chain in {base}: {why}; pass another --base-path")
    }
}

/// What a failure of the libraries means, in one line.
pub fn explain(error: &sc_cli::Error, place: Option<&Place>) -> String {
    match error {
        sc_cli::Error::NetworkKeyNotFound(path) => {
            let path = path.display();
            format!(
                "an authority needs a network key, and there is none in {path}; make one with \
                 `cairn-node key generate-node-key --file {path}`, or pass --unsafe-force-node-key-generation"
            )
        }
        sc_cli::Error::KeyAlreadyExistsInPath(path) => {
            format!(
                "there is a network key in {} already; name another file",
                path.display()
            )
        }
        sc_cli::Error::KeystoreOperation => {
            "the key was not kept: check --suri, --scheme and --keystore-path".into()
        }
        sc_cli::Error::KeyTypeInvalid => {
            "a type of key has four letters, such as `babe` or `gran`".into()
        }
        sc_cli::Error::SignatureInvalid => {
            "that key did not sign this message: check the key, the message and --scheme".into()
        }
        sc_cli::Error::SignatureFormatInvalid => {
            "that is no signature: give what `cairn-node sign` printed".into()
        }
        sc_cli::Error::Input(text) if text.contains("nvalid phrase") => NO_KEY.into(),
        sc_cli::Error::InvalidUri(_) => NO_KEY.into(),
        other => of_text(&other.to_string(), place),
    }
}

/// The same for errors of which the libraries tell only the text.
fn of_text(text: &str, place: Option<&Place>) -> String {
    let says = |words: &str| text.contains(words);
    if let Some(place) = place {
        let database = place.database.display();
        if says("Database file is in use") {
            return format!(
                "the chain in {database} is in use by another node; wait until that one has ended, \
                 or pass another --base-path"
            );
        }
        if says("Database does not exist") {
            return place.absent();
        }
        if [
            "ermission denied",
            "Not a directory",
            "No such file or directory",
            "File exists",
            "No space left",
            "Read-only file system",
        ]
        .iter()
        .any(|words| says(words))
        {
            return place.unusable(&plain(text));
        }
        if says("Corruption") {
            let why = plain(text);
            return format!(
                "the chain in {database} is damaged ({why}); remove it with `cairn-node purge-chain`, and it is fetched anew"
            );
        }
        if says("parsing spec file") || says("for blob:") || says("wasm call error") {
            return chain_spec::wrong(&place.network, &plain(text));
        }
        if says("wasm blob not found") || says("code missing") {
            return chain_spec::wrong(&place.network, "it has no runtime");
        }
    }
    if says("Address already in use") {
        return format!(
            "{}; is another node running? stop it, or pass --rpc-port",
            plain(text)
        );
    }
    if let Some(why) = text.strip_prefix("Invalid input: Invalid node key: ") {
        return format!("--node-key is not 64 hexadecimal digits: {why}");
    }
    plain(text)
}

/// One line without the names of the libraries' kinds of errors.
fn plain(text: &str) -> String {
    const KINDS: [&str; 9] = [
        "Invalid input: ",
        "Application: ",
        "Other: ",
        "Backend error: ",
        "Database error: ",
        "Storage error: ",
        "Database Error: ",
        "IO Error: ",
        "Storage: ",
    ];
    let mut text = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = text.next().unwrap_or("something went wrong");
    let mut rest = line;
    while let Some(less) = KINDS.iter().find_map(|kind| rest.strip_prefix(kind)) {
        rest = less;
    }
    let shown: String = rest.chars().take(400).collect();
    without_code(&shown)
}

/// Without the number that the operating system has for it.
fn without_code(text: &str) -> String {
    text.split(" (os error").next().unwrap_or(text).into()
}

/// Tells it on the standard error.
pub fn tell(message: &str) {
    progress::tell(&format!("cairn-node: {message}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            base: "/data".into(),
            database: "/data/chains/x/paritydb/full".into(),
            network: "spec.json".into(),
        }
    }

    fn backend(text: &str) -> sc_cli::Error {
        let error = sp_blockchain::Error::Backend(text.into());
        sc_cli::Error::Service(sc_service::Error::Client(error))
    }

    #[test]
    fn every_error_is_one_line_that_says_what_to_do() {
        let storage = |text: &str| {
            let error = sp_blockchain::Error::Storage(text.into());
            sc_cli::Error::Service(sc_service::Error::Client(error))
        };
        let io = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        for (error, words) in [
            (
                backend("Database Error: Database file is in use. (Resource temporarily unavailable (os error 11))"),
                ["/data/chains/x/paritydb/full", "wait until"],
            ),
            (backend("Database does not exist at given location"), ["/data", "run the node first"]),
            (backend("IO Error: Permission denied (os error 13)"), ["/data", "--base-path"]),
            (backend("IO Error: No space left on device (os error 28)"), ["No space left", "--base-path"]),
            (backend("Database Error: Corruption: Bad magic"), ["damaged", "purge-chain"]),
            (
                storage("Error parsing spec file: unknown variant `x` at line 3"),
                ["spec.json is no chain specification: unknown variant", "export-chain-spec"],
            ),
            (
                storage("wasm call error Wasm error"),
                ["spec.json is no chain specification", "export-chain-spec"],
            ),
            (sc_cli::Error::Io(io()), ["ermission denied", "/data"]),
            (
                sc_cli::Error::NetworkKeyNotFound("/data/key".into()),
                ["generate-node-key --file /data/key", "an authority needs"],
            ),
            (
                sc_cli::Error::Input("Invalid node key: Invalid character 'x' at position 0".into()),
                ["--node-key", "hexadecimal"],
            ),
            (
                sc_cli::Error::Service("this node speaks litep2p only".into()),
                ["this node speaks", "litep2p only"],
            ),
        ] {
            let text = explain(&error, Some(&place()));
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
            for never in ["\n", "os error", "Error:", "Other:", "Backend", "Service("] {
                assert!(!text.contains(never), "{text}");
            }
        }
    }

    #[test]
    fn without_a_place_the_words_remain() {
        let text = explain(&sc_cli::Error::Input("two\n\n lines".into()), None);
        assert_eq!(text, "two");
        assert_eq!(plain(""), "something went wrong");
    }
}
