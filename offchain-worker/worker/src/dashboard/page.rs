//! The page's files, and what a browser is told with each.

use bytes::Bytes;
use cairn_primitives::H256;
use http_body_util::Full;
use hyper::{
    header::{self, HeaderName, HeaderValue},
    Method, Response, StatusCode,
};

use super::{Light, NodeUrl};
use crate::{
    error::Failure,
    http::{self, Site},
};

/// Name, kind and content of every file but the first, which is made for a node.
const FILES: &[(&str, &str, &str)] = &[
    ("/style.css", CSS, include_str!("page/style.css")),
    ("/icon.svg", SVG, include_str!("page/icon.svg")),
    ("/account.js", JS, include_str!("page/account.js")),
    ("/agreement.js", JS, include_str!("page/agreement.js")),
    ("/amount.js", JS, include_str!("page/amount.js")),
    ("/audits.js", JS, include_str!("page/audits.js")),
    ("/chain.js", JS, include_str!("page/chain.js")),
    ("/charts.js", JS, include_str!("page/charts.js")),
    ("/dom.js", JS, include_str!("page/dom.js")),
    ("/failures.js", JS, include_str!("page/failures.js")),
    ("/ledger.js", JS, include_str!("page/ledger.js")),
    ("/light.js", JS, include_str!("page/light.js")),
    ("/links.js", JS, include_str!("page/links.js")),
    ("/loss.js", JS, include_str!("page/loss.js")),
    ("/main.js", JS, include_str!("page/main.js")),
    ("/member.js", JS, include_str!("page/member.js")),
    ("/members.js", JS, include_str!("page/members.js")),
    ("/model.js", JS, include_str!("page/model.js")),
    ("/needs.js", JS, include_str!("page/needs.js")),
    ("/page.js", JS, include_str!("page/page.js")),
    ("/part.js", JS, include_str!("page/part.js")),
    ("/pay.js", JS, include_str!("page/pay.js")),
    ("/proven.js", JS, include_str!("page/proven.js")),
    ("/read.js", JS, include_str!("page/read.js")),
    ("/round.js", JS, include_str!("page/round.js")),
    ("/rounds.js", JS, include_str!("page/rounds.js")),
    ("/rpc.js", JS, include_str!("page/rpc.js")),
    ("/runs.js", JS, include_str!("page/runs.js")),
    ("/scale.js", JS, include_str!("page/scale.js")),
    ("/sent.js", JS, include_str!("page/sent.js")),
    ("/smoldot.js", JS, include_str!("page/smoldot.js")),
    ("/state.js", JS, include_str!("page/state.js")),
    ("/subnet.js", JS, include_str!("page/subnet.js")),
    ("/trust.js", JS, include_str!("page/trust.js")),
    ("/words.js", JS, include_str!("page/words.js")),
    ("/worker.js", JS, include_str!("page/worker.js")),
];
const INDEX: &str = include_str!("page/index.html");
/// Where a page with a light client finds the chain's specification.
const SPECIFICATION: &str = "/chain.json";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";

/// What a browser is told with every answer, beside the policy.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    // Another release of this program may stand at the same address tomorrow.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// The page for one node, or with a light client in it.
#[derive(Debug)]
pub struct Page {
    index: Bytes,
    policy: HeaderValue,
    light: Option<Light>,
}

impl Page {
    /// The page that speaks to this node, and to it only if its chain has this genesis hash, if one is given.
    ///
    /// # Errors
    /// If a policy cannot name the node; [`NodeUrl::read`] lets no such node through.
    pub fn of(node: &NodeUrl, genesis: Option<H256>) -> Result<Page, Failure> {
        let policy = policy(node.origin(), "'self'", "'none'");
        Ok(Page {
            index: index(node.as_str(), "", genesis),
            policy: HeaderValue::from_str(&policy)?,
            light: None,
        })
    }

    /// The page that asks no node, but has a light client speak to the chain's peers and check what they bring.
    ///
    /// # Errors
    /// If a policy cannot name the peers; [`Light::read`] lets no such peer through.
    pub fn light(light: Light, genesis: Option<H256>) -> Result<Page, Failure> {
        let peers = light.peers().iter().map(NodeUrl::origin);
        let connect: Vec<&str> = std::iter::once("'self'").chain(peers).collect();
        // The light client is compiled code, and runs in a worker whose address the page vouches for.
        let script = "'self' 'wasm-unsafe-eval'";
        let policy = policy(&connect.join(" "), script, "cairn-worker");
        Ok(Page {
            index: index("", "yes", genesis),
            policy: HeaderValue::from_str(&policy)?,
            light: Some(light),
        })
    }

    fn file(&self, path: &str) -> Option<(&'static str, Bytes)> {
        if path == "/" {
            return Some((HTML, self.index.clone()));
        }
        if let Some((_, kind, content)) = FILES.iter().find(|(name, ..)| *name == path) {
            return Some((*kind, Bytes::from_static(content.as_bytes())));
        }
        let light = self.light.as_ref()?;
        match path {
            SPECIFICATION => Some((JSON, light.specification())),
            _ => light.file(path).map(|content| (JS, content)),
        }
    }
}

/// The first file, which says whom the page asks.
fn index(node: &str, light: &str, genesis: Option<H256>) -> Bytes {
    let genesis = genesis.map_or(String::new(), |hash| format!("0x{}", hex::encode(hash.0)));
    // Nothing in any of them could end the attribute that it stands in, but for this.
    let node = node.replace('&', "&amp;");
    let index = INDEX
        .replace("{{node}}", &node)
        .replace("{{light}}", light)
        .replace("{{genesis}}", &genesis);
    index.into()
}

impl Site for Page {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let (status, kind, body) = match (http::is_reading(method), self.file(path)) {
            (true, Some((kind, body))) => (StatusCode::OK, kind, body),
            (true, None) => (
                StatusCode::NOT_FOUND,
                http::TEXT,
                Bytes::from_static(b"there is no such file here; the page is at /\n"),
            ),
            (false, _) => (
                StatusCode::METHOD_NOT_ALLOWED,
                http::TEXT,
                Bytes::from_static(b"files here can only be read\n"),
            ),
        };
        let mut response = http::answer(status, kind, body);
        let headers = response.headers_mut();
        headers.extend(HEADERS);
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        response
    }
}

/// What the page may do: run `script`, speak to `connect`, and nothing else; and no text can become markup.
fn policy(connect: &str, script: &str, types: &str) -> String {
    format!(
        "default-src 'none'; script-src {script}; style-src 'self'; img-src 'self'; connect-src {connect}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types {types}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dashboard::light,
        roles::{sources::INCOMING_ROUNDS, AUDITED_ROUNDS},
    };
    use cairn_protocol::limits::HISTORY_ROUNDS;
    use std::{collections::BTreeSet, path::Path};

    /// Browsers hold the rest against `cairn run plan`: tests/dashboard/needs.test.mjs.
    #[test]
    fn the_page_counts_the_rounds_that_are_kept() {
        let rounds = [HISTORY_ROUNDS, INCOMING_ROUNDS, AUDITED_ROUNDS + 1];
        let line = format!("[HISTORY, INCOMING, AUDITED] = {rounds:?};");
        assert!(include_str!("page/needs.js").contains(&line), "{line}");
    }

    fn page(url: &str) -> Page {
        Page::of(&NodeUrl::read(url).unwrap(), Some(H256([0xab; 32]))).unwrap()
    }

    #[test]
    fn every_file_of_the_directory_is_served_and_no_other() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard/page");
        let names = std::fs::read_dir(directory).unwrap();
        let mut there: BTreeSet<String> = names
            .map(|entry| format!("/{}", entry.unwrap().file_name().to_string_lossy()))
            .collect();
        assert!(there.remove("/index.html"));
        let served = FILES.iter().map(|(name, ..)| name.to_string()).collect();
        assert_eq!(there, served);
    }

    #[test]
    fn the_page_names_the_node_and_may_speak_to_it_alone() {
        let page = page("ws://node.example:9944/a?b&c");
        let index = std::str::from_utf8(&page.index).unwrap();
        assert!(index.contains("content=\"ws://node.example:9944/a?b&amp;c\""));
        assert!(index.contains(&format!("content=\"0x{}\"", "ab".repeat(32))));
        assert!(!index.contains("{{"));
        let answer = page.answer(&Method::GET, "/");
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str();
        let policy = policy.unwrap();
        assert!(policy.contains("connect-src ws://node.example:9944;"));
        assert!(policy.starts_with("default-src 'none';"));
        assert!(!policy.contains("unsafe") && !policy.contains('*'));
    }

    #[test]
    fn a_page_with_a_light_client_speaks_to_peers_and_to_no_node() {
        let page = Page::light(light::tests::light(), None).unwrap();
        let index = std::str::from_utf8(&page.index).unwrap();
        assert!(index.contains("name=\"cairn-light\" content=\"yes\""));
        assert!(index.contains("name=\"cairn-node\" content=\"\"") && !index.contains("{{"));
        let answer = page.answer(&Method::GET, "/chain.json");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], JSON);
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str();
        let policy = policy.unwrap();
        assert!(
            policy.contains("; connect-src 'self' ws://127.0.0.1:30333; "),
            "{policy}"
        );
        assert!(
            policy.contains("; script-src 'self' 'wasm-unsafe-eval'; "),
            "{policy}"
        );
        assert!(policy.ends_with("; trusted-types cairn-worker"), "{policy}");
        let smoldot = page.answer(&Method::GET, "/smoldot/worker-browser.js");
        assert_eq!(smoldot.status().as_u16(), 200);
        assert_eq!(smoldot.headers()[header::CONTENT_TYPE], JS);
        for path in ["/smoldot/index-browser.js", "/smoldot/../chain.json"] {
            assert_eq!(
                page.answer(&Method::GET, path).status().as_u16(),
                404,
                "{path}"
            );
        }
    }

    #[test]
    fn files_name_no_other_host_and_have_nothing_inline() {
        let index = [("/", HTML, INDEX)];
        for (name, _, content) in FILES.iter().chain(&index) {
            let namespaces = content.replace("http://www.w3.org/2000/svg", "");
            assert!(!namespaces.contains("http://"), "{name}");
            assert!(!namespaces.contains("https://"), "{name}");
            for word in ["innerHTML", "outerHTML", "insertAdjacent", "eval("] {
                assert!(!content.contains(word), "{name}: {word}");
            }
            assert!(!content.contains(" style="), "{name}");
            assert!(!content.contains("onclick="), "{name}");
        }
    }

    #[test]
    fn files_can_be_read_and_nothing_else() {
        let page = page("ws://127.0.0.1:9944");
        let status = |method: Method, path: &str| page.answer(&method, path).status().as_u16();
        assert_eq!(status(Method::GET, "/main.js"), 200);
        assert_eq!(status(Method::HEAD, "/"), 200);
        for path in [
            "/nothing",
            "/../Cargo.toml",
            "//main.js",
            "/main.js/",
            "/index.html",
            "/chain.json",
            "/smoldot/worker-browser.js",
            "",
        ] {
            assert_eq!(status(Method::GET, path), 404, "{path}");
        }
        let refused = page.answer(&Method::POST, "/");
        assert_eq!(refused.status().as_u16(), 405);
        assert_eq!(refused.headers()[header::ALLOW], "GET, HEAD");
        for (method, path) in [(Method::GET, "/"), (Method::GET, "/x"), (Method::PUT, "/")] {
            let answer = page.answer(&method, path);
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
            assert!(answer.headers().contains_key("content-security-policy"));
        }
    }
}
