//! The store of versions up to 0.1.0, a redb file: taken over at the first start.
//!
//! ```text
//! meta         "layout"              → 1
//! sessions     number                → postcard: org, session, target, cipher, ended
//! credentials  org, target           → the token
//! records      number, first         → a chunk: records from that sequence on
//!
//! chunk        epoch (4 bytes, big-endian) ‖ length (4 bytes, big-endian) ‖ sealed body, and so on
//! ```
//!
//! Everything is copied into logs beside those of the store, which take their place by one rename when all of it is durable; only
//! then is the file removed. Whatever interrupts this, the next start does it again or has it done.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use bytes::Bytes;
use proto_core::{
    OrgId, PlatformId, SessionId,
    relay::hub::{SealedRecord, SessionNumber, Write},
    secret::SecretText,
    wire::Outcome,
};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::{
    SEGMENT_BYTES, StoreError,
    log::OrgLog,
    root::{self, Root},
    segment,
};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const SESSIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sessions");
const CREDENTIALS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("credentials");
const RECORDS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("records");

const LAYOUT: u64 = 1;
/// What redb keeps of the file in memory.
const CACHE: usize = 16 * 1024 * 1024;
/// How much is copied before it is made durable.
const COMMIT_BYTES: usize = 8 * 1024 * 1024;
/// Epoch and length.
const RECORD_HEAD: usize = 8;

type Fault = Box<dyn std::error::Error + Send + Sync>;

#[derive(Serialize, Deserialize)]
struct SessionRow {
    org: OrgId,
    session: SessionId,
    target: PlatformId,
    cipher: u8,
    ended: Option<Outcome>,
}

/// Takes over the records of an earlier version, when there are any.
///
/// # Errors
/// They cannot be read, or not be written; they are as they were.
pub(super) fn take_over(root: &Root) -> Result<(), StoreError> {
    let path = root.former();
    let done = || -> Result<(), Fault> {
        if path.exists() && !root.logs().exists() {
            copy_all(root)?;
        }
        Ok(segment::remove(&path)?)
    };
    // redb panics on damaged pages (F28).
    let done = catch_unwind(AssertUnwindSafe(done)).unwrap_or_else(|_| Err("it is damaged".into()));
    done.map_err(|error| StoreError::Former { path: root.former(), error })
}

fn copy_all(root: &Root) -> Result<(), Fault> {
    let unfinished = root.unfinished_logs();
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    crate::files::make_private_dir(&unfinished)?;
    tracing::info!("the records of an earlier version are taken over");
    copy(&root.former(), &unfinished)?;
    segment::sync_dir(&unfinished)?;
    fs::rename(&unfinished, root.logs())?;
    segment::sync_dir(root.dir())?;
    tracing::info!("import of the former store finished");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    let database = Database::builder().set_cache_size(CACHE).open(from)?;
    let former = database.begin_read()?;
    if former.open_table(META)?.get("layout")?.is_none_or(|layout| layout.value() != LAYOUT) {
        return Err("unsupported layout version".into());
    }
    let mut log: Option<OrgLog> = None;
    for (number, row) in sessions(&former)? {
        if log.as_ref().is_none_or(|log| log.org != row.org) {
            close(log.as_ref())?;
            log = Some(OrgLog::open(root::dir_of(to, &row.org), row.org.clone(), SEGMENT_BYTES)?);
        }
        if let Some(log) = &log {
            copy_session(&former, log, number, row)?;
        }
    }
    Ok(close(log.as_ref())?)
}

fn close(log: Option<&OrgLog>) -> io::Result<()> {
    log.map_or(Ok(()), OrgLog::close)
}

/// All sessions, those of an organization together.
fn sessions(former: &ReadTransaction) -> Result<Vec<(SessionNumber, SessionRow)>, Fault> {
    let mut sessions = Vec::new();
    for row in former.open_table(SESSIONS)?.iter()? {
        let (number, row) = row?;
        sessions.push((SessionNumber(number.value()), postcard::from_bytes::<SessionRow>(row.value())?));
    }
    sessions.sort_by(|(a, left), (b, right)| (&left.org, a).cmp(&(&right.org, b)));
    Ok(sessions)
}

fn copy_session(former: &ReadTransaction, log: &OrgLog, number: SessionNumber, row: SessionRow) -> Result<(), Fault> {
    let SessionRow { org, session, target, cipher, ended } = row;
    let mut writes = Vec::new();
    if let Some(credential) = former.open_table(CREDENTIALS)?.get((org.as_str(), target.as_str()))? {
        let credential = SecretText::new(credential.value());
        writes.push(Write::Credential { org: org.clone(), target: target.clone(), credential });
    }
    writes.push(Write::Session { number, org, session, target, cipher });
    let (mut sequence, mut bytes) = (0, 0);
    for chunk in former.open_table(RECORDS)?.range((number.0, 0)..=(number.0, u64::MAX))? {
        let (key, chunk) = chunk?;
        // After a chunk that lost records their places would be wrong.
        sequence = sequence.max(key.value().1);
        for (epoch, body) in Chunk(chunk.value()) {
            bytes += body.len();
            let record = SealedRecord { epoch, body: Bytes::copy_from_slice(body) };
            writes.push(Write::Record { number, sequence, record });
            sequence += 1;
        }
        if bytes >= COMMIT_BYTES {
            log.make_durable(&std::mem::take(&mut writes), root::now())?;
            bytes = 0;
        }
    }
    writes.extend(ended.map(|outcome| Write::End { number, outcome }));
    Ok(log.make_durable(&writes, root::now())?)
}

/// A stored chunk, as an iterator over where its records are: epoch and range of the body.
struct Chunk<'a>(&'a [u8]);

impl<'a> Iterator for Chunk<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.0.split_first_chunk::<RECORD_HEAD>()?;
        let [e0, e1, e2, e3, l0, l1, l2, l3] = *head;
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).ok()?;
        let (body, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((u32::from_be_bytes([e0, e1, e2, e3]), body))
    }
}
