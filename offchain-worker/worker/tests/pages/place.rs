//! A machine of one's own for the pages' commands: directories, programs, a chain, workers.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use crate::{markdown::root, shape};

/// How long a program may be silent before it counts as stuck.
const SILENCE: Duration = Duration::from_secs(300);

/// A program of this workspace. Those of other packages lie beside `cairn`, or are named in the environment.
pub fn binary(name: &str) -> PathBuf {
    let cairn = PathBuf::from(env!("CARGO_BIN_EXE_cairn"));
    let named = match name {
        "cairn-node" => std::env::var_os("CAIRN_NODE_BIN").map(PathBuf::from),
        _ => None,
    };
    let path = named.unwrap_or_else(|| cairn.with_file_name(name));
    let path = path.canonicalize().unwrap_or(path);
    assert!(
        path.is_file(),
        "{} is missing: build it with `cargo build --workspace --bins`",
        path.display()
    );
    path
}

/// A directory with what the pages' commands need, and nothing of the surroundings.
pub struct Place {
    directory: tempfile::TempDir,
    rpc_port: u16,
    p2p_port: u16,
}

impl Place {
    /// A copy of what commands read or write, links to the rest, and the programs.
    pub fn new() -> Place {
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let [rpc_port, p2p_port] = ports.map(|port| port.local_addr().expect("bound").port());
        let directory = tempfile::tempdir().expect("room");
        let place = Place {
            directory,
            rpc_port,
            p2p_port,
        };
        for name in ["bin", "data", "chain-specs"] {
            std::fs::create_dir(place.path(name)).expect("room");
        }
        for name in ["cairn", "cairn-node", "cairn-sim"] {
            symlink(binary(name), place.path("bin").join(name)).expect("room");
        }
        for name in [
            "docs",
            "primitives",
            "scripts",
            "tests",
            "Makefile",
            "README.md",
        ] {
            symlink(root().join(name), place.path(name)).expect("room");
        }
        for directory in ["data", "chain-specs"] {
            for entry in std::fs::read_dir(root().join(directory)).expect("there") {
                let entry = entry.expect("there");
                let to = place.path(directory).join(entry.file_name());
                std::fs::copy(entry.path(), to).expect("room");
            }
        }
        place.write_a_pseudo_gradient();
        place
    }

    /// What `cairn gradient` reads: a layout, a pseudo-gradient for it, and no error yet.
    fn write_a_pseudo_gradient(&self) {
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(self.path(name), bytes).expect("room");
        write(
            "layout.json",
            br#"[{"name": "w", "shape": [64, 70]}, {"name": "b", "shape": [520]}]"#,
        );
        let delta = (0..5_000u16).map(|i| (f32::from(i % 1_009) - 504.0) * 1e-5);
        write(
            "delta.f32",
            &delta.flat_map(f32::to_le_bytes).collect::<Vec<_>>(),
        );
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A command with this place's directories and ports in it.
    pub fn localised(&self, text: &str) -> String {
        let port = self.rpc_port.to_string();
        let store = |name: &str| format!("file://{}", self.path(name).display());
        let node = format!(
            "cairn-node --rpc-port {port} --listen-addr /ip4/127.0.0.1/tcp/{} --no-prometheus ",
            self.p2p_port
        );
        let text = text
            .replace("file:///srv/cairn", &store("store"))
            .replace("file:///tmp/store", &store("another-store"))
            .replace("127.0.0.1:9944", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:PORT", &format!("127.0.0.1:{port}"));
        match text.strip_prefix("cairn-node --dev") {
            Some(rest) => format!("{node}--dev{rest}"),
            None => text,
        }
    }

    /// A shell that has begun with `before` and does `text`. Everybody (`who`) has a home of their own.
    fn shell(&self, who: &str, before: &str, text: &str) -> Command {
        let home = self.path("homes").join(who.replace('/', "-"));
        std::fs::create_dir_all(&home).expect("room");
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CAIRN_")) {
            command.env_remove(name);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["-eo", "pipefail", "-c", &format!("{before}\n{text}")])
            .current_dir(self.directory.path())
            .env("HOME", home)
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            // What a person would type who is asked.
            .env("CAIRN_PASSPHRASE", "a passphrase of the pages")
            .env("CAIRN_NODE", format!("ws://127.0.0.1:{}", self.rpc_port))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, who: &str, before: &str, text: &str) -> Output {
        self.shell(who, before, text).output().expect("bash starts")
    }

    /// Starts a command that goes on, and waits for the first thing it says.
    pub fn start(&self, who: &str, before: &str, text: &str) -> Running {
        let mut command = self.shell(who, before, &format!("exec {text}"));
        let spawned = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.expect("bash starts");
        let (sender, lines) = channel();
        follow(child.stdout.take().expect("piped"), sender.clone());
        follow(child.stderr.take().expect("piped"), sender);
        let mut running = Running {
            name: text.to_string(),
            child,
            lines,
            said: String::new(),
        };
        running.listen();
        running
    }
}

fn follow(stream: impl Read + Send + 'static, to: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if to.send(line).is_err() {
                return;
            }
        }
    });
}

/// A program that goes on; killed when it is dropped.
pub struct Running {
    name: String,
    child: Child,
    lines: Receiver<String>,
    said: String,
}

impl Running {
    fn hear(&mut self, line: &str) {
        self.said += line;
        self.said.push('\n');
    }

    /// Takes the lines that are there.
    pub fn hear_what_was_said(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.hear(&line);
        }
    }

    /// Waits for a line.
    fn listen(&mut self) -> String {
        match self.lines.recv_timeout(SILENCE) {
            Ok(line) => {
                self.hear(&line);
                line
            }
            Err(RecvTimeoutError::Timeout) => {
                panic!("`{}` says nothing more:\n{}", self.name, self.said)
            }
            Err(RecvTimeoutError::Disconnected) => panic!("`{}` ended:\n{}", self.name, self.said),
        }
    }

    /// Waits for a line that has this in it.
    pub fn wait_for(&mut self, text: &str) {
        while !self.listen().contains(text) {}
    }

    /// Waits until it has said something like every line of `shown`.
    pub fn wait_for_lines(&mut self, shown: &str, most: usize) {
        for _ in 0..most {
            if shape::lines_are_in(shown, &self.said).is_ok() {
                return;
            }
            self.listen();
        }
        panic!("`{}` did not say\n{shown}\n\nbut\n{}", self.name, self.said);
    }

    /// Stops it as a person does, and waits for its end.
    pub fn stop(mut self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status();
        assert!(
            sent.expect("kill").success(),
            "`{}` has ended:\n{}",
            self.name,
            self.said
        );
        while let Ok(line) = self.lines.recv_timeout(SILENCE) {
            self.hear(&line);
        }
        self.child.wait().expect("it ends");
        assert!(
            !self.said.contains("panicked"),
            "`{}`:\n{}",
            self.name,
            self.said
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
