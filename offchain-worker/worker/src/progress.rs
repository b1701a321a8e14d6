//! Long work says on standard error how far it is, from its second second on.
//!
//! [`progress`] begins, [`Told::at`] says how much is done, and dropping what it gave ends it. A terminal shows one
//! line that is written over; elsewhere a line is added every few seconds. Standard output is left alone.

use std::{
    io::{IsTerminal, Write},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
        Arc,
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::amount::thousands;

/// How often the work is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Seconds between two lines where nothing can be written over.
const LINE_EVERY: u64 = 5;

/// Work that is told of until this is dropped.
pub struct Told {
    done: Arc<AtomicU64>,
    /// What ends the thread, and the thread.
    running: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

/// Tells of work that begins now: `doing` says what, `total` how much of it there is, 0 if that is unknown.
pub fn progress(doing: impl Into<String>, total: u64) -> Told {
    let stderr = std::io::stderr();
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let line = Line {
        doing: doing.into(),
        total,
        terminal: stderr.is_terminal() && !dumb,
    };
    begin(line, stderr, TICK)
}

fn begin(line: Line, mut out: impl Write + Send + 'static, tick: Duration) -> Told {
    let done = Arc::new(AtomicU64::new(0));
    let seen = done.clone();
    let (end, ended) = mpsc::channel();
    let tell = move || {
        let mut seconds = 0u64;
        while ended.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
            seconds = seconds.saturating_add(1);
            if let Some(text) = line.after(seconds, seen.load(Ordering::Relaxed)) {
                // Nobody may be reading any more; the work goes on.
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            }
        }
        if line.terminal && seconds > 0 {
            let _ = out.write_all(b"\r\x1b[K").and_then(|()| out.flush());
        }
    };
    let thread = std::thread::Builder::new()
        .name("progress".into())
        .spawn(tell);
    Told {
        done,
        // Without a thread the work is silent, but it is done.
        running: thread.ok().map(|thread| (end, thread)),
    }
}

impl Told {
    /// So much is done by now.
    pub fn at(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.running.take() {
            drop(end);
            let _ = thread.join();
        }
    }
}

/// What is told.
struct Line {
    doing: String,
    total: u64,
    terminal: bool,
}

impl Line {
    /// What to write after so many seconds, if anything.
    fn after(&self, seconds: u64, done: u64) -> Option<String> {
        if !self.terminal && seconds % LINE_EVERY != 1 {
            return None;
        }
        let share = done.saturating_mul(100).checked_div(self.total);
        let amount = share.map_or(String::new(), |share| {
            format!(": {} % of {}", share.min(100), thousands(self.total))
        });
        let text = format!("{}{amount}, {seconds} s", self.doing);
        Some(match self.terminal {
            true => format!("\r{text}\x1b[K"),
            false => format!("{text}\n"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(terminal: bool, total: u64) -> Line {
        Line {
            doing: "encoding".into(),
            total,
            terminal,
        }
    }

    #[test]
    fn a_terminal_has_one_line_that_is_written_over_each_second() {
        let text = line(true, 2_000).after(1, 500);
        assert_eq!(text.unwrap(), "\rencoding: 25 % of 2,000, 1 s\x1b[K");
        assert!(line(true, 2_000).after(2, 500).is_some());
    }

    #[test]
    fn elsewhere_a_line_comes_in_the_second_second_and_then_now_and_then() {
        let line = line(false, 0);
        let said: Vec<u64> = (1..=12).filter(|at| line.after(*at, 0).is_some()).collect();
        assert_eq!(said, [1, 6, 11]);
        assert_eq!(line.after(6, 0).unwrap(), "encoding, 6 s\n");
    }

    #[test]
    fn no_amount_is_trouble() {
        let text = line(false, 3).after(1, u64::MAX).unwrap();
        assert_eq!(text, "encoding: 100 % of 3, 1 s\n");
    }

    /// A writer that hands on what it gets.
    struct Sent(mpsc::Sender<Vec<u8>>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn work_that_takes_longer_is_told_of_until_it_ends() {
        let (sender, written) = mpsc::channel();
        let told = begin(line(true, 10), Sent(sender), Duration::from_millis(1));
        told.at(10);
        let done = |text: &Vec<u8>| String::from_utf8_lossy(text).contains(": 100 % of 10, ");
        assert!(
            written.iter().any(|text| done(&text)),
            "what is done is shown"
        );
        drop(told);
        assert_eq!(
            written.iter().last().unwrap(),
            b"\r\x1b[K",
            "the line is cleared"
        );
    }

    #[test]
    fn work_that_is_done_at_once_says_nothing() {
        let (sender, written) = mpsc::channel();
        drop(begin(line(true, 10), Sent(sender), TICK));
        assert_eq!(written.iter().count(), 0);
    }
}
