//! `uplink` and `bridge`: machines that own a link, a rotation and a key set, and what they add to them.

use std::time::Duration;

use bytes::Bytes;
use proto_core::{
    Jitter, Machine, Reason, SessionId, Status,
    bridge::{self, Bridge, SourceId},
    crypto::{Cipher, noise::Symbolic, seal::EpochSecret},
    effect::Effect,
    jose::Thumbprint,
    keyset::LookupId,
    uplink::{self, Ask, Uplink},
    wire::{Frame, Head, Outcome, Role},
};

use super::{
    effect,
    link::name_of,
    net::{Counts, Ends, Net},
};
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{clock, identity, record, relay, relay_record, secret, uplink_settings},
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
        let Counts { connections, renewals, fetches, deadlines, .. } = self.counts;
        connections > 2 || renewals > 1 || fetches > 1 || deadlines > 3
    }

    pub(super) fn nets(&self) -> impl Iterator<Item = Net> {
        let may_speak = self.counts.frames < 1;
        Net::ABOVE_LINK.into_iter().chain(Net::PLATFORM).filter(move |net| !net.is_frame() || may_speak)
    }

    /// How time may pass.
    pub(super) fn times<F>(&self) -> Vec<Action<F>> {
        if self.is_beyond() { Vec::new() } else { vec![Action::Early, Action::Due] }
    }

    pub(super) fn waited(&mut self) {
        self.counts.heard(None);
    }

    pub(super) fn hear(&mut self, net: Net, was_up: bool) {
        self.counts.heard(Some(net));
        self.ends.heard(net, was_up);
        self.is_over |= net.ends_access();
    }

    /// What is asked of the adapter; a frame, when one was sent to the relay.
    pub(super) fn asked(&mut self, asked: &Effect<Ask>) -> Option<Frame> {
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
pub(super) const BOUNDS: &str = "two connections, one renewal, one fetch of the key set, three deadlines; one frame of the relay and two inputs of the owner on a connection";

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
    ClockRight,
    Hurry,
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
        BOUNDS.into()
    }

    fn starts(&self) -> Vec<(Self::Machine, Memory)> {
        let (role, settings) = (Role::Daemon, uplink_settings());
        let frame = Head::Acknowledge { session: SESSION, next: 1 }.into();
        let uplink = Uplink::new(START, clock(), role, &record(), &identity(1), &settings, Jitter::constant(0));
        vec![(uplink.expect("a credential"), Memory::new(frame))]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Fact> {
        if at.memory.is_beyond() {
            return Vec::new();
        }
        let own = [Fact::Stored, Fact::ClockRight, Fact::Hurry, Fact::Stop];
        let more = [Fact::Send, Fact::Look].into_iter().filter(|_| at.memory.inputs < 2);
        at.memory.nets().map(Fact::Net).chain(own).chain(more).collect()
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Fact>> {
        at.memory.times()
    }

    fn input(&self, fact: &Fact, at: &Situation<Self>) -> uplink::Input {
        match fact {
            Fact::Net(net) => uplink::Input::Happening(at.memory.ends.happening(*net).1),
            Fact::Stored => uplink::Input::Stored(relay_record(relay())),
            Fact::Send => uplink::Input::Send(Head::Open { session: SESSION, cipher: 1 }.into()),
            Fact::Look => uplink::Input::Look(LookupId(1), Thumbprint([9; 32])),
            Fact::ClockRight => uplink::Input::Clock(clock()),
            Fact::Hurry => uplink::Input::Hurry,
            Fact::Stop => uplink::Input::Stop,
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        match seen.fact {
            Some(Fact::Net(net)) => memory.hear(*net, is_open(seen.before)),
            Some(Fact::Send | Fact::Look) => memory.inputs = memory.inputs.saturating_add(1),
            None => memory.waited(),
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

/// One bridge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streaming;

/// What a bridge can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Bridged {
    Net(Net),
    Stored,
    Know,
    Forget,
    Attach,
    /// A record of the source that is attached.
    Data(u64),
    /// The same from somebody else.
    DataOfOther,
    End,
    Detach,
    Hurry,
    Cut,
    Stop,
}

impl Subject for Streaming {
    type Machine = Bridge<Symbolic>;
    type Fact = Bridged;
    type Memory = Memory;

    const NAME: &'static str = "bridge";
    const MAX_OUTPUTS: usize = 8;
    const SETTLES: (usize, Duration) = (16, Duration::from_mins(15));

    fn bounds(&self) -> String {
        format!("{BOUNDS}; one session with two records, which the relay wants from its beginning on")
    }

    fn starts(&self) -> Vec<(Self::Machine, Memory)> {
        let bridge = Bridge::new(START, clock(), &record(), identity(1), &uplink_settings(), Jitter::constant(0));
        vec![(bridge.expect("a credential"), Memory::new(Head::Resume { session: SESSION, next: 0 }.into()))]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Bridged> {
        use Bridged::{Attach, Cut, Data, DataOfOther, Detach, End, Forget, Hurry, Know, Stop, Stored};
        if at.memory.is_beyond() {
            return Vec::new();
        }
        let own = [Stored, Hurry, Cut, Stop, Know, Forget];
        let more = [Attach, Data(0), Data(1), DataOfOther, End, Detach].into_iter().filter(|_| at.memory.inputs < 3);
        at.memory.nets().map(Bridged::Net).chain(own).chain(more).collect()
    }

    fn times(&self, at: &Situation<Self>) -> Vec<Action<Bridged>> {
        at.memory.times()
    }

    fn input(&self, fact: &Bridged, at: &Situation<Self>) -> bridge::Input {
        let data = |source: u64, sequence: u64| {
            let head = Head::Data { session: SESSION, epoch: 0, sequence };
            bridge::Input::Frame(SourceId(source), Frame { head, body: Bytes::from_static(&[b'x'; 40]) })
        };
        match *fact {
            Bridged::Net(net) => bridge::Input::Happening(at.memory.ends.happening(net).1),
            Bridged::Stored => bridge::Input::Stored(relay_record(relay())),
            Bridged::Know => {
                let secret = EpochSecret::new(secret(4));
                bridge::Input::Know { session: SESSION, cipher: Cipher::Aes256Gcm, secret }
            }
            Bridged::Forget => bridge::Input::Forget(SESSION),
            Bridged::Attach => bridge::Input::Attach(SourceId(1), SESSION),
            Bridged::Data(sequence) => data(1, sequence),
            Bridged::DataOfOther => data(2, 0),
            Bridged::End => {
                let head = Head::End { session: SESSION, next: 2, outcome: Outcome::Exited };
                bridge::Input::Frame(SourceId(1), head.into())
            }
            Bridged::Detach => bridge::Input::Detach(SourceId(1)),
            Bridged::Hurry => bridge::Input::Hurry,
            Bridged::Cut => bridge::Input::Cut(Reason::MachineRevoked),
            Bridged::Stop => bridge::Input::Stop,
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        match seen.fact {
            Some(Bridged::Net(net)) => {
                memory.hear(*net, is_open(seen.before));
                if *net == Net::Frame {
                    memory.expects = Some(0);
                }
            }
            Some(Bridged::Know) => memory.is_known = true,
            Some(Bridged::Forget) => (memory.is_known, memory.is_attached) = (false, false),
            Some(Bridged::Attach) => {
                memory.is_attached = memory.is_known;
                memory.expects = None;
                memory.inputs += 1;
            }
            Some(Bridged::Detach) => {
                memory.is_attached = false;
                memory.inputs += 1;
            }
            Some(Bridged::Data(_) | Bridged::DataOfOther | Bridged::End) => memory.inputs += 1,
            Some(Bridged::Cut | Bridged::Stop) => memory.was_cut = true,
            None => memory.waited(),
            _ => {}
        }
        for output in seen.outputs {
            match output {
                bridge::Output::Effect(asked) => {
                    if let Some(frame) = memory.asked(asked) {
                        memory.streams(&frame)?;
                    }
                }
                bridge::Output::Ended(_) => memory.ended()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn fair(&self, at: &Situation<Self>) -> Option<Bridged> {
        match at.machine.status() {
            Status::Running { waiting_for } => fair(waiting_for).map(Bridged::Net),
            _ => None,
        }
    }

    fn goal(&self, at: &Situation<Self>) -> bool {
        !matches!(at.machine.status(), Status::Running { waiting_for } if waiting_for != "frames")
    }

    fn say(&self, output: &bridge::Output) -> String {
        match output {
            bridge::Output::Effect(asked) => effect(asked),
            bridge::Output::ToSource(_, frame) => format!("ToSource({})", name_of(&frame.head)),
            bridge::Output::Renewed(_) => "Renewed".into(),
            bridge::Output::SessionOver(_) => "SessionOver".into(),
            other => format!("{other:?}"),
        }
    }

    fn ignored(&self, machine: &Self::Machine) -> Vec<(&'static str, u64)> {
        let stats = machine.stats();
        vec![
            ("out_of_turn", stats.out_of_turn),
            ("unknown_session", stats.unknown_session),
            ("strange_visitors", stats.strange_visitors),
        ]
    }
}

impl Memory {
    /// ISO-6, BIND-7, SES-1: only a session that is pinned here, only until the cut, and in order.
    fn streams(&mut self, frame: &Frame) -> Result<(), Broken> {
        let of_session = matches!(frame.head, Head::Open { .. } | Head::Data { .. } | Head::End { .. });
        if of_session && (!self.is_known || !self.is_attached) {
            return Err(Broken::new("ISO-6", format!("{:?} of a session that is not pinned here", frame.head)));
        }
        if of_session && self.was_cut {
            return Err(Broken::new("BIND-7", format!("{:?} after the cut", frame.head)));
        }
        match frame.head {
            Head::Data { sequence, .. } if self.expects != Some(sequence) => {
                Err(Broken::new("SES-1", format!("record {sequence} goes out, {:?} was due", self.expects)))
            }
            Head::Data { sequence, .. } => {
                self.expects = Some(sequence + 1);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
