//! Retention: which sessions leave, the one that ended first before the others. One that has not ended never does.

use std::time::Duration;

use proto_core::relay::hub::SessionNumber;

/// What is kept of the sessions that have ended. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// `RELAY_RETENTION_AGE`: how long after its end a session is kept.
    pub age: Option<Duration>,
    /// `RELAY_RETENTION_ORG_BYTES`: how many bytes of one organization are kept, those of sessions that have not ended included.
    pub org_bytes: Option<u64>,
    /// `RELAY_RETENTION_BYTES`: how many bytes are kept in all. The organization that has most gives first.
    pub bytes: Option<u64>,
}

/// How many sessions of one organization are kept: a quarter of what it may have stays free for new ones.
pub(super) const SESSIONS_KEPT: usize = proto_core::relay::hub::SESSIONS_PER_ORG / 4 * 3;
/// A session is kept that long after its end whatever else holds: its daemon may not have heard that the end is durable.
pub(super) const GRACE: u64 = 600;

/// A session, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EvictionCandidate {
    pub(super) number: SessionNumber,
    /// Unix seconds; `None` while it has not ended.
    pub(super) ended: Option<u64>,
    pub(super) bytes: u64,
}

/// Which sessions of an organization leave, so that the rest is within the age, the count, and this many bytes.
pub(super) fn leaving(
    mut sessions: Vec<EvictionCandidate>,
    age: Option<Duration>,
    bytes: Option<u64>,
    now: u64,
) -> Vec<SessionNumber> {
    let (mut count, mut held) = (sessions.len(), sessions.iter().map(|session| session.bytes).sum::<u64>());
    sessions.retain(|session| session.ended.is_some_and(|at| at + GRACE <= now));
    sessions.sort_by_key(|session| (session.ended, session.number));
    let mut leaving = Vec::new();
    for EvictionCandidate { number, ended, bytes: own } in sessions {
        let is_old = ended.zip(age).is_some_and(|(at, age)| at.saturating_add(age.as_secs()) <= now);
        let is_too_much = bytes.is_some_and(|limit| held > limit);
        if is_old || is_too_much || count > SESSIONS_KEPT {
            leaving.push(number);
            (count, held) = (count - 1, held - own);
        }
    }
    leaving
}

/// How much each organization may have, so that all together are within a limit: who has less than the others keeps it.
pub(super) fn share(mut totals: Vec<u64>, limit: u64) -> u64 {
    totals.sort_unstable();
    let (mut left, mut others) = (limit, totals.len() as u64);
    for total in totals {
        let share = left / others;
        if total > share {
            return share;
        }
        (left, others) = (left - total, others - 1);
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn held(number: u64, ended: Option<u64>, bytes: u64) -> EvictionCandidate {
        EvictionCandidate { number: SessionNumber(number), ended, bytes }
    }

    fn numbers(leaving: &[SessionNumber]) -> Vec<u64> {
        leaving.iter().map(|number| number.0).collect()
    }

    #[test]
    fn sessions_leave_by_age_when_they_have_ended() {
        let sessions = vec![held(1, None, 5), held(2, Some(10), 5), held(3, Some(NOW - 3_600), 5), held(4, Some(NOW - 3_599), 5)];
        let hour = Some(Duration::from_hours(1));
        assert_eq!(numbers(&leaving(sessions.clone(), hour, None, NOW)), [2, 3]);
        assert_eq!(numbers(&leaving(sessions, None, None, NOW)), [0; 0]);
    }

    #[test]
    fn who_ended_first_leaves_first_and_who_lives_never() {
        let sessions = vec![held(1, None, 100), held(2, Some(30), 10), held(3, Some(20), 10), held(4, Some(NOW - GRACE + 1), 10)];
        assert_eq!(numbers(&leaving(sessions.clone(), None, Some(130), NOW)), [0; 0]);
        assert_eq!(numbers(&leaving(sessions.clone(), None, Some(129), NOW)), [3]);
        assert_eq!(numbers(&leaving(sessions.clone(), None, Some(119), NOW)), [3, 2]);
        assert_eq!(numbers(&leaving(sessions, None, Some(0), NOW)), [3, 2], "not those that live, or have just ended");
    }

    /// F4: sessions that ended make room for others.
    #[test]
    fn there_is_always_room_for_new_sessions() {
        let count = SESSIONS_KEPT as u64 + 10;
        let sessions: Vec<_> = (0..count).map(|number| held(number, Some(number), 1)).collect();
        assert_eq!(numbers(&leaving(sessions, None, None, NOW)), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn who_has_most_gives_first() {
        assert_eq!(share(vec![10, 20, 30], 60), u64::MAX);
        assert_eq!(share(vec![10, 20, 90], 60), 30);
        assert_eq!(share(vec![100, 100, 5], 60), 27);
        assert_eq!(share(vec![], 60), u64::MAX);
    }
}
