//! One daemon with many bindings: what an event costs.
//!
//! `files::MAX_BINDINGS` bindings are the most that `config.json` may name, so there is nothing beyond to measure.

use std::hint::black_box;

use bytes::Bytes;
use proto_core::{
    Entropy, Jitter, Machine,
    bridge::SourceId,
    crypto::{
        channel::{Channel, Tails},
        noise::Snow,
    },
    daemon::{Ask, Daemon, Found, Input, Output, Settings},
    effect::{Effect, Happening, StateFile},
    files::{Config, Document, IdentityFile, MAX_BINDINGS},
    uplink,
    wire::Head,
};

use crate::{
    Table,
    material::{Fast, SESSION, START, answer, clock, parsed, record, secret},
    measure::{Row, Target, alone, timed},
};

/// How often an event is repeated within a round.
const TIMES: u32 = 64;

/// A daemon, and the relay's end of its first binding's link.
pub(crate) struct Connected {
    pub(crate) daemon: Daemon<Snow<Fast>>,
    link: Ask,
    relay: Channel<Snow<Fast>>,
}

pub(crate) fn measure(table: &Table) {
    let mut bindings = 1;
    loop {
        let name = |event: &str| format!("daemon with {bindings} bindings: {event}");
        table.row(&name("its next deadline"), |what| {
            let connected = Connected::new(bindings);
            repeated(what, || _ = black_box(connected.daemon.poll_timeout()))
        });
        table.row(&name("a timer that is not due"), |what| {
            let mut connected = Connected::new(bindings);
            repeated(what, || connected.daemon.handle_timeout(START))
        });
        table.row(&name("a frame of a session that is not known"), |what| {
            let mut connected = Connected::new(bindings);
            repeated(what, || connected.strange_frame())
        });
        table.row(&name("a ping of a relay, answered, and the next deadline"), pings(bindings));
        if bindings >= MAX_BINDINGS {
            break;
        }
        bindings = (bindings * 10).min(MAX_BINDINGS);
    }
}

fn repeated(what: String, mut event: impl FnMut()) -> Row {
    alone(what, Target::Nanoseconds(1_000.0), TIMES, || timed(|| (0..TIMES).for_each(|_| event())))
}

fn pings(bindings: usize) -> impl FnOnce(String) -> Row {
    move |what| {
        let mut connected = Connected::new(bindings);
        alone(what, Target::None, TIMES, || {
            let pings: Vec<_> = (0..TIMES).map(|_| connected.ping()).collect();
            timed(|| pings.into_iter().for_each(|ping| connected.hear(ping)))
        })
    }
}

impl Connected {
    pub(crate) fn new(bindings: usize) -> Self {
        let mut daemon = boot(bindings);
        daemon.handle_timeout(START);
        let mut links = outputs(&mut daemon).into_iter().filter_map(|output| match output {
            Output::Effect(Effect::Connect(link, _)) => Some(link),
            _ => None,
        });
        let link = links.next().expect("bindings connect");
        let mut connected =
            Self { link: link.clone(), relay: Channel::new(answered(&mut daemon, &link), Tails::Refused), daemon };
        let confirmation = connected.said();
        assert_eq!(connected.relay.open(&confirmation).expect("a frame").head, Head::Ping { nonce: 0 });
        connected
    }

    fn said(&mut self) -> Bytes {
        sent(&mut self.daemon)
    }

    fn ping(&mut self) -> Bytes {
        let mut message = Vec::new();
        self.relay.seal(&Head::Ping { nonce: 1 }.into(), &mut message).expect("room");
        message.into()
    }

    fn hear(&mut self, message: Bytes) {
        self.daemon.handle_input(START, Input::Happening(Happening::Received(self.link.clone(), message))).expect("taken");
        black_box(self.said());
        black_box(self.daemon.poll_timeout());
    }

    fn strange_frame(&mut self) {
        let frame = Head::Data { session: SESSION, epoch: 0, sequence: 0 }.into();
        self.daemon.handle_input(START, Input::Frame(SourceId(1), frame)).expect("taken");
    }
}

/// A daemon whose disk names that many bindings.
fn boot(bindings: usize) -> Daemon<Snow<Fast>> {
    let orgs: Vec<_> = (0..bindings).map(|number| format!("org-{number}")).collect();
    let config = Config { bindings: orgs.iter().map(|org| record(org)).collect(), ..Config::default() };
    let key = |org: &String| (StateFile::Identity(parsed(org), 0), IdentityFile::new(secret(1)).write().expect("written"));
    let found =
        Found { config: Some(config.write().expect("written")), identities: orgs.iter().map(key).collect(), ..Found::default() };
    let settings = Settings { name: "laptop".into(), version: "0.1.0".into(), pid: 1, api_endpoint: None, aes_in_hardware: true };
    Daemon::boot(START, clock(), &found, settings, Jitter::new(1)).expect("a good disk")
}

/// Opens one link as far as message 2; the relay's end of it.
fn answered(daemon: &mut Daemon<Snow<Fast>>, link: &Ask) -> Snow<Fast> {
    assert!(matches!(link, Ask::Bridge(_, _, uplink::Ask::Link)), "{link:?}");
    let mut happen = |happening| daemon.handle_input(START, Input::Happening(happening)).expect("taken");
    happen(Happening::Connected(link.clone(), Entropy::new([3; 32])));
    let (noise, second) = answer(&sent(daemon));
    daemon.handle_input(START, Input::Happening(Happening::Received(link.clone(), second))).expect("taken");
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
