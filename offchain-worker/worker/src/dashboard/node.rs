//! The address of the node that a browser is to speak to.

use crate::error::Failure;

/// A node's WebSocket address that a browser can be allowed to speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUrl {
    url: String,
    origin_length: usize,
}

impl NodeUrl {
    /// Reads `ws://host:port` or `wss://host:port`, which may have a path.
    ///
    /// # Errors
    /// What else it is, in a line.
    pub fn read(url: &str) -> Result<NodeUrl, Failure> {
        let scheme = ["ws://", "wss://"]
            .into_iter()
            .find(|scheme| url.starts_with(scheme));
        let rest = scheme.and_then(|scheme| url.strip_prefix(scheme));
        let (Some(scheme), Some(rest)) = (scheme, rest) else {
            return Err(unfit(url, "it is not the address of a node"));
        };
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        if host.starts_with('[') {
            return Err(unfit(url, "a browser's policy cannot name an IPv6 address"));
        }
        if host.contains('@') {
            return Err(unfit(
                &format!("{scheme}://…@…"),
                "whoever opens the page would see the password in it",
            ));
        }
        let in_a_host = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
        let in_a_path = |letter: char| letter.is_ascii_graphic() && !"\"'<>#".contains(letter);
        let is_host = host.starts_with(|letter: char| letter.is_ascii_alphanumeric());
        if !is_host || !host.chars().all(in_a_host) || !rest.chars().all(in_a_path) {
            return Err(unfit(url, "it is not the address of a node"));
        }
        Ok(NodeUrl {
            url: url.to_string(),
            origin_length: scheme.len().saturating_add(host.len()),
        })
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port: what a policy names.
    pub fn origin(&self) -> &str {
        self.url.get(..self.origin_length).unwrap_or_default()
    }

    /// Whether it means the machine of whoever speaks to it.
    pub fn is_loopback(&self) -> bool {
        let host = self.origin().split("://").nth(1).unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        host == "localhost" || host.starts_with("127.")
    }
}

fn unfit(url: &str, why: &str) -> Failure {
    Failure::new(
        format!("the page cannot speak to `{url}`: {why}"),
        "write ws://host:port or wss://host:port",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_scheme_host_and_port() {
        for (url, origin) in [
            ("ws://127.0.0.1:9944", "ws://127.0.0.1:9944"),
            ("wss://node.example/rpc?x=1", "wss://node.example"),
            ("ws://a-b.c:1/", "ws://a-b.c:1"),
            ("wss://node.example?x", "wss://node.example"),
        ] {
            let node = NodeUrl::read(url).unwrap();
            assert_eq!((node.origin(), node.as_str()), (origin, url));
        }
    }

    #[test]
    fn what_could_say_more_in_a_policy_or_a_page_is_refused() {
        for url in [
            "",
            "http://a:1",
            "ws://",
            "ws:///x",
            "ws://[::1]:9944",
            "ws://me:secret@a:1",
            "ws://a:1; script-src *",
            "ws://a;b",
            "ws://a,b",
            "ws://*.example",
            "ws://a:1/\"><script>",
            "ws://a:1/#x",
            "ws://a\r\nx: y",
            "ws://ä.example",
        ] {
            let error = NodeUrl::read(url).expect_err(url).to_string();
            assert!(error.contains("ws://host:port"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_node_on_ones_own_machine_is_known() {
        let is_own = |url| NodeUrl::read(url).unwrap().is_loopback();
        assert!(is_own("ws://127.0.0.1:9944") && is_own("ws://localhost:1/x"));
        assert!(!is_own("wss://node.example") && !is_own("ws://10.0.0.1:9944"));
    }
}
