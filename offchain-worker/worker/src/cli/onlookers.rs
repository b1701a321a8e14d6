//! Who looks on while a worker works: Prometheus, and whoever is told.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use cairn_chain::AccountId;
use cairn_primitives::EpochIndex;
use clap::{
    builder::{StringValueParser, TypedValueParser},
    Args,
};
use tokio::{net::TcpListener, sync::watch};

use super::{
    args::{NetuidArg, NodeArgs},
    dashboard::cannot_listen,
};
use crate::{
    error::Failure,
    http,
    metrics::{disk, site::MetricsSite, Metrics},
    notices::{
        watch::{watch, About},
        webhook, Webhook, WebhookUrl,
    },
};

/// Metrics and notices.
#[derive(Args, Debug)]
#[command(next_help_heading = "Who looks on")]
pub struct OnlookersArgs {
    /// Serve metrics for Prometheus, and /healthz, at this address; a port alone is one that only this machine reaches
    #[arg(
        long,
        env = "CAIRN_METRICS",
        value_name = "[ADDRESS:]PORT",
        value_parser = an_address
    )]
    metrics: Option<SocketAddr>,
    /// Post as JSON to this address what its owner should know of, such as a slash. Whoever knows the address can post
    /// there, so write it into a file or a variable and not on the command line
    #[arg(
        long,
        env = "CAIRN_NOTIFY",
        value_name = "URL",
        hide_env_values = true,
        value_parser = StringValueParser::new().map(Unread)
    )]
    notify: Option<Unread>,
    /// Epochs without a reward of which to be told; 0 for never
    #[arg(
        long,
        env = "CAIRN_NOTIFY_DRY",
        value_name = "EPOCHS",
        default_value_t = 3,
        requires = "notify"
    )]
    notify_dry: EpochIndex,
}

fn an_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<u16>() {
        Ok(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Err(_) => text
            .parse()
            .map_err(|_| "write a port, or ADDRESS:PORT such as 127.0.0.1:9617".into()),
    }
}

/// An address as it was written. Reading it later keeps it out of what is said of options.
#[derive(Clone)]
struct Unread(String);

impl std::fmt::Debug for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unread")
    }
}

impl Unread {
    fn url(&self) -> Result<WebhookUrl, Failure> {
        let read = self.0.parse();
        read.map_err(|remedy: String| Failure::new("what --notify says is no address", remedy))
    }
}

impl OnlookersArgs {
    /// Begins to serve and to post, as far as it was asked for, and gives what takes note of the work.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn begin(
        &self,
        (node, netuid): (&NodeArgs, NetuidArg),
        (role, hotkey): (&'static str, AccountId),
        stop: &watch::Receiver<bool>,
    ) -> Result<Arc<Metrics>, Failure> {
        let metrics = Arc::new(Metrics::new(role, netuid.netuid)?);
        if let Some(at) = self.metrics {
            serve(at, metrics.clone(), stop.clone()).await?;
        }
        if let Some(url) = &self.notify {
            let url = url.url()?;
            let about = About {
                nodes: node.node.clone(),
                genesis: node.genesis,
                netuid: netuid.netuid,
                hotkey,
                role,
                dry: self.notify_dry,
            };
            tracing::info!("notices are posted to {url}");
            let webhook = Webhook::new(url, webhook::Patience::default())?;
            tokio::spawn(watch(about, webhook, metrics.clone(), stop.clone()));
        }
        Ok(metrics)
    }
}

async fn serve(
    at: SocketAddr,
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let listener = TcpListener::bind(at).await;
    let listener = listener.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Failure::new(
            format!("cannot serve metrics on {at}: {error}"),
            "end what listens there, or choose another port with --metrics",
        ),
        _ => cannot_listen(at, &error),
    })?;
    let at = listener.local_addr()?;
    tracing::info!("metrics are at http://{at}/metrics");
    if !at.ip().is_loopback() {
        tracing::warn!("others can read the metrics: there is no password");
    }
    tokio::spawn(disk::follow(metrics.clone(), stop.clone()));
    tokio::spawn(http::serve(listener, MetricsSite(metrics), stop));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_not_repeated() {
        let said = Unread("s3cret".into()).url().unwrap_err().to_string();
        assert!(
            said.contains("--notify") && !said.contains("s3cret"),
            "{said}"
        );
        assert!(!format!("{:?}", Unread("s3cret".into())).contains("s3cret"));
        assert!(Unread("https://hooks.example/x".into()).url().is_ok());
    }

    #[test]
    fn a_port_alone_is_this_machines() {
        assert_eq!(an_address("9617").unwrap().to_string(), "127.0.0.1:9617");
        assert_eq!(
            an_address("0.0.0.0:9617").unwrap().to_string(),
            "0.0.0.0:9617"
        );
        for text in ["", "localhost", ":9617", "99999", "x:1"] {
            assert!(
                an_address(text).unwrap_err().contains("ADDRESS:PORT"),
                "{text}"
            );
        }
    }
}
