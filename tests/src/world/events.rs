//! What happens: events go in, what the machines say becomes events.

use bytes::Bytes;
use proto_core::{
    Machine,
    device::{
        bridge::SourceId,
        daemon::{self, Ask},
        session, watcher,
    },
    effect::{Close, Closed, Effect, Happening, HttpAnswer, HttpRequest, NetFault, StateFile},
    relay::{admission::KeyAnswer, connection, hub::ConnectionId},
    secret::SecretBytes,
    wire::Frame,
};

use super::{API, End, Event, Run, Sent, Socket, World, relay::Want};

impl World {
    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Laptop(life, input) => self.tell_laptop(life, input),
            Event::Disk(life, ask, file, contents) => self.write(life, ask, file, contents),
            Event::Look(life, errand, directory) if life == self.laptop.life => {
                let looked = self.laptop.look(directory);
                self.events.push_back(Event::Laptop(life, daemon::Input::Looked(errand, looked)));
            }
            Event::Change(life, errand, changes) if life == self.laptop.life => {
                self.laptop.change(changes);
                self.events.push_back(Event::Laptop(life, daemon::Input::Changed(errand, Ok(()))));
            }
            Event::Look(..) | Event::Change(..) => {}
            Event::Watcher(watcher, input) => {
                self.watchers[watcher].tell(self.now, input);
                self.drain_watcher(watcher);
            }
            Event::Http(end, request) => self.request(end, &request),
            Event::Dial(end, url) => self.dial(end, url),
            Event::Relay(url, connection, input) => {
                if matches!(input, connection::Input::Happened(Happening::Closed(..))) {
                    self.sockets.remove(&connection);
                }
                let wants = self.relays.get_mut(&url).unwrap().tell(self.now, connection, input);
                self.relay_wants(&url, wants);
            }
            Event::ToDevice(connection, happening) => self.tell_device(connection, happening),
            Event::Commit(url) => {
                let wants = self.relays.get_mut(&url).unwrap().commit(self.now);
                self.relay_wants(&url, wants);
            }
        }
    }

    pub(super) fn tell_laptop(&mut self, life: u32, input: daemon::Input) {
        if let Some(daemon) = self.laptop.daemon.as_mut().filter(|_| life == self.laptop.life) {
            daemon.handle_input(self.now, input).unwrap();
            self.drain_laptop();
        }
    }

    pub(super) fn write(&mut self, life: u32, ask: Ask, file: StateFile, contents: Option<SecretBytes>) {
        if life != self.laptop.life {
            return;
        }
        if !self.laptop.disk_moves {
            return self.stuck.push(Event::Disk(life, ask, file, contents));
        }
        let happening = if self.laptop.write(file, contents) { Happening::Stored(ask) } else { Happening::NotStored(ask) };
        self.events.push_back(Event::Laptop(life, daemon::Input::Happening(happening)));
    }

    pub(super) fn drain_laptop(&mut self) {
        let life = self.laptop.life;
        while let Some(output) = self.laptop.daemon.as_mut().and_then(Machine::poll_output) {
            match output {
                daemon::Output::Effect(effect) => self.perform_for_laptop(life, effect),
                daemon::Output::Answer(id, answer) => {
                    assert!(self.laptop.answers.insert(id, answer).is_none(), "answered twice");
                }
                daemon::Output::Pairing(event) => self.laptop.pairing.push(event),
                daemon::Output::Attached(source, attached) => {
                    let now = self.now;
                    self.with_run(source, |run| run.attached(now, attached));
                }
                daemon::Output::ToSource(source, frame) => {
                    let now = self.now;
                    self.with_run(source, |run| run.tell(now, session::Input::Frame(frame)));
                }
                daemon::Output::Look(errand, directory) => self.events.push_back(Event::Look(life, errand, directory)),
                daemon::Output::Change(errand, changes) => self.events.push_back(Event::Change(life, errand, changes)),
                daemon::Output::Log(event) => self.laptop.log.push(event),
            }
        }
    }

    pub(super) fn with_run(&mut self, source: SourceId, step: impl FnOnce(&mut Run) -> Vec<Frame>) {
        let Some(run) = self.laptop.runs.iter().position(|run| run.source == source.0) else { return };
        let was_delivered = self.laptop.runs[run].is_delivered();
        let frames = step(&mut self.laptop.runs[run]);
        self.run_said(run, frames);
        if !was_delivered && self.laptop.runs[run].is_delivered() {
            self.events.push_back(Event::Laptop(self.laptop.life, daemon::Input::Detach(source)));
        }
    }

    pub(super) fn perform_for_laptop(&mut self, life: u32, effect: Effect<Ask>) {
        match effect {
            Effect::Store(ask, file, contents) => self.events.push_back(Event::Disk(life, ask, file, Some(contents))),
            Effect::Remove(ask, file) => self.events.push_back(Event::Disk(life, ask, file, None)),
            Effect::Http(ask, request) => {
                self.sent.push(Sent { at: self.now, to: API.into(), bytes: bytes_of(&request) });
                self.events.push_back(Event::Http(End::Laptop(life, ask), request));
            }
            Effect::Connect(ask, connect) => self.events.push_back(Event::Dial(End::Laptop(life, ask), connect.url)),
            Effect::Send(ask, message) => self.send(&End::Laptop(life, ask), message),
            Effect::Close(ask, close) => self.close(End::Laptop(life, ask), close),
        }
    }

    pub(super) fn drain_watcher(&mut self, watcher: usize) {
        while let Some(output) = self.watchers[watcher].watcher.poll_output() {
            if let Some(effect) = self.watchers[watcher].said(output) {
                self.perform_for_watcher(watcher, effect);
            }
        }
    }

    pub(super) fn perform_for_watcher(&mut self, watcher: usize, effect: Effect<watcher::Ask>) {
        match effect {
            Effect::Http(ask, request) => self.events.push_back(Event::Http(End::Watcher(watcher, ask), request)),
            Effect::Connect(ask, connect) => self.events.push_back(Event::Dial(End::Watcher(watcher, ask), connect.url)),
            Effect::Send(ask, message) => self.send(&End::Watcher(watcher, ask), message),
            Effect::Close(ask, close) => self.close(End::Watcher(watcher, ask), close),
            Effect::Store(ask, file, contents) => self.write_for_watcher(watcher, ask, file, Some(contents)),
            Effect::Remove(ask, file) => self.write_for_watcher(watcher, ask, file, None),
        }
    }

    fn write_for_watcher(&mut self, watcher: usize, ask: watcher::Ask, file: StateFile, contents: Option<SecretBytes>) {
        let written = self.watchers[watcher].write(ask, file, contents);
        self.events.push_back(Event::Watcher(watcher, written));
    }

    pub(super) fn relay_wants(&mut self, url: &str, wants: Vec<Want>) {
        if self.relays[url].has_writes() && !self.events.iter().any(|event| matches!(event, Event::Commit(of) if of == url)) {
            self.events.push_back(Event::Commit(url.into()));
        }
        for want in wants {
            match want {
                Want::LookUp(connection, errand, kid) => {
                    let answer = self.platform.signing_key(kid).map_or(KeyAnswer::Unknown, KeyAnswer::Found);
                    self.events.push_back(Event::Relay(url.into(), connection, connection::Input::Key(errand, answer)));
                }
                Want::Perform(connection, effect) => self.perform_for_relay(url, connection, effect),
            }
        }
    }

    pub(super) fn perform_for_relay(&mut self, url: &str, connection: ConnectionId, effect: Effect<connection::Errand>) {
        match effect {
            Effect::Http(errand, request) => {
                self.events.push_back(Event::Http(End::Relay(url.into(), connection, errand), request));
            }
            Effect::Send(errand, message) => {
                self.events.push_back(Event::ToDevice(connection, Happening::Received((), message)));
                let taken = connection::Input::Happened(Happening::Sent(errand, 1));
                self.events.push_back(Event::Relay(url.into(), connection, taken));
            }
            Effect::Close(_, close) => {
                let reason = if let Close::Because(reason) = close { Some(reason) } else { None };
                self.events.push_back(Event::ToDevice(connection, Happening::Closed((), Closed::ByPeer(reason))));
            }
            other => unreachable!("{other:?}"),
        }
    }

    pub(super) fn request(&mut self, end: End, request: &HttpRequest) {
        let reaches = self.platform.is_up
            && match end {
                End::Laptop(..) => self.laptop.is_online,
                End::Watcher(..) => self.watchers_reach_platform,
                End::Relay(..) => true,
            };
        let unix = self.unix();
        let answer = reaches.then(|| self.platform.answer(request, unix));
        match end {
            End::Laptop(life, ask) => {
                self.events.push_back(Event::Laptop(life, daemon::Input::Happening(answered(ask, answer))));
            }
            End::Watcher(watcher, ask) => {
                self.events.push_back(Event::Watcher(watcher, watcher::Input::Happening(answered(ask, answer))));
            }
            End::Relay(url, connection, errand) => {
                self.events.push_back(Event::Relay(url, connection, connection::Input::Happened(answered(errand, answer))));
            }
        }
    }

    pub(super) fn dial(&mut self, end: End, url: String) {
        let has_network = self.laptop.is_online || !matches!(end, End::Laptop(..));
        let entropy = self.entropy();
        let for_device = self.entropy();
        let (now, clock) = (self.now, self.wall);
        let connection = ConnectionId(self.number());
        match self.relays.get_mut(&url).filter(|relay| relay.is_up && has_network) {
            Some(relay) => {
                relay.accept(now, clock, connection, &entropy);
                self.sockets.insert(connection, Socket { end, url });
                self.events.push_back(Event::ToDevice(connection, Happening::Connected((), for_device)));
            }
            None => self.tell_end(end, Happening::Closed((), Closed::Fault(NetFault::Refused))),
        }
    }

    pub(super) fn connection_of(&self, end: &End) -> Option<ConnectionId> {
        self.sockets.iter().rev().find(|(_, socket)| socket.end == *end).map(|(id, _)| *id)
    }

    pub(super) fn send(&mut self, end: &End, message: Bytes) {
        let Some(connection) = self.connection_of(end) else { return };
        let url = self.sockets[&connection].url.clone();
        if matches!(end, End::Laptop(..)) {
            self.sent.push(Sent { at: self.now, to: url.clone(), bytes: message.clone() });
        }
        let received = connection::Input::Happened(Happening::Received(connection::Errand::Socket, message));
        self.events.push_back(Event::Relay(url, connection, received));
        self.events.push_back(Event::ToDevice(connection, Happening::Sent((), 1)));
    }

    pub(super) fn close(&mut self, end: End, close: Close) {
        let reason = if let Close::Because(reason) = close { Some(reason) } else { None };
        if let Some(connection) = self.connection_of(&end) {
            let url = self.sockets[&connection].url.clone();
            let closed = connection::Input::Happened(Happening::Closed(connection::Errand::Socket, Closed::ByPeer(reason)));
            self.events.push_back(Event::Relay(url, connection, closed));
        }
        self.tell_end(end, Happening::Closed((), Closed::ByUs));
    }

    pub(super) fn tell_device(&mut self, connection: ConnectionId, happening: Happening<()>) {
        let Some(end) = self.sockets.get(&connection).map(|socket| socket.end.clone()) else { return };
        if matches!(happening, Happening::Closed(..)) {
            self.sockets.remove(&connection);
        }
        self.tell_end(end, happening);
    }

    pub(super) fn tell_end(&mut self, end: End, happening: Happening<()>) {
        match end {
            End::Laptop(life, ask) => {
                self.events.push_back(Event::Laptop(life, daemon::Input::Happening(happening.with_id(ask))));
            }
            End::Watcher(watcher, ask) => {
                self.events.push_back(Event::Watcher(watcher, watcher::Input::Happening(happening.with_id(ask))));
            }
            End::Relay(..) => unreachable!("a relay dials nobody"),
        }
    }
}

fn answered<I>(id: I, answer: Option<HttpAnswer>) -> Happening<I> {
    match answer {
        Some(answer) => Happening::Answered(id, answer),
        None => Happening::Unanswered(id, NetFault::Refused),
    }
}

fn bytes_of(request: &HttpRequest) -> Bytes {
    let mut bytes = request.url.clone().into_bytes();
    for (name, value) in &request.headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value.expose().as_bytes());
    }
    bytes.extend_from_slice(request.body.as_ref().map_or(&[], SecretBytes::expose));
    bytes.into()
}
