//! One entry of a segment: a head of [`HEAD`] bytes and a body.
//!
//! ```text
//! marker    8   the segment's own, random: nothing inside a body looks like an entry of it
//! kind      1   session, credential, record, end, removal, close, envelope
//! zero      3
//! length    4   of the body
//! number    8   of the session, 0 where it is about none
//! sequence  8   of a record; of an end: how many records there are
//! epoch     4   of a record
//! batch     4   where the commit begins that wrote this: all that stands before it in the file was durable by then
//! body sum  4   CRC-32C of the body
//! head sum  4   CRC-32C of the 44 bytes before
//! ```
//!
//! Numbers are big-endian.

/// The length of a head.
pub(super) const HEAD: usize = 48;
/// The head without its checksum.
const SUMMED: usize = HEAD - 4;

/// What the entries of one segment begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker(pub(super) [u8; 8]);

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A session begins; the body is its [`SessionRow`](super::contents::SessionRow).
    Session = 1,
    /// A runtime target's latest credential.
    Credential = 2,
    /// A sealed record.
    Record = 3,
    /// A session ended; the body is an [`End`](super::contents::End).
    End = 4,
    /// A session is gone for good.
    Removal = 5,
    /// The store was closed in order: what stands before is durable.
    Close = 6,
    /// What opens a session for who holds its organization's key; the body is that (WIRE section 12).
    Envelope = 7,
}

impl Kind {
    const fn decode(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Session,
            2 => Self::Credential,
            3 => Self::Record,
            4 => Self::End,
            5 => Self::Removal,
            6 => Self::Close,
            7 => Self::Envelope,
            _ => return None,
        })
    }
}

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryHeader {
    pub(super) kind: Kind,
    pub(super) length: u32,
    pub(super) number: u64,
    pub(super) sequence: u64,
    pub(super) epoch: u32,
    pub(super) batch: u32,
    pub(super) body_sum: u32,
}

impl EntryHeader {
    /// The head of an entry with this body, about no session.
    pub(super) fn new(kind: Kind, batch: u32, body: &[u8]) -> Self {
        // A body fits in a message, which has at most 64 MiB.
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        Self { kind, length, number: 0, sequence: 0, epoch: 0, batch, body_sum: crc32c::crc32c(body) }
    }

    pub(super) fn encode(&self, marker: Marker) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(&marker.0);
        bytes[8] = self.kind as u8;
        bytes[12..16].copy_from_slice(&self.length.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.batch.to_be_bytes());
        bytes[40..44].copy_from_slice(&self.body_sum.to_be_bytes());
        let sum = crc32c::crc32c(&bytes[..SUMMED]);
        bytes[SUMMED..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The head at the beginning of these bytes; `None` when there is none that is whole.
    pub(super) fn decode(marker: Marker, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<HEAD>()?;
        if bytes[..8] != marker.0 || crc32c::crc32c(&bytes[..SUMMED]).to_be_bytes() != bytes[SUMMED..] {
            return None;
        }
        Some(Self {
            kind: Kind::decode(bytes[8])?,
            length: u32_at(bytes, 12),
            number: u64_at(bytes, 16),
            sequence: u64_at(bytes, 24),
            epoch: u32_at(bytes, 32),
            batch: u32_at(bytes, 36),
            body_sum: u32_at(bytes, 40),
        })
    }

    /// Whether this is the body that was written with it.
    pub(super) fn fits(&self, body: &[u8]) -> bool {
        body.len() == self.body() && crc32c::crc32c(body) == self.body_sum
    }

    /// The length of the body.
    pub(super) const fn body(&self) -> usize {
        self.length as usize
    }

    /// The length of the entry.
    pub(super) const fn whole(&self) -> usize {
        HEAD + self.length as usize
    }
}

fn u32_at(bytes: &[u8; HEAD], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(number)
}

fn u64_at(bytes: &[u8; HEAD], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(number)
}
