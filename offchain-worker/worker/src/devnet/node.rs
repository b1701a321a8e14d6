//! The devnet's node.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use cairn_chain::{Client, Patience, Settings};
use tokio::process::Command;

use super::GRACE;
use crate::{error::Failure, process::Process};

/// How long a node may take until it answers.
const START: Patience = Patience {
    first: Duration::from_millis(100),
    longest: Duration::from_millis(500),
    total: Duration::from_secs(120),
};

/// A node that can be stopped and started again with all that it has.
pub struct Node {
    binary: PathBuf,
    directory: PathBuf,
    rpc_port: u16,
    p2p_port: u16,
    process: Process,
}

impl Node {
    /// Starts a new chain with one authority in `directory`.
    pub fn start(binary: Option<&Path>, directory: &Path) -> Result<Node, Failure> {
        let binary = find(binary)?;
        let ports = free_ports()?;
        let process = launch(&binary, directory, ports)?;
        let (rpc_port, p2p_port) = ports;
        Ok(Node {
            binary,
            directory: directory.to_path_buf(),
            rpc_port,
            p2p_port,
            process,
        })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.rpc_port)
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        log(&self.directory)
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
        self.process = launch(
            &self.binary,
            &self.directory,
            (self.rpc_port, self.p2p_port),
        )?;
        Ok(())
    }
}

fn log(directory: &Path) -> PathBuf {
    directory.join("logs/node.log")
}

fn launch(binary: &Path, directory: &Path, (rpc, p2p): (u16, u16)) -> Result<Process, Failure> {
    let mut command = Command::new(binary);
    command
        .args([
            "--chain",
            "dev",
            "--alice",
            "--validator",
            "--force-authoring",
        ])
        .args([
            "--unsafe-force-node-key-generation",
            "--no-telemetry",
            "--no-prometheus",
            "--no-mdns",
        ])
        .args(["--rpc-port", &rpc.to_string()])
        .args(["--listen-addr", &format!("/ip4/127.0.0.1/tcp/{p2p}")])
        .arg("--base-path")
        .arg(directory.join("node"));
    Process::start("node", command, &log(directory))
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
