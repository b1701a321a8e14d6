//! How the names of relays become addresses: by the system, and to public ones only if a chain named the relay.
//!
//! No other name is ever resolved here, and no record is asked for but addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use cairn_store::guard::{self, Origin};
use futures::future::BoxFuture;
use iroh::dns::{BoxIter, DnsError, Resolver, TxtRecordData};

/// Asks the system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names(pub Origin);

impl Names {
    /// All addresses of a name, none if one of them is not allowed: one private address among public ones is a trap.
    async fn look_up(self, host: String) -> Vec<IpAddr> {
        let found = tokio::net::lookup_host((host.as_str(), 0)).await;
        let found: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
        let is_allowed = |ip: IpAddr| self.0 == Origin::Owner || guard::is_public(ip);
        match found.iter().all(|address| is_allowed(address.ip())) {
            true => found.iter().map(SocketAddr::ip).collect(),
            false => {
                tracing::warn!("the relay {host} is not used: its name leads to a private address");
                Vec::new()
            }
        }
    }
}

impl Resolver for Names {
    fn lookup_ipv4(&self, host: String) -> BoxFuture<'static, Result<BoxIter<Ipv4Addr>, DnsError>> {
        let names = *self;
        Box::pin(async move {
            let found = names.look_up(host).await.into_iter();
            let only = found.filter_map(|ip| match ip {
                IpAddr::V4(ip) => Some(ip),
                IpAddr::V6(_) => None,
            });
            Ok(Box::new(only) as BoxIter<Ipv4Addr>)
        })
    }

    fn lookup_ipv6(&self, host: String) -> BoxFuture<'static, Result<BoxIter<Ipv6Addr>, DnsError>> {
        let names = *self;
        Box::pin(async move {
            let found = names.look_up(host).await.into_iter();
            let only = found.filter_map(|ip| match ip {
                IpAddr::V4(_) => None,
                IpAddr::V6(ip) => Some(ip),
            });
            Ok(Box::new(only) as BoxIter<Ipv6Addr>)
        })
    }

    fn lookup_txt(
        &self,
        _: String,
    ) -> BoxFuture<'static, Result<BoxIter<TxtRecordData>, DnsError>> {
        Box::pin(async { Ok(Box::new(std::iter::empty()) as BoxIter<TxtRecordData>) })
    }

    fn clear_cache(&self) {}

    fn reset(&self) -> Box<dyn Resolver> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_a_chain_gave_does_not_lead_to_this_machine() {
        let host = || "localhost".to_string();
        assert!(!Names(Origin::Owner).look_up(host()).await.is_empty());
        assert!(Names(Origin::Chain).look_up(host()).await.is_empty());
        assert_eq!(
            Names(Origin::Owner)
                .lookup_txt(host())
                .await
                .unwrap()
                .count(),
            0
        );
    }
}
