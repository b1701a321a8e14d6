//! The terminal while a display has it.
//!
//! It is taken as little as goes: another screen, no cursor, and no echo of what is typed. Keys that make signals still
//! do, so Ctrl-C ends the work as it always does, even if nothing is drawn any more. What is typed is thrown away.
//! Whatever ends the display gives the terminal back and writes the logs that were kept.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    mem,
    sync::{Arc, Mutex, MutexGuard, TryLockError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::termios::{
        tcgetattr, tcsetattr, InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios,
        _POSIX_VDISABLE,
    },
    unistd::{getpgrp, tcgetpgrp},
};
use ratatui::{
    backend::CrosstermBackend,
    buffer::Buffer,
    crossterm::{
        cursor::{Hide, Show},
        execute,
        terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
    },
    layout::Rect,
    DefaultTerminal, Terminal,
};

use super::{board::Board, draw::draw, locked};
use crate::output;

/// Between two pictures.
const FRAME: Duration = Duration::from_millis(250);
/// The thread that draws.
const THREAD: &str = "display";

/// What decides whether there is a display.
#[derive(Clone, Debug)]
pub struct Around {
    /// Whether lines or JSON were asked for.
    pub plain: bool,
    /// Whether all streams are somebody's terminal, and not that of a job in the background.
    pub terminal: bool,
    /// `TERM`.
    pub term: Option<OsString>,
    /// `NO_COLOR`.
    pub no_color: Option<OsString>,
}

impl Around {
    /// As it is; `plain` if lines or JSON were asked for.
    pub fn here(plain: bool) -> Around {
        Around {
            plain,
            terminal: is_seen() && is_in_front(),
            term: std::env::var_os("TERM"),
            no_color: std::env::var_os("NO_COLOR"),
        }
    }

    /// Whether there is a display.
    pub fn has_display(&self) -> bool {
        let is_set = |value: &Option<OsString>| value.as_ref().is_some_and(|text| !text.is_empty());
        let draws = is_set(&self.term) && self.term.as_deref().is_some_and(|term| term != "dumb");
        !self.plain && self.terminal && draws && !is_set(&self.no_color)
    }
}

/// Whether all three streams are a terminal: of what a script starts with `&` standard input is none.
fn is_seen() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Whether this process is not a job in the background of the terminal on standard output.
fn is_in_front() -> bool {
    tcgetpgrp(io::stdout()).is_ok_and(|group| group == getpgrp())
}

/// The terminal, from before it is taken until after it was given back.
pub struct Screen(Arc<Shared>);

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
enum State {
    /// It was not taken yet.
    #[default]
    Before,
    Taken(Box<Taken>),
    /// It was given back and will not be taken again.
    Over,
}

impl State {
    /// Gives the terminal back, if it was taken, and writes the logs that were kept.
    fn close(&mut self) {
        if let State::Taken(taken) = mem::replace(self, State::Over) {
            let Taken { terminal, input } = *taken;
            drop(terminal);
            leave();
            if let Some(input) = input {
                restore(&input);
            }
            output::release_logs();
        }
    }
}

/// A terminal that was taken.
struct Taken {
    terminal: DefaultTerminal,
    /// How standard input was, if it is a terminal, too.
    input: Option<Termios>,
}

impl Default for Screen {
    fn default() -> Screen {
        Screen::new()
    }
}

impl Screen {
    /// One that is not taken yet.
    pub fn new() -> Screen {
        Screen(Arc::default())
    }

    /// What closes it from elsewhere. Once it was called the screen is not opened any more.
    pub fn closer(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = self.0.clone();
        move || shared.close()
    }

    /// Takes the terminal and shows the board on it, again and again, until it is closed; keeps logs as long.
    ///
    /// # Errors
    /// If the terminal cannot be written. It is then as it was.
    pub fn open(&self, board: Arc<Mutex<Board>>) -> io::Result<()> {
        let mut state = self.0.state();
        if !matches!(*state, State::Before) {
            return Ok(());
        }
        *state = State::Taken(Box::new(take()?));
        output::keep_logs();
        drop(state);
        self.0.close_on_panic();
        let shared = self.0.clone();
        let show = move || {
            while shared.show(&board) {
                thread::sleep(FRAME);
            }
        };
        let thread = thread::Builder::new().name(THREAD.into()).spawn(show);
        thread.map(drop).inspect_err(|_| self.close())
    }

    /// Gives the terminal back, if it was taken, and writes the logs that were kept.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }

    /// Shows the board as it is now; `false` if there is nothing to show it on any more.
    fn show(&self, board: &Mutex<Board>) -> bool {
        let Ok((columns, rows)) = terminal::size() else {
            self.close();
            return false;
        };
        let board = locked(board).clone();
        let log = output::kept_logs(rows.into());
        // Drawn without the lock: if drawing panics, the screen can be closed.
        let mut picture = Buffer::empty(Rect::new(0, 0, columns, rows));
        draw(&board, &log, &mut picture, Instant::now());
        let is_shown = self.put(picture);
        if !is_shown {
            self.close();
        }
        is_shown
    }

    fn put(&self, picture: Buffer) -> bool {
        let mut state = self.state();
        let State::Taken(taken) = &mut *state else {
            return false;
        };
        let put = taken.terminal.draw(|frame| {
            // Else the terminal has another size by now, and the next picture fits.
            if frame.area() == picture.area {
                *frame.buffer_mut() = picture;
            }
        });
        put.is_ok()
    }

    fn close(&self) {
        self.state().close();
    }

    /// Closes it from the thread that draws, which may have the lock. That is free again when the thread has ended.
    fn close_unless_locked(&self) {
        match self.0.try_lock() {
            Ok(mut state) => state.close(),
            Err(TryLockError::Poisoned(error)) => error.into_inner().close(),
            Err(TryLockError::WouldBlock) => {
                leave();
                output::release_logs();
            }
        }
    }

    /// Closes it before a panic says where it was, wherever that is.
    fn close_on_panic(self: &Arc<Shared>) {
        let (shared, before) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            match thread::current().name() {
                Some(THREAD) => shared.close_unless_locked(),
                _ => shared.close(),
            }
            before(panic);
        }));
    }
}

fn take() -> io::Result<Taken> {
    execute!(io::stdout(), EnterAlternateScreen, Hide)?;
    match Terminal::new(CrosstermBackend::new(io::stdout())) {
        Ok(terminal) => Ok(Taken {
            terminal,
            input: without_echo(),
        }),
        Err(error) => {
            leave();
            Err(error)
        }
    }
}

fn leave() {
    // Whoever looked may have gone.
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
}

/// Turns off echo, Ctrl-S, Ctrl-Z and Ctrl-\, and gives how it was before: a process that is stopped, that waits for a
/// terminal that takes nothing, or that ends at once, cannot give it back.
fn without_echo() -> Option<Termios> {
    let input = io::stdin();
    let before = tcgetattr(&input).ok()?;
    let mut quiet = before.clone();
    quiet
        .local_flags
        .remove(LocalFlags::ECHO | LocalFlags::ICANON);
    quiet.input_flags.remove(InputFlags::IXON);
    for key in [
        SpecialCharacterIndices::VSUSP,
        SpecialCharacterIndices::VQUIT,
    ] {
        if let Some(key) = quiet.control_chars.get_mut(key as usize) {
            *key = _POSIX_VDISABLE;
        }
    }
    tcsetattr(&input, SetArg::TCSANOW, &quiet).ok()?;
    Some(before)
}

/// Sets standard input to what it was, and throws away what was typed. A job in the background would be stopped for it.
fn restore(before: &Termios) {
    if is_in_front() {
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Around {
        Around {
            plain: false,
            terminal: true,
            term: Some("xterm-256color".into()),
            no_color: None,
        }
    }

    #[test]
    fn a_terminal_has_a_display_unless_somebody_asked_for_none() {
        assert!(around().has_display());
        let no_color = Some(OsString::new());
        let empty = Around {
            no_color,
            ..around()
        };
        assert!(empty.has_display());
        let without = [
            Around {
                plain: true,
                ..around()
            },
            Around {
                terminal: false,
                ..around()
            },
            Around {
                term: Some("dumb".into()),
                ..around()
            },
            Around {
                term: None,
                ..around()
            },
            Around {
                no_color: Some("1".into()),
                ..around()
            },
        ];
        for around in without {
            assert!(!around.has_display(), "{around:?}");
        }
    }

    #[test]
    fn a_screen_that_was_closed_is_not_opened() {
        let screen = Screen::new();
        screen.closer()();
        let board = Board::new(crate::roles::idle::Part::Miner, cairn_primitives::Netuid(1));
        screen.open(Arc::new(Mutex::new(board))).unwrap();
        assert!(matches!(*screen.0.state(), State::Over));
        assert!(output::kept_logs(1).is_empty());
    }
}
