//! The record store of one relay: an append-only log for each organization, one writer with group commit, one reader.
//!
//! ```text
//! writes ──► writer ── all that wait: appended, then synced together ──► Appended, Ended, Enveloped
//! reads  ──► reader ── where? the logs know; then the files ───────────► Records, Unreadable
//! load   ──► writer ──► loader ── opens the log of an organization ────► Loaded
//!                       loader ── every minute: who has to leave? ─────► Leaving
//!
//! log/ORG/00000000.log, 00000001.log, …    segments: entries with checksums; a full one ends with what it holds
//! ```
//!
//! | room | what it is |
//! |---|---|
//! | `entry`, `contents` | one entry of a segment; what a segment holds, which is its index |
//! | `segment`, `scan`, `window` | the file of a segment; reading it from end to end, past damage; pieces of files |
//! | `batch` | what one commit writes |
//! | `catalog`, `log` | the sessions of an organization; its segments together |
//! | `writer`, `reader`, `loader` | the threads |
//! | `retention`, `compact` | which sessions leave; how their space becomes free |
//! | `root`, `redb_import` | the directory; the store of versions up to 0.1.0, which is taken over |
//!
//! An organization is loaded when a member connects, so that starting does not depend on what is stored. A write that fails is
//! tried again until it works: nothing of that organization is acknowledged meanwhile, the hub tells its daemons and holds them
//! back, and `/ready` says no. What cannot be read costs that range. What is written are sealed records, session ids, and
//! credentials that are worth nothing without their keys.

mod batch;
mod catalog;
mod compact;
mod contents;
mod entry;
mod loader;
mod log;
mod reader;
mod redb_import;
mod retention;
mod root;
mod scan;
mod segment;
#[cfg(test)]
mod tests;
mod window;
mod writer;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, atomic::AtomicBool, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use proto_core::{
    OrgId,
    relay::hub::{Input, Read, SessionNumber, StoredSession, Write},
};

pub use self::retention::Retention;
use self::{
    loader::Loader,
    log::OrgLog,
    reader::Reader,
    root::Root,
    writer::{Task, Writer},
};

/// How long after a failed write it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A segment that has so much is sealed, and another one begun.
const SEGMENT_BYTES: u32 = 64 * 1024 * 1024;
/// How often it is looked who has to leave.
const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// Why the store cannot be used, or something in it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A directory or file cannot be made, opened or read.
    #[error("{path}: {error}")]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another relay works on the directory.
    #[error("{0}: another relay works here; stop it, or set another RELAY_DATA_DIR")]
    InUse(PathBuf),
    /// A file of it is damaged.
    #[error("{path}: {what}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// In which way.
        what: &'static str,
    },
    /// The store of an earlier version cannot be taken over.
    #[error("{path}: the records of an earlier version cannot be taken over: {error}")]
    Former {
        /// Its file.
        path: PathBuf,
        /// Why.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was asked for is not there, or no longer.
    #[error("records are missing")]
    Missing,
}

/// What the store has to say.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Sessions of a loaded organization that are kept no longer, when they have ended.
    Leaving(Vec<SessionNumber>),
    /// Something for the hub.
    Hub(Input),
    /// The sessions of an organization that was to be loaded.
    Loaded(OrgId, Result<Vec<StoredSession>, StoreError>),
}

/// Where the store's answers go.
pub(crate) type Answers = Arc<dyn Fn(Answer) + Send + Sync>;

/// The threads and the ways to them. Dropping it makes durable what was given to it, then ends them.
pub(crate) struct Store {
    writer: mpsc::Sender<Task>,
    reads: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
    working: Arc<AtomicBool>,
    readable: Arc<AtomicBool>,
}

/// The logs of the organizations that are loaded, by the numbers of their sessions.
#[derive(Debug, Default)]
struct OpenLogs(RwLock<HashMap<SessionNumber, Arc<OrgLog>>>);

impl OpenLogs {
    fn log_of(&self, session: SessionNumber) -> Option<Arc<OrgLog>> {
        self.read().get(&session).cloned()
    }

    fn add(&self, log: &Arc<OrgLog>) {
        self.write().extend(log.numbers().into_iter().map(|number| (number, Arc::clone(log))));
    }

    fn insert(&self, session: SessionNumber, log: &Arc<OrgLog>) {
        self.write().insert(session, Arc::clone(log));
    }

    fn remove(&self, session: SessionNumber) {
        self.write().remove(&session);
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<SessionNumber, Arc<OrgLog>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<SessionNumber, Arc<OrgLog>>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What only tests choose otherwise.
#[derive(Clone, Copy, Debug)]
struct Tuning {
    segment_bytes: u32,
    retry_after: Duration,
    sweep_every: Duration,
}

impl Store {
    /// Opens the store below `dir`, makes it when it is not there, and tells the first number for new sessions. Records of an
    /// earlier version are taken over first.
    ///
    /// # Errors
    /// The directory cannot be used, another relay works on it, or an earlier version's records cannot be read.
    pub(crate) fn open(dir: &Path, retention: Retention, answers: Answers) -> Result<(Self, SessionNumber), StoreError> {
        let tuning = Tuning { segment_bytes: SEGMENT_BYTES, retry_after: RETRY_AFTER, sweep_every: SWEEP_EVERY };
        Self::open_with(dir, retention, tuning, answers)
    }

    fn open_with(
        dir: &Path,
        retention: Retention,
        tuning: Tuning,
        answers: Answers,
    ) -> Result<(Self, SessionNumber), StoreError> {
        let root = Root::take(dir)?;
        redb_import::take_over(&root)?;
        let first_number = root.first_number()?;
        let (working, readable) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let open = Arc::new(OpenLogs::default());
        let (writer, tasks) = mpsc::channel();
        let (loads, wanted) = mpsc::channel();
        let (reads, wanted_records) = mpsc::channel();
        let keeper = Writer {
            tasks,
            loads,
            open: Arc::clone(&open),
            working: Arc::clone(&working),
            retry_after: tuning.retry_after,
            answers: Arc::clone(&answers),
            orgs: HashMap::new(),
            failed: Vec::new(),
            failing: HashSet::new(),
        };
        let reader = Reader {
            reads: wanted_records,
            open: Arc::clone(&open),
            readable: Arc::clone(&readable),
            answers: Arc::clone(&answers),
            kept: Vec::new(),
        };
        let loader = Loader {
            root,
            retention,
            tuning,
            wanted,
            writer: writer.clone(),
            answers,
            open: HashMap::new(),
            numbers: open,
            others: HashMap::new(),
        };
        let threads = vec![
            spawn("records-writer", move || keeper.run()),
            spawn("records-reader", move || reader.run()),
            spawn("records-loader", move || loader.run()),
        ];
        Ok((Self { writer, reads: Some(reads), threads, working, readable }, first_number))
    }

    /// Asks for the sessions of an organization, after all that was written; answered with [`Answer::Loaded`]. Its sessions are
    /// written and read after that.
    pub(crate) fn load(&self, org: OrgId) {
        self.tell(Task::Load(org));
    }

    /// Makes these durable, after all before them; answered where [`Write`] says so.
    pub(crate) fn write(&self, writes: Vec<Write>) {
        self.tell(Task::Writes(writes));
    }

    /// Reads durable records; answered with `Records` or `Unreadable`.
    pub(crate) fn read(&self, read: Read) {
        if let Some(sender) = &self.reads {
            // The thread lives as long as this sender.
            let _ = sender.send(read);
        }
    }

    /// Whether the latest writes of all organizations worked.
    pub(crate) fn working(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.working)
    }

    /// Whether the latest read worked.
    pub(crate) fn readable(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.readable)
    }

    fn tell(&self, task: Task) {
        // The thread lives until it is told to stop.
        let _ = self.writer.send(task);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("working", &self.working).finish_non_exhaustive()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.tell(Task::Stop);
        self.reads = None;
        for thread in self.threads.drain(..) {
            // A panic in there was reported by the thread itself.
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.unwrap_or_else(|error| panic!("no thread for the record store: {error}"))
}
