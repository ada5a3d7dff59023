//! The log of one organization: a directory of segments, of which the last is appended to.
//!
//! One writer appends and publishes; readers look up where something is, under a lock that is held for the look-up only, and read
//! the files by themselves.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use proto_core::{
    OrgId,
    relay::hub::{Input, SessionNumber, StoredSession, Write},
};

use super::{
    StoreError,
    batch::Batch,
    catalog::Catalog,
    compact::LiveSet,
    contents::{RecordOffset, SegmentIndex},
    retention::EvictionCandidate,
    scan::{LastCommit, scan},
    segment::{self, ENTRIES, LogSegment},
};
use crate::files;

/// The log of one organization.
#[derive(Debug)]
pub(super) struct OrgLog {
    pub(super) org: OrgId,
    dir: PathBuf,
    segment_bytes: u32,
    stock: RwLock<Index>,
    end: Mutex<End>,
}

/// What readers see.
#[derive(Debug, Default)]
struct Index {
    catalog: Catalog,
    /// Segments that are full. What they hold is in memory only where their seal is broken.
    sealed: BTreeMap<u32, Option<Arc<SegmentIndex>>>,
    active: Option<(Arc<LogSegment>, SegmentIndex)>,
}

/// Where the writer goes on.
#[derive(Debug)]
struct End {
    /// In the active segment.
    at: u32,
    /// The number of the segment after it.
    next_segment: u32,
    /// Whether all that was written is durable and known to be so.
    is_closed: bool,
}

/// What was appended, and counts once it is durable.
#[derive(Debug)]
pub(super) struct Appended {
    segment: Arc<LogSegment>,
    end: u32,
    contents: SegmentIndex,
}

/// Proof that a sync returned: nothing is published without it.
#[derive(Debug)]
pub(super) struct Synced(());

/// Where a record is.
#[derive(Debug)]
pub(super) enum RecordLocation {
    /// In the active segment, behind this place and before this end.
    Active(Arc<LogSegment>, RecordOffset, u32),
    /// In a sealed one; what it holds, when that is not in its file.
    Sealed(u32, Option<Arc<SegmentIndex>>),
}

impl OrgLog {
    /// Opens what is in a directory; a torn end is cut off. Without a directory it is empty.
    ///
    /// # Errors
    /// The directory, or a file in it, cannot be read. Damage is no error: what is left counts, and the log of the relay tells.
    pub(super) fn open(dir: PathBuf, org: OrgId, segment_bytes: u32) -> Result<Self, StoreError> {
        let numbers = segments_in(&dir).map_err(|error| StoreError::Files { path: dir.clone(), error })?;
        let last = numbers.last().copied();
        let mut stock = Index::default();
        let mut end = End { at: ENTRIES, next_segment: last.map_or(0, |last| last + 1), is_closed: true };
        for number in numbers {
            let path = segment::path_of(&dir, number);
            match LogSegment::open(path.clone(), &org, number) {
                Ok(segment) => stock.take(segment, Some(number) == last, &mut end)?,
                Err(_) if Some(number) == last && segment::is_unfinished(&path) => end.next_segment = number,
                Err(error) => tracing::error!(%error, %org, "skipping an unreadable segment"),
            }
        }
        Ok(Self { org, dir, segment_bytes, stock: RwLock::new(stock), end: Mutex::new(end) })
    }

    /// Its sessions.
    pub(super) fn sessions(&self) -> Vec<StoredSession> {
        self.read_stock().catalog.sessions(&self.org)
    }

    /// Their numbers.
    pub(super) fn numbers(&self) -> Vec<SessionNumber> {
        self.read_stock().catalog.numbers().collect()
    }

    /// Its sessions, as far as it matters who leaves.
    pub(super) fn held(&self) -> Vec<EvictionCandidate> {
        self.read_stock().catalog.held()
    }

    /// What the records and envelopes of all of them take.
    pub(super) fn bytes(&self) -> u64 {
        self.read_stock().catalog.bytes()
    }

    /// What of its segments is needed on.
    pub(super) fn needed(&self) -> LiveSet {
        self.read_stock().catalog.needed()
    }

    /// The segments that are sealed, and what they hold where that is not in their files.
    pub(super) fn sealed(&self) -> BTreeMap<u32, Option<Arc<SegmentIndex>>> {
        self.read_stock().sealed.clone()
    }

    /// A sealed segment was written anew, or is gone.
    pub(super) fn replaced(&self, number: u32, is_kept: bool) {
        let mut stock = self.stock.write().unwrap_or_else(PoisonError::into_inner);
        if is_kept { drop(stock.sealed.insert(number, None)) } else { drop(stock.sealed.remove(&number)) }
    }

    /// Where to read this record.
    pub(super) fn spot(&self, session: SessionNumber, sequence: u64) -> Option<RecordLocation> {
        let stock = self.read_stock();
        let number = stock.catalog.segment(session, sequence)?;
        match &stock.active {
            Some((segment, contents)) if segment.number == number => {
                let run = contents.runs.get(&session.0)?;
                Some(RecordLocation::Active(Arc::clone(segment), run.place(sequence)?, run.end))
            }
            _ => Some(RecordLocation::Sealed(number, stock.sealed.get(&number)?.clone())),
        }
    }

    /// Opens a sealed segment, and says what it holds.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub(super) fn open_sealed(
        &self,
        number: u32,
        known: Option<Arc<SegmentIndex>>,
    ) -> Result<(LogSegment, Arc<SegmentIndex>), StoreError> {
        let segment = LogSegment::open(segment::path_of(&self.dir, number), &self.org, number)?;
        let contents = match known {
            Some(contents) => contents,
            None => Arc::new(contents_of(&segment).map_err(|error| StoreError::Files { path: segment.path.clone(), error })?),
        };
        Ok((segment, contents))
    }

    /// Writes these behind all that is there. They are durable once [`Appended::sync`] has worked; without it, the next ones are
    /// written over them.
    ///
    /// # Errors
    /// They could not be written.
    pub(super) fn append(&self, writes: &[Write], now: u64) -> io::Result<Appended> {
        let mut end = self.lock_end();
        let segment = self.active(&mut end)?;
        let batch = Batch::of(writes, &self.read_stock().catalog, segment.marker, end.at, now);
        end.is_closed = false;
        write(batch, segment, end.at)
    }

    /// They are durable: from now on they count. What the hub is to be told.
    pub(super) fn publish(&self, appended: Appended, _: Synced) -> Vec<Input> {
        let Appended { segment, end, contents } = appended;
        let grown = contents.runs.iter().map(|(number, run)| Input::Appended(SessionNumber(*number), run.next));
        let ended = contents.ends.keys().map(|number| Input::Ended(SessionNumber(*number)));
        let enveloped = contents.envelopes.keys().map(|number| Input::Enveloped(SessionNumber(*number)));
        let answers = grown.chain(ended).chain(enveloped).collect();
        self.lock_end().at = end;
        let mut stock = self.stock.write().unwrap_or_else(PoisonError::into_inner);
        stock.catalog.absorb(segment.number, &contents);
        if let Some((_, known)) = &mut stock.active {
            known.follow(contents);
        }
        answers
    }

    /// Writes these and makes them durable: for a log that no writer has.
    ///
    /// # Errors
    /// They are not.
    pub(super) fn make_durable(&self, writes: &[Write], now: u64) -> io::Result<()> {
        let appended = self.append(writes, now)?;
        let synced = appended.sync()?;
        self.publish(appended, synced);
        Ok(())
    }

    /// Notes in the file that all of it is durable, so that nothing of it can pass for torn.
    ///
    /// # Errors
    /// It could not be written; nothing is lost.
    pub(super) fn close(&self) -> io::Result<()> {
        let mut end = self.lock_end();
        let active = self.read_stock().active.as_ref().map(|(segment, _)| Arc::clone(segment));
        let Some(segment) = active.filter(|_| !end.is_closed) else { return Ok(()) };
        let appended = write(Batch::close(segment.marker, end.at), segment, end.at)?;
        appended.sync()?;
        (end.at, end.is_closed) = (appended.end, true);
        Ok(())
    }

    /// The segment that is written to: another one, when there is none or it is full.
    fn active(&self, end: &mut End) -> io::Result<Arc<LogSegment>> {
        let active = self.read_stock().active.as_ref().map(|(segment, _)| Arc::clone(segment));
        match active {
            Some(segment) if end.at < self.segment_bytes => return Ok(segment),
            Some(segment) => self.seal(&segment, end.at)?,
            None => {}
        }
        self.make_dir()?;
        let number = end.next_segment;
        let segment = Arc::new(LogSegment::create(segment::path_of(&self.dir, number), &self.org, number)?);
        segment::sync_dir(&self.dir)?;
        (end.at, end.next_segment) = (ENTRIES, number + 1);
        let mut stock = self.stock.write().unwrap_or_else(PoisonError::into_inner);
        stock.active = Some((Arc::clone(&segment), SegmentIndex::default()));
        Ok(segment)
    }

    fn seal(&self, segment: &LogSegment, end: u32) -> io::Result<()> {
        if let Some((_, contents)) = &self.read_stock().active {
            segment.seal(end, contents)?;
        }
        let mut stock = self.stock.write().unwrap_or_else(PoisonError::into_inner);
        stock.active = None;
        stock.sealed.insert(segment.number, None);
        Ok(())
    }

    fn make_dir(&self) -> io::Result<()> {
        if self.dir.is_dir() {
            return Ok(());
        }
        files::make_private_dir(&self.dir)?;
        self.dir.parent().map_or(Ok(()), segment::sync_dir)
    }

    fn read_stock(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.stock.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Appended {
    /// Makes it durable.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn sync(&self) -> io::Result<Synced> {
        self.segment.file.sync_data()?;
        Ok(Synced(()))
    }
}

impl Index {
    /// A segment that is there already.
    fn take(&mut self, segment: LogSegment, is_last: bool, end: &mut End) -> Result<(), StoreError> {
        let failed = |error| StoreError::Files { path: segment.path.clone(), error };
        if let Some(contents) = segment.contents().map_err(failed)? {
            self.catalog.absorb(segment.number, &contents);
            self.sealed.insert(segment.number, None);
            return Ok(());
        }
        let scan = scan(&segment, if is_last { LastCommit::Torn } else { LastCommit::Durable }).map_err(failed)?;
        if scan.damaged > 0 {
            tracing::error!(bytes = scan.damaged, segment = %segment.path.display(), "records are damaged");
        }
        self.catalog.absorb(segment.number, &scan.contents);
        if is_last {
            segment.file.set_len(scan.end.into()).map_err(failed)?;
            end.at = scan.end;
            self.active = Some((Arc::new(segment), scan.contents));
        } else {
            self.sealed.insert(segment.number, Some(Arc::new(scan.contents)));
        }
        Ok(())
    }
}

fn contents_of(segment: &LogSegment) -> io::Result<SegmentIndex> {
    match segment.contents()? {
        Some(contents) => Ok(contents),
        None => Ok(scan(segment, LastCommit::Durable)?.contents),
    }
}

fn write(batch: Batch<'_>, segment: Arc<LogSegment>, at: u32) -> io::Result<Appended> {
    if let Err(error) = batch.write_to(&segment.file) {
        // Makes room again where the disk is full; what is left is written over.
        let _ = segment.file.set_len(at.into());
        return Err(error);
    }
    Ok(Appended { segment, end: batch.end(), contents: batch.into_contents() })
}

/// The numbers of the segments in a directory, in their order.
fn segments_in(dir: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        numbers.extend(entry?.file_name().to_str().and_then(segment::number_of));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
