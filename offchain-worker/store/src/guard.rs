//! What a chain may name.
//!
//! The URLs of a run's configuration and of its members' endpoints were written by strangers. A worker that followed
//! any of them could be made to read its own disk, to talk to what listens on its own machine, or to what its private
//! network trusts. So a URL from a chain may name a public `https://` address and nothing else; and since a name can
//! resolve to anything, the addresses that are connected to are checked too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::{
    error::Forbidden,
    url::{place, Place},
    StoreError,
};

/// Who named a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Whoever runs this process, by flag, variable or file.
    Owner,
    /// A chain: a run's configuration, a member's endpoint.
    Chain,
}

/// Checks the text of a URL from a chain.
///
/// # Errors
/// [`StoreError::Forbidden`] for anything but `https://` with a name or a public address; [`StoreError::InvalidUrl`],
/// [`StoreError::UnsupportedScheme`] for what is no store.
pub fn check(url: &str, origin: Origin) -> Result<(), StoreError> {
    let place = place(url)?;
    if origin == Origin::Owner {
        return Ok(());
    }
    let forbid = |why: &str| {
        Err(StoreError::Forbidden {
            what: url.to_string(),
            why: why.to_string(),
        })
    };
    match place {
        Place::Directory(_) => forbid("it is a directory of this machine"),
        // With this user's credentials it would reach what only this user may read.
        Place::Bucket { .. } => forbid("its readers use the bucket's https:// address"),
        Place::Mirror(url) => {
            check_host(&url).map_err(|Forbidden { what, why }| StoreError::Forbidden { what, why })
        }
    }
}

/// Checks scheme and host of a URL, for a first request and for each that a server sends us on to.
pub(crate) fn check_host(url: &url::Url) -> Result<(), Forbidden> {
    let forbid = |why: &str| {
        Err(Forbidden {
            what: url.host_str().unwrap_or_default().to_string(),
            why: why.to_string(),
        })
    };
    if url.scheme() != "https" {
        return forbid("only https:// is");
    }
    let address: IpAddr = match url.host() {
        Some(url::Host::Ipv4(address)) => address.into(),
        Some(url::Host::Ipv6(address)) => address.into(),
        Some(url::Host::Domain(_)) => return Ok(()),
        None => return forbid("it names no host"),
    };
    match is_public(address) {
        true => Ok(()),
        false => forbid(NOT_PUBLIC),
    }
}

const NOT_PUBLIC: &str = "it is no public address, but this machine's, its network's or nobody's";

/// Whether an address is one of the public internet: not unspecified, loopback, link-local, private, shared, reserved
/// or for many, nor a way to write one of those in version 6.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_4(address),
        IpAddr::V6(address) => is_public_6(address),
    }
}

fn is_public_4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 | 224.. => true,
        100 => b & 0xc0 == 64,
        169 => b == 254,
        172 => b & 0xf0 == 16,
        192 => b == 168 || (b == 0 && (c == 0 || c == 2)) || (b == 88 && c == 99),
        198 => b & 0xfe == 18 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        _ => false,
    };
    !special
}

fn is_public_6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // Version 4 written as version 6, and what translates it.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // Tunnels, benchmarks and examples.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// How names become addresses.
pub(crate) type Lookup =
    fn(String) -> futures::future::BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;

/// By the system.
pub(crate) fn by_the_system(
    name: String,
) -> futures::future::BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
}

/// Resolves names to public addresses only. What it gives is what is connected to, so that a name cannot mean one thing
/// when it is checked and another when it is used.
pub(crate) struct Resolver(pub Lookup);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (name, lookup) = (name.as_str().to_string(), self.0);
        Box::pin(async move {
            let found = lookup(name.clone()).await?;
            // One private address among public ones is a trap too.
            if found.iter().any(|address| !is_public(address.ip())) {
                let why = format!(
                    "its name leads to {}",
                    NOT_PUBLIC.trim_start_matches("it is ")
                );
                return Err(Forbidden { what: name, why }.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
