//! L10: a machine does the same, byte for byte, whatever drives it and however often that wakes up.
//!
//! A device's [`Link`] meets a relay that takes records and closes, refuses, vanishes, falls silent, is slept through, and renews a
//! credential. All randomness is fixed and all outputs are recorded, once in memory and once through the adapter over real sockets.
//! Where nothing is under way the clock is put forward, so the test does not wait for a back-off.

mod memory;
mod relay;

use std::time::Duration;

use bytes::Bytes;
use io_engine::AwsLc;
use proto_core::{
    Deadline, Entropy, Instant, JitterRng, Machine, Reason, Status,
    crypto::Identity,
    device::link::{Config, Input, Link, Output},
    effect::{Connect, Effect, IoEvent},
    noise::Snow,
    secret::{Secret, SecretText},
    wire::{Frame, Head, Role},
};

use crate::{Subject, peer::Peer, subject};
use memory::Memory;
use relay::{FALL_ASLEEP, FALLS_SILENT, RECORDS, RENEW, SESSION};

/// How long the device's machine sleeps: many pings, and longer than a relay may be silent.
const SLEEP: Duration = Duration::from_mins(10);

/// The same outputs as in memory, woken at deadlines.
pub fn as_in_memory<S: Subject>() {
    same_as_in_memory::<S>(Wakes::AtDeadlines);
}

/// The same outputs as in memory, woken all the time and without a cause.
pub fn as_in_memory_however_often_it_is_woken<S: Subject>() {
    same_as_in_memory::<S>(Wakes::AllTheTime);
}

fn same_as_in_memory<S: Subject>(wakes: Wakes) {
    let expected = Run::of(Memory::new(), Wakes::AtDeadlines);
    is_the_whole_story(&expected);
    let relay = Peer::in_turn(relay::scripts());
    let through = Run::of(Through { subject: subject::<S>(), url: relay.url("ws") }, wakes);
    for (at, (through, expected)) in through.iter().zip(&expected).enumerate() {
        assert_eq!(through, expected, "output {at}");
    }
    assert_eq!(through.len(), expected.len());
    relay.finish();
}

/// A comparison of two short traces would prove little.
fn is_the_whole_story(outputs: &[Output]) {
    let ends: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Down(reason) | Output::Failed(reason) => Some(*reason),
            _ => None,
        })
        .collect();
    assert_eq!(
        ends,
        [
            Reason::RelayFull,
            Reason::RateLimited,
            Reason::RelayClosed,
            Reason::PingTimeout,
            Reason::PingTimeout,
            Reason::RelayClosed
        ]
    );
    let count = |is: fn(&Output) -> bool| outputs.iter().filter(|output| is(output)).count();
    assert_eq!(count(|output| matches!(output, Output::Up(_))), 4);
    assert_eq!(count(|output| matches!(output, Output::Rotated(2))), 1);
    assert!(count(|output| matches!(output, Output::Effect(Effect::Send(..)))) > 20);
}

/// What surrounds a link.
trait World {
    fn now(&self) -> Instant;
    fn perform(&mut self, effect: Effect<()>);
    fn next(&mut self, deadline: Option<Deadline>) -> Option<IoEvent<()>>;
}

/// An adapter and real sockets.
struct Through<S> {
    subject: S,
    url: String,
}

impl<S: Subject> World for Through<S> {
    fn now(&self) -> Instant {
        self.subject.now()
    }

    /// The relay's port is another one in each run; the machine does not see that.
    fn perform(&mut self, effect: Effect<()>) {
        self.subject.perform(match effect {
            Effect::Connect((), connect) => Effect::Connect("link", Connect { url: self.url.clone(), ..connect }),
            other => other.map_id(|()| "link"),
        });
    }

    fn next(&mut self, deadline: Option<Deadline>) -> Option<IoEvent<()>> {
        self.subject.next(deadline).map(|event| event.take_id().1)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wakes {
    AtDeadlines,
    AllTheTime,
}

/// One life of a link, from its first attempt until it was stopped.
struct Run<W> {
    world: W,
    wakes: Wakes,
    link: Link<Snow<AwsLc>>,
    /// How far the clock was put forward.
    skipped: Duration,
    /// The relay of this connection says nothing any more.
    is_silent: bool,
    connections: u8,
    outputs: Vec<Output>,
}

impl<W: World> Run<W> {
    fn of(world: W, wakes: Wakes) -> Vec<Output> {
        let config = Config {
            role: Role::Daemon,
            url: "ws://relay.example/ws".to_owned(),
            relay_keys: vec![relay::keys().public()],
            identity: Identity::from_seed(Secret::new([1; 32])),
            psk: None,
            token: SecretText::new("token"),
            software: "trace".to_owned(),
            aes_in_hardware: true,
        };
        let link = Link::new(config, JitterRng::new(7), Instant::ZERO);
        let skipped = Duration::ZERO;
        let mut run = Self { world, wakes, link, skipped, is_silent: false, connections: 0, outputs: Vec::new() };
        while run.link.status() != Status::Finished {
            run.turn();
        }
        run.outputs
    }

    /// The driver's loop of [`proto_core::machine`].
    fn turn(&mut self) {
        let event = self.next();
        if self.wakes == Wakes::AllTheTime || self.link.poll_timeout().is_some_and(|deadline| deadline.at <= self.now()) {
            self.link.handle_timeout(self.now());
            self.drain();
        }
        match event {
            Some(IoEvent::Connected((), _)) => {
                self.connections += 1;
                self.tell(Input::Io(IoEvent::Connected((), Entropy::new([self.connections; 32]))));
            }
            Some(event) => self.tell(Input::Io(event)),
            None => {}
        }
    }

    fn next(&mut self) -> Option<IoEvent<()>> {
        let deadline = self.link.poll_timeout().map(Deadline::in_words);
        if self.is_silent || self.link.status() == (Status::Running { waiting_for: "the next attempt" }) {
            self.skipped += deadline?.at.since(self.now());
        }
        let on_the_clock = |deadline: Deadline| Deadline { at: before(deadline.at, self.skipped), ..deadline };
        match self.wakes {
            Wakes::AtDeadlines => self.world.next(deadline.map(on_the_clock)),
            Wakes::AllTheTime => self.world.next(Some(Deadline::new(Instant::ZERO, "no cause"))),
        }
    }

    fn now(&self) -> Instant {
        self.world.now().after(self.skipped)
    }

    fn tell(&mut self, input: Input) {
        self.link.handle_input(self.now(), input).unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.link.poll_output() {
            self.outputs.push(output.clone());
            match output {
                Output::Effect(effect) => self.world.perform(effect),
                Output::Up(_) => self.tell(Input::Send(Head::Open { session: SESSION, cipher: 1 }.into())),
                Output::Down(_) => self.is_silent = false,
                Output::Received(frame) => self.received(&frame.head),
                Output::Rotated(_) => self.tell(Input::Stop),
                Output::Failed(_) | Output::Ended(_) => {}
            }
        }
    }

    fn received(&mut self, head: &Head) {
        match *head {
            Head::Resume { next, .. } | Head::Acknowledge { next, .. } if next < RECORDS => self.tell(Input::Send(record(next))),
            Head::Acknowledge { next: FALLS_SILENT, .. } => self.is_silent = true,
            Head::Acknowledge { next: FALL_ASLEEP, .. } => self.skipped += SLEEP,
            Head::Acknowledge { next: RENEW, .. } => self.tell(Input::Renew(SecretText::new("another token"))),
            _ => panic!("{head:?}"),
        }
    }
}

/// A record of some size: several segments of Noise in the larger ones.
fn record(sequence: u64) -> Frame {
    let len = usize::try_from(sequence).unwrap() * 10_000;
    Frame { head: Head::Data { session: SESSION, epoch: 0, sequence }, body: Bytes::from(vec![9; len]) }
}

fn before(at: Instant, time: Duration) -> Instant {
    Instant::from_nanos(at.as_nanos().saturating_sub(u64::try_from(time.as_nanos()).unwrap()))
}
