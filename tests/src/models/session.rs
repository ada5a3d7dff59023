//! A streamed session (SES-1 to SES-4, S121, S206; WIRE section 6): a list of records, and how much of it went where.

use proto_core::wire::Content;

/// The longest payload of one record.
pub const MAX_RECORD: usize = 60_000;

/// A session, from its own side and from the relay's.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// All records, in order.
    pub records: Vec<Content>,
    /// How many the relay has.
    pub stored: usize,
    /// How many it said are durable.
    pub acknowledged: usize,
    /// Attached: `None`. Attached and told where to go on: what is sent next.
    pub cursor: Option<usize>,
    /// Whether `Open` was sent since the daemon was there.
    pub is_open: bool,
    /// Whether there will be no more.
    pub is_ended: bool,
    /// Whether the relay has the end.
    pub end_stored: bool,
}

impl Stream {
    /// Pushed content, split into records.
    pub fn push(&mut self, content: &Content) {
        self.records.extend(pieces(content));
    }

    /// The daemon is there: `Open` comes first, then nothing until `Resume`.
    pub fn attach(&mut self) {
        *self = Self { cursor: None, is_open: true, ..std::mem::take(self) };
    }

    /// The daemon is gone.
    pub fn detach(&mut self) {
        *self = Self { cursor: None, is_open: false, ..std::mem::take(self) };
    }

    /// Record `sequence` was sent, saying `content`.
    ///
    /// # Panics
    /// When it is not the next one, or says something else (SES-1).
    pub fn sent(&mut self, sequence: u64, content: &Content) {
        let cursor = self.cursor.as_mut().expect("SES-1: no record before Resume");
        assert_eq!(sequence, *cursor as u64, "SES-1: records in order");
        assert_eq!(self.records.get(*cursor), Some(content), "SES-1: what was pushed");
        *cursor += 1;
    }

    /// The end was sent, after `next` records.
    ///
    /// # Panics
    /// When there are more.
    pub fn sent_end(&self, next: u64) {
        assert!(self.is_ended, "there will be more");
        assert_eq!((next, self.cursor), (self.records.len() as u64, Some(self.records.len())), "SES-1: the end comes last");
    }

    /// Whether the session is over: the relay has all of it, its end too.
    pub fn is_whole(&self) -> bool {
        self.is_ended && self.end_stored && self.acknowledged > self.records.len()
    }
}

/// One content as records: as long as they may be, in order, nothing lost (SES-4). No bytes are no record.
pub fn pieces(content: &Content) -> Vec<Content> {
    let split = |bytes: &bytes::Bytes, make: fn(bytes::Bytes) -> Content| {
        let len = bytes.len();
        (0..len).step_by(MAX_RECORD).map(|from| make(bytes.slice(from..len.min(from + MAX_RECORD)))).collect()
    };
    match content {
        Content::Output(bytes) => split(bytes, Content::Output),
        Content::Input(bytes) => split(bytes, Content::Input),
        other => vec![other.clone()],
    }
}
