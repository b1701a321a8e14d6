//! Where a peer is.

use std::{net::SocketAddr, str::FromStr};

use cairn_store::{
    guard::{self, Origin},
    StoreError,
};
use iroh::{EndpointAddr, RelayUrl, TransportAddr};

use crate::{PeerError, PeerId};

/// Most direct addresses of one peer.
pub const MAX_DIRECT: usize = 8;

/// A peer and the ways to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Who it must be.
    pub id: PeerId,
    /// Where it may be reached by UDP.
    pub direct: Vec<SocketAddr>,
    /// URL of the relay that it is connected to.
    pub relay: Option<String>,
}

impl Address {
    /// Checks what somebody said about a peer. What a chain says may only be public.
    ///
    /// # Errors
    /// [`PeerError::NotAnId`], [`PeerError::NoAddress`], [`PeerError::TooManyAddresses`], [`PeerError::Forbidden`],
    /// [`PeerError::InvalidRelay`].
    pub fn check(&self, origin: Origin) -> Result<(), PeerError> {
        let (id, found) = (self.id, self.direct.len());
        id.endpoint()?;
        if found == 0 && self.relay.is_none() {
            return Err(PeerError::NoAddress { id });
        }
        if found > MAX_DIRECT {
            return Err(PeerError::TooManyAddresses { id, found });
        }
        let allowed = |address: &&SocketAddr| {
            let is_anywhere = address.port() != 0 && !address.ip().is_unspecified();
            is_anywhere && (origin == Origin::Owner || guard::is_public(address.ip()))
        };
        if let Some(&address) = self.direct.iter().find(|address| !allowed(address)) {
            return Err(PeerError::Forbidden { id, address });
        }
        self.relay
            .iter()
            .try_for_each(|url| relay(url, origin).map(|_| ()))
    }

    pub(crate) fn endpoint(&self) -> Result<EndpointAddr, PeerError> {
        let direct = self.direct.iter().copied().map(TransportAddr::Ip);
        let relay = self.relay.as_deref().map(|url| relay(url, Origin::Owner));
        let relay = relay.transpose()?.map(TransportAddr::Relay);
        Ok(EndpointAddr::from_parts(
            self.id.endpoint()?,
            direct.chain(relay),
        ))
    }
}

/// How an address is written, as in `iroh://ID?at=203.0.113.7:4433&relay=https://relay.example/`.
const SCHEME: &str = "iroh://";

impl Address {
    /// The address as a text of at most so many bytes, without the direct addresses for which there is no room;
    /// `None` if no way to the peer is left.
    pub fn to_text(&self, most: usize) -> Option<String> {
        let mut text = format!("{SCHEME}{}", self.id);
        let relay = self.relay.iter().map(|url| format!("relay={url}"));
        let direct = self.direct.iter().map(|at| format!("at={at}"));
        let mut between = '?';
        for way in relay.chain(direct) {
            if text.len().saturating_add(way.len()) < most {
                text.push(between);
                text.push_str(&way);
                between = '&';
            }
        }
        (between == '&').then_some(text)
    }
}

impl FromStr for Address {
    type Err = PeerError;

    /// # Errors
    /// [`PeerError::NotAnAddress`], [`PeerError::NotAnId`]. Whether it may be connected to [`Address::check`] says.
    fn from_str(text: &str) -> Result<Address, PeerError> {
        let wrong = || PeerError::NotAnAddress { text: text.into() };
        let rest = text.strip_prefix(SCHEME).ok_or_else(wrong)?;
        let (id, ways) = rest.split_once('?').ok_or_else(wrong)?;
        let mut address = Address {
            id: id.parse()?,
            direct: Vec::new(),
            relay: None,
        };
        for way in ways.split('&') {
            match way.split_once('=').ok_or_else(wrong)? {
                ("at", at) => address.direct.push(at.parse().map_err(|_| wrong())?),
                ("relay", url) if address.relay.is_none() => address.relay = Some(url.into()),
                _ => return Err(wrong()),
            }
        }
        Ok(address)
    }
}

impl From<&EndpointAddr> for Address {
    fn from(address: &EndpointAddr) -> Self {
        Address {
            id: address.id.into(),
            direct: address.ip_addrs().copied().collect(),
            relay: address.relay_urls().next().map(|url| url.to_string()),
        }
    }
}

/// The relay at a URL: `https://`, or `http://` on this machine if its owner says so.
pub(crate) fn relay(url: &str, origin: Origin) -> Result<RelayUrl, PeerError> {
    let invalid = |url: &str, why: &str| PeerError::InvalidRelay {
        url: url.to_string(),
        why: why.to_string(),
    };
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(invalid(url, "it is no https:// URL"));
    }
    guard::check(url, origin).map_err(|error| match error {
        // Without credentials, if there were any.
        StoreError::InvalidUrl { url, why, .. } => invalid(&url, &why),
        StoreError::Forbidden { what, why } => invalid(&what, &why),
        other => invalid(url, &other.to_string()),
    })?;
    url.parse().map_err(|_| invalid(url, "it is no URL"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerKey;

    fn address(direct: &[&str], relay: Option<&str>) -> Address {
        Address {
            id: PeerKey::from_bytes(&[1; 32]).id(),
            direct: direct.iter().map(|text| text.parse().unwrap()).collect(),
            relay: relay.map(String::from),
        }
    }

    #[test]
    fn a_chain_names_public_addresses_only() {
        for good in [
            address(&["8.8.8.8:1"], None),
            address(&["[2606:4700::1]:443"], Some("https://relay.example.org")),
            address(&[], Some("https://relay.example.org/")),
        ] {
            assert_eq!(good.check(Origin::Chain), Ok(()), "{good:?}");
        }
        for (only_owner, relay) in [
            ("127.0.0.1:1", None),
            ("10.1.2.3:4", None),
            ("[::1]:5", None),
            ("[fe80::1]:5", None),
            ("[::ffff:192.168.0.1]:5", None),
            ("8.8.8.8:1", Some("http://127.0.0.1:3340")),
            ("8.8.8.8:1", Some("https://192.168.1.1")),
        ] {
            let address = address(&[only_owner], relay);
            assert_eq!(address.check(Origin::Owner), Ok(()), "{address:?}");
            assert!(address.check(Origin::Chain).is_err(), "{address:?}");
        }
    }

    #[test]
    fn an_address_is_read_as_it_was_written() {
        let one = address(
            &["203.0.113.7:4433", "[2606:4700::1]:443"],
            Some("https://relay.example/"),
        );
        let text = one.to_text(256).unwrap();
        let ways = "?relay=https://relay.example/&at=203.0.113.7:4433&at=[2606:4700::1]:443";
        assert_eq!(text, format!("iroh://{}{ways}", one.id));
        assert_eq!(text.parse(), Ok(one.clone()));
        let short = one.to_text(130).unwrap();
        assert!(
            short.len() <= 130 && short.ends_with("&at=203.0.113.7:4433"),
            "{short}"
        );
        assert_eq!(one.to_text(80), None, "no way to it");
        assert_eq!(address(&[], None).to_text(256), None);
    }

    #[test]
    fn a_text_that_is_no_address_is_refused() {
        let id = address(&[], None).id;
        for wrong in [
            String::new(),
            format!("https://{id}?at=1.2.3.4:5"),
            format!("iroh://{id}"),
            format!("iroh://{id}?"),
            format!("iroh://{id}?at=1.2.3.4"),
            format!("iroh://{id}?at=name.example:5"),
            format!("iroh://{id}?to=1.2.3.4:5"),
            format!("iroh://{id}?relay=https://a/&relay=https://b/"),
            "iroh://00?at=1.2.3.4:5".into(),
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        let cases = [
            address(&[], None),
            address(&["8.8.8.8:0"], None),
            address(&["0.0.0.0:7"], None),
            address(&["8.8.8.8:1"; MAX_DIRECT + 1], None),
            address(&[], Some("relay.example.org")),
            address(&[], Some("file:///etc")),
            address(&[], Some("s3://bucket")),
            address(&[], Some("http://relay.example.org")),
            address(&[], Some("https://me:secret@relay.example.org")),
        ];
        for address in cases {
            let error = address.check(Origin::Owner).unwrap_err().to_string();
            assert!(
                !error.contains('\n') && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
