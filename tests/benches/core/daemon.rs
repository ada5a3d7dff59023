//! One daemon with many bindings, or many sessions that are over: what an event costs.
//!
//! `config.json` may name `files::MAX_BINDINGS` bindings, and each keeps at most `bridge::MAX_SESSIONS` sessions: there is
//! nothing beyond to measure.

use std::hint::black_box;

use bytes::Bytes;
use proto_core::{
    Entropy, Instant, Machine,
    device::{
        bridge::{MAX_SESSIONS, SourceId},
        daemon::{Daemon, EffectId, Input, Output, RETURN_WITHIN},
        files::MAX_BINDINGS,
        uplink,
    },
    effect::{Effect, IoEvent},
    noise::{
        Snow,
        channel::{Channel, Tails},
    },
    wire::Head,
};

use crate::{
    Table,
    material::{Fast, SESSION, START, answer, boot},
    measure::{Row, Target, alone, timed},
};

/// How often an event is repeated within a round.
const TIMES: u32 = 64;

/// A daemon, and the relay's end of its first binding's link.
pub(crate) struct Connected {
    pub(crate) daemon: Daemon<Snow<Fast>>,
    pub(crate) now: Instant,
    link: EffectId,
    relay: Channel<Snow<Fast>>,
}

pub(crate) fn measure(table: &Table) {
    let mut bindings = 1;
    while bindings < MAX_BINDINGS {
        events(table, bindings, 0);
        bindings *= 10;
    }
    events(table, MAX_BINDINGS, 0);
    events(table, 1, MAX_SESSIONS);
}

fn events(table: &Table, bindings: usize, sessions: usize) {
    let name = |event: &str| format!("daemon, {bindings} bindings, {sessions} sessions: {event}");
    table.row(&name("its next deadline"), |what| {
        let connected = Connected::new(bindings, sessions);
        repeated(what, || _ = black_box(connected.daemon.poll_timeout()))
    });
    table.row(&name("a timer that is not due"), |what| {
        let mut connected = Connected::new(bindings, sessions);
        repeated(what, || connected.daemon.handle_timeout(connected.now))
    });
    table.row(&name("a frame of a session that is not known"), |what| {
        let mut connected = Connected::new(bindings, sessions);
        repeated(what, || connected.strange_frame())
    });
    table.row(&name("a relay's ping, its answer, the next deadline"), |what| {
        let mut connected = Connected::new(bindings, sessions);
        alone(what, Target::None, TIMES, || {
            let pings: Vec<_> = (0..TIMES).map(|_| connected.ping()).collect();
            timed(|| pings.into_iter().for_each(|ping| connected.hear(ping)))
        })
    });
}

fn repeated(what: String, mut event: impl FnMut()) -> Row {
    alone(what, Target::Nanoseconds(1_000.0), TIMES, || timed(|| (0..TIMES).for_each(|_| event())))
}

impl Connected {
    /// The sessions are over: the process that made their records did not come back.
    pub(crate) fn new(bindings: usize, sessions: usize) -> Self {
        let mut daemon = boot(bindings, sessions);
        let now = START.after(RETURN_WITHIN);
        daemon.handle_timeout(now);
        let mut links = outputs(&mut daemon).into_iter().filter_map(|output| match output {
            Output::Effect(Effect::Connect(link, _)) => Some(link),
            _ => None,
        });
        let link = links.next().expect("bindings connect");
        let relay = Channel::new(answered(&mut daemon, now, &link), Tails::Refused);
        let mut connected = Self { daemon, now, link, relay };
        let confirmation = connected.said();
        assert_eq!(connected.relay.open(&confirmation).expect("a frame").head, Head::Ping { nonce: 0 });
        connected
    }

    fn said(&mut self) -> Bytes {
        sent(&mut self.daemon)
    }

    fn ping(&mut self) -> Bytes {
        self.relay.seal(&Head::Ping { nonce: 1 }.into()).expect("room")
    }

    fn hear(&mut self, message: Bytes) {
        self.daemon.handle_input(self.now, Input::Io(IoEvent::Received(self.link.clone(), message))).expect("taken");
        black_box(self.said());
        black_box(self.daemon.poll_timeout());
    }

    fn strange_frame(&mut self) {
        let frame = Head::Data { session: SESSION, epoch: 0, sequence: 0 }.into();
        self.daemon.handle_input(self.now, Input::Frame(SourceId(1), frame)).expect("taken");
    }
}

/// Opens one link as far as message 2; the relay's end of it.
fn answered(daemon: &mut Daemon<Snow<Fast>>, now: Instant, link: &EffectId) -> Snow<Fast> {
    assert!(matches!(link, EffectId::Bridge(_, _, uplink::EffectId::Link)), "{link:?}");
    let mut happen = |io_event| daemon.handle_input(now, Input::Io(io_event)).expect("taken");
    happen(IoEvent::Connected(link.clone(), Entropy::new([3; 32])));
    let (noise, second) = answer(&sent(daemon));
    daemon.handle_input(now, Input::Io(IoEvent::Received(link.clone(), second))).expect("taken");
    noise
}

fn sent(daemon: &mut Daemon<Snow<Fast>>) -> Bytes {
    let sends = outputs(daemon).into_iter().filter_map(|output| match output {
        Output::Effect(Effect::Send(_, message)) => Some(message),
        _ => None,
    });
    sends.last().expect("a message")
}

fn outputs(daemon: &mut Daemon<Snow<Fast>>) -> Vec<Output> {
    std::iter::from_fn(|| daemon.poll_output()).collect()
}
