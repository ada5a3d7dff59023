//! What stands in the database.
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
//! A chunk holds what one session had for one commit, up to [`CHUNK_BYTES`]: under load a record costs little more than its
//! bytes, and a record that comes alone is durable alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use proto_core::{
    GivenId, OrgId, SessionId,
    relay::hub::{Input, Read, Records, SealedRecord, SessionNumber, StoredSession, Write},
    secret::SecretText,
    wire::Outcome,
};
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::StoreError;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const SESSIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sessions");
const CREDENTIALS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("credentials");
const RECORDS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("records");

const LAYOUT: u64 = 1;
/// A chunk is closed when it holds that much.
const CHUNK_BYTES: usize = 64 * 1024;
/// Epoch and length.
const RECORD_HEAD: usize = 8;

#[derive(Serialize, Deserialize)]
struct SessionRow {
    org: OrgId,
    session: SessionId,
    target: GivenId,
    cipher: u8,
    ended: Option<Outcome>,
}

/// The bytes of the records among these.
pub(super) fn bytes_of(writes: &[Write]) -> usize {
    let bodies = writes.iter().map(|write| match write {
        Write::Record { record, .. } => record.body.len(),
        _ => 0,
    });
    bodies.sum()
}

/// Every session; makes the tables when they are not there.
pub(super) fn sessions(database: &Database) -> Result<Vec<StoredSession>, StoreError> {
    let transaction = database.begin_write()?;
    let found = {
        let mut meta = transaction.open_table(META)?;
        let layout = meta.insert("layout", LAYOUT)?.map(|layout| layout.value());
        if layout.is_some_and(|layout| layout != LAYOUT) {
            return Err(StoreError::Layout("its layout is of a newer version"));
        }
        let sessions = transaction.open_table(SESSIONS)?;
        let credentials = transaction.open_table(CREDENTIALS)?;
        let records = transaction.open_table(RECORDS)?;
        let rows = sessions.iter()?.map(|row| {
            let (number, row) = row?;
            stored(number.value(), row.value(), &credentials, &records)
        });
        rows.collect::<Result<_, StoreError>>()?
    };
    transaction.commit()?;
    Ok(found)
}

fn stored(
    number: u64,
    row: &[u8],
    credentials: &impl ReadableTable<(&'static str, &'static str), &'static str>,
    records: &impl ReadableTable<(u64, u64), &'static [u8]>,
) -> Result<StoredSession, StoreError> {
    let SessionRow { org, session, target, cipher, ended } = decode_row(row)?;
    let credential = credentials.get((org.as_str(), target.as_str()))?;
    let credential = credential.ok_or(StoreError::Layout("a session without its daemon's credential"))?;
    let next = match records.range((number, 0)..=(number, u64::MAX))?.next_back() {
        Some(chunk) => {
            let (key, chunk) = chunk?;
            key.value().1.saturating_add(Chunk(chunk.value()).count() as u64)
        }
        None => 0,
    };
    let credential = SecretText::new(credential.value());
    Ok(StoredSession { number: SessionNumber(number), org, session, target, cipher, credential, next, ended })
}

fn decode_row(row: &[u8]) -> Result<SessionRow, StoreError> {
    postcard::from_bytes(row).map_err(|_| StoreError::Layout("a session"))
}

/// Makes the writes durable, in one transaction, and says what the hub is to be told.
pub(super) fn commit(database: &Database, writes: &[Write]) -> Result<Vec<Input>, StoreError> {
    let mut transaction = database.begin_write()?;
    // After a kill the store opens at once, whatever its size.
    transaction.set_quick_repair(true);
    let answers = apply(&transaction, writes)?;
    transaction.commit()?;
    Ok(answers)
}

fn apply(transaction: &WriteTransaction, writes: &[Write]) -> Result<Vec<Input>, StoreError> {
    let mut sessions = transaction.open_table(SESSIONS)?;
    let mut credentials = transaction.open_table(CREDENTIALS)?;
    let mut records = transaction.open_table(RECORDS)?;
    let mut open: BTreeMap<SessionNumber, OpenChunk> = BTreeMap::new();
    let mut ended = Vec::new();
    for write in writes {
        match write {
            Write::Record { number, sequence, record } => {
                let chunk = open.entry(*number).or_insert_with(|| OpenChunk::new(*sequence));
                chunk.push(record);
                if chunk.bytes.len() >= CHUNK_BYTES {
                    chunk.close(*number, &mut records)?;
                }
            }
            Write::Session { number, org, session, target, cipher } => {
                let (org, target) = (org.clone(), target.clone());
                let row = SessionRow { org, session: *session, target, cipher: *cipher, ended: None };
                put_row(&mut sessions, *number, &row)?;
            }
            Write::Credential { org, target, credential } => {
                credentials.insert((org.as_str(), target.as_str()), credential.expose())?;
            }
            Write::End { number, outcome } => {
                let row = sessions.get(number.0)?.map(|row| decode_row(row.value())).transpose()?;
                let row = row.ok_or(StoreError::Layout("the end of no session"))?;
                put_row(&mut sessions, *number, &SessionRow { ended: Some(*outcome), ..row })?;
                ended.push(Input::Ended(*number));
            }
        }
    }
    let mut answers = Vec::with_capacity(open.len() + ended.len());
    for (number, chunk) in &mut open {
        chunk.close(*number, &mut records)?;
        answers.push(Input::Appended(*number, chunk.first));
    }
    answers.append(&mut ended);
    Ok(answers)
}

fn put_row(sessions: &mut Table<'_, u64, &'static [u8]>, number: SessionNumber, row: &SessionRow) -> Result<(), StoreError> {
    let row = postcard::to_allocvec(row).map_err(|_| StoreError::Layout("a session that has no encoding"))?;
    sessions.insert(number.0, row.as_slice())?;
    Ok(())
}

/// A chunk that grows.
struct OpenChunk {
    first: u64,
    count: u64,
    bytes: Vec<u8>,
}

impl OpenChunk {
    const fn new(first: u64) -> Self {
        Self { first, count: 0, bytes: Vec::new() }
    }

    fn push(&mut self, record: &SealedRecord) {
        // A body fits in a message, which has at most 64 MiB.
        let length = u32::try_from(record.body.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&record.epoch.to_be_bytes());
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(&record.body);
        self.count += 1;
    }

    /// Writes it, and is the empty chunk that follows.
    fn close(&mut self, number: SessionNumber, records: &mut Table<'_, (u64, u64), &'static [u8]>) -> Result<(), StoreError> {
        if self.count > 0 {
            records.insert((number.0, self.first), self.bytes.as_slice())?;
            self.first += self.count;
            self.count = 0;
            self.bytes.clear();
        }
        Ok(())
    }
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

/// Records from a sequence on: at least one, and then as many as fit.
pub(super) fn read(database: &Database, read: &Read) -> Result<Records, StoreError> {
    let transaction = database.begin_read()?;
    let table = transaction.open_table(RECORDS)?;
    let Read { viewer, session, from, max_bytes } = *read;
    let start = table.range((session.0, 0)..=(session.0, from))?.next_back();
    let start = start.ok_or(StoreError::Layout("records are missing"))??.0.value().1;
    let mut records = Vec::new();
    let mut left = max_bytes;
    'chunks: for chunk in table.range((session.0, start)..=(session.0, u64::MAX))? {
        let (key, chunk) = chunk?;
        // After a chunk that lost records their places would be wrong.
        if key.value().1 > from.saturating_add(records.len() as u64) {
            break;
        }
        let skip = usize::try_from(from.saturating_sub(key.value().1)).unwrap_or(usize::MAX);
        let bytes = Bytes::copy_from_slice(chunk.value());
        for (epoch, body) in Chunk(&bytes).skip(skip) {
            if body.len() > left && !records.is_empty() {
                break 'chunks;
            }
            left = left.saturating_sub(body.len());
            records.push(SealedRecord { epoch, body: bytes.slice_ref(body) });
        }
    }
    if records.is_empty() {
        return Err(StoreError::Layout("records are missing"));
    }
    Ok(Records { viewer, session, from, records })
}
