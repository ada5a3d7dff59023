//! `uplink`, which owns a link, a rotation and a key set, and what is remembered of every machine that is built on one.

use std::time::Duration;

use proto_core::{
    JitterRng, Machine, SessionId, Status, WallClock,
    device::uplink::{self, EffectId, Uplink},
    effect::Effect,
    jose::Thumbprint,
    keyset::LookupId,
    noise::Symbolic,
    wire::{Frame, Head, Role},
};

use super::{
    effect,
    link::name_of,
    net::{Counts, Ends, Net, TURNS},
};
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{UNIX, clock, identity, record, relay, relay_record, uplink_settings},
    laws::START,
};

pub(super) const SESSION: SessionId = SessionId([1; 16]);

/// What is remembered of each of them.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, Hash)]
pub struct Memory {
    pub(super) ends: Ends,
    counts: Counts,
    /// Inputs of the owner on this connection.
    pub(super) inputs: u8,
    pub(super) is_over: bool,
    pub(super) is_storing: bool,
    /// Known, attached, and where the relay wants to go on.
    pub(super) is_known: bool,
    pub(super) is_attached: bool,
    pub(super) expects: Option<u64>,
    pub(super) was_cut: bool,
}

impl Memory {
    pub(super) fn new(frame: Frame) -> Self {
        Self {
            ends: Ends::sending(frame),
            counts: Counts::default(),
            inputs: 0,
            is_over: false,
            is_storing: false,
            is_known: false,
            is_attached: false,
            expects: None,
            was_cut: false,
        }
    }

    /// Whether this walk goes no further.
    pub(super) const fn is_beyond(&self) -> bool {
        let Counts { connections, renewals, fetches, turns, .. } = self.counts;
        connections > 2 || renewals > 1 || fetches > 1 || turns >= TURNS
    }

    pub(super) fn nets(&self) -> impl Iterator<Item = Net> {
        let may_speak = self.counts.frames < 1;
        Net::ABOVE_LINK.into_iter().chain(Net::PLATFORM).filter(move |net| !net.is_frame() || may_speak)
    }

    /// How time may pass.
    pub(super) fn times<F>(&self) -> Vec<Action<F>> {
        if self.is_beyond() { Vec::new() } else { vec![Action::Early, Action::Due, Action::Late] }
    }

    pub(super) fn turned<S: Subject>(&mut self, seen: &Seen<'_, S>) {
        self.counts.turned(seen);
    }

    pub(super) fn hear(&mut self, net: Net, was_up: bool) {
        self.counts.heard(net);
        self.ends.heard(net, was_up);
        self.is_over |= net.ends_access();
    }

    /// What is asked of the adapter; a frame, when one was sent to the relay.
    pub(super) fn asked(&mut self, asked: &Effect<EffectId>) -> Option<Frame> {
        if matches!(asked, Effect::Connect(..)) {
            (self.inputs, self.expects, self.is_over) = (0, None, false);
        }
        self.counts.asked(asked);
        self.ends.asked(asked)
    }

    pub(super) fn ended(&self) -> Result<(), Broken> {
        if self.is_over { Ok(()) } else { Err(Broken::new("BIND-6", "the access ended without the relay's word for it")) }
    }
}

/// What the walk of each of them is confined to.
pub(super) const BOUNDS: &str = "two connections, one renewal, one fetch of the key set, three deadlines, or fewer when the driver misses one by an hour; one frame of the relay on a connection";

/// The first thing that a good outside would do for a machine that waits for this.
pub(super) fn fair(waiting_for: &str) -> Option<Net> {
    match waiting_for {
        "the WebSocket" => Some(Net::Connected),
        "the relay's answer" => Some(Net::Welcome),
        "the close" => Some(Net::Closed),
        _ => None,
    }
}

/// Whether frames flow over the machine's link.
pub(super) fn is_open(machine: &impl Machine) -> bool {
    matches!(machine.status(), Status::Running { waiting_for: "frames" })
}

/// One uplink.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wired;

/// What an uplink can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fact {
    Net(Net),
    Stored,
    Send,
    Look,
    Woke,
    RetryNow,
    Stop,
}

impl Subject for Wired {
    type Machine = Uplink<Symbolic>;
    type Fact = Fact;
    type Memory = Memory;

    const NAME: &'static str = "uplink";
    const MAX_OUTPUTS: usize = 8;
    const SETTLES: (usize, Duration) = (16, Duration::from_mins(15));

    fn bounds(&self) -> String {
        format!("{BOUNDS}; two inputs of the owner on a connection")
    }

    fn starts(&self) -> Vec<(Self::Machine, Memory)> {
        let (role, settings) = (Role::Daemon, uplink_settings());
        let frame = Head::Acknowledge { session: SESSION, next: 1 }.into();
        let uplink = Uplink::new(START, clock(), role, &record(), &identity(1), None, &settings, JitterRng::constant(0));
        vec![(uplink.expect("a credential"), Memory::new(frame))]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        if at.memory.is_beyond() {
            return Vec::new();
        }
        let own = [Fact::Stored, Fact::Woke, Fact::RetryNow, Fact::Stop];
        let more = [Fact::Send, Fact::Look].into_iter().filter(|_| at.memory.inputs < 2);
        at.memory.nets().map(Fact::Net).chain(own).chain(more).collect()
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Fact>> {
        at.memory.times()
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> uplink::Input {
        match fact {
            Fact::Net(net) => uplink::Input::Io(at.memory.ends.io_event(*net).1),
            Fact::Stored => uplink::Input::Stored(relay_record(relay())),
            Fact::Send => uplink::Input::Send(Head::Open { session: SESSION, cipher: 1 }.into()),
            Fact::Look => uplink::Input::Look(LookupId(1), Thumbprint([9; 32])),
            Fact::Woke => unreachable!("it has a reading"),
            Fact::RetryNow => uplink::Input::RetryNow,
            Fact::Stop => uplink::Input::Stop,
        }
    }

    /// A suspend that is just long enough to be noticed.
    fn reading(&self, fact: &Fact) -> Option<WallClock> {
        (*fact == Fact::Woke).then(|| WallClock::new(START, UNIX.plus(5)))
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        match seen.fact {
            Some(Fact::Net(net)) => memory.hear(*net, is_open(seen.before)),
            Some(Fact::Send | Fact::Look) => memory.inputs = memory.inputs.saturating_add(1),
            None => memory.turned(seen),
            _ => {}
        }
        if seen.before.credential() != seen.after.credential() && (seen.fact != Some(&Fact::Stored) || !memory.is_storing) {
            return Err(Broken::new("ROT-1", "a credential is shown that is not durable"));
        }
        for output in seen.outputs {
            match output {
                uplink::Output::Effect(asked) => drop(memory.asked(asked)),
                uplink::Output::Renewed(_) => memory.is_storing = true,
                uplink::Output::Ended(_) => memory.ended()?,
                uplink::Output::Received(_) if seen.fact != Some(&Fact::Net(Net::Frame)) => {
                    return Err(Broken::new("NOI-8", format!("{:?} delivered a frame", seen.fact)));
                }
                uplink::Output::Up if seen.fact != Some(&Fact::Net(Net::Welcome)) => {
                    return Err(Broken::new("PIN-1", format!("{:?} brought the link up", seen.fact)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Fact> {
        match at.machine.status() {
            Status::Running { waiting_for } => fair(waiting_for).map(Fact::Net),
            _ => None,
        }
    }

    fn goal(&self, at: &Situation<Self>) -> bool {
        at.machine.is_up() || !matches!(at.machine.status(), Status::Running { .. })
    }

    fn say(&self, output: &uplink::Output) -> String {
        match output {
            uplink::Output::Effect(asked) => effect(asked),
            uplink::Output::Renewed(_) => "Renewed".into(),
            uplink::Output::Received(frame) => format!("Received({})", name_of(&frame.head)),
            uplink::Output::LookedUp(_) => "LookedUp".into(),
            other => format!("{other:?}"),
        }
    }
}
