//! A display takes a terminal and gives it back as it was, with what was logged meanwhile, however it ends.
//!
//! `script` makes the terminal, a shell on it starts this binary once more, and says at the end how the terminal is.

use std::{
    io::{self, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{mpsc, Arc, Mutex},
    thread,
    time::Duration,
};

use cairn_primitives::Netuid;
use cairn_worker::{
    display::{screen::Around, Board, Screen},
    output,
    roles::idle::Part,
    shutdown,
};

/// The same screen as before, and the cursor: as terminals are told since the VT220 and xterm.
const OTHER_SCREEN: &str = "\x1b[?1049h";
const OWN_SCREEN: &str = "\x1b[?1049l";
const CURSOR: &str = "\x1b[?25h";

const CTRL_C: &[u8] = b"\x03";
const LOGGED: &str = "a line of the log";

#[test]
#[ignore = "the other tests run it on a terminal of its own"]
fn on_a_terminal() {
    let screen = Screen::new();
    let close = screen.closer();
    let (sender, told) = mpsc::channel();
    let typed = sender.clone();
    let grace = Duration::from_secs(240);
    let _asked = shutdown::watch_with_deadline(
        grace,
        || 3,
        move || {
            close();
            output::say("asked to stop");
            let _ = sender.send(String::new());
        },
    );
    let around = Around::here(false);
    assert!(around.has_display(), "{around:?}");
    let board = Board::new(Part::Miner, Netuid(7));
    screen.open(Arc::new(Mutex::new(board))).unwrap();
    output::say(LOGGED);
    thread::spawn(move || {
        let mut line = String::new();
        io::stdin().read_line(&mut line).unwrap();
        let _ = typed.send(line.trim().to_string());
    });
    assert_ne!(told.recv().unwrap(), "panic", "as told");
}

/// A terminal with the display on it.
struct OnTerminal {
    script: Child,
    input: ChildStdin,
    output: ChildStdout,
    seen: Vec<u8>,
}

impl OnTerminal {
    fn start() -> OnTerminal {
        let binary = std::env::current_exe().unwrap();
        // The shell goes on after Ctrl-C, which is for whom it started.
        let commands = format!(
            "trap : INT; stty cols 80 rows 24; '{}' --ignored --exact on_a_terminal --nocapture; stty -a",
            binary.display()
        );
        let mut script = Command::new("timeout")
            .args(["600", "script", "-qefc", &commands, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`timeout` and `script` are there");
        OnTerminal {
            input: script.stdin.take().unwrap(),
            output: script.stdout.take().unwrap(),
            script,
            seen: Vec::new(),
        }
    }

    /// Types this once the display is there, and gives what is on the terminal from when it is given back.
    fn types(mut self, keys: &[u8]) -> String {
        let mut piece = [0; 4096];
        while !self.text().contains("looking") {
            let read = self.output.read(&mut piece).unwrap();
            assert!(read > 0, "it ended: {}", self.text());
            self.seen.extend_from_slice(&piece[..read]);
        }
        self.input.write_all(keys).unwrap();
        self.input.flush().unwrap();
        self.output.read_to_end(&mut self.seen).unwrap();
        self.script.wait().unwrap();
        let text = self.text();
        let (before, after) = text.split_once(OWN_SCREEN).expect("it is given back");
        assert!(before.contains(OTHER_SCREEN), "{before:?}");
        after.to_string()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

/// The terminal is as it was, and nothing that was logged is lost.
#[track_caller]
fn is_given_back(after: &str) {
    assert!(after.contains(CURSOR), "{after:?}");
    assert_eq!(after.matches(LOGGED).count(), 1, "{after:?}");
    let words: Vec<&str> = after.split_whitespace().collect();
    for setting in ["echo", "icanon", "ixon", "isig"] {
        assert!(words.contains(&setting), "{setting}: {after:?}");
    }
    for key in ["susp = ^Z", "quit = ^\\"] {
        assert!(after.contains(key), "{key}: {after:?}");
    }
}

#[test]
fn a_display_that_ends_gives_the_terminal_back() {
    let after = OnTerminal::start().types(b"end\n");
    is_given_back(&after);
    assert!(after.contains("1 passed"), "{after:?}");
}

#[test]
fn ctrl_c_is_heard_and_gives_it_back_at_once() {
    let after = OnTerminal::start().types(CTRL_C);
    is_given_back(&after);
    assert!(after.contains("asked to stop"), "{after:?}");
}

#[test]
fn a_panic_is_seen_on_the_terminal_that_it_gives_back() {
    let after = OnTerminal::start().types(b"panic\n");
    is_given_back(&after);
    assert!(after.contains("as told"), "{after:?}");
}
