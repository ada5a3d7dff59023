//! A machine with a daemon: its disk, its directories, what its people were told, and the commands that run on it.

use std::collections::{BTreeMap, VecDeque};

use io_engine::DriverLoop;
use proto_core::{
    Instant, JitterRng, Machine, OrgId, Reason, SessionId, Status, UnixTime, WallClock,
    crypto::{
        Cipher, PureRust,
        seal::{EpochSecret, Scope},
    },
    device::{
        consent::{Change, Directory, File, IGNORE_FILE, LOCAL_FILE, Looked, WORKSPACE_FILE},
        control::{Attached, PairEvent},
        daemon::{Answer, Daemon, Event, RequestId, Settings, StoredState},
        files::{Config, Document, SessionFile},
        session::{self, Session},
    },
    effect::StateFile,
    noise::{Noise, Symbolic},
    secret::{Secret, SecretBytes},
    wire::{Content, Frame, Outcome, Title},
};

use super::platform::API;

/// The machine.
#[derive(Debug)]
pub struct Laptop<N = Symbolic> {
    /// Its name.
    pub name: String,
    /// The version of the program that is installed.
    pub version: String,
    /// The daemon while it runs.
    pub daemon: Option<Daemon<N>>,
    /// Its loop.
    pub(crate) turns: DriverLoop,
    /// How often it was started: what belongs to an earlier life is lost.
    pub life: u32,
    /// Whether it has a network.
    pub is_online: bool,
    /// Whether its disk takes writes.
    pub disk_works: bool,
    /// Whether writes end at all.
    pub disk_moves: bool,
    /// The state files that are durable.
    pub disk: BTreeMap<StateFile, SecretBytes>,
    /// Files in directories.
    pub tree: BTreeMap<String, String>,
    /// Answers to requests.
    pub answers: BTreeMap<RequestId, Result<Answer, Reason>>,
    /// What pairings said.
    pub pairing: Vec<PairEvent>,
    /// The log of all lives.
    pub log: Vec<Event>,
    /// The commands that were run.
    pub runs: Vec<Run>,
    /// What its daemons' jitter grows from.
    seed: u64,
}

/// One command under `vpd run`.
#[derive(Debug)]
pub struct Run {
    /// Where it runs.
    pub directory: String,
    /// The number of its connection to the daemon; another one after each restart.
    pub source: u64,
    /// What the daemon said last.
    pub attached: Option<Attached>,
    /// Its stream, if it has one.
    pub session: Option<Session>,
    /// Why nothing streams any more, while the command goes on.
    pub cut: Option<Reason>,
    /// What the terminal showed.
    pub shown: Vec<Content>,
    /// What it did before the daemon answered.
    waiting: VecDeque<session::Input>,
}

impl<N: Noise> Laptop<N> {
    pub(crate) fn new(name: &str, seed: u64) -> Self {
        Self {
            name: name.into(),
            version: "0.1.0".into(),
            daemon: None,
            turns: DriverLoop::new(WallClock::new(Instant::ZERO, UnixTime(0))),
            life: 0,
            is_online: true,
            disk_works: true,
            disk_moves: true,
            disk: BTreeMap::new(),
            tree: BTreeMap::new(),
            answers: BTreeMap::new(),
            pairing: Vec::new(),
            log: Vec::new(),
            runs: Vec::new(),
            seed,
        }
    }

    /// Starts the daemon on what the disk holds, or says why it does not start.
    pub(crate) fn boot(&mut self, now: Instant, clock: WallClock) -> Result<(), Reason> {
        let settings = Settings {
            host: self.name.clone(),
            version: self.version.clone(),
            pid: 1,
            api_endpoint: Some(API.into()),
            aes_in_hardware: false,
        };
        let file = |file| self.disk.get(&file).cloned();
        let of = |wanted: fn(&StateFile) -> bool| self.disk.iter().filter(move |(file, _)| wanted(file));
        let found = StoredState {
            config: file(StateFile::Config),
            identities: of(|file| matches!(file, StateFile::Identity(..))).map(|(f, bytes)| (f.clone(), bytes.clone())).collect(),
            pending: file(StateFile::PendingPairing),
            grants: file(StateFile::Grants),
            organization_keys: of(|file| matches!(file, StateFile::OrganizationKey(_)))
                .map(|(f, bytes)| (f.clone(), bytes.clone()))
                .collect(),
            sessions: of(|file| matches!(file, StateFile::Session(_))).map(|(_, bytes)| bytes.clone()).collect(),
            spools: self.spools(),
        };
        let jitter = JitterRng::new(self.seed.wrapping_add(u64::from(self.life) + 1));
        self.daemon = Some(Daemon::boot(now, clock, &found, settings, jitter)?);
        self.turns = DriverLoop::new(clock);
        Ok(())
    }

    /// The daemon.
    ///
    /// # Panics
    /// When it does not run.
    pub fn daemon(&self) -> &Daemon<N> {
        self.daemon.as_ref().expect("the daemon runs")
    }

    /// `config.json` as it is on disk.
    pub fn config(&self) -> Config {
        self.disk.get(&StateFile::Config).map_or_else(Config::default, |bytes| Config::parse(bytes.expose()).unwrap())
    }

    /// The same, unless it is damaged or a newer version's.
    pub fn readable_config(&self) -> Option<Config> {
        self.disk.get(&StateFile::Config).map_or_else(|| Some(Config::default()), |bytes| Config::parse(bytes.expose()).ok())
    }

    /// The pins on disk.
    pub fn pins(&self) -> Vec<SessionFile> {
        let pins = self.disk.iter().filter(|(file, _)| matches!(file, StateFile::Session(_)));
        pins.map(|(_, bytes)| SessionFile::parse(bytes.expose()).unwrap()).collect()
    }

    /// The seeds of the identities on disk.
    pub fn seeds(&self) -> Vec<Secret> {
        let files = self.disk.iter().filter(|(file, _)| matches!(file, StateFile::Identity(..)));
        files.map(|(_, bytes)| proto_core::device::files::IdentityFile::parse(bytes.expose()).unwrap().seed).collect()
    }

    pub(crate) fn write(&mut self, file: StateFile, contents: Option<SecretBytes>) -> bool {
        if self.disk_works {
            match contents {
                Some(contents) => drop(self.disk.insert(file, contents)),
                None => self.touched(&file).iter().for_each(|file| drop(self.disk.remove(file))),
            }
        }
        self.disk_works
    }

    /// The files that change when this one is stored or removed.
    pub(crate) fn touched(&self, file: &StateFile) -> Vec<StateFile> {
        match file {
            StateFile::Spool(session) => {
                self.disk.keys().filter(|file| matches!(file, StateFile::Segment(of, _) if of == session)).cloned().collect()
            }
            file => vec![file.clone()],
        }
    }

    /// What is kept of each session.
    pub fn spools(&self) -> BTreeMap<SessionId, BTreeMap<u64, u64>> {
        let mut spools = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (file, contents) in &self.disk {
            if let StateFile::Segment(session, first) = file {
                spools.entry(*session).or_default().insert(*first, contents.expose().len() as u64);
            }
        }
        spools
    }

    pub(crate) fn look(&self, directory: Directory) -> Looked {
        let file = |name: &str| match self.tree.get(&directory.join(name)) {
            Some(text) => File::Contents(text.clone().into_bytes()),
            None => File::Absent,
        };
        let is_repository = self.tree.contains_key(&directory.join(".git"));
        let (local, workspace, ignore) = (file(LOCAL_FILE), file(WORKSPACE_FILE), file(IGNORE_FILE));
        Looked { directory, is_repository, local, workspace, ignore }
    }

    pub(crate) fn change(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Write(path, text) => drop(self.tree.insert(path, text)),
                Change::Remove(path) => drop(self.tree.remove(&path)),
            }
        }
    }
}

impl Run {
    pub(crate) fn new(directory: &str, source: u64) -> Self {
        Self {
            directory: directory.into(),
            source,
            attached: None,
            session: None,
            cut: None,
            shown: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    pub(crate) fn title(&self, now: UnixTime) -> Title {
        Title { command: "agent".into(), directory: self.directory.clone(), started: now.0, columns: 80, rows: 24 }
    }

    /// The org it streams to.
    pub fn org(&self) -> Option<&OrgId> {
        match self.attached.as_ref()? {
            Attached::Streaming { org, .. } => Some(&org.id),
            Attached::LocalOnly { .. } => None,
        }
    }

    /// The session's id.
    pub fn id(&self) -> Option<SessionId> {
        match self.attached.as_ref()? {
            Attached::Streaming { session, .. } => Some(*session),
            Attached::LocalOnly { .. } => None,
        }
    }

    /// Whether every record and the end are durable at the relay.
    pub fn is_delivered(&self) -> bool {
        self.session.as_ref().is_some_and(|session| matches!(session.status(), Status::Finished))
    }

    pub(crate) fn attached(&mut self, now: Instant, attached: Attached) -> Vec<Frame> {
        match &attached {
            Attached::Streaming { session, org, secret, cipher } if self.session.is_none() => {
                let scope = Scope { org: org.id.clone(), session: *session, cipher: Cipher::from_byte(*cipher).unwrap() };
                self.session = Some(Session::new(&PureRust, scope, EpochSecret::new(secret.clone()), now));
            }
            Attached::Streaming { .. } => {}
            Attached::LocalOnly { reason } => {
                self.cut = *reason;
                if self.session.is_some() {
                    return Vec::new();
                }
            }
        }
        self.attached = Some(attached);
        let mut frames = self.tell(now, session::Input::Attached);
        while let Some(input) = self.waiting.pop_front() {
            frames.extend(self.tell(now, input));
        }
        frames
    }

    pub(crate) fn push(&mut self, now: Instant, content: Content) -> Vec<Frame> {
        self.shown.push(content.clone());
        self.once_attached(now, session::Input::Push(content))
    }

    pub(crate) fn end(&mut self, now: Instant, outcome: Outcome) -> Vec<Frame> {
        self.once_attached(now, session::Input::End(outcome))
    }

    fn once_attached(&mut self, now: Instant, input: session::Input) -> Vec<Frame> {
        if self.attached.is_none() {
            self.waiting.push_back(input);
            return Vec::new();
        }
        self.tell(now, input)
    }

    pub(crate) fn tell(&mut self, now: Instant, input: session::Input) -> Vec<Frame> {
        let Some(session) = &mut self.session else { return Vec::new() };
        session.handle_input(now, input).unwrap();
        if let Status::Failed(reason) = session.status() {
            self.cut = Some(*reason);
        }
        let outputs = std::iter::from_fn(|| session.poll_output());
        outputs.map(|session::Output::Send(frame)| frame).collect()
    }
}
