//! The thread that opens the logs of organizations when somebody comes who asks for them, and meanwhile looks who has to leave.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Instant,
};

use proto_core::{
    OrgId,
    relay::hub::{SessionNumber, Write},
};

use super::{
    Answer, Answers, Open, Retention, StoreError, Tuning,
    log::OrgLog,
    retention,
    root::{self, Root},
    writer::Task,
};

/// In each of so many rounds organizations that are not loaded are looked at too.
const ALL_EVERY: u64 = 60;

/// The loader.
pub(super) struct Loader {
    pub(super) root: Root,
    pub(super) retention: Retention,
    pub(super) tuning: Tuning,
    pub(super) wanted: Receiver<OrgId>,
    pub(super) writer: Sender<Task>,
    pub(super) answers: Answers,
    /// The logs that are open, by their organizations, and by the numbers of their sessions.
    pub(super) open: HashMap<OrgId, Arc<OrgLog>>,
    pub(super) numbers: Arc<Open>,
}

impl Loader {
    pub(super) fn run(mut self) {
        let (mut swept_at, mut round) = (Instant::now(), 0);
        loop {
            match self.wanted.recv_timeout(self.tuning.sweep_every.saturating_sub(swept_at.elapsed())) {
                Ok(org) => self.load(org),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.sweep(round % ALL_EVERY == 0) {
                        tracing::error!(%error, "sessions that have ended cannot leave");
                    }
                    (swept_at, round) = (Instant::now(), round + 1);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Opens a log, and says what it has.
    pub(super) fn load(&mut self, org: OrgId) {
        let loaded = self.read(&org).map(|log| {
            let (sessions, log) = (log.sessions(), Arc::new(log));
            self.open.insert(org.clone(), Arc::clone(&log));
            // Reader and writer know it before anything for it can come.
            self.numbers.add(&log);
            let _ = self.writer.send(Task::Opened(log));
            sessions
        });
        (self.answers)(Answer::Loaded(org, loaded));
    }

    fn read(&self, org: &OrgId) -> Result<OrgLog, StoreError> {
        OrgLog::open(root::dir_of(&self.root.logs(), org), org.clone(), self.tuning.segment_bytes)
    }

    /// Looks who has to leave, of the organizations that are loaded or of all. Between two of them, others are loaded.
    ///
    /// # Errors
    /// Something could not be read or written; it is tried again.
    pub(super) fn sweep(&mut self, is_of_all: bool) -> Result<(), StoreError> {
        let logs = self.root.logs();
        let failed = |error| StoreError::Files { path: logs.clone(), error };
        let here = root::orgs(&logs).map_err(failed)?;
        let orgs: Vec<_> = here.into_iter().filter(|org| is_of_all || self.open.contains_key(org)).collect();
        let share = self.share(&orgs)?;
        let limit = [share, self.retention.org_bytes].into_iter().flatten().min();
        for org in orgs {
            while let Ok(other) = self.wanted.try_recv() {
                self.load(other);
            }
            match self.open.get(&org) {
                Some(log) => self.sweep_loaded(log, limit)?,
                None => self.sweep_other(&self.read(&org)?, limit)?,
            }
        }
        Ok(())
    }

    /// How much each of these may have, so that the relay keeps its limit.
    fn share(&self, orgs: &[OrgId]) -> Result<Option<u64>, StoreError> {
        let Some(limit) = self.retention.bytes else { return Ok(None) };
        let mut totals = Vec::new();
        for org in orgs {
            totals.push(match self.open.get(org) {
                Some(log) => log.bytes(),
                None => self.read(org)?.bytes(),
            });
        }
        Ok(Some(retention::share(totals, limit)))
    }

    fn leaving(&self, log: &OrgLog, limit: Option<u64>) -> Vec<SessionNumber> {
        retention::leaving(log.held(), self.retention.age, limit, root::now())
    }

    /// The hub has the last word about sessions that it knows.
    fn sweep_loaded(&self, log: &OrgLog, limit: Option<u64>) -> Result<(), StoreError> {
        let leaving = self.leaving(log, limit);
        if !leaving.is_empty() {
            (self.answers)(Answer::Leaving(leaving));
        }
        log.compact()
    }

    fn sweep_other(&self, log: &OrgLog, limit: Option<u64>) -> Result<(), StoreError> {
        let removals: Vec<_> = self.leaving(log, limit).into_iter().map(|number| Write::Remove { number }).collect();
        if !removals.is_empty() {
            log.make_durable(&removals, root::now()).map_err(|error| StoreError::Files { path: self.root.logs(), error })?;
        }
        log.compact()?;
        log.close().map_err(|error| StoreError::Files { path: self.root.logs(), error })
    }
}
