//! Whether anybody outside a member's own network can come by what the chain says of it.

use std::net::SocketAddr;

use cairn_primitives::Text;
use cairn_store::guard::{self, Origin};

/// What a member does that nobody outside can come by.
pub const HOW_TO_BE_REACHED: &str =
    "name a public address by --p2p-address IP:PORT, or a relay by --p2p-relay URL, and start the worker again";

/// What is wrong with a member's endpoints, if it has some and none of them leads to it from outside: each names this
/// machine or addresses of private networks only, and no relay.
pub fn only_inside(endpoints: &[Text]) -> Option<String> {
    let texts: Vec<String> = endpoints.iter().map(Text::to_text).collect();
    if texts.is_empty() || texts.iter().any(|text| leads_outside(text)) {
        return None;
    }
    let which = texts.join(", ");
    Some(format!(
        "nobody outside this network can fetch from this member: {which} names private addresses only, and no relay"
    ))
}

/// Whether an endpoint may be reached from anywhere, by what it says.
fn leads_outside(endpoint: &str) -> bool {
    let is_public = |url: &str| guard::check(url, Origin::Chain).is_ok();
    let Some(peer) = endpoint.strip_prefix("iroh://") else {
        return is_public(endpoint);
    };
    let (_, ways) = peer.split_once('?').unwrap_or_default();
    ways.split('&').any(|way| match way.split_once('=') {
        Some(("relay", url)) => is_public(url),
        Some(("at", at)) => at
            .parse::<SocketAddr>()
            .is_ok_and(|at| at.port() != 0 && guard::is_public(at.ip())),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(endpoints: &[&str]) -> Option<String> {
        let texts = endpoints.iter().map(|text| Text::new(text).unwrap());
        only_inside(&texts.collect::<Vec<_>>())
    }

    #[test]
    fn one_public_way_is_enough() {
        for good in [
            &[] as &[&str],
            &["https://store.example/run"],
            &["iroh://ab?at=8.8.8.8:4433"],
            &["iroh://ab?at=10.0.0.5:4433&at=[2606:4700::1]:4433"],
            &["iroh://ab?relay=https://relay.example/&at=10.0.0.5:4433"],
            &["iroh://ab?at=10.0.0.5:4433", "https://store.example/run"],
        ] {
            assert_eq!(found(good), None, "{good:?}");
        }
    }

    #[test]
    fn who_names_private_addresses_only_is_told_so() {
        for bad in [
            &["iroh://ab?at=10.0.0.5:4433"] as &[&str],
            &["iroh://ab?at=127.0.0.1:1&at=[::1]:1&at=[fe80::1]:1&at=192.168.1.7:1"],
            // Shared by a provider's customers; nobody's; no port.
            &["iroh://ab?at=100.64.0.1:1"],
            &["iroh://ab?at=0.0.0.0:1"],
            &["iroh://ab?at=8.8.8.8:0"],
            // A relay on the member's own machine.
            &["iroh://ab?relay=http://127.0.0.1:3340/&at=10.0.0.5:4433"],
            &["https://192.168.1.1/run"],
            &["iroh://ab?", "iroh://ab"],
        ] {
            let said = found(bad).unwrap_or_else(|| panic!("{bad:?}"));
            assert!(said.contains(bad[0]) && said.contains("no relay"), "{said}");
        }
    }
}
