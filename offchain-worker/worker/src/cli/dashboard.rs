//! `cairn dashboard`.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use cairn_chain::Client;
use clap::Args;
use serde::Serialize;
use tokio::{net::TcpListener, time::timeout};

use super::args::{JsonArg, NodeArgs};
use crate::{
    dashboard::{NodeUrl, Page},
    error::Failure,
    http, output, shutdown,
};

/// How long the node is waited for at the beginning, before it is said that it is not there.
const PATIENCE: Duration = Duration::from_secs(10);

/// `cairn dashboard`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  cairn dashboard\n  cairn dashboard --node wss://node.example --listen 127.0.0.1:8080\n  cairn dashboard --listen 127.0.0.1:0 --json     a free port, and a line of JSON that says which\n\nThe page asks the node by itself, the first one if several are named, so the browser has to reach it. Nothing that is typed or chosen in the page is sent\nanywhere else."
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
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    json: JsonArg,
}

/// What is said once it can be opened.
#[derive(Serialize)]
struct Served {
    url: String,
    node: String,
}

impl Dashboard {
    /// Serves until Ctrl-C.
    pub async fn run(self) -> Result<(), Failure> {
        let node = NodeUrl::read(self.node.first())?;
        let page = Page::of(&node, self.node.genesis)?;
        let stop = shutdown::watch();
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| cannot_listen(self.listen, &error))?;
        let at = listener.local_addr()?;
        self.announce(at)?;
        if !at.ip().is_loopback() {
            warn_of_others(&node);
        }
        let mut served = std::pin::pin!(http::serve(listener, page, stop));
        tokio::select! {
            () = served.as_mut() => return Ok(()),
            looked = self.look_for_node() => looked?,
        }
        served.await;
        Ok(())
    }

    fn announce(&self, at: SocketAddr) -> Result<(), Failure> {
        let served = Served {
            url: format!("http://{at}/"),
            node: self.node.first().to_string(),
        };
        match self.json.json {
            true => output::show_json_line(&served),
            false => output::show(&format!(
                "open {} in a browser; it asks {}; Ctrl-C ends it",
                served.url, served.node
            )),
        }
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

fn warn_of_others(node: &NodeUrl) {
    let line = match node.is_loopback() {
        true => {
            ", but not reach the node: to them it is on their own machine; name another address of it \
             with --node"
        }
        false => "",
    };
    output::say(&format!("cairn: others can open the page{line}"));
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
