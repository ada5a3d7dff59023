//! A machine with a daemon on it: home, state machine, adapter, and the commands that stream. Its verbs are those of a person.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, iter,
    path::Path,
    time::Duration,
};

use io_engine::{AwsLc, Home, HomeLock, Network, fresh_entropy, fresh_jitter, wall_clock};
use proto_core::{
    Deadline, Machine as _, Reason, SessionId, UnixTime, WallClock,
    api::{PairingMode, Workspace},
    device::{
        bridge::SourceId,
        consent::Directory,
        control::{Attach, Bound, PairEvent, PairRequest, PendingPairing, UnpairRequest, Unpaired},
        daemon::{Answer, Bind, Daemon, Event, Input, Output, Request, RequestId, Settings},
        link::LinkState,
    },
    effect::IoEvent,
    noise::Snow,
    wire::Title,
};

use super::{
    EffectId,
    device::{Device, until},
    site::Site,
    terminal::Terminal,
};
use crate::Subject;

/// A laptop that is on. Its files outlive it.
pub(super) struct Laptop<S> {
    daemon: Daemon<Snow<AwsLc>>,
    subject: S,
    home: Home,
    lock: HomeLock,
    terminals: BTreeMap<SourceId, Terminal>,
    answers: BTreeMap<RequestId, Result<Answer, Reason>>,
    pairing: VecDeque<PairEvent>,
    log: Vec<Event>,
    numbers: u64,
}

impl<S> fmt::Debug for Laptop<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Laptop").field("home", &self.home.root()).field("log", &self.log).finish_non_exhaustive()
    }
}

impl<S: Subject<EffectId>> Laptop<S> {
    /// Switches it on: the daemon goes on from its home.
    pub(super) fn start(home: &Path, site: &Site) -> Self {
        Self::start_behind(home, site, Duration::ZERO)
    }

    /// The same, with a wall clock that is that far behind.
    pub(super) fn start_behind(home: &Path, site: &Site, behind: Duration) -> Self {
        let home = Home::at(home);
        let lock = home.lock().expect("no other process owns the home");
        let found = home.found().expect("the state files are good");
        let subject = S::start(Some(home.clone()), Network::default());
        let now = subject.now();
        let unix = wall_clock(now).unix_at(now).0 - behind.as_secs();
        let settings = Settings {
            host: "laptop".into(),
            version: "0".into(),
            pid: std::process::id(),
            api_endpoint: Some(site.url().to_owned()),
            aes_in_hardware: io_engine::aes_in_hardware(),
        };
        let daemon = Daemon::boot(now, WallClock::new(now, UnixTime(unix)), &found, settings, fresh_jitter());
        let mut laptop = Self {
            daemon: daemon.expect("the daemon boots"),
            subject,
            home,
            lock,
            terminals: BTreeMap::new(),
            answers: BTreeMap::new(),
            pairing: VecDeque::new(),
            log: Vec::new(),
            numbers: 0,
        };
        laptop.drain();
        laptop
    }

    /// The process is killed: no peer is told, and nothing of the adapter stays.
    pub(super) fn kill(self) {
        let Self { subject, lock, .. } = self;
        assert_eq!(subject.abandon(), 0, "tasks are left");
        drop(lock);
    }

    /// It is shut down as it should be.
    pub(super) fn shutdown(self) {
        self.subject.shutdown();
    }

    // What a person asks for

    /// `vpd pair`, up to the code.
    pub(super) fn ask_for_code(&mut self, mode: PairingMode) -> PendingPairing {
        let request = Request::Pair(PairRequest { mode, org: None, name: None }, fresh_entropy());
        assert_eq!(self.request(request), Ok(Answer::Done));
        self.wait_for("a code is shown", |laptop| laptop.code().is_some());
        self.code().expect("it is shown")
    }

    /// The code that is shown.
    pub(super) fn code(&self) -> Option<PendingPairing> {
        self.daemon.report().pairing
    }

    /// Waits for the end of a pairing that was approved, and until the relay has admitted the daemon.
    pub(super) fn wait_for_pairing(&mut self, org: &str) -> Workspace {
        let is_end = |event: &PairEvent| matches!(event, PairEvent::Paired { .. } | PairEvent::Failed { .. });
        self.wait_for("the pairing ends", |laptop| laptop.pairing.back().is_some_and(is_end));
        self.wait_for("the daemon is connected", |laptop| laptop.is_connected(org));
        match self.pairing.drain(..).next_back() {
            Some(PairEvent::Paired { org, .. }) => org,
            other => panic!("{other:?}"),
        }
    }

    /// `vpd pair`, approved for `org` in the browser.
    pub(super) fn pair(&mut self, site: &mut Site, mode: PairingMode, org: &str) -> Workspace {
        let code = self.ask_for_code(mode);
        site.approve(&code.url, org);
        self.wait_for_pairing(org)
    }

    /// `vpd bind`.
    pub(super) fn bind(&mut self, directory: &Path, org: &str) -> Bound {
        let directory = directory_at(directory);
        match self.request(Request::Bind(Bind::new(directory, Some(org.into())))) {
            Ok(Answer::Bound(bound)) => bound,
            other => panic!("{other:?}"),
        }
    }

    /// `vpd unpair`.
    pub(super) fn unpair(&mut self, org: &str) -> Unpaired {
        match self.request(Request::Unpair(UnpairRequest { org: Some(org.into()) })) {
            Ok(Answer::Unpaired(unpaired)) => unpaired,
            other => panic!("{other:?}"),
        }
    }

    /// `vpd run`: the command's session, once the daemon agreed to stream it.
    pub(super) fn run(&mut self, directory: &Path, command: &str) -> SessionId {
        self.numbers += 1;
        let source = SourceId(self.numbers);
        self.terminals.insert(source, Terminal::Asking);
        let title = Title { command: command.into(), directory: "~/work".into(), started: 0, columns: 80, rows: 24 };
        let directory = directory_at(directory).to_string();
        self.tell(Input::Attach(source, Attach::Start { directory, title }, fresh_entropy()));
        self.wait_for("the daemon answers the command", |laptop| laptop.terminals[&source].is_answered());
        match &self.terminals[&source] {
            Terminal::Streaming(session, _) => *session,
            Terminal::Asking => unreachable!("it was answered"),
        }
    }

    /// The command writes this.
    pub(super) fn write(&mut self, session: SessionId, bytes: &[u8]) {
        self.with_terminal(session, |terminal, now| terminal.write(bytes, now));
    }

    /// The command ends.
    pub(super) fn exit(&mut self, session: SessionId) {
        self.with_terminal(session, Terminal::exit);
    }

    /// The lid was closed, and is opened now: the wall clock went on.
    pub(super) fn wake_up(&mut self) {
        let now = self.subject.now();
        self.daemon.handle_clock(now, wall_clock(now));
        self.drain();
    }

    // What can be seen from outside

    /// The command of a session.
    pub(super) fn terminal(&self, session: SessionId) -> &Terminal {
        let is_its = |terminal: &&Terminal| matches!(terminal, Terminal::Streaming(its, _) if *its == session);
        self.terminals.values().find(is_its).expect("there is this session")
    }

    /// Whether the relay of this org has admitted the daemon.
    pub(super) fn is_connected(&self, org: &str) -> bool {
        self.daemon.report().bindings.iter().any(|row| row.org.name == org && row.link == LinkState::Connected)
    }

    /// The names of the orgs that it is paired with, and whether each takes new sessions.
    pub(super) fn orgs(&self) -> Vec<(String, bool)> {
        self.daemon.report().bindings.into_iter().map(|row| (row.org.name, !row.draining)).collect()
    }

    /// What happened.
    pub(super) fn log(&self) -> &[Event] {
        &self.log
    }

    /// Where its files are.
    pub(super) const fn home(&self) -> &Home {
        &self.home
    }

    pub(super) fn wait_for(&mut self, what: &str, has_come: impl Fn(&Self) -> bool) {
        until(self, what, |laptop| has_come(laptop));
    }

    // The loop around the machine

    fn request(&mut self, request: Request) -> Result<Answer, Reason> {
        self.numbers += 1;
        let id = RequestId(self.numbers);
        self.tell(Input::Request(id, request));
        self.wait_for("a request is answered", |laptop| laptop.answers.contains_key(&id));
        self.answers.remove(&id).expect("it was answered")
    }

    fn with_terminal(&mut self, session: SessionId, act: impl FnOnce(&mut Terminal, proto_core::Instant)) {
        let now = self.subject.now();
        let is_its = |terminal: &&mut Terminal| matches!(terminal, Terminal::Streaming(its, _) if *its == session);
        act(self.terminals.values_mut().find(is_its).expect("there is this session"), now);
        self.drain();
    }

    fn tell(&mut self, input: Input) {
        self.daemon.handle_input(self.subject.now(), input).expect("the daemon takes every input");
        self.drain();
    }

    /// Carries out what the daemon and the commands want, until none of them wants anything.
    fn drain(&mut self) {
        let mut inputs = VecDeque::new();
        loop {
            while let Some(output) = self.daemon.poll_output() {
                inputs.extend(self.perform(output));
            }
            for (source, terminal) in &mut self.terminals {
                inputs.extend(iter::from_fn(|| terminal.poll_frame()).map(|frame| Input::Frame(*source, frame)));
            }
            let Some(input) = inputs.pop_front() else { return };
            self.daemon.handle_input(self.subject.now(), input).expect("the daemon takes every input");
        }
    }

    /// Carries one output out. What is known at once goes back to the daemon.
    fn perform(&mut self, output: Output) -> Option<Input> {
        let now = self.subject.now();
        match output {
            Output::Effect(effect) => self.subject.perform(effect.map_id(EffectId::Daemon)),
            Output::Answer(id, answer) => drop(self.answers.insert(id, answer)),
            Output::Pairing(event) => self.pairing.push_back(event),
            Output::Attached(source, attached) => self.terminal_at(source).attached(attached, now),
            Output::ToSource(source, frame) => self.terminal_at(source).frame(frame, now),
            Output::Look(task_id, directory) => return Some(Input::Looked(task_id, io_engine::look(directory))),
            Output::Change(task_id, changes) => return Some(Input::Changed(task_id, io_engine::change(&changes))),
            Output::Log(event) => self.log.push(event),
        }
        None
    }

    fn terminal_at(&mut self, source: SourceId) -> &mut Terminal {
        self.terminals.get_mut(&source).expect("only those who attached are spoken to")
    }
}

impl<S: Subject<EffectId>> Device for Laptop<S> {
    fn turn(&mut self, wait: Duration) -> bool {
        let end = Deadline::new(self.subject.now().after(wait), "the end of the turn");
        let io_event = self.subject.next(Deadline::earliest(self.daemon.poll_timeout().map(Deadline::in_words), Some(end)));
        let now = self.subject.now();
        let is_due = self.daemon.poll_timeout().is_some_and(|deadline| deadline.at <= now);
        if is_due {
            self.daemon.handle_timeout(now);
            self.drain();
        }
        let moved = is_due || io_event.is_some();
        if let Some((EffectId::Daemon(effect_id), io_event)) = io_event.map(IoEvent::take_id) {
            self.tell(Input::Io(io_event.with_id(effect_id)));
        }
        moved
    }
}

fn directory_at(path: &Path) -> Directory {
    Directory::parse(path.to_str().expect("a path that is text")).expect("an absolute path")
}
