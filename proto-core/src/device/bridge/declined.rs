//! Sessions that the relay did not take: why, and when they are opened again.

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use crate::{Instant, Reason, SessionId};

/// The pause before a session is opened again, where the relay names none.
const PAUSE: Duration = Duration::from_mins(1);
/// The longest pause, whatever the relay names.
const LONGEST: Duration = Duration::from_hours(1);

/// Those of one binding. At most as many as it has sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Declined(BTreeMap<SessionId, Refusal>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Refusal {
    reason: Reason,
    /// `None` while the relay is asked again.
    again: Option<Instant>,
}

impl Declined {
    /// The relay does not take a session, and names a pause in seconds. Whether that is news.
    pub(super) fn add(&mut self, session: SessionId, reason: Reason, retry_after: u32, now: Instant) -> bool {
        let pause = if retry_after == 0 { PAUSE } else { Duration::from_secs(retry_after.into()).min(LONGEST) };
        let before = self.0.insert(session, Refusal { reason, again: Some(now.after(pause)) });
        before.is_none_or(|before| before.reason != reason)
    }

    /// The relay takes it now, or it is not offered any more.
    pub(super) fn remove(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    /// The relay is asked again about all of them.
    pub(super) fn ask_again(&mut self) {
        self.0.values_mut().for_each(|refusal| refusal.again = None);
    }

    /// Those about which the relay is to be asked again now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<SessionId> {
        let due = self.0.iter_mut().filter(|(_, refusal)| refusal.again.is_some_and(|again| again <= now));
        due.map(|(session, refusal)| {
            refusal.again = None;
            *session
        })
        .collect()
    }

    /// When that is.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().filter_map(|refusal| refusal.again).min()
    }

    /// Why a session is not taken.
    pub(super) fn reason(&self, session: SessionId) -> Option<Reason> {
        self.0.get(&session).map(|refusal| refusal.reason)
    }
}
