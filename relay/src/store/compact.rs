//! Frees the space of sessions that are gone: a sealed segment of which half or more is not needed is written anew without that,
//! and takes the place of the old one by a rename. Readers that have the old one open go on with it.

use std::{
    collections::BTreeSet,
    io::{self, BufWriter, Seek as _, SeekFrom, Write as _},
};

use proto_core::PlatformId;

use super::{
    StoreError,
    contents::SegmentIndex,
    entry::{EntryHeader, HEAD, Kind},
    log::OrgLog,
    scan,
    segment::{self, ENTRIES, LogSegment},
};

/// What a session, an end and a credential take, about.
const SMALL_ENTRY: u64 = 128;

/// What of a log is needed on.
#[derive(Debug, Default)]
pub(super) struct LiveSet {
    /// Sessions that are there.
    pub(super) sessions: BTreeSet<u64>,
    /// Runtime targets that have some.
    pub(super) targets: BTreeSet<PlatformId>,
    /// Sessions that are gone and begin in an earlier segment that is kept: that they are gone has to be kept too.
    pub(super) begun: BTreeSet<u64>,
    /// An earlier segment that is kept cannot be read, so any session may begin there.
    pub(super) is_blind: bool,
}

impl LiveSet {
    fn has(&self, head: &EntryHeader, body: &[u8]) -> bool {
        match head.kind {
            Kind::Session | Kind::Record | Kind::End | Kind::Envelope => self.sessions.contains(&head.number),
            Kind::Credential => {
                postcard::take_from_bytes::<PlatformId>(body).is_ok_and(|(target, _)| self.targets.contains(&target))
            }
            Kind::Removal => self.has_removal(head.number),
            Kind::Close => false,
        }
    }

    /// How many bytes of a segment are needed, about.
    fn weight(&self, contents: &SegmentIndex) -> u64 {
        let records = contents.runs.iter().filter(|(number, _)| self.sessions.contains(number)).map(|(_, run)| run.bytes);
        let envelopes = contents.envelopes.iter().filter(|(number, _)| self.sessions.contains(number));
        let envelopes = envelopes.map(|(_, envelope)| (HEAD + envelope.len()) as u64);
        let small = contents.sessions.keys().chain(contents.ends.keys()).filter(|number| self.sessions.contains(number)).count()
            + contents.credentials.keys().filter(|target| self.targets.contains(target)).count()
            + contents.removed.iter().filter(|number| self.has_removal(**number)).count();
        records.chain(envelopes).sum::<u64>() + SMALL_ENTRY * small as u64
    }

    /// Whether something of it is not needed.
    fn lacks_some(&self, contents: &SegmentIndex) -> bool {
        let mut numbers =
            contents.sessions.keys().chain(contents.ends.keys()).chain(contents.runs.keys()).chain(contents.envelopes.keys());
        numbers.any(|number| !self.sessions.contains(number)) || contents.removed.iter().any(|number| !self.has_removal(*number))
    }

    fn has_removal(&self, number: u64) -> bool {
        self.is_blind || self.begun.contains(&number)
    }
}

impl OrgLog {
    /// Writes those segments anew that are half of sessions that are gone. After each it is asked whether to go on.
    ///
    /// # Errors
    /// A segment could not be written; the old one is still there.
    pub(super) fn compact(&self, mut goes_on: impl FnMut() -> bool) -> Result<(), StoreError> {
        let (mut needed, sealed) = (self.needed(), self.sealed());
        for (number, known) in sealed {
            match self.open_sealed(number, known) {
                Ok((old, contents)) => self.compact_one(&old, &contents, &mut needed)?,
                Err(error) => {
                    tracing::error!(%error, org = %self.org, "a segment of records cannot be made smaller");
                    needed.is_blind = true;
                }
            }
            if !goes_on() {
                break;
            }
        }
        Ok(())
    }

    fn compact_one(&self, old: &LogSegment, contents: &SegmentIndex, needed: &mut LiveSet) -> Result<(), StoreError> {
        let failed = |error| StoreError::Files { path: old.path.clone(), error };
        let length = old.file.metadata().map_err(failed)?.len();
        if needed.lacks_some(contents) && 2 * needed.weight(contents) <= length {
            return self.replace(old, needed).map_err(failed);
        }
        needed.begun.extend(contents.sessions.keys().filter(|number| !needed.sessions.contains(number)));
        Ok(())
    }

    fn replace(&self, old: &LogSegment, needed: &LiveSet) -> io::Result<()> {
        let path = old.path.with_extension("new");
        let new = LogSegment::create(path.clone(), &self.org, old.number)?;
        let contents = copy(old, &new, needed)?;
        if contents == SegmentIndex::default() {
            segment::remove(&path)?;
            segment::remove(&old.path)?;
        } else {
            std::fs::rename(&path, &old.path)?;
        }
        if let Some(dir) = old.path.parent() {
            segment::sync_dir(dir)?;
        }
        self.replaced(old.number, contents != SegmentIndex::default());
        Ok(())
    }
}

/// Copies what is needed, and seals it.
fn copy(old: &LogSegment, new: &LogSegment, needed: &LiveSet) -> io::Result<SegmentIndex> {
    let (mut contents, mut at) = (SegmentIndex::default(), ENTRIES);
    let mut file = &new.file;
    file.seek(SeekFrom::Start(ENTRIES.into()))?;
    let mut to = BufWriter::with_capacity(1024 * 1024, file);
    scan::each(old, |head, body| {
        if needed.has(head, body) {
            let head = EntryHeader { batch: ENTRIES, ..*head };
            to.write_all(&head.encode(new.marker))?;
            to.write_all(body)?;
            contents.note(&head, at, body);
            at = at.saturating_add(u32::try_from(head.whole()).unwrap_or(u32::MAX));
        }
        Ok(())
    })?;
    to.flush()?;
    drop(to);
    new.seal(at, &contents)?;
    Ok(contents)
}
