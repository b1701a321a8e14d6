//! Where a worker's files can be had, and how others' are asked for.

use std::{net::SocketAddr, time::Duration};

use cairn_primitives::{RunConfig, Text};
use cairn_protocol::endpoint;
use cairn_store::guard::Origin;
use clap::{builder::BoolishValueParser, Args};
use tokio::time::timeout;

use crate::{
    amount::parse_bytes,
    roles::{
        sources::{is_peer, PeerOptions, Reach, Relays},
        stores::Stores,
    },
    shards,
};

/// How long the manifest of a run may take that names its relays.
const DEADLINE: Duration = Duration::from_secs(20);

/// How others reach this worker's files.
#[derive(Args, Debug)]
#[command(next_help_heading = "Where files are")]
pub struct ReachArgs {
    /// Where others find this worker's store: its public https:// address; at most 4, endpoints of peers included
    #[arg(long, env = "CAIRN_ENDPOINT", value_name = "URL", value_delimiter = ',', value_parser = an_endpoint)]
    endpoint: Vec<Text>,
    /// Be a peer: serve this worker's store, a directory, to other members over QUIC, and fetch theirs; no port has
    /// to be open if there is a relay
    #[arg(long, env = "CAIRN_P2P", value_parser = BoolishValueParser::new())]
    p2p: bool,
    /// Where on this machine peers' UDP is sent and received [default: all addresses, a free port]
    #[arg(
        long,
        env = "CAIRN_P2P_BIND",
        value_name = "IP:PORT",
        value_delimiter = ',',
        requires = "p2p"
    )]
    p2p_bind: Vec<SocketAddr>,
    /// Where other peers reach this one, if that is not an address of this machine, such as a forwarded port
    #[arg(
        long,
        env = "CAIRN_P2P_ADDRESS",
        value_name = "IP:PORT",
        value_delimiter = ',',
        requires = "p2p"
    )]
    p2p_address: Vec<SocketAddr>,
    /// A relay by which peers without an open port find each other; all that are used by members, or none [default:
    /// those that the run names]
    #[arg(
        long,
        env = "CAIRN_P2P_RELAY",
        value_name = "URL",
        value_delimiter = ',',
        requires = "p2p"
    )]
    p2p_relay: Vec<String>,
    /// Serve other peers at most so many bytes a second, all of them together, such as 20MB [default: no limit]
    #[arg(long, env = "CAIRN_P2P_RATE", value_name = "BYTES", value_parser = a_rate, requires = "p2p")]
    p2p_rate: Option<u64>,
    /// Fetch from members' endpoints on this machine and in private networks, too: the chain may name any
    #[arg(long, env = "CAIRN_TRUST_ENDPOINTS", value_parser = BoolishValueParser::new())]
    trust_endpoints: bool,
}

/// How the endpoints of members are asked by what is no worker itself: a worker has [`ReachArgs`].
#[derive(Args, Clone, Debug)]
pub struct AskArgs {
    /// A relay by which peers without an open port are asked, or none [default: those that the run names]
    #[arg(
        long,
        env = "CAIRN_P2P_RELAY",
        value_name = "URL",
        value_delimiter = ','
    )]
    p2p_relay: Vec<String>,
    /// Ask endpoints on this machine and in private networks, too: the chain may name any
    #[arg(long, env = "CAIRN_TRUST_ENDPOINTS", value_parser = BoolishValueParser::new())]
    trust_endpoints: bool,
}

impl AskArgs {
    /// As whose word endpoints are taken that the chain names.
    pub fn origin(&self) -> Origin {
        match self.trust_endpoints {
            true => Origin::Owner,
            false => Origin::Chain,
        }
    }

    /// The relays by which these endpoints are asked, and what is said of those that are not used. The run's are read
    /// only if a peer is among the endpoints and nothing else was named: where the run says, or in the store `own`.
    pub async fn relays<'a>(
        &self,
        endpoints: impl IntoIterator<Item = &'a Text>,
        config: Option<&RunConfig>,
        own: Option<&str>,
    ) -> (Relays, Vec<String>) {
        let named = relays(&self.p2p_relay);
        let are_asked_for = named.is_none() && endpoints.into_iter().any(is_peer);
        let of_run = match config.filter(|_| are_asked_for) {
            Some(config) => {
                let read = timeout(DEADLINE, relays_of(config, own)).await;
                read.unwrap_or_default()
            }
            None => Vec::new(),
        };
        Relays::choose(named.as_deref(), &of_run, self.origin())
    }
}

/// The relays that a run's manifest names, if it can be read where the run says, or in the store `own`.
async fn relays_of(config: &RunConfig, own: Option<&str>) -> Vec<String> {
    let Ok(store) = Stores::at(own.unwrap_or_default()).of_run(config) else {
        return Vec::new();
    };
    let manifest = shards::manifest(&store, config.data.manifest_root).await;
    manifest.map(|manifest| manifest.relays).unwrap_or_default()
}

fn an_endpoint(text: &str) -> Result<Text, String> {
    let endpoint = Text::new(text).map_err(|fault| fault.to_string())?;
    match endpoint::check(&endpoint) {
        Ok(()) => Ok(endpoint),
        Err(endpoint::Refusal::HasCredentials) => {
            Err("it has a user or a password, which all the world would read".into())
        }
        Err(_) => Err("write https://HOST/PATH, or be a peer with --p2p".into()),
    }
}

/// The least that may be served, in bytes a second: 256 requests are served at once, each waits for a piece of 64 KiB,
/// and who fetches gives up after 10 s without one.
const LEAST_RATE: u64 = 2 << 20;

fn a_rate(text: &str) -> Result<u64, String> {
    match parse_bytes(text.trim_end_matches("/s"))? {
        rate if rate < LEAST_RATE => Err("the least is 2MiB a second".into()),
        rate => Ok(rate),
    }
}

/// The relays that are named, of which `none` is none; `None` if nothing is said.
pub(in crate::cli) fn relays(named: &[String]) -> Option<Vec<String>> {
    let urls = named.iter().filter(|it| !it.eq_ignore_ascii_case("none"));
    (!named.is_empty()).then(|| urls.cloned().collect())
}

impl From<ReachArgs> for Reach {
    fn from(args: ReachArgs) -> Reach {
        let peer = PeerOptions {
            bind: args.p2p_bind,
            addresses: args.p2p_address,
            relays: relays(&args.p2p_relay),
            rate: args.p2p_rate,
        };
        Reach {
            endpoints: args.endpoint,
            trusts_endpoints: args.trust_endpoints,
            peer: args.p2p.then_some(peer),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::roles::testing::config_and_store;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        reach: ReachArgs,
    }

    #[derive(Parser)]
    struct Asking {
        #[command(flatten)]
        ask: AskArgs,
    }

    fn ask(arguments: &[&str]) -> AskArgs {
        let line = Asking::try_parse_from([&["why"], arguments].concat());
        line.unwrap().ask
    }

    fn peer(arguments: &[&str]) -> PeerOptions {
        let line = Line::try_parse_from([&["mine", "--p2p"], arguments].concat());
        Reach::from(line.unwrap().reach).peer.unwrap()
    }

    #[test]
    fn what_is_served_may_have_a_rate() {
        assert_eq!(peer(&[]).rate, None);
        for (text, rate) in [
            ("20MB", 20_000_000),
            ("20MB/s", 20_000_000),
            ("2MiB", 2_097_152),
        ] {
            assert_eq!(peer(&["--p2p-rate", text]).rate, Some(rate), "{text}");
        }
        for wrong in ["0", "2097151", "64KiB", "20Mbit", "fast", "-1"] {
            let line = ["mine", "--p2p", &format!("--p2p-rate={wrong}")];
            assert!(Line::try_parse_from(line).is_err(), "{wrong}");
        }
        // Who is no peer serves nobody.
        assert!(Line::try_parse_from(["mine", "--p2p-rate", "20MB"]).is_err());
    }

    #[test]
    fn relays_are_the_runs_or_named_or_none() {
        let one = "https://relay.example".to_string();
        assert_eq!(peer(&[]).relays, None);
        assert_eq!(peer(&["--p2p-relay", "none"]).relays, Some(Vec::new()));
        let named = peer(&["--p2p-relay", "https://relay.example"]);
        assert_eq!(named.relays, Some(vec![one.clone()]));
        let two = peer(&["--p2p-relay", "https://relay.example,https://b.example"]);
        assert_eq!(two.relays, Some(vec![one, "https://b.example".into()]));
    }

    #[tokio::test]
    async fn the_runs_relays_are_read_where_its_manifest_is_and_only_if_a_peer_is_asked() {
        let directory = tempfile::tempdir().unwrap();
        let (mut config, store) = config_and_store(directory.path()).await;
        let [of_run, other] = ["https://relay.example", "https://b.example"].map(String::from);
        let named = Some(vec![of_run.clone()]);
        let named = shards::name_relays(&mut config, named, &store, true).await;
        assert_eq!(named.unwrap(), std::slice::from_ref(&of_run));

        let peer = Text::new("iroh://ab").unwrap();
        let a_store = Text::new("https://a.example/run").unwrap();
        let others = ["--p2p-relay", other.as_str()];
        let store = Some(store.url());
        for (arguments, endpoint, own, expected) in [
            (vec![], &peer, store, vec![of_run]),
            (vec![], &peer, None, vec![]),
            (vec![], &a_store, store, vec![]),
            (others.to_vec(), &peer, store, vec![other.clone()]),
            (vec!["--p2p-relay", "none"], &peer, store, vec![]),
        ] {
            let ask = ask(&arguments);
            let (relays, left_out) = ask.relays([endpoint], Some(&config), own).await;
            assert_eq!(
                (relays.urls, left_out.len()),
                (expected, 0),
                "{arguments:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_relay_of_the_run_inside_a_network_is_used_by_who_trusts_it() {
        let directory = tempfile::tempdir().unwrap();
        let (mut config, store) = config_and_store(directory.path()).await;
        let inside = vec!["https://10.0.0.1".to_string()];
        let named = shards::name_relays(&mut config, Some(inside.clone()), &store, true).await;
        assert_eq!(named.unwrap(), inside);
        let peer = Text::new("iroh://ab").unwrap();
        for (arguments, used, left_out) in
            [(vec![], vec![], 1), (vec!["--trust-endpoints"], inside, 0)]
        {
            let ask = ask(&arguments);
            let (relays, said) = ask.relays([&peer], Some(&config), Some(store.url())).await;
            assert_eq!((relays.urls, said.len()), (used, left_out), "{arguments:?}");
            assert_eq!(relays.by, ask.origin());
        }
    }
}
