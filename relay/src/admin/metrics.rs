//! The text format of Prometheus, version 0.0.4.

use std::{
    fmt::{Display, Write as _},
    sync::atomic::Ordering,
};

use proto_core::Reason;

use crate::{hub::Report, shared::Shared};

/// All metrics of a relay.
pub(super) fn text(shared: &Shared, report: &Report) -> String {
    let mut page = Page(String::new());
    page.gauge("connections", "Upgraded connections.", shared.connections());
    let daemons: usize = report.orgs.iter().map(|org| org.daemons).sum();
    let viewers: usize = report.orgs.iter().map(|org| org.viewers).sum();
    page.head("admitted", "gauge", "Connections that were let in, by role.");
    page.row("admitted", "{role=\"daemon\"}", daemons);
    page.row("admitted", "{role=\"viewer\"}", viewers);
    page.gauge("organizations", "Organizations with a connection or a session.", report.orgs.len());
    page.gauge("sessions", "Sessions in the store.", report.orgs.iter().map(|org| org.sessions).sum::<usize>());
    page.gauge("unstored_bytes", "Bytes of records that are not durable yet.", report.unstored);
    page.gauge("store_works", "Whether the latest write worked.", u8::from(shared.store_works.load(Ordering::Relaxed)));
    page.gauge("keys_held", "Whether there is a key set to verify with.", u8::from(shared.keys.are_held()));
    events(&mut page, shared);
    traffic(&mut page, report);
    page.0
}

/// Everything that was logged, by what it was, how far the connection had come, and why.
fn events(page: &mut Page, shared: &Shared) {
    page.head("events_total", "counter", "What was logged, by reason where there is one.");
    for (counted, count) in shared.event_log.counts() {
        let reason = counted.reason.map_or("", Reason::code);
        let what = counted.what.replace(' ', "_");
        let labels = format!("{{event=\"{what}\",stage=\"{}\",reason=\"{reason}\"}}", counted.stage.unwrap_or_default());
        page.row("events_total", &labels, count);
    }
}

fn traffic(page: &mut Page, report: &Report) {
    let counters = &report.counters;
    page.head("records_total", "counter", "Records taken from daemons.");
    page.row("records_total", "", counters.records);
    page.head("deliveries_total", "counter", "Records sent to viewers, as they arrived or later.");
    page.row("deliveries_total", "{pace=\"live\"}", counters.delivered_live);
    page.row("deliveries_total", "{pace=\"later\"}", counters.delivered_later);
    page.head("peer_frames_total", "counter", "Frames between viewers and daemons passed on.");
    page.row("peer_frames_total", "", counters.peer_frames);
    page.head("declined_sessions_total", "counter", "Sessions not taken, because their daemon or organization had too many.");
    page.row("declined_sessions_total", "", counters.declined_sessions);
    page.head("ignored_total", "counter", "Inputs that had no effect, by why.");
    for (why, count) in [
        ("duplicate_record", counters.duplicate_records),
        ("unknown_connection", counters.unknown_connection),
        ("confirmed_twice", counters.confirmed_twice),
        ("misdirected", counters.misdirected),
        ("stale_store_answer", counters.stale_store_answers),
        ("kept_session", counters.kept_sessions),
        ("envelope_of_no_session", counters.envelopes_of_no_session),
        ("contradicting_session", counters.contradicting_sessions),
        ("peer_without_receiver", counters.peer_without_receiver),
        ("peer_without_room", counters.peer_without_room),
    ] {
        page.row("ignored_total", &format!("{{why=\"{why}\"}}"), count);
    }
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "# HELP viewport_relay_{name} {help}\n# TYPE viewport_relay_{name} {kind}\n");
    }

    fn row(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "viewport_relay_{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.row(name, "", value);
    }
}
