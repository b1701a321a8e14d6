//! The page's files, and what a browser is told with each.

use bytes::Bytes;
use cairn_primitives::H256;
use http_body_util::Full;
use hyper::{
    header::{self, HeaderName, HeaderValue},
    Method, Response, StatusCode,
};

use super::NodeUrl;
use crate::{
    error::Failure,
    http::{self, Site},
};

/// Name, kind and content of every file but the first, which is made for a node.
const FILES: &[(&str, &str, &str)] = &[
    ("/style.css", CSS, include_str!("page/style.css")),
    ("/icon.svg", SVG, include_str!("page/icon.svg")),
    ("/agreement.js", JS, include_str!("page/agreement.js")),
    ("/amount.js", JS, include_str!("page/amount.js")),
    ("/audits.js", JS, include_str!("page/audits.js")),
    ("/chain.js", JS, include_str!("page/chain.js")),
    ("/charts.js", JS, include_str!("page/charts.js")),
    ("/dom.js", JS, include_str!("page/dom.js")),
    ("/ledger.js", JS, include_str!("page/ledger.js")),
    ("/links.js", JS, include_str!("page/links.js")),
    ("/main.js", JS, include_str!("page/main.js")),
    ("/member.js", JS, include_str!("page/member.js")),
    ("/members.js", JS, include_str!("page/members.js")),
    ("/model.js", JS, include_str!("page/model.js")),
    ("/page.js", JS, include_str!("page/page.js")),
    ("/part.js", JS, include_str!("page/part.js")),
    ("/pay.js", JS, include_str!("page/pay.js")),
    ("/read.js", JS, include_str!("page/read.js")),
    ("/round.js", JS, include_str!("page/round.js")),
    ("/rounds.js", JS, include_str!("page/rounds.js")),
    ("/rpc.js", JS, include_str!("page/rpc.js")),
    ("/runs.js", JS, include_str!("page/runs.js")),
    ("/state.js", JS, include_str!("page/state.js")),
    ("/subnet.js", JS, include_str!("page/subnet.js")),
    ("/words.js", JS, include_str!("page/words.js")),
];
const INDEX: &str = include_str!("page/index.html");

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

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

/// The page for one node.
#[derive(Debug)]
pub struct Page {
    index: Bytes,
    policy: HeaderValue,
}

impl Page {
    /// The page that speaks to this node, and to it only if its chain has this genesis hash, if one is given.
    ///
    /// # Errors
    /// If a policy cannot name the node; [`NodeUrl::read`] lets no such node through.
    pub fn of(node: &NodeUrl, genesis: Option<H256>) -> Result<Page, Failure> {
        let genesis = genesis.map_or(String::new(), |hash| format!("0x{}", hex::encode(hash.0)));
        // Nothing in either could end the attribute that it stands in, but for this.
        let url = node.as_str().replace('&', "&amp;");
        let index = INDEX
            .replace("{{node}}", &url)
            .replace("{{genesis}}", &genesis);
        Ok(Page {
            index: index.into(),
            policy: HeaderValue::from_str(&policy(node))?,
        })
    }

    fn file(&self, path: &str) -> Option<(&'static str, Bytes)> {
        if path == "/" {
            return Some((HTML, self.index.clone()));
        }
        let found = FILES.iter().find(|(name, ..)| *name == path);
        found.map(|(_, kind, content)| (*kind, Bytes::from_static(content.as_bytes())))
    }
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

/// What the page may do: its own files, this node, and nothing else; and no text can become markup.
fn policy(node: &NodeUrl) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        node.origin()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::Path};

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
