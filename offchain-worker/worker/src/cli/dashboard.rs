//! `cairn dashboard`.

use std::{io::ErrorKind, net::SocketAddr, path::PathBuf, time::Duration};

use cairn_chain::Client;
use cairn_trainer::cuda::cache_directory;
use clap::Args;
use serde::Serialize;
use tokio::{net::TcpListener, time::timeout};

use super::args::{JsonArg, NodeArgs};
use crate::{
    dashboard::{Light, NodeUrl, Page, SMOLDOT},
    error::Failure,
    http, output, shutdown,
};

/// How long the node is waited for at the beginning, before it is said that it is not there.
const PATIENCE: Duration = Duration::from_secs(10);

/// `cairn dashboard`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn dashboard\n  cairn dashboard --node wss://node.example --listen 127.0.0.1:8080\n  cairn dashboard --listen 127.0.0.1:0 --json     a free port, and a line of JSON that says which\n  cairn dashboard --light chain.json              a page that checks what it shows, and asks no node\n\nThe page asks the node by itself, the first one if several are named, so the browser has to reach it. With --light a light client in the page speaks to the chain's peers instead, and checks what they bring. Nothing that is typed or chosen in the page is sent\nanywhere else."
)]
pub struct Dashboard {
    /// Address on which the page is served: only this machine reaches one that begins with 127
    #[arg(
        long,
        env = "CAIRN_DASHBOARD_LISTEN",
        default_value = "127.0.0.1:9955",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
    /// Raw specification of the chain, whose boot nodes the page speaks to: a light client in it checks all that it
    /// shows
    #[arg(long, env = "CAIRN_DASHBOARD_LIGHT", value_name = "FILE")]
    light: Option<PathBuf>,
    /// With --light, a peer to speak to instead, which a browser reaches by WebSocket; given again, another
    #[arg(
        long,
        env = "CAIRN_DASHBOARD_PEER",
        value_name = "MULTIADDRESS",
        value_delimiter = ',',
        requires = "light"
    )]
    peer: Vec<String>,
    /// With --light, the directory of the package smoldot, if it is not where scripts/light-client.sh puts it
    #[arg(long, env = "CAIRN_SMOLDOT", value_name = "DIRECTORY")]
    smoldot: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// What is said once it can be opened.
#[derive(Serialize)]
struct Served<'a> {
    url: String,
    /// The node that the page asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    /// Where the page's light client finds peers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    peers: Vec<&'a str>,
}

impl Dashboard {
    /// Serves until Ctrl-C.
    pub async fn run(self) -> Result<(), Failure> {
        let (page, asked) = self.page().await?;
        let stop = shutdown::watch();
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| cannot_listen(self.listen, &error))?;
        let at = listener.local_addr()?;
        self.announce(at, &asked)?;
        if !at.ip().is_loopback() {
            self.warn_of_others(&asked);
        }
        let mut served = std::pin::pin!(http::serve(listener, page, stop));
        tokio::select! {
            () = served.as_mut() => return Ok(()),
            looked = self.look_for_node(), if self.light.is_none() => looked?,
        }
        served.await;
        Ok(())
    }

    /// What is served, and whom it asks.
    async fn page(&self) -> Result<(Page, Vec<NodeUrl>), Failure> {
        let Some(specification) = self.light.clone() else {
            let node = NodeUrl::read(self.node.first())?;
            let page = Page::of(&node, self.node.genesis)?;
            return Ok((page, vec![node]));
        };
        let (peers, smoldot) = (self.peer.clone(), self.smoldot.clone());
        let smoldot =
            smoldot.unwrap_or_else(|| cache_directory().join(format!("smoldot-{SMOLDOT}")));
        // A specification may be large.
        let light =
            tokio::task::spawn_blocking(move || Light::read(&specification, &peers, &smoldot));
        let light = light.await??;
        let asked = light.peers().to_vec();
        Ok((Page::light(light, self.node.genesis)?, asked))
    }

    fn announce(&self, at: SocketAddr, asked: &[NodeUrl]) -> Result<(), Failure> {
        let (asked, is_light) = (asked.iter().map(NodeUrl::as_str), self.light.is_some());
        let served = Served {
            url: format!("http://{at}/"),
            node: (!is_light).then(|| self.node.first()),
            peers: asked.filter(|_| is_light).collect(),
        };
        if self.json.json {
            return output::show_json_line(&served);
        }
        let whom = match served.node {
            Some(node) => format!("it asks {node}"),
            None => format!("it checks what {} brings", served.peers.join(" or ")),
        };
        output::show(&format!(
            "open {} in a browser; {whom}; Ctrl-C ends it",
            served.url
        ))
    }

    /// Says if the node is not there; the page goes on looking for it.
    ///
    /// # Errors
    /// If it is there, and its chain is another one than was asked for.
    async fn look_for_node(&self) -> Result<(), Failure> {
        let url = self.node.first();
        let why = match timeout(PATIENCE, Client::connect(url)).await {
            Ok(Ok(client)) => {
                return match self.node.genesis {
                    Some(genesis) => Ok(client.expect_genesis(genesis)?),
                    None => Ok(()),
                }
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("{url} did not answer in {} s", PATIENCE.as_secs()),
        };
        let line = Failure::new(why, "the page is served, and looks for it again and again");
        output::say(&format!("cairn: {line}"));
        Ok(())
    }

    fn warn_of_others(&self, asked: &[NodeUrl]) {
        let (whom, option) = match self.light.is_some() {
            true => ("a peer", "--peer"),
            false => ("the node", "--node"),
        };
        let line = match asked.iter().all(NodeUrl::is_loopback) {
            true => format!(
                ", but not reach {whom}: to them it is on their own machine; name another address \
                 of it with {option}"
            ),
            false => String::new(),
        };
        output::say(&format!("cairn: others can open the page{line}"));
    }
}

/// Why nothing can be served at an address.
pub fn cannot_listen(at: SocketAddr, error: &std::io::Error) -> Failure {
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => "end what listens there, or choose another port with --listen",
        ErrorKind::AddrNotAvailable => "choose an address of this machine with --listen",
        ErrorKind::PermissionDenied => "choose a port above 1023 with --listen",
        _ => "choose another address with --listen",
    };
    Failure::new(format!("cannot serve on {at}: {error}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{FromArgMatches, Parser};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        dashboard: Dashboard,
    }

    fn read(line: &str) -> Dashboard {
        let command = <Line as clap::CommandFactory>::command();
        // Variables of the surroundings are no part of this.
        let command = command.mut_args(|argument| argument.env(clap::builder::Resettable::Reset));
        let matches = command.get_matches_from(line.split(' '));
        Line::from_arg_matches(&matches).unwrap().dashboard
    }

    #[test]
    fn only_this_machine_reaches_the_page_unless_it_is_asked_for() {
        assert!(read("x").listen.ip().is_loopback());
        assert!(!read("x --listen 0.0.0.0:80").listen.ip().is_loopback());
    }

    #[tokio::test]
    async fn a_light_client_needs_a_specification_and_no_node() {
        let line =
            "x --node nonsense --light /nowhere/chain.json --peer /ip4/127.0.0.1/tcp/1/ws/p2p/ID";
        let error = read(line).run().await.unwrap_err().to_string();
        assert!(error.contains("/nowhere/chain.json"), "{error}");
        assert!(
            error.contains("export-chain-spec") && !error.contains('\n'),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_port_that_is_in_use_is_told_in_a_line_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = taken.local_addr().unwrap();
        let line = format!("x --node ws://127.0.0.1:1 --listen {at}");
        let error = read(&line).run().await.unwrap_err().to_string();
        assert!(error.contains(&at.to_string()), "{error}");
        assert!(
            error.contains("--listen") && !error.contains('\n'),
            "{error}"
        );
    }
}
