//! [`Watcher`] beside [`Reader`]: when a list of sessions is whole, and whether one is meant.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use proto_core::{
    Entropy, Instant, JitterRng, Machine, Reason, SessionId, Status,
    device::watcher::{EffectId, Goal, Input, Output, Watcher},
    effect::{Closed, Effect, IoEvent},
    noise::{
        Noise, Symbolic,
        channel::{Channel, Tails},
    },
    wire::{Answer, Head},
};
use verification::{
    fixtures::{
        handshake::welcome,
        relay_identity,
        watcher::{boot, paired},
    },
    laws::START,
    models::{
        config,
        watcher::{Outcome, Reader, Wish},
    },
};

#[derive(Clone, Debug)]
enum Event {
    /// The WebSocket that is dialled opens, and the relay lets the viewer in.
    Up,
    /// It breaks.
    Break,
    /// The relay names a session.
    Name(u8),
    Pass(u64),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Up),
        1 => Just(Event::Break),
        3 => (0_u8..3).prop_map(Event::Name),
        5 => prop_oneof![Just(499_u64), Just(500), Just(2_500), 0_u64..4_000].prop_map(Event::Pass),
    ]
}

fn wishes() -> impl Strategy<Value = Wish> {
    prop_oneof![Just(Wish::All), (0_u8..3).prop_map(Wish::This), Just(Wish::TheOnly)]
}

const fn session(number: u8) -> SessionId {
    SessionId([number; 16])
}

/// The viewer, its relay, and what a reader makes of the same.
struct Side {
    watcher: Watcher<Symbolic>,
    reader: Reader,
    now: Instant,
    dialled: Option<EffectId>,
    sent: Option<(EffectId, Bytes)>,
    channel: Option<Channel<Symbolic>>,
    list: Option<BTreeSet<u8>>,
    /// The program has ended.
    is_over: bool,
}

impl Side {
    fn new(wish: Wish) -> Self {
        let goal = match wish {
            Wish::All => Goal::List,
            Wish::This(number) => Goal::This(session(number)),
            Wish::TheOnly => Goal::TheOnly,
        };
        let watcher = boot(&paired(), goal, JitterRng::new(1));
        let (dialled, sent, channel) = (None, None, None);
        let mut side =
            Self { watcher, reader: Reader::new(wish), now: START, dialled, sent, channel, list: None, is_over: false };
        side.drain();
        side
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.now.since(START).as_millis()).unwrap()
    }

    fn drain(&mut self) {
        let at = self.millis();
        while let Some(output) = self.watcher.poll_output() {
            match output {
                Output::Effect(Effect::Connect(effect_id, _)) => (self.dialled, self.channel) = (Some(effect_id), None),
                Output::Effect(Effect::Send(effect_id, message)) => self.sent = Some((effect_id, message)),
                Output::Effect(Effect::Close(effect_id, _)) => {
                    self.channel = None;
                    self.tell(IoEvent::Closed(effect_id, Closed::ByUs));
                }
                Output::Up { .. } => self.reader.comes(at),
                Output::Down(_) => self.reader.goes(),
                Output::Listed(SessionId([number, ..])) => self.reader.names(number, at),
                Output::Sessions(sessions) => self.list = Some(sessions.iter().map(|entry| entry.session.0[0]).collect()),
                _ => {}
            }
        }
    }

    fn tell(&mut self, io_event: IoEvent<EffectId>) {
        self.watcher.handle_input(self.now, Input::Io(io_event)).unwrap();
        self.drain();
    }

    /// Time passes, and what is due on the way happens when it is due.
    fn pass(&mut self, millis: u64) {
        let end = self.now.after(Duration::from_millis(millis));
        while let Some(at) = self.watcher.poll_timeout().map(|deadline| deadline.at).filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.watcher.handle_timeout(self.now);
            self.drain();
            self.reader.reads_on(self.millis());
        }
        self.now = end;
        self.reader.reads_on(self.millis());
    }

    fn up(&mut self) {
        let Some(effect_id) = self.dialled.take() else { return };
        self.tell(IoEvent::Connected(effect_id, Entropy::new([4; 32])));
        let Some((_, message)) = self.sent.take() else { return };
        let (mut noise, _) = Symbolic::respond(relay_identity().static_keys(), Entropy::new([6; 32]), &message).unwrap();
        let answer = noise.answer(None, &Answer::Welcome(welcome()).encode()).unwrap();
        self.channel = Some(Channel::new(noise, Tails::Refused));
        self.tell(IoEvent::Received(effect_id, answer.into()));
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Up => self.up(),
            Event::Break => {
                if let (Some((effect_id, _)), Some(_)) = (self.sent.clone(), self.channel.take()) {
                    self.tell(IoEvent::Closed(effect_id, Closed::ByPeer(None)));
                }
            }
            Event::Name(number) => {
                let open = Head::Open { session: session(*number), cipher: 1 }.into();
                let message = self.channel.as_mut().map(|channel| channel.seal(&open).unwrap());
                if let (Some(message), Some((effect_id, _))) = (message, self.sent.clone()) {
                    self.tell(IoEvent::Received(effect_id, message));
                }
            }
            Event::Pass(millis) => self.pass(*millis),
        }
        self.reader.reads_on(self.millis());
    }

    /// Both say the same.
    fn agree(&mut self) -> Result<(), TestCaseError> {
        let status = self.watcher.status();
        match self.reader.outcome() {
            None | Some(Outcome::Shown(_)) => prop_assert!(matches!(status, Status::Running { .. }), "{:?}", status),
            Some(Outcome::Unknown) => prop_assert_eq!(status, Status::Failed(&Reason::SessionUnknown)),
            Some(Outcome::Listed(sessions)) => {
                prop_assert_eq!(status, Status::Finished);
                prop_assert_eq!(self.list.as_ref(), Some(sessions));
            }
        }
        self.is_over = !matches!(self.watcher.status(), Status::Running { .. });
        Ok(())
    }
}

proptest! {
    #![proptest_config(config(256))]

    /// A list is whole, a session unknown and the only one found at the same moment as a reader with a watch would say, whatever
    /// becomes of the link meanwhile.
    #[test]
    fn sessions_settle_when_a_reader_would_say_so(wish in wishes(), events in vec(events(), 0..60)) {
        let mut side = Side::new(wish);
        side.pass(0);
        for event in &events {
            side.happen(event);
            side.agree()?;
            if side.is_over {
                break;
            }
        }
    }
}
