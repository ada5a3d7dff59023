//! Carries bytes and signals both ways until the command has ended and everything it wrote is through.
//!
//! One thread waits for all of it at once and reads and writes by itself: a byte on its way to the screen changes hands once.

use std::{
    io,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use proto_core::wire::Content;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, ioctl_fionread},
    process::{Signal, kill_current_process_group},
};
use signal_hook::low_level::raise;

use super::{
    ending::{Change, End, reap_orphans},
    left_over,
    record::RecordWriter,
    scene::{CommandHandle, OutputPipe},
    signals::{Came, Signals},
    terminal, through,
};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;
/// The most that a terminal holds between its two ends, with room to spare.
const TERMINAL_HOLDS: u64 = 256 * 1024;
/// How often a job in the background looks whether it is its turn.
const TURN: Duration = Duration::from_millis(200);
/// How often a full stream is offered what it had no room for.
const AGAIN: Duration = Duration::from_millis(5);

/// A command and everything around it.
pub(super) struct PumpLoop {
    pub(super) actor: CommandHandle,
    pub(super) ways: Vec<OutputPipe>,
    pub(super) signals: Signals,
    pub(super) record: RecordWriter,
}

/// What can be done without waiting.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is about one descriptor")]
struct Ready {
    signals: bool,
    keeper: bool,
    keys: bool,
    room_for_keys: bool,
    ways: Vec<bool>,
}

impl PumpLoop {
    /// Until the command has ended.
    pub(super) fn carry(mut self) -> io::Result<(End, RecordWriter)> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let ready = self.wait()?;
            // Before the keys: what is typed after a change of the size finds the new one.
            let came = if ready.signals { self.signals.take() } else { Vec::new() };
            for came in &came {
                self.signalled(*came);
            }
            if let CommandHandle::OnOwnTerminal(_, console) = &mut self.actor
                && (ready.keys || ready.room_for_keys)
            {
                console.type_along(ready.keys);
            }
            let record = &mut self.record;
            let mut is_ready = ready.ways.iter();
            self.ways.retain(|way| is_ready.next() != Some(&true) || pump(way, &mut buffer, record).is_some());
            self.record.advance(Instant::now());
            for change in self.changes(came.contains(&Came::Child), ready.keeper) {
                match change {
                    Change::Ended(end) => return Ok((end, self.finish(&mut buffer))),
                    Change::Stopped(signal) => self.stop(signal, &mut buffer),
                }
            }
        }
    }

    fn wait(&self) -> io::Result<Ready> {
        let mut fds = vec![PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN)];
        let stdin = io::stdin();
        if let CommandHandle::OnOwnTerminal(kept, console) = &self.actor {
            fds.push(PollFd::from_borrowed_fd(kept.fd(), PollFlags::IN));
            if console.reads_keys() {
                fds.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
            } else if let Some(pty) = console.sends_keys() {
                fds.push(PollFd::from_borrowed_fd(pty, PollFlags::OUT));
            }
        }
        let before_ways = fds.len();
        if !self.record.is_full() {
            fds.extend(self.ways.iter().map(|way| PollFd::from_borrowed_fd(way.from.as_fd(), PollFlags::IN)));
        }
        match poll(&mut fds, self.patience().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let at = |index: usize| is_ready.get(index).copied().unwrap_or_default();
        let mut ready =
            Ready { signals: at(0), ways: is_ready.get(before_ways..).unwrap_or_default().to_vec(), ..Ready::default() };
        if let CommandHandle::OnOwnTerminal(_, console) = &self.actor {
            ready.keeper = at(1);
            ready.keys = console.reads_keys() && before_ways > 2 && at(2);
            ready.room_for_keys = !console.reads_keys() && before_ways > 2 && at(2);
        }
        Ok(ready)
    }

    /// How long to wait when nothing happens.
    fn patience(&self) -> Option<Timespec> {
        let merged = self.record.deadline().map(|due| due.saturating_duration_since(Instant::now()));
        let turn = matches!(&self.actor, CommandHandle::OnOwnTerminal(_, console) if console.waits_for_turn()).then_some(TURN);
        let again = self.record.is_full().then_some(AGAIN);
        let least = [merged, turn, again].into_iter().flatten().min()?;
        Timespec::try_from(least).ok()
    }

    /// What has become of the command.
    fn changes(&mut self, child_changed: bool, keeper_reports: bool) -> Vec<Change> {
        match &mut self.actor {
            CommandHandle::OnOwnTerminal(kept, console) => {
                if console.waits_for_turn() {
                    console.take_again(kept);
                }
                if child_changed {
                    reap_orphans();
                }
                if keeper_reports { kept.change().into_iter().collect() } else { Vec::new() }
            }
            CommandHandle::InJob(command, _) if child_changed => command.changes(),
            CommandHandle::InJob(..) => Vec::new(),
        }
    }

    fn signalled(&mut self, came: Came) {
        match (came, &mut self.actor) {
            // What the kernel sends to the job, the command has got by itself.
            (Came::Child, _) | (Came::ForCommand { by_kernel: true, .. }, CommandHandle::InJob(..)) => {}
            (Came::Continued, _) => self.go_on(),
            (Came::Resized, _) => self.resized(),
            (Came::ForCommand { signal, .. }, CommandHandle::OnOwnTerminal(kept, _)) => kept.signal(signal),
            (Came::ForCommand { signal, by_kernel: false }, CommandHandle::InJob(command, _)) => command.signal(signal),
        }
    }

    fn resized(&mut self) {
        match &self.actor {
            CommandHandle::OnOwnTerminal(_, console) => console.resize(),
            CommandHandle::InJob(command, _) => {
                let terminals: Vec<_> = self.ways.iter().filter(|way| way.is_terminal).collect();
                for (way, size) in terminals.iter().zip(terminal::window().into_iter().cycle()) {
                    // One that the command has closed needs no size.
                    let _ = rustix::termios::tcsetwinsize(&way.from, size);
                }
                if !terminals.is_empty() {
                    // It may have looked before.
                    command.signal(Signal::WINCH.as_raw());
                }
            }
        }
        let (columns, rows) = terminal::size();
        self.record.happened(Content::Resize { columns, rows }, Instant::now());
    }

    /// The command was stopped: so are we, in the same way, until the shell that controls the job lets both go on.
    fn stop(&mut self, signal: i32, buffer: &mut [u8]) {
        self.pump_all(buffer);
        if let CommandHandle::OnOwnTerminal(_, console) = &mut self.actor {
            console.give_back();
        }
        // Either comes back when the stop is over, or at once where no shell controls the job: then the system knows no stop.
        match Signal::from_named_raw(signal) {
            // Not for the job: it was meant for the command alone.
            Some(Signal::STOP) | None => drop(raise(signal)),
            // Reaches this thread, the first of the process, before anything else here goes on (kill(2)).
            Some(signal) => drop(kill_current_process_group(signal)),
        }
        self.go_on();
    }

    fn go_on(&mut self) {
        match &mut self.actor {
            CommandHandle::OnOwnTerminal(kept, console) => {
                console.take_again(kept);
                kept.go_on();
            }
            CommandHandle::InJob(command, _) => command.signal(Signal::CONT.as_raw()),
        }
    }

    fn pump_all(&mut self, buffer: &mut [u8]) {
        let record = &mut self.record;
        self.ways.retain(|way| pump(way, buffer, record).is_some());
    }

    /// The command has ended: what it wrote until then is carried through; what writes on has its output carried without us.
    fn finish(mut self, buffer: &mut [u8]) -> RecordWriter {
        if let CommandHandle::InJob(_, held) = &mut self.actor {
            held.clear();
        }
        let mut left = Vec::new();
        for way in self.ways {
            if drain(&way, buffer, &mut self.record) {
                left.push(way);
            }
        }
        left_over::hand_over(self.actor, left);
        self.record
    }
}

/// Carries what has come on one way, and says how much that was; `None` at its end.
fn pump(way: &OutputPipe, buffer: &mut [u8], record: &mut RecordWriter) -> Option<usize> {
    let now = through::read_now(&way.from, buffer);
    let bytes = buffer.get(..now.len).unwrap_or_default();
    let is_shown = through::write_all(way.to.as_fd(), bytes).is_ok();
    record.shown(bytes, Instant::now());
    // Our output is not read any more: the command finds its pipe closed. A terminal that is gone says so by a signal.
    (!now.is_end && (is_shown || way.is_terminal)).then_some(now.len)
}

/// Carries what a command that has ended has written. Whether something still holds its end.
fn drain(way: &OutputPipe, buffer: &mut [u8], record: &mut RecordWriter) -> bool {
    // It lies between the two ends now; what comes on top is another's.
    let held = if way.is_terminal { Ok(TERMINAL_HOLDS) } else { ioctl_fionread(&way.from) };
    let mut rest = usize::try_from(held.unwrap_or(TERMINAL_HOLDS)).unwrap_or(usize::MAX).saturating_add(1);
    while rest > 0 {
        let room = rest.min(buffer.len());
        match pump(way, buffer.get_mut(..room).unwrap_or_default(), record) {
            None => return false,
            Some(0) => return true,
            Some(count) => rest = rest.saturating_sub(count),
        }
    }
    true
}
