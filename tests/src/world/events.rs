//! What happens: events go in, what the machines say becomes events.

use bytes::Bytes;
use proto_core::{
    device::{
        bridge::SourceId,
        daemon::{self, EffectId},
        session, watcher,
    },
    effect::{Close, Closed, Effect, HttpAnswer, HttpRequest, IoEvent, NetFault, StateFile},
    relay::{admission::KeyAnswer, connection, hub::ConnectionId},
    secret::SecretBytes,
    wire::Frame,
};

use super::{API, End, Event, Run, Sent, Socket, World, relay::Want};

impl World {
    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Laptop(life, input) => self.tell_laptop(life, input),
            Event::Disk(life, effect_id, file, contents) => self.write(life, effect_id, file, contents),
            Event::Load(life, effect_id, file) => self.load(life, effect_id, file),
            Event::Look(life, task_id, directory) if life == self.laptop.life => {
                let looked = self.laptop.look(directory);
                self.events.push_back(Event::Laptop(life, daemon::Input::Looked(task_id, looked)));
            }
            Event::Change(life, task_id, changes) if life == self.laptop.life => {
                self.laptop.change(changes);
                self.events.push_back(Event::Laptop(life, daemon::Input::Changed(task_id, Ok(()))));
            }
            Event::Look(..) | Event::Change(..) => {}
            Event::Watcher(watcher, input) => self.turn_watcher(watcher, Some(input)),
            Event::Http(end, request) => self.request(end, &request),
            Event::Dial(end, url) => self.dial(end, url),
            Event::Relay(url, connection, input) => {
                if matches!(input, connection::Input::Io(IoEvent::Closed(..))) {
                    self.sockets.remove(&connection);
                }
                let wants = self.relays.get_mut(&url).unwrap().tell(self.now, connection, input);
                self.relay_wants(&url, wants);
            }
            Event::ToDevice(connection, io_event) => self.tell_device(connection, io_event),
            Event::Commit(url) => {
                let wants = self.relays.get_mut(&url).unwrap().commit(self.now);
                self.relay_wants(&url, wants);
            }
        }
    }

    pub(super) fn tell_laptop(&mut self, life: u32, input: daemon::Input) {
        if life == self.laptop.life {
            self.turn_laptop(Some(input));
        }
    }

    pub(super) fn write(&mut self, life: u32, effect_id: EffectId, file: StateFile, contents: Option<SecretBytes>) {
        if life != self.laptop.life {
            return;
        }
        if !self.laptop.disk_moves {
            return self.stuck.push(Event::Disk(life, effect_id, file, contents));
        }
        let io_event = if self.laptop.write(file, contents) { IoEvent::Stored(effect_id) } else { IoEvent::NotStored(effect_id) };
        self.events.push_back(Event::Laptop(life, daemon::Input::Io(io_event)));
    }

    fn load(&mut self, life: u32, effect_id: EffectId, file: StateFile) {
        if life != self.laptop.life {
            return;
        }
        if !self.laptop.disk_moves {
            return self.stuck.push(Event::Load(life, effect_id, file));
        }
        let io_event = IoEvent::Loaded(effect_id, self.laptop.disk.get(&file).cloned());
        self.events.push_back(Event::Laptop(life, daemon::Input::Io(io_event)));
    }

    pub(super) fn laptop_wants(&mut self, wants: Vec<daemon::Output>) {
        let life = self.laptop.life;
        for output in wants {
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
                daemon::Output::Look(task_id, directory) => self.events.push_back(Event::Look(life, task_id, directory)),
                daemon::Output::Change(task_id, changes) => self.events.push_back(Event::Change(life, task_id, changes)),
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

    pub(super) fn perform_for_laptop(&mut self, life: u32, effect: Effect<EffectId>) {
        match effect {
            Effect::Store(effect_id, file, contents) => self.events.push_back(Event::Disk(life, effect_id, file, Some(contents))),
            Effect::Remove(effect_id, file) => self.events.push_back(Event::Disk(life, effect_id, file, None)),
            Effect::Load(effect_id, file) => self.events.push_back(Event::Load(life, effect_id, file)),
            Effect::Http(effect_id, request) => {
                self.sent.push(Sent { at: self.now, to: API.into(), bytes: bytes_of(&request) });
                self.events.push_back(Event::Http(End::Laptop(life, effect_id), request));
            }
            Effect::Connect(effect_id, connect) => self.events.push_back(Event::Dial(End::Laptop(life, effect_id), connect.url)),
            Effect::Send(effect_id, message) => self.send(&End::Laptop(life, effect_id), message),
            Effect::Close(effect_id, close) => self.close(End::Laptop(life, effect_id), close),
        }
    }

    pub(super) fn watcher_wants(&mut self, watcher: usize, wants: Vec<watcher::Output>) {
        for output in wants {
            if let Some(effect) = self.watchers[watcher].said(output) {
                self.perform_for_watcher(watcher, effect);
            }
        }
    }

    pub(super) fn perform_for_watcher(&mut self, watcher: usize, effect: Effect<watcher::EffectId>) {
        match effect {
            Effect::Http(effect_id, request) => self.events.push_back(Event::Http(End::Watcher(watcher, effect_id), request)),
            Effect::Connect(effect_id, connect) => {
                self.events.push_back(Event::Dial(End::Watcher(watcher, effect_id), connect.url));
            }
            Effect::Send(effect_id, message) => self.send(&End::Watcher(watcher, effect_id), message),
            Effect::Close(effect_id, close) => self.close(End::Watcher(watcher, effect_id), close),
            Effect::Store(effect_id, file, contents) => self.write_for_watcher(watcher, effect_id, file, Some(contents)),
            Effect::Remove(effect_id, file) => self.write_for_watcher(watcher, effect_id, file, None),
            Effect::Load(..) => unreachable!("a viewer keeps no records"),
        }
    }

    fn write_for_watcher(
        &mut self,
        watcher: usize,
        effect_id: watcher::EffectId,
        file: StateFile,
        contents: Option<SecretBytes>,
    ) {
        let written = self.watchers[watcher].write(effect_id, file, contents);
        self.events.push_back(Event::Watcher(watcher, written));
    }

    pub(super) fn relay_wants(&mut self, url: &str, wants: Vec<Want>) {
        if self.relays[url].has_writes() && !self.events.iter().any(|event| matches!(event, Event::Commit(of) if of == url)) {
            self.events.push_back(Event::Commit(url.into()));
        }
        for want in wants {
            match want {
                Want::LookUp(connection, effect_id, kid) => {
                    let answer = self.platform.signing_key(kid).map_or(KeyAnswer::Unknown, KeyAnswer::Found);
                    self.events.push_back(Event::Relay(url.into(), connection, connection::Input::Key(effect_id, answer)));
                }
                Want::Perform(connection, effect) => self.perform_for_relay(url, connection, effect),
            }
        }
    }

    pub(super) fn perform_for_relay(&mut self, url: &str, connection: ConnectionId, effect: Effect<connection::EffectId>) {
        match effect {
            Effect::Http(effect_id, request) => {
                self.events.push_back(Event::Http(End::Relay(url.into(), connection, effect_id), request));
            }
            Effect::Send(effect_id, message) => {
                self.events.push_back(Event::ToDevice(connection, IoEvent::Received((), message)));
                let taken = connection::Input::Io(IoEvent::Sent(effect_id, 1));
                self.events.push_back(Event::Relay(url.into(), connection, taken));
            }
            Effect::Close(_, close) => {
                let reason = if let Close::Because(reason) = close { Some(reason) } else { None };
                self.events.push_back(Event::ToDevice(connection, IoEvent::Closed((), Closed::ByPeer(reason))));
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
            End::Laptop(life, effect_id) => {
                self.events.push_back(Event::Laptop(life, daemon::Input::Io(answered(effect_id, answer))));
            }
            End::Watcher(watcher, effect_id) => {
                self.events.push_back(Event::Watcher(watcher, watcher::Input::Io(answered(effect_id, answer))));
            }
            End::Relay(url, connection, effect_id) => {
                self.events.push_back(Event::Relay(url, connection, connection::Input::Io(answered(effect_id, answer))));
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
                self.events.push_back(Event::ToDevice(connection, IoEvent::Connected((), for_device)));
            }
            None => self.tell_end(end, IoEvent::Closed((), Closed::Fault(NetFault::Refused))),
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
        let received = connection::Input::Io(IoEvent::Received(connection::EffectId::Socket, message));
        self.events.push_back(Event::Relay(url, connection, received));
        self.events.push_back(Event::ToDevice(connection, IoEvent::Sent((), 1)));
    }

    pub(super) fn close(&mut self, end: End, close: Close) {
        let reason = if let Close::Because(reason) = close { Some(reason) } else { None };
        if let Some(connection) = self.connection_of(&end) {
            let url = self.sockets[&connection].url.clone();
            let closed = connection::Input::Io(IoEvent::Closed(connection::EffectId::Socket, Closed::ByPeer(reason)));
            self.events.push_back(Event::Relay(url, connection, closed));
        }
        self.tell_end(end, IoEvent::Closed((), Closed::ByUs));
    }

    pub(super) fn tell_device(&mut self, connection: ConnectionId, io_event: IoEvent<()>) {
        let Some(end) = self.sockets.get(&connection).map(|socket| socket.end.clone()) else { return };
        if matches!(io_event, IoEvent::Closed(..)) {
            self.sockets.remove(&connection);
        }
        self.tell_end(end, io_event);
    }

    pub(super) fn tell_end(&mut self, end: End, io_event: IoEvent<()>) {
        match end {
            End::Laptop(life, effect_id) => {
                self.events.push_back(Event::Laptop(life, daemon::Input::Io(io_event.with_id(effect_id))));
            }
            End::Watcher(watcher, effect_id) => {
                self.events.push_back(Event::Watcher(watcher, watcher::Input::Io(io_event.with_id(effect_id))));
            }
            End::Relay(..) => unreachable!("a relay does not dial"),
        }
    }
}

fn answered<I>(id: I, answer: Option<HttpAnswer>) -> IoEvent<I> {
    match answer {
        Some(answer) => IoEvent::Answered(id, answer),
        None => IoEvent::Unanswered(id, NetFault::Refused),
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
