//! The end of a session whose process does not come back.

use super::{
    Output, Spool,
    state::{End, Passing, State},
};
use crate::wire::{Head, Outcome};

impl Spool {
    /// The process does not come back.
    pub(super) fn close(&mut self) {
        match &self.state {
            State::Passing(Passing { source_first: None, passed: 0, end: None, .. }) => self.state = State::Finished,
            State::Passing(passing) => {
                self.state = State::Closing(passing.end);
                self.take_over();
            }
            State::Spooling(_) => self.cut(),
            State::Closing(_) | State::Finished | State::Failed(_) => {}
        }
    }

    /// The relay has `next` records, and perhaps the end.
    pub(super) fn end_at(&mut self, end: Option<End>, next: u64) {
        match end {
            Some(end) if next == end.records.saturating_add(1) => self.state = State::Finished,
            Some(end) if next == end.records => self.send_end(end),
            _ => self.send_end(End { records: next, outcome: Outcome::Cut }),
        }
    }

    pub(super) fn send_end(&mut self, end: End) {
        self.state = State::Closing(Some(end));
        let head = Head::End { session: self.session, next: end.records, outcome: end.outcome };
        self.port.push(Output::ToRelay(head.into()));
    }
}
