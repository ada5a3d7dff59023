//! `bridge`: what `uplinked` has, and a session that streams.

use std::time::Duration;

use bytes::Bytes;
use proto_core::{
    JitterRng, Machine, Reason, Status,
    crypto::{Cipher, seal::EpochSecret},
    device::bridge::{self, Bridge, SourceId},
    noise::Symbolic,
    wire::{Frame, Head, Outcome},
};

use super::{
    effect,
    link::name_of,
    net::Net,
    uplinked::{BOUNDS, Memory, SESSION, fair, is_open},
};
use crate::{
    explore::{Action, Broken, Seen, Situation, Subject},
    fixtures::{clock, identity, record, relay, relay_record, secret, uplink_settings},
    laws::START,
};

/// One bridge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streaming {
    declines: bool,
}

impl Streaming {
    /// One whose relay has no room for the session.
    pub const fn declined() -> Self {
        Self { declines: true }
    }
}

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
    /// The same from another viewer.
    DataOfOther,
    End,
    Detach,
    RetryNow,
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
        let answer = if self.declines { "declines" } else { "wants from its beginning on" };
        format!("{BOUNDS}; three inputs of the owner on a connection; one session with two records, which the relay {answer}")
    }

    fn starts(&self) -> Vec<(Self::Machine, Memory)> {
        let bridge = Bridge::new(START, clock(), &record(), identity(1), None, &uplink_settings(), JitterRng::constant(0));
        let answer = if self.declines {
            Head::Decline { session: SESSION, reason: Reason::SessionLimit, retry_after: 10 }
        } else {
            Head::Resume { session: SESSION, next: 0 }
        };
        vec![(bridge.expect("a credential"), Memory::new(answer.into()))]
    }

    fn facts(&self, at: &Situation<Self>) -> Vec<Bridged> {
        use Bridged::{Attach, Cut, Data, DataOfOther, Detach, End, Forget, Know, RetryNow, Stop, Stored};
        if at.memory.is_beyond() {
            return Vec::new();
        }
        let own = [Stored, RetryNow, Cut, Stop, Know, Forget];
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
            Bridged::Net(net) => bridge::Input::Io(at.memory.ends.io_event(net).1),
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
            Bridged::RetryNow => bridge::Input::RetryNow,
            Bridged::Cut => bridge::Input::Cut(Reason::MachineRevoked),
            Bridged::Stop => bridge::Input::Stop,
        }
    }

    fn saw(&self, seen: &Seen<'_, Self>, memory: &mut Memory) -> Result<(), Broken> {
        match seen.fact {
            Some(Bridged::Net(net)) => {
                memory.hear(*net, is_open(seen.before));
                if *net == Net::Frame && memory.ends.resumes() {
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
            None => memory.turned(seen),
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
            ("invalid_peer_messages", stats.invalid_peer_messages),
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
