//! What tests share that run the node.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::mpsc::{channel, Receiver},
    time::Duration,
};

use serde_json::{json, Value};

use crate::socket::Socket;

/// After this time a node hangs, on however busy a machine.
pub const HANGS: Duration = Duration::from_secs(600);

/// The node with these arguments.
pub fn node(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn-node"));
    command.args(arguments);
    command
}

/// A running node. It is killed when the test ends.
pub struct Running {
    child: Child,
    log: Receiver<String>,
    rpc: String,
}

impl Running {
    /// Starts it, and waits until it answers.
    pub fn start(arguments: &[&str]) -> Running {
        Running::of(node(arguments))
    }

    /// Starts this, and waits until it answers.
    pub fn of(mut command: Command) -> Running {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (tell, log) = channel();
        // Read to its end, or the node would wait for ever.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let mut running = Running {
            child,
            log,
            rpc: String::new(),
        };
        running.rpc = running.until_it_says(|line| {
            let (_, addresses) = line.split_once("JSON-RPC server: addr=")?;
            addresses.split(',').next().map(String::from)
        });
        running
    }

    /// What the first line says from which something can be read.
    pub fn until_it_says<T>(&self, read: impl Fn(&str) -> Option<T>) -> T {
        let mut said = Vec::new();
        loop {
            let Ok(line) = self.log.recv_timeout(HANGS) else {
                panic!("the node says no more:\n{}", said.join("\n"));
            };
            if let Some(found) = read(&line) {
                return found;
            }
            said.push(line);
        }
    }

    /// What a method answers, which is no error.
    pub fn ask(&self, method: &str, params: Value) -> Value {
        let answer = self.post(&request(method, params));
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// What is answered to a request, or to several.
    pub fn post(&self, body: &Value) -> Value {
        let (_, body) = self.send(&body.to_string());
        serde_json::from_str(&body).expect("JSON")
    }

    /// A WebSocket to it.
    pub fn socket(&self) -> Socket {
        Socket::open(&self.rpc)
    }

    /// The status line and the body of the answer to whatever is sent.
    pub fn send(&self, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.rpc).expect("it listens");
        stream.set_read_timeout(Some(HANGS)).expect("set");
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            self.rpc,
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        // What is too long it need not read.
        let _ = stream.write_all(body.as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        let status = head.lines().next().expect("a status");
        (status.into(), body.into())
    }
}

/// A request of JSON-RPC.
pub fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
