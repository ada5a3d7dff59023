//! Times as people read them.

use jiff::Timestamp;
use maud::{Markup, html};
use proto_core::UnixTime;

/// A moment: how long ago at a glance, the date and time in UTC behind it.
pub(super) fn ago(at: UnixTime, now: UnixTime) -> Markup {
    let stamp = stamp(at);
    let seconds = now.since(at);
    html! {
        time datetime=(stamp) title=(exact(stamp)) {
            @if seconds >= 14 * DAY { (stamp.strftime("%-d %b %Y")) } @else { (distance(seconds)) }
        }
    }
}

/// A moment by its date and time in UTC.
pub(super) fn moment(at: UnixTime) -> Markup {
    let stamp = stamp(at);
    html! { time datetime=(stamp) { (exact(stamp)) } }
}

fn stamp(at: UnixTime) -> Timestamp {
    i64::try_from(at.0).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or_default()
}

fn exact(stamp: Timestamp) -> String {
    stamp.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn distance(seconds: u64) -> String {
    match seconds {
        0..MINUTE => "just now".into(),
        MINUTE..HOUR => format!("{} min ago", seconds / MINUTE),
        HOUR..DAY => format!("{} h ago", seconds / HOUR),
        _ if seconds < 2 * DAY => "yesterday".into(),
        _ => format!("{} days ago", seconds / DAY),
    }
}

/// A stretch of time in its largest unit.
pub(super) fn duration(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..MINUTE => (seconds, "second"),
        MINUTE..HOUR => (seconds.div_ceil(MINUTE), "minute"),
        HOUR..DAY => (seconds.div_ceil(HOUR), "hour"),
        _ => (seconds.div_ceil(DAY), "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_naturally() {
        let now = UnixTime(1_770_000_000);
        let shown = |seconds| ago(UnixTime(now.0 - seconds), now).into_string();
        assert!(shown(5).contains("just now") && shown(119).contains("1 min ago") && shown(DAY).contains("yesterday"));
        assert!(shown(3 * DAY).contains("3 days ago") && shown(30 * DAY).contains("Jan 2026"));
        assert!(moment(now).into_string().contains(">2 Feb 2026, 02:40 UTC<"));
        assert!(shown(5).contains("datetime=\"2026-02-02T02:39:55Z\""));
        assert_eq!([duration(1), duration(61), duration(7 * DAY)], ["1 second", "2 minutes", "7 days"]);
    }
}
