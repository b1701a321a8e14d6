//! The devnet's nodes.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use cairn_chain::{Client, Patience, Settings};
use tokio::process::Command;

use super::GRACE;
use crate::{error::Failure, process::Process};

/// How long a node may take until it answers, on a busy machine. One that ends is not waited for.
const START: Patience = Patience {
    first: Duration::from_millis(100),
    longest: Duration::from_millis(500),
    total: Duration::from_secs(600),
};

/// A node that can be stopped and started again with all that it has.
pub struct Node {
    binary: PathBuf,
    place: Place,
    process: Process,
}

/// What a node is told.
struct Place {
    /// The devnet's directory.
    directory: PathBuf,
    /// `node`, or `node-2` and so on of those that follow it.
    name: String,
    rpc_port: u16,
    p2p_port: u16,
    /// Whom it follows; it makes blocks if nobody.
    follows: Option<String>,
}

impl Node {
    /// Starts a new chain with one authority in `directory`.
    pub fn start(binary: Option<&Path>, directory: &Path) -> Result<Node, Failure> {
        let (rpc_port, p2p_port) = free_ports()?;
        Node::at(
            find(binary)?,
            Place {
                directory: directory.to_path_buf(),
                name: "node".into(),
                rpc_port,
                p2p_port,
                follows: None,
            },
        )
    }

    /// Starts the devnet's `number`th node, which has this one's chain; `peer_id` is this one's.
    pub fn follower(&self, number: u16, peer_id: &str) -> Result<Node, Failure> {
        let (rpc_port, p2p_port) = free_ports()?;
        let follows = format!("/ip4/127.0.0.1/tcp/{}/p2p/{peer_id}", self.place.p2p_port);
        Node::at(
            self.binary.clone(),
            Place {
                directory: self.place.directory.clone(),
                name: format!("node-{number}"),
                rpc_port,
                p2p_port,
                follows: Some(follows),
            },
        )
    }

    fn at(binary: PathBuf, place: Place) -> Result<Node, Failure> {
        let process = place.launch(&binary)?;
        Ok(Node {
            binary,
            place,
            process,
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.place.rpc_port)
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.place.log()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Connects once it answers; a node that ends instead is an error that quotes its log.
    pub async fn connect(&mut self) -> Result<Client, Failure> {
        let url = self.url();
        let connecting = Client::connect_with(&url, Settings::default(), START);
        tokio::pin!(connecting);
        loop {
            tokio::select! {
                client = &mut connecting => return Ok(client?),
                () = tokio::time::sleep(Duration::from_millis(200)) => {
                    if let Some(status) = self.process.ended() {
                        return Err(self.process.why_ended(status));
                    }
                }
            }
        }
    }

    /// Stops it and starts it again, with the same database and the same address.
    pub async fn restart(&mut self) -> Result<(), Failure> {
        self.process.stop(GRACE).await;
        self.process = self.place.launch(&self.binary)?;
        Ok(())
    }
}

impl Place {
    fn log(&self) -> PathBuf {
        self.directory.join(format!("logs/{}.log", self.name))
    }

    fn launch(&self, binary: &Path) -> Result<Process, Failure> {
        let mut command = Command::new(binary);
        command
            .args([
                "--chain",
                "devnet",
                "--no-telemetry",
                "--no-prometheus",
                "--no-mdns",
            ])
            .args(["--rpc-port", &self.rpc_port.to_string()])
            .args([
                "--listen-addr",
                &format!("/ip4/127.0.0.1/tcp/{}", self.p2p_port),
            ])
            .args(["--unsafe-force-node-key-generation"])
            .arg("--base-path")
            .arg(self.directory.join(&self.name));
        match &self.follows {
            None => command.args(["--alice", "--validator", "--force-authoring"]),
            Some(other) => command.args(["--bootnodes", other, "--name", &self.name]),
        };
        Process::start(&self.name, command, &self.log())
    }
}

/// The node's binary: as named, beside this program, one directory up (where Cargo puts it as seen from a
/// test), or on the PATH.
fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return match path.is_file() {
            true => Ok(path.to_path_buf()),
            false => Err(Failure::new(
                format!("there is no node at {}", path.display()),
                "correct --node-bin",
            )),
        };
    }
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("cairn-node"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|directory| directory.join("cairn-node"));
    beside
        .chain(on_path)
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            Failure::new(
                "cairn-node is neither beside cairn nor on the PATH",
                "build it with `cargo build -p cairn-node`, or name it with --node-bin",
            )
        })
}

/// Two ports that nobody uses now. Both are held until both are known, so that they differ.
fn free_ports() -> Result<(u16, u16), Failure> {
    let (one, two) = (
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    );
    Ok((one.local_addr()?.port(), two.local_addr()?.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_not_there_is_named() {
        let error = find(Some(Path::new("/nowhere/cairn-node")))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("/nowhere/cairn-node") && error.contains("--node-bin"),
            "{error}"
        );
    }

    #[test]
    fn ports_differ() {
        let (one, two) = free_ports().unwrap();
        assert_ne!(one, two);
    }
}
