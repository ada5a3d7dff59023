//! The thread that opens the logs of organizations when a member connects, and meanwhile looks for sessions that have to leave.

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
    Answer, Answers, OpenLogs, Retention, StoreError, Tuning,
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
    pub(super) numbers: Arc<OpenLogs>,
    /// What other organizations had when they were looked at last, where the relay has a limit for all of them.
    pub(super) others: HashMap<OrgId, u64>,
}

impl Loader {
    pub(super) fn run(mut self) {
        let (mut swept_at, mut round) = (Instant::now(), 0);
        loop {
            match self.wanted.recv_timeout(self.tuning.sweep_every.saturating_sub(swept_at.elapsed())) {
                Ok(org) => self.load(org),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = self.sweep(round % ALL_EVERY == 0) {
                        tracing::error!(%error, "cannot evict ended sessions");
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

    /// Looks who has to leave, of the organizations that are loaded or of all. What is wrong with one of them does not keep the
    /// others from it, and a request for one meanwhile does not wait.
    ///
    /// # Errors
    /// It cannot be seen which organizations there are.
    pub(super) fn sweep(&mut self, is_of_all: bool) -> Result<(), StoreError> {
        let logs = self.root.logs();
        let here = root::orgs(&logs).map_err(|error| StoreError::Files { path: logs, error })?;
        if is_of_all {
            self.weigh_others(&here);
        }
        let limit = [self.share(), self.retention.org_bytes].into_iter().flatten().min();
        for org in here {
            self.serve();
            let swept = match self.open.get(&org).cloned() {
                Some(log) => self.sweep_loaded(&log, limit),
                None if is_of_all => self.sweep_other(&org, limit),
                None => Ok(()),
            };
            if let Err(error) = swept {
                tracing::error!(%error, %org, "cannot evict ended sessions of this organization");
            }
        }
        Ok(())
    }

    /// Loads what is asked for by now.
    fn serve(&mut self) {
        while let Ok(org) = self.wanted.try_recv() {
            self.load(org);
        }
    }

    /// What organizations that are not loaded have.
    pub(super) fn weigh_others(&mut self, here: &[OrgId]) {
        self.others.clear();
        if self.retention.bytes.is_none() {
            return;
        }
        for org in here.iter().filter(|org| !self.open.contains_key(org)) {
            // One that cannot be read is told of when it is swept.
            self.others.extend(self.read(org).map(|log| (org.clone(), log.bytes())));
        }
    }

    /// How much each organization may have, so that the relay keeps its limit.
    fn share(&self) -> Option<u64> {
        let loaded = self.open.values().map(|log| log.bytes());
        let others = self.others.iter().filter(|(org, _)| !self.open.contains_key(org)).map(|(_, bytes)| *bytes);
        Some(retention::share(loaded.chain(others).collect(), self.retention.bytes?))
    }

    fn leaving(&self, log: &OrgLog, limit: Option<u64>) -> Vec<SessionNumber> {
        retention::leaving(log.held(), self.retention.age, limit, root::now())
    }

    /// The hub decides about the sessions that it knows.
    fn sweep_loaded(&mut self, log: &OrgLog, limit: Option<u64>) -> Result<(), StoreError> {
        let leaving = self.leaving(log, limit);
        if !leaving.is_empty() {
            (self.answers)(Answer::Leaving(leaving));
        }
        log.compact(|| {
            self.serve();
            true
        })
    }

    /// This thread alone writes to the log until the organization is loaded; from then on it does not.
    fn sweep_other(&mut self, org: &OrgId, limit: Option<u64>) -> Result<(), StoreError> {
        let log = self.read(org)?;
        let failed = |error| StoreError::Files { path: self.root.logs(), error };
        let removals: Vec<_> = self.leaving(&log, limit).into_iter().map(|number| Write::Remove { number }).collect();
        if !removals.is_empty() {
            log.make_durable(&removals, root::now()).map_err(failed)?;
        }
        log.close().map_err(failed)?;
        if self.retention.bytes.is_some() {
            self.others.insert(org.clone(), log.bytes());
        }
        log.compact(|| {
            self.serve();
            !self.open.contains_key(org)
        })
    }
}
