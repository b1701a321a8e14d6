//! A WebSocket to a node, and of RFC 6455 only what tests of the node need.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use crate::running::HANGS;

/// Kinds of frames.
const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;
/// Set in the first byte of what is not in several frames, and in the second of what is masked.
const TOP: u8 = 0x80;

/// An open one.
pub struct Socket(TcpStream);

impl Socket {
    /// Opens one to where a node listens.
    pub fn open(address: &str) -> Socket {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(HANGS)).expect("set");
        let head = format!(
            "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut answer: Vec<u8> = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0u8];
            stream.read_exact(&mut byte).expect("it answers");
            answer.extend(byte);
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        Socket(stream)
    }

    /// What is answered to a request, where nothing is subscribed to.
    pub fn post(&mut self, request: &Value) -> Value {
        self.write(TEXT, request.to_string().as_bytes());
        loop {
            let (kind, bytes) = self.read();
            match kind {
                TEXT => return serde_json::from_slice(&bytes).expect("JSON"),
                PING => self.write(PONG, &bytes),
                other => panic!("a frame of kind {other}"),
            }
        }
    }

    fn write(&mut self, kind: u8, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).expect("it is short");
        let mut frame = vec![TOP | kind];
        match u8::try_from(length) {
            Ok(short) if short < 126 => frame.push(TOP | short),
            _ => {
                frame.push(TOP | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        // The mask has to be there. This one leaves what follows as it is.
        frame.extend([0u8; 4]);
        frame.extend(bytes);
        self.0.write_all(&frame).expect("it reads");
    }

    fn read(&mut self) -> (u8, Vec<u8>) {
        let [first, length] = self.take();
        assert!(first & TOP != 0, "several frames");
        let length = match length {
            126 => u64::from(u16::from_be_bytes(self.take())),
            127 => u64::from_be_bytes(self.take()),
            short => u64::from(short),
        };
        let mut bytes = vec![0u8; usize::try_from(length).expect("it is short")];
        self.0.read_exact(&mut bytes).expect("it goes on");
        (first & !TOP, bytes)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0u8; N];
        self.0.read_exact(&mut bytes).expect("it goes on");
        bytes
    }
}
