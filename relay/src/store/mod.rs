//! The record store of one relay: an embedded database, one writer with group commit, one reader.
//!
//! ```text
//! writes ──► writer ── all that wait, one transaction, one fsync ──► Appended, Ended
//! reads  ──► reader ── a snapshot ─────────────────────────────────► Records
//! ```
//!
//! A commit that fails is tried again until it works: nothing is acknowledged meanwhile, the hub holds the daemons back, and
//! `/ready` says no. What is written are sealed records, session ids, and credentials that are worth nothing without their keys.

mod layout;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use proto_core::relay::hub::{Input, Read, StoredSession, Write};
use redb::Database;

use crate::files;

/// What redb keeps of the file in memory.
const CACHE: usize = 16 * 1024 * 1024;
/// How many bytes of records go into one transaction before it is committed.
const TRANSACTION_BYTES: usize = 8 * 1024 * 1024;
/// How long after a failed commit the next one is tried.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or file cannot be made or opened.
    #[error("{path}: {error}")]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another process has it open, or it is damaged.
    #[error("the record store: {0}")]
    Database(Box<redb::Error>),
    /// A page of it is damaged.
    #[error("the record store is damaged")]
    Damaged,
    /// It was written by another version, or is damaged.
    #[error("the record store holds something that this version cannot read: {0}")]
    Layout(&'static str),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// Where the store's answers go.
pub(crate) type Answers = Arc<dyn Fn(Input) + Send + Sync>;

/// Opens the database, at first and again after a failure.
type Opener = Arc<dyn Fn() -> Result<Database, StoreError> + Send + Sync>;

/// The two threads and the ways to them. Dropping it makes durable what was given to it, then ends both.
pub(crate) struct Store {
    writes: Option<mpsc::Sender<Vec<Write>>>,
    reads: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
    working: Arc<AtomicBool>,
    readable: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
}

/// The database while it is usable, and how to get it back.
#[derive(Clone)]
struct Handle {
    database: Arc<RwLock<Option<Database>>>,
    opener: Opener,
}

impl Handle {
    /// Works with the database. One that panics, as redb does on damaged pages, is a failure like others (F28).
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(StoreError::Layout("not open"))?;
        // What a panic leaves behind is not used: the database is opened anew.
        catch_unwind(AssertUnwindSafe(|| work(database))).unwrap_or(Err(StoreError::Damaged))
    }

    /// After a failed write, or a panic, the database refuses everything until it is opened anew.
    fn reopen(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // One that panicked may do so again while it is closed.
        let closed = database.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(closed)));
        match catch_unwind(AssertUnwindSafe(|| (self.opener)())).unwrap_or(Err(StoreError::Damaged)) {
            Ok(opened) => *database = Some(opened),
            Err(error) => tracing::error!(%error, "the record store cannot be opened again"),
        }
    }
}

impl Store {
    /// Opens the store below `dir`, makes it when it is not there, and tells which sessions it has.
    pub(crate) fn open(dir: &Path, answers: Answers) -> Result<(Self, Vec<StoredSession>), StoreError> {
        let path = dir.join("records.redb");
        files::make_private_dir(dir).map_err(|error| StoreError::Files { path: dir.to_owned(), error })?;
        Self::open_with(Arc::new(move || open_file(&path)), RETRY_AFTER, answers)
    }

    fn open_with(opener: Opener, retry_after: Duration, answers: Answers) -> Result<(Self, Vec<StoredSession>), StoreError> {
        let found = catch_unwind(AssertUnwindSafe(|| {
            let database = opener()?;
            let sessions = layout::sessions(&database)?;
            Ok((database, sessions))
        }));
        let (database, sessions) = found.unwrap_or(Err(StoreError::Damaged))?;
        let database = Arc::new(RwLock::new(Some(database)));
        let working = Arc::new(AtomicBool::new(true));
        let stopping = Arc::new(AtomicBool::new(false));
        let (writes, batches) = mpsc::channel();
        let (reads, wanted) = mpsc::channel();
        let readable = Arc::new(AtomicBool::new(true));
        let file = Handle { database, opener };
        let keeper = Writer {
            file: file.clone(),
            retry_after,
            working: Arc::clone(&working),
            stopping: Arc::clone(&stopping),
            answers: Arc::clone(&answers),
        };
        let reader = Reader { file, readable: Arc::clone(&readable), answers };
        let threads =
            vec![spawn("records-writer", move || keeper.run(&batches)), spawn("records-reader", move || reader.run(&wanted))];
        Ok((Self { writes: Some(writes), reads: Some(reads), threads, working, readable, stopping }, sessions))
    }

    /// Makes these durable, after all before them; answered where [`Write`] says so.
    pub(crate) fn write(&self, writes: Vec<Write>) {
        if let Some(sender) = &self.writes {
            // The thread lives as long as this sender.
            let _ = sender.send(writes);
        }
    }

    /// Reads durable records; answered with `Records` or `Unreadable`.
    pub(crate) fn read(&self, read: Read) {
        if let Some(sender) = &self.reads {
            let _ = sender.send(read);
        }
    }

    /// Whether the latest commit worked.
    pub(crate) fn working(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.working)
    }

    /// Whether the latest read worked.
    pub(crate) fn readable(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.readable)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("working", &self.working).finish_non_exhaustive()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        (self.writes, self.reads) = (None, None);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A panic in there was reported by the thread itself.
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.unwrap_or_else(|error| panic!("no thread for the record store: {error}"))
}

fn open_file(path: &Path) -> Result<Database, StoreError> {
    let file = files::open_private(path).map_err(|error| StoreError::Files { path: path.to_owned(), error })?;
    Ok(Database::builder().set_cache_size(CACHE).create_file(file)?)
}

struct Writer {
    file: Handle,
    retry_after: Duration,
    working: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
    answers: Answers,
}

impl Writer {
    fn run(self, writes: &mpsc::Receiver<Vec<Write>>) {
        while let Ok(first) = writes.recv() {
            let batch = all_that_wait(first, writes);
            for answer in self.commit(&batch) {
                (self.answers)(answer);
            }
        }
    }

    /// Commits the batch, however long it takes; only the end of the relay gives it up.
    fn commit(&self, batch: &[Write]) -> Vec<Input> {
        loop {
            match self.file.with(|database| layout::commit(database, batch)) {
                Ok(answers) => {
                    self.working.store(true, Ordering::Relaxed);
                    return answers;
                }
                Err(error) => tracing::error!(%error, "records were not written, trying again"),
            }
            self.working.store(false, Ordering::Relaxed);
            if self.stopping.load(Ordering::Acquire) {
                return Vec::new();
            }
            thread::park_timeout(self.retry_after);
            self.file.reopen();
        }
    }
}

struct Reader {
    file: Handle,
    readable: Arc<AtomicBool>,
    answers: Answers,
}

impl Reader {
    fn run(self, reads: &mpsc::Receiver<Read>) {
        while let Ok(read) = reads.recv() {
            let records = self.file.with(|database| layout::read(database, &read));
            self.readable.store(records.is_ok(), Ordering::Relaxed);
            (self.answers)(match records {
                Ok(records) => Input::Records(records),
                Err(error) => {
                    tracing::error!(%error, session = read.session.0, from = read.from, "records were not read");
                    if matches!(error, StoreError::Damaged) {
                        self.file.reopen();
                    }
                    Input::Unreadable(read.viewer, read.session)
                }
            });
        }
    }
}

/// What has arrived by now goes into one transaction.
fn all_that_wait(first: Vec<Write>, writes: &mpsc::Receiver<Vec<Write>>) -> Vec<Write> {
    let mut batch = first;
    let mut bytes = layout::bytes_of(&batch);
    while bytes < TRANSACTION_BYTES {
        let Ok(more) = writes.try_recv() else { break };
        bytes += layout::bytes_of(&more);
        batch.extend(more);
    }
    batch
}
