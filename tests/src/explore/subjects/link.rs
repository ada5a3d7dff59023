//! `link`: a relay that lets in, refuses, closes, is silent and sends what it may not; for as many attempts as there are kinds.

use std::time::Duration;

use proto_core::{
    Instant, JitterRng, Machine, Status,
    device::{
        link::{Config, Input, Link, LinkState, Output},
        uplink::EffectId,
    },
    effect::Effect,
    noise::Symbolic,
    secret::SecretText,
    wire::{Frame, Head, Role, liveness::MAX_SILENCE},
};

use super::{
    effect,
    net::{Ends, Net, is_first_message},
};
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{identity, relay, secret},
    laws::START,
};

/// One device's link.
#[derive(Clone, Copy, Debug)]
pub struct Dialling {
    /// The relay accepts and closes at once, and does nothing else.
    only_closes: bool,
    /// The walk begins when the link is up.
    begins_up: bool,
}

impl Dialling {
    /// With everything that a relay can do.
    pub const fn widely() -> Self {
        Self { only_closes: false, begins_up: false }
    }

    /// From the open link on.
    pub const fn from_the_open_link() -> Self {
        Self { only_closes: false, begins_up: true }
    }

    /// With a relay that accepts and closes, for longer than attempts are counted (LINK-1).
    pub const fn turned_away() -> Self {
        Self { only_closes: true, begins_up: false }
    }
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    Net(Net),
    Sent,
    Send,
    Renew,
    RetryNow,
    Stop,
}

/// What the outside and the properties remember.
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    ends: Ends,
    /// Attempts that failed since one was a quick one.
    failures: u8,
    /// Since when the link is up.
    up_at: Option<Instant>,
    /// When attempts began, within [`WINDOW`]; `None` where they are not counted.
    attempts: Option<Vec<Instant>>,
    heard_at: Option<Instant>,
    has_sent_first: bool,
    /// The relay said, under its key, that the access ends.
    is_over: bool,
}

/// The time over which attempts are counted.
const WINDOW: Duration = Duration::from_mins(2);

/// Five quick attempts, one before them, and one every ten seconds.
const MAX_ATTEMPTS: usize = 6 + 12;

fn acknowledge() -> Frame {
    Head::Acknowledge { session: proto_core::SessionId([1; 16]), next: 1 }.into()
}

impl Subject for Dialling {
    type Machine = Link<Symbolic>;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "link";
    const MAX_OUTPUTS: usize = 4;
    const SETTLES: (usize, Duration) = (16, Duration::from_mins(15));

    fn bounds(&self) -> String {
        let bounds = match (self.only_closes, self.begins_up) {
            (true, _) => "a relay that accepts and closes, and a punctual driver; IK; 14 slow attempts",
            (false, true) => "any relay, from the open link on, for as long as it is open; IK and IKpsk2",
            (false, false) => "any relay; IK and IKpsk2; two slow attempts in a row; the first two minutes of a connection",
        };
        format!("{bounds}; jitter at both ends of its range")
    }

    fn memory(&self) -> Duration {
        if self.begins_up || self.only_closes { Duration::from_hours(2) } else { Duration::from_mins(5) }
    }

    fn starts(&self) -> Vec<(Self::Machine, Memory)> {
        let memory = Memory {
            ends: Ends::sending(acknowledge()),
            failures: 0,
            up_at: None,
            attempts: self.only_closes.then(Vec::new),
            heard_at: None,
            has_sent_first: false,
            is_over: false,
        };
        let start = |jitter, is_psk: bool| {
            let config = Config {
                role: Role::Daemon,
                url: relay().url,
                relay_keys: relay().static_keys,
                identity: identity(1),
                psk: is_psk.then(|| secret(3)),
                token: SecretText::new("token"),
                software: "vpd".into(),
                aes_in_hardware: true,
            };
            (Link::new(config, JitterRng::constant(jitter), START), memory.clone())
        };
        if self.only_closes {
            return vec![start(0, false), start(u64::MAX, false)];
        }
        vec![start(0, false), start(u64::MAX, true)]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        if self.only_closes {
            let net = match at.machine.status() {
                Status::Running { waiting_for: "the WebSocket" } => Net::Connected,
                _ => Net::Closed,
            };
            return if at.memory.failures < 14 { vec![Fact::Net(net)] } else { Vec::new() };
        }
        if self.is_beyond(at) {
            return Vec::new();
        }
        let own = [Fact::Send, Fact::Renew, Fact::Sent, Fact::RetryNow, Fact::Stop];
        Net::LINK.into_iter().map(Fact::Net).chain(own).collect()
    }

    fn opening(&self) -> Vec<Action<Fact>> {
        let net = |net| Action::Hears(Fact::Net(net));
        if self.begins_up { vec![Action::Due, net(Net::Connected), net(Net::Welcome)] } else { Vec::new() }
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Fact>> {
        match (self.only_closes, at.machine.status()) {
            (true, Status::Running { waiting_for: "the relay's answer" }) => Vec::new(),
            (true, _) => vec![Action::Due],
            (false, _) if self.is_beyond(at) => Vec::new(),
            (false, _) => vec![Action::Early, Action::Due, Action::Late],
        }
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> Input {
        match fact {
            Fact::Net(net) => Input::Io(at.memory.ends.io_event(*net).1.take_id().1),
            Fact::Sent => Input::Io(proto_core::effect::IoEvent::Sent((), 1)),
            Fact::Send => Input::Send(Head::Open { session: proto_core::SessionId([1; 16]), cipher: 1 }.into()),
            Fact::Renew => Input::Renew(SecretText::new("newer")),
            Fact::RetryNow => Input::RetryNow,
            Fact::Stop => Input::Stop,
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        memory.attempts.iter_mut().for_each(|attempts| attempts.retain(|at| seen.now.since(*at) < WINDOW));
        if let Some(Fact::Net(net)) = seen.fact {
            memory.ends.heard(*net, seen.before.is_up());
            memory.is_over |= net.ends_access();
            let is_over_link = seen.before.is_up() && (net.is_frame() || *net == Net::Garbage);
            if is_over_link || *net == Net::Welcome {
                memory.heard_at = Some(seen.now);
            }
        }
        for output in seen.outputs {
            memory.judge(output, seen)?;
        }
        memory.notices_silence(seen)
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        let net = match at.machine.status() {
            Status::Running { waiting_for: "the WebSocket" } => Net::Connected,
            Status::Running { waiting_for: "the relay's answer" } => Net::Welcome,
            Status::Running { waiting_for: "the close" } => Net::Closed,
            _ => return None,
        };
        Some(Fact::Net(net))
    }

    /// LINK-4.
    fn goal(&self, at: &Situation<Self>) -> bool {
        at.machine.is_up() || !matches!(at.machine.status(), Status::Running { .. })
    }

    fn say(&self, output: &Output) -> String {
        match output {
            Output::Effect(asked) => effect(asked).replace("()", ""),
            Output::Up(_) => "Up".into(),
            Output::Received(frame) => format!("Received({})", name_of(&frame.head)),
            other => format!("{other:?}"),
        }
    }

    fn ignored(&self, machine: &Self::Machine) -> Vec<(&'static str, u64)> {
        vec![("not_up", machine.stats().not_up), ("stale", machine.stats().stale)]
    }
}

/// A frame's kind.
pub(super) fn name_of(head: &Head) -> String {
    let text = format!("{head:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().into()
}

impl Dialling {
    /// Whether this walk goes no further: where it begins with the open link it ends with it.
    fn is_beyond(self, at: &Situation<Self>) -> bool {
        let Memory { failures, up_at, .. } = &at.memory;
        match up_at {
            None => self.begins_up || *failures > 2,
            Some(up_at) => !self.begins_up && at.now.since(*up_at) > Duration::from_mins(2),
        }
    }
}

impl Memory {
    fn judge(&mut self, output: &Output, seen: &Seen<'_, Dialling>) -> Result<(), Broken> {
        let is_up = seen.after.is_up() || seen.before.is_up();
        match output {
            Output::Effect(asked) => {
                self.ends.asked(&asked.clone().map_id(|()| EffectId::Link));
                match asked {
                    Effect::Connect(..) => return self.attempt(seen.now),
                    Effect::Send((), message) if !is_up && (self.has_sent_first || !is_first_message(message)) => {
                        return Err(Broken::new("NOI-8", "something else than one message 1 is sent before the handshake ended"));
                    }
                    Effect::Send(..) => self.has_sent_first = true,
                    _ => {}
                }
            }
            Output::Up(_) if seen.fact != Some(&Fact::Net(Net::Welcome)) => {
                return Err(Broken::new("PIN-1", format!("{:?} brought the link up", seen.fact)));
            }
            Output::Up(_) => self.up_at = Some(seen.now),
            Output::Down(_) | Output::Failed(_) => {
                let is_slow = seen.after.state() == LinkState::Disconnected;
                self.failures = if is_slow { self.failures.saturating_add(1) } else { 0 };
                (self.up_at, self.heard_at) = (None, None);
            }
            Output::Ended(_) if !self.is_over => {
                return Err(Broken::new("BIND-6", "the access ended without the relay's word for it"));
            }
            Output::Received(_) if seen.fact != Some(&Fact::Net(Net::Frame)) => {
                return Err(Broken::new("NOI-8", format!("{:?} delivered a frame", seen.fact)));
            }
            _ => {}
        }
        Ok(())
    }

    /// LINK-1.
    fn attempt(&mut self, now: Instant) -> Result<(), Broken> {
        (self.has_sent_first, self.is_over) = (false, false);
        let Some(attempts) = &mut self.attempts else { return Ok(()) };
        attempts.push(now);
        if attempts.len() > MAX_ATTEMPTS {
            return Err(Broken::new("LINK-1", format!("{} attempts within two minutes", attempts.len())));
        }
        Ok(())
    }

    /// LINK-5.
    fn notices_silence(&self, seen: &Seen<'_, Dialling>) -> Result<(), Broken> {
        let silent_at = self.heard_at.map(|at| at.after(MAX_SILENCE));
        let deadline = seen.after.poll_timeout().map(|deadline| deadline.at);
        if seen.after.is_up() && silent_at.is_some_and(|at| deadline.is_none_or(|deadline| deadline > at)) {
            return Err(Broken::new("LINK-5", "a relay that is silent would not be noticed"));
        }
        Ok(())
    }
}
