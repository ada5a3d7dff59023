//! The story of a run, for people: who did what, what broke, what was seen.

use std::{fmt, time::Duration};

use proto_core::{Instant, device::daemon, noise::Noise};

use super::{START, Sim, fault::Fault, plan::Place};

/// A long run is told by its latest lines.
const MAX_LINES: usize = 4_000;

/// Lines, each with its time and who it is about.
#[derive(Clone, Debug, Default)]
pub struct Story {
    lines: Vec<Line>,
    forgotten: usize,
}

#[derive(Clone, Debug)]
struct Line {
    at: Duration,
    who: String,
    what: String,
}

impl Story {
    fn tell(&mut self, at: Instant, who: String, what: &str) {
        if self.lines.len() >= MAX_LINES {
            self.forgotten += MAX_LINES / 2;
            self.lines.drain(..MAX_LINES / 2);
        }
        self.lines.push(Line { at: at.since(START), who, what: what.into() });
    }

    pub(super) fn host(&mut self, at: Instant, host: usize, what: &str) {
        self.tell(at, format!("laptop-{host}"), what);
    }

    pub(super) fn browser(&mut self, at: Instant, what: &str) {
        self.tell(at, "browser".into(), what);
    }

    pub(super) fn viewer(&mut self, at: Instant, viewer: usize, what: &str) {
        self.tell(at, format!("viewer-{viewer}"), what);
    }

    pub(super) fn phase(&mut self, at: Instant, what: &str) {
        self.tell(at, "=====".into(), what);
    }

    pub(super) fn fault(&mut self, at: Instant, fault: Fault, host: usize, place: Place, lasts: Duration) {
        let towards = match place {
            Place::Everything => "everything".into(),
            Place::Platform => "the platform".into(),
            Place::Relay(relay) => format!("relay-{relay}"),
        };
        let at_whom = match fault {
            Fault::RelayKill | Fault::RelayStall | Fault::Skew | Fault::AcceptThenClose | Fault::LyingRelay | Fault::Replay => {
                " at a relay".into()
            }
            Fault::ServerError | Fault::JwksOutage | Fault::KeyRotation | Fault::RevocationRace => " at the platform".into(),
            _ if fault <= Fault::CaptiveHtml => format!(" near laptop-{host}, towards {towards}"),
            _ => format!(" at laptop-{host}"),
        };
        self.tell(at, "FAULT".into(), &format!("{fault}{at_whom}, up to {}", clock(lasts)));
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.forgotten > 0 {
            writeln!(f, "  … {} lines before", self.forgotten)?;
        }
        for Line { at, who, what } in &self.lines {
            writeln!(f, "  {:>11}  {who:<10} {what}", clock(*at))?;
        }
        Ok(())
    }
}

/// Hours, minutes and seconds, with days where there are any.
pub fn clock(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    let (days, hours, minutes, seconds) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes:02}:{seconds:02}.{:02}", millis / 10),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}d {hours:02}:{minutes:02}:{seconds:02}"),
    }
}

impl<N: Noise> Sim<N> {
    /// What a daemon logged, in a few words; what goes on all the time is left out.
    pub(super) fn tell_story(&mut self, host: usize, event: &daemon::Event) {
        use daemon::Event as E;
        let slug = |id: &proto_core::BindingId| {
            self.platform.orgs.get(&id.org).map_or_else(|| "?".into(), |org| org.workspace.slug.clone())
        };
        let what = match event {
            E::Connected(id) => format!("is connected to {}", slug(id)),
            E::Disconnected(id, reason, _) => format!("is not connected to {}: {}", slug(id), reason.summary()),
            E::RenewalExpired(id) => format!("cannot renew its credential for {} any more", slug(id)),
            E::Draining(id) => format!("takes no new sessions for {}", slug(id)),
            E::Cut(id, reason) => {
                format!("is cut off from {}{}", slug(id), reason.map_or(String::new(), |r| format!(": {}", r.summary())))
            }
            E::Trouble(reason) => format!("has trouble: {}", reason.summary()),
            E::SessionStarted(_, id) => format!("streams a session to {}", slug(id)),
            _ => return,
        };
        self.story.host(self.now, host, &what);
    }
}
