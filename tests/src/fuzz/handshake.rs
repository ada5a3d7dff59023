//! Both ends of a handshake, over the real Noise, with an attacker on the wire who may do anything with their messages but make
//! them (NOI-2, NOI-4, NOI-8).
//!
//! The oracle is what each end may accept. A device that is let in has read the very message 2 that this relay made for it; a relay
//! that is sure of a device has read both its messages as they were made; both then have the same session, and transport messages
//! go both ways. Nothing else that they see brings either there.

use std::{sync::LazyLock, time::Duration};

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use proto_core::{
    Entropy, Instant, Machine, Status,
    crypto::StaticKeys,
    noise::{
        InitiatorKeys, Noise, Snow,
        channel::{Channel, Tails},
        handshake::{
            Initiator, Responder, initiator,
            responder::{self, Acceptor, Verdict},
        },
    },
    secret::{Secret, SecretText},
    wire::{Frame, Head, Hello, Pattern, Preamble, Role, Suite, Welcome},
};

use super::sabotage::Sabotage;

/// The most things that happen.
const MAX_STEPS: usize = 48;

#[derive(Arbitrary, Debug)]
enum Step {
    /// The relay gets the device's message with this number, perhaps changed.
    ToRelay(u8, Sabotage),
    /// The device gets the relay's.
    ToDevice(u8, Sabotage),
    /// Each gets its own message back.
    Reflect {
        to_relay: bool,
        message: u8,
    },
    Wait {
        millis: u16,
    },
    HangUp {
        at_relay: bool,
    },
}

static DEVICE: LazyLock<StaticKeys> = LazyLock::new(|| StaticKeys::from_private(Secret::new([1; 32])));
static RELAY: LazyLock<StaticKeys> = LazyLock::new(|| StaticKeys::from_private(Secret::new([2; 32])));

/// Both sides of one, and what comes in between.
pub fn handshake(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let Ok((suite, has_psk)) = data.arbitrary::<(u8, bool)>() else { return };
    let mut wire = Wire::new(Suite::ALL[usize::from(suite) % 4], has_psk);
    let Ok(steps) = data.arbitrary_iter::<Step>() else { return };
    for step in steps.take(MAX_STEPS).flatten() {
        wire.apply(&step);
    }
    wire.check_agreement();
}

struct Wire {
    now: Instant,
    device: Initiator<Snow>,
    relay: Responder<Snow>,
    /// Whether the relay finds the PSK that the suite wants.
    fits: bool,
    psk: Option<Secret>,
    by_device: Vec<Bytes>,
    by_relay: Vec<Bytes>,
    /// The last message that each got.
    at_device: Option<Bytes>,
    at_relay: Option<Bytes>,
    /// What each has once it has authenticated the other.
    admitted: Option<Channel<Snow>>,
    confirmed: Option<Channel<Snow>>,
    hashes: [Option<[u8; 32]>; 2],
    has_asked: bool,
}

fn welcome() -> Welcome {
    Welcome { frame_max: 1 << 20, time: 1_700_000_000, software: "viewport-relay 0.1.0".into() }
}

fn ping() -> Frame {
    Head::Ping { nonce: 7 }.into()
}

impl Wire {
    fn new(suite: Suite, has_psk: bool) -> Self {
        let wants_psk = suite.pattern() == Pattern::IkPsk2;
        let psk = Secret::new([42; 32]);
        let local = wants_psk.then_some(&psk);
        let keys = InitiatorKeys {
            preamble: Preamble { suite, role: Role::Daemon },
            local: &DEVICE,
            responder: RELAY.public(),
            psk: local,
        };
        let now = Instant::from_nanos(1_000);
        let hello = Hello { token: SecretText::new("token"), software: "vpd 0.1.0".into() };
        let mut wire = Self {
            now,
            device: Initiator::start(now, keys, Entropy::new([3; 32]), &hello),
            relay: Responder::new(now, Acceptor::Devices, RELAY.clone(), &Entropy::new([4; 32])),
            fits: has_psk == wants_psk,
            psk: has_psk.then_some(psk),
            by_device: Vec::new(),
            by_relay: Vec::new(),
            at_device: None,
            at_relay: None,
            admitted: None,
            confirmed: None,
            hashes: [None; 2],
            has_asked: false,
        };
        wire.drain();
        wire
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::ToRelay(number, sabotage) => {
                if let Some(message) = pick(&self.by_device, *number) {
                    self.give_relay(sabotage.apply(&message));
                }
            }
            Step::ToDevice(number, sabotage) => {
                if let Some(message) = pick(&self.by_relay, *number) {
                    self.give_device(sabotage.apply(&message));
                }
            }
            Step::Reflect { to_relay: true, message } => {
                if let Some(message) = pick(&self.by_relay, *message) {
                    self.give_relay(message);
                }
            }
            Step::Reflect { to_relay: false, message } => {
                if let Some(message) = pick(&self.by_device, *message) {
                    self.give_device(message);
                }
            }
            Step::Wait { millis } => {
                self.now = self.now.after(Duration::from_millis((*millis).into()));
                self.device.handle_timeout(self.now);
                self.relay.handle_timeout(self.now);
            }
            Step::HangUp { at_relay: true } => self.relay.handle_input(self.now, responder::Input::Closed(None)).expect("room"),
            Step::HangUp { at_relay: false } => self.device.handle_input(self.now, initiator::Input::Closed(None)).expect("room"),
        }
        self.drain();
    }

    fn give_relay(&mut self, message: Bytes) {
        self.at_relay = Some(message.clone());
        self.relay.handle_input(self.now, responder::Input::Received(message)).expect("room");
    }

    fn give_device(&mut self, message: Bytes) {
        self.at_device = Some(message.clone());
        self.device.handle_input(self.now, initiator::Input::Received(message)).expect("room");
    }

    fn drain(&mut self) {
        while let Some(output) = self.device.poll_output() {
            match output {
                initiator::Output::Send(message) => self.by_device.push(message),
                initiator::Output::Established { noise, welcome: said } => self.established(noise, &said),
                initiator::Output::Failed(_) => assert!(self.admitted.is_none(), "let in, and then failed"),
            }
        }
        while let Some(output) = self.relay.poll_output() {
            match output {
                responder::Output::Hello { static_key, preamble, .. } => self.knocked(static_key, preamble),
                responder::Output::Send(message) => {
                    assert!(self.by_relay.is_empty(), "message 2 was made twice");
                    self.by_relay.push(message);
                }
                responder::Output::Confirmed { noise, plaintext } => self.sure(noise, &plaintext),
                responder::Output::Failed(_) => assert!(self.confirmed.is_none(), "sure, and then failed"),
            }
        }
    }

    fn knocked(&mut self, static_key: proto_core::key::StaticKey, preamble: Preamble) {
        assert_eq!(
            self.at_relay.as_ref(),
            self.by_device.first(),
            "NOI-2: a first message that the device did not make was read"
        );
        assert_eq!((static_key, preamble.role), (DEVICE.public(), Role::Daemon));
        assert!(!core::mem::replace(&mut self.has_asked, true), "a relay asks once");
        let verdict = Verdict::Admit { psk: self.psk.clone(), welcome: welcome() };
        self.relay.handle_input(self.now, responder::Input::Verdict(verdict)).expect("room");
    }

    fn established(&mut self, noise: Snow, said: &Welcome) {
        assert!(
            self.at_device.is_some() && self.at_device == self.by_relay.first().cloned(),
            "NOI-2: let in by another message 2"
        );
        assert!(self.fits && *said == welcome(), "let in by what the relay did not say");
        self.hashes[0] = noise.handshake_hash();
        let mut channel = Channel::new(noise, Tails::Refused);
        let confirmation = channel.seal(&ping()).expect("a fresh channel");
        self.by_device.push(confirmation);
        self.admitted = Some(channel);
    }

    fn sure(&mut self, noise: Snow, plaintext: &Bytes) {
        assert!(self.admitted.is_some(), "NOI-4: sure of a device that was not let in");
        assert_eq!(self.at_relay.as_ref(), self.by_device.get(1), "NOI-4: another message was the confirmation");
        self.hashes[1] = noise.handshake_hash();
        let (channel, said) = Channel::confirmed(noise, plaintext).expect("what the device sealed is a frame");
        assert_eq!(said, ping());
        self.confirmed = Some(channel);
    }

    fn check_agreement(&mut self) {
        assert_eq!(matches!(self.device.status(), Status::Finished), self.admitted.is_some());
        assert_eq!(matches!(self.relay.status(), Status::Finished), self.confirmed.is_some());
        let (Some(device), Some(relay)) = (&mut self.admitted, &mut self.confirmed) else { return };
        assert!(self.hashes[0].is_some() && self.hashes[0] == self.hashes[1], "NOI-1: two ends, two sessions");
        for _ in 0..2 {
            assert_eq!(carried(device, relay), ping());
            assert_eq!(carried(relay, device), ping());
        }
    }
}

fn carried(from: &mut Channel<Snow>, to: &mut Channel<Snow>) -> Frame {
    let message = from.seal(&ping()).expect("a channel that works");
    to.open(&message).expect("a message of the other end")
}

fn pick(messages: &[Bytes], number: u8) -> Option<Bytes> {
    let at = usize::from(number).checked_rem(messages.len())?;
    messages.get(at).cloned()
}
