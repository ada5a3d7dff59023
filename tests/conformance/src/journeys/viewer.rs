//! A device that watches: a home of its own, the real watcher, and all that it sees.

use std::{collections::BTreeMap, fmt, path::Path, time::Duration};

use io_engine::{AwsLc, Home, HomeLock, Network, fresh_entropy, fresh_jitter, wall_clock};
use proto_core::{
    Deadline, Machine, Reason, SessionId,
    device::watcher::{Goal, Input, Output, Settings, StoredState, Watcher, choice::Wanted},
    effect::IoEvent,
    noise::Snow,
    wire::{Content, Outcome, Record},
};

use super::{
    EffectId,
    device::{Device, until},
    site::Site,
};
use crate::Subject;

/// A viewer that watches every session of its org.
pub(super) struct Viewer<S> {
    machine: Watcher<Snow<AwsLc>>,
    subject: S,
    /// The page with the code that was shown last.
    page: Option<String>,
    seen: BTreeMap<SessionId, Seen>,
    is_up: bool,
    troubles: Vec<Reason>,
    _lock: HomeLock,
}

/// What was seen of a session.
#[derive(Debug, Default)]
pub(super) struct Seen {
    records: Vec<Record>,
    end: Option<Outcome>,
}

impl Seen {
    /// All that the command wrote.
    pub(super) fn output(&self) -> Vec<u8> {
        let outputs = self.records.iter().filter_map(|record| match &record.content {
            Content::Output(bytes) => Some(&bytes[..]),
            _ => None,
        });
        outputs.flatten().copied().collect()
    }

    /// How it ended, once it did and everything was shown.
    pub(super) const fn end(&self) -> Option<Outcome> {
        self.end
    }
}

impl<S> fmt::Debug for Viewer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen: Vec<_> = self.seen.iter().map(|(session, seen)| (session, seen.records.len(), seen.end)).collect();
        let viewer = &mut f.debug_struct("Viewer");
        viewer.field("is_up", &self.is_up).field("seen", &seen).field("troubles", &self.troubles).finish_non_exhaustive()
    }
}

impl<S: Subject<EffectId>> Viewer<S> {
    /// A new one that is paired with `org` and connected.
    pub(super) fn pair(home: &Path, site: &mut Site, org: &str) -> Self {
        let home = Home::at(home);
        let lock = home.lock().expect("nobody else owns the home");
        let subject = S::start(Some(home), Network::default());
        let now = subject.now();
        let settings = Settings {
            host: "viewer".into(),
            software: "viewer 0".into(),
            api_endpoint: Some(site.url().to_owned()),
            aes_in_hardware: io_engine::aes_in_hardware(),
            primitives: &AwsLc,
            org: None,
            goal: Goal::Chosen,
            wanted: Wanted::default(),
            surrounding: None,
        };
        let (found, entropy) = (StoredState::default(), fresh_entropy());
        let machine = Watcher::boot(now, wall_clock(now), &found, settings, &entropy, fresh_jitter()).expect("an empty home");
        let (page, seen) = (None, BTreeMap::new());
        let mut viewer = Self { machine, subject, page, seen, is_up: false, troubles: Vec::new(), _lock: lock };
        viewer.drain();
        until(&mut viewer, "the viewer shows a code", |viewer| viewer.page.is_some());
        let page = viewer.page.take().expect("it is shown");
        site.approve(&page, org);
        until(&mut viewer, "the viewer is connected", |viewer| viewer.is_up);
        viewer
    }

    /// The sessions that there are, and what was seen of each.
    pub(super) const fn seen(&self) -> &BTreeMap<SessionId, Seen> {
        &self.seen
    }

    /// Whether everything of a session was shown, and its end.
    pub(super) fn has_seen_the_end(&self, session: SessionId) -> bool {
        self.seen.get(&session).is_some_and(|seen| seen.end.is_some())
    }

    /// All that a session's command wrote, as far as it was seen.
    pub(super) fn output(&self, session: SessionId) -> Vec<u8> {
        self.seen.get(&session).map(Seen::output).unwrap_or_default()
    }

    /// Whether the relay has admitted it.
    pub(super) const fn is_up(&self) -> bool {
        self.is_up
    }

    fn tell(&mut self, input: Input) {
        self.machine.handle_input(self.subject.now(), input).expect("a watcher takes every input");
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            self.said(output);
        }
    }

    fn said(&mut self, output: Output) {
        match output {
            Output::Effect(effect) => self.subject.perform(effect.map_id(EffectId::Watcher)),
            Output::ShowCode(shown) => self.page = Some(shown.url),
            Output::Up { .. } => self.is_up = true,
            Output::Down(reason) => {
                self.is_up = false;
                self.troubles.push(reason);
            }
            Output::Trouble(reason) | Output::NotRenewed(reason) => self.troubles.push(reason),
            Output::Listed(session) => {
                assert!(self.seen.insert(session, Seen::default()).is_none(), "a session is listed twice");
                self.tell(Input::Watch(session));
            }
            Output::Record(session, record) => self.session(session).records.push(record),
            Output::Ended(session, outcome) => {
                let before = self.session(session).end.replace(outcome);
                assert_eq!(before, None, "a session ends twice");
            }
            Output::Failed(session, reason) => panic!("{session} cannot be shown: {reason}"),
            Output::Pairing(_) | Output::Paired(_) | Output::Key(_) | Output::Sessions(_) => {}
        }
    }

    fn session(&mut self, session: SessionId) -> &mut Seen {
        self.seen.get_mut(&session).expect("only listed sessions are watched")
    }
}

impl<S: Subject<EffectId>> Device for Viewer<S> {
    fn turn(&mut self, wait: Duration) -> bool {
        let end = Deadline::new(self.subject.now().after(wait), "the end of the turn");
        let event = self.subject.next(Deadline::earliest(self.machine.poll_timeout().map(Deadline::in_words), Some(end)));
        let now = self.subject.now();
        let is_due = self.machine.poll_timeout().is_some_and(|deadline| deadline.at <= now);
        if is_due {
            self.machine.handle_timeout(now);
            self.drain();
        }
        let moved = is_due || event.is_some();
        if let Some((EffectId::Watcher(effect_id), event)) = event.map(IoEvent::take_id) {
            self.tell(Input::Io(event.with_id(effect_id)));
        }
        moved
    }
}
