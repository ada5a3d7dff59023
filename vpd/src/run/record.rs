//! What the command shows on its way to the record: in pieces that are worth sealing.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use proto_core::wire::{Content, MAX_RECORD_CONTENT};

use super::recorder::Recorder;

/// What comes within this time of the piece before it is added to the next one: a viewer sees no difference, and a command that
/// shows much makes few records.
const MERGED: Duration = Duration::from_millis(2);

/// The record of one session, as it grows.
pub(super) struct RecordWriter {
    recorder: Recorder,
    /// Output that waits for more.
    merged: BytesMut,
    /// When the latest piece was handed on.
    latest: Option<Instant>,
    /// What there is no room for yet, in order.
    held: VecDeque<Content>,
}

impl RecordWriter {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self { recorder, merged: BytesMut::new(), latest: None, held: VecDeque::new() }
    }

    /// Output was shown.
    pub(super) fn shown(&mut self, bytes: &[u8], now: Instant) {
        if !self.recorder.records() {
            return;
        }
        self.merged.extend_from_slice(bytes);
        if self.due().is_none_or(|due| due <= now) || self.merged.len() >= MAX_RECORD_CONTENT {
            self.hand_on(now);
        }
    }

    /// Anything else happened.
    pub(super) fn happened(&mut self, content: Content, now: Instant) {
        self.hand_on(now);
        self.held.push_back(content);
        self.offer();
    }

    /// Hands on what is due, and what there was no room for. To be called after each wait.
    pub(super) fn advance(&mut self, now: Instant) {
        if !self.merged.is_empty() && self.due().is_none_or(|due| due <= now) {
            self.hand_on(now);
        }
        self.offer();
    }

    /// When output that waits for more is to be handed on.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due().filter(|_| !self.merged.is_empty())
    }

    /// Whether anything is recorded.
    pub(super) const fn records(&self) -> bool {
        self.recorder.records()
    }

    /// Whether there is no room: nothing more may be read from the command.
    pub(super) fn is_full(&self) -> bool {
        !self.held.is_empty()
    }

    /// The recorder, and what it has had no room for.
    pub(super) fn into_rest(mut self) -> (Recorder, VecDeque<Content>) {
        self.hand_on(Instant::now());
        (self.recorder, self.held)
    }

    fn due(&self) -> Option<Instant> {
        self.latest.map(|latest| latest + MERGED)
    }

    fn hand_on(&mut self, now: Instant) {
        if !self.merged.is_empty() {
            self.latest = Some(now);
            self.held.push_back(Content::Output(self.merged.split().freeze()));
            self.offer();
        }
    }

    fn offer(&mut self) {
        while let Some(content) = self.held.pop_front() {
            if let Err(content) = self.recorder.offer(content) {
                self.held.push_front(content);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(content: &mut tokio::sync::mpsc::Receiver<Content>) -> Vec<usize> {
        std::iter::from_fn(|| content.try_recv().ok())
            .map(|content| if let Content::Output(bytes) = content { bytes.len() } else { 0 })
            .collect()
    }

    /// A key's echo goes at once; a flood is merged; nothing waits for longer than it should.
    #[test]
    fn what_comes_close_together_is_one_piece() {
        let (recorder, mut content) = Recorder::streaming();
        let mut growing = RecordWriter::new(recorder);
        let start = Instant::now();
        growing.shown(b"a", start);
        assert_eq!(pieces(&mut content), [1]);
        growing.shown(b"bc", start);
        growing.shown(b"d", start);
        assert_eq!(growing.deadline(), Some(start + MERGED));
        growing.advance(start + MERGED / 2);
        assert!(pieces(&mut content).is_empty());
        growing.advance(start + MERGED);
        assert_eq!((pieces(&mut content), growing.deadline()), (vec![3], None));
        growing.shown(b"e", start + MERGED);
        growing.happened(Content::Exit { status: 0 }, start + MERGED);
        assert_eq!(pieces(&mut content), [1, 0]);
    }

    /// SES-3: without room nothing is dropped, and the order stays.
    #[test]
    fn what_has_no_room_is_held() {
        let (recorder, mut content) = Recorder::streaming();
        let mut growing = RecordWriter::new(recorder);
        let start = Instant::now();
        let mut shown = 0;
        while !growing.is_full() {
            growing.shown(&vec![b'x'; MAX_RECORD_CONTENT + shown], start);
            shown += 1;
        }
        let mut taken = pieces(&mut content);
        growing.advance(start);
        assert!(!growing.is_full());
        taken.extend(pieces(&mut content));
        assert_eq!(taken, (0..shown).map(|more| MAX_RECORD_CONTENT + more).collect::<Vec<_>>());
    }
}
