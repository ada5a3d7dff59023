//! What happens to machines.

use std::time::Duration;

use proto_core::{
    Machine, UnixTime, WallClock,
    device::session,
    effect::{Closed, IoEvent, NetFault},
    relay::{
        connection,
        hub::{self, ConnectionId},
    },
    wire::Frame,
};

use super::{End, Event, Socket, World, relay_url, turns::begun};

impl World {
    /// The daemon dies: what was not durable is lost, and so are its connections.
    pub fn kill(&mut self) {
        self.laptop.daemon = None;
        self.laptop.life += 1;
        let lost: Vec<_> = self.sockets.iter().filter(|(_, s)| matches!(s.end, End::Laptop(..))).map(|(id, _)| *id).collect();
        for connection in lost {
            self.break_socket(connection);
        }
        for run in &mut self.laptop.runs {
            let _ = run.tell(self.now, session::Input::Detached);
        }
    }

    /// The daemon starts; commands that still run come back to it.
    pub fn boot(&mut self) {
        let clock = self.told;
        self.laptop.boot(self.now, clock).expect("the disk is sound");
        let wants = self.laptop.daemon.as_mut().map(|daemon| begun(&self.laptop.turns, daemon));
        self.laptop_wants(wants.unwrap_or_default());
        for run in 0..self.laptop.runs.len() {
            self.come_back(run);
        }
    }

    /// The machine and the viewers sleep: the wall clock goes on meanwhile, and their monotonic clocks, by which this world runs,
    /// stand still. Relays have given up their connections when they wake. What became of the clock, [`World::wake`] tells them.
    pub fn suspend(&mut self, time: Duration) {
        self.wall = WallClock::new(self.now, self.unix().plus(time.as_secs()));
        let lost: Vec<_> = self.sockets.keys().copied().collect();
        for connection in lost {
            self.break_socket(connection);
        }
        let (now, wall) = (self.now, self.wall);
        for connection in self.relays.values_mut().flat_map(|relay| relay.connections.values_mut()) {
            connection.handle_clock(now, wall);
        }
    }

    /// The wall clocks of the machine and the viewers are set, so many seconds ahead of the right time.
    pub fn set_clocks(&mut self, ahead: i64) {
        self.told = WallClock::new(self.now, UnixTime(self.unix().0.saturating_add_signed(ahead)));
        self.notice();
    }

    /// The drivers of daemon and viewers notice that they slept.
    pub fn wake(&mut self) {
        self.told = self.wall;
        self.notice();
    }

    fn notice(&mut self) {
        self.turn_laptop(None);
        for watcher in 0..self.watchers.len() {
            self.turn_watcher(watcher, None);
        }
    }

    /// A relay's process dies and starts again.
    pub fn restart_relay(&mut self, slug: &str) {
        let url = relay_url(slug);
        let lost: Vec<_> = self.sockets.iter().filter(|(_, socket)| socket.url == url).map(|(id, _)| *id).collect();
        for connection in lost {
            self.break_socket(connection);
        }
        let now = self.now;
        self.relay(slug).restart(now);
    }

    /// A relay's store stops making anything durable, or goes on.
    pub fn set_commits(&mut self, slug: &str, commits: bool) {
        let (org, now) = (self.org(slug), self.now);
        self.relay(slug).commits = commits;
        let wants = self.relay(slug).tell_hub(now, hub::Input::Storing(org, commits));
        self.relay_wants(&relay_url(slug), wants);
    }

    /// The network at the machine is gone, or back.
    pub fn set_online(&mut self, is_online: bool) {
        self.laptop.is_online = is_online;
        if !is_online {
            let of_laptop = |socket: &Socket| matches!(socket.end, End::Laptop(..));
            let lost: Vec<_> = self.sockets.iter().filter(|(_, socket)| of_laptop(socket)).map(|(id, _)| *id).collect();
            for connection in lost {
                self.break_socket(connection);
            }
        }
    }

    /// A disk that did not move goes on.
    pub fn move_disk(&mut self) {
        self.laptop.disk_moves = true;
        self.events.extend(self.stuck.drain(..));
    }

    /// A viewer's connection to its relay breaks.
    pub fn cut_off_watcher(&mut self, watcher: usize) {
        let is_its = |socket: &Socket| matches!(socket.end, End::Watcher(whose, _) if whose == watcher);
        let lost: Vec<_> = self.sockets.iter().filter(|(_, socket)| is_its(socket)).map(|(id, _)| *id).collect();
        for connection in lost {
            self.break_socket(connection);
        }
    }

    pub(super) fn break_socket(&mut self, connection: ConnectionId) {
        let fault = || Closed::Fault(NetFault::Broken);
        self.events.push_back(Event::ToDevice(connection, IoEvent::Closed((), fault())));
        if let Some(url) = self.sockets.get(&connection).map(|socket| socket.url.clone()) {
            let input = connection::Input::Io(IoEvent::Closed(connection::EffectId::Socket, fault()));
            self.events.push_back(Event::Relay(url, connection, input));
        }
    }

    /// The relay sends the machine an unsolicited frame, such as one of a viewer that is not there.
    pub fn forge(&mut self, slug: &str, frame: Frame) {
        let url = relay_url(slug);
        self.forge_to(|socket| matches!(socket.end, End::Laptop(..)) && socket.url == url, frame);
    }

    /// The relay sends a watcher an unsolicited frame.
    pub fn forge_to_watcher(&mut self, watcher: usize, frame: impl Into<Frame>) {
        self.forge_to(|socket| matches!(socket.end, End::Watcher(who, _) if who == watcher), frame.into());
    }

    fn forge_to(&mut self, is_meant: impl Fn(&Socket) -> bool, frame: Frame) {
        let found = self.sockets.iter().find(|(_, socket)| is_meant(socket));
        let (connection, url) = found.map(|(id, socket)| (*id, socket.url.clone())).expect("a connection");
        self.events.push_back(Event::Relay(url, connection, connection::Input::Send(frame)));
    }
}
