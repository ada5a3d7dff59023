//! What machines want is carried out.

use std::collections::VecDeque;

use proto_core::{
    BindingId, Instant, Machine,
    device::{
        daemon::{self, EffectId},
        files::{Config, Document},
        uplink, watcher,
    },
    effect::{Close, Closed, Effect, IoEvent, StateFile},
    noise::Noise,
    relay::{connection, hub::ConnectionId},
    secret::SecretBytes,
};

use super::{
    Party, Sim,
    disk::{self, Fate},
    fault::Fault,
    net::{End, Way},
    oracle::Seen,
    station::{FeedWant, KeyWant},
    step::Event,
};
use crate::world::Want;

fn said<M: Machine>(machine: &mut M) -> impl Iterator<Item = M::Output> {
    core::iter::from_fn(|| machine.poll_output())
}

impl<N: Noise + 'static> Sim<N> {
    pub(super) fn drain_host(&mut self, host: usize) {
        let wants = self.hosts[host].laptop.daemon.iter_mut().flat_map(said).collect();
        self.host_wants(host, wants);
    }

    pub(super) fn host_wants(&mut self, host: usize, wants: Vec<daemon::Output>) {
        let life = self.hosts[host].laptop.life;
        let (mut wants, mut taken) = (VecDeque::from(wants), Vec::new());
        loop {
            let Some(output) = wants.pop_front() else {
                let Some(effect_id) = taken.pop() else { return };
                let at = self.hosts[host].clock.monotonic(self.now);
                if let Some(daemon) = self.hosts[host].laptop.daemon.as_mut() {
                    daemon.handle_input(at, daemon::Input::Io(IoEvent::Sent(effect_id, 1))).unwrap();
                    wants.extend(said(daemon));
                }
                continue;
            };
            match output {
                daemon::Output::Effect(Effect::Send(effect_id, message)) => {
                    if let EffectId::Bridge(binding, ..) = &effect_id {
                        self.oracles.see(self.now, &Seen::Sent { host, binding, message: &message });
                    }
                    self.sends(&End::Host(host, life, effect_id.clone()), message);
                    taken.push(effect_id);
                }
                daemon::Output::Effect(effect) => self.perform_for_host(host, life, effect),
                daemon::Output::Answer(id, answer) => self.request_answered(host, id, answer),
                daemon::Output::Pairing(event) => self.pairing_said(host, &event),
                daemon::Output::Attached(source, attached) => self.attached(host, source, attached),
                daemon::Output::ToSource(source, frame) => self.goes_to_source(host, source, frame),
                daemon::Output::Look(task_id, directory) => self.soon(Event::Look(host, life, task_id, directory)),
                daemon::Output::Change(task_id, changes) => self.soon(Event::Change(host, life, task_id, changes)),
                daemon::Output::Log(event) => {
                    self.oracles.see(self.now, &Seen::Logged { host, event: &event });
                    if let daemon::Event::Connected(binding) = &event {
                        self.link_is_up(host, binding);
                    }
                    self.tell_story(host, &event);
                }
            }
        }
    }

    fn link_is_up(&mut self, host: usize, binding: &BindingId) {
        let life = self.hosts[host].laptop.life;
        let is_it = |end: &End| matches!(end, End::Host(h, l, EffectId::Bridge(id, _, uplink::EffectId::Link)) if *h == host && *l == life && **id == *binding);
        let wire = self.by_end.iter().filter(|(end, _)| is_it(end)).filter_map(|(_, id)| self.wires.get(id)).next_back();
        if let Some(station) = wire.map(|wire| &self.stations[wire.station]) {
            let (key, is_false) = (station.relay.key(), station.is_false);
            self.oracles.see(self.now, &Seen::LinkUp { host, binding, key, is_false });
        }
    }

    fn soon(&mut self, event: Event) {
        self.queue.put(self.now, event);
    }

    fn perform_for_host(&mut self, host: usize, life: u32, effect: Effect<EffectId>) {
        match effect {
            Effect::Store(effect_id, file, contents) => self.begins_write(host, life, effect_id, file, Some(contents)),
            Effect::Remove(effect_id, file) => self.begins_write(host, life, effect_id, file, None),
            Effect::Load(effect_id, file) => {
                let at = self.when_disk_is_free(host);
                self.queue.put(at, Event::Load(host, life, effect_id, file));
            }
            Effect::Http(effect_id, request) => self.asks(End::Host(host, life, effect_id), request),
            Effect::Connect(effect_id, connect) => {
                if let EffectId::Bridge(binding, ..) = &effect_id {
                    self.oracles.see(self.now, &Seen::Dials { host, binding });
                }
                self.dials(End::Host(host, life, effect_id), &connect.url, connect.timeout);
            }
            Effect::Close(effect_id, close) => self.closes_end(End::Host(host, life, effect_id), close),
            Effect::Send(..) => unreachable!("sent above"),
        }
    }

    /// A device closes its newest connection, and is told at once that it is closed.
    fn closes_end(&mut self, end: End, close: Close) {
        let reason = if let Close::Because(reason) = close { Some(reason) } else { None };
        if let Some(id) = self.by_end.get(&end).copied() {
            self.closes(id, Way::Up, Closed::ByPeer(reason));
        }
        let io_event = IoEvent::Closed((), Closed::ByUs);
        match end {
            End::Host(host, life, effect_id) => {
                self.soon(Event::Host(host, life, daemon::Input::Io(io_event.with_id(effect_id))));
            }
            End::Viewer(viewer, life, effect_id) => {
                self.soon(Event::Viewer(viewer, life, watcher::Input::Io(io_event.with_id(effect_id))));
            }
            End::Peer(..) | End::Keys(..) | End::RevocationFeed(..) | End::Attacker => {}
        }
    }

    /// Writes of one process come to their ends in their order.
    fn begins_write(&mut self, host: usize, life: u32, effect_id: EffectId, file: StateFile, contents: Option<SecretBytes>) {
        let at = self.when_disk_is_free(host);
        self.queue.put(at, Event::Disk(host, life, effect_id, file, contents));
    }

    fn when_disk_is_free(&mut self, host: usize) -> Instant {
        let time = disk::latency(&mut self.hosts[host].dice);
        let at = self.now.after(time).max(self.hosts[host].disk.free_at);
        self.hosts[host].disk.free_at = at;
        at
    }

    pub(super) fn load(&mut self, host: usize, life: u32, effect_id: EffectId, file: StateFile) {
        if life != self.hosts[host].laptop.life {
            return;
        }
        if let Some(until) = self.is_stopped(Party::Host(host)) {
            return self.queue.put(until, Event::Load(host, life, effect_id, file));
        }
        let machine = &self.hosts[host];
        let io_event = match machine.disk.fault(self.now) {
            Some(fault @ (Fault::Io | Fault::Permissions)) => {
                self.tally.count(fault);
                IoEvent::NotLoaded(effect_id)
            }
            _ => IoEvent::Loaded(effect_id, machine.laptop.disk.get(&file).cloned()),
        };
        self.tell_host(host, life, daemon::Input::Io(io_event));
    }

    pub(super) fn write(&mut self, host: usize, life: u32, effect_id: EffectId, file: StateFile, contents: Option<SecretBytes>) {
        if life != self.hosts[host].laptop.life {
            return;
        }
        if let Some(until) = self.is_stopped(Party::Host(host)) {
            return self.queue.put(until, Event::Disk(host, life, effect_id, file, contents));
        }
        let machine = &mut self.hosts[host];
        let io_event = match machine.disk.fate(self.now) {
            Fate::PowerGoes => {
                self.tally.count(Fault::TornWrite);
                self.story.host(self.now, host, "lost power in the middle of a write");
                return self.power_goes(host);
            }
            Fate::Failed(fault) => {
                self.tally.count(fault);
                IoEvent::NotStored(effect_id)
            }
            Fate::Done => {
                for file in machine.laptop.touched(&file) {
                    machine.disk.replaces(self.now, &machine.laptop.disk, &file);
                }
                machine.laptop.write(file.clone(), contents.clone());
                self.trace.note(self.now, 4, host as u64, contents.as_ref().map_or(&[], SecretBytes::expose));
                self.saw_durable(host, &file, contents.as_ref());
                IoEvent::Stored(effect_id)
            }
        };
        self.tell_host(host, life, daemon::Input::Io(io_event));
    }

    fn saw_durable(&mut self, host: usize, file: &StateFile, contents: Option<&SecretBytes>) {
        self.oracles.see(self.now, &Seen::Durable { host, file, contents });
        if let (StateFile::Config, Some(contents)) = (file, contents) {
            let config = Config::parse(contents.expose()).ok();
            self.oracles.see(self.now, &Seen::Configured { host, config: config.as_ref() });
        }
        if *file == StateFile::PendingPairing && contents.is_some() {
            let clock = self.hosts[host].clock.monotonic(self.now);
            self.oracles.see(self.now, &Seen::CodeSaved { host, clock });
        }
    }

    // Viewers

    pub(super) fn drain_viewer(&mut self, viewer: usize) {
        let wants = said(&mut self.viewers[viewer].tablet.watcher).collect();
        self.viewer_wants(viewer, wants);
    }

    pub(super) fn viewer_wants(&mut self, viewer: usize, wants: Vec<watcher::Output>) {
        let life = self.viewers[viewer].life;
        for output in wants {
            self.viewer_said(viewer, &output);
            if let Some(effect) = self.viewers[viewer].tablet.said(output) {
                self.perform_for_viewer(viewer, life, effect);
            }
        }
    }

    fn perform_for_viewer(&mut self, viewer: usize, life: u32, effect: Effect<watcher::EffectId>) {
        match effect {
            Effect::Http(effect_id, request) => self.asks(End::Viewer(viewer, life, effect_id), request),
            Effect::Connect(effect_id, connect) => {
                self.dials(End::Viewer(viewer, life, effect_id), &connect.url, connect.timeout);
            }
            Effect::Send(effect_id, message) => {
                self.sends(&End::Viewer(viewer, life, effect_id), message);
                self.soon(Event::Viewer(viewer, life, watcher::Input::Io(IoEvent::Sent(effect_id, 1))));
            }
            Effect::Close(effect_id, close) => self.closes_end(End::Viewer(viewer, life, effect_id), close),
            Effect::Store(effect_id, file, contents) => {
                let written = self.viewers[viewer].tablet.write(effect_id, file, Some(contents));
                self.soon(Event::Viewer(viewer, life, written));
            }
            Effect::Remove(effect_id, file) => {
                let written = self.viewers[viewer].tablet.write(effect_id, file, None);
                self.soon(Event::Viewer(viewer, life, written));
            }
            Effect::Load(..) => unreachable!("a viewer keeps no records"),
        }
    }

    // Relays

    /// Takes what a relay wants, until it wants nothing more.
    pub(super) fn after_station(&mut self, station: usize, wants: Vec<Want>) {
        let mut wants = std::collections::VecDeque::from(wants);
        loop {
            while let Some(want) = wants.pop_front() {
                match want {
                    Want::LookUp(connection, effect_id, kid) => {
                        self.stations[station].look_up(self.now, connection, effect_id, kid);
                    }
                    Want::Perform(connection, effect) => self.perform_for_station(station, connection, effect),
                }
            }
            let key_wants = self.stations[station].keys_said();
            for want in key_wants {
                match want {
                    KeyWant::Fetch(id, request) => self.asks(End::Keys(station, id), request),
                    KeyWant::Answer(connection, effect_id, answer) => {
                        let input = connection::Input::Key(effect_id, answer);
                        wants.extend(self.stations[station].relay.tell(self.now, connection, input));
                    }
                }
            }
            for want in self.stations[station].feed_said() {
                match want {
                    FeedWant::Http(id, request) => self.asks(End::RevocationFeed(station, id), request),
                    FeedWant::Tell(input) => wants.extend(self.stations[station].relay.tell_hub(self.now, input)),
                }
            }
            if wants.is_empty() {
                wants.extend(self.reads_on(station));
            }
            if wants.is_empty() {
                break;
            }
        }
        self.frames_at(station);
        self.commits_soon(station);
        self.schedule(Party::RelayProcess(station));
    }

    /// Frames that the relay did not read because it was behind.
    fn reads_on(&mut self, station: usize) -> Vec<Want> {
        let relay = &mut self.stations[station].relay;
        for (id, wire) in self.wires.iter_mut().filter(|(_, wire)| wire.station == station && !wire.unread.is_empty()) {
            if relay.connections.get(id).is_some_and(connection::Connection::is_reading)
                && let Some(message) = wire.unread.pop_front()
            {
                let received = connection::Input::Io(IoEvent::Received(connection::EffectId::Socket, message));
                return relay.tell(self.now, *id, received);
            }
        }
        Vec::new()
    }

    fn perform_for_station(&mut self, station: usize, connection: ConnectionId, effect: Effect<connection::EffectId>) {
        match effect {
            Effect::Http(effect_id, request) => self.asks(End::Peer(station, connection, effect_id), request),
            Effect::Send(_, message) => self.sets_out(connection, Way::Down, message),
            Effect::Close(_, close) => {
                let reason = if let Close::Because(reason) = close { Some(reason) } else { None };
                self.closes(connection, Way::Down, Closed::ByPeer(reason));
            }
            other => unreachable!("{other:?}"),
        }
    }

    /// Shows the oracles which devices came in at a relay, and what devices sent to it.
    fn frames_at(&mut self, station: usize) {
        let is_false = self.stations[station].is_false;
        let relay = &mut self.stations[station].relay;
        for (id, device) in std::mem::take(&mut relay.entries) {
            if !is_false {
                let is_attacker = self.oracles.attackers.contains(&id);
                self.oracles.see(self.now, &Seen::Entered { device: &device, is_attacker });
            }
        }
        if relay.frames.is_empty() {
            return;
        }
        for (id, frame) in std::mem::take(&mut relay.frames) {
            let device = self.stations[station].relay.admitted.get(&id);
            self.oracles.see(self.now, &Seen::Frame { device, frame: &frame });
        }
    }
}
