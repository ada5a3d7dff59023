//! One event after the other, and whose timer fires when.

use std::time::Duration;

use bytes::Bytes;
use proto_core::{
    Instant, Machine,
    device::{
        consent::{Change, Directory},
        daemon::{self, EffectId, TaskId},
        watcher,
    },
    effect::{Closed, HttpAnswer, IoEvent, NetFault, StateFile},
    noise::Noise,
    relay::{connection, hub::ConnectionId},
    secret::SecretBytes,
};

use super::{
    Party, Sim,
    fault::Fault,
    net::{End, Way},
    oracle::Seen,
    plan::What,
};
use crate::world::Wants;

/// So many events at one moment are a cycle (LINK-3).
const AT_ONE_MOMENT: u32 = 100_000;

/// What is going to happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A party's timer fires.
    Wake(Party),
    /// Something of the plan.
    Incident(usize),
    /// The disk, a command or a person tells a daemon in one of its lives.
    Host(usize, u32, daemon::Input),
    /// A write or removal comes to its end.
    Disk(usize, u32, EffectId, StateFile, Option<SecretBytes>),
    Load(usize, u32, EffectId, StateFile),
    Look(usize, u32, TaskId, Directory),
    Change(usize, u32, TaskId, Vec<Change>),
    /// A daemon starts.
    Boot(usize),
    /// A daemon that has just started dies again.
    KillAgain(usize),
    /// The user decides about the code that a machine shows, in the browser.
    Decide(usize, String),
    /// A command shows the next record, or ends.
    Show(usize, u64),
    /// A terminal comes back to its daemon.
    ComeBack(usize, u64),
    /// A viewer's machine tells it something.
    Viewer(usize, u32, watcher::Input),
    /// A member approves the code that a viewer shows.
    ApproveViewer(usize, String),
    /// A request arrives at the platform, perhaps twice.
    Request(u64, bool),
    Answer(u64, Result<HttpAnswer, NetFault>),
    TimeOut(u64),
    Dialled(ConnectionId),
    NotDialled(ConnectionId, NetFault),
    Up(ConnectionId, Bytes),
    UpClosed(ConnectionId, Closed),
    Down(ConnectionId, Bytes),
    DownClosed(ConnectionId, Closed),
    /// What waits in a relay's store becomes durable.
    Commit(usize),
    /// A relay has its announced key.
    ChangeKey(usize),
    /// A trouble of the plan is over.
    Over(usize),
}

impl<N: Noise + 'static> Sim<N> {
    /// One event. False when nothing is going to happen any more.
    pub fn step(&mut self) -> bool {
        let Some((at, event)) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        self.steps += 1;
        self.happen(event);
        true
    }

    /// Lets everything happen up to a moment, and judges at every step. False when something does not hold.
    pub fn run_until(&mut self, end: Instant) -> bool {
        let (mut moment, mut steps) = (self.now, 0);
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step();
            self.judge_step();
            steps = if self.now == moment { steps + 1 } else { 0 };
            moment = self.now;
            if steps > AT_ONE_MOMENT {
                self.oracles.verdicts.broken(self.now, "LINK-3", "a cycle at one moment".into());
            }
            if !self.oracles.verdicts.is_clean() {
                return false;
            }
        }
        self.now = self.now.max(end);
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(party) => self.wake(party),
            Event::Incident(number) => self.incident(number),
            Event::Over(number) => self.over(number),
            Event::Host(host, life, input) => self.tell_host(host, life, input),
            Event::Disk(host, life, effect_id, file, contents) => self.write(host, life, effect_id, file, contents),
            Event::Load(host, life, effect_id, file) => self.load(host, life, effect_id, file),
            Event::Look(host, life, task_id, directory) => {
                let looked = self.hosts[host].laptop.look(directory);
                self.tell_host(host, life, daemon::Input::Looked(task_id, looked));
            }
            Event::Change(host, life, task_id, changes) => {
                if life == self.hosts[host].laptop.life {
                    self.hosts[host].laptop.change(changes);
                    self.tell_host(host, life, daemon::Input::Changed(task_id, Ok(())));
                }
            }
            Event::Boot(host) => self.boot(host),
            Event::KillAgain(host) => self.kill_again(host),
            Event::Decide(host, code) => self.decide(host, &code),
            Event::Show(host, run) => self.show_next(host, run),
            Event::ComeBack(host, run) => self.come_back(host, run),
            Event::Viewer(viewer, life, input) => self.tell_viewer(viewer, life, input),
            Event::ApproveViewer(viewer, code) => self.approve_viewer(viewer, &code),
            Event::Request(number, twice) => self.request(number, twice),
            Event::Answer(number, outcome) => self.answered(number, outcome),
            Event::TimeOut(number) => self.answered(number, Err(NetFault::TimedOut)),
            Event::Dialled(id) => self.dialled(id),
            Event::NotDialled(id, fault) => self.not_dialled(id, fault),
            Event::Up(id, message) => self.arrives_at_station(id, message),
            Event::UpClosed(id, closed) => self.closed_at_station(id, closed),
            Event::Down(id, message) => self.arrives_at_device(id, message),
            Event::DownClosed(id, closed) => self.closed_at_device(id, closed),
            Event::Commit(station) => self.commit(station),
            Event::ChangeKey(station) => self.change_key(station),
        }
    }

    fn incident(&mut self, number: usize) {
        match self.plan[number].what.clone() {
            What::UserAction(deed) => self.deed(&deed),
            What::Trouble(trouble) => self.trouble(number, &trouble),
        }
    }

    // Timers

    /// Sets a party's timer to its next deadline.
    pub(super) fn schedule(&mut self, party: Party) {
        let now = self.now;
        let (at, scheduled) = match party {
            Party::Host(number) => {
                let host = &mut self.hosts[number];
                let deadline = host.laptop.daemon.as_ref().and_then(Machine::poll_timeout);
                (deadline.map(|deadline| host.clock.when(deadline.at).after(host.late)), &mut host.scheduled)
            }
            Party::Viewer(number) => {
                let viewer = &mut self.viewers[number];
                (viewer.tablet.watcher.poll_timeout().map(|deadline| viewer.clock.when(deadline.at)), &mut viewer.scheduled)
            }
            Party::RelayProcess(number) => {
                let Some(station) = self.stations.get_mut(number) else { return };
                (station.deadline(), &mut station.scheduled)
            }
        };
        let Some(at) = at.map(|at| at.max(now)) else { return };
        if scheduled.is_none_or(|scheduled| at < scheduled) {
            *scheduled = Some(at);
            self.queue.put(at, Event::Wake(party));
        }
    }

    fn wake(&mut self, party: Party) {
        if let Some(until) = self.is_stopped(party) {
            return self.queue.put(until, Event::Wake(party));
        }
        let now = self.now;
        match party {
            Party::Host(number) if self.hosts[number].scheduled.take_if(|at| *at <= now).is_some() => {
                if !self.hosts[number].late.is_zero() {
                    self.tally.count(Fault::TimerLate);
                }
                self.turn_host(number, None);
            }
            Party::Viewer(number) if self.viewers[number].scheduled.take_if(|at| *at <= now).is_some() => {
                self.turn_viewer(number, None);
            }
            Party::Host(_) | Party::Viewer(_) => {}
            Party::RelayProcess(number) => {
                if self.stations[number].scheduled.take_if(|at| *at <= now).is_some() {
                    let wants = self.stations[number].relay.fire(now);
                    self.stations[number].keys.handle_timeout(now);
                    self.stations[number].feed.handle_timeout(now);
                    self.after_station(number, wants);
                }
            }
        }
        self.schedule(party);
    }

    /// Until when nothing of a party runs, if it is stopped now. One that wakes has its clocks moved on.
    pub(super) fn is_stopped(&mut self, party: Party) -> Option<Instant> {
        let (stopped, clock, scheduled) = match party {
            Party::Host(number) => {
                let host = &mut self.hosts[number];
                (&mut host.stopped, &mut host.clock, &mut host.scheduled)
            }
            Party::Viewer(number) => {
                let viewer = &mut self.viewers[number];
                (&mut viewer.stopped, &mut viewer.clock, &mut viewer.scheduled)
            }
            Party::RelayProcess(_) => return None,
        };
        let until = (*stopped)?.until(self.now, clock);
        if until.is_none() {
            *stopped = None;
            *scheduled = None;
            self.schedule(party);
        }
        until
    }

    // Daemons

    pub(super) fn tell_host(&mut self, host: usize, life: u32, input: daemon::Input) {
        if life != self.hosts[host].laptop.life {
            return;
        }
        if let Some(until) = self.is_stopped(Party::Host(host)) {
            return self.queue.put(until, Event::Host(host, life, input));
        }
        self.turn_host(host, Some(input));
        self.schedule(Party::Host(host));
    }

    /// One turn of the loop that ships.
    fn turn_host(&mut self, number: usize, input: Option<daemon::Input>) {
        let host = &mut self.hosts[number];
        let wall = host.clock.reading(self.now);
        let Some(daemon) = host.laptop.daemon.as_mut() else { return };
        if host.laptop.turns.notices(wall) {
            self.oracles.see(self.now, &Seen::Hurried { host: number });
        }
        let mut wants = Wants::default();
        host.laptop.turns.turn(daemon, wall, input, &mut wants);
        self.host_wants(number, wants.0);
    }

    /// The monotonic clock of a party.
    pub(super) fn clock_of(&self, party: Party) -> Instant {
        match party {
            Party::Host(host) => self.hosts[host].clock.monotonic(self.now),
            Party::Viewer(_) | Party::RelayProcess(_) => self.now,
        }
    }

    // Viewers

    pub(super) fn tell_viewer(&mut self, viewer: usize, life: u32, input: watcher::Input) {
        if life != self.viewers[viewer].life {
            return;
        }
        if let Some(until) = self.is_stopped(Party::Viewer(viewer)) {
            return self.queue.put(until, Event::Viewer(viewer, life, input));
        }
        self.turn_viewer(viewer, Some(input));
        self.schedule(Party::Viewer(viewer));
    }

    fn turn_viewer(&mut self, number: usize, input: Option<watcher::Input>) {
        let viewer = &mut self.viewers[number];
        let wall = viewer.clock.reading(self.now);
        let mut wants = Wants::default();
        viewer.tablet.turns.turn(&mut viewer.tablet.watcher, wall, input, &mut wants);
        self.viewer_wants(number, wants.0);
    }

    // Both

    /// Tells the end of a connection or request what became of it.
    pub(super) fn tell_end(&mut self, end: End, io_event: IoEvent<()>) {
        match end {
            End::Host(host, life, effect_id) => self.tell_host(host, life, daemon::Input::Io(io_event.with_id(effect_id))),
            End::Viewer(viewer, life, effect_id) => {
                self.tell_viewer(viewer, life, watcher::Input::Io(io_event.with_id(effect_id)));
            }
            End::Peer(station, connection, effect_id) => {
                let input = connection::Input::Io(io_event.with_id(effect_id));
                let wants = self.stations[station].relay.tell(self.now, connection, input);
                self.after_station(station, wants);
            }
            End::Keys(station, fetch) => {
                let input = proto_core::keyset::Input::Io(io_event.with_id(fetch));
                self.stations[station].keys.handle_input(self.now, input).unwrap();
                self.after_station(station, Vec::new());
            }
            End::RevocationFeed(station, effect_id) => {
                let input = proto_core::relay::revocations::Input::Io(io_event.with_id(effect_id));
                self.stations[station].feed.handle_input(self.now, input).unwrap();
                self.after_station(station, Vec::new());
            }
            End::Attacker => {}
        }
    }

    fn arrives_at_station(&mut self, id: ConnectionId, message: Bytes) {
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.is_taken && !wire.is_dead) else { return };
        let station = wire.station;
        self.trace.note(self.now, 1, id.0, &message);
        let is_reading =
            self.stations[station].relay.connections.get(&id).is_some_and(proto_core::relay::connection::Connection::is_reading);
        if !is_reading || !wire.unread.is_empty() {
            wire.unread.push_back(message);
            return;
        }
        let received = connection::Input::Io(IoEvent::Received(connection::EffectId::Socket, message));
        let wants = self.stations[station].relay.tell(self.now, id, received);
        self.after_station(station, wants);
    }

    fn closed_at_station(&mut self, id: ConnectionId, closed: Closed) {
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.is_taken) else { return };
        wire.is_taken = false;
        let station = wire.station;
        let input = connection::Input::Io(IoEvent::Closed(connection::EffectId::Socket, closed));
        let wants = self.stations[station].relay.tell(self.now, id, input);
        self.after_station(station, wants);
        self.forget_closed(id);
    }

    fn arrives_at_device(&mut self, id: ConnectionId, message: Bytes) {
        let Some(wire) = self.wires.get(&id).filter(|wire| wire.is_open && !wire.is_dead) else { return };
        let (end, station) = (wire.end.clone(), wire.station);
        self.trace.note(self.now, 2, id.0, &message);
        if let End::Host(host, life, EffectId::Bridge(binding, ..)) = &end
            && *life == self.hosts[*host].laptop.life
        {
            self.oracles.see(self.now, &Seen::Heard { host: *host, binding, clock: self.hosts[*host].clock.monotonic(self.now) });
        }
        self.tell_end(end, IoEvent::Received((), message));
        let taken = connection::Input::Io(IoEvent::Sent(connection::EffectId::Socket, 1));
        let wants = self.stations[station].relay.tell(self.now, id, taken);
        self.after_station(station, wants);
    }

    fn closed_at_device(&mut self, id: ConnectionId, closed: Closed) {
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.is_open) else { return };
        wire.is_open = false;
        let end = wire.end.clone();
        if self.by_end.get(&end) == Some(&id) {
            self.by_end.remove(&end);
        }
        self.trace.note(self.now, 3, id.0, &[]);
        self.forget_closed(id);
        self.tell_end(end, IoEvent::Closed((), closed));
    }

    /// A device sends on its newest connection, or closes it.
    pub(super) fn sends(&mut self, end: &End, message: Bytes) {
        let Some(id) = self.by_end.get(end).copied() else { return };
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.sent += 1;
            if wire.sent == 1 {
                let station = wire.station;
                self.record(station, message.clone());
            }
        }
        self.sets_out(id, Way::Up, message);
    }

    fn commit(&mut self, station: usize) {
        self.stations[station].commits_at = None;
        let wants = self.stations[station].relay.commit(self.now);
        self.after_station(station, wants);
    }

    /// A relay's store takes a moment for what waits.
    pub(super) fn commits_soon(&mut self, station: usize) {
        let relay = &mut self.stations[station];
        if relay.commits_at.is_none() && relay.relay.has_writes() {
            let at = self.now.after(Duration::from_millis(2));
            relay.commits_at = Some(at);
            self.queue.put(at, Event::Commit(station));
        }
    }
}
