//! [`Link`] beside [`Attempts`].

use std::time::Duration;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use proto_core::{
    Entropy, Instant, JitterRng, Machine, Reason,
    device::link::{Config, Input, Link, LinkState, Output},
    effect::{Closed, Effect, IoEvent, NetFault},
    noise::{Noise, Symbolic, channel::Channel},
    secret::SecretText,
    wire::{Answer, Head, Role, Welcome},
};
use verification::models::{
    START,
    bench::Bench,
    config,
    given::{identity, relay},
    link::{Attempts, Shown},
    millis,
};

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Nothing listens, or the connection breaks before the relay answers, after so many milliseconds.
    Fails(u64),
    /// The relay lets it in, and the connection lives that long.
    Lives(u64),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0_u64..9_000).prop_map(Event::Fails),
        2 => prop_oneof![0_u64..29_999, Just(29_999), Just(30_000), 30_001_u64..200_000].prop_map(Event::Lives),
    ]
}

/// A relay's end of the latest connection.
struct Relay(Channel<Symbolic>);

fn link(seed: u64) -> Bench<Link<Symbolic>> {
    let config = Config {
        role: Role::Daemon,
        url: relay().url,
        relay_keys: relay().static_keys,
        identity: identity(1),
        psk: None,
        token: SecretText::new("token"),
        software: "vpd".into(),
        aes_in_hardware: false,
    };
    let mut bench = Bench::new(Link::new(config, JitterRng::new(seed), START));
    bench.pass(Duration::ZERO);
    bench
}

fn connects(bench: &Bench<Link<Symbolic>>) -> impl DoubleEndedIterator<Item = Instant> {
    bench.said.iter().filter(|(_, output)| matches!(output, Output::Effect(Effect::Connect(..)))).map(|(at, _)| *at)
}

fn sent(bench: &Bench<Link<Symbolic>>) -> Bytes {
    let sends = bench.said.iter().rev().find_map(|(_, output)| match output {
        Output::Effect(Effect::Send((), message)) => Some(message.clone()),
        _ => None,
    });
    sends.unwrap()
}

/// The relay lets the device in.
fn admit(bench: &mut Bench<Link<Symbolic>>, number: u8) -> Relay {
    bench.tell(Input::Io(IoEvent::Connected((), Entropy::new([number; 32]))));
    let relay = identity(0x52);
    let (mut noise, _) = Symbolic::respond(relay.static_keys(), Entropy::new([number; 32]), &sent(bench)).unwrap();
    let welcome = Welcome { frame_max: 1_048_576, time: 1_800_000_000, software: "relay".into() };
    let second = noise.answer(None, &Answer::Welcome(welcome).encode()).unwrap();
    bench.tell(Input::Io(IoEvent::Received((), second.into())));
    assert!(bench.machine.is_up());
    Relay(Channel::new(noise, proto_core::noise::channel::Tails::Refused))
}

/// Lets a connection live, with a relay that sends something in time.
fn live(bench: &mut Bench<Link<Symbolic>>, relay: &mut Relay, time: u64) {
    let until = bench.now.after(Duration::from_millis(time));
    while bench.now < until {
        let step = until.since(bench.now).min(Duration::from_secs(15));
        bench.pass(step);
        if bench.now < until {
            let message = relay.0.seal(&Head::Pong { nonce: 0 }.into()).unwrap();
            bench.tell(Input::Io(IoEvent::Received((), message)));
        }
    }
}

fn shown(state: LinkState) -> Shown {
    match state {
        LinkState::Connecting => Shown::Connecting,
        LinkState::Connected => Shown::Connected,
        LinkState::Reconnecting { attempt, .. } => Shown::Reconnecting(attempt),
        LinkState::Disconnected => Shown::Disconnected,
    }
}

fn lose(bench: &mut Bench<Link<Symbolic>>) {
    bench.tell(Input::Io(IoEvent::Closed((), Closed::Fault(NetFault::Broken))));
}

proptest! {
    #![proptest_config(config(256))]

    /// D7, LINK-1, S144, S145: the attempt that is shown, when it comes, and when it is the first again.
    #[test]
    fn a_link_tries_like_its_model(seed in any::<u64>(), events in vec(events(), 0..40)) {
        let mut bench = link(seed);
        let mut model = Attempts::default();
        let mut slow_since = None;
        for (number, event) in events.iter().enumerate() {
            // The attempt under way began now, or while time passed; nothing else happens before it ends.
            let started = millis(connects(&bench).last().unwrap());
            if model.failed > Attempts::QUICK {
                let previous = slow_since.replace(started);
                let apart = previous.map(|previous| started - previous);
                prop_assert!(apart.is_none_or(|apart| apart >= Attempts::SLOW.0), "LINK-1: slow attempts {:?} apart", apart);
            } else {
                slow_since = (model.failed == Attempts::QUICK).then_some(started);
            }
            match event {
                Event::Fails(time) => {
                    // An attempt is given up after ten seconds; less than that has passed.
                    bench.pass(Duration::from_millis((*time).min(started + 9_900 - millis(bench.now).min(started + 9_900))));
                }
                Event::Lives(time) => {
                    let mut relay = admit(&mut bench, u8::try_from(number % 200).unwrap());
                    model.up(millis(bench.now));
                    prop_assert_eq!(shown(bench.machine.state()), model.shown());
                    live(&mut bench, &mut relay, *time);
                }
            }
            lose(&mut bench);
            model.down(millis(bench.now));
            prop_assert_eq!(shown(bench.machine.state()), model.shown(), "after {:?}", event);
            let before = connects(&bench).count();
            step_to_next(&mut bench, &model);
            prop_assert_eq!(connects(&bench).count(), before + 1);
        }
    }
}

/// Lets time pass to the next attempt and not beyond it.
fn step_to_next(bench: &mut Bench<Link<Symbolic>>, model: &Attempts) {
    let before = connects(bench).count();
    let (least, most) = model.wait();
    for _ in 0..100 {
        if connects(bench).count() > before {
            break;
        }
        let deadline = bench.machine.poll_timeout().expect("D7: it never gives up");
        bench.pass(deadline.at.since(bench.now));
    }
    let waited = millis(bench.now) - model.ended_at;
    assert!((least..=most).contains(&waited), "D7: waited {waited} ms after failure {}", model.failed);
}

/// LINK-1: a relay that accepts and closes at once sees at most 365 attempts in the first hour, whatever the jitter.
#[test]
fn a_relay_that_hangs_up_is_left_in_peace() {
    for seed in 0..200 {
        let mut bench = link(seed);
        let mut number = 0;
        while millis(bench.now) < 3_600_000 {
            let (before, relay) = (connects(&bench).count(), admit(&mut bench, number));
            drop(relay);
            number = number.wrapping_add(1);
            bench.tell(Input::Io(IoEvent::Closed((), Closed::ByPeer(Some(Reason::RelayFull)))));
            while connects(&bench).count() == before {
                let deadline = bench.machine.poll_timeout().unwrap();
                bench.pass(deadline.at.since(bench.now));
            }
        }
        let attempts = connects(&bench).filter(|at| millis(*at) < 3_600_000).count();
        assert!(attempts <= 365, "LINK-1: {attempts} attempts in the first hour with seed {seed}");
    }
}

/// D7: an attempt is never more than half a minute away, and a restart, a wake-up or a changed network makes it at once.
#[test]
fn hurrying_connects_at_once() {
    let mut bench = link(1);
    let mut model = Attempts::default();
    for _ in 0..12 {
        lose(&mut bench);
        model.down(millis(bench.now));
        step_to_next(&mut bench, &model);
    }
    lose(&mut bench);
    let before = connects(&bench).count();
    bench.tell(Input::RetryNow);
    bench.pass(Duration::ZERO);
    assert_eq!(connects(&bench).count(), before + 1, "D7");
}
