//! What a page is served whose light client checks what it shows: the chain's specification, with peers that a browser
//! reaches, and the files of smoldot, which are no part of this program.

use std::{net::Ipv4Addr, path::Path};

use bytes::Bytes;
use serde_json::Value;

use super::NodeUrl;
use crate::{error::Failure, printable::printable};

/// The version of smoldot that the page knows; `scripts/light-client.sh` fetches it.
pub const SMOLDOT: &str = "3.4.1";

/// Files of smoldot that a browser asks for, by their names in `dist/mjs` of its package.
const FILES: [&str; 13] = [
    "bytecode-browser.js",
    "internals/buffer.js",
    "internals/bytecode/wasm.js",
    "internals/bytecode/wasm0.js",
    "internals/bytecode/wasm1.js",
    "internals/bytecode/wasm2.js",
    "internals/bytecode/wasm3.js",
    "internals/client.js",
    "internals/local-instance.js",
    "internals/remote-instance.js",
    "no-auto-bytecode-browser.js",
    "public-types.js",
    "worker-browser.js",
];

/// A specification and a light client for it.
#[derive(Debug)]
pub struct Light {
    specification: Bytes,
    files: Vec<(String, Bytes)>,
    peers: Vec<NodeUrl>,
}

impl Light {
    /// Reads the raw specification of a chain, and smoldot from the directory of its package. The page speaks to
    /// `peers`, or to the specification's boot nodes if there are none.
    ///
    /// # Errors
    /// If a file is not there or no specification, and where no browser reaches a peer.
    pub fn read(specification: &Path, peers: &[String], smoldot: &Path) -> Result<Light, Failure> {
        let mut chain = read_chain(specification)?;
        let (named, reached) = match peers.is_empty() {
            true => boot_nodes(&chain, specification)?,
            false => all_reached(peers)?,
        };
        if let Some(fields) = chain.as_object_mut() {
            fields.insert("bootNodes".to_string(), Value::from(named));
        }
        Ok(Light {
            specification: serde_json::to_vec(&chain)?.into(),
            files: read_smoldot(smoldot)?,
            peers: reached,
        })
    }

    /// Where a browser reaches the peers.
    pub fn peers(&self) -> &[NodeUrl] {
        &self.peers
    }

    /// The chain's specification, in JSON.
    pub fn specification(&self) -> Bytes {
        self.specification.clone()
    }

    /// A file of smoldot, by the path that the page asks for it with.
    pub fn file(&self, path: &str) -> Option<Bytes> {
        let name = path.strip_prefix("/smoldot/")?;
        let found = self.files.iter().find(|(known, _)| known == name);
        found.map(|(_, content)| content.clone())
    }
}

/// A specification that a light client can begin with.
fn read_chain(path: &Path) -> Result<Value, Failure> {
    let shown = path.display();
    let remedy = "`cairn-node export-chain-spec --raw` writes one";
    let text = std::fs::read(path)
        .map_err(|error| Failure::new(format!("cannot read {shown}: {error}"), remedy))?;
    let chain: Value = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format!("{shown} is no JSON: {error}"), remedy))?;
    let genesis = chain.get("genesis");
    if genesis.and_then(|genesis| genesis.get("raw")).is_none() {
        let what = format!("{shown} is no raw specification of a chain");
        return Err(Failure::new(what, remedy));
    }
    Ok(chain)
}

/// The boot nodes that a browser reaches, as the chain names them and as a browser does.
fn boot_nodes(chain: &Value, path: &Path) -> Result<(Vec<String>, Vec<NodeUrl>), Failure> {
    let named = chain.get("bootNodes").and_then(Value::as_array);
    let named = named.into_iter().flatten().filter_map(Value::as_str);
    let (named, reached): (Vec<_>, Vec<_>) = named
        .filter_map(|peer| Some((peer.to_string(), url_of(peer)?)))
        .unzip();
    if named.is_empty() {
        let what = format!(
            "no boot node in {} can be reached from a browser",
            path.display()
        );
        return Err(Failure::new(what, REACHED));
    }
    Ok((named, reached))
}

/// Peers that were named, each of which a browser has to reach.
fn all_reached(peers: &[String]) -> Result<(Vec<String>, Vec<NodeUrl>), Failure> {
    let unfit = |peer: &str| Failure::new(format!("no browser reaches the peer `{peer}`"), REACHED);
    let reached: Result<Vec<_>, _> = peers
        .iter()
        .map(|peer| url_of(peer).ok_or_else(|| unfit(peer)))
        .collect();
    Ok((peers.to_vec(), reached?))
}

const REACHED: &str =
    "name one with --peer, as /ip4/127.0.0.1/tcp/30333/ws/p2p/ID or /dns/HOST/tcp/443/wss/p2p/ID";

/// Where a browser reaches a peer; none if it cannot, or if a policy cannot name it.
fn url_of(peer: &str) -> Option<NodeUrl> {
    let parts: Vec<&str> = peer.strip_prefix('/')?.split('/').collect();
    let [kind, host, "tcp", port, rest @ ..] = parts.as_slice() else {
        return None;
    };
    let scheme = match rest {
        ["ws", "p2p", id] if is_id(id) => "ws",
        ["wss", "p2p", id] | ["tls", "ws", "p2p", id] if is_id(id) => "wss",
        _ => return None,
    };
    let is_host = match *kind {
        "ip4" => host.parse::<Ipv4Addr>().is_ok(),
        "dns" | "dns4" | "dns6" => !host.contains(':'),
        _ => false,
    };
    let port: u16 = port.parse().ok()?;
    let url = format!("{scheme}://{host}:{port}");
    NodeUrl::read(&url).ok().filter(|_| is_host)
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric())
}

fn read_smoldot(package: &Path) -> Result<Vec<(String, Bytes)>, Failure> {
    is_known(package)?;
    let directory = package.join("dist/mjs");
    let read = |name: &&str| match std::fs::read(directory.join(name)) {
        Ok(content) => Ok(((*name).to_string(), Bytes::from(content))),
        Err(error) => Err(Failure::new(
            format!(
                "cannot read {name} of smoldot in {}: {error}",
                package.display()
            ),
            format!("scripts/light-client.sh fetches smoldot {SMOLDOT}"),
        )),
    };
    FILES.iter().map(read).collect()
}

/// That the package is of the version that the page knows: another one may answer otherwise.
fn is_known(package: &Path) -> Result<(), Failure> {
    let fetch = || format!("scripts/light-client.sh fetches smoldot {SMOLDOT}");
    let path = package.join("package.json");
    let text = std::fs::read(&path).map_err(|error| {
        Failure::new(
            format!("cannot read smoldot's {}: {error}", path.display()),
            fetch(),
        )
    })?;
    let about: Value = serde_json::from_slice(&text).unwrap_or_default();
    let version = about.get("version").and_then(Value::as_str);
    match version {
        Some(SMOLDOT) => Ok(()),
        _ => Err(Failure::new(
            format!(
                "{} is smoldot {}, and the page knows {SMOLDOT}",
                package.display(),
                printable(version.unwrap_or("of no version"))
            ),
            fetch(),
        )),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    const PEER: &str = "/ip4/127.0.0.1/tcp/30333/ws/p2p/12D3Koo";

    /// A directory that looks like smoldot's package, and a specification with these boot nodes in it.
    fn written(boot_nodes: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in FILES {
            let path = directory.path().join("dist/mjs").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        std::fs::write(
            directory.path().join("package.json"),
            format!(r#"{{"version":"{SMOLDOT}"}}"#),
        )
        .unwrap();
        let chain = format!(r#"{{"name":"x","genesis":{{"raw":{{}}}},"bootNodes":{boot_nodes}}}"#);
        std::fs::write(directory.path().join("chain.json"), chain).unwrap();
        directory
    }

    fn read(directory: &tempfile::TempDir, peers: &[&str]) -> Result<Light, Failure> {
        let peers: Vec<String> = peers.iter().map(|peer| (*peer).to_string()).collect();
        let path = directory.path();
        Light::read(&path.join("chain.json"), &peers, path)
    }

    /// What a page is made of in other tests.
    pub fn light() -> Light {
        read(&written(&format!(r#"["{PEER}"]"#)), &[]).unwrap()
    }

    #[test]
    fn the_browser_is_told_of_peers_that_it_reaches() {
        let directory = written(&format!(
            r#"["/ip4/1.2.3.4/tcp/30333/p2p/12D3Koo","{PEER}"]"#
        ));
        let light = read(&directory, &[]).unwrap();
        let urls: Vec<_> = light.peers().iter().map(NodeUrl::as_str).collect();
        assert_eq!(urls, ["ws://127.0.0.1:30333"]);
        let chain: Value = serde_json::from_slice(&light.specification()).unwrap();
        assert_eq!(chain["bootNodes"], serde_json::json!([PEER]));
        assert_eq!(chain["name"], "x");

        let other = "/dns/node.example/tcp/443/wss/p2p/12D3Koo";
        let light = read(&directory, &[other]).unwrap();
        let urls: Vec<_> = light.peers().iter().map(NodeUrl::as_str).collect();
        assert_eq!(urls, ["wss://node.example:443"]);
        let chain: Value = serde_json::from_slice(&light.specification()).unwrap();
        assert_eq!(chain["bootNodes"], serde_json::json!([other]));
    }

    #[test]
    fn peers_that_no_browser_reaches_or_no_policy_can_name_are_refused_in_a_line() {
        let directory = written("[]");
        let error = read(&directory, &[]).unwrap_err().to_string();
        assert!(error.contains("--peer") && !error.contains('\n'), "{error}");
        for peer in [
            "",
            "ws://127.0.0.1:30333",
            "/ip4/127.0.0.1/tcp/30333/p2p/ID",
            "/ip4/127.0.0.1/tcp/30333/ws",
            "/ip4/127.0.0.1/tcp/30333/ws/p2p/",
            "/ip4/127.0.0.1/tcp/99999/ws/p2p/ID",
            "/ip4/localhost/tcp/1/ws/p2p/ID",
            "/ip6/::1/tcp/30333/ws/p2p/ID",
            "/dns/a;script-src */tcp/1/ws/p2p/ID",
            "/dns/a b/tcp/1/wss/p2p/ID",
            "/dns/a:2/tcp/1/wss/p2p/ID",
            "/dns/*.example/tcp/1/wss/p2p/ID",
            "/dns/a/tcp/1/ws/p2p/ID;x",
        ] {
            let error = read(&directory, &[peer]).expect_err(peer).to_string();
            assert!(error.contains("--peer") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_script_fetches_the_version_that_the_page_knows() {
        let script = include_str!("../../../../scripts/light-client.sh");
        assert!(script.contains(&format!("\nVERSION={SMOLDOT}\n")));
    }

    #[test]
    fn another_version_than_the_page_knows_is_refused() {
        let directory = written(&format!(r#"["{PEER}"]"#));
        assert!(read(&directory, &[]).is_ok());
        let package = directory.path().join("package.json");
        for about in [r#"{"version":"3.4.0"}"#, r#"{"version":3}"#, "{}", "[]", ""] {
            std::fs::write(&package, about).unwrap();
            let error = read(&directory, &[]).expect_err(about).to_string();
            assert!(
                error.contains(SMOLDOT) && error.contains("scripts/light-client.sh"),
                "{error}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
        std::fs::remove_file(&package).unwrap();
        let error = read(&directory, &[]).unwrap_err().to_string();
        assert!(error.contains("package.json"), "{error}");
    }

    #[test]
    fn what_is_missing_is_told_with_what_makes_it() {
        let directory = written(&format!(r#"["{PEER}"]"#));
        let path = directory.path().to_path_buf();
        std::fs::remove_file(path.join("dist/mjs/worker-browser.js")).unwrap();
        let error = read(&directory, &[]).unwrap_err().to_string();
        assert!(error.contains("scripts/light-client.sh"), "{error}");
        for content in ["", "[]", r#"{"genesis":{"runtimeGenesis":{}}}"#] {
            std::fs::write(path.join("chain.json"), content).unwrap();
            let error = read(&directory, &[]).unwrap_err().to_string();
            assert!(error.contains("export-chain-spec --raw"), "{error}");
        }
        std::fs::remove_file(path.join("chain.json")).unwrap();
        let error = read(&directory, &[]).unwrap_err().to_string();
        assert!(error.contains("chain.json"), "{error}");
    }

    #[test]
    fn of_smoldot_only_what_the_page_asks_for_is_served() {
        let light = light();
        for name in FILES {
            let content = light.file(&format!("/smoldot/{name}"));
            assert_eq!(content.as_deref(), Some(name.as_bytes()));
        }
        for path in ["/smoldot/", "/smoldot/../chain.json", "/worker-browser.js"] {
            assert_eq!(light.file(path), None, "{path}");
        }
    }
}
