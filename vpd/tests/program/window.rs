//! A terminal window with a program in it, as a person has one: what it shows is waited for, never for a time.

use std::{
    io::{Read as _, Write as _},
    os::fd::AsFd as _,
    path::Path,
    process::{Child, ExitStatus},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use pty_process::{
    Size,
    blocking::{Command, Pty},
};
use rustix::termios::{Termios, tcgetattr};

/// Long enough for the slowest machine; only a failing test takes that long.
const PATIENCE: Duration = Duration::from_mins(1);

/// The window.
pub(crate) struct Window {
    pty: Arc<Pty>,
    child: Child,
    shown: Arc<Shown>,
    /// How much of what is shown was waited for already.
    seen: usize,
}

#[derive(Default)]
struct Shown {
    state: Mutex<State>,
    grew: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// No process holds the terminal any more.
    is_over: bool,
}

impl Window {
    /// Opens a window of 100 by 30 with a program as the leader of its session.
    pub(crate) fn open(program: &str, arguments: &[&str], home: &Path, directory: &Path) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(30, 100)).unwrap();
        let command = Command::new(program).args(arguments).current_dir(directory);
        let command = command.env("VIEWPORT_HOME", home).env("NO_COLOR", "1").env("PS1", "$ ").env("TERM", "xterm");
        let command = command.env_remove("VPD_SESSION").env_remove("VPD_ORG").env("VPD", super::VPD);
        let child = command.spawn(pts).unwrap();
        let (pty, shown) = (Arc::new(pty), Arc::new(Shown::default()));
        thread::spawn({
            let (pty, shown) = (Arc::clone(&pty), Arc::clone(&shown));
            move || {
                let mut chunk = [0; 4096];
                // The terminal ends with EIO when the last process that holds it is gone.
                while let Ok(n @ 1..) = (&*pty).read(&mut chunk) {
                    shown.state.lock().unwrap().bytes.extend_from_slice(&chunk[..n]);
                    shown.grew.notify_all();
                }
                shown.state.lock().unwrap().is_over = true;
                shown.grew.notify_all();
            }
        });
        Self { pty, child, shown, seen: 0 }
    }

    /// An interactive shell with job control.
    pub(crate) fn shell(home: &Path, directory: &Path) -> Self {
        let mut window = Self::open("bash", &["--norc", "--noprofile", "-i"], home, directory);
        window.until("$ ");
        window
    }

    /// A script on the terminal.
    pub(crate) fn script(script: &str, home: &Path, directory: &Path) -> Self {
        Self::open("bash", &["--norc", "--noprofile", "-c", script], home, directory)
    }

    /// Waits until this is shown, after what was waited for before.
    pub(crate) fn until(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shown.state.lock().unwrap();
        loop {
            let new = &state.bytes[self.seen..];
            if let Some(at) = new.windows(text.len()).position(|window| window == text.as_bytes()) {
                self.seen += at + text.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let shown = || String::from_utf8_lossy(&state.bytes).into_owned();
            assert!(!state.is_over && !left.is_zero(), "{text:?} is not shown after {} bytes of {:?}", self.seen, shown());
            state = self.shown.grew.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Types.
    pub(crate) fn keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line at a prompt, and waits until its echo is through.
    pub(crate) fn line(&mut self, line: &str) {
        self.keys(line);
        self.keys("\n");
        self.until("\r\n");
    }

    /// Changes its size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    /// The terminal's settings.
    pub(crate) fn settings(&self) -> Termios {
        tcgetattr(self.pty.as_fd()).unwrap()
    }

    /// All that it has shown.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.state.lock().unwrap().bytes).into_owned()
    }

    /// Waits for the end of the program and of what it shows.
    pub(crate) fn end(mut self) -> (String, ExitStatus) {
        let status = self.child.wait().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shown.state.lock().unwrap();
        while !state.is_over && Instant::now() < deadline {
            state = self.shown.grew.wait_timeout(state, PATIENCE).unwrap().0;
        }
        (String::from_utf8_lossy(&state.bytes).into_owned(), status)
    }

    /// The number of the program.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // A failing test leaves nothing behind; one that ended has nothing to leave.
        let _ = self.child.kill();
    }
}
