//! Faults begin and end.

use std::time::Duration;

use proto_core::{device::session, effect::StateFile, noise::Noise, secret::SecretBytes};

use super::{
    Party, Sim,
    dice::Dice,
    disk::Disk,
    fault::Fault,
    host::{Host, Stopped},
    net::{End, NetworkFault},
    oracle::Seen,
    plan::{Place, Trouble},
    step::Event,
};

impl<N: Noise + 'static> Sim<N> {
    pub(super) fn trouble(&mut self, number: usize, trouble: &Trouble) {
        let Trouble { fault, host, place, lasts, strength } = *trouble;
        self.story.fault(self.now, fault, host, place, lasts);
        let until = self.now.after(lasts);
        let mut dice = Dice::of(self.options.seed, "trouble", number as u64);
        let relay = dice.index(self.options.relays);
        match fault {
            Fault::Reset => self.connections_of(host).into_iter().for_each(|id| {
                self.tally.count(fault);
                self.breaks(id);
            }),
            Fault::HalfOpen => self.connections_of(host).into_iter().for_each(|id| {
                self.tally.count(fault);
                self.wires.entry(id).and_modify(|wire| wire.is_dead = true);
            }),
            Fault::Suspend | Fault::Pause => self.stop(self.sleeper(host, &mut dice), fault, lasts),
            Fault::JumpForward | Fault::JumpBack => self.jump(self.sleeper(host, &mut dice), fault, strength),
            Fault::Skew => self.skew(relay, number, lasts, &mut dice),
            Fault::TimerEarly => self.fire_early(host),
            Fault::TimerLate => {
                self.hosts[host].late = Duration::from_millis(20) * u32::try_from(strength).unwrap_or(1);
                self.queue.put(until, Event::Over(number));
            }
            Fault::Kill => self.kill_for(host, fault, lasts.min(Duration::from_secs(90))),
            Fault::KillInRecovery => self.kill_in_recovery(host, &mut dice),
            Fault::Upgrade => self.upgrade(host),
            Fault::Downgrade => self.downgrade(host, number, lasts),
            Fault::TwoDaemons => self.copy_home(host, number, lasts),
            Fault::RelayKill => {
                self.tally.count(fault);
                self.restart_station(relay);
            }
            Fault::RelayStall => {
                self.stations[relay].relay.commits = false;
                self.tally.count(fault);
                self.queue.put(until, Event::Over(number));
            }
            Fault::NoSpace | Fault::Io | Fault::TornWrite | Fault::Permissions => self.hosts[host].disk.upset(fault, until),
            Fault::LostFsync | Fault::LostRename => {
                self.hosts[host].disk.upset(fault, until);
                self.queue.put(until, Event::Over(number));
            }
            Fault::StaleRead | Fault::BitRot => self.damage(host, fault, &mut dice),
            Fault::KeyRotation => self.rotate_signing_keys(),
            Fault::RevocationRace => self.races = self.options.ends,
            Fault::Replay => self.replay(&mut dice),
            Fault::LyingRelay => self.lie(relay, number, until, &mut dice),
            Fault::AcceptThenClose => self.weather(fault, None, Place::Relay(relay), trouble, number),
            Fault::TooMany | Fault::SlowDown => self.weather(fault, Some(Party::Host(host)), Place::Platform, trouble, number),
            Fault::ServerError | Fault::JwksOutage => self.weather(fault, None, Place::Platform, trouble, number),
            Fault::CaptiveHtml => self.weather(fault, Some(Party::Host(host)), Place::Everything, trouble, number),
            Fault::Mitm => {
                self.weather(fault, Some(Party::Host(host)), Place::Relay(relay), trouble, number);
                self.connections_of(host).into_iter().for_each(|id| self.breaks(id));
            }
            _ => self.weather(fault, Some(self.victim(host, &mut dice)), place, trouble, number),
        }
    }

    /// The party that a fault hits: mostly a machine, sometimes a viewer or a relay's way to the platform.
    fn victim(&self, host: usize, dice: &mut Dice) -> Party {
        match dice.below(10) {
            0 if !self.viewers.is_empty() => Party::Viewer(dice.index(self.viewers.len())),
            1 => Party::RelayProcess(dice.index(self.options.relays)),
            _ => Party::Host(host),
        }
    }

    fn weather(&mut self, fault: Fault, party: Option<Party>, place: Place, trouble: &Trouble, number: usize) {
        let until = self.now.after(trouble.lasts);
        let dice = Dice::of(self.options.seed, "weather", number as u64);
        self.weather.retain(|weather| weather.until > self.now);
        self.weather.push(NetworkFault { fault, party, place, until, strength: trouble.strength, dice });
    }

    /// A trouble of the plan is over.
    pub(super) fn over(&mut self, number: usize) {
        let super::plan::What::Trouble(Trouble { fault, host, .. }) = self.plan[number].what else { return };
        let relay = Dice::of(self.options.seed, "trouble", number as u64).index(self.options.relays);
        match fault {
            Fault::TimerLate => self.hosts[host].late = Duration::ZERO,
            Fault::Skew => self.stations[relay].clock.wall = 0,
            Fault::RelayStall => {
                self.stations[relay].relay.commits = true;
                self.commits_soon(relay);
            }
            // A disk that lied, and now the power goes; unless it was mended meanwhile.
            Fault::LostFsync | Fault::LostRename if self.hosts[host].disk.lies() => self.power_goes(host),
            Fault::Downgrade => self.back_to_newer(host),
            Fault::TwoDaemons => self.end_copy(host),
            Fault::LyingRelay => self.stop_lying(relay),
            _ => {}
        }
    }

    pub(super) fn connections_of(&self, host: usize) -> Vec<proto_core::relay::hub::ConnectionId> {
        let is_its = |end: &End| matches!(end, End::Host(of, ..) if *of == host);
        self.by_end.iter().filter(|(end, _)| is_its(end)).map(|(_, id)| *id).collect()
    }

    // Time

    /// Whose clock it is: mostly a machine's with a daemon, sometimes a viewer's.
    fn sleeper(&self, host: usize, dice: &mut Dice) -> Party {
        if !self.viewers.is_empty() && dice.percent(25) {
            Party::Viewer(dice.index(self.viewers.len()))
        } else {
            Party::Host(host)
        }
    }

    fn stop(&mut self, party: Party, fault: Fault, lasts: Duration) {
        let (since, until) = (self.now, self.now.after(lasts));
        let stopped = match party {
            Party::Host(host) => &mut self.hosts[host].stopped,
            Party::Viewer(viewer) => &mut self.viewers[viewer].stopped,
            Party::RelayProcess(_) => return,
        };
        if stopped.is_some() {
            return;
        }
        *stopped = Some(Stopped { since, until, asleep: fault == Fault::Suspend });
        self.tally.count(fault);
        self.queue.put(until, Event::Wake(party));
    }

    fn jump(&mut self, party: Party, fault: Fault, strength: u64) {
        let seconds = i64::try_from(strength * strength * 20).unwrap_or(0);
        let clock = match party {
            Party::Host(host) => &mut self.hosts[host].clock,
            Party::Viewer(viewer) => &mut self.viewers[viewer].clock,
            Party::RelayProcess(_) => return,
        };
        clock.wall += if fault == Fault::JumpBack { -seconds } else { seconds };
        self.tally.count(fault);
    }

    fn skew(&mut self, relay: usize, number: usize, lasts: Duration, dice: &mut Dice) {
        self.tally.count(Fault::Skew);
        let seconds = i64::try_from(dice.between(61, 4_000)).unwrap_or(0);
        self.stations[relay].clock.wall = if dice.percent(50) { seconds } else { -seconds };
        self.queue.put(self.now.after(lasts), Event::Over(number));
    }

    fn fire_early(&mut self, host: usize) {
        let at = self.hosts[host].clock.monotonic(self.now);
        if self.hosts[host].stopped.is_some() {
            return;
        }
        if let Some(daemon) = self.hosts[host].laptop.daemon.as_mut() {
            self.tally.count(Fault::TimerEarly);
            proto_core::Machine::handle_timeout(daemon, at);
            self.drain_host(host);
            self.schedule(Party::Host(host));
        }
    }

    // Processes

    /// The daemon dies: what was not durable is lost, and so are its connections.
    pub(super) fn kill(&mut self, host: usize) {
        self.connections_of(host).into_iter().for_each(|id| self.breaks(id));
        let at = self.hosts[host].clock.monotonic(self.now);
        let laptop = &mut self.hosts[host].laptop;
        laptop.daemon = None;
        laptop.life += 1;
        for run in &mut laptop.runs {
            let _ = run.tell(at, session::Input::Detached);
        }
        self.oracles.see(self.now, &Seen::Died { host });
    }

    pub(super) fn kill_for(&mut self, host: usize, fault: Fault, time: Duration) {
        if self.hosts[host].laptop.daemon.is_some() {
            self.tally.count(fault);
            self.kill(host);
            self.queue.put(self.now.after(time), Event::Boot(host));
        }
    }

    fn kill_in_recovery(&mut self, host: usize, dice: &mut Dice) {
        if self.hosts[host].laptop.daemon.is_none() {
            return;
        }
        self.kill(host);
        let mut at = self.now;
        for _ in 0..dice.between(1, 4) {
            at = at.after(dice.time(Duration::from_millis(100), Duration::from_secs(1)));
            self.queue.put(at, Event::Boot(host));
            at = at.after(dice.time(Duration::ZERO, Duration::from_millis(60)));
            self.queue.put(at, Event::KillAgain(host));
        }
        self.queue.put(at.after(Duration::from_secs(1)), Event::Boot(host));
    }

    pub(super) fn kill_again(&mut self, host: usize) {
        if self.hosts[host].laptop.daemon.is_some() && !self.is_healed {
            self.tally.count(Fault::KillInRecovery);
            self.kill(host);
        }
    }

    /// The power goes and comes back: a disk that lied loses what it lied about.
    pub(super) fn power_goes(&mut self, host: usize) {
        self.kill(host);
        let machine = &mut self.hosts[host];
        if let Some(fault) = machine.disk.lose(&mut machine.laptop.disk) {
            machine.damaged = true;
            self.tally.count(fault);
            self.story.host(self.now, host, "lost writes that its disk had called durable");
            self.oracles.see(self.now, &Seen::Damaged { host });
        }
        self.queue.put(self.now.after(Duration::from_secs(20)), Event::Boot(host));
    }

    /// The daemon starts; commands that still run come back to it.
    pub(super) fn boot(&mut self, host: usize) {
        if let Some(until) = self.is_stopped(Party::Host(host)) {
            return self.queue.put(until, Event::Boot(host));
        }
        if self.hosts[host].laptop.daemon.is_some() {
            return;
        }
        if self.hosts[host].disk.fault(self.now) == Some(Fault::Permissions) {
            self.tally.count(Fault::Permissions);
            return self.queue.put(self.now.after(Duration::from_secs(15)), Event::Boot(host));
        }
        let machine = &mut self.hosts[host];
        let reading = machine.clock.reading(self.now);
        machine.scheduled = None;
        machine.refuses = machine.laptop.boot(machine.clock.monotonic(self.now), reading).err();
        if let Some(reason) = machine.refuses {
            self.story.host(self.now, host, &format!("does not start: {}", reason.summary()));
            return;
        }
        self.oracles.see(self.now, &Seen::Booted { host, disk: &self.hosts[host].laptop.disk });
        self.drain_host(host);
        self.commands_come_back(host);
        self.schedule(Party::Host(host));
    }

    /// A newer program takes over. It writes a member that this one does not know (BIND-8).
    fn upgrade(&mut self, host: usize) {
        let is_new = |members: &mut serde_json::Map<_, _>| {
            drop(members.insert("futureSetting".into(), serde_json::json!({ "kept": true })));
        };
        if !self.change_config(host, is_new) {
            return;
        }
        self.hosts[host].laptop.version = "0.2.0".into();
        self.oracles.see(self.now, &Seen::Upgraded { host });
        self.kill_for(host, Fault::Upgrade, Duration::from_secs(2));
    }

    /// An older program finds a newer one's files: it does not start, and leaves them alone.
    fn downgrade(&mut self, host: usize, number: usize, lasts: Duration) {
        if !self.change_config(host, |members| drop(members.insert("version".into(), 2.into()))) {
            return;
        }
        self.kill_for(host, Fault::Downgrade, Duration::from_secs(2));
        self.queue.put(self.now.after(lasts.max(Duration::from_secs(3))), Event::Over(number));
    }

    pub(super) fn back_to_newer(&mut self, host: usize) {
        self.change_config(host, |members| drop(members.insert("version".into(), 1.into())));
        self.boot(host);
    }

    fn change_config(&mut self, host: usize, change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> bool {
        let disk = &mut self.hosts[host].laptop.disk;
        let parsed = disk.get(&StateFile::Config).and_then(|bytes| serde_json::from_slice(bytes.expose()).ok());
        let Some(serde_json::Value::Object(mut members)) = parsed else { return false };
        change(&mut members);
        let bytes = serde_json::to_vec_pretty(&members).unwrap_or_default();
        disk.insert(StateFile::Config, SecretBytes::new(bytes));
        true
    }

    /// A second daemon starts on a copy of the home: a restored backup, a cloned virtual machine.
    fn copy_home(&mut self, host: usize, number: usize, lasts: Duration) {
        let copy = self.hosts.len();
        let mut machine = Host::new(copy, Dice::of(self.options.seed, "copy", number as u64));
        machine.laptop.disk.clone_from(&self.hosts[host].laptop.disk);
        machine.copy_of = Some(host);
        machine.damaged = true;
        self.hosts[host].damaged = true;
        self.hosts.push(machine);
        self.tally.count(Fault::TwoDaemons);
        self.oracles.see(self.now, &Seen::Damaged { host });
        self.oracles.see(self.now, &Seen::Damaged { host: copy });
        self.boot(copy);
        self.queue.put(self.now.after(lasts), Event::Over(number));
    }

    pub(super) fn end_copy(&mut self, host: usize) {
        let copies = (0..self.hosts.len()).filter(|copy| self.hosts[*copy].copy_of == Some(host));
        for copy in copies.collect::<Vec<_>>() {
            if self.hosts[copy].laptop.daemon.is_some() {
                self.kill(copy);
            }
        }
    }

    pub(super) fn restart_station(&mut self, station: usize) {
        let lost: Vec<_> = self.wires.iter().filter(|(_, wire)| wire.station == station).map(|(id, _)| *id).collect();
        for id in lost {
            if let Some(wire) = self.wires.get_mut(&id) {
                wire.is_taken = false;
            }
            self.breaks(id);
        }
        self.exchanges.retain(|_, exchange| !matches!(exchange.end, End::RevocationFeed(of, _) if of == station));
        self.stations[station].restart(self.now);
        self.after_station(station, Vec::new());
    }

    /// A file is not what it was, when the daemon starts the next time: now.
    fn damage(&mut self, host: usize, fault: Fault, dice: &mut Dice) {
        let machine = &mut self.hosts[host];
        let files = &mut machine.laptop.disk;
        let is_damaged = if fault == Fault::BitRot { Disk::rot(files, dice) } else { machine.disk.go_back(files, dice) };
        if is_damaged {
            machine.damaged = true;
            self.tally.count(fault);
            self.oracles.see(self.now, &Seen::Damaged { host });
            self.kill(host);
            self.queue.put(self.now.after(Duration::from_secs(2)), Event::Boot(host));
        }
    }
}
