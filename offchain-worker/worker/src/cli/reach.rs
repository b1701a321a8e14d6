//! Where a worker's files can be had, and whom it asks for others'.

use std::net::SocketAddr;

use cairn_primitives::Text;
use cairn_protocol::endpoint;
use clap::{builder::BoolishValueParser, Args};

use crate::{
    amount::parse_bytes,
    roles::sources::{PeerOptions, Reach},
};

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

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        reach: ReachArgs,
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
}
