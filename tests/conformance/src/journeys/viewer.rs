//! A device that watches: a home and a pairing of its own, and all that it sees.

use std::{collections::BTreeMap, fmt, path::Path, time::Duration};

use io_engine::{AwsLc, Home, HomeLock, Roots, fresh_entropy, fresh_jitter, wall_clock};
use proto_core::{
    BindingId, Deadline, Instant, Machine, Reason, SessionId, WallClock,
    api::PairingMode,
    device::{
        binding::{self, Bindings},
        pairing::{self, Pairing},
        uplink, viewer,
    },
    effect::Happening,
    id::DeviceKind,
    noise::Snow,
    wire::{Content, Outcome, Record},
};

use super::{
    Ask,
    device::{Device, until},
    site::Site,
};
use crate::Subject;

const SOFTWARE: &str = "viewer 0";

/// A viewer that watches every session of its org.
pub(super) struct Viewer<S> {
    pairing: Pairing,
    bindings: Bindings,
    machine: Option<(BindingId, viewer::Viewer<Snow<AwsLc>>)>,
    subject: S,
    wall: WallClock,
    settings: uplink::Settings,
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

impl<S: Subject<Ask>> Viewer<S> {
    /// A new one that is paired with `org` and connected.
    pub(super) fn pair(home: &Path, site: &mut Site, org: &str) -> Self {
        let home = Home::at(home);
        let lock = home.lock().expect("nobody else owns the home");
        let subject = S::start(Some(home), Roots::default());
        let (now, wall) = (subject.now(), wall_clock(subject.now()));
        let settings = uplink::Settings {
            api_endpoint: site.url().to_owned(),
            relay_endpoint: None,
            software: SOFTWARE.into(),
            aes_in_hardware: io_engine::aes_in_hardware(),
        };
        let wanted = pairing::Settings {
            api_endpoint: site.url().to_owned(),
            kind: DeviceKind::Viewer,
            mode: PairingMode::New,
            org: None,
            name: "viewer".into(),
            software: SOFTWARE.into(),
        };
        let mut viewer = Self {
            pairing: Pairing::start(now, wall, wanted, &fresh_entropy()),
            bindings: Bindings::boot(now, None, [], []).expect("an empty home"),
            machine: None,
            subject,
            wall,
            settings,
            seen: BTreeMap::new(),
            is_up: false,
            troubles: Vec::new(),
            _lock: lock,
        };
        viewer.drain();
        until(&mut viewer, "the viewer shows a code", |viewer| viewer.pairing.shown().is_some());
        let shown = viewer.pairing.shown().expect("it is shown");
        site.approve(&shown.url, org);
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

    fn deadline(&self) -> Option<Deadline> {
        let viewer = self.machine.as_ref().and_then(|(_, machine)| machine.poll_timeout());
        [self.pairing.poll_timeout(), self.bindings.poll_timeout(), viewer].into_iter().flatten().min()
    }

    fn fire_due(&mut self, now: Instant) {
        self.pairing.handle_timeout(now);
        self.bindings.handle_timeout(now);
        if let Some((_, machine)) = &mut self.machine {
            machine.handle_timeout(now);
        }
        self.drain();
    }

    fn happen(&mut self, happening: Happening<Ask>) {
        match happening.take_id() {
            (Ask::Pairing(ask), happening) => self.tell_pairing(pairing::Input::Happening(happening.with_id(ask))),
            (Ask::Bindings(ask), happening) => self.tell_bindings(binding::Input::Happening(happening.with_id(ask))),
            (Ask::Viewer(ask), happening) => self.tell_viewer(viewer::Input::Happening(happening.with_id(ask))),
            (Ask::Daemon(_), _) => unreachable!("no daemon asks here"),
        }
        self.drain();
    }

    fn tell_pairing(&mut self, input: pairing::Input) {
        self.pairing.handle_input(self.subject.now(), input).expect("a pairing takes every input");
    }

    fn tell_bindings(&mut self, input: binding::Input) {
        self.bindings.handle_input(self.subject.now(), input).expect("one adoption at a time");
    }

    fn tell_viewer(&mut self, input: viewer::Input) {
        if let Some((_, machine)) = &mut self.machine {
            machine.handle_input(self.subject.now(), input).expect("a viewer takes every input");
        }
    }

    fn drain(&mut self) {
        loop {
            if let Some(output) = self.pairing.poll_output() {
                self.pairing_said(output);
            } else if let Some(output) = self.bindings.poll_output() {
                self.bindings_said(output);
            } else if let Some(output) = self.machine.as_mut().and_then(|(_, machine)| machine.poll_output()) {
                self.viewer_said(output);
            } else {
                return;
            }
        }
    }

    fn pairing_said(&mut self, output: pairing::Output) {
        match output {
            pairing::Output::Effect(effect) => self.subject.perform(effect.map_id(Ask::Pairing)),
            pairing::Output::ShowCode(_) => {}
            pairing::Output::Trouble(reason) => self.troubles.push(reason),
            pairing::Output::Approved(paired) => self.tell_bindings(binding::Input::Adopt(paired)),
        }
    }

    fn bindings_said(&mut self, output: binding::Output) {
        match output {
            binding::Output::Effect(effect) => self.subject.perform(effect.map_id(Ask::Bindings)),
            binding::Output::Adopted(_) => self.tell_pairing(pairing::Input::Adopted),
            binding::Output::Started(id) => self.connect(id),
            binding::Output::Saved(id) => {
                let relay = self.bindings.get(&id).map(|binding| binding.record().relay.clone());
                self.tell_viewer(viewer::Input::Stored(relay.expect("it was just saved")));
            }
            other => panic!("{other:?}"),
        }
    }

    fn connect(&mut self, id: BindingId) {
        let binding = self.bindings.get(&id).expect("it was just started");
        let identity = binding.identity().expect("a key").clone();
        let (now, record) = (self.subject.now(), binding.record());
        let machine = viewer::Viewer::new(now, self.wall, record, identity, &self.settings, &AwsLc, fresh_jitter());
        self.machine = Some((id, machine.expect("a good credential")));
    }

    fn viewer_said(&mut self, output: viewer::Output) {
        match output {
            viewer::Output::Effect(effect) => self.subject.perform(effect.map_id(Ask::Viewer)),
            viewer::Output::Renewed(renewal) => {
                let (binding, _) = self.machine.as_ref().expect("it speaks");
                self.tell_bindings(binding::Input::Renewed { binding: binding.clone(), renewal });
            }
            viewer::Output::Up => self.is_up = true,
            viewer::Output::Down(reason) => {
                self.is_up = false;
                self.troubles.push(reason);
            }
            viewer::Output::Listed(session) => {
                assert!(self.seen.insert(session, Seen::default()).is_none(), "a session is listed twice");
                self.tell_viewer(viewer::Input::Watch(session));
            }
            viewer::Output::Record(session, record) => self.session(session).records.push(record),
            viewer::Output::Ended(session, outcome) => {
                let before = self.session(session).end.replace(outcome);
                assert_eq!(before, None, "a session ends twice");
            }
            viewer::Output::Failed(session, reason) => panic!("{session} cannot be shown: {reason}"),
            viewer::Output::Revoked(reason) => panic!("the viewer was revoked: {reason}"),
        }
    }

    fn session(&mut self, session: SessionId) -> &mut Seen {
        self.seen.get_mut(&session).expect("only listed sessions are watched")
    }
}

impl<S: Subject<Ask>> Device for Viewer<S> {
    fn turn(&mut self, wait: Duration) -> bool {
        let end = Deadline::new(self.subject.now().after(wait), "the end of the turn");
        let happening = self.subject.next(Deadline::earliest(self.deadline(), Some(end)));
        let now = self.subject.now();
        let is_due = self.deadline().is_some_and(|deadline| deadline.at <= now);
        if is_due {
            self.fire_due(now);
        }
        let moved = is_due || happening.is_some();
        if let Some(happening) = happening {
            self.happen(happening);
        }
        moved
    }
}
