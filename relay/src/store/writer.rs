//! The thread that writes: all that waits becomes durable together.
//!
//! ```text
//! Writes ──► gather ──► append to the log of each organization ──► sync them ──► publish ──► Appended, Ended, Enveloped
//!                                  │ failed
//!                                  ▼
//!                                stuck: tried again every second, nothing of it acknowledged; other organizations go on
//! Load   ──► loader ──► Opened
//! ```

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use proto_core::{
    OrgId,
    relay::hub::{Input, Write},
};

use super::{
    Answer, Answers, OpenLogs,
    log::{Appended, OrgLog, Synced},
    root,
};

/// How many bytes of records are made durable at once.
const COMMIT_BYTES: usize = 8 * 1024 * 1024;
/// A commit with less than that is a small one.
const SMALL: usize = 256 * 1024;
/// How long after a small commit the next one begins at the earliest. Records that come alone are durable at once, many small
/// ones together.
const GATHER: Duration = Duration::from_millis(4);
/// How many logs are synced at a time.
const SYNCS: usize = 4;

/// Something for the writer.
#[derive(Debug)]
pub(super) enum Task {
    /// Make these durable.
    Writes(Vec<Write>),
    /// What does this organization have? After all before it.
    Load(OrgId),
    /// Its log is open.
    Opened(Arc<OrgLog>),
    /// Make durable what can be, and end.
    Stop,
}

/// The writer.
pub(super) struct Writer {
    pub(super) tasks: Receiver<Task>,
    pub(super) loads: Sender<OrgId>,
    pub(super) open: Arc<OpenLogs>,
    pub(super) working: Arc<AtomicBool>,
    pub(super) retry_after: Duration,
    pub(super) answers: Answers,
    pub(super) orgs: HashMap<OrgId, Arc<OrgLog>>,
    pub(super) failed: Vec<OrgWrites>,
    /// Organizations of which the hub knows that nothing becomes durable.
    pub(super) failing: HashSet<OrgId>,
}

/// What waits for one organization.
pub(super) struct OrgWrites {
    log: Arc<OrgLog>,
    writes: Vec<Write>,
}

impl Writer {
    pub(super) fn run(mut self) {
        let (mut is_small, mut committed_at, mut failed_at) = (false, None::<Instant>, Instant::now());
        let mut next = None;
        loop {
            let task = match next.take() {
                Some(task) => task,
                None => match self.wait(failed_at) {
                    Ok(task) => task,
                    Err(RecvTimeoutError::Timeout) => {
                        let again = std::mem::take(&mut self.failed);
                        self.commit(again);
                        failed_at = Instant::now();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            match task {
                Task::Writes(writes) => {
                    let pause = committed_at.filter(|_| is_small).map(|at| GATHER.saturating_sub(at.elapsed()));
                    thread::sleep(pause.unwrap_or_default());
                    let (batch, bytes);
                    (batch, bytes, next) = self.gather(writes);
                    let was_working = self.failed.is_empty();
                    let shares = self.sort(batch);
                    self.commit(shares);
                    (is_small, committed_at) = (bytes < SMALL, Some(Instant::now()));
                    if was_working {
                        failed_at = Instant::now();
                    }
                }
                Task::Load(org) => {
                    // The loader lives as long as this sender.
                    let _ = self.loads.send(org);
                }
                Task::Opened(log) => drop(self.orgs.insert(log.org.clone(), log)),
                Task::Stop => break,
            }
        }
        let last = std::mem::take(&mut self.failed);
        self.commit(last);
        for log in self.orgs.values() {
            close(log);
        }
    }

    /// The next task, or that it is time to try again what failed.
    fn wait(&self, failed_at: Instant) -> Result<Task, RecvTimeoutError> {
        if self.failed.is_empty() {
            return self.tasks.recv().map_err(|_| RecvTimeoutError::Disconnected);
        }
        self.tasks.recv_timeout(self.retry_after.saturating_sub(failed_at.elapsed()))
    }

    /// What has arrived by now, how many bytes of records that is, and what comes after it.
    fn gather(&self, first: Vec<Write>) -> (Vec<Write>, usize, Option<Task>) {
        let mut batch = first;
        let mut bytes = bytes_of(&batch);
        while bytes < COMMIT_BYTES {
            match self.tasks.try_recv() {
                Ok(Task::Writes(more)) => {
                    bytes += bytes_of(&more);
                    batch.extend(more);
                }
                Ok(other) => return (batch, bytes, Some(other)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        (batch, bytes, None)
    }

    /// The same by organization. Writes of one that failed before wait with those.
    fn sort(&mut self, batch: Vec<Write>) -> Vec<OrgWrites> {
        let mut shares: Vec<OrgWrites> = Vec::new();
        let mut latest = 0;
        for write in batch {
            let Some(log) = self.log_of(&write) else {
                tracing::error!("records of an organization whose log is not loaded");
                continue;
            };
            if let Write::Session { number, .. } = &write {
                self.open.insert(*number, &log);
            }
            let is_of = |share: &OrgWrites| Arc::ptr_eq(&share.log, &log);
            if let Some(share) = self.failed.iter_mut().find(|share| is_of(share)) {
                share.writes.push(write);
            } else if shares.get(latest).is_some_and(is_of) {
                shares[latest].writes.push(write);
            } else if let Some(at) = shares.iter().position(is_of) {
                shares[at].writes.push(write);
                latest = at;
            } else {
                latest = shares.len();
                shares.push(OrgWrites { log, writes: vec![write] });
            }
        }
        shares
    }

    fn log_of(&self, write: &Write) -> Option<Arc<OrgLog>> {
        match write {
            Write::Credential { org, .. } | Write::Session { org, .. } => self.orgs.get(org).cloned(),
            Write::Record { number, .. }
            | Write::Envelope { number, .. }
            | Write::End { number, .. }
            | Write::Remove { number } => self.open.log_of(*number),
        }
    }

    /// Makes these durable and says so; what fails is tried again.
    fn commit(&mut self, shares: Vec<OrgWrites>) {
        let now = root::now();
        let (mut appended, mut failed) = (Vec::with_capacity(shares.len()), Vec::new());
        for share in shares {
            match share.log.append(&share.writes, now) {
                Ok(written) => appended.push((share, written)),
                Err(error) => failed.push((share, error)),
            }
        }
        let synced = sync(&appended);
        for ((share, written), synced) in appended.into_iter().zip(synced) {
            match synced {
                Ok(synced) => {
                    share.log.publish(written, synced).into_iter().for_each(|answer| (self.answers)(Answer::Hub(answer)));
                    if self.failing.remove(&share.log.org) {
                        (self.answers)(Answer::Hub(Input::Storing(share.log.org.clone(), true)));
                    }
                    self.forget(&share.writes);
                }
                Err(error) => failed.push((share, error)),
            }
        }
        for (share, error) in failed {
            tracing::error!(%error, org = %share.log.org, "records were not written, trying again");
            if self.failing.insert(share.log.org.clone()) {
                (self.answers)(Answer::Hub(Input::Storing(share.log.org.clone(), false)));
            }
            self.failed.push(share);
        }
        self.working.store(self.failed.is_empty(), Ordering::Relaxed);
    }

    /// Sessions that are gone are not found any more.
    fn forget(&self, written: &[Write]) {
        for write in written {
            if let Write::Remove { number } = write {
                self.open.remove(*number);
            }
        }
    }
}

/// Syncs each of them, several at a time: the file system makes them durable together.
fn sync(appended: &[(OrgWrites, Appended)]) -> Vec<io::Result<Synced>> {
    if let [(_, only)] = appended {
        return vec![only.sync()];
    }
    let part = appended.len().div_ceil(SYNCS).max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = appended
            .chunks(part)
            .map(|part| scope.spawn(|| part.iter().map(|(_, written)| written.sync()).collect::<Vec<_>>()))
            .collect();
        let failed = |_| vec![Err(io::ErrorKind::Other.into())];
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(failed)).collect()
    })
}

/// The bytes of the records among these.
fn bytes_of(writes: &[Write]) -> usize {
    let bodies = writes.iter().map(|write| match write {
        Write::Record { record, .. } => record.body.len(),
        _ => 0,
    });
    bodies.sum()
}

/// Nothing is lost when this fails: what is there was durable before.
fn close(log: &OrgLog) {
    if let Err(error) = log.close() {
        tracing::warn!(%error, org = %log.org, "the log of an organization was not closed in order");
    }
}
