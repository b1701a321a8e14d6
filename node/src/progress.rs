//! Says what the node is doing while it takes long: at once, and again every few seconds.

use std::{
    sync::mpsc::{channel, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// Between two lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Does what `doing` says, and says so through `say`: when it begins, and every few seconds until it is done.
pub fn during<T>(doing: &'static str, say: fn(&str), work: impl FnOnce() -> T) -> T {
    say(doing);
    let (done, end) = channel::<()>();
    let begun = Instant::now();
    // Without a thread to say it, the work is done in silence.
    let reminder = thread::Builder::new()
        .name("progress".into())
        .spawn(move || {
            while end.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                say(&still(doing, begun.elapsed()));
            }
        });
    let result = work();
    drop(done);
    if let Ok(reminder) = reminder {
        let _ = reminder.join();
    }
    result
}

fn still(doing: &str, since: Duration) -> String {
    format!("still {doing} ({} s)", since.as_secs())
}

/// Says it in the log.
pub fn log(line: &str) {
    log::info!("{line}");
}

/// Says it on the standard error, where there is no log.
pub fn tell(line: &str) {
    use std::io::Write;
    // Who does not listen does not matter.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

    #[test]
    fn it_says_what_it_does_before_it_does_it() {
        fn say(line: &str) {
            SAID.lock().expect("nobody panics").push(line.into());
        }
        let before = during("counting", say, || {
            SAID.lock().expect("nobody panics").len()
        });
        assert_eq!(before, 1);
        assert_eq!(*SAID.lock().expect("nobody panics"), ["counting"]);
        assert_eq!(
            still("counting", Duration::from_millis(5_400)),
            "still counting (5 s)"
        );
    }
}
