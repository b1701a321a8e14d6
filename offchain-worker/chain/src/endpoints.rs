//! The nodes that a client may ask, and whose turn it is. Pure: it is told what was seen.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use cairn_primitives::BlockNumber;

use crate::ChainError;

/// The most nodes of one client.
pub const MAX_NODES: usize = 16;

/// A node whose best block is this much below the highest one seen is catching up.
pub const BEHIND: BlockNumber = 16;

/// Nodes of one chain, in the order in which they are asked.
pub(crate) struct Endpoints {
    urls: Vec<String>,
    turn: AtomicUsize,
    highest: AtomicU32,
}

impl Endpoints {
    /// Of their URLs; what is named twice is asked once.
    ///
    /// # Errors
    /// [`ChainError::InvalidUrl`] for what is no `ws://` or `wss://` URL, for none and for more than [`MAX_NODES`].
    pub fn new(urls: &[String]) -> Result<Endpoints, ChainError> {
        let mut known: Vec<String> = Vec::new();
        for url in urls {
            let plain = url.starts_with("ws://") || url.starts_with("wss://");
            if !plain || url.contains(char::is_whitespace) {
                return Err(ChainError::InvalidUrl { url: url.clone() });
            }
            if !known.contains(url) {
                known.push(url.clone());
            }
        }
        if known.is_empty() || known.len() > MAX_NODES {
            let url = urls.join(" ");
            return Err(ChainError::InvalidUrl { url });
        }
        Ok(Endpoints {
            urls: known,
            turn: AtomicUsize::new(0),
            highest: AtomicU32::new(0),
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.urls.len()
    }

    /// All of them, in the order in which they are asked.
    pub fn all(&self) -> &[String] {
        &self.urls
    }

    /// Whether there is another one to ask.
    pub fn has_others(&self) -> bool {
        self.urls.len() > 1
    }

    /// Whose turn it is.
    pub fn url(&self) -> &str {
        let turn = self.turn.load(Relaxed).checked_rem(self.urls.len());
        turn.and_then(|turn| self.urls.get(turn))
            .map_or("", String::as_str)
    }

    /// Gives the turn to the next one.
    pub fn pass_on(&self) {
        let next = |turn: usize| turn.checked_add(1)?.checked_rem(self.urls.len());
        let _ = self.turn.fetch_update(Relaxed, Relaxed, next);
    }

    /// Notes a block that a node showed.
    pub fn saw(&self, number: BlockNumber) {
        self.highest.fetch_max(number, Relaxed);
    }

    /// Forgets what was seen: a node that lies about its height must not rule out all others for ever.
    pub fn forget(&self) {
        self.highest.store(0, Relaxed);
    }

    /// Whether a node with this best block is to be passed over, and which block was seen elsewhere.
    pub fn is_behind(&self, best: BlockNumber) -> Option<BlockNumber> {
        let highest = self.highest.load(Relaxed);
        (self.has_others() && best.saturating_add(BEHIND) < highest).then_some(highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(urls: &[&str]) -> Result<Endpoints, ChainError> {
        Endpoints::new(&urls.iter().map(|url| url.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn only_web_sockets_are_nodes() {
        for url in [
            "",
            "127.0.0.1:9944",
            "http://127.0.0.1:9944",
            "ws:/x",
            "ws://a b",
        ] {
            let error = of(&["ws://a", url]).err();
            let is_named =
                matches!(&error, Some(ChainError::InvalidUrl { url: named }) if named == url);
            assert!(is_named, "{url}: {error:?}");
        }
        assert!(of(&["wss://node.example:443"]).is_ok());
        assert!(of(&[]).is_err());
        let many: Vec<String> = (0..17).map(|port| format!("ws://a:{port}")).collect();
        assert!(Endpoints::new(&many).is_err() && Endpoints::new(&many[1..]).is_ok());
    }

    #[test]
    fn everybody_gets_a_turn() {
        let all = of(&["ws://a", "ws://b", "ws://a", "ws://c"]).unwrap();
        let turns: Vec<&str> = (0..4)
            .map(|_| {
                let url = all.url();
                all.pass_on();
                url
            })
            .collect();
        assert_eq!(turns, ["ws://a", "ws://b", "ws://c", "ws://a"]);
    }

    #[test]
    fn who_is_far_behind_is_passed_over_if_there_is_another() {
        let two = of(&["ws://a", "ws://b"]).unwrap();
        two.saw(100);
        two.saw(7);
        assert_eq!(two.is_behind(100 - BEHIND), None);
        assert_eq!(two.is_behind(99 - BEHIND), Some(100));
        two.forget();
        assert_eq!(two.is_behind(0), None);
        let one = of(&["ws://a"]).unwrap();
        one.saw(100);
        assert_eq!(one.is_behind(0), None);
    }
}
